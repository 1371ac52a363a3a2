// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { parseCbor } from '../../../../shared/cbor/read.ts';
import type { CborKey, CborValue } from '../../../../shared/cbor/value.ts';
import { encodeCbor } from '../../../../shared/cbor/write.ts';
import { array, bytes, int, map, nothing, string } from '../../../harness/nitro.ts';

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));
const bool = (value: boolean): CborValue => ({ kind: 'bool', value });
const tag = (number: number, value: CborValue): CborValue => ({ kind: 'tag', tag: number, value });

/** RFC 8949 appendix A, as far as the types are supported. */
const examples: readonly [string, CborValue][] = [
  ['00', int(0)],
  ['01', int(1)],
  ['0a', int(10)],
  ['17', int(23)],
  ['1818', int(24)],
  ['1819', int(25)],
  ['1864', int(100)],
  ['1903e8', int(1000)],
  ['1a000f4240', int(1_000_000)],
  ['1b000000e8d4a51000', int(1_000_000_000_000)],
  ['20', int(-1)],
  ['29', int(-10)],
  ['3863', int(-100)],
  ['3903e7', int(-1000)],
  ['f4', bool(false)],
  ['f5', bool(true)],
  ['f6', nothing],
  ['40', bytes(hex(''))],
  ['4401020304', bytes(hex('01020304'))],
  ['60', string('')],
  ['6161', string('a')],
  ['6449455446', string('IETF')],
  ['62225c', string('"\\')],
  ['62c3bc', string('ü')],
  ['63e6b0b4', string('水')],
  ['64f0908591', string('𐅑')],
  ['80', array()],
  ['83010203', array(int(1), int(2), int(3))],
  ['8301820203820405', array(int(1), array(int(2), int(3)), array(int(4), int(5)))],
  ['98190102030405060708090a0b0c0d0e0f101112131415161718181819', array(...Array.from({ length: 25 }, (_, index) => int(index + 1)))],
  ['a0', map()],
  ['a201020304', map([1, int(2)], [3, int(4)])],
  ['a26161016162820203', map(['a', int(1)], ['b', array(int(2), int(3))])],
  ['826161a161626163', array(string('a'), map(['b', string('c')]))],
  ['c11a514b67b0', tag(1, int(1_363_896_240))],
  ['d74401020304', tag(23, bytes(hex('01020304')))],
];

for (const [encoded, value] of examples) {
  test(`CBOR ${encoded} is read and written`, () => {
    assert.deepEqual(parseCbor(hex(encoded), { indefinite: 'refuse' }), { ok: true, value });
    assert.equal(Buffer.from(encodeCbor(value)).toString('hex'), encoded);
  });
}

const indefinite: readonly [string, CborValue][] = [
  ['9fff', array()],
  ['9f018202039f0405ffff', array(int(1), array(int(2), int(3)), array(int(4), int(5)))],
  ['bfff', map()],
  ['bf61610161629f0203ffff', map(['a', int(1)], ['b', array(int(2), int(3))])],
];

for (const [encoded, value] of indefinite) {
  test(`CBOR ${encoded} of indefinite length is read only where that is allowed`, () => {
    assert.deepEqual(parseCbor(hex(encoded), { indefinite: 'allow' }), { ok: true, value });
    assert.equal(parseCbor(hex(encoded), { indefinite: 'refuse' }).ok, false);
  });
}

const refused: readonly [string, string, string][] = [
  ['an empty input', '', 'it ends early'],
  ['an integer in two bytes that fits one', '1817', 'an integer or length is not in its shortest form'],
  ['an integer in three bytes that fits two', '1900ff', 'an integer or length is not in its shortest form'],
  ['an integer in five bytes that fits three', '1a0000ffff', 'an integer or length is not in its shortest form'],
  ['an integer in nine bytes that fits five', '1b00000000ffffffff', 'an integer or length is not in its shortest form'],
  ['a length that is not shortest', '580101', 'an integer or length is not in its shortest form'],
  ['an integer above 2^53', '1b0020000000000000', 'an integer is too large'],
  ['a negative integer below -2^53', '3b001fffffffffffff', 'an integer is too large'],
  ['reserved additional information 28', '1c', 'additional information 28 to 30 is reserved'],
  ['reserved additional information 30', '5e', 'additional information 28 to 30 is reserved'],
  ['an integer of indefinite length', '1f', 'additional information 31 has no meaning here'],
  ['a negative integer of indefinite length', '3f', 'additional information 31 has no meaning here'],
  ['a tag of indefinite length', 'df00', 'additional information 31 has no meaning here'],
  ['bytes of indefinite length', '5f4101ff', 'a string has no length'],
  ['text of indefinite length', '7f6161ff', 'a string has no length'],
  ['a bare break', 'ff', 'a break stands where an item should'],
  ['a break in a definite array', '82ff00', 'a break stands where an item should'],
  ['a break after a key', 'bf6161ff', 'a break stands where an item should'],
  ['an array without break', '9f01', 'it ends early'],
  ['a key twice', 'a2616101616102', 'a map has a key twice'],
  ['a number as key twice', 'a201010102', 'a map has a key twice'],
  ['a key that is bytes', 'a1410100', 'a key is neither an integer nor text'],
  ['a key that is null', 'a1f600', 'a key is neither an integer nor text'],
  ['undefined', 'f7', 'a float or simple value is not allowed'],
  ['a half float', 'f90000', 'a float or simple value is not allowed'],
  ['a double', 'fb3ff199999999999a', 'a float or simple value is not allowed'],
  ['a simple value', 'f0', 'a float or simple value is not allowed'],
  ['a simple value in two bytes', 'f814', 'a float or simple value is not allowed'],
  ['invalid UTF-8', '62c328', 'a text is not UTF-8'],
  ['a surrogate in UTF-8', '63eda080', 'a text is not UTF-8'],
  ['bytes that are cut', '4401', 'it ends early'],
  ['a huge length', '5b0000ffffffffffff', 'it ends early'],
  ['a huge array', '9b0000ffffffffffff', 'it ends early'],
  ['a huge map', 'bb0000ffffffffffff', 'it ends early'],
  ['an argument that is cut', '19ff', 'it ends early'],
  ['bytes that follow', '0000', 'bytes follow the item'],
  ['five levels', '8181818101', 'it is nested too deeply'],
  ['a hundred thousand levels', '81'.repeat(100_000), 'it is nested too deeply'],
  ['a hundred thousand tags', 'c1'.repeat(100_000), 'it is nested too deeply'],
];

for (const [name, encoded, reason] of refused) {
  test(`CBOR with ${name} is refused: ${reason}`, () => {
    const parsed = parseCbor(hex(encoded), { indefinite: 'allow' });
    assert.equal(parsed.ok ? 'taken' : parsed.reason, reason);
  });
}

test('four levels are read', () => {
  assert.equal(parseCbor(hex('81818101'), { indefinite: 'allow' }).ok, true);
});

test('a text keeps a byte order mark', () => {
  assert.deepEqual(parseCbor(hex('63efbbbf'), { indefinite: 'refuse' }), { ok: true, value: string('\ufeff') });
});

test('keys that mean something to objects are keys like others', () => {
  const value = map(['__proto__', int(1)], ['constructor', int(2)]);
  assert.deepEqual(parseCbor(encodeCbor(value), { indefinite: 'refuse' }), { ok: true, value: map(['__proto__', int(1)], ['constructor', int(2)]) });
});

test('what is read does not change with the input', () => {
  const input = hex('4401020304');
  const parsed = parseCbor(input, { indefinite: 'refuse' });
  input.fill(0xff);
  assert.deepEqual(parsed, { ok: true, value: bytes(hex('01020304')) });
});

test('an integer that is not safe is not written', () => {
  for (const value of [2 ** 53, -(2 ** 60), 0.5, Number.NaN]) assert.throws(() => encodeCbor(int(value)), RangeError);
});

test('keys are written in the order of their encoding, whatever the order of the map', () => {
  const keys: readonly CborKey[] = ['aa', 'b', 100, -1, 'z', 10, ''];
  const encoded = encodeCbor(map(...keys.map((key) => [key, nothing] as const)));
  assert.equal(Buffer.from(encoded).toString('hex'), 'a70af61864f620f660f66162f6617af6626161f6');
});

/** Values as deep as may be read, with keys in the order in which they are written. */
const { value: anyValue } = fc.letrec<{ value: CborValue; leaf: CborValue; two: CborValue; three: CborValue }>((tie) => {
  const leaf: fc.Arbitrary<CborValue> = fc.oneof(
    fc.integer({ min: -(2 ** 53) + 2, max: 2 ** 53 - 2 }).map(int),
    fc.uint8Array({ maxLength: 300 }).map(bytes),
    fc.string({ unit: 'grapheme', maxLength: 40 }).map(string),
    fc.boolean().map(bool),
    fc.constant(nothing),
  );
  const key = fc.oneof(fc.integer({ min: -1000, max: 1000 }), fc.string({ maxLength: 30 }));
  const container = (inner: fc.Arbitrary<CborValue>): fc.Arbitrary<CborValue> =>
    fc.oneof(
      leaf,
      fc.array(inner, { maxLength: 30 }).map((items) => array(...items)),
      fc.uniqueArray(fc.tuple(key, inner), { maxLength: 30, selector: ([name]) => name }).map((entries) => map(...entries)),
      fc.tuple(fc.nat(), inner).map(([number, value]) => tag(number, value)),
    );
  return { leaf, two: container(tie('leaf')), three: container(tie('two')), value: container(tie('three')) };
});

test('what is written is read as it was, and has no other encoding', () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      const encoded = encodeCbor(value);
      const parsed = parseCbor(encoded, { indefinite: 'refuse' });
      assert.equal(parsed.ok, true);
      assert.deepEqual(parsed.ok && encodeCbor(parsed.value), encoded);
      assert.deepEqual(sorted(parsed.ok ? parsed.value : nothing), sorted(value));
    }),
    { numRuns: 500 },
  );
});

/** The same value with entries in one order, for comparing. */
function sorted(value: CborValue): unknown {
  if (value.kind === 'array') return value.items.map(sorted);
  if (value.kind === 'tag') return [value.tag, sorted(value.value)];
  if (value.kind !== 'map') return value;
  return Array.from(value.entries, ([key, inner]) => [typeof key, String(key), sorted(inner)]).sort((left, right) => (String(left) < String(right) ? -1 : 1));
}

test('no two inputs are read as the same value, but for the order of keys', () => {
  const byte = fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0xa1, 0xa2, 0x82, 0x61, 0x41, 0x01, 0x18, 0xf6));
  fc.assert(
    fc.property(fc.array(byte, { maxLength: 12 }), (input) => {
      const parsed = parseCbor(Uint8Array.from(input), { indefinite: 'refuse' });
      if (!parsed.ok) return;
      const again = encodeCbor(parsed.value);
      assert.equal(again.length, input.length);
      assert.deepEqual(again.toSorted(), Uint8Array.from(input).toSorted());
    }),
    { numRuns: 20_000 },
  );
});
