// SPDX-License-Identifier: Apache-2.0
/**
 * Writes a ramdisk: an uncompressed cpio archive in the "newc" form that Linux unpacks (Documentation/driver-api/
 * early-userspace/buffer-format.rst). The same entries give the same bytes in whatever order they come: paths are
 * sorted, everything belongs to root, times are zero, inode numbers count up.
 */
import { concatBytes, utf8 } from '../shared/bytes.ts';
import { CPIO_ENTRIES_MAX, CPIO_PATH_BYTES_MAX } from '../shared/limits.ts';

export type CpioEntry =
  | { readonly kind: 'directory'; readonly path: string; readonly mode: number }
  | { readonly kind: 'file'; readonly path: string; readonly mode: number; readonly data: Uint8Array }
  | { readonly kind: 'symlink'; readonly path: string; readonly target: string }
  /** A character device, such as the console that init needs before /dev is mounted. */
  | { readonly kind: 'device'; readonly path: string; readonly mode: number; readonly major: number; readonly minor: number };

export const MAGIC = '070701';
export const TRAILER = 'TRAILER!!!';
/** Bytes of an entry's header: the magic and 13 fields of 8 hex digits. */
export const ENTRY_HEADER_BYTES = 110;
/** What the kernel aligns names, data and further archives to. */
export const ALIGNMENT = 4;
/** File types as in the upper bits of st_mode. */
export const FILE_TYPE = { directory: 0o040000, file: 0o100000, symlink: 0o120000, device: 0o020000 } as const;
/** Bits of a mode below the file type. */
export const MODE_MAX = 0o7777;

/** True for a relative path whose parts are names: what one unpacker would put elsewhere than another is no path. */
export function isArchivePath(path: string): boolean {
  if (path.includes('\0') || utf8(path).length >= CPIO_PATH_BYTES_MAX || path === TRAILER) return false;
  return path.isWellFormed() && path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}

function padding(length: number): Uint8Array {
  return new Uint8Array((ALIGNMENT - (length % ALIGNMENT)) % ALIGNMENT);
}

interface Fields {
  readonly ino: number;
  readonly mode: number;
  readonly nlink: number;
  readonly rmajor?: number;
  readonly rminor?: number;
}

function record(path: string, fields: Fields, data: Uint8Array): Uint8Array[] {
  const name = utf8(`${path}\0`);
  const { ino, mode, nlink, rmajor = 0, rminor = 0 } = fields;
  const values = [ino, mode, 0, 0, nlink, 0, data.length, 0, 0, rmajor, rminor, name.length, 0];
  const header = utf8(MAGIC + values.map((value) => value.toString(16).padStart(8, '0')).join(''));
  return [header, name, padding(header.length + name.length), data, padding(data.length)];
}

function dataOf(entry: CpioEntry): Uint8Array {
  if (entry.kind === 'file') return entry.data;
  return entry.kind === 'symlink' ? utf8(entry.target) : new Uint8Array();
}

function compareBytes(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}

function checkEntry(entry: CpioEntry, directories: ReadonlySet<string>): void {
  const { path } = entry;
  if (!isArchivePath(path)) throw new RangeError(`no path of an archive: ${JSON.stringify(path)}`);
  const parent = path.slice(0, Math.max(path.lastIndexOf('/'), 0));
  // Linux does not make directories on the way: the entry would silently be missing.
  if (parent !== '' && !directories.has(parent)) throw new RangeError(`there is no directory for ${JSON.stringify(path)}`);
  if (entry.kind !== 'symlink' && (!Number.isInteger(entry.mode) || entry.mode < 0 || entry.mode > MODE_MAX)) {
    throw new RangeError(`no permissions: ${JSON.stringify(path)}`);
  }
  if (entry.kind === 'symlink' && (entry.target === '' || entry.target.includes('\0') || utf8(entry.target).length >= CPIO_PATH_BYTES_MAX)) {
    throw new RangeError(`no target of a link: ${JSON.stringify(path)}`);
  }
}

/**
 * The archive; its length is a multiple of four bytes, so that another one may follow.
 *
 * @throws RangeError for a path that is unsafe, given twice, or without its directory
 */
export function writeCpio(entries: readonly CpioEntry[]): Uint8Array {
  if (entries.length > CPIO_ENTRIES_MAX) throw new RangeError(`an archive has at most ${CPIO_ENTRIES_MAX} entries`);
  const sorted = entries.toSorted((left, right) => compareBytes(left.path, right.path));
  const directories = new Set<string>();
  const pieces: Uint8Array[] = [];
  for (const [index, entry] of sorted.entries()) {
    checkEntry(entry, directories);
    if (sorted[index - 1]?.path === entry.path) throw new RangeError(`given twice: ${JSON.stringify(entry.path)}`);
    if (entry.kind === 'directory') directories.add(entry.path);
    const mode = FILE_TYPE[entry.kind] | (entry.kind === 'symlink' ? 0o777 : entry.mode);
    const device = entry.kind === 'device' ? { rmajor: entry.major, rminor: entry.minor } : {};
    pieces.push(...record(entry.path, { ino: index + 1, mode, nlink: entry.kind === 'directory' ? 2 : 1, ...device }, dataOf(entry)));
  }
  pieces.push(...record(TRAILER, { ino: 0, mode: 0, nlink: 1 }, new Uint8Array()));
  return concatBytes(...pieces);
}
