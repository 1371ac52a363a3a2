// SPDX-License-Identifier: Apache-2.0
/**
 * The log as the rest of the process sees it: hands rows to the log's thread, and decides what may wait for it. When the
 * storage fails nothing is admitted and nothing acknowledged; when it is sound again the first row is a gap row that says
 * how long it was and how many calls were refused (audit reference, section 3, flow control).
 */
import type { Worker } from 'node:worker_threads';
import type { GapRow, RowDraft, RowReceipt } from '../../shared/audit/row.ts';
import { Unavailable } from '../../shared/errors.ts';
import { AUDIT_APPEND_MS_MAX, AUDIT_STALL_MS_MAX } from '../../shared/limits.ts';
import type { RedactionPattern } from '../policy/types.ts';
import { Admission } from './admission.ts';
import type { Recorder } from './recorder.ts';
import type { LogDirectory } from './slots.ts';
import type { FromWorker, ToWorker } from './wire.ts';
import { weightOf } from './wire.ts';
import type { Committed } from './writer.ts';

export interface AuditLog extends Recorder {
  readonly dir: string;
  /** Of the epoch that is written now. */
  readonly origin: string;
  readonly epoch: number;
  /** SHA-256 of the key's SPKI, hex. */
  readonly keyFingerprint: string;
  /** Null for a directory that was named. */
  readonly slot: number | null;
  /** False while new calls are refused, though results of earlier ones may still be recorded. */
  readonly ready: boolean;
  /** Other patterns are taken out of payloads from now on, also of rows that wait already. Each has to be RE2. */
  scrubWith(patterns: readonly RedactionPattern[]): void;
}

interface Waiting {
  readonly draft: RowDraft;
  readonly resolve: (receipt: RowReceipt) => void;
  readonly reject: (error: Unavailable) => void;
  readonly weight: number;
  /** The result of a call that was admitted. */
  readonly reserved: boolean;
  /** When it was queued, by performance.now(). */
  readonly since: number;
}

/** A time without a log, as long as it lasts. */
interface Gap {
  readonly from: number;
  readonly reason: GapRow['reason'];
  rejected: number;
  lost: number;
}

export interface ThreadParts {
  readonly directory: LogDirectory;
  readonly worker: Worker;
  readonly ready: { readonly origin: string; readonly epoch: number };
  readonly keyFingerprint: string;
  /** Of this start, for rows that the log writes about itself. */
  readonly session: string;
  readonly clock: LogClock;
}

/** Milliseconds since 1970, and microseconds that never go back. */
export interface LogClock {
  now(): number;
  mono(): number;
}

export class ThreadedLog implements AuditLog {
  readonly dir: string;
  readonly keyFingerprint: string;
  readonly slot: number | null;
  readonly #parts: ThreadParts;
  readonly #admission = new Admission();
  #origin: string;
  #epoch: number;
  #waiting: Waiting[] = [];
  #outbox: RowDraft[] = [];
  #generation = 0;
  /** `low`: only results of admitted calls; `suspended`: nothing, until the storage is sound; `failed`: nothing, for good. */
  #state: 'open' | 'low' | 'suspended' | 'failed' = 'open';
  #failure: Unavailable | undefined;
  #gap: Gap | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;
  #onIdle: (() => void) | undefined;

  constructor(parts: ThreadParts) {
    const { directory, worker, ready } = parts;
    this.#parts = parts;
    this.dir = directory.dir;
    this.slot = directory.slot;
    this.keyFingerprint = parts.keyFingerprint;
    this.#origin = ready.origin;
    this.#epoch = ready.epoch;
    worker.on('message', (message: FromWorker) => this.#receive(message));
    worker.on('error', (error) => this.#fail(gone(error)));
    worker.on('exit', () => this.#exited());
  }

  get origin(): string {
    return this.#origin;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get available(): boolean {
    return (this.#state === 'open' || this.#state === 'low') && this.#closing === undefined;
  }

  get ready(): boolean {
    return this.#state === 'open' && this.#closing === undefined && !this.#isStalled();
  }

  append(draft: RowDraft): Promise<RowReceipt> {
    if (this.#closing !== undefined && this.#state !== 'failed') return Promise.reject(unavailable('the audit log is closed', 'start again'));
    const reserved = this.#admission.isReserved(draft.fields);
    if (this.#failure !== undefined && (this.#state !== 'low' || !reserved)) {
      if (this.#gap !== undefined && draft.fields.kind === 'call') this.#gap.rejected += 1;
      return Promise.reject(this.#failure);
    }
    if (!reserved && this.#isStalled()) return Promise.reject(unavailable('the audit log does not keep up', 'look at the disk of the log directory'));
    const weight = weightOf(draft);
    if (!this.#admission.enter(draft.fields, weight)) return Promise.reject(unavailable('too many rows wait for the audit log', 'send less at a time, or put the log on a faster disk'));
    return this.#queue(draft, weight, reserved);
  }

  scrubWith(patterns: readonly RedactionPattern[]): void {
    if (this.#state === 'failed' || this.#closing !== undefined) return;
    this.#send();
    this.#post({ kind: 'scrub', patterns });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { worker, directory } = this.#parts;
    const exited = new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
    if (this.#state !== 'failed') {
      // Rows that were handed over in this turn go first.
      this.#send();
      this.#post({ kind: 'close' });
      const timer = setTimeout(() => this.#fail(late()), AUDIT_APPEND_MS_MAX);
      await exited;
      clearTimeout(timer);
    }
    await worker.terminate();
    clearTimeout(this.#timer);
    directory.lock.release();
  }

  #queue(draft: RowDraft, weight: number, reserved: boolean): Promise<RowReceipt> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ draft, resolve, reject, weight, reserved, since: performance.now() });
      this.#outbox.push(draft);
      // Rows of one turn travel as one message.
      if (this.#outbox.length === 1) queueMicrotask(() => this.#send());
      this.#watch();
    });
  }

  #send(): void {
    if (this.#outbox.length === 0) return;
    const drafts = this.#outbox;
    this.#outbox = [];
    this.#post({ kind: 'rows', generation: this.#generation, drafts });
  }

  #post(message: ToWorker): void {
    try {
      // The empty transfer list tells this call from a window's.
      this.#parts.worker.postMessage(message, []);
    } catch (error) {
      this.#fail(unavailable('a row cannot be handed to the audit log', 'please report it', error));
    }
  }

  #receive(message: FromWorker): void {
    switch (message.kind) {
      case 'committed':
        // Rows of an earlier generation were refused already: that they are recorded none the less does no harm.
        if (message.generation === this.#generation) this.#acknowledge(message.group);
        return;
      case 'suspended':
        this.#suspended(message);
        return;
      case 'reopened':
        this.#reopened();
        return;
      case 'failed':
        this.#fail(new Unavailable(message.code, message.message, message.hint));
        return;
      case 'ready':
      case 'closed':
    }
  }

  #acknowledge(group: Committed): void {
    this.#origin = group.origin;
    this.#epoch = group.epoch;
    for (const [at, row] of this.#waiting.splice(0, group.leaves.length).entries()) {
      this.#admission.leave(row.weight);
      row.resolve({ origin: group.origin, idx: group.first + at, leaf: group.leaves[at] ?? '', size: group.size });
    }
  }

  #suspended(message: Extract<FromWorker, { kind: 'suspended' }>): void {
    if (this.#state === 'failed') return;
    this.#generation = Math.max(this.#generation, message.generation);
    this.#suspend(new Unavailable('AUDIT_UNAVAILABLE', message.message, message.hint), message.reason, message.low);
  }

  /** Refuses what waits; under `low` the results of admitted calls stay and are handed over again. */
  #suspend(failure: Unavailable, reason: GapRow['reason'], low: boolean): void {
    this.#state = low ? 'low' : 'suspended';
    this.#failure = failure;
    this.#gap ??= { from: this.#parts.clock.now(), reason, rejected: 0, lost: 0 };
    this.#outbox = [];
    const kept = low ? this.#waiting.filter((row) => row.reserved) : [];
    this.#refuse(low ? this.#waiting.filter((row) => !row.reserved) : this.#waiting, this.#gap);
    this.#waiting = kept;
    this.#outbox.push(...kept.map((row) => row.draft));
    this.#send();
  }

  #refuse(rows: readonly Waiting[], gap: Gap): void {
    for (const row of rows) {
      this.#admission.leave(row.weight);
      if (row.draft.fields.kind === 'call') gap.rejected += 1;
      gap.lost += 1;
      row.reject(this.#failure ?? late());
    }
  }

  /** The first row says what happened; what is asked for from now on comes behind it. */
  #reopened(): void {
    if ((this.#state !== 'suspended' && this.#state !== 'low') || this.#closing !== undefined || this.#gap === undefined) return;
    const { clock, session } = this.#parts;
    const gap = this.#gap;
    const wall = clock.now();
    const fields: GapRow = { kind: 'gap', session, from: gap.from, to: Math.max(gap.from, wall), rejected: gap.rejected, lost: gap.lost, reason: gap.reason };
    const draft: RowDraft = { fields, payload: null, wall, mono: clock.mono() };
    this.#state = 'open';
    this.#failure = undefined;
    const weight = weightOf(draft);
    this.#admission.enter(fields, weight);
    this.#queue(draft, weight, false).then(
      () => {
        if (this.#state === 'open') this.#gap = undefined;
      },
      // It failed again: the gap goes on, and is told of at the next opening.
      () => undefined,
    );
  }

  #isStalled(): boolean {
    const oldest = this.#waiting[0];
    return oldest !== undefined && performance.now() - oldest.since > AUDIT_STALL_MS_MAX;
  }

  /** One timer for the oldest row that waits. */
  #watch(): void {
    const oldest = this.#waiting[0];
    if (this.#timer !== undefined || oldest === undefined || this.#state === 'failed') return;
    const left = oldest.since + AUDIT_APPEND_MS_MAX - performance.now();
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const first = this.#waiting[0];
      if (first !== undefined && performance.now() - first.since >= AUDIT_APPEND_MS_MAX) this.#giveUp();
      this.#watch();
    }, Math.max(1, left));
    this.#timer.unref();
  }

  /** A storage that hangs is one that fails. The thread answers once it can write again. */
  #giveUp(): void {
    this.#generation += 1;
    this.#suspend(late(), 'stalled', false);
    this.#post({ kind: 'ask', generation: this.#generation });
  }

  #exited(): void {
    if (this.#closing === undefined || this.#waiting.length > 0) this.#fail(gone());
    this.#onIdle?.();
  }

  #fail(failure: Unavailable): void {
    if (this.#state !== 'failed') this.#failure = failure;
    this.#state = 'failed';
    this.#gap = undefined;
    const lost = this.#waiting;
    this.#waiting = [];
    this.#outbox = [];
    for (const row of lost) row.reject(this.#failure ?? failure);
    this.#onIdle?.();
  }
}

function unavailable(message: string, hint: string, cause?: unknown): Unavailable {
  return new Unavailable('AUDIT_UNAVAILABLE', message, hint, cause);
}

export function gone(cause?: unknown): Unavailable {
  return unavailable('the thread of the audit log ended', 'start again; the log is complete up to the last acknowledged row', cause);
}

function late(): Unavailable {
  return unavailable('the audit log took too long to become durable', 'look at the disk of the log directory');
}
