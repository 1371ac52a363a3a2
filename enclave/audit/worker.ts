// SPDX-License-Identifier: Apache-2.0
/**
 * The log's thread. It takes what has come in, commits it as one group, and looks again: rows that come while it is busy
 * make the next group, so there is no timer that a single row would wait for.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import type { RowDraft } from '../../shared/audit/row.ts';
import { Unavailable } from '../../shared/errors.ts';
import { COMMIT_BYTES_MAX, COMMIT_ROWS_MAX } from '../../shared/limits.ts';
import { createScrubber } from '../policy/scrub.ts';
import { sqliteCode } from '../store/sqlite.ts';
import { findContinuation } from './recover.ts';
import { addTrust, readTrust, trustPath } from './trust.ts';
import type { FromWorker, ToWorker, WorkerInput } from './wire.ts';
import { weightOf } from './wire.ts';
import { LogWriter } from './writer.ts';

const clock = (): number => performance.now();

/** The error as the other side may show it: the code of the system or of SQLite says what a person needs. */
function failure(error: unknown): Extract<FromWorker, { kind: 'failed' }> {
  if (error instanceof Unavailable) return { kind: 'failed', code: error.code, message: error.message, hint: error.hint };
  const system = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  const name = sqliteCode(error) ?? system ?? (error instanceof Error ? error.name : 'unknown');
  return { kind: 'failed', code: 'AUDIT_UNAVAILABLE', message: `the audit log cannot be written (${name})`, hint: 'look at the free space and the permissions of the log directory, then start again' };
}

function openWriter(input: WorkerInput): { writer: LogWriter; epoch: number } {
  const { dir, stateDir, key, boot, wall, mono, payload, scrubPatterns } = input;
  const scrubber = createScrubber(scrubPatterns);
  const place = findContinuation(dir, key.fingerprint, readTrust(trustPath(stateDir)));
  addTrust(stateDir, place.log, key.fingerprint);
  const writer = new LogWriter(place, { key, payload, scrubber, clock });
  try {
    writer.boot(boot, wall, mono);
  } catch (error) {
    writer.close();
    throw error;
  }
  return { writer, epoch: place.epoch };
}

class Loop {
  readonly #port: MessagePort;
  readonly #writer: LogWriter;
  readonly #rowsMax: number;
  #queue: RowDraft[] = [];
  #closing = false;
  #ended = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(port: MessagePort, writer: LogWriter, rowsMax: number) {
    this.#port = port;
    this.#writer = writer;
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
      this.#fail(error);
    }
  }

  #take(message: ToWorker): void {
    switch (message.kind) {
      case 'rows':
        this.#queue.push(...message.drafts);
        return;
      case 'close':
        this.#closing = true;
    }
  }

  #drain(): void {
    for (;;) {
      for (let next = receiveMessageOnPort(this.#port); next !== undefined; next = receiveMessageOnPort(this.#port)) {
        const message: ToWorker = next.message;
        this.#take(message);
      }
      const group = this.#group();
      if (group.length === 0) return;
      this.#post({ kind: 'committed', group: this.#writer.commit(group) });
      if (this.#writer.anchorDueIn() === 0) this.#writer.anchor();
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
    const due = this.#writer.anchorDueIn();
    if (due === undefined || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#ended) return;
      try {
        if (this.#writer.anchorDueIn() === 0) this.#writer.anchor();
        this.#schedule();
      } catch (error) {
        this.#fail(error);
      }
    }, Math.ceil(due));
  }

  #close(): void {
    this.#writer.anchor();
    this.#end();
    this.#post({ kind: 'closed' });
    this.#port.close();
  }

  #fail(error: unknown): void {
    this.#end();
    this.#post(failure(error));
    this.#port.close();
  }

  #end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#writer.close();
  }

  #post(message: FromWorker): void {
    this.#port.postMessage(message, []);
  }
}

function start(port: MessagePort, input: WorkerInput): void {
  try {
    const { writer, epoch } = openWriter(input);
    const loop = new Loop(port, writer, input.signature === 'per-row' ? 1 : COMMIT_ROWS_MAX);
    port.on('message', (message: ToWorker) => loop.receive(message));
    const ready: FromWorker = { kind: 'ready', origin: writer.origin, epoch };
    port.postMessage(ready, []);
  } catch (error) {
    port.postMessage(failure(error), []);
    port.close();
  }
}

if (parentPort !== null) {
  const input: WorkerInput = workerData;
  start(parentPort, input);
}
