// SPDX-License-Identifier: Apache-2.0
/** The verifiers as a browser would load them. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { segmentPath } from '../../../enclave/audit/files.ts';
import { bundleOf, problemsOf, VERIFIERS } from '../../../scripts/verifier-bundle.ts';
import type { SegmentSource } from '../../../shared/audit/source.ts';
import type * as VerifyModule from '../../../shared/audit/verify.ts';
import { LogSegment } from '../../../shared/cli/log-segment.ts';
import { groups, key, NOW, writeLog } from '../../harness/logs.ts';

test('both verifiers bundle for a browser below their ceilings, without Node, network or code from text', async () => {
  for (const verifier of VERIFIERS) assert.deepEqual(problemsOf(verifier, await bundleOf(verifier.modules)), []);
});

test('what has no place in a bundle is found there', () => {
  const verifier = { name: 'v', modules: [], ceiling: 100 };
  const cases: [code: string, found: boolean][] = [
    ['import"node:fs"', true],
    ["import 'node:crypto'", true],
    ['require("x")', true],
    ['process.env', true],
    ['Buffer.from(1)', true],
    ['eval("1")', true],
    ['new Function("1")', true],
    ['import("x")', true],
    ['fetch("x")', true],
    ['localStorage.a', true],
    ['', true],
    ['x'.repeat(101), true],
    ['this.process(1);new ArrayBuffer(1);a.buffer', false],
  ];
  for (const [code, found] of cases) assert.equal(problemsOf(verifier, { code, bytes: code.length, zipped: 0 }).length > 0, found, code.slice(0, 40));
});

test('the bundle verifies a log, and finds one that was changed', async () => {
  const { code } = await bundleOf(VERIFIERS[0]?.modules ?? []);
  const bundled = (await import(`data:text/javascript;base64,${Buffer.from(code).toString('base64')}`)) as typeof VerifyModule;
  const dir = mkdtempSync(join(tmpdir(), 'browser-'));
  try {
    const { log } = writeLog(dir, { groups: groups(3, 2) });
    const options = { trust: new Map([[log, new Set([key().fingerprint])]]), whole: true, unknownLogs: 'refuse', now: NOW } as const;
    const segment = new LogSegment(segmentPath(dir, 1));
    const report = bundled.verifyLog([segment], options);
    assert.deepEqual([report.verdict, report.size], [{ kind: 'ok' }, 4]);
    const changed: SegmentSource = {
      name: segment.name,
      epoch: 1,
      schema: segment.schema,
      vkey: segment.vkey,
      grownTo: segment.grownTo,
      entries: () => [...segment.entries()].slice(1),
      payloads: () => segment.payloads(),
      checkpoints: () => segment.checkpoints(),
      tile: () => undefined,
      anchorLines: () => segment.anchorLines(),
    };
    assert.equal(bundled.verifyLog([changed], options).verdict.kind, 'broken');
    segment.close();
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
