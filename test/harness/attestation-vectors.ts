// SPDX-License-Identifier: Apache-2.0
/** The documents of test/vectors/attestation, with what their index says of them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AWS_NITRO_ROOT_G1 } from '../../shared/attestation/root.ts';
import type { Expectations, VerifyRequest } from '../../shared/attestation/verify.ts';

export const folder: string = join(import.meta.dirname, '..', 'vectors', 'attestation');

export interface Positive {
  readonly file: string;
  readonly sha256: string;
  readonly timestampMs: number;
  /** The same, as a date. */
  readonly timestamp: string;
  readonly validFrom: string;
  readonly validTo: string;
  readonly module_id: string;
  readonly debug: boolean;
  readonly pcrCount: number;
  readonly pcrs: Readonly<Record<string, string>>;
  readonly public_key: number | 'null';
  readonly user_data: number | 'null';
  readonly nonce: number | 'null';
}

const index: { positive: readonly Positive[]; negative: readonly { file: string; why: string }[] } = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8'));

export const positives: readonly Positive[] = index.positive;
export const negatives: readonly { readonly file: string; readonly why: string }[] = index.negative;

export function read(file: string): Uint8Array {
  return new Uint8Array(readFileSync(join(folder, file)));
}

/** A document by the beginning of its file's name. */
export function positive(start: string): Positive {
  const found = positives.find((entry) => entry.file.startsWith(start));
  if (found === undefined) throw new Error(`no such vector: ${start}`);
  return found;
}

export const NO_EXPECTATIONS: Expectations = {
  pcrs: null,
  documents: null,
  nonce: null,
  channelSha256: null,
  allowDebug: false,
  allowFlags: false,
  acceptUnchecked: new Set(),
};

/** A request at a chosen time, with AWS's root. */
export function requestAt(ms: number, expect: Partial<Expectations> = {}): VerifyRequest {
  return { at: { ms, source: 'chosen' }, root: AWS_NITRO_ROOT_G1, expect: { ...NO_EXPECTATIONS, ...expect } };
}
