// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { wireJson } from '../../../../shared/json/canonical.ts';
import type { ParseOptions, Parsed } from '../../../../shared/json/parse.ts';
import { parseStrictJson } from '../../../../shared/json/parse.ts';
import { jsonValue, plain } from './arbitrary.ts';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const parse = (text: string, options?: ParseOptions): Parsed => parseStrictJson(utf8(text), options);

/** What JSON.parse gives, with negative zero read as zero. */
const builtIn = (text: string): unknown => JSON.parse(text, (_, value: unknown) => (value === 0 ? 0 : value));

function codeOf(parsed: Parsed): string {
  return parsed.ok ? 'ok' : parsed.code;
}

const accepted = [
  '{}',
  '[]',
  ' \t\r\n[ 1 , 2 ]\n',
  'null',
  'true',
  'false',
  '""',
  '"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9"',
  '"\\ud83d\\ude00 \u{1f600} \u2028 \u007f \ufeff"',
  '{"m\\u0065thod":"a"}',
  '{"a":{"b":[{"c":null}]},"d":"e"}',
  '{"a":1,"A":2,"toString":3,"constructor":4,"hasOwnProperty":5}',
  '0',
  '-0',
  '-0.0',
  '0e5',
  '1.5',
  '-1.5e-7',
  '1E+2',
  '9007199254740991',
  '-9007199254740991',
  '9007199254740991.0',
  '0.1000000000000000055511151231257827',
  '1e21',
  '1.7976931348623157e308',
  '5e-324',
  '1e-400',
  '{"id":1.0}',
  '{"2":0,"1":0}',
];

for (const text of accepted) {
  test(`the parser takes ${JSON.stringify(text)} and gives what the built-in one gives`, () => {
    const parsed = parse(text);
    assert.ok(parsed.ok, codeOf(parsed));
    assert.deepEqual(plain(parsed.value), builtIn(text));
  });
}

const refused: Readonly<Record<string, readonly (string | Uint8Array)[]>> = {
  BOM: [
    Uint8Array.of(0xef, 0xbb, 0xbf, 0x7b, 0x7d),
    Uint8Array.of(0xff, 0xfe, 0x7b, 0),
    Uint8Array.of(0xfe, 0xff, 0, 0x7b),
    Buffer.from('{}', 'utf16le'),
    Uint8Array.of(0, 0x7b, 0, 0x7d),
    Uint8Array.of(0, 0, 0, 0x7b),
  ],
  UTF8_INVALID: [
    Buffer.from('"\xff"', 'latin1'),
    Buffer.from('"\xc3"', 'latin1'),
    Buffer.from('"\xc0\x80"', 'latin1'),
    Buffer.from('"\xed\xa0\x80"', 'latin1'),
    Buffer.from('"\xf4\x90\x80\x80"', 'latin1'),
    Buffer.from('\x80', 'latin1'),
  ],
  JSON_SYNTAX: [
    '',
    ' ',
    '{',
    '[',
    '"',
    '"a',
    '"\\',
    '"\\"',
    '"\\x"',
    '"\\u12"',
    '"\\u12g4"',
    '"\\u+123"',
    '"a\tb"',
    '"\\n\tb"',
    '"a\nb"',
    '"a\u0000"',
    "'a'",
    'tru',
    'True',
    'nul',
    'NaN',
    'Infinity',
    '-Infinity',
    'undefined',
    '-',
    '+1',
    '.5',
    '1.',
    '1.e3',
    '1e',
    '1e+',
    '01',
    '-01',
    '00',
    '[01]',
    '[1 2]',
    '[1,]',
    '[,1]',
    '[1}',
    '{"a":1]',
    '{"a":1,}',
    '{,}',
    '{"a"}',
    '{"a":}',
    '{"a" 1}',
    '{a:1}',
    '{1:1}',
    '{"a":1 "b":2}',
    '[1/* */]',
    '\u00a0{}',
    '\u2028{}',
    '\f{}',
    '[\ufeff]',
  ],
  JSON_TRAILING: ['{}{}', '{} {}', '{}}', '[]]', '1 2', 'null,', '""""', '{}\u0000', '{}\ufeff', '1a', '0x10', '1_0'],
  JSON_DEPTH: [`${'['.repeat(129)}${']'.repeat(129)}`, '{"a":'.repeat(129), '['.repeat(1_000_000), '[{"a":'.repeat(70)],
  KEY_DUPLICATE: [
    '{"a":1,"a":1}',
    '{"method":"a","m\\u0065thod":"b"}',
    '{"\\u0061":1,"a":2}',
    '[{"x":{"y":[{"a":1,"b":2,"a":3}]}}]',
    '{"":1,"":2}',
    '{"1":1,"1":2}',
    '{"a":1,"b":{"a":1},"a":{}}',
  ],
  KEY_FORBIDDEN: ['{"__proto__":1}', '{"a":[{"__proto__":{"admin":true}}]}', '{"__pr\\u006fto__":null}'],
  INTEGER_UNSAFE: [
    '9007199254740992',
    '9007199254740993',
    '-9007199254740992',
    '123456789012345678901234567890',
    '9007199254740993.0',
    '9007199254740992.5',
    '9007199254740991.9',
    '9007199254740993e0',
    '90071992547409.93e2',
    '1e20',
    '1000000000000000000000.0',
    '1'.repeat(400),
    '{"a":[18446744073709551615]}',
  ],
  NUMBER_RANGE: ['1e309', '-1e309', '1e999999999', '0.1e400', `${'1'.repeat(400)}.5`, '[1e400]'],
  SURROGATE_LONE: ['"\\ud800"', '"\\udc00"', '"a\\ud83dx"', '"\\ude00\\ud83d"', '"\\ud83d\\\\ude00"', '{"\\ud800":1}', '"\\ud800\u{1f600}"'],
};

for (const [code, inputs] of Object.entries(refused)) {
  for (const input of inputs) {
    const bytes = typeof input === 'string' ? utf8(input) : input;
    const shown = JSON.stringify(Buffer.from(bytes.subarray(0, 40)).toString('latin1'));
    test(`the parser refuses ${shown} (${bytes.length} bytes) with ${code}`, () => {
      const parsed = parseStrictJson(bytes);
      assert.equal(codeOf(parsed), code);
      assert.ok(!parsed.ok && parsed.hint !== '' && parsed.at >= 0 && parsed.at <= bytes.length);
    });
  }
}

test('a failure says where it is', () => {
  const at = (text: string): number | undefined => {
    const parsed = parse(text);
    return parsed.ok ? undefined : parsed.at;
  };
  assert.equal(at('{"a":1,"a":2}'), 7);
  assert.equal(at('[1,x]'), 3);
  assert.equal(at('{} x'), 3);
  assert.equal(at('["\\ud800"]'), 1);
});

const colliding = [
  '{"a":1,"A":1}',
  '{"A":1,"a":1}',
  '{"KEY":1,"Key":1}',
  '{"params":1,"param\u017f":1}',
  '{"param\u017f":1,"params":1}',
  '{"token":1,"to\u212aen":1}',
  '{"name":1,"\uff4eame":1}',
  '{"\u00e9":1,"e\u0301":1}',
  '{"\u00c9":1,"\u00e9":1}',
  '{"x":[{"a":1,"b":1,"B":1}]}',
  '{"n\\u0061me":1,"N\\u0041ME":1}',
];

for (const text of colliding) {
  test(`keys that differ only in case or form collide, where they are refused: ${text}`, () => {
    assert.equal(codeOf(parse(text, { foldedKeys: 'refuse' })), 'KEY_CASE_COLLISION');
    assert.equal(codeOf(parse(text, { foldedKeys: 'allow' })), 'ok');
    assert.equal(codeOf(parse(text)), 'ok');
  });
}

test('keys of different objects, and keys that only resemble each other, do not collide', () => {
  for (const text of ['{"a":{"A":1}}', '[{"a":1},{"A":1}]', '{"someKey":1,"somekeys":2,"other":3}', '{"\u00e9":1,"e":1}', '{"a":1,"a ":1}']) {
    assert.equal(codeOf(parse(text, { foldedKeys: 'refuse' })), 'ok');
  }
});

test('an object with very many marked keys is read in one pass', () => {
  const members = Array.from({ length: 100_000 }, (_, index) => `"Key${index}":0`);
  assert.equal(codeOf(parse(`{${members.join(',')}}`, { foldedKeys: 'refuse' })), 'ok');
  assert.equal(codeOf(parse(`{${members.join(',')},"kEY0":0}`, { foldedKeys: 'refuse' })), 'KEY_CASE_COLLISION');
});

const idCases: readonly (readonly [string, string])[] = [
  ['{"id":1}', 'ok'],
  ['{"id":0}', 'ok'],
  ['{"id":-1}', 'ok'],
  ['{"id":"1.0"}', 'ok'],
  ['{"id":null}', 'ok'],
  ['{"params":{"id":1.0}}', 'ok'],
  ['[[{"id":1.0}]]', 'ok'],
  ['{"id":{"id":1.0}}', 'ok'],
  ['{"id":1.0}', 'ID_INVALID'],
  ['{"id":1e0}', 'ID_INVALID'],
  ['{"id":1.5}', 'ID_INVALID'],
  ['{"id":-0}', 'ID_INVALID'],
  ['{"id":0.0}', 'ID_INVALID'],
  ['{"i\\u0064":1.0}', 'ID_INVALID'],
  ['[{"id":1},{"id":1.0}]', 'ID_INVALID'],
  ['{"id":9007199254740993}', 'INTEGER_UNSAFE'],
];

for (const [text, code] of idCases) {
  test(`with plain ids asked for, ${text} gives ${code}`, () => {
    assert.equal(codeOf(parse(text, { idLexeme: 'integer' })), code);
  });
}

test('the depth and the number of values are limited as asked, the depth never above its fixed limit', () => {
  const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
  assert.equal(codeOf(parse(nested(128))), 'ok');
  assert.equal(codeOf(parse(nested(129), { depthMax: 1000 })), 'JSON_DEPTH');
  assert.equal(codeOf(parse(nested(3), { depthMax: 3 })), 'ok');
  assert.equal(codeOf(parse(nested(4), { depthMax: 3 })), 'JSON_DEPTH');
  assert.equal(codeOf(parse('[1,{"a":2}]', { nodesMax: 4 })), 'ok');
  assert.equal(codeOf(parse('[1,{"a":2}]', { nodesMax: 3 })), 'JSON_NODES');
  assert.equal(codeOf(parse(`[${'0,'.repeat(1_000_000)}0]`)), 'JSON_NODES');
});

test('objects have no prototype, so no key reaches an inherited member', () => {
  const parsed = parse('{"a":{}}');
  assert.ok(parsed.ok && typeof parsed.value === 'object' && parsed.value !== null && !Array.isArray(parsed.value));
  assert.equal(Object.getPrototypeOf(parsed.value), null);
  assert.equal(parsed.value['toString'], undefined);
  assert.equal(Object.getPrototypeOf(parsed.value['a']), null);
});

test('what the serialiser writes is read back as the same value', () => {
  fc.assert(
    fc.property(jsonValue, (value) => {
      const parsed = parse(wireJson(value));
      assert.ok(parsed.ok, codeOf(parsed));
      assert.deepEqual(parsed.value, value);
    }),
    { numRuns: 500 },
  );
});

/** Texts near JSON: a valid one with some places changed. */
const mutated = fc
  .tuple(
    jsonValue,
    fc.array(fc.tuple(fc.nat(), fc.constantFrom('"', '\\', '{', '}', '[', ']', ',', ':', '0', '1', '-', '.', 'e', ' ', '\\u', '\\ud800', '\u0001', 'a', '\u{1f600}', '')), { maxLength: 4 }),
    fc.nat({ max: 2 }),
  )
  .map(([value, changes, spaces]) => {
    let text = JSON.stringify(value, null, spaces);
    for (const [place, insert] of changes) {
      const at = place % (text.length + 1);
      text = text.slice(0, at) + insert + text.slice(at + (place % 2));
    }
    return text.toWellFormed();
  });

test('it agrees with the built-in parser: the same value if it takes a text, the same verdict on syntax if not', () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(mutated, (text) => {
      const parsed = parse(text);
      seen.add(codeOf(parsed));
      if (parsed.ok) assert.deepEqual(plain(parsed.value), builtIn(text));
      else if (parsed.code === 'JSON_SYNTAX' || parsed.code === 'JSON_TRAILING') assert.throws(() => builtIn(text));
    }),
    { numRuns: 3000 },
  );
  for (const code of ['ok', 'JSON_SYNTAX', 'JSON_TRAILING']) assert.ok(seen.has(code), code);
});

test('no bytes make it throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      const parsed = parseStrictJson(bytes);
      assert.equal(typeof parsed.ok, 'boolean');
    }),
    { numRuns: 500 },
  );
});
