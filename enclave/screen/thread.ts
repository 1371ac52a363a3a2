// SPDX-License-Identifier: Apache-2.0
/**
 * The thread that scores what is too long for the event loop: one request at a time, a bounded queue before it. A thread
 * that does not answer in time is ended, and the next request gets a new one.
 */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { SCREEN_MS_MAX, SCREEN_QUEUE_LENGTH_MAX, SCREEN_QUEUE_MAX, SCREEN_START_MS_MAX } from '../../shared/limits.ts';
import type { Judged } from './judge.ts';
import type { ScreenText } from './strings.ts';

/** Why there is no score. */
export type ScreenFailure = 'queue-full' | 'timeout' | 'worker' | 'closed' | 'aborted';

export interface ThreadOptions {
  /** Milliseconds for one request in the thread. */
  readonly workerMs?: number;
  /** Milliseconds for the thread to start. */
  readonly startMs?: number;
  /** Requests that may wait. */
  readonly queueMax?: number;
  /** Entry of the thread. */
  readonly entry?: URL;
}

export interface Thread {
  /** The highest score, or why there is none. `units` are those of all texts. */
  judge(texts: readonly ScreenText[], units: number, signal?: AbortSignal): Promise<Judged | ScreenFailure>;
  close(): Promise<void>;
}

function entryOfWorker(): URL {
  return new URL(`./worker${extname(import.meta.filename)}`, import.meta.url);
}

export function createThread(options: ThreadOptions & { readonly model: string }): Thread {
  const { workerMs = SCREEN_MS_MAX, startMs = SCREEN_START_MS_MAX, queueMax = SCREEN_QUEUE_MAX, entry = entryOfWorker() } = options;
  let worker: Worker | null = null;
  let closed = false;
  let waiting = 0;
  let waitingUnits = 0;
  let queue: Promise<unknown> = Promise.resolve();

  /** Ends a thread without waiting for it: it may be in the middle of a text. */
  function drop(thread: Worker): void {
    if (worker === thread) worker = null;
    void thread.terminate();
  }

  async function start(): Promise<Worker | null> {
    const thread = new Worker(entry);
    // What fails is seen by the request that waits for it; between two requests nobody listens.
    thread.on('error', () => undefined);
    thread.once('exit', () => {
      if (worker === thread) worker = null;
    });
    worker = thread;
    // A worker with other weights than the ones that are named in the log must not answer.
    if ((await nextMessage(thread, startMs)).message === options.model) return thread;
    drop(thread);
    return null;
  }

  async function run(texts: readonly ScreenText[], signal?: AbortSignal): Promise<Judged | ScreenFailure> {
    if (closed) return 'closed';
    if (signal?.aborted === true) return 'aborted';
    const thread = worker ?? (await start());
    if (thread === null) return closed ? 'closed' : 'worker';
    thread.ref();
    // One flat list: it is copied on the event loop, and paths are not needed there.
    thread.postMessage(texts.flatMap(({ text, kind }) => [kind, text]), []);
    const { message, late } = await nextMessage(thread, workerMs);
    thread.unref();
    if (isJudged(message)) return message;
    drop(thread);
    if (closed) return 'closed';
    return late ? 'timeout' : 'worker';
  }

  return {
    judge(texts, units, signal): Promise<Judged | ScreenFailure> {
      if (waiting >= queueMax || waitingUnits + units > SCREEN_QUEUE_LENGTH_MAX) return Promise.resolve('queue-full');
      waiting += 1;
      waitingUnits += units;
      const turn = queue.then(() => run(texts, signal)).finally(() => {
        waiting -= 1;
        waitingUnits -= units;
      });
      queue = turn;
      return turn;
    },
    async close(): Promise<void> {
      closed = true;
      await worker?.terminate();
    },
  };
}

function isJudged(message: unknown): message is Judged {
  return typeof message === 'object' && message !== null && 'score' in message && typeof message.score === 'number' && 'partial' in message;
}

/** The thread's next message, or none if it does not come in time or the thread ends. */
function nextMessage(thread: Worker, ms: number): Promise<{ message: unknown; late: boolean }> {
  return new Promise((resolve) => {
    const settle = (message: unknown, late = false): void => {
      clearTimeout(timer);
      thread.off('message', taken).off('error', none).off('exit', none);
      resolve({ message, late });
    };
    const taken = (message: unknown): void => settle(message);
    const none = (): void => settle(undefined);
    const timer = setTimeout(() => settle(undefined, true), ms);
    thread.on('message', taken).on('error', none).on('exit', none);
  });
}
