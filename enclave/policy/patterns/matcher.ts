// SPDX-License-Identifier: Apache-2.0
/** Where a list of patterns matches in a text. */
import { compileRegex, compileRegexSet } from '../regex.ts';
import type { Regex } from '../regex.ts';
import type { RedactionPattern } from '../types.ts';
import type { Check } from './check.ts';
import { checkOf } from './check.ts';

export interface Match {
  readonly from: number;
  readonly to: number;
  readonly pattern: RedactionPattern;
}

export interface Matcher {
  /** All matches, those of one pattern after those of the other. */
  matches(text: string): Match[];
}

/** One compiled pattern with its check. Throws RangeError if it is not RE2: the policy document refuses those. */
export function compilePattern({ name, source }: RedactionPattern): Regex {
  const compiled = compileRegex(source);
  if (!compiled.ok) throw new RangeError(`pattern ${name} is not RE2`);
  return compiled.regex;
}

/** Begin and end of every match that passes the pattern's check. */
export function checkedSpans(regex: Regex, check: Check | null, text: string): number[] {
  const spans = regex.spans(text);
  if (check === null) return spans;
  const passed: number[] = [];
  for (let at = 0; at + 1 < spans.length; at += 2) {
    const from = spans[at] ?? 0;
    for (const place of check(text.slice(from, spans[at + 1]))) passed.push(from + place);
  }
  return passed;
}

export function createMatcher(patterns: readonly RedactionPattern[]): Matcher {
  const set = compileRegexSet(patterns.map((pattern) => pattern.source));
  const steps = patterns.map((pattern) => ({ pattern, regex: compilePattern(pattern), check: checkOf(pattern) }));
  return {
    matches(text) {
      const found: Match[] = [];
      for (const candidate of set.candidates(text)) {
        const step = steps[candidate];
        if (step === undefined) continue;
        const spans = checkedSpans(step.regex, step.check, text);
        for (let at = 0; at + 1 < spans.length; at += 2) found.push({ from: spans[at] ?? 0, to: spans[at + 1] ?? 0, pattern: step.pattern });
      }
      return found;
    },
  };
}

/** The same patterns without checks and without conditions on what stands before and after: they match wherever those match. */
export function createLooseMatcher(patterns: readonly RedactionPattern[]): Matcher {
  return createMatcher(
    patterns.map(({ name, source, replacement }) => {
      const loose = withoutEdges(source);
      return { name, replacement, source: compileRegex(loose).ok ? loose : source };
    }),
  );
}

/** An edge (`\b`, `\B`, `\A`, `^`, `$`), or an escape or a class, which may hold what looks like one. */
const TOKEN = /\\Q.*?(?:\\E|$)|\\[^]|\[\^?\]?(?:\\[^]|\[:[^\]]*:\]|[^\]\\])*\]|[$^]/g;

/** `\z` stays: behind `.*?` it says how far the match goes. */
function withoutEdges(source: string): string {
  return source.replace(TOKEN, (token) => (/^(?:\\[bBA]|[$^])$/.test(token) ? '(?:)' : token));
}
