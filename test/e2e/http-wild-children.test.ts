// SPDX-License-Identifier: Apache-2.0
/**
 * Failures that proxies were reported for, seen from the machine they run on: processes that stay behind, and one server,
 * start or socket that takes the gateway down for everybody (mcp.md section 10, numbers 5 and 6).
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, readdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import test, { suite } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Wire } from '../harness/gateway.ts';
import { ALLOW_ALL, scratch } from '../harness/gateway.ts';
import { HttpGateway, PATIENCE_MS } from '../harness/http.ts';
import { call, modern, modernly, Session } from '../harness/http-clients.ts';
import { event, stream, Upstream } from '../harness/http-upstream.ts';
import { childrenOf, goneWithin, processesWith } from '../harness/processes.ts';

/** A shell that starts the server, which starts a process of its own: killing the first alone would leave two. */
const SERVER = `
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
const [mark, ...traits] = process.argv.slice(2);
spawn('sleep', ['300'], { stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, MARK: mark } }).unref();
if (traits.includes('stubborn')) process.on('SIGTERM', () => undefined);
if (traits.includes('stubborn')) setInterval(() => undefined, 1000);
const schema = { type: 'object' };
const ends = {
  exit: () => process.exit(3),
  crash: () => process.kill(process.pid, 'SIGSEGV'),
  fault: () => { throw new Error('not caught'); },
  escape: () => {
    spawn('sleep', ['300'], { stdio: 'inherit', detached: true, env: { ...process.env, MARK: mark } }).unref();
    process.exit(0);
  },
  noise: () => { process.stdout.write('\\u0000\\xff{"jsonrpc":'); process.exit(1); },
};
createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) return;
  const results = {
    initialize: { protocolVersion: params?.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 's', version: '1' } },
    'server/discover': { resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities: { tools: {} }, ttlMs: 0, cacheScope: 'private' },
    'tools/list': { resultType: 'complete', tools: ['work', 'hang', ...Object.keys(ends)].map((name) => ({ name, inputSchema: schema })), ttlMs: 0, cacheScope: 'private' },
  };
  if (method === 'tools/call' && params.name === 'hang') return;
  if (method === 'tools/call' && params.name in ends) return ends[params.name]();
  const result = { ...(results[method] ?? { resultType: 'complete', content: [{ type: 'text', text: String(process.pid) }] }) };
  if (params?._meta?.['io.modelcontextprotocol/protocolVersion'] === undefined && method !== 'server/discover') delete result.resultType;
  console.log(JSON.stringify({ jsonrpc: '2.0', id, result }));
}).on('close', () => { if (!traits.includes('stubborn')) process.exit(0); });
`;

interface Behind {
  readonly gateway: HttpGateway;
  /** Stands in the command line or the environment of every process of the server's, and of no other. */
  readonly mark: string;
}

/** A gateway in front of a server on stdio; the mark stands in a file, so that the gateway itself does not have it. */
async function behind(traits: readonly string[] = [], limits = ''): Promise<Behind> {
  const place = scratch();
  writeFileSync(join(place, 'server.mjs'), SERVER);
  const mark = join(place, 'server.mjs');
  const command = ['/bin/sh', '-c', `"$0" "$1" "$1" ${traits.join(' ')}; true`, process.execPath, mark];
  const config = `version: 1\npolicy: policy.yaml\nlisten: 127.0.0.1:0\n${limits}\nservers:\n  peer: {command: ${JSON.stringify(command)}}\n`;
  return { gateway: await HttpGateway.open({ config }), mark };
}

const text = (message: Wire): string => message.result.content[0].text;

/** Calls until the server says which process it is; behind a shell, so that there are three of them. */
async function started(session: Session, mark: string, before = 0): Promise<void> {
  assert.match(text(await session.call('started', 'work')), /^\d+$/);
  assert.ok(processesWith(mark).length >= before + 3, 'a shell, the server and a process of its own');
}

async function untilGone(mark: string, msMax = PATIENCE_MS): Promise<void> {
  assert.deepEqual(await goneWithin(mark, msMax), []);
}

async function untilOnly(mark: string, count: number): Promise<void> {
  const until = Date.now() + PATIENCE_MS;
  while (processesWith(mark).length > count && Date.now() < until) await delay(50);
  assert.equal(processesWith(mark).length, count);
}

async function healthy(gateway: HttpGateway): Promise<void> {
  assert.equal((await gateway.fetch({ method: 'GET', path: '/healthz' })).status, 200);
  assert.doesNotMatch(gateway.stderr, /internal fault|unhandled|uncaught|please report/i);
  assert.equal(gateway.process.exitCode, null);
}

const shared = await behind();

test('the end of a session ends the shell, the server and what that started, and of no other session', async () => {
  const { gateway, mark } = shared;
  const kept = await Session.open(gateway);
  await started(kept, mark);
  const before = processesWith(mark).length;
  const ended = await Session.open(gateway);
  await started(ended, mark, before);
  assert.equal((await ended.end()).status, 200);
  await untilOnly(mark, before);
  assert.match(text(await kept.call('after', 'work')), /^\d+$/);
  await kept.end();
  await untilGone(mark);
  await healthy(gateway);
});

test('many sessions that open and close, in order or not, leave no process', { timeout: 120_000 }, async () => {
  const { gateway, mark } = shared;
  for (let round = 0; round < 2; round += 1) {
    const sessions = await Promise.all(Array.from({ length: 5 }, () => Session.open(gateway)));
    const hanging = sessions.map(async (session, nr) => {
      const answer = nr % 2 === 0 ? await session.post(call('hanging', 'hang')) : null;
      return answer?.messages.at(-1)?.error?.data.code ?? null;
    });
    await delay(100);
    assert.deepEqual(await Promise.all(sessions.map(async (session) => (await session.end()).status)), [200, 200, 200, 200, 200]);
    assert.deepEqual(await Promise.all(hanging), ['UPSTREAM_GONE', null, 'UPSTREAM_GONE', null, 'UPSTREAM_GONE'], 'who waited is told');
  }
  await untilGone(mark);
  await healthy(gateway);
});

// Each of these waits more than it works.
suite('the end of a client or of the gateway', { concurrency: 4 }, () => {
  test('clients that leave without a word leave no process once they are idle, whatever their era', { timeout: 60_000 }, async () => {
    const { gateway, mark } = await behind([], 'limits: {idle_ms: 1000}');
    const session = await Session.open(gateway);
    const listening = await session.listen();
    const body = JSON.stringify(call('abandoned', 'hang'));
    const headers = `Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\nMcp-Session-Id: ${session.id}\r\nContent-Length: ${body.length}`;
    const abandoned = gateway.raw(`POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:${gateway.port}\r\n${headers}\r\n\r\n${body}`, 300);
    await started(session, mark);
    const gone = await modern(gateway, 1, 'tools/call', { name: 'work', arguments: {} });
    assert.match(text(await gone.next((message) => message.id === 1)), /^\d+$/);
    assert.ok(processesWith(mark).length >= 6, 'each era has a server of its own');
    listening.leave();
    await abandoned;
    await untilGone(mark);
    assert.equal((await session.post(call('late', 'work'))).status, 404);
    assert.match(text((await modernly(gateway, 2, 'tools/call', { name: 'work', arguments: {} })).messages.at(-1)), /^\d+$/, 'the next one starts another');
    await healthy(gateway);
    await gateway.close();
    await untilGone(mark);
  });

  test('a signal ends the gateway and every server, also those that ignore every polite end', { timeout: 60_000 }, async () => {
    const { gateway, mark } = await behind(['stubborn']);
    for (const session of await Promise.all([Session.open(gateway), Session.open(gateway), Session.open(gateway)])) await started(session, mark);
    await modernly(gateway, 1, 'tools/call', { name: 'work', arguments: {} });
    gateway.process.kill('SIGTERM');
    assert.equal(await gateway.ended, 0);
    await untilGone(mark, 3000);
  });

  for (const victim of ['gateway', 'launcher'] as const) {
    test(`no process is left where the ${victim} is killed outright`, { timeout: 60_000 }, async () => {
      const { gateway, mark } = await behind();
      for (const session of await Promise.all([Session.open(gateway), Session.open(gateway)])) await started(session, mark);
      const launcher = gateway.process.pid ?? 0;
      const [inner = 0] = childrenOf(launcher);
      process.kill(victim === 'launcher' ? launcher : inner, 'SIGKILL');
      await gateway.ended;
      await untilGone(mark);
    });
  }
});

test('a server that ends in any way ends its own session only, with an answer, and leaves no process', { timeout: 120_000 }, async (t) => {
  const { gateway, mark } = shared;
  const bystander = await Session.open(gateway);
  await started(bystander, mark);
  const before = processesWith(mark).length;
  for (const way of ['exit', 'crash', 'fault', 'noise']) {
    await t.test(way, async () => {
      const session = await Session.open(gateway);
      const others = [session.post(call('other', 'hang')), session.post(call('third', 'hang'))];
      await delay(100);
      const answers = [await session.post(call('ends', way)), ...(await Promise.all(others))];
      for (const answer of answers) assert.deepEqual(answer.messages.map(({ error }) => error?.data.code), ['UPSTREAM_GONE']);
      assert.equal((await session.post(call('after', 'work'))).status, 404);
      assert.match(text(await bystander.call(`beside ${way}`, 'work')), /^\d+$/);
    });
  }
  await untilOnly(mark, before);
  await bystander.end();
  await untilGone(mark);
  await healthy(gateway);
});

test('a process that left the group and holds the pipes of a server that ended keeps nobody waiting', async () => {
  const { gateway, mark } = shared;
  const session = await Session.open(gateway);
  await started(session, mark);
  const hanging = session.post(call('hanging', 'hang'));
  await delay(100);
  for (const answer of [await session.post(call('ends', 'escape')), await hanging]) {
    assert.deepEqual(answer.messages.map(({ error }) => error?.data.code), ['UPSTREAM_GONE']);
  }
  // What left the group is not the gateway's any more.
  await untilOnly(mark, 1);
  const [escaped = 0] = processesWith(mark);
  process.kill(escaped, 'SIGKILL');
  await healthy(gateway);
});

test('commands that cannot be started are told to those who asked, and the others go on', async (t) => {
  const place = scratch();
  writeFileSync(join(place, 'plain.txt'), 'no program');
  chmodSync(join(place, 'plain.txt'), 0o644);
  writeFileSync(join(place, 'lost.sh'), '#!/nonexistent/interpreter\n', { mode: 0o755 });
  writeFileSync(join(place, 'server.mjs'), SERVER);
  const commands = { missing: '/nonexistent/server', forbidden: join(place, 'plain.txt'), folder: place, 'not-folder': join(place, 'plain.txt', 'x'), interpreter: join(place, 'lost.sh') };
  const servers = Object.entries(commands).map(([name, command]) => `  ${name}: {command: ${JSON.stringify([command])}}\n`);
  const working = `  works: {command: ${JSON.stringify([process.execPath, join(place, 'server.mjs'), place])}}\n`;
  const gateway = await HttpGateway.open({ policy: ALLOW_ALL, config: `version: 1\npolicy: policy.yaml\nlisten: 127.0.0.1:0\nservers:\n${servers.join('')}${working}` });
  const bystander = await Session.open(gateway, { path: '/mcp/works' });
  for (const name of Object.keys(commands)) {
    await t.test(name, async () => {
      const old = await Session.initialize(gateway, { path: `/mcp/${name}` });
      assert.deepEqual([old.status, old.json.error.data.code], [502, 'UPSTREAM_SPAWN']);
      const recent = await modernly(gateway, 1, 'tools/list', {}, { path: `/mcp/${name}` });
      assert.deepEqual([recent.status, recent.json.error.data.code], [502, 'UPSTREAM_SPAWN']);
      assert.match(text(await bystander.call(name, 'work')), /^\d+$/);
    });
  }
  await healthy(gateway);
  await gateway.close();
});

test('a machine that has no room for another process refuses one session, and takes the next when there is room', async () => {
  const { gateway, mark } = shared;
  const bystander = await Session.open(gateway);
  await started(bystander, mark);
  const [inner = 0] = childrenOf(gateway.process.pid ?? 0);
  const limit = (files: number): void => void execFileSync('prlimit', ['--pid', String(inner), `--nofile=${files}:`]);
  const open = new Set(readdirSync(`/proc/${inner}/fd`).map(Number));
  // Room for the connection of the request, not for the pipes of a process, which are three pairs.
  const free = Array.from({ length: open.size + 4 }, (_unused, file) => file).filter((file) => !open.has(file));
  limit((free[3] ?? 0) + 1);
  const refused = await Session.initialize(gateway);
  limit(4096);
  assert.deepEqual([refused.status, refused.json.error.data.code], [502, 'UPSTREAM_SPAWN'], refused.text);
  assert.match(text(await bystander.call('beside', 'work')), /^\d+$/);
  const next = await Session.open(gateway);
  await started(next, mark);
  await next.end();
  await bystander.end();
  await untilGone(mark);
  await healthy(gateway);
});

/** Opens a connection, sends, and breaks it with a reset after so many milliseconds. */
async function reset(port: number, bytes: string, ms: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(bytes);
  await delay(ms);
  socket.resetAndDestroy();
}

test('sockets that break with an error on either side take nobody else down', async () => {
  const upstream = await Upstream.open();
  const gateway = await HttpGateway.open({ upstream: upstream.url });
  const session = await Session.open(gateway);
  await session.call('first', 'echo');
  upstream.on('tools/call', async (hit) => {
    stream(hit).write(event({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'begun' } }));
    await delay(20);
    hit.response.socket?.resetAndDestroy();
  });
  const head = `POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:${gateway.port}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n`;
  const body = JSON.stringify(call('reset', 'echo'));
  const whole = `${head}Mcp-Session-Id: ${session.id}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const cuts = [0, 1, head.length, whole.length - 5, whole.length];
  await Promise.all(cuts.flatMap((cut) => [0, 10, 60].map((ms) => reset(gateway.port, whole.slice(0, cut), ms))));
  const broken = await session.post(call('broken', 'echo'));
  assert.match(broken.messages.at(-1).error.data.code, /^UPSTREAM_/);
  upstream.on('tools/call', null);
  assert.match(text(await session.call('after', 'echo')), /^ran echo/);
  assert.match(text((await modernly(gateway, 1, 'tools/call', { name: 'echo', arguments: {} })).json), /^ran echo/);
  await healthy(gateway);
  assert.equal(await gateway.close(), 0);
});

test('a modern client whose server ends gets an error, and the next request a new server', async () => {
  const { gateway, mark } = shared;
  const ended = await modernly(gateway, 1, 'tools/call', { name: 'exit', arguments: {} });
  assert.equal(ended.messages.at(-1).error.data.code, 'UPSTREAM_GONE');
  assert.match(text((await modernly(gateway, 2, 'tools/call', { name: 'work', arguments: {} })).messages.at(-1)), /^\d+$/);
  await healthy(gateway);
  assert.equal(await gateway.close(), 0);
  await untilGone(mark);
});
