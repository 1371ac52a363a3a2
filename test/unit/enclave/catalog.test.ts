// SPDX-License-Identifier: Apache-2.0
/** The judged listing that clients are served from. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { GatewayAnswer } from '../../../enclave/exchange/conversation.ts';
import { Catalog } from '../../../enclave/pins/catalog.ts';
import { PROMPTS, TEMPLATES, TOOLS } from '../../../enclave/pins/item.ts';
import type { JudgedItem, PinEntry, ServerPins } from '../../../enclave/pins/judge.ts';
import { itemDigest, judgeListing } from '../../../enclave/pins/judge.ts';
import { Unavailable } from '../../../shared/errors.ts';
import type { JsonObject, JsonValue } from '../../../shared/json/value.ts';
import { isJsonObject } from '../../../shared/json/value.ts';

const settings = { enabled: false, onDrift: 'alert', onNew: 'allow', path: null, mirrorsParams: false } as const;

interface Fake {
  readonly catalog: Catalog;
  readonly asked: (string | null)[];
  now: number;
  version: string | Unavailable;
}

/** A catalog over pages that a function gives by cursor. */
function over(pageOf: (cursor: string | null, count: number) => GatewayAnswer, hidden: readonly string[] = [], oldAfterMs: number | null = null): Fake {
  const asked: (string | null)[] = [];
  let ids = 0;
  const fake: Fake = {
    asked,
    now: 1000,
    version: 'v1',
    catalog: new Catalog({
      listed: TOOLS,
      fetchPage: (cursor) => {
        asked.push(cursor);
        return Promise.resolve(pageOf(cursor, asked.length));
      },
      judge: (pages: readonly (readonly JsonValue[])[]) => {
        if (fake.version instanceof Unavailable) return Promise.resolve({ kind: 'failed', code: fake.version.code, message: '' });
        const judged = judgeListing(TOOLS, pages, new Map(), settings);
        return Promise.resolve(judged.kind === 'judged' ? { ...judged, version: fake.version } : { kind: 'failed', code: 'RESULT_INVALID', message: judged.problem });
      },
      version: () => (fake.version instanceof Unavailable ? Promise.reject(fake.version) : Promise.resolve(fake.version)),
      visible: (name) => !hidden.includes(name),
      now: () => fake.now,
      randomHex: () => `snap${(ids += 1)}`,
      oldAfterMs,
    }),
  };
  return fake;
}

const result = (members: JsonObject): GatewayAnswer => ({ kind: 'result', result: members });
const tools = (...names: readonly string[]): JsonValue[] => names.map((name) => ({ name }));
const names = (page: JsonObject | undefined): unknown[] => {
  const listed = page?.['tools'];
  return Array.isArray(listed) ? listed.map((tool) => (isJsonObject(tool) ? tool['name'] : tool)) : [];
};

test('all pages are drained, and clients walk them by cursors of the gateway', async () => {
  const { catalog, asked } = over((cursor) => (cursor === null ? result({ tools: tools('a', 'b'), nextCursor: 'x', extra: 1 }) : result({ tools: tools('c') })));
  const listing = await catalog.forClient();
  assert.deepEqual(asked, [null, 'x']);
  assert.equal(listing.kind, 'listed');
  const first = catalog.page(null, listing.kind === 'listed' ? listing : null);
  assert.deepEqual(names(first), ['a', 'b']);
  assert.equal(first?.['extra'], 1);
  const cursor = first?.['nextCursor'];
  assert.ok(typeof cursor === 'string');
  assert.notEqual(cursor, 'x');
  const second = catalog.page(cursor, null);
  assert.deepEqual(names(second), ['c']);
  assert.equal(second !== undefined && 'nextCursor' in second, false);
  for (const forged of ['x', `${cursor}0`, 'snap1.7', 'snap9.1', '', 'snap1', 'snap1.-1', 'snap1.1e0']) assert.equal(catalog.page(forged, null), undefined, forged);
});

test('what is denied is in no page, and a filtered page is private', async () => {
  const { catalog } = over(() => result({ tools: tools('a', 'b'), cacheScope: 'public', ttlMs: 5 }), ['a']);
  const listing = await catalog.forClient();
  const page = catalog.page(null, listing.kind === 'listed' ? listing : null);
  assert.deepEqual(names(page), ['b']);
  assert.equal(page?.['cacheScope'], 'private');
});

test('a client that lists again gets a new listing unless the last is still fresh', async () => {
  const stale = over(() => result({ tools: tools('a') }));
  await stale.catalog.forClient();
  await stale.catalog.forClient();
  assert.equal(stale.asked.length, 2);
  const fresh = over(() => result({ tools: tools('a'), ttlMs: 500 }));
  await fresh.catalog.forClient();
  fresh.now += 499;
  const again = await fresh.catalog.forClient();
  assert.equal(fresh.asked.length, 1);
  assert.equal(fresh.catalog.page(null, again.kind === 'listed' ? again : null)?.['ttlMs'], 1);
  fresh.now += 1;
  await fresh.catalog.forClient();
  assert.equal(fresh.asked.length, 2);
});

test("a server's ttl cannot freeze a listing", async () => {
  const { catalog } = over(() => result({ tools: tools('a'), ttlMs: 9e15 }));
  const listing = await catalog.forClient();
  assert.equal(catalog.page(null, listing.kind === 'listed' ? listing : null)?.['ttlMs'], 3_600_000);
});

test('calls share one listing until something changes', async () => {
  const { catalog, asked } = over(() => result({ tools: tools('a') }));
  await Promise.all([catalog.current(), catalog.current(), catalog.current()]);
  await catalog.current();
  assert.equal(asked.length, 1);
  catalog.invalidate();
  await catalog.current();
  assert.equal(asked.length, 2);
});

test('a change during a listing makes it list again before anyone is answered', async () => {
  const fake: Fake = over((_cursor, count) => {
    if (count === 1) fake.catalog.invalidate();
    return result({ tools: tools(`version-${count}`) });
  });
  const listing = await fake.catalog.current();
  assert.deepEqual(listing.kind === 'listed' ? [...listing.items.keys()] : [], ['version-2']);
});

test('a server that never stops changing, repeats a cursor or lists without end fails the listing', async () => {
  const restless: Fake = over(() => {
    restless.catalog.invalidate();
    restless.now += 1000;
    return result({ tools: [] });
  });
  const endless = over((_cursor, count) => result({ tools: [], nextCursor: `c${count}` }));
  const repeating = over(() => result({ tools: [], nextCursor: 'c' }));
  const many = over((_cursor, count) => result({ tools: tools(...Array.from({ length: 6000 }, (_unused, at) => `${count}-${at}`)), nextCursor: `c${count}` }));
  for (const fake of [restless, endless, repeating, many]) {
    assert.equal((await fake.catalog.current()).kind, 'failed');
    assert.ok(fake.asked.length <= 64);
  }
});

test('a failed listing is not kept', async () => {
  const { catalog } = over((_cursor, count) => (count === 1 ? { kind: 'refused', code: 'x' } : result({ tools: tools('a') })));
  assert.equal((await catalog.current()).kind, 'failed');
  assert.equal((await catalog.current()).kind, 'listed');
});

test('the digest covers the whole tool object and no order of members', () => {
  const tool: JsonObject = { name: 't', description: 'd', inputSchema: { type: 'object', properties: { a: { type: 'string' } } } };
  assert.equal(itemDigest({ inputSchema: { properties: { a: { type: 'string' } }, type: 'object' }, description: 'd', name: 't' }), itemDigest(tool));
  const changes: JsonObject[] = [{ description: 'e' }, { title: 'x' }, { _meta: {} }, { icons: [] }, { annotations: { readOnlyHint: true } }, { inputSchema: { type: 'object' } }];
  for (const change of changes) assert.notEqual(itemDigest({ ...tool, ...change }), itemDigest(tool));
});

test('new, same, changed and rejected items are judged as the settings say', () => {
  const known: JsonObject = { name: 't' };
  const rejected = itemDigest({ name: 't', x: 2 });
  const entry = { pin: { sha256: itemDigest(known), firstSeen: '', accepted: null }, rejected: [rejected] };
  const refusedNew = { pin: null, rejected: [itemDigest({ name: 'r' })] };
  type Drift = 'alert' | 'block' | 'approve';
  type New = 'allow' | 'alert' | 'block' | 'approve';
  const table: readonly [JsonObject, Drift, New, string, string, 'DRIFT' | 'NEW' | null][] = [
    [known, 'block', 'block', 'same', 'allow', null],
    [{ name: 't', x: 1 }, 'block', 'allow', 'drift', 'deny', 'DRIFT'],
    [{ name: 't', x: 1 }, 'approve', 'allow', 'drift', 'hold', 'DRIFT'],
    [{ name: 't', x: 1 }, 'alert', 'allow', 'drift', 'alert', 'DRIFT'],
    [{ name: 't', x: 2 }, 'alert', 'allow', 'drift', 'deny', 'DRIFT'],
    [{ name: 'n' }, 'block', 'allow', 'new', 'allow', null],
    [{ name: 'n' }, 'block', 'alert', 'new', 'alert', 'NEW'],
    [{ name: 'n' }, 'block', 'block', 'new', 'deny', 'NEW'],
    [{ name: 'n' }, 'block', 'approve', 'new', 'hold', 'NEW'],
    [{ name: 'r' }, 'alert', 'allow', 'new', 'deny', 'NEW'],
  ];
  for (const [listed, kind, prefix] of [[TOOLS, 'tool', 'TOOL_PIN_'], [PROMPTS, 'prompt', 'ITEM_PIN_']] as const) {
    const pins: ServerPins = new Map([[kind, new Map<string, PinEntry>([['t', entry], ['r', refusedNew]])]]);
    for (const [value, onDrift, onNew, change, decision, code] of table) {
      const judged = judgeListing(listed, [[value]], pins, { enabled: true, onDrift, onNew, path: null, mirrorsParams: false });
      const item: Partial<JudgedItem> | undefined = judged.kind === 'judged' ? judged.pages[0]?.[0] : undefined;
      assert.deepEqual([item?.change, item?.decision, item?.code], [change, decision, code === null ? null : prefix + code], JSON.stringify([value, onDrift, onNew]));
    }
  }
});

test('an item without a usable name, or listed twice, makes a listing invalid', () => {
  const long = 'x'.repeat(513);
  const table: readonly [typeof TOOLS, JsonValue[], boolean][] = [
    [TOOLS, [{ name: '' }], false],
    [TOOLS, [{ name: long }], false],
    [TOOLS, [{ name: 7 }], false],
    [TOOLS, ['t'], false],
    [TOOLS, [{ name: 'a' }, { name: 'a' }], false],
    [PROMPTS, [{ name: 'a' }, { name: 'a' }], false],
    [TEMPLATES, [{ name: 'a' }], false],
    [TEMPLATES, [{ uriTemplate: `file:///${long}`, name: 'a' }], true],
    [TEMPLATES, [{ uriTemplate: 'file:///{a}' }, { uriTemplate: 'file:///{b}' }], true],
  ];
  for (const [listed, page, valid] of table) assert.equal(judgeListing(listed, [page], new Map(), settings).kind === 'judged', valid, JSON.stringify(page));
});

test('other pins in force make the next call and the next page wait for a new listing', async () => {
  const fake = over(() => result({ tools: tools('a'), ttlMs: 1e6 }));
  await fake.catalog.current();
  await fake.catalog.forClient();
  assert.equal(fake.asked.length, 1);
  fake.version = 'v2';
  await Promise.all([fake.catalog.current(), fake.catalog.forClient()]);
  assert.equal(fake.asked.length, 2);
  await fake.catalog.current();
  assert.equal(fake.asked.length, 2);
  fake.version = new Unavailable('PIN_STORE', '', '');
  const listing = await fake.catalog.current();
  assert.equal(listing.kind === 'failed' && listing.code, 'PIN_STORE');
});

test('calls are judged by a new listing when the last is old, and by no newer one while the server calls it fresh', async () => {
  const ttls: readonly (readonly [ttlMs: number, oldAfterMs: number | null, ms: number, listings: number])[] = [
    [0, 60_000, 59_999, 1],
    [0, 60_000, 60_000, 2],
    [90_000, 60_000, 60_000, 1],
    [90_000, 60_000, 90_000, 2],
    [0, null, 1e9, 1],
  ];
  for (const [ttlMs, oldAfterMs, ms, listings] of ttls) {
    const fake = over(() => result({ tools: tools('a'), ttlMs }), [], oldAfterMs);
    await fake.catalog.current();
    fake.now += ms;
    await fake.catalog.current();
    assert.equal(fake.asked.length, listings, `${ttlMs} ${oldAfterMs} ${ms}`);
  }
});
