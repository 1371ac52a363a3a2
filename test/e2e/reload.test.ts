// SPDX-License-Identifier: Apache-2.0
/** A policy that changes under a running gateway, with real processes. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import type { Wire } from '../harness/gateway.ts';
import { allBytes, command, Gateway, root } from '../harness/gateway.ts';
import { HttpGateway } from '../harness/http.ts';

const ANSWER = '{"jsonrpc":"2.0","id":$ID,"result":{"content":[{"type":"text","text":"done"}]}}';
const LISTING = '{"jsonrpc":"2.0","id":$ID,"result":{"tools":[{"name":"a","inputSchema":{"type":"object"}},{"name":"b","inputSchema":{"type":"object"}}]}}';
const script = { 'tools/list': [LISTING], 'tools/call': [ANSWER] };
const DENY_A = "version: 1\ndefault: allow\ndeny_tools: ['a']\n";
const DENY_B = "version: 1\ndefault: allow\ndeny_tools: ['b']\n";

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Puts a new file in the place of the old one, as editors do. */
function replace(gateway: { readonly folder: string }, text: string): void {
  const path = join(gateway.folder, 'policy.yaml');
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let waited = 0; !holds(); waited += 50) {
    assert.ok(waited < 20_000, what);
    await new Promise((resolve) => void setTimeout(resolve, 50));
  }
}

let ids = 0;
function call(gateway: Gateway, name: string, args: object = {}): Promise<Wire> {
  return gateway.ask((ids += 1), 'tools/call', { name, arguments: args });
}

test('a changed file is in force without a restart, and the log says which policy decided what', async () => {
  const gateway = new Gateway({ policy: DENY_A, script });
  await gateway.initialize();
  assert.equal((await call(gateway, 'a')).error.data.code, 'TOOL_DENIED');
  assert.ok((await call(gateway, 'b')).result);
  replace(gateway, DENY_B);
  await until('the new policy is said to be in force', () => gateway.stderr.includes(`policy ${digestOf(DENY_B).slice(0, 8)} is in force`));
  assert.ok((await call(gateway, 'a')).result);
  assert.equal((await call(gateway, 'b')).error.data.code, 'TOOL_DENIED');
  const listed = await gateway.ask('list', 'tools/list');
  assert.deepEqual(listed.result.tools.map((tool: Wire) => tool.name), ['a']);
  assert.equal(await gateway.close(), 0);
  const [change, ...more] = gateway.rows().filter((row) => row['kind'] === 'policy');
  assert.equal(more.length, 0);
  assert.deepEqual({ change: change?.['change'], was: change?.['was'], policy: change?.['policy'], code: change?.['code'] }, { change: 'loaded', was: digestOf(DENY_A), policy: digestOf(DENY_B), code: null });
  const { code, stdout } = command(['inspect-log', '--verify', '--state', gateway.stateDir]);
  assert.equal(code, 0, stdout);
});

test('a file that is wrong leaves the old policy in force, says all that is wrong, and has a row; a signal tries again', async () => {
  const gateway = new Gateway({ policy: DENY_A, script });
  await gateway.initialize();
  const wrong = "version: 1\ndeny_tool: ['b']\ndefault: maybe\n";
  writeFileSync(join(gateway.folder, 'policy.yaml'), wrong);
  await until('the refusal is said', () => gateway.stderr.includes('is not in force'));
  assert.match(gateway.stderr, /the changed policy is not in force, the old one still is: .*policy\.yaml:2:1: there is no key 'deny_tool'/);
  assert.match(gateway.stderr, /policy\.yaml:3:10: default wants allow or deny/);
  assert.equal((await call(gateway, 'a')).error.data.code, 'TOOL_DENIED');
  assert.ok((await call(gateway, 'b')).result);
  writeFileSync(join(gateway.folder, 'policy.yaml'), DENY_B);
  gateway.process.kill('SIGHUP');
  await until('the new policy is in force', () => gateway.stderr.includes('is in force\n'));
  assert.equal((await call(gateway, 'b')).error.data.code, 'TOOL_DENIED');
  assert.equal(await gateway.close(), 0);
  const changes = gateway.rows().filter((row) => row['kind'] === 'policy').map((row) => [row['change'], row['was'], row['policy'], row['code']]);
  assert.deepEqual(changes, [
    ['refused', digestOf(DENY_A), digestOf(wrong), 'POLICY_INVALID'],
    ['loaded', digestOf(DENY_A), digestOf(DENY_B), null],
  ]);
});

const FIXED: readonly (readonly [key: string, policy: string])[] = [
  ['audit.order', `${DENY_B}audit: {order: intent}\n`],
  ['audit.payload', `${DENY_B}audit: {payload: none}\n`],
  ['audit.path', `${DENY_B}audit: {path: elsewhere}\n`],
  ['tool_description_pinning.enabled', `${DENY_B}tool_description_pinning: {enabled: true}\n`],
];

test('what a running gateway was built with is refused by its key', async () => {
  const gateway = new Gateway({ policy: DENY_A, script });
  await gateway.initialize();
  for (const [key, policy] of FIXED) {
    replace(gateway, policy);
    await until(key, () => gateway.stderr.includes(`${key} cannot change while the gateway runs`));
  }
  assert.equal((await call(gateway, 'a')).error.data.code, 'TOOL_DENIED');
  assert.ok((await call(gateway, 'b')).result);
  await gateway.close();
});

test('a file that is gone leaves the policy as it is', async () => {
  const gateway = new Gateway({ policy: DENY_A, script });
  await gateway.initialize();
  renameSync(join(gateway.folder, 'policy.yaml'), join(gateway.folder, 'away.yaml'));
  await until('it is said', () => gateway.stderr.includes('the policy file cannot be read (ENOENT)'));
  assert.equal((await call(gateway, 'a')).error.data.code, 'TOOL_DENIED');
  await gateway.close();
});

test('while the policy flips under load, every call is decided by the policy that its row names', async () => {
  const gateway = new Gateway({ policy: DENY_A, script });
  await gateway.initialize();
  const rounds = 12;
  const answers = new Map<number, { readonly tool: string; readonly denied: boolean }>();
  let over = false;
  const load = Array.from({ length: 4 }, async (_, worker) => {
    while (!over) {
      const tool = worker % 2 === 0 ? 'a' : 'b';
      const id = (ids += 1);
      const answer = await gateway.ask(id, 'tools/call', { name: tool, arguments: {} });
      answers.set(id, { tool, denied: answer.error !== undefined });
      gateway.received.length = 0;
    }
  });
  for (let round = 0; round < rounds; round += 1) {
    // Another digest each time, so that each is a change.
    const next = `${round % 2 === 0 ? DENY_B : DENY_A}# ${round}\n`;
    replace(gateway, next);
    gateway.process.kill('SIGHUP');
    await until('the next policy is in force', () => gateway.stderr.includes(`policy ${digestOf(next).slice(0, 8)} is in force`));
  }
  over = true;
  await Promise.all(load);
  assert.equal(await gateway.close(), 0);
  const denies = new Map([[digestOf(DENY_A), 'a'], ...Array.from({ length: rounds }, (_, round) => [digestOf(`${round % 2 === 0 ? DENY_B : DENY_A}# ${round}\n`), round % 2 === 0 ? 'b' : 'a'] as const)]);
  const rows = gateway.rows();
  const seen = new Set<string>();
  for (const row of rows.filter((one) => one['kind'] === 'call')) {
    const answer = answers.get(Number(row['rpc']));
    assert.ok(answer !== undefined);
    seen.add(row['policy']);
    assert.equal(row['decision'] === 'deny', answer.denied);
    assert.equal(answer.denied, denies.get(row['policy']) === answer.tool, `row ${row['idx']}`);
  }
  assert.ok(seen.size > 2, `${answers.size} calls under ${seen.size} policies`);
  assert.equal(rows.filter((row) => row['kind'] === 'policy' && row['change'] === 'loaded').length, rounds);
});

test('what a new policy redacts is not stored any more, and what the old one redacted was not', async () => {
  const redact = (word: string): string => `version: 1\ndefault: allow\nredact_args: [{pattern: '${word}-[0-9]+'}]\n`;
  const gateway = new Gateway({ policy: redact('alpha'), script });
  await gateway.initialize();
  await call(gateway, 'a', { text: 'alpha-1111' });
  replace(gateway, redact('beta'));
  await until('the new policy is in force', () => gateway.stderr.includes('is in force'));
  await call(gateway, 'a', { text: 'beta-2222' });
  await gateway.close();
  const stored = allBytes(join(gateway.stateDir, 'audit'));
  assert.ok(!stored.includes('alpha-1111') && !stored.includes('beta-2222'));
});

test('an HTTP gateway reloads on SIGHUP and goes on serving', async () => {
  const gateway = await HttpGateway.open({ policy: DENY_A, server: [process.execPath, join(root, 'test', 'peers', 'scripted-server.ts')] });
  replace(gateway, DENY_B);
  gateway.process.kill('SIGHUP');
  await until('the new policy is in force', () => gateway.stderr.includes('is in force'));
  assert.equal((await fetch(`http://127.0.0.1:${gateway.port}/healthz`)).status, 200);
  gateway.process.kill('SIGTERM');
  assert.equal(await gateway.ended, 0);
});
