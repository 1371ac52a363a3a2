// SPDX-License-Identifier: Apache-2.0
/**
 * The layout of an enclave image file (EIF), version 4, as AWS's image format library writes it. All integers are
 * big-endian. A header of 548 bytes names the sections; each section is a header of 12 bytes and its data.
 */

/** ".eif" */
export const EIF_MAGIC = 0x2e656966;
export const EIF_VERSION = 4;
export const HEADER_BYTES = 548;
export const SECTION_HEADER_BYTES = 12;

/** Where the fields of the header begin. */
export const FIELD = {
  magic: 0,
  version: 4,
  flags: 6,
  defaultMem: 8,
  defaultCpus: 16,
  reserved: 24,
  sectionCount: 26,
  sectionOffsets: 28,
  sectionSizes: 284,
  unused: 540,
  crc: 544,
} as const;

export type Architecture = 'x86_64' | 'aarch64';
export type SectionType = 'kernel' | 'cmdline' | 'ramdisk' | 'signature' | 'metadata';

/** By the number that stands in the file, less one; 0 is invalid. */
export const SECTION_TYPES: readonly SectionType[] = ['kernel', 'cmdline', 'ramdisk', 'signature', 'metadata'];
/** By bit 0 of the flags. */
export const ARCHITECTURES: readonly Architecture[] = ['x86_64', 'aarch64'];

export interface EifSection {
  readonly type: SectionType;
  readonly data: Uint8Array;
}

/** What the header says about the machine. Neither number has an effect: nitro-cli sizes the enclave. */
export interface EifMachine {
  readonly arch: Architecture;
  /** Bytes. */
  readonly defaultMem: bigint;
  readonly defaultCpus: bigint;
}
