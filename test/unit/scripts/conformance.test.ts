// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { compare, stale } from '../../../scripts/conformance/compare.ts';
import type { Rule } from '../../../scripts/conformance/compare.ts';
import { Running } from '../../../scripts/conformance/processes.ts';
import { readResults, score } from '../../../scripts/conformance/results.ts';
import type { Check, Scenarios, Status } from '../../../scripts/conformance/results.ts';
import { openTurnstile, takeTurn } from '../../../scripts/conformance/turnstile.ts';
import { goneWithin, processesWith } from '../../harness/processes.ts';

/** One scenario with one check id; undefined stands for a check that is not there. */
function one(...statuses: readonly (Status | undefined)[]): Scenarios {
  const checks = statuses.flatMap((status): Check[] => (status === undefined ? [] : [{ id: 'check', name: 'Check', status }]));
  return new Map([['scenario', checks]]);
}

const found = (rule: Rule, before: Scenarios, after: Scenarios): string[] =>
  compare(rule, before, after).map((difference) => `${difference.before} -> ${difference.after}`);

test('a check has to have the same outcome, whatever the totals are', () => {
  const statuses: readonly (Status | undefined)[] = ['SUCCESS', 'FAILURE', 'WARNING', 'SKIPPED', undefined];
  for (const before of statuses) {
    for (const after of statuses) {
      // What only the run through the gateway checks has to pass.
      const alike = before === after || (before === undefined && (after === 'SUCCESS' || after === 'SKIPPED'));
      const expected = alike ? [] : [`${before ?? 'NOT RUN'} -> ${after ?? 'NOT RUN'}`];
      assert.deepEqual(found('equal', one(before), one(after)), expected, `${before} -> ${after}`);
    }
  }
});

test('against a lossy proxy a check may become better or go away if it failed, but not worse', () => {
  assert.deepEqual(found('no-worse', one('FAILURE'), one('SUCCESS')), []);
  assert.deepEqual(found('no-worse', one('FAILURE'), one(undefined)), []);
  assert.deepEqual(found('no-worse', one('SUCCESS'), one('FAILURE')), ['SUCCESS -> FAILURE']);
  assert.deepEqual(found('no-worse', one('SUCCESS'), one(undefined)), ['SUCCESS -> NOT RUN']);
  assert.deepEqual(found('no-worse', one('WARNING'), one('FAILURE')), ['WARNING -> FAILURE']);
  assert.deepEqual(found('no-worse', one(undefined), one('FAILURE')), ['NOT RUN -> FAILURE']);
});

test('one failure among repetitions of a check is not outvoted', () => {
  assert.deepEqual(found('equal', one('SUCCESS', 'SUCCESS'), one('SUCCESS', 'FAILURE')), ['SUCCESS -> FAILURE']);
  assert.deepEqual(found('equal', one('SUCCESS'), one('SUCCESS', 'SUCCESS')), []);
});

test('notes about the wire are no outcome', () => {
  assert.deepEqual(found('equal', one('INFO', 'SUCCESS'), one('SUCCESS', 'INFO', 'INFO')), []);
  assert.deepEqual(found('equal', one('SUCCESS'), one('INFO')), ['SUCCESS -> NOT RUN']);
});

test('a scenario without results differs in each of its checks', () => {
  assert.deepEqual(found('equal', one('SUCCESS'), new Map()), ['SUCCESS -> NOT RUN']);
});

test('an expectation to differ is out of date where nothing differs', () => {
  const differences = compare('equal', one('SUCCESS'), one('FAILURE'));
  assert.deepEqual(stale(['scenario', 'other'], differences), ['other']);
});

test('results are read by scenario, from the folders that the suite makes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'bastion-conf-test-'));
  const write = (path: string, checks: readonly Check[]): void => {
    mkdirSync(join(folder, path), { recursive: true });
    writeFileSync(join(folder, path, 'checks.json'), JSON.stringify(checks));
  };
  try {
    const check = (status: Status): Check => ({ id: 'check', name: 'Check', status });
    write('server-server-sse-polling-2026-11-25T02-30-04-101Z', [check('SUCCESS'), check('WARNING')]);
    write('auth/metadata-default-2026-11-25T02-30-04-101Z', [check('FAILURE')]);
    assert.deepEqual([...readResults(folder, 'server').keys()].toSorted(), ['auth/metadata-default', 'server-sse-polling']);
    const scenarios = readResults(folder, 'client');
    assert.deepEqual([...scenarios.keys()].toSorted(), ['auth/metadata-default', 'server-server-sse-polling']);
    const required = ['auth/metadata-default', 'server-server-sse-polling', 'not-run'];
    assert.deepEqual(score(scenarios, { scored: required, unscored: [] }), {
      passed: 1,
      failed: 1,
      warnings: 1,
      requiredFailing: ['auth/metadata-default', 'not-run'],
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the turnstile lets so many through and admits the next when one has gone, in order', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bastion-conf-test-'));
  const path = join(folder, 'turn');
  const server = await openTurnstile(path, 2);
  try {
    const admitted: number[] = [];
    const turns = [0, 1, 2, 3].map(async (number) => {
      const socket = await takeTurn(path);
      admitted.push(number);
      return socket;
    });
    const first = await Promise.race([turns[0], turns[1]]);
    await sleep(50);
    assert.deepEqual(admitted, [0, 1]);
    first?.destroy();
    await turns[2];
    await sleep(50);
    assert.deepEqual(admitted, [0, 1, 2]);
    for (const turn of turns) void turn.then((socket) => socket.destroy());
    await Promise.all(turns);
  } finally {
    server.close();
    rmSync(folder, { recursive: true });
  }
});

test('a process goes together with what it started', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bastion-conf-test-'));
  try {
    // The marker tells both of them from every other process.
    const marker = folder;
    const child = `/* ${marker} */ process.on('SIGTERM', () => {}); process.stdout.write('ready'); setInterval(() => {}, 1000);`;
    const parent = `require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(child)}], { stdio: 'inherit' }); setInterval(() => {}, 1000);`;
    const running = new Running({ argv: [process.execPath, '-e', parent], logFile: join(folder, 'log') });
    await running.waitUntil(() => running.output() === 'ready', 10_000);
    assert.equal(processesWith(marker).length, 2);
    await running.stop();
    assert.deepEqual(await goneWithin(marker, 5_000), []);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a process that ends before it is ready is an error with its words', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bastion-conf-test-'));
  try {
    const running = new Running({ argv: [process.execPath, '-e', "console.log('no such thing'); process.exit(3)"], logFile: join(folder, 'log') });
    await assert.rejects(running.waitUntil(() => false, 10_000), /ended at once\nno such thing/);
    assert.equal(await running.exited, 3);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
