// SPDX-License-Identifier: Apache-2.0
/**
 * The measurements (PCRs) that the Nitro hypervisor takes of an image. They hash sections without any framing, so bytes
 * can move from kernel to command line to first ramdisk and PCR0 and PCR1 stay the same: compare PCR0, PCR1 and PCR2
 * together. The metadata is in none of them.
 */
import { sha384 } from '@noble/hashes/sha2.js';
import { utf8 } from '../bytes.ts';
import type { Eif } from './read.ts';

/** A SHA-384 under way. node:crypto's fits, and is six times as fast. */
export interface Sha384 {
  update(bytes: Uint8Array): unknown;
  digest(): Uint8Array;
}

/** 48 bytes each. */
export interface Measurements {
  readonly pcr0: Uint8Array;
  readonly pcr1: Uint8Array;
  readonly pcr2: Uint8Array;
  /** Of the signing certificate; null for an image without signature, where the hypervisor leaves it zero. */
  readonly pcr8: Uint8Array | null;
}

/** A PCR before anything was measured into it. */
const ZERO: Uint8Array = new Uint8Array(48);

function hash(newHash: () => Sha384, parts: readonly Uint8Array[]): Uint8Array {
  const state = newHash();
  for (const part of parts) state.update(part);
  return Uint8Array.from(state.digest());
}

/** PCR0: the whole image. PCR1: kernel, command line and first ramdisk. PCR2: the other ramdisks. PCR8: the certificate. */
export function measureEif(eif: Pick<Eif, 'sections' | 'signature'>, newHash: () => Sha384 = () => sha384.create()): Measurements {
  const extend = (parts: readonly Uint8Array[]): Uint8Array => hash(newHash, [ZERO, hash(newHash, parts)]);
  const measured = eif.sections.filter(({ type }) => type === 'kernel' || type === 'cmdline' || type === 'ramdisk');
  const first = measured.find(({ type }) => type === 'ramdisk');
  const isLater = (section: (typeof measured)[number]): boolean => section.type === 'ramdisk' && section !== first;
  return {
    pcr0: extend(measured.map(({ data }) => data)),
    pcr1: extend(measured.filter((section) => !isLater(section)).map(({ data }) => data)),
    pcr2: extend(measured.filter(isLater).map(({ data }) => data)),
    pcr8: eif.signature === null ? null : pcr8OfCertificate(eif.signature.certificateDer),
  };
}

/** PCR8 of an image that was signed with that certificate (DER). */
export function pcr8OfCertificate(certificateDer: Uint8Array): Uint8Array {
  const newHash = (): Sha384 => sha384.create();
  return hash(newHash, [ZERO, hash(newHash, [certificateDer])]);
}

/** PCR3 of an enclave whose parent instance has that IAM role. */
export function pcr3OfRole(roleArn: string): Uint8Array {
  return hash(() => sha384.create(), [ZERO, utf8(roleArn)]);
}

/** PCR4 of an enclave whose parent is that instance (`i-...`). */
export function pcr4OfInstance(instanceId: string): Uint8Array {
  return hash(() => sha384.create(), [ZERO, utf8(instanceId)]);
}
