// SPDX-License-Identifier: Apache-2.0
/** A log's verdict in words and as JSON. Both say the same; the JSON is stable within its schema. */
import type { JsonObject } from '../json/value.ts';
import { jsonObject } from '../json/value.ts';
import type { Finding } from './findings.ts';
import type { Anchored, KeyStanding, LogReport } from './verify.ts';

const STANDINGS: Readonly<Record<KeyStanding, string>> = {
  pinned: 'pinned by',
  unknown: 'UNKNOWN to',
  'not-pinned': 'not pinned: taken from the log itself',
};

function keyLine(standing: KeyStanding, key: string | null, trustFile: string | null): string {
  const where = standing === 'not-pinned' || trustFile === null ? '' : ` ${trustFile}`;
  return `  key: ${key ?? 'none'} ${STANDINGS[standing]}${where}`;
}

/** One line of a finding: what, where, how often. */
export function findingLine(finding: Finding): string {
  const times = finding.count === 1 ? '' : ` (${finding.count} times)`;
  const at = finding.at === null ? '' : ` at ${finding.at}`;
  return `  ${finding.severity}: ${finding.code} in ${finding.segment}${at}${times}: ${finding.detail}`;
}

/** The block of one log, a line each. The name and the trust file's are shown as they are: escape them before printing. */
export function reportLines(report: LogReport, name: string, trustFile: string | null): string[] {
  const { anchored, segments } = report;
  const epochs = segments.map((segment) => `${segment.epoch ?? '?'} (${segment.size} rows, ${segment.checkpoints} signatures)`);
  const keys = new Map(segments.map((segment) => [`${segment.standing} ${segment.key ?? ''}`, keyLine(segment.standing, segment.key, trustFile)]));
  return [
    `log: ${name}`,
    `  size: ${report.size}`,
    `  root: ${report.root ?? 'none'}`,
    `  epochs: ${epochs.length === 0 ? 'none' : epochs.join(', ')}`,
    ...keys.values(),
    `  anchored: ${anchored.level === 'none' ? 'none' : `${anchored.level} @${anchored.size} of epoch ${anchored.epoch}`}`,
    `  last signature: ${report.ageSeconds === null ? 'none' : `${report.ageSeconds} s ago`}`,
    ...report.notes.map((note) => `  ${note}`),
    ...report.findings.map(findingLine),
  ];
}

/** The facts of one log in one line, for the first line of a verdict. */
export function reportFacts(report: LogReport): string {
  const { anchored, segments } = report;
  const keys = new Set(segments.map((segment) => segment.key));
  const at = anchored.level === 'none' ? 'none' : `${anchored.level}@${anchored.size}`;
  return `size=${report.size} root=${report.root ?? 'none'} epochs=${segments.length} keys=${keys.size} anchored=${at} age=${report.ageSeconds ?? '?'}s`;
}

function anchoredAsJson(anchored: Anchored): JsonObject {
  if (anchored.level === 'none') return jsonObject({ level: 'none' });
  return jsonObject({ level: anchored.level, epoch: anchored.epoch, size: anchored.size });
}

export function reportAsJson(report: LogReport, name: string): JsonObject {
  return jsonObject({
    dir: name,
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
    anchored: anchoredAsJson(report.anchored),
    age_seconds: report.ageSeconds,
    notes: [...report.notes],
    findings: report.findings.map((finding) => jsonObject({ ...finding })),
  });
}
