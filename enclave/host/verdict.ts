// SPDX-License-Identifier: Apache-2.0
/** Verifies logs on disk and puts the verdict in words: the first line says it, the next ones what it rests on. */
import { hash } from 'node:crypto';
import { basename } from 'node:path';
import { verdictOf } from '../../shared/audit/findings.ts';
import type { Verdict } from '../../shared/audit/findings.ts';
import type { Sha256 } from '../../shared/audit/merkle.ts';
import { reportAsJson, reportLines } from '../../shared/audit/report.ts';
import type { MissingSegment, SegmentSource } from '../../shared/audit/source.ts';
import { UnreadableSegment } from '../../shared/audit/source.ts';
import type { LogReport, VerifyOptions } from '../../shared/audit/verify.ts';
import { verifyLog } from '../../shared/audit/verify.ts';
import { Unavailable } from '../../shared/errors.ts';
import { wireJson } from '../../shared/json/canonical.ts';
import { jsonObject } from '../../shared/json/value.ts';
import { epochOf } from '../audit/files.ts';
import { createNativeVerify } from '../audit/key.ts';
import { SegmentReader } from '../audit/reader.ts';
import type { LogFiles } from '../audit/walk.ts';
import { visible } from '../../shared/cli/visible.ts';

export interface DirectoryReport extends LogReport {
  readonly dir: string;
}

/** By way of a string, because a small Buffer out of Node's pool costs less than one of its own. */
const nativeSha256: Sha256 = (data) => Buffer.from(hash('sha256', data, 'binary'), 'latin1');

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
      sha256: nativeSha256,
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

/** First line `chain: OK (ok)` or `chain: BROKEN (<code>)`, then a block for each log. */
export function reportsAsText(reports: readonly DirectoryReport[], trustFile: string | null): Printed {
  const verdict = overall(reports);
  const none = reports.length === 0;
  const first = verdict.kind === 'ok' && !none ? 'chain: OK (ok)' : `chain: BROKEN (${verdict.kind === 'ok' ? 'ROW_MISSING' : verdict.code})`;
  const lines = [first, ...(none ? ['there is no log here'] : []), ...reports.flatMap((report) => reportLines(report, report.dir, trustFile))];
  return { text: `${lines.map(visible).join('\n')}\n`, exit: exitOf(reports) };
}

/** `{"schema":"mcp-bastion/inspect-log/1","ok":...,"code":...,"logs":[...]}` */
export function reportsAsJson(reports: readonly DirectoryReport[]): Printed {
  const verdict = overall(reports);
  const ok = verdict.kind === 'ok' && reports.length > 0;
  const code = verdict.kind === 'ok' ? (reports.length > 0 ? null : 'ROW_MISSING') : verdict.code;
  const document = jsonObject({ schema: 'mcp-bastion/inspect-log/1', ok, code, logs: reports.map((report) => reportAsJson(report, report.dir)) });
  return { text: `${wireJson(document)}\n`, exit: exitOf(reports) };
}
