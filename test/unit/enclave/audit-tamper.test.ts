// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { appendFileSync, copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import Database from 'better-sqlite3';
import { anchorPath, segmentPath } from '../../../enclave/audit/files.ts';
import { signMessage } from '../../../enclave/audit/key.ts';
import type { AuditKey } from '../../../enclave/audit/key.ts';
import { buildBody, genesisHash } from '../../../shared/audit/body.ts';
import { cosignedMessage, keyIdOf, originOf, toVkey } from '../../../shared/audit/checkpoint.ts';
import { leafHash, rootOf } from '../../../shared/audit/merkle.ts';
import { fromHex, toHex, utf8 } from '../../../shared/bytes.ts';
import { canonicalJson } from '../../../shared/json/canonical.ts';
import type { JsonValue } from '../../../shared/json/value.ts';
import { BOOT, failures, groups, key, NOW, row, verifyDir, writeLog } from '../../harness/logs.ts';

const root = mkdtempSync(join(tmpdir(), 'audit-tamper-'));
after(() => rmSync(root, { recursive: true, force: true }));

/** Boot row, then 9 rows in groups of 3; anchor lines after the first group and at the end. */
const good = mkdtempSync(join(root, 'good-'));
const { log: LOG } = writeLog(good, { groups: groups(9, 3), anchorAfter: [0] });
const TRUST = new Map([[LOG, new Set([key().fingerprint])]]);

type Db = InstanceType<typeof Database>;

/** A copy of a directory, changed by SQL as whoever owns the file can: without CHECK constraints, with schema writes. */
function tampered(change: (db: Db, dir: string) => void, from = good): string {
  const dir = mkdtempSync(join(root, 'copy-'));
  cpSync(from, dir, { recursive: true });
  const db = new Database(segmentPath(dir, 1));
  db.pragma('ignore_check_constraints = ON');
  db.unsafeMode(true);
  change(db, dir);
  db.close();
  return dir;
}

const sql = (...texts: string[]) => (db: Db): void => texts.forEach((text) => db.exec(text));

test('an untouched log verifies and says what it rests on', () => {
  const report = verifyDir(good, TRUST);
  assert.deepEqual(report.findings, []);
  assert.deepEqual(report.verdict, { kind: 'ok' });
  assert.equal(report.size, 10);
  assert.equal(report.segments[0]?.checkpoints, 4);
  assert.equal(report.segments[0]?.standing, 'pinned');
  assert.deepEqual(report.anchored, { level: 'local', epoch: 1, size: 10 });
  assert.equal(report.ageSeconds, 60);
  assert(report.notes.some((note) => note.startsWith('tail-truncation: NOT DETECTABLE beyond epoch 1 size 10')));
  assert.equal(verifyDir(good).segments[0]?.standing, 'not-pinned');
});

/** Sets a column to NULL by taking NOT NULL out of the schema meanwhile. */
function nullified(table: string, columnSql: string): (db: Db) => void {
  return (db) => {
    const replaceSql = (from: string, to: string): void => {
      db.pragma('writable_schema = ON');
      db.prepare('UPDATE sqlite_schema SET sql = replace(sql, ?, ?) WHERE name = ?').run(from, to, table);
      db.pragma('writable_schema = RESET');
    };
    replaceSql(columnSql, columnSql.replace(' NOT NULL', ''));
    db.exec(`UPDATE ${table} SET ${columnSql.split(' ')[0]} = NULL`);
    replaceSql(columnSql.replace(' NOT NULL', ''), columnSql);
  };
}

const TABLE: [what: string, change: (db: Db, dir: string) => void, code: string][] = [
  ['a decision changed', sql(`UPDATE entry SET body = replace(body, '"deny"', '"allow"') WHERE idx = 4`), 'LEAF_MISMATCH'],
  ['a decision changed with its leaf', (db) => rewrite(db, 4, (body) => body.replace('"deny"', '"allow"')), 'PREV_MISMATCH'],
  ['white space in a body', (db) => rewrite(db, 4, (body) => `${body} `), 'ROW_BODY_NONCANONICAL'],
  ['a leaf changed', sql('UPDATE entry SET leaf = zeroblob(32) WHERE idx = 9'), 'LEAF_MISMATCH'],
  ['a row deleted', sql('DELETE FROM entry WHERE idx = 5'), 'ROW_MISSING'],
  ['a row deleted and the rest renumbered', sql('DELETE FROM entry WHERE idx = 5', 'DELETE FROM payload WHERE idx = 5', 'UPDATE entry SET idx = idx - 1 WHERE idx > 5'), 'ROW_FIELD_MISMATCH'],
  ['the first row deleted', sql('DELETE FROM entry WHERE idx = 0'), 'ROW_MISSING'],
  ['two rows swapped', sql('UPDATE entry SET idx = -1 WHERE idx = 2', 'UPDATE entry SET idx = 2 WHERE idx = 3', 'UPDATE entry SET idx = 3 WHERE idx = -1'), 'ROW_REORDERED'],
  ['a row doubled at the end', sql('INSERT INTO entry (idx, body, leaf) SELECT 10, body, leaf FROM entry WHERE idx = 9'), 'UNSIGNED_TAIL'],
  ['a row at a negative index', sql('INSERT INTO entry (idx, body, leaf) SELECT -5, body, leaf FROM entry WHERE idx = 9'), 'ROW_DUPLICATE'],
  ['all rows deleted', sql('DELETE FROM entry'), 'ROW_MISSING'],
  ['all checkpoints deleted', sql('DELETE FROM checkpoint'), 'UNSIGNED_TAIL'],
  ['the last checkpoint deleted', sql('DELETE FROM checkpoint WHERE size = 10'), 'UNSIGNED_TAIL'],
  ['a signature stripped to nothing', sql("UPDATE checkpoint SET sig = x'' WHERE size = 7"), 'SIG_MISSING'],
  ['all signatures NULL', nullified('checkpoint', 'sig BLOB NOT NULL'), 'SIG_MISSING'],
  ['all roots NULL', nullified('checkpoint', 'root BLOB NOT NULL'), 'ROOT_MISMATCH'],
  ['all salts NULL', nullified('payload', 'salt BLOB NOT NULL'), 'PAYLOAD_MISMATCH'],
  ['all payloads NULL', nullified('payload', 'data BLOB NOT NULL'), 'PAYLOAD_MISMATCH'],
  ['all times NULL', nullified('checkpoint', 'ts INTEGER NOT NULL'), 'SIG_INVALID'],
  ['all key ids NULL', nullified('checkpoint', 'key_id BLOB NOT NULL'), 'KEY_SWAPPED'],
  ['all leaves NULL', nullified('entry', 'leaf BLOB NOT NULL'), 'LEAF_MISMATCH'],
  ['a signature of zeros', sql('UPDATE checkpoint SET sig = zeroblob(2420) WHERE size = 7'), 'SIG_INVALID'],
  ['a short signature', sql('UPDATE checkpoint SET sig = zeroblob(10) WHERE size = 7'), 'SIG_INVALID'],
  ['two signatures swapped', sql('CREATE TEMP TABLE s AS SELECT size, sig FROM checkpoint', 'UPDATE checkpoint SET sig = (SELECT sig FROM s WHERE s.size = 11 - checkpoint.size) WHERE size IN (4, 7)'), 'SIG_INVALID'],
  ['a root changed', sql('UPDATE checkpoint SET root = zeroblob(32) WHERE size = 7'), 'ROOT_MISMATCH'],
  ['a time changed', sql('UPDATE checkpoint SET ts = ts + 1 WHERE size = 10'), 'SIG_INVALID'],
  ['a time set back', sql('UPDATE checkpoint SET ts = ts - 1 WHERE size = 10'), 'CHECKPOINT_REGRESSION'],
  ['a negative time', sql('UPDATE checkpoint SET ts = -1 WHERE size = 10'), 'SIG_INVALID'],
  ['a key id changed', sql("UPDATE checkpoint SET key_id = x'00000000' WHERE size = 7"), 'KEY_SWAPPED'],
  ['a checkpoint moved to another size', sql('UPDATE checkpoint SET size = 6 WHERE size = 7'), 'ROOT_MISMATCH'],
  ['a checkpoint of no size', sql('UPDATE checkpoint SET size = 0 WHERE size = 7'), 'ROOT_MISMATCH'],
  ['another key in meta', (db) => db.prepare("UPDATE meta SET v = ? WHERE k = 'vkey'").run(toVkey(originOf(LOG, 1), key(2).publicKey)), 'KEY_SWAPPED'],
  ['no key in meta', sql('DELETE FROM meta'), 'SIG_ALG_UNEXPECTED'],
  ['a key named after another log', (db) => db.prepare("UPDATE meta SET v = ? WHERE k = 'vkey'").run(toVkey(originOf('ff'.repeat(16), 1), key().publicKey)), 'KEY_SWAPPED'],
  ['a payload changed', sql(`UPDATE payload SET data = CAST('{"a":9}' AS BLOB) WHERE idx = 3`), 'PAYLOAD_MISMATCH'],
  ['a salt changed', sql('UPDATE payload SET salt = zeroblob(32) WHERE idx = 3'), 'PAYLOAD_MISMATCH'],
  ['a media type changed', sql("UPDATE payload SET media = 'text/html' WHERE idx = 3"), 'PAYLOAD_MISMATCH'],
  ['a payload for a row that has none', sql("INSERT INTO payload SELECT 0, salt, media, data FROM payload WHERE idx = 3"), 'PAYLOAD_MISMATCH'],
  ['a payload for no row', sql("INSERT INTO payload SELECT 99, salt, media, data FROM payload WHERE idx = 3"), 'PAYLOAD_MISMATCH'],
  ['a trigger', sql('CREATE TRIGGER t AFTER INSERT ON entry BEGIN DELETE FROM payload; END'), 'SCHEMA_UNEXPECTED'],
  ['a view', sql('CREATE VIEW v AS SELECT 1'), 'SCHEMA_UNEXPECTED'],
  ['a table renamed', sql('ALTER TABLE entry RENAME TO entries'), 'SCHEMA_UNEXPECTED'],
  ['another mark on the file', sql('PRAGMA user_version = 2'), 'SCHEMA_UNEXPECTED'],
  ['the tail cut off, anchor left', sql('DELETE FROM entry WHERE idx >= 7', 'DELETE FROM payload WHERE idx >= 7', 'DELETE FROM checkpoint WHERE size > 7'), 'ANCHOR_AHEAD'],
  ['an anchor line edited', (_db, dir) => edit(dir, (text) => text.replace('"n":1', '"n":2')), 'ANCHOR_CHAIN_BROKEN'],
  ['an anchor line taken out', (_db, dir) => edit(dir, (text) => text.split('\n').toSpliced(1, 1).join('\n')), 'ANCHOR_CHAIN_BROKEN'],
  ['anchor lines swapped', (_db, dir) => edit(dir, (text) => { const [a, b, ...rest] = text.split('\n'); return [b, a, ...rest].join('\n'); }), 'ANCHOR_CHAIN_BROKEN'],
  ['an anchor file that is empty', (_db, dir) => edit(dir, () => ''), 'ANCHOR_MISSING'],
  ['an anchor file that is gone', (_db, dir) => rmSync(anchorPath(segmentPath(dir, 1))), 'ANCHOR_MISSING'],
  ['an anchor file of something else', (_db, dir) => edit(dir, () => 'hello\n'), 'ANCHOR_CHAIN_BROKEN'],
];

function rewrite(db: Db, idx: number, change: (body: string) => string): void {
  const body = change(db.prepare('SELECT body FROM entry WHERE idx = ?').pluck().get(idx) as string);
  db.prepare('UPDATE entry SET body = ?, leaf = ? WHERE idx = ?').run(body, leafHash(utf8(body)), idx);
}

function edit(dir: string, change: (text: string) => string): void {
  const path = anchorPath(segmentPath(dir, 1));
  writeFileSync(path, change(readFileSync(path, 'utf8')));
}

for (const [what, change, code] of TABLE) {
  test(`found: ${what}`, () => {
    const report = verifyDir(tampered(change), TRUST);
    assert(failures(report).includes(code), `${code} is not in ${failures(report).join(', ')}`);
    assert.notEqual(report.verdict.kind, 'ok');
  });
}

type Members = Record<string, JsonValue>;

/** All of the log again, its rows changed and made consistent, signed by some key; the anchor file is taken away. */
function forged(signer: AuditKey, change: (members: Members, idx: number) => void): string {
  return tampered((db, dir) => {
    const origin = originOf(LOG, 1);
    let prev = toHex(genesisHash(fromHex(LOG) ?? assert.fail()));
    const leaves: Uint8Array[] = [];
    for (const stored of db.prepare('SELECT body FROM entry ORDER BY idx').pluck().all() as string[]) {
      const members = JSON.parse(stored) as Members;
      if (members['kind'] === 'boot') members['key'] = signer.fingerprint;
      members['prev'] = prev;
      change(members, leaves.length);
      const body = canonicalJson(members);
      const leaf = leafHash(utf8(body));
      db.prepare('UPDATE entry SET body = ?, leaf = ? WHERE idx = ?').run(body, leaf, leaves.length);
      prev = toHex(leaf);
      leaves.push(leaf);
    }
    for (const size of db.prepare('SELECT size FROM checkpoint').pluck().all() as number[]) {
      const treeRoot = rootOf(leaves.slice(0, size));
      const signature = signMessage(signer.privateKey, cosignedMessage({ origin, size, root: treeRoot, timestamp: NOW }));
      db.prepare('UPDATE checkpoint SET root = ?, ts = ?, key_id = ?, sig = ? WHERE size = ?').run(treeRoot, NOW, keyIdOf(origin, signer.publicKey), signature, size);
    }
    db.prepare("UPDATE meta SET v = ? WHERE k = 'vkey'").run(toVkey(origin, signer.publicKey));
    rmSync(anchorPath(segmentPath(dir, 1)));
  });
}

test('found: a log that was rewritten and signed anew, if the trust file is there', () => {
  const dir = forged(key(9), (members) => {
    if (members['decision'] === 'deny') members['decision'] = 'allow';
  });
  assert.deepEqual(failures(verifyDir(dir, TRUST)), ['ANCHOR_MISSING', 'KEY_UNKNOWN']);
  // Without a trust file only the missing anchor file shows, and the report says that the key is the log's own claim.
  assert.deepEqual(failures(verifyDir(dir)), ['ANCHOR_MISSING']);
  assert.equal(verifyDir(dir).segments[0]?.standing, 'not-pinned');
});

const MISWRITTEN: [what: string, change: (members: Members, idx: number) => void, code: string][] = [
  ['a row of another log', (members, idx) => { if (idx === 3) members['log'] = 'ff'.repeat(16); }, 'ROW_FIELD_MISMATCH'],
  ['a row of another epoch', (members, idx) => { if (idx === 3) members['epoch'] = 2; }, 'ROW_FIELD_MISMATCH'],
  ['a row that names another row before it', (members, idx) => { if (idx === 3) members['prev'] = '00'.repeat(32); }, 'PREV_MISMATCH'],
  ['a boot row of another key', (members, idx) => { if (idx === 0) members['key'] = '00'.repeat(32); }, 'KEY_SWAPPED'],
  ['a boot row that names half of an epoch before', (members, idx) => { if (idx === 0) members['prev_size'] = 5; }, 'ROW_FIELD_MISMATCH'],
  ['a log whose file is named after another epoch', (members) => { members['epoch'] = 7; }, 'ROW_FIELD_MISMATCH'],
  ['a clock that goes back', (members, idx) => { if (idx === 3) members['wall'] = NOW; }, 'TIME_REGRESSION'],
  ['a monotonic clock that goes back', (members, idx) => { if (idx === 3) members['mono'] = 9999; }, 'TIME_REGRESSION'],
  ['a first row that is no boot row', (members, idx) => {
    if (idx > 0) return;
    for (const name of Object.keys(members)) if (!COMMON.has(name)) delete members[name];
    Object.assign(members, { kind: 'close', session: 's', reason: 'r' });
  }, 'ROW_MISSING'],
  ['a later boot row that names an epoch before', (members, idx) => {
    if (idx !== 3) return;
    for (const name of Object.keys(members)) if (!COMMON.has(name)) delete members[name];
    Object.assign(members, BOOT, { key: key().fingerprint, key_custody: 'file', prev_origin: 'x', prev_size: 1, prev_root: '00'.repeat(32) });
  }, 'ROW_FIELD_MISMATCH'],
];
const COMMON = new Set(['_', 'log', 'epoch', 'idx', 'prev', 'wall', 'mono', 'pc', 'pc_bytes']);

for (const [what, change, code] of MISWRITTEN) {
  test(`found, though signed with the log's own key: ${what}`, () => {
    const { findings } = verifyDir(forged(key(), change));
    assert(findings.some((finding) => finding.code === code), findings.map((finding) => finding.code).join(', '));
  });
}

test('a rewritten log that is right in itself has no finding but its missing anchor file', () => {
  assert.deepEqual(verifyDir(forged(key(), () => undefined)).findings.map((finding) => finding.code), ['ANCHOR_MISSING']);
});

test('a finding says where, how often and in which file', () => {
  const gap = verifyDir(tampered(sql('DELETE FROM entry WHERE idx IN (5, 6)', 'DELETE FROM payload WHERE idx IN (5, 6)'))).findings.find(({ code }) => code === 'ROW_MISSING');
  assert.deepEqual([gap?.at, gap?.segment, gap?.detail], [5, '000000000001.sqlite', 'rows are missing']);
  const cut = verifyDir(tampered((db, dir) => {
    db.exec('DELETE FROM entry WHERE idx >= 7; DELETE FROM payload WHERE idx >= 7');
    edit(dir, (text) => `${text.split('\n').slice(0, 2).join('\n')}\n`);
  })).findings;
  assert.deepEqual(cut.map(({ code, at, count }) => [code, at, count]), [['ROW_MISSING', 7, 1]]);
});

test('found: another genuine log in the place of this one', () => {
  const other = mkdtempSync(join(root, 'other-'));
  writeLog(other, { groups: groups(2, 1) });
  assert.deepEqual(failures(verifyDir(other, TRUST)), ['KEY_UNKNOWN']);
});

test('found: a tail that was cut off and written on with the same key', () => {
  const dir = tampered(sql('DELETE FROM entry WHERE idx >= 4', 'DELETE FROM payload WHERE idx >= 4', 'DELETE FROM checkpoint WHERE size > 4'));
  const anchors = anchorPath(segmentPath(dir, 1));
  const kept = readFileSync(anchors, 'utf8');
  writeFileSync(anchors, `${kept.split('\n').slice(0, 2).join('\n')}\n`);
  writeLog(dir, { groups: groups(8, 4) });
  assert.deepEqual(failures(verifyDir(dir, TRUST)), [], 'with the anchors cut as well, nothing is left to see');
  writeFileSync(anchors, kept);
  assert(failures(verifyDir(dir, TRUST)).includes('ANCHOR_FORK'));
});

test('found: rows beyond the last checkpoint', () => {
  const dir = tampered((db) => {
    const before = db.prepare('SELECT leaf FROM entry WHERE idx = 9').pluck().get() as Uint8Array;
    const { fields, wall, mono } = row(50);
    const body = buildBody({ log: LOG, epoch: 1, idx: 10, prev: toHex(before) }, fields, { wall, mono }, null);
    db.prepare('INSERT INTO entry (idx, body, leaf) VALUES (10, ?, ?)').run(body, leafHash(utf8(body)));
  });
  assert.deepEqual(failures(verifyDir(dir, TRUST)), ['UNSIGNED_TAIL']);
});

test('a payload that was erased is told, and fails nothing', () => {
  const report = verifyDir(tampered(sql('DELETE FROM payload WHERE idx = 3')), TRUST);
  assert.deepEqual(report.findings.map(({ code, severity, count }) => [code, severity, count]), [['PAYLOAD_ERASED', 'info', 1]]);
  assert.equal(report.verdict.kind, 'ok');
});

test('a torn last anchor line is passed over', () => {
  const dir = tampered((_db, copy) => appendFileSync(anchorPath(segmentPath(copy, 1)), '{"n":2,"no'));
  assert.deepEqual(failures(verifyDir(dir, TRUST)), []);
});

test('a clock that went back is a warning', () => {
  const dir = mkdtempSync(join(root, 'clock-'));
  const { log } = writeLog(dir, { groups: [[row(10_000)], [row(5000)], [row(12_000)]] });
  const report = verifyDir(dir, new Map([[log, new Set([key().fingerprint])]]));
  assert.deepEqual(report.findings.map(({ code, severity }) => [code, severity]), [['TIME_REGRESSION', 'warn']]);
});

test('a tile that is wrong or missing is a warning, since it is a cache', () => {
  const dir = mkdtempSync(join(root, 'tile-'));
  writeLog(dir, { groups: groups(300, 100) });
  for (const change of [sql('DELETE FROM tile'), sql('UPDATE tile SET hashes = zeroblob(8192)')]) {
    const report = verifyDir(tampered(change, dir));
    assert.deepEqual(report.findings.map(({ code, severity }) => [code, severity]), [['TILE_CORRUPT', 'warn']]);
  }
});

test('a log that promises a signature per row must have one per row', () => {
  const boot = { kind: 'boot', version: '0', node: '0', server: 's', session: 's', policy: 'p', mode: 'enforce', order: 'strict', signature: 'per-row', payload: 'none' };
  const dir = mkdtempSync(join(root, 'per-row-'));
  writeLog(dir, { boot, groups: groups(3, 1) });
  assert.deepEqual(failures(verifyDir(dir)), []);
  const lax = mkdtempSync(join(root, 'per-row-lax-'));
  writeLog(lax, { boot, groups: groups(4, 2) });
  assert.deepEqual(failures(verifyDir(lax)), ['SIG_MISSING']);
});

test('epochs: each names the end of the one before, and none may be missing, doubled or changed', () => {
  const dir = mkdtempSync(join(root, 'epochs-'));
  for (const byte of [1, 2, 3]) writeLog(dir, { key: key(byte), groups: groups(2, 1) });
  const report = verifyDir(dir);
  assert.deepEqual(failures(report), []);
  assert.deepEqual(report.segments.map(({ epoch, size }) => [epoch, size]), [[1, 3], [2, 3], [3, 3]]);
  const cases: [string, (copy: string) => void, string][] = [
    ['the first is gone', (copy) => remove(copy, 1), 'EPOCH_GAP'],
    ['the middle one is gone', (copy) => remove(copy, 2), 'EPOCH_GAP'],
    ['only the database of the last is gone', (copy) => rmSync(segmentPath(copy, 3)), 'ANCHOR_AHEAD'],
    ['the second stands under another name', (copy) => move(copy, 2, 5), 'ROW_FIELD_MISMATCH'],
    ['the first is from another log', (copy) => replace(copy), 'ROW_FIELD_MISMATCH'],
    ['the first was written on', (copy) => continueFirst(copy), 'EPOCH_OVERLAP'],
  ];
  for (const [what, change, code] of cases) {
    const copy = mkdtempSync(join(root, 'epochs-'));
    cpSync(dir, copy, { recursive: true });
    change(copy);
    assert(failures(verifyDir(copy)).includes(code), `${what}: ${failures(verifyDir(copy)).join(', ')}`);
  }
  const single = verifyDir(segmentPath(dir, 2));
  assert.deepEqual(failures(single), []);
  assert(single.notes.some((note) => note.includes('epochs before 2')));
});

function remove(dir: string, epoch: number): void {
  rmSync(segmentPath(dir, epoch));
  rmSync(anchorPath(segmentPath(dir, epoch)));
}

function move(dir: string, from: number, to: number): void {
  copyFileSync(segmentPath(dir, from), segmentPath(dir, to));
  copyFileSync(anchorPath(segmentPath(dir, from)), anchorPath(segmentPath(dir, to)));
  remove(dir, from);
}

function replace(dir: string): void {
  const other = mkdtempSync(join(root, 'other-'));
  writeLog(other, { groups: groups(2, 1) });
  copyFileSync(segmentPath(other, 1), segmentPath(dir, 1));
  copyFileSync(anchorPath(segmentPath(other, 1)), anchorPath(segmentPath(dir, 1)));
}

/** Needs the first epoch's key, as someone who kept it has. */
function continueFirst(dir: string): void {
  const alone = mkdtempSync(join(root, 'alone-'));
  for (const path of [segmentPath, (at: string, epoch: number) => anchorPath(segmentPath(at, epoch))]) copyFileSync(path(dir, 1), path(alone, 1));
  writeLog(alone, { key: key(1), groups: groups(1, 1) });
  for (const path of [segmentPath, (at: string, epoch: number) => anchorPath(segmentPath(at, epoch))]) copyFileSync(path(alone, 1), path(dir, 1));
}

test('a file that is no database, or half of one, is unreadable and never verifies', () => {
  const dir = mkdtempSync(join(root, 'raw-'));
  cpSync(good, dir, { recursive: true });
  writeFileSync(segmentPath(dir, 1), 'not a database, but long enough to be looked at'.repeat(100));
  assert.equal(verifyDir(dir).verdict.kind, 'unreadable');
  cpSync(good, dir, { recursive: true });
  truncateSync(segmentPath(dir, 1), 8192);
  assert.notEqual(verifyDir(dir).verdict.kind, 'ok');
});
