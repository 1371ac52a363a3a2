// SPDX-License-Identifier: Apache-2.0
/** Freshness: the document's age at the instant of verification, and the nonce that was asked for. */
import { toHex } from '../bytes.ts';
import { ATTESTATION_AGE_MS_MAX, ATTESTATION_FIELD_BYTES_MAX, NONCE_BYTES_MIN } from '../limits.ts';
import type { Instant } from './chain.ts';
import { isoTime } from './chain.ts';
import type { Check } from './check.ts';
import { notChecked, ok, unwanted } from './check.ts';
import type { AttestationDocument } from './document.ts';
import { describeOptional } from './document.ts';

/** Whether a nonce of that length can be asked for. */
export function isNonceLength(bytes: number): boolean {
  return bytes >= NONCE_BYTES_MIN && bytes <= ATTESTATION_FIELD_BYTES_MAX;
}

/** Leaves live for three hours: that one is valid does not make a document of it a new one. */
export function checkFreshness(document: AttestationDocument, at: Instant): Check {
  const ageMs = at.ms - document.timestampMs;
  const range = `a document from within ${ATTESTATION_AGE_MS_MAX / 1000} s of ${isoTime(at.ms)}`;
  if (Math.abs(ageMs) > ATTESTATION_AGE_MS_MAX) return unwanted('freshness', 'DOCUMENT_STALE', range, isoTime(document.timestampMs));
  return ok('freshness', `made ${Math.abs(ageMs)} ms ${ageMs < 0 ? 'after' : 'before'} the ${at.source === 'clock' ? 'time now' : 'chosen time'}`);
}

export function checkNonce(document: AttestationDocument, expected: Uint8Array | null): Check {
  if (expected === null) return notChecked('nonce', 'no nonce is given: the document may be an old one');
  const { nonce } = document;
  if (nonce.state !== 'bytes') return unwanted('nonce', 'NONCE_MISMATCH', toHex(expected), describeOptional(nonce));
  if (!equalInConstantTime(nonce.bytes, expected)) return unwanted('nonce', 'NONCE_MISMATCH', toHex(expected), toHex(nonce.bytes));
  return ok('nonce', `${nonce.bytes.length} bytes, as asked for`);
}

function equalInConstantTime(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false;
  let difference = 0;
  for (const [index, byte] of left.entries()) difference |= byte ^ (right[index] ?? 0);
  return difference === 0;
}
