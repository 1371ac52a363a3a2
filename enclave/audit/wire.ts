// SPDX-License-Identifier: Apache-2.0
/** What the log's thread and the rest of the process say to each other. */
import type { KeyObject } from 'node:crypto';
import type { RowDraft } from '../../shared/audit/row.ts';
import type { UnavailableCode } from '../../shared/errors.ts';
import type { RedactionPattern } from '../policy/types.ts';
import type { BootFields, Committed } from './writer.ts';

export interface WorkerInput {
  readonly dir: string;
  readonly stateDir: string;
  readonly key: {
    readonly custody: 'file' | 'ephemeral';
    readonly privateKey: KeyObject;
    readonly publicKey: Uint8Array;
    readonly fingerprint: string;
  };
  readonly boot: BootFields;
  readonly wall: number;
  readonly mono: number;
  readonly payload: 'none' | 'redacted';
  readonly signature: 'per-commit' | 'per-row';
  readonly scrubPatterns: readonly RedactionPattern[];
}

export type ToWorker = { readonly kind: 'rows'; readonly drafts: readonly RowDraft[] } | { readonly kind: 'close' };

export type FromWorker =
  | { readonly kind: 'ready'; readonly origin: string; readonly epoch: number }
  /** The oldest rows that wait are durable. */
  | { readonly kind: 'committed'; readonly group: Committed }
  /** Nothing more will be written. */
  | { readonly kind: 'failed'; readonly code: UnavailableCode; readonly message: string; readonly hint: string }
  | { readonly kind: 'closed' };

/** Bytes that a draft is counted as while it waits. */
export function weightOf(draft: RowDraft): number {
  return 512 + (draft.payload?.text.length ?? 0);
}
