// SPDX-License-Identifier: Apache-2.0
/** `mcp-bastion policy replay`: reads logs, and says which decisions another policy would change. */
import { readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { UnreadableSegment } from '../../../shared/audit/source.ts';
import { Unavailable, Usage } from '../../../shared/errors.ts';
import { wireJson } from '../../../shared/json/canonical.ts';
import { jsonObject } from '../../../shared/json/value.ts';
import { toolLabel } from '../../../shared/label.ts';
import { REPLAY_NAMES_BYTES_MAX } from '../../../shared/limits.ts';
import { SegmentReader } from '../../audit/reader.ts';
import { findLogs } from '../../audit/walk.ts';
import { loadPolicy } from '../../policy/compile.ts';
import { visible } from '../../../shared/cli/visible.ts';
import type { ReplayReport } from './replay.ts';
import { Replay } from './replay.ts';

export interface PolicyIo {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown; readonly isTTY?: boolean };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: { policy: { type: 'string' }, log: { type: 'string' }, tools: { type: 'string' }, servers: { type: 'string' }, json: { type: 'boolean' } },
    }).values;
  } catch (error) {
    throw new Usage('USAGE', error instanceof Error ? (error.message.split('. ')[0] ?? 'bad options') : 'bad options', 'see: mcp-bastion policy --help');
  }
}

/** Names by label, from a file with one name a line. */
function readNames(path: string | undefined): ReadonlyMap<string, string> {
  if (path === undefined) return new Map();
  let text: string;
  try {
    if (statSync(path).size > REPLAY_NAMES_BYTES_MAX) throw new RangeError('the file is too large');
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new Unavailable('FILE_UNREADABLE', 'the file of --tools cannot be read', 'name a text file with one tool name a line', error);
  }
  const names = text.split(/\r?\n/).filter((name) => name !== '');
  return new Map(names.map((name) => [toolLabel(name), name]));
}

function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

function withRule(decision: string, rule: string | null): string {
  return rule === null ? decision : `${decision} (${rule})`;
}

/** The report for a person. */
export function replayAsText(report: ReplayReport): string {
  const { undecidable: lost } = report;
  const lines = [`${plural(report.rows, 'row')}: ${plural(report.calls, 'call')}, ${plural(report.requests, 'other request')}`, `unchanged: ${report.same}`, `changed: ${report.changed}`];
  for (const { before, ruleBefore, after, ruleAfter, count, examples } of report.changes) {
    lines.push(`  ${withRule(before, ruleBefore)} -> ${withRule(after, ruleAfter)}: ${count}, first: ${examples.join(', ')}`);
  }
  const why = [
    [lost.nameless, 'of tools or methods that the log does not name (--tools FILE can)'],
    [lost.withoutArguments, 'whose arguments were not stored'],
    [lost.redacted, 'whose arguments were redacted before they were stored'],
  ] as const;
  lines.push(`undecidable: ${lost.nameless + lost.withoutArguments + lost.redacted}`);
  for (const [count, what] of why) if (count > 0) lines.push(`  ${count} ${what}`);
  if (report.other > 0) lines.push(`not decided by a rule then: ${report.other}`);
  if (report.unreadable > 0) lines.push(`not readable as rows: ${report.unreadable}`);
  lines.push('the log was not verified; see: mcp-bastion inspect-log --verify');
  return `${lines.map(visible).join('\n')}\n`;
}

function replayLogs(replay: Replay, path: string): void {
  const segments = findLogs(path).flatMap(({ dir, segments: paths }) => paths.map((segment) => [segment, join(basename(dir), basename(segment))] as const));
  if (segments.length === 0) throw new Unavailable('FILE_UNREADABLE', `there is no log at ${path}`, 'name a log directory, or one above logs');
  for (const [segment, name] of segments) {
    try {
      const reader = new SegmentReader(segment);
      try {
        if (reader.schema === 'foreign') throw new UnreadableSegment('it is another database');
        if (reader.schema !== 'empty') replay.take({ name, entries: () => reader.entries(), payloads: () => reader.payloads() });
      } finally {
        reader.close();
      }
    } catch (error) {
      if (!(error instanceof UnreadableSegment)) throw error;
      throw new Unavailable('FILE_UNREADABLE', `${segment} is no audit log, or a damaged one`, 'verify it with: mcp-bastion inspect-log --verify', error);
    }
  }
}

/** Runs the command and returns its exit code. */
export async function policyReplay(args: readonly string[], io: PolicyIo): Promise<number> {
  const { policy: file, log, tools, servers, json } = parse(args);
  if (file === undefined) throw new Usage('USAGE', '--policy is missing', 'name the policy to try');
  if (log === undefined) throw new Usage('USAGE', '--log is missing', 'name the directory of a log, or one above logs');
  if (servers !== undefined && servers !== 'one' && servers !== 'several') throw new Usage('USAGE', '--servers wants one or several', 'say how many servers the gateway has');
  const policy = await loadPolicy(file);
  try {
    let said = false;
    const progress = (rows: number): void => {
      if (io.stderr.isTTY === true) io.stderr.write(`\r${rows} rows`);
      else if (rows % 20_000 === 0) io.stderr.write(`${rows} rows\n`);
      said = io.stderr.isTTY === true;
    };
    const replay = new Replay({ policy, soleServer: servers !== 'several', names: readNames(tools), progress });
    replayLogs(replay, log);
    if (said) io.stderr.write('\r');
    const { report } = replay;
    if (json === true) io.stdout.write(`${wireJson(jsonObject({ schema: 'mcp-bastion/policy-replay/1', policy: policy.digest, ...reportJson(report) }))}\n`);
    else io.stdout.write(replayAsText(report));
    return 0;
  } finally {
    await policy.close();
  }
}

function reportJson(report: ReplayReport) {
  const { rows, calls, requests, same, changed, other, unreadable, undecidable } = report;
  const changes = report.changes.map(({ before, ruleBefore, after, ruleAfter, count, examples }) =>
    jsonObject({ before, rule_before: ruleBefore, after, rule_after: ruleAfter, count, examples: [...examples] }),
  );
  const lost = jsonObject({ nameless: undecidable.nameless, without_arguments: undecidable.withoutArguments, redacted: undecidable.redacted });
  return { rows, calls, requests, same, changed, changes, undecidable: lost, other, unreadable };
}
