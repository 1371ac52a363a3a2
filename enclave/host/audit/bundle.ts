// SPDX-License-Identifier: Apache-2.0
/** Puts an evidence bundle together and writes it into a folder of its own. */
import { closeSync, constants, fsyncSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { toBase64 } from '../../../shared/audit/base64.ts';
import { ATTESTATION, CHECKPOINT, KEY, MANIFEST, PAYLOADS, POLICY, proofName, PROOFS, README, ROWS, SUMS, sumsOf, TRUST } from '../../../shared/audit/bundle-files.ts';
import { buildManifest, verifyBundle } from '../../../shared/audit/bundle.ts';
import { fingerprintOf } from '../../../shared/audit/checkpoint.ts';
import { buildProof } from '../../../shared/audit/proof.ts';
import { toHex, utf8 } from '../../../shared/bytes.ts';
import { Unavailable } from '../../../shared/errors.ts';
import { canonicalJson } from '../../../shared/json/canonical.ts';
import { jsonObject } from '../../../shared/json/value.ts';
import { createNativeVerify } from '../../audit/key.ts';
import type { Exported, ExportedRow } from './export.ts';
import { readmeOf } from './readme.ts';
import { hash } from 'node:crypto';

export interface Extras {
  readonly policy: Uint8Array | null;
  readonly attestation: Uint8Array | null;
}

/** All files of a bundle by name. @throws Unavailable AUDIT_CORRUPT if the bundle would not verify */
export function bundleOf(exported: Exported, extras: Extras): Map<string, Uint8Array> {
  const { rows, origin, size, note, vkey, log, publicKey } = exported;
  const first = rows[0]?.idx ?? 0;
  const last = rows.at(-1)?.idx ?? 0;
  const decoder = new TextDecoder();
  const files = new Map<string, Uint8Array>();
  files.set(MANIFEST, utf8(buildManifest({ origin, first, last, size })));
  files.set(ROWS, utf8(rows.map(({ body }) => `${decoder.decode(body)}\n`).join('')));
  for (const { idx, proof } of rows) files.set(proofName(idx), utf8(buildProof({ ...proof, body: null })));
  files.set(CHECKPOINT, utf8(note));
  files.set(KEY, utf8(`${vkey}\n`));
  files.set(TRUST, utf8(`${canonicalJson(jsonObject({ version: 1, logs: jsonObject({ [log]: [fingerprintOf(publicKey)] }) }))}\n`));
  const payloads = rows.flatMap(payloadLine);
  if (rows.some((row) => row.payload !== null)) files.set(PAYLOADS, utf8(payloads.join('')));
  if (extras.policy !== null) files.set(POLICY, extras.policy);
  if (extras.attestation !== null) files.set(ATTESTATION, extras.attestation);
  files.set(README, utf8(readmeOf({ origin, first, last, size, fingerprint: fingerprintOf(publicKey), names: [...files.keys()] })));
  files.set(SUMS, utf8(sumsOf(files)));
  const { verdict } = verifyBundle(files, { trust: null, verify: createNativeVerify(), sha256: (data) => hash('sha256', data, 'buffer') });
  if (verdict.kind !== 'ok') throw new Unavailable('AUDIT_CORRUPT', `the bundle would not verify (${verdict.code})`, verdict.code === 'POLICY_MISMATCH' ? 'no row was decided by that policy: give the one in force then' : 'look at the log with: mcp-bastion inspect-log --verify');
  return files;
}

function payloadLine({ idx, payload }: ExportedRow): string[] {
  const { salt, media, data } = payload ?? {};
  if (!(salt instanceof Uint8Array) || typeof media !== 'string' || !(data instanceof Uint8Array)) return [];
  return [`${canonicalJson(jsonObject({ idx, salt: toHex(salt), media, data: toBase64(data) }))}\n`];
}

/** Writes into a folder that must not exist; others cannot read it. @throws Unavailable FILE_EXISTS */
export function writeBundle(dir: string, files: ReadonlyMap<string, Uint8Array>): void {
  makeFolder(dir);
  makeFolder(join(dir, PROOFS));
  // The manifest comes last: a bundle that was not written to its end is none.
  const names = [...files.keys()].filter((name) => name !== MANIFEST);
  for (const name of [...names, MANIFEST]) writeNew(join(dir, name), files.get(name) ?? new Uint8Array(0));
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    throw unwritable(path, error);
  }
}

/** Creates a file that only its owner can read. @throws Unavailable FILE_EXISTS, FILE_UNREADABLE */
export function writeNew(path: string, bytes: Uint8Array): void {
  try {
    const file = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw unwritable(path, error);
  }
}

function unwritable(path: string, error: unknown): Unavailable {
  const exists = error instanceof Error && 'code' in error && error.code === 'EEXIST';
  if (exists) return new Unavailable('FILE_EXISTS', `${path} is there already`, 'name another, or move it away', error);
  return new Unavailable('FILE_UNREADABLE', `${path} cannot be written`, 'look at the folder, its owner and mode', error);
}
