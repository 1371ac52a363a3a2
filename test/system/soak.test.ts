// SPDX-License-Identifier: Apache-2.0
/** A short soak: everything that the long one does, for as long as a test may take. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import type { Wire } from '../harness/gateway.ts';
import { root, scratch } from '../harness/gateway.ts';

/** Milliseconds: opening, ending and the starts of a killed server take their time beside the ten seconds. */
const SOAK_MS_MAX = 240_000;

test('50 streams and 20 sessions stay apart and lose nothing while the server is killed three times', () => {
  const file = join(scratch(), 'soak.json');
  const args = ['--seconds', '10', '--streams', '50', '--sessions', '20', '--kills', '3', '--rate', '20', '--json', file];
  const run = spawnSync(process.execPath, [join(root, 'scripts', 'soak.ts'), ...args], { encoding: 'utf8', timeout: SOAK_MS_MAX });
  assert.equal(run.status, 0, run.stdout + run.stderr);
  const report: Wire = JSON.parse(readFileSync(file, 'utf8'));
  assert.deepEqual(report.problems, []);
  // A run in which nothing happened would be sound as well.
  assert.ok(report.counts.answered > 20, run.stdout);
  assert.ok(report.counts.progress > 20, run.stdout);
  assert.ok(report.counts['sessions lost'] > 0, run.stdout);
  assert.ok(Object.keys(report.log.errors).some((code) => code.startsWith('UPSTREAM_')), run.stdout);
});
