// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import test from 'node:test';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { decodeBody, encodingOf } from '../../../../enclave/upstream/decode.ts';
import { Unavailable } from '../../../../shared/errors.ts';

const encoders = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync } as const;
const names = ['gzip', 'deflate', 'br'] as const;

async function* pieces(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let from = 0;
  for (const size of sizes) {
    yield bytes.subarray(from, from + size);
    from += size;
  }
  yield bytes.subarray(from);
}

async function collect(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function pause(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 20);
  });
}

function broken(error: unknown): boolean {
  return error instanceof Unavailable && error.code === 'UPSTREAM_PROTOCOL';
}

test('any bytes in any encoding and any pieces decode to what they were', async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...names), fc.uint8Array({ maxLength: 2000 }), fc.array(fc.nat({ max: 50 }), { maxLength: 20 }), async (name, bytes, sizes) => {
      const decoded = await collect(decodeBody(pieces(encoders[name](bytes), sizes), name));
      assert.deepEqual(decoded, Buffer.from(bytes));
    }),
    { numRuns: 200 },
  );
});

test('what is cut off anywhere is an error', async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...names), fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.nat(), async (name, bytes, cut) => {
      const encoded = encoders[name](bytes);
      await assert.rejects(collect(decodeBody(pieces(encoded.subarray(0, 1 + (cut % (encoded.length - 1))), []), name)), broken);
    }),
    { numRuns: 200 },
  );
});

test('no bytes at all are an empty body', async () => {
  for (const name of names) assert.equal((await collect(decodeBody(pieces(new Uint8Array(0), []), name))).length, 0);
});

test('a size is a bound, whatever the ratio', async () => {
  const bytes = randomBytes(100_000);
  for (const name of names) {
    const encoded = encoders[name](bytes);
    assert.equal((await collect(decodeBody(pieces(encoded, []), name, bytes.length))).equals(bytes), true);
    await assert.rejects(collect(decodeBody(pieces(encoded, []), name, bytes.length - 1)), /decompression bomb/);
  }
});

test('what follows the end of the encoded bytes is not given on, however much it is', async () => {
  let taken = 0;
  async function* endless(encoded: Uint8Array): AsyncGenerator<Uint8Array> {
    yield encoded;
    for (taken = 0; taken < 1000; taken += 1) yield Buffer.alloc(65_536, 0x61);
  }
  for (const name of names) {
    let read = '';
    try {
      for await (const chunk of decodeBody(endless(encoders[name]('end')), name)) read += Buffer.from(chunk).toString();
    } catch (error) {
      // For some encodings it is an error.
      assert.ok(broken(error), String(error));
    }
    assert.equal(read, 'end', name);
    await pause();
    assert.ok(taken < 10, `${taken} more pieces were taken`);
  }
});

test('the failure of the source is passed on as it is', async () => {
  const failure = new Unavailable('UPSTREAM_UNREACHABLE', 'gone', 'wait');
  async function* failing(): AsyncGenerator<Uint8Array> {
    yield gzipSync('a'.repeat(100)).subarray(0, 12);
    throw failure;
  }
  await assert.rejects(collect(decodeBody(failing(), 'gzip')), (error) => error === failure);
});

test('a reader that stops early stops the source', async () => {
  let made = 0;
  let ended = false;
  async function* source(): AsyncGenerator<Uint8Array> {
    try {
      for (; made < 1000; made += 1) yield gzipSync(randomBytes(20_000));
    } finally {
      ended = true;
    }
  }
  for await (const chunk of decodeBody(source(), 'gzip')) if (chunk.length > 0) break;
  await pause();
  assert.equal(ended, true);
  assert.ok(made < 10, `${made} pieces were made`);
});

test('one encoding of those that are decoded is named, in any case; all else is none', () => {
  const cases: readonly [readonly string[], string | null][] = [
    [[], 'identity'],
    [[''], 'identity'],
    [['Identity'], 'identity'],
    [['gzip'], 'gzip'],
    [['X-GZip'], 'gzip'],
    [['deflate'], 'deflate'],
    [['BR'], 'br'],
    [['zstd'], null],
    [['compress'], null],
    [['dcb'], null],
    [['gzip,'], null],
    [['gzip, br'], null],
    [['gzip', 'gzip'], null],
    [['identity', 'gzip'], null],
    [['identity, identity'], null],
    [['__proto__'], null],
  ];
  for (const [values, expected] of cases) assert.equal(encodingOf(values), expected, values.join('|'));
});
