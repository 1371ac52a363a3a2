// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import test from 'node:test';
import type { PolicyDocument } from '../../../enclave/policy/document-parts.ts';
import { parsePolicy } from '../../../enclave/policy/document.ts';
import { Usage } from '../../../shared/errors.ts';

const K1 = `ed25519:${Buffer.alloc(32, 7).toString('base64')}`;
const K2 = `ed25519:${Buffer.alloc(32, 9).toString('base64')}`;
const MANY = '{arg: a, equals: b},'.repeat(33);

function parse(text: string): PolicyDocument {
  const whole = text.replaceAll('K1', K1).replaceAll('K2', K2).replaceAll('MANY', MANY);
  return parsePolicy(new TextEncoder().encode(`version: 1\n${whole}\n`), 'p.yaml');
}

function report(text: string): string[] {
  try {
    parse(text);
  } catch (error) {
    assert.ok(error instanceof Usage, String(error));
    assert.equal(error.code, 'POLICY_INVALID');
    return [...error.message.split('\n').map((line) => line.replace('p.yaml:', '')), `hint: ${error.hint}`];
  }
  return [];
}

/** Texts below `version: 1`, with all that is reported of them; a line that ends with dots goes on. */
const WRONG: readonly (readonly [text: string, ...lines: readonly string[]])[] = [
  ['mode: watch', '2:7: mode wants enforce or observe', 'hint: write one of these words'],
  ['rules: x', '2:8: rules wants a list', "hint: write each entry on a line of its own that begins with '- '"],
  ['rules: [{}]', '2:9: rules[0].action is missing', 'hint: add it'],
  ['rules: [{action: block}]', '2:18: rules[0].action wants allow or deny or approve or alert', 'hint: write one of these words'],
  ['rules: [{action: deny, tool: x}]', "2:24: there is no key 'tool' in rules", "hint: did you mean 'tools'?"],
  ['rules: [{action: deny, id: "A b"}]', '2:28: rules[0].id: is not a name', 'hint: use 1 to 64 of a-z, 0-9, _ and -'],
  ['rules: [{action: deny, tools: []}]', '2:31: rules[0].tools is empty', 'hint: write a value, or remove the key'],
  ["rules: [{action: deny, tools: ['[']}]", "2:32: rules[0].tools[0]: a '[' is not closed", "hint: close it with ']', or write '[[]' for the character itself"],
  ["rules: [{action: deny, servers: ['']}]", '2:34: rules[0].servers[0]: the pattern is empty', "hint: write '*' to match every name"],
  ['rules: [{action: deny, principals: 5}]', '2:36: rules[0].principals wants a list', "hint: write each entry on a line of its own that begins with '- '"],
  ['rules: [{action: deny, mode: off}]', '2:30: rules[0].mode wants enforce or observe', 'hint: write one of these words'],
  ["rules: [{action: deny, message: ''}]", '2:33: rules[0].message is empty', 'hint: write a value, or remove the key'],
  ['rules: [{action: allow, message: hi}]', '2:34: rules[0].message: nobody sees the message of a rule that lets a call pass', 'hint: remove it'],
  ['rules: [{action: alert, message: hi}]', '2:34: rules[0].message: nobody sees the message of a rule that lets a call pass', 'hint: remove it'],
  ['rules: [{action: deny, approvals: 1}]', '2:24: 1 approvals are needed, and 0 can give one', 'hint: name more approvers, or ask for fewer approvals', "2:35: rules[0].approvals: approvals has no effect without 'action: approve'", 'hint: remove it'],
  ['rules: [{action: allow, approvers: [a]}]', "2:36: rules[0].approvers: approvers has no effect without 'action: approve'", 'hint: remove it', '2:37: approval.approvers has no key of this approver', 'hint: add it there, or name another one'],
  ['rules: [{action: approve, approvals: 0}]', '2:38: rules[0].approvals is below 1', 'hint: make it larger'],
  ['rules: [{action: approve, approvers: [bob]}]', '2:39: approval.approvers has no key of this approver', 'hint: add it there, or name another one'],
  ['rules: [{action: approve, approvals: 2}]', '2:27: 2 approvals are needed, and 0 can give one', 'hint: name more approvers, or ask for fewer approvals'],
  ["approval: {approvers: {alice: 'K1'}}\nrules: [{action: approve, approvers: [alice], approvals: 2}]", '3:47: 2 approvals are needed, and 1 can give one', 'hint: name more approvers, or ask for fewer approvals'],
  ['rules: [{action: deny, id: a, tools: [x]}, {action: deny, id: a, tools: [y]}]', '2:59: rules has the id of this one twice', 'hint: rows of the log name rules by their id: give each its own'],
  ['rules: [{action: deny, when: {}}]', '2:30: rules[0].when wants a list', "hint: write each entry on a line of its own that begins with '- '"],
  ['rules: [{action: deny, when: [{}]}]', '2:31: rules[0].when[0].arg is missing', 'hint: add it'],
  ['rules: [{action: deny, when: [{arg: path}]}]', '2:31: rules[0].when[0]: a condition has exactly one test', 'hint: one of equals, glob, regex, range, host, scheme, port, path_in, type, length, exists'],
  ['rules: [{action: deny, when: [{arg: path, equals: a, glob: b}]}]', '2:31: rules[0].when[0]: a condition has exactly one test', 'hint: one of equals, glob, regex, range, host, scheme, port, path_in, type, length, exists'],
  ["rules: [{action: deny, when: [{arg: 'a..b', equals: a}]}]", '2:37: rules[0].when[0].arg: is not a path into arguments', "hint: for example: path, options.path, files[*].name, '**' for everything; quote a key with dots"],
  ["rules: [{action: deny, when: [{arg: '', equals: a}]}]", '2:37: rules[0].when[0].arg: is not a path into arguments', "hint: for example: path, options.path, files[*].name, '**' for everything; quote a key with dots"],
  ['rules: [{action: deny, when: [{arg: a, equal: a}]}]', '2:31: rules[0].when[0]: a condition has exactly one test', 'hint: one of equals, glob, regex, range, host, scheme, port, path_in, type, length, exists', "2:40: there is no key 'equal' in rules.when", "hint: did you mean 'equals'?"],
  ['rules: [{action: deny, when: [{arg: a, equals: [x, {}]}]}]', '2:52: rules[0].when[0].equals[1] wants text', 'hint: put it in quotes'],
  ['rules: [{action: deny, when: [{arg: a, equals: []}]}]', '2:48: rules[0].when[0].equals is empty', 'hint: write a value, or remove the key'],
  ['rules: [{action: deny, when: [{arg: a, equals: null}]}]', '2:48: rules[0].when[0].equals wants text', 'hint: write a value, or remove the key'],
  ["rules: [{action: deny, when: [{arg: a, glob: '['}]}]", "2:46: rules[0].when[0].glob: a '[' is not closed", "hint: close it with ']', or write '[[]' for the character itself"],
  ["rules: [{action: deny, when: [{arg: a, glob: [b, '[']}]}]", "2:50: rules[0].when[0].glob[1]: a '[' is not closed", "hint: close it with ']', or write '[[]' for the character itself"],
  ['rules: [{action: deny, when: [{arg: a, glob: 5}]}]', '2:46: rules[0].when[0].glob wants text', 'hint: put it in quotes'],
  ["rules: [{action: deny, when: [{arg: a, regex: '('}]}]", '2:47: rules[0].when[0].regex: not an RE2 pattern: missing )', 'hint: RE2 has no look-around and no back-references; see github.com/google/re2/wiki/Syntax'],
  ["rules: [{action: deny, when: [{arg: a, regex: '\\Qab'}]}]", '2:47: rules[0].when[0].regex: the pattern does not end where it ends', "hint: close '\\\\Q' with '\\\\E', or write '[.]' for one character"],
  ["rules: [{action: deny, when: [{arg: a, regex: 'x*'}]}]", '2:47: rules[0].when[0].regex: the pattern matches the empty string', "hint: let it need at least one character, such as 'x+' for 'x*'"],
  ['rules: [{action: deny, when: [{arg: a, range: {}}]}]', '2:47: rules[0].when[0].range: has no bound', 'hint: write min, max or both'],
  ['rules: [{action: deny, when: [{arg: a, range: {min: 2, max: 1}}]}]', '2:47: rules[0].when[0].range: min is above max', 'hint: swap them'],
  ['rules: [{action: deny, when: [{arg: a, range: {least: 1}}]}]', '2:47: rules[0].when[0].range: has no bound', 'hint: write min, max or both', "2:48: there is no key 'least' in rules.when.range", 'hint: known keys here: min, max'],
  ['rules: [{action: deny, when: [{arg: a, range: 5}]}]', '2:47: rules[0].when[0].range wants a section of keys', 'hint: see the comments of the starter policy: mcp-bastion init'],
  ["rules: [{action: deny, when: [{arg: a, range: {min: '1'}}]}]", '2:53: rules[0].when[0].range.min wants a number', 'hint: write it in digits, without quotes'],
  ["rules: [{action: deny, when: [{arg: a, host: 'https://x.com'}]}]", '2:46: rules[0].when[0].host: is not a host', "hint: write a host, or '*.example.com' for every name below it; no scheme, no port"],
  ["rules: [{action: deny, when: [{arg: a, host: 'x.com:80'}]}]", '2:46: rules[0].when[0].host: is not a host', "hint: write a host, or '*.example.com' for every name below it; no scheme, no port"],
  ["rules: [{action: deny, when: [{arg: a, host: ['a.com', '*x']}]}]", '2:56: rules[0].when[0].host[1]: is not a host', "hint: write a host, or '*.example.com' for every name below it; no scheme, no port"],
  ["rules: [{action: deny, when: [{arg: a, scheme: 'HTTP'}]}]", '2:48: rules[0].when[0].scheme: is not a scheme', 'hint: write it in lower case without colon, for example: https'],
  ["rules: [{action: deny, when: [{arg: a, scheme: 'http:'}]}]", '2:48: rules[0].when[0].scheme: is not a scheme', 'hint: write it in lower case without colon, for example: https'],
  ['rules: [{action: deny, when: [{arg: a, port: 0}]}]', '2:46: rules[0].when[0].port is below 1', 'hint: make it larger'],
  ["rules: [{action: deny, when: [{arg: a, port: '80'}]}]", '2:46: rules[0].when[0].port wants a number', 'hint: write it in digits, without quotes'],
  ['rules: [{action: deny, when: [{arg: a, port: [80, 70000]}]}]', '2:51: rules[0].when[0].port[1] is above the limit of 65535', 'hint: make it smaller'],
  ["rules: [{action: deny, when: [{arg: a, path_in: '/a/../b'}]}]", '2:49: rules[0].when[0].path_in: is not a folder in its shortest form', "hint: write it without '.', '..', doubled or back slashes, for example: /srv/data"],
  ["rules: [{action: deny, when: [{arg: a, path_in: ''}]}]", '2:49: rules[0].when[0].path_in: is not a folder in its shortest form', "hint: write it without '.', '..', doubled or back slashes, for example: /srv/data"],
  ["rules: [{action: deny, when: [{arg: a, path_in: ['/a', '/b//c']}]}]", '2:56: rules[0].when[0].path_in[1]: is not a folder in its shortest form', "hint: write it without '.', '..', doubled or back slashes, for example: /srv/data"],
  ['rules: [{action: deny, when: [{arg: a, type: text}]}]', '2:46: rules[0].when[0].type wants string or number or boolean or array or object or null', 'hint: write one of these words'],
  ['rules: [{action: deny, when: [{arg: a, type: [string, text]}]}]', '2:55: rules[0].when[0].type[1] wants string or number or boolean or array or object or null', 'hint: write one of these words'],
  ['rules: [{action: deny, when: [{arg: a, length: {max: -1}}]}]', '2:54: rules[0].when[0].length.max is below 0', 'hint: make it larger'],
  ["rules: [{action: deny, when: [{arg: a, exists: 'yes'}]}]", '2:48: rules[0].when[0].exists wants true or false', 'hint: write one of these words'],
  ['rules: [{action: deny, when: [{arg: a, exists: true, not: true}]}]', "2:59: rules[0].when[0].not: 'not' has no meaning beside exists", 'hint: write exists: false'],
  ['rules: [{action: deny, when: [MANY]}]', '2:30: rules[0].when is above the limit of 32', 'hint: make it smaller'],
  ['rules: [{action: deny, tools: [x]}, {action: allow, tools: [x]}]', '2:37: rules[1] is never reached: rules[0] decides all that it names', 'hint: put the narrower rule first, or remove one of them'],
  ['deny_tools: [x]\nrules: [{action: approve, tools: [x]}]', '3:9: rules[0] is never reached: deny_tools denies all that it names', 'hint: deny_tools always wins; remove one of the two'],
  ['limits: [{}]', '2:10: limits[0]: limits nothing', 'hint: write calls, bytes or concurrent'],
  ['limits: [{calls: 5}]', '2:10: limits[0]: calls and bytes are counted in a time', "hint: add it, for example: window: '1m'"],
  ['limits: [{calls: 5, window: 1}]', '2:29: limits[0].window wants text', 'hint: put it in quotes'],
  ["limits: [{calls: 5, window: '0s'}]", '2:29: limits[0].window: is not a time', 'hint: write a number and s, m, h or d, up to 7d'],
  ["limits: [{calls: 5, window: '8d'}]", '2:29: limits[0].window: is not a time', 'hint: write a number and s, m, h or d, up to 7d'],
  ["limits: [{concurrent: 1, window: '1s'}]", '2:34: limits[0].window: window has no effect without calls or bytes', 'hint: remove it'],
  ['limits: [{concurrent: 0}]', '2:23: limits[0].concurrent is below 1', 'hint: make it larger'],
  ["limits: [{calls: 1.5, window: '1s'}]", '2:18: limits[0].calls wants a whole number', 'hint: write it in digits, without quotes'],
  ["limits: [{calls: -1, window: '1s'}]", '2:18: limits[0].calls is below 0', 'hint: make it larger'],
  ["limits: [{calls: 1, window: '1s', per: tool}]", '2:40: limits[0].per wants a list', "hint: write each entry on a line of its own that begins with '- '", '2:40: limits[0].per is above the limit of 3', 'hint: make it smaller'],
  ["limits: [{calls: 1, window: '1s', per: [user]}]", '2:41: limits[0].per[0] wants principal or server or tool', 'hint: write one of these words'],
  ['limits: [{concurrent: 1, id: a}, {concurrent: 2, id: a}]', '2:50: limits has the id of this one twice', 'hint: rows of the log name rules by their id: give each its own'],
  ['limits: [{concurrent: 1, id: a b}]', '2:30: limits[0].id: is not a name', 'hint: use 1 to 64 of a-z, 0-9, _ and -'],
  ["methods: {'resources/read': []}", "2:29: methods['resources/read'] is empty", 'hint: write a value, or remove the key'],
  ["methods: {'resources/read': [{schemes: [file]}]}", "2:30: methods['resources/read'][0].action is missing", 'hint: add it'],
  ["methods: {'prompts/get': [{action: allow}]}", "2:26: methods['prompts/get']: only resources/read and resources/subscribe name a resource", 'hint: write allow or deny'],
  ["methods: {'resources/read': [{action: allow, schemes: [File]}]}", "2:56: methods['resources/read'][0].schemes[0]: is not a scheme", 'hint: write it in lower case without colon, for example: https'],
  ["methods: {'resources/read': [{action: allow, hosts: ['a/b']}]}", "2:54: methods['resources/read'][0].hosts[0]: is not a host", "hint: write a host, or '*.example.com' for every name below it; no scheme, no port"],
  ["methods: {'resources/read': [{action: allow, paths: ['a/../b']}]}", "2:54: methods['resources/read'][0].paths[0]: is not a folder in its shortest form", "hint: write it without '.', '..', doubled or back slashes, for example: /srv/data"],
  ["methods: {'resources/read': [{action: allow, path: [x]}]}", "2:46: there is no key 'path' in methods['resources/read']", "hint: did you mean 'paths'?"],
  ["methods: {'resources/read': 5}", "2:29: methods['resources/read'] wants allow or deny", 'hint: write one of these words'],
  ['servers: {GitHub: {}}', "2:11: servers['GitHub']: is not a name", 'hint: use 1 to 24 of a-z, 0-9 and -: the id of the server'],
  ['servers: {github: 5}', '2:19: servers.github wants a section of keys', 'hint: see the comments of the starter policy: mcp-bastion init'],
  ['servers: {github: {audit: {}}}', "2:20: there is no key 'audit' in servers.github", 'hint: known keys here: default, mode, deny_tools, allow_tools, require_approval, rules, redact_args, redact_results, methods, limits'],
  ['servers: {github: {default: no}}', '2:29: servers.github.default wants allow or deny', 'hint: write one of these words'],
  ["servers: {github: {deny_tools: ['[']}}", "2:33: servers.github.deny_tools[0]: a '[' is not closed", "hint: close it with ']', or write '[[]' for the character itself"],
  ['servers: {github: {rules: [{action: deny, tool: x}]}}', "2:43: there is no key 'tool' in servers.github.rules", "hint: did you mean 'tools'?"],
  ['servers: {github: {allow_tools: [x]}}', "2:34: allow_tools[0] has no effect: with 'default: allow' every tool is allowed that no other rule names", "hint: write 'default: deny' to allow only these tools, or remove allow_tools"],
  ['servers: {github: {deny_tools: [x], require_approval: [x]}}', '2:56: require_approval[0] has no effect: deny_tools[0] denies all that it names', 'hint: deny rules always win; remove one of the two'],
  ['servers: {github: {rules: [{action: approve, approvers: [z]}]}}', '2:58: approval.approvers has no key of this approver', 'hint: add it there, or name another one'],
  ['servers: {github: {rules: [{action: deny, servers: [x]}], limits: [{concurrent: 1, servers: [y]}]}}', "2:43: servers has no effect in a server's section", 'hint: remove it, or move the entry out of the section', "2:84: servers has no effect in a server's section", 'hint: remove it, or move the entry out of the section'],
  ['servers: {github: {when: 1, ruls: []}}', "2:20: there is no key 'when' in servers.github", 'hint: known keys here: default, mode, deny_tools, allow_tools, require_approval, rules, redact_args, redact_results, methods, limits', "2:29: there is no key 'ruls' in servers.github", "hint: did you mean 'rules'?"],
  ["approval: {approvers: {alice: 'K1', bob: 'K2'}, approvals: 2}\nrules: [{action: approve, approvers: [bob]}]", '3:27: 2 approvals are needed, and 1 can give one', 'hint: name more approvers, or ask for fewer approvals'],
  ['servers: {a: {rules: [{action: deny, when: [{arg: x, range: {mn: 1}}]}]}}', '2:61: servers.a.rules[0].when[0].range: has no bound', 'hint: write min, max or both', "2:62: there is no key 'mn' in servers.a.rules.when.range", "hint: did you mean 'min'?"],
  ['redact_args: [{use: creditcard}]', '2:21: redact_args[0].use: the library has no pattern of this name', 'hint: it has credentials, personal, ...'],
  ['redact_args: [{use: credentials, pattern: x}]', '2:15: redact_args[0]: names no pattern, or two', "hint: write pattern: 'sk-[a-z]+', or use: credentials"],
  ['redact_results: [{use: zzz}]', '2:24: redact_results[0].use: the library has no pattern of this name', 'hint: it has credentials, personal, ...'],
  ['redact_results: [{pattern: x}, {pattern: x}]', '2:32: redact_results[1] repeats redact_results[0]', 'hint: remove one of them'],
  ['redact_results: [{use: credentials}, {use: credentials}]', '2:38: redact_results[1] repeats redact_results[0]', 'hint: remove one of them'],
  ['redact_args: [{pattern: x, decode: 1}]', '2:36: redact_args[0].decode wants true or false', 'hint: write one of these words'],
  ['approval: {}', '2:11: approval.approvers is missing', 'hint: add it'],
  ["approval: {approvers: {Alice: 'x'}}", "2:24: approval.approvers['Alice']: is not a name", 'hint: use 1 to 64 of a-z, 0-9, dot, _ and -'],
  ["approval: {approvers: {alice: 'x'}}", '2:31: approval.approvers.alice: is not the public key of an approver', 'hint: put in the line that this prints: mcp-bastion approver new --name NAME'],
  ["approval: {approvers: {alice: 'ed25519:AAAA'}}", '2:31: approval.approvers.alice: is not the public key of an approver', 'hint: put in the line that this prints: mcp-bastion approver new --name NAME'],
  ["approval: {approvers: {alice: 'ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='}}", '2:31: approval.approvers.alice: is a key that anybody can sign for', 'hint: make a new one with: mcp-bastion approver new --name NAME'],
  ["approval: {approvers: {alice: 'K1', bob: 'K1'}}", '2:87: bob has the key of alice', 'hint: every approver needs a key of his own'],
  ["approval: {approvers: {alice: 'K1'}, approvals: 2}", '2:88: 2 approvals are needed, and there are 1 approvers', 'hint: name more approvers, or ask for fewer approvals'],
  ["approval: {approvers: {alice: 'K1'}, approvals: 0}", '2:99: approval.approvals is below 1', 'hint: make it larger'],
  ["approval: {approvers: {alice: 'K1'}, hold_ms: 60000}", '2:97: approval.hold_ms is above the limit of 55000', 'hint: make it smaller'],
  ["approval: {approvers: {alice: 'K1'}, expires_ms: 5}", '2:100: approval.expires_ms is below 1000', 'hint: make it larger'],
  ["approval: {approvers: {alice: 'K1'}, redeem_ms: 1.5}", '2:99: approval.redeem_ms wants a whole number', 'hint: write it in digits, without quotes'],
  ["approval: {approvers: {alice: 'K1'}, holdms: 5}", "2:88: there is no key 'holdms' in approval", "hint: did you mean 'hold_ms'?"],
  ['approval: {approvers: {}}', '2:23: approval.approvers: names nobody', 'hint: put in the line that this prints: mcp-bastion approver new --name NAME'],
];

for (const [text, ...expected] of WRONG) {
  test(`it is said what is wrong with ${text.slice(0, 90).replaceAll('\n', ' | ')}`, () => {
    const found = report(text);
    assert.deepEqual(
      found.map((line, index) => (expected[index]?.endsWith('...') === true ? `${line.slice(0, expected[index].length - 3)}...` : line)),
      expected,
    );
  });
}

test('every key of the language is read', () => {
  const read = parse(`mode: observe
rules:
  - id: r1
    tools: ['a*', b]
    servers: [x]
    principals: ['p@*']
    mode: observe
    action: approve
    message: why
    approvals: 2
    approvers: [alice, bob]
    when:
      - { arg: a, equals: [1, x, true] }
      - { arg: b, not: true, glob: 'x*' }
      - { arg: c, regex: 'x+' }
      - { arg: d, range: { min: 1, max: 2.5 } }
      - { arg: e, host: '*.example.com' }
      - { arg: f, scheme: [https] }
      - { arg: g, port: 443 }
      - { arg: h, path_in: /srv }
      - { arg: i, type: [string, 'null'] }
      - { arg: j, length: { max: 5 } }
      - { arg: k, exists: false }
  - { action: alert }
redact_args: [{ use: credentials, decode: true }]
redact_results: [{ pattern: 'x+', replacement: y }]
limits:
  - { id: l1, tools: [t], servers: [s], principals: [p], per: [principal, tool], calls: 5, bytes: 6, window: 90s, concurrent: 7, mode: observe }
  - { concurrent: 1 }
methods:
  'resources/read': [{ action: allow, schemes: [file], hosts: [h.example], paths: [/srv] }, { action: deny }]
servers:
  github: { default: deny, mode: observe, deny_tools: [a], allow_tools: [b], require_approval: [c], rules: [{ action: deny }], redact_args: [{ pattern: z }], methods: { 'tools/list': deny } }
approval: { approvers: { alice: 'K1', bob: 'K2' }, approvals: 2, hold_ms: 0, expires_ms: 1000, redeem_ms: 86400000 }
tool_description_pinning: { enabled: true, on_drift: approve, on_new: approve }
`);
  assert.equal(read.observe, true);
  const [rule, alert] = read.rules;
  assert.deepEqual(
    { ...rule, when: rule?.when.map(({ not, arg, ...test }) => [arg, not, test]) },
    {
      id: 'r1', tools: ['a*', 'b'], servers: ['x'], principals: ['p@*'], action: 'approve', message: 'why', observe: true, approvals: 2, approvers: ['alice', 'bob'],
      when: [
        ['a', false, { equals: [1, 'x', true] }],
        ['b', true, { glob: 'x*' }],
        ['c', false, { regex: 'x+' }],
        ['d', false, { range: { min: 1, max: 2.5 } }],
        ['e', false, { host: '*.example.com' }],
        ['f', false, { scheme: ['https'] }],
        ['g', false, { port: 443 }],
        ['h', false, { path_in: '/srv' }],
        ['i', false, { type: ['string', 'null'] }],
        ['j', false, { length: { max: 5 } }],
        ['k', false, { exists: false }],
      ],
    },
  );
  assert.deepEqual(alert, { id: null, tools: ['*'], servers: [], principals: [], when: [], action: 'alert', message: null, observe: false, approvals: null, approvers: null });
  assert.deepEqual(read.redactArgs, [{ by: { kind: 'use', name: 'credentials' }, replacement: null, decode: true }]);
  assert.deepEqual(read.redactResults, [{ by: { kind: 'pattern', pattern: 'x+' }, replacement: 'y', decode: false }]);
  assert.deepEqual(read.limits, [
    { id: 'l1', tools: ['t'], servers: ['s'], principals: ['p'], per: ['principal', 'tool'], calls: 5, bytes: 6, windowMs: 90_000, concurrent: 7, observe: true },
    { id: null, tools: ['*'], servers: [], principals: [], per: [], calls: null, bytes: null, windowMs: 60_000, concurrent: 1, observe: false },
  ]);
  assert.deepEqual(read.methods, [
    { pattern: 'resources/read', action: [{ action: 'allow', schemes: ['file'], hosts: ['h.example'], paths: ['/srv'] }, { action: 'deny', schemes: [], hosts: [], paths: [] }] },
  ]);
  const section = read.servers.get('github');
  assert.deepEqual([section?.default, section?.observe, section?.denyTools, section?.allowTools, section?.requireApproval, section?.rules.length, section?.redactArgs.length, section?.methods.length], ['deny', true, ['a'], ['b'], ['c'], 1, 1, 1]);
  assert.deepEqual([...read.approval.approvers.keys()], ['alice', 'bob']);
  assert.deepEqual({ ...read.approval, approvers: null }, { approvers: null, approvals: 2, holdMs: 0, expiresMs: 1000, redeemMs: 86_400_000 });
  assert.deepEqual([read.pinning.onDrift, read.pinning.onNew], ['approve', 'approve']);
});

test('all eight points of small order are refused as keys, with either sign', () => {
  const weak = [
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ];
  for (const hex of weak) {
    for (const sign of [0, 0x80]) {
      const key = Buffer.from(hex, 'hex');
      key[31] = (key[31] ?? 0) | sign;
      assert.match(report(`approval: { approvers: { a: 'ed25519:${key.toString('base64')}' } }`)[0] ?? '', /anybody can sign/, hex);
    }
  }
});

test('an emergency stop at the top of the rules makes no policy invalid', () => {
  assert.deepEqual(report('rules: [{action: deny}, {tools: [x], action: allow}]'), []);
  assert.deepEqual(report("rules: [{tools: ['*'], action: deny}, {tools: [x], action: allow}, {tools: [x, y], action: deny}]"), []);
});
