// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Control, ControlRequest } from '../../../enclave/control/api.ts';
import { controlFolder, findSockets, newSocketPath, removeStale } from '../../../enclave/control/paths.ts';
import type { ControlSocket } from '../../../enclave/control/socket.ts';
import { listenControl } from '../../../enclave/control/socket.ts';
import { askGateway } from '../../../enclave/host/gateways.ts';
import { jsonObject } from '../../../shared/json/value.ts';
import { CONTROL_BODY_BYTES_MAX } from '../../../shared/limits.ts';

const root = mkdtempSync(join(tmpdir(), 'ctl-'));
const open: ControlSocket[] = [];
after(async () => {
  await Promise.all(open.map((socket) => socket.close()));
  rmSync(root, { recursive: true, force: true });
});

let states = 0;
const newState = (): string => join(root, `s${(states += 1)}`);
const randomHex = (bytes: number): string => randomBytes(bytes).toString('hex');
const echo: Control = ({ method, target, mediaType, body }) => Promise.resolve({ status: 200, body: jsonObject({ method, target, mediaType, body: new TextDecoder().decode(body) }) });

async function listening(stateDir: string, control: Control = echo, faults: unknown[] = []): Promise<ControlSocket> {
  const socket = await listenControl({ stateDir, control, randomHex, fault: (error) => faults.push(error) });
  open.push(socket);
  return socket;
}

/** Writes bytes as they are, and gives what comes back until the other side ends. */
function raw(path: string, text: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect({ path });
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(answer));
    socket.write(text);
  });
}

test('the socket answers, and only its owner can reach it', async () => {
  const state = newState();
  const { path } = await listening(state);
  assert.deepEqual(findSockets(state), [path]);
  assert.match(path, new RegExp(`/control/${process.pid}-[0-9a-f]{8}\\.sock$`));
  assert.equal(statSync(controlFolder(state)).mode & 0o777, 0o700);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const answer = await askGateway(path, { target: '/control/x?y', body: new TextEncoder().encode('{}') });
  assert.equal(JSON.stringify(answer), JSON.stringify({ kind: 'answered', status: 200, body: { method: 'POST', target: '/control/x?y', mediaType: 'application/json', body: '{}' } }));
});

test('closing takes the socket away and ends what is under way', async () => {
  const state = newState();
  let under: AbortSignal | undefined;
  const socket = await listening(state, ({ signal }: ControlRequest) => {
    under = signal;
    return new Promise(() => undefined);
  });
  const asked = askGateway(socket.path, { target: '/' });
  while (under === undefined) await new Promise((resolve) => setImmediate(resolve));
  await socket.close();
  assert.equal((await asked).kind, 'failed');
  assert.equal(under.aborted, true);
  assert.equal(existsSync(socket.path), false);
  assert.equal((await askGateway(socket.path, { target: '/' })).kind, 'gone');
});

test('a client that leaves ends what was done for it', async () => {
  let left: () => void = () => undefined;
  const gone = new Promise<void>((resolve) => (left = resolve));
  const { path } = await listening(newState(), ({ signal }) => {
    signal.addEventListener('abort', left);
    return new Promise(() => undefined);
  });
  const leave = new AbortController();
  const asked = askGateway(path, { target: '/', signal: leave.signal });
  setTimeout(() => leave.abort(), 100);
  await asked;
  await gone;
});

test('a body that is too long is refused, whatever its length is said to be', async () => {
  let asked = 0;
  const { path } = await listening(newState(), () => {
    asked += 1;
    return Promise.resolve({ status: 200, body: jsonObject({}) });
  });
  const long = 'x'.repeat(CONTROL_BODY_BYTES_MAX + 1);
  assert.match(await raw(path, `POST / HTTP/1.1\r\ncontent-length: ${long.length}\r\n\r\n${long}`), /^HTTP\/1\.1 413 [^]*FRAME_TOO_LARGE/);
  assert.match(await raw(path, `POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n${long.length.toString(16)}\r\n${long}\r\n0\r\n\r\n`), /^HTTP\/1\.1 413 /);
  assert.equal(asked, 0);
  const fits = 'x'.repeat(CONTROL_BODY_BYTES_MAX);
  assert.match(await raw(path, `POST / HTTP/1.1\r\ncontent-length: ${fits.length}\r\n\r\n${fits}`), /^HTTP\/1\.1 200 /);
});

test('what is no request, or has too much in its headers, is hung up on', async () => {
  const { path } = await listening(newState(), () => Promise.reject(new Error('never')));
  assert.equal(await raw(path, 'hello\r\n\r\n'), '');
  assert.equal(await raw(path, `GET / HTTP/1.1\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`), '');
  assert.equal(await raw(path, 'CONNECT a:1 HTTP/1.1\r\n\r\n'), '');
  assert.equal(await raw(path, 'POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n'), '');
});

test('a fault is told to the operator and shown to nobody', async () => {
  const faults: unknown[] = [];
  const { path } = await listening(newState(), () => Promise.reject(new Error('secret')), faults);
  const answer = await askGateway(path, { target: '/' });
  assert.equal(answer.kind === 'answered' && answer.status, 500);
  assert.doesNotMatch(JSON.stringify(answer), /secret/);
  assert.equal(faults.length, 1);
});

test('a path that no socket can have is refused in words', () => {
  const long = join(root, 'x'.repeat(120));
  assert.throws(() => newSocketPath(long, 1, randomHex), { code: 'LISTEN_FAILED', message: /^the path of the control socket has \d+ bytes, 10[37] are possible$/ });
  assert.equal(existsSync(long), false);
});

test('a folder that others can enter, or that is none, is not used', () => {
  const state = newState();
  mkdirSync(controlFolder(state), { recursive: true });
  chmodSync(controlFolder(state), 0o755);
  assert.throws(() => newSocketPath(state, 1, randomHex), { code: 'LISTEN_FAILED', message: /yours alone/ });
  const linked = newState();
  mkdirSync(linked);
  mkdirSync(join(linked, 'elsewhere'), { mode: 0o700 });
  symlinkSync(join(linked, 'elsewhere'), controlFolder(linked));
  assert.throws(() => newSocketPath(linked, 1, randomHex), { code: 'LISTEN_FAILED' });
  const file = newState();
  mkdirSync(file);
  writeFileSync(controlFolder(file), '');
  assert.throws(() => newSocketPath(file, 1, randomHex), { code: 'LISTEN_FAILED' });
});

/** A socket that nobody listens at any more, as a process that was killed leaves it. */
function deadSocket(path: string): void {
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', script]);
  assert.equal(existsSync(path), true);
}

test('sockets of processes that ended are removed, and no others', async () => {
  const state = newState();
  const folder = controlFolder(state);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const ended = spawnSync(process.execPath, ['-e', '']).pid;
  const dead = join(folder, `${ended}-00000000.sock`);
  const starting = join(folder, `${process.pid}-00000000.sock`);
  const elsewhere = join(folder, `${ended}-11111111.sock`);
  const foreign = join(folder, 'notes.sock');
  deadSocket(dead);
  // A process that is running may be about to listen.
  deadSocket(starting);
  deadSocket(foreign);
  // A process that is not here may run in another container.
  const server = createServer().listen(elsewhere);
  await new Promise((resolve) => server.once('listening', resolve));
  await removeStale(state);
  assert.deepEqual([dead, starting, elsewhere, foreign].map((path) => existsSync(path)), [false, true, true, true]);
  assert.deepEqual(findSockets(state), [elsewhere, starting].sort());
  server.close();
});

test('two gateways of one state folder do not disturb each other', async () => {
  const state = newState();
  const both = [await listening(state), await listening(state)];
  assert.equal(new Set(both.map(({ path }) => path)).size, 2);
  for (const { path } of both) assert.equal((await askGateway(path, { target: '/' })).kind, 'answered');
});

test('where there is no folder, there is no gateway', () => {
  assert.deepEqual(findSockets(newState()), []);
});

test('an answer that is no answer is not taken', async () => {
  const state = newState();
  mkdirSync(state);
  const path = join(state, 'fake.sock');
  const bodies = ['HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]', 'HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n{"a":1,', 'HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n{}', 'hello', ''];
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.end(bodies.shift() ?? '');
  }).listen(path);
  await new Promise((resolve) => server.once('listening', resolve));
  for (let left = bodies.length; left > 0; left -= 1) assert.equal((await askGateway(path, { target: '/' })).kind, 'failed');
  server.close();
});
