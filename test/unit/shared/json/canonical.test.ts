// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { canonicalJson, wireJson } from '../../../../shared/json/canonical.ts';
import { parseStrictJson } from '../../../../shared/json/parse.ts';
import type { JsonValue } from '../../../../shared/json/value.ts';
import { jsonObject } from '../../../../shared/json/value.ts';
import { jsonValue } from './arbitrary.ts';

function parsed(text: string): JsonValue {
  const result = parseStrictJson(new TextEncoder().encode(text));
  if (!result.ok) assert.fail(result.code);
  return result.value;
}

/** RFC 8785 appendix B: bits of a double and its text. */
const numbers: readonly (readonly [string, string])[] = [
  ['0000000000000000', '0'],
  ['8000000000000000', '0'],
  ['0000000000000001', '5e-324'],
  ['8000000000000001', '-5e-324'],
  ['7fefffffffffffff', '1.7976931348623157e+308'],
  ['ffefffffffffffff', '-1.7976931348623157e+308'],
  ['4340000000000000', '9007199254740992'],
  ['c340000000000000', '-9007199254740992'],
  ['4430000000000000', '295147905179352830000'],
  ['44b52d02c7e14af5', '9.999999999999997e+22'],
  ['44b52d02c7e14af6', '1e+23'],
  ['44b52d02c7e14af7', '1.0000000000000001e+23'],
  ['444b1ae4d6e2ef4e', '999999999999999700000'],
  ['444b1ae4d6e2ef4f', '999999999999999900000'],
  ['444b1ae4d6e2ef50', '1e+21'],
  ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'],
  ['3eb0c6f7a0b5ed8d', '0.000001'],
  ['41b3de4355555553', '333333333.3333332'],
  ['41b3de4355555554', '333333333.33333325'],
  ['41b3de4355555555', '333333333.3333333'],
  ['41b3de4355555556', '333333333.3333334'],
  ['41b3de4355555557', '333333333.33333343'],
  ['becbf647612f3696', '-0.0000033333333333333333'],
  ['43143ff3c1cb0959', '1424953923781206.2'],
];

for (const [bits, text] of numbers) {
  test(`RFC 8785 appendix B: the double ${bits} is written ${text}`, () => {
    assert.equal(canonicalJson(Buffer.from(bits, 'hex').readDoubleBE()), text);
  });
}

test('RFC 8785 section 3.2.2: the sample is written as the specification shows', () => {
  const sample = String.raw`{
    "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
    "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
    "literals": [null, true, false]
  }`;
  const expected = String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`;
  assert.equal(canonicalJson(parsed(sample)), expected);
});

test('RFC 8785 section 3.2.3: keys are sorted by UTF-16 units, so surrogates come before U+FB33', () => {
  const sample = String.raw`{
    "\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
    "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"
  }`;
  assert.equal(
    canonicalJson(parsed(sample)),
    '{"\\r":"Carriage Return","1":"One","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis",' +
      '"\u20ac":"Euro Sign","\u{1f600}":"Emoji: Grinning Face","\ufb33":"Hebrew Letter Dalet With Dagesh"}',
  );
});

test('keys that look like indices are sorted as text in canonical JSON', () => {
  assert.equal(canonicalJson(parsed('{"10":0,"9":0,"b":{"z":0,"a":0},"a":0}')), '{"10":0,"9":0,"a":0,"b":{"a":0,"z":0}}');
});

test('wire JSON keeps the order of members', () => {
  assert.equal(wireJson(parsed('{ "b" : 1, "a" : [ { "d": 2, "c": "\\u00e9\\/" } ] }')), '{"b":1,"a":[{"d":2,"c":"é/"}]}');
});

test('control characters, quotes and backslashes are escaped as the specification asks', () => {
  assert.equal(wireJson('\b\t\n\f\r\u0000\u001f"\\/\u007f\u2028'), '"\\b\\t\\n\\f\\r\\u0000\\u001f\\"\\\\/\u007f\u2028"');
});

const wrong: readonly (readonly [string, unknown])[] = [
  ['NaN', Number.NaN],
  ['an infinity', [Number.POSITIVE_INFINITY]],
  ['a lone surrogate', { a: '\ud800' }],
  ['a lone surrogate in a key', { '\udc00': 1 }],
  ['undefined', undefined],
  ['a member that is undefined', { a: undefined }],
  ['a function', () => 1],
  ['a bigint', 1n],
];

for (const [name, value] of wrong) {
  test(`${name} is no JSON value and is not written`, () => {
    assert.throws(() => canonicalJson(value as JsonValue), TypeError);
    assert.throws(() => wireJson(value as JsonValue), TypeError);
  });
}

test('a member called toJSON is a member like any other', () => {
  assert.equal(wireJson(jsonObject({ toJSON: 'x', a: 1 })), '{"toJSON":"x","a":1}');
});

test('both forms are read back as the same value, and canonical JSON of that is the same text, on one line', () => {
  fc.assert(
    fc.property(jsonValue, (value) => {
      const canonical = canonicalJson(value);
      assert.deepEqual(parsed(canonical), value);
      assert.deepEqual(parsed(wireJson(value)), value);
      assert.equal(canonicalJson(parsed(wireJson(value))), canonical);
      assert.ok(!/[\r\n]/.test(canonical + wireJson(value)));
      assert.equal(wireJson(value), JSON.stringify(value));
    }),
    { numRuns: 500 },
  );
});

test('the order of members does not change the canonical form', () => {
  const members = fc.uniqueArray(fc.tuple(fc.string({ unit: 'binary' }).filter((key) => key !== '__proto__'), fc.nat()), { selector: ([key]) => key, maxLength: 8 });
  fc.assert(
    fc.property(members, (entries) => {
      const there = jsonObject(Object.fromEntries(entries));
      const back = jsonObject(Object.fromEntries(entries.toReversed()));
      assert.equal(canonicalJson(there), canonicalJson(back));
    }),
  );
});
