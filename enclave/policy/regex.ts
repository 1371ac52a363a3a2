// SPDX-License-Identifier: Apache-2.0
/**
 * Regular expressions in linear time: the only importer of RE2. Patterns come from the policy, the text that they read
 * is attacker-controlled, so nothing here may backtrack.
 *
 * Lone surrogates in a text that is changed come out as U+FFFD, because RE2 reads UTF-8.
 */
import RE2 from 're2';

export interface Regex {
  /** True if the pattern matches anywhere in the text. */
  test(text: string): boolean;
  /** The text with every match replaced. The replacement is inserted literally; `$` has no meaning. */
  replaceAll(text: string, replacement: string): string;
  /** Where the matches are: begin and end of each in UTF-16 units, ascending. */
  spans(text: string): number[];
}

export type CompiledRegex =
  | { readonly ok: true; readonly regex: Regex; readonly matchesEmpty: boolean }
  | { readonly ok: false; readonly problem: string };

/** Many patterns in one pass over a text. */
export interface RegexSet {
  /** Indices, ascending, of the patterns that may match: every one that does is among them. */
  candidates(text: string): readonly number[];
}

/** Texts in which a pattern of zero width, such as `\b`, `^` or `x*`, finds its empty match. */
const EMPTY_PROBES: readonly string[] = ['', 'a', ' ', 'a b', '\n', '0', '-'];

/** Bytes that one set may take; RE2's default of 8 MiB is too small for some hundreds of patterns. */
const SET_BYTES_MAX: number = 64 * 1024 * 1024;

const SCRATCH_BYTES = 4096;

/** Compiles one pattern in RE2 syntax. */
export function compileRegex(source: string): CompiledRegex {
  let engine: RE2;
  try {
    engine = new RE2(source, 'gu');
  } catch (error) {
    return { ok: false, problem: reason(error) };
  }
  const probe = new RE2(source, 'u');
  const matchesEmpty = EMPTY_PROBES.some((text) => probe.exec(text)?.[0] === '');
  const regex: Regex = {
    test: (text) => probe.test(text),
    // A function as replacement takes quadratic time in this binding, so the replacement is an escaped string.
    replaceAll: (text, replacement) => engine.replace(text, replacement.replaceAll('$', '$$$$')),
    // Asking for one match after the other takes quadratic time too: one replacement marks them all.
    spans: (text) => spansIn(engine.replace(text.replaceAll(MARK, '\ufffd'), `${MARK}$&${MARK}`)),
  };
  return { ok: true, regex, matchesEmpty };
}

/** A noncharacter of Unicode, which no text should hold. */
const MARK = '\ufdd0';

/** Spans in the text without its marks. */
function spansIn(marked: string): number[] {
  const spans: number[] = [];
  for (let at = marked.indexOf(MARK); at !== -1; at = marked.indexOf(MARK, at + 1)) spans.push(at - spans.length);
  return spans;
}

/** RE2's word for what is wrong, without the part of the pattern that it repeats. */
function reason(error: unknown): string {
  return error instanceof Error ? error.message.replace(/: .*$/s, '') : 'syntax';
}

/** Compiles patterns that compileRegex has accepted. What RE2 cannot hold in one set becomes several. */
export function compileRegexSet(sources: readonly string[]): RegexSet {
  const parts = split(sources, 0);
  const scratch = Buffer.allocUnsafe(SCRATCH_BYTES);
  return {
    candidates(text) {
      const bytes = encode(text, scratch);
      const found: number[] = [];
      for (const part of parts) {
        for (const index of matchesIn(part, bytes)) found.push(index);
      }
      return found;
    },
  };
}

interface SetPart {
  readonly from: number;
  readonly size: number;
  /** Null for a pattern that is too large for any set: it is always a candidate. */
  readonly set: { test(bytes: Uint8Array): boolean; match(bytes: Uint8Array): number[] } | null;
}

function split(sources: readonly string[], from: number): SetPart[] {
  if (sources.length === 0) return [];
  try {
    return [{ from, size: sources.length, set: new RE2.Set(sources, 'u', { maxMem: SET_BYTES_MAX }) }];
  } catch {
    if (sources.length === 1) return [{ from, size: 1, set: null }];
    const middle = Math.ceil(sources.length / 2);
    return [...split(sources.slice(0, middle), from), ...split(sources.slice(middle), from + middle)];
  }
}

/** UTF-8 of a text. Short texts, which are most, are written into one buffer: a quarter of the time of a string's way. */
function encode(text: string, scratch: Buffer): Uint8Array {
  if (text.length * 3 > scratch.length) return Buffer.from(text, 'utf8');
  return scratch.subarray(0, scratch.write(text, 'utf8'));
}

const NONE: readonly number[] = [];

function matchesIn(part: SetPart, bytes: Uint8Array): readonly number[] {
  try {
    if (part.set !== null) {
      if (!part.set.test(bytes)) return NONE;
      const found = part.set.match(bytes);
      return found.map((index) => part.from + index).sort((left, right) => left - right);
    }
  } catch {
    // The set ran out of memory on this text: that says nothing about a match, so each pattern has to look itself.
  }
  return Array.from({ length: part.size }, (_, index) => part.from + index);
}
