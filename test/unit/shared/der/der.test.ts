// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import type { DerElement } from '../../../../shared/der/read.ts';
import { parseDer } from '../../../../shared/der/read.ts';
import { readBoolean, readNamedBits, readOid, readPositive, readSmall, readText, readTime } from '../../../../shared/der/types.ts';
import { bits, element, integer, octets, oid, sequence, time } from '../../../harness/der.ts';

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));
const parse = (text: string): DerElement | undefined => parseDer(hex(text));

test('an element is read with its parts', () => {
  const read = parse('3006020101040100');
  assert.equal(read?.tag, 0x30);
  assert.deepEqual(read?.children.map((child) => [child.tag, Buffer.from(child.content).toString('hex')]), [[2, '01'], [4, '00']]);
});

const refused: readonly [string, string][] = [
  ['an empty input', ''],
  ['an identifier without length', '30'],
  ['trailing bytes', '02010100'],
  ['trailing bytes within a sequence', '300402010100'],
  ['an indefinite length', '30800201010000'],
  ['a long form for a short length', '02810101'],
  ['two bytes of length for one', '0282000101'],
  ['a zero before the length', `04820080${'00'.repeat(128)}`],
  ['three bytes of length', `0483000101${'00'.repeat(257)}`],
  ['a length beyond the end', '020201'],
  ['a length that is cut', '0281'],
  ['a child beyond its parent', '3003020201'],
  ['an identifier of several bytes', '1f81010101'],
  ['an octet string in pieces', '2403040100'],
  ['a primitive sequence', '1000'],
  ['an application type', '4100'],
  ['a private type', 'c100'],
  ['an end-of-contents', '0000'],
];

for (const [name, text] of refused) test(`DER with ${name} is refused`, () => assert.equal(parse(text), undefined));

test('twelve levels are read, and not one more', () => {
  const nested = (levels: number): Uint8Array => (levels === 1 ? sequence() : sequence(nested(levels - 1)));
  assert.notEqual(parseDer(nested(12)), undefined);
  assert.equal(parseDer(nested(13)), undefined);
});

test('lengths of one, two and three bytes are read', () => {
  for (const length of [0, 127, 128, 255, 256, 65_535]) assert.equal(parseDer(octets(new Uint8Array(length)))?.content.length, length);
});

test('only 00 and ff are booleans', () => {
  assert.deepEqual(['010100', '0101ff', '010101', '0100', '0102ffff', '020101'].map((text) => readBoolean(parse(text))), [false, true, undefined, undefined, undefined, undefined]);
});

test('positive integers are read without sign byte, and only in their shortest form', () => {
  const read = (text: string): string | undefined => {
    const value = readPositive(parse(text));
    return value === undefined ? undefined : Buffer.from(value).toString('hex');
  };
  assert.deepEqual(['020101', '02020080', '0202007f', '020180', '020100', '0200', '0203000080'].map(read), ['01', '80', undefined, undefined, undefined, undefined, undefined]);
  assert.deepEqual(['020100', '02017f', '020180', '02020080', '0200'].map((text) => readSmall(parse(text))), [0, 127, undefined, undefined, undefined]);
});

test('a list of named bits has one encoding', () => {
  const read = (text: string): number[] | undefined => {
    const set = readNamedBits(parse(text));
    return set === undefined ? undefined : [...set];
  };
  assert.deepEqual(read('03020780'), [0]);
  assert.deepEqual(read('030206c0'), [0, 1]);
  assert.deepEqual(read('03020186'), [0, 5, 6]);
  assert.deepEqual(read('0303070080'), [8]);
  assert.deepEqual(read('030100'), []);
  assert.deepEqual(read('030107'), undefined, 'unused bits of nothing');
  assert.deepEqual(read('03020600'), undefined, 'nothing set in the last byte');
  assert.deepEqual(read('030200c0'), undefined, 'zeros at the end');
  assert.deepEqual(read('030206c1'), undefined, 'an unused bit that is set');
  assert.deepEqual(read('03020880'), undefined, 'eight unused bits');
  assert.deepEqual(read('0300'), undefined);
});

test('object identifiers are read, and only in their shortest form', () => {
  const values = ['0603551d13', '06082a8648ce3d040303', '060a2b060104018237140201', '060100', '0603551d80', '060455801d13', '0600', '0606550180808001'];
  assert.deepEqual(values.map((text) => readOid(parse(text))), ['2.5.29.19', '1.2.840.10045.4.3.3', '1.3.6.1.4.1.311.20.2.1', '0.0', undefined, undefined, undefined, undefined]);
});

test('an object identifier is read as it was written', () => {
  const arc = fc.nat({ max: 2 ** 28 - 1 });
  const dotted = fc.oneof(fc.tuple(fc.constantFrom(0, 1), fc.nat({ max: 39 }), fc.array(arc)), fc.tuple(fc.constant(2), fc.nat({ max: 1000 }), fc.array(arc)));
  fc.assert(fc.property(dotted, ([top, second, rest]) => assert.equal(readOid(parseDer(oid([top, second, ...rest].join('.')))), [top, second, ...rest].join('.'))));
});

test('texts are UTF-8 or printable', () => {
  assert.deepEqual(['0c02c3bc', '0c02c328', '13025553', '13012a', '1301ff', '160141', '0c00'].map((text) => readText(parse(text))), ['ü', undefined, 'US', undefined, undefined, undefined, '']);
});

test('times have seconds and Z, and the form that their year has', () => {
  const utc = (digits: string): number | undefined => readTime(parseDer(element(0x17, Buffer.from(digits))));
  const generalized = (digits: string): number | undefined => readTime(parseDer(element(0x18, Buffer.from(digits))));
  assert.equal(utc('191028132805Z'), Date.parse('2019-10-28T13:28:05Z'));
  assert.equal(utc('491028142805Z'), Date.parse('2049-10-28T14:28:05Z'));
  assert.equal(utc('500101000000Z'), Date.parse('1950-01-01T00:00:00Z'));
  assert.equal(generalized('20541206075525Z'), Date.parse('2054-12-06T07:55:25Z'));
  for (const text of ['1910281328Z', '191028132805', '191028132805+0000', '190231000000Z', '191028240000Z', '191028136005Z', '191028132860Z', '19102813280xZ', '190028132805Z']) assert.equal(utc(text), undefined, text);
  for (const text of ['20191028132805Z', '20541206075525.5Z', '2054120607552Z', '20541306075525Z']) assert.equal(generalized(text), undefined, text);
});

test('a time is read as it was written', () => {
  const span = { min: Date.parse('1950-01-01') / 1000, max: Date.parse('2999-01-01') / 1000 };
  fc.assert(fc.property(fc.integer(span), (seconds) => assert.equal(readTime(parseDer(time(seconds * 1000))), seconds * 1000)));
});

const { tree } = fc.letrec<{ tree: Uint8Array }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 6 },
    fc.uint8Array({ maxLength: 200 }).map(octets),
    fc.uint8Array({ minLength: 1, maxLength: 30 }).map(integer),
    fc.uint8Array({ maxLength: 30 }).map((value) => bits(value)),
    fc.array(tie('tree'), { maxLength: 5 }).map((parts) => sequence(...parts)),
    fc.array(tie('tree'), { maxLength: 3 }).map((parts) => element(0xa3, ...parts)),
  ),
}));

/** Writes a tree again, from its leaves. */
function write(read: DerElement): Uint8Array {
  return read.children.length > 0 ? element(read.tag, ...read.children.map(write)) : element(read.tag, read.content);
}

test('what is written is read as it was', () => {
  fc.assert(
    fc.property(tree, (bytes) => {
      const read = parseDer(bytes);
      assert.ok(read !== undefined);
      assert.deepEqual(write(read), bytes);
    }),
  );
});

test('whatever is read has this one encoding', () => {
  const byte = fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0x30, 0x31, 0x02, 0x04, 0x81, 0x82, 0x00, 0x01, 0x03, 0xa0));
  fc.assert(
    fc.property(fc.array(byte, { maxLength: 14 }), (input) => {
      const read = parseDer(Uint8Array.from(input));
      if (read !== undefined) assert.deepEqual(write(read), Uint8Array.from(input));
    }),
    { numRuns: 20_000 },
  );
});
