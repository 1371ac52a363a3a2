// SPDX-License-Identifier: Apache-2.0
/** What the log's thread and the rest of the process say to each other. */
import type { GapRow, RowDraft } from '../../shared/audit/row.ts';
import type { UnavailableCode } from '../../shared/errors.ts';
import type { RedactionPattern } from '../policy/types.ts';
import type { AuditKey } from './key.ts';
import type { BootFields, Committed } from './writer.ts';

/** When a segment ends, and how long segments are kept. */
export interface Keeping {
  readonly segmentBytes: number;
  readonly segmentMs: number;
  /** Milliseconds after its last row that a segment is kept; null: for ever (a legal hold). */
  readonly keepMs: number | null;
}

export interface WorkerInput {
  readonly dir: string;
  readonly stateDir: string;
  readonly key: AuditKey;
  readonly boot: BootFields;
  /** 16 hex digits of this start, for rows that the log writes about itself. */
  readonly session: string;
  readonly wall: number;
  readonly mono: number;
  readonly payload: 'none' | 'redacted';
  readonly signature: 'per-commit' | 'per-row';
  readonly scrubPatterns: readonly RedactionPattern[];
  /** Public keys for whom payloads are sealed, as in a policy; none: payloads are stored as they are, redacted. */
  readonly readers: readonly string[];
  readonly keeping: Keeping;
  readonly reserveBytes: number;
}

/**
 * Every failure of the storage begins a new generation, on whichever side it is noticed: rows of an earlier one are not
 * written any more.
 */
export type ToWorker =
  | { readonly kind: 'rows'; readonly generation: number; readonly drafts: readonly RowDraft[] }
  /** Rows took too long: those that wait are given up. Answered by `reopened` once rows can be written. */
  | { readonly kind: 'ask'; readonly generation: number }
  /** Payloads of the rows that follow are scrubbed by these. */
  | { readonly kind: 'scrub'; readonly patterns: readonly RedactionPattern[] }
  | { readonly kind: 'close' };

export type FromWorker =
  | { readonly kind: 'ready'; readonly origin: string; readonly epoch: number }
  /** The oldest rows that wait are durable. */
  | { readonly kind: 'committed'; readonly generation: number; readonly group: Committed }
  /** The storage failed; the rows that wait are not written. `low`: results of admitted calls still can be. */
  | { readonly kind: 'suspended'; readonly generation: number; readonly reason: GapRow['reason']; readonly low: boolean; readonly message: string; readonly hint: string }
  /** The storage is sound again, and there is room. */
  | { readonly kind: 'reopened' }
  /** Nothing more will be written. */
  | { readonly kind: 'failed'; readonly code: UnavailableCode; readonly message: string; readonly hint: string }
  | { readonly kind: 'closed' };

/** Bytes that a draft is counted as while it waits. */
export function weightOf(draft: RowDraft): number {
  return 512 + (draft.payload?.text.length ?? 0);
}
