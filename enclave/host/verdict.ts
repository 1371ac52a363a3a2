// SPDX-License-Identifier: Apache-2.0
/** Verifies logs on disk and puts the verdict in words: the first line says it, the next ones what it rests on. */
import { verdictOf } from '../../shared/audit/findings.ts';
import type { Finding, Verdict } from '../../shared/audit/findings.ts';
import type { MissingSegment, SegmentSource } from '../../shared/audit/source.ts';
import { UnreadableSegment } from '../../shared/audit/source.ts';
import type { KeyStanding, LogReport, VerifyOptions } from '../../shared/audit/verify.ts';
import { verifyLog } from '../../shared/audit/verify.ts';
import { Unavailable } from '../../shared/errors.ts';
import { wireJson } from '../../shared/json/canonical.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { jsonObject } from '../../shared/json/value.ts';
import { basename } from 'node:path';
import { epochOf } from '../audit/files.ts';
import { createNativeVerify } from '../audit/key.ts';
import { SegmentReader } from '../audit/reader.ts';
import type { LogFiles } from '../audit/walk.ts';
import { visible } from './visible.ts';

export interface DirectoryReport extends LogReport {
  readonly dir: string;
}

export interface Printed {
  readonly text: string;
  readonly exit: number;
}

/** Verifies each log; one that cannot be opened is a finding, not an end. */
export function verifyLogs(
  logs: readonly LogFiles[],
  options: Pick<VerifyOptions, 'trust' | 'unknownLogs' | 'now'> & { readonly progress: (rows: number) => void },
): DirectoryReport[] {
  return logs.map((log) => {
    const verified = verifyLog(sourcesOf(log), {
      trust: options.trust,
      unknownLogs: options.unknownLogs,
      whole: log.whole,
      now: options.now,
      verify: createNativeVerify(),
      progress: (_segment, rows) => options.progress(rows),
    });
    return { ...verified, dir: log.dir };
  });
}

/** Opens one segment at a time, and closes it when the next is asked for. */
function* sourcesOf(log: LogFiles): Generator<SegmentSource | MissingSegment> {
  for (const path of log.segments) {
    const source = open(path);
    try {
      yield source;
    } finally {
      if (source instanceof SegmentReader) source.close();
    }
  }
  for (const path of log.gone) {
    const name = basename(path);
    yield { name, epoch: epochOf(name), schema: 'missing', reason: 'gone', detail: 'the anchor file covers rows that are not there' };
  }
}

function open(path: string): SegmentReader | MissingSegment {
  const name = basename(path);
  try {
    return new SegmentReader(path);
  } catch (error) {
    if (!(error instanceof UnreadableSegment) && !(error instanceof Unavailable)) throw error;
    return { name, epoch: epochOf(name), schema: 'missing', reason: 'unreadable', detail: error.message };
  }
}

function overall(reports: readonly DirectoryReport[]): Verdict {
  return verdictOf(reports.flatMap((report) => report.findings));
}

/** Exit codes: matches, does not match, could not check. */
const EXITS: Readonly<Record<Verdict['kind'], number>> = { ok: 0, broken: 1, unreadable: 3 };

function exitOf(reports: readonly DirectoryReport[]): number {
  if (reports.length === 0) return 3;
  return EXITS[overall(reports).kind];
}

const STANDINGS: Readonly<Record<KeyStanding, string>> = {
  pinned: 'pinned by',
  unknown: 'UNKNOWN to',
  'not-pinned': 'not pinned: taken from the log itself',
};

function keyLine(standing: KeyStanding, key: string | null, trustFile: string | null): string {
  const where = standing === 'not-pinned' || trustFile === null ? '' : ` ${trustFile}`;
  return `  key: ${key ?? 'none'} ${STANDINGS[standing]}${where}`;
}

function findingLine(finding: Finding): string {
  const times = finding.count === 1 ? '' : ` (${finding.count} times)`;
  const at = finding.at === null ? '' : ` at ${finding.at}`;
  return `  ${finding.severity}: ${finding.code} in ${finding.segment}${at}${times}: ${finding.detail}`;
}

function linesOf(report: DirectoryReport, trustFile: string | null): string[] {
  const { anchored, segments } = report;
  const epochs = segments.map((segment) => `${segment.epoch ?? '?'} (${segment.size} rows, ${segment.checkpoints} signatures)`);
  const keys = new Map(segments.map((segment) => [`${segment.standing} ${segment.key ?? ''}`, keyLine(segment.standing, segment.key, trustFile)]));
  return [
    `log: ${report.dir}`,
    `  size: ${report.size}`,
    `  root: ${report.root ?? 'none'}`,
    `  epochs: ${epochs.length === 0 ? 'none' : epochs.join(', ')}`,
    ...keys.values(),
    `  anchored: ${anchored.level === 'none' ? 'none' : `local @${anchored.size} of epoch ${anchored.epoch}`}`,
    `  last signature: ${report.ageSeconds === null ? 'none' : `${report.ageSeconds} s ago`}`,
    ...report.notes.map((note) => `  ${note}`),
    ...report.findings.map(findingLine),
  ];
}

/** First line `chain: OK (ok)` or `chain: BROKEN (<code>)`, then a block for each log. */
export function reportsAsText(reports: readonly DirectoryReport[], trustFile: string | null): Printed {
  const verdict = overall(reports);
  const none = reports.length === 0;
  const first = verdict.kind === 'ok' && !none ? 'chain: OK (ok)' : `chain: BROKEN (${verdict.kind === 'ok' ? 'ROW_MISSING' : verdict.code})`;
  const lines = [first, ...(none ? ['there is no log here'] : []), ...reports.flatMap((report) => linesOf(report, trustFile))];
  return { text: `${lines.map(visible).join('\n')}\n`, exit: exitOf(reports) };
}

function reportAsJson(report: DirectoryReport): JsonObject {
  const { anchored } = report;
  return jsonObject({
    dir: report.dir,
    verdict: report.verdict.kind,
    code: report.verdict.kind === 'ok' ? null : report.verdict.code,
    log: report.log,
    size: report.size,
    root: report.root,
    epochs: report.segments.map((segment) =>
      jsonObject({
        epoch: segment.epoch,
        origin: segment.origin,
        size: segment.size,
        root: segment.root,
        key: segment.key,
        standing: segment.standing,
        checkpoints: segment.checkpoints,
        payloads_absent: segment.payloadsAbsent,
      }),
    ),
    anchored: anchored.level === 'none' ? jsonObject({ level: 'none' }) : jsonObject({ level: 'local', epoch: anchored.epoch, size: anchored.size }),
    age_seconds: report.ageSeconds,
    notes: [...report.notes],
    findings: report.findings.map((finding) => jsonObject({ ...finding })),
  });
}

/** `{"schema":"mcp-bastion/inspect-log/1","ok":...,"code":...,"logs":[...]}` */
export function reportsAsJson(reports: readonly DirectoryReport[]): Printed {
  const verdict = overall(reports);
  const ok = verdict.kind === 'ok' && reports.length > 0;
  const code = verdict.kind === 'ok' ? (reports.length > 0 ? null : 'ROW_MISSING') : verdict.code;
  const document = jsonObject({ schema: 'mcp-bastion/inspect-log/1', ok, code, logs: reports.map(reportAsJson) });
  return { text: `${wireJson(document)}\n`, exit: exitOf(reports) };
}
