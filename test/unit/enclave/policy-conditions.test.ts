// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import test from 'node:test';
import { lookUp, parseArgumentPath } from '../../../enclave/policy/argument-path.ts';
import { parseAndCompile } from '../../../enclave/policy/compile.ts';
import { numbersIn } from '../../../enclave/policy/number-readings.ts';
import type { JsonObject, JsonValue } from '../../../shared/json/value.ts';
import { ARGUMENT_VALUES_MAX, READINGS_LENGTH_MAX } from '../../../shared/limits.ts';

/** What becomes of a call under a rule of one condition: `[denied by a deny rule, allowed by an allow rule]`. */
function outcome(condition: string, args: JsonObject): readonly [boolean, boolean] {
  const decide = (lines: readonly string[]): string => {
    const loaded = parseAndCompile(new TextEncoder().encode(['version: 1', ...lines, ''].join('\n')), 'policy.yaml');
    return loaded.decideTool({ server: 'fs', tool: 'read', soleServer: true, principal: 'local', args }).kind;
  };
  return [decide([`rules: [{ action: deny, when: [{ ${condition} }] }]`]) === 'deny', decide(['default: deny', `rules: [{ action: allow, when: [{ ${condition} }] }]`]) === 'allow'];
}

const BOTH = [true, true] as const;
const NEITHER = [false, false] as const;
/** Doubt: forbidden where that is asked, and not permitted where that is. */
const DOUBT = [true, false] as const;

type Row = readonly [condition: string, value: JsonValue, expected: readonly [boolean, boolean]];

const ROWS: readonly Row[] = [
  ['equals: rw', 'rw', BOTH],
  ['equals: rw', 'RW', DOUBT],
  ['equals: rw', ' rw', DOUBT],
  ['equals: rw', 'r\u200bw', DOUBT],
  ['equals: rw', '%72w', DOUBT],
  ['equals: rw', '\\u0072w', DOUBT],
  ['equals: rw', ['rw'], DOUBT],
  ['equals: rw', 'ro', NEITHER],
  ['equals: rw', null, NEITHER],
  ['equals: [ro, rw]', 'rw', BOTH],
  ['equals: 5', 5, BOTH],
  ['equals: 5', '5', DOUBT],
  ['equals: 5', '5.0', DOUBT],
  ['equals: 5', '\uff15', DOUBT],
  ['equals: 5', '\u0665', DOUBT],
  ['equals: 5', 6, NEITHER],
  ["equals: '5'", 5, DOUBT],
  ['equals: true', true, BOTH],
  ['equals: true', false, NEITHER],
  ['equals: true', 1, DOUBT],
  ['equals: true', 0, NEITHER],
  ['equals: true', 'yes', DOUBT],
  ['equals: true', 'false', DOUBT],
  ['equals: true', '', NEITHER],
  ['equals: true', [], DOUBT],
  ['equals: true', {}, DOUBT],
  ['equals: true', null, NEITHER],
  ['equals: false', false, BOTH],
  ['equals: false', null, DOUBT],
  ['equals: false', 0, DOUBT],
  ['equals: false', 'OFF', DOUBT],
  ['equals: false', 'x', NEITHER],
  ["glob: 'prod-*'", 'prod-eu', BOTH],
  ["glob: 'prod-*'", 'PROD-eu', DOUBT],
  ["glob: 'prod-*'", 'dev', NEITHER],
  ["glob: ['a*', 'b*']", 'bc', BOTH],
  ["glob: '5*'", 55, DOUBT],
  ["glob: '*'", 'x'.repeat(300_000), DOUBT],
  ["regex: '[a-z]+'", 'abc', BOTH],
  ["regex: '[a-z]+'", 'abc1', DOUBT],
  ["regex: '[a-z]+'", 'abc\n', DOUBT],
  ["regex: '[a-z]+'", '12', NEITHER],
  ["regex: 'ab|c'", 'abx', DOUBT],
  ["regex: 'drop +table'", 'DROP TABLE x', DOUBT],
  ["regex: 'drop +table'", `${'x'.repeat(400_000)} Drop Table`, DOUBT],
  ["regex: 'drop +table'", `${'x'.repeat(400_000)} drop%20table`, DOUBT],
  ["regex: 'drop +table'", 'x'.repeat(400_000), NEITHER],
  ['range: { min: 1, max: 10 }', 10, BOTH],
  ['range: { min: 1, max: 10 }', 11, NEITHER],
  ['range: { min: 100 }', '150', DOUBT],
  ['range: { min: 100 }', '1_000', DOUBT],
  ['range: { min: 100 }', '1,000.00', DOUBT],
  ['range: { min: 100 }', '1.000,00', DOUBT],
  ['range: { min: 100 }', '1e3', DOUBT],
  ['range: { min: 100 }', '0x80', DOUBT],
  ['range: { min: 100 }', '0b11111111', DOUBT],
  ['range: { min: 100 }', ' $ 150 ', DOUBT],
  ['range: { min: 100 }', '\u0661\u0665\u0660', DOUBT],
  ['range: { min: 100 }', '\uff11\uff15\uff10', DOUBT],
  ['range: { min: 100 }', `${' '.repeat(2000)}150`, DOUBT],
  ['range: { min: 100 }', [5, [150]], DOUBT],
  ['range: { min: 100 }', '[150]', DOUBT],
  ['range: { min: 100 }', '99', NEITHER],
  ['range: { max: -5 }', '\u22126', DOUBT],
  ['range: { min: 100 }', true, NEITHER],
  ['type: string', 'x', BOTH],
  ['type: [array, object]', [], BOTH],
  ['type: string', 5, NEITHER],
  ["type: 'null'", null, BOTH],
  ['length: { max: 3 }', 'abc', BOTH],
  ['length: { max: 3 }', 'abcd', NEITHER],
  ['length: { min: 3 }', '\u{1f600}\u{1f600}', DOUBT],
  ['length: { max: 2 }', [1, 2], BOTH],
  ['length: { min: 3 }', [1, 2], NEITHER],
  ['exists: true', 'x', BOTH],
  ['exists: true', null, DOUBT],
  ['exists: false', 'x', NEITHER],
  ['exists: false', null, DOUBT],
  // `not`: what is doubtful is not the wanted thing, and not surely another.
  ['not: true, equals: rw', 'ro', BOTH],
  ['not: true, equals: rw', 'rw', NEITHER],
  ['not: true, equals: rw', 'RW', DOUBT],
  ['not: true, equals: rw', ['rw'], DOUBT],
  ['not: true, equals: rw', null, BOTH],
  ["not: true, glob: 'prod-*'", 'PROD-x', DOUBT],
  ['not: true, path_in: /srv', '/srv/a', NEITHER],
  ['not: true, path_in: /srv', '/etc/a', BOTH],
  ['not: true, path_in: /srv', '/srv/../etc/a', DOUBT],
  ['not: true, host: good.example', 'https://good.example/', NEITHER],
  ['not: true, host: good.example', 'https://evil.example/', BOTH],
  ['not: true, host: good.example', 'https://GOOD.example/', DOUBT],
  ['not: true, range: { max: 100 }', 50, NEITHER],
  ['not: true, range: { max: 100 }', 500, BOTH],
  ['not: true, range: { max: 100 }', '50', DOUBT],
  ['not: true, range: { max: 100 }', 'five hundred', BOTH],
];

for (const [condition, value, expected] of ROWS) {
  const shown = JSON.stringify(value).slice(0, 40);
  test(`${condition} ${expected === BOTH ? 'holds' : expected === NEITHER ? 'does not hold' : 'may hold'} for ${shown}`, () => {
    assert.deepEqual(outcome(`arg: at, ${condition}`, { at: value }), expected);
  });
}

const MISSING: readonly (readonly [condition: string, args: JsonObject, expected: readonly [boolean, boolean]])[] = [
  ['arg: at, equals: x', {}, NEITHER],
  ['arg: at, not: true, equals: x', {}, DOUBT],
  ['arg: at, not: true, path_in: /srv', {}, DOUBT],
  ['arg: at, exists: false', {}, BOTH],
  ['arg: at, exists: true', {}, NEITHER],
  // A key in another case is one to some servers and none to others.
  ['arg: at, equals: x', { AT: 'x' }, DOUBT],
  ['arg: at, equals: x', { ' at ': 'x' }, DOUBT],
  ['arg: at, not: true, equals: x', { AT: 'x' }, DOUBT],
  ['arg: at, not: true, equals: x', { at: 'x', AT: 'y' }, DOUBT],
  ['arg: at, equals: x', { at: 'x', AT: 'y' }, DOUBT],
  ['arg: at, exists: false', { AT: 'x' }, DOUBT],
  ['arg: at, exists: true', { AT: 'x' }, DOUBT],
  // In lists, in sections, at any depth.
  ['arg: o.p, equals: x', { o: { p: 'x' } }, BOTH],
  ['arg: o.p, equals: x', { o: [{ p: 'x' }] }, DOUBT],
  ['arg: o.p, equals: x', { o: '{"p":"x"}' }, DOUBT],
  ['arg: o.p, equals: x', { o: ' {"p" : "\\u0078"}' }, DOUBT],
  ['arg: o.p, equals: x', { o: "{'p': 'x'}" }, DOUBT],
  ['arg: o.p, equals: x', { o: 'p' }, NEITHER],
  ["arg: '\"o.p\"', equals: x", { 'o.p': 'x' }, BOTH],
  ["arg: 'l[1]', equals: x", { l: ['y', 'x'] }, BOTH],
  ["arg: 'l[0]', equals: x", { l: 'x' }, DOUBT],
  ["arg: 'l[0]', equals: x", { l: ['y', 'x'] }, NEITHER],
  ["arg: 'l[*]', equals: x", { l: ['x', 'x'] }, BOTH],
  ["arg: 'l[*]', equals: x", { l: ['x', 'y'] }, DOUBT],
  ["arg: 'l[*]', equals: x", { l: [] }, NEITHER],
  ["arg: 'l[*]', equals: x", { l: 'x' }, DOUBT],
  ["arg: 'l[*]', equals: x", { l: '["x"]' }, DOUBT],
  ["arg: 'l[*]', not: true, equals: x", { l: [] }, DOUBT],
  ["arg: 'l[*]', not: true, equals: x", { l: ['x'] }, NEITHER],
  ["arg: 'l[*].p', equals: x", { l: [{ p: 'x' }, { p: 'x' }] }, BOTH],
  ["arg: 'l[*].p', equals: x", { l: [{ p: 'x' }, { q: 'x' }] }, DOUBT],
  ["arg: 'l[*].p', equals: x", { l: { p: 'x' } }, DOUBT],
  ["arg: 'l[*].p', not: true, equals: x", { l: [{ p: 'x' }, {}] }, DOUBT],
  ["arg: '*.p', equals: x", { a: { p: 'x' }, b: { p: 'x' } }, BOTH],
  ["arg: '**.p', equals: x", { a: [{ b: { p: 'x' } }] }, BOTH],
  ["arg: '**.p', equals: x", { a: [{ b: { p: 'x' } }], p: 'y' }, DOUBT],
  ["arg: '**', equals: x", { a: [{ b: 'x' }], c: 'x' }, BOTH],
  ["arg: '**', equals: x", { a: [{ b: 'x' }], c: 'y' }, DOUBT],
  ["arg: '**', equals: x", { a: '{"b":["x"]}' }, DOUBT],
  ["arg: 'a.**', equals: x", { a: { b: 'x' }, c: 'y' }, BOTH],
  ["arg: '**', not: true, equals: x", { a: 'x' }, NEITHER],
  // More than can be looked at.
  ["arg: 'l[*]', equals: x", { l: Array.from({ length: ARGUMENT_VALUES_MAX + 1 }, () => 'y') }, DOUBT],
  ["arg: 'l[*]', not: true, equals: x", { l: Array.from({ length: ARGUMENT_VALUES_MAX + 1 }, () => 'x') }, DOUBT],
  ["arg: 'l[*]', path_in: /etc", { l: Array.from({ length: 40 }, (_, index) => `/srv/${index}/${'a/../'.repeat(READINGS_LENGTH_MAX / 40 / 5)}`) }, DOUBT],
];

for (const [condition, args, expected] of MISSING) {
  test(`{ ${condition} } ${expected === BOTH ? 'holds' : expected === NEITHER ? 'does not hold' : 'may hold'} for ${JSON.stringify(args).slice(0, 60)}`, () => {
    assert.deepEqual(outcome(condition, args), expected);
  });
}

test('all conditions of a rule have to hold', () => {
  const two = (first: string, second: string): string => `arg: a, equals: ${first} }, { arg: b, equals: ${second}`;
  assert.deepEqual(outcome(two('x', 'y'), { a: 'x', b: 'y' }), BOTH);
  assert.deepEqual(outcome(two('x', 'z'), { a: 'x', b: 'y' }), NEITHER);
  assert.deepEqual(outcome(two('x', 'y'), { a: 'x', b: 'Y' }), DOUBT);
});

test('a path into arguments is read as it is written, and nothing else is one', () => {
  assert.deepEqual(parseArgumentPath('a.b[2][*]."c.d\\"e".*.**'), [
    { kind: 'key', key: 'a' },
    { kind: 'key', key: 'b' },
    { kind: 'index', index: 2 },
    { kind: 'each' },
    { kind: 'key', key: 'c.d"e' },
    { kind: 'each' },
    { kind: 'deep' },
  ]);
  assert.deepEqual(parseArgumentPath('[0].a'), [{ kind: 'index', index: 0 }, { kind: 'key', key: 'a' }]);
  for (const text of ['', '.', 'a.', '.a', 'a..b', 'a[', 'a[x]', 'a[-1]', '"a', 'a b"', 'a."', '***', 'a*', 'a[0]b']) assert.equal(parseArgumentPath(text), null, text);
});

test('inherited names and array members are no arguments', () => {
  for (const key of ['constructor', 'toString', 'length', '__proto__']) {
    const path = parseArgumentPath(key);
    assert.ok(path !== null);
    for (const loose of [true, false]) assert.deepEqual([...lookUp({}, path, loose).values], []);
  }
  const path = parseArgumentPath('l.length');
  assert.ok(path !== null);
  assert.deepEqual([...lookUp({ l: [1] }, path, true).values], []);
});

test('a text deeply nested in itself does not overflow anything', () => {
  const nested = `${'['.repeat(5000)}${']'.repeat(5000)}`;
  assert.deepEqual(outcome('arg: at, equals: x', { at: nested }), NEITHER);
  assert.deepEqual(outcome('arg: at.p, equals: x', { at: nested }), DOUBT);
});

test('numbers are found in every notation', () => {
  for (const text of ['42', ' 42 ', '+42', '4_2', '4,2', '0x2a', '0b101010', '0o52', '052', '4.2e1', '42.', '42%', 'USD 42', '\u0664\u0662', '\uff14\uff12', '\u{1d7d2}\u{1d7d0}', '\u0bea\u0be8', '42,00', '4 2']) {
    assert.ok(numbersIn(text)?.includes(42), text);
  }
  assert.ok(numbersIn('-42')?.includes(-42));
  assert.deepEqual(numbersIn('none'), []);
});
