// SPDX-License-Identifier: Apache-2.0
/** Opens the audit log: takes the directory and the key, and starts the log's thread. */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { Unavailable } from '../../shared/errors.ts';
import { AUDIT_RESERVE_BYTES, KEEP_DAYS_DEFAULT, SEGMENT_DAYS_DEFAULT, SEGMENT_MB_DEFAULT } from '../../shared/limits.ts';
import type { RedactionPattern } from '../policy/types.ts';
import type { KeySource } from './custody.ts';
import { openKey, placeOf } from './custody.ts';
import { lastCustody } from './recover.ts';
import type { LogDirectory } from './slots.ts';
import { takeDirectory, takeSlot } from './slots.ts';
import type { AuditLog, LogClock } from './thread.ts';
import { ThreadedLog, gone } from './thread.ts';
import type { FromWorker, Keeping, WorkerInput } from './wire.ts';
import type { BootFields } from './writer.ts';

export type { AuditLog } from './thread.ts';

export interface AuditLogOptions {
  /** Directory of the log, or null for the first free slot of the server below stateDir. */
  readonly dir: string | null;
  /** Holds the trust file and the slots. */
  readonly stateDir: string;
  /** Server id. */
  readonly server: string;
  readonly key: KeySource;
  /** The boot row less what the log knows itself: it is the first row written. */
  readonly boot: BootFields;
  readonly payload: 'none' | 'redacted';
  readonly signature: 'per-commit' | 'per-row';
  /** What is taken out of payloads before they are hashed or stored. */
  readonly scrubPatterns: readonly RedactionPattern[];
  /** Time of the boot row, as in RowDraft. */
  readonly wall: number;
  readonly mono: number;
  /** Public keys for whom payloads are sealed before they are stored; the boot row then says `sealed`. */
  readonly readers?: readonly string[];
  /** When segments end, and how long they are kept; default: KEEPING. */
  readonly keeping?: Keeping;
  /** Bytes held back on the disk. */
  readonly reserveBytes?: number;
  /** For rows that the log writes about itself. */
  readonly clock?: LogClock;
}

const DAY_MS = 86_400_000;

export const KEEPING: Keeping = {
  segmentBytes: SEGMENT_MB_DEFAULT * 1024 * 1024,
  segmentMs: SEGMENT_DAYS_DEFAULT * DAY_MS,
  keepMs: KEEP_DAYS_DEFAULT * DAY_MS,
};

const systemClock: LogClock = { now: () => Date.now(), mono: () => Number(process.hrtime.bigint() / 1000n) };

/**
 * Opens or makes a log; resolves once its boot row is durable.
 * @throws Unavailable AUDIT_LOCKED, AUDIT_ROLLBACK, AUDIT_CORRUPT, AUDIT_KEY, AUDIT_UNAVAILABLE
 */
export async function openAuditLog(options: AuditLogOptions): Promise<AuditLog> {
  const directory = options.dir === null ? takeSlot(options.stateDir, options.server) : takeDirectory(options.dir);
  try {
    const key = await openKey(placeOf(options.key), { stateDir: options.stateDir, wasUsed: (custody) => lastCustody(directory.dir) === custody });
    const input: WorkerInput = {
      dir: directory.dir,
      stateDir: options.stateDir,
      key,
      boot: options.boot,
      session: String(options.boot['session'] ?? ''),
      wall: options.wall,
      mono: options.mono,
      payload: options.payload,
      signature: options.signature,
      scrubPatterns: options.scrubPatterns,
      readers: options.readers ?? [],
      keeping: options.keeping ?? KEEPING,
      reserveBytes: options.reserveBytes ?? AUDIT_RESERVE_BYTES,
    };
    return await startThread(directory, input, options.clock ?? systemClock);
  } catch (error) {
    directory.lock.release();
    throw error;
  }
}

async function startThread(directory: LogDirectory, input: WorkerInput, clock: LogClock): Promise<AuditLog> {
  const worker = new Worker(new URL(`./worker${extname(import.meta.filename)}`, import.meta.url), {
    workerData: input,
    // Nothing of the process's environment or flags concerns it, and standard output belongs to the protocol.
    env: {},
    execArgv: [],
    stdout: true,
  });
  const first = await firstMessage(worker);
  if (first.kind === 'ready') {
    return new ThreadedLog({ directory, worker, ready: first, keyFingerprint: input.key.fingerprint, session: input.session, clock });
  }
  await worker.terminate();
  throw first.kind === 'failed' ? new Unavailable(first.code, first.message, first.hint) : gone();
}

function firstMessage(worker: Worker): Promise<FromWorker> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      worker.off('message', onMessage).off('error', onError).off('exit', onExit);
      act();
    };
    const onMessage = (message: FromWorker): void => settle(() => resolve(message));
    const onError = (error: unknown): void => settle(() => reject(gone(error)));
    const onExit = (): void => settle(() => reject(gone()));
    worker.on('message', onMessage).on('error', onError).on('exit', onExit);
  });
}
