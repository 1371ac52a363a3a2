// SPDX-License-Identifier: Apache-2.0
/**
 * The strict reader of EIF version 4. AWS's reader walks the sections and ignores the table in the header; QEMU follows
 * the table. So that both see the same image, everything that is written twice must agree, everything unused must be
 * zero, and no byte may stand outside of a section.
 */
import {
  EIF_BYTES_MAX,
  EIF_CMDLINE_BYTES_MAX,
  EIF_METADATA_BYTES_MAX,
  EIF_SECTIONS_MAX,
  EIF_SIGNATURE_BYTES_MAX,
} from '../limits.ts';
import { crc32 } from './crc32.ts';
import type { EifMachine, EifSection, SectionType } from './layout.ts';
import { ARCHITECTURES, EIF_MAGIC, EIF_VERSION, FIELD, HEADER_BYTES, SECTION_HEADER_BYTES, SECTION_TYPES } from './layout.ts';
import type { EifMetadata } from './metadata.ts';
import { parseMetadata } from './metadata.ts';
import type { EifSignature } from './signature.ts';
import { parseSignatureSection } from './signature.ts';

export type EifFaultCode =
  | 'EIF_TOO_LARGE'
  | 'EIF_TRUNCATED'
  | 'EIF_MAGIC'
  | 'EIF_VERSION'
  | 'EIF_FLAGS'
  | 'EIF_RESERVED'
  | 'EIF_SECTION_COUNT'
  | 'EIF_SECTION_OFFSET'
  | 'EIF_SECTION_SIZE'
  | 'EIF_SECTION_TYPE'
  | 'EIF_SECTION_FLAGS'
  | 'EIF_SECTION_SET'
  | 'EIF_SECTION_ORDER'
  | 'EIF_TRAILING'
  | 'EIF_CMDLINE'
  | 'EIF_METADATA'
  | 'EIF_SIGNATURE'
  | 'EIF_CRC';

export interface EifFault {
  readonly kind: 'malformed';
  readonly code: EifFaultCode;
  /** Bytes from the start of the file; 0 where the file as a whole is refused. */
  readonly at: number;
  /** Safe to show: holds nothing of the file. */
  readonly message: string;
}

/** An image that is well-formed. Its sections are views of the bytes that were read. */
export interface Eif extends EifMachine {
  readonly kind: 'eif';
  /** All sections in the order of the file. */
  readonly sections: readonly EifSection[];
  readonly cmdline: string;
  readonly metadata: EifMetadata;
  readonly signature: EifSignature | null;
  /** False only where `crc: 'report'` was asked for. */
  readonly crcMatches: boolean;
}

export interface EifReadOptions {
  /** `report`: a wrong checksum is told instead of refused, as nitro-cli's describe-eif does. Default `refuse`. */
  readonly crc?: 'refuse' | 'report';
}

interface Header extends EifMachine {
  readonly sectionCount: number;
  readonly crc: number;
}

function fault(code: EifFaultCode, at: number, message: string): EifFault {
  return { kind: 'malformed', code, at, message };
}

function readHeader(view: DataView): Header | EifFault {
  if (view.byteLength > EIF_BYTES_MAX) return fault('EIF_TOO_LARGE', 0, `the file has more than ${EIF_BYTES_MAX} bytes`);
  if (view.byteLength < HEADER_BYTES) return fault('EIF_TRUNCATED', view.byteLength, 'the file ends within its header');
  if (view.getUint32(FIELD.magic) !== EIF_MAGIC) return fault('EIF_MAGIC', FIELD.magic, 'this is not an enclave image file');
  if (view.getUint16(FIELD.version) !== EIF_VERSION) return fault('EIF_VERSION', FIELD.version, `the version is not ${EIF_VERSION}`);
  const arch = ARCHITECTURES[view.getUint16(FIELD.flags)];
  if (arch === undefined) return fault('EIF_FLAGS', FIELD.flags, 'the flags hold more than an architecture');
  const sectionCount = view.getUint16(FIELD.sectionCount);
  if (sectionCount < 1 || sectionCount > EIF_SECTIONS_MAX) {
    return fault('EIF_SECTION_COUNT', FIELD.sectionCount, `the number of sections is not within 1 and ${EIF_SECTIONS_MAX}`);
  }
  if (view.getUint16(FIELD.reserved) !== 0) return fault('EIF_RESERVED', FIELD.reserved, 'a reserved field is not zero');
  if (view.getUint32(FIELD.unused) !== 0) return fault('EIF_RESERVED', FIELD.unused, 'an unused field is not zero');
  for (let index = sectionCount; index < EIF_SECTIONS_MAX; index += 1) {
    for (const at of [FIELD.sectionOffsets + 8 * index, FIELD.sectionSizes + 8 * index]) {
      if (view.getBigUint64(at) !== 0n) return fault('EIF_RESERVED', at, 'the place of a section that does not exist is not zero');
    }
  }
  return {
    arch,
    defaultMem: view.getBigUint64(FIELD.defaultMem),
    defaultCpus: view.getBigUint64(FIELD.defaultCpus),
    sectionCount,
    crc: view.getUint32(FIELD.crc),
  };
}

const BYTES_MAX: ReadonlyMap<SectionType, number> = new Map([
  ['cmdline', EIF_CMDLINE_BYTES_MAX],
  ['metadata', EIF_METADATA_BYTES_MAX],
  ['signature', EIF_SIGNATURE_BYTES_MAX],
]);

/** Reads the section whose header stands at `at`, the place where the one before it ended. */
function readSection(bytes: Uint8Array, view: DataView, index: number, at: number): EifSection | EifFault {
  const offsetAt = FIELD.sectionOffsets + 8 * index;
  if (view.getBigUint64(offsetAt) !== BigInt(at)) return fault('EIF_SECTION_OFFSET', offsetAt, 'a section does not begin where the one before it ends');
  if (bytes.length - at < SECTION_HEADER_BYTES) return fault('EIF_TRUNCATED', at, 'the file ends within the header of a section');
  const type = SECTION_TYPES[view.getUint16(at) - 1];
  if (type === undefined) return fault('EIF_SECTION_TYPE', at, 'a section has no known type');
  if (view.getUint16(at + 2) !== 0) return fault('EIF_SECTION_FLAGS', at + 2, 'the flags of a section are not zero');
  const size = view.getBigUint64(at + 4);
  if (view.getBigUint64(FIELD.sectionSizes + 8 * index) !== size) {
    return fault('EIF_SECTION_SIZE', at + 4, 'the header and a section differ on its size');
  }
  const from = at + SECTION_HEADER_BYTES;
  if (size > BigInt(bytes.length - from)) return fault('EIF_TRUNCATED', bytes.length, 'the file ends within a section');
  // An empty section is measured like one that is not there: two files would have the same PCRs.
  if (size === 0n) return fault('EIF_SECTION_SIZE', at + 4, 'a section is empty');
  if (size > BigInt(BYTES_MAX.get(type) ?? EIF_BYTES_MAX)) return fault('EIF_SECTION_SIZE', at + 4, `the ${type} section is too long`);
  return { type, data: bytes.subarray(from, from + Number(size)) };
}

function readSections(bytes: Uint8Array, view: DataView, count: number): readonly EifSection[] | EifFault {
  const sections: EifSection[] = [];
  let at = HEADER_BYTES;
  for (let index = 0; index < count; index += 1) {
    const section = readSection(bytes, view, index, at);
    if ('kind' in section) return section;
    sections.push(section);
    at += SECTION_HEADER_BYTES + section.data.length;
  }
  return at === bytes.length ? sections : fault('EIF_TRAILING', at, 'bytes follow the last section');
}

/** Which sections there are, and in which order. */
function checkSet(sections: readonly EifSection[]): EifFault | undefined {
  const count = (type: SectionType): number => sections.filter((section) => section.type === type).length;
  for (const type of ['kernel', 'cmdline', 'metadata'] as const) {
    if (count(type) !== 1) return fault('EIF_SECTION_SET', 0, `there is not exactly one ${type} section`);
  }
  if (count('ramdisk') === 0) return fault('EIF_SECTION_SET', 0, 'there is no ramdisk section');
  if (count('signature') > 1) return fault('EIF_SECTION_SET', 0, 'there is more than one signature section');
  const order = sections.map((section) => section.type);
  return order.indexOf('ramdisk') > order.indexOf('kernel') ? undefined : fault('EIF_SECTION_ORDER', 0, 'a ramdisk stands before the kernel');
}

/** The command line: printable ASCII, since a NUL or a line feed would end it for one reader and not for another. */
function readCmdline(data: Uint8Array): string | undefined {
  return data.every((byte) => byte >= 0x20 && byte <= 0x7e) ? String.fromCharCode(...data) : undefined;
}

function checkCrc(bytes: Uint8Array, stored: number): boolean {
  return crc32(bytes.subarray(0, FIELD.crc), bytes.subarray(HEADER_BYTES)) === stored;
}

/**
 * Reads attacker-controlled bytes as an image, in time linear in their length. The result holds views of them: they
 * must not change while it is in use. That an image is well-formed says nothing about who made it.
 */
export function readEif(bytes: Uint8Array, options: EifReadOptions = {}): Eif | EifFault {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header = readHeader(view);
  if ('kind' in header) return header;
  const sections = readSections(bytes, view, header.sectionCount);
  if ('kind' in sections) return sections;
  const wrong = checkSet(sections);
  if (wrong !== undefined) return wrong;
  const dataOf = (type: SectionType): Uint8Array | undefined => sections.find((section) => section.type === type)?.data;
  const cmdline = readCmdline(dataOf('cmdline') ?? new Uint8Array());
  if (cmdline === undefined) return fault('EIF_CMDLINE', 0, 'the command line holds more than printable ASCII');
  const metadata = parseMetadata(dataOf('metadata') ?? new Uint8Array());
  if (metadata === undefined) return fault('EIF_METADATA', 0, 'the metadata is not the JSON that the format asks for');
  const signatureData = dataOf('signature');
  const signature = signatureData === undefined ? null : parseSignatureSection(signatureData);
  if (signature === undefined) return fault('EIF_SIGNATURE', 0, 'the signature section is not one signature over PCR0');
  const crcMatches = checkCrc(bytes, header.crc);
  if (!crcMatches && options.crc !== 'report') return fault('EIF_CRC', FIELD.crc, 'the checksum does not match');
  const { arch, defaultMem, defaultCpus } = header;
  return { kind: 'eif', arch, defaultMem, defaultCpus, sections, cmdline, metadata, signature, crcMatches };
}
