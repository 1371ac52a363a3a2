// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import test from 'node:test';
import { parseAndCompile } from '../../../enclave/policy/compile.ts';
import type { Policy, PolicyDecision } from '../../../enclave/policy/types.ts';
import type { JsonValue } from '../../../shared/json/value.ts';
import { jsonObject } from '../../../shared/json/value.ts';

function policy(...lines: readonly string[]): Policy {
  return parseAndCompile(new TextEncoder().encode(['version: 1', ...lines, ''].join('\n')), 'policy.yaml');
}

function read(loaded: Policy, uri: JsonValue | undefined, method = 'resources/read', server = 'fs'): PolicyDecision {
  return loaded.decideMethod({ server, principal: 'local', direction: 'c2s', method, params: jsonObject({ uri }), known: true });
}

const ALLOWING = policy(
  'default: deny',
  'methods:',
  "  'resources/read':",
  '    - { action: deny, schemes: [file], paths: [/srv/data/private] }',
  '    - { action: allow, schemes: [file], paths: [/srv/data] }',
  "    - { action: allow, schemes: [https], hosts: [docs.example, '*.docs.example'] }",
  '    - { action: allow, schemes: [memo] }',
);

test('a resource is allowed by scheme, host and path of its URI', () => {
  for (const uri of ['file:///srv/data/a.txt', 'file:///srv/data/a%20b.txt', 'file:///srv/data/%C3%A9', 'file:///srv/data', 'https://docs.example/x?y#z', 'https://a.docs.example/', 'memo://insights', 'memo:1']) {
    assert.equal(read(ALLOWING, uri).kind, 'allow', uri);
  }
  const decision = read(ALLOWING, 'file:///srv/data/a.txt');
  assert.deepEqual(decision, { kind: 'allow', rule: "methods['resources/read'][1]", reason: "methods 'resources/read' allow", mark: null });
});

const REFUSED: readonly JsonValue[] = [
  'file:///etc/passwd',
  'file:///srv/data/../x',
  'file:///srv/data/%2e%2e/x',
  'file:///srv/data/..%2fx',
  'file:///srv/data%2f..%2fx',
  'file:///srv/data/%252e%252e/x',
  'file:///srv/data/a%00',
  'file:///srv/data/a%2Fb',
  'file:///srv/data/a%5Cb',
  'file:///srv/data\\..\\x',
  'file:///srv//data/a',
  'file:///SRV/data/a',
  'file:/srv/data/a',
  'file:srv/data/a',
  'FILE:///srv/data/a',
  ' file:///srv/data/a',
  'file:///srv/database',
  'file:///srv/data/private/key',
  'file:///srv/data/Private/key',
  'file:///srv/data/./private/key',
  'file:///srv/data/%70rivate/key',
  'file://evil/srv/data/private/x',
  'https://evil.example/',
  'https://docs.example@evil.example/',
  'https://docs.example.evil.example/',
  'https://DOCS.example/',
  'http://docs.example/',
  'ftp://docs.example/',
  'MEMO:1',
  'memo',
  '',
  '/srv/data/a',
  '../x',
  5,
  null,
  ['memo:1'],
  { uri: 'memo:1' },
];

test('what no entry allows beyond doubt is denied', () => {
  for (const uri of REFUSED) assert.equal(read(ALLOWING, uri).kind, 'deny', JSON.stringify(uri));
  assert.equal(read(ALLOWING, undefined).kind, 'deny');
  const decision = read(ALLOWING, 'file:///srv/data/private/key');
  assert.ok(decision.kind === 'deny');
  assert.deepEqual([decision.code, decision.rule, decision.message], ['METHOD_DENIED', "methods['resources/read'][0]", "resources/read matched deny rule 'resources/read'"]);
  assert.doesNotMatch(JSON.stringify(decision), /private|srv/);
});

test('an entry that denies catches a URI in every spelling', () => {
  const loaded = policy('methods:', "  'resources/read':", '    - { action: deny, schemes: [file], paths: [/etc] }', '    - { action: deny, hosts: [internal.example] }');
  for (const uri of ['file:///etc/passwd', 'FILE:///etc/x', 'file:/etc/x', 'file:///srv/../etc/x', 'file:///srv/%2e%2e/etc', 'file:///%65tc/x', 'file:///etc\\x', ' file:///etc/x', 'fi\nle:///etc/x', 'file:///proc/self/root/etc/x', '/etc/passwd', 'file://host/etc/x', 'file:///ETC/x', `file:///${'%25'.repeat(10)}/../etc`, 'http://internal.example/', 'http://x@INTERNAL.example./', '//internal.example/', `x:${'a'.repeat(20_000)}`]) {
    assert.equal(read(loaded, uri).kind, 'deny', uri.slice(0, 60));
  }
  for (const uri of ['file:///srv/x', 'https://good.example/etc', 'memo://etc']) assert.equal(read(loaded, uri).kind, 'allow', uri);
});

test('entries are of one method, and a section has its own', () => {
  const loaded = policy('methods:', "  'resources/subscribe': [{ action: deny, schemes: [file] }]", 'servers:', "  fs: { methods: { 'resources/read': [{ action: deny, schemes: [memo] }, { action: allow }] } }");
  assert.equal(read(loaded, 'file:///x').kind, 'allow');
  assert.equal(read(loaded, 'file:///x', 'resources/subscribe').kind, 'deny');
  assert.equal(read(loaded, 'memo:x').kind, 'deny');
  assert.equal(read(loaded, 'memo:x', 'resources/read', 'db').kind, 'allow');
  const decision = read(loaded, 'memo:x');
  assert.equal(decision.rule, "servers.fs.methods['resources/read'][0]");
});

test('an entry of a section comes before any of the whole policy, and what it leaves open goes on', () => {
  const loaded = policy("methods: { 'resources/read': deny, 'prompts/*': allow }", 'servers:', "  fs: { default: deny, methods: { 'resources/*': allow } }");
  assert.equal(read(loaded, 'a:b').kind, 'allow');
  assert.equal(read(loaded, 'a:b', 'resources/read', 'db').kind, 'deny');
  assert.equal(read(loaded, 'a:b', 'prompts/get').kind, 'allow');
  assert.equal(read(loaded, 'a:b', 'completion/complete').kind, 'deny');
});
