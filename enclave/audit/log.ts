// SPDX-License-Identifier: Apache-2.0
/**
 * The audit log: takes the directory and the key, starts the log's thread, and hands rows to it. A row that is not
 * durable in time, or a thread that fails, makes the log unavailable for good: nothing is acknowledged after that.
 */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { RowDraft, RowReceipt } from '../../shared/audit/row.ts';
import type { UnavailableCode } from '../../shared/errors.ts';
import { Unavailable } from '../../shared/errors.ts';
import { AUDIT_APPEND_MS_MAX, AUDIT_QUEUE_BYTES_MAX, AUDIT_QUEUE_ROWS_MAX } from '../../shared/limits.ts';
import type { RedactionPattern } from '../policy/types.ts';
import type { AuditKey } from './key.ts';
import { createEphemeralKey, createKeyFile, loadKeyFile } from './key.ts';
import { lastCustody } from './recover.ts';
import type { Recorder } from './recorder.ts';
import type { LogDirectory } from './slots.ts';
import { takeDirectory, takeSlot } from './slots.ts';
import type { FromWorker, ToWorker, WorkerInput } from './wire.ts';
import { weightOf } from './wire.ts';
import type { BootFields, Committed } from './writer.ts';

export interface AuditLogOptions {
  /** Directory of the log, or null for the first free slot of the server below stateDir. */
  readonly dir: string | null;
  /** Holds the trust file and the slots. */
  readonly stateDir: string;
  /** Server id. */
  readonly server: string;
  readonly key: { readonly kind: 'ephemeral' } | { readonly kind: 'file'; readonly path: string };
  /** The boot row less what the log knows itself: it is the first row written. */
  readonly boot: BootFields;
  readonly payload: 'none' | 'redacted';
  readonly signature: 'per-commit' | 'per-row';
  /** What is taken out of payloads before they are hashed or stored. */
  readonly scrubPatterns: readonly RedactionPattern[];
  /** Time of the boot row, as in RowDraft. */
  readonly wall: number;
  readonly mono: number;
}

export interface AuditLog extends Recorder {
  readonly dir: string;
  readonly origin: string;
  readonly epoch: number;
  /** SHA-256 of the key's SPKI, hex. */
  readonly keyFingerprint: string;
  /** Null for a directory that was named. */
  readonly slot: number | null;
}

/**
 * Opens or makes a log; resolves once its boot row is durable.
 * @throws Unavailable AUDIT_LOCKED, AUDIT_ROLLBACK, AUDIT_CORRUPT, AUDIT_KEY, AUDIT_UNAVAILABLE
 */
export async function openAuditLog(options: AuditLogOptions): Promise<AuditLog> {
  const directory = options.dir === null ? takeSlot(options.stateDir, options.server) : takeDirectory(options.dir);
  try {
    const key = keyOf(options, directory.dir);
    const input: WorkerInput = {
      dir: directory.dir,
      stateDir: options.stateDir,
      key,
      boot: options.boot,
      wall: options.wall,
      mono: options.mono,
      payload: options.payload,
      signature: options.signature,
      scrubPatterns: options.scrubPatterns,
    };
    return await startThread(directory, input);
  } catch (error) {
    directory.lock.release();
    throw error;
  }
}

/** A missing key file is made only for a log that none was ever used for. */
function keyOf(options: AuditLogOptions, dir: string): AuditKey {
  if (options.key.kind === 'ephemeral') return createEphemeralKey();
  const { path } = options.key;
  const key = loadKeyFile(path);
  if (key !== null) return key;
  if (lastCustody(dir) === 'file') {
    throw new Unavailable('AUDIT_KEY', `the audit key ${path} is gone, but the log in ${dir} was written with a key from a file`, 'restore the key file; to begin anew, move the log directory away');
  }
  return createKeyFile(path);
}

async function startThread(directory: LogDirectory, input: WorkerInput): Promise<AuditLog> {
  const worker = new Worker(new URL(`./worker${extname(import.meta.filename)}`, import.meta.url), {
    workerData: input,
    // Nothing of the process's environment or flags concerns it, and standard output belongs to the protocol.
    env: {},
    execArgv: [],
    stdout: true,
  });
  const first = await firstMessage(worker);
  if (first.kind === 'ready') return new ThreadedLog(directory, worker, first, input.key.fingerprint);
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

function gone(cause?: unknown): Unavailable {
  return new Unavailable('AUDIT_UNAVAILABLE', 'the thread of the audit log ended', 'start again; the log is complete up to the last acknowledged row', cause);
}

interface Waiting {
  readonly resolve: (receipt: RowReceipt) => void;
  readonly reject: (error: Unavailable) => void;
  readonly weight: number;
  /** When it was queued, by performance.now(). */
  readonly since: number;
}

class ThreadedLog implements AuditLog {
  readonly dir: string;
  readonly origin: string;
  readonly epoch: number;
  readonly keyFingerprint: string;
  readonly slot: number | null;
  readonly #directory: LogDirectory;
  readonly #worker: Worker;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #outbox: RowDraft[] = [];
  #timer: NodeJS.Timeout | undefined;
  #failure: Unavailable | undefined;
  #closing: Promise<void> | undefined;
  #onIdle: (() => void) | undefined;

  constructor(directory: LogDirectory, worker: Worker, ready: { origin: string; epoch: number }, keyFingerprint: string) {
    this.dir = directory.dir;
    this.slot = directory.slot;
    this.origin = ready.origin;
    this.epoch = ready.epoch;
    this.keyFingerprint = keyFingerprint;
    this.#directory = directory;
    this.#worker = worker;
    worker.on('message', (message: FromWorker) => this.#receive(message));
    worker.on('error', (error) => this.#fail(gone(error)));
    worker.on('exit', () => this.#exited());
  }

  get available(): boolean {
    return this.#failure === undefined && this.#closing === undefined;
  }

  append(draft: RowDraft): Promise<RowReceipt> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#closing !== undefined) return Promise.reject(unavailable('the audit log is closed', 'start again'));
    const weight = weightOf(draft);
    if (this.#waiting.length >= AUDIT_QUEUE_ROWS_MAX || this.#waitingBytes + weight > AUDIT_QUEUE_BYTES_MAX) {
      return Promise.reject(unavailable('too many rows wait for the audit log', 'send less at a time, or put the log on a faster disk'));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject, weight, since: performance.now() });
      this.#waitingBytes += weight;
      this.#outbox.push(draft);
      // Rows of one turn travel as one message.
      if (this.#outbox.length === 1) queueMicrotask(() => this.#send());
      this.#watch();
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const exited = new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
    if (this.#failure === undefined) {
      // Rows that were handed over in this turn go first.
      this.#send();
      this.#post({ kind: 'close' });
      const timer = setTimeout(() => this.#fail(late()), AUDIT_APPEND_MS_MAX);
      await exited;
      clearTimeout(timer);
    }
    await this.#worker.terminate();
    clearTimeout(this.#timer);
    this.#directory.lock.release();
  }

  #send(): void {
    if (this.#outbox.length === 0 || this.#failure !== undefined) return;
    const drafts = this.#outbox;
    this.#outbox = [];
    this.#post({ kind: 'rows', drafts });
  }

  #post(message: ToWorker): void {
    try {
      // The empty transfer list tells this call from a window's.
      this.#worker.postMessage(message, []);
    } catch (error) {
      this.#fail(unavailable('a row cannot be handed to the audit log', 'please report it', error));
    }
  }

  #receive(message: FromWorker): void {
    switch (message.kind) {
      case 'committed':
        this.#acknowledge(message.group);
        return;
      case 'failed':
        this.#fail(new Unavailable(message.code, message.message, message.hint));
        return;
      case 'ready':
      case 'closed':
    }
  }

  #acknowledge(group: Committed): void {
    const rows = this.#waiting.splice(0, group.leaves.length);
    for (const [at, row] of rows.entries()) {
      this.#waitingBytes -= row.weight;
      row.resolve({ origin: this.origin, idx: group.first + at, leaf: group.leaves[at] ?? '', size: group.size });
    }
  }

  /** One timer for the oldest row that waits. */
  #watch(): void {
    const oldest = this.#waiting[0];
    if (this.#timer !== undefined || oldest === undefined || this.#failure !== undefined) return;
    const left = oldest.since + AUDIT_APPEND_MS_MAX - performance.now();
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const first = this.#waiting[0];
      if (first !== undefined && performance.now() - first.since >= AUDIT_APPEND_MS_MAX) this.#fail(late());
      else this.#watch();
    }, Math.max(1, left));
    this.#timer.unref();
  }

  #exited(): void {
    if (this.#closing === undefined || this.#waiting.length > 0) this.#fail(gone());
    this.#onIdle?.();
  }

  #fail(failure: Unavailable): void {
    this.#failure ??= failure;
    const lost = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#outbox = [];
    for (const row of lost) row.reject(this.#failure);
    this.#onIdle?.();
  }
}

function unavailable(message: string, hint: string, cause?: unknown): Unavailable {
  const code: UnavailableCode = 'AUDIT_UNAVAILABLE';
  return new Unavailable(code, message, hint, cause);
}

function late(): Unavailable {
  return unavailable('the audit log took too long to become durable', 'look at the disk of the log directory, then start again');
}
