// SPDX-License-Identifier: Apache-2.0
/** The audit log as the data path sees it. */
import type { RowDraft, RowReceipt } from '../../shared/audit/row.ts';

export interface Recorder {
  /**
   * Queues a row; rows become durable in the order of the calls. Resolves once the row and a signed checkpoint that
   * covers it are durable. Rejects with Unavailable (AUDIT_UNAVAILABLE) if that cannot be: the caller must then not
   * let the message move. Never throws synchronously.
   */
  append(draft: RowDraft): Promise<RowReceipt>;
  /** False while only results of admitted calls are taken: new work goes elsewhere. */
  readonly ready: boolean;
  /** False once a row was lost; what is asked for then is refused at once. */
  readonly available: boolean;
  /** Waits for all queued rows, writes the last anchor line and releases the log. */
  close(): Promise<void>;
}
