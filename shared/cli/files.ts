// SPDX-License-Identifier: Apache-2.0
/** Files that the command is given: regular ones, bounded, read whole. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { Unavailable } from '../errors.ts';

/** @throws Unavailable (FILE_UNREADABLE) */
export function readFile(path: string, option: string, bytesMax: number): Uint8Array {
  try {
    // A pipe without writer would hold the command for ever; opened so, it is found to be no regular file.
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      return readWhole(file, bytesMax);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : error instanceof RangeError ? error.message : 'it cannot be read';
    throw new Unavailable('FILE_UNREADABLE', `the file of --${option} cannot be read (${code})`, 'name a regular file that you may read', error);
  }
}

function readWhole(file: number, bytesMax: number): Uint8Array {
  if (!fstatSync(file).isFile()) throw new RangeError('not a regular file');
  // One byte more than allowed shows that there is more; the size that a file system states may be wrong.
  const bytes = new Uint8Array(bytesMax + 1);
  let length = 0;
  for (let read = 1; read > 0 && length < bytes.length; length += read) read = readSync(file, bytes, length, bytes.length - length, null);
  if (length > bytesMax) throw new RangeError(`longer than ${bytesMax} bytes`);
  return bytes.slice(0, length);
}
