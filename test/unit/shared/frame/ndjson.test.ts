// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { FrameEvent } from '../../../../shared/frame/ndjson.ts';
import { createNdjsonFramer } from '../../../../shared/frame/ndjson.ts';

type Shown = [string, string] | [string, number, string, string];

function show(event: FrameEvent): Shown {
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
  if (event.kind === 'frame') return ['frame', text(event.bytes)];
  return [event.kind, event.bytes, text(event.head), text(event.tail)];
}

function frames(chunks: readonly Uint8Array[], bytesMax = 16, keepBytes = 3): Shown[] {
  const framer = createNdjsonFramer({ bytesMax, keepBytes });
  return [...chunks.flatMap((chunk) => framer.push(chunk)), ...framer.end()].map(show);
}

function split(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let from = 0;
  for (const size of sizes) {
    chunks.push(bytes.subarray(from, from + size));
    from += size;
  }
  return [...chunks, bytes.subarray(from)];
}

const cases: readonly { name: string; input: string; events: Shown[] }[] = [
  { name: 'one line is one frame', input: '{}\n', events: [['frame', '{}']] },
  { name: 'each of several lines in one chunk is a frame', input: '1\n2\n3\n', events: [['frame', '1'], ['frame', '2'], ['frame', '3']] },
  { name: 'a CR before the LF is no part of the frame', input: '{}\r\n', events: [['frame', '{}']] },
  { name: 'only one CR is taken away', input: '{}\r\r\n', events: [['frame', '{}\r']] },
  { name: 'a CR alone ends no line', input: '1\r2\n', events: [['frame', '1\r2']] },
  { name: 'blank lines give nothing', input: '\n\r\n \t\r\n\n1\n', events: [['frame', '1']] },
  { name: 'an empty input gives nothing', input: '', events: [] },
  { name: 'a blank end gives nothing', input: '1\n \r', events: [['frame', '1']] },
  { name: 'a line as long as allowed is a frame', input: `${'a'.repeat(16)}\n`, events: [['frame', 'a'.repeat(16)]] },
  { name: 'its CR does not count', input: `${'a'.repeat(16)}\r\n`, events: [['frame', 'a'.repeat(16)]] },
  { name: 'one byte more is reported with its ends', input: `abc${'-'.repeat(11)}xyz\n`, events: [['oversize', 17, 'abc', 'xyz']] },
  { name: 'a much longer line is reported once', input: `abc${'-'.repeat(500)}xyz\n`, events: [['oversize', 506, 'abc', 'xyz']] },
  {
    name: 'the line after one that was too long is a frame',
    input: `${'a'.repeat(40)}\n{}\n${'b'.repeat(40)}\n[]\n`,
    events: [['oversize', 40, 'aaa', 'aaa'], ['frame', '{}'], ['oversize', 40, 'bbb', 'bbb'], ['frame', '[]']],
  },
  { name: 'a long line of blanks is reported, not held', input: `${' '.repeat(40)}\n`, events: [['oversize', 40, '   ', '   ']] },
  { name: 'an end within a line is reported', input: '1\n{"a"', events: [['frame', '1'], ['unterminated', 4, '{"a', '"a"']] },
  { name: 'an end within a short line is reported', input: '{', events: [['unterminated', 1, '{', '{']] },
  { name: 'an end within a line that is too long is reported', input: `abc${'-'.repeat(50)}xyz`, events: [['unterminated', 56, 'abc', 'xyz']] },
];

for (const { name, input, events } of cases) {
  test(`framing: ${name}, in one chunk and byte by byte`, () => {
    const bytes = Buffer.from(input, 'latin1');
    assert.deepEqual(frames([bytes]), events);
    assert.deepEqual(frames(Array.from(bytes, (byte) => Uint8Array.of(byte))), events);
  });
}

test('any chunking of any bytes gives the same events', () => {
  const byte = fc.constantFrom(0x0a, 0x0a, 0x0d, 0x20, 0x61, 0x62, 0x63, 0x64, 0x7b, 0x00, 0xc3);
  fc.assert(
    fc.property(fc.array(byte, { maxLength: 200 }), fc.array(fc.nat({ max: 30 })), fc.nat({ max: 12 }), fc.nat({ max: 5 }), (input, sizes, max, keep) => {
      const bytes = Uint8Array.from(input);
      assert.deepEqual(frames(split(bytes, sizes), max, keep), frames([bytes], max, keep));
    }),
    { numRuns: 500 },
  );
});

test('the ends of a line that is too long are its first and last bytes, whatever the chunking', () => {
  const line = fc.uint8Array({ minLength: 30, maxLength: 300 }).map((bytes) => bytes.map((byte) => (byte === 0x0a ? 1 : byte)));
  fc.assert(
    fc.property(line, fc.array(fc.nat({ max: 40 })), fc.nat({ max: 20 }), (bytes, sizes, keepBytes) => {
      const framer = createNdjsonFramer({ bytesMax: 20, keepBytes });
      const events = split(Buffer.concat([bytes, Buffer.of(0x0a)]), sizes).flatMap((chunk) => framer.push(chunk));
      const tail = bytes.slice(Math.max(0, bytes.length - keepBytes));
      assert.deepEqual(events, [{ kind: 'oversize', bytes: bytes.length, head: bytes.slice(0, keepBytes), tail }]);
    }),
    { numRuns: 300 },
  );
});

test('frames stay as they were when the caller reuses its chunk', () => {
  const framer = createNdjsonFramer({ bytesMax: 64 });
  const chunk = Buffer.from('{"a":1}\n{"b"');
  const first = framer.push(chunk);
  chunk.fill(0x78);
  const second = framer.push(Buffer.from(':2}\n'));
  assert.deepEqual([...first, ...second].map(show), [['frame', '{"a":1}'], ['frame', '{"b":2}']]);
});

test('a frame stays as it was when later lines arrive', () => {
  const framer = createNdjsonFramer({ bytesMax: 64 });
  framer.push(Buffer.from('aa'));
  const first = framer.push(Buffer.from('aa\n'));
  framer.push(Buffer.from('bb'));
  framer.push(Buffer.from('bb\n'));
  assert.deepEqual(first.map(show), [['frame', 'aaaa']]);
});

test('after the end of its input a framer starts afresh', () => {
  const framer = createNdjsonFramer({ bytesMax: 4, keepBytes: 2 });
  framer.push(Buffer.from('toolong'));
  assert.equal(framer.end().length, 1);
  assert.deepEqual(framer.push(Buffer.from('1\n')).map(show), [['frame', '1']]);
  assert.deepEqual(framer.end(), []);
});

test('16 MiB in chunks of one byte make one frame', () => {
  const bytesMax = 16 * 1024 * 1024;
  const framer = createNdjsonFramer({ bytesMax });
  const byte = Uint8Array.of(0x61);
  for (let sent = 0; sent < bytesMax; sent += 1) assert.equal(framer.push(byte).length, 0);
  const events = framer.push(Uint8Array.of(0x0a));
  assert.equal(events.length, 1);
  assert.equal(events[0]?.kind === 'frame' && events[0].bytes.length, bytesMax);
});

test('a line without end is held only up to the limit', () => {
  const framer = createNdjsonFramer({ bytesMax: 1024 * 1024 });
  const chunk = new Uint8Array(1024 * 1024).fill(0x61);
  const before = process.memoryUsage().arrayBuffers;
  for (let sent = 0; sent < 256; sent += 1) framer.push(chunk);
  assert.ok(process.memoryUsage().arrayBuffers - before < 32 * 1024 * 1024);
  const [event] = framer.push(Uint8Array.of(0x0a));
  assert.equal(event?.kind === 'oversize' && event.bytes, 256 * 1024 * 1024);
});
