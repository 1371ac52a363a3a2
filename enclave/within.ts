// SPDX-License-Identifier: Apache-2.0
/** Waiting that has an end. */
import { setTimeout as delay } from 'node:timers/promises';

/** Resolves when that is done or has failed, and after so many milliseconds at the latest. */
export async function within(done: Promise<void>, ms: number): Promise<void> {
  const over = new AbortController();
  try {
    await Promise.race([done, delay(ms, undefined, { signal: over.signal, ref: false })]);
  } catch {
    // Whoever made the promise is told of its failure.
  } finally {
    over.abort();
  }
}
