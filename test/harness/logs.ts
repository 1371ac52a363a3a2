// SPDX-License-Identifier: Apache-2.0
/** Writes small logs without a thread, and says what the verifier finds in them. */

import type { AuditKey } from '../../enclave/audit/key.ts';
import { keyFromSeed } from '../../enclave/audit/key.ts';
import { findContinuation } from '../../enclave/audit/recover.ts';
import type { BootFields, NewRow } from '../../enclave/audit/writer.ts';
import { LogWriter } from '../../enclave/audit/writer.ts';
import { findLogs } from '../../enclave/audit/walk.ts';
import type { DirectoryReport } from '../../enclave/host/verdict.ts';
import { verifyLogs } from '../../enclave/host/verdict.ts';
import type { TrafficRow } from '../../shared/audit/row.ts';
import type { Trust } from '../../shared/audit/verify.ts';

export const NOW = 1_700_000_000;
export const POLICY: string = 'ab'.repeat(32);

export function key(byte = 1): AuditKey {
  return keyFromSeed(new Uint8Array(32).fill(byte), 'file');
}

export const BOOT: BootFields = {
  kind: 'boot',
  version: '0.1.0',
  node: '24.0.0',
  server: 'files',
  session: '0123456789abcdef',
  policy: POLICY,
  mode: 'enforce',
  order: 'strict',
  signature: 'per-commit',
  payload: 'redacted',
};

const CALL: TrafficRow = {
  kind: 'call',
  call_id: '0f'.repeat(16),
  tenant: null,
  principal: 'local',
  session: '0123456789abcdef',
  server: 'files',
  dir: 'c2s',
  origin: 'client',
  type: 'request',
  method: 'tools/call',
  tool: 'tool#3dca4690',
  rpc: '7',
  decision: 'deny',
  rule: 'deny_tools[0]',
  code: 'TOOL_DENIED',
  status: null,
  policy: POLICY,
  bytes: 120,
  redactions: 0,
  us: null,
};

/** A row of traffic; `text` is its payload. */
export function row(at: number, text: string | null = null, fields: Partial<TrafficRow> = {}): NewRow & { fields: TrafficRow } {
  return {
    fields: { ...CALL, ...fields } as TrafficRow,
    payload: text === null ? null : { media: 'application/json', text },
    wall: NOW * 1000 + at,
    mono: at * 1000,
  };
}

export interface WriteOptions {
  readonly key?: AuditKey;
  readonly boot?: BootFields;
  readonly payload?: 'none' | 'redacted';
  /** Rows of each commit group after the boot row. */
  readonly groups: readonly (readonly NewRow[])[];
  /** Groups after which an anchor line is written; the last one always is, unless `torn`. */
  readonly anchorAfter?: readonly number[];
  /** Ends without an anchor line, as a killed process does. */
  readonly torn?: boolean;
}

/** A writer in place, before its boot row. Redaction takes nothing out. */
export function openWriter(dir: string, options: Pick<WriteOptions, 'key' | 'payload'> = {}): { writer: LogWriter; log: string; epoch: number } {
  const used = options.key ?? key();
  const place = findContinuation(dir, used.fingerprint, null);
  const writer = new LogWriter(place, {
    key: used,
    payload: options.payload ?? 'redacted',
    scrubber: { json: (text) => text, text: (text) => text },
    clock: () => 0,
  });
  return { writer, log: place.log, epoch: place.epoch };
}

/** One start of a log: boot row, groups, end. */
export function writeLog(dir: string, options: WriteOptions): { log: string; epoch: number } {
  const { writer, log, epoch } = openWriter(dir, options);
  try {
    writer.boot(options.boot ?? BOOT, NOW * 1000, 0);
    for (const [at, group] of options.groups.entries()) {
      writer.commit(group);
      if (options.anchorAfter?.includes(at) === true) writer.anchor();
    }
    if (options.torn !== true) writer.anchor();
  } finally {
    writer.close();
  }
  return { log, epoch };
}

/** `count` rows, in groups of so many. */
export function groups(count: number, each: number): NewRow[][] {
  const made: NewRow[][] = [];
  for (let at = 0; at < count; at += each) {
    made.push(Array.from({ length: Math.min(each, count - at) }, (_, i) => row(at + i + 1, `{"a":${at + i}}`)));
  }
  return made;
}

export function verifyDir(path: string, trust: Trust | null = null): DirectoryReport {
  const [report] = verifyLogs(findLogs(path), { trust, unknownLogs: 'refuse', now: NOW + 60, progress: () => undefined });
  if (report === undefined) throw new Error('no log');
  return report;
}

/** The codes that fail the log, in order of their first occurrence. */
export function failures(report: DirectoryReport): string[] {
  return report.findings.filter((finding) => finding.severity === 'broken' || finding.severity === 'unreadable').map((finding) => finding.code);
}

