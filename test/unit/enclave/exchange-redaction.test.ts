// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import type { Redact, RedactedMessage } from '../../../enclave/exchange/redaction.ts';
import { redactError, redactRequest, redactResult } from '../../../enclave/exchange/redaction.ts';
import { createRedactor, UNCHECKED } from '../../../enclave/policy/redact.ts';
import type { RedactionPattern } from '../../../enclave/policy/types.ts';
import type { Direction } from '../../../shared/audit/row.ts';
import type { JsonObject, JsonValue } from '../../../shared/json/value.ts';

const S = 's3cret';
const R = '[X]';
const base64 = (text: string): string => Buffer.from(text).toString('base64');

function redactWith(patterns: readonly Partial<RedactionPattern>[], now?: () => number): Redact {
  const full = patterns.map((one) => ({ name: 'test', source: S, replacement: R, ...one }));
  const redactor = createRedactor({ patterns: full, ...(now === undefined ? {} : { now }) });
  return (_direction, value) => redactor.redact(value);
}

const redact = redactWith([{}]);
const plain = (value: JsonValue): JsonValue => JSON.parse(JSON.stringify(value)) as JsonValue;

/** `S` becomes `R` in what is redacted; `keep!` marks what must stay although it holds the secret. */
const KEPT = `keep-${S}`;

async function request(dir: Direction, method: string, params: JsonObject, by: Redact = redact): Promise<{ params: JsonValue; made: RedactedMessage }> {
  const made = await redactRequest(by, dir, method, { jsonrpc: '2.0', id: KEPT, method, params });
  assert.deepEqual([made.value['jsonrpc'], made.value['id'], made.value['method']], ['2.0', KEPT, method]);
  return { params: plain(made.value['params'] ?? null), made };
}

async function result(dir: Direction, method: string, value: JsonObject, by: Redact = redact): Promise<{ result: JsonValue; made: RedactedMessage }> {
  const made = await redactResult(by, dir, method, { jsonrpc: '2.0', id: KEPT, result: value });
  assert.deepEqual([made.value['jsonrpc'], made.value['id']], ['2.0', KEPT]);
  return { result: plain(made.value['result'] ?? null), made };
}

const META_BEFORE: JsonObject = { progressToken: KEPT, 'io.modelcontextprotocol/protocolVersion': KEPT, 'io.modelcontextprotocol/clientCapabilities': { x: KEPT }, 'io.modelcontextprotocol/other': S, [S]: { a: S } };
const META_AFTER: JsonObject = { progressToken: KEPT, 'io.modelcontextprotocol/protocolVersion': KEPT, 'io.modelcontextprotocol/clientCapabilities': { x: KEPT }, 'io.modelcontextprotocol/other': R, [R]: { a: R } };

const REQUESTS: readonly (readonly [dir: Direction, method: string, before: JsonObject, after: JsonObject])[] = [
  [
    'c2s',
    'tools/call',
    { name: KEPT, arguments: { [S]: [{ a: S, n: 1 }], name: S, taskId: S }, requestState: KEPT, task: { ttl: 5 }, other: S, _meta: META_BEFORE, inputResponses: { [KEPT]: { action: 'accept', content: { [S]: S } } } },
    { name: KEPT, arguments: { [R]: [{ a: R, n: 1 }], name: R, taskId: R }, requestState: KEPT, task: { ttl: 5 }, other: R, _meta: META_AFTER, inputResponses: { [KEPT]: { action: 'accept', content: { [R]: R } } } },
  ],
  [
    'c2s',
    'tools/call',
    { name: 't', inputResponses: { a: { role: 'assistant', model: S, content: { type: 'text', text: S } }, b: { roots: [{ uri: `file:///${S}`, name: S }] }, c: { role: S, content: [{ type: 'image', data: KEPT }] } } },
    { name: 't', inputResponses: { a: { role: 'assistant', model: R, content: { type: 'text', text: R } }, b: { roots: [{ uri: `file:///${R}`, name: R }] }, c: { role: R, content: [{ type: 'image', data: KEPT }] } } },
  ],
  ['c2s', 'prompts/get', { name: KEPT, arguments: { q: S } }, { name: KEPT, arguments: { q: R } }],
  ['c2s', 'resources/read', { uri: KEPT, other: S }, { uri: KEPT, other: R }],
  ['c2s', 'resources/subscribe', { uri: KEPT }, { uri: KEPT }],
  [
    'c2s',
    'completion/complete',
    { ref: { type: 'ref/prompt', name: KEPT }, argument: { name: KEPT, value: S }, context: { arguments: { [S]: S } } },
    { ref: { type: 'ref/prompt', name: KEPT }, argument: { name: KEPT, value: R }, context: { arguments: { [R]: R } } },
  ],
  ['c2s', 'tools/list', { cursor: KEPT, other: S }, { cursor: KEPT, other: R }],
  ['c2s', 'initialize', { protocolVersion: KEPT, capabilities: { a: KEPT }, clientInfo: { name: S, title: S } }, { protocolVersion: KEPT, capabilities: { a: KEPT }, clientInfo: { name: R, title: R } }],
  ['c2s', 'logging/setLevel', { level: 'debug' }, { level: 'debug' }],
  ['c2s', 'subscriptions/listen', { notifications: { resourceSubscriptions: [KEPT] } }, { notifications: { resourceSubscriptions: [KEPT] } }],
  ['c2s', 'tasks/get', { taskId: KEPT }, { taskId: KEPT }],
  ['c2s', 'tasks/update', { taskId: KEPT, inputResponses: { k: { action: 'accept', content: { a: S } } } }, { taskId: KEPT, inputResponses: { k: { action: 'accept', content: { a: R } } } }],
  ['c2s', 'notifications/progress', { progressToken: KEPT, progress: 1, total: 2, message: S }, { progressToken: KEPT, progress: 1, total: 2, message: R }],
  ['c2s', 'notifications/cancelled', { requestId: KEPT, reason: S }, { requestId: KEPT, reason: R }],
  ['c2s', 'vendor/unknown', { name: S, uri: S, cursor: KEPT }, { name: R, uri: R, cursor: KEPT }],
  ['s2c', 'notifications/message', { level: 'info', logger: S, data: { [S]: [S] } }, { level: 'info', logger: R, data: { [R]: [R] } }],
  ['s2c', 'notifications/message', { level: S, data: S }, { level: R, data: R }],
  ['s2c', 'notifications/progress', { progressToken: KEPT, progress: 3, message: S }, { progressToken: KEPT, progress: 3, message: R }],
  ['s2c', 'notifications/tasks/status', { taskId: KEPT, status: 'working', statusMessage: S, ttl: 4 }, { taskId: KEPT, status: 'working', statusMessage: R, ttl: 4 }],
  [
    's2c',
    'notifications/tasks',
    { taskId: KEPT, status: 'completed', result: { content: [{ type: 'text', text: S }] }, error: { code: 1, message: S } },
    { taskId: KEPT, status: 'completed', result: { content: [{ type: 'text', text: R }] }, error: { code: 1, message: R } },
  ],
  ['s2c', 'notifications/resources/updated', { uri: KEPT, title: S }, { uri: KEPT, title: R }],
  ['s2c', 'notifications/cancelled', { requestId: KEPT, reason: S }, { requestId: KEPT, reason: R }],
  [
    's2c',
    'sampling/createMessage',
    { messages: [{ role: 'user', content: { type: 'text', text: S } }, { role: 'user', content: [{ type: 'tool_result', toolUseId: KEPT, content: [{ type: 'text', text: S }], structuredContent: { a: S } }] }], systemPrompt: S, maxTokens: 100, includeContext: 'none', metadata: { [S]: S }, tools: [{ name: KEPT, description: S, inputSchema: { type: 'object', properties: { a: { type: 'string', title: S } } } }] },
    { messages: [{ role: 'user', content: { type: 'text', text: R } }, { role: 'user', content: [{ type: 'tool_result', toolUseId: KEPT, content: [{ type: 'text', text: R }], structuredContent: { a: R } }] }], systemPrompt: R, maxTokens: 100, includeContext: 'none', metadata: { [R]: R }, tools: [{ name: KEPT, description: R, inputSchema: { type: 'object', properties: { a: { type: 'string', title: R } } } }] },
  ],
  [
    's2c',
    'elicitation/create',
    { mode: 'form', message: S, requestedSchema: { type: 'object', properties: { type: { type: ['string', 'null'], description: S, minLength: 3, default: S }, b: { type: S, enum: [S, 'x'] } }, required: ['type'] } },
    { mode: 'form', message: R, requestedSchema: { type: 'object', properties: { type: { type: ['string', 'null'], description: R, minLength: 3, default: R }, b: { type: R, enum: [R, 'x'] } }, required: ['type'] } },
  ],
  ['s2c', 'elicitation/create', { mode: 'url', url: KEPT, elicitationId: KEPT, message: S }, { mode: 'url', url: KEPT, elicitationId: KEPT, message: R }],
];

for (const [dir, method, before, after] of REQUESTS) {
  test(`of ${method} (${dir}) what is content is redacted, and what routes it stays: ${Object.keys(before).join(', ')}`, async () => {
    const { params, made } = await request(dir, method, before);
    assert.deepEqual(params, after);
    const changed = JSON.stringify(params).split(R).length - 1;
    assert.deepEqual([made.count, made.masked], [changed, 0]);
  });
}

const RESULTS: readonly (readonly [dir: Direction, method: string, before: JsonObject, after: JsonObject])[] = [
  [
    's2c',
    'tools/call',
    {
      content: [
        { type: 'text', text: S, annotations: { audience: ['user'], priority: 1 }, _meta: META_BEFORE },
        { type: 'image', data: KEPT, mimeType: KEPT },
        { type: 'audio', data: KEPT, mimeType: 'audio/wav', other: S },
        { type: 'resource', resource: { uri: KEPT, mimeType: KEPT, text: S } },
        { type: 'resource', resource: { uri: KEPT, blob: base64(`a ${S} b`) } },
        { type: 'resource_link', uri: KEPT, name: S, description: S, size: 7 },
        { type: 'other', uri: S, data: S, text: S },
        { type: S, text: S },
        S,
      ],
      isError: true,
      resultType: 'complete',
      [S]: S,
      _meta: META_BEFORE,
    },
    {
      content: [
        { type: 'text', text: R, annotations: { audience: ['user'], priority: 1 }, _meta: META_AFTER },
        { type: 'image', data: KEPT, mimeType: KEPT },
        { type: 'audio', data: KEPT, mimeType: 'audio/wav', other: R },
        { type: 'resource', resource: { uri: KEPT, mimeType: KEPT, text: R } },
        { type: 'resource', resource: { uri: KEPT, blob: base64(`a ${R} b`) } },
        { type: 'resource_link', uri: KEPT, name: R, description: R, size: 7 },
        { type: 'other', uri: R, data: R, text: R },
        { type: R, text: R },
        R,
      ],
      isError: true,
      resultType: 'complete',
      [R]: R,
      _meta: META_AFTER,
    },
  ],
  ['s2c', 'tools/call', { structuredContent: { [S]: [S, 1, null] }, isError: S, resultType: S }, { structuredContent: { [R]: [R, 1, null] }, isError: R, resultType: R }],
  ['s2c', 'tools/call', { content: { type: 'text', text: S } }, { content: { type: 'text', text: R } }],
  ['s2c', 'tools/call', { content: S }, { content: R }],
  [
    's2c',
    'tools/call',
    { resultType: 'input_required', requestState: KEPT, inputRequests: { [KEPT]: { method: 'elicitation/create', params: { mode: 'form', message: S, requestedSchema: { type: 'object' } } }, b: { method: 'sampling/createMessage', params: { messages: [{ role: 'user', content: [{ type: 'text', text: S }] }], maxTokens: 5 } } } },
    { resultType: 'input_required', requestState: KEPT, inputRequests: { [KEPT]: { method: 'elicitation/create', params: { mode: 'form', message: R, requestedSchema: { type: 'object' } } }, b: { method: 'sampling/createMessage', params: { messages: [{ role: 'user', content: [{ type: 'text', text: R }] }], maxTokens: 5 } } } },
  ],
  ['s2c', 'tools/call', { resultType: 'task', taskId: KEPT, status: 'working', statusMessage: S, createdAt: KEPT }, { resultType: 'task', taskId: KEPT, status: 'working', statusMessage: R, createdAt: KEPT }],
  ['s2c', 'tools/call', { task: { taskId: KEPT, status: 'working', statusMessage: S } }, { task: { taskId: KEPT, status: 'working', statusMessage: R } }],
  ['s2c', 'tasks/result', { content: [{ type: 'text', text: S }], structuredContent: { a: S } }, { content: [{ type: 'text', text: R }], structuredContent: { a: R } }],
  [
    's2c',
    'tasks/get',
    { taskId: KEPT, status: 'completed', result: { content: [{ type: 'text', text: S }], resultType: 'complete' }, error: { code: 3, message: S } },
    { taskId: KEPT, status: 'completed', result: { content: [{ type: 'text', text: R }], resultType: 'complete' }, error: { code: 3, message: R } },
  ],
  ['s2c', 'tasks/list', { tasks: [{ taskId: KEPT, statusMessage: S }], nextCursor: KEPT }, { tasks: [{ taskId: KEPT, statusMessage: R }], nextCursor: KEPT }],
  ['s2c', 'prompts/get', { description: S, messages: [{ role: 'user', content: { type: 'text', text: S } }, { role: 'assistant', content: { type: 'resource', resource: { uri: KEPT, text: S } } }] }, { description: R, messages: [{ role: 'user', content: { type: 'text', text: R } }, { role: 'assistant', content: { type: 'resource', resource: { uri: KEPT, text: R } } }] }],
  ['s2c', 'resources/read', { contents: [{ uri: KEPT, mimeType: KEPT, text: S, _meta: { a: S } }, { uri: KEPT, blob: base64(S) }], ttlMs: 5, cacheScope: 'private' }, { contents: [{ uri: KEPT, mimeType: KEPT, text: R, _meta: { a: R } }, { uri: KEPT, blob: base64(R) }], ttlMs: 5, cacheScope: 'private' }],
  ['s2c', 'completion/complete', { completion: { values: [S, 'b'], total: 2, hasMore: false } }, { completion: { values: [R, 'b'], total: 2, hasMore: false } }],
  ['s2c', 'resources/list', { resources: [{ uri: KEPT, name: KEPT, title: S, description: S }], nextCursor: KEPT }, { resources: [{ uri: KEPT, name: KEPT, title: R, description: R }], nextCursor: KEPT }],
  ['s2c', 'resources/templates/list', { resourceTemplates: [{ uriTemplate: KEPT, name: KEPT, description: S }] }, { resourceTemplates: [{ uriTemplate: KEPT, name: KEPT, description: R }] }],
  ['s2c', 'prompts/list', { prompts: [{ name: KEPT, description: S, arguments: [{ name: KEPT, description: S, required: true }] }] }, { prompts: [{ name: KEPT, description: R, arguments: [{ name: KEPT, description: R, required: true }] }] }],
  ['s2c', 'tools/list', { tools: [{ name: KEPT, description: KEPT }], nextCursor: KEPT, other: S }, { tools: [{ name: KEPT, description: KEPT }], nextCursor: KEPT, other: R }],
  ['s2c', 'initialize', { protocolVersion: KEPT, capabilities: { a: KEPT }, serverInfo: { name: S }, instructions: S }, { protocolVersion: KEPT, capabilities: { a: KEPT }, serverInfo: { name: R }, instructions: R }],
  ['s2c', 'vendor/unknown', { anything: { [S]: S }, content: [{ type: 'image', data: S }] }, { anything: { [R]: R }, content: [{ type: 'image', data: R }] }],
  ['c2s', 'sampling/createMessage', { role: 'assistant', content: [{ type: 'text', text: S }, { type: 'tool_use', id: KEPT, name: KEPT, input: { [S]: S } }], model: S, stopReason: 'endTurn' }, { role: 'assistant', content: [{ type: 'text', text: R }, { type: 'tool_use', id: KEPT, name: KEPT, input: { [R]: R } }], model: R, stopReason: 'endTurn' }],
  ['c2s', 'elicitation/create', { action: 'accept', content: { a: S, type: 'image', data: S, n: 3 } }, { action: 'accept', content: { a: R, type: 'image', data: R, n: 3 } }],
  ['c2s', 'roots/list', { roots: [{ uri: `file:///home/${S}`, name: S }] }, { roots: [{ uri: `file:///home/${R}`, name: R }] }],
  ['c2s', 'tasks/get', { taskId: KEPT, status: 'working', statusMessage: S }, { taskId: KEPT, status: 'working', statusMessage: R }],
];

for (const [dir, method, before, after] of RESULTS) {
  test(`of an answer to ${method} (${dir}) what is content is redacted, and the rest stays: ${Object.keys(before).join(', ')}`, async () => {
    assert.deepEqual((await result(dir, method, before)).result, after);
  });
}

test('of an error the message and data are redacted, and the code and what has to be opened stay', async () => {
  const error = { code: -32042, message: S, data: { [S]: S, elicitations: [{ mode: 'url', url: KEPT, elicitationId: KEPT, message: S }] } };
  const made = await redactError(redact, 's2c', { jsonrpc: '2.0', id: KEPT, error });
  assert.deepEqual(plain(made.value), { jsonrpc: '2.0', id: KEPT, error: { code: -32042, message: R, data: { [R]: R, elicitations: [{ mode: 'url', url: KEPT, elicitationId: KEPT, message: R }] } } });
  assert.equal(made.count, 4);
  assert.equal((await redactError(redact, 's2c', { jsonrpc: '2.0', id: 1, error: { code: 1, message: S, data: S } })).count, 2);
});

test('a message in which nothing matches, and one without content, is the same object', async () => {
  for (const value of [{ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: KEPT, arguments: { a: [1, 'b'] } } }, { jsonrpc: '2.0', method: 'ping' }, { jsonrpc: '2.0', method: 'x', params: [] }]) {
    assert.deepEqual(await redactRequest(redact, 'c2s', value.method, value), { value, count: 0, masked: 0 });
    assert.equal((await redactRequest(redact, 'c2s', value.method, value)).value, value);
  }
  const value = { jsonrpc: '2.0', id: 1, result: { content: [{ type: 'text', text: 'fine' }] } };
  assert.equal((await redactResult(redact, 's2c', 'tools/call', value)).value, value);
});

test('names of the protocol stay, whatever the patterns say', async () => {
  const all = redactWith([{ source: 'content|text|type|arguments|name|a' }]);
  const { params, made } = await request('c2s', 'tools/call', { name: 'name', arguments: { name: 'a' } }, all);
  assert.deepEqual(params, { name: 'name', arguments: { [R]: R } });
  assert.equal(made.count, 2);
  assert.deepEqual((await result('s2c', 'tools/call', { content: [{ type: 'text', text: 'text' }] }, all)).result, { content: [{ type: 'text', text: R }] });
});

test('a member never takes the name of one that routes the message', async () => {
  const renames = redactWith([{ source: 'zzz', replacement: 'name' }]);
  const { params } = await request('c2s', 'tools/call', { zzz: 'evil', name: 'good', arguments: { zzz: 1 } }, renames);
  assert.deepEqual(params, { 'name#2': 'evil', name: 'good', arguments: { name: 1 } });
  const swaps = redactWith([{ source: 'name', replacement: 'q' }, { source: 'zzz', replacement: 'name' }]);
  const swapped = await request('c2s', 'tools/call', { zzz: 'evil', name: 'good' }, swaps);
  assert.deepEqual(swapped.params, { 'name#2': 'evil', name: 'good' });
});

test('the text twin of structured content says the same after redaction', async () => {
  const structuredContent = { user: { [S]: S, n: 1 }, list: [S] };
  const after = { user: { [R]: R, n: 1 }, list: [R] };
  for (const indent of [0, 2]) {
    const text = JSON.stringify({ list: structuredContent.list, user: structuredContent.user }, null, indent);
    const made = await result('s2c', 'tools/call', { content: [{ type: 'text', text: `see ${S}` }, { type: 'text', text }], structuredContent });
    const { content, structuredContent: structured } = made.result as { content: { text: string }[]; structuredContent: JsonValue };
    assert.deepEqual(structured, after);
    assert.equal(content[0]?.text, `see ${R}`);
    assert.equal(content[1]?.text, JSON.stringify(after, null, indent));
  }
  const task = await result('s2c', 'tasks/get', { taskId: 't', result: { content: [{ type: 'text', text: JSON.stringify(structuredContent) }], structuredContent } });
  assert.ok(JSON.stringify(task.result).includes(JSON.stringify(JSON.stringify(after))));
});

test('the text twin agrees where a pattern would change the two differently', async () => {
  const numbers = redactWith([{ source: '\\b42\\b', replacement: '"' }]);
  const structuredContent = { a: 42, b: 'x' };
  const made = await result('s2c', 'tools/call', { content: [{ type: 'text', text: JSON.stringify(structuredContent) }], structuredContent }, numbers);
  assert.deepEqual(made.result, { content: [{ type: 'text', text: '{"a":"\\"","b":"x"}' }], structuredContent: { a: '"', b: 'x' } });
  // What the policy takes out of texts stays out, even where the structure has it in two places.
  const spanning = redactWith([{ source: '"b":"y"' }, { source: S }]);
  const other = await result('s2c', 'tools/call', { content: [{ type: 'text', text: `{"a":"${S}","b":"y"}` }], structuredContent: { a: S, b: 'y' } }, spanning);
  assert.deepEqual(other.result, { content: [{ type: 'text', text: `{"a":"${R}",${R}}` }], structuredContent: { a: R, b: 'y' } });
});

test('a secret in parts of a message is found across its blocks', async () => {
  const decoding = redactWith([{ decode: true }]);
  const content = [{ type: 'text', text: `it is ${S.slice(0, 3)}` }, { type: 'image', data: 'AAAA', mimeType: 'image/png' }, { type: 'text', text: `${S.slice(3)} there` }];
  const { result: made } = await result('s2c', 'tools/call', { content }, decoding);
  assert.deepEqual(made, { content: [{ type: 'text', text: `it is ${R}` }, content[1], { type: 'text', text: `${R} there` }] });
});

test('what could not be checked in time is masked, and the message still goes where it should', async () => {
  let time = 0;
  const late = redactWith([{}], () => (time += 1000));
  const { params, made } = await request('c2s', 'tools/call', { name: KEPT, arguments: { a: 'b' }, _meta: { progressToken: 7 } }, late);
  assert.deepEqual(params, { name: KEPT, arguments: { [UNCHECKED]: UNCHECKED }, _meta: { progressToken: 7 } });
  assert.deepEqual([made.count, made.masked], [2, 2]);
});

test('a blob that is no text goes through as it is, and one that holds the secret as its text does not', async () => {
  const binary = Buffer.from([0xff, 0xd8, 0x00, 0x80]).toString('base64');
  const { result: made } = await result('s2c', 'resources/read', { contents: [{ uri: 'a', blob: binary }, { uri: 'b', blob: S }, { uri: 'c', blob: { a: S } }, { uri: 'd', blob: base64('fine') }] });
  assert.deepEqual(made, { contents: [{ uri: 'a', blob: binary }, { uri: 'b', blob: R }, { uri: 'c', blob: { a: R } }, { uri: 'd', blob: base64('fine') }] });
});

test('no message is too odd for it, none keeps the secret outside of what routes it, and none changes its shape', async () => {
  const key = fc.constantFrom('content', 'text', 'type', 'resource', 'blob', 'messages', 'structuredContent', 'result', 'error', 'arguments', 'params', 'contents', '1', S, 'q');
  const leaf = fc.constantFrom<JsonValue>(S, 'text', 'resource', 1, true, null);
  const { value: arbitrary } = fc.letrec<{ value: JsonValue }>((tie) => ({
    value: fc.oneof({ maxDepth: 4 }, leaf, fc.array(tie('value'), { maxLength: 3 }), fc.dictionary(key, tie('value'), { maxKeys: 4, noNullPrototype: true })),
  }));
  const methods = fc.constantFrom('tools/call', 'prompts/get', 'resources/read', 'completion/complete', 'tasks/result', 'tasks/get', 'sampling/createMessage', 'elicitation/create', 'roots/list', 'x');
  const shape = (value: JsonValue): unknown => (Array.isArray(value) ? value.map(shape) : value !== null && typeof value === 'object' ? Object.values(value).map(shape) : 0);
  await fc.assert(
    fc.asyncProperty(arbitrary, methods, fc.constantFrom<Direction>('c2s', 's2c'), async (value, method, dir) => {
      const messages = [
        await redactRequest(redact, dir, method, { params: value }),
        await redactResult(redact, dir, method, { result: value }),
        await redactError(redact, dir, { error: value }),
      ];
      for (const made of messages) {
        const [after] = Object.values(made.value);
        assert.deepEqual(shape(after ?? null), shape(value));
        assert.ok(!JSON.stringify(after).includes(S), JSON.stringify(after));
      }
    }),
    { numRuns: 500 },
  );
});
