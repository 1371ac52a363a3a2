// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import * as fc from 'fast-check';
import type { SseEvent } from '../../../../shared/http/sse.ts';
import { SSE_COMMENT, createSseParser, writeSseEvent } from '../../../../shared/http/sse.ts';

/** Name, data, id, retry. */
type Shown = [string, string | null | [number, string, string], string | null, number | null];

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}

function show({ name, data, id, retry }: SseEvent): Shown {
  if (data === null || data.kind === 'frame') return [name, data === null ? null : latin1(data.bytes), id, retry];
  assert.equal(data.kind, 'oversize');
  return [name, [data.bytes, latin1(data.head), latin1(data.tail)], id, retry];
}

function parse(chunks: readonly Uint8Array[], bytesMax?: number): Shown[] {
  const parser = createSseParser(bytesMax === undefined ? {} : { bytesMax });
  return [...chunks.flatMap((chunk) => parser.push(chunk)), ...parser.end()].map(show);
}

function byteByByte(bytes: Uint8Array): Uint8Array[] {
  return Array.from(bytes, (byte) => Uint8Array.of(byte));
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

const a: Shown = ['message', 'a', null, null];
const b: Shown = ['message', 'b', null, null];
const BOM = '\xef\xbb\xbf';

const cases: readonly { name: string; input: string; events: Shown[] }[] = [
  { name: 'a data line and a blank line are an event', input: 'data: a\n\n', events: [a] },
  { name: 'LF, CR and CRLF end lines', input: 'data: a\n\ndata: b\r\rdata: a\r\n\r\n', events: [a, b, a] },
  { name: 'line ends may be mixed', input: 'data: a\r\n\rdata: b\n\r\ndata: a\r\n\ndata: b\r\r\n', events: [a, b, a, b] },
  { name: 'CRLF is one line end', input: 'data: a\r\ndata: b\r\n\r\n', events: [['message', 'a\nb', null, null]] },
  { name: 'LF then CR are two', input: 'data: a\n\rdata: b\n\r', events: [a, b] },
  { name: 'one space after the colon is no part of the value', input: 'data:  a\n\ndata:a\n\ndata:\ta\n\n', events: [['message', ' a', null, null], a, ['message', '\ta', null, null]] },
  { name: 'data lines are joined by LF', input: 'data: a\ndata:\ndata: b\n\n', events: [['message', 'a\n\nb', null, null]] },
  { name: 'other fields between data lines join them no less', input: 'data: a\nid: 1\n: x\ndata: b\n\n', events: [['message', 'a\nb', '1', null]] },
  { name: 'an empty data line is a frame of no bytes', input: 'id: 7\ndata:\n\ndata: \n\n', events: [['message', '', '7', null], ['message', '', null, null]] },
  { name: 'a field without colon is empty', input: 'data\n\nid\n\n', events: [['message', '', null, null], ['message', null, '', null]] },
  { name: 'only the first colon parts', input: 'data:a:b\ndata::\n\n', events: [['message', 'a:b\n:', null, null]] },
  { name: 'an id or a retry alone is an event', input: 'id: x\n\nretry: 5\n\n', events: [['message', null, 'x', null], ['message', null, null, 5]] },
  { name: 'nothing and a name alone are none', input: '\n\n\nevent: message\n\n\r\n\n', events: [] },
  { name: 'neither name, id nor retry last beyond their event', input: 'event: ping\nid: 1\nretry: 2\ndata: a\n\ndata: b\n\nevent: x\n\ndata: a\n\n', events: [['ping', 'a', '1', 2], b, a] },
  { name: 'a name is taken as it is', input: 'event: Message\ndata: a\n\nevent:  message\ndata: a\n\n', events: [['Message', 'a', null, null], [' message', 'a', null, null]] },
  { name: 'an empty name is the default name', input: 'event: x\nevent:\ndata: a\n\n', events: [a] },
  { name: 'the last of several fields counts', input: 'event: x\nevent: y\nid: 1\nid: 2\nretry: 1\nretry: 2\ndata: a\n\n', events: [['y', 'a', '2', 2]] },
  { name: 'a byte order mark in a name stays', input: `event: ${BOM}message\ndata: a\n\n`, events: [['\ufeffmessage', 'a', null, null]] },
  { name: 'a name of 64 bytes is one', input: `event: ${'n'.repeat(64)}\ndata: a\n\n`, events: [['n'.repeat(64), 'a', null, null]] },
  { name: 'a longer name reads as none', input: `event: ${'n'.repeat(65)}\ndata: a\n\nevent: ${'n'.repeat(5000)}\ndata: b\n\n`, events: [['', 'a', null, null], ['', 'b', null, null]] },
  { name: 'a name that is not UTF-8 reads as none', input: 'event: message\xff\ndata: a\n\n', events: [['', 'a', null, null]] },
  { name: 'an id is UTF-8', input: 'id: \xc3\xa9\n\nid: \xff\n\n', events: [['message', null, 'é', null]] },
  { name: 'an id with U+0000 is ignored', input: 'id: 1\nid: 2\0\ndata: a\n\nid: \0\n\n', events: [['message', 'a', '1', null]] },
  { name: 'an id of 1024 bytes is one, a longer one is ignored', input: `id: ${'i'.repeat(1024)}\n\nid: ${'i'.repeat(1025)}\n\n`, events: [['message', null, 'i'.repeat(1024), null]] },
  { name: 'a retry has ASCII digits only', input: 'retry: 1s\n\nretry:\n\nretry: -1\n\nretry:  1\n\nretry: 1.5\n\nretry: \xd9\xa1\n\nretry: 007\n\n', events: [['message', null, null, 7]] },
  { name: 'a bad retry leaves the one before', input: 'retry: 5\nretry: x\n\n', events: [['message', null, null, 5]] },
  { name: 'a long retry is an hour', input: `retry: 3600001\n\nretry: ${'9'.repeat(400)}\n\n`, events: [['message', null, null, 3_600_000], ['message', null, null, 3_600_000]] },
  { name: 'comments and unknown fields are dropped', input: ': x\n:\ndatas: x\ndat: x\nDATA: x\n data: x\ndata : x\ndata: a\n\nmessage\n\n', events: [a] },
  { name: 'one byte order mark at the start is dropped', input: `${BOM}data: a\n\n`, events: [a] },
  { name: 'the longest field is known behind it', input: `${BOM}retry: 1\n\n`, events: [['message', null, null, 1]] },
  { name: 'a comment and a blank line may follow it', input: `${BOM}: x\ndata: a\n\n${BOM}data: b\n\n`, events: [a] },
  { name: 'a second one makes the field unknown', input: `${BOM}${BOM}data: a\n\ndata: b\n\n`, events: [b] },
  { name: 'one on a later line makes the field unknown', input: `\n${BOM}data: a\n\n`, events: [] },
  { name: 'the start of one makes the field unknown', input: '\xef\xbbdata: a\n\ndata: b\n\n', events: [b] },
  { name: 'data is not decoded', input: `data: \xff\0\xc3${BOM}\n\n`, events: [['message', `\xff\0\xc3${BOM}`, null, null]] },
  { name: 'an event without its blank line is none', input: 'data: a\n\ndata: b\n', events: [a] },
  { name: 'nor is one whose line is cut off', input: 'data: a\n\ndata: b\ndat', events: [a] },
];

for (const { name, input, events } of cases) {
  test(`event stream: ${name}, in one chunk and byte by byte`, () => {
    const bytes = Buffer.from(input, 'latin1');
    assert.deepEqual(parse([bytes]), events);
    assert.deepEqual(parse(byteByByte(bytes)), events);
  });
}

/** The standard's algorithm on a whole stream, one character per byte. */
function reference(input: string, bytesMax: number): Shown[] {
  const events: Shown[] = [];
  const lines = input.replace(/^\xef\xbb\xbf/, '').split(/\r\n|\r|\n/);
  let data: string[] = [];
  let [name, id, retry]: [string, string | null, number | null] = ['', null, null];
  for (const line of lines.slice(0, -1)) {
    const [, field, value = ''] = /^([^:]*)(?:: ?([^]*))?$/.exec(line) ?? [];
    if (line === '') {
      const joined = data.join('\n');
      const shown: Shown[1] = joined.length > bytesMax ? [joined.length, joined.slice(0, bytesMax), joined.slice(-bytesMax)] : joined;
      if (data.length > 0 || id !== null || retry !== null) events.push([name === '' ? 'message' : name, data.length > 0 ? shown : null, id, retry]);
      data = [];
      [name, id, retry] = ['', null, null];
    } else if (field === 'data') data.push(value);
    else if (field === 'event') name = value;
    else if (field === 'id') id = value.includes('\0') ? id : value;
    else if (field === 'retry' && /^[0-9]+$/.test(value)) retry = Number(value);
  }
  return events;
}

const token = fc.constantFrom('\n', '\n', '\r', '\r', '\r\n', '\n\n', 'data', 'data:', 'data: ', 'data: a', 'id: ', 'event:', 'retry:', ':', ' ', 'a', 'bcd', '1', '\0', BOM, '\xef');
const stream = fc.array(token, { maxLength: 60 }).map((tokens) => tokens.join(''));

test('any chunking of any bytes gives the events of the standard', () => {
  fc.assert(
    // Names and ids with a byte order mark are not text here: the table above has them.
    fc.property(stream, fc.array(fc.nat({ max: 9 })), fc.integer({ min: 1, max: 6 }), (input, sizes, bytesMax) => {
      fc.pre(!/(?:id|event): ?[^\r\n]*\xef/.test(input));
      assert.deepEqual(parse(split(Buffer.from(input, 'latin1'), sizes), bytesMax), reference(input, bytesMax));
    }),
    { numRuns: 3000 },
  );
});

test('any chunking of any bytes gives the same events', () => {
  fc.assert(
    fc.property(stream, fc.array(fc.nat({ max: 9 })), fc.nat({ max: 6 }), (input, sizes, bytesMax) => {
      const bytes = Buffer.from(input, 'latin1');
      assert.deepEqual(parse(split(bytes, sizes), bytesMax), parse([bytes], bytesMax));
    }),
    { numRuns: 1000 },
  );
});

test('a CR ends its event at once, and an LF that follows later belongs to it', () => {
  const parser = createSseParser();
  assert.deepEqual(parser.push(Buffer.from('data: a\r')), []);
  assert.deepEqual(parser.push(Buffer.from('\r')).map(show), [a]);
  assert.deepEqual(parser.push(new Uint8Array(0)), []);
  assert.deepEqual(parser.push(Buffer.from('\n')), []);
  assert.deepEqual(parser.push(Buffer.from('data: b\r\r')).map(show), [b]);
});

test('data as long as allowed is a frame; of longer data the first and last 512 bytes are kept', () => {
  const head = 'h'.repeat(512);
  const tail = 't'.repeat(512);
  const fits = Buffer.from(`data: ${head}${tail}\n\n`);
  assert.deepEqual(parse([fits], 1024), [['message', head + tail, null, null]]);
  const over = Buffer.from(`id: 1\ndata: ${head}\ndata: ${'-'.repeat(3000)}\ndata:${tail}\n\ndata: a\n\n`);
  const events: Shown[] = [['message', [512 + 1 + 3000 + 1 + 512, head, tail], '1', null], a];
  assert.deepEqual(parse([over], 1024), events);
  assert.deepEqual(parse(byteByByte(over), 1024), events);
});

test('each empty data line but the first counts as one byte', () => {
  assert.deepEqual(parse([Buffer.from(`${'data\n'.repeat(5)}\n${'data\n'.repeat(6)}\n`)], 4), [
    ['message', '\n\n\n\n', null, null],
    ['message', [5, '\n\n\n\n', '\n\n\n\n'], null, null],
  ]);
});

test('the limit on data is that of a message', () => {
  const chunk = Buffer.alloc(16 * 1024 * 1024, 'x');
  const parser = createSseParser();
  const [fits] = [Buffer.from('data:'), chunk, Buffer.from('\n\n')].flatMap((part) => parser.push(part));
  assert.equal(fits?.data?.kind, 'frame');
  const [over] = [Buffer.from('data:'), chunk, Buffer.from('x\n\n')].flatMap((part) => parser.push(part));
  assert.equal(over?.data?.kind, 'oversize');
});

for (const start of [':', 'unknown: ', 'unknown', 'data: ', 'id: ', 'event: ', 'retry: ']) {
  test(`an endless line that starts with "${start}" is held only up to its limit`, () => {
    const parser = createSseParser({ bytesMax: 1024 * 1024 });
    const chunk = new Uint8Array(1024 * 1024).fill(0x31);
    parser.push(Buffer.from(start));
    const before = process.memoryUsage();
    for (let sent = 0; sent < 64; sent += 1) assert.deepEqual(parser.push(chunk), []);
    const after = process.memoryUsage();
    assert.ok(after.arrayBuffers - before.arrayBuffers < 16 * 1024 * 1024);
    assert.ok(after.heapUsed - before.heapUsed < 16 * 1024 * 1024);
    parser.push(Buffer.from('\n\n'));
    assert.deepEqual(parser.push(Buffer.from('data: a\n\n')).map(show), [a]);
  });
}

for (const [name, line] of [['LF', ':\n'], ['CR', ':\r'], ['LF of data', 'data\n']] as const) {
  test(`a chunk of many lines that end in ${name} is read once`, () => {
    const chunk = Buffer.from(line.repeat(1_000_000));
    const parser = createSseParser();
    const before = process.cpuUsage();
    parser.push(chunk);
    // Reading on to the chunk's end at every line would take more than ten seconds.
    assert.ok(process.cpuUsage(before).user < 5_000_000);
  });
}

test('frames stay as they were when the caller reuses its chunk and when later events arrive', () => {
  const parser = createSseParser();
  const chunk = Buffer.from('data: a\n\ndata: ');
  const first = parser.push(chunk);
  chunk.fill(0x78);
  const second = parser.push(Buffer.from('b\n\n'));
  assert.deepEqual([...first, ...second].map(show), [a, b]);
});

const ends: readonly { input: string; unfinished: boolean }[] = [
  { input: '', unfinished: false },
  { input: 'data: a\n\n', unfinished: false },
  { input: 'data: a\n\nid: 1\nretry: 5\nevent: x\n: data: x\ndat', unfinished: false },
  { input: 'data:', unfinished: true },
  { input: 'data: a', unfinished: true },
  { input: 'data\n', unfinished: true },
  { input: 'data: a\n\ndata: b\nid: 1\n', unfinished: true },
];

for (const { input, unfinished } of ends) {
  test(`a stream that ends after ${JSON.stringify(input)} ${unfinished ? 'cuts data off' : 'cuts no data off'}`, () => {
    const parser = createSseParser();
    parser.push(Buffer.from(input));
    assert.equal(parser.unfinished, unfinished);
    assert.deepEqual(parser.end(), []);
    assert.equal(parser.unfinished, unfinished);
  });
}

test('after the end of its input a parser starts afresh', () => {
  const parser = createSseParser();
  parser.push(Buffer.from('event: x\nid: 1\nretry: 1\ndata: x\nid: 2\r'));
  parser.end();
  assert.deepEqual(parser.push(Buffer.from(`\n${BOM}data: x\n\n`, 'latin1')), []);
  assert.equal(parser.unfinished, false);
  assert.deepEqual(parser.push(Buffer.from('data: b\n\n')).map(show), [b]);
  parser.push(Buffer.from('da'));
  parser.end();
  assert.deepEqual(parser.push(Buffer.from(`${BOM}data: a\n\n`, 'latin1')).map(show), [a]);
});

test('a written event has its fields in this order', () => {
  assert.equal(writeSseEvent({ data: '{}' }), 'data: {}\n\n');
  assert.equal(writeSseEvent({ data: '', id: '1' }), 'id: 1\ndata: \n\n');
  assert.equal(writeSseEvent({ retry: 0, data: ' x', name: 'endpoint', id: '' }), 'event: endpoint\nid: \nretry: 0\ndata:  x\n\n');
});

const text = fc.string({ unit: 'binary', maxLength: 30 }).filter((value) => value.isWellFormed() && !/[\r\n\0]/.test(value));

test('what is written is read again, whatever the chunking and the comments between', () => {
  const event = fc.record({ data: text, id: fc.option(text), retry: fc.option(fc.nat({ max: 3_600_000 })), name: fc.option(text.filter((value) => value !== '')) });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 4 }), fc.array(fc.nat({ max: 20 })), (events, sizes) => {
      const written = events.map(({ data, id, retry, name }) => writeSseEvent({ data, id: id ?? undefined, retry: retry ?? undefined, name: name ?? undefined }));
      const expected = events.map(({ data, id, retry, name }) => {
        const tooLong = name !== null && Buffer.byteLength(name) > 64;
        return [tooLong ? '' : (name ?? 'message'), Buffer.from(data).toString('latin1'), id, retry];
      });
      assert.deepEqual(parse(split(Buffer.from(written.join(SSE_COMMENT)), sizes)), expected);
    }),
    { numRuns: 500 },
  );
});

const unwritable: readonly Parameters<typeof writeSseEvent>[0][] = [
  { data: 'a\nb' },
  { data: 'a\r' },
  { data: '', id: '1\n' },
  { data: '', id: '1\r' },
  { data: '', id: '\0' },
  { data: '', name: 'x\ndata: y' },
  { data: '', name: 'x\r' },
  { data: '', name: '' },
  { data: '', retry: -1 },
  { data: '', retry: 1.5 },
  { data: '', retry: Number.NaN },
];

for (const event of unwritable) {
  test(`${JSON.stringify(event)} is not written`, () => {
    assert.throws(() => writeSseEvent(event), RangeError);
  });
}

/** What a client on the published SDK makes of a stream: the methods of its notifications. */
async function sdkReads(body: string): Promise<string[]> {
  const read: string[] = [];
  const fetch = (): Promise<Response> => Promise.resolve(new Response(body, { headers: { 'content-type': 'text/event-stream' } }));
  const transport = new StreamableHTTPClientTransport(new URL('http://server.test/mcp'), { fetch });
  const ended = new Promise<void>((resolve) => {
    Object.assign(transport, { onmessage: (message: { method?: string }): void => void read.push(message.method ?? '') });
    void transport.start().then(() => transport.send({ jsonrpc: '2.0', id: 1, method: 'x' }, { onRequestStreamEnd: resolve }));
  });
  await ended;
  await transport.close();
  return read;
}

test('a client on the published SDK reads the same messages from a stream', async () => {
  const end = fc.constantFrom('\n', '\r', '\r\n');
  const line = fc.constantFrom(': x', 'unknown: x', 'event: message', 'event:', 'event: ping', 'event: Message', 'retry: 5', 'data');
  const part = fc.tuple(fc.array(line, { maxLength: 3 }), fc.constantFrom('data:', 'data: '), fc.constantFrom('\n', '\n\n', ''), end);
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 6 }), fc.boolean(), async (parts, mark) => {
      const body = parts.map(([lines, field, blank, eol], index) => {
        const message = [`${field}{"jsonrpc":"2.0",`, `${field}"method":"m${index}"}`];
        return [...lines, ...message, ''].join('\n').concat(blank).replaceAll('\n', eol);
      });
      const input = `${mark ? '\ufeff' : ''}${body.join('')}:\n`;
      const parser = createSseParser();
      const own = parser.push(Buffer.from(input)).flatMap(({ name, data }) => {
        if (name !== 'message' || data?.kind !== 'frame' || data.bytes.length === 0) return [];
        try {
          return [(JSON.parse(Buffer.from(data.bytes).toString()) as { method: string }).method];
        } catch {
          return [];
        }
      });
      assert.deepEqual(own, await sdkReads(input));
    }),
    { numRuns: 200 },
  );
});

test('a client on the published SDK reads what is written', async () => {
  const data = '{"jsonrpc":"2.0","method":"n"}';
  assert.deepEqual(await sdkReads(SSE_COMMENT + writeSseEvent({ data }) + SSE_COMMENT + writeSseEvent({ data, name: 'message', retry: 5 })), ['n', 'n']);
});
