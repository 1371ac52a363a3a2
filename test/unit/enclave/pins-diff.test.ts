// SPDX-License-Identifier: Apache-2.0
/** Two versions of what is pinned, in words for a person. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { diffItems } from '../../../enclave/pins/diff.ts';
import type { PinKind } from '../../../enclave/pins/item.ts';
import { PIN_KINDS } from '../../../enclave/pins/item.ts';
import { escapedJson, escapedText, hiddenIn, quoted, shownName, shownPath } from '../../../enclave/pins/shown.ts';
import { compareWords } from '../../../enclave/pins/words.ts';
import { canonicalJson } from '../../../shared/json/canonical.ts';
import type { JsonObject, JsonValue } from '../../../shared/json/value.ts';
import { isJsonObject } from '../../../shared/json/value.ts';

const schema = (properties: JsonObject, more: JsonObject = {}): JsonObject => ({ inputSchema: { type: 'object', properties, ...more } });
const ends = (count: number): string => Array.from({ length: count }, (_unused, at) => `w${at}`).join(' ');

const table: readonly [kind: PinKind, old: JsonObject, now: JsonObject, changes: readonly string[]][] = [
  ['tool', { description: 'Reads a file.' }, { description: 'Reads a secret file.' }, ['text description: changed']],
  ['tool', {}, { description: 'New text' }, ['text description: added']],
  ['tool', { title: 'A' }, { title: 'B' }, ['text title: changed from "A" to "B"']],
  ['tool', { description: 'a b' }, { description: 'a\u200b b' }, ['hidden description: 1 character that cannot be seen added', 'text description: changed']],
  ['tool', { description: 'a bad idea' }, { description: 'a b\u0430d idea' }, ['hidden description: letters were replaced by others that look the same', 'text description: changed']],
  ['tool', schema({}), schema({ 'to\u200b': {} }), ['hidden inputSchema.properties."to\\u{200b}": 1 character that cannot be seen added', 'widened inputSchema.properties."to\\u{200b}": parameter added']],
  ['tool', schema({ to: {} }), schema({ 't\u043e': {} }), ['hidden inputSchema.properties."t\u043e": letters were replaced by others that look the same', 'widened inputSchema.properties."t\u043e": parameter renamed']],
  ['tool', schema({}), schema({ bcc: { type: 'string' } }), ['widened inputSchema.properties.bcc: parameter added']],
  ['tool', schema({ a: { type: 'string' } }), schema({ b: { type: 'string' } }), ['widened inputSchema.properties.b: parameter renamed']],
  ['tool', schema({ a: { type: 'string' } }), schema({}), ['other inputSchema.properties.a: parameter removed']],
  ['tool', schema({ a: {} }), schema({ a: {} }, { required: ['a'] }), ['widened inputSchema.properties.a: is required now']],
  ['tool', schema({ a: {} }, { required: ['a'] }), schema({ a: {} }), ['other inputSchema.properties.a: is not required any more']],
  ['tool', schema({ a: { type: 'string' } }), schema({ a: { type: ['string', 'object'] } }), ['widened inputSchema.properties.a.type: changed from "string" to "[\\"string\\",\\"object\\"]"']],
  ['tool', schema({ a: { enum: ['x'] } }), schema({ a: { enum: ['x', 'y'] } }), ['widened inputSchema.properties.a.enum: allows one more value']],
  ['tool', schema({ a: { enum: ['x', 'y'] } }), schema({ a: { enum: ['x'] } }), ['other inputSchema.properties.a.enum: allows one value less']],
  ['tool', schema({ a: { enum: ['x', 'y'] } }), schema({ a: { enum: ['y', 'x'] } }), ['cosmetic inputSchema.properties.a.enum[0]: changed from "x" to "y"', 'cosmetic inputSchema.properties.a.enum[1]: changed from "y" to "x"']],
  ['tool', schema({ a: { default: false } }), schema({ a: { default: true } }), ['widened inputSchema.properties.a.default: changed from "false" to "true"']],
  ['tool', schema({ a: { type: 'string' } }), schema({ a: { type: 'string', 'x-mcp-header': 'Key' } }), ['widened inputSchema.properties.a.x-mcp-header: its value is now copied into a header of every call']],
  ['tool', schema({ a: { maxLength: 5 } }), schema({ a: { maxLength: 9 } }), ['other inputSchema.properties.a.maxLength: changed from "5" to "9"']],
  ['tool', schema({}, { additionalProperties: false }), schema({}), ['widened inputSchema.additionalProperties: members that the schema does not name are allowed now']],
  ['tool', schema({}), schema({}, { additionalProperties: false }), ['other inputSchema.additionalProperties: added']],
  [
    'tool',
    schema({ a: { items: { properties: { b: { description: 'one two' } } } } }),
    schema({ a: { items: { properties: { b: { description: 'one 2' } } } } }),
    ['text inputSchema.properties.a.items.properties.b.description: changed'],
  ],
  ['tool', schema({ a: { anyOf: [{ type: 'string' }] } }), schema({ a: { anyOf: [{ type: 'number' }] } }), ['widened inputSchema.properties.a.anyOf[0].type: changed from "string" to "number"']],
  ['tool', schema({ a: { anyOf: [{}] } }), schema({ a: { anyOf: [{}, true] } }), ['widened inputSchema.properties.a.anyOf: changed from "[{}]" to "[{},true]"']],
  ['tool', schema({}), schema({}, { $defs: { x: {} } }), ['widened inputSchema.$defs: added']],
  ['tool', { outputSchema: { properties: {} } }, { outputSchema: { properties: { a: {} } } }, ['other outputSchema.properties.a: parameter added']],
  ['tool', { annotations: { readOnlyHint: true } }, {}, ['widened annotations.readOnlyHint: the tool does not say any more that it only reads']],
  ['tool', {}, { annotations: { readOnlyHint: true } }, ['widened annotations.readOnlyHint: the tool says now that it only reads']],
  ['tool', { annotations: { destructiveHint: true } }, { annotations: { destructiveHint: false } }, ['widened annotations.destructiveHint: changed from "true" to "false"']],
  ['tool', {}, { annotations: {} }, ['cosmetic annotations: added']],
  ['tool', { icons: [] }, { icons: [{ src: 'x' }] }, ['cosmetic icons: changed from "[]" to "[{\\"src\\":\\"x\\"}]"']],
  ['tool', {}, { _meta: { ui: { csp: { connectDomains: ['evil.example'] } } } }, ['other _meta: added']],
  ['tool', { _meta: { ui: {} } }, { _meta: { ui: { csp: { connectDomains: ['evil.example'] } } } }, ['widened _meta.ui.csp: added']],
  ['tool', {}, { surprise: 1 }, ['other surprise: added']],
  ['prompt', { arguments: [{ name: 'a' }] }, { arguments: [{ name: 'a', required: true }, { name: 'b' }] }, ['widened arguments.a: is required now', 'widened arguments.b: argument added']],
  ['prompt', { arguments: [{ name: 'a' }, { name: 'b' }] }, { arguments: [{ name: 'b' }, { name: 'a' }] }, ['cosmetic arguments[0].name: changed from "a" to "b"', 'cosmetic arguments[1].name: changed from "b" to "a"']],
  ['content', { contents: [{ uri: 'ui://a', text: '<p> a' }] }, { contents: [{ uri: 'ui://a', text: '<p> b' }] }, ['text contents[0].text: changed']],
  ['instructions', { instructions: 'Be kind.' }, { instructions: 'Be brief.' }, ['text instructions: changed']],
  ['template', { description: 'x y' }, { description: 'x z' }, ['text description: changed']],
];

test('each change is named, the riskiest first', () => {
  for (const [kind, old, now, expected] of table) {
    assert.deepEqual(diffItems(kind, old, now).map(({ severity, path, what }) => `${severity} ${shownPath(path)}: ${what}`), expected, canonicalJson(now));
  }
});

const word = fc.constantFrom('type', 'properties', 'required', 'enum', 'description', 'items', 'anyOf', 'arguments', 'name', 'contents', 'annotations', 'inputSchema', '_meta', 'default', '__proto__', 'constructor', 'x');
const json = fc.letrec<{ value: JsonValue }>((tie) => ({
  value: fc.oneof({ maxDepth: 5 }, fc.constantFrom<JsonValue>(null, true, 0, '', 'a', 'a b', '\u200b', 'x'.repeat(90)), fc.array(tie('value'), { maxLength: 3 }), fc.dictionary(word, tie('value'), { maxKeys: 4, noNullPrototype: false })),
})).value;
const object = json.map((value): JsonObject => (isJsonObject(value) ? value : { inputSchema: value, annotations: value, arguments: value, contents: value, _meta: value }));

test('a comparison never fails, is empty only for what is the same, and loses no changed character', () => {
  fc.assert(
    fc.property(fc.constantFrom(...PIN_KINDS), object, object, (kind, old, now) => {
      assert.deepEqual(diffItems(kind, old, structuredClone(old)), []);
      const changes = diffItems(kind, old, now);
      assert.equal(changes.length === 0, canonicalJson(old) === canonicalJson(now), JSON.stringify([old, now]));
    }),
    { numRuns: 500 },
  );
});

test('words that are compared give back both texts', () => {
  const text = fc.oneof(fc.string({ unit: 'grapheme' }), fc.array(fc.constantFrom('a', 'b', 'c', ' ', '\n', '  '), { maxLength: 30 }).map((parts) => parts.join('')));
  fc.assert(
    fc.property(text, text, (old, now) => {
      const segments = compareWords(old, now);
      assert.equal(segments.filter(({ kind }) => kind !== 'added').map((one) => one.text).join(''), old);
      assert.equal(segments.filter(({ kind }) => kind !== 'removed').map((one) => one.text).join(''), now);
    }),
  );
  assert.deepEqual(compareWords('send a mail', 'send a secret mail'), [{ kind: 'same', text: 'send a' }, { kind: 'added', text: ' secret' }, { kind: 'same', text: ' mail' }]);
  const long = compareWords(`${ends(5000)} end`, `${ends(3000)} x ${ends(4000)} end`);
  assert.ok(long.length <= 5);
});

test('text of a server is shown so that it neither moves the cursor, nor hides, nor ends its quotes', () => {
  const table: readonly [string, string][] = [
    ['plain', '"plain"'],
    ['\u001b[2J', '"\\u{1b}[2J"'],
    ['a"b\\', '"a\\"b\\\\"'],
    ['a\nb\tc', '"a\\nb\\tc"'],
    ['\u202eabc\u2066', '"\\u{202e}abc\\u{2066}"'],
    ['zero\u200bwidth\ufeff', '"zero\\u{200b}width\\u{feff}"'],
    ['tag\u{e0041}', '"tag\\u{e0041}"'],
    ['filler\u3164\u2800', '"filler\\u{3164}\\u{2800}"'],
    ['nbsp\u00a0', '"nbsp\\u{a0}"'],
    ['\u2028\u0085\u009b', '"\\u{2028}\\u{85}\\u{9b}"'],
    ['\ud800', '"\ufffd"'],
    ['é 漢 😀', '"é 漢 😀"'],
  ];
  for (const [text, expected] of table) assert.equal(quoted(text), expected);
  assert.equal(hiddenIn('a\u200bb\nc\u202e'), 2);
  assert.equal(shownName('read_file'), 'read_file');
  assert.equal(shownName('read file'), '"read file"');
  assert.equal(shownPath(['a', 0, 'b.c', '__proto__']), 'a[0]."b.c".__proto__');
  assert.equal(escapedText('a\u001bb\\'), 'a\\u{1b}b\\');
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      // oxlint-disable-next-line no-control-regex
      assert.ok(!/[\p{Cc}\p{Cf}]/u.test(quoted(text)));
      const json = escapedJson(JSON.stringify({ text }));
      assert.ok(!/[\p{Cc}\p{Cf}]/u.test(json));
      assert.deepEqual(JSON.parse(json), { text });
    }),
  );
});
