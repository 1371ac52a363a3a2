// SPDX-License-Identifier: Apache-2.0
/** Verifies what was exported from a log: an evidence bundle, or the proof of one row with its key beside it. */
import type { BundleReport } from '../audit/bundle.ts';
import { verifyBundle } from '../audit/bundle.ts';
import { parseVkey } from '../audit/checkpoint.ts';
import type { Finding } from '../audit/findings.ts';
import { Findings, verdictOf } from '../audit/findings.ts';
import { parseProof, verifyProof } from '../audit/proof.ts';
import { findingLine } from '../audit/report.ts';
import type { KeyStanding, Trust } from '../audit/verify.ts';
import { toHex } from '../bytes.ts';
import { Usage } from '../errors.ts';
import { wireJson } from '../json/canonical.ts';
import { jsonObject } from '../json/value.ts';
import { PROOF_LENGTH_MAX } from '../limits.ts';
import { readBundle } from './bundle-dir.ts';
import { readFile } from './files.ts';
import { createNativeVerify, nativeSha256 } from './native.ts';
import { visible } from './visible.ts';

const SCHEMA = 'mcp-bastion/verify-evidence/1';

export interface EvidenceOptions {
  readonly path: string;
  readonly trust: Trust | null;
  readonly acceptUnpinned: boolean;
  readonly json: boolean;
}

export interface Printed {
  readonly text: string;
  readonly exit: number;
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** @throws Unavailable FILE_UNREADABLE */
export function verifyBundleAt(options: EvidenceOptions): Printed {
  const read = readBundle(options.path);
  if (read.ok) return printed(verifyBundle(read.files, { trust: options.trust, verify: createNativeVerify(), sha256: nativeSha256 }), options);
  const findings = new Findings();
  findings.add(read.refusal.code, 'bundle', null, read.refusal.detail);
  return printed(reportOf(findings.list(), 'not-pinned'), options);
}

function reportOf(findings: readonly Finding[], standing: KeyStanding): BundleReport {
  return { verdict: verdictOf(findings), log: null, origin: null, rows: null, size: 0, root: null, key: null, standing, signedAt: null, payloads: 0, findings, notes: [] };
}

function readText(path: string, bytesMax: number, what: string): string {
  try {
    return decoder.decode(readFile(path, what, bytesMax));
  } catch (error) {
    // Bytes that are no UTF-8 are no proof; that is for the caller to say.
    if (error instanceof TypeError) return '';
    throw error;
  }
}

/** @throws Unavailable FILE_UNREADABLE, Usage */
export function verifyProofAt(options: EvidenceOptions): Printed {
  const findings = new Findings();
  const proof = parseProof(readText(options.path, PROOF_LENGTH_MAX, 'proof'));
  const vkey = parseVkey(readText(`${options.path}.vkey`, PROOF_LENGTH_MAX, 'key').replace(/\n$/, ''));
  if (vkey.kind !== 'key') throw new Usage('USAGE', 'the file beside the proof, of the same name and .vkey, is no ML-DSA-44 key', 'keep both files together');
  if (proof === undefined) {
    findings.add('PROOF_INVALID', 'proof', null, 'the file does not have the form of a proof');
    return printed(reportOf(findings.list(), 'not-pinned'), options);
  }
  if (proof.body === null) throw new Usage('USAGE', 'the proof does not hold its row', 'take one that was made with: mcp-bastion audit prove');
  const verdict = verifyProof(proof, proof.body, { publicKey: vkey.publicKey, verify: createNativeVerify(), sha256: nativeSha256 });
  if (!verdict.ok) {
    findings.add(verdict.code, 'proof', proof.index, verdict.detail);
    return printed(reportOf(findings.list(), 'not-pinned'), options);
  }
  const { row, origin, size, root, signedAt, key } = verdict;
  const pinned = options.trust?.get(row.log)?.has(key) === true;
  if (options.trust !== null && !pinned) findings.add('KEY_UNKNOWN', 'proof', null, "the trust file does not hold this log's key");
  const standing = options.trust === null ? 'not-pinned' : pinned ? 'pinned' : 'unknown';
  return printed({ ...reportOf(findings.list(), standing), log: row.log, origin, rows: { first: row.idx, last: row.idx }, size, root: toHex(root), key, signedAt }, options);
}

function printed(report: BundleReport, { acceptUnpinned, json }: EvidenceOptions): Printed {
  const { verdict } = report;
  const unpinned = report.standing === 'not-pinned' && !acceptUnpinned;
  const exit = verdict.kind === 'broken' ? 1 : verdict.kind === 'unreadable' || unpinned ? 3 : 0;
  const kind = verdict.kind === 'broken' ? 'refused' : verdict.kind === 'unreadable' ? 'unreadable' : unpinned ? 'unpinned' : 'verified';
  return { text: json ? asJson(report, kind, exit) : asText(report, kind), exit };
}

function asText(report: BundleReport, kind: string): string {
  const { verdict, rows } = report;
  const words = verdict.kind === 'ok' ? (kind === 'verified' ? 'OK' : 'NOT VERIFIED (key not pinned)') : `BROKEN (${verdict.code})`;
  const of = rows === null ? '' : ` rows=${rows.first}-${rows.last} size=${report.size} root=${report.root ?? 'none'}`;
  const lines = [`evidence: ${words}${of}`];
  if (kind === 'unpinned') lines.push('whose log this is was not checked: give --trust, or accept it with --accept-unchecked key');
  if (kind === 'verified' && report.standing === 'not-pinned') lines.push('accepted as unchecked: key');
  if (report.origin !== null) lines.push(`  origin: ${report.origin}`);
  if (report.key !== null) lines.push(`  key: ${report.key} ${report.standing === 'pinned' ? 'pinned' : report.standing === 'unknown' ? 'UNKNOWN to the trust file' : 'not pinned: taken from the evidence itself'}`);
  if (report.signedAt !== null) lines.push(`  signed at: ${timeOf(report.signedAt)}, by the log's own clock`);
  if (report.payloads > 0) lines.push(`  payloads: ${report.payloads}`);
  lines.push(...report.notes.map((note) => `  ${note}`), ...report.findings.map(findingLine));
  return `${lines.map(visible).join('\n')}\n`;
}

/** A signed time may be any number, and Date has an end. */
function timeOf(seconds: number): string {
  return seconds > 253_402_300_799 ? `${seconds} s after 1970` : new Date(seconds * 1000).toISOString();
}

function asJson(report: BundleReport, kind: string, exit: number): string {
  const { verdict, rows } = report;
  return `${wireJson(
    jsonObject({
      schema: SCHEMA,
      verdict: kind,
      exit,
      code: verdict.kind === 'ok' ? null : verdict.code,
      log: report.log,
      origin: report.origin,
      first: rows?.first ?? null,
      last: rows?.last ?? null,
      size: report.size,
      root: report.root,
      key: report.key,
      standing: report.standing,
      signed_at: report.signedAt,
      payloads: report.payloads,
      notes: [...report.notes],
      findings: report.findings.map((finding) => jsonObject({ ...finding })),
    }),
  )}\n`;
}
