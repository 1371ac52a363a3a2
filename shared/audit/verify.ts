// SPDX-License-Identifier: Apache-2.0
/**
 * Verifies one log, that is all epochs that one directory holds, from public data only: each epoch by itself, the chain
 * from epoch to epoch, and the keys against a trust file. It needs no clock, no key and no storage of its own.
 */
import type { VerifySignature } from './checkpoint.ts';
import { verifySignature } from './checkpoint.ts';
import type { Evidence } from './evidence.ts';
import type { Finding, Verdict } from './findings.ts';
import { Findings, verdictOf } from './findings.ts';
import type { Sha256 } from './merkle.ts';
import type { SegmentReport } from './segment.ts';
import { verifySegment } from './segment.ts';
import type { MissingSegment, SegmentSource } from './source.ts';

/** Keys that belong to each log: log id to fingerprints (SHA-256 of the SPKI, hex). */
export type Trust = ReadonlyMap<string, ReadonlySet<string>>;

export interface VerifyOptions {
  /** Null: keys are taken from the log itself, and the report says so. */
  readonly trust: Trust | null;
  /** True if the segments are all that the directory holds; false for a single file, whose neighbours are not judged. */
  readonly whole: boolean;
  /** Whether a log that the trust file does not know at all is a finding, or only counts as not pinned. */
  readonly unknownLogs: 'refuse' | 'not-pinned';
  /** Seconds since 1970. */
  readonly now: number;
  readonly verify?: VerifySignature;
  readonly sha256?: Sha256;
  /** What was kept apart from the log. */
  readonly evidence?: Evidence;
  /** Rows that all epochs together have at least; 0 for no claim. */
  readonly expectRows?: number;
  readonly progress?: (segment: string, rows: number) => void;
}

export type KeyStanding = 'pinned' | 'unknown' | 'not-pinned';

export interface LogReport {
  readonly verdict: Verdict;
  readonly log: string | null;
  readonly segments: readonly (SegmentReport & { readonly standing: KeyStanding })[];
  /** Of the last epoch. */
  readonly size: number;
  readonly root: string | null;
  /** Of all epochs. */
  readonly rows: number;
  readonly anchored: Anchored;
  /** Seconds since the last signature. */
  readonly ageSeconds: number | null;
  readonly findings: readonly Finding[];
  /** What this verification could not see, in words. */
  readonly notes: readonly string[];
}

/** The farthest checkpoint that stands outside the database as well: in the anchor file beside it, or kept elsewhere. */
export type Anchored = { readonly level: 'none' } | { readonly level: 'local' | 'external'; readonly epoch: number; readonly size: number };

/** Verifies the segments of one log in the order of their epochs; each is read once, to its end. */
export function verifyLog(segments: Iterable<SegmentSource | MissingSegment>, options: VerifyOptions): LogReport {
  const findings = new Findings();
  const notes: string[] = [];
  const reports: (SegmentReport & { standing: KeyStanding })[] = [];
  const doubts: Doubt[] = [];
  let begun = 0;
  for (const source of segments) {
    begun += 1;
    if (source.schema === 'missing') {
      if (source.reason === 'gone') doubts.push({ kind: 'gone', epoch: source.epoch, name: source.name, withdraw: findings.hold('ANCHOR_AHEAD', source.name, null, source.detail) });
      else findings.add('DB_CORRUPT', source.name, null, source.detail);
      continue;
    }
    if (isUnbegun(source)) {
      notes.push(`${source.name}: empty, this epoch was never begun`);
      continue;
    }
    const report = verifySegment(source, {
      verify: options.verify ?? verifySignature,
      ...(options.sha256 === undefined ? {} : { sha256: options.sha256 }),
      ...(options.evidence === undefined ? {} : { evidence: options.evidence }),
      findings,
      onAhead: (epoch, size, root, withdraw) => doubts.push({ kind: 'ahead', epoch, size, root, withdraw }),
      progress: (rows) => options.progress?.(source.name, rows),
    });
    if (report === null) continue;
    checkEpoch(reports.at(-1), report, options.whole, findings, notes, doubts);
    reports.push({ ...report, standing: standingOf(report, reports.at(-1), options, findings) });
  }
  if (begun === 0 || (reports.length === 0 && findings.list().length === 0)) findings.add('ROW_MISSING', 'log', null, 'there is no log');
  explain(doubts, reports, findings);
  checkRows(reports, options.expectRows ?? 0, findings);
  return conclude(reports, findings, notes, options);
}

/** A start that ended before its first commit leaves a database without tables, and no anchor file. */
function isUnbegun(source: SegmentSource): boolean {
  return source.schema === 'empty' && source.anchorLines() === null;
}

/** A finding that rows of a later epoch may explain: what retention took away, or a loss that somebody accepted. */
type Doubt = { readonly withdraw: () => void } & (
  | { readonly kind: 'gone'; readonly epoch: number | null; readonly name: string }
  | { readonly kind: 'ahead'; readonly epoch: number; readonly size: number; readonly root: string }
  | { readonly kind: 'unchained'; readonly epoch: number; readonly previous: NonNullable<SegmentReport['previous']> }
);

/** Only what a row names exactly is explained by it. */
function explain(doubts: readonly Doubt[], reports: readonly SegmentReport[], findings: Findings): void {
  const recovered = reports.flatMap((report) => report.recovered);
  const erased = reports.flatMap((report) => report.erasedThrough ?? []);
  for (const doubt of doubts) {
    switch (doubt.kind) {
      case 'gone':
        if (erased.some((through) => doubt.epoch !== null && doubt.epoch <= through.epoch)) {
          doubt.withdraw();
          findings.add('SEGMENT_PRUNED', doubt.name, null, 'retention took a segment away, as a row says');
        } else if (recovered.some((loss) => loss.epoch === doubt.epoch && loss.from === 0)) doubt.withdraw();
        break;
      case 'ahead':
        if (recovered.some((loss) => loss.epoch === doubt.epoch && loss.to === doubt.size && loss.root === doubt.root)) doubt.withdraw();
        break;
      case 'unchained': {
        const { epoch, previous } = doubt;
        const isNamed = (end: { readonly epoch: number; readonly size: number; readonly root: string | null }): boolean =>
          end.epoch === epoch - 1 && end.size === previous.size && end.root === previous.root;
        if (erased.some(isNamed) || recovered.some((loss) => loss.from === 0 && isNamed({ ...loss, size: loss.to }))) doubt.withdraw();
      }
    }
  }
}

function checkEpoch(before: SegmentReport | undefined, report: SegmentReport, whole: boolean, findings: Findings, notes: string[], doubts: Doubt[]): void {
  const { name, epoch, previous } = report;
  if (epoch === null) return;
  if (before === undefined) {
    if (previous === null) {
      if (epoch !== 1) findings.add('EPOCH_GAP', name, 0, 'the first row does not name the epoch before');
    } else if (whole) {
      doubts.push({ kind: 'unchained', epoch, previous, withdraw: findings.hold('EPOCH_GAP', name, 0, 'the epoch before is missing') });
    } else {
      notes.push(`epochs before ${epoch} are not part of what was checked`);
    }
    return;
  }
  if (before.log !== report.log) findings.add('ROW_FIELD_MISMATCH', name, 0, 'epochs of two logs stand in one place');
  if (before.epoch !== null && epoch <= before.epoch) findings.add('EPOCH_OVERLAP', name, 0, 'an epoch is there twice');
  else if (before.epoch !== null && epoch > before.epoch + 1) {
    const withdraw = findings.hold('EPOCH_GAP', name, 0, 'an epoch is missing');
    if (previous !== null) doubts.push({ kind: 'unchained', epoch, previous, withdraw });
    return;
  }
  if (before.handedTo !== null && before.handedTo !== report.key) findings.add('ROTATION_INVALID', name, 0, 'the epoch before was handed over to another key');
  if (previous?.origin !== before.origin) {
    findings.add('EPOCH_GAP', name, 0, 'the first row does not name the epoch before');
  } else if (previous.size !== before.size || previous.root !== before.root) {
    findings.add('EPOCH_OVERLAP', name, 0, 'the epoch before does not end where the first row says');
  }
}

/** A key is known if the trust file holds it, or if a known key handed the log over to it. */
function standingOf(report: SegmentReport, before: LogReport['segments'][number] | undefined, options: VerifyOptions, findings: Findings): KeyStanding {
  if (options.trust === null) return 'not-pinned';
  const keys = report.log === null ? undefined : options.trust.get(report.log);
  if (keys === undefined && options.unknownLogs === 'not-pinned') return 'not-pinned';
  const inherited = before?.standing === 'pinned' && before.log === report.log && before.handedTo === report.key;
  const known = report.key !== null && (inherited || keys?.has(report.key) === true);
  if (!known) findings.add('KEY_UNKNOWN', report.name, null, "the trust file does not hold this log's key");
  return known ? 'pinned' : 'unknown';
}

function checkRows(reports: LogReport['segments'], expected: number, findings: Findings): void {
  const rows = rowsOf(reports);
  if (rows < expected) findings.add('ROW_MISSING', 'log', rows, 'the log has fewer rows than it had', expected - rows);
}

function rowsOf(reports: LogReport['segments']): number {
  return reports.reduce((sum, report) => sum + report.size, 0);
}

/** Something kept elsewhere says more than the file beside the log, however far either reaches. */
function anchoredOf(reports: LogReport['segments']): Anchored {
  const external = reports.findLast((report) => report.epoch !== null && report.kept > 0);
  if (external !== undefined && external.epoch !== null) return { level: 'external', epoch: external.epoch, size: external.kept };
  const local = reports.findLast((report) => report.epoch !== null && report.anchored > 0);
  if (local !== undefined && local.epoch !== null) return { level: 'local', epoch: local.epoch, size: local.anchored };
  return { level: 'none' };
}

/** A verdict never claims more than it saw (audit reference, section 1). */
function truncationNote(reports: LogReport['segments'], anchored: Anchored): string {
  const received = reports.findLast((report) => report.received > 0);
  const held = received === undefined || received.epoch === null ? '' : ` Receipts reach epoch ${received.epoch} size ${received.received}.`;
  switch (anchored.level) {
    case 'none':
      return `tail-truncation: NOT DETECTABLE beyond the first row; no checkpoint stands outside the log.${held}`;
    case 'local':
      return `tail-truncation: NOT DETECTABLE beyond epoch ${anchored.epoch} size ${anchored.size}; the anchor file lies beside the log, so whoever can cut both is not seen.${held}`;
    case 'external':
      return `tail-truncation: NOT DETECTABLE beyond epoch ${anchored.epoch} size ${anchored.size}, which the checkpoints that were kept elsewhere cover.${held}`;
  }
}

function conclude(reports: LogReport['segments'], findings: Findings, notes: string[], options: VerifyOptions): LogReport {
  const last = reports.at(-1);
  const anchored = anchoredOf(reports);
  notes.push(truncationNote(reports, anchored));
  const signedAt = last?.signedAt ?? null;
  if (signedAt !== null && signedAt > options.now) notes.push(`the last signature is ${signedAt - options.now} s after the time of this verification`);
  const list = findings.list();
  return {
    verdict: verdictOf(list),
    log: last?.log ?? null,
    segments: reports,
    size: last?.size ?? 0,
    root: last?.root ?? null,
    rows: rowsOf(reports),
    anchored,
    ageSeconds: signedAt === null ? null : Math.max(0, options.now - signedAt),
    findings: list,
    notes,
  };
}
