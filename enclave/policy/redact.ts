// SPDX-License-Identifier: Apache-2.0
/**
 * Redaction of what is forwarded. Small arguments are redacted where they are; large ones in a worker thread, because
 * RE2 cannot be interrupted and the event loop serves every other message. The worker is started when it is first
 * needed, used for one value at a time, and ended when a value takes too long.
 */
import { Worker } from 'node:worker_threads';
import { extname } from 'node:path';
import type { JsonValue } from '../../shared/json/value.ts';
import { REDACTION_INLINE_BYTES_MAX, REDACTION_MS_MAX, REDACTION_START_MS_MAX } from '../../shared/limits.ts';
import { budget, createReplace, replaceIn, textsOf } from './replace.ts';
import type { Redaction, RedactionPattern } from './types.ts';

export interface Redactor {
  redact(value: JsonValue): Promise<Redaction>;
  /** Ends the worker; what waits for it is answered as timed out. */
  close(): Promise<void>;
}

export interface RedactorOptions {
  readonly patterns: readonly RedactionPattern[];
  /** Milliseconds, never going back. */
  readonly now?: () => number;
  /** Milliseconds for one value in the worker. */
  readonly workerMs?: number;
  /** Entry of the worker thread. */
  readonly entry?: URL;
}

const TIMEOUT: Redaction = { kind: 'timeout' };

/** Compiles the patterns; throws RangeError for one that is not RE2. */
export function createRedactor(options: RedactorOptions): Redactor {
  const { patterns, now = () => performance.now() } = options;
  const replace = createReplace(patterns);
  const worker = new RedactionWorker(options);
  return {
    async redact(value) {
      if (patterns.length === 0) return { kind: 'done', value, count: 0 };
      const texts = textsOf(value);
      if (unitsOf(texts) > REDACTION_INLINE_BYTES_MAX / UTF8_BYTES_PER_UNIT) return redactApart(worker, value, texts);
      const expired = budget(now, REDACTION_MS_MAX);
      const replaced = replaceIn(value, (text) => replace(text, expired));
      return replaced === null ? TIMEOUT : { kind: 'done', ...replaced };
    },
    close: () => worker.close(),
  };
}

/** UTF-8 bytes that one UTF-16 unit takes at most: the bound is kept without encoding every text. */
const UTF8_BYTES_PER_UNIT = 3;

function unitsOf(texts: readonly string[]): number {
  let units = 0;
  for (const text of texts) units += text.length;
  return units;
}

async function redactApart(worker: RedactionWorker, value: JsonValue, texts: readonly string[]): Promise<Redaction> {
  const answers = await worker.replace(texts);
  if (answers === null) return TIMEOUT;
  // The walk visits the same texts in the same order again.
  let next = 0;
  const replaced = replaceIn(value, () => answers[next++] ?? null);
  return replaced === null ? TIMEOUT : { kind: 'done', ...replaced };
}

function workerEntry(): URL {
  return new URL(`./redact-worker${extname(import.meta.filename)}`, import.meta.url);
}

class RedactionWorker {
  readonly #options: RedactorOptions;
  #thread: Worker | null = null;
  #queue: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(options: RedactorOptions) {
    this.#options = options;
  }

  /** The texts after redaction, in order, or null if they could not be redacted in time. */
  replace(texts: readonly string[]): Promise<readonly string[] | null> {
    const turn = this.#queue.then(() => this.#run(texts));
    this.#queue = turn;
    return turn;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#thread?.terminate();
  }

  async #run(texts: readonly string[]): Promise<readonly string[] | null> {
    const thread = this.#thread ?? (await this.#start());
    if (thread === null || this.#closed) return null;
    thread.ref();
    thread.postMessage(texts, []);
    const answer = await nextMessage(thread, this.#options.workerMs ?? REDACTION_MS_MAX);
    thread.unref();
    if (isTexts(answer) && answer.length === texts.length) return answer;
    this.#drop(thread);
    return null;
  }

  /** Starts the thread and waits until it has its patterns, so that no value's budget pays for the start. */
  async #start(): Promise<Worker | null> {
    if (this.#closed) return null;
    const { patterns, entry = workerEntry() } = this.#options;
    const thread = new Worker(entry, { workerData: patterns });
    // What fails is seen by the value that waits for it; between two values nobody listens.
    thread.on('error', () => undefined);
    this.#thread = thread;
    thread.once('exit', () => {
      if (this.#thread === thread) this.#thread = null;
    });
    if ((await nextMessage(thread, REDACTION_START_MS_MAX)) === 'ready') return thread;
    this.#drop(thread);
    return null;
  }

  /** Ends a thread without waiting for it: it may be inside a match, which nothing can interrupt. */
  #drop(thread: Worker): void {
    if (this.#thread === thread) this.#thread = null;
    void thread.terminate();
  }
}

function isTexts(answer: unknown): answer is string[] {
  return Array.isArray(answer) && answer.every((text) => typeof text === 'string');
}

/** The thread's next message, or undefined if there is none in time or the thread ends. */
function nextMessage(thread: Worker, ms: number): Promise<unknown> {
  return new Promise((resolve) => {
    const settle = (answer: unknown): void => {
      clearTimeout(timer);
      thread.off('message', settle).off('error', none).off('exit', none);
      resolve(answer);
    };
    const none = (): void => settle(undefined);
    const timer = setTimeout(none, ms);
    thread.on('message', settle).on('error', none).on('exit', none);
  });
}
