// SPDX-License-Identifier: Apache-2.0
/**
 * Rows for attempts at approving that were refused. Whoever reaches the control socket can make attempts without end: a
 * few of them get a row each, the rest of a minute shares one row that counts them, so that nobody fills the log.
 */
import type { ApprovalRow } from '../../shared/audit/row.ts';
import { APPROVAL_REFUSALS_PER_MINUTE_MAX } from '../../shared/limits.ts';
import type { After } from './entry.ts';

const MINUTE_MS = 60_000;

export interface RefusalRowsParts {
  readonly record: (fields: ApprovalRow) => Promise<void>;
  /** Milliseconds since an arbitrary start. */
  readonly steady: () => number;
  readonly after: After;
  /** The row that stands for several attempts. */
  readonly merged: (count: number) => ApprovalRow;
}

export class RefusalRows {
  readonly #parts: RefusalRowsParts;
  #since = Number.NEGATIVE_INFINITY;
  #rows = 0;
  #merged = 0;
  #disarm: (() => void) | null = null;

  constructor(parts: RefusalRowsParts) {
    this.#parts = parts;
  }

  /** Rejects as `record` does. */
  async add(fields: ApprovalRow): Promise<void> {
    const { steady, after, record } = this.#parts;
    if (steady() - this.#since >= MINUTE_MS) {
      this.#since = steady();
      this.#rows = 0;
    }
    if (this.#rows < APPROVAL_REFUSALS_PER_MINUTE_MAX) {
      this.#rows += 1;
      await record(fields);
      return;
    }
    this.#merged += 1;
    // A log that fails says so to everybody; the count is kept for the next try.
    this.#disarm ??= after(MINUTE_MS - (steady() - this.#since), () => void this.flush().catch(() => undefined));
  }

  /** Writes the row for those that have none. Rejects as `record` does. */
  async flush(): Promise<void> {
    this.#disarm?.();
    this.#disarm = null;
    const count = this.#merged;
    if (count === 0) return;
    this.#merged = 0;
    try {
      await this.#parts.record(this.#parts.merged(count));
    } catch (error) {
      this.#merged += count;
      throw error;
    }
  }
}
