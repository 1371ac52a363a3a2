// SPDX-License-Identifier: Apache-2.0
/** Appends to the anchor file of a segment: each line is durable before the next one is due. */
import { closeSync, constants, fdatasyncSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { anchorHash, buildAnchorLine } from '../../shared/audit/anchor.ts';
import type { SignedCheckpoint } from '../../shared/audit/checkpoint.ts';
import { buildNote } from '../../shared/audit/checkpoint.ts';

/** Where the chain of an anchor file stands. */
export interface AnchorPosition {
  /** Lines there are. */
  readonly count: number;
  /** Hash that the next line names. */
  readonly prev: string;
  /** Bytes of the whole lines; what follows is the rest of a write that was cut off. */
  readonly bytes: number;
  /** Tree size of the last line, 0 if there is none. */
  readonly size: number;
}

export class AnchorFile {
  readonly #file: number;
  #count: number;
  #prev: string;

  /** Opens or makes the file and cuts off a torn last line. */
  constructor(path: string, position: AnchorPosition) {
    this.#count = position.count;
    this.#prev = position.prev;
    this.#file = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW, 0o600);
    ftruncateSync(this.#file, position.bytes);
  }

  append(signed: SignedCheckpoint): void {
    const line = buildAnchorLine({ n: this.#count, prev: this.#prev, note: buildNote(signed) });
    const bytes = Buffer.from(`${line}\n`);
    if (writeSync(this.#file, bytes) !== bytes.length) throw new Error('the anchor file took a part of a line only');
    fdatasyncSync(this.#file);
    this.#prev = anchorHash(line);
    this.#count += 1;
  }

  close(): void {
    closeSync(this.#file);
  }
}
