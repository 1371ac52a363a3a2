// SPDX-License-Identifier: Apache-2.0
/**
 * Verifies certificates as one chain in the order in which they are given, root first (RFC 5280 section 6, without the
 * search for a path: who may choose the path may choose the answer). That the root is the right one, and the times, are
 * the caller's to check.
 */
import { equalBytes } from '../bytes.ts';
import type { Certificate } from './certificate.ts';
import { verifyEs384 } from './es384.ts';
import { KEY_USAGE } from './extensions.ts';

export type ChainFault = 'name' | 'authority' | 'path-length' | 'leaf' | 'usage' | 'signature';

export type ChainVerified =
  | { readonly ok: true }
  /** `at` counts from the root, which is 0. */
  | { readonly ok: false; readonly fault: ChainFault; readonly at: number };

/** Checks each certificate against the one before it, the first against itself, and the last as a leaf. */
export async function verifyChain(certificates: readonly Certificate[]): Promise<ChainVerified> {
  const last = certificates.length - 1;
  for (const [at, certificate] of certificates.entries()) {
    const issuer = certificates[Math.max(0, at - 1)] ?? certificate;
    const fault = at === last ? leafFault(certificate) : authorityFault(certificate, last - 1 - at);
    if (fault !== null) return { ok: false, fault, at };
    if (!equalBytes(certificate.issuer.der, issuer.subject.der)) return { ok: false, fault: 'name', at };
    if (!(await verifyEs384(issuer.point, certificate.signature, certificate.tbs))) return { ok: false, fault: 'signature', at };
  }
  return { ok: true };
}

/** `below`: authorities between this one and the leaf. RFC 5280 lets self-issued ones off; here they count. */
function authorityFault(certificate: Certificate, below: number): ChainFault | null {
  const { basicConstraints, keyUsage } = certificate.extensions;
  if (basicConstraints === null || !basicConstraints.critical || !basicConstraints.ca) return 'authority';
  if (keyUsage === null || !keyUsage.has(KEY_USAGE.keyCertSign)) return 'usage';
  return basicConstraints.pathLength !== null && basicConstraints.pathLength < below ? 'path-length' : null;
}

function leafFault(certificate: Certificate): ChainFault | null {
  const { basicConstraints, keyUsage } = certificate.extensions;
  if (basicConstraints?.ca === true) return 'leaf';
  return keyUsage === null || !keyUsage.has(KEY_USAGE.digitalSignature) || keyUsage.has(KEY_USAGE.keyCertSign) ? 'usage' : null;
}
