// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import type { PolicyDocument } from '../../../enclave/policy/document-parts.ts';
import { parsePolicy } from '../../../enclave/policy/document.ts';
import { Usage } from '../../../shared/errors.ts';
import { POLICY_BYTES_MAX } from '../../../shared/limits.ts';

function parse(text: string): PolicyDocument {
  return parsePolicy(new TextEncoder().encode(text), 'p.yaml');
}

/** What is reported for a text: all lines, as the command prints them. */
function report(bytes: string | Uint8Array): string[] {
  try {
    parsePolicy(typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes, 'p.yaml');
  } catch (error) {
    assert.ok(error instanceof Usage, String(error));
    assert.equal(error.code, 'POLICY_INVALID');
    assert.doesNotMatch(error.hint, /^$|^hint/);
    return [...error.message.split('\n'), `hint: ${error.hint}`];
  }
  return [];
}

const problems = (bytes: string | Uint8Array): string[] => report(bytes).filter((line) => !line.startsWith('hint: '));

const NOTHING = {
  observe: false,
  rules: [],
  redactResults: [],
  limits: [],
  servers: new Map(),
  approval: { approvers: new Map(), approvals: 1, holdMs: 25_000, expiresMs: 900_000, redeemMs: 600_000 },
};

test('the shortest policy has all defaults', () => {
  assert.deepEqual(parse('version: 1\n'), {
    ...NOTHING,
    default: 'allow',
    denyTools: [],
    allowTools: [],
    requireApproval: [],
    redactArgs: [],
    methods: [],
    pinning: { enabled: false, onDrift: 'alert', onNew: 'allow', path: null },
    audit: { path: null, payload: 'redacted', order: 'strict', signature: 'per-commit', key: 'ephemeral', keyFile: null, keyName: 'mcp-bastion-audit', segmentMegabytes: 256, segmentDays: 31, keepDays: 396, legalHold: false, readers: [], notices: [] },
  });
});

test('every key of the earlier releases is read', () => {
  const read = parse(`version: 1
default: deny
deny_tools: ['shell.*']
allow_tools: ['files.*', x]
require_approval:
  - '*.send'
redact_args:
  - pattern: 'a+'
  - { pattern: "b\\\\d", replacement: '$&' }
methods: { 'sampling/createMessage': allow, 'x/*': deny }
tool_description_pinning: { enabled: true, on_drift: block, on_new: alert, path: pins.yaml }
classifier: { enabled: false, threshold: 0.85, on_match: block, model: m }
audit: { path: log, payload: none, order: intent, signature: per-row, key: file, key_file: k }
`);
  assert.deepEqual(read, {
    ...NOTHING,
    default: 'deny',
    denyTools: ['shell.*'],
    allowTools: ['files.*', 'x'],
    requireApproval: ['*.send'],
    redactArgs: [
      { by: { kind: 'pattern', pattern: 'a+' }, replacement: null, decode: false },
      { by: { kind: 'pattern', pattern: 'b\\d' }, replacement: '$&', decode: false },
    ],
    methods: [
      { pattern: 'sampling/createMessage', action: 'allow' },
      { pattern: 'x/*', action: 'deny' },
    ],
    pinning: { enabled: true, onDrift: 'block', onNew: 'alert', path: 'pins.yaml' },
    audit: { path: 'log', payload: 'none', order: 'intent', signature: 'per-row', key: 'file', keyFile: 'k', keyName: 'mcp-bastion-audit', segmentMegabytes: 256, segmentDays: 31, keepDays: 396, legalHold: false, readers: [], notices: [] },
  });
});

test('the document of the earlier release is read with the same meaning', () => {
  const read = parse(`version: 1
deny_tools: ["shell.*"]
redact_args:
  - {pattern: "sk-[a-z]+", replacement: "[KEY]"}
require_approval: ["*.write"]
tool_description_pinning: {enabled: true, on_drift: block}
classifier: {enabled: false, threshold: 0.85, on_match: alert}
audit: {path: logs/audit.sqlite}
`);
  assert.deepEqual(read.pinning, { enabled: true, onDrift: 'block', onNew: 'allow', path: null });
  assert.equal(read.audit.path, 'logs/audit');
  assert.deepEqual(read.audit.notices, ["audit.path names a directory now: the log is kept in 'logs/audit/'"]);
});

/** Texts with what is wrong with them; `version: 1` is the first line unless the text begins with `!`. */
const WRONG: readonly (readonly [text: string, ...expected: readonly string[]])[] = [
  ['!', '1:1: the policy is empty'],
  ['!# nothing\n', '1:1: the policy is empty'],
  ['!- a', '1:1: the policy wants a section of keys'],
  ['!text', '1:1: the policy wants a section of keys'],
  ['!default: allow', '1:1: version is missing'],
  ['!version: 2', '1:10: version wants 1'],
  ["!version: '1'", '1:10: version wants 1'],
  ['denytools: []', "2:1: there is no key 'denytools'"],
  ['default: maybe', '2:10: default wants allow or deny'],
  ['default:', '2:9: default wants allow or deny'],
  ['deny_tools: shell', '2:13: deny_tools wants a list'],
  ['deny_tools:\n  a: b', '3:3: deny_tools wants a list'],
  ['deny_tools: [a, 5]', '2:17: deny_tools[1] wants text'],
  ['deny_tools: [a, [b]]', '2:17: deny_tools[1] wants text'],
  ["deny_tools:\n  - a\n  - '['\n", "4:5: deny_tools[1]: a '[' is not closed"],
  ["allow_tools: ['']\ndefault: deny", '2:15: allow_tools[0]: the pattern is empty'],
  ["require_approval: ['[^a]']", "2:20: require_approval[0]: '[^' does not negate"],
  ['redact_args: [x]', '2:15: redact_args[0] wants a section of keys'],
  ["redact_args:\n  - replacement: ''", '3:5: redact_args[0]: names no pattern, or two'],
  ["redact_args:\n  - pattern: 'a('", '3:14: redact_args[0].pattern: not an RE2 pattern: missing )'],
  ["redact_args:\n  - pattern: '(?=s3cret)'", '3:14: redact_args[0].pattern: not an RE2 pattern: invalid perl operator'],
  ["redact_args:\n  - pattern: '(a)\\1'", '3:14: redact_args[0].pattern: not an RE2 pattern: invalid escape sequence'],
  ["redact_args:\n  - pattern: ''", '3:14: redact_args[0].pattern: the pattern matches the empty string'],
  ["redact_args:\n  - pattern: 'a*'", '3:14: redact_args[0].pattern: the pattern matches the empty string'],
  ["redact_args:\n  - pattern: '\\b'", '3:14: redact_args[0].pattern: the pattern matches the empty string'],
  ["redact_args:\n  - pattern: 'x|^'", '3:14: redact_args[0].pattern: the pattern matches the empty string'],
  [`redact_args: [{pattern: ${'x'.repeat(1025)}}]`, '2:25: redact_args[0].pattern: the pattern is longer than 1024 characters'],
  [`redact_args: [{pattern: x, replacement: ${'y'.repeat(129)}}]`, '2:41: redact_args[0].replacement is above the limit of 128'],
  ['redact_args: [{pattern: x, replace: y}]', "2:28: there is no key 'replace' in redact_args"],
  ["methods: { 'a/b': maybe }", "2:19: methods['a/b'] wants allow or deny"],
  ["methods: { '[a': deny }", "2:12: methods['[a']: a '[' is not closed"],
  ['methods: [ping]', '2:10: methods wants a section of keys'],
  ['methods: { initialize: deny }', '2:12: initialize cannot be denied: without it no session works'],
  ["methods:\n  ping: allow\n  'notifications/cancelled': deny", '4:3: notifications/cancelled cannot be denied: without it no session works'],
  ['tool_description_pinning: {on_drift: block}', '2:27: tool_description_pinning.enabled is missing'],
  ['tool_description_pinning: {enabled: yes}', '2:37: tool_description_pinning.enabled wants true or false'],
  ['tool_description_pinning: {enabled: true, on_drift: ask}', '2:53: tool_description_pinning.on_drift wants alert or block or approve'],
  ['tool_description_pinning: {enabled: true, on_new: ask}', '2:51: tool_description_pinning.on_new wants allow or alert or block or approve'],
  ["tool_description_pinning: {enabled: true, path: ''}", '2:49: tool_description_pinning.path is empty'],
  ['classifier: {enabled: true}', '2:23: classifier.enabled: this build has no classifier'],
  ['classifier: {threshold: 0.5}', '2:13: classifier.enabled: wants false'],
  ['classifier: {enabled: false, threshold: 2}', '2:41: classifier.threshold is above the limit of 1'],
  ['classifier: {enabled: false, threshold: -1}', '2:41: classifier.threshold is below 0'],
  ['audit: {order: fast}', '2:16: audit.order wants strict or intent or response'],
  ['audit: {key: kms}', '2:14: audit.key wants ephemeral or file or keychain or systemd-credential'],
  ['audit: {key: file}', "2:14: audit.key: 'key: file' needs key_file"],
  ['audit: {key_file: k}', "2:19: audit.key_file: key_file has no effect without 'key: file'"],
  ['audit: {key: file, key_file: k, key_name: n}', "2:43: audit.key_name: key_name has no effect without 'key: keychain' or 'key: systemd-credential'"],
  ['audit: {key: keychain, key_name: ../k}', '2:34: audit.key_name: is not the name of a key'],
  ['audit: {key: systemd-credential, key_name: k.next}', '2:44: audit.key_name: is not the name of a key'],
  ['audit: {payload: full}', '2:18: audit.payload wants none or redacted'],
  ['audit: {path: 5}', '2:15: audit.path wants text'],
  // Rules that can never decide anything.
  ["deny_tools: ['a*', b, 'a*']", '2:23: deny_tools[2] repeats deny_tools[0]'],
  ['deny_tools: [echo, ECHO]', '2:20: deny_tools[1] repeats deny_tools[0]'],
  ['require_approval: [a, b, b]', '2:26: require_approval[2] repeats require_approval[1]'],
  ['default: deny\nallow_tools: [a, a]', '3:18: allow_tools[1] repeats allow_tools[0]'],
  ['redact_args: [{pattern: x}, {pattern: x, replacement: y}]', '2:29: redact_args[1] repeats redact_args[0]'],
  ["default: deny\ndeny_tools: [x, 'a.*']\nallow_tools: ['a.*']", '4:15: allow_tools[0] has no effect: deny_tools[1] denies all that it names'],
  ["default: deny\ndeny_tools: ['a.*']\nallow_tools: ['a.b']", '4:15: allow_tools[0] has no effect: deny_tools[0] denies all that it names'],
  ["deny_tools: ['*']\nrequire_approval: ['a.*']", '3:20: require_approval[0] has no effect: deny_tools[0] denies all that it names'],
  ['deny_tools: [a]\nrequire_approval: [b, a]', '3:23: require_approval[1] has no effect: deny_tools[0] denies all that it names'],
  [
    'allow_tools: [a, b]',
    "2:15: allow_tools[0] has no effect: with 'default: allow' every tool is allowed that no other rule names",
    "2:18: allow_tools[1] has no effect: with 'default: allow' every tool is allowed that no other rule names",
  ],
  // YAML that says something else than it shows.
  ['deny_tools: [a]\ndeny_tools: [b]', '3:1: this key stands here twice'],
  ["methods: { 'a': deny, a: allow }", '2:23: this key stands here twice'],
  ['deny_tools:\n  - *.exec', '3:5: a star begins a value that is not quoted'],
  ['deny_tools: [*]', '2:14: a star begins a value that is not quoted'],
  ['methods: { *: deny }', '2:13: a star begins a value that is not quoted', '2:15: not valid YAML: Missing , or : between flow map items'],
  ['methods:\n  *: deny', '3:4: a star begins a value that is not quoted', '3:6: not valid YAML: Unexpected scalar at node end'],
  ['deny_tools: &x [a]\nallow_tools: *x\ndefault: deny', '2:16: anchors are not accepted', '3:14: a star begins a value that is not quoted', '3:14: allow_tools wants a list'],
  ['default: !!js/function x', '2:10: tags are not accepted', '2:24: default wants allow or deny'],
  ['1: x', '2:1: this key is not text'],
  ['? [a]\n: b', '2:3: this key is not text'],
  ['<<: {default: deny}', "2:1: there is no key '<<'"],
  ['---\ndefault: deny', '2:1: the file holds more than one document'],
  ['\tdefault: deny', '2:1: a tab is used to indent'],
];

for (const [text, ...expected] of WRONG) {
  const whole = text.startsWith('!') ? text.slice(1) : `version: 1\n${text}`;
  test(`a policy is refused at its place: ${text.slice(0, 60).replaceAll('\n', ' | ')}`, () => {
    assert.deepEqual(problems(whole), expected.map((line) => `p.yaml:${line}`));
  });
}

test('all problems are reported in one go, in the order of the text, each with a hint', () => {
  assert.deepEqual(
    report(`version: 1
defualt: deny
deny_tools:
  - 'shell.['
  - *.exec
redact_args:
  - pattern: '(?!x)'
audit:
  ordr: strict
  key: file
something: 1
`),
    [
      "p.yaml:2:1: there is no key 'defualt'",
      "hint: did you mean 'default'?",
      "p.yaml:4:5: deny_tools[0]: a '[' is not closed",
      "hint: close it with ']', or write '[[]' for the character itself",
      'p.yaml:5:5: a star begins a value that is not quoted',
      "hint: quote a pattern that begins with a star: '*.delete'",
      'p.yaml:7:14: redact_args[0].pattern: not an RE2 pattern: invalid perl operator',
      'hint: RE2 has no look-around and no back-references; see github.com/google/re2/wiki/Syntax',
      "p.yaml:9:3: there is no key 'ordr' in audit",
      "hint: did you mean 'order'?",
      "p.yaml:10:8: audit.key: 'key: file' needs key_file",
      'hint: name the file of the seed: key_file: audit.seed',
      "p.yaml:11:1: there is no key 'something'",
      'hint: known keys here: version, default, mode, deny_tools, allow_tools, require_approval, rules, redact_args, redact_results, methods, limits, servers, approval, tool_description_pinning, classifier, audit',
    ],
  );
});

test('more than twenty problems are counted, not listed', () => {
  const lines = problems(`version: 1\n${Array.from({ length: 30 }, (_, index) => `key${index}: 1\n`).join('')}`);
  assert.equal(lines.length, 21);
  assert.equal(lines.at(-1), 'p.yaml: 10 more');
});

test('a policy that is no UTF-8, too large, too long in a list or too deep is refused', () => {
  assert.deepEqual(problems(Uint8Array.of(0x61, 0xff)), ['p.yaml:1:1: the policy is not UTF-8 text']);
  assert.deepEqual(problems(new Uint8Array(POLICY_BYTES_MAX + 1)), ['p.yaml:1:1: the policy is larger than 1048576 bytes']);
  assert.deepEqual(problems(`version: 1\ndeny_tools: [${'a,'.repeat(4097)}]`)[0], 'p.yaml:2:13: deny_tools is above the limit of 4096');
  assert.match(problems(`deny_tools: ${'['.repeat(200_000)}`)[0] ?? '', /nested too deeply/);
  assert.match(problems(`deny_tools: ${'{a: '.repeat(100_000)}`)[0] ?? '', /nested too deeply/);
});

test('an alias bomb is refused without being unfolded', () => {
  const levels = Array.from({ length: 30 }, (_, index) => `a${index + 1}: &a${index + 1} [*a${index}, *a${index}]`);
  const lines = problems(`version: 1\na0: &a0 [x]\n${levels.join('\n')}\n`);
  assert.ok(lines.some((line) => line.includes('anchors are not accepted')));
});

test('a byte order mark and Windows line ends are accepted, and do not shift positions', () => {
  assert.equal(parse('\ufeffversion: 1\r\ndefault: deny\r\n').default, 'deny');
  assert.deepEqual(problems('version: 1\r\ndefault: x\r\n'), ['p.yaml:2:10: default wants allow or deny']);
});

test('messages show no control characters of the document or of the file name', () => {
  const bytes = new TextEncoder().encode('version: 1\n"a\\e[31m\\u202e": 1\n');
  assert.throws(
    () => parsePolicy(bytes, 'p\u001b[2J.yaml'),
    (error: unknown) =>
      error instanceof Usage && !error.message.includes('\u001b') && !error.message.includes('\u202e') && error.message.includes("'a?[31m?'"),
  );
});

test('no document makes the parser fail in another way than with its own error', () => {
  const piece = fc.constantFrom('version: 1\n', 'deny_tools:', ' ', '\n', '- ', '[', ']', '{', '}', ': ', "'", '"', '*', '&a', '!!x', '|', '>', '#', 'a', '\t', '?', ',', '<<', '1', '~', '\u0000', '--- ', '%YAML');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 25 }), (pieces) => {
      report(pieces.join(''));
    }),
    { numRuns: 1500 },
  );
});
