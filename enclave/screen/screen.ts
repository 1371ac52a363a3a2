// SPDX-License-Identifier: Apache-2.0
/**
 * Screening as the gateway uses it: short texts are scored where they are, long ones in a worker thread, so that no text
 * holds the event loop. Outcomes are values; what could not be scored says so and is never taken for harmless.
 */
import { SCREEN_INLINE_LENGTH_MAX, SCREEN_MESSAGE_LENGTH_MAX, SCREEN_TEXTS_MAX } from '../../shared/limits.ts';
import { cached, judge } from './judge.ts';
import type { Judged } from './judge.ts';
import type { ScreenText } from './strings.ts';
import { createThread } from './thread.ts';
import type { ScreenFailure, Thread, ThreadOptions } from './thread.ts';
import type { Reason, Scorer } from './types.ts';

/** The highest score of some texts, and which it was. */
export interface Screened {
  readonly score: number;
  readonly reasons: readonly Reason[];
  /** Index of the text that scored highest, -1 if there was none. */
  readonly index: number;
  /** Windows judged over all texts. */
  readonly windows: number;
  readonly model: string;
}

export type ScreenOutcome =
  | ({ readonly kind: 'scored' } & Screened)
  /** Some text was beyond the limits: the score holds for the rest. */
  | ({ readonly kind: 'partial' } & Screened)
  | { readonly kind: 'failed'; readonly code: ScreenFailure };

export interface Screen {
  /** Scores all texts; never rejects. */
  score(texts: readonly ScreenText[], signal?: AbortSignal): Promise<ScreenOutcome>;
  /** Ends the worker; what waits fails as closed. */
  close(): Promise<void>;
}

export interface ScreenOptions extends ThreadOptions {
  /** Scores on the event loop, and names the model; the worker reads the same weights by itself. */
  readonly scorer: Scorer;
  /** UTF-16 units up to which a request is scored on the event loop. */
  readonly inlineMax?: number;
}

export function createScreen(options: ScreenOptions): Screen {
  const { inlineMax = SCREEN_INLINE_LENGTH_MAX } = options;
  const scorer = cached(options.scorer);
  let thread: Thread | null = null;
  let closed = false;

  return {
    async score(texts, signal): Promise<ScreenOutcome> {
      if (closed) return { kind: 'failed', code: 'closed' };
      if (signal?.aborted === true) return { kind: 'failed', code: 'aborted' };
      const { taken, units, cut } = bounded(texts);
      if (units <= inlineMax) return outcome(judge(taken, scorer), cut, scorer.model);
      thread ??= createThread({ ...options, model: scorer.model });
      const judged = await thread.judge(taken, units, signal);
      return typeof judged === 'string' ? { kind: 'failed', code: judged } : outcome(judged, cut, scorer.model);
    },
    async close(): Promise<void> {
      closed = true;
      await thread?.close();
    },
  };
}

function outcome({ partial, ...judged }: Judged, cut: boolean, model: string): ScreenOutcome {
  return { kind: partial || cut ? 'partial' : 'scored', ...judged, model };
}

/** The texts that fit the limits of one request. */
function bounded(texts: readonly ScreenText[]): { taken: readonly ScreenText[]; units: number; cut: boolean } {
  const taken: ScreenText[] = [];
  let units = 0;
  for (const text of texts) {
    if (taken.length >= SCREEN_TEXTS_MAX || units + text.text.length > SCREEN_MESSAGE_LENGTH_MAX) return { taken, units, cut: true };
    units += text.text.length;
    taken.push(text);
  }
  return { taken, units, cut: false };
}
