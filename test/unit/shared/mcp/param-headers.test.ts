// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { McpServer, createMcpHandler, fromJsonSchema } from '@modelcontextprotocol/server';
import * as fc from 'fast-check';
import { parseStrictJson } from '../../../../shared/json/parse.ts';
import type { JsonObject, JsonValue } from '../../../../shared/json/value.ts';
import { isJsonObject } from '../../../../shared/json/value.ts';
import type { ParamHeader, ParamHeaders } from '../../../../shared/mcp/param-headers.ts';
import { paramHeaderValues, readParamHeaders, sameParamValue } from '../../../../shared/mcp/param-headers.ts';

/** As the strict parser makes it. */
function parsed(text: string): JsonValue {
  const result = parseStrictJson(Buffer.from(text));
  assert.ok(result.ok);
  return result.value;
}

function read(schema: unknown): ParamHeaders {
  return readParamHeaders(parsed(JSON.stringify(schema)));
}

const region = { type: 'string', 'x-mcp-header': 'Region' };

function tool(properties: Record<string, unknown>, rest: Record<string, unknown> = {}): Record<string, unknown> {
  return { type: 'object', properties, ...rest };
}

const valid: readonly { name: string; schema: unknown; headers: ParamHeader[] }[] = [
  { name: 'no annotation', schema: tool({ a: { type: 'string' } }), headers: [] },
  { name: 'no schema to speak of', schema: true, headers: [] },
  { name: 'an annotated string', schema: tool({ a: region }), headers: [{ name: 'Region', path: ['a'], type: 'string' }] },
  {
    name: 'all three types',
    schema: tool({ a: { type: 'string', 'x-mcp-header': 'A' }, b: { type: 'integer', 'x-mcp-header': 'b' }, c: { 'x-mcp-header': 'C', type: 'boolean' } }),
    headers: [{ name: 'A', path: ['a'], type: 'string' }, { name: 'b', path: ['b'], type: 'integer' }, { name: 'C', path: ['c'], type: 'boolean' }],
  },
  { name: 'a nested property', schema: tool({ a: tool({ b: tool({ c: region }) }) }), headers: [{ name: 'Region', path: ['a', 'b', 'c'], type: 'string' }] },
  { name: 'every character of a token', schema: tool({ a: { type: 'string', 'x-mcp-header': "!#$%&'*+-.^_`|~09azAZ" } }), headers: [{ name: "!#$%&'*+-.^_`|~09azAZ", path: ['a'], type: 'string' }] },
  { name: 'a keyword beside the annotation', schema: tool({ a: { ...region, enum: ['x'], anyOf: [{ minLength: 1 }], $ref: '#/$defs/x' } }, { $defs: { x: { type: 'string' } } }), headers: [{ name: 'Region', path: ['a'], type: 'string' }] },
  { name: 'a property that is called properties', schema: tool({ properties: region }), headers: [{ name: 'Region', path: ['properties'], type: 'string' }] },
  { name: 'a property that is called items', schema: tool({ items: region }), headers: [{ name: 'Region', path: ['items'], type: 'string' }] },
  { name: 'a property that is called like the annotation', schema: tool({ 'x-mcp-header': region }), headers: [{ name: 'Region', path: ['x-mcp-header'], type: 'string' }] },
  { name: 'a property that is called constructor', schema: tool({ constructor: region }), headers: [{ name: 'Region', path: ['constructor'], type: 'string' }] },
  { name: 'names elsewhere that are spelled like the annotation', schema: { $defs: { 'x-mcp-header': {} }, dependentRequired: { 'x-mcp-header': ['a'] }, items: tool({ 'x-mcp-header': true }), required: ['x-mcp-header'] }, headers: [] },
  { name: 'other keywords that resemble it', schema: tool({ a: { type: 'string', 'X-Mcp-Header': 'A', 'x-mcp-headers': 'B' } }), headers: [] },
  { name: 'the most annotations', schema: annotated(64), headers: Array.from({ length: 64 }, (_, index) => ({ name: `H${index}`, path: [`p${index}`], type: 'string' })) },
  { name: 'the longest name', schema: tool({ a: { type: 'string', 'x-mcp-header': 'n'.repeat(128) } }), headers: [{ name: 'n'.repeat(128), path: ['a'], type: 'string' }] },
];

function annotated(count: number): Record<string, unknown> {
  return tool(Object.fromEntries(Array.from({ length: count }, (_, index) => [`p${index}`, { type: 'string', 'x-mcp-header': `H${index}` }])));
}

const MISPLACED = 'x-mcp-header stands where no chain of properties leads to it';
const NO_NAME = 'x-mcp-header is not a header name';
const OTHER_TYPE = 'x-mcp-header is on something else than a string, an integer or a boolean';
const TWICE = 'x-mcp-header gives one header name twice';

const invalid: readonly { name: string; schema: unknown; problem: string }[] = [
  { name: 'on the root', schema: { ...tool({}), 'x-mcp-header': 'A' }, problem: MISPLACED },
  ...['items', 'contains', 'not', 'if', 'then', 'else', 'additionalProperties', 'unevaluatedProperties', 'unevaluatedItems', 'propertyNames', 'contentSchema', 'default', 'const', 'x-own'].map((keyword) => ({
    name: `under ${keyword}`,
    schema: tool({ a: { [keyword]: region } }),
    problem: MISPLACED,
  })),
  ...['oneOf', 'anyOf', 'allOf', 'prefixItems', 'items', 'examples', 'enum'].map((keyword) => ({
    name: `in a list of ${keyword}`,
    schema: tool({}, { [keyword]: [{}, region] }),
    problem: MISPLACED,
  })),
  ...['$defs', 'definitions', 'patternProperties', 'dependentSchemas', 'dependencies', 'x-own'].map((keyword) => ({
    name: `in a member of ${keyword}`,
    schema: tool({ a: { $ref: `#/${keyword}/x` } }, { [keyword]: { x: region } }),
    problem: MISPLACED,
  })),
  { name: 'on a property below items', schema: tool({ a: { type: 'array', items: tool({ b: region }) } }), problem: MISPLACED },
  { name: 'on a property below allOf', schema: { allOf: [tool({ b: region })] }, problem: MISPLACED },
  { name: 'in a list of lists', schema: { examples: [[[{ a: region }]]] }, problem: MISPLACED },
  { name: 'in a list in the place of a schema', schema: tool({ a: [region] }), problem: MISPLACED },
  { name: 'where properties is a list', schema: { properties: [region] }, problem: MISPLACED },
  { name: 'where the schema is a list', schema: [region], problem: MISPLACED },
  { name: 'as a text among the properties', schema: tool({ 'x-mcp-header': 'A', type: 'string' }), problem: MISPLACED },
  ...['', 'a b', 'a\r\nb', 'a\n', 'a\0', 'a:b', 'é', 1, null, true, ['a'], { a: 'b' }].map((value) => ({
    name: `that is ${JSON.stringify(value)}`,
    schema: tool({ a: { type: 'string', 'x-mcp-header': value } }),
    problem: NO_NAME,
  })),
  ...['number', 'object', 'array', 'null', 'String', ['string'], ['string', 'null'], null, undefined].map((type) => ({
    name: `on the type ${JSON.stringify(type)}`,
    schema: tool({ a: { type, 'x-mcp-header': 'A' } }),
    problem: OTHER_TYPE,
  })),
  { name: 'twice with one name', schema: tool({ a: region, b: region }), problem: TWICE },
  { name: 'twice in another case', schema: tool({ a: region, b: tool({ c: { type: 'integer', 'x-mcp-header': 'rEGION' } }) }), problem: TWICE },
  { name: 'valid once and invalid once', schema: tool({ a: region, b: { items: { 'x-mcp-header': 'B', type: 'string' } } }), problem: MISPLACED },
  { name: 'too often', schema: annotated(65), problem: 'x-mcp-header is used more than 64 times' },
  { name: 'too long', schema: tool({ a: { type: 'string', 'x-mcp-header': 'n'.repeat(129) } }), problem: 'x-mcp-header is longer than 128 characters' },
];

for (const { name, schema, headers } of valid) {
  test(`a schema with ${name} is valid`, () => {
    assert.deepEqual(read(schema), { kind: 'valid', headers });
  });
}

for (const { name, schema, problem } of invalid) {
  test(`a schema with an annotation ${name} is invalid`, () => {
    assert.deepEqual(read(schema), { kind: 'invalid', problem });
  });
}

test('a tool without a schema has no headers', () => {
  assert.deepEqual(readParamHeaders(undefined), { kind: 'valid', headers: [] });
});

test('an annotation is found at any depth and in any place of a schema', () => {
  const step = fc.constantFrom('items', 'not', 'anyOf', 'properties', '$defs', 'x-own', 'default');
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 40 }), (steps) => {
      let schema: unknown = region;
      const path: string[] = [];
      for (const keyword of steps.toReversed()) {
        const inner = keyword === 'anyOf' ? [true, schema] : keyword === 'properties' || keyword === '$defs' ? { p: schema } : schema;
        schema = { title: 'x', [keyword]: inner };
        path.push('p');
      }
      const chain = steps.every((keyword) => keyword === 'properties');
      assert.deepEqual(read(schema), chain ? { kind: 'valid', headers: [{ name: 'Region', path, type: 'string' }] } : { kind: 'invalid', problem: MISPLACED });
    }),
    { numRuns: 500 },
  );
});

function headersOf(schema: unknown): readonly ParamHeader[] {
  const found = read(schema);
  assert.equal(found.kind, 'valid');
  return found.kind === 'valid' ? found.headers : [];
}

function values(schema: unknown, args: string): [string, string][] {
  const object = parsed(args);
  assert.ok(isJsonObject(object));
  return [...paramHeaderValues(headersOf(schema), object)];
}

const one = (type: string): Record<string, unknown> => tool({ a: { type, 'x-mcp-header': 'Region' } });
const nested = tool({ a: tool({ b: region }), constructor: tool({ name: { type: 'string', 'x-mcp-header': 'Proto' } }) });

const copied: readonly { name: string; schema: unknown; args: string; headers: [string, string][] }[] = [
  { name: 'a string is copied as it is', schema: one('string'), args: '{"a":"us-west1"}', headers: [['mcp-param-region', 'us-west1']] },
  { name: 'an empty string is copied', schema: one('string'), args: '{"a":""}', headers: [['mcp-param-region', '=?base64??=']] },
  { name: 'a string beyond ASCII is encoded', schema: one('string'), args: '{"a":"é"}', headers: [['mcp-param-region', '=?base64?w6k=?=']] },
  { name: 'line ends do not reach the header', schema: one('string'), args: '{"a":"a\\r\\nb: c"}', headers: [['mcp-param-region', '=?base64?YQ0KYjogYw==?=']] },
  { name: 'an integer is decimal', schema: one('integer'), args: '{"a":-7}', headers: [['mcp-param-region', '-7']] },
  { name: 'an integer with a fraction of zero is one', schema: one('integer'), args: '{"a":42.0}', headers: [['mcp-param-region', '42']] },
  { name: 'the largest integer is exact', schema: one('integer'), args: '{"a":9007199254740991}', headers: [['mcp-param-region', '9007199254740991']] },
  { name: 'a larger number is not copied', schema: one('integer'), args: '{"a":1e300}', headers: [] },
  { name: 'a boolean is lower case', schema: one('boolean'), args: '{"a":false}', headers: [['mcp-param-region', 'false']] },
  { name: 'null is not copied', schema: one('string'), args: '{"a":null}', headers: [] },
  { name: 'what is absent is not copied', schema: one('string'), args: '{"b":"x"}', headers: [] },
  { name: 'containers are not copied', schema: one('string'), args: '{"a":["x"]}', headers: [] },
  { name: 'another type than the declared one is copied', schema: one('string'), args: '{"a":1.5}', headers: [['mcp-param-region', '1.5']] },
  { name: 'a nested value is found at its path', schema: nested, args: '{"a":{"b":"x"},"b":"y"}', headers: [['mcp-param-region', 'x']] },
  { name: 'a path ends at what is no object', schema: nested, args: '{"a":"x"}', headers: [] },
  { name: 'a path does not lead into a list', schema: tool({ a: tool({ 0: region }) }), args: '{"a":["x"]}', headers: [] },
  { name: 'a path does not lead to inherited members', schema: nested, args: '{}', headers: [] },
];

for (const { name, schema, args, headers } of copied) {
  test(`headers: ${name}`, () => {
    assert.deepEqual(values(schema, args), headers);
  });
}

test('only own members of arguments count, whoever made the object', () => {
  const inherited: JsonObject = Object.create({ a: { b: 'x' } });
  assert.deepEqual([...paramHeaderValues(headersOf(nested), inherited)], []);
});

test('without arguments there are no headers', () => {
  assert.deepEqual([...paramHeaderValues(headersOf(one('string')), undefined)], []);
});

const comparisons: readonly { type: ParamHeader['type']; header: string; body: JsonValue; same: boolean }[] = [
  { type: 'string', header: 'us-west1', body: 'us-west1', same: true },
  { type: 'string', header: 'US-west1', body: 'us-west1', same: false },
  { type: 'string', header: '=?base64?w6k=?=', body: 'é', same: true },
  { type: 'string', header: '=?base64?YQ==?=', body: 'a', same: true },
  { type: 'string', header: '=?base64??=', body: '', same: true },
  { type: 'string', header: '', body: '', same: true },
  { type: 'string', header: '=?base64?YQ==?=', body: '=?base64?YQ==?=', same: false },
  { type: 'string', header: '=?base64?%%%%?=', body: '=?base64?%%%%?=', same: false },
  { type: 'string', header: '\xe9', body: '\xe9', same: false },
  { type: 'string', header: '42.0', body: '42', same: false },
  { type: 'string', header: '42.0', body: 42, same: false },
  { type: 'string', header: '42', body: 42, same: true },
  { type: 'string', header: 'null', body: null, same: false },
  { type: 'string', header: '', body: null, same: false },
  { type: 'string', header: '=?base64?%%%%?=', body: null, same: false },
  { type: 'string', header: 'a', body: ['a'], same: false },
  { type: 'string', header: '[object Object]', body: {}, same: false },
  { type: 'integer', header: '42', body: 42, same: true },
  { type: 'integer', header: '42.0', body: 42, same: true },
  { type: 'integer', header: '42.000', body: 42, same: true },
  { type: 'integer', header: '-7', body: -7, same: true },
  { type: 'integer', header: '-0', body: 0, same: true },
  { type: 'integer', header: '=?base64?NDI=?=', body: 42, same: true },
  { type: 'integer', header: '43', body: 42, same: false },
  { type: 'integer', header: '42.', body: 42, same: false },
  { type: 'integer', header: '42.00000000000000000001', body: 42, same: false },
  { type: 'integer', header: '9007199254740990.6', body: 9007199254740991, same: false },
  { type: 'integer', header: '9007199254740991', body: 9007199254740991, same: true },
  { type: 'integer', header: '042', body: 42, same: false },
  { type: 'integer', header: '+42', body: 42, same: false },
  { type: 'integer', header: ' 42', body: 42, same: false },
  { type: 'integer', header: '0x2a', body: 42, same: false },
  { type: 'integer', header: '4.2e1', body: 42, same: false },
  { type: 'integer', header: '', body: 0, same: false },
  { type: 'integer', header: '42', body: '42', same: true },
  { type: 'integer', header: '42.0', body: '42', same: false },
  { type: 'integer', header: '1.5', body: 1.5, same: true },
  { type: 'integer', header: '1e+300', body: 1e300, same: false },
  { type: 'boolean', header: 'true', body: true, same: true },
  { type: 'boolean', header: 'false', body: false, same: true },
  { type: 'boolean', header: 'true', body: false, same: false },
  { type: 'boolean', header: 'True', body: true, same: false },
  { type: 'boolean', header: '1', body: true, same: false },
];

for (const { type, header, body, same } of comparisons) {
  test(`the header ${JSON.stringify(header)} ${same ? 'says' : 'does not say'} what ${JSON.stringify(body)} says as ${type}`, () => {
    assert.equal(sameParamValue(type, header, body), same);
  });
}

const types = fc.constantFrom<ParamHeader['type']>('string', 'integer', 'boolean');
const argument = fc.oneof(fc.string({ unit: 'binary', maxLength: 20 }).filter((value) => value.isWellFormed()), fc.maxSafeInteger(), fc.boolean(), fc.double({ noNaN: true, noDefaultInfinity: true }));

test('the header for a value says what the value says, and not what another says', () => {
  fc.assert(
    fc.property(types, argument, argument, (type, value, other) => {
      const header = paramHeaderValues([{ name: 'A', path: ['a'], type }], { a: value }).get('mcp-param-a');
      if (header === undefined) return;
      assert.equal(sameParamValue(type, header, value), true);
      if (String(other) !== String(value) && !Object.is(value, -0)) assert.equal(sameParamValue(type, header, other), false);
    }),
    { numRuns: 1000 },
  );
});

type Message = { id?: number | string; method: string; params?: { name?: string } };

/** What a client on the published SDK lists of some tools, and the `Mcp-Param-*` headers of a call of each that it lists. */
async function sdkClient(tools: readonly { name: string; inputSchema: unknown }[], args: Record<string, unknown>): Promise<Map<string, [string, string][]>> {
  const sent = new Map<string, [string, string][]>();
  const results = new Map<string, object>([
    ['server/discover', { supportedVersions: ['2026-07-28'], capabilities: { tools: {} } }],
    ['tools/list', { tools }],
    ['tools/call', { content: [] }],
  ]);
  const fetch = (_url: unknown, init?: RequestInit): Promise<Response> => {
    const { id, method, params }: Message = JSON.parse(init?.body as string);
    if (method === 'tools/call') sent.set(params?.name ?? '', [...new Headers(init?.headers)].filter(([name]) => name.startsWith('mcp-param-')));
    const result = { resultType: 'complete', ttlMs: 0, cacheScope: 'private', ...results.get(method) };
    return Promise.resolve(Response.json({ jsonrpc: '2.0', id, result }));
  };
  const client = new Client({ name: 'client', version: '1.0.0' }, { versionNegotiation: { mode: { pin: '2026-07-28' } } });
  await client.connect(new StreamableHTTPClientTransport(new URL('http://server.test/mcp'), { fetch }));
  const listed = await client.listTools();
  for (const { name } of listed.tools) await client.callTool({ name, arguments: args });
  await client.close();
  return sent;
}

/** Where the SDK does not see or mind annotations, and the bounds that it does not have. */
const unseen = /^(?:under (?:contentSchema|default|const|x-own)|in a (?:list of (?:examples|enum)|member of (?:dependencies|x-own))|in a list of lists|in a list in the place of a schema|where properties is a list|as a text among the properties|too often|too long)$/;

test('a client on the published SDK lists the tools with valid schemas and leaves out the others', async (t) => {
  t.mock.method(console, 'warn', () => {});
  const object = (schema: unknown): Record<string, unknown> => ({ ...(schema as Record<string, unknown>), type: 'object' });
  const tools = [...valid, ...invalid.filter(({ schema }) => !Array.isArray(schema))].map(({ name, schema }) => ({ name, inputSchema: object(schema) }));
  const listed = await sdkClient(tools, {});
  const own = tools.filter(({ inputSchema }) => read(inputSchema).kind === 'valid').map(({ name }) => name);
  assert.deepEqual([...listed.keys()].filter((name) => !unseen.test(name)), own);
});

test('a client on the published SDK sends the same headers', async () => {
  for (const { name, schema, args, headers } of copied) {
    const sent = await sdkClient([{ name: 't', inputSchema: schema }], JSON.parse(args));
    // It reaches into lists and prototypes.
    if (!/into a list|inherited/.test(name)) assert.deepEqual(sent.get('t'), headers, name);
  }
});

const schemas = ['string', 'integer', 'boolean'].map((type) => [type, { type: 'object', properties: { a: { type, 'x-mcp-header': 'A' } } }] as const);

const handler = createMcpHandler(
  () => {
    const server = new McpServer({ name: 'server', version: '1.0.0' });
    for (const [name, schema] of schemas) server.registerTool(name, { inputSchema: fromJsonSchema(schema) }, () => ({ content: [] }));
    return server;
  },
  { onerror: () => {} },
);

/** True if a server on the published SDK finds that the header and the argument agree. */
async function sdkServerAgrees(tool: string, header: string, a: JsonValue): Promise<boolean> {
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': 'tools/call',
    'mcp-name': tool,
    'mcp-param-a': header,
  };
  const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: tool, arguments: { a }, _meta: meta } });
  const response = await handler.fetch(new Request('http://server.test/mcp', { method: 'POST', headers, body }));
  const text = await response.text();
  assert.match(text, /"(?:result|error)":/);
  return !text.includes('"code":-32020');
}

test('a server on the published SDK finds the same headers right, and all those wrong that are wrong but for rounding', async () => {
  for (const { type, header, body, same } of comparisons) {
    const uncheckable = body === null || typeof body === 'object' || body === 1e300 || header.trim() !== header || header.includes('\xe9');
    const laxer = type === 'integer' && /^(?:042|42\.0+1|9007199254740990\.6)$/.test(header);
    if (!uncheckable) assert.equal(await sdkServerAgrees(type, header, body), same || laxer, `${type} ${header}`);
  }
});
