// SPDX-License-Identifier: Apache-2.0
/** Files with secrets of a person: written once, for their owner alone, and read only if that is still so. */
import { closeSync, constants, fstatSync, fsyncSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { Unavailable } from '../../shared/errors.ts';
import { syncFolder } from '../audit/key.ts';

/** @throws Unavailable FILE_EXISTS, FILE_UNREADABLE */
export function writeNewFile(path: string, bytes: Uint8Array): void {
  let file: number;
  try {
    file = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') throw new Unavailable('FILE_EXISTS', 'the file is there already', 'choose another name with -o: a key is never overwritten');
    throw new Unavailable('FILE_UNREADABLE', 'the file cannot be written', 'check the folder and its permissions', error);
  }
  try {
    if (writeSync(file, bytes) !== bytes.length) throw new RangeError('a part of the file only');
    fsyncSync(file);
    syncFolder(dirname(path));
  } catch (error) {
    rmSync(path, { force: true });
    throw new Unavailable('FILE_UNREADABLE', 'the file cannot be written', 'check the disk', error);
  } finally {
    closeSync(file);
  }
}

/**
 * Reads a file that nobody else may read.
 * @param what names it in messages
 * @throws Unavailable FILE_UNREADABLE
 */
export function readPrivateFile(path: string, bytesMax: number, what: string): Uint8Array {
  let file: number | undefined;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = fstatSync(file);
    if (!stat.isFile() || stat.size > bytesMax) throw new Unavailable('FILE_UNREADABLE', `${what} is no such file`, 'check the path');
    if (process.platform !== 'win32' && (stat.mode & 0o077) !== 0) throw new Unavailable('FILE_UNREADABLE', `${what} can be read by others`, 'make it yours alone: chmod 600 FILE');
    const bytes = Buffer.alloc(stat.size);
    if (readSync(file, bytes, 0, bytes.length, 0) !== bytes.length) throw new RangeError('the file became shorter');
    return bytes;
  } catch (error) {
    throw error instanceof Unavailable ? error : new Unavailable('FILE_UNREADABLE', `${what} cannot be read`, 'check the path and its permissions', error);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
