// SPDX-License-Identifier: Apache-2.0
/**
 * Writes EIF version 4. The same parts give the same bytes: nothing of the time, the machine or the user goes in. What is
 * written is read back by the strict reader before anyone gets it.
 */
import { concatBytes, utf8 } from '../shared/bytes.ts';
import { crc32 } from '../shared/eif/crc32.ts';
import type { Architecture, EifMachine, EifSection } from '../shared/eif/layout.ts';
import { ARCHITECTURES, EIF_MAGIC, EIF_VERSION, FIELD, HEADER_BYTES, SECTION_HEADER_BYTES, SECTION_TYPES } from '../shared/eif/layout.ts';
import type { EifMetadata } from '../shared/eif/metadata.ts';
import { encodeMetadata } from '../shared/eif/metadata.ts';
import type { Eif } from '../shared/eif/read.ts';
import { readEif } from '../shared/eif/read.ts';
import { EIF_SECTIONS_MAX } from '../shared/limits.ts';

export interface EifParts {
  readonly arch: Architecture;
  /** A bzImage (x86_64) or an uncompressed Image (aarch64). */
  readonly kernel: Uint8Array;
  /** Printable ASCII without an end of line. */
  readonly cmdline: string;
  readonly metadata: EifMetadata;
  /** At least one. The first counts for PCR1, the others for PCR2. */
  readonly ramdisks: readonly Uint8Array[];
}

/** What AWS's tools write; nothing reads it. */
const DEFAULT_MEM = 1_073_741_824n;
const DEFAULT_CPUS = 2n;

/** The file of these sections in this order. @throws RangeError if the strict reader would refuse it */
function assemble(machine: EifMachine, sections: readonly EifSection[]): Uint8Array {
  if (sections.length > EIF_SECTIONS_MAX) throw new RangeError(`an image has at most ${EIF_SECTIONS_MAX} sections`);
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  view.setUint32(FIELD.magic, EIF_MAGIC);
  view.setUint16(FIELD.version, EIF_VERSION);
  view.setUint16(FIELD.flags, ARCHITECTURES.indexOf(machine.arch));
  view.setBigUint64(FIELD.defaultMem, machine.defaultMem);
  view.setBigUint64(FIELD.defaultCpus, machine.defaultCpus);
  view.setUint16(FIELD.sectionCount, sections.length);
  const pieces: Uint8Array[] = [header];
  let at = HEADER_BYTES;
  for (const [index, { type, data }] of sections.entries()) {
    view.setBigUint64(FIELD.sectionOffsets + 8 * index, BigInt(at));
    view.setBigUint64(FIELD.sectionSizes + 8 * index, BigInt(data.length));
    const head = new Uint8Array(SECTION_HEADER_BYTES);
    const headView = new DataView(head.buffer);
    headView.setUint16(0, SECTION_TYPES.indexOf(type) + 1);
    headView.setBigUint64(4, BigInt(data.length));
    pieces.push(head, data);
    at += SECTION_HEADER_BYTES + data.length;
  }
  view.setUint32(FIELD.crc, crc32(header.subarray(0, FIELD.crc), ...pieces.slice(1)));
  const file = concatBytes(...pieces);
  const read = readEif(file);
  if (read.kind === 'malformed') throw new RangeError(`these parts make no image: ${read.message}`);
  return file;
}

/**
 * An unsigned image in the order that AWS's tools use: kernel, command line, metadata, ramdisks.
 *
 * @throws RangeError for parts that make no valid image
 */
export function writeEif(parts: EifParts): Uint8Array {
  return assemble({ arch: parts.arch, defaultMem: DEFAULT_MEM, defaultCpus: DEFAULT_CPUS }, [
    { type: 'kernel', data: parts.kernel },
    { type: 'cmdline', data: utf8(parts.cmdline) },
    { type: 'metadata', data: encodeMetadata(parts.metadata) },
    ...parts.ramdisks.map((data): EifSection => ({ type: 'ramdisk', data })),
  ]);
}

/**
 * The same image with that signature section in place of its own, or at the end if it had none. Everything else stays
 * as it was, byte for byte, and so do PCR0, PCR1 and PCR2.
 *
 * @throws RangeError for a section that is no signature
 */
export function withSignature(eif: Eif, section: Uint8Array): Uint8Array {
  const signed: EifSection = { type: 'signature', data: section };
  const has = eif.sections.some(({ type }) => type === 'signature');
  const sections = has ? eif.sections.map((old) => (old.type === 'signature' ? signed : old)) : [...eif.sections, signed];
  return assemble(eif, sections);
}
