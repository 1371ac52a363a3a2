// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { appendFileSync, cpSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import Database from 'better-sqlite3';
import { anchorPath, segmentPath } from '../../../enclave/audit/files.ts';
import { signMessage } from '../../../enclave/audit/key.ts';
import { findContinuation } from '../../../enclave/audit/recover.ts';
import { readTrust, trustPath } from '../../../enclave/audit/trust.ts';
import { anchorHash, buildAnchorLine } from '../../../shared/audit/anchor.ts';
import { buildNote, cosignedMessage, keyIdOf, originOf } from '../../../shared/audit/checkpoint.ts';
import { Unavailable } from '../../../shared/errors.ts';
import { BOOT, failures, groups, key, NOW, openWriter, row, verifyDir, writeLog } from '../../harness/logs.ts';

const root = mkdtempSync(join(tmpdir(), 'audit-recovery-'));
after(() => rmSync(root, { recursive: true, force: true }));

const folder = (): string => mkdtempSync(join(root, 'd-'));
const refused = (code: string) => (error: unknown): boolean => error instanceof Unavailable && error.code === code;

const good = folder();
const { log: LOG } = writeLog(good, { groups: groups(9, 3), anchorAfter: [0] });

function changed(change: (dir: string, db: InstanceType<typeof Database>) => void): string {
  const dir = folder();
  cpSync(good, dir, { recursive: true });
  const db = new Database(segmentPath(dir, 1));
  db.pragma('ignore_check_constraints = ON');
  change(dir, db);
  db.close();
  return dir;
}

test('a log goes on where it ended, whatever its size', () => {
  for (const size of [0, 1, 254, 255, 256, 511, 600]) {
    const dir = folder();
    writeLog(dir, { groups: groups(size, 100) });
    writeLog(dir, { groups: groups(3, 2) });
    const report = verifyDir(dir);
    assert.deepEqual(failures(report), [], String(size));
    assert.equal(report.size, size + 1 + 1 + 3);
  }
});

test('a long log goes on from its tiles, and from its rows where a tile is wrong', () => {
  const dir = folder();
  writeLog(dir, { groups: groups(700, 100), anchorAfter: [5] });
  const whole = findContinuation(dir, key().fingerprint, null);
  const tiles = findContinuation(dir, key().fingerprint, null, 300);
  const db = new Database(segmentPath(dir, 1));
  db.exec('UPDATE tile SET hashes = zeroblob(8192) WHERE n = 1');
  db.close();
  const rows = findContinuation(dir, key().fingerprint, null, 300);
  for (const { tree } of [tiles, rows]) {
    assert.deepEqual([tree.frontier.size, tree.prev, tree.frontier.root()], [701, whole.tree.prev, whole.tree.frontier.root()]);
    for (let at = 0; at < 400; at += 1) assert.deepEqual(tree.tiler.append(new Uint8Array(32)).map(({ level, n }) => [level, n]), at === 66 ? [[0, 2]] : at === 322 ? [[0, 3]] : []);
  }
});

test('a torn last anchor line is cut off, and the next one fits', () => {
  const dir = changed((copy) => appendFileSync(anchorPath(segmentPath(copy, 1)), '{"n":2,"note":"loc'));
  writeLog(dir, { groups: [] });
  assert.deepEqual(failures(verifyDir(dir)), []);
  assert.equal(readFileSync(anchorPath(segmentPath(dir, 1)), 'utf8').trimEnd().split('\n').length, 4);
});

test('a log whose process ended before its anchor line is whole', () => {
  const dir = folder();
  writeLog(dir, { groups: groups(6, 2), torn: true });
  assert.deepEqual(failures(verifyDir(dir)), []);
  writeLog(dir, { groups: groups(2, 1) });
  assert.deepEqual(failures(verifyDir(dir)), []);
});

test('an anchor line is due after 64 checkpoints, and none after it was written', () => {
  const { writer } = openWriter(folder());
  writer.boot(BOOT, NOW * 1000, 0);
  assert.equal(writer.anchorDueIn(), undefined);
  for (let at = 0; at < 63; at += 1) writer.commit([row(at)]);
  assert.equal(writer.anchorDueIn(), 1000);
  writer.commit([row(64)]);
  assert.equal(writer.anchorDueIn(), 0);
  writer.anchor();
  assert.equal(writer.anchorDueIn(), undefined);
  writer.close();
});

test('a start that ended before its first commit is begun again', () => {
  const dir = folder();
  writeFileSync(segmentPath(dir, 1), '');
  writeLog(dir, { groups: [] });
  const half = new Database(segmentPath(dir, 2));
  half.pragma('journal_mode = WAL');
  half.close();
  assert.deepEqual(failures(verifyDir(dir)), []);
  assert(verifyDir(dir).notes.some((note) => note.includes('never begun')));
  assert.equal(writeLog(dir, { key: key(2), groups: [] }).epoch, 2);
  assert.deepEqual(failures(verifyDir(dir)), []);
});

test('a log that is not as it was left is refused, and nothing of it is changed', () => {
  const sql = (text: string) => (_dir: string, db: InstanceType<typeof Database>): void => void db.exec(text);
  const cases: [string, string, string][] = [
    ['a row is missing', changed(sql('DELETE FROM entry WHERE idx = 5')), 'AUDIT_CORRUPT'],
    ['the last row is missing', changed(sql('DELETE FROM entry WHERE idx = 9')), 'AUDIT_CORRUPT'],
    ['a row was changed', changed(sql(`UPDATE entry SET body = replace(body, '"deny"', '"hold"') WHERE idx = 2`)), 'AUDIT_CORRUPT'],
    ['a leaf was changed', changed(sql('UPDATE entry SET leaf = zeroblob(32) WHERE idx = 2')), 'AUDIT_CORRUPT'],
    ['the last signature was changed', changed(sql('UPDATE checkpoint SET sig = zeroblob(2420) WHERE size = 10')), 'AUDIT_CORRUPT'],
    ['the last checkpoint is missing', changed(sql('DELETE FROM checkpoint WHERE size = 10')), 'AUDIT_CORRUPT'],
    ['the key is missing', changed(sql('DELETE FROM meta')), 'AUDIT_CORRUPT'],
    ['there is a trigger', changed(sql('CREATE TRIGGER t AFTER INSERT ON entry BEGIN DELETE FROM entry; END')), 'AUDIT_CORRUPT'],
    ['the tail was cut off', changed(sql('DELETE FROM entry WHERE idx >= 7; DELETE FROM checkpoint WHERE size > 7')), 'AUDIT_ROLLBACK'],
    ['the database is gone', changed((dir) => rmSync(segmentPath(dir, 1))), 'AUDIT_ROLLBACK'],
    ['the database is empty', changed((dir, db) => { db.close(); truncateSync(segmentPath(dir, 1), 0); }), 'AUDIT_ROLLBACK'],
    ['the anchor file is gone', changed((dir) => rmSync(anchorPath(segmentPath(dir, 1)))), 'AUDIT_CORRUPT'],
    ['the anchor file was changed', changed((dir) => writeFileSync(anchorPath(segmentPath(dir, 1)), 'x\n')), 'AUDIT_CORRUPT'],
    ['a later anchor line was changed', changed((dir) => editAnchors(dir, (lines) => lines.with(1, (lines[1] ?? '').replace('"n":1', '"n":2')))), 'AUDIT_CORRUPT'],
    ['the last anchor line was signed by another key', changed((dir) => editAnchors(dir, (lines) => [...lines, foreignAnchor(lines)])), 'AUDIT_CORRUPT'],
    ['a value breaks its constraint', changed(sql('UPDATE payload SET salt = zeroblob(5) WHERE idx = 2')), 'AUDIT_CORRUPT'],
    ['the first row is of another epoch', changed((dir) => rename(dir)), 'AUDIT_CORRUPT'],
    ['the file is no database', changed((dir) => writeFileSync(segmentPath(dir, 1), 'x'.repeat(9000))), 'AUDIT_CORRUPT'],
  ];
  for (const [what, dir, code] of cases) {
    const before = statSync(dir).mtimeMs;
    assert.throws(() => writeLog(dir, { groups: [] }), refused(code), what);
    assert(statSync(dir).mtimeMs >= before);
    assert.throws(() => writeLog(dir, { key: key(3), groups: [] }), refused(code), `${what}, with another key`);
  }
});

test('a log signed by a key that the trust file does not know is refused', () => {
  const dir = folder();
  cpSync(good, dir, { recursive: true });
  assert.throws(() => findContinuation(dir, key().fingerprint, new Map([[LOG, new Set(['00'.repeat(32)])]])), refused('AUDIT_KEY'));
  assert.equal(findContinuation(dir, key().fingerprint, new Map([[LOG, new Set([key().fingerprint])]])).begin, false);
});

test('a group that does not fit on the disk leaves nothing of itself', () => {
  const dir = folder();
  writeLog(dir, { groups: groups(4, 2) });
  const pragma = Reflect.get(Database.prototype, 'pragma') as (this: unknown, ...args: unknown[]) => unknown;
  Database.prototype.pragma = function limited(this: InstanceType<typeof Database>, ...args: unknown[]): unknown {
    const result = pragma.apply(this, args);
    if (args[0] === 'synchronous = FULL') pragma.call(this, 'max_page_count = 60');
    return result;
  };
  try {
    const { writer } = openWriter(dir);
    writer.boot(BOOT, NOW * 1000, 0);
    const large = Array.from({ length: 50 }, (_, at) => row(at, `"${'x'.repeat(20_000)}"`));
    assert.throws(() => writer.commit(large), { code: 'SQLITE_FULL' });
    writer.close();
  } finally {
    Reflect.set(Database.prototype, 'pragma', pragma);
  }
  const report = verifyDir(dir);
  assert.deepEqual(failures(report), []);
  assert.equal(report.size, 6);
  writeLog(dir, { groups: groups(1, 1) });
  assert.deepEqual(failures(verifyDir(dir)), []);
});

function editAnchors(dir: string, change: (lines: string[]) => string[]): void {
  const path = anchorPath(segmentPath(dir, 1));
  writeFileSync(path, `${change(readFileSync(path, 'utf8').trimEnd().split('\n')).join('\n')}\n`);
}

/** The next line of the chain, with the name and the key id of the log's key but a signature that is not its. */
function foreignAnchor(lines: readonly string[]): string {
  const origin = originOf(LOG, 1);
  const checkpoint = { origin, size: 10, root: new Uint8Array(32), timestamp: NOW };
  const signature = signMessage(key(5).privateKey, cosignedMessage(checkpoint));
  const note = buildNote({ ...checkpoint, keyId: keyIdOf(origin, key().publicKey), signature });
  return buildAnchorLine({ n: lines.length, prev: anchorHash(lines.at(-1) ?? ''), note });
}

function rename(dir: string): void {
  for (const pathOf of [segmentPath, (at: string, epoch: number) => anchorPath(segmentPath(at, epoch))]) renameSync(pathOf(dir, 1), pathOf(dir, 2));
}

const ROUNDS = Number(process.env['BASTION_ROUNDS'] ?? 10);

/** Starts the writer, kills it after so many milliseconds, gives what it had acknowledged. */
async function killedAfter(stateDir: string, delay: number): Promise<string[]> {
  const harness = new URL('../../harness/audit-writer.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [harness, stateDir, 'run'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  let timer: NodeJS.Timeout | undefined;
  for await (const chunk of child.stdout) {
    text += String(chunk);
    timer ??= setTimeout(() => child.kill('SIGKILL'), delay);
  }
  return text.slice(0, text.lastIndexOf('\n')).split('\n').filter((line) => line !== 'ready' && line !== '');
}

test(`kill -9 at ${ROUNDS} random moments loses no acknowledged row, and the log goes on each time`, async () => {
  const stateDir = folder();
  const dir = join(stateDir, 'audit', 'files', '0');
  let size = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const acknowledged = await killedAfter(stateDir, Math.random() * 80);
    const report = verifyDir(dir, readTrust(trustPath(stateDir)));
    assert.deepEqual(failures(report), [], `round ${round}`);
    assert.equal(report.segments.length, 1);
    assert(report.size > size, 'each start adds its boot row');
    size = report.size;
    const db = new Database(segmentPath(dir, 1));
    const leaf = db.prepare('SELECT lower(hex(leaf)) FROM entry WHERE idx = ?').pluck();
    for (const line of acknowledged) {
      const [idx, expected] = line.split(' ');
      assert.equal(leaf.get(Number(idx)), expected, `round ${round}, row ${idx}`);
    }
    db.close();
  }
});
