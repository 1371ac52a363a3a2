// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import test from 'node:test';
import { BodyReader } from '../../../../enclave/front/body.ts';
import { BODIES_BYTES_MAX, BODY_FREE_BYTES, MESSAGE_BYTES_MAX } from '../../../../shared/limits.ts';

/** Sends bodies of some lengths, one after the other, and says what each was read as. */
async function readAll(reader: BodyReader, lengths: readonly number[]): Promise<(Uint8Array | number | null)[]> {
  const read: (Uint8Array | number | null)[] = [];
  const server = createServer((request, response) => {
    void reader.read(request).then((body) => {
      read.push(body instanceof Uint8Array || body === null ? body : body.status);
      request.resume();
      response.end();
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  for (const length of lengths) {
    await new Promise((resolve, reject) => {
      const request = httpRequest({ port, host: '127.0.0.1', method: 'POST' }, (response) => response.resume().on('end', resolve));
      request.on('error', reject);
      request.end(Buffer.alloc(length));
    });
  }
  server.closeAllConnections();
  server.close();
  return read;
}

test('bodies count until their messages have been dealt with, and small ones are read all the same', async () => {
  const reader = new BodyReader();
  const room = BODIES_BYTES_MAX / MESSAGE_BYTES_MAX;
  const read = await readAll(reader, [...Array<number>(room).fill(MESSAGE_BYTES_MAX), BODY_FREE_BYTES + 1, BODY_FREE_BYTES]);
  const bodies = read.filter((body) => body instanceof Uint8Array);
  assert.equal(bodies.length, room + 1);
  assert.equal(read[room], 503);
  for (const body of bodies) reader.release(body);
  const again = await readAll(reader, [MESSAGE_BYTES_MAX]);
  assert.ok(again[0] instanceof Uint8Array, 'there is room again');
});

test('what is refused does not count', async () => {
  const reader = new BodyReader();
  assert.deepEqual(await readAll(reader, Array<number>(3).fill(MESSAGE_BYTES_MAX + 1)), [413, 413, 413]);
  const room = BODIES_BYTES_MAX / MESSAGE_BYTES_MAX;
  const read = await readAll(reader, Array<number>(room).fill(MESSAGE_BYTES_MAX));
  assert.equal(read.filter((body) => body instanceof Uint8Array).length, room);
});
