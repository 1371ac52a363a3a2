// SPDX-License-Identifier: Apache-2.0
/** A log of 100,000 rows, written through the real log, and what another policy would have decided on it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import type { AuditLog } from '../../enclave/audit/log.ts';
import { openAuditLog } from '../../enclave/audit/log.ts';
import type { RowDraft } from '../../shared/audit/row.ts';
import { toolLabel } from '../../shared/label.ts';
import { launcher, scratch } from '../harness/gateway.ts';
import { BOOT, row } from '../harness/logs.ts';

const ROWS = 100_000;
const BATCH = 1000;
const TOOLS = ['read_file', 'write_file', 'delete_file', 'list_directory'] as const;

/** What was asked, by its number: each tool in turn, inside the project and outside, some with a secret in their path. */
function draft(at: number, withPayload: boolean): RowDraft {
  const tool = TOOLS[at % TOOLS.length] ?? 'read_file';
  const path = at % 40 === 0 ? '/srv/token=abcdef123456' : at % 10 < 5 ? `/srv/project/${at}.txt` : `/etc/${at}`;
  const text = JSON.stringify({ jsonrpc: '2.0', id: at, method: 'tools/call', params: { name: tool, arguments: { path } } });
  const { fields } = row(at, null, { tool: toolLabel(tool), decision: 'allow', rule: null, code: null });
  return { fields, payload: withPayload ? { media: 'application/json', text } : null, wall: 1_700_000_000_000 + at, mono: at };
}

async function write(folder: string, payload: 'none' | 'redacted', count: number): Promise<string> {
  const dir = join(folder, payload);
  const scrubPatterns = [{ name: 'token', source: 'token=[a-z0-9]+', replacement: '[REDACTED]' }];
  const log: AuditLog = await openAuditLog({ dir, stateDir: join(folder, 'state'), server: 'files', key: { kind: 'ephemeral' }, boot: { ...BOOT, payload }, payload, signature: 'per-commit', scrubPatterns, wall: 1_700_000_000_000, mono: 0 });
  for (let from = 0; from < count; from += BATCH) {
    await Promise.all(Array.from({ length: Math.min(BATCH, count - from) }, (_, at) => log.append(draft(from + at, payload === 'redacted'))));
  }
  await log.close();
  return dir;
}

interface Replayed {
  readonly rows: number;
  readonly calls: number;
  readonly same: number;
  readonly changed: number;
  readonly changes: readonly { readonly after: string; readonly rule_after: string | null; readonly count: number }[];
  readonly undecidable: { readonly nameless: number; readonly without_arguments: number; readonly redacted: number };
}

function replay(...args: readonly string[]): { readonly report: Replayed; readonly stderr: string } {
  const run = spawnSync(process.execPath, [launcher, 'policy', 'replay', ...args, '--json'], { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  assert.equal(run.status, 0, run.stderr);
  return { report: JSON.parse(run.stdout) as Replayed, stderr: run.stderr };
}

const POLICY = `version: 1
deny_tools: [delete_file]
rules:
  - id: project-only
    action: deny
    tools: [write_file]
    when: [{arg: path, path_in: /srv/project, not: true}]
`;

test('a hundred thousand rows are replayed with progress, and what would change is counted exactly', async () => {
  const folder = scratch();
  const policy = join(folder, 'policy.yaml');
  writeFileSync(policy, POLICY);
  const dir = await write(folder, 'redacted', ROWS);
  const { report, stderr } = replay('--policy', policy, '--log', dir);
  // By hand: every fourth call deletes; every fourth writes, at 1, 5, 9, ... of which those not inside the project change.
  const numbers = Array.from({ length: ROWS }, (_, at) => at);
  const deletes = numbers.filter((at) => at % 4 === 2).length;
  const writes = numbers.filter((at) => at % 4 === 1);
  const outside = writes.filter((at) => at % 10 >= 5).length;
  assert.match(stderr, /^20000 rows\n(?:.*\n)*100000 rows\n/);
  assert.deepEqual({ ...report, changes: report.changes.map(({ after, rule_after, count }) => [after, rule_after, count]) }, {
    ...report,
    rows: ROWS + 1,
    calls: ROWS,
    changed: deletes + outside,
    same: ROWS - deletes - outside,
    undecidable: { nameless: 0, without_arguments: 0, redacted: 0 },
    changes: [
      ['deny', 'deny_tools[0]', deletes],
      ['deny', "rules['project-only']", outside],
    ],
  });
});

test('without stored payloads names decide what they can, and the rest is counted', async () => {
  const folder = scratch();
  const policy = join(folder, 'policy.yaml');
  writeFileSync(policy, POLICY);
  const count = 8000;
  const dir = await write(folder, 'none', count);
  const { report: blind } = replay('--policy', policy, '--log', dir);
  assert.deepEqual([blind.changed, blind.undecidable], [0, { nameless: count, without_arguments: 0, redacted: 0 }]);
  const names = join(folder, 'tools.txt');
  writeFileSync(names, `${TOOLS.join('\n')}\n`);
  const { report } = replay('--policy', policy, '--log', dir, '--tools', names);
  assert.deepEqual([report.changed, report.undecidable], [count / 4, { nameless: 0, without_arguments: count / 4, redacted: 0 }]);
});

test('what was redacted before it was stored decides nothing that depends on it', async () => {
  const folder = scratch();
  const policy = join(folder, 'policy.yaml');
  writeFileSync(policy, POLICY.replace('tools: [write_file]', 'tools: [read_file]'));
  const count = 4000;
  const { report } = replay('--policy', policy, '--log', await write(folder, 'redacted', count));
  const reads = Array.from({ length: count }, (_, at) => at).filter((at) => at % 4 === 0);
  assert.equal(report.undecidable.redacted, reads.filter((at) => at % 40 === 0).length);
  assert.equal(report.changed, count / 4 + reads.filter((at) => at % 40 !== 0 && at % 10 >= 5).length);
});
