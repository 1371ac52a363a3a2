// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Direction } from '../../../../shared/audit/row.ts';
import { wireJson } from '../../../../shared/json/canonical.ts';
import type { JsonObject } from '../../../../shared/json/value.ts';
import { isJsonObject, jsonObject } from '../../../../shared/json/value.ts';
import type { Decoded, Malformed, Message } from '../../../../shared/jsonrpc/message.ts';
import {
  decodeMessage,
  errorMessage,
  notificationMessage,
  requestMessage,
  resultMessage,
} from '../../../../shared/jsonrpc/message.ts';
import { jsonValue } from '../json/arbitrary.ts';

const decode = (text: string, direction: Direction = 'c2s'): Decoded => decodeMessage(Buffer.from(text), direction);

function single(text: string, direction?: Direction): Message | Malformed {
  const decoded = decode(text, direction);
  return decoded.kind === 'single' ? decoded.element : assert.fail(`${decoded.kind} instead of one message`);
}

/** The refusal of a text, at whatever level. */
function refusal(text: string, direction?: Direction): Malformed {
  const decoded = decode(text, direction);
  const found = decoded.kind === 'single' ? decoded.element : decoded;
  return found.kind === 'malformed' ? found : assert.fail(`${found.kind} instead of a refusal`);
}

const wellFormed: readonly (readonly [string, string])[] = [
  ['request', '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'],
  ['request', '{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"x","arguments":{}}}'],
  ['request', '{"jsonrpc":"2.0","id":0,"method":"ping","params":{}}'],
  ['request', '{"jsonrpc":"2.0","id":-9007199254740991,"method":"ping"}'],
  ['request', '{"jsonrpc":"2.0","id":"","method":"ping"}'],
  ['request', '{"method":"ping","params":{"own":{"Method":1}},"id":1,"jsonrpc":"2.0"}'],
  ['request', '{"jsonrpc":"2.0","id":1,"m\\u0065thod":"tools\\/list"}'],
  ['request', ' \t{"jsonrpc":"2.0","id":1,"method":"ping"}\r'],
  ['notification', '{"jsonrpc":"2.0","method":"notifications/initialized"}'],
  ['notification', '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":0.5}}'],
  ['result', '{"jsonrpc":"2.0","id":1,"result":{}}'],
  ['result', '{"jsonrpc":"2.0","id":"1","result":{"content":[],"isError":false,"other":1}}'],
  ['error', '{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no"}}'],
  ['error', '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no","data":null}}'],
  ['error', '{"jsonrpc":"2.0","error":{"code":-32700,"message":"no","data":{"a":1},"extra":1}}'],
];

for (const [kind, text] of wellFormed) {
  test(`in both directions, ${text} is a ${kind} and is kept whole`, () => {
    for (const direction of ['c2s', 's2c'] as const) {
      const message = single(text, direction);
      assert.equal(message.kind, kind);
      assert.ok(message.kind !== 'malformed');
      assert.equal(wireJson(message.value), JSON.stringify(JSON.parse(text)));
    }
  });
}

test('the parts of each kind of message are what the text says', () => {
  const request = single('{"jsonrpc":"2.0","id":7,"method":"m","params":{"a":1}}');
  assert.ok(request.kind === 'request');
  assert.deepEqual([request.id, request.method, { ...request.params }], [7, 'm', { a: 1 }]);
  const notification = single('{"jsonrpc":"2.0","method":"n"}');
  assert.ok(notification.kind === 'notification');
  assert.deepEqual([notification.method, 'params' in notification, 'id' in notification], ['n', false, false]);
  const result = single('{"jsonrpc":"2.0","id":"7","result":{"b":2}}');
  assert.ok(result.kind === 'result');
  assert.deepEqual([result.id, { ...result.result }], ['7', { b: 2 }]);
  const failed = single('{"jsonrpc":"2.0","error":{"code":3,"message":"m","data":[1]}}');
  assert.ok(failed.kind === 'error');
  assert.deepEqual([failed.id, failed.error], [null, { code: 3, message: 'm', data: [1] }]);
});

interface Refused {
  readonly text: string;
  readonly code: string;
  readonly id?: string | number;
  readonly request?: boolean;
}

const call = (members: string): string => `{"jsonrpc":"2.0",${members}}`;

/** Refused in both directions. */
const refused: readonly Refused[] = [
  // Envelope.
  { text: '1', code: 'ENVELOPE_INVALID' },
  { text: '"x"', code: 'ENVELOPE_INVALID' },
  { text: 'null', code: 'ENVELOPE_INVALID' },
  { text: '{}', code: 'JSONRPC_VERSION', request: false },
  { text: '{"jsonrpc":"2.0"}', code: 'ENVELOPE_INVALID', request: false },
  { text: '{"id":1,"method":"ping"}', code: 'JSONRPC_VERSION', id: 1, request: true },
  { text: '{"jsonrpc":"1.0","id":1,"method":"ping"}', code: 'JSONRPC_VERSION', id: 1, request: true },
  { text: '{"jsonrpc":2.0,"id":1,"method":"ping"}', code: 'JSONRPC_VERSION', id: 1, request: true },
  { text: call('"id":1'), code: 'ENVELOPE_INVALID', id: 1, request: false },
  { text: call('"id":1,"method":"ping","result":{}'), code: 'ENVELOPE_INVALID', id: 1, request: false },
  { text: call('"id":1,"method":"ping","error":{"code":1,"message":""}'), code: 'ENVELOPE_INVALID', id: 1, request: false },
  { text: call('"id":1,"result":{},"error":{"code":1,"message":""}'), code: 'ENVELOPE_INVALID', id: 1, request: false },
  { text: call('"id":1,"result":{},"params":{}'), code: 'ENVELOPE_INVALID', id: 1, request: false },
  { text: call('"id":1,"result":null'), code: 'ENVELOPE_INVALID', id: 1, request: false },
  { text: call('"id":1,"result":[]'), code: 'ENVELOPE_INVALID', id: 1, request: false },
  { text: call('"id":1,"error":"no"'), code: 'ENVELOPE_INVALID', id: 1, request: false },
  { text: call('"id":1,"error":{"message":"no"}'), code: 'ENVELOPE_INVALID', id: 1, request: false },
  { text: call('"id":1,"error":{"code":1.5,"message":"no"}'), code: 'ENVELOPE_INVALID', id: 1, request: false },
  { text: call('"id":1,"error":{"code":"1","message":"no"}'), code: 'ENVELOPE_INVALID', id: 1, request: false },
  { text: call('"id":1,"error":{"code":1}'), code: 'ENVELOPE_INVALID', id: 1, request: false },
  { text: call('"id":1,"method":"ping","extra":1'), code: 'ENVELOPE_KEY', id: 1, request: true },
  { text: call('"id":1,"method":"ping","_meta":{}'), code: 'ENVELOPE_KEY', id: 1, request: true },
  { text: call('"id":1,"Method":"tools/call"'), code: 'ENVELOPE_KEY', id: 1, request: false },
  { text: call('"id":1,"method":"ping","param\u017f":{}'), code: 'ENVELOPE_KEY', id: 1, request: true },
  { text: call('"Id":1,"method":"ping"'), code: 'ENVELOPE_KEY', request: false },
  // Ids.
  { text: call('"id":null,"method":"ping"'), code: 'ID_INVALID', request: true },
  { text: call('"id":{},"method":"ping"'), code: 'ID_INVALID', request: true },
  { text: call('"id":[1],"method":"ping"'), code: 'ID_INVALID', request: true },
  { text: call('"id":true,"method":"ping"'), code: 'ID_INVALID', request: true },
  { text: call('"id":1.5,"method":"ping"'), code: 'ID_INVALID', request: true },
  { text: call('"id":1.0,"method":"ping"'), code: 'ID_INVALID', request: true },
  { text: call('"id":1e0,"method":"ping"'), code: 'ID_INVALID', request: true },
  { text: call('"id":-0,"method":"ping"'), code: 'ID_INVALID', request: true },
  { text: call('"id":9007199254740993,"method":"ping"'), code: 'INTEGER_UNSAFE', request: true },
  { text: call(`"id":"${'a'.repeat(257)}","method":"ping"`), code: 'ID_INVALID', request: true },
  { text: call('"id":1.0,"result":{}'), code: 'ID_INVALID', request: false },
  { text: call('"id":1e0,"result":{}'), code: 'ID_INVALID', request: false },
  { text: call('"id":null,"result":{}'), code: 'ID_INVALID', request: false },
  { text: call('"result":{}'), code: 'ID_INVALID', request: false },
  { text: call('"id":{},"error":{"code":1,"message":""}'), code: 'ID_INVALID', request: false },
  // Methods and params.
  { text: call('"id":1,"method":""'), code: 'METHOD_INVALID', id: 1, request: true },
  { text: call('"id":1,"method":1'), code: 'METHOD_INVALID', id: 1, request: true },
  { text: call('"id":1,"method":null'), code: 'METHOD_INVALID', id: 1, request: true },
  { text: call('"id":1,"method":"tools/call\\n"'), code: 'METHOD_INVALID', id: 1, request: true },
  { text: call('"id":1,"method":"a\\u0000"'), code: 'METHOD_INVALID', id: 1, request: true },
  { text: call('"id":1,"method":"a\u0085"'), code: 'METHOD_INVALID', id: 1, request: true },
  { text: call(`"id":1,"method":"${'a'.repeat(129)}"`), code: 'METHOD_INVALID', id: 1, request: true },
  { text: call('"id":1,"method":"ping","params":[]'), code: 'PARAMS_INVALID', id: 1, request: true },
  { text: call('"id":1,"method":"ping","params":null'), code: 'PARAMS_INVALID', id: 1, request: true },
  { text: call('"method":"ping","params":"x"'), code: 'PARAMS_INVALID', request: false },
  ...['Name', 'NAME', 'Arguments', 'argument\u017f', '_META', 'URI', 'Cursor', 'requestid', 'progresstoken', 'ProtocolVersion', 'Capabilities', 'clientinfo', '\uff4eame'].map(
    (key) => ({ text: call(`"id":1,"method":"m","params":{"${key}":1}`), code: 'ENVELOPE_KEY', id: 1, request: true }),
  ),
  ...['progresstoken', 'io.modelcontextprotocol/ProtocolVersion', 'IO.modelcontextprotocol/clientCapabilities'].map((key) => ({
    text: call(`"id":1,"method":"m","params":{"_meta":{"${key}":1}}`),
    code: 'ENVELOPE_KEY',
    id: 1,
    request: true,
  })),
  ...['Tools', 'CONTENT', 'structuredcontent', 'iserror', 'NextCursor', 'resulttype', 'InputRequests', '_Meta', 'Resources', 'prompt\u017f', 'Messages', 'Contents', 'in\u017ftructions', 'Capabilities', 'protocolversion', 'serverinfo'].map(
    (key) => ({ text: call(`"id":1,"result":{"${key}":1}`), code: 'ENVELOPE_KEY', id: 1, request: false }),
  ),
  { text: call('"id":1,"error":{"code":1,"message":"","Data":1}'), code: 'ENVELOPE_KEY', id: 1, request: false },
  // Batches.
  { text: '[]', code: 'BATCH_EMPTY' },
  { text: `[${Array.from({ length: 65 }, () => call('"method":"n"')).join(',')}]`, code: 'BATCH_TOO_LARGE' },
  // JSON: the id is read only where the rest still is one message.
  { text: call('"id":1,"method":"a","method":"b"'), code: 'KEY_DUPLICATE', id: 1, request: true },
  { text: call('"id":1,"method":"tools/call","params":{"name":"a","name":"b"}'), code: 'KEY_DUPLICATE', id: 1, request: true },
  { text: call('"id":1,"result":{},"result":{}'), code: 'KEY_DUPLICATE', id: 1, request: false },
  { text: call('"method":"n","params":{"a":1,"a":2}'), code: 'KEY_DUPLICATE', request: false },
  { text: call('"id":1,"id":2,"method":"a"'), code: 'KEY_DUPLICATE', request: true },
  { text: call('"id":1,"i\\u0064":1,"method":"a"'), code: 'KEY_DUPLICATE', request: true },
  { text: call('"id":"x","method":"a","params":{"__proto__":{"id":3}}'), code: 'KEY_FORBIDDEN', id: 'x', request: true },
  { text: call('"method":"a","params":{"n":12345678901234567890},"id":5'), code: 'INTEGER_UNSAFE', id: 5, request: true },
  { text: call('"method":"a","params":{"n":1e999,"s":"\\"id\\":7,}{"},"id":5'), code: 'NUMBER_RANGE', id: 5, request: true },
  { text: call('"id":5,"method":"a","params":{"s":"\\ud800"}'), code: 'SURROGATE_LONE', id: 5, request: true },
  { text: call(`"id":5,"method":"a","params":{"s":${'['.repeat(200)}${']'.repeat(200)}}`), code: 'JSON_DEPTH', id: 5, request: true },
  { text: call('"id":"a\\u0062","method":"a","params":{"a":1,"a":1}'), code: 'KEY_DUPLICATE', request: true },
  { text: call('"id":1,"method":"ping"').slice(0, -1), code: 'JSON_SYNTAX' },
  { text: call('"id":1,"method":"ping"').repeat(2), code: 'JSON_TRAILING' },
  { text: `\ufeff${call('"id":1,"method":"ping"')}`, code: 'BOM' },
  { text: '', code: 'JSON_SYNTAX' },
];

for (const { text, code, id, request } of refused) {
  const shown = JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
  test(`${shown} is refused with ${code}, its id is ${id ?? 'not read'}`, () => {
    for (const direction of ['c2s', 's2c'] as const) {
      const malformed = refusal(text, direction);
      assert.deepEqual([malformed.code, malformed.id, malformed.request], [code, id ?? null, request]);
      assert.notEqual(malformed.hint, '');
    }
  });
}

test('UTF-16 and invalid UTF-8 are refused without an id', () => {
  const text = call('"id":1,"method":"ping"');
  const utf16 = decodeMessage(Buffer.from(text, 'utf16le'), 'c2s');
  const latin1 = decodeMessage(Buffer.from(call('"id":1,"method":"\u00ff"'), 'latin1'), 'c2s');
  assert.deepEqual([utf16.kind, 'code' in utf16 && utf16.code], ['malformed', 'BOM']);
  assert.deepEqual([latin1.kind, 'code' in latin1 && latin1.code], ['malformed', 'UTF8_INVALID']);
});

test('what folds together is refused from the client and taken from the server, where it is data', () => {
  const text = call('"id":1,"method":"m","params":{"arguments":{"path":"a","Path":"b"}}');
  assert.deepEqual([refusal(text).code, refusal(text).id], ['KEY_CASE_COLLISION', 1]);
  assert.equal(single(text, 's2c').kind, 'request');
});

test('two spellings of id leave it unread', () => {
  const malformed = refusal(call('"id":1,"ID":2,"method":"m"'));
  assert.deepEqual([malformed.code, malformed.id], ['KEY_CASE_COLLISION', null]);
});

test('the elements of a batch are read one by one', () => {
  const elements = [call('"id":1,"method":"ping"'), '1', '[]', `[${call('"id":1,"method":"ping"')}]`, call('"id":2,"Method":"x"'), call('"method":"n"')];
  const decoded = decode(`[${elements.join(',')}]`);
  assert.ok(decoded.kind === 'batch');
  assert.deepEqual(
    decoded.elements.map((element) => (element.kind === 'malformed' ? element.code : element.kind)),
    ['request', 'ENVELOPE_INVALID', 'ENVELOPE_INVALID', 'ENVELOPE_INVALID', 'ENVELOPE_KEY', 'notification'],
  );
});

test('a batch of as many elements as allowed is read', () => {
  const decoded = decode(`[${Array.from({ length: 64 }, () => call('"method":"n"')).join(',')}]`);
  assert.equal(decoded.kind === 'batch' && decoded.elements.length, 64);
});

test('what a batch fails on as JSON fails the whole of it, without an id', () => {
  const decoded = decode(`[${call('"id":1,"method":"ping"')},${call('"id":1.0,"method":"ping"')}]`);
  assert.deepEqual([decoded.kind, 'code' in decoded && decoded.code, 'id' in decoded && decoded.id], ['malformed', 'ID_INVALID', null]);
});

test('hints hold nothing of the message', () => {
  for (const { text } of refused) {
    const marked = text.replaceAll('"a"', '"marker"').replaceAll('"x"', '"marker"');
    assert.ok(!JSON.stringify(decode(marked)).includes('"hint":"marker'));
  }
});

test('messages made here have their members in one order', () => {
  assert.equal(wireJson(requestMessage(1, 'm', jsonObject({ a: 1 }))), '{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":1}}');
  assert.equal(wireJson(requestMessage('x', 'm')), '{"jsonrpc":"2.0","id":"x","method":"m"}');
  assert.equal(wireJson(notificationMessage('n')), '{"jsonrpc":"2.0","method":"n"}');
  assert.equal(wireJson(resultMessage(1, jsonObject({}))), '{"jsonrpc":"2.0","id":1,"result":{}}');
  assert.equal(wireJson(errorMessage(null, -32700, 'm')), '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"m"}}');
  assert.equal(wireJson(errorMessage(1, 1, 'm', null)), '{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m","data":null}}');
});

test('a message that is made, written and read is the same', () => {
  const id = fc.oneof(fc.string({ unit: 'binary', maxLength: 128 }), fc.maxSafeInteger());
  const method = fc.stringMatching(/^[a-z/]{1,30}$/);
  const object = jsonValue.filter((value): value is JsonObject => isJsonObject(value));
  fc.assert(
    fc.property(id, method, object, (anId, name, params) => {
      const made = [requestMessage(anId, name, params), notificationMessage(name, params), resultMessage(anId, params), errorMessage(anId, 1, name, params)];
      for (const value of made) {
        const message = single(wireJson(value), 's2c');
        assert.ok(message.kind !== 'malformed');
        assert.deepEqual(message.value, value);
      }
    }),
    { numRuns: 300 },
  );
});

test('a message with any byte changed is read or refused, and what is read can be written', () => {
  const original = Buffer.from(call('"id":12,"method":"tools/call","params":{"name":"echo","arguments":{"text":"h\u00e9llo \\u00e9"}}'));
  fc.assert(
    fc.property(fc.nat({ max: original.length - 1 }), fc.nat({ max: 255 }), fc.constantFrom<Direction>('c2s', 's2c'), (at, byte, direction) => {
      const bytes = Uint8Array.from(original);
      bytes[at] = byte;
      const decoded = decodeMessage(bytes, direction);
      const found = decoded.kind === 'single' ? decoded.element : decoded;
      if (found.kind === 'malformed') return;
      assert.ok(found.kind !== 'batch');
      assert.deepEqual(JSON.parse(wireJson(found.value)), JSON.parse(Buffer.from(bytes).toString()));
    }),
    { numRuns: 2000 },
  );
});
