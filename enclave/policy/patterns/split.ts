// SPDX-License-Identifier: Apache-2.0
/**
 * Finds secrets that are spread over neighbouring strings: the strings are read as one text. Patterns that want an edge
 * before or after a match do not find one where strings meet, so a first look goes without edges; where it finds something,
 * the patterns as they are look at each choice of neighbours there, the fewest first.
 */
import { SPLIT_FACTOR_MAX, SPLIT_LENGTH_MAX } from '../../../shared/limits.ts';
import type { RedactionPattern } from '../types.ts';
import type { Found } from './decoded.ts';
import { findDecoded } from './decoded.ts';
import type { Matcher } from './matcher.ts';
import { createLooseMatcher, createMatcher } from './matcher.ts';

/** A part of one of the strings that has to be masked. */
export interface Shared {
  /** Index of the string. */
  readonly part: number;
  readonly from: number;
  readonly to: number;
  readonly pattern: RedactionPattern;
}

/** All that neighbours of a sequence share; null if the time is over. */
export type FindSplit = (parts: readonly string[], expired: () => boolean) => Shared[] | null;

export function createFindSplit(patterns: readonly RedactionPattern[]): FindSplit {
  const exact = createMatcher(patterns);
  const loose = createLooseMatcher(patterns);
  return (parts, expired) => {
    const shared: Shared[] = [];
    for (const stretch of stretchesOf(parts)) {
      const found = findDecoded(loose, stretch.text, false, expired);
      if (found === null) return null;
      let left = stretch.text.length * SPLIT_FACTOR_MAX;
      for (const region of regionsOf(stretch, found)) {
        left = narrow(exact, stretch, region, left, expired, shared);
        if (expired()) return null;
      }
    }
    return shared;
  };
}

/** Neighbours as one text. Of a long one only its ends belong to it, and stretches end within it. */
interface Stretch {
  readonly text: string;
  readonly pieces: readonly Piece[];
}

interface Piece {
  readonly part: number;
  /** Where in the part it begins. */
  readonly offset: number;
  /** Where in the stretch it begins. */
  readonly at: number;
  readonly length: number;
}

function* stretchesOf(parts: readonly string[]): Generator<Stretch> {
  let pieces: Piece[] = [];
  let texts: string[] = [];
  let at = 0;
  const add = (part: number, offset: number, text: string): void => {
    if (text === '') return;
    pieces.push({ part, offset, at, length: text.length });
    texts.push(text);
    at += text.length;
  };
  const take = (): Stretch => {
    const stretch = { text: texts.join(''), pieces };
    pieces = [];
    texts = [];
    at = 0;
    return stretch;
  };
  for (const [part, text] of parts.entries()) {
    if (text.length <= 2 * SPLIT_LENGTH_MAX) {
      add(part, 0, text);
      continue;
    }
    add(part, 0, text.slice(0, SPLIT_LENGTH_MAX));
    if (pieces.length > 1) yield take();
    else take();
    add(part, text.length - SPLIT_LENGTH_MAX, text.slice(-SPLIT_LENGTH_MAX));
  }
  if (pieces.length > 1) yield take();
}

/** What a loose match touches: its first and last piece. */
interface Region {
  readonly first: number;
  readonly last: number;
  readonly found: readonly Found[];
}

/** Matches that more than one piece takes part in, those that overlap joined. */
function regionsOf({ pieces }: Stretch, found: readonly Found[]): Region[] {
  const regions: { first: number; last: number; found: Found[] }[] = [];
  const sorted = [...found].sort((left, right) => left.from - right.from);
  for (const one of sorted) {
    const first = pieceAt(pieces, one.from);
    const last = pieceAt(pieces, one.to - 1);
    if (first === last) continue;
    const before = regions.at(-1);
    if (before === undefined || first > before.last) {
      regions.push({ first, last, found: [one] });
      continue;
    }
    before.last = Math.max(before.last, last);
    before.found.push(one);
  }
  return regions;
}

function pieceAt(pieces: readonly Piece[], at: number): number {
  let low = 0;
  let high = pieces.length;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if ((pieces[middle]?.at ?? 0) <= at) low = middle;
    else high = middle;
  }
  return low;
}

/**
 * Looks for the fewest neighbours that share a match, and goes on while more of them belong to it. Returns what is left of
 * the allowance; without, the loose matches count.
 */
function narrow(exact: Matcher, stretch: Stretch, region: Region, allowance: number, expired: () => boolean, shared: Shared[]): number {
  const { pieces, text } = stretch;
  let left = allowance;
  for (let first = region.first; first < region.last; first += 1) {
    const begin = pieces[first]?.at ?? 0;
    let held: Found[] = [];
    let heldTo = first;
    let complete = endsHere(exact, text.slice(begin, endOf(pieces, first)));
    for (let last = first + 1; last <= region.last; last += 1) {
      const end = endOf(pieces, last);
      left -= end - begin;
      const window = text.slice(begin, end);
      const found = left < 0 ? null : findDecoded(exact, window, false, expired);
      if (found === null) {
        for (const one of region.found) share(stretch, one, shared);
        return left;
      }
      const across = found.map((one) => ({ ...one, from: one.from + begin, to: one.to + begin })).filter((one) => pieceAt(pieces, one.from) !== pieceAt(pieces, one.to - 1));
      const added = text.slice(endOf(pieces, last - 1), Math.max(0, ...across.map((one) => one.to)));
      if (complete && !CONTINUES.test(added)) break;
      if (across.length === 0 && held.length > 0) break;
      if (across.length === 0) continue;
      held = across;
      heldTo = last;
      complete = endsHere(exact, window) || added === '' || across.every((one) => one.to < end);
    }
    if (held.length === 0) continue;
    left -= endOf(pieces, heldTo) - begin;
    // Where the same is found without the first string, that one only stands beside it.
    const rest = endOf(pieces, first);
    if (exact.matches(text.slice(rest, endOf(pieces, heldTo))).some((one) => held.every(({ to }) => to <= one.to + rest))) continue;
    for (const one of held) share(stretch, one, shared);
    first = Math.max(first, heldTo - 1);
  }
  return left;
}

/** What may go on with a secret that is complete without it: words beside a secret do not. */
const CONTINUES = /[0-9]|.{12}/s;

function endOf(pieces: readonly Piece[], index: number): number {
  const piece = pieces[index];
  return piece === undefined ? 0 : piece.at + piece.length;
}

/** True if a match goes to the end of a text, and would not go on whatever came: a key without its last line would. */
function endsHere(exact: Matcher, text: string): boolean {
  if (!exact.matches(text).some((one) => one.to === text.length)) return false;
  return !exact.matches(`${text}\n`).some((one) => one.to > text.length);
}

function share({ pieces }: Stretch, { from, to, pattern }: Found, shared: Shared[]): void {
  for (let at = pieceAt(pieces, from); at < pieces.length; at += 1) {
    const piece = pieces[at];
    if (piece === undefined || piece.at >= to) return;
    const begin = Math.max(from, piece.at) - piece.at;
    const end = Math.min(to, piece.at + piece.length) - piece.at;
    shared.push({ part: piece.part, from: piece.offset + begin, to: piece.offset + end, pattern });
  }
}
