// SPDX-License-Identifier: Apache-2.0
/** Small JSON files of the state folder that hold what must outlive a log: read in whole, replaced in whole. */
import { randomBytes } from 'node:crypto';
import { closeSync, constants, fstatSync, fsyncSync, openSync, readSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { canonicalJson } from '../../shared/json/canonical.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { syncFolder } from './key.ts';

/** The bytes of a file, null if there is none. Throws for anything that is no regular file of at most so many bytes. */
export function readStateFile(path: string, bytesMax: number): Uint8Array | null {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
  try {
    const stat = fstatSync(file);
    if (!stat.isFile() || stat.size > bytesMax) throw new RangeError('not a regular file, or too large');
    const bytes = Buffer.alloc(stat.size);
    if (readSync(file, bytes, 0, bytes.length, 0) !== bytes.length) throw new RangeError('the file became shorter');
    return bytes;
  } finally {
    closeSync(file);
  }
}

/** Puts a new content in place of the old one, durably; a reader sees one or the other. */
export function replaceStateFile(path: string, value: JsonObject): void {
  const temporary = `${path}.${randomBytes(8).toString('hex')}.tmp`;
  const file = openSync(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    writeSync(file, `${canonicalJson(value)}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
  syncFolder(dirname(path));
}
