// SPDX-License-Identifier: Apache-2.0
/** A storage that fails and comes back: nothing is acknowledged meanwhile, and the first row afterwards says what happened. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { Admission } from '../../../enclave/audit/admission.ts';
import { segmentPath } from '../../../enclave/audit/files.ts';
import { openAuditLog } from '../../../enclave/audit/log.ts';
import { Reserve } from '../../../enclave/audit/reserve.ts';
import { storageReason } from '../../../enclave/audit/storage-error.ts';
import { readTrust, trustPath } from '../../../enclave/audit/trust.ts';
import { Unavailable } from '../../../shared/errors.ts';
import { AUDIT_QUEUE_ROWS_MAX, AUDIT_RESERVED_ROWS_MAX } from '../../../shared/limits.ts';
import { BOOT, failures, NOW, row, verifyDir } from '../../harness/logs.ts';
import { Outage } from '../../harness/outage.ts';

const root = mkdtempSync(join(tmpdir(), 'audit-outage-'));
after(() => rmSync(root, { recursive: true, force: true }));

function rows(dir: string): Record<string, unknown>[] {
  const db = new Database(segmentPath(dir, 1), { readonly: true });
  const found = db.prepare('SELECT body FROM entry ORDER BY idx').pluck().all() as string[];
  db.close();
  return found.map((body) => JSON.parse(body) as Record<string, unknown>);
}

test('a database that another process locks is written again once it is free, and a gap row counts what was refused', async (t) => {
  const stateDir = mkdtempSync(join(root, 's-'));
  const options = { dir: null, stateDir, server: 'files', key: { kind: 'ephemeral' }, boot: BOOT, payload: 'redacted', signature: 'per-commit', scrubPatterns: [], wall: NOW * 1000, mono: 0, reserveBytes: 0 } as const;
  const log = await openAuditLog({ ...options, clock: { now: () => NOW * 1000 + 5, mono: () => 5000 } });
  t.after(() => log.close());
  await log.append(row(1));
  const other = new Database(segmentPath(log.dir, 1));
  other.exec('BEGIN IMMEDIATE');
  const lost = await Promise.allSettled([log.append(row(2)), log.append(row(3)), log.append(row(3, null, { kind: 'message' }))]);
  assert.deepEqual(lost.map(({ status }) => status), ['rejected', 'rejected', 'rejected']);
  await assert.rejects(log.append(row(4)), (error) => error instanceof Unavailable && error.code === 'AUDIT_UNAVAILABLE');
  assert.deepEqual([log.available, log.ready], [false, false]);
  other.exec('ROLLBACK');
  other.close();
  while (!log.ready) await wait(50);
  await log.append(row(5));
  await log.close();
  const found = rows(log.dir);
  assert.deepEqual(found.map(({ kind }) => kind), ['boot', 'call', 'gap', 'call']);
  const { rejected, lost: gone, reason, from, to } = found[2] ?? {};
  assert.deepEqual({ rejected, gone, reason, from, to }, { rejected: 3, gone: 3, reason: 'storage', from: NOW * 1000 + 5, to: NOW * 1000 + 5 });
  const report = verifyDir(log.dir, readTrust(trustPath(stateDir)));
  assert.deepEqual(failures(report), []);
  assert.deepEqual(report.findings.map(({ code, severity }) => `${severity} ${code}`), ['warn GAP_RECORDED']);
});

test('a file that may not grow refuses calls, and takes them again when it may', async () => {
  // Elsewhere the limit of a process cannot be changed from outside.
  if (process.platform !== 'linux') return;
  const stateDir = mkdtempSync(join(root, 's-'));
  const limit = 1_500_000;
  const writer = await new Outage(stateDir, 0, ['sh', '-c', `trap "" XFSZ; exec "$@"`, 'sh']).started();
  spawnSync('prlimit', ['--pid', String(writer.pid), `--fsize=${limit}:`]);
  let refused = 0;
  let done = 0;
  while (refused === 0) {
    const { answer } = await writer.ask('calls 50');
    refused += answer.refused;
    done += answer.done;
    if (answer.refused > 0) assert.deepEqual(answer.codes, ['AUDIT_UNAVAILABLE']);
  }
  const during = await writer.ask('calls 7');
  assert.deepEqual([during.answer.done, during.available], [0, false]);
  spawnSync('prlimit', ['--pid', String(writer.pid), '--fsize=unlimited:']);
  await writer.ask('ready');
  const after = await writer.ask('calls 5');
  assert.equal(after.answer.done, 5);
  await writer.ask('close');
  const found = rows(join(stateDir, 'audit', 'files', '0'));
  const gap = found.find(({ kind }) => kind === 'gap');
  assert.equal(gap?.['rejected'], refused + 7);
  assert(found.filter(({ kind }) => kind === 'call').length >= done + 5);
  assert.deepEqual(failures(verifyDir(join(stateDir, 'audit', 'files', '0'), readTrust(trustPath(stateDir)))), []);
});

test('a log that was rolled back during an outage is not gone on with', async (t) => {
  const stateDir = mkdtempSync(join(root, 's-'));
  const log = await openAuditLog({ dir: null, stateDir, server: 'files', key: { kind: 'ephemeral' }, boot: BOOT, payload: 'none', signature: 'per-commit', scrubPatterns: [], wall: NOW * 1000, mono: 0, reserveBytes: 0 });
  t.after(() => log.close());
  const path = segmentPath(log.dir, 1);
  await log.append(row(1));
  const other = new Database(path);
  other.exec('BEGIN IMMEDIATE');
  await assert.rejects(log.append(row(2)));
  // Whoever holds the lock takes the last row and its checkpoint away: the rest is a whole, signed log.
  other.exec('DELETE FROM entry WHERE idx = 1; DELETE FROM checkpoint WHERE size = 2; COMMIT');
  other.close();
  for (let at = 0; at < 100 && !(await log.append(row(3)).then(() => true, (error: Error) => /lost rows/.test(error.message))); at += 1) await wait(100);
  assert.equal(log.available, false);
  await assert.rejects(log.append(row(3)), (error) => error instanceof Unavailable && error.code === 'AUDIT_ROLLBACK');
  await log.close();
  assert.equal(rows(log.dir).length, 1);
});

test('admission keeps a place for the result of each admitted call', () => {
  const admission = new Admission();
  const call = (at: number, decision: 'allow' | 'deny' = 'allow') => row(0, null, { call_id: String(at).padStart(32, '0'), decision }).fields;
  const result = (at: number) => ({ ...call(at), kind: 'result' }) as const;
  for (let at = 0; at < 100; at += 1) assert(admission.enter(call(at), 1));
  for (let at = 0; at < AUDIT_QUEUE_ROWS_MAX - 200; at += 1) assert(admission.enter(row(0).fields, 1), String(at));
  assert(!admission.enter(row(0).fields, 1), 'what is left belongs to the results');
  assert(!admission.enter(result(5000), 1), 'the result of a call that was not admitted has no place');
  for (let at = 0; at < 100; at += 1) assert(admission.enter(result(at), 64 * 1024 * 1024), String(at));
  assert(!admission.enter(result(1), 1), 'a place is used once');
  for (let at = 0; at < 200; at += 1) admission.leave(1);
  admission.leave(100 * 64 * 1024 * 1024 - 200 + 1);
  assert(!admission.isReserved(call(3)));
  const denied = new Admission();
  denied.enter(call(1, 'deny'), 1);
  assert(!denied.isReserved(result(1)), 'a denied call has no result');
});

test('servers that never answer do not use up the places', () => {
  const admission = new Admission();
  for (let at = 0; at < 3 * AUDIT_RESERVED_ROWS_MAX; at += 1) {
    const fields = row(0, null, { call_id: String(at).padStart(32, '0'), decision: 'allow' }).fields;
    assert(admission.enter(fields, 1));
    admission.leave(1);
  }
  assert(admission.enter(row(0).fields, 1));
});

test('the reserve is made of real bytes, taken over from a killed process, and given up whole', () => {
  const dir = mkdtempSync(join(root, 'r-'));
  const path = join(dir, 'reserve');
  writeFileSync(path, 'left over');
  const reserve = new Reserve(dir, 300_000);
  reserve.take();
  assert.equal(statSync(path).size, 300_000);
  assert(statSync(path).blocks * 512 >= 290_000 || process.platform === 'darwin');
  assert.equal(reserve.release(), true);
  assert.equal(reserve.release(), false);
  assert.throws(() => readFileSync(path), /ENOENT/);
  assert(reserve.hasRoom());
  assert(!new Reserve(dir, 2 ** 52).hasRoom());
});

test('only errors of the storage may pass', () => {
  const system = (code: string): Error => Object.assign(new Error('x'), { code });
  for (const [error, reason] of [
    [system('ENOSPC'), 'full'],
    [system('EDQUOT'), 'full'],
    [system('EFBIG'), 'full'],
    [system('EIO'), 'storage'],
    [system('EROFS'), 'storage'],
    [new Database.SqliteError('x', 'SQLITE_FULL'), 'full'],
    [new Database.SqliteError('x', 'SQLITE_IOERR_WRITE'), 'storage'],
    [new Database.SqliteError('x', 'SQLITE_READONLY_DBMOVED'), 'storage'],
    [new Database.SqliteError('x', 'SQLITE_BUSY'), 'storage'],
    [new Database.SqliteError('x', 'SQLITE_CORRUPT'), null],
    [new Database.SqliteError('x', 'SQLITE_CONSTRAINT_PRIMARYKEY'), null],
    [new Unavailable('AUDIT_UNAVAILABLE', 'm', 'h'), null],
    [new TypeError('x'), null],
    [system('ENOENT'), null],
    ['x', null],
  ] as const) assert.equal(storageReason(error), reason, String(error));
});
