// SPDX-License-Identifier: Apache-2.0
/** The files that `bastion-eif` reads and writes. */
import { closeSync, fstatSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import type { Eif, EifReadOptions } from '../shared/eif/read.ts';
import { readEif } from '../shared/eif/read.ts';
import { Unavailable } from '../shared/errors.ts';
import { EIF_BYTES_MAX, EIF_INPUT_BYTES_MAX } from '../shared/limits.ts';

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'error';
}

/** Reads to the end, of a pipe too. */
function readToEnd(file: number, bytesMax: number): Uint8Array | undefined {
  let bytes = Buffer.alloc(Math.min(fstatSync(file).size, bytesMax) + 1);
  let at = 0;
  for (;;) {
    const read = readSync(file, bytes, at, bytes.length - at, null);
    if (read === 0) return bytes.subarray(0, at);
    at += read;
    if (at > bytesMax) return undefined;
    if (at === bytes.length) bytes = Buffer.concat([bytes, Buffer.alloc(Math.min(at, bytesMax + 1 - at))]);
  }
}

function readWhole(path: string, what: string, bytesMax: number): Uint8Array {
  let file;
  let bytes;
  try {
    file = openSync(path, 'r');
    bytes = readToEnd(file, bytesMax);
  } catch (error) {
    throw new Unavailable('FILE_UNREADABLE', `the ${what} cannot be read (${codeOf(error)})`, 'check the path and its permissions', error);
  } finally {
    if (file !== undefined) closeSync(file);
  }
  if (bytes !== undefined) return bytes;
  throw new Unavailable('FILE_UNREADABLE', `the ${what} has more than ${bytesMax} bytes`, 'check that it is the right file');
}

/** The bytes of an image that may be anything. @throws Unavailable (FILE_UNREADABLE) */
export function readImageBytes(path: string): Uint8Array {
  return readWhole(path, 'image', EIF_BYTES_MAX);
}

/** A well-formed image. @throws Unavailable (FILE_UNREADABLE) for what is not there or not an image */
export function readImage(path: string, options: EifReadOptions = {}): Eif {
  const eif = readEif(readImageBytes(path), options);
  if (eif.kind === 'eif') return eif;
  throw new Unavailable('FILE_UNREADABLE', `the image is malformed: ${eif.message} (${eif.code} at byte ${eif.at})`, 'build it again, or copy it again');
}

/** A key, a certificate or another small file. @throws Unavailable (FILE_UNREADABLE) */
export function readInput(path: string, what: string): Uint8Array {
  return readWhole(path, what, EIF_INPUT_BYTES_MAX);
}

/** Writes a file that must not exist yet: an image that others measured is not replaced by accident. @throws Unavailable */
export function writeNew(path: string, bytes: Uint8Array): void {
  try {
    writeFileSync(path, bytes, { flag: 'wx' });
  } catch (error) {
    if (codeOf(error) === 'EEXIST') throw new Unavailable('FILE_EXISTS', 'the output exists already', 'name another file, or move it away', error);
    // A part of an image is none: a full disk must not leave one.
    rmSync(path, { force: true });
    throw new Unavailable('FILE_UNREADABLE', `the output cannot be written (${codeOf(error)})`, 'check the folder and the space on the disk', error);
  }
}
