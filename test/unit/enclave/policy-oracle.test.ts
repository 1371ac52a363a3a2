// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { compilePolicy } from '../../../enclave/policy/compile.ts';
import type { PolicyDocument, ScopeDocument } from '../../../enclave/policy/document-parts.ts';
import { parsePolicy } from '../../../enclave/policy/document.ts';
import { compileGlob } from '../../../enclave/policy/glob.ts';
import type { PolicyDecision } from '../../../enclave/policy/types.ts';
import type { OracleCall, OraclePolicy, OracleRule, OracleScope } from '../../harness/policy-oracle.ts';
import { oracleDecision, oracleGlob, oracleListing } from '../../harness/policy-oracle.ts';
import { jsonObject } from '../../../shared/json/value.ts';

const TEXT = fc.array(fc.constantFrom('a', 'b', '.', '1'), { maxLength: 6 }).map((parts) => parts.join(''));
const PART = fc.constantFrom('a', 'b', '.', '1', '*', '?', '[ab]', '[!a]', '[a-b1]', '**');

test('globs match what brute force finds', () => {
  fc.assert(
    fc.property(fc.array(PART, { minLength: 1, maxLength: 6 }), TEXT, (parts, name) => {
      const pattern = parts.join('');
      const compiled = compileGlob(pattern);
      assert.ok(compiled.ok);
      assert.equal(compiled.glob.matches(name), oracleGlob(pattern, name), `${pattern} ${name}`);
      // Such names are folded already, and so are such patterns; a character that is not `a` may still have been `A`.
      const folded = compiled.glob.matchesFolded(name);
      assert.equal(folded, pattern.includes('[!') ? folded || oracleGlob(pattern, name) : oracleGlob(pattern, name), `${pattern} ${name}, folded`);
    }),
    { numRuns: 1500 },
  );
});

const EMPTY: PolicyDocument = parsePolicy(new TextEncoder().encode('version: 1\n'), 'p.yaml');

const PATTERNS = fc.array(fc.constantFrom('ta', 'tb', 't?', '*a', '*', 's1.*', 's2.ta', '[!t]*', 's1.ta'), { maxLength: 2 });
const RULE: fc.Arbitrary<OracleRule> = fc.record({
  tools: PATTERNS.filter((tools) => tools.length > 0),
  servers: fc.constantFrom([], [], ['s1'], ['s?']),
  principals: fc.constantFrom([], [], ['p1'], ['*2']),
  wanted: fc.constantFrom(null, null, 'x', 'y'),
  action: fc.constantFrom('allow', 'deny', 'approve', 'alert'),
  observe: fc.boolean(),
});
const SCOPE = { deny: PATTERNS, rules: fc.array(RULE, { maxLength: 4 }), approve: PATTERNS, allow: PATTERNS };
const POLICY: fc.Arbitrary<OraclePolicy> = fc.record({
  ...SCOPE,
  otherwise: fc.constantFrom('allow', 'deny'),
  section: fc.option(fc.record({ ...SCOPE, otherwise: fc.constantFrom('allow', 'deny', null) })),
});
const CALL: fc.Arbitrary<OracleCall> = fc.record({
  server: fc.constantFrom('s1', 's2'),
  tool: fc.constantFrom('ta', 'tb', 'a', 's1.ta'),
  sole: fc.boolean(),
  principal: fc.constantFrom('p1', 'p2'),
  a: fc.constantFrom('x', 'y', 'z', null),
});

function scopeOf({ deny, rules, approve, allow }: OracleScope): ScopeDocument {
  return {
    ...EMPTY,
    denyTools: deny,
    requireApproval: approve,
    allowTools: allow,
    rules: rules.map(({ wanted, ...rule }) => ({ ...rule, id: null, message: null, approvals: null, approvers: null, when: wanted === null ? [] : [{ arg: 'a', not: false, equals: wanted }] })),
  };
}

function outcomeOf(decision: PolicyDecision): string {
  if (decision.kind !== 'allow') return decision.kind;
  const { mark } = decision;
  if (mark === null) return 'allow ';
  return `allow ${mark.code === 'RULE_ALERT' ? 'alert' : mark.code === 'APPROVAL_REQUIRED' ? 'hold' : 'deny'}`;
}

test('policies decide what brute force decides, and explain it as they decide it', () => {
  fc.assert(
    fc.property(POLICY, fc.array(CALL, { minLength: 4, maxLength: 20 }), (policy, calls) => {
      const section = policy.section === null ? [] : [['s1', { ...scopeOf(policy.section), default: policy.section.otherwise }] as const];
      const loaded = compilePolicy({ ...EMPTY, ...scopeOf(policy), default: policy.otherwise, servers: new Map(section) }, '');
      for (const call of calls) {
        const { server, tool, principal, a } = call;
        const query = { server, tool, soleServer: call.sole, principal, args: jsonObject(a === null ? {} : { a }) };
        const decision = loaded.decideTool(query);
        assert.equal(outcomeOf(decision), oracleDecision(policy, call), JSON.stringify(call));
        const explained = loaded.explainTool(query);
        assert.deepEqual(explained.decision, decision);
        const last = explained.steps.at(-1);
        assert.deepEqual([last?.outcome, last?.place], ['decides', decision.rule ?? 'default']);
        // Rules of two values at once are not told apart in a listing: it may show more, and hides nothing.
        const listed = loaded.decideTool({ ...query, args: null });
        const best = oracleListing(policy, call);
        if (best === 'allow') assert.equal(listed.kind, 'allow', JSON.stringify(call));
        if (best === 'hold') assert.notEqual(listed.kind, 'deny', JSON.stringify(call));
      }
    }),
    { numRuns: 200 },
  );
});
