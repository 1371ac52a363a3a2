// SPDX-License-Identifier: Apache-2.0
/**
 * Finds secrets in a text as it stands and in what it stands for, some encodings deep. The time is linear: every reading
 * counts against an allowance that grows with the text.
 */
import { DECODED_DEPTH_MAX, DECODED_FACTOR_MAX } from '../../../shared/limits.ts';
import type { RedactionPattern } from '../types.ts';
import type { Matcher } from './matcher.ts';
import type { View } from './views.ts';
import { plainView, runViews } from './views.ts';

/** A part of a text that has to be masked. */
export interface Found {
  readonly from: number;
  readonly to: number;
  readonly pattern: RedactionPattern;
}

/** Units that short texts may take at least. */
const ALLOWANCE_MIN = 4096;

/**
 * All that matches; null if the text takes more than its allowance, or the time is over. `whole`: a match in an encoded run
 * masks the run.
 */
export function findDecoded(matcher: Matcher, text: string, whole: boolean, expired: () => boolean): Found[] | null {
  const found: Found[] = [];
  const search: Search = { matcher, whole, expired, units: ALLOWANCE_MIN + text.length * DECODED_FACTOR_MAX };
  const inTime = look(search, { text, isText: true }, DECODED_DEPTH_MAX, (from, to, pattern) => found.push({ from, to, pattern }));
  return inTime ? found : null;
}

type Mark = (from: number, to: number, pattern: RedactionPattern) => void;

interface Search {
  readonly matcher: Matcher;
  readonly whole: boolean;
  readonly expired: () => boolean;
  /** What is left of the allowance. */
  units: number;
}

function look(search: Search, { text, isText }: Pick<View, 'text' | 'isText'>, depth: number, mark: Mark): boolean {
  search.units -= text.length;
  if (search.units < 0 || search.expired()) return false;
  for (const { from, to, pattern } of search.matcher.matches(text)) mark(from, to, pattern);
  if (depth === 0) return true;
  const plain = plainView(text, isText);
  if (plain !== null && !look(search, plain, depth - 1, through(plain, search.whole, mark))) return false;
  for (const view of runViews(text)) {
    if (!look(search, view, depth - 1, through(view, search.whole, mark))) return false;
  }
  return true;
}

function through({ span, run }: View, whole: boolean, mark: Mark): Mark {
  return (from, to, pattern) => {
    const [begin, end] = whole && run !== null ? run : span(from, to);
    mark(begin, end, pattern);
  };
}
