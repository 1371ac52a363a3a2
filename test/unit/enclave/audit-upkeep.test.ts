// SPDX-License-Identifier: Apache-2.0
/** What people do to a log between two starts: erase a payload, accept a loss. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import Database from 'better-sqlite3';
import { acceptLoss } from '../../../enclave/audit/accept-loss.ts';
import { LOCK_NAME, anchorPath, segmentPath } from '../../../enclave/audit/files.ts';
import { logsRoot } from '../../../enclave/audit/slots.ts';
import { addTrust } from '../../../enclave/audit/trust.ts';
import { auditCommand } from '../../../enclave/host/audit.ts';
import { acquireExclusive } from '../../../enclave/store/sqlite.ts';
import { Unavailable, Usage } from '../../../shared/errors.ts';
import { failures, groups, key, NOW, row, verifyDir, writeLog } from '../../harness/logs.ts';

const root = mkdtempSync(join(tmpdir(), 'audit-upkeep-'));
after(() => rmSync(root, { recursive: true, force: true }));

interface Place {
  readonly stateDir: string;
  readonly dir: string;
  readonly where: readonly string[];
}

const CANARY = 'CANARY-4711-'.repeat(900);

/** A log of two epochs, whose key lies in a file. */
function place(audit = ''): Place {
  const folder = mkdtempSync(join(root, 'p-'));
  const stateDir = join(folder, 'state');
  const dir = join(logsRoot(stateDir), 'files', '0');
  mkdirSync(join(folder, 'keys'), { mode: 0o700 });
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(folder, 'keys', 'audit.seed'), new Uint8Array(32).fill(1), { mode: 0o600 });
  writeFileSync(join(folder, 'policy.yaml'), `version: 1\naudit: {key: file, key_file: keys/audit.seed${audit}}\n`);
  const { log } = writeLog(dir, { key: key(7), groups: [[row(0, `{"first":"${CANARY}"}`)], ...groups(5, 2)] });
  addTrust(stateDir, log, key(7).fingerprint);
  writeLog(dir, { groups: [[row(0, `{"second":"${CANARY}"}`), row(0, '{"kept":"OTHER"}')], ...groups(5, 2)], anchorAfter: [0] });
  addTrust(stateDir, log, key().fingerprint);
  return { stateDir, dir, where: ['--policy', join(folder, 'policy.yaml'), '--state', stateDir] };
}

async function audit(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  let [stdout, stderr] = ['', ''];
  const io = { stdout: { write: (text: string) => (stdout += text) }, stderr: { write: (text: string) => (stderr += text) }, env: {}, cwd: root, now: () => NOW * 1000 + 60_000 };
  return { code: await auditCommand(args, io), stdout, stderr };
}

function bytes(dir: string): string {
  return readdirSync(dir).map((name) => readFileSync(join(dir, name), 'latin1')).join('\0');
}

const unable = (code: string) => (error: unknown): boolean => error instanceof Unavailable && error.code === code;

test('an erased payload stands in no file of the log any more, a row says so, and the log verifies', async () => {
  const { dir, where } = place();
  assert(bytes(dir).includes('CANARY-4711'));
  for (const epoch of ['1', '2']) {
    const done = await audit('erase', '--row', '1', '--epoch', epoch, ...where);
    assert.deepEqual(done, { code: 0, stdout: `erased the payload of row 1 of epoch ${epoch} in ${dir}\n`, stderr: '' });
  }
  assert(!bytes(dir).includes('CANARY'), 'neither in the pages of the database nor in its write-ahead log');
  assert(bytes(dir).includes('OTHER'));
  const report = verifyDir(dir);
  assert.deepEqual(report.findings.map(({ code, severity, count }) => [code, severity, count]), [['PAYLOAD_ERASED', 'info', 2]]);
  const db = new Database(segmentPath(dir, 2), { readonly: true });
  const erased = db.prepare("SELECT body FROM entry WHERE kind = 'erase' ORDER BY idx").pluck().all().map((body) => JSON.parse(String(body)) as Record<string, unknown>);
  db.close();
  assert.deepEqual(erased.map(({ scope, of_epoch: of, row: at, reason }) => [scope, of, at, reason]), [['payload', 1, 1, 'request'], ['payload', 2, 1, 'request']]);
  writeLog(dir, { groups: groups(2, 1) });
  assert.deepEqual(failures(verifyDir(dir)), []);
});

test('a reader beside does not keep what was erased: it is waited for, and told of if it does not end', async () => {
  const { dir, where } = place();
  const path = segmentPath(dir, 2);
  const reader = new Database(path, { readonly: true });
  reader.prepare('SELECT count(*) FROM entry').pluck().get();
  await audit('erase', '--row', '1', ...where);
  assert(!readFileSync(path, 'latin1').includes('CANARY') && !readFileSync(`${path}-wal`, 'latin1').includes('CANARY'), 'an idle reader');
  reader.exec('BEGIN; SELECT * FROM payload');
  await assert.rejects(audit('erase', '--row', '2', ...where), unable('AUDIT_LOCKED'));
  reader.exec('COMMIT');
  reader.close();
  await assert.rejects(audit('erase', '--row', '2', ...where), /has no payload/);
  assert(!bytes(dir).includes('OTHER'));
  assert.deepEqual(failures(verifyDir(dir)), []);
});

test('erase refuses what it cannot do, and leaves the log as it is', async () => {
  const { dir, where } = place();
  const before = verifyDir(dir);
  for (const args of [[], ['--row', 'x'], ['--row', '-1'], ['--row', '1', '--epoch', '1.5'], ['--row', '0'], ['--row', '99'], ['--row', '1', 'a', 'b']]) {
    await assert.rejects(audit('erase', ...args, ...where), Usage, args.join(' '));
  }
  await assert.rejects(audit('erase', '--row', '1', '--epoch', '9', ...where), unable('FILE_UNREADABLE'));
  await assert.rejects(audit('erase', '--row', '1', root, ...where), unable('FILE_UNREADABLE'), 'a directory that is not one of its logs');
  const lock = acquireExclusive(join(dir, LOCK_NAME));
  await assert.rejects(audit('erase', '--row', '1', ...where), unable('AUDIT_LOCKED'), 'while a gateway writes it');
  lock.release();
  assert.deepEqual(verifyDir(dir), before);
  assert(bytes(dir).includes('CANARY'));
  const held = place(', legal_hold: true');
  await assert.rejects(audit('erase', '--row', '1', ...held.where), /legal hold/);
  assert(bytes(held.dir).includes('CANARY'));
});

test('an erasure that was cut off between its row and the deletion is finished by running it again', async () => {
  const { dir, where } = place();
  const copy = join(root, 'cut');
  cpSync(dir, copy, { recursive: true });
  await audit('erase', '--row', '1', ...where);
  // As if the payload had stayed: it is put back from the copy.
  const from = new Database(segmentPath(copy, 2), { readonly: true });
  const { salt, media, data } = from.prepare('SELECT salt, media, data FROM payload WHERE idx = 1').get() as Record<string, unknown>;
  from.close();
  const db = new Database(segmentPath(dir, 2));
  db.prepare('INSERT INTO payload VALUES (1, ?, ?, ?)').run(salt, media, data);
  db.close();
  assert.deepEqual(failures(verifyDir(dir)), []);
  await audit('erase', '--row', '1', ...where);
  assert(!readFileSync(segmentPath(dir, 2), 'latin1').includes('CANARY'));
  assert.deepEqual(failures(verifyDir(dir)), []);
});

/** The losses that a log can have at its end. */
const losses: readonly [string, (dir: string) => void, readonly [from: number, to: number]][] = [
  ['rows are cut off', (dir) => cut(dir, 3), [3, 8]],
  ['the database is gone', (dir) => rmSync(segmentPath(dir, 2)), [0, 8]],
  ['the database is empty', (dir) => truncateSync(segmentPath(dir, 2), 0), [0, 8]],
];

function cut(dir: string, size: number): void {
  const db = new Database(segmentPath(dir, 2));
  db.exec(`DELETE FROM entry WHERE idx >= ${size}; DELETE FROM payload WHERE idx >= ${size}; DELETE FROM checkpoint WHERE size > ${size}`);
  db.close();
}

for (const [what, lose, [from, to]] of losses) {
  test(`a loss that is accepted is named, and the log goes on: ${what}`, async () => {
    const { dir, where, stateDir } = place();
    lose(dir);
    assert.throws(() => writeLog(dir, { groups: [] }), unable('AUDIT_ROLLBACK'));
    assert.notDeepEqual(failures(verifyDir(dir)), []);
    await assert.rejects(audit('recover', ...where), Usage, 'nothing happens by itself');
    const done = await audit('recover', '--accept-loss', ...where);
    assert.equal(done.stdout, `rows ${from} to ${to - 1} of epoch 2 are lost in ${dir}; the log goes on with epoch 3\n`);
    assert.equal(writeLog(dir, { groups: groups(2, 1) }).epoch, 3);
    const report = verifyDir(dir);
    assert.deepEqual(failures(report), []);
    assert(report.findings.some(({ code, severity }) => code === 'GAP_RECORDED' && severity === 'warn'));
    assert.equal((await audit('recover', '--accept-loss', '--json', ...where)).stdout, `{"schema":"mcp-bastion/audit-recover/1","dir":"${dir}","lost":null}\n`);
    // What was accepted is that loss and no other.
    rmSync(segmentPath(dir, 1));
    assert.notDeepEqual(failures(verifyDir(dir)), []);
    assert.deepEqual(acceptLoss({ dir, stateDir, key: key(), session: 's', now: () => NOW * 1000 }), null);
  });
}

test('a loss beyond the one that was accepted is a finding', async () => {
  const { dir, where } = place();
  cut(dir, 5);
  await audit('recover', '--accept-loss', ...where);
  assert.deepEqual(failures(verifyDir(dir)), []);
  cut(dir, 3);
  assert.deepEqual(failures(verifyDir(dir)), ['EPOCH_OVERLAP']);
});

test('a loss that was larger than what was accepted is a finding once the whole anchor file turns up', async () => {
  const { dir, where } = place();
  const anchors = anchorPath(segmentPath(dir, 2));
  const whole = readFileSync(anchors, 'utf8');
  cut(dir, 1);
  writeFileSync(anchors, `${whole.split('\n').slice(0, 2).join('\n')}\n`);
  assert.match((await audit('recover', '--accept-loss', ...where)).stdout, /^rows 1 to 2 of epoch 2 are lost/);
  assert.deepEqual(failures(verifyDir(dir)), []);
  writeFileSync(anchors, whole);
  assert.deepEqual(failures(verifyDir(dir)), ['ANCHOR_AHEAD']);
});

test('a log that is damaged, and not shortened, is not gone on with', async () => {
  const { dir, where } = place();
  const db = new Database(segmentPath(dir, 2));
  db.exec(`UPDATE entry SET body = replace(body, 'deny', 'hold') WHERE idx = 1`);
  db.close();
  await assert.rejects(audit('recover', '--accept-loss', ...where), unable('AUDIT_CORRUPT'));
  const shortened = place();
  cut(shortened.dir, 3);
  const both = new Database(segmentPath(shortened.dir, 2));
  both.exec(`UPDATE entry SET body = replace(body, 'deny', 'hold') WHERE idx = 1`);
  both.close();
  await assert.rejects(audit('recover', '--accept-loss', ...shortened.where), unable('AUDIT_CORRUPT'));
  const lost = place();
  rmSync(segmentPath(lost.dir, 2));
  writeFileSync(anchorPath(segmentPath(lost.dir, 2)), '{}\n');
  await assert.rejects(audit('recover', '--accept-loss', ...lost.where), unable('AUDIT_CORRUPT'));
});
