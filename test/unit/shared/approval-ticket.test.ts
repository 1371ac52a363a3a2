// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Ticket } from '../../../shared/approval/ticket.ts';
import { callDigest, parseTicket, ticketBytes, ticketId } from '../../../shared/approval/ticket.ts';
import { jsonObject } from '../../../shared/json/value.ts';
import { toolLabel } from '../../../shared/label.ts';

const ticket: Ticket = {
  version: 1,
  gateway: 'local/files/0',
  audit_key: 'b'.repeat(64),
  principal: 'token:ci',
  server: 'files',
  tool: 'delete_tree',
  label: 'tool#' + createHash('sha256').update('delete_tree').digest('hex').slice(0, 8),
  arguments: jsonObject({ path: '/srv/data', recursive: true }),
  digest: 'c'.repeat(64),
  policy: 'a'.repeat(64),
  rule: 'require_approval[0]',
  approvals: 1,
  approvers: ['alice', 'bob'],
  created: 1_700_000_000_000,
  expires: 1_700_000_900_000,
  random: '0'.repeat(64),
};

const CANONICAL =
  `{"approvals":1,"approvers":["alice","bob"],"arguments":{"path":"/srv/data","recursive":true},"audit_key":"${'b'.repeat(64)}",` +
  `"created":1700000000000,"digest":"${'c'.repeat(64)}","expires":1700000900000,"gateway":"local/files/0","label":"${ticket.label}",` +
  `"policy":"${'a'.repeat(64)}","principal":"token:ci","random":"${'0'.repeat(64)}","rule":"require_approval[0]","server":"files","tool":"delete_tree","version":1}`;

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test('the canonical bytes of a ticket are these, and its id is their SHA-256', () => {
  assert.equal(new TextDecoder().decode(ticketBytes(ticket)), CANONICAL);
  assert.equal(ticketId(ticketBytes(ticket)), createHash('sha256').update(CANONICAL).digest('hex'));
});

test('the digest of a call is over the canonical JSON of name and arguments', () => {
  const expected = createHash('sha256').update('{"arguments":{"a":1,"b":[true]},"name":"x"}').digest('hex');
  assert.equal(callDigest('x', jsonObject({ b: [true], a: 1 })), expected);
  assert.notEqual(callDigest('x', jsonObject({})), callDigest('y', jsonObject({})));
});

test('a ticket that was written is read back', () => {
  const parsed = parseTicket(bytes(CANONICAL));
  assert(parsed.ok);
  assert.equal(parsed.id, ticketId(bytes(CANONICAL)));
  assert.equal(JSON.stringify(parsed.ticket), JSON.stringify(ticket));
});

const changed = (changes: Record<string, unknown>): string => {
  const members = Object.entries({ ...JSON.parse(CANONICAL), ...changes }).filter(([, value]) => value !== undefined);
  return JSON.stringify(Object.fromEntries(members.sort(([left], [right]) => (left < right ? -1 : 1))));
};

const refused: readonly [string, string][] = [
  ['no JSON', CANONICAL.slice(1)],
  ['bytes after it', `${CANONICAL}\n`],
  ['white space', CANONICAL.replace('"version":1', '"version": 1')],
  ['another order of members', CANONICAL.replace('"tool":"delete_tree","version":1', '"version":1,"tool":"delete_tree"')],
  ['an escape that need not be', CANONICAL.replace('token:ci', 'token:\\u0063i')],
  ['a number in another form', CANONICAL.replace('"approvals":1', '"approvals":1.0')],
  ['a member twice', CANONICAL.replace('{"approvals":1', '{"approvals":1,"approvals":1')],
  ['a member more', changed({ zone: 'x' })],
  ['a member less', changed({ rule: undefined })],
  ['another version', changed({ version: 2 })],
  ['a label of another tool', changed({ label: toolLabel('read_file') })],
  ['a tool whose label is missing', changed({ tool: 'read_file' })],
  ['no tool', changed({ tool: '', label: toolLabel('') })],
  ['a tool name that is too long', changed({ tool: 'x'.repeat(513), label: toolLabel('x'.repeat(513)) })],
  ['a server that is no id', changed({ server: 'Files' })],
  ['arguments that are a list', changed({ arguments: [] })],
  ['no arguments', changed({ arguments: null })],
  ['a digest in capitals', changed({ digest: 'C'.repeat(64) })],
  ['a short digest', changed({ digest: 'c'.repeat(62) })],
  ['a key hash that is none', changed({ audit_key: 'x'.repeat(64) })],
  ['a policy that is no digest', changed({ policy: null })],
  ['too little randomness', changed({ random: '0'.repeat(32) })],
  ['an empty rule', changed({ rule: '' })],
  ['no approvals needed', changed({ approvals: 0 })],
  ['a negative number of approvals', changed({ approvals: -1 })],
  ['half an approval', changed({ approvals: 1.5 })],
  ['more approvals than approvers', changed({ approvals: 3 })],
  ['no approvers', changed({ approvers: [] })],
  ['one approver twice', changed({ approvers: ['alice', 'alice'] })],
  ['an approver without a name', changed({ approvers: ['alice', ''] })],
  ['too many approvers', changed({ approvers: Array.from({ length: 65 }, (_, at) => `a${at}`) })],
  ['an end before its beginning', changed({ expires: 1_699_999_999_999 })],
  ['times in text', changed({ created: '1700000000000' })],
  ['a principal that is too long', changed({ principal: 'p'.repeat(1025) })],
  ['a ticket longer than anybody reads', changed({ arguments: { text: 'x'.repeat(128 * 1024) } })],
];

for (const [name, text] of refused) {
  test(`no ticket is read from ${name}`, () => {
    assert.equal(parseTicket(bytes(text)).ok, false);
  });
}

test('the table above refuses what is changed, not how it is changed', () => {
  assert.equal(parseTicket(bytes(changed({}))).ok, true);
  assert.equal(parseTicket(bytes(changed({ rule: null }))).ok, true);
  assert.equal(parseTicket(bytes(changed({ arguments: { text: 'x'.repeat(100 * 1024) } }))).ok, true);
});

const args = fc.dictionary(fc.string({ unit: 'grapheme' }).filter((key) => key !== '__proto__'), fc.oneof(fc.string({ unit: 'binary' }), fc.integer(), fc.boolean(), fc.constant(null), fc.array(fc.string())));

test('every ticket is read back as it was written', () => {
  fc.assert(
    fc.property(args, fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }), (value, tool) => {
      fc.pre(tool.isWellFormed());
      const made = { ...ticket, tool, label: toolLabel(tool), arguments: jsonObject(value) };
      const parsed = parseTicket(ticketBytes(made));
      assert(parsed.ok);
      assert.deepEqual(ticketBytes(parsed.ticket), ticketBytes(made));
    }),
    { numRuns: 200 },
  );
});

test('no change of a single byte gives a ticket of the same id', () => {
  const canonical = bytes(CANONICAL);
  fc.assert(
    fc.property(fc.nat(canonical.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const mutated = canonical.slice();
      mutated[at] = (mutated[at] ?? 0) ^ flip;
      const parsed = parseTicket(mutated);
      assert(!parsed.ok || parsed.id !== ticketId(canonical));
    }),
    { numRuns: 300 },
  );
});
