// SPDX-License-Identifier: Apache-2.0
/** Public keys of approvers: their fingerprints, and those that are none. */
import { concatBytes, fromHex, toHex } from '../../shared/bytes.ts';
import { sha256Hex } from '../../shared/digest.ts';

/** SubjectPublicKeyInfo of an Ed25519 key, less the key (RFC 8410). */
const SPKI_PREFIX: Uint8Array = fromHex('302a300506032b6570032100') ?? new Uint8Array();

/** SHA-256 of the SubjectPublicKeyInfo, hex. */
export function approverFingerprint(publicKey: Uint8Array): string {
  return sha256Hex(concatBytes(SPKI_PREFIX, publicKey));
}

/**
 * Encodings of the eight points of small order, the sign bit set to zero: signatures under them verify for anybody's
 * messages (RFC 8032 section 8.9 asks for cofactored care; such keys are refused outright).
 */
const SMALL_ORDER: ReadonlySet<string> = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]);

/** True for a key whose signatures prove nothing. */
export function isWeakKey(publicKey: Uint8Array): boolean {
  const unsigned = Uint8Array.from(publicKey);
  unsigned[31] = (unsigned[31] ?? 0) & 0x7f;
  return SMALL_ORDER.has(toHex(unsigned));
}
