// SPDX-License-Identifier: Apache-2.0
/**
 * Attacks on the running program that go beyond one message: floods, races, names that mean something to a runtime, ends
 * that do not come. Behind the gateway stands a server that a test writes in a few words; in front, the test itself.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { parse } from 'yaml';
import type { Wire } from '../harness/gateway.ts';
import { ALLOW_ALL, Gateway, launcher, scratch } from '../harness/gateway.ts';
import { childrenOf, goneWithin } from '../harness/processes.ts';
import { filesystem, witnessed } from '../harness/servers.ts';

const PINNED = `${ALLOW_ALL}tool_description_pinning: {enabled: true, on_drift: block}\n`;
const MODERN = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} };

const PRELUDE = `
  const out = (message) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\\n');
  const tool = (name, description = 'd') => ({ name, description, inputSchema: { type: 'object' } });
  const text = (id, text) => out({ id, result: { content: [{ type: 'text', text }] } });
  const init = (id, protocolVersion = '2025-11-25') => out({ id, result: { protocolVersion, capabilities: { tools: { listChanged: true } }, serverInfo: { name: 's', version: '1' } } });
  const serve = (take) => {
    let parts = [];
    process.stdin.setEncoding('utf8').on('data', (chunk) => {
      const lines = chunk.split('\\n');
      while (lines.length > 1) {
        take(JSON.parse(parts.join('') + lines.shift()));
        parts = [];
      }
      parts.push(lines[0]);
    });
  };
`;

/** A server whose body sees each message as \`m\`; what it does not answer itself is answered with the least. */
function server(body: string): string[] {
  const rest = "if (m.method === 'initialize') init(m.id); else if (m.method === 'tools/list') out({ id: m.id, result: { tools: [tool('t')] } }); else if (m.method === 'tools/call') text(m.id, 'fine'); else if (m.id !== undefined && m.method !== undefined) out({ id: m.id, result: {} });";
  return [process.execPath, '-e', `${PRELUDE} serve((m) => { ${body} ${rest} });`];
}

function pause(ms: number): Promise<'late'> {
  return new Promise((resolve) => {
    setTimeout(() => resolve('late'), ms);
  });
}

const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '<<', '*a', '&a', '!t', '? x', '- x', '---', 'true', 'null', '~', '1e3', 'a: b', 'a #b', '\u0085', '\u2028', 'new\nline', '\u0000', '\u0001'.repeat(512), '😀'.repeat(256), '"', ' lead', '%', '{'];

const listed = (description: string): string => `
  if (m.method === 'tools/list') return out({ id: m.id, result: { tools: ${JSON.stringify(names)}.map((name) => tool(name, '${description}')) } });`;

test('a tool of any name is pinned, and drift of it is seen', async () => {
  const folder = scratch();
  const first = new Gateway({ folder, policy: PINNED, server: server(listed('before')) });
  await first.initialize();
  for (const [id, name] of names.entries()) assert.equal((await first.ask(id, 'tools/call', { name })).result.content[0].text, 'fine', name);
  await first.close();
  const text = readFileSync(join(folder, 'bastion.lock.yaml'), 'utf8');
  const kept: Map<string, Map<string, Map<string, Map<string, unknown>>>> = parse(text, { mapAsMap: true });
  assert.deepEqual([...(kept.get('servers')?.get('peer')?.get('tools')?.keys() ?? [])].sort(), [...names].sort());
  const second = new Gateway({ folder, policy: PINNED, server: server(listed('after')) });
  await second.initialize();
  for (const [id, name] of names.entries()) assert.equal((await second.ask(id, 'tools/call', { name })).error?.data.code, 'TOOL_PIN_DRIFT', name);
  assert.deepEqual((await second.ask('list', 'tools/list')).result.tools, []);
  await second.close();
});

test('a tool named like a member of every object is denied by its name, and hidden', async () => {
  const gateway = new Gateway({ policy: "version: 1\ndeny_tools: ['__proto__', 'constructor']\n", server: server(listed('d')) });
  await gateway.initialize();
  const shown: string[] = (await gateway.ask(1, 'tools/list')).result.tools.map((each: Wire) => each.name);
  assert.deepEqual([shown.includes('__proto__'), shown.includes('constructor'), shown.includes('toString')], [false, false, true]);
  for (const name of ['__proto__', 'constructor', 'Constructor']) assert.equal((await gateway.ask(name, 'tools/call', { name })).error.data.code, 'TOOL_DENIED');
  await gateway.close();
});

test('gateways with one lockfile and different state folders lose none of their pins', async () => {
  const folder = scratch();
  const policy = PINNED.replace('block}', 'block, path: ../bastion.lock.yaml}');
  const many = (prefix: string): string => `if (m.method === 'tools/list') return out({ id: m.id, result: { tools: Array.from({ length: 300 }, (_, i) => tool('${prefix}' + i)) } });`;
  const gateways = ['a', 'b', 'c'].map((name) => {
    mkdirSync(join(folder, name));
    return new Gateway({ folder: join(folder, name), policy, name, server: server(many(name)) });
  });
  await Promise.all(gateways.map((gateway) => gateway.initialize()));
  await Promise.all(gateways.map(async (gateway) => {
    assert.equal((await gateway.ask(1, 'tools/call', { name: `${gateway.name}7` })).result.content[0].text, 'fine');
    await gateway.close();
  }));
  const kept: { servers: Record<string, { tools: object }> } = parse(readFileSync(join(folder, 'bastion.lock.yaml'), 'utf8'));
  assert.deepEqual(Object.entries(kept.servers).map(([name, pins]) => [name, Object.keys(pins.tools).length]), [['a', 300], ['b', 300], ['c', 300]]);
});

test('a server that lists ever new tools cannot make the lockfile unusable for the others', async () => {
  const folder = scratch();
  const body = "if (m.method === 'tools/list') { globalThis.n = (globalThis.n ?? 0) + 1; return out({ id: m.id, result: { tools: Array.from({ length: 5100 }, (_, i) => tool(n + '-' + i)) } }); }";
  const hostile = new Gateway({ folder, policy: PINNED, name: 'hostile', server: server(body) });
  await hostile.initialize();
  assert.equal((await hostile.ask(1, 'tools/list')).result.tools.length, 5100, 'more than the log takes at once');
  assert.equal((await hostile.ask(2, 'tools/list')).error.data.code, 'PIN_STORE');
  await hostile.close();
  const honest = new Gateway({ folder, policy: PINNED, name: 'honest', server: server('') });
  await honest.initialize();
  assert.equal((await honest.ask(1, 'tools/call', { name: 't' })).result.content[0].text, 'fine');
  await honest.close();
});

test('a burst of changed lists holds up no answer, and the client hears of the change', async () => {
  const body = "if (m.method === 'tools/call') { for (let i = 0; i < 600; i += 1) out({ method: 'notifications/tools/list_changed' }); }";
  const gateway = new Gateway({ policy: PINNED, server: server(body) });
  await gateway.initialize();
  assert.equal((await gateway.ask(1, 'tools/call', { name: 't' })).result.content[0].text, 'fine');
  await gateway.next((message) => message.method === 'notifications/tools/list_changed');
  await gateway.close();
  assert.equal(gateway.rows().filter((row) => row['method'] === 'notifications/tools/list_changed').length, 600);
});

test('no order of the log lets a message past that has no row, however fast the server writes', async () => {
  const body = "if (m.method === 'ping') { const one = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 1 } }) + '\\n'; process.stdout.write(one.repeat(15000)); }";
  const gateway = new Gateway({ policy: `${ALLOW_ALL}audit: {order: intent, payload: none}\n`, server: server(body) });
  await gateway.initialize();
  await gateway.ask(1, 'ping');
  await gateway.close();
  const count = (messages: readonly Wire[]): number => messages.filter((each) => each.method === 'notifications/message').length;
  assert.deepEqual([count(gateway.received), count(gateway.rows())], [15_000, 15_000]);
});

test('every element of a flood of batches has its row', async () => {
  const gateway = new Gateway({ policy: "version: 1\ndeny_tools: ['x']\naudit: {payload: none}\n", server: server('') });
  await gateway.initialize('2025-03-26');
  for (let batch = 0; batch < 120; batch += 1) {
    const calls = Array.from({ length: 64 }, (_, i) => ({ jsonrpc: '2.0', id: batch * 64 + i, method: 'tools/call', params: { name: 'x' } }));
    gateway.raw(JSON.stringify(calls));
  }
  await gateway.next((message) => message.id === 7679);
  await gateway.close();
  assert.equal(gateway.rows().filter((row) => row['kind'] === 'call' && row['decision'] === 'deny').length, 7680);
  assert.equal(new Set(gateway.received.map((message) => message.id)).size, 7681, 'each is answered, and so is initialize');
});

test('a result that is asked for under one id is never delivered twice, nor for another request', async () => {
  const body = "if (m.method === 'tools/call') return void setTimeout(() => text(m.id, m.params.name), 300);";
  const gateway = new Gateway({ server: server(body) });
  await gateway.initialize('2025-03-26');
  await gateway.ask('list', 'tools/list');
  gateway.raw('[{"jsonrpc":"2.0","id":5,"method":"ping","params":[]},{"jsonrpc":"2.0","id":5,"method":"ping"}]');
  assert.deepEqual((await gateway.next((message) => message.id === 5)).result, {});
  gateway.send({ id: 6, method: 'tools/call', params: { name: 'first' } });
  await pause(100);
  gateway.send({ method: 'notifications/cancelled', params: { requestId: 6 } });
  gateway.send({ id: 6, method: 'tools/call', params: { name: 'second' } });
  assert.equal((await gateway.next((message) => message.id === 6)).error.data.code, 'ID_IN_FLIGHT');
  await pause(400);
  await gateway.close();
  assert.deepEqual([5, 6].map((id) => gateway.received.filter((message) => message.id === id).length), [1, 1]);
  assert.equal(JSON.stringify(gateway.received).includes('second'), false);
});

test('a request in flight does not keep its message in memory', async () => {
  const gateway = new Gateway({ policy: `${ALLOW_ALL}audit: {payload: none}\n`, server: server("if (m.method === 'resources/read') return;") });
  await gateway.initialize();
  const padding = 'y'.repeat(10_000_000);
  for (let i = 0; i < 50; i += 1) {
    gateway.send({ id: `an id of more than twelve letters ${i}`, method: 'resources/read', params: { padding } });
    if (i % 10 === 9) await gateway.ask(i, 'ping');
  }
  const [child = 0] = childrenOf(gateway.process.pid ?? 0);
  const kilobytes = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child}/status`, 'utf8'))?.[1]);
  assert.ok(kilobytes < 700_000, `${kilobytes} KiB`);
  gateway.process.kill();
  await gateway.ended;
});

test('a server that settles on an older revision does not get past the rules for a newer method', async () => {
  const ask = "out({ id: 9, method: 'elicitation/create', params: { mode: 'url', url: 'https://evil.example', message: 'm' } });";
  const policy = "version: 1\nmethods: {'*': allow, 'elicitation/create:url': deny}\n";
  const gateway = new Gateway({ policy, server: server(`if (m.method === 'initialize') return init(m.id, '2024-11-05'); if (m.method === 'ping') ${ask}`) });
  await gateway.initialize();
  await gateway.ask(1, 'ping');
  await gateway.close();
  assert.equal(gateway.received.some((message) => message.method === 'elicitation/create'), false);
  assert.equal(gateway.rows().find((row) => row['method'] === 'elicitation/create')?.['decision'], 'deny');
});

test('no form of an answer asks for input that the policy denies', async () => {
  const url = { method: 'elicitation/create', params: { mode: 'url', url: 'https://evil.example', message: 'm' } };
  const answers: readonly (readonly [object, string])[] = [
    [{ error: { code: -32042, message: 'm', data: { elicitations: [url.params] } } }, 'METHOD_DENIED'],
    [{ result: { resultType: 'input_required', inputRequests: { a: url } } }, 'METHOD_DENIED'],
    [{ result: { resultType: 'complete', content: [], inputRequests: { a: url } } }, 'RESULT_INVALID'],
    [{ result: { content: [], inputRequests: { a: url } } }, 'RESULT_INVALID'],
    [{ result: { resultType: 'input_required', inputRequests: { a: { method: 'roots/list', Method: 'sampling/createMessage' } } } }, 'RESULT_INVALID'],
    [{ result: { resultType: 'input_required', inputRequests: { a: { method: 'elicitation/create', params: [url.params] } } } }, 'RESULT_INVALID'],
    [{ result: { resultType: 'input_required', inputRequests: [url] } }, 'RESULT_INVALID'],
    [{ result: { resultType: ['complete'], content: [] } }, 'RESULT_TYPE_UNKNOWN'],
  ];
  const body = `if (m.method === 'tools/call') return out({ id: m.id, ...${JSON.stringify(answers.map(([answer]) => answer))}[m.id] });`;
  const gateway = new Gateway({ policy: 'version: 1\n', server: server(body) });
  for (const [id, [answer, code]] of answers.entries()) {
    const got = await gateway.ask(id, 'tools/call', { name: 't', _meta: MODERN });
    assert.equal(got.error?.data?.code, code, JSON.stringify(answer));
  }
  await gateway.close();
  assert.equal(JSON.stringify(gateway.received).includes('evil.example'), false);
});

test('an older server that answers anything to a probe stays usable, and a modern one settles the era', async () => {
  const older = new Gateway({ server: server('') });
  assert.deepEqual((await older.ask(1, 'server/discover', { _meta: MODERN })).result, {});
  assert.equal((await older.initialize()).result.protocolVersion, '2025-11-25');
  await older.close();
  const modern = new Gateway({ server: server("if (m.method === 'server/discover') return out({ id: m.id, result: { supportedVersions: ['2026-07-28', '2099-01-01'], capabilities: {} } });") });
  assert.deepEqual((await modern.ask(1, 'server/discover', { _meta: MODERN })).result.supportedVersions, ['2026-07-28']);
  assert.equal((await modern.initialize()).error.data.code, 'ERA_MIXED');
  await modern.close();
});

test('characters that some readers take for a line end arrive escaped on both sides', async () => {
  const ends = 'a\u2028b\u2029c\u0085d';
  const gateway = new Gateway({ server: server("if (m.method === 'tools/call') return text(m.id, JSON.stringify(m.params.arguments) + m.params.arguments.x);") });
  let seen = '';
  gateway.process.stdout.on('data', (chunk: Buffer) => (seen += chunk.toString()));
  await gateway.initialize();
  const got = await gateway.ask(1, 'tools/call', { name: 't', arguments: { x: ends } });
  assert.ok(got.result.content[0].text.endsWith(ends));
  assert.equal(/[\u0085\u2028\u2029]/.test(seen), false);
  await gateway.close();
});

test('a flood on standard error does not stop the answers', async () => {
  const body = "if (m.method === 'ping' && m.id === 1) { const lines = Buffer.from('a\\n\\n'.repeat(20000)); let left = 30; const more = () => { left -= 1; if (left > 0) process.stderr.write(lines, more); }; more(); }";
  const gateway = new Gateway({ server: server(body) });
  await gateway.initialize();
  for (let id = 1; id < 20; id += 1) await gateway.ask(id, 'ping');
  await gateway.close();
  assert.ok(gateway.stderr.length < 40_000);
});

test('a process that left the group and holds the pipes does not keep the gateway', async () => {
  const body = "if (m.method === 'ping') require('node:child_process').spawn('sleep', ['20'], { detached: true, stdio: 'inherit' }).unref();";
  const gateway = new Gateway({ server: server(body) });
  await gateway.initialize();
  await gateway.ask(1, 'ping');
  assert.equal(await Promise.race([gateway.close(), pause(10_000)]), 0);
});

test('a client that reads nothing can still end the gateway with a signal, and nothing is left', async () => {
  const folder = scratch();
  writeFileSync(join(folder, 'policy.yaml'), ALLOW_ALL);
  const command = server("if (m.method === 'ping') return out({ id: m.id, result: { x: 'y'.repeat(200000) } });");
  const child = spawn(process.execPath, [launcher, 'up', '--policy', join(folder, 'policy.yaml'), '--state', join(folder, 'state'), '--', ...command, folder]);
  const ended = new Promise((resolve) => child.on('exit', resolve));
  // From its first line on it is ready to be told to end.
  await new Promise((resolve) => void child.stderr.once('data', resolve));
  child.stderr.resume();
  for (let id = 0; id < 50; id += 1) child.stdin.write(`{"jsonrpc":"2.0","id":${id},"method":"ping"}\n`);
  await pause(1500);
  child.stdin.end();
  await pause(500);
  child.kill('SIGTERM');
  assert.equal(await Promise.race([ended, pause(12_000)]), 0);
  assert.deepEqual(await goneWithin(folder, 3000), []);
});

test('a server that ends in the middle of many calls leaves none without an answer', async () => {
  const gateway = new Gateway({ server: server("if (m.method === 'ping' && m.id === 30) process.exit(4); if (m.method === 'ping') return;") });
  await gateway.initialize();
  for (let id = 0; id < 60; id += 1) gateway.send({ id, method: 'ping' });
  assert.equal(await gateway.ended, 4);
  const answered = new Set(gateway.received.map((message) => message.id));
  for (let id = 0; id <= 30; id += 1) assert.ok(answered.has(id), String(id));
  assert.equal(gateway.received.length, answered.size, 'none twice');
});

test('a client that never reads standard error is answered, and can end the gateway', async () => {
  const gateway = new Gateway({ policy: "version: 1\ndeny_tools: ['no']\n" });
  gateway.process.stderr.pause();
  await gateway.initialize();
  for (let id = 1; id <= 20_000; id += 1) gateway.send({ id, method: 'tools/call', params: { name: 'no' } });
  await gateway.next((message) => message.id === 20_000, 60_000);
  gateway.process.stdin.end();
  // The pipe stays full: the end is that of the process, not of its streams.
  const code = await new Promise((resolve) => {
    gateway.process.once('exit', resolve);
  });
  assert.equal(code, 0);
  gateway.process.stderr.resume();
});

test('an agent that deletes the log through a tool of its server makes no call after that', async () => {
  const gateway = new Gateway({ server: witnessed(filesystem(scratch())) });
  await gateway.initialize();
  await gateway.ask(1, 'tools/call', { name: 'list_allowed_directories', arguments: {} });
  rmSync(join(gateway.stateDir, 'audit'), { recursive: true });
  const refused = await gateway.ask(2, 'tools/call', { name: 'list_allowed_directories', arguments: {} });
  assert.equal(refused.error.data.code, 'AUDIT_UNAVAILABLE');
  assert.equal(gateway.witness().filter((line) => line.includes('"tools/call"')).length, 1);
  await gateway.close();
  assert.match(gateway.stderr, /was removed, moved or replaced while the log was written/);
});
