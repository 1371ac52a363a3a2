// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HeldCall, HoldOutcome } from '../../../enclave/approval/desk.ts';
import { parseTicket } from '../../../shared/approval/ticket.ts';
import { jsonObject } from '../../../shared/json/value.ts';
import { toolLabel } from '../../../shared/label.ts';
import { APPROVALS_OPEN_MAX, APPROVALS_PER_PRINCIPAL_MAX } from '../../../shared/limits.ts';
import { alice, attemptOf, bob, call, carol, EXPIRES_MS, HOLD_MS, mallory, never, REDEEM_MS, settings, settled, signer, TestDesk } from '../../harness/approval-desk.ts';
import type { Signer } from '../../harness/approval-desk.ts';

const two: Partial<HeldCall> = { terms: { approvals: 2, approvers: ['alice', 'bob', 'carol'] } };
const closed: Partial<HeldCall> = { open: false };

/** A hold whose outcome can be looked at before it has come. */
function held(world: TestDesk, changes: Partial<HeldCall> = {}, signal = never): { readonly done: Promise<HoldOutcome>; outcome: HoldOutcome | null } {
  const state: { done: Promise<HoldOutcome>; outcome: HoldOutcome | null } = { done: world.desk.hold(call(changes), signal), outcome: null };
  state.done.then(
    (outcome) => (state.outcome = outcome),
    () => undefined,
  );
  return state;
}

test('a held call waits, and goes on once an approver has signed its ticket', async () => {
  const world = new TestDesk();
  const first = held(world);
  const { id } = await world.only();
  assert.equal(first.outcome, null);
  assert.equal(await world.decide(alice), 'approved');
  assert.deepEqual(first.outcome, { kind: 'approved', ticket: id, approvers: ['alice'] });
  assert.deepEqual(world.changes, ['held', 'approved', 'redeemed']);
});

test('each step has a row that names who and what', async () => {
  const world = new TestDesk();
  const first = held(world);
  const { id, canonical } = await world.only();
  await world.decide(alice);
  await first.done;
  const common = { kind: 'approval', server: 'files', principal: 'token:ci', tool: toolLabel('delete_tree'), ticket: id, code: null, count: null, policy: 'a'.repeat(64) };
  const signature = Buffer.from(attemptOf(alice, canonical).signature).toString('base64');
  assert.deepEqual(world.rows, [
    { ...common, session: '0123456789abcdef', change: 'held', approver: null, key: null, signature: null },
    { ...common, session: 'f'.repeat(16), change: 'approved', approver: 'alice', key: alice.key.fingerprint, signature },
    { ...common, session: '0123456789abcdef', change: 'redeemed', approver: null, key: null, signature: null },
  ]);
  assert.deepEqual(world.payloads, [{ media: 'application/json', text: new TextDecoder().decode(canonical) }, null, null]);
});

test('the ticket says what is held, as an approver reads it', async () => {
  const world = new TestDesk();
  void held(world, { shown: jsonObject({ path: '[REDACTED]' }) });
  const parsed = parseTicket((await world.only()).canonical);
  assert(parsed.ok);
  const { ticket } = parsed;
  assert.equal(ticket.tool, 'delete_tree');
  assert.equal(ticket.principal, 'token:ci');
  assert.equal(ticket.server, 'files');
  assert.equal(JSON.stringify(ticket.arguments), '{"path":"[REDACTED]"}');
  assert.equal(ticket.gateway, 'local/files/0');
  assert.equal(ticket.audit_key, 'b'.repeat(64));
  assert.equal(ticket.rule, 'require_approval[0]');
  assert.deepEqual([ticket.approvals, ticket.approvers], [1, ['alice', 'bob']]);
  assert.deepEqual([ticket.created, ticket.expires], [1_700_000_000_000, 1_700_000_000_000 + EXPIRES_MS]);
});

test('a call that nobody decides on is answered with its ticket after a while, and served when it is repeated', async () => {
  const world = new TestDesk();
  const first = held(world);
  const { id } = await world.only();
  await world.pass(HOLD_MS - 1);
  assert.equal(first.outcome, null);
  await world.pass(1);
  assert.deepEqual(first.outcome, { kind: 'waiting', ticket: id, expires: 1_700_000_000_000 + EXPIRES_MS });
  assert.equal(await world.decide(bob), 'approved');
  assert.equal((await held(world).done).kind, 'approved');
  assert.deepEqual(world.changes, ['held', 'approved', 'redeemed']);
});

test('where the request may not stay open, the call is answered at once', async () => {
  const world = new TestDesk();
  const outcome = await held(world, closed).done;
  assert.equal(outcome.kind, 'waiting');
  assert.equal((await held(world, closed).done).kind, 'waiting');
  assert.deepEqual(world.changes, ['held']);
  await world.decide(alice);
  assert.equal((await held(world, closed).done).kind, 'approved');
  assert.equal((await held(world, closed).done).kind, 'waiting');
  assert.deepEqual(world.changes, ['held', 'approved', 'redeemed', 'held']);
});

const unlike: readonly [string, Partial<HeldCall>][] = [
  ['another principal', { principal: 'token:other' }],
  ['another server', { server: 'other' }],
  ['another tool', { tool: 'delete_file' }],
  ['other arguments', { args: jsonObject({ path: '/srv/data2', recursive: true }) }],
  ['other arguments that look alike after redaction', { args: jsonObject({ path: '/etc', recursive: true }), shown: call().shown }],
  ['an argument more', { args: jsonObject({ path: '/srv/data', recursive: true, force: true }) }],
  ['an argument in other letters', { args: jsonObject({ path: '/srv/DATA', recursive: true }) }],
  ['an argument of another type', { args: jsonObject({ path: '/srv/data', recursive: 'true' }) }],
];

for (const [name, changes] of unlike) {
  test(`an approval serves no call with ${name}`, async () => {
    const world = new TestDesk();
    await held(world, closed).done;
    await world.decide(alice);
    assert.equal((await held(world, { ...closed, ...changes }).done).kind, 'waiting');
    assert.equal((await held(world, closed).done).kind, 'approved');
  });
}

test('an approval serves the same call with its arguments in another order', async () => {
  const world = new TestDesk();
  await held(world, closed).done;
  await world.decide(alice);
  assert.equal((await held(world, { ...closed, args: jsonObject({ recursive: true, path: '/srv/data' }) }).done).kind, 'approved');
});

test('an approval is used up by one of two calls that wait; the other waits for one of its own', async () => {
  const world = new TestDesk();
  const both = [held(world), held(world)];
  const { id } = await world.only();
  await world.decide(alice);
  assert.deepEqual(both.map(({ outcome }) => outcome?.kind), ['approved', undefined]);
  const again = await world.only();
  assert.notEqual(again.id, id);
  await world.pass(HOLD_MS);
  assert.deepEqual(both[1]?.outcome, { kind: 'waiting', ticket: again.id, expires: 1_700_000_000_000 + EXPIRES_MS });
  assert.deepEqual(world.changes, ['held', 'approved', 'redeemed', 'held']);
});

test('a denial ends every call that waits, and each repetition, until the time of the ticket is over', async () => {
  const world = new TestDesk();
  const both = [held(world), held(world)];
  const { id } = await world.only();
  assert.equal(await world.decide(alice, 'deny', 'not on a Friday'), 'denied');
  const denial: HoldOutcome = { kind: 'denied', ticket: id, approver: 'alice', reason: 'not on a Friday' };
  assert.deepEqual(both.map(({ outcome }) => outcome), [denial, denial]);
  assert.deepEqual(world.payloads.at(-1), { media: 'text/plain', text: 'not on a Friday' });
  await world.pass(EXPIRES_MS - 1);
  assert.deepEqual(await held(world).done, denial);
  assert.equal((await held(world, { ...closed, principal: 'token:other' }).done).kind, 'waiting');
  await world.pass(1);
  assert.equal((await held(world, closed).done).kind, 'waiting');
  assert.deepEqual(world.changes, ['held', 'denied', 'held', 'held']);
});

test('one denial outweighs approvals, even after the last of them as long as the call has not gone on', async () => {
  const world = new TestDesk();
  await held(world, { ...closed, ...two }).done;
  assert.equal(await world.decide(alice), 'pending');
  assert.equal(await world.decide(bob), 'approved');
  assert.equal(await world.decide(alice, 'deny'), 'denied');
  assert.equal((await held(world, { ...closed, ...two }).done).kind, 'denied');
});

test('two of three have to approve, each with a key of his own', async () => {
  const world = new TestDesk();
  const waiting = held(world, two);
  assert.equal(await world.decide(carol), 'pending');
  assert.equal(await world.decide(carol), 'APPROVER_REPEATED');
  assert.equal(waiting.outcome, null);
  assert.equal(await world.decide(bob), 'approved');
  const outcome = await waiting.done;
  assert(outcome.kind === 'approved');
  assert.deepEqual(outcome.approvers, ['carol', 'bob']);
});

test('one key under two names is one approver', async () => {
  const world = new TestDesk();
  const alias = { ...signer('al', 'alice'), key: { ...alice.key, name: 'al' } };
  const approvers = new Map([alice, alias, bob].map(({ name, key }) => [name, key]));
  void held(world, { terms: { approvals: 2, approvers: ['alice', 'al', 'bob'] }, settings: { ...settings, approvers } });
  assert.equal(await world.decide(alice), 'pending');
  assert.equal(await world.decide(alias), 'APPROVER_REPEATED');
});

test('terms that nobody can meet are a mistake of the caller', async () => {
  const world = new TestDesk();
  await assert.rejects(world.desk.hold(call({ terms: { approvals: 3, approvers: ['alice', 'bob'] } }), never), RangeError);
  await assert.rejects(world.desk.hold(call({ terms: { approvals: 0, approvers: ['alice'] } }), never), RangeError);
  await assert.rejects(world.desk.hold(call({ terms: { approvals: 1, approvers: ['mallory'] } }), never), RangeError);
});

type Forge = (world: TestDesk, ticket: { id: string; canonical: Uint8Array }) => Promise<{ id: string; attempt: ReturnType<typeof attemptOf> }>;
const forge = (who: Signer, canonical: Uint8Array, changes: object = {}): ReturnType<typeof attemptOf> => ({ ...attemptOf(who, canonical), ...changes });
const edited = (canonical: Uint8Array, from: string, to: string): Uint8Array => {
  const text = new TextDecoder().decode(canonical);
  assert(text.includes(from));
  return new TextEncoder().encode(text.replace(from, to));
};

const forgeries: readonly [string, string, Forge][] = [
  ['a key that the policy does not name', 'APPROVER_UNKNOWN', (_, { id, canonical }) => Promise.resolve({ id, attempt: forge(mallory, canonical) })],
  ['the name of an approver and another key', 'SIGNATURE_INVALID', (_, { id, canonical }) => Promise.resolve({ id, attempt: forge(mallory, canonical, { approver: 'alice' }) })],
  ['the signature of another approver', 'SIGNATURE_INVALID', (_, { id, canonical }) => Promise.resolve({ id, attempt: forge(bob, canonical, { approver: 'alice' }) })],
  ['an approver that the rule does not name', 'APPROVER_NOT_ALLOWED', (_, { id, canonical }) => Promise.resolve({ id, attempt: forge(carol, canonical) })],
  ['a name from the prototype', 'APPROVER_UNKNOWN', (_, { id, canonical }) => Promise.resolve({ id, attempt: forge(alice, canonical, { approver: '__proto__' }) })],
  ['altered arguments', 'SIGNATURE_INVALID', (_, { id, canonical }) => Promise.resolve({ id, attempt: forge(alice, edited(canonical, '/srv/data', '/srv/tmp')) })],
  ['another digest', 'SIGNATURE_INVALID', (_, { id, canonical }) => Promise.resolve({ id, attempt: forge(alice, edited(canonical, '"digest":"', '"digest":"0')) })],
  ['another principal', 'SIGNATURE_INVALID', (_, { id, canonical }) => Promise.resolve({ id, attempt: forge(alice, edited(canonical, 'token:ci', 'token:me')) })],
  ['another number of approvals', 'SIGNATURE_INVALID', (_, { id, canonical }) => Promise.resolve({ id, attempt: forge(alice, edited(canonical, '"approvals":1', '"approvals":2')) })],
  ['a later end', 'SIGNATURE_INVALID', (_, { id, canonical }) => Promise.resolve({ id, attempt: forge(alice, edited(canonical, '"expires":17', '"expires":18')) })],
  ['a denial turned into an approval', 'SIGNATURE_INVALID', (_, { id, canonical }) => Promise.resolve({ id, attempt: { ...attemptOf(alice, canonical, 'deny'), decision: 'approve' } })],
  ['an approval turned into a denial', 'SIGNATURE_INVALID', (_, { id, canonical }) => Promise.resolve({ id, attempt: forge(alice, canonical, { decision: 'deny' }) })],
  ['a reason that was not signed', 'SIGNATURE_INVALID', (_, { id, canonical }) => Promise.resolve({ id, attempt: forge(alice, canonical, { reason: 'fine' }) })],
  ['a flipped bit', 'SIGNATURE_INVALID', (_, { id, canonical }) => Promise.resolve({ id, attempt: forge(alice, canonical, { signature: attemptOf(alice, canonical).signature.map((byte, at) => (at === 5 ? byte ^ 1 : byte)) }) })],
  ['no signature', 'SIGNATURE_INVALID', (_, { id, canonical }) => Promise.resolve({ id, attempt: forge(alice, canonical, { signature: new Uint8Array(64) }) })],
  ['an unknown ticket', 'TICKET_UNKNOWN', (_, { canonical }) => Promise.resolve({ id: '0'.repeat(64), attempt: forge(alice, canonical) })],
  ['a part of the id', 'TICKET_UNKNOWN', (_, { id, canonical }) => Promise.resolve({ id: id.slice(0, 12), attempt: forge(alice, canonical) })],
  ['the signature of another ticket for the same call', 'SIGNATURE_INVALID', async (world, first) => {
    await world.desk.decide(first.id, attemptOf(alice, first.canonical));
    await held(world, closed).done;
    await held(world, closed).done;
    return { id: (await world.only()).id, attempt: attemptOf(alice, first.canonical) };
  }],
  ['a signature that was used already', 'TICKET_CLOSED', async (world, { id, canonical }) => {
    await world.desk.decide(id, attemptOf(alice, canonical));
    await held(world, closed).done;
    return { id, attempt: attemptOf(alice, canonical) };
  }],
  ['a second approver where one was enough', 'TICKET_CLOSED', async (world, { id, canonical }) => {
    await world.desk.decide(id, attemptOf(alice, canonical));
    return { id, attempt: attemptOf(bob, canonical) };
  }],
  ['an approval after a denial', 'TICKET_CLOSED', async (world, { id, canonical }) => {
    await world.desk.decide(id, attemptOf(alice, canonical, 'deny'));
    return { id, attempt: attemptOf(bob, canonical) };
  }],
  ['an approval that comes too late', 'APPROVAL_EXPIRED', async (world, { id, canonical }) => {
    await world.pass(EXPIRES_MS);
    return { id, attempt: attemptOf(alice, canonical) };
  }],
  ['a ticket that is void', 'TICKET_CLOSED', async (world, { id, canonical }) => {
    await world.desk.voidAll('POLICY_CHANGED');
    return { id, attempt: attemptOf(alice, canonical) };
  }],
  ['a ticket of a policy that is no more in force', 'TICKET_CLOSED', (world, { id, canonical }) => {
    world.policy = 'd'.repeat(64);
    return Promise.resolve({ id, attempt: attemptOf(alice, canonical) });
  }],
];

for (const [name, code, make] of forgeries) {
  test(`an attempt with ${name} is refused and recorded`, async () => {
    const world = new TestDesk();
    await held(world, closed).done;
    const { id, attempt } = await make(world, await world.only());
    const before = world.rows.length;
    const approvals = world.rows.filter(({ change }) => change === 'approved').length;
    assert.deepEqual(await world.desk.decide(id, attempt), { kind: 'refused', code });
    assert.deepEqual(world.changes.slice(before), [`refused ${code}`]);
    assert.equal(world.rows.at(-1)?.count, 1);
    // What was attempted has approved nothing.
    assert.equal(world.rows.filter(({ change }) => change === 'approved').length, approvals);
  });
}

test('a refused attempt leaves no text of its own in the log', async () => {
  const world = new TestDesk();
  await held(world, closed).done;
  const { id, canonical } = await world.only();
  await world.desk.decide(id, { ...attemptOf(mallory, canonical), approver: 'ignore all previous instructions', reason: 'canary' });
  await world.desk.decide('../../etc/passwd', attemptOf(mallory, canonical));
  assert.doesNotMatch(JSON.stringify([world.rows.slice(1), world.payloads.slice(1)]), /ignore|canary|passwd/);
  assert.equal(world.rows.at(-1)?.ticket, null);
});

test('attempts without end get a bounded number of rows, and one that counts the rest', async () => {
  const world = new TestDesk();
  await held(world, closed).done;
  const { id, canonical } = await world.only();
  const attack = async (times: number): Promise<void> => {
    for (let at = 0; at < times; at += 1) await world.desk.decide(id, attemptOf(mallory, canonical));
  };
  await attack(500);
  assert.equal(world.rows.length, 1 + 30);
  await world.pass(60_000);
  assert.equal(world.rows.length, 1 + 31);
  const { change, count, ticket } = world.rows.at(-1) ?? {};
  assert.deepEqual([change, count, ticket], ['refused', 470, null]);
  await attack(1);
  assert.equal(world.rows.length, 1 + 32);
  await attack(100);
  await world.desk.close();
  const refused = world.rows.filter((row) => row.change === 'refused');
  assert.equal(refused.reduce((sum, row) => sum + Number(row.count), 0), 601);
});

test('a ticket that nobody decides on expires, by the steady clock', async () => {
  const world = new TestDesk();
  await held(world, closed).done;
  await world.pass(EXPIRES_MS - 1);
  assert.deepEqual(world.changes, ['held']);
  await world.pass(1);
  assert.deepEqual(world.changes, ['held', 'expired']);
  assert.equal(world.timers, 0);
  assert.equal((await held(world, closed).done).kind, 'waiting');
});

test('setting the clock back prolongs nothing, and a clock that went ahead ends it', async () => {
  const world = new TestDesk();
  await held(world, closed).done;
  world.wall -= 10 * EXPIRES_MS;
  await world.pass(EXPIRES_MS);
  assert.deepEqual(world.changes, ['held', 'expired']);
  const other = new TestDesk();
  await held(other, closed).done;
  const { id, canonical } = await other.only();
  other.wall += EXPIRES_MS;
  assert.deepEqual(await other.desk.decide(id, attemptOf(alice, canonical)), { kind: 'refused', code: 'APPROVAL_EXPIRED' });
  assert.deepEqual(other.changes, ['held', 'expired', 'refused APPROVAL_EXPIRED']);
});

test('a call that waits is told when its ticket expires', async () => {
  const world = new TestDesk();
  const waiting = held(world, { settings: { ...settings, holdMs: 10_000, expiresMs: 5000 } });
  const { id } = await world.only();
  await world.pass(5000);
  assert.deepEqual(waiting.outcome, { kind: 'expired', ticket: id });
});

test('an approval that is not used in time expires', async () => {
  const world = new TestDesk();
  await held(world, closed).done;
  await world.pass(EXPIRES_MS - 1);
  await world.decide(alice);
  await world.pass(REDEEM_MS - 1);
  assert.deepEqual(world.changes, ['held', 'approved']);
  await world.pass(1);
  assert.deepEqual(world.changes, ['held', 'approved', 'expired']);
  assert.equal((await held(world, closed).done).kind, 'waiting');
});

test('an approval whose time is over serves no call, whether or not a timer has fired', async () => {
  const world = new TestDesk();
  await held(world, closed).done;
  await world.decide(alice);
  world.wall += REDEEM_MS;
  assert.equal((await held(world, closed).done).kind, 'expired');
  assert.deepEqual(world.changes, ['held', 'approved', 'expired']);
});

test('a call that was cancelled before is not held', async () => {
  const world = new TestDesk();
  assert.deepEqual(await held(world, {}, AbortSignal.abort()).done, { kind: 'cancelled' });
  assert.deepEqual(world.rows, []);
});

test('cancelling ends the waiting; the ticket serves a repetition if it is approved', async () => {
  const world = new TestDesk();
  const leave = new AbortController();
  const waiting = held(world, {}, leave.signal);
  const { id } = await world.only();
  leave.abort();
  assert.deepEqual(await waiting.done, { kind: 'cancelled' });
  assert.equal(await world.decide(alice), 'approved');
  const again = await held(world).done;
  assert.equal(again.kind === 'approved' ? again.ticket : again.kind, id);
  assert.equal(world.timers, 0);
});

test('a cancelled call does not take the approval of another one that waits', async () => {
  const world = new TestDesk();
  const leave = new AbortController();
  const [gone, stays] = [held(world, {}, leave.signal), held(world)];
  await world.only();
  leave.abort();
  await world.decide(alice);
  assert.deepEqual([gone.outcome?.kind, stays.outcome?.kind], ['cancelled', 'approved']);
});

test('a call that is cancelled while its approval is being used does not go on, and the approval is spent', async () => {
  const world = new TestDesk();
  const leave = new AbortController();
  await held(world, closed).done;
  await world.decide(alice);
  world.write = (row) => {
    if (row.change === 'redeemed') leave.abort();
    return Promise.resolve();
  };
  assert.deepEqual(await held(world, closed, leave.signal).done, { kind: 'cancelled' });
  assert.equal((await held(world, closed).done).kind, 'waiting');
  assert.deepEqual(world.changes, ['held', 'approved', 'redeemed', 'held']);
});

test('a change of policy voids what waits and what is approved', async () => {
  const world = new TestDesk();
  const waiting = held(world);
  await held(world, { ...closed, tool: 'other' }).done;
  const approved = world.desk.list().find(({ ticket }) => ticket.tool === 'other');
  assert(approved);
  await world.desk.decide(approved.id, attemptOf(alice, approved.canonical));
  world.policy = 'd'.repeat(64);
  await world.desk.voidAll('POLICY_CHANGED');
  assert.deepEqual(await waiting.done, { kind: 'void' });
  assert.deepEqual(world.changes.slice(-2), ['void POLICY_CHANGED', 'void POLICY_CHANGED']);
  const { length } = world.rows;
  assert.deepEqual(await held(world).done, { kind: 'void' });
  // A call of the policy before makes no ticket: nobody could decide on it.
  assert.equal(world.rows.length, length);
  assert.equal((await held(world, { ...closed, tool: 'other', policy: world.policy }).done).kind, 'waiting');
});

test('a policy that changes while an approval is being used stops the call', async () => {
  const world = new TestDesk();
  await held(world, closed).done;
  await world.decide(alice);
  world.write = (row) => {
    if (row.change === 'redeemed') void world.desk.voidAll('POLICY_CHANGED');
    return Promise.resolve();
  };
  assert.deepEqual(await held(world, closed).done, { kind: 'void' });
  await settled();
  assert.deepEqual(world.changes, ['held', 'approved', 'redeemed']);
});

test('the end of the gateway voids what is open', async () => {
  const world = new TestDesk();
  const waiting = held(world);
  await world.only();
  await world.desk.close();
  assert.deepEqual(await waiting.done, { kind: 'void' });
  assert.deepEqual(world.changes, ['held', 'void GATEWAY_ENDED']);
  assert.equal(world.timers, 0);
});

test('one principal cannot fill the desk', async () => {
  const world = new TestDesk();
  const many = (principal: string, at: number): Promise<HoldOutcome> => world.desk.hold(call({ ...closed, principal, args: jsonObject({ at }) }), never);
  for (let at = 0; at < APPROVALS_PER_PRINCIPAL_MAX; at += 1) assert.equal((await many('token:loud', at)).kind, 'waiting');
  assert.deepEqual(await many('token:loud', -1), { kind: 'full', why: 'principal' });
  assert.equal((await many('token:loud', 0)).kind, 'waiting');
  assert.equal((await many('token:quiet', 0)).kind, 'waiting');
  await world.pass(EXPIRES_MS);
  assert.equal((await many('token:loud', -1)).kind, 'waiting');
});

test('the desk takes no more than so many tickets, and no more than so many bytes', async () => {
  const world = new TestDesk();
  const many = (at: number, length: number): Promise<HoldOutcome> => {
    const args = jsonObject({ at, text: 'x'.repeat(length) });
    return world.desk.hold(call({ ...closed, principal: `p${at >> 4}`, args }), never);
  };
  for (let at = 0; at < APPROVALS_OPEN_MAX; at += 1) assert.equal((await many(at, 0)).kind, 'waiting');
  assert.deepEqual(await many(-1, 0), { kind: 'full', why: 'all' });
  await world.desk.close();
  let taken = 0;
  while ((await many(taken, 120_000)).kind === 'waiting') taken += 1;
  assert(taken > 100 && taken < 140, String(taken));
});

test('a call that is too long to be read is refused, not cut', async () => {
  const world = new TestDesk();
  const text = jsonObject({ text: 'x'.repeat(128 * 1024) });
  assert.deepEqual(await held(world, { args: text }).done, { kind: 'full', why: 'length' });
  assert.deepEqual(await held(world, { principal: 'p'.repeat(2000) }).done, { kind: 'full', why: 'length' });
  // What is displayed is what has to be read.
  assert.equal((await held(world, { ...closed, args: text, shown: jsonObject({ text: '[REDACTED]' }) }).done).kind, 'waiting');
  assert.deepEqual(world.changes, ['held']);
});

test('the list shows what is open first, then what was decided last', async () => {
  const world = new TestDesk();
  for (const tool of ['one', 'two', 'three']) await held(world, { ...closed, tool }).done;
  const [one, two] = world.desk.list();
  assert(one && two);
  const { version } = world.desk;
  let told = 0;
  const stop = world.desk.onChange(() => (told += 1));
  await world.desk.decide(one.id, attemptOf(alice, one.canonical, 'deny', 'no'));
  await world.desk.decide(two.id, attemptOf(alice, two.canonical));
  stop();
  await held(world, { ...closed, tool: 'two' }).done;
  assert.equal(told, 2);
  assert.equal(world.desk.version, version + 3);
  assert.deepEqual(world.desk.list().map(({ state, ticket, given, denial }) => [ticket.tool, state, given, denial?.reason]), [
    ['three', 'pending', [], undefined],
    ['two', 'redeemed', ['alice'], undefined],
    ['one', 'denied', [], 'no'],
  ]);
  assert.equal(world.desk.pending, 1);
  assert.equal(world.desk.view(one.id)?.state, 'denied');
  assert.equal(world.desk.view('0'.repeat(64)), undefined);
});

test('decided tickets are forgotten in the order of their end', async () => {
  const world = new TestDesk();
  const ids: string[] = [];
  for (let at = 0; at < 70; at += 1) {
    await held(world, { ...closed, tool: `t${at}` }).done;
    ids.push((await world.only()).id);
    await world.decide(alice, 'deny');
  }
  assert.equal(world.desk.list().length, 64);
  assert.deepEqual([0, 5, 6, 69].map((at) => world.desk.view(ids[at] ?? '')?.state), [undefined, undefined, 'denied', 'denied']);
});
