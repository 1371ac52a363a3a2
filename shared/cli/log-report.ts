// SPDX-License-Identifier: Apache-2.0
/** What `bastion-verify-log` prints. The text and the JSON say the same; the JSON is stable within its `schema`. */
import { verdictOf } from '../audit/findings.ts';
import type { Finding } from '../audit/findings.ts';
import { findingLine, reportAsJson, reportFacts, reportLines } from '../audit/report.ts';
import type { LogReport } from '../audit/verify.ts';
import { wireJson } from '../json/canonical.ts';
import { jsonObject } from '../json/value.ts';
import { visible } from './visible.ts';

const SCHEMA = 'mcp-bastion/verify-log/1';

export interface VerifiedLog {
  readonly dir: string;
  readonly report: LogReport;
}

/** `unpinned`: nothing is wrong, but whose log it is was not checked. */
export type Outcome = { readonly kind: 'verified' } | { readonly kind: 'refused' | 'unreadable'; readonly code: string } | { readonly kind: 'unpinned' };

export interface LogsVerified {
  readonly logs: readonly VerifiedLog[];
  /** What was kept elsewhere and is of no log that is here. */
  readonly stray: readonly Finding[];
  readonly acceptUnpinned: boolean;
  readonly trustFile: string | null;
  readonly atMs: number;
}

export function outcomeOf({ logs, stray, acceptUnpinned }: LogsVerified): Outcome {
  const verdict = verdictOf([...stray, ...logs.flatMap(({ report }) => report.findings)]);
  if (verdict.kind === 'broken') return { kind: 'refused', code: verdict.code };
  if (verdict.kind === 'unreadable') return { kind: 'unreadable', code: verdict.code };
  if (logs.length === 0) return { kind: 'unreadable', code: 'ROW_MISSING' };
  const unpinned = logs.some(({ report }) => report.segments.some((segment) => segment.standing !== 'pinned'));
  return unpinned && !acceptUnpinned ? { kind: 'unpinned' } : { kind: 'verified' };
}

/** 0 verified, 1 does not match, 3 could not check everything. */
export function exitOf(outcome: Outcome): number {
  switch (outcome.kind) {
    case 'verified':
      return 0;
    case 'refused':
      return 1;
    case 'unreadable':
    case 'unpinned':
      return 3;
  }
}

function firstWords(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'verified':
      return 'OK';
    case 'refused':
      return `BROKEN (${outcome.code})`;
    case 'unreadable':
      return `UNREADABLE (${outcome.code})`;
    case 'unpinned':
      return 'NOT VERIFIED (key not pinned)';
  }
}

/** The first line is the verdict and what it rests on, then a block for each log. */
export function logsAsText(verified: LogsVerified): string {
  const { logs, stray, trustFile } = verified;
  const [only] = logs;
  const facts = logs.length === 1 && only !== undefined ? reportFacts(only.report) : `logs=${logs.length} rows=${logs.reduce((sum, { report }) => sum + report.rows, 0)}`;
  const outcome = outcomeOf(verified);
  const lines = [`chain: ${firstWords(outcome)} ${facts}`];
  if (logs.length === 0) lines.push('there is no log here');
  if (outcome.kind === 'unpinned') lines.push('whose log this is was not checked: give --trust, or accept it with --accept-unchecked key');
  if (outcome.kind === 'verified' && verified.acceptUnpinned) lines.push('accepted as unchecked: key');
  lines.push(...stray.map(findingLine));
  for (const { dir, report } of logs) lines.push(...reportLines(report, dir, trustFile));
  return `${lines.map(visible).join('\n')}\n`;
}

export function logsAsJson(verified: LogsVerified): string {
  const outcome = outcomeOf(verified);
  const document = jsonObject({
    schema: SCHEMA,
    verdict: outcome.kind,
    exit: exitOf(outcome),
    code: 'code' in outcome ? outcome.code : null,
    at: new Date(verified.atMs).toISOString(),
    stray: verified.stray.map((finding) => jsonObject({ ...finding })),
    logs: verified.logs.map(({ dir, report }) => reportAsJson(report, dir)),
  });
  return `${wireJson(document)}\n`;
}
