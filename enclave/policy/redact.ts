// SPDX-License-Identifier: Apache-2.0
/**
 * Redaction of what is forwarded. Small values are redacted where they are; large ones in a worker thread, because
 * RE2 cannot be interrupted and the event loop serves every other message. The worker is started when it is first
 * needed, used for one value at a time, and ended when a value takes too long. What could not be checked in time is
 * masked as a whole: nothing is passed on raw, and a slow value is no way to have a message refused.
 */
import { Worker } from 'node:worker_threads';
import { extname } from 'node:path';
import type { JsonValue } from '../../shared/json/value.ts';
import { REDACTION_DECODE_INLINE_LENGTH_MAX, REDACTION_DECODE_MS_PER_MIB, REDACTION_INLINE_BYTES_MAX, REDACTION_MS_MAX, REDACTION_START_MS_MAX } from '../../shared/limits.ts';
import type { Texts } from './patterns/texts.ts';
import { textsOf, withTexts } from './patterns/texts.ts';
import type { RedactionTask } from './redact-worker.ts';
import { budget, createReplacing } from './replace.ts';
import type { Redaction, RedactionPattern } from './types.ts';

export interface Redactor {
  /** Never fails: what cannot be checked is masked. */
  redact(value: JsonValue): Promise<Redaction>;
  /** Ends the worker; what waits for it is masked. */
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

/** Stands for a string, key or number that could not be checked in time. */
export const UNCHECKED = '[REDACTED: not checked in time]';

/** Compiles the patterns; throws RangeError for one that is not RE2. */
export function createRedactor(options: RedactorOptions): Redactor {
  const { patterns, now = () => performance.now() } = options;
  const replacing = createReplacing(patterns);
  const inlineMax = replacing.options.sequences ? REDACTION_DECODE_INLINE_LENGTH_MAX : REDACTION_INLINE_BYTES_MAX / UTF8_BYTES_PER_UNIT;
  const worker = new RedactionWorker(options);
  return {
    async redact(value) {
      if (patterns.length === 0) return { value, count: 0, masked: 0 };
      const texts = textsOf(value, replacing.options);
      const apart = unitsOf(texts.texts) > inlineMax;
      return finish(value, texts.texts, apart ? await worker.replace(texts) : replacing.all(texts, budget(now, REDACTION_MS_MAX)));
    },
    close: () => worker.close(),
  };
}

const MIB: number = 1024 * 1024;

/** UTF-8 bytes that one UTF-16 unit takes at most: the bound is kept without encoding every text. */
const UTF8_BYTES_PER_UNIT = 3;

function unitsOf(texts: readonly string[]): number {
  let units = 0;
  for (const text of texts) units += text.length;
  return units;
}

function finish(value: JsonValue, texts: readonly string[], answers: Answers | null): Redaction {
  let count = 0;
  let masked = 0;
  const made = texts.map((text, at) => {
    const answer = answers === null ? null : (answers[at] ?? null);
    if (answer === text) return text;
    count += 1;
    if (answer === null) masked += 1;
    return answer ?? UNCHECKED;
  });
  return { value: withTexts(value, texts, made), count, masked };
}

function workerEntry(): URL {
  return new URL(`./redact-worker${extname(import.meta.filename)}`, import.meta.url);
}

/** The texts after redaction, in order; null for those that were not checked in time. */
type Answers = readonly (string | null)[];

/** The part of a value's time in which the worker answers by itself, so that only what it did not get to is masked. */
const WORKER_SHARE = 0.8;

class RedactionWorker {
  readonly #options: RedactorOptions;
  #thread: Worker | null = null;
  #queue: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(options: RedactorOptions) {
    this.#options = options;
  }

  /** Milliseconds for these texts. Decoding takes its time; the event loop does not wait for it here. */
  #msFor(texts: Texts): number {
    const { patterns, workerMs } = this.#options;
    const decodes = patterns.some(({ decode }) => decode === true);
    return workerMs ?? REDACTION_MS_MAX + (decodes ? Math.ceil((unitsOf(texts.texts) / MIB) * REDACTION_DECODE_MS_PER_MIB) : 0);
  }

  /** Null if the worker did not answer in time. */
  replace(texts: Texts): Promise<Answers | null> {
    const turn = this.#queue.then(() => this.#run(texts));
    this.#queue = turn;
    return turn;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#thread?.terminate();
  }

  async #run(texts: Texts): Promise<Answers | null> {
    const thread = this.#thread ?? (await this.#start());
    if (thread === null || this.#closed) return null;
    thread.ref();
    const ms = this.#msFor(texts);
    const task: RedactionTask = { texts, ms: ms * WORKER_SHARE };
    thread.postMessage(task, []);
    const answer = await nextMessage(thread, ms);
    thread.unref();
    if (isAnswers(answer) && answer.length === texts.texts.length) return answer;
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

function isAnswers(answer: unknown): answer is (string | null)[] {
  return Array.isArray(answer) && answer.every((text) => text === null || typeof text === 'string');
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
