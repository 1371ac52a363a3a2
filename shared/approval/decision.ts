// SPDX-License-Identifier: Apache-2.0
/**
 * An approver's decision: an Ed25519 signature over "mcp-bastion/approval/1\0", the word that is meant, the reason and
 * the whole ticket, never over an id (design, section 8). The word is signed too, so that an approval cannot be turned
 * into a denial or the other way round; so is the reason, because it is shown to the client.
 */
import { fromBase64 } from '../audit/base64.ts';
import { concatBytes, utf8 } from '../bytes.ts';
import { parseStrictJson } from '../json/parse.ts';
import type { JsonValue } from '../json/value.ts';
import { isJsonObject } from '../json/value.ts';
import { APPROVAL_REASON_LENGTH_MAX, APPROVAL_TEXT_LENGTH_MAX } from '../limits.ts';

export type Decision = 'approve' | 'deny';

/** What somebody who says to be an approver sends. */
export interface Attempt {
  readonly approver: string;
  readonly decision: Decision;
  /** For a denial; empty where none is given. */
  readonly reason: string;
  /** 64 bytes, not verified yet. */
  readonly signature: Uint8Array;
}

/** Verifies Ed25519 (RFC 8032) with a 32-byte public key; node:crypto or WebCrypto in the caller's hands. */
export type VerifyEd25519 = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean;

export const ED25519_SIGNATURE_BYTES = 64;
/** Ends the parts of the signed bytes: neither the word nor a reason can hold it. */
const NUL = Uint8Array.of(0);
const CONTEXT = utf8('mcp-bastion/approval/1\0');
const ATTEMPT_KEYS: ReadonlySet<string> = new Set(['approver', 'decision', 'reason', 'signature']);

/** True for a reason that fits on one line: it may be empty. */
export function isReason(text: string): boolean {
  return text.length <= APPROVAL_REASON_LENGTH_MAX && text.isWellFormed() && !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(text);
}

/**
 * The bytes that an approver signs.
 * @param canonical ticketBytes of the ticket that was displayed
 * @throws RangeError for a reason that is none
 */
export function signingInput(decision: Decision, reason: string, canonical: Uint8Array): Uint8Array {
  if (!isReason(reason)) throw new RangeError('not a reason');
  return concatBytes(CONTEXT, utf8(decision), NUL, utf8(reason), NUL, canonical);
}

/** True if the signature is one by this key over this very decision on this very ticket. */
export function verifyDecision(attempt: Attempt, canonical: Uint8Array, publicKey: Uint8Array, verify: VerifyEd25519): boolean {
  if (!isReason(attempt.reason) || !isCanonicalSignature(attempt.signature)) return false;
  return verify(publicKey, signingInput(attempt.decision, attempt.reason, canonical), attempt.signature);
}

/** The order of the base point, least significant byte first (RFC 8032 section 5.1). */
const ORDER = Uint8Array.of(0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10);

/** False for a second form of a signature, with the order added to its scalar: not every library refuses that. */
function isCanonicalSignature(signature: Uint8Array): boolean {
  if (signature.length !== ED25519_SIGNATURE_BYTES) return false;
  const scalar = signature.subarray(32);
  for (let at = 31; at >= 0; at -= 1) {
    const digit = scalar[at] ?? 0;
    const limit = ORDER[at] ?? 0;
    if (digit !== limit) return digit < limit;
  }
  return false;
}

/** Reads an attacker-controlled `{"approver","decision","signature"}` with an optional `reason`; undefined for all else. */
export function parseAttempt(bytes: Uint8Array): Attempt | undefined {
  const parsed = parseStrictJson(bytes, { depthMax: 1 });
  if (!parsed.ok || !isJsonObject(parsed.value)) return undefined;
  const { value } = parsed;
  if (Object.keys(value).some((key) => !ATTEMPT_KEYS.has(key))) return undefined;
  const { approver, decision, reason = '' } = value;
  const signature = signatureOf(value['signature']);
  if (typeof approver !== 'string' || approver === '' || approver.length > APPROVAL_TEXT_LENGTH_MAX) return undefined;
  if (decision !== 'approve' && decision !== 'deny') return undefined;
  if (typeof reason !== 'string' || !isReason(reason) || signature === undefined) return undefined;
  return { approver, decision, reason, signature };
}

function signatureOf(value: JsonValue | undefined): Uint8Array | undefined {
  // Longer text is not decoded at all: 64 bytes are 88 characters.
  const bytes = typeof value === 'string' && value.length === 88 ? fromBase64(value) : undefined;
  return bytes?.length === ED25519_SIGNATURE_BYTES ? bytes : undefined;
}
