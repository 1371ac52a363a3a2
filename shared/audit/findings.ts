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
  | 'ROTATION_INVALID'
  | 'ANCHOR_AHEAD'
  | 'ANCHOR_FORK'
  | 'ANCHOR_CHAIN_BROKEN'
  | 'ANCHOR_MISSING'
  | 'RECEIPT_NOT_IN_LOG'
  | 'EPOCH_GAP'
  | 'EPOCH_OVERLAP'
  | 'PAYLOAD_MISMATCH'
  | 'SCHEMA_UNEXPECTED'
  | 'PROOF_INVALID'
  | 'POLICY_MISMATCH'
  | 'BUNDLE_INVALID'
  | 'BUNDLE_PATH'
  | 'BUNDLE_LINK'
  | 'BUNDLE_SIZE'
  | 'BUNDLE_DUPLICATE'
  | 'BUNDLE_SUM'
  | 'DB_CORRUPT'
  | 'TILE_CORRUPT'
  | 'TIME_REGRESSION'
  | 'SEGMENT_PRUNED'
  | 'GAP_RECORDED'
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
  ROTATION_INVALID: 'broken',
  ANCHOR_AHEAD: 'broken',
  ANCHOR_FORK: 'broken',
  ANCHOR_CHAIN_BROKEN: 'broken',
  ANCHOR_MISSING: 'broken',
  RECEIPT_NOT_IN_LOG: 'broken',
  EPOCH_GAP: 'broken',
  EPOCH_OVERLAP: 'broken',
  PAYLOAD_MISMATCH: 'broken',
  SCHEMA_UNEXPECTED: 'broken',
  PROOF_INVALID: 'broken',
  POLICY_MISMATCH: 'broken',
  BUNDLE_INVALID: 'broken',
  BUNDLE_PATH: 'broken',
  BUNDLE_LINK: 'broken',
  BUNDLE_SIZE: 'broken',
  BUNDLE_DUPLICATE: 'broken',
  BUNDLE_SUM: 'broken',
  DB_CORRUPT: 'unreadable',
  TILE_CORRUPT: 'warn',
  TIME_REGRESSION: 'warn',
  SEGMENT_PRUNED: 'info',
  GAP_RECORDED: 'warn',
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
  /** By code; those that may be withdrawn, each by itself. */
  readonly #found: Map<string, Finding> = new Map();

  add(code: FindingCode, segment: string, at: number | null, detail: string, count = 1): void {
    const known = this.#found.get(code);
    this.#found.set(
      code,
      known === undefined ? { code, severity: SEVERITIES[code], segment, at, count, detail } : { ...known, count: known.count + count },
    );
  }

  /** The same for a finding that something later in the log may explain: what is returned withdraws it. */
  hold(code: FindingCode, segment: string, at: number | null, detail: string): () => void {
    const key = `${code} ${this.#found.size} ${segment}`;
    this.#found.set(key, { code, severity: SEVERITIES[code], segment, at, count: 1, detail });
    return () => this.#found.delete(key);
  }

  list(): Finding[] {
    const merged = new Map<FindingCode, Finding>();
    for (const finding of this.#found.values()) {
      const first = merged.get(finding.code);
      merged.set(finding.code, first === undefined ? finding : { ...first, count: first.count + finding.count });
    }
    return [...merged.values()];
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
