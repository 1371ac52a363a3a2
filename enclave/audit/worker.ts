// SPDX-License-Identifier: Apache-2.0
/**
 * The log's thread. It takes what has come in, commits it as one group, and looks again: rows that come while it is busy
 * make the next group, so there is no timer that a single row would wait for. A storage that fails is tried again; until it
 * is sound nothing is taken, but for the results of admitted calls where room was held back for them.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import type { GapRow, RowDraft } from '../../shared/audit/row.ts';
import { Unavailable } from '../../shared/errors.ts';
import { AUDIT_RETRY_MS_MAX, AUDIT_RETRY_MS_MIN, COMMIT_BYTES_MAX, COMMIT_ROWS_MAX } from '../../shared/limits.ts';
import { Reserve } from './reserve.ts';
import { LogSession } from './session.ts';
import { storageCode, storageReason } from './storage-error.ts';
import type { FromWorker, ToWorker, WorkerInput } from './wire.ts';
import { weightOf } from './wire.ts';

const HINT = 'look at the free space and the permissions of the log directory';

function messageOf(error: unknown): string {
  return `the audit log cannot be written (${storageCode(error) ?? (error instanceof Error ? error.name : 'unknown')})`;
}

/** The error as the other side may show it. */
function failure(error: unknown): Extract<FromWorker, { kind: 'failed' }> {
  if (error instanceof Unavailable) return { kind: 'failed', code: error.code, message: error.message, hint: error.hint };
  return { kind: 'failed', code: 'AUDIT_UNAVAILABLE', message: messageOf(error), hint: `${HINT}, then start again` };
}

class Loop {
  readonly #port: MessagePort;
  readonly #session: LogSession;
  readonly #reserve: Reserve;
  readonly #rowsMax: number;
  #queue: RowDraft[] = [];
  #generation = 0;
  /** `low`: only what was admitted before is taken; `broken`: nothing is. */
  #state: 'sound' | 'low' | 'broken' = 'sound';
  #asked = false;
  #closing = false;
  #ended = false;
  #timer: NodeJS.Timeout | undefined;
  #retryIn = AUDIT_RETRY_MS_MIN;
  #retry: NodeJS.Timeout | undefined;

  constructor(port: MessagePort, session: LogSession, reserve: Reserve, rowsMax: number) {
    this.#port = port;
    this.#session = session;
    this.#reserve = reserve;
    this.#rowsMax = rowsMax;
  }

  receive(message: ToWorker): void {
    if (this.#ended) return;
    try {
      this.#take(message);
      this.#drain();
      if (this.#closing) this.#close();
      else this.#schedule();
    } catch (error) {
      this.#failed(error);
    }
  }

  #take(message: ToWorker): void {
    switch (message.kind) {
      case 'rows':
        if (this.#isCurrent(message.generation)) this.#queue.push(...message.drafts);
        return;
      case 'ask':
        this.#isCurrent(message.generation);
        this.#asked = true;
        return;
      case 'scrub':
        this.#session.scrubWith(message.patterns);
        return;
      case 'close':
        this.#closing = true;
    }
  }

  #isCurrent(generation: number): boolean {
    if (generation > this.#generation) {
      this.#queue = [];
      this.#generation = generation;
    }
    return generation === this.#generation;
  }

  #drain(): void {
    for (;;) {
      for (let next = receiveMessageOnPort(this.#port); next !== undefined; next = receiveMessageOnPort(this.#port)) {
        const message: ToWorker = next.message;
        this.#take(message);
      }
      if (this.#state === 'broken') return;
      if (this.#asked && this.#state === 'sound') {
        this.#asked = false;
        this.#post({ kind: 'reopened' });
      }
      const drafts = this.#group();
      if (drafts.length === 0) return;
      this.#post({ kind: 'committed', generation: this.#generation, group: this.#session.commit(drafts) });
      if (this.#session.anchorDueIn() === 0) this.#session.anchor();
      if (this.#state === 'sound') this.#session.turnOver();
    }
  }

  /** What is committed next: what waits, up to the bounds of a group, and at least one row. */
  #group(): RowDraft[] {
    let bytes = 0;
    let rows = 0;
    for (const draft of this.#queue) {
      bytes += weightOf(draft);
      if (rows >= this.#rowsMax || (rows > 0 && bytes > COMMIT_BYTES_MAX)) break;
      rows += 1;
    }
    return this.#queue.splice(0, rows);
  }

  #schedule(): void {
    const due = this.#session.anchorDueIn();
    if (due === undefined || this.#timer !== undefined || this.#state === 'broken') return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#ended || this.#state === 'broken') return;
      try {
        if (this.#session.anchorDueIn() === 0) this.#session.anchor();
        this.#schedule();
      } catch (error) {
        this.#failed(error);
      }
    }, Math.ceil(due));
  }

  #failed(error: unknown): void {
    const reason = storageReason(error);
    if (reason === null) this.#fail(error);
    else if (this.#closing) this.#fail(error);
    else this.#suspend(error, reason);
  }

  /** Nothing in memory counts any more: what is written next goes on from what is stored. */
  #suspend(error: unknown, reason: Exclude<GapRow['reason'], 'stalled'>): void {
    this.#session.close();
    this.#queue = [];
    this.#generation += 1;
    const low = this.#reserve.release() && reason === 'full' && this.#resume();
    this.#state = low ? 'low' : 'broken';
    this.#post({ kind: 'suspended', generation: this.#generation, reason, low, message: messageOf(error), hint: HINT });
    this.#retryLater();
  }

  #retryLater(): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#tryAgain(), this.#retryIn);
    this.#retryIn = Math.min(2 * this.#retryIn, AUDIT_RETRY_MS_MAX);
  }

  /** Room first: without a reserve nothing new is admitted. */
  #tryAgain(): void {
    if (this.#ended) return;
    try {
      if (!this.#reserve.hasRoom()) throw new RangeError('no room');
      this.#reserve.take();
    } catch {
      this.#retryLater();
      return;
    }
    if (this.#state === 'broken' && !this.#resume()) {
      this.#reserve.release();
      if (!this.#ended) this.#retryLater();
      return;
    }
    this.#state = 'sound';
    this.#asked = false;
    this.#retryIn = AUDIT_RETRY_MS_MIN;
    this.#post({ kind: 'reopened' });
    this.#schedule();
  }

  #resume(): boolean {
    try {
      this.#session.resume();
      return true;
    } catch (error) {
      this.#session.close();
      if (error instanceof Unavailable && error.code === 'AUDIT_ROLLBACK') this.#fail(error);
      return false;
    }
  }

  #close(): void {
    this.#session.anchor();
    this.#end();
    this.#post({ kind: 'closed' });
    this.#port.close();
  }

  #fail(error: unknown): void {
    if (this.#ended) return;
    this.#end();
    this.#post(failure(error));
    this.#port.close();
  }

  #end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#retry);
    this.#session.close();
    this.#reserve.release();
  }

  #post(message: FromWorker): void {
    this.#port.postMessage(message, []);
  }
}

function start(port: MessagePort, input: WorkerInput): void {
  const reserve = new Reserve(input.dir, input.reserveBytes);
  try {
    reserve.take();
    const session = new LogSession(input);
    const loop = new Loop(port, session, reserve, input.signature === 'per-row' ? 1 : COMMIT_ROWS_MAX);
    port.on('message', (message: ToWorker) => loop.receive(message));
    const ready: FromWorker = { kind: 'ready', origin: session.origin, epoch: session.epoch };
    port.postMessage(ready, []);
  } catch (error) {
    reserve.release();
    port.postMessage(failure(error), []);
    port.close();
  }
}

if (parentPort !== null) {
  const input: WorkerInput = workerData;
  start(parentPort, input);
}
