// SPDX-License-Identifier: Apache-2.0
/**
 * Which rows may still wait for the log. A call that is admitted reserves the place of its result: what was executed can
 * be recorded, however full the queue is (audit reference, section 3, flow control).
 */
import type { RowFields } from '../../shared/audit/row.ts';
import { AUDIT_QUEUE_BYTES_MAX, AUDIT_QUEUE_ROWS_MAX, AUDIT_RESERVED_ROWS_MAX } from '../../shared/limits.ts';

export class Admission {
  readonly #reserved = new Set<string>();
  #rows = 0;
  #bytes = 0;

  /** True for the result of a call that was admitted. */
  isReserved(fields: RowFields): boolean {
    const id = fields['call_id'];
    return fields.kind === 'result' && typeof id === 'string' && this.#reserved.has(id);
  }

  /** Counts a row in, unless there is no room for it. */
  enter(fields: RowFields, weight: number): boolean {
    const reserved = this.isReserved(fields);
    if (!reserved && (this.#rows + this.#reserved.size >= AUDIT_QUEUE_ROWS_MAX || this.#bytes + weight > AUDIT_QUEUE_BYTES_MAX)) return false;
    this.#rows += 1;
    this.#bytes += weight;
    const id = fields['call_id'];
    if (typeof id !== 'string') return true;
    if (reserved) this.#reserved.delete(id);
    else if (fields.kind === 'call' && (fields['decision'] === 'allow' || fields['decision'] === 'alert')) this.#reserve(id);
    return true;
  }

  /** Counts a row out: it is durable, or lost. */
  leave(weight: number): void {
    this.#rows -= 1;
    this.#bytes -= weight;
  }

  #reserve(id: string): void {
    this.#reserved.add(id);
    if (this.#reserved.size <= AUDIT_RESERVED_ROWS_MAX) return;
    for (const oldest of this.#reserved) {
      this.#reserved.delete(oldest);
      return;
    }
  }
}
