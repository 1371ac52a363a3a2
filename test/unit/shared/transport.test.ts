// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import os from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import type { Address } from '../../../shared/address.ts';
import { Unavailable } from '../../../shared/errors.ts';
import { native, systemErrorName } from '../../../shared/transport/native.ts';
import { connectStream, listenStream } from '../../../shared/transport/transport.ts';
import type { StreamPlace } from '../../harness/streams.ts';
import { STREAM_CASES } from '../../harness/streams.ts';

const folder = mkdtempSync(join(os.tmpdir(), 'mcp-bastion-test-'));
test.after(() => rmSync(folder, { recursive: true, force: true }));
let count = 0;
const path = (): string => join(folder, `s${(count += 1)}`);

const unix: StreamPlace = {
  next: () => ({ listen: { kind: 'unix', path: path() }, connect: (bound) => bound }),
  nowhere: () => ({ kind: 'unix', path: path() }),
  peer: 'unix',
  patience: 20_000,
};

const tcp: StreamPlace = {
  next: () => ({ listen: { kind: 'tcp', host: '127.0.0.1', port: 0 }, connect: (bound) => bound }),
  nowhere: () => ({ kind: 'tcp', host: '127.0.0.1', port: 1 }),
  peer: 'tcp',
  patience: 20_000,
};

/** What an emulator does between the two sides: CONNECT is answered, and joined with what listens for that port. */
const emulator = path();
const between = createServer({ allowHalfOpen: true }, (host) => {
  host.on('error', () => undefined);
  host.once('data', (first: Buffer) => {
    host.pause();
    const port = /^CONNECT ([0-9]+)\n$/.exec(first.toString())?.[1];
    const guest = createConnection({ path: `${emulator}_${port}`, allowHalfOpen: true });
    guest.once('connect', () => {
      host.write(`OK ${1024 + count}\n`);
      host.pipe(guest);
      guest.pipe(host);
    });
    guest.on('error', () => host.destroy());
    host.on('close', () => guest.destroy());
    guest.on('close', () => host.destroySoon());
  });
});
test.before(() => new Promise<void>((resolve) => void between.listen(emulator, resolve)));
test.after(() => void between.close());

const hvsock: StreamPlace = {
  next: () => {
    const port = (count += 1);
    return { listen: { kind: 'hvsock', path: emulator, port }, connect: () => ({ kind: 'hvsock', path: emulator, port }) };
  },
  nowhere: () => ({ kind: 'hvsock', path: emulator, port: 4_000_000_000 }),
  peer: 'unix',
  patience: 20_000,
};

for (const [name, place] of [['unix', unix], ['tcp', tcp], ['hvsock', hvsock]] as const) {
  for (const [behaviour, run] of STREAM_CASES) test(`a ${name} stream ${behaviour}`, () => run(place));
}

test('an emulator that answers anything but OK is refused, and one that is silent for too long', async () => {
  const failed = (error: unknown): boolean => error instanceof Unavailable && error.code === 'STREAM_FAILED';
  for (const answer of ['FAILURE\n', 'OK\n', 'OK x\n', 'OK 1'.padEnd(40, '1'), 'ok 12\n', '', null]) {
    const address: Address = { kind: 'hvsock', path: path(), port: 9 };
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      if (answer !== null) socket.end(answer);
    });
    await new Promise<void>((resolve) => void server.listen(address.path, resolve));
    await assert.rejects(connectStream(address, answer === null ? 200 : 20_000), failed, String(answer));
    server.close();
  }
});

test('what an emulator sends behind its answer is the beginning of the stream', async () => {
  const address: Address = { kind: 'hvsock', path: path(), port: 9 };
  const server = createServer((socket) => socket.end('OK 77\nfirst bytes'));
  await new Promise<void>((resolve) => void server.listen(address.path, resolve));
  const stream = await connectStream(address, 20_000);
  let read = '';
  for await (const chunk of stream) read += String(chunk);
  assert.equal(read, 'first bytes');
  stream.end();
  server.close();
});

test('an address that is taken is refused by name', async () => {
  const address: Address = { kind: 'unix', path: path() };
  const options = { accept: () => undefined, failed: () => undefined, connectionsMax: 1 };
  const first = await listenStream(address, options);
  await assert.rejects(listenStream(address, options), (error) => error instanceof Unavailable && error.code === 'LISTEN_FAILED' && error.message.includes('EADDRINUSE'));
  await first.close();
});

if (process.platform === 'linux') {
  test('the addon takes only numbers of 32 bits, paths of devices and requests that fit', () => {
    const addon = native();
    for (const bad of [-1, 1.5, 4_294_967_296, NaN, 'x', undefined]) {
      assert.throws(() => addon.bind(bad as number, 1), TypeError);
      assert.throws(() => addon.close(bad as number), TypeError);
    }
    assert.throws(() => addon.openDevice('/no/such/device'), (error) => systemErrorName(error) === 'ENOENT');
    assert.throws(() => addon.openDevice(import.meta.filename), (error) => systemErrorName(error) === 'ENOTTY');
    assert.throws(() => addon.openDevice('x'.repeat(300)), TypeError);
    assert.throws(() => addon.openDevice('/dev/null\0x'), TypeError);
    for (const length of [0, 4097]) assert.throws(() => addon.nsm(0, new Uint8Array(length)), (error) => systemErrorName(error) === 'EMSGSIZE');
    assert.throws(() => addon.nsm(0, 'text' as unknown as Uint8Array), TypeError);
    assert.throws(() => addon.peer(1_000_000), (error) => systemErrorName(error) === 'EBADF');
  });

  test('a device that is no security module is told so by the system, off the event loop', async () => {
    const addon = native();
    const fd = addon.openDevice('/dev/null');
    await assert.rejects(addon.nsm(fd, Uint8Array.of(1)), (error) => systemErrorName(error) === 'ENOTTY');
    addon.close(fd);
  });
}
