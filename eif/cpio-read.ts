// SPDX-License-Identifier: Apache-2.0
/**
 * Reads a ramdisk that may be hostile: one uncompressed newc archive. Nothing is unpacked. What unpackers treat in
 * different ways (paths outside, paths twice, hard links, bytes after the end) is refused.
 */
import { CPIO_ENTRIES_MAX, CPIO_PATH_BYTES_MAX } from '../shared/limits.ts';
import type { CpioEntry } from './cpio.ts';
import { ALIGNMENT, ENTRY_HEADER_BYTES, FILE_TYPE, MAGIC, MODE_MAX, TRAILER, isArchivePath } from './cpio.ts';

export type CpioRead =
  | { readonly kind: 'archive'; readonly entries: readonly CpioEntry[] }
  | { readonly kind: 'malformed'; /** Bytes from the start. */ readonly at: number; readonly reason: string };

type Malformed = Extract<CpioRead, { kind: 'malformed' }>;

interface RawEntry {
  readonly kind: 'raw';
  readonly name: string;
  readonly mode: number;
  readonly nlink: number;
  readonly major: number;
  readonly minor: number;
  readonly data: Uint8Array;
  /** Where the next entry begins. */
  readonly next: number;
}

/** The 13 fields of an entry's header by their place in it. */
const FIELD_MODE = 1;
const FIELD_NLINK = 4;
const FIELD_SIZE = 6;
const FIELD_RMAJOR = 9;
const FIELD_RMINOR = 10;
const FIELD_NAME_SIZE = 11;
const FILE_TYPE_BITS = 0o170000;

function malformed(at: number, reason: string): Malformed {
  return { kind: 'malformed', at, reason };
}

function aligned(at: number): number {
  return at + ((ALIGNMENT - (at % ALIGNMENT)) % ALIGNMENT);
}

function allZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

function readRaw(bytes: Uint8Array, at: number): RawEntry | Malformed {
  const header = Buffer.from(bytes.subarray(at, at + ENTRY_HEADER_BYTES)).toString('latin1');
  if (header.length < ENTRY_HEADER_BYTES) return malformed(at, 'it ends without its trailer');
  if (!header.startsWith(MAGIC)) return malformed(at, 'an entry does not begin as newc entries do');
  if (!/^[0-9a-fA-F]+$/.test(header)) return malformed(at, 'a field of an entry is not hexadecimal');
  const field = (index: number): number => Number.parseInt(header.slice(MAGIC.length + 8 * index, MAGIC.length + 8 * index + 8), 16);
  const nameSize = field(FIELD_NAME_SIZE);
  if (nameSize < 2 || nameSize > CPIO_PATH_BYTES_MAX) return malformed(at, 'the path of an entry is empty or too long');
  const nameAt = at + ENTRY_HEADER_BYTES;
  const dataAt = aligned(nameAt + nameSize);
  const end = dataAt + field(FIELD_SIZE);
  const next = aligned(end);
  if (end > bytes.length) return malformed(at, 'it ends within an entry');
  // The last padding may be missing where nothing follows: an archive without trailer is refused then anyway.
  if (!allZero(bytes.subarray(nameAt + nameSize, dataAt)) || !allZero(bytes.subarray(end, next))) return malformed(at, 'padding is not zero');
  const nameBytes = bytes.subarray(nameAt, nameAt + nameSize - 1);
  const name = Buffer.from(nameBytes).toString('utf8');
  if (bytes[nameAt + nameSize - 1] !== 0 || nameBytes.includes(0)) return malformed(at, 'a path does not end where it should');
  if (!Buffer.from(name).equals(nameBytes)) return malformed(at, 'a path is not UTF-8');
  return {
    kind: 'raw',
    name,
    mode: field(FIELD_MODE),
    nlink: field(FIELD_NLINK),
    major: field(FIELD_RMAJOR),
    minor: field(FIELD_RMINOR),
    data: bytes.subarray(dataAt, end),
    next,
  };
}

function entryOf(raw: RawEntry, at: number): CpioEntry | Malformed {
  // "find . | cpio -o" writes the root itself; it says nothing but its permissions.
  if (raw.name !== '.' && !isArchivePath(raw.name)) return malformed(at, 'a path could leave the archive');
  const path = raw.name;
  const mode = raw.mode & MODE_MAX;
  if (raw.mode > FILE_TYPE_BITS + MODE_MAX) return malformed(at, 'a mode has more bits than there are');
  const type = raw.mode & FILE_TYPE_BITS;
  if (type !== FILE_TYPE.file && type !== FILE_TYPE.symlink && raw.data.length > 0) return malformed(at, 'an entry has data that is no file');
  switch (type) {
    case FILE_TYPE.directory:
      return { kind: 'directory', path, mode };
    case FILE_TYPE.file:
      return raw.nlink > 1 ? malformed(at, 'it has hard links') : { kind: 'file', path, mode, data: raw.data };
    case FILE_TYPE.symlink: {
      const target = Buffer.from(raw.data).toString('utf8');
      const readable = raw.data.length > 0 && raw.data.length < CPIO_PATH_BYTES_MAX && !raw.data.includes(0) && Buffer.from(target).equals(raw.data);
      return readable ? { kind: 'symlink', path, target } : malformed(at, 'the target of a link is no path');
    }
    case FILE_TYPE.device:
      return { kind: 'device', path, mode, major: raw.major, minor: raw.minor };
    default:
      return malformed(at, 'an entry is neither file, directory, link nor character device');
  }
}

/** Reads attacker-controlled bytes, in time linear in their length. File data are views of them. */
export function readCpio(bytes: Uint8Array): CpioRead {
  const entries: CpioEntry[] = [];
  const paths = new Set<string>();
  let at = 0;
  for (;;) {
    const raw = readRaw(bytes, at);
    if (raw.kind === 'malformed') return raw;
    if (raw.name === TRAILER) {
      if (raw.data.length > 0 || !allZero(bytes.subarray(raw.next))) return malformed(raw.next, 'something follows its trailer');
      return { kind: 'archive', entries };
    }
    const entry = entryOf(raw, at);
    if (entry.kind === 'malformed') return entry;
    if (paths.has(entry.path)) return malformed(at, 'a path stands in it twice');
    if (entries.length >= CPIO_ENTRIES_MAX) return malformed(at, `it has more than ${CPIO_ENTRIES_MAX} entries`);
    paths.add(entry.path);
    entries.push(entry);
    at = raw.next;
  }
}
