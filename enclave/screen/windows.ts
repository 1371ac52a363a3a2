// SPDX-License-Identifier: Apache-2.0
/** The windows of a text. Overlapping and of several sizes, so that neither a long carrier nor a long attack hides one. */

/** Words of a window. */
const SIZES: readonly number[] = [14, 32, 80, 200];
/** Parts of a window by which the next one is moved. */
const STEPS = 8;
/** What keeps very short texts from extremes. */
const SMOOTH = 8;

/** What one word may take from a window or add to it: else one made-up word of bad parts would cover an attack. */
export const WORD_MIN = -4;
export const WORD_MAX = 8;

export function bounded(word: number): number {
  return Math.max(WORD_MIN, Math.min(WORD_MAX, word));
}

export interface Window {
  readonly from: number;
  readonly to: number;
  /** Sum of the window by the square root of its length: long and short ones compare. */
  readonly value: number;
}

/** The factor of a window's sum. */
export function weightOf(words: number): number {
  return 1 / Math.sqrt(words + SMOOTH);
}

/** Windows of a text of so many words. */
export function windowsOf(words: number): number {
  let count = 0;
  for (const size of SIZES) {
    if (words <= size) return count + 1;
    count += Math.ceil((words - size) / Math.floor(size / STEPS)) + 1;
  }
  return count;
}

/** The highest window. `sums[n]` is the sum of the first n words. */
export function highest(sums: Float64Array, words: number): Window {
  let best: Window = { from: 0, to: words, value: Number.NEGATIVE_INFINITY };
  for (const size of SIZES) {
    const span = Math.min(size, words);
    const weight = weightOf(span);
    const step = Math.floor(size / STEPS);
    for (let from = 0; ; from += step) {
      // The last window ends with the text.
      const start = Math.min(from, words - span);
      const value = ((sums[start + span] ?? 0) - (sums[start] ?? 0)) * weight;
      if (value > best.value) best = { from: start, to: start + span, value };
      if (start + span >= words) break;
    }
    if (span === words) break;
  }
  return best;
}
