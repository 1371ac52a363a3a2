// SPDX-License-Identifier: Apache-2.0
/**
 * Logistic regression over windows. An attack is only somewhere in its text, and an honest text is honest everywhere: so
 * in each pass every text is represented by the window that scores highest so far (multiple-instance learning), which is
 * also how texts are scored later. One thread, one order, plain arithmetic: the same input gives the same bits.
 */
import { FEATURES, Features } from '../../enclave/screen/features.ts';
import type { ViewName } from '../../enclave/screen/types.ts';
import { normalise } from '../../enclave/screen/views.ts';
import { bounded, highest, weightOf, WORD_MAX, WORD_MIN } from '../../enclave/screen/windows.ts';
import { createRandom, shuffle } from './random.ts';

/** A view as the features of its words. */
export interface Scanned {
  readonly name: ViewName;
  readonly ids: Int32Array;
  /** starts[n] is where the features of word n begin; one more than there are words. */
  readonly starts: Int32Array;
}

export interface Example {
  readonly label: 0 | 1;
  /** How much it counts. */
  readonly cost: number;
  readonly views: readonly Scanned[];
}

export interface LearnOptions {
  readonly seed: number;
  readonly passes: number;
  readonly rate: number;
  /** Part of each weight that is lost in a pass. */
  readonly decay: number;
}

export interface Learned {
  readonly weights: Float64Array;
  readonly bias: number;
}

const features = new Features();

export function scanText(text: string): Scanned[] {
  return normalise(text).views.map(({ name, text: view }) => {
    const ids: number[] = [];
    const starts: number[] = [0];
    features.scan(view, (found, count) => {
      for (let at = 0; at < count; at += 1) ids.push(found[at] ?? 0);
      starts.push(ids.length);
    });
    return { name, ids: Int32Array.from(ids), starts: Int32Array.from(starts) };
  });
}

interface Spot {
  readonly view: Scanned;
  readonly from: number;
  readonly to: number;
  readonly value: number;
}

/** The highest window over the views, without what being hidden adds. */
export function spot(views: readonly Scanned[], weights: Float64Array): Spot | null {
  let best: Spot | null = null;
  for (const view of views) {
    const words = view.starts.length - 1;
    if (words === 0) continue;
    const sums = new Float64Array(words + 1);
    let sum = 0;
    for (let word = 0; word < words; word += 1) {
      sum += bounded(valueOf(view.ids, view.starts[word] ?? 0, view.starts[word + 1] ?? 0, weights));
      sums[word + 1] = sum;
    }
    const window = highest(sums, words);
    if (best === null || window.value > best.value) best = { view, ...window };
  }
  return best;
}

function valueOf(ids: Int32Array, from: number, to: number, weights: Float64Array): number {
  let value = 0;
  for (let at = from; at < to; at += 1) value += weights[ids[at] ?? 0] ?? 0;
  return value;
}

export function learn(examples: readonly Example[], options: LearnOptions): Learned {
  const weights = new Float64Array(FEATURES);
  const squares = new Float64Array(FEATURES).fill(0.02);
  const random = createRandom(options.seed);
  const order = Array.from(examples);
  const kept = new Float64Array(FEATURES);
  const keptFrom = Math.floor(options.passes / 2);
  let keptBias = 0;
  let bias = 0;
  let biasSquares = 0.1;
  for (let pass = 0; pass < options.passes; pass += 1) {
    shuffle(order, random);
    for (const { label, cost, views } of order) {
      const found = spot(views, weights);
      if (found === null) continue;
      const error = (1 / (1 + Math.exp(-(found.value + bias))) - label) * cost;
      if (Math.abs(error) < 1e-4) continue;
      biasSquares += error * error;
      bias -= (options.rate * error) / Math.sqrt(biasSquares);
      const step = error * weightOf(found.to - found.from);
      const { ids, starts } = found.view;
      for (let word = found.from; word < found.to; word += 1) {
        const from = starts[word] ?? 0;
        const to = starts[word + 1] ?? 0;
        // A word at its bound learns nothing beyond it.
        const value = valueOf(ids, from, to, weights);
        if (step > 0 ? value <= WORD_MIN : value >= WORD_MAX) continue;
        for (let at = from; at < to; at += 1) {
          const id = ids[at] ?? 0;
          const square = (squares[id] ?? 0) + step * step;
          squares[id] = square;
          weights[id] = (weights[id] ?? 0) - (options.rate * step) / Math.sqrt(square);
        }
      }
    }
    for (let id = 0; id < FEATURES; id += 1) weights[id] = (weights[id] ?? 0) * (1 - options.decay);
    if (pass < keptFrom) continue;
    // The mean of the later passes varies less than the last one.
    for (let id = 0; id < FEATURES; id += 1) kept[id] = (kept[id] ?? 0) + (weights[id] ?? 0) / (options.passes - keptFrom);
    keptBias += bias / (options.passes - keptFrom);
  }
  return { weights: kept, bias: keptBias };
}
