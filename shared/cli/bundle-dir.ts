// SPDX-License-Identifier: Apache-2.0
/**
 * Reads the folder of an evidence bundle, which may be hostile: only names that a bundle has, only regular files, never
 * through a link, and all of it within bounds before it is looked at.
 */
import { closeSync, constants, fstatSync, opendirSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { BundleFiles, BundleRefusal } from '../audit/bundle-files.ts';
import { isBundleName, MANIFEST, PROOFS } from '../audit/bundle-files.ts';
import { Unavailable } from '../errors.ts';
import { BUNDLE_BYTES_MAX, BUNDLE_FILES_MAX } from '../limits.ts';

export type BundleRead = { readonly ok: true; readonly files: BundleFiles } | { readonly ok: false; readonly refusal: BundleRefusal };

/** Refused while reading; the message is safe to show. */
class Refused extends Error {
  readonly refusal: BundleRefusal;

  constructor(code: BundleRefusal['code'], detail: string) {
    super(detail);
    this.name = 'Refused';
    this.refusal = { code, detail };
  }
}

/** True for a folder that has a bundle's first file: everything else about it is found out by reading it. */
export function isBundle(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true && statSync(join(path, MANIFEST), { throwIfNoEntry: false }) !== undefined;
}

/** @throws Unavailable FILE_UNREADABLE */
export function readBundle(path: string): BundleRead {
  const files = new Map<string, Uint8Array>();
  const budget = { bytes: BUNDLE_BYTES_MAX };
  try {
    for (const name of namesIn(path, '')) files.set(name, readOne(join(path, name), budget));
    return { ok: true, files };
  } catch (error) {
    if (error instanceof Refused) return { ok: false, refusal: error.refusal };
    throw new Unavailable('FILE_UNREADABLE', 'the bundle cannot be read', 'look at the owner and mode of its files', error);
  }
}

function namesIn(folder: string, prefix: string): string[] {
  const names: string[] = [];
  const handle = opendirSync(join(folder, prefix));
  try {
    for (let entry = handle.readSync(); entry !== null; entry = handle.readSync()) {
      const name = prefix + entry.name;
      if (entry.isDirectory() && name === PROOFS) {
        names.push(...namesIn(folder, `${PROOFS}/`));
        if (names.length > BUNDLE_FILES_MAX) throw new Refused('BUNDLE_SIZE', 'there are more files than a bundle has');
        continue;
      }
      // A name is looked at first: what stands behind one that no bundle has is of no interest.
      if (!isBundleName(name)) throw new Refused('BUNDLE_PATH', 'a file has a name that no bundle has');
      names.push(name);
      if (names.length > BUNDLE_FILES_MAX) throw new Refused('BUNDLE_SIZE', 'there are more files than a bundle has');
    }
  } finally {
    handle.closeSync();
  }
  return names;
}

function readOne(path: string, budget: { bytes: number }): Uint8Array {
  const file = openFile(path);
  try {
    const stat = fstatSync(file);
    if (!stat.isFile()) throw new Refused('BUNDLE_LINK', 'a link, or something else that is no file, stands in the bundle');
    budget.bytes -= stat.size;
    if (budget.bytes < 0) throw new Refused('BUNDLE_SIZE', `the files have more than ${BUNDLE_BYTES_MAX} bytes`);
    const bytes = new Uint8Array(stat.size);
    let length = 0;
    for (let read = 1; read > 0 && length < bytes.length; length += read) read = readSync(file, bytes, length, bytes.length - length, null);
    return bytes.subarray(0, length);
  } finally {
    closeSync(file);
  }
}

function openFile(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ELOOP') throw new Refused('BUNDLE_LINK', 'a link stands in the bundle');
    throw error;
  }
}
