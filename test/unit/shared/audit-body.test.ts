// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { buildBody, genesisHash, parseBody, payloadPreimage } from '../../../shared/audit/body.ts';
import type { RowMembers } from '../../../shared/audit/body.ts';
import { leafHash } from '../../../shared/audit/merkle.ts';
import { fromHex, toHex, utf8 } from '../../../shared/bytes.ts';

const LOG = '000102030405060708090a0b0c0d0e0f';
const PLACE = { log: LOG, epoch: 1, idx: 1, prev: '11'.repeat(32) };
const TIMES = { wall: 1700000000123, mono: 42 };
const CLOSE: RowMembers = { kind: 'close', session: '00aa', reason: 'café "x"' };
const TRAFFIC: RowMembers = {
  kind: 'call',
  call_id: '0f'.repeat(16),
  tenant: null,
  principal: 'local',
  session: '0123456789abcdef',
  server: 'files',
  dir: 'c2s',
  origin: 'client',
  type: 'request',
  method: 'tools/call',
  tool: 'tool#3dca4690',
  rpc: '7',
  decision: 'deny',
  rule: 'deny_tools[0]',
  code: 'TOOL_DENIED',
  status: null,
  policy: 'ab'.repeat(32),
  bytes: 120,
  redactions: 0,
  us: null,
};
const PIN: RowMembers = { kind: 'pin', server: 's', session: 's', tool: null, item: 'tool', change: 'listed', digest: 'd', was: null, decision: 'allow', code: null, count: 3, policy: 'p' };
const BOOT: RowMembers = {
  kind: 'boot',
  version: '0.1.0',
  node: '24',
  server: 's',
  session: 's',
  policy: 'p',
  mode: 'enforce',
  order: 'strict',
  signature: 'per-commit',
  payload: 'redacted',
  key: 'cd'.repeat(32),
  key_custody: 'file',
  prev_origin: null,
  prev_size: null,
  prev_root: null,
};

// Made with Python's json and hashlib, not with the code under test.
const CLOSE_BODY =
  '{"_":"mcp-bastion/audit/1","epoch":1,"idx":1,"kind":"close","log":"000102030405060708090a0b0c0d0e0f","mono":42,"pc":null,"pc_bytes":null,"prev":"1111111111111111111111111111111111111111111111111111111111111111","reason":"café \\"x\\"","session":"00aa","wall":1700000000123}';

test('a body and its leaf are these bytes', () => {
  const body = buildBody(PLACE, CLOSE, TIMES, null);
  assert.equal(body, CLOSE_BODY);
  assert.equal(toHex(leafHash(utf8(body))), 'd7313fb7041d5594b1fcea814395d382da419488a246c1cc2c2ce9ed04d4d3eb');
});

test('the genesis hash and the payload commitment are these bytes', () => {
  assert.equal(toHex(genesisHash(fromHex(LOG) ?? assert.fail())), '4f8e43a993324b67dd92e4a780d16aefb8fa80a060047466fe620d27098328a4');
  const salt = Uint8Array.from({ length: 32 }, (_, at) => at);
  const pc = createHash('sha256').update(payloadPreimage(salt, utf8('{"a":1}'))).digest('hex');
  assert.equal(pc, '90999cb146036f4f2a6bdf1171246411ff173ffe1bae6f65d10e41ecc52cdece');
});

test('a body of each kind is read back as it was built', () => {
  for (const fields of [TRAFFIC, { ...TRAFFIC, kind: 'result' }, { ...TRAFFIC, kind: 'message' }, { ...TRAFFIC, kind: 'drop' }, PIN, BOOT, CLOSE]) {
    const commitment = { pc: 'ee'.repeat(32), bytes: 5 };
    const parsed = parseBody(buildBody(PLACE, fields, TIMES, commitment));
    assert(parsed.ok, String(fields['kind']));
    assert.deepEqual({ ...parsed.body, members: null }, { ...PLACE, ...TIMES, kind: fields['kind'], commitment, members: null });
    for (const [key, value] of Object.entries(fields)) assert.equal(parsed.body.members[key], value);
  }
});

test('any text and any times survive a body', () => {
  const text = fc.string({ unit: 'binary', maxLength: 40 });
  fc.assert(
    fc.property(text, fc.option(text), fc.maxSafeNat(), fc.maxSafeNat(), (reason, tool, wall, mono) => {
      const close = parseBody(buildBody(PLACE, { ...CLOSE, reason }, { wall, mono }, null));
      assert(close.ok);
      assert.equal(close.body.members['reason'], reason);
      assert.deepEqual([close.body.wall, close.body.mono], [wall, mono]);
      const traffic = parseBody(buildBody(PLACE, { ...TRAFFIC, tool }, { wall, mono }, null));
      assert(traffic.ok);
      assert.equal(traffic.body.members['tool'], tool);
    }),
    { numRuns: 300 },
  );
});

test('a body that differs in any one character is not the same row', () => {
  const body = buildBody(PLACE, TRAFFIC, TIMES, null);
  fc.assert(
    fc.property(fc.nat(body.length - 1), fc.string({ minLength: 1, maxLength: 1, unit: 'grapheme-ascii' }), (at, char) => {
      const changed = body.slice(0, at) + char + body.slice(at + 1);
      const parsed = parseBody(changed);
      // What is still accepted is canonical: no two texts stand for one row.
      if (parsed.ok) assert.equal(JSON.stringify(Object.fromEntries(Object.entries(parsed.body.members).sort(([a], [b]) => (a < b ? -1 : 1)))), changed);
    }),
    { numRuns: 500 },
  );
});

test('a draft whose members are not those of its kind is refused', () => {
  const { reason: _reason, ...without } = CLOSE;
  const wrong: [string, RowMembers][] = [
    ['an unknown kind', { ...CLOSE, kind: 'gap' }],
    ['a missing member', without],
    ['one too many', { ...CLOSE, more: 1 }],
    ['a null where text must be', { ...CLOSE, session: null }],
    ['a fraction', { ...TRAFFIC, bytes: 1.5 }],
    ['a negative count', { ...TRAFFIC, bytes: -1 }],
    ['an unsafe integer', { ...TRAFFIC, bytes: 2 ** 53 }],
    ['an unknown decision', { ...TRAFFIC, decision: 'maybe' }],
    ['a short key', { ...BOOT, key: 'cd' }],
    ['upper-case hex', { ...BOOT, key: 'CD'.repeat(32) }],
    ['a lone surrogate', { ...CLOSE, reason: '\ud800' }],
  ];
  for (const [what, fields] of wrong) assert.throws(() => buildBody(PLACE, fields, TIMES, null), TypeError, what);
  assert.throws(() => buildBody(PLACE, { ...CLOSE, reason: 'é'.repeat(40_000) }, TIMES, null), RangeError);
  assert.throws(() => buildBody({ ...PLACE, log: 'xyz' }, CLOSE, TIMES, null), TypeError);
});

test('a value that looks like a member does not change the kind', () => {
  const body = buildBody(PLACE, { ...CLOSE, reason: 'x","kind":"boot' }, TIMES, null);
  const parsed = parseBody(body);
  assert(parsed.ok);
  assert.deepEqual([parsed.body.kind, parsed.body.members['reason']], ['close', 'x","kind":"boot']);
});

test('a stored body in any other form is refused', () => {
  const body = CLOSE_BODY;
  const wrong: [string, string][] = [
    ['white space', body.replace(',', ', ')],
    ['a byte order mark', `\ufeff${body}`],
    ['a newline after', `${body}\n`],
    ['an escape that is not needed', body.replace('café', 'caf\\u00e9')],
    ['a number in another form', body.replace('"mono":42', '"mono":4.2e1')],
    ['a leading zero', body.replace('"mono":42', '"mono":042')],
    ['a number beyond 2^53', body.replace('"mono":42', '"mono":9007199254740993')],
    ['a number of many digits', body.replace('"mono":42', `"mono":${'4'.repeat(20)}`)],
    ['a minus before zero', body.replace('"mono":42', '"mono":-0')],
    ['a value of another type', body.replace('"mono":42', '"mono":true')],
    ['an escape that ends nowhere', body.replace('"session":"00aa"', '"session":"00aa\\\\\\"')],
    ['a kind twice', body.replace('"kind":"close"', '"kind":"close","kind":"close"')],
    ['the text of a kind inside another value', body.replace('"reason":"', '"reason":"\\"kind\\":\\"boot\\" ').replace('"kind":"close"', '"kind":"boot"')],
    ['a duplicate key', body.replace('"mono":42', '"mono":42,"mono":42')],
    ['another order', body.replace('"epoch":1,"idx":1', '"idx":1,"epoch":1')],
    ['a foreign key', body.replace('"kind"', '"__proto__":null,"kind"')],
    ['half a commitment', body.replace('"pc_bytes":null', '"pc_bytes":3')],
    ['another format', body.replace('audit/1', 'audit/2')],
    ['an array', '[]'],
    ['nothing', ''],
    ['a fraction', body.replace('"wall":1700000000123', '"wall":1.5')],
    ['deep nesting', '['.repeat(10_000)],
  ];
  for (const [what, text] of wrong) assert.equal(parseBody(text).ok, false, what);
  assert.equal(parseBody(body).ok, true);
});
