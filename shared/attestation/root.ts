// SPDX-License-Identifier: Apache-2.0
/** The certificate that a chain has to begin with. */
import { sha256Hex } from '../digest.ts';
import type { Check } from './check.ts';
import { bad, ok } from './check.ts';

export interface TrustedRoot {
  /** SHA-256 of the certificate's DER, lower-case hex. */
  readonly sha256: string;
  /** How it is called in reports. */
  readonly name: string;
}

/**
 * AWS Nitro Enclaves Root-G1, valid 2019-10-28 to 2049-10-28. Source: the AWS Nitro Enclaves user guide, "Verifying the
 * root of trust", which gives this SHA-256 fingerprint of root.pem in AWS_NitroEnclaves_Root-G1.zip. The certificate comes
 * with each document, so that its digest is enough here.
 */
export const AWS_NITRO_ROOT_G1: TrustedRoot = {
  sha256: '641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b',
  name: 'AWS Nitro Root-G1',
};

/** A root that somebody chose, such as that of a simulated enclave. */
export function chosenRoot(der: Uint8Array): TrustedRoot {
  const sha256 = sha256Hex(der);
  return sha256 === AWS_NITRO_ROOT_G1.sha256 ? AWS_NITRO_ROOT_G1 : { sha256, name: 'a root given by hand, NOT OF AWS' };
}

/** The whole DER is compared: another encoding of the same key or another signature by it is another certificate. */
export function checkRoot(first: Uint8Array, root: TrustedRoot): Check {
  const actual = sha256Hex(first);
  if (actual !== root.sha256) return bad('root', 'ROOT_UNKNOWN', `${root.sha256} (${root.name})`, actual);
  return ok('root', `${root.name}, SHA-256 ${actual}`);
}
