// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import Database from 'better-sqlite3';
import { segmentPath } from '../../../enclave/audit/files.ts';
import { openAuditLog } from '../../../enclave/audit/log.ts';
import type { AuditLogOptions } from '../../../enclave/audit/log.ts';
import { readTrust, trustPath } from '../../../enclave/audit/trust.ts';
import { Unavailable } from '../../../shared/errors.ts';
import { AUDIT_QUEUE_ROWS_MAX } from '../../../shared/limits.ts';
import { BOOT, failures, NOW, row, verifyDir } from '../../harness/logs.ts';

const root = mkdtempSync(join(tmpdir(), 'audit-log-'));
after(() => rmSync(root, { recursive: true, force: true }));

function options(over: Partial<AuditLogOptions> = {}): AuditLogOptions {
  return {
    dir: null,
    stateDir: mkdtempSync(join(root, 's-')),
    server: 'files',
    key: { kind: 'ephemeral' },
    boot: BOOT,
    payload: 'redacted',
    signature: 'per-commit',
    scrubPatterns: [{ name: 'redact_args[0]', source: 'SECRET-[0-9]+', replacement: '[REDACTED]' }],
    wall: NOW * 1000,
    mono: 0,
    ...over,
  };
}

const rejected = (code: string) => (error: unknown): boolean => error instanceof Unavailable && error.code === code;

test('rows are durable in the order of the calls, and the receipt says where', async () => {
  const used = options();
  const log = await openAuditLog(used);
  assert.equal(log.slot, 0);
  assert.equal(log.dir, join(used.stateDir, 'audit', 'files', '0'));
  assert.match(log.origin, /^localhost\/mcp-bastion\/[0-9a-f]{32}\/1$/);
  const receipts = await Promise.all(Array.from({ length: 50 }, (_, at) => log.append(row(at, `{"n":${at}}`))));
  assert.deepEqual(receipts.map((receipt) => receipt.idx), Array.from({ length: 50 }, (_, at) => at + 1));
  assert(receipts.every((receipt) => receipt.size > receipt.idx && receipt.origin === log.origin && /^[0-9a-f]{64}$/.test(receipt.leaf)));
  // A second process would read it now: the reader does not wait for the end.
  assert.deepEqual(failures(verifyDir(log.dir)), []);
  assert.equal(verifyDir(log.dir).size, 51);
  await log.close();
  const trust = readTrust(trustPath(used.stateDir));
  const report = verifyDir(log.dir, trust);
  assert.deepEqual(failures(report), []);
  assert.equal(report.segments[0]?.standing, 'pinned');
  assert.equal(report.segments[0]?.key, log.keyFingerprint);
  assert.deepEqual(report.anchored, { level: 'local', epoch: 1, size: 51 });
  const rows = read(log.dir).map((body) => [body['mono'], body['kind']]);
  assert.deepEqual(rows, [[0, 'boot'], ...Array.from({ length: 50 }, (_, at) => [at * 1000, 'call'])]);
});

function read(dir: string, epoch = 1): Record<string, unknown>[] {
  const db = new Database(segmentPath(dir, epoch), { readonly: true });
  const bodies = db.prepare('SELECT body FROM entry ORDER BY idx').pluck().all() as string[];
  db.close();
  return bodies.map((body) => JSON.parse(body) as Record<string, unknown>);
}

test('the files are for their owner alone', async () => {
  const log = await openAuditLog(options());
  await log.append(row(1, '{"a":1}'));
  assert.equal(statSync(log.dir).mode & 0o777, 0o700);
  for (const name of readdirSync(log.dir)) assert.equal(statSync(join(log.dir, name)).mode & 0o077, 0, name);
  await log.close();
});

test('per-row signs each row by itself', async () => {
  const log = await openAuditLog(options({ signature: 'per-row', boot: { ...BOOT, signature: 'per-row' } }));
  const receipts = await Promise.all(Array.from({ length: 10 }, (_, at) => log.append(row(at))));
  assert(receipts.every((receipt) => receipt.size === receipt.idx + 1));
  await log.close();
  assert.deepEqual(failures(verifyDir(log.dir)), []);
  assert.equal(verifyDir(log.dir).segments[0]?.checkpoints, 11);
});

test('a redacted secret stands in no file, and with payload none no text does', async () => {
  for (const payload of ['redacted', 'none'] as const) {
    const used = options({ payload, boot: { ...BOOT, payload } });
    const log = await openAuditLog(used);
    await log.append(row(1, '{"k\\u0065y":"x SECRET-123 y","SECRET-4":["\\u0053ECRET-56"],"plain":"CANARY-TEXT"}'));
    await log.append({ ...row(2), payload: { media: 'text/plain', text: 'not json SECRET-789 CANARY-TEXT' } });
    const before = contents(used.stateDir);
    await log.close();
    for (const text of [before, contents(used.stateDir)]) {
      assert(!/SECRET-[0-9]/.test(text) && !text.includes('ECRET-'), payload);
      assert.equal(text.includes('CANARY-TEXT'), payload === 'redacted');
    }
    assert.deepEqual(failures(verifyDir(log.dir)), []);
    const bodies = read(log.dir);
    assert.equal(bodies[1]?.['pc'] === null, payload === 'none');
    assert(!JSON.stringify(bodies).includes('CANARY'));
  }
});

/** Everything below a folder, as Latin-1. */
function contents(dir: string): string {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
    .join('\n');
}

test('a payload above the limit is stored as size and commitment; one that is no JSON is not stored', async () => {
  const log = await openAuditLog(options());
  await log.append(row(1, `{"a":"${'x'.repeat(1_100_000)}"}`));
  await log.append(row(2, 'this is no JSON'));
  await log.close();
  const [, large, broken] = read(log.dir);
  assert.equal(large?.['pc_bytes'], 1_100_008);
  assert.match(String(large?.['pc']), /^[0-9a-f]{64}$/);
  assert.deepEqual([broken?.['pc'], broken?.['pc_bytes']], [null, null]);
  const report = verifyDir(log.dir);
  assert.deepEqual(report.findings, []);
  assert.equal(report.segments[0]?.payloadsAbsent, 1);
});

test('a second writer of one directory gets a clear error, and the first is not disturbed', async () => {
  const used = options({ dir: mkdtempSync(join(root, 'd-')) });
  const log = await openAuditLog(used);
  assert.equal(log.slot, null);
  await assert.rejects(openAuditLog(used), rejected('AUDIT_LOCKED'));
  await log.append(row(1));
  await log.close();
  const next = await openAuditLog(used);
  await next.close();
  assert.deepEqual(failures(verifyDir(log.dir)), []);
});

test('eight processes at once take eight slots', async () => {
  const stateDir = mkdtempSync(join(root, 's-'));
  const harness = new URL('../../harness/audit-writer.ts', import.meta.url).pathname;
  const slots = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const child = spawn(process.execPath, [harness, stateDir, 'slot'], { stdio: ['pipe', 'pipe', 'inherit'] });
      let text = '';
      for await (const chunk of child.stdout) {
        text += String(chunk);
        if (text.includes('\n')) break;
      }
      return { slot: Number(text), child };
    }),
  );
  assert.equal(new Set(slots.map(({ slot }) => slot)).size, 8, slots.map(({ slot }) => slot).join(' '));
  await Promise.all(
    slots.map(({ child }) => {
      const ended = new Promise((resolve) => {
        child.on('exit', resolve);
      });
      child.stdin.end();
      return ended;
    }),
  );
  const trust = readTrust(trustPath(stateDir)) ?? assert.fail();
  assert.equal(trust.size, 8);
  for (const { slot } of slots) assert.deepEqual(failures(verifyDir(join(stateDir, 'audit', 'files', String(slot)), trust)), []);
});

test('a full disk makes the log unavailable, with nothing half-written', async () => {
  const stateDir = mkdtempSync(join(root, 's-'));
  const harness = new URL('../../harness/audit-writer.ts', import.meta.url).pathname;
  // No file of that process may grow above 6 MiB; the signal for that is ignored, so that writes fail instead.
  const child = spawn('sh', ['-c', 'trap "" XFSZ; ulimit -f "$1"; shift; exec "$@"', 'sh', '12288', process.execPath, harness, stateDir, 'fill'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  for await (const chunk of child.stdout) text += String(chunk);
  const { rows, codes, available, after: later } = JSON.parse(text) as { rows: number; codes: string[]; available: boolean; after: string };
  assert.deepEqual([new Set(codes), available, later], [new Set(['AUDIT_UNAVAILABLE']), false, 'AUDIT_UNAVAILABLE']);
  assert(rows > 0);
  const report = verifyDir(join(stateDir, 'audit', 'files', '0'), readTrust(trustPath(stateDir)));
  assert.deepEqual(failures(report), []);
  assert(report.size >= rows + 1);
});

test('a checkpoint gets its anchor line without another row', async () => {
  const log = await openAuditLog(options());
  await log.append(row(1));
  const anchored = (): number => {
    const { anchored: at } = verifyDir(log.dir);
    return at.level === 'local' ? at.size : 0;
  };
  while (anchored() < 2) {
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
  }
  await log.close();
});

test('a row that cannot be one makes the log unavailable, since its message must not move', async () => {
  const log = await openAuditLog(options());
  const bad = { ...row(1), fields: { ...row(1).fields, extra: 1 } };
  await assert.rejects(log.append(bad), rejected('AUDIT_UNAVAILABLE'));
  assert.equal(log.available, false);
  await log.close();
  assert.deepEqual(failures(verifyDir(log.dir)), []);
});

test('a draft that cannot be handed over rejects and never throws', async () => {
  const log = await openAuditLog(options());
  const bad = { ...row(1), fields: Object.assign(row(1).fields, { rule: (): string => 'x' }) };
  await assert.rejects(log.append(bad), rejected('AUDIT_UNAVAILABLE'));
  await log.close();
});

test('more rows than may wait are refused, and those that wait are written', async () => {
  const log = await openAuditLog(options());
  const outcomes = await Promise.allSettled(Array.from({ length: AUDIT_QUEUE_ROWS_MAX + 10 }, (_, at) => log.append(row(at))));
  assert.equal(outcomes.filter((outcome) => outcome.status === 'fulfilled').length, AUDIT_QUEUE_ROWS_MAX);
  assert.equal(log.available, true);
  await log.append(row(9999));
  await log.close();
  assert.equal(verifyDir(log.dir).size, AUDIT_QUEUE_ROWS_MAX + 2);
});

test('after the end nothing is taken any more; rows of the same turn still are', async () => {
  const log = await openAuditLog(options());
  const last = log.append(row(1));
  const closed = log.close();
  assert.equal(log.available, false);
  await assert.rejects(log.append(row(2)), rejected('AUDIT_UNAVAILABLE'));
  assert.equal((await last).idx, 1);
  await closed;
  await log.close();
  assert.equal(verifyDir(log.dir).size, 2);
});

test('a restart with the same key goes on in the same epoch; another key begins the next', async () => {
  const stateDir = mkdtempSync(join(root, 's-'));
  const path = join(stateDir, 'keys', 'audit.seed');
  const used = options({ stateDir, key: { kind: 'file', path } });
  for (let at = 0; at < 2; at += 1) {
    const log = await openAuditLog(used);
    await log.append(row(at));
    await log.close();
  }
  const other = await openAuditLog({ ...used, key: { kind: 'ephemeral' } });
  assert.equal(other.epoch, 2);
  await other.close();
  const report = verifyDir(other.dir, readTrust(trustPath(stateDir)));
  assert.deepEqual(failures(report), []);
  assert.deepEqual(report.segments.map(({ size }) => size), [4, 1]);
  const [boot] = read(other.dir, 2);
  const [first] = report.segments;
  assert.deepEqual([boot?.['prev_origin'], boot?.['prev_size'], boot?.['prev_root']], [first?.origin, 4, first?.root]);
  assert.equal(boot?.['key_custody'], 'ephemeral');
});

test('a key file that went away is not made anew for a log that it signed', async () => {
  const stateDir = mkdtempSync(join(root, 's-'));
  const path = join(stateDir, 'keys', 'audit.seed');
  const used = options({ stateDir, key: { kind: 'file', path } });
  const log = await openAuditLog(used);
  await log.close();
  rmSync(path);
  await assert.rejects(openAuditLog(used), rejected('AUDIT_KEY'));
  assert.throws(() => statSync(path), /ENOENT/);
});

test('a file of the log that is removed, moved or replaced under the writer makes the log unavailable', async () => {
  const attacks: readonly ((dir: string) => void)[] = [
    (dir) => rmSync(dir, { recursive: true }),
    (dir) => renameSync(dir, `${dir}-moved`),
    (dir) => rmSync(segmentPath(dir, 1)),
    (dir) => rmSync(`${segmentPath(dir, 1)}-wal`),
    (dir) => rmSync(join(dir, '000000000001.anchor.jsonl')),
    (dir) => rmSync(join(dir, 'writer.lock')),
    (dir) => {
      copyFileSync(segmentPath(dir, 1), join(dir, 'copy'));
      renameSync(join(dir, 'copy'), segmentPath(dir, 1));
    },
  ];
  for (const attack of attacks) {
    const log = await openAuditLog(options());
    await log.append(row(1));
    attack(log.dir);
    await assert.rejects(log.append(row(2)), rejected('AUDIT_UNAVAILABLE'), attack.toString());
    assert.equal(log.available, false);
    await log.close();
  }
});
