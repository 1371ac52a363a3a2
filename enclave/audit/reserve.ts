// SPDX-License-Identifier: Apache-2.0
/**
 * Room on the disk that is held back: a file of real blocks beside the log. When the disk is full it is given up, and what
 * was admitted before can still be recorded (audit reference, section 3, flow control).
 */
import { closeSync, constants, fstatSync, fsyncSync, ftruncateSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';

const CHUNK_BYTES = 64 * 1024;

export class Reserve {
  readonly #path: string;
  readonly #bytes: number;
  #held = false;

  constructor(dir: string, bytes: number) {
    this.#path = join(dir, 'reserve');
    this.#bytes = bytes;
  }

  /** True if there is room for the reserve and as much again: with less, the disk would be full again at once. */
  hasRoom(): boolean {
    const { bavail, bsize } = statfsSync(dirname(this.#path));
    return bavail * bsize >= 2 * this.#bytes;
  }

  /** Takes the room; throws if there is not enough. What was left from a killed process is taken over. */
  take(): void {
    if (this.#held) return;
    const file = openSync(this.#path, constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    try {
      // Zeros written, not a hole: a file system may count blocks only once they hold something.
      const zeros = Buffer.alloc(CHUNK_BYTES);
      for (let at = fstatSync(file).size; at < this.#bytes; ) at += writeSync(file, zeros, 0, Math.min(zeros.length, this.#bytes - at), at);
      fsyncSync(file);
      this.#held = true;
    } catch (error) {
      ftruncateSync(file, 0);
      throw error;
    } finally {
      closeSync(file);
    }
  }

  /** Gives the room up. True if there was some. */
  release(): boolean {
    const was = this.#held;
    this.#held = false;
    rmSync(this.#path, { force: true });
    return was;
  }
}
