// SPDX-License-Identifier: Apache-2.0
/**
 * kill -9 under load, at random moments, of the gateway or of its launcher. Every call that reached the upstream has its
 * row, the log verifies and is continued by the next start, and nothing is left running. BASTION_ROUNDS sets the rounds.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { ALLOW_ALL, Gateway, command, scratch } from '../harness/gateway.ts';
import { childrenOf, goneWithin } from '../harness/processes.ts';

const ROUNDS = Number(process.env['BASTION_ROUNDS'] ?? '20');
const IN_FLIGHT = 8;
const script = {
  'tools/list': ['{"jsonrpc":"2.0","id":$ID,"result":{"tools":[{"name":"t","inputSchema":{"type":"object"}}]}}'],
  'tools/call': ['{"jsonrpc":"2.0","id":$ID,"result":{"content":[]}}'],
};

function callsIn(lines: readonly string[]): Set<string> {
  const ids = new Set<string>();
  for (const line of lines) {
    const found = /"id":(\d+),"method":"tools\/call"/.exec(line);
    if (found?.[1] !== undefined) ids.add(found[1]);
  }
  return ids;
}

/** Keeps calls in flight until the process dies; ids go on over all rounds. */
function load(gateway: Gateway, from: number): void {
  let id = from;
  const one = (): void => {
    if (gateway.process.stdin.destroyed) return;
    const mine = (id += 1);
    gateway.send({ id: mine, method: 'tools/call', params: { name: 't', arguments: { n: mine } } });
    gateway.next((message) => message.id === mine, 600_000).then(one, () => undefined);
  };
  for (let count = 0; count < IN_FLIGHT; count += 1) one();
}

async function round(folder: string, policy: string, number: number): Promise<void> {
  const gateway = new Gateway({ folder, policy, script });
  await gateway.initialize();
  await gateway.ask('first', 'tools/call', { name: 't' });
  load(gateway, number * 1_000_000);
  await new Promise((resolve) => {
    setTimeout(resolve, randomInt(0, 120));
  });
  const launcher = gateway.process.pid ?? 0;
  const [victim = launcher] = number % 3 === 0 ? [launcher] : childrenOf(launcher);
  process.kill(victim, 'SIGKILL');
  await gateway.ended;
  assert.deepEqual(await goneWithin(folder, 15_000), [], `round ${number}: processes are left`);
}

for (const key of ['file', 'ephemeral'] as const) {
  test(`${ROUNDS / 2} kills with an audit key of kind ${key} lose no row and leave no process`, async () => {
    const folder = scratch();
    const audit = key === 'file' ? '{key: file, key_file: audit.seed}' : '{key: ephemeral}';
    const policy = `${ALLOW_ALL}audit: ${audit}\n`;
    writeFileSync(join(folder, 'witness'), '');
    for (let number = 1; number <= ROUNDS / 2; number += 1) await round(folder, policy, number);
    const gateway = new Gateway({ folder, policy, script });
    await gateway.initialize();
    await gateway.close();
    const recorded = new Set(gateway.rows().filter((row) => row['kind'] === 'call').map((row) => row['rpc']));
    const reached = callsIn(gateway.witness());
    assert.ok(reached.size > ROUNDS, 'the rounds did put load on the gateway');
    assert.deepEqual([...reached].filter((id) => !recorded.has(id)), []);
    const verified = command(['inspect-log', join(gateway.stateDir, 'audit'), '--verify', '--state', gateway.stateDir]);
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
    assert.match(verified.stdout, /^chain: OK \(ok\)\n/);
  });
}
