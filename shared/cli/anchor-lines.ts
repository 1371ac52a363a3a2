// SPDX-License-Identifier: Apache-2.0
/** The lines of an anchor file, as far as it went when it was looked at. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { Unavailable } from '../errors.ts';
import { ANCHOR_LINE_LENGTH_MAX } from '../limits.ts';

const CHUNK_BYTES: number = 64 * 1024;
const NEWLINE = 0x0a;

export interface AnchorExtent {
  readonly path: string;
  readonly bytes: number;
}

/** Null if there is none. @throws Unavailable FILE_UNREADABLE */
export function anchorExtent(path: string): AnchorExtent | null {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw new Unavailable('FILE_UNREADABLE', `${path} cannot be read`, 'look at its owner and mode', error);
  }
  try {
    const stat = fstatSync(file);
    if (!stat.isFile()) throw new Unavailable('FILE_UNREADABLE', `${path} is no file`, 'name a log directory or one .sqlite file of it');
    return { path, bytes: stat.size };
  } finally {
    closeSync(file);
  }
}

/**
 * Lines that end within the first so many bytes. What follows the last newline is left out: a write that was cut off.
 * An over-long line, and one that is no UTF-8, is given as an empty one, which is no anchor line.
 */
export function* anchorLinesOf({ path, bytes }: AnchorExtent): Generator<string> {
  const file = openSync(path, constants.O_RDONLY);
  try {
    let rest = new Uint8Array(0);
    for (let at = 0; at < bytes; ) {
      const chunk = new Uint8Array(Math.min(CHUNK_BYTES, bytes - at));
      const got = readSync(file, chunk, 0, chunk.length, at);
      if (got === 0) return;
      at += got;
      rest = joined(rest, chunk.subarray(0, got));
      for (let end = rest.indexOf(NEWLINE); end !== -1; end = rest.indexOf(NEWLINE)) {
        yield decodeLine(rest.subarray(0, end));
        rest = rest.subarray(end + 1);
      }
      if (rest.length > ANCHOR_LINE_LENGTH_MAX * 4) {
        yield '';
        return;
      }
    }
  } finally {
    closeSync(file);
  }
}

function joined(left: Uint8Array, right: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(left.length + right.length);
  both.set(left);
  both.set(right, left.length);
  return both;
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decodeLine(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    return '';
  }
}
