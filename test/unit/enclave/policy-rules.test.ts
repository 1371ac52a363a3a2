// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import * as fc from 'fast-check';
import { parseAndCompile } from '../../../enclave/policy/compile.ts';
import type { Policy, PolicyDecision, ToolQuery } from '../../../enclave/policy/types.ts';
import type { JsonObject } from '../../../shared/json/value.ts';

const KEYS = Array.from({ length: 3 }, (_, index) => `ed25519:${Buffer.alloc(32, index + 7).toString('base64')}`);

function policy(...lines: readonly string[]): Policy {
  return parseAndCompile(new TextEncoder().encode(['version: 1', ...lines, ''].join('\n')), 'policy.yaml');
}

const labelOf = (name: string): string => `tool#${createHash('sha256').update(name).digest('hex').slice(0, 8)}`;

function decide(loaded: Policy, tool: string, more: Partial<ToolQuery> = {}): PolicyDecision {
  return loaded.decideTool({ server: 'fs', tool, soleServer: true, principal: 'local', args: {}, ...more });
}

/** `kind rule`, and the mark behind it. */
function shown(decision: PolicyDecision): string {
  const mark = decision.kind === 'allow' && decision.mark !== null ? ` +${decision.mark.code} ${decision.mark.rule}` : '';
  return `${decision.kind} ${decision.rule}${mark}`;
}

test('the order is deny_tools, rules, require_approval, allow_tools, default', () => {
  const loaded = policy(
    'default: deny',
    'deny_tools: [a]',
    'rules:',
    '  - { tools: [a, b, c], action: allow }',
    '  - { id: hold-d, tools: [d], action: approve }',
    'require_approval: [c, d, e]',
    'allow_tools: [d, e, f]',
  );
  assert.deepEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((tool) => shown(decide(loaded, tool))), [
    'deny deny_tools[0]',
    'allow rules[0]',
    'allow rules[0]',
    "hold rules['hold-d']",
    'hold require_approval[2]',
    'allow allow_tools[2]',
    'deny default',
  ]);
});

test('the first rule that applies decides, and a rule applies if tool, server, principal and arguments do', () => {
  const loaded = policy(
    'rules:',
    "  - { tools: ['write_*'], servers: [db], action: deny }",
    "  - { tools: ['write_*'], principals: ['admin@*'], action: allow }",
    "  - { tools: ['write_*'], when: [{ arg: dry_run, equals: true }], action: allow }",
    "  - { tools: ['write_*'], action: deny }",
  );
  const tool = 'write_file';
  assert.equal(shown(decide(loaded, tool, { server: 'db', principal: 'admin@x' })), 'deny rules[0]');
  assert.equal(shown(decide(loaded, tool, { principal: 'admin@x' })), 'allow rules[1]');
  assert.equal(shown(decide(loaded, tool, { args: { dry_run: true } })), 'allow rules[2]');
  assert.equal(shown(decide(loaded, tool, { args: { dry_run: 'true' } })), 'deny rules[3]');
  assert.equal(shown(decide(loaded, tool)), 'deny rules[3]');
  assert.equal(shown(decide(loaded, 'read')), 'allow null');
});

test('a rule that restricts covers a name in every form, one that allows the exact name only', () => {
  const forms = ['delete', 'DELETE', ' delete', 'de\u200blete', '\uff44elete'];
  for (const action of ['deny', 'approve']) {
    const loaded = policy(`rules: [{ tools: [fs.delete], action: ${action} }]`);
    for (const form of forms) assert.notEqual(decide(loaded, form).kind, 'allow', `${action} ${form}`);
  }
  const alert = policy('rules: [{ tools: [delete], action: alert }]');
  for (const form of forms) assert.match(shown(decide(alert, form)), /RULE_ALERT/);
  const allow = policy('default: deny', 'rules: [{ tools: [delete], action: allow }]');
  assert.deepEqual(forms.map((form) => decide(allow, form).kind), ['allow', 'deny', 'deny', 'deny', 'deny']);
  assert.equal(decide(allow, 'delete', { soleServer: false }).kind, 'deny');
});

test('a denial shows the message of its rule, a label and no name', () => {
  const loaded = policy("rules: [{ id: no-prod, tools: [deploy], action: deny, message: 'ask the release team' }]");
  assert.deepEqual(decide(loaded, 'deploy'), {
    kind: 'deny',
    approval: null,
    code: 'TOOL_DENIED',
    rule: "rules['no-prod']",
    pattern: labelOf('deploy'),
    reason: `${labelOf('deploy')} matched '${labelOf('deploy')}'`,
    message: `${labelOf('deploy')}: ask the release team`,
    hint: 'the policy denies this tool; use another one',
  });
});

test('an alert marks the call and the search goes on; the first alert counts', () => {
  const loaded = policy('rules:', '  - { id: one, tools: ["x*"], action: alert }', '  - { id: two, tools: ["x*"], action: alert }', '  - { tools: [xb], action: deny }', 'require_approval: [xc]');
  assert.deepEqual(decide(loaded, 'xa'), { kind: 'allow', rule: null, reason: 'no rule matched', mark: { code: 'RULE_ALERT', rule: "rules['one']", reason: `${labelOf('xa')} matched 'x*'` } });
  assert.equal(shown(decide(loaded, 'xb')), 'deny rules[2]');
  assert.equal(shown(decide(loaded, 'xc')), 'hold require_approval[0]');
  assert.equal(shown(decide(loaded, 'y')), 'allow null');
});

test('under observe a call passes with what would have happened', () => {
  const loaded = policy('mode: observe', 'default: deny', 'deny_tools: [a]', 'require_approval: [b]', 'rules: [{ tools: [c], action: deny }, { tools: [a, d], action: alert }]', 'allow_tools: [e]', "methods: { 'prompts/get': deny }");
  assert.deepEqual(['a', 'b', 'c', 'd', 'e', 'f'].map((tool) => shown(decide(loaded, tool))), [
    'allow null +TOOL_DENIED deny_tools[0]',
    'allow null +APPROVAL_REQUIRED require_approval[0]',
    'allow null +TOOL_DENIED rules[0]',
    'allow null +TOOL_NOT_ALLOWED default',
    'allow allow_tools[0]',
    'allow null +TOOL_NOT_ALLOWED default',
  ]);
  const method = (name: string): PolicyDecision => loaded.decideMethod({ server: 'fs', principal: 'local', direction: 'c2s', method: name, params: undefined, known: true });
  assert.equal(shown(method('prompts/get')), "allow null +METHOD_DENIED methods['prompts/get']");
  assert.equal(shown(method('resources/read')), 'allow null +METHOD_DENIED default');
  assert.equal(shown(method('ping')), 'allow null');
});

test('one rule can observe while others enforce', () => {
  const loaded = policy('rules:', '  - { id: trial, tools: ["x*"], action: deny, mode: observe }', '  - { tools: [xb], action: deny }');
  assert.equal(shown(decide(loaded, 'xa')), "allow null +TOOL_DENIED rules['trial']");
  assert.equal(shown(decide(loaded, 'xb')), 'deny rules[1]');
});

test("a server's section comes before the whole policy, and adds to what that denies", () => {
  const loaded = policy(
    'deny_tools: ["*.drop"]',
    'rules: [{ tools: [write, query], action: deny }]',
    'require_approval: [send]',
    'servers:',
    '  fs:',
    '    default: deny',
    '    deny_tools: [format]',
    '    rules: [{ tools: [write], action: allow }]',
    '    require_approval: [copy]',
    '    allow_tools: [read, fs.list, drop]',
    '  db: { default: allow }',
  );
  assert.deepEqual(['drop', 'format', 'write', 'query', 'send', 'copy', 'read', 'list', 'other'].map((tool) => shown(decide(loaded, tool, { soleServer: false }))), [
    'deny deny_tools[0]',
    'deny servers.fs.deny_tools[0]',
    'allow servers.fs.rules[0]',
    'deny rules[0]',
    'hold require_approval[0]',
    'hold servers.fs.require_approval[0]',
    'allow servers.fs.allow_tools[0]',
    'allow servers.fs.allow_tools[1]',
    'deny default',
  ]);
  assert.deepEqual(['format', 'write', 'other'].map((tool) => shown(decide(loaded, tool, { server: 'db', soleServer: false }))), ['allow null', 'deny rules[0]', 'allow null']);
  assert.deepEqual(loaded.serversNamed, ['fs', 'db']);
});

test('a section can observe by itself, and only what stands in it', () => {
  const loaded = policy('deny_tools: [a]', "methods: { 'prompts/get': deny }", 'servers:', '  fs:', '    mode: observe', '    default: deny', '    deny_tools: [b]', "    methods: { 'resources/read': deny }");
  assert.equal(shown(decide(loaded, 'a')), 'deny deny_tools[0]');
  assert.equal(shown(decide(loaded, 'b')), 'allow null +TOOL_DENIED servers.fs.deny_tools[0]');
  assert.equal(shown(decide(loaded, 'c')), 'allow null +TOOL_NOT_ALLOWED default');
  const method = (server: string, name: string): PolicyDecision => loaded.decideMethod({ server, principal: 'local', direction: 'c2s', method: name, params: { uri: 'a:b' }, known: true });
  assert.equal(shown(method('fs', 'resources/read')), "allow null +METHOD_DENIED servers.fs.methods['resources/read']");
  assert.equal(shown(method('fs', 'prompts/get')), "deny methods['prompts/get']");
  assert.equal(shown(method('fs', 'completion/complete')), 'allow null +METHOD_DENIED default');
  assert.equal(shown(method('db', 'resources/read')), 'allow null');
});

test('names that every object has are no servers with a section', () => {
  const loaded = policy('servers: { fs: { deny_tools: [x] } }');
  for (const server of ['constructor', '__proto__', 'toString']) assert.equal(decide(loaded, 'x', { server }).kind, 'allow');
});

test('a held call says whose approval it waits for', () => {
  const loaded = policy(
    'approval:',
    `  approvers: { alice: '${KEYS[0]}', bob: '${KEYS[1]}', carol: '${KEYS[2]}' }`,
    '  approvals: 2',
    '  hold_ms: 1000',
    'rules:',
    "  - { tools: [pay], action: approve, approvals: 1, approvers: [bob], message: 'a payment' }",
    '  - { tools: [wire], action: approve, approvals: 3 }',
    '  - { tools: [move], action: approve, approvers: [alice, carol] }',
    'require_approval: [send]',
  );
  const terms = ['pay', 'wire', 'move', 'send'].map((tool) => {
    const decision = decide(loaded, tool);
    return decision.kind === 'hold' ? decision.approval : null;
  });
  assert.deepEqual(terms, [
    { approvals: 1, approvers: ['bob'] },
    { approvals: 3, approvers: ['alice', 'bob', 'carol'] },
    { approvals: 2, approvers: ['alice', 'carol'] },
    { approvals: 2, approvers: ['alice', 'bob', 'carol'] },
  ]);
  const decision = decide(loaded, 'pay');
  assert.ok(decision.kind === 'hold');
  assert.equal(decision.message, `${labelOf('pay')}: a payment`);
  assert.equal(decision.hint, 'a person has to approve this call');
  const alice = loaded.approval.approvers.get('alice');
  const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), Buffer.alloc(32, 7)]);
  assert.deepEqual(alice?.publicKey, new Uint8Array(32).fill(7));
  assert.equal(alice?.fingerprint, createHash('sha256').update(spki).digest('hex'));
  assert.deepEqual([loaded.approval.holdMs, loaded.approval.expiresMs, loaded.approval.redeemMs], [1000, 900_000, 600_000]);
});

test('a listing shows a tool of which some call could be allowed', () => {
  const listed = (tool: string, ...lines: readonly string[]): string => decide(policy(...lines), tool, { args: null }).kind;
  const when = 'when: [{ arg: path, path_in: /srv }]';
  assert.equal(listed('x', `rules: [{ tools: [x], ${when}, action: deny }]`), 'allow');
  assert.equal(listed('x', `rules: [{ tools: [x], ${when}, action: approve }]`), 'allow');
  assert.equal(listed('x', 'default: deny', `rules: [{ tools: [x], ${when}, action: allow }]`), 'allow');
  assert.equal(listed('x', 'default: deny', `rules: [{ tools: [x], ${when}, action: approve }]`), 'hold');
  assert.equal(listed('x', 'default: deny', `rules: [{ tools: [x], ${when}, action: approve, mode: observe }]`), 'deny');
  assert.equal(listed('x', 'deny_tools: [x]', `rules: [{ tools: ['*'], ${when}, action: approve }]`), 'deny');
  assert.equal(listed('x', 'default: deny', `rules: [{ tools: [y], ${when}, action: allow }]`), 'deny');
  assert.equal(listed('x', `rules: [{ tools: [x], ${when}, action: deny }, { tools: [x], action: deny }]`), 'deny');
  assert.equal(listed('x', `rules: [{ tools: [x], ${when}, action: allow }, { tools: [x], action: deny }]`), 'allow');
  assert.equal(listed('x', 'rules: [{ tools: [x], principals: [other], action: deny }]'), 'allow');
});

test('it is known whether the decision on a tool depends on arguments', () => {
  const loaded = policy('rules: [{ tools: ["x*"], when: [{ arg: a, equals: b }], action: deny }]', 'servers: { fs: { rules: [{ tools: [y], when: [{ arg: a, exists: true }], action: alert }] } }');
  const depends = (server: string, tool: string): boolean => loaded.dependsOnArguments({ server, tool, soleServer: true, principal: 'local' });
  assert.deepEqual([depends('fs', 'x1'), depends('fs', 'X1'), depends('fs', 'y'), depends('db', 'y'), depends('fs', 'z')], [true, true, true, false, false]);
});

test('an explanation is the decision itself with the steps that led to it', () => {
  const loaded = policy(
    'rules:',
    '  - { id: other, tools: [y], action: deny }',
    '  - { id: elsewhere, servers: [db], action: deny }',
    '  - { id: admins, principals: [root], action: allow }',
    '  - { id: in-etc, when: [{ arg: a, exists: true }, { arg: path, path_in: /etc }], action: deny }',
    '  - { id: seen, action: alert }',
    '  - { id: trial, tools: [x], action: deny, mode: observe }',
    'require_approval: [x]',
  );
  const query: ToolQuery = { server: 'fs', tool: 'x', soleServer: true, principal: 'local', args: { a: 1, path: '/srv' } };
  const label = labelOf('x');
  const { decision, steps } = loaded.explainTool(query);
  assert.deepEqual(decision, loaded.decideTool(query));
  assert.deepEqual(steps, [
    { place: "rules['other']", outcome: 'passed over', why: 'another tool' },
    { place: "rules['elsewhere']", outcome: 'passed over', why: 'another server' },
    { place: "rules['admins']", outcome: 'passed over', why: 'another principal' },
    { place: "rules['in-etc']", outcome: 'passed over', why: 'when[1] does not hold' },
    { place: "rules['seen']", outcome: 'marks', why: `${label} matched '*'` },
    { place: "rules['trial']", outcome: 'observed', why: `${label} matched '${label}'` },
    { place: 'require_approval[0]', outcome: 'decides', why: `${label} matched '${label}'` },
  ]);
  assert.deepEqual(loaded.explainTool({ ...query, tool: 'z', args: null }).steps.slice(3), [
    { place: "rules['in-etc']", outcome: 'passed over', why: 'depends on arguments' },
    { place: "rules['seen']", outcome: 'marks', why: `${labelOf('z')} matched '*'` },
    { place: "rules['trial']", outcome: 'passed over', why: 'another tool' },
    { place: 'default', outcome: 'decides', why: 'no rule matched' },
  ]);
});

test('no name and no arguments make a decision throw', () => {
  const loaded = policy(
    'rules:',
    ...['equals: [x, 5, true]', "glob: '*a*'", "regex: '^a'", 'range: { min: 0 }', 'host: a.example', 'scheme: http', 'port: 80', 'path_in: /etc', 'type: string', 'length: { max: 3 }', 'exists: true'].map((test, index) => `  - { action: ${index % 2 === 0 ? 'deny' : 'alert'}, mode: observe, when: [{ arg: '**', ${test} }] }`),
    "  - { action: deny, when: [{ arg: 'a[0].b', equals: x }, { arg: '*', glob: a }] }",
  );
  const key = fc.constantFrom('a', 'b', '__proto__', 'constructor', 'A', '');
  const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('%', '%zz', '\ud800', '[', '{"a":', '\u0000', 'http://[', '\\u', '&#999999;', '&#xfffff;', '%uD800', 'file:', '::', '1e9999', '~', '//?/', '"'));
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof({ maxDepth: 4 }, text, fc.double(), fc.boolean(), fc.constant(null), fc.array(tie('value'), { maxLength: 4 }), fc.dictionary(key, tie('value'), { maxKeys: 4 })),
  }));
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.dictionary(key, value, { maxKeys: 4 }), (tool, args) => {
      decide(loaded, tool, { args: args as JsonObject });
    }),
    { numRuns: 300 },
  );
});
