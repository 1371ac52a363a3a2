// SPDX-License-Identifier: Apache-2.0
/**
 * The built-in classifier: a linear model over hashed words, n-grams and concepts (design, section 9). It reduces prompt
 * injection and does not prevent it; docs say what it misses. Pure: the weights are an argument.
 */
import { Features } from './features.ts';
import type { Model } from './model.ts';
import { reasonsOf } from './reasons.ts';
import type { Reason, Score, Scorer, ScreenKind, View } from './types.ts';
import { normalise } from './views.ts';
import { bounded, highest, windowsOf } from './windows.ts';
import type { Window } from './windows.ts';

/** Scores from which reasons are worth the second look at the window. */
const REASONS_FROM = 0.5;

/** Words that the running sums have room for at first; a longer text gets more. */
const SUMS_LENGTH = 4096;

interface Best {
  readonly view: View;
  readonly window: Window;
  readonly value: number;
}

/** One scorer per thread: it keeps its buffers. */
export function createLexicalScorer(model: Model): Scorer {
  const { head, weights } = model;
  const features = new Features();
  let sums = new Float64Array(SUMS_LENGTH);

  function bestOf(view: View): { window: Window; words: number } | null {
    // Every word begins with a character of its own.
    if (view.text.length >= sums.length) sums = new Float64Array(view.text.length + 1);
    let words = 0;
    let sum = 0;
    features.scan(view.text, (ids, count) => {
      let word = 0;
      for (let at = 0; at < count; at += 1) word += weights[ids[at] ?? 0] ?? 0;
      sum += bounded(word * head.scale);
      words += 1;
      sums[words] = sum;
    });
    return words === 0 ? null : { window: highest(sums, words), words };
  }

  function reasons(best: Best): Reason[] {
    const seen = new Set<number>();
    let word = 0;
    features.scan(best.view.text, () => {
      if (word >= best.window.from && word < best.window.to && features.concept !== 0) seen.add(features.concept);
      word += 1;
    });
    return reasonsOf(seen);
  }

  return {
    model: `lexical-${model.digest}`,
    score(text: string, kind: ScreenKind): Score {
      const { views, found, partial } = normalise(text);
      let best: Best | null = null;
      let windows = 0;
      for (const view of views) {
        const one = bestOf(view);
        if (one === null) continue;
        windows += windowsOf(one.words);
        const value = one.window.value + head.bias + head.views[view.name];
        if (best === null || value > best.value) best = { view, window: one.window, value };
      }
      if (best === null) return { score: 0, windows, at: null, reasons: [...found], partial };
      const { slope, offset } = head.calibration[kind];
      const score = 1 / (1 + Math.exp(-(slope * best.value + offset)));
      return {
        score,
        windows,
        at: { view: best.view.name, word: best.window.from },
        reasons: score < REASONS_FROM ? [...found] : [...found, ...reasons(best)],
        partial,
      };
    },
  };
}
