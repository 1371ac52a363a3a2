// SPDX-License-Identifier: Apache-2.0
/** Ed25519 by node:crypto, for keys as the policy names them: 32 bytes. */
import { createHash, createPublicKey, verify } from 'node:crypto';
import type { VerifyEd25519 } from '../../shared/approval/decision.ts';

/** SubjectPublicKeyInfo of an Ed25519 key (RFC 8410): the key follows. */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

function toSpki(publicKey: Uint8Array): Buffer {
  return Buffer.concat([SPKI_PREFIX, publicKey]);
}

/** SHA-256 of the SubjectPublicKeyInfo, hex: how rows name a key. */
export function ed25519Fingerprint(publicKey: Uint8Array): string {
  return createHash('sha256').update(toSpki(publicKey)).digest('hex');
}

/** False for a key that is none. */
export const verifyEd25519: VerifyEd25519 = (publicKey, message, signature) => {
  try {
    return verify(null, message, createPublicKey({ key: toSpki(publicKey), format: 'der', type: 'spki' }), signature);
  } catch {
    return false;
  }
};
