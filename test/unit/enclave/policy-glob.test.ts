// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import type { Glob } from '../../../enclave/policy/glob.ts';
import { compileGlob, hasWildcard } from '../../../enclave/policy/glob.ts';

function glob(pattern: string): Glob {
  const compiled = compileGlob(pattern);
  assert.ok(compiled.ok, `${pattern}: ${compiled.ok ? '' : compiled.problem}`);
  return compiled.glob;
}

const TABLE: readonly (readonly [pattern: string, matches: readonly string[], misses: readonly string[]])[] = [
  ['echo', ['echo'], ['Echo', 'echo ', 'echoo', 'ech', '']],
  ['*', ['', 'a', 'a.b.c', 'ü', '\u{1f600}', 'a\nb'], []],
  ['shell.*', ['shell.exec', 'shell.', 'shell.a.b', 'shell.a/b'], ['shell', 'Shell.exec', 'xshell.exec']],
  ['*.write', ['a.write', 'a.b.write', '.write'], ['write', 'a.write2']],
  ['a*b*c', ['abc', 'aXbYc', 'abbcc', 'a.b.c'], ['ac', 'abcd', 'xabc']],
  ['a**b', ['ab', 'axxb'], ['a']],
  ['?', ['a', '\u{1f600}', '.'], ['', 'ab']],
  ['a?c', ['abc', 'a.c'], ['ac', 'abbc']],
  ['[abc]x', ['ax', 'bx', 'cx'], ['dx', 'x', 'Ax']],
  ['[a-c]', ['a', 'b', 'c'], ['d', '-', 'B']],
  ['[!a-c]', ['d', '-', '\u{1f600}'], ['a', 'c', '']],
  ['[]x]', [']', 'x'], ['[', '[]x]']],
  ['[!]]', ['a'], [']']],
  ['[*]', ['*'], ['a', '']],
  ['[[]a', ['[a'], ['a']],
  ['[a-]', ['a', '-'], ['b']],
  ['[-a]', ['a', '-'], ['b']],
  ['[!-a]', ['b'], ['a', '-']],
  ['[\u{1f600}-\u{1f602}]', ['\u{1f601}'], ['\u{1f603}', '\ud83d']],
  ['a\\*', ['a\\', 'a\\b'], ['a*']],
  ['a]', ['a]'], ['a']],
  ['.+(x)|$^{}', ['.+(x)|$^{}'], ['a+(x)|$^{}']],
];

for (const [pattern, matches, misses] of TABLE) {
  test(`the glob ${pattern} matches what fnmatch says it matches`, () => {
    const compiled = glob(pattern);
    for (const name of matches) assert.equal(compiled.matches(name), true, JSON.stringify(name));
    for (const name of misses) assert.equal(compiled.matches(name), false, JSON.stringify(name));
  });
}

const WRONG: readonly (readonly [pattern: string, problem: RegExp])[] = [
  ['', /empty/],
  ['[', /not closed/],
  ['a[bc', /not closed/],
  ['[]', /not closed/],
  ['[!]', /not closed/],
  ['[^a]', /does not negate/],
  ['[z-a]', /backwards/],
  [' a', /white space/],
  ['a\t', /white space/],
  ['a\u0000b', /cannot be seen/],
  ['ec\u200bho', /cannot be seen/],
  ['a\u202eb', /cannot be seen/],
  ['a\ud800b', /cannot be seen/],
  ['x'.repeat(513), /longer than 512/],
];

for (const [pattern, problem] of WRONG) {
  test(`the glob ${JSON.stringify(pattern.slice(0, 20))} is refused with a hint`, () => {
    const compiled = compileGlob(pattern);
    assert.equal(compiled.ok, false);
    if (compiled.ok) return;
    assert.match(compiled.problem, problem);
    assert.notEqual(compiled.hint, '');
  });
}

test('a pattern is one name unless it holds a star, a question mark or a bracket', () => {
  for (const pattern of ['a.b', 'a-b_c/d', 'x]', 'a\\b', 'a{b,c}']) assert.equal(hasWildcard(pattern), false, pattern);
  for (const pattern of ['*', 'a?', '[a]']) assert.equal(hasWildcard(pattern), true, pattern);
});

test('a folded match disregards case, width and composition of the pattern', () => {
  assert.ok(glob('SHELL.*').matchesFolded('shell.exec'));
  assert.ok(glob('\uff45cho').matchesFolded('echo'));
  assert.ok(glob('cafe\u0301').matchesFolded('caf\u00e9'));
  assert.ok(glob('[A-C]x').matchesFolded('bx'));
  assert.ok(glob('[!A]x').matchesFolded('bx'));
  assert.ok(!glob('SHELL.*').matchesFolded('shel.exec'));
  assert.ok(!glob('SHELL.*').matches('shell.exec'));
});

test('a glob with many stars is answered at once for a name that almost matches', () => {
  const compiled = glob(`${'a*'.repeat(200)}b`);
  assert.equal(compiled.matches('a'.repeat(512)), false);
  assert.equal(compiled.matches(`${'a'.repeat(512)}b`), true);
});

/** What the pattern means, word for word and as slowly as it is said. */
function naive(pattern: readonly string[], name: readonly string[]): boolean {
  const [head, ...rest] = pattern;
  if (head === undefined) return name.length === 0;
  if (head === '*') return naive(rest, name) || (name.length > 0 && naive(pattern, name.slice(1)));
  const [char, ...others] = name;
  if (char === undefined) return false;
  if (head.startsWith('[!')) return !head.slice(2, -1).includes(char) && naive(rest, others);
  if (head.startsWith('[')) return head.slice(1, -1).includes(char) && naive(rest, others);
  return (head === '?' || head === char) && naive(rest, others);
}

test('every glob agrees with a naive matcher', () => {
  const part = fc.constantFrom('a', 'b', '.', '\u{1f600}', '*', '*', '?', '[ab]', '[!a.]', '[\u{1f600}b]');
  const name = fc.array(fc.constantFrom('a', 'b', '.', '\u{1f600}'), { maxLength: 8 });
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 7 }), name, (parts, chars) => {
      assert.equal(glob(parts.join('')).matches(chars.join('')), naive(parts, chars));
    }),
    { numRuns: 3000 },
  );
});

test('no text makes the compiler throw, and what compiles can be matched with any text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 12 }), fc.string({ unit: 'binary', maxLength: 12 }), (pattern, name) => {
      const compiled = compileGlob(pattern);
      if (!compiled.ok) return;
      compiled.glob.matchesFolded(name);
      if (!compiled.glob.wildcard) assert.equal(compiled.glob.matches(name), name === pattern);
    }),
    { numRuns: 1000 },
  );
});
