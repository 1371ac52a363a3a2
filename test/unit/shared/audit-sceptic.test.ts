// SPDX-License-Identifier: Apache-2.0
/**
 * The sceptic's list (audit reference, section 11) as far as it is about the verifier: any byte of the files, any cut and
 * any mixture. BASTION_ROUNDS says how many of each; the default is what a build can afford.
 */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import Database from 'better-sqlite3';
import { anchorPath, segmentPath } from '../../../enclave/audit/files.ts';
import { parseAnchorLine } from '../../../shared/audit/anchor.ts';
import { originOf } from '../../../shared/audit/checkpoint.ts';
import { Evidence, parseReceipt } from '../../../shared/audit/evidence.ts';
import { parseNote } from '../../../shared/audit/checkpoint.ts';
import type { Note } from '../../../shared/audit/checkpoint.ts';
import { leafHash } from '../../../shared/audit/merkle.ts';
import { UnreadableSegment } from '../../../shared/audit/source.ts';
import type { LogReport } from '../../../shared/audit/verify.ts';
import { verifyLog } from '../../../shared/audit/verify.ts';
import { toHex } from '../../../shared/bytes.ts';
import { LogSegment } from '../../../shared/cli/log-segment.ts';
import { createNativeVerify, nativeSha256 } from '../../../shared/cli/native.ts';
import { groups, key, NOW, row, writeLog } from '../../harness/logs.ts';

const root = mkdtempSync(join(tmpdir(), 'audit-sceptic-'));
after(() => rmSync(root, { recursive: true, force: true }));
const ROUNDS = Number(process.env['BASTION_ROUNDS'] ?? 80);

const good = mkdtempSync(join(root, 'good-'));
const { log: LOG } = writeLog(good, { groups: groups(12, 2), anchorAfter: [0, 1, 2, 3, 4] });
const PATH = segmentPath(good, 1);
const BYTES = readFileSync(PATH);
const TRUST = new Map([[LOG, new Set([key().fingerprint])]]);
const verify = createNativeVerify();

/** What a segment holds, as one digest; undefined if it cannot be read. */
function contentOf(segment: LogSegment): string {
  const plain = (values: Iterable<object>): string =>
    [...values].map((value) => Object.values(value).map((part: unknown) => (part instanceof Uint8Array ? toHex(part) : String(part))).join(' ')).join('\n');
  return [plain(segment.entries()), plain(segment.payloads()), plain(segment.checkpoints()), String(segment.vkey)].join('\n--\n');
}

function check(path: string, evidence?: Evidence): { report: LogReport; content: string | undefined } {
  let segment: LogSegment;
  try {
    segment = new LogSegment(path);
  } catch (error) {
    assert(error instanceof UnreadableSegment, String(error));
    const missing = { name: 's', epoch: 1, schema: 'missing', reason: 'unreadable', detail: error.message } as const;
    return { report: verifyLog([missing], { trust: TRUST, whole: true, unknownLogs: 'refuse', now: NOW }), content: undefined };
  }
  try {
    const report = verifyLog([segment], { trust: TRUST, whole: true, unknownLogs: 'refuse', now: NOW, verify, sha256: nativeSha256, ...(evidence === undefined ? {} : { evidence }) });
    return { report, content: report.verdict.kind === 'ok' ? contentOf(segment) : undefined };
  } finally {
    segment.close();
  }
}

const { report: first, content: CONTENT } = check(PATH);

test('the log is good before anything is done to it', () => {
  assert.deepEqual(first.findings, []);
  assert(BYTES.length > 50_000);
});

/** A generator of its own, so that a failure is found again by its round. */
function spots(seed: number, below: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state % below;
  };
}

function scratch(): string {
  const dir = mkdtempSync(join(root, 'copy-'));
  cpSync(anchorPath(PATH), anchorPath(segmentPath(dir, 1)));
  return segmentPath(dir, 1);
}

test('any byte of the database file changed: it is found, or what the log holds is still the same', () => {
  const path = scratch();
  const spot = spots(1, BYTES.length);
  let unseen = 0;
  for (let at = 0; at < ROUNDS; at += 1) {
    // The first hundred bytes say what SQLite takes the file for.
    const position = at % 2 === 0 && at < 200 ? at >> 1 : spot();
    const value = [BYTES[position] ?? 0].map((byte) => [byte ^ 1, byte ^ 0x80, 0, 0xff][at % 4] ?? 0)[0] ?? 0;
    writeFileSync(path, BYTES.with(position, value));
    const { report, content } = check(path);
    if (report.verdict.kind !== 'ok') continue;
    assert.equal(content, CONTENT, `byte ${position} = ${value}`);
    unseen += 1;
  }
  // Free space and what SQLite notes for itself: not everything in a file is evidence.
  assert(unseen < ROUNDS);
});

test('a database file that was cut at any length is never a good log', () => {
  const path = scratch();
  const length = spots(2, BYTES.length - 1);
  for (let at = 0; at < ROUNDS / 2; at += 1) {
    writeFileSync(path, BYTES);
    truncateSync(path, at === 0 ? 0 : length());
    const { report } = check(path);
    assert.notEqual(report.verdict.kind, 'ok', String(report.size));
  }
});

test('any byte of the anchor file changed is found', () => {
  const path = scratch();
  writeFileSync(path, BYTES);
  const anchors = readFileSync(anchorPath(PATH));
  const spot = spots(3, anchors.length - 1);
  for (let at = 0; at < ROUNDS; at += 1) {
    const position = spot();
    const byte = anchors[position] ?? 0;
    writeFileSync(anchorPath(path), anchors.with(position, [byte ^ 1, byte ^ 0x80, 0x0a][at % 3] === byte ? byte ^ 1 : ([byte ^ 1, byte ^ 0x80, 0x0a][at % 3] ?? 0)));
    assert.notEqual(check(path).report.verdict.kind, 'ok', `byte ${position}`);
  }
});

const notes: Note[] = readFileSync(anchorPath(PATH), 'utf8').split('\n').slice(0, -1).map((line) => parseNote(parseAnchorLine(line)?.note ?? '') ?? assert.fail());

function receiptOf(idx: number, size: number): string {
  const db = new Database(PATH, { readonly: true });
  const body = db.prepare('SELECT CAST(body AS BLOB) FROM entry WHERE idx = ?').pluck().get(idx) as Uint8Array;
  db.close();
  return JSON.stringify({ idx, leaf: toHex(leafHash(body)), origin: originOf(LOG, 1), size });
}

test('a log cut at any checkpoint and written on with its own key is found by one receipt or one checkpoint that was kept', () => {
  const receipt = parseReceipt(receiptOf(12, 13)) ?? assert.fail();
  for (const { size } of notes.slice(0, -1)) {
    const dir = mkdtempSync(join(root, 'cut-'));
    cpSync(good, dir, { recursive: true });
    const db = new Database(segmentPath(dir, 1));
    db.exec(`DELETE FROM entry WHERE idx >= ${size}; DELETE FROM payload WHERE idx >= ${size}; DELETE FROM checkpoint WHERE size > ${size}`);
    db.close();
    const lines = readFileSync(anchorPath(PATH), 'utf8').split('\n');
    const kept = notes.findIndex((note) => note.size === size) + 1;
    writeFileSync(anchorPath(segmentPath(dir, 1)), `${lines.slice(0, kept).join('\n')}\n`);
    for (const goesOn of [false, true]) {
      if (goesOn) writeLog(dir, { groups: [Array.from({ length: 14 }, (_, at) => row(9000 + at))] });
      const path = segmentPath(dir, 1);
      assert.equal(check(path).report.verdict.kind, 'ok', 'nothing beside the log shows it');
      assert.equal(verdictWith(path, [], [receipt]), 'RECEIPT_NOT_IN_LOG', `cut at ${size}`);
      assert.equal(verdictWith(path, [notes.at(-1) ?? assert.fail()], []), goesOn ? 'ANCHOR_FORK' : 'ANCHOR_AHEAD', `cut at ${size}`);
    }
  }
});

function verdictWith(path: string, anchors: Note[], receipts: NonNullable<ReturnType<typeof parseReceipt>>[]): string {
  const { verdict } = check(path, new Evidence(anchors, receipts)).report;
  return verdict.kind === 'ok' ? 'ok' : verdict.code;
}

test('every row deleted, doubled or moved by one is found', () => {
  const changes: ((idx: number) => string)[] = [
    (idx) => `DELETE FROM entry WHERE idx = ${idx}; DELETE FROM payload WHERE idx = ${idx}`,
    (idx) => `DELETE FROM entry WHERE idx = ${idx}; UPDATE entry SET idx = -idx WHERE idx > ${idx}; UPDATE entry SET idx = -idx - 1 WHERE idx < 0`,
    (idx) => `UPDATE entry SET idx = -idx - 1000 WHERE idx > ${idx}; UPDATE entry SET idx = -idx - 999 WHERE idx < 0; INSERT INTO entry (idx, body, leaf) SELECT idx + 1, body, leaf FROM entry WHERE idx = ${idx}`,
    (idx) => `UPDATE entry SET idx = -1 WHERE idx = ${idx}; UPDATE entry SET idx = ${idx} WHERE idx = ${(idx + 1) % 13}; UPDATE entry SET idx = ${(idx + 1) % 13} WHERE idx = -1`,
  ];
  const path = scratch();
  for (const change of changes) {
    for (let idx = 0; idx < 13; idx += 1) {
      writeFileSync(path, BYTES);
      const db = new Database(path);
      db.exec(change(idx));
      db.close();
      rmSync(`${path}-wal`, { force: true });
      rmSync(`${path}-shm`, { force: true });
      assert.equal(check(path).report.verdict.kind, 'broken', change(idx));
    }
  }
});

test('rows of one log in the place of those of another are found', () => {
  const other = mkdtempSync(join(root, 'other-'));
  writeLog(other, { groups: groups(12, 2), anchorAfter: [0, 1, 2, 3, 4] });
  const path = scratch();
  for (let idx = 0; idx < 13; idx += 4) {
    writeFileSync(path, BYTES);
    const db = new Database(path);
    db.exec(`ATTACH '${segmentPath(other, 1)}' AS o; REPLACE INTO entry (idx, body, leaf) SELECT idx, body, leaf FROM o.entry WHERE idx >= ${idx}; REPLACE INTO checkpoint SELECT * FROM o.checkpoint WHERE size > ${idx}; REPLACE INTO payload SELECT * FROM o.payload WHERE idx >= ${idx}`);
    db.close();
    assert.equal(check(path).report.verdict.kind, 'broken', `from row ${idx}`);
  }
});
