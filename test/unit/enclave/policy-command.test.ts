// SPDX-License-Identifier: Apache-2.0
/** What `mcp-bastion policy` prints, and with which exit code. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { policyCommand } from '../../../enclave/host/policy/command.ts';
import { Unavailable, Usage } from '../../../shared/errors.ts';
import { toolLabel } from '../../../shared/label.ts';
import { scratch } from '../../harness/gateway.ts';

const LABEL = toolLabel('write_file');
const folder = scratch();
let files = 0;

function file(text: string): string {
  const path = join(folder, `f${(files += 1)}.yaml`);
  writeFileSync(path, text);
  return path;
}

async function run(...args: readonly string[]): Promise<{ readonly code: number; readonly out: string }> {
  let out = '';
  const code = await policyCommand(args, { stdout: { write: (text: string) => void (out += text) }, stderr: { write: () => undefined } });
  return { code, out: out.replaceAll(folder, 'DIR').replaceAll(/DIR\/f\d+\.yaml/g, 'FILE') };
}

const POLICY = `version: 1
default: deny
deny_tools: ['drop_*']
allow_tools: ['read_*']
rules:
  - {id: watch, action: alert, tools: ['read_*']}
  - id: inside
    action: allow
    tools: [write_file]
    when: [{arg: path, path_in: /srv}]
`;

test('explain names the rule that decides, and every step before it', async () => {
  const policy = file(POLICY);
  const ask = (...args: readonly string[]) => run('explain', '--policy', policy, '--server', 'fs', ...args);
  assert.deepEqual(await ask('--tool', 'write_file', '--args', '{"path":"/srv/a"}'), {
    code: 0,
    out: `allow: matched '${LABEL}'
rule: rules['inside']
  rules['watch']: passed over, another tool
  rules['inside']: decides, matched '${LABEL}'
`,
  });
  const denied = await ask('--tool', 'write_file', '--args', '{"path":"/etc/a"}');
  assert.match(denied.out, /^deny: tool#[0-9a-f]{8} matched no rule of allow_tools\nrule: default\ncode: TOOL_NOT_ALLOWED\n/);
  assert.match(denied.out, / {2}rules\['inside'\]: passed over, when\[0\] does not hold\n/);
  assert.match((await ask('--tool', 'read_file', '--args', '{}')).out, /^alert: tool#[0-9a-f]{8} matched 'read_\*'\nrule: rules\['watch'\]\n/);
  assert.match((await ask('--tool', 'drop_all')).out, /^deny: .*\nrule: deny_tools\[0\]\n(?:.*\n)*listings do not show the tool\n/);
  assert.match((await ask('--tool', 'write_file')).out, /listings show the tool; with --args it is asked what becomes of a call\n/);
  assert.match((await ask('--method', 'sampling/createMessage', '--direction', 's2c')).out, /^deny: sampling\/createMessage is denied unless the policy allows it\n/);
  const json = JSON.parse((await ask('--tool', 'drop_x', '--args', '{}', '--json')).out) as { decision: string; steps: unknown[] };
  assert.deepEqual([json.decision, json.steps.length], ['deny', 1]);
});

const WRONG: readonly (readonly [args: readonly string[], problem: string])[] = [
  [[], 'say what to do with the policy'],
  [['frobnicate'], 'there is no such policy command'],
  [['explain'], '--policy is missing'],
  [['explain', '--policy', 'p'], 'give --tool or --method, one of them'],
  [['explain', '--policy', 'p', '--tool', 'a', '--method', 'b'], 'give --tool or --method, one of them'],
  [['explain', '--policy', 'p', '--method', 'a', '--direction', 'up'], '--direction wants c2s or s2c'],
  [['explain', '--policy', 'p', '--tool', 'a', '--servers', 'many'], '--servers wants one or several'],
  [['explain', '--nonsense'], "Unknown option '--nonsense'"],
  [['check'], 'name one policy'],
  [['check', 'a', 'b'], 'name one policy'],
  [['test'], 'no test file is named'],
  [['replay'], '--policy is missing'],
  [['replay', '--policy', 'p'], '--log is missing'],
  [['replay', '--policy', 'p', '--log', 'l', '--servers', '3'], '--servers wants one or several'],
];

test('a command line that is wrong is answered with what to do', async () => {
  for (const [args, problem] of WRONG) {
    await assert.rejects(async () => run(...args), (error) => error instanceof Usage && error.code === 'USAGE' && error.message === problem && error.hint !== '', args.join(' '));
  }
  await assert.rejects(run('check', join(folder, 'none.yaml')), (error) => error instanceof Unavailable && error.code === 'FILE_UNREADABLE');
  await assert.rejects(run('test', join(folder, 'none.yaml')), (error) => error instanceof Unavailable && error.code === 'FILE_UNREADABLE');
  await assert.rejects(run('explain', '--policy', file(POLICY), '--tool', 'a', '--args', '[1]'), (error) => error instanceof Usage && error.message === '--args is no JSON object');
});

test('check says what may not be meant, with its place, and is strict where it is asked to', async () => {
  const policy = file("version: 1\nrequire_approval: ['pay_*']\nmethods: {'*': allow}\n");
  const expected = `FILE:2:1: warning: calls are held, and nobody can approve them: they are refused
hint: add approval.approvers; see: mcp-bastion approver new
FILE:3:11: warning: every method is allowed, sampling, elicitation of URLs and methods that no revision defines included
hint: name the methods that are meant
FILE: valid, 2 warnings
`;
  assert.deepEqual(await run('check', policy), { code: 0, out: expected });
  assert.deepEqual(await run('check', policy, '--strict'), { code: 1, out: expected });
  assert.deepEqual(await run('check', file('version: 1\n'), '--strict'), { code: 0, out: 'FILE: valid\n' });
  await assert.rejects(run('check', file('version: 1\ndefault: maybe\n')), (error) => error instanceof Usage && error.code === 'POLICY_INVALID');
  const json = JSON.parse((await run('check', policy, '--json')).out) as { warnings: { line: number }[] };
  assert.deepEqual(json.warnings.map(({ line }) => line), [2, 3]);
});

function tests(...lines: readonly string[]): string {
  return file(`version: 1\npolicy: ${file(POLICY)}\nserver: fs\ntests:\n${lines.map((line) => `  - ${line}\n`).join('')}`);
}

test('tests of a policy are run, and what is not as expected is said', async () => {
  const good = tests("{name: reads, tool: read_file, expect: alert, rule: \"rules['watch']\"}", '{name: hidden, tool: drop_all, listed: false}');
  assert.deepEqual(await run('test', good), { code: 0, out: 'ok      reads\nok      hidden\nFILE: 2 of 2 as expected\n' });
  const bad = tests('{name: writes, tool: write_file, args: {path: /etc/x}, expect: allow}', '{name: hidden, tool: read_file, listed: false}', '{name: rule, tool: drop_a, expect: deny, rule: default}');
  const { code, out } = await run('test', bad);
  assert.equal(code, 1);
  assert.match(out, /^FAILED {2}writes\n {8}expected allow, got deny: tool#[0-9a-f]{8} matched no rule of allow_tools\n/);
  assert.match(out, /FAILED {2}hidden\n {8}expected the tool to be left out of listings, it is not\n/);
  assert.match(out, /FAILED {2}rule\n {8}expected default to decide, it was deny_tools\[0\]: /);
  assert.match(out, /FILE: 0 of 3 as expected\n$/);
});

const WRONG_TESTS: readonly (readonly [line: string, problem: string])[] = [
  ['{name: a}', '5:5: tests[0]: a test has exactly one of tool, method and redact'],
  ['{name: a, tool: t}', '5:5: tests[0]: the test expects nothing'],
  ['{name: a, tool: t, method: m, expect: deny}', '5:5: tests[0]: a test has exactly one of tool, method and redact'],
  ['{name: a, redact: x}', '5:5: tests[0]: the test expects nothing'],
  ['{name: a, method: m, args: {}, expect: deny}', '5:32: tests[0].args: args belong to a tool'],
  ['{name: a, tool: t, expect: maybe}', '5:32: tests[0].expect wants allow or alert or deny or hold'],
  ['{name: a, tool: t, expect: deny, expects: x}', "5:38: there is no key 'expects' in tests"],
];

test('a test file that is wrong is refused at its place', async () => {
  for (const [line, problem] of WRONG_TESTS) {
    const path = tests(line);
    await assert.rejects(run('test', path), (error) => error instanceof Usage && error.code === 'POLICY_INVALID' && error.message.split('\n')[0] === `${path}:${problem}`, line);
  }
});

test('nothing that a name or a message holds moves the cursor', async () => {
  const path = tests('{name: "a\\u001b[2Jb\\u202ec", tool: read_file, expect: deny}');
  const { out } = await run('test', path);
  assert.doesNotMatch(out, /[\u0000-\u0009\u000b-\u001f\u202e]/);
  const explained = await run('explain', '--policy', file(POLICY), '--tool', '\u001b[2Jread', '--args', '{}');
  assert.doesNotMatch(explained.out, /\u001b/);
});
