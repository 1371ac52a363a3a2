// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import test from 'node:test';
import { constants, createBrotliCompress, createDeflate, createGzip, gzipSync } from 'node:zlib';
import { client, get, readUntil, serve, serveRaw, text, unavailable } from './servers.ts';

const encoders = {
  identity: null,
  gzip: () => createGzip(),
  'x-gzip': () => createGzip(),
  deflate: () => createDeflate(),
  br: () => createBrotliCompress(),
} as const;

for (const [name, encoder] of Object.entries(encoders)) {
  test(`an event in a stream with Content-Encoding ${name} does not wait for the next one`, async (t) => {
    const steps = new EventEmitter();
    const url = await serve(t, async (_request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Content-Encoding': name });
      const stream = encoder === null ? response : encoder();
      if (stream !== response) stream.on('data', (chunk: Buffer) => response.write(chunk)).on('end', () => response.end());
      for (let event = 0; event < 5; event += 1) {
        stream.write(`data: ${event}\n\n`);
        if ('flush' in stream) stream.flush(name === 'br' ? constants.BROTLI_OPERATION_FLUSH : constants.Z_SYNC_FLUSH);
        else response.flushHeaders();
        // Nothing more is sent before this event was read.
        await once(steps, 'read');
      }
      stream.end('data: last\n\n');
    });
    const response = await client(t).send(get(url));
    const reader = response.body[Symbol.asyncIterator]();
    for (let event = 0; event < 5; event += 1) {
      await readUntil(reader, `data: ${event}\n\n`);
      steps.emit('read');
    }
    await readUntil(reader, 'data: last\n\n');
    assert.equal((await reader.next()).done, true);
  });
}

test('an encoded stream may come byte by byte', async (t) => {
  const encoded = gzipSync('data: {"a":"é"}\n\n'.repeat(20));
  const url = await serve(t, async (_request, response) => {
    response.writeHead(200, { 'Content-Encoding': 'GZIP' });
    for (const byte of encoded) {
      response.write(Buffer.of(byte));
      await new Promise(setImmediate);
    }
    response.end();
  });
  assert.equal(await text(await client(t).send(get(url))), 'data: {"a":"é"}\n\n'.repeat(20));
});

const refusedEncodings: readonly (readonly [string, readonly string[]])[] = [
  ['an unknown encoding', ['Content-Encoding: zstd']],
  ['compress', ['Content-Encoding: compress']],
  ['two encodings', ['Content-Encoding: gzip, gzip']],
  ['identity and an encoding', ['Content-Encoding: identity, gzip']],
  ['two headers', ['Content-Encoding: gzip', 'Content-Encoding: br']],
  ['two equal headers', ['Content-Encoding: gzip', 'Content-Encoding: gzip']],
  ['an encoding with a parameter', ['Content-Encoding: gzip;q=1']],
];

for (const [name, headers] of refusedEncodings) {
  test(`${name} is refused, and the connection closed`, async (t) => {
    const closed = new EventEmitter();
    const url = await serveRaw(t, (socket) => {
      socket.on('close', () => closed.emit('close'));
      socket.write(`HTTP/1.1 200 OK\r\n${headers.join('\r\n')}\r\nContent-Length: 100\r\n\r\n`);
    });
    const end = once(closed, 'close');
    await assert.rejects(client(t).send(get(url)), unavailable('UPSTREAM_PROTOCOL', /encoding that was not asked for/));
    await end;
  });
}

test('encoded bytes that are broken or cut are an error', async (t) => {
  const encoded = gzipSync('secret '.repeat(1000));
  for (const bytes of [Buffer.from('no gzip at all'), encoded.subarray(0, -9), encoded.subarray(0, 11), Buffer.concat([encoded.subarray(0, -8), Buffer.alloc(8)])]) {
    const url = await serve(t, (_request, response) => {
      response.writeHead(200, { 'Content-Encoding': 'gzip' }).end(bytes);
    });
    const response = await client(t).send(get(url));
    await assert.rejects(text(response), unavailable('UPSTREAM_PROTOCOL', /not valid gzip \(Z_[A-Z_]+\)/));
  }
});

test('an encoded body without a byte is empty', async (t) => {
  const url = await serve(t, (_request, response) => {
    response.writeHead(202, { 'Content-Encoding': 'gzip' }).end();
  });
  assert.equal(await text(await client(t).send(get(url))), '');
});

for (const [name, encoder] of Object.entries(encoders).filter(([name]) => name !== 'identity')) {
  test(`a bomb in ${name} ends long before it is decoded`, async (t) => {
    const url = await serve(t, (_request, response) => {
      response.writeHead(200, { 'Content-Encoding': name });
      const stream = (encoder ?? createGzip)();
      stream.pipe(response);
      const zeros = Buffer.alloc(1024 * 1024);
      for (let sent = 0; sent < 64; sent += 1) stream.write(zeros);
      stream.end();
    });
    const response = await client(t).send(get(url));
    let decoded = 0;
    await assert.rejects(async () => {
      for await (const chunk of response.body) decoded += chunk.length;
    }, unavailable('UPSTREAM_PROTOCOL', /decompression bomb/));
    assert.ok(decoded >= 1024 * 1024 && decoded < 32 * 1024 * 1024, `${decoded} bytes were decoded`);
  });
}

test('a repetitive but honest encoded answer is no bomb', async (t) => {
  const body = JSON.stringify(Array.from({ length: 60_000 }, (_, id) => ({ id, name: 'a tool with a name', description: 'the same text each time' })));
  const url = await serve(t, (_request, response) => {
    response.writeHead(200, { 'Content-Encoding': 'gzip' }).end(gzipSync(body));
  });
  assert.equal((await text(await client(t).send(get(url)))) === body, true);
  const small = gzipSync(Buffer.alloc(1024 * 1024, 0x20));
  const other = await serve(t, (_request, response) => {
    response.writeHead(200, { 'Content-Encoding': 'gzip' }).end(small);
  });
  assert.equal((await text(await client(t).send(get(other)))).length, 1024 * 1024);
});
