// SPDX-License-Identifier: Apache-2.0
/** Sealed payloads from end to end: written by the log's thread, verified without a key, opened by their readers. */
import assert from 'node:assert/strict';
import { chmodSync, cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import Database from 'better-sqlite3';
import { segmentPath } from '../../../enclave/audit/files.ts';
import { openAuditLog } from '../../../enclave/audit/log.ts';
import { auditCommand } from '../../../enclave/host/audit.ts';
import { Unavailable, Usage } from '../../../shared/errors.ts';
import { BOOT, failures, NOW, row, verifyDir } from '../../harness/logs.ts';

const root = mkdtempSync(join(tmpdir(), 'audit-open-'));
after(() => rmSync(root, { recursive: true, force: true }));

async function audit(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  let [stdout, stderr] = ['', ''];
  const io = { stdout: { write: (text: string) => (stdout += text) }, stderr: { write: (text: string) => (stderr += text) }, env: {}, cwd: root, now: () => NOW * 1000 };
  return { code: await auditCommand(args, io), stdout, stderr };
}

const unable = (code: string) => (error: unknown): boolean => error instanceof Unavailable && error.code === code;
const alice = (await audit('reader', 'new', '-o', 'alice.json')).stdout.trim();
await audit('reader', 'new', '--output', 'eve.json');

const stateDir = join(root, 'state');
const used = { dir: null, stateDir, server: 'files', key: { kind: 'file', path: join(stateDir, 'keys', 'audit.seed') }, signature: 'per-commit', scrubPatterns: [{ name: 'r', source: 'SECRET-[0-9]+', replacement: '[X]' }], wall: NOW * 1000, mono: 0, payload: 'redacted', reserveBytes: 0 } as const;
const log = await openAuditLog({ ...used, readers: [alice], boot: { ...BOOT, payload: 'sealed' } });
await log.append(row(1, '{"a":"CANARY SECRET-1"}'));
await log.append({ ...row(2), payload: { media: 'text/plain', text: 'CANARY text' } });
await log.append(row(3));
await log.close();
const plain = await openAuditLog({ ...used, wall: NOW * 1000 + 4, boot: BOOT });
await plain.append(row(4, '{"plain":true}'));
await plain.close();

function changed(sql: string): string {
  const dir = mkdtempSync(join(root, 'c-'));
  cpSync(log.dir, dir, { recursive: true });
  const db = new Database(segmentPath(dir, 1));
  db.exec(sql);
  db.close();
  return dir;
}

test('an identity file is for its owner alone, and is never overwritten', async () => {
  assert.equal(statSync(join(root, 'alice.json')).mode & 0o777, 0o600);
  const before = readFileSync(join(root, 'alice.json'));
  await assert.rejects(audit('reader', 'new', '-o', 'alice.json'), unable('FILE_EXISTS'));
  assert.deepEqual(readFileSync(join(root, 'alice.json')), before);
  for (const args of [[], ['new'], ['show'], ['new', 'x', '-o', 'y']]) await assert.rejects(audit('reader', ...args), Usage, args.join(' '));
});

test('a sealed log holds nothing in clear, and verifies without a key', () => {
  const bytes = readdirSync(stateDir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1')).join('\0');
  assert(!bytes.includes('CANARY') && !bytes.includes('SECRET-1'));
  const report = verifyDir(log.dir);
  assert.deepEqual([report.findings, report.size], [[], 6]);
});

test('its reader opens each payload as the row commits to it', async () => {
  const opened = await audit('open', '--identity', 'alice.json', '--state', stateDir);
  const lines = opened.stdout.trimEnd().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(lines.map(({ idx, media, payload }) => [idx, media, payload]), [[1, 'application/json', '{"a":"CANARY [X]"}'], [2, 'text/plain', 'CANARY text']]);
  assert.deepEqual([opened.code, opened.stderr], [0, '2 opened, 0 for other readers, 0 wrong\n']);
  const one = await audit('open', '--identity', 'alice.json', '--row', '2', log.dir);
  assert.equal(one.stdout.trimEnd().split('\n').length, 1);
});

test('nobody else opens it', async () => {
  await assert.rejects(audit('open', '--identity', 'eve.json', '--state', stateDir), unable('FILE_UNREADABLE'));
  await assert.rejects(audit('open', '--identity', 'none.json', '--state', stateDir), unable('FILE_UNREADABLE'));
  await assert.rejects(audit('open', '--state', stateDir), Usage);
  await assert.rejects(audit('open', '--identity', 'alice.json', '--row', 'x'), Usage);
  chmodSync(join(root, 'eve.json'), 0o644);
  await assert.rejects(audit('open', '--identity', 'eve.json', '--state', stateDir), /can be read by others/);
});

test('a payload that was exchanged, moved or changed is told, with exit 1', async () => {
  const swapped = changed('CREATE TEMP TABLE t AS SELECT * FROM payload; UPDATE payload SET salt = (SELECT salt FROM t WHERE idx = 3 - payload.idx), data = (SELECT data FROM t WHERE idx = 3 - payload.idx) WHERE idx IN (1, 2)');
  const cut = changed('UPDATE payload SET data = substr(data, 1, length(data) - 1) WHERE idx = 1');
  for (const dir of [swapped, cut]) {
    const opened = await audit('open', '--identity', 'alice.json', dir);
    assert.equal(opened.code, 1);
    assert.match(opened.stderr, /epoch 1 row 1: changed, or of another row\n/);
  }
});

test('a payload in clear among sealed ones, and a sealed one among others, do not verify', () => {
  for (const sql of [
    `UPDATE payload SET media = 'application/json' WHERE idx = 1`,
    `UPDATE payload SET data = x'00' WHERE idx = 1`,
    `UPDATE payload SET media = 'application/vnd.mcp-bastion.sealed', data = zeroblob(4000) WHERE idx = 5`,
  ]) assert.deepEqual(failures(verifyDir(changed(sql))), ['PAYLOAD_MISMATCH'], sql);
});

test('a reader that is none stops the start', async () => {
  await assert.rejects(openAuditLog({ ...used, stateDir: join(root, 'other'), readers: ['mbr1:AAAA'], boot: BOOT }), unable('AUDIT_KEY'));
});
