// SPDX-License-Identifier: Apache-2.0
/** The public conformance suite against the reference server, directly and through the gateway, check by check. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import type { Wire } from '../harness/gateway.ts';
import { root, scratch } from '../harness/gateway.ts';

const RUN_MS_MAX = 300_000;
/** Some scenarios of the suite give an answer half a second: a machine that is busy at that moment gets another chance. */
const ATTEMPTS = 3;

test('a server scores the same through the gateway as directly, in both eras and in every check', () => {
  const file = join(scratch(), 'conformance.json');
  const args = [join(root, 'scripts', 'conformance.ts'), '--only', 'server', '--no-peers', '--json', file];
  let said = '';
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const run = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: RUN_MS_MAX });
    said = run.stdout + run.stderr;
    if (run.status === 0) {
      const { rows }: Wire = JSON.parse(readFileSync(file, 'utf8'));
      // A run in which nothing was checked would be the same on both sides as well.
      assert.deepEqual(rows.map(({ runs }: Wire) => [runs.direct.passed, runs['mcp-bastion'].passed]), [[84, 84], [164, 164]]);
      return;
    }
  }
  assert.fail(said);
});
