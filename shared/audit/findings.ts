// SPDX-License-Identifier: Apache-2.0
/** What a verification found: stable codes, each with its first place and how often. */

/** `broken`: the log is not what was written. `unreadable`: it could not be read whole. The others do not fail a log. */
export type Severity = 'broken' | 'unreadable' | 'warn' | 'info';

export type FindingCode =
  | 'ROW_MISSING'
  | 'ROW_DUPLICATE'
  | 'ROW_REORDERED'
  | 'ROW_BODY_NONCANONICAL'
  | 'ROW_FIELD_MISMATCH'
  | 'PREV_MISMATCH'
  | 'LEAF_MISMATCH'
  | 'ROOT_MISMATCH'
  | 'SIG_INVALID'
  | 'SIG_MISSING'
  | 'SIG_ALG_UNEXPECTED'
  | 'UNSIGNED_TAIL'
  | 'CHECKPOINT_REGRESSION'
  | 'KEY_UNKNOWN'
  | 'KEY_SWAPPED'
  | 'ANCHOR_AHEAD'
  | 'ANCHOR_FORK'
  | 'ANCHOR_CHAIN_BROKEN'
  | 'ANCHOR_MISSING'
  | 'EPOCH_GAP'
  | 'EPOCH_OVERLAP'
  | 'PAYLOAD_MISMATCH'
  | 'SCHEMA_UNEXPECTED'
  | 'DB_CORRUPT'
  | 'TILE_CORRUPT'
  | 'TIME_REGRESSION'
  | 'PAYLOAD_ERASED';

const SEVERITIES: Readonly<Record<FindingCode, Severity>> = {
  ROW_MISSING: 'broken',
  ROW_DUPLICATE: 'broken',
  ROW_REORDERED: 'broken',
  ROW_BODY_NONCANONICAL: 'broken',
  ROW_FIELD_MISMATCH: 'broken',
  PREV_MISMATCH: 'broken',
  LEAF_MISMATCH: 'broken',
  ROOT_MISMATCH: 'broken',
  SIG_INVALID: 'broken',
  SIG_MISSING: 'broken',
  SIG_ALG_UNEXPECTED: 'broken',
  UNSIGNED_TAIL: 'broken',
  CHECKPOINT_REGRESSION: 'broken',
  KEY_UNKNOWN: 'broken',
  KEY_SWAPPED: 'broken',
  ANCHOR_AHEAD: 'broken',
  ANCHOR_FORK: 'broken',
  ANCHOR_CHAIN_BROKEN: 'broken',
  ANCHOR_MISSING: 'broken',
  EPOCH_GAP: 'broken',
  EPOCH_OVERLAP: 'broken',
  PAYLOAD_MISMATCH: 'broken',
  SCHEMA_UNEXPECTED: 'broken',
  DB_CORRUPT: 'unreadable',
  TILE_CORRUPT: 'warn',
  TIME_REGRESSION: 'warn',
  PAYLOAD_ERASED: 'info',
};

export interface Finding {
  readonly code: FindingCode;
  readonly severity: Severity;
  /** Segment in which it was first seen. */
  readonly segment: string;
  /** Row (or tree size, or line of the anchor file, as the detail says) of the first one; null if it is about none. */
  readonly at: number | null;
  readonly count: number;
  /** Safe to show: holds nothing that stands in the log. */
  readonly detail: string;
}

/** Gathers findings in the order of their first occurrence. */
export class Findings {
  readonly #found: Map<FindingCode, Finding> = new Map();

  add(code: FindingCode, segment: string, at: number | null, detail: string, count = 1): void {
    const known = this.#found.get(code);
    this.#found.set(
      code,
      known === undefined ? { code, severity: SEVERITIES[code], segment, at, count, detail } : { ...known, count: known.count + count },
    );
  }

  list(): Finding[] {
    return [...this.#found.values()];
  }
}

export type Verdict =
  | { readonly kind: 'ok' }
  /** The log does not match; `code` is the first reason. */
  | { readonly kind: 'broken'; readonly code: FindingCode }
  /** It could not be checked to the end. */
  | { readonly kind: 'unreadable'; readonly code: FindingCode };

/** What the findings come to: broken before unreadable before ok. */
export function verdictOf(findings: readonly Finding[]): Verdict {
  for (const kind of ['broken', 'unreadable'] as const) {
    const first = findings.find((finding) => finding.severity === kind);
    if (first !== undefined) return { kind, code: first.code };
  }
  return { kind: 'ok' };
}
