// SPDX-License-Identifier: Apache-2.0
/**
 * Verifies an evidence bundle: some rows of a log, each with its proof against one signed checkpoint. It shows that these
 * rows stand in the log that the key signed, in this order and without a hole between them; of rows beside them, and of
 * what came later, it shows nothing (audit reference, 2.9).
 */
import { sha256Hex } from '../digest.ts';
import { canonicalJson } from '../json/canonical.ts';
import { parseStrictJson } from '../json/parse.ts';
import { isJsonObject, jsonObject } from '../json/value.ts';
import { BUNDLE_ROWS_MAX } from '../limits.ts';
import { equalBytes, fromHex, toHex, utf8 } from '../bytes.ts';
import { fromBase64 } from './base64.ts';
import type { RowBody } from './body.ts';
import { payloadPreimage } from './body.ts';
import type { BundleFiles } from './bundle-files.ts';
import { ATTESTATION, CHECKPOINT, checkFiles, KEY, linesOf, MANIFEST, PAYLOADS, POLICY, proofName, PROOFS, ROWS, textOf } from './bundle-files.ts';
import type { VerifySignature } from './checkpoint.ts';
import { fingerprintOf, parseVkey } from './checkpoint.ts';
import type { Finding, FindingCode, Verdict } from './findings.ts';
import { Findings, verdictOf } from './findings.ts';
import type { Sha256 } from './merkle.ts';
import { leafHash } from './merkle.ts';
import { parseProof, verifyProof } from './proof.ts';
import type { KeyStanding, Trust } from './verify.ts';

export const BUNDLE_FORMAT = 'mcp-bastion/bundle/1';

/** What a bundle says of itself; all of it is checked against the rows and the checkpoint. */
export interface BundleManifest {
  readonly origin: string;
  readonly first: number;
  readonly last: number;
  readonly size: number;
}

export function buildManifest({ origin, first, last, size }: BundleManifest): string {
  return `${canonicalJson(jsonObject({ format: BUNDLE_FORMAT, origin, first, last, size }))}\n`;
}

/** Undefined unless it is what buildManifest writes for its content. */
export function parseManifest(text: string): BundleManifest | undefined {
  const parsed = parseStrictJson(utf8(text));
  if (!parsed.ok || !isJsonObject(parsed.value)) return undefined;
  const { origin, first, last, size } = parsed.value;
  if (typeof origin !== 'string' || typeof first !== 'number' || typeof last !== 'number' || typeof size !== 'number') return undefined;
  const manifest = { origin, first, last, size };
  if (!(first >= 0 && first <= last && last < size) || !Number.isSafeInteger(size)) return undefined;
  return buildManifest(manifest) === text ? manifest : undefined;
}

export interface BundleOptions {
  readonly trust: Trust | null;
  readonly verify: VerifySignature;
  readonly sha256: Sha256;
}

export interface BundleReport {
  readonly verdict: Verdict;
  readonly log: string | null;
  readonly origin: string | null;
  readonly rows: { readonly first: number; readonly last: number } | null;
  readonly size: number;
  readonly root: string | null;
  readonly key: string | null;
  readonly standing: KeyStanding;
  readonly signedAt: number | null;
  readonly payloads: number;
  readonly findings: readonly Finding[];
  readonly notes: readonly string[];
}

const NOTHING: Omit<BundleReport, 'verdict' | 'findings' | 'notes'> = { log: null, origin: null, rows: null, size: 0, root: null, key: null, standing: 'not-pinned', signedAt: null, payloads: 0 };

export function verifyBundle(files: BundleFiles, options: BundleOptions): BundleReport {
  const findings = new Findings();
  const fail = (code: FindingCode, at: number | null, detail: string): void => findings.add(code, 'bundle', at, detail);
  const refusal = checkFiles(files);
  if (refusal !== null) fail(refusal.code, null, refusal.detail);
  const facts = refusal === null ? checkContent(files, options, fail) : NOTHING;
  const list = findings.list();
  return { ...facts, verdict: verdictOf(list), findings: list, notes: notesOn(files, facts) };
}

type Fail = (code: FindingCode, at: number | null, detail: string) => void;

function checkContent(files: BundleFiles, options: BundleOptions, fail: Fail): typeof NOTHING {
  const manifest = parseManifest(textOf(files, MANIFEST) ?? '');
  const vkey = parseVkey(textOf(files, KEY)?.replace(/\n$/, '') ?? '');
  const lines = linesOf(files, ROWS);
  if (manifest === undefined || lines === undefined) {
    fail('BUNDLE_INVALID', null, `${manifest === undefined ? MANIFEST : ROWS} does not have its form`);
    return NOTHING;
  }
  if (vkey.kind !== 'key') {
    fail('SIG_ALG_UNEXPECTED', null, `${KEY} is no ML-DSA-44 key`);
    return NOTHING;
  }
  const { first, last } = manifest;
  if (lines.length !== last - first + 1 || lines.length > BUNDLE_ROWS_MAX) fail('ROW_MISSING', null, 'there are not as many rows as the bundle says');
  if (vkey.name !== manifest.origin) fail('KEY_SWAPPED', null, 'the key is named after another log');
  const rows = checkRows(files, lines, manifest, vkey.publicKey, options, fail);
  const key = fingerprintOf(vkey.publicKey);
  const log = rows.read[0]?.log ?? null;
  const standing = standingOf(options.trust, log, key, fail);
  const payloads = checkPayloads(files, rows.read, options.sha256, fail);
  checkPolicy(files, rows.read, fail);
  return { log, origin: manifest.origin, rows: { first, last }, size: manifest.size, root: rows.root, key, standing, signedAt: rows.signedAt, payloads };
}

interface CheckedRows {
  readonly read: readonly RowBody[];
  readonly root: string | null;
  readonly signedAt: number | null;
}

function checkRows(files: BundleFiles, lines: readonly string[], manifest: BundleManifest, publicKey: Uint8Array, options: BundleOptions, fail: Fail): CheckedRows {
  const { first } = manifest;
  const note = textOf(files, CHECKPOINT) ?? '';
  const verify = once(options.verify);
  const read: RowBody[] = [];
  let before: string | null = null;
  let root: string | null = null;
  let signedAt: number | null = null;
  for (const [at, line] of lines.entries()) {
    const idx = first + at;
    const body = utf8(line);
    const proof = parseProof(textOf(files, proofName(idx)) ?? '');
    if (proof === undefined || proof.note !== note || proof.body !== null) {
      fail('PROOF_INVALID', idx, 'a row has no proof against the checkpoint of the bundle');
      continue;
    }
    const verdict = verifyProof(proof, body, { publicKey, verify, sha256: options.sha256 });
    if (!verdict.ok) {
      fail(verdict.code, idx, verdict.detail);
      before = null;
      continue;
    }
    const { row } = verdict;
    if (row.idx !== idx) fail('ROW_REORDERED', idx, 'a row does not stand where it was written');
    if (before !== null && row.prev !== before) fail('PREV_MISMATCH', idx, 'a row does not name the row before it');
    if (verdict.origin !== manifest.origin || verdict.size !== manifest.size) fail('ROW_FIELD_MISMATCH', idx, 'the checkpoint is not the one that the bundle names');
    before = toHex(leafHash(body, options.sha256));
    root = toHex(verdict.root);
    signedAt = verdict.signedAt;
    read.push(row);
  }
  const proofs = [...files.keys()].filter((name) => name.startsWith(`${PROOFS}/`)).length;
  if (proofs !== lines.length) fail('BUNDLE_INVALID', null, 'there is a proof without a row');
  return { read, root, signedAt };
}

/** All proofs carry one checkpoint: its signature is verified once. */
function once(verify: VerifySignature): VerifySignature {
  let known: { readonly message: Uint8Array; readonly signature: Uint8Array; readonly verdict: boolean } | undefined;
  return (publicKey, message, signature) => {
    if (known === undefined || !equalBytes(known.message, message) || !equalBytes(known.signature, signature)) {
      known = { message, signature, verdict: verify(publicKey, message, signature) };
    }
    return known.verdict;
  };
}

function standingOf(trust: Trust | null, log: string | null, key: string, fail: Fail): KeyStanding {
  if (trust === null) return 'not-pinned';
  if (log !== null && trust.get(log)?.has(key) === true) return 'pinned';
  fail('KEY_UNKNOWN', null, "the trust file does not hold this log's key");
  return 'unknown';
}

/** Each line is `{"idx","salt","media","data"}`: the salt in hex, the data in base64. */
function checkPayloads(files: BundleFiles, rows: readonly RowBody[], hash: Sha256, fail: Fail): number {
  if (!files.has(PAYLOADS)) return 0;
  const lines = linesOf(files, PAYLOADS);
  if (lines === undefined) fail('BUNDLE_INVALID', null, `${PAYLOADS} does not have its form`);
  const owners = new Map(rows.map((row) => [row.idx, row]));
  for (const line of lines ?? []) {
    const parsed = parseStrictJson(utf8(line));
    const { idx, salt, media, data } = parsed.ok && isJsonObject(parsed.value) && Object.keys(parsed.value).length === 4 ? parsed.value : {};
    const owner = typeof idx === 'number' ? owners.get(idx) : undefined;
    const bytes = typeof data === 'string' ? fromBase64(data) : undefined;
    const salted = typeof salt === 'string' ? fromHex(salt) : undefined;
    const isMedia = media === 'application/json' || media === 'text/plain';
    const commitment = owner?.commitment ?? null;
    const right = isMedia && commitment !== null && bytes?.length === commitment.bytes && salted?.length === 32 && toHex(hash(payloadPreimage(salted, bytes))) === commitment.pc;
    if (!right) fail('PAYLOAD_MISMATCH', typeof idx === 'number' ? idx : null, 'a payload is not the one that its row commits to');
    if (owner !== undefined) owners.delete(owner.idx);
  }
  return lines?.length ?? 0;
}

function checkPolicy(files: BundleFiles, rows: readonly RowBody[], fail: Fail): void {
  const policy = files.get(POLICY);
  if (policy === undefined) return;
  const digest = sha256Hex(policy);
  if (!rows.some((row) => row.members['policy'] === digest)) fail('POLICY_MISMATCH', null, 'no row was decided by the policy that is here');
}

function notesOn(files: BundleFiles, { rows, size }: typeof NOTHING): string[] {
  if (rows === null) return [];
  const notes = [`these are rows ${rows.first} to ${rows.last} of a log that had ${size}; what stands before or after them is not part of the bundle`];
  if (!files.has(PAYLOADS)) notes.push('payloads are not part of the bundle');
  if (files.has(ATTESTATION)) notes.push(`${ATTESTATION} was not checked: see bastion-verify-pcrs`);
  return notes;
}
