// SPDX-License-Identifier: Apache-2.0
/**
 * The files of an evidence bundle. Only these names exist: nothing in a bundle decides where something is read or
 * written, so a name that climbs out of the folder is refused like any other that is not here.
 */
import { sha256Hex } from '../digest.ts';
import type { FindingCode } from './findings.ts';

export const SUMS = 'SHA256SUMS';
export const MANIFEST = 'bundle.json';
export const ROWS = 'rows.jsonl';
export const PAYLOADS = 'payloads.jsonl';
export const CHECKPOINT = 'checkpoint.txt';
export const KEY = 'key.vkey';
export const TRUST = 'trust.json';
export const POLICY = 'policy.txt';
export const ATTESTATION = 'attestation.cbor';
export const README = 'README.txt';
export const PROOFS = 'proofs';

const FIXED: ReadonlySet<string> = new Set([SUMS, MANIFEST, ROWS, PAYLOADS, CHECKPOINT, KEY, TRUST, POLICY, ATTESTATION, README]);
const REQUIRED: readonly string[] = [SUMS, MANIFEST, ROWS, CHECKPOINT, KEY];
const PROOF = /^proofs\/[0-9]{12}\.tlog-proof$/;
const LINE = /^([0-9a-f]{64}) {2}([^\n]+)$/;

export type BundleFiles = ReadonlyMap<string, Uint8Array>;

export interface BundleRefusal {
  readonly code: FindingCode;
  readonly detail: string;
}

/** Name of the proof of a row. */
export function proofName(idx: number): string {
  return `${PROOFS}/${String(idx).padStart(12, '0')}.tlog-proof`;
}

export function isBundleName(name: string): boolean {
  return FIXED.has(name) || PROOF.test(name);
}

/** The lines of SHA256SUMS, as sha256sum writes and checks them. */
export function sumsOf(files: BundleFiles): string {
  const names = [...files.keys()].filter((name) => name !== SUMS).sort();
  return names.map((name) => `${sha256Hex(files.get(name) ?? new Uint8Array(0))}  ${name}\n`).join('');
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text of a file, or undefined if it is not there or no UTF-8. */
export function textOf(files: BundleFiles, name: string): string | undefined {
  const bytes = files.get(name);
  if (bytes === undefined) return undefined;
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Whole lines of a file; undefined if it is not there, no UTF-8, or does not end with a line. */
export function linesOf(files: BundleFiles, name: string): string[] | undefined {
  const text = textOf(files, name);
  if (text === '') return [];
  return text?.endsWith('\n') === true ? text.slice(0, -1).split('\n') : undefined;
}

/** Checks that exactly the files are there that SHA256SUMS lists, with these contents. Null if so. */
export function checkFiles(files: BundleFiles): BundleRefusal | null {
  for (const name of files.keys()) {
    if (!isBundleName(name)) return { code: 'BUNDLE_PATH', detail: 'a file has a name that no bundle has' };
  }
  const missing = REQUIRED.find((name) => !files.has(name));
  if (missing !== undefined) return { code: 'BUNDLE_INVALID', detail: `${missing} is missing` };
  const lines = linesOf(files, SUMS);
  if (lines === undefined) return { code: 'BUNDLE_INVALID', detail: `${SUMS} is no text of whole lines` };
  const listed = new Set<string>([SUMS]);
  for (const line of lines) {
    const [, sum, name] = LINE.exec(line) ?? [];
    if (sum === undefined || name === undefined) return { code: 'BUNDLE_INVALID', detail: `a line of ${SUMS} is no sum and name` };
    if (!isBundleName(name)) return { code: 'BUNDLE_PATH', detail: `${SUMS} names a file that no bundle has` };
    if (listed.has(name)) return { code: 'BUNDLE_DUPLICATE', detail: `${SUMS} names a file twice` };
    listed.add(name);
    const bytes = files.get(name);
    if (bytes === undefined) return { code: 'BUNDLE_INVALID', detail: `${name} is listed and missing` };
    if (sha256Hex(bytes) !== sum) return { code: 'BUNDLE_SUM', detail: `${name} is not the file that was listed` };
  }
  const unlisted = [...files.keys()].find((name) => !listed.has(name));
  return unlisted === undefined ? null : { code: 'BUNDLE_INVALID', detail: `${unlisted} is not listed` };
}
