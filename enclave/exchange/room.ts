// SPDX-License-Identifier: Apache-2.0
/**
 * Bounds what one connection has under way in the audit log, so that a burst waits for its turn instead of filling the
 * log's queue, which refuses what no longer fits.
 */
import { AUDIT_QUEUE_BYTES_MAX, AUDIT_QUEUE_ROWS_MAX } from '../../shared/limits.ts';

/** Shares of the log's queue: the other half is for rows of its own and for what else writes to it. */
const ROWS_MAX = AUDIT_QUEUE_ROWS_MAX / 2;
const BYTES_MAX = AUDIT_QUEUE_BYTES_MAX / 2;

export class Room {
  #rows = 0;
  #bytes = 0;
  readonly #waiting: { readonly bytes: number; readonly enter: () => void }[] = [];

  /** Undefined if there is room now, which is then taken; else resolves when it is. First come, first served. */
  enter(bytes: number): Promise<void> | undefined {
    if (this.#waiting.length === 0 && this.#fits(bytes)) {
      this.#take(bytes);
      return undefined;
    }
    return new Promise((resolve) => {
      this.#waiting.push({ bytes, enter: resolve });
    });
  }

  leave(bytes: number): void {
    this.#rows -= 1;
    this.#bytes -= bytes;
    for (let next = this.#waiting[0]; next !== undefined && this.#fits(next.bytes); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#take(next.bytes);
      next.enter();
    }
  }

  /** One row always fits where nothing else is under way. */
  #fits(bytes: number): boolean {
    return this.#rows === 0 || (this.#rows < ROWS_MAX && this.#bytes + bytes <= BYTES_MAX);
  }

  #take(bytes: number): void {
    this.#rows += 1;
    this.#bytes += bytes;
  }
}
