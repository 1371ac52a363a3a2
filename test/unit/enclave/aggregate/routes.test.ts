// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Claims } from '../../../../enclave/aggregate/claims.ts';
import { ResourceRoutes } from '../../../../enclave/aggregate/routes.ts';
import { fitsTemplate, readTemplate } from '../../../../enclave/aggregate/template.ts';
import type { JsonObject } from '../../../../shared/json/value.ts';

function fits(template: string, uri: string): boolean {
  const read = readTemplate(template);
  return read !== null && fitsTemplate(read, uri);
}

const fitting: readonly [string, string][] = [
  ['file:///a', 'file:///a'],
  ['test://{id}/data', 'test://7/data'],
  ['test://{id}', 'test://some%20thing'],
  ['{scheme}://{host}', 'test://x'],
  ['file:///{+path}', 'file:///a/b/c.txt'],
  ['file:///{+dir}/{name}', 'file:///a/b/c.txt'],
  ['x{a}y{b}z', 'xyyyz'],
  ['{+a}b{+c}b', 'abbb'],
  ['page{#part}', 'page#top'],
  ['search{?q,lang}', 'search'],
  ['search{?q,lang}', 'search?q=1&lang=en'],
  ['a{/x,y}', 'a/b/c'],
  ['{a}{b}', 'xy'],
];

const unfitting: readonly [string, string][] = [
  ['file:///a', 'file:///ab'],
  ['file:///a', 'file:///'],
  ['test://{id}/data', 'test:///data'],
  ['test://{id}/data', 'test://a/b/data'],
  ['test://{id}/data', 'test://7/data/x'],
  ['file:///{+path}', 'file:///'],
  ['page{#part}', 'page'],
  ['page{#part}', 'page#'],
  ['{a}{b}', 'x'],
  ['', 'x'],
  ['x{a', 'x{a'],
];

for (const [template, uri] of fitting) {
  test(`${uri} may come from ${template}`, () => assert.equal(fits(template, uri), true));
}
for (const [template, uri] of unfitting) {
  test(`${uri} does not come from ${JSON.stringify(template)}`, () => assert.equal(fits(template, uri), false));
}

const segment = fc.stringMatching(/^[a-z0-9%.-]{1,8}$/);

test('whatever is put into the variables of a template fits it', () => {
  const piece = fc.oneof(
    segment.map((text) => ({ template: text, uri: text })),
    segment.map((value) => ({ template: '{v}', uri: value })),
    fc.stringMatching(/^[a-z/]{1,8}$/).map((value) => ({ template: '{+v}', uri: value })),
  );
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 20 }), (pieces) => {
      assert.equal(fits(pieces.map(({ template }) => template).join(''), pieces.map(({ uri }) => uri).join('')), true);
    }),
  );
});

test('matching agrees with a regular expression of the same meaning', () => {
  const parts = fc.array(fc.constantFrom('a', 'b', '/', '{v}', '{+w}', '{?q}'), { minLength: 1, maxLength: 6 });
  const meaning = new Map([['{v}', '[^/]+'], ['{+w}', '.+'], ['{?q}', '.*']]);
  fc.assert(
    fc.property(parts, fc.stringMatching(/^[ab/]{0,8}$/), (template, uri) => {
      const expected = new RegExp(`^${template.map((part) => meaning.get(part) ?? part).join('')}$`).test(uri);
      assert.equal(fits(template.join(''), uri), expected);
    }),
    { numRuns: 2000 },
  );
});

test('a template that would take a backtracking matcher for ever is answered at once', () => {
  const began = performance.now();
  assert.equal(fits(`${'{a}x'.repeat(16)}y`, 'x'.repeat(2048)), false);
  assert.ok(performance.now() - began < 2000);
});

test('what is too long or has too many pieces is no template', () => {
  assert.equal(readTemplate('x'.repeat(2049)), null);
  assert.equal(readTemplate('{a}'.repeat(33)), null);
  assert.equal(readTemplate('{a}'.repeat(32))?.pieces.length, 32);
  assert.equal(fits('{+a}', 'x'.repeat(2049)), false);
});

function routes(): ResourceRoutes {
  const made = new ResourceRoutes();
  made.learnResources('a', [{ uri: 'test://1' }, { uri: 'test://shared' }], true);
  made.learnResources('b', [{ uri: 'test://2' }, { uri: 'test://shared' }], true);
  made.learnTemplates('a', [{ uriTemplate: 'a://{id}' }, { uriTemplate: '{+all}/both' }], true);
  made.learnTemplates('b', [{ uriTemplate: 'b://{id}' }, { uriTemplate: 'x/{one}' }], true);
  return made;
}

const owned: readonly [string, readonly string[]][] = [
  ['test://1', ['a']],
  ['test://2', ['b']],
  ['test://shared', ['a', 'b']],
  ['a://7', ['a']],
  ['b://7', ['b']],
  ['x/both', ['a', 'b']],
  ['c://7', []],
  ['constructor', []],
];

for (const [uri, owners] of owned) {
  test(`${uri} belongs to ${owners.length === 0 ? 'nobody' : owners.join(' and ')}`, () => assert.deepEqual(routes().ownersOf(uri), owners));
}

test('what is listed counts more than what fits a template', () => {
  const made = routes();
  made.learnResources('b', [{ uri: 'a://7' }], false);
  assert.deepEqual(made.ownersOf('a://7'), ['b']);
});

test('a link counts where nothing else does', () => {
  const made = routes();
  const linking = (uri: string): JsonObject => ({ content: [{ type: 'resource_link', uri }, 'x', { type: 'text', text: 'c://8' }] });
  made.learnLinks('b', linking('c://7'));
  made.learnLinks('b', linking('a://7'));
  assert.deepEqual(made.ownersOf('c://7'), ['b']);
  assert.deepEqual(made.ownersOf('a://7'), ['a']);
  assert.deepEqual(made.ownersOf('c://8'), []);
  made.learnLinks('a', { messages: [{ role: 'user', content: { type: 'resource_link', uri: 'c://7' } }] });
  assert.deepEqual(made.ownersOf('c://7'), ['a', 'b'].reverse());
});

test('a reference is a template as it is listed, or a URI', () => {
  assert.deepEqual(routes().ownersOfReference('a://{id}'), ['a']);
  assert.deepEqual(routes().ownersOfReference('{+all}/both'), ['a']);
  assert.deepEqual(routes().ownersOfReference('test://2'), ['b']);
});

test('a new listing of a server replaces its last one, and only that', () => {
  const made = routes();
  made.learnResources('a', [{ uri: 'test://new' }], true);
  made.learnResources('a', [], true);
  assert.deepEqual(made.ownersOf('test://1'), []);
  assert.deepEqual(made.ownersOf('test://shared'), ['b']);
  made.learnTemplates('a', [], true);
  assert.deepEqual(made.ownersOf('a://7'), []);
  assert.deepEqual(made.ownersOf('b://7'), ['b']);
});

test('while a listing is paged through, what the last one told still counts where nobody else claims it', () => {
  const made = routes();
  made.learnResources('a', [{ uri: 'test://9' }], true);
  assert.deepEqual(made.ownersOf('test://1'), ['a']);
  assert.deepEqual(made.ownersOf('test://shared'), ['b']);
});

test('entries of a listing that are no objects or name nothing claim nothing', () => {
  const made = new ResourceRoutes();
  made.learnResources('a', [null, 1, 'test://1', [], {}, { uri: 1 }], true);
  made.learnTemplates('a', [null, 1, 'a://{id}', {}, { uriTemplate: 1 }], true);
  assert.deepEqual(made.ownersOf('test://1'), []);
  assert.deepEqual(made.ownersOf('a://1'), []);
});

test('claims are bounded for each server, and the oldest are forgotten', () => {
  const claims = new Claims();
  claims.add('b', 'k0');
  for (let at = 0; at <= 10_000; at += 1) claims.add('a', `k${at}`);
  assert.deepEqual(claims.owners('k0'), ['b']);
  assert.deepEqual(claims.owners('k1'), ['a']);
  assert.deepEqual(claims.owners('k10000'), ['a']);
});

test('a key that is too long is claimed by nobody', () => {
  const claims = new Claims();
  claims.add('a', 'x'.repeat(2049));
  claims.add('a', 'x'.repeat(2048));
  assert.deepEqual(claims.owners('x'.repeat(2049)), []);
  assert.deepEqual(claims.owners('x'.repeat(2048)), ['a']);
});
