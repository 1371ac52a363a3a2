// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { McpServer, createMcpHandler } from '@modelcontextprotocol/server';
import * as fc from 'fast-check';
import { decodeHeaderValue, encodeHeaderValue } from '../../../../shared/http/header-value.ts';

function marked(text: string): string {
  return `=?base64?${Buffer.from(text).toString('base64')}?=`;
}

/** The first five are the examples of the specification. */
const encodings: readonly { text: string; value: string }[] = [
  { text: 'us-west1', value: 'us-west1' },
  { text: 'Hello, 世界', value: '=?base64?SGVsbG8sIOS4lueVjA==?=' },
  { text: ' padded ', value: '=?base64?IHBhZGRlZCA=?=' },
  { text: 'line1\nline2', value: '=?base64?bGluZTEKbGluZTI=?=' },
  { text: '=?base64?literal?=', value: '=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=' },
  { text: '', value: '=?base64??=' },
  { text: '!', value: '!' },
  { text: '~', value: '~' },
  { text: 'two words\tand a tab', value: 'two words\tand a tab' },
  { text: 'file:///a%20b?c=d#e', value: 'file:///a%20b?c=d#e' },
  { text: ' a', value: marked(' a') },
  { text: 'a ', value: marked('a ') },
  { text: '\ta', value: marked('\ta') },
  { text: 'a\t', value: marked('a\t') },
  { text: ' ', value: marked(' ') },
  { text: 'a\n', value: marked('a\n') },
  { text: 'a\rb', value: marked('a\rb') },
  { text: 'a\0b', value: marked('a\0b') },
  { text: '\x7f', value: marked('\x7f') },
  { text: '\x1f', value: marked('\x1f') },
  { text: 'é', value: marked('é') },
  { text: '\u00a0', value: marked('\u00a0') },
  { text: '\ufeffa', value: marked('\ufeffa') },
  { text: '\u{1f600}', value: marked('\u{1f600}') },
  { text: '=?base64??=', value: marked('=?base64??=') },
  { text: '=?base64?=', value: marked('=?base64?=') },
  { text: '=?base64?a', value: '=?base64?a' },
  { text: 'a?=', value: 'a?=' },
  { text: '=?BASE64?YQ==?=', value: '=?BASE64?YQ==?=' },
  { text: '=?utf-8?b?YQ==?=', value: '=?utf-8?b?YQ==?=' },
];

for (const { text, value } of encodings) {
  test(`${JSON.stringify(text)} travels as ${JSON.stringify(value)}`, () => {
    assert.equal(encodeHeaderValue(text), value);
    assert.equal(decodeHeaderValue(value), text);
  });
}

const refused: readonly { name: string; value: string }[] = [
  { name: 'markers that share a character', value: '=?base64?=' },
  { name: 'other characters than base64', value: '=?base64?%%%%?=' },
  { name: 'the alphabet of base64url', value: '=?base64?_-8=?=' },
  { name: 'a space within', value: '=?base64?YW Jj?=' },
  { name: 'a blank around', value: '=?base64? YQ== ?=' },
  { name: 'padding that lacks', value: '=?base64?YQ?=' },
  { name: 'padding that is short', value: '=?base64?YQ=?=' },
  { name: 'padding that is too much', value: '=?base64?YWJj=?=' },
  { name: 'padding alone', value: '=?base64?====?=' },
  { name: 'bits after the last byte', value: '=?base64?YR==?=' },
  { name: 'bytes that are not UTF-8', value: '=?base64?/w==?=' },
  { name: 'an overlong form', value: '=?base64?wIA=?=' },
  { name: 'a surrogate', value: '=?base64?7aCA?=' },
  { name: 'a byte beyond ASCII', value: 'caf\xe9' },
  { name: 'a character beyond a byte', value: '世' },
  { name: 'a control character', value: 'a\nb' },
  { name: 'DEL', value: 'a\x7f' },
  { name: 'more than 64 KiB', value: 'a'.repeat(65_537) },
];

for (const { name, value } of refused) {
  test(`a header value with ${name} has no text`, () => {
    assert.equal(decodeHeaderValue(value), null);
  });
}

test('what needed no markers is read with them', () => {
  assert.equal(decodeHeaderValue('=?base64?YQ==?='), 'a');
});

test('64 KiB are read', () => {
  assert.equal(decodeHeaderValue('a'.repeat(65_536))?.length, 65_536);
});

test('a value is read as before after one that is not UTF-8', () => {
  assert.equal(decodeHeaderValue('=?base64?w6k=?='), 'é');
  assert.equal(decodeHeaderValue('=?base64?w6nD?='), null);
  assert.equal(decodeHeaderValue('=?base64?w6k=?='), 'é');
});

test('a lone surrogate has no header value', () => {
  assert.throws(() => encodeHeaderValue('a\ud800'), RangeError);
});

const text = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 40 }).filter((value) => value.isWellFormed()),
  fc.array(fc.constantFrom('=?base64?', '?=', 'YQ==', ' ', '\t', 'a', 'é', '\n', '\ufeff'), { maxLength: 6 }).map((parts) => parts.join('')),
);

test('every text comes back from a value of visible ASCII without blanks at its ends', () => {
  fc.assert(
    fc.property(text, (value) => {
      const encoded = encodeHeaderValue(value);
      assert.match(encoded, /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/);
      assert.equal(decodeHeaderValue(encoded), value);
    }),
    { numRuns: 2000 },
  );
});

test('of all values between markers only the one that is written for a text is read as it', () => {
  const inner = fc.oneof(fc.base64String({ maxLength: 12 }), fc.string({ unit: fc.constantFrom('Y', 'Q', 'R', '=', '/', '+', '-'), maxLength: 8 }));
  fc.assert(
    fc.property(inner, (payload) => {
      const decoded = decodeHeaderValue(`=?base64?${payload}?=`);
      if (decoded !== null) assert.equal(marked(decoded), `=?base64?${payload}?=`);
    }),
    { numRuns: 2000 },
  );
});

function promptRequest(name: string): { jsonrpc: '2.0'; id: number; method: string; params: Record<string, unknown> } {
  const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} };
  return { jsonrpc: '2.0', id: 1, method: 'prompts/get', params: { name, _meta: meta } };
}

/** The `Mcp-Name` that a client on the published SDK sends. */
async function sdkHeader(name: string): Promise<string | null> {
  const sent: (string | null)[] = [];
  const fetch = (_url: unknown, init?: RequestInit): Promise<Response> => {
    sent.push(new Headers(init?.headers).get('mcp-name'));
    return Promise.resolve(new Response(null, { status: 202 }));
  };
  const transport = new StreamableHTTPClientTransport(new URL('http://server.test/mcp'), { fetch });
  await transport.start();
  await transport.send(promptRequest(name));
  await transport.close();
  return sent[0] ?? null;
}

test('a client on the published SDK writes the same values', async () => {
  for (const example of encodings) assert.equal(await sdkHeader(example.text), example.value);
  await fc.assert(
    fc.asyncProperty(text, async (name) => {
      assert.equal(await sdkHeader(name), encodeHeaderValue(name));
    }),
    { numRuns: 300 },
  );
});

const handler = createMcpHandler(() => new McpServer({ name: 'server', version: '1.0.0' }, { capabilities: { prompts: {} } }), { onerror: () => {} });

/** True if a server on the published SDK finds that the header and the name of the body agree. */
async function sdkAgrees(header: string, name: string): Promise<boolean> {
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': 'prompts/get',
    'mcp-name': header,
  };
  const response = await handler.fetch(new Request('http://server.test/mcp', { method: 'POST', headers, body: JSON.stringify(promptRequest(name)) }));
  const body = await response.text();
  assert.match(body, /"code":-\d+/);
  return !body.includes('"code":-32020');
}

/** Values between markers that the SDK reads all the same. */
const laxer: ReadonlySet<string> = new Set(['=?base64?=', '=?base64?YR==?=']);

test('a server on the published SDK reads the same texts, and none where none is read', async () => {
  for (const { text, value } of encodings) {
    // The SDK drops a byte order mark at the start, so that its own client's name does not come back.
    if (!text.startsWith('\ufeff')) assert.equal(await sdkAgrees(value, text), true, value);
    assert.equal(await sdkAgrees(value, `${text}.`), false, value);
  }
  for (const { value } of refused) {
    if (!value.startsWith('=?base64?') || laxer.has(value)) continue;
    for (const name of [value, Buffer.from(value.slice(9, -2), 'base64').toString()]) assert.equal(await sdkAgrees(value, name), false, value);
  }
});
