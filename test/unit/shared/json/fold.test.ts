// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { foldKey, mayFold } from '../../../../shared/json/fold.ts';

const same: readonly (readonly [string, string])[] = [
  ['Method', 'method'],
  ['METHOD', 'method'],
  ['param\u017f', 'params'],
  ['to\u212aen', 'token'],
  ['\uff4d\uff45\uff54\uff48\uff4f\uff44', 'method'],
  ['\u03c3', '\u03c2'],
  ['\u03a3', '\u03c2'],
  ['\u00e9', 'e\u0301'],
  ['\u00c9', '\u00e9'],
  ['\ufb01eld', 'field'],
  ['\ud801\udc00', '\ud801\udc28'],
];

for (const [left, right] of same) {
  test(`${JSON.stringify(left)} folds as ${JSON.stringify(right)} does`, () => {
    assert.equal(foldKey(left), foldKey(right));
  });
}

test('keys that differ in letters fold differently', () => {
  assert.notEqual(foldKey('method'), foldKey('methods'));
  assert.notEqual(foldKey('name'), foldKey('name '));
});

test('folding joins all that the simple case folding of Unicode joins, and folds nothing twice', () => {
  const cased: string[] = [];
  for (let point = 0; point <= 0x10ffff; point += 1) {
    if (point >= 0xd800 && point <= 0xdfff) continue;
    const text = String.fromCodePoint(point);
    const folded = foldKey(text);
    if (foldKey(folded) !== folded) assert.fail(`U+${point.toString(16)} folds twice`);
    if (!mayFold(text) && folded !== text) assert.fail(`U+${point.toString(16)} folds unseen`);
    if (text.toLowerCase() !== text || text.toUpperCase() !== text) cased.push(text);
  }
  assert.ok(cased.length > 2000);
  const all = cased.join('');
  // Regular expressions with the flags i and u compare by simple case folding.
  for (const text of cased) {
    for (const other of all.match(new RegExp(text, 'giu')) ?? []) assert.equal(foldKey(other), foldKey(text));
  }
});
