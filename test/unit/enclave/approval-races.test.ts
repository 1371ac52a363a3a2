// SPDX-License-Identifier: Apache-2.0
/** Whatever the order in which things happen, and whatever row cannot be written: nothing goes on unapproved or twice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { HoldOutcome } from '../../../enclave/approval/desk.ts';
import type { ApprovalRow } from '../../../shared/audit/row.ts';
import { Unavailable } from '../../../shared/errors.ts';
import { alice, attemptOf, bob, call, carol, EXPIRES_MS, never, settled, TestDesk } from '../../harness/approval-desk.ts';

const closed = { open: false };
const two = { terms: { approvals: 2, approvers: ['alice', 'bob', 'carol'] } };

/** A log that fails for one kind of row, or waits before it. */
function failing(world: TestDesk, change: ApprovalRow['change']): void {
  world.write = (row) => (row.change === change ? Promise.reject(new Unavailable('AUDIT_UNAVAILABLE', 'the log is full', 'make room')) : Promise.resolve());
}

function healed(world: TestDesk): void {
  world.write = () => Promise.resolve();
}

/** Lets rows of one kind wait until they are let go. */
function stalled(world: TestDesk, change: ApprovalRow['change']): () => Promise<void> {
  let letGo: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (letGo = resolve));
  world.write = (row) => (row.change === change ? gate : Promise.resolve());
  return async () => {
    letGo();
    await settled();
  };
}

const unavailable = { code: 'AUDIT_UNAVAILABLE' };

test('a call whose ticket cannot be recorded is not held, nor is anybody who joined it', async () => {
  const world = new TestDesk();
  failing(world, 'held');
  const both = [world.desk.hold(call(), never), world.desk.hold(call(), never)];
  for (const one of both) await assert.rejects(one, unavailable);
  assert.deepEqual(world.desk.list(), []);
  assert.equal(world.timers, 0);
  healed(world);
  assert.equal((await world.desk.hold(call(closed), never)).kind, 'waiting');
});

test('an approval that cannot be recorded counts for nothing', async () => {
  const world = new TestDesk();
  await world.desk.hold(call(closed), never);
  failing(world, 'approved');
  await assert.rejects(world.decide(alice), unavailable);
  assert.equal((await world.desk.hold(call(closed), never)).kind, 'waiting');
  healed(world);
  assert.equal(await world.decide(alice), 'approved');
});

test('a first of two approvals that cannot be recorded does not count either', async () => {
  const world = new TestDesk();
  await world.desk.hold(call({ ...closed, ...two }), never);
  failing(world, 'approved');
  await assert.rejects(world.decide(alice), unavailable);
  healed(world);
  assert.equal(await world.decide(bob), 'pending');
  assert.equal(await world.decide(alice), 'approved');
});

test('a call whose going on cannot be recorded does not go on', async () => {
  const world = new TestDesk();
  await world.desk.hold(call(closed), never);
  await world.decide(alice);
  failing(world, 'redeemed');
  await assert.rejects(world.desk.hold(call(closed), never), unavailable);
  assert.deepEqual(world.changes, ['held', 'approved']);
  healed(world);
  assert.equal((await world.desk.hold(call(closed), never)).kind, 'approved');
});

test('a denial that cannot be recorded leaves the ticket as it was', async () => {
  const world = new TestDesk();
  await world.desk.hold(call(closed), never);
  failing(world, 'denied');
  await assert.rejects(world.decide(alice, 'deny'), unavailable);
  assert.deepEqual(world.desk.list().map(({ state, denial }) => [state, denial]), [['pending', null]]);
});

test('a refused attempt that cannot be recorded is not answered as if it were', async () => {
  const world = new TestDesk();
  await world.desk.hold(call(closed), never);
  failing(world, 'refused');
  await assert.rejects(world.decide(carol), unavailable);
});

test('an end that cannot be recorded still ends what can be done with the ticket', async () => {
  const world = new TestDesk();
  await world.desk.hold(call(closed), never);
  const { id, canonical } = await world.only();
  failing(world, 'expired');
  await world.pass(EXPIRES_MS);
  await assert.rejects(world.desk.decide(id, attemptOf(alice, canonical)), unavailable);
  await assert.rejects(world.desk.hold(call(closed), never), unavailable);
  healed(world);
  assert.deepEqual(await world.desk.decide(id, attemptOf(alice, canonical)), { kind: 'refused', code: 'APPROVAL_EXPIRED' });
});

test('tickets that cannot be recorded as void are void all the same', async () => {
  const world = new TestDesk();
  await world.desk.hold(call(closed), never);
  await world.decide(alice);
  failing(world, 'void');
  await assert.rejects(world.desk.voidAll('POLICY_CHANGED'), unavailable);
  healed(world);
  assert.deepEqual(await world.desk.hold(call(closed), never), { kind: 'void' });
});

test('while the row of an approval is written, the call does not go on', async () => {
  const world = new TestDesk();
  await world.desk.hold(call(closed), never);
  const letGo = stalled(world, 'approved');
  const { id, canonical } = await world.only();
  const decided = world.desk.decide(id, attemptOf(alice, canonical));
  assert.equal((await world.desk.hold(call(closed), never)).kind, 'waiting');
  await letGo();
  await decided;
  assert.equal((await world.desk.hold(call(closed), never)).kind, 'approved');
});

test('a denial and an approval at the same moment: the first that is recorded counts, and a denial always does', async () => {
  for (const order of [['approve', 'deny'], ['deny', 'approve']] as const) {
    const world = new TestDesk();
    await world.desk.hold(call(closed), never);
    const { id, canonical } = await world.only();
    const signers = { approve: alice, deny: bob };
    await Promise.all(order.map((word) => world.desk.decide(id, attemptOf(signers[word], canonical, word))));
    assert.equal((await world.desk.hold(call(closed), never)).kind, 'denied');
  }
});

test('an approval whose row takes longer than the ticket lives still counts: it was in time when it came', async () => {
  const world = new TestDesk();
  await world.desk.hold(call(closed), never);
  const { id, canonical } = await world.only();
  await world.pass(EXPIRES_MS - 10);
  const letGo = stalled(world, 'approved');
  const decided = world.desk.decide(id, attemptOf(alice, canonical));
  await settled();
  await world.pass(20);
  await letGo();
  assert.deepEqual(await decided, { kind: 'decided', state: 'approved', given: 1, needed: 1 });
  assert.deepEqual(world.changes, ['held', 'approved']);
});

test('while the row of an end is written, a second waiter cannot take the same approval', async () => {
  const world = new TestDesk();
  await world.desk.hold(call(closed), never);
  await world.decide(alice);
  const letGo = stalled(world, 'redeemed');
  const both = [world.desk.hold(call(closed), never), world.desk.hold(call(closed), never)];
  await settled();
  await letGo();
  assert.deepEqual((await Promise.all(both)).map(({ kind }) => kind).sort(), ['approved', 'waiting']);
});

type Step = 'hold' | 'hold and cancel' | 'alice' | 'bob' | 'carol denies' | 'time' | 'void' | 'log fails' | 'log works';
const STEPS: readonly Step[] = ['hold', 'hold', 'hold and cancel', 'alice', 'alice', 'bob', 'bob', 'carol denies', 'time', 'void', 'log fails', 'log works'];

interface Run {
  readonly outcomes: { outcome: HoldOutcome; aborted: boolean }[];
  readonly world: TestDesk;
}

/** Runs steps in an order, and lets the rows become durable in the order that the scheduler chooses. */
async function runSteps(scheduler: fc.Scheduler, steps: readonly Step[], approvals: number): Promise<Run> {
  const world = new TestDesk();
  let fails = false;
  const turn = scheduler.scheduleFunction(() => Promise.resolve(fails));
  world.write = async () => {
    if (await turn()) throw new Unavailable('AUDIT_UNAVAILABLE', 'the log is full', 'make room');
  };
  const held = call({ terms: { approvals, approvers: ['alice', 'bob', 'carol'] } });
  const outcomes: Run['outcomes'] = [];
  const under: Promise<unknown>[] = [];
  const decide = (who: typeof alice, decision: 'approve' | 'deny'): void => {
    for (const { id, canonical } of world.desk.list()) under.push(world.desk.decide(id, attemptOf(who, canonical, decision)).catch(() => undefined));
  };
  const hold = (leave: AbortController): void => {
    const done = world.desk.hold(held, leave.signal).then((outcome) => outcomes.push({ outcome, aborted: leave.signal.aborted }));
    under.push(done.catch(() => undefined));
  };
  const sequence = scheduler.scheduleSequence(steps.map((step) => async () => {
    if (step === 'hold') hold(new AbortController());
    if (step === 'hold and cancel') {
      const leave = new AbortController();
      hold(leave);
      under.push(scheduler.schedule(Promise.resolve()).then(() => leave.abort()));
    }
    if (step === 'alice') decide(alice, 'approve');
    if (step === 'bob') decide(bob, 'approve');
    if (step === 'carol denies') decide(carol, 'deny');
    if (step === 'time') await world.pass(200_000);
    if (step === 'void') under.push(world.desk.voidAll('POLICY_CHANGED').catch(() => undefined));
    if (step === 'log fails') fails = true;
    if (step === 'log works') fails = false;
  }));
  await scheduler.waitFor(sequence.task);
  for (let round = 0; round < 20; round += 1) {
    await scheduler.waitAll();
    await world.pass(25_000);
  }
  await scheduler.waitFor(Promise.all(under));
  return { outcomes, world };
}

test('in any order of things, each ticket lets at most one call go on, and only with enough approvals before it in the log', async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), fc.array(fc.constantFrom(...STEPS), { minLength: 4, maxLength: 16 }), fc.constantFrom(1, 2), async (scheduler, steps, approvals) => {
      const { outcomes, world } = await runSteps(scheduler, steps, approvals);
      const used = outcomes.flatMap(({ outcome, aborted }) => (outcome.kind === 'approved' ? [{ ticket: outcome.ticket, aborted }] : []));
      assert.equal(new Set(used.map(({ ticket }) => ticket)).size, used.length);
      for (const { ticket, aborted } of used) {
        assert.equal(aborted, false);
        const rows = world.rows.filter((row) => row.ticket === ticket);
        const last = rows.findIndex(({ change }) => change === 'redeemed');
        const before = rows.slice(0, last);
        assert.equal(rows.filter(({ change }) => change === 'redeemed').length, 1);
        assert.equal(new Set(before.filter(({ change }) => change === 'approved').map(({ key }) => key)).size, approvals);
        assert.equal(before.some(({ change }) => change === 'denied' || change === 'expired' || change === 'void'), false);
      }
      // A ticket ends once.
      const ends = world.rows.filter(({ change }) => ['redeemed', 'denied', 'expired', 'void'].includes(change)).map(({ ticket }) => ticket);
      assert.equal(new Set(ends).size, ends.length);
      assert.equal(world.desk.list().filter(({ state }) => state === 'pending' || state === 'approved').length <= 1, true);
    }),
    { numRuns: 400 },
  );
});
