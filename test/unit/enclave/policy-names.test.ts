// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import type { Glob } from '../../../enclave/policy/glob.ts';
import { compileGlob } from '../../../enclave/policy/glob.ts';
import { formsOf, permits, restricts, toolNames } from '../../../enclave/policy/names.ts';

function glob(pattern: string): Glob {
  const compiled = compileGlob(pattern);
  assert.ok(compiled.ok);
  return compiled.glob;
}

const restricted = (pattern: string, tool: string): boolean => restricts(glob(pattern), toolNames('files', tool).forms);
const permitted = (pattern: string, tool: string, sole = true): boolean => permits(glob(pattern), toolNames('files', tool), sole);

/** Names that a lenient server could take for `desk`. */
const EVASIONS: readonly (readonly [what: string, name: string])[] = [
  ['the name itself', 'desk'],
  ['upper case', 'DESK'],
  ['mixed case', 'dEsK'],
  ['a space behind', 'desk '],
  ['white space around', '\t desk\n'],
  ['a no-break space behind', 'desk\u00a0'],
  ['fullwidth letters', '\uff44\uff45\uff53\uff4b'],
  ['fullwidth capitals', '\uff24\uff25\uff33\uff2b'],
  ['long s (U+017F)', 'de\u017fk'],
  ['the Kelvin sign (U+212A)', 'des\u212a'],
  ['mathematical bold', '\u{1d41d}\u{1d41e}\u{1d42c}\u{1d424}'],
  ['a zero-width space', 'de\u200bsk'],
  ['a zero-width joiner', 'de\u200dsk'],
  ['a word joiner', 'de\u2060sk'],
  ['a byte order mark', '\ufeffdesk'],
  ['a soft hyphen', 'de\u00adsk'],
  ['a right-to-left override', '\u202edesk'],
  ['an isolate', '\u2066desk\u2069'],
  ['tag characters', 'desk\u{e0064}\u{e0001}'],
  ['a Hangul filler', 'de\u3164sk'],
  ['a halfwidth Hangul filler', 'de\uffa0sk'],
  ['a Hangul choseong filler', 'de\u115fsk'],
  ['a combining grapheme joiner', 'de\u034fsk'],
  ['a variation selector', 'des\ufe0fk'],
  ['a Mongolian vowel separator', 'de\u180esk'],
  ['an empty Braille cell', 'desk\u2800'],
  ['a zero byte', 'desk\u0000'],
  ['an escape character', 'de\u001bsk'],
  ['several at once', ' \uff24e\u200b\u017f\u00ad\u212a\u{e0020} '],
];

for (const [what, name] of EVASIONS) {
  test(`a rule that denies covers a name with ${what}`, () => {
    for (const pattern of ['desk', 'd*k', 'files.desk', 'files.d?sk', 'FILES.DESK', '\uff44esk', '*.desk']) {
      assert.ok(restricted(pattern, name), pattern);
    }
  });

  test(`a rule that allows does not cover a name with ${what}, unless it is exact`, () => {
    assert.equal(permitted('desk', name), name === 'desk');
    assert.equal(permitted('files.desk', name), name === 'desk');
  });
}

test('a rule that denies does not cover names that only begin like it or are spelled otherwise', () => {
  for (const name of ['desks', 'des', 'disk', 'd.esk', 'xdesk', '', 'file.desk']) assert.ok(!restricted('desk', name), name);
  assert.ok(!restricted('other.desk', 'desk'));
  assert.ok(!restricted('shell.*', 'shell'));
});

test('a name in decomposed form is covered by a rule in composed form, and the reverse', () => {
  assert.ok(restricted('caf\u00e9', 'cafe\u0301'));
  assert.ok(restricted('cafe\u0301', 'caf\u00e9'));
  assert.ok(restricted('caf\u00e9', 'cafe\u200b\u0301'));
});

test('a rule that allows counts the bare name only where one server is configured', () => {
  assert.ok(permitted('desk', 'desk', true));
  assert.ok(!permitted('desk', 'desk', false));
  assert.ok(permitted('files.desk', 'desk', false));
  assert.ok(permitted('files.*', 'desk', false));
  assert.ok(!permitted('shell.*', 'shell.exec', false));
  assert.ok(permitted('shell.*', 'shell.exec', true));
});

test('the exact name is always among its forms, and a plain name has only one', () => {
  assert.deepEqual(formsOf('read_file.2-x/y'), ['read_file.2-x/y']);
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 20 }), (name) => {
      assert.equal(formsOf(name)[0], name);
    }),
    { numRuns: 500 },
  );
});

test('invisible characters and case, strewn into a denied name anywhere, never help it', () => {
  const noise = fc.constantFrom('', '\u200b', '\u00ad', '\u2060', '\u{e0041}', '\u3164', '\ufe0f', '\u202e', '\u0007');
  const letter = (...forms: string[]): fc.Arbitrary<string> => fc.tuple(fc.constantFrom(...forms), noise).map((parts) => parts.join(''));
  const name = fc.tuple(
    noise,
    letter('d', 'D', '\uff24', '\uff44'),
    letter('e', 'E', '\uff45'),
    letter('s', 'S', '\u017f', '\uff33'),
    letter('k', 'K', '\u212a', '\uff4b'),
  );
  fc.assert(
    fc.property(name, (parts) => {
      assert.ok(restricted('desk', parts.join('')));
    }),
    { numRuns: 1000 },
  );
});
