// SPDX-License-Identifier: Apache-2.0
/** ECDSA on P-384 with SHA-384, the only signature of Nitro's certificates and documents, by WebCrypto. */
import { parseDer, TAG } from '../der/read.ts';
import { childrenOf, readPositive } from '../der/types.ts';

/** Bytes of a coordinate, and of each half of a signature. */
const SCALAR_BYTES = 48;
/** Bytes of an uncompressed point (SEC 1 section 2.3.3). */
export const P384_POINT_BYTES = 97;
/** Bytes of a signature in its raw form, r then s. */
export const ES384_SIGNATURE_BYTES = 96;

/**
 * Whether `signature` (raw, r then s) is that key's over `data`. A point that is not on the curve verifies nothing. Both
 * s and n - s verify: never identify anything by the hash of signed bytes.
 */
export async function verifyEs384(point: Uint8Array, signature: Uint8Array, data: Uint8Array): Promise<boolean> {
  if (point.length !== P384_POINT_BYTES || point[0] !== 0x04 || signature.length !== ES384_SIGNATURE_BYTES) return false;
  try {
    const key = await crypto.subtle.importKey('raw', point.slice(), { name: 'ECDSA', namedCurve: 'P-384' }, false, ['verify']);
    return await crypto.subtle.verify({ name: 'ECDSA', hash: 'SHA-384' }, key, signature.slice(), data.slice());
  } catch {
    // WebCrypto throws for a key that is none; anything else that fails here has not verified the signature either.
    return false;
  }
}

/** The raw form of a signature as X.509 writes it (RFC 3279 section 2.2.3); undefined if that is not strict DER. */
export function rawSignature(der: Uint8Array): Uint8Array | undefined {
  const [r, s] = (childrenOf(parseDer(der), TAG.sequence, 2, 2) ?? []).map(readPositive);
  if (r === undefined || s === undefined || r.length > SCALAR_BYTES || s.length > SCALAR_BYTES) return undefined;
  const raw = new Uint8Array(ES384_SIGNATURE_BYTES);
  raw.set(r, SCALAR_BYTES - r.length);
  raw.set(s, ES384_SIGNATURE_BYTES - s.length);
  return raw;
}
