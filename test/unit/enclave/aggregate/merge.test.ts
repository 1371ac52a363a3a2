// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { decodeCursor, encodeCursor } from '../../../../enclave/aggregate/cursor.ts';
import { filterFor } from '../../../../enclave/aggregate/listen.ts';
import type { Offer } from '../../../../enclave/aggregate/merge.ts';
import { joinInstructions, mergePages, offerOf, offers, uniteCapabilities, unitedDiscover, unitedInitialize, uniteFilters } from '../../../../enclave/aggregate/merge.ts';
import type { JsonObject, JsonValue } from '../../../../shared/json/value.ts';
import { VERSION } from '../../../../shared/version.ts';

/** Objects without a prototype compare as if they had one. */
function plain(value: JsonValue | undefined): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

const united: readonly { why: string; all: readonly JsonObject[]; expected: JsonObject }[] = [
  { why: 'nothing is nothing', all: [], expected: {} },
  { why: 'what one has, all have', all: [{ tools: {} }, { prompts: {} }], expected: { tools: {}, prompts: {} } },
  { why: 'a flag is set where one sets it', all: [{ tools: { listChanged: false } }, { tools: { listChanged: true } }], expected: { tools: { listChanged: true } } },
  { why: 'in either order', all: [{ tools: { listChanged: true } }, { tools: { listChanged: false } }], expected: { tools: { listChanged: true } } },
  { why: 'a flag that one does not name is the one of the other', all: [{ resources: {} }, { resources: { subscribe: true } }], expected: { resources: { subscribe: true } } },
  {
    why: 'extensions are put together by name',
    all: [{ extensions: { 'a/x': { v: 1 } } }, { extensions: { 'a/y': {}, 'a/x': { v: 2, w: 3 } } }],
    expected: { extensions: { 'a/x': { v: 1, w: 3 }, 'a/y': {} } },
  },
  { why: 'what cannot be united is what the first says', all: [{ experimental: { e: [1] } }, { experimental: { e: { a: 1 } } }], expected: { experimental: { e: [1] } } },
];

for (const { why, all, expected } of united) {
  test(`united capabilities: ${why}`, () => assert.deepEqual(plain(uniteCapabilities(all)), expected));
}

test('uniting capabilities with themselves changes nothing', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.dictionary(fc.constantFrom('x', 'y'), fc.boolean())), (capabilities) => {
      assert.deepEqual(plain(uniteCapabilities([capabilities, capabilities])), plain(capabilities));
    }),
  );
});

function offer(fields: Partial<Offer>): Offer {
  return { capabilities: null, instructions: null, ttlMs: 0, ...fields };
}

test('an offer is read from whatever a server answers', () => {
  assert.deepEqual(offerOf({ capabilities: { tools: {} }, instructions: 'do', ttlMs: 5 }), { capabilities: { tools: {} }, instructions: 'do', ttlMs: 5 });
  assert.deepEqual(offerOf({ capabilities: 1, instructions: '', ttlMs: -5 }), { capabilities: null, instructions: null, ttlMs: 0 });
});

test('a server has what it says, or anything where it says nothing', () => {
  assert.equal(offers(offer({ capabilities: { tools: {} } }), 'tools'), true);
  assert.equal(offers(offer({ capabilities: { tools: {} } }), 'prompts'), false);
  assert.equal(offers(offer({}), 'prompts'), true);
  assert.equal(offers(null, 'tools'), false);
});

test('instructions stand under the names of their servers, in order', () => {
  const all = [['b', offer({ instructions: 'first' })], ['c', offer({})], ['a', offer({ instructions: 'second' })]] as const;
  assert.equal(joinInstructions(all), '## b\nfirst\n\n## a\nsecond');
  assert.equal(joinInstructions([['c', offer({})]]), undefined);
});

test('the answer to initialize is of the gateway, with the revision that all speak', () => {
  assert.deepEqual(plain(unitedInitialize('2025-06-18', [['a', offer({ capabilities: { tools: {} } })], ['b', offer({})]])), {
    protocolVersion: '2025-06-18',
    capabilities: { tools: {} },
    serverInfo: { name: 'mcp-bastion', version: VERSION },
  });
});

test('the answer to server/discover may be kept as long as the shortest of them, by nobody else', () => {
  const result = unitedDiscover([['a', offer({ ttlMs: 500, instructions: 'x' })], ['b', offer({ ttlMs: 200 })]]);
  assert.deepEqual(plain(result), {
    supportedVersions: ['2026-07-28'],
    capabilities: {},
    instructions: '## a\nx',
    resultType: 'complete',
    ttlMs: 200,
    cacheScope: 'private',
    _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'mcp-bastion', version: VERSION } },
  });
});

const pages = [
  { result: { tools: [], ttlMs: 900, cacheScope: 'public' }, shown: [{ name: 'a__x' }] },
  { result: { tools: [], ttlMs: 300 }, shown: [{ name: 'b__x' }, { name: 'b__y' }] },
];

test('a merged page has the entries in order, and nothing of 2026-07-28 at the older revisions', () => {
  assert.deepEqual(plain(mergePages('legacy', 'tools', pages, { cursor: undefined, whole: true })), { tools: [{ name: 'a__x' }, { name: 'b__x' }, { name: 'b__y' }] });
});

test('a merged page of 2026-07-28 is private, and may be kept only where no server is missing', () => {
  const whole = mergePages('modern', 'tools', pages, { cursor: 'next', whole: true });
  assert.deepEqual([whole['ttlMs'], whole['cacheScope'], whole['resultType'], whole['nextCursor']], [300, 'private', 'complete', 'next']);
  assert.equal(mergePages('modern', 'tools', pages, { cursor: undefined, whole: false })['ttlMs'], 0);
  assert.equal(mergePages('modern', 'tools', [...pages, { result: {}, shown: [] }], { cursor: undefined, whole: true })['ttlMs'], 0);
});

test('a filter that several servers acknowledged has every part that one of them did', () => {
  const filters = [{ toolsListChanged: true, resourceSubscriptions: ['a'] }, { promptsListChanged: true, toolsListChanged: true, resourceSubscriptions: ['b', 'a'] }];
  assert.deepEqual(plain(uniteFilters(filters)), { toolsListChanged: true, resourceSubscriptions: ['a', 'b'], promptsListChanged: true });
});

test('each server is asked for its own resources and tasks only', () => {
  const filter = { toolsListChanged: true, resourceSubscriptions: ['r://1', 'r://2', 'r://both', 7], taskIds: ['t1', 't2'] };
  const owners = new Map([['r://1', ['a']], ['r://2', ['b']], ['r://both', ['a', 'b']], ['t2', ['a']]]);
  const ownersOf = (_member: string, name: string): readonly string[] => owners.get(name) ?? [];
  assert.deepEqual(plain(filterFor('a', filter, ownersOf)), { toolsListChanged: true, resourceSubscriptions: ['r://1'], taskIds: ['t2'] });
  assert.deepEqual(plain(filterFor('c', filter, ownersOf)), { toolsListChanged: true, resourceSubscriptions: [], taskIds: [] });
});

test('a cursor for several servers reads back as it was made, in whatever order', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.tuple(fc.stringMatching(/^[a-z0-9-]{1,24}$/), fc.string({ unit: 'grapheme' })), { minLength: 1, selector: ([server]) => server }), (entries) => {
      const text = encodeCursor(new Map(entries)) ?? '';
      assert.match(text, /^[A-Za-z0-9_-]+$/);
      assert.deepEqual(new Map(decodeCursor(text)), new Map(entries));
      assert.equal(encodeCursor(new Map([...entries].reverse())), text);
    }),
  );
});

test('there is no cursor where no server has a next page', () => {
  assert.equal(encodeCursor(new Map()), undefined);
});

const encode = (text: string): string => Buffer.from(text).toString('base64url');

const garbage: readonly [string, string][] = [
  ['no text', ''],
  ['no base64url', '*'],
  ['padding', `${encode('{"a":"1"}')}=`],
  ['base64 of the other alphabet', Buffer.from('{"a":"??>"}').toString('base64')],
  ['no JSON', encode('hello')],
  ['an array', encode('["a"]')],
  ['a cursor that is no text', encode('{"a":1}')],
  ['no server at all', encode('{}')],
  ['white space', encode('{"a": "1"}')],
  ['keys out of order', encode('{"b":"1","a":"1"}')],
  ['a key twice', encode('{"a":"1","a":"1"}')],
  ['a prototype', encode('{"__proto__":"1"}')],
  ['something after it', `${encode('{"a":"1"}')}${encode(' ')}`],
];

for (const [what, text] of garbage) {
  test(`a cursor with ${what} was never given out`, () => assert.equal(decodeCursor(text), null));
}

test('no mutation of a cursor reads as another spelling of it', () => {
  const text = encodeCursor(new Map([['files', 'page-2'], ['memory', 'x']])) ?? '';
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  for (let at = 0; at < text.length; at += 1) {
    for (const letter of alphabet) {
      const mutated = text.slice(0, at) + letter + text.slice(at + 1);
      const read = decodeCursor(mutated);
      if (read !== null) assert.equal(encodeCursor(read), mutated);
    }
  }
});

test('a cursor that is longer than any that was given out is refused unread', () => {
  assert.equal(decodeCursor(encodeCursor(new Map([['a', 'x'.repeat(512 * 1024)]])) ?? ''), null);
});
