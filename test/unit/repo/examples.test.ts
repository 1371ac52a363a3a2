// SPDX-License-Identifier: Apache-2.0
/** The policies that people start from are valid, mean what their tests say, and are shown in their index. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { policyCommand } from '../../../enclave/host/policy/command.ts';
import { root } from '../../harness/gateway.ts';

const folder = join(root, 'examples');
const examples = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => entry.name);

async function run(...args: readonly string[]): Promise<{ readonly code: number; readonly out: string }> {
  let out = '';
  const code = await policyCommand(args, { stdout: { write: (text: string) => void (out += text) }, stderr: { write: () => undefined } });
  return { code, out };
}

for (const name of examples) {
  test(`the example ${name} is valid without warnings, and does what its tests say`, async () => {
    const check = await run('check', join(folder, name, 'policy.yaml'), '--strict');
    assert.equal(check.code, 0, check.out);
    const tests = await run('test', join(folder, name, 'policy_test.yaml'), '--json');
    const report = JSON.parse(tests.out) as { files: { tests: { name: string; problem: string | null }[] }[] };
    const [{ tests: results } = { tests: [] }] = report.files;
    assert.deepEqual(results.filter(({ problem }) => problem !== null), []);
    assert.ok(results.length >= 12);
  });
}

test('the index names every example', () => {
  const index = readFileSync(join(folder, 'README.md'), 'utf8');
  for (const name of examples) {
    assert.ok(index.includes(`(${name}/policy.yaml)`), name);
    assert.ok(existsSync(join(folder, name, 'policy_test.yaml')), name);
  }
});
