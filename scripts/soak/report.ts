// SPDX-License-Identifier: Apache-2.0
/** What a soak has to show, what it did show, and the table of it. */
import type { Soak } from './run.ts';

/** Growth of the resident memory from the second quarter to the last: what a heap varies by, and a share of what it is. */
const RSS_GROWTH_BYTES = 32 * 1024 * 1024;
const RSS_GROWTH_SHARE = 0.15;
/** Seconds below which a run is all warm-up, and its memory only reported. */
const RSS_SECONDS_MIN = 60;
/** Open files more than before the first client: a kept connection that has not timed out. */
const FILES_LEFT_MAX = 8;
/** Share of the streams that has to be open at an average moment, some seconds after a kill. */
const OPEN_SHARE_MIN = 0.5;

const MIB = 1024 * 1024;

export interface Memory {
  readonly secondQuarterMib: number;
  readonly lastQuarterMib: number;
  readonly peakMib: number;
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((left, right) => left - right)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

export function memoryOf({ samples }: Soak): Memory | null {
  const rss = samples.map(({ rssBytes }) => rssBytes / MIB);
  if (rss.length < 8) return null;
  const quarter = Math.floor(rss.length / 4);
  return { secondQuarterMib: median(rss.slice(quarter, 2 * quarter)), lastQuarterMib: median(rss.slice(-quarter)), peakMib: Math.max(...rss) };
}

function judgeMemory(soak: Soak): string[] {
  const memory = memoryOf(soak);
  if (memory === null || soak.options.seconds < RSS_SECONDS_MIN) return [];
  const allowed = memory.secondQuarterMib * (1 + RSS_GROWTH_SHARE) + RSS_GROWTH_BYTES / MIB;
  if (memory.lastQuarterMib <= allowed) return [];
  return [`memory grew from ${memory.secondQuarterMib.toFixed(0)} to ${memory.lastQuarterMib.toFixed(0)} MiB, allowed were ${allowed.toFixed(0)}`];
}

function judgeFiles({ idle: { before, after } }: Soak): string[] {
  if (before === null || after === null || after.files <= before.files + FILES_LEFT_MAX) return [];
  return [`${after.files} files are open without any client, ${before.files} were before the first`];
}

/** What is wrong, in words; empty where nothing is. */
export function problemsOf(soak: Soak): string[] {
  const { tally, log, options, faults, exitCode, verification, open } = soak;
  const problems: string[] = [];
  if (tally.violationCount > 0) problems.push(`${tally.violationCount} violations at the clients`);
  if (log.violations.length > 0) problems.push(`${log.violations.length} violations in the log`);
  if (log.open > 0) problems.push(`${log.open} forwarded calls have no end in the log`);
  if (faults.length > 0) problems.push(`${faults.length} faults on the gateway's standard error`);
  if (exitCode !== 0) problems.push(`the gateway ended with ${exitCode ?? 'a signal'}`);
  if (verification.code !== 0) problems.push(`the log does not verify (${verification.code})`);
  if (tally.kills !== options.kills) problems.push(`the server was killed ${tally.kills} times`);
  if (tally.peakStreams < options.streams) problems.push(`at most ${tally.peakStreams} of ${options.streams} streams were open at once`);
  if (tally.peakSessions < options.sessions) problems.push(`at most ${tally.peakSessions} of ${options.sessions} sessions were open at once`);
  if (open.length > 0 && median(open) < options.streams * OPEN_SHARE_MIN) problems.push(`at an average moment without a kill ${median(open)} of ${options.streams} streams were open`);
  if (tally.of('answered') === 0) problems.push('no call was answered');
  for (const [code, count] of Object.entries(tally.all('error '))) {
    if (code.startsWith('UPSTREAM_') && count > (log.errors[code] ?? 0)) problems.push(`${count} calls were answered ${code}, ${log.errors[code] ?? 0} have a row that says so`);
  }
  return [...problems, ...judgeMemory(soak), ...judgeFiles(soak)];
}

function list(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts).map(([name, count]) => `${name} ${count}`).join(', ') || 'none';
}

export function tableOf(soak: Soak): string {
  const { tally, log, options, idle, open, shutdownMs, reported, verification } = soak;
  const memory = memoryOf(soak);
  const lines: [string, string][] = [
    ['time', `${(soak.workedMs / 1000).toFixed(0)} s, the server killed ${tally.kills} times and away for ${(soak.workedMs / 1000 - options.seconds).toFixed(0)} s of them`],
    ['streams', `${tally.peakStreams} at once, ${open.length === 0 ? 'no' : median(open)} at an average moment without a kill`],
    ['sessions', `${tally.peakSessions} at once, ${tally.of('sessions opened')} opened, ${tally.of('sessions lost')} lost to kills`],
    ['calls', list(tally.all('call '))],
    ['answers', `${tally.of('answered')} results, ${tally.of('denied')} denials, ${tally.of('cancelled')} cancelled`],
    ['errors by kills', list(tally.all('error '))],
    ['messages', `${tally.of('messages')} in answers and streams, ${tally.of('progress')} of progress, ${tally.of('pushes')} pushed`],
    ['taken up again', String(tally.of('streams taken up again'))],
    ['rows', `${log.rows}, of ${log.calls} calls; answered by the gateway: ${list(log.errors)}`],
    ['log', verification.output.split('\n')[0] ?? ''],
    ['memory', memory === null ? 'not known' : `${memory.secondQuarterMib.toFixed(0)} MiB in the second quarter, ${memory.lastQuarterMib.toFixed(0)} in the last, ${memory.peakMib.toFixed(0)} at most`],
    ['open files', `${idle.before?.files ?? '?'} before, ${Math.max(0, ...soak.samples.map(({ files }) => files))} at most, ${idle.after?.files ?? '?'} after`],
    ['gateway said', list(reported)],
    ['shutdown', `${shutdownMs.toFixed(0)} ms`],
  ];
  return lines.map(([name, text]) => `${name.padEnd(16)}${text}\n`).join('');
}

export function jsonOf(soak: Soak): object {
  const { options, tally, log, idle, open, shutdownMs, reported, faults, exitCode, samples } = soak;
  const { seconds, streams, sessions, kills, rate } = options;
  return {
    schema: 'mcp-bastion/soak/1',
    options: { seconds, streams, sessions, kills, rate },
    problems: problemsOf(soak),
    counts: tally.all(''),
    peak: { streams: tally.peakStreams, sessions: tally.peakSessions, medianStreams: median(open) },
    log: { rows: log.rows, calls: log.calls, errors: log.errors, open: log.open },
    memory: memoryOf(soak),
    rssMib: samples.map(({ rssBytes }) => Math.round(rssBytes / MIB)),
    files: { before: idle.before?.files, after: idle.after?.files },
    reported,
    violations: [...tally.violations, ...log.violations.slice(0, 40)],
    faults: faults.slice(0, 40),
    exitCode,
    shutdownMs,
  };
}
