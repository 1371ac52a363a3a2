// SPDX-License-Identifier: Apache-2.0
/**
 * Verifies one log, that is all epochs that one directory holds, from public data only: each epoch by itself, the chain
 * from epoch to epoch, and the keys against a trust file. It needs no clock, no key and no storage of its own.
 */
import type { VerifySignature } from './checkpoint.ts';
import { verifySignature } from './checkpoint.ts';
import type { Finding, Verdict } from './findings.ts';
import { Findings, verdictOf } from './findings.ts';
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
  /** The farthest checkpoint that stands outside the database as well. */
  readonly anchored: { readonly level: 'none' } | { readonly level: 'local'; readonly epoch: number; readonly size: number };
  /** Seconds since the last signature. */
  readonly ageSeconds: number | null;
  readonly findings: readonly Finding[];
  /** What this verification could not see, in words. */
  readonly notes: readonly string[];
}

/** Verifies the segments of one log in the order of their epochs; each is read once, to its end. */
export function verifyLog(segments: Iterable<SegmentSource | MissingSegment>, options: VerifyOptions): LogReport {
  const findings = new Findings();
  const notes: string[] = [];
  const reports: (SegmentReport & { standing: KeyStanding })[] = [];
  let begun = 0;
  for (const source of segments) {
    begun += 1;
    if (source.schema === 'missing') {
      findings.add(source.reason === 'gone' ? 'ANCHOR_AHEAD' : 'DB_CORRUPT', source.name, null, source.detail);
      continue;
    }
    if (isUnbegun(source)) {
      notes.push(`${source.name}: empty, this epoch was never begun`);
      continue;
    }
    const report = verifySegment(source, {
      verify: options.verify ?? verifySignature,
      findings,
      progress: (rows) => options.progress?.(source.name, rows),
    });
    if (report === null) continue;
    checkEpoch(reports.at(-1), report, options.whole, findings, notes);
    reports.push({ ...report, standing: standingOf(report, options, findings) });
  }
  if (begun === 0 || (reports.length === 0 && findings.list().length === 0)) findings.add('ROW_MISSING', 'log', null, 'there is no log');
  return conclude(reports, findings, notes, options);
}

/** A start that ended before its first commit leaves a database without tables, and no anchor file. */
function isUnbegun(source: SegmentSource): boolean {
  return source.schema === 'empty' && source.anchorLines() === null;
}

function checkEpoch(before: SegmentReport | undefined, report: SegmentReport, whole: boolean, findings: Findings, notes: string[]): void {
  const { name, epoch, previous } = report;
  if (epoch === null) return;
  if (before === undefined) {
    if (previous === null) {
      if (epoch !== 1) findings.add('EPOCH_GAP', name, 0, 'the first row does not name the epoch before');
    } else if (whole) {
      findings.add('EPOCH_GAP', name, 0, 'the epoch before is missing');
    } else {
      notes.push(`epochs before ${epoch} are not part of what was checked`);
    }
    return;
  }
  if (before.log !== report.log) findings.add('ROW_FIELD_MISMATCH', name, 0, 'epochs of two logs stand in one place');
  if (before.epoch !== null && epoch <= before.epoch) findings.add('EPOCH_OVERLAP', name, 0, 'an epoch is there twice');
  else if (before.epoch !== null && epoch > before.epoch + 1) findings.add('EPOCH_GAP', name, 0, 'an epoch is missing');
  if (previous?.origin !== before.origin) {
    findings.add('EPOCH_GAP', name, 0, 'the first row does not name the epoch before');
  } else if (previous.size !== before.size || previous.root !== before.root) {
    findings.add('EPOCH_OVERLAP', name, 0, 'the epoch before does not end where the first row says');
  }
}

function standingOf(report: SegmentReport, options: VerifyOptions, findings: Findings): KeyStanding {
  if (options.trust === null) return 'not-pinned';
  const keys = report.log === null ? undefined : options.trust.get(report.log);
  if (keys === undefined && options.unknownLogs === 'not-pinned') return 'not-pinned';
  const known = report.key !== null && keys?.has(report.key) === true;
  if (!known) findings.add('KEY_UNKNOWN', report.name, null, "the trust file does not hold this log's key");
  return known ? 'pinned' : 'unknown';
}

function conclude(reports: LogReport['segments'], findings: Findings, notes: string[], options: VerifyOptions): LogReport {
  const last = reports.at(-1);
  const anchoredIn = reports.findLast((report) => report.anchored > 0);
  const anchored =
    anchoredIn?.epoch === undefined || anchoredIn.epoch === null
      ? ({ level: 'none' } as const)
      : ({ level: 'local', epoch: anchoredIn.epoch, size: anchoredIn.anchored } as const);
  const beyond = anchored.level === 'none' ? 'the first row' : `epoch ${anchored.epoch} size ${anchored.size}`;
  notes.push(`tail-truncation: NOT DETECTABLE beyond ${beyond}; the anchor file lies beside the log, so whoever can cut both is not seen`);
  const list = findings.list();
  return {
    verdict: verdictOf(list),
    log: last?.log ?? null,
    segments: reports,
    size: last?.size ?? 0,
    root: last?.root ?? null,
    anchored,
    ageSeconds: last?.signedAt === null || last?.signedAt === undefined ? null : Math.max(0, options.now - last.signedAt),
    findings: list,
    notes,
  };
}
