// SPDX-License-Identifier: Apache-2.0
/** Entry of the redaction thread: takes a list of texts, answers with the same list redacted. It is ended from outside. */
import { parentPort, workerData } from 'node:worker_threads';
import { createReplace } from './replace.ts';
import type { RedactionPattern } from './types.ts';

function isPattern(value: unknown): value is RedactionPattern {
  if (typeof value !== 'object' || value === null) return false;
  return 'name' in value && 'source' in value && 'replacement' in value;
}

function serve(port: NonNullable<typeof parentPort>): void {
  const patterns: unknown = workerData;
  if (!Array.isArray(patterns) || !patterns.every(isPattern)) throw new TypeError('the worker was started without patterns');
  const replace = createReplace(patterns);
  port.on('message', (texts: readonly string[]) => {
    port.postMessage(texts.map((text) => replace(text, () => false)));
  });
  port.postMessage('ready');
}

if (parentPort !== null) serve(parentPort);
