// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { anchorPath, segmentPath } from '../../../enclave/audit/files.ts';
import { createNativeVerify } from '../../../enclave/audit/key.ts';
import { SegmentReader } from '../../../enclave/audit/reader.ts';
import type { SegmentSource, StoredCheckpoint, StoredEntry, StoredPayload } from '../../../shared/audit/source.ts';
import { verifyLog } from '../../../shared/audit/verify.ts';
import { groups, key, NOW, writeLog } from '../../harness/logs.ts';

const dir = mkdtempSync(join(tmpdir(), 'audit-flip-'));
after(() => rmSync(dir, { recursive: true, force: true }));

interface Content {
  vkey: string;
  entries: StoredEntry[];
  payloads: StoredPayload[];
  checkpoints: StoredCheckpoint[];
  anchors: Buffer;
}

const { log } = writeLog(dir, { groups: groups(3, 2) });
const reader = new SegmentReader(segmentPath(dir, 1));
const CONTENT: Content = {
  vkey: String(reader.vkey),
  entries: [...reader.entries()],
  payloads: [...reader.payloads()],
  checkpoints: [...reader.checkpoints()],
  anchors: readFileSync(anchorPath(segmentPath(dir, 1))),
};
reader.close();

function sourceOf(content: Content): SegmentSource {
  return {
    name: '000000000001.sqlite',
    epoch: 1,
    schema: 'expected',
    vkey: content.vkey,
    grownTo: Number(content.checkpoints.at(-1)?.size ?? 0),
    entries: () => content.entries,
    payloads: () => content.payloads,
    checkpoints: () => content.checkpoints,
    tile: () => undefined,
    anchorLines: () => content.anchors.toString('utf8').split('\n').slice(0, -1),
  };
}

/** Thousands of logs differ in one byte: most signatures were looked at before. */
const known = new Map<string, boolean>();
const native = createNativeVerify();
function remembered(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const digest = createHash('sha256').update(publicKey).update(message).update(signature).digest('base64');
  const verdict = known.get(digest) ?? native(publicKey, message, signature);
  known.set(digest, verdict);
  return verdict;
}

function findingsOf(content: Content): string[] {
  const report = verifyLog([sourceOf(content)], {
    trust: new Map([[log, new Set([key().fingerprint])]]),
    unknownLogs: 'refuse',
    whole: true,
    now: NOW,
    verify: remembered,
  });
  return report.verdict.kind === 'ok' ? [] : report.findings.map((finding) => finding.code);
}

const CHANGES: readonly ((byte: number) => number)[] = [(byte) => byte ^ 1, (byte) => byte ^ 0x80, () => 0];

/** Signatures are long and all their bytes alike: a part of them is enough, BASTION_FLIP_ALL=1 takes them all. */
const STRIDE = process.env['BASTION_FLIP_ALL'] === '1' ? 1 : 13;

/** Every byte changed in one of three ways; each must be found, by one of the codes. */
function flipAll(bytes: Uint8Array, expected: readonly string[], put: (changed: Uint8Array) => Content): void {
  for (const [at, byte] of bytes.entries()) {
    if (bytes.length > 1024 && at % STRIDE !== 0) continue;
    const value = CHANGES[at % CHANGES.length]?.(byte) ?? 0;
    if (value === byte) continue;
    const found = findingsOf(put(new Uint8Array(bytes).with(at, value)));
    assert(found.some((code) => expected.includes(code)), `byte ${at}: ${found.join(', ') || 'nothing found'}`);
  }
}

const bytesOf = (value: unknown): Uint8Array => (value instanceof Uint8Array ? value : assert.fail());

test('the log is good before any byte of it is changed', () => {
  assert.deepEqual(findingsOf(CONTENT), []);
  assert.deepEqual([CONTENT.entries.length, CONTENT.payloads.length, CONTENT.checkpoints.length], [4, 3, 3]);
});

test('no log, or one epoch twice, does not verify', () => {
  const options = { trust: null, unknownLogs: 'refuse', whole: true, now: NOW } as const;
  assert.deepEqual(verifyLog([], options).verdict, { kind: 'broken', code: 'ROW_MISSING' });
  const twice = verifyLog([sourceOf(CONTENT), sourceOf(CONTENT)], { ...options, verify: remembered });
  assert(twice.findings.some(({ code }) => code === 'EPOCH_OVERLAP'));
});

test('the portable verifier comes to the same verdict', () => {
  const options = { trust: null, unknownLogs: 'refuse', whole: true, now: NOW } as const;
  assert.deepEqual(verifyLog([sourceOf(CONTENT)], options), verifyLog([sourceOf(CONTENT)], { ...options, verify: remembered }));
});

test('every byte of every body and leaf counts', () => {
  for (const [at, entry] of CONTENT.entries.entries()) {
    flipAll(bytesOf(entry.body), ['LEAF_MISMATCH'], (body) => ({ ...CONTENT, entries: CONTENT.entries.with(at, { ...entry, body }) }));
    flipAll(bytesOf(entry.leaf), ['LEAF_MISMATCH'], (leaf) => ({ ...CONTENT, entries: CONTENT.entries.with(at, { ...entry, leaf }) }));
  }
});

test('every byte of every payload and salt counts', () => {
  for (const [at, payload] of CONTENT.payloads.entries()) {
    flipAll(bytesOf(payload.data), ['PAYLOAD_MISMATCH'], (data) => ({ ...CONTENT, payloads: CONTENT.payloads.with(at, { ...payload, data }) }));
    flipAll(bytesOf(payload.salt), ['PAYLOAD_MISMATCH'], (salt) => ({ ...CONTENT, payloads: CONTENT.payloads.with(at, { ...payload, salt }) }));
    flipAll(Buffer.from(String(payload.media)), ['PAYLOAD_MISMATCH'], (media) => ({
      ...CONTENT,
      payloads: CONTENT.payloads.with(at, { ...payload, media: Buffer.from(media).toString('latin1') }),
    }));
  }
});

test('every byte of every checkpoint counts', () => {
  for (const [at, checkpoint] of CONTENT.checkpoints.entries()) {
    const put = (change: Partial<StoredCheckpoint>): Content => ({ ...CONTENT, checkpoints: CONTENT.checkpoints.with(at, { ...checkpoint, ...change }) });
    flipAll(bytesOf(checkpoint.root), ['ROOT_MISMATCH'], (root) => put({ root }));
    flipAll(bytesOf(checkpoint.keyId), ['KEY_SWAPPED'], (keyId) => put({ keyId }));
    flipAll(bytesOf(checkpoint.sig), ['SIG_INVALID'], (sig) => put({ sig }));
    for (const ts of [NOW - 1, NOW + 1, 0, -1, 0.5, 2 ** 53, null]) assert(findingsOf(put({ ts })).includes('SIG_INVALID'), String(ts));
    for (const size of [-1, 0, 99, 0.5, null, '1']) assert.notDeepEqual(findingsOf(put({ size })), [], String(size));
  }
});

test('every byte of the anchor file counts', () => {
  const codes = ['ANCHOR_CHAIN_BROKEN', 'SIG_INVALID', 'SIG_MISSING', 'ANCHOR_FORK', 'ANCHOR_MISSING'];
  const last = CONTENT.anchors.length - 1;
  for (const [at, byte] of CONTENT.anchors.entries()) {
    const value = CHANGES[at % CHANGES.length]?.(byte) ?? 0;
    // Without its newline the last line counts as torn, as a killed writer leaves it.
    if (value === byte || at === last || at % STRIDE !== 0) continue;
    const found = findingsOf({ ...CONTENT, anchors: Buffer.from(new Uint8Array(CONTENT.anchors).with(at, value)) });
    assert(found.some((code) => codes.includes(code)), `byte ${at}: ${found.join(', ') || 'nothing found'}`);
  }
});

test('every byte of the key counts', () => {
  const codes = ['KEY_SWAPPED', 'SIG_ALG_UNEXPECTED', 'KEY_UNKNOWN'];
  flipAll(Buffer.from(CONTENT.vkey), codes, (changed) => ({ ...CONTENT, vkey: Buffer.from(changed).toString('latin1') }));
});

test('a value of another type in any column is found and never throws', () => {
  const values: unknown[] = [null, undefined, 0, 1, -1, 1.5, '', 'x', new Uint8Array(0), new Uint8Array(32), 2 ** 60];
  const columns: [keyof Pick<Content, 'entries' | 'payloads' | 'checkpoints'>, string][] = [
    ['entries', 'idx'],
    ['entries', 'body'],
    ['entries', 'leaf'],
    ['payloads', 'idx'],
    ['payloads', 'salt'],
    ['payloads', 'media'],
    ['payloads', 'data'],
    ['checkpoints', 'size'],
    ['checkpoints', 'root'],
    ['checkpoints', 'ts'],
    ['checkpoints', 'keyId'],
    ['checkpoints', 'sig'],
  ];
  for (const [table, column] of columns) {
    for (const value of values) {
      const rows: object[] = [...CONTENT[table]];
      const original = Reflect.get(rows[1] ?? {}, column) as unknown;
      if (original === value) continue;
      rows[1] = { ...rows[1], [column]: value };
      assert.notDeepEqual(findingsOf({ ...CONTENT, [table]: rows }), [], `${table}.${column} = ${String(value)}`);
    }
  }
});
