// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import { loadPolicy } from '../../../enclave/policy/compile.ts';
import { POLICY_KEYS } from '../../../enclave/policy/schema.ts';
import type { Policy, PolicyDecision } from '../../../enclave/policy/types.ts';
import { Unavailable } from '../../../shared/errors.ts';
import type { JsonObject } from '../../../shared/json/value.ts';

function policy(...lines: readonly string[]): Promise<Policy> {
  return loadPolicy(new TextEncoder().encode(['version: 1', ...lines, ''].join('\n')));
}

const tool = (loaded: Policy, name: string, sole = true): PolicyDecision => loaded.decideTool({ server: 'fs', tool: name, soleServer: sole, principal: 'local', args: {} });
const kinds = (loaded: Policy, ...names: readonly string[]): string[] => names.map((name) => tool(loaded, name).kind);

function labelOf(name: string): string {
  return `tool#${createHash('sha256').update(name).digest('hex').slice(0, 8)}`;
}

test('a denied tool is shown by its label, and the rule by its pattern', async () => {
  const loaded = await policy("deny_tools: ['shell.*']");
  assert.deepEqual(tool(loaded, 'shell.exec'), {
    kind: 'deny',
    approval: null,
    code: 'TOOL_DENIED',
    rule: 'deny_tools[0]',
    pattern: 'shell.*',
    reason: "tool#3dca4690 matched 'shell.*'",
    message: "tool#3dca4690 matched deny rule 'shell.*'",
    hint: 'the policy denies this tool; use another one',
  });
  assert.deepEqual(tool(loaded, 'filesystem.read_file'), { kind: 'allow', rule: null, reason: 'no rule matched', mark: null });
});

test('a pattern without wildcards is a name, and no decision shows it', async () => {
  const loaded = await policy('deny_tools: [a, shell.exec]', 'require_approval: [send]', 'default: deny', 'allow_tools: [read]');
  const decisions = ['shell.exec', 'send', 'read', 'other'].map((name) => tool(loaded, name));
  assert.deepEqual(
    decisions.map(({ kind, rule, reason }) => [kind, rule, reason]),
    [
      ['deny', 'deny_tools[1]', `${labelOf('shell.exec')} matched '${labelOf('shell.exec')}'`],
      ['hold', 'require_approval[0]', `${labelOf('send')} matched '${labelOf('send')}'`],
      ['allow', 'allow_tools[0]', `matched '${labelOf('read')}'`],
      ['deny', 'default', `${labelOf('other')} matched no rule of allow_tools`],
    ],
  );
  for (const decision of decisions) assert.doesNotMatch(JSON.stringify(decision), /shell\.exec|"send|'read|other'/);
});

test('a held tool asks for approval', async () => {
  const loaded = await policy("require_approval: ['*.send_*', 'x?']");
  assert.deepEqual(tool(loaded, 'x1'), {
    kind: 'hold',
    approval: null,
    code: 'APPROVAL_REQUIRED',
    rule: 'require_approval[1]',
    pattern: 'x?',
    reason: `${labelOf('x1')} matched 'x?'`,
    message: `${labelOf('x1')} matched approval rule 'x?': approval required`,
    hint: 'a person has to approve this call, and the policy names nobody who can',
  });
});

test('deny beats approval, approval beats allow, allow beats the default', async () => {
  const loaded = await policy(
    'default: deny',
    "deny_tools: ['*.delete', '*_x']",
    "require_approval: ['w*', 'a_x*']",
    "allow_tools: ['a*', 'w1', 'files.*']",
  );
  assert.deepEqual(kinds(loaded, 'a', 'a_x', 'a_xy', 'w1', 'w2', 'files.read', 'files.delete', 'b'), [
    'allow',
    'deny',
    'hold',
    'hold',
    'hold',
    'allow',
    'deny',
    'deny',
  ]);
  const allowed = tool(loaded, 'files.read');
  assert.deepEqual(allowed, { kind: 'allow', rule: 'allow_tools[2]', reason: "matched 'files.*'", mark: null });
});

test('with default deny and nothing allowed, no tool may be called', async () => {
  const loaded = await policy('default: deny');
  assert.deepEqual(tool(loaded, 'read'), {
    kind: 'deny',
    approval: null,
    code: 'TOOL_NOT_ALLOWED',
    rule: 'default',
    pattern: null,
    reason: `${labelOf('read')} matched no rule of allow_tools`,
    message: `${labelOf('read')} is not among the allowed tools`,
    hint: 'the policy allows only some tools; use one from the listing',
  });
});

test('with several servers, a bare name in allow_tools allows nothing', async () => {
  const loaded = await policy('default: deny', "allow_tools: ['read', 'fs.write']");
  assert.equal(tool(loaded, 'read', true).kind, 'allow');
  assert.equal(tool(loaded, 'read', false).kind, 'deny');
  assert.equal(tool(loaded, 'write', false).kind, 'allow');
  assert.equal(loaded.decideTool({ server: 'other', tool: 'write', soleServer: false, principal: 'local', args: {} }).kind, 'deny');
});

test('deny and approval cover the name with and without its server, in every disguise', async () => {
  const loaded = await policy("deny_tools: ['fs.echo', 'shell*']", 'require_approval: [send]');
  assert.deepEqual(kinds(loaded, 'echo', 'ECHO', 'echo ', '\uff45cho', 'e\u200bcho', 'SHELL', '\u017fhell', 'ſend'), [
    'deny',
    'deny',
    'deny',
    'deny',
    'deny',
    'deny',
    'deny',
    'hold',
  ]);
  assert.equal(loaded.decideTool({ server: 'other', tool: 'echo', soleServer: false, principal: 'local', args: {} }).kind, 'allow');
  assert.equal(loaded.decideTool({ server: 'other', tool: 'Send', soleServer: false, principal: 'local', args: {} }).kind, 'hold');
});

test('names of members that every object has decide nothing', async () => {
  const loaded = await policy('default: deny', 'allow_tools: [x]', 'methods: { x: allow }');
  for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty']) {
    assert.equal(tool(loaded, name).kind, 'deny');
    assert.equal(loaded.decideMethod({ server: 'fs', principal: 'local', direction: 'c2s', method: name, params: undefined, known: false }).kind, 'deny');
  }
});

const CONTENT = ['prompts/get', 'resources/read', 'resources/subscribe', 'completion/complete', 'tasks/get', 'tasks/result', 'tasks/list', 'tasks/cancel', 'tasks/update'];
const PLAIN = [
  'initialize',
  'server/discover',
  'ping',
  'tools/list',
  'tools/call',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
  'resources/unsubscribe',
  'logging/setLevel',
  'subscriptions/listen',
  'notifications/initialized',
  'notifications/cancelled',
  'notifications/progress',
  'notifications/roots/list_changed',
];

function method(loaded: Policy, name: string, params?: JsonObject, known = true, direction: 'c2s' | 's2c' = 'c2s'): PolicyDecision {
  return loaded.decideMethod({ server: 'fs', principal: 'local', direction, method: name, params, known });
}

test('by default known methods pass, sampling and elicitation of URLs do not, unknown methods do not', async () => {
  const loaded = await policy();
  for (const name of [...PLAIN, ...CONTENT, 'roots/list']) {
    assert.deepEqual(method(loaded, name), { kind: 'allow', rule: null, reason: 'default allow', mark: null }, name);
  }
  assert.equal(method(loaded, 'elicitation/create', {}, true, 's2c').kind, 'allow');
  assert.equal(method(loaded, 'elicitation/create', { mode: 'form' }, true, 's2c').kind, 'allow');
  assert.deepEqual(method(loaded, 'elicitation/create', { mode: 'url' }, true, 's2c'), {
    kind: 'deny',
    approval: null,
    code: 'METHOD_DENIED',
    rule: 'default',
    pattern: null,
    reason: 'elicitation/create:url is denied unless the policy allows it',
    message: 'elicitation/create:url is denied unless the policy allows it',
    hint: "a policy can allow it: methods: { 'elicitation/create:url': allow }",
  });
  assert.equal(method(loaded, 'sampling/createMessage', {}, true, 's2c').kind, 'deny');
  const label = `method#${createHash('sha256').update('skills/list').digest('hex').slice(0, 8)}`;
  assert.deepEqual(method(loaded, 'skills/list', undefined, false), {
    kind: 'deny',
    approval: null,
    code: 'METHOD_UNKNOWN',
    rule: 'default',
    pattern: null,
    reason: `${label} is not a method that the gateway knows`,
    message: `${label} is not a method that the gateway knows`,
    hint: 'a policy can allow it by its exact name under methods',
  });
});

test('with default deny the requests of the client that fetch content are denied, all others stay', async () => {
  const loaded = await policy('default: deny');
  for (const name of PLAIN) assert.equal(method(loaded, name).kind, 'allow', name);
  for (const name of CONTENT) {
    const decision = method(loaded, name);
    assert.ok(decision.kind === 'deny' && decision.code === 'METHOD_DENIED', name);
    assert.equal(decision.reason, `${name} is denied by 'default: deny'`);
  }
  for (const name of ['tasks/get', 'tasks/cancel', 'roots/list']) {
    assert.equal(method(loaded, name, undefined, true, 's2c').kind, 'allow', name);
  }
  const opened = await policy('default: deny', "methods: { 'resources/*': allow, 'tasks/get': allow }");
  assert.deepEqual(method(opened, 'resources/read'), {
    kind: 'allow',
    rule: "methods['resources/*']",
    reason: "methods 'resources/*' allow",
    mark: null,
  });
  assert.deepEqual(
    ['resources/subscribe', 'tasks/get', 'tasks/list', 'prompts/get'].map((name) => method(opened, name).kind),
    ['allow', 'allow', 'deny', 'deny'],
  );
});

test('the most specific entry of methods decides, wherever it stands', async () => {
  const loaded = await policy(
    'methods:',
    "  '*': deny",
    "  'resources/*': allow",
    "  'resources/templates/*': deny",
    "  'resources/templates/list': allow",
    "  'prompts/???': allow",
    "  'prompts/g*t': deny",
  );
  assert.deepEqual(
    ['resources/read', 'resources/templates/list', 'resources/templates/x', 'tools/call', 'prompts/get', 'prompts/list'].map((name) => {
      const decision = method(loaded, name);
      return [decision.kind, decision.rule];
    }),
    [
      ['allow', "methods['resources/*']"],
      ['allow', "methods['resources/templates/list']"],
      ['deny', "methods['resources/templates/*']"],
      ['deny', "methods['*']"],
      ['deny', "methods['prompts/g*t']"],
      ['deny', "methods['*']"],
    ],
  );
  assert.deepEqual(method(loaded, 'tools/call'), {
    kind: 'deny',
    approval: null,
    code: 'METHOD_DENIED',
    rule: "methods['*']",
    pattern: '*',
    reason: "methods '*' deny",
    message: "tools/call matched deny rule '*'",
    hint: 'the policy denies this method under methods',
  });
});

test('what no session works without stays allowed under a pattern that denies everything', async () => {
  const loaded = await policy("methods: { '*': deny, 'notifications/*': deny }");
  for (const name of ['initialize', 'server/discover', 'ping', 'notifications/initialized', 'notifications/cancelled']) {
    assert.equal(method(loaded, name).kind, 'allow', name);
  }
  assert.equal(method(loaded, 'notifications/progress').kind, 'deny');
});

test('an allow-all policy lets sampling, elicitation of URLs and unknown methods through', async () => {
  const loaded = await policy('default: allow', "methods: {'*': allow}");
  assert.equal(method(loaded, 'sampling/createMessage', {}, true, 's2c').kind, 'allow');
  assert.equal(method(loaded, 'elicitation/create', { mode: 'url' }, true, 's2c').kind, 'allow');
  assert.equal(method(loaded, 'skills/list', undefined, false).kind, 'allow');
});

const MODES: readonly (readonly [methods: string, form: string, url: string, odd: string])[] = [
  ['{}', 'allow', 'deny', 'deny'],
  ["{ 'elicitation/create:url': allow }", 'allow', 'allow', 'allow'],
  ["{ 'elicitation/create:form': deny }", 'deny', 'deny', 'deny'],
  ["{ 'elicitation/create': deny }", 'deny', 'deny', 'deny'],
  ["{ 'elicitation/create': allow }", 'allow', 'allow', 'allow'],
  ["{ 'elicitation/create': deny, 'elicitation/create:form': allow }", 'allow', 'deny', 'deny'],
  ["{ 'elicitation/create': allow, 'elicitation/create:url': deny }", 'allow', 'deny', 'deny'],
  ["{ 'elicitation/create': deny, 'elicitation/create:*': allow }", 'allow', 'allow', 'allow'],
  ["{ '*': allow, 'elicitation/create': deny }", 'deny', 'deny', 'deny'],
  ["{ '*': deny, 'elicitation/create:form': allow }", 'allow', 'deny', 'deny'],
];

for (const [methods, form, url, odd] of MODES) {
  test(`elicitations are told apart by mode under methods ${methods}`, async () => {
    const loaded = await policy(`methods: ${methods}`);
    const decide = (params?: JsonObject): string => method(loaded, 'elicitation/create', params, true, 's2c').kind;
    assert.equal(decide(), form);
    assert.equal(decide({ message: 'x' }), form);
    assert.equal(decide({ mode: 'form' }), form);
    assert.equal(decide({ mode: 'url', url: 'https://x.example' }), url);
    for (const mode of ['URL', 'url ', '', null, 1, ['url'], 'other']) assert.equal(decide({ mode }), odd, JSON.stringify(mode));
    assert.equal(decide({ url: 'https://x.example' }), odd);
  });
}

test('a name that only resembles a judged method is refused, even where unknown methods are allowed', async () => {
  const loaded = await policy("methods: {'*': allow}");
  for (const name of ['Tools/Call', 'tools/call ', 'tools/\u200bcall', '\uff54ools/call', 'Sampling/createmessage', 'ELICITATION/CREATE', 'TOOLS/LIST', 'tool\u017f/call']) {
    const decision = method(loaded, name, undefined, false);
    assert.ok(decision.kind === 'deny' && decision.code === 'METHOD_UNKNOWN', name);
    assert.doesNotMatch(decision.message, /tools|sampling|elicitation/i);
  }
});

test('an entry that denies covers an unknown method in every form, one that allows only the exact name', async () => {
  const loaded = await policy("methods: {'*': allow, 'skills/*': deny, 'skills/list': allow}");
  const decide = (name: string): string => method(loaded, name, undefined, false).kind;
  assert.deepEqual(['skills/list', 'skills/run', 'Skills/Run', 'SKILLS/LIST', 'other/x'].map(decide), ['allow', 'deny', 'deny', 'deny', 'allow']);
});

test('the digest is SHA-256 of the bytes as they were given', async () => {
  const bytes = new TextEncoder().encode('version: 1 # here\n');
  assert.equal((await loadPolicy(bytes)).digest, createHash('sha256').update(bytes).digest('hex'));
});

test('a policy file that cannot be read says so without its path', async () => {
  await assert.rejects(loadPolicy('/nonexistent/policy.yaml'), (error: unknown) => {
    assert.ok(error instanceof Unavailable);
    assert.equal(error.code, 'FILE_UNREADABLE');
    assert.doesNotMatch(error.message, /nonexistent/);
    return true;
  });
});

const RULE = ['id', 'tools', 'servers', 'principals', 'when', 'action', 'message', 'mode', 'approvals', 'approvers'];
const WHEN = ['arg', 'not', 'equals', 'glob', 'regex', 'range', 'host', 'scheme', 'port', 'path_in', 'type', 'length', 'exists'];
const REDACTION = ['pattern', 'use', 'replacement', 'decode'];
const LIMIT = ['id', 'tools', 'servers', 'principals', 'per', 'calls', 'bytes', 'window', 'concurrent', 'mode'];
const BOUNDS = ['min', 'max'];
const PLACES: readonly (readonly [string, readonly string[]])[] = [
  ['rules', RULE],
  ['rules.when', WHEN],
  ['rules.when.range', BOUNDS],
  ['rules.when.length', BOUNDS],
  ['redact_args', REDACTION],
  ['redact_results', REDACTION],
  ['limits', LIMIT],
  ['methods.*', ['action', 'schemes', 'hosts', 'paths']],
];

test('the keys of a policy are frozen', () => {
  const scope = ['mode', 'deny_tools', 'allow_tools', 'require_approval', 'rules', 'redact_args', 'redact_results', 'methods', 'limits'];
  assert.deepEqual(Object.fromEntries(POLICY_KEYS), {
    '': ['version', 'default', ...scope, 'servers', 'approval', 'tool_description_pinning', 'classifier', 'audit'],
    ...Object.fromEntries(PLACES),
    'servers.*': ['default', ...scope],
    ...Object.fromEntries(PLACES.map(([place, keys]) => [`servers.*.${place}`, keys])),
    approval: ['approvers', 'approvals', 'hold_ms', 'expires_ms', 'redeem_ms'],
    tool_description_pinning: ['enabled', 'on_drift', 'on_new', 'path'],
    classifier: ['enabled', 'threshold', 'on_match', 'model'],
    audit: ['path', 'payload', 'order', 'signature', 'key', 'key_file', 'key_name', 'segment_megabytes', 'segment_days', 'keep_days', 'legal_hold', 'readers'],
  });
});
