// SPDX-License-Identifier: Apache-2.0
/** The score of several texts together is that of the highest. The same code judges on the event loop and in the worker. */
import { hash } from 'node:crypto';
import { SCREEN_CACHE_MAX } from '../../shared/limits.ts';
import type { Reason, Score, Scorer, ScreenKind } from './types.ts';

export interface Judged {
  readonly score: number;
  readonly reasons: readonly Reason[];
  /** Index of the text that scored highest, -1 if there was none. */
  readonly index: number;
  readonly windows: number;
  readonly partial: boolean;
}

export function judge(texts: readonly { readonly text: string; readonly kind: ScreenKind }[], scorer: Scorer): Judged {
  let best: Score | null = null;
  let index = -1;
  let windows = 0;
  let partial = false;
  for (const [at, { text, kind }] of texts.entries()) {
    const score = scorer.score(text, kind);
    windows += score.windows;
    partial ||= score.partial;
    if (best !== null && score.score <= best.score) continue;
    best = score;
    index = at;
  }
  return { score: best?.score ?? 0, reasons: best?.reasons ?? [], index, windows, partial };
}

/** Keeps scores by the digest of their text; the one that was not used for longest makes room. */
export function cached(scorer: Scorer, sizeMax: number = SCREEN_CACHE_MAX): Scorer {
  const scores = new Map<string, Score>();
  return {
    model: scorer.model,
    score(text, kind): Score {
      const key = `${kind}:${hash('sha256', text, 'base64url')}`;
      const known = scores.get(key);
      const score = known ?? scorer.score(text, kind);
      scores.delete(key);
      scores.set(key, score);
      const oldest = scores.keys().next();
      if (scores.size > sizeMax && oldest.done !== true) scores.delete(oldest.value);
      return score;
    },
  };
}
