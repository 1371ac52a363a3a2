// SPDX-License-Identifier: Apache-2.0
/**
 * Case-sensitive fnmatch over code points: `*` (any characters, dots and slashes too), `?` (one character), `[a-z]`,
 * `[!a-z]`. There is no escape character: `[*]` is a literal star. A match takes at most length of the glob times length
 * of the name in steps, whatever both hold.
 *
 * Stricter than fnmatch where a slip would change what a rule covers: an open `[`, `[^` and a reversed range are errors.
 */
import { foldKey } from '../../shared/json/fold.ts';
import { GLOB_LENGTH_MAX } from '../../shared/limits.ts';
import { withoutInvisible } from './invisible.ts';

export interface Glob {
  readonly pattern: string;
  /** True if the pattern holds `*`, `?` or `[`; otherwise it is one name. */
  readonly wildcard: boolean;
  /** Exact match. */
  matches(name: string): boolean;
  /** Match of a name that was folded, with the pattern folded in the same way. Never stricter than it has to be. */
  matchesFolded(folded: string): boolean;
}

export type CompiledGlob =
  | { readonly ok: true; readonly glob: Glob }
  | { readonly ok: false; readonly problem: string; readonly hint: string };

interface ClassToken {
  readonly kind: 'class';
  readonly negated: boolean;
  readonly ranges: readonly (readonly [number, number])[];
}

/** What takes exactly one character. */
type OneToken = { readonly kind: 'one' } | { readonly kind: 'point'; readonly point: number } | ClassToken;
type Token = { readonly kind: 'star' } | OneToken;

type Parsed = { readonly ok: true; readonly tokens: readonly Token[] } | Extract<CompiledGlob, { ok: false }>;

const WILDCARD = /[*?[]/;

/** True if the pattern can match more than one name. */
export function hasWildcard(pattern: string): boolean {
  return WILDCARD.test(pattern);
}

/** Compiles a pattern, or says what is wrong with it. */
export function compileGlob(pattern: string): CompiledGlob {
  const parsed = parse(pattern);
  if (!parsed.ok) return parsed;
  const { tokens } = parsed;
  const folded = foldTokens(tokens);
  const [head, foldedHead] = [headOf(tokens), headOf(folded)];
  const glob: Glob = {
    pattern,
    wildcard: hasWildcard(pattern),
    matches: (name) => name.startsWith(head) && run(tokens, pointsOf(name), contains),
    matchesFolded: (name) => name.startsWith(foldedHead) && run(folded, pointsOf(name), containsFolded),
  };
  return { ok: true, glob };
}

/** What every match begins with: most names are told apart by it. */
function headOf(tokens: readonly Token[]): string {
  let head = '';
  for (const token of tokens) {
    if (token.kind !== 'point') break;
    head += String.fromCodePoint(token.point);
  }
  return head;
}

function wrong(problem: string, hint: string): Extract<CompiledGlob, { ok: false }> {
  return { ok: false, problem, hint };
}

function parse(pattern: string): Parsed {
  if (pattern === '') return wrong('the pattern is empty', "write '*' to match every name");
  if (pattern.length > GLOB_LENGTH_MAX) {
    return wrong(`the pattern is longer than ${GLOB_LENGTH_MAX} characters`, 'write several shorter patterns');
  }
  if (pattern.trim() !== pattern) return wrong('the pattern begins or ends with white space', 'remove the white space');
  if (withoutInvisible(pattern) !== pattern || !pattern.isWellFormed()) {
    return wrong('the pattern holds a character that cannot be seen', "remove it, or write '?' in its place");
  }
  const points = Array.from(pattern);
  const tokens: Token[] = [];
  for (let at = 0; at < points.length; at += 1) {
    const char = points[at] ?? '';
    if (char === '*') {
      if (tokens.at(-1)?.kind !== 'star') tokens.push({ kind: 'star' });
    } else if (char === '?') {
      tokens.push({ kind: 'one' });
    } else if (char === '[') {
      const read = parseClass(points, at + 1);
      if (!read.ok) return read;
      tokens.push(read.token);
      at = read.end;
    } else {
      tokens.push({ kind: 'point', point: char.codePointAt(0) ?? 0 });
    }
  }
  return { ok: true, tokens };
}

type ReadClass =
  | { readonly ok: true; readonly token: ClassToken; readonly end: number }
  | Extract<CompiledGlob, { ok: false }>;

/** Reads a class from behind its `[`; a `]` in first place belongs to it. `end` is the place of the closing `]`. */
function parseClass(points: readonly string[], start: number): ReadClass {
  if (points[start] === '^') return wrong("'[^' does not negate", "write '[!...]' for any other character");
  const negated = points[start] === '!';
  const first = negated ? start + 1 : start;
  const end = points.indexOf(']', first + 1);
  if (end === -1) return wrong("a '[' is not closed", "close it with ']', or write '[[]' for the character itself");
  const ranges: [number, number][] = [];
  for (let at = first; at < end; at += 1) {
    const low = points[at]?.codePointAt(0) ?? 0;
    const ranged = points[at + 1] === '-' && at + 2 < end;
    const high = ranged ? (points[at + 2]?.codePointAt(0) ?? 0) : low;
    if (high < low) return wrong('a range runs backwards', "write the lower character first, as in '[a-z]'");
    ranges.push([low, high]);
    if (ranged) at += 2;
  }
  return { ok: true, token: { kind: 'class', negated, ranges }, end };
}

function pointsOf(text: string): number[] {
  return Array.from(text, (char) => char.codePointAt(0) ?? 0);
}

/** Folds runs of characters as a whole, since a character can be composed with the one before it. */
function foldTokens(tokens: readonly Token[]): Token[] {
  const folded: Token[] = [];
  let literal = '';
  const flush = (): void => {
    for (const point of pointsOf(foldKey(literal))) folded.push({ kind: 'point', point });
    literal = '';
  };
  for (const token of tokens) {
    if (token.kind === 'point') {
      literal += String.fromCodePoint(token.point);
    } else {
      flush();
      folded.push(token);
    }
  }
  flush();
  return folded;
}

type Contains = (token: ClassToken, point: number) => boolean;

function contains(token: ClassToken, point: number): boolean {
  return token.ranges.some(([low, high]) => low <= point && point <= high) !== token.negated;
}

/** A class is not folded itself, since a folded range would be another one: the character is tried in both cases. */
function containsFolded(token: ClassToken, point: number): boolean {
  if (contains(token, point)) return true;
  const char = String.fromCodePoint(point);
  return [char.toUpperCase(), char.toLowerCase()].some((other) => contains(token, other.codePointAt(0) ?? 0));
}

/** Greedy match that returns to the last star only: what an earlier star took can never have to change. */
function run(tokens: readonly Token[], name: readonly number[], inClass: Contains): boolean {
  let token = 0;
  let at = 0;
  let star = -1;
  let resume = 0;
  while (at < name.length) {
    const current = tokens[token];
    if (current?.kind === 'star') {
      star = token;
      resume = at;
      token += 1;
    } else if (current !== undefined && takes(current, name[at] ?? 0, inClass)) {
      token += 1;
      at += 1;
    } else if (star !== -1) {
      resume += 1;
      at = resume;
      token = star + 1;
    } else {
      return false;
    }
  }
  while (tokens[token]?.kind === 'star') token += 1;
  return token === tokens.length;
}

function takes(token: OneToken, point: number, inClass: Contains): boolean {
  if (token.kind === 'one') return true;
  return token.kind === 'point' ? token.point === point : inClass(token, point);
}
