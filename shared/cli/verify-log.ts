// SPDX-License-Identifier: Apache-2.0
/**
 * What `bastion-verify-log` does. Standard output is data, standard error is talk; exit codes: 0 verified, 1 does not
 * match, 2 usage, 3 could not check.
 */
import { basename } from 'node:path';
import { Evidence, parseAnchors, parseReceipt } from '../audit/evidence.ts';
import type { Finding } from '../audit/findings.ts';
import { Findings } from '../audit/findings.ts';
import type { MissingSegment, SegmentSource } from '../audit/source.ts';
import { UnreadableSegment } from '../audit/source.ts';
import { readLogTrust } from '../audit/trust.ts';
import type { Trust } from '../audit/verify.ts';
import { verifyLog } from '../audit/verify.ts';
import { Unavailable, Usage } from '../errors.ts';
import { KEPT_EVIDENCE_BYTES_MAX, TRUST_BYTES_MAX } from '../limits.ts';
import { VERSION } from '../version.ts';
import { isBundle } from './bundle-dir.ts';
import { readFile } from './files.ts';
import type { FoundLog } from './log-find.ts';
import { epochOf, findLogs } from './log-find.ts';
import type { LogOptions } from './log-options.ts';
import { parseLogCommand } from './log-options.ts';
import { exitOf, logsAsJson, logsAsText, outcomeOf } from './log-report.ts';
import { LogSegment } from './log-segment.ts';
import { LOG_USAGE } from './log-usage.ts';
import { createNativeVerify, nativeSha256 } from './native.ts';
import { verifyBundleAt, verifyProofAt } from './verify-evidence.ts';

const NAME = 'bastion-verify-log';
const EXIT_USAGE = 2;
/** Could not check. */
export const EXIT_UNABLE = 3;
/** Milliseconds between two lines about how far it is. */
const PROGRESS_MS = 2000;

export interface VerifyLogIo {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  /** Milliseconds since 1970. */
  now(): number;
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function readText(path: string, option: string): string {
  try {
    return decoder.decode(readFile(path, option, KEPT_EVIDENCE_BYTES_MAX));
  } catch (error) {
    if (error instanceof Unavailable) throw error;
    throw new Usage('USAGE', `the file of --${option} is not UTF-8`, 'give it as it was kept');
  }
}

/** @throws Unavailable FILE_UNREADABLE, Usage */
export function readTrust(path: string): Trust {
  const trust = readLogTrust(readFile(path, 'trust', TRUST_BYTES_MAX));
  if (trust === undefined) throw new Usage('USAGE', 'the trust file is wrong', 'it holds "version": 1 and "logs": each log id with a list of the SHA-256 of its keys');
  return trust;
}

function readEvidence({ anchors, receipts }: LogOptions): Evidence {
  const notes = anchors.flatMap((path) => {
    const read = parseAnchors(readText(path, 'anchors'));
    if (read === undefined) throw new Usage('USAGE', 'a file of --anchors is no checkpoint and no anchor file', 'give it as it was kept, with whole lines');
    return read;
  });
  const lines = receipts === null ? [] : readText(receipts, 'receipts').split('\n').filter((line) => line !== '');
  const held = lines.map((line, at) => {
    const receipt = parseReceipt(line);
    if (receipt === undefined) throw new Usage('USAGE', `line ${at + 1} of the file of --receipts is no receipt`, 'a receipt has origin, idx, leaf and size, and nothing else');
    return receipt;
  });
  return new Evidence(notes, held);
}

/** Opens one segment at a time, and closes it when the next is asked for. */
function* sourcesOf(log: FoundLog): Generator<SegmentSource | MissingSegment> {
  for (const path of log.segments) {
    const source = open(path);
    try {
      yield source;
    } finally {
      if (source instanceof LogSegment) source.close();
    }
  }
  for (const path of log.gone) {
    const name = basename(path);
    yield { name, epoch: epochOf(name), schema: 'missing', reason: 'gone', detail: 'the anchor file covers rows that are not there' };
  }
}

function open(path: string): LogSegment | MissingSegment {
  const name = basename(path);
  try {
    return new LogSegment(path);
  } catch (error) {
    if (!(error instanceof UnreadableSegment) && !(error instanceof Unavailable)) throw error;
    return { name, epoch: epochOf(name), schema: 'missing', reason: 'unreadable', detail: error.message };
  }
}

function strayOf(evidence: Evidence): Finding[] {
  const findings = new Findings();
  const left = evidence.left();
  if (left.anchors > 0) findings.add('ANCHOR_AHEAD', 'kept', null, 'a kept checkpoint is of an epoch that is not there', left.anchors);
  if (left.receipts > 0) findings.add('RECEIPT_NOT_IN_LOG', 'kept', null, 'a client holds a receipt of an epoch that is not there', left.receipts);
  return findings.list();
}

/** Tells how far it is, if it takes long. */
function progressOf(io: VerifyLogIo): (segment: string, rows: number) => void {
  let next = io.now() + PROGRESS_MS;
  return (segment, rows) => {
    if (io.now() < next) return;
    next = io.now() + PROGRESS_MS;
    io.stderr.write(`${NAME}: ${rows} rows of ${segment}\n`);
  };
}

function verify(options: LogOptions, io: VerifyLogIo): number {
  const trust = options.trust === null ? null : readTrust(options.trust);
  if (options.path.endsWith('.tlog-proof') || isBundle(options.path)) return verifyEvidence(options, trust, io);
  const evidence = readEvidence(options);
  const found = findLogs(options.path);
  if (options.expectRows > 0 && found.length > 1) throw new Usage('USAGE', '--expect-size is about one log, and there are several', 'name the directory of one of them');
  const atMs = options.at === 'now' ? io.now() : options.at;
  const verifySignature = createNativeVerify();
  const progress = progressOf(io);
  const logs = found.map((log) => {
    const { expectRows } = options;
    const now = Math.floor(atMs / 1000);
    const report = verifyLog(sourcesOf(log), { trust, unknownLogs: 'refuse', whole: log.whole, now, verify: verifySignature, sha256: nativeSha256, evidence, expectRows, progress });
    return { dir: log.dir, report };
  });
  const verified = { logs, stray: strayOf(evidence), acceptUnpinned: options.acceptUnpinned, trustFile: options.trust, atMs };
  io.stdout.write(options.json ? logsAsJson(verified) : logsAsText(verified));
  return exitOf(outcomeOf(verified));
}

/** What was exported has no length, and nothing of it is cut off: these options would check nothing. */
function verifyEvidence(options: LogOptions, trust: Trust | null, io: VerifyLogIo): number {
  if (options.receipts !== null || options.anchors.length > 0 || options.expectRows > 0) {
    throw new Usage('USAGE', '--receipts, --anchors and --expect-size are about a log, and this is an export of one', 'leave them out, or name the log');
  }
  const printed = isBundle(options.path) ? verifyBundleAt({ ...options, trust }) : verifyProofAt({ ...options, trust });
  io.stdout.write(printed.text);
  return printed.exit;
}

/** Runs the command and returns its exit code. */
export async function verifyLogCommand(args: readonly string[], io: VerifyLogIo): Promise<number> {
  try {
    const command = parseLogCommand(args);
    if (command.kind === 'verify') return verify(command.options, io);
    io.stdout.write(command.kind === 'help' ? LOG_USAGE : `${NAME} ${VERSION}\n`);
    return 0;
  } catch (error) {
    if (error instanceof Usage || error instanceof Unavailable) {
      io.stderr.write(`${NAME}: error: ${error.message}\nhint: ${error.hint}\n`);
      return error instanceof Usage ? EXIT_USAGE : EXIT_UNABLE;
    }
    // A bug of ours must not end in 1, which Node would give it and which says that something does not match.
    io.stderr.write(`${NAME}: error: the verifier failed\nhint: please report this\n${error instanceof Error ? (error.stack ?? '') : ''}\n`);
    return EXIT_UNABLE;
  }
}
