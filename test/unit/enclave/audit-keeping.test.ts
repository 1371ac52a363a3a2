// SPDX-License-Identifier: Apache-2.0
/** Segments: when one ends, what retention takes away, and that the verifier tells that from rows that were stolen. */
import assert from 'node:assert/strict';
import { appendFileSync, cpSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import Database from 'better-sqlite3';
import { anchorPath, epochsIn, segmentPath } from '../../../enclave/audit/files.ts';
import { openAuditLog } from '../../../enclave/audit/log.ts';
import { LogSession } from '../../../enclave/audit/session.ts';
import type { Keeping, WorkerInput } from '../../../enclave/audit/wire.ts';
import { BOOT, failures, key, NOW, row, verifyDir, writeLog } from '../../harness/logs.ts';

const root = mkdtempSync(join(tmpdir(), 'audit-keeping-'));
after(() => rmSync(root, { recursive: true, force: true }));

const DAY = 86_400_000;
const FOREVER: Keeping = { segmentBytes: 1e12, segmentMs: 1e12, keepMs: null };

function input(dir: string, keeping: Keeping, wall = NOW * 1000, over: Partial<WorkerInput> = {}): WorkerInput {
  return {
    dir,
    stateDir: `${dir}-state`,
    key: key(),
    boot: BOOT,
    session: '0123456789abcdef',
    wall,
    mono: (wall - NOW * 1000) * 1000,
    payload: 'redacted',
    signature: 'per-commit',
    scrubPatterns: [],
    readers: [],
    keeping,
    reserveBytes: 0,
    ...over,
  };
}

/** A session per day, one row in each; segments end after a day. */
function days(count: number, keeping: Keeping = { segmentBytes: 1e12, segmentMs: DAY, keepMs: null }): string {
  const dir = mkdtempSync(join(root, 'd-'));
  const session = new LogSession(input(dir, keeping));
  for (let day = 0; day < count; day += 1) {
    session.commit([row(day * DAY + 1000, `{"day":${day}}`)]);
    session.turnOver();
  }
  session.anchor();
  session.close();
  return dir;
}

function bodies(dir: string, epoch: number): Record<string, unknown>[] {
  const db = new Database(segmentPath(dir, epoch), { readonly: true });
  const found = db.prepare('SELECT body FROM entry ORDER BY idx').pluck().all() as string[];
  db.close();
  return found.map((body) => JSON.parse(body) as Record<string, unknown>);
}

test('a segment that is old enough ends with a close row, and the next epoch names where it ended', () => {
  const dir = days(5);
  const report = verifyDir(dir);
  assert.deepEqual(report.findings, []);
  assert.deepEqual(report.segments.map(({ epoch, size }) => [epoch, size]), [[1, 4], [2, 3], [3, 3], [4, 3], [5, 1]].slice(0, report.segments.length));
  assert.deepEqual(bodies(dir, 1).map(({ kind, reason }) => reason ?? kind), ['boot', 'call', 'call', 'segment is over']);
  assert.equal(bodies(dir, 2)[0]?.['prev_size'], 4);
});

test('a segment that is large enough ends while rows come in, and receipts name the epoch of their row', async (t) => {
  const stateDir = mkdtempSync(join(root, 's-'));
  const keeping: Keeping = { segmentBytes: 40_000, segmentMs: 1e12, keepMs: null };
  const log = await openAuditLog({ dir: null, stateDir, server: 'files', key: { kind: 'ephemeral' }, boot: BOOT, payload: 'redacted', signature: 'per-commit', scrubPatterns: [], wall: NOW * 1000, mono: 0, keeping, reserveBytes: 0 });
  t.after(() => log.close());
  const receipts = [];
  for (let at = 0; at < 12; at += 1) receipts.push(...(await Promise.all(Array.from({ length: 4 }, (_, n) => log.append(row(at, `{"a":"${'x'.repeat(2000)}${n}"}`))))));
  assert(log.epoch > 1);
  assert.match(log.origin, new RegExp(`/${log.epoch}$`));
  await log.close();
  const report = verifyDir(log.dir);
  assert.deepEqual(report.findings, []);
  assert(report.segments.length > 2);
  for (const { origin, idx, leaf } of receipts) {
    const db = new Database(segmentPath(log.dir, Number(origin.split('/').at(-1))), { readonly: true });
    assert.equal((db.prepare('SELECT leaf FROM entry WHERE idx = ?').pluck().get(idx) as Buffer).toString('hex'), leaf);
    db.close();
  }
});

test('a log signed per row stays so over the end of a segment and a jump of the clock', () => {
  const dir = mkdtempSync(join(root, 'd-'));
  const boot = { ...BOOT, signature: 'per-row' } as const;
  const session = new LogSession(input(dir, { segmentBytes: 1e12, segmentMs: DAY, keepMs: DAY }, NOW * 1000, { boot, signature: 'per-row' }));
  for (let day = 0; day < 4; day += 1) {
    session.commit([{ ...row(day * DAY + 1000), mono: day }]);
    session.turnOver();
  }
  session.anchor();
  session.close();
  assert.deepEqual(failures(verifyDir(dir)), []);
});

test('a jump of the clock has a row of its own, before the row that shows it', () => {
  const dir = mkdtempSync(join(root, 'd-'));
  const session = new LogSession(input(dir, FOREVER));
  const year = 365 * DAY;
  session.commit([row(1000)]);
  session.commit([{ ...row(2000), wall: NOW * 1000 + year }, { ...row(3000), wall: NOW * 1000 + year + 1000 }]);
  session.commit([{ ...row(4000), wall: NOW * 1000 - year }]);
  session.commit([{ ...row(5000), wall: NOW * 1000 - year + 1000 + 1500 }]);
  session.anchor();
  session.close();
  const rows = bodies(dir, 1).map(({ kind, expected }) => [kind, expected ?? null]);
  assert.deepEqual(rows, [['boot', null], ['call', null], ['time', NOW * 1000 + 2000], ['call', null], ['call', null], ['time', NOW * 1000 + year + 2000], ['call', null], ['call', null]]);
  const report = verifyDir(dir);
  assert.deepEqual(failures(report), []);
  assert.deepEqual(report.findings.map(({ code, severity }) => [code, severity]), [['TIME_REGRESSION', 'warn']]);
});

test('retention takes whole old segments, a row says so first, and what is left verifies', () => {
  const dir = days(6);
  const before = verifyDir(dir).segments.map(({ epoch }) => epoch);
  const last = before.at(-1) ?? 0;
  const session = new LogSession(input(dir, { ...FOREVER, keepMs: 2.5 * DAY }, NOW * 1000 + 6 * DAY));
  session.anchor();
  session.close();
  const kept = epochsIn(dir);
  assert(kept.length < before.length && kept.at(-1) === last && kept[0] !== 1, String(kept));
  const erase = bodies(dir, last).at(-1);
  assert.deepEqual([erase?.['kind'], erase?.['scope'], erase?.['reason'], erase?.['of_epoch']], ['erase', 'segment', 'retention', (kept[0] ?? 0) - 1]);
  assert(existsSync(anchorPath(segmentPath(dir, 1))), 'the anchor file stays');
  assert.deepEqual(readdirSync(dir).filter((name) => name.includes('-wal') && name.startsWith('000000000001')), []);
  const report = verifyDir(dir);
  assert.deepEqual([...new Set(report.findings.map(({ code }) => code))], ['SEGMENT_PRUNED']);
  assert.deepEqual(failures(report), []);
  // The log goes on, and so does retention.
  const later = new LogSession(input(dir, { segmentBytes: 1e12, segmentMs: DAY, keepMs: DAY }, NOW * 1000 + 20 * DAY));
  later.commit([row(20 * DAY + 1)]);
  later.turnOver();
  later.anchor();
  later.close();
  assert.deepEqual(epochsIn(dir), [last, last + 1], 'the segment that ended today is kept');
  assert.deepEqual(failures(verifyDir(dir)), []);
});

test('under a legal hold nothing is taken away', () => {
  const dir = days(4);
  const before = epochsIn(dir);
  new LogSession(input(dir, FOREVER, NOW * 1000 + 9000 * DAY)).close();
  assert.deepEqual(epochsIn(dir), before);
});

test('a segment that is taken away without a row, or another one than the row names, is a finding', () => {
  const stolen = days(4);
  rmSync(segmentPath(stolen, 1));
  assert.deepEqual(failures(verifyDir(stolen)).sort(), ['ANCHOR_AHEAD', 'EPOCH_GAP']);
  rmSync(anchorPath(segmentPath(stolen, 1)));
  assert.deepEqual(failures(verifyDir(stolen)), ['EPOCH_GAP']);

  const pruned = days(8);
  const session = new LogSession(input(pruned, { ...FOREVER, keepMs: 5.5 * DAY }, NOW * 1000 + 8 * DAY));
  session.anchor();
  session.close();
  assert.deepEqual(failures(verifyDir(pruned)), []);
  const [first = 0, second = 0] = epochsIn(pruned);
  const more = join(root, 'more');
  cpSync(pruned, more, { recursive: true });
  rmSync(segmentPath(more, first));
  assert.deepEqual(failures(verifyDir(more)).sort(), ['ANCHOR_AHEAD', 'EPOCH_GAP'], 'one more than the row says');
  const middle = join(root, 'middle');
  cpSync(pruned, middle, { recursive: true });
  rmSync(segmentPath(middle, second));
  rmSync(anchorPath(segmentPath(middle, second)));
  assert.deepEqual(failures(verifyDir(middle)), ['EPOCH_GAP']);
  assert.throws(() => {
    rmSync(segmentPath(middle, first));
    rmSync(segmentPath(middle, epochsIn(middle).at(-1) ?? 0));
    writeLog(middle, { groups: [] });
  }, /covers rows that the log no longer holds/, 'the newest segment is never retention');
});

test('a damaged old segment is evidence, and stops retention', () => {
  const dir = days(5);
  const db = new Database(segmentPath(dir, 1));
  db.exec('DELETE FROM checkpoint');
  db.close();
  appendFileSync(segmentPath(dir, 2), 'x');
  new LogSession(input(dir, { ...FOREVER, keepMs: DAY }, NOW * 1000 + 50 * DAY)).close();
  assert(existsSync(segmentPath(dir, 1)) && existsSync(segmentPath(dir, 2)));
});
