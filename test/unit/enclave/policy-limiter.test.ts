// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { parseAndCompile } from '../../../enclave/policy/compile.ts';
import type { Admission, Limit } from '../../../enclave/policy/limiter.ts';
import { Limiter } from '../../../enclave/policy/limiter.ts';
import type { ToolQuery } from '../../../enclave/policy/types.ts';
import { LIMIT_COUNTERS_MAX } from '../../../shared/limits.ts';

function limits(...lines: readonly string[]): readonly Limit[] {
  return parseAndCompile(new TextEncoder().encode(['version: 1', ...lines, ''].join('\n')), 'policy.yaml').limits;
}

const QUERY: ToolQuery = { server: 'fs', tool: 'read', soleServer: true, principal: 'alice', args: null };

/** Admits and releases at once; `ok`, or the hint of the denial. */
function call(limiter: Limiter, all: readonly Limit[], now: number, more: Partial<ToolQuery> = {}, bytes = 1): string {
  const admitted = limiter.admit(all, { ...QUERY, ...more }, bytes, now);
  if (admitted.kind === 'deny') return admitted.decision.hint;
  admitted.release(0, now);
  return 'ok';
}

test('calls above a limit are denied, with when to try again', () => {
  const limiter = new Limiter();
  const all = limits("limits: [{ id: slow, calls: 2, window: '1m' }]");
  assert.equal(call(limiter, all, 0), 'ok');
  assert.equal(call(limiter, all, 30_000), 'ok');
  const denied = limiter.admit(all, QUERY, 1, 40_000);
  assert.ok(denied.kind === 'deny');
  assert.deepEqual(denied.decision, {
    kind: 'deny',
    approval: null,
    code: 'LIMIT_EXCEEDED',
    rule: "limits['slow']",
    pattern: null,
    reason: "tool#3316348d is above limits['slow']: 2 calls in 60 s",
    message: 'tool#3316348d is above a limit: 2 calls in 60 s',
    hint: 'try again in 23 s',
  });
  assert.equal(call(limiter, all, 62_999), 'try again in 1 s');
  assert.equal(call(limiter, all, 63_000), 'ok');
  assert.equal(call(limiter, all, 63_000), 'try again in 30 s');
});

test('a call that is refused counts for nothing', () => {
  const limiter = new Limiter();
  const all = limits("limits: [{ calls: 1, window: '1m' }, { calls: 5, window: '1h', tools: [read] }]");
  assert.equal(call(limiter, all, 0), 'ok');
  for (let at = 0; at < 100; at += 1) assert.notEqual(call(limiter, all, at), 'ok');
  for (let minute = 1; minute <= 4; minute += 1) assert.equal(call(limiter, all, minute * 64_000), 'ok');
  assert.match(call(limiter, all, 5 * 64_000), /^try again in 3\d\d\d s$/);
});

test('bytes of arguments and of results count', () => {
  const limiter = new Limiter();
  const all = limits("limits: [{ bytes: 100, window: '10s' }]");
  const first = limiter.admit(all, QUERY, 60, 0);
  assert.ok(first.kind === 'ok');
  assert.equal(call(limiter, all, 0, {}, 41), 'try again in 11 s');
  assert.equal(call(limiter, all, 0, {}, 30), 'ok');
  first.release(20, 5000);
  first.release(20, 5000);
  assert.equal(call(limiter, all, 5000, {}, 1), 'try again in 6 s');
  assert.equal(call(limiter, all, 11_000, {}, 80), 'ok');
  assert.equal(call(limiter, all, 100_000, {}, 101), 'send less in one call');
});

test('calls at once are counted until they are answered', () => {
  const limiter = new Limiter();
  const all = limits('limits: [{ concurrent: 2 }]');
  const open = [0, 1].map(() => limiter.admit(all, QUERY, 1, 0));
  assert.equal(call(limiter, all, 1e9), 'wait for the answers that are still to come');
  const [first] = open;
  assert.ok(first?.kind === 'ok');
  first.release(5, 10);
  assert.equal(call(limiter, all, 10), 'ok');
  first.release(5, 10);
  const again = [0, 1].map(() => limiter.admit(all, QUERY, 1, 20));
  assert.deepEqual(again.map(({ kind }) => kind), ['ok', 'deny']);
});

test('what is counted apart is what `per` names', () => {
  const counts = (per: string): string[] => {
    const limiter = new Limiter();
    const all = limits(`limits: [{ calls: 1, window: '1m', per: ${per} }]`);
    return [{}, { tool: 'write' }, { principal: 'bob' }, { server: 'db' }, { tool: 'write', principal: 'bob', server: 'db' }].map((more) => (call(limiter, all, 0, more) === 'ok' ? 'ok' : 'no'));
  };
  assert.deepEqual(counts('[]'), ['ok', 'no', 'no', 'no', 'no']);
  assert.deepEqual(counts('[tool]'), ['ok', 'ok', 'no', 'no', 'no']);
  assert.deepEqual(counts('[principal]'), ['ok', 'no', 'ok', 'no', 'no']);
  assert.deepEqual(counts('[server]'), ['ok', 'no', 'no', 'ok', 'no']);
  assert.deepEqual(counts('[principal, server, tool]'), ['ok', 'ok', 'ok', 'ok', 'ok']);
});

test('another spelling of a tool is not counted apart, nor does it get past the tools of a limit', () => {
  const limiter = new Limiter();
  const all = limits("limits: [{ calls: 1, window: '1m', per: [tool], tools: [read, fs.write] }]");
  assert.equal(call(limiter, all, 0), 'ok');
  for (const tool of ['READ', ' read', 're\u200bad', '\uff52ead', 'read']) assert.notEqual(call(limiter, all, 0, { tool }), 'ok', tool);
  assert.equal(call(limiter, all, 0, { tool: 'Write' }), 'ok');
  assert.notEqual(call(limiter, all, 0, { tool: 'write' }), 'ok');
  for (let at = 0; at < 3; at += 1) assert.equal(call(limiter, all, 0, { tool: 'other' }), 'ok');
});

test('a limit applies to its servers and principals, and that of a section to its server', () => {
  const limiter = new Limiter();
  const all = limits("limits: [{ calls: 0, window: '1m', servers: [db], principals: ['*@x'] }]", "servers: { mail: { limits: [{ calls: 0, window: '1m' }] } }");
  assert.deepEqual(all.map(({ place }) => place), ['limits[0]', 'servers.mail.limits[0]']);
  assert.equal(call(limiter, all, 0, { server: 'db', principal: 'a@x' }), 'the policy allows no call of this tool');
  assert.equal(call(limiter, all, 0, { server: 'db' }), 'ok');
  assert.equal(call(limiter, all, 0, { principal: 'a@x' }), 'ok');
  assert.notEqual(call(limiter, all, 0, { server: 'mail' }), 'ok');
});

test('under observe a limit marks what it would deny', () => {
  const limiter = new Limiter();
  const all = limits("limits: [{ calls: 1, window: '1m', mode: observe }]");
  assert.equal(call(limiter, all, 0), 'ok');
  const admitted: Admission = limiter.admit(all, QUERY, 1, 1);
  assert.deepEqual(admitted.kind === 'ok' ? admitted.mark : null, { code: 'LIMIT_EXCEEDED', rule: 'limits[0]', reason: 'observed: tool#3316348d is above limits[0]: 1 call in 60 s' });
});

test('counts outlive a policy that is replaced where the limit says the same, and only there', () => {
  const limiter = new Limiter();
  assert.equal(call(limiter, limits("limits: [{ calls: 1, window: '1m' }]"), 0), 'ok');
  assert.notEqual(call(limiter, limits('deny_tools: [x]', "limits: [{ window: '1m', calls: 1 }]"), 1), 'ok');
  assert.equal(call(limiter, limits("limits: [{ calls: 2, window: '1m' }]"), 1), 'ok');
});

test('no flood of principals takes the count from another, and what cannot be counted is denied', () => {
  const limiter = new Limiter();
  const all = limits("limits: [{ calls: 1, window: '1m', per: [principal] }]");
  assert.equal(call(limiter, all, 0), 'ok');
  for (let at = 1; at < LIMIT_COUNTERS_MAX; at += 1) call(limiter, all, 0, { principal: `p${at}` });
  assert.equal(call(limiter, all, 1, { principal: 'one more' }), 'try again later');
  assert.match(call(limiter, all, 1), /^try again in/);
  assert.equal(call(limiter, all, 120_000, { principal: 'one more' }), 'ok');
});

test('a clock that is set back opens nothing', () => {
  const limiter = new Limiter();
  const all = limits("limits: [{ calls: 1, window: '1m' }]");
  assert.equal(call(limiter, all, 1_000_000), 'ok');
  for (const now of [999_999, 500_000, 0, 1_000_001]) assert.notEqual(call(limiter, all, now), 'ok', String(now));
});

test('in no window of time are there more calls or bytes than a limit says', () => {
  const step = fc.record({ wait: fc.integer({ min: 0, max: 4000 }), bytes: fc.integer({ min: 0, max: 40 }), result: fc.integer({ min: 0, max: 40 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const limiter = new Limiter();
      const all = limits("limits: [{ calls: 5, bytes: 150, window: '10s' }]");
      const taken: { at: number; bytes: number }[] = [];
      let now = 0;
      for (const { wait, bytes, result } of steps) {
        now += wait;
        const within = taken.filter(({ at }) => at > now - 10_000);
        const admitted = limiter.admit(all, QUERY, bytes, now);
        if (admitted.kind === 'ok') {
          assert.ok(within.length < 5);
          assert.ok(within.reduce((sum, one) => sum + one.bytes, bytes) <= 150);
          admitted.release(result, now);
          taken.push({ at: now, bytes: bytes + result });
        } else {
          // What is kept too long is kept for a twentieth of the window at most.
          const kept = taken.filter(({ at }) => at >= now - 10_500);
          assert.ok(kept.length >= 5 || kept.reduce((sum, one) => sum + one.bytes, bytes) > 150);
        }
      }
    }),
    { numRuns: 200 },
  );
});
