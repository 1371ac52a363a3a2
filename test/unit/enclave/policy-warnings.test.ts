// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import test from 'node:test';
import { readPolicy } from '../../../enclave/policy/document.ts';
import { warnings } from '../../../enclave/policy/warnings.ts';

function warned(...lines: readonly string[]): string[] {
  const { document, yaml } = readPolicy(new TextEncoder().encode(['version: 1', ...lines, ''].join('\n')), 'p.yaml');
  return warnings(document).map(({ path, problem, hint }) => {
    assert.notEqual(hint, '');
    const { line, column } = yaml.keyAt(path);
    return `${line}:${column}: ${problem}`;
  });
}

const KEY = `ed25519:${Buffer.alloc(32, 7).toString('base64')}`;

const TABLE: readonly (readonly [text: string, ...expected: readonly string[]])[] = [
  ['default: deny\nallow_tools: [a]'],
  ["rules: [{ tools: ['x*'], action: deny }]"],
  ['rules: [{ when: [{ arg: a, equals: b }], action: deny }]'],
  ['rules: [{ action: alert }, { tools: [x], action: deny }]'],
  ["rules: [{ tools: ['x*'], servers: [a], action: deny }, { tools: [x1], action: allow }]"],
  ["rules: [{ tools: ['x*'], mode: observe, action: deny }, { tools: [x1], action: allow }]"],
  ["rules: [{ tools: ['x*'], when: [{ arg: a, exists: true }], action: deny }, { tools: [x1], action: allow }]"],
  // What allows covers exact names only, so a rule about other spellings is still reached.
  ['rules: [{ tools: [x], action: allow }, { tools: [x], action: deny }]'],
  ['rules: [{ action: deny }, { tools: [x], action: allow }]', '2:27: rules[1] is never reached: rules[0] decides all that it names', '2:9: rules[0] decides every call that gets to it'],
  ['rules: [{ action: allow }]', '2:9: rules[0] decides every call that gets to it'],
  ["deny_tools: ['*']", '2:14: every tool is denied'],
  ["deny_tools: ['*']\nrules: [{ tools: [x], action: allow }]", '3:9: rules[0] is never reached: deny_tools denies all that it names', '2:14: every tool is denied'],
  ["default: deny\nallow_tools: ['*']", "3:15: every tool is allowed, although 'default' is deny"],
  ["methods: { '*': allow }", '2:12: every method is allowed, sampling, elicitation of URLs and methods that no revision defines included'],
  ["redact_args: [{ pattern: '.+' }]", '2:15: the pattern takes out every text'],
  ["redact_results: [{ pattern: '(.+)' }]", '2:18: the pattern takes out every text'],
  ['require_approval: [a]', '2:1: calls are held, and nobody can approve them: they are refused'],
  ['rules: [{ tools: [a], action: approve }]', '2:1: calls are held, and nobody can approve them: they are refused'],
  [`approval: { approvers: { a: '${KEY}' } }\nrequire_approval: [a]`],
  ['mode: observe', '2:1: nothing is denied: the policy only observes'],
  ["servers: { fs: { deny_tools: ['*'], require_approval: [] } }", '2:31: every tool is denied'],
  ["default: deny\nservers: { fs: { allow_tools: ['*'] } }", "3:32: every tool is allowed, although 'default' is deny"],
];

for (const [text, ...expected] of TABLE) {
  test(`${expected.length === 0 ? 'there is no warning of' : 'there is a warning of'} ${text.slice(0, 80).replaceAll('\n', ' | ')}`, () => {
    assert.deepEqual(warned(text), expected);
  });
}
