// SPDX-License-Identifier: Apache-2.0
/** What a loss of power can leave: a write-ahead log and an anchor file that end anywhere. */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { cpSync, mkdtempSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { anchorPath, segmentPath } from '../../../enclave/audit/files.ts';
import { Unavailable } from '../../../shared/errors.ts';
import { BOOT, failures, groups, key, NOW, openWriter, verifyDir, writeLog } from '../../harness/logs.ts';

const ROUNDS = Number(process.env['BASTION_ROUNDS'] ?? 40);
const root = mkdtempSync(join(tmpdir(), 'audit-torn-'));
after(() => rmSync(root, { recursive: true, force: true }));

/** A log as it lies on the disk while it is written, and the sizes that its checkpoints had, by bytes of the WAL then. */
function running(): { dir: string; durable: { readonly bytes: number; readonly size: number }[]; anchored: number } {
  const live = mkdtempSync(join(root, 'live-'));
  const { writer } = openWriter(live, { key: key() });
  const durable: { bytes: number; size: number }[] = [];
  const note = (size: number): void => void durable.push({ bytes: statSync(`${segmentPath(live, 1)}-wal`).size, size });
  writer.boot(BOOT, NOW * 1000, 0);
  note(1);
  for (const group of groups(30, 3)) {
    note(writer.commit(group).size);
    if (durable.length === 4) writer.anchor();
  }
  const dir = mkdtempSync(join(root, 'torn-'));
  cpSync(live, dir, { recursive: true });
  for (const suffix of ['-shm']) rmSync(segmentPath(dir, 1) + suffix, { force: true });
  writer.close();
  return { dir, durable, anchored: 10 };
}

test(`a write-ahead log that ends at any of ${ROUNDS} bytes is the log up to a commit, or refused as rolled back; never less than was synced`, () => {
  const { dir, durable, anchored } = running();
  const whole = statSync(`${segmentPath(dir, 1)}-wal`).size;
  const lengths = [0, 32, whole, ...durable.map(({ bytes }) => bytes), ...Array.from({ length: ROUNDS }, () => randomInt(0, whole))];
  for (const length of lengths) {
    const torn = mkdtempSync(join(root, 'cut-'));
    cpSync(dir, torn, { recursive: true });
    truncateSync(`${segmentPath(torn, 1)}-wal`, length);
    // What was synced before the power went is in the bytes that are left.
    const least = durable.findLast(({ bytes }) => bytes <= length)?.size ?? 0;
    try {
      writeLog(torn, { groups: groups(2, 2) });
      const report = verifyDir(torn);
      assert.deepEqual(failures(report), [], String(length));
      const before = report.size - 3;
      assert(durable.some(({ size }) => size === before) && before >= least && before >= anchored, `${length}: ${before}`);
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      assert.equal(error.code, 'AUDIT_ROLLBACK', `${length}: ${error.message}`);
      assert(least < anchored, String(length));
    }
    rmSync(torn, { recursive: true });
  }
});

test('an anchor file that ends at any byte is mended or refused, and never hides rows', () => {
  const dir = mkdtempSync(join(root, 'a-'));
  writeLog(dir, { groups: groups(9, 3), anchorAfter: [0, 1] });
  const whole = statSync(anchorPath(segmentPath(dir, 1))).size;
  for (let length = 0; length < whole; length += randomInt(1, 400)) {
    const torn = mkdtempSync(join(root, 'cut-'));
    cpSync(dir, torn, { recursive: true });
    truncateSync(anchorPath(segmentPath(torn, 1)), length);
    try {
      writeLog(torn, { groups: groups(2, 2) });
      const report = verifyDir(torn);
      assert.deepEqual(failures(report), [], String(length));
      assert.equal(report.size, 13);
    } catch (error) {
      assert(error instanceof Unavailable && error.code === 'AUDIT_CORRUPT', String(length));
    }
    rmSync(torn, { recursive: true });
  }
});
