// SPDX-License-Identifier: Apache-2.0
/**
 * The core of redaction: patterns applied to one text, or to all texts of a value. Pure but for the clock, which is a
 * parameter. Used on the event loop, in the redaction worker and in the audit log's thread.
 *
 * Patterns with `decode` come first: what they find in encodings and across neighbouring strings is a part of the original.
 * Then all patterns are applied in order, each to what the one before it left.
 */
import { MEMBER_NAMES_MAX } from '../../shared/limits.ts';
import type { Check } from './patterns/check.ts';
import { checkOf } from './patterns/check.ts';
import { findDecoded } from './patterns/decoded.ts';
import { checkedSpans, compilePattern, createMatcher } from './patterns/matcher.ts';
import { createFindSplit } from './patterns/split.ts';
import type { Texts, TextsOptions } from './patterns/texts.ts';
import { plainView } from './patterns/views.ts';
import type { Regex } from './regex.ts';
import { compileRegexSet } from './regex.ts';
import type { RedactionPattern } from './types.ts';

/** True once the budget is used up; asked between patterns. */
export type Expired = () => boolean;

export interface Replacing {
  /** What it needs to know of a value besides its texts. */
  readonly options: TextsOptions;
  /** A text after all patterns, or null if it could not be checked in time. */
  text(text: string, expired: Expired): string | null;
  /** All texts of a value after all patterns, in order; null for those that could not be checked in time. */
  all(texts: Texts, expired: Expired): (string | null)[];
}

/** A budget of milliseconds that starts now. */
export function budget(now: () => number, ms: number): Expired {
  const deadline = now() + ms;
  return () => now() > deadline;
}

/**
 * Compiles patterns. Throws RangeError for one that is not RE2: the policy document refuses those with their position.
 */
export function createReplacing(patterns: readonly RedactionPattern[]): Replacing {
  const plain = createReplacePlain(patterns);
  const decoded = patterns.filter(({ decode }) => decode === true);
  const named = patterns.filter(({ members }) => members === true);
  const matcher = createMatcher(decoded);
  const findSplit = createFindSplit(decoded);
  const findMember = createFindMember(named);
  const find = (text: string, expired: Expired): readonly Masked[] | null => (decoded.length === 0 ? [] : findDecoded(matcher, text, true, expired));
  return {
    options: { sequences: decoded.length > 0, members: named.length > 0 },
    text(text, expired) {
      const found = find(text, expired);
      return found === null ? null : plain(masked(text, found), expired);
    },
    all({ texts, sequences, members }, expired) {
      /** Parts to mask; null for a text that was not checked. */
      const parts: (Masked[] | null)[] = texts.map((text) => find(text, expired)?.slice() ?? null);
      for (const sequence of sequences) {
        const shared = findSplit(sequence.map((index) => texts[index] ?? ''), expired);
        if (shared === null) for (const index of sequence) parts[index] = null;
        else for (const { part, ...one } of shared) parts[sequence[part] ?? -1]?.push(one);
      }
      for (let at = 0; at + 1 < members.length; at += 2) {
        const index = members[at + 1] ?? -1;
        const value = texts[index] ?? '';
        const pattern = findMember(texts[members[at] ?? -1] ?? '', value);
        if (pattern !== null) parts[index]?.push({ from: 0, to: value.length, pattern });
      }
      return texts.map((text, index) => {
        const known = parts[index] ?? null;
        return known === null ? null : plain(masked(text, known), expired);
      });
    },
  };
}

type Replace = (text: string, expired: Expired) => string | null;

/** The patterns in order, each applied to what the one before it left. */
function createReplacePlain(patterns: readonly RedactionPattern[]): Replace {
  const set = compileRegexSet(patterns.map((pattern) => pattern.source));
  const steps = patterns.map((pattern) => ({ regex: compilePattern(pattern), check: checkOf(pattern), replacement: pattern.replacement }));
  return (original, expired) => {
    let text = original;
    let candidates = set.candidates(text);
    if (candidates.length === 0 && !expired()) return text;
    let last = -1;
    while (true) {
      if (expired()) return null;
      const index = candidates.find((candidate) => candidate > last);
      const step = index === undefined ? undefined : steps[index];
      if (index === undefined || step === undefined) return text;
      last = index;
      const next = replaceChecked(step.regex, step.check, text, step.replacement);
      if (next === text) continue;
      text = next;
      // A replacement can join what stood apart, so that a later pattern matches only now.
      candidates = set.candidates(text);
    }
  };
}

function replaceChecked(regex: Regex, check: Check | null, text: string, replacement: string): string {
  if (check === null) return regex.replaceAll(text, replacement);
  let made = '';
  let done = 0;
  const spans = checkedSpans(regex, check, text);
  for (let at = 0; at + 1 < spans.length; at += 2) {
    made += text.slice(done, spans[at]) + replacement;
    done = spans[at + 1] ?? done;
  }
  return made + text.slice(done);
}

interface Masked {
  readonly from: number;
  readonly to: number;
  readonly pattern: RedactionPattern;
}

/** A text with parts replaced; parts that overlap become one, and what stands in for it is that of the first. */
function masked(text: string, parts: readonly Masked[]): string {
  if (parts.length === 0) return text;
  let made = '';
  let done = 0;
  for (const { from, to, pattern } of [...parts].sort((left, right) => left.from - right.from || right.to - left.to)) {
    if (from >= done) made += text.slice(done, from) + pattern.replacement;
    done = Math.max(done, to);
  }
  return made + text.slice(done);
}

/** Has the length and the characters that every pattern for members wants of a value. */
const PROBE = '0f1e2d3c4b5a69780f1e2d3c4b5a69780f1e2d3c';

/** The pattern that a member matches by its name and value together; null for none. */
function createFindMember(patterns: readonly RedactionPattern[]): (name: string, value: string) => RedactionPattern | null {
  const matcher = createMatcher(patterns);
  const names = new Map<string, boolean>();
  const find = (written: string, value: string): RedactionPattern | null => {
    const name = plainView(written, true)?.text ?? written;
    const begin = name.length + '="'.length;
    return matcher.matches(`${name}="${value}"`).find(({ from, to }) => from < begin && to > begin)?.pattern ?? null;
  };
  // Few names are those of secrets, and most come again: their values are not looked at.
  const namesSecret = (name: string): boolean => {
    const known = names.get(name);
    if (known !== undefined) return known;
    if (names.size >= MEMBER_NAMES_MAX) names.clear();
    const found = find(name, PROBE) !== null;
    names.set(name, found);
    return found;
  };
  return (name, value) => (value !== '' && namesSecret(name) ? find(name, value) : null);
}
