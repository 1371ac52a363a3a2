// SPDX-License-Identifier: Apache-2.0
/** The main job as a user runs it: the executable, a policy, a server behind it. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { ALLOW_ALL, Gateway, allBytes, command, launcher, root, scratch } from '../harness/gateway.ts';
import { goneWithin } from '../harness/processes.ts';
import { everything, filesystem } from '../harness/servers.ts';

const answer = '{"jsonrpc":"2.0","id":$ID,"result":{"content":[{"type":"text","text":"fine"}]}}';
const listing = '{"jsonrpc":"2.0","id":$ID,"result":{"tools":[{"name":"t","inputSchema":{"type":"object"}},{"name":"other","inputSchema":{"type":"object"}}]}}';
const script = { 'tools/list': [listing], 'tools/call': [answer] };

/** A Node that is older than the product allows, as far as a launcher can tell. */
function systemNode(): string {
  const found = spawnSync('/bin/sh', ['-c', 'command -v node'], { encoding: 'utf8', env: { PATH: '/usr/local/bin:/usr/bin:/bin' } });
  return found.stdout.trim() === '' ? process.execPath : found.stdout.trim();
}

test("the executable works by absolute path, from another folder, with the system's Node first on PATH", () => {
  const folder = scratch();
  const node = systemNode();
  const path = `${join(node, '..')}:${process.env['PATH'] ?? ''}`;
  const run = spawnSync(launcher, ['version'], { cwd: folder, encoding: 'utf8', env: { ...process.env, PATH: path } });
  assert.equal(run.stderr, '');
  assert.match(run.stdout, /^mcp-bastion \d+\.\d+\.\d+\n$/);
  writeFileSync(join(folder, 'policy.yaml'), ALLOW_ALL);
  const quoted = filesystem(folder).map((word) => `'${word}'`).join(' ');
  const up = ['up', '--policy', 'policy.yaml', '--state', 'state', '--upstream', quoted];
  const input = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}\n';
  const session = spawnSync(launcher, up, { cwd: folder, input, encoding: 'utf8', env: { ...process.env, PATH: path } });
  assert.equal(session.status, 0, session.stderr);
  assert.equal(JSON.parse(session.stdout).result.serverInfo.name, 'secure-filesystem-server');
});

test('a launcher without its pinned Node refuses an old Node in words, and runs on a new one', () => {
  const folder = scratch();
  mkdirSync(join(folder, 'bin'));
  mkdirSync(join(folder, 'host'));
  copyFileSync(launcher, join(folder, 'bin', 'mcp-bastion.mjs'));
  writeFileSync(join(folder, 'host', 'cli.js'), 'console.log("started");');
  for (const node of [systemNode(), process.execPath]) {
    const version = spawnSync(node, ['-p', 'process.versions.node'], { encoding: 'utf8' }).stdout.trim();
    const run = spawnSync(node, [join(folder, 'bin', 'mcp-bastion.mjs')], { encoding: 'utf8' });
    const expected = Number(version.split('.')[0]) < 24
      ? { status: 3, stdout: '', stderr: `mcp-bastion: error: Node ${version} is too old\nhint: install Node 24.7 or newer, or run "npm run setup" in the checkout on linux-x64\n` }
      : { status: 0, stdout: 'started\n', stderr: '' };
    assert.deepEqual({ status: run.status, stdout: run.stdout, stderr: run.stderr }, expected);
  }
});

test('a real server is wrapped: allowed calls work, denied ones do not happen', async () => {
  const folder = scratch();
  const files = join(folder, 'files');
  mkdirSync(files);
  writeFileSync(join(files, 'note.txt'), 'the note');
  const gateway = new Gateway({ folder, policy: "version: 1\ndeny_tools: ['write_*', 'edit_*', 'move_*', 'create_*']\n", server: filesystem(files) });
  await gateway.initialize();
  const read = await gateway.ask(1, 'tools/call', { name: 'read_text_file', arguments: { path: join(files, 'note.txt') } });
  assert.equal(read.result.content[0].text, 'the note');
  const denied = await gateway.ask(2, 'tools/call', { name: 'write_file', arguments: { path: join(files, 'evil.txt'), content: 'x' } });
  assert.equal(denied.error.code, -32001);
  assert.equal(existsSync(join(files, 'evil.txt')), false);
  const names = (await gateway.ask(3, 'tools/list')).result.tools.map((tool: { name: string }) => tool.name);
  assert.equal(names.includes('read_text_file'), true);
  assert.equal(names.some((name: string) => /^(write|edit|move|create)_/.test(name)), false);
  await gateway.close();
});

test('arguments are redacted before they leave, and the row says how often', async () => {
  const policy = "version: 1\nredact_args:\n  - pattern: 'SECRET-[0-9]+'\n";
  const gateway = new Gateway({ policy, script });
  await gateway.initialize();
  await gateway.ask(1, 'tools/call', { name: 't', arguments: { a: ['x SECRET-1 y', { 'SECRET-2': 'SECRET-3' }] } });
  await gateway.close();
  const call = JSON.parse(gateway.witness().find((line) => line.includes('tools/call')) ?? '');
  assert.deepEqual(call.params.arguments, { a: ['x [REDACTED] y', { '[REDACTED]': '[REDACTED]' }] });
  assert.equal(gateway.rows().find((row) => row['kind'] === 'call')?.['redactions'], 3);
});

test('a secret in arguments or results of any outcome stands in no file and on no stream of the gateway', async () => {
  const canaries = ['CANARY-1234567', 'ghp_0123456789abcdefghijABCDEFGHIJ012345', 'AKIAIOSFODNN7EXAMPLE'];
  const text = canaries.join(' ');
  const policy = "version: 1\ndeny_tools: ['denied']\nrequire_approval: ['held']\nredact_args:\n  - pattern: 'CANARY-[0-9]+'\n";
  const names = ['t', 'denied', 'held'].map((name) => ({ name, inputSchema: { type: 'object' } }));
  const echo = JSON.stringify({ jsonrpc: '2.0', id: 0, result: { content: [{ type: 'text', text }], structuredContent: { [text]: text } } }).replace('"id":0', '"id":$ID');
  const gateway = new Gateway({
    policy,
    script: {
      'tools/list': [JSON.stringify({ jsonrpc: '2.0', id: 0, result: { tools: names } }).replace('"id":0', '"id":$ID')],
      'tools/call': [`not JSON ${text}`, `{"jsonrpc":"2.0","id":4711,"result":{"x":"${text}"}}`, echo],
      ping: ['{"jsonrpc":"2.0","id":$ID,"result":{}}'],
      'prompts/get': [JSON.stringify({ jsonrpc: '2.0', id: 0, error: { code: 1, message: text, data: text } }).replace('"id":0', '"id":$ID')],
    },
  });
  await gateway.initialize();
  for (const [at, name] of ['t', 'denied', 'held', 'unlisted'].entries()) {
    await gateway.ask(at, 'tools/call', { name, arguments: { text, deep: [{ [text]: text }] } }).catch(() => undefined);
  }
  await gateway.ask(10, 'prompts/get', { name: text });
  await gateway.ask(11, text, {});
  await gateway.ask(text, 'ping', { text });
  gateway.raw(`{"jsonrpc":"2.0","id":12,"method":"tools/call","method":"${text}"}`);
  gateway.raw(`${text} is no JSON`);
  gateway.send({ method: text });
  gateway.process.stdin.write(`unterminated ${text}`);
  await gateway.close();
  const stored = allBytes(gateway.stateDir);
  assert.ok(stored.length > 10_000);
  for (const canary of canaries) {
    assert.equal(stored.includes(canary), false, `${canary} in the log`);
    assert.equal(gateway.stderr.includes(canary), false, `${canary} on standard error`);
  }
});

test('other payload text stands in the erasable table only, and nowhere with payload: none', async () => {
  for (const [setting, expected] of [['redacted', true], ['none', false]] as const) {
    const gateway = new Gateway({ policy: `${ALLOW_ALL}audit: {payload: ${setting}}\n`, script });
    await gateway.initialize();
    await gateway.ask(1, 'tools/call', { name: 't', arguments: { text: 'plain-marker-text' } });
    await gateway.close();
    assert.equal(allBytes(gateway.stateDir).includes('plain-marker-text'), expected);
    assert.equal(JSON.stringify(gateway.rows()).includes('plain-marker-text'), false);
    assert.equal(gateway.stderr.includes('plain-marker-text'), false);
  }
});

test('tools appear by label only, in rows, on standard error and in errors', async () => {
  const gateway = new Gateway({ policy: "version: 1\ndeny_tools: ['other']\n", script });
  await gateway.initialize();
  await gateway.ask(1, 'tools/call', { name: 't' });
  const denied = await gateway.ask(2, 'tools/call', { name: 'other' });
  await gateway.close();
  assert.equal(JSON.stringify(denied).includes('"other"'), false);
  assert.match(denied.error.message, /^denied by mcp-bastion: tool#[0-9a-f]{8} matched deny rule 'tool#[0-9a-f]{8}'$/);
  assert.equal(/\bother\b/.test(gateway.stderr), false);
  assert.equal(JSON.stringify(gateway.rows()).includes('other'), false);
});

test('two clients started at once with one configuration both work, and inspect-log shows both', async () => {
  const folder = scratch();
  const both = [new Gateway({ folder, script }), new Gateway({ folder, script })];
  await Promise.all(both.map((gateway) => gateway.initialize()));
  const answers = await Promise.all(both.map((gateway, at) => gateway.ask(at, 'tools/call', { name: 't' })));
  for (const got of answers) assert.equal(got.result.content[0].text, 'fine');
  await Promise.all(both.map((gateway) => gateway.close()));
  const sessions = new Set(both[0]?.rows().map((row) => row['session']));
  assert.equal(sessions.size, 2);
  const shown = command(['inspect-log', '--state', join(folder, 'state'), '--json', '--limit', '1000']);
  assert.equal(shown.code, 0, shown.stderr);
  for (const session of sessions) assert.equal(shown.stdout.includes(session), true);
});

test('a server keeps to its own process group and goes with the gateway, even if it ignores every polite end', async () => {
  const folder = scratch();
  const stubborn = join(folder, 'stubborn.sh');
  writeFileSync(stubborn, '#!/bin/sh\ntrap "" TERM INT HUP\nsleep 1000 &\nwhile :; do sleep 1; done\n');
  chmodSync(stubborn, 0o755);
  for (const end of ['close', 'SIGTERM', 'SIGKILL'] as const) {
    const gateway = new Gateway({ folder, server: [stubborn], args: ['--env', `MARK=${folder}`] });
    await new Promise((resolve) => {
      setTimeout(resolve, 1500);
    });
    if (end === 'close') gateway.process.stdin.end();
    else gateway.process.kill(end);
    await gateway.ended;
    assert.deepEqual(await goneWithin(folder, 10_000), [], end);
  }
});

test('the server gets no variable that was not named', async () => {
  const folder = scratch();
  const show = 'process.stderr.write(JSON.stringify(Object.keys(process.env)) + "\\n")';
  const gateway = new Gateway({ folder, server: [process.execPath, '-e', show], args: ['--env', 'NAMED=1'] });
  await gateway.ended;
  const names: string[] = JSON.parse(/\[peer\] (\[.*\])/.exec(gateway.stderr)?.[1] ?? '[]');
  assert.equal(names.includes('NAMED'), true);
  assert.equal(names.includes('PATH'), true);
  assert.deepEqual(names.filter((name) => /^(npm_|NODE_|MCP_BASTION)/.test(name)), []);
});

test('a command line that is wrong is answered with what to do', () => {
  const folder = scratch();
  writeFileSync(join(folder, 'policy.yaml'), ALLOW_ALL);
  const policy = ['--policy', join(folder, 'policy.yaml'), '--state', folder];
  const table: readonly [string[], number, RegExp][] = [
    [[], 2, /^mcp-bastion: error: a command is missing\nhint: /],
    [['nonsense'], 2, /error: there is no such command\nhint: /],
    [['up'], 2, /^up: error: --policy is missing\nhint: write one with: mcp-bastion init/],
    [['up', ...policy], 2, /no server to run/],
    [['up', ...policy, '--upstream', 'a | b'], 2, /only a shell understands\nhint: /],
    [['up', ...policy, '--upstream', '"a'], 2, /open quote/],
    [['up', ...policy, '--name', 'No!', '--', 'x'], 2, /--name is not a server id/],
    [['up', ...policy, '--env', 'NOT_SET_ANYWHERE', '--', 'x'], 2, /the variable is not set/],
    [['up', ...policy, '--', join(folder, 'nothing-here')], 3, /^up: error: the server's command was not found\nhint: /m],
    [['up', '--policy', join(folder, 'none.yaml'), '--', 'x'], 3, /the policy file cannot be read\nhint: /],
    [['up', ...policy, '--bogus', '--', 'x'], 2, /--bogus/],
  ];
  for (const [args, code, stderr] of table) {
    const run = command(args);
    assert.equal(run.code, code, `${args.join(' ')}: ${run.stderr}`);
    assert.match(run.stderr, stderr);
    assert.equal(run.stdout, '');
  }
});

test('the demo shows a denial, an allowed call, a verified log and a forged one', () => {
  const run = spawnSync(process.execPath, [join(root, 'scripts', 'demo', 'run.ts')], { encoding: 'utf8' });
  assert.equal(run.status, 0, run.stdout + run.stderr);
  const lines = run.stdout.split('\n');
  for (const line of [
    'c2s tools/list → allow: default allow',
    "c2s tools/call tool#3dca4690 → deny: tool#3dca4690 matched 'shell.*'",
    'c2s tools/call tool#1aa2befd → allow: no rule matched',
    'chain: OK (ok)',
  ]) assert.equal(lines.includes(line), true, `${line}\nin\n${run.stdout}`);
  assert.match(run.stdout, /"code":-32001,"message":"denied by mcp-bastion: tool#3dca4690 matched deny rule 'shell\.\*'"/);
  assert.match(run.stdout, /^chain: BROKEN \([A-Z_]+\)$/m);
});

test('a real server with every feature starts behind a policy that init wrote', async () => {
  const folder = scratch();
  const written = command(['init', '-o', join(folder, 'starter.yaml')]);
  assert.equal(written.code, 0, written.stderr);
  const gateway = new Gateway({ folder, policy: readFileSync(join(folder, 'starter.yaml'), 'utf8'), server: everything() });
  await gateway.initialize();
  const sum = await gateway.ask(1, 'tools/call', { name: 'get-sum', arguments: { a: 1, b: 2 } });
  assert.match(JSON.stringify(sum.result), /3/);
  await gateway.close();
});

test('tasks of 2025-11-25 run to their result, under the label of the tool that they belong to', async () => {
  const gateway = new Gateway({ server: everything() });
  await gateway.initialize('2025-11-25', { tasks: {} });
  const started = await gateway.ask(1, 'tools/call', { name: 'simulate-research-query', arguments: { topic: 'tides' }, task: { ttl: 60_000 } });
  const { taskId } = started.result.task;
  assert.equal((await gateway.ask(2, 'tasks/get', { taskId })).result.taskId, taskId);
  assert.match(JSON.stringify((await gateway.ask(3, 'tasks/result', { taskId })).result.content), /tides/);
  await gateway.close();
  const rows = gateway.rows().filter((row) => String(row['method']).startsWith('tasks/'));
  assert.equal(rows.length >= 4, true);
  const label = gateway.rows().find((row) => row['kind'] === 'call')?.['tool'];
  assert.deepEqual([...new Set(rows.map((row) => row['tool']))], [label]);
});

test('a client that is killed takes the gateway and the server with it', async () => {
  const folder = scratch();
  const client = `
    const { spawn } = require('node:child_process');
    const child = spawn(${JSON.stringify(process.execPath)}, ${JSON.stringify([launcher, 'up', '--policy', join(folder, 'policy.yaml'), '--state', join(folder, 'state'), '--', ...everything()])}, { stdio: ['pipe', 'pipe', 'ignore'] });
    child.stdout.once('data', () => console.log('ready'));
    child.stdin.write('{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}\\n');
  `;
  writeFileSync(join(folder, 'policy.yaml'), ALLOW_ALL);
  const host = spawn(process.execPath, ['-e', client], { env: { ...process.env, MARK: folder }, stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve) => {
    host.stdout.once('data', resolve);
  });
  host.kill('SIGKILL');
  assert.deepEqual(await goneWithin(folder, 15_000), []);
});

test('a client that is killed while the server takes nothing leaves nothing behind', async () => {
  const folder = scratch();
  writeFileSync(join(folder, 'policy.yaml'), ALLOW_ALL);
  const up = [launcher, 'up', '--policy', join(folder, 'policy.yaml'), '--state', join(folder, 'state'), '--', 'sleep', '600'];
  const client = `
    const { spawn } = require('node:child_process');
    const child = spawn(${JSON.stringify(process.execPath)}, ${JSON.stringify(up)}, { stdio: ['pipe', 'pipe', 'ignore'] });
    const line = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized', params: { pad: 'x'.repeat(3000) } }) + '\\n';
    const more = () => { while (child.stdin.write(line)); child.stdin.once('drain', more); };
    more();
    setTimeout(() => console.log('full'), 3000);
  `;
  const host = spawn(process.execPath, ['-e', client], { env: { ...process.env, MARK: folder }, stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve) => {
    host.stdout.once('data', resolve);
  });
  host.kill('SIGKILL');
  assert.deepEqual(await goneWithin(folder, 30_000), []);
});

test('no row follows the close row, even if calls wait when the server ends', async () => {
  const gateway = new Gateway({ server: [process.execPath, '-e', 'process.stdin.once("data", () => setTimeout(() => process.exit(0), 300))'] });
  for (let id = 1; id <= 20; id += 1) gateway.send({ id, method: 'tools/call', params: { name: 't' } });
  await gateway.ended;
  assert.equal(gateway.received.length, 20);
  const kinds = gateway.rows().map((row) => row['kind']);
  assert.equal(kinds.indexOf('close'), kinds.length - 1);
});
