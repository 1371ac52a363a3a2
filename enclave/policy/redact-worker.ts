// SPDX-License-Identifier: Apache-2.0
/** Entry of the redaction thread: takes the texts of a value, answers with the same list redacted. It is ended from outside. */
import { parentPort, workerData } from 'node:worker_threads';
import type { Texts } from './patterns/texts.ts';
import { budget, createReplacing } from './replace.ts';
import type { RedactionPattern } from './types.ts';

/** What the thread is asked. */
export interface RedactionTask {
  readonly texts: Texts;
  /** Milliseconds in which it answers; a while later it is ended from outside. */
  readonly ms: number;
}

function isPattern(value: unknown): value is RedactionPattern {
  if (typeof value !== 'object' || value === null) return false;
  return 'name' in value && 'source' in value && 'replacement' in value;
}

function serve(port: NonNullable<typeof parentPort>): void {
  const patterns: unknown = workerData;
  if (!Array.isArray(patterns) || !patterns.every(isPattern)) throw new TypeError('the worker was started without patterns');
  const replacing = createReplacing(patterns);
  port.on('message', ({ texts, ms }: RedactionTask) => {
    port.postMessage(replacing.all(texts, budget(() => performance.now(), ms)));
  });
  port.postMessage('ready');
}

if (parentPort !== null) serve(parentPort);
