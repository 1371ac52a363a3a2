// SPDX-License-Identifier: Apache-2.0
/** What is wrong with a document and where: collected first, then reported in one go in the order of the text. */
import type { UsageCode } from '../../shared/errors.ts';
import { Usage } from '../../shared/errors.ts';

/** What is wrong, and what the person can do about it. Neither repeats a value: it could be a secret. */
export interface Explained {
  readonly problem: string;
  readonly hint: string;
  /** Where this outweighs everything else that is wrong with the document. */
  readonly code?: 'SECRET_IN_CONFIG';
}

/** A value that was read from text, or what is wrong with the text. */
export type Checked<T> = { readonly ok: true; readonly value: T } | ({ readonly ok: false } & Explained);

export interface Position {
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
}

export interface Problem extends Position, Explained {}

/** More are only counted: nobody reads them before the first are mended. */
const PROBLEMS_SHOWN_MAX = 20;
/** UTF-16 units of a word of the document that a message repeats. */
const QUOTE_LENGTH_MAX = 64;

/**
 * One error for all problems: `FILE:LINE:COL: problem`, each followed by a line `hint: ...`. The hint of the last one is
 * the error's own.
 */
export function problemsError(file: string, problems: readonly Problem[], code: UsageCode): Usage {
  const distinct = new Map(problems.map((problem) => [`${problem.line}:${problem.column}:${problem.problem}`, problem]));
  const ordered = [...distinct.values()].sort((left, right) => left.line - right.line || left.column - right.column);
  const shown = ordered.slice(0, PROBLEMS_SHOWN_MAX);
  const label = printable(file);
  const lines = shown.flatMap(({ line, column, problem, hint }) => [`${label}:${line}:${column}: ${problem}`, `hint: ${hint}`]);
  const left = ordered.length - shown.length;
  if (left > 0) lines.push(`${label}: ${left} more`, 'hint: mend these first');
  const hint = (lines.pop() ?? '').replace(/^hint: /, '');
  return new Usage(problems.find((problem) => problem.code !== undefined)?.code ?? code, lines.join('\n'), hint);
}

/** A word of the document as a message may repeat it: quoted, short, nothing that moves a cursor. */
export function quoted(word: string): string {
  const text = printable(word);
  return `'${text.length > QUOTE_LENGTH_MAX ? `${text.slice(0, QUOTE_LENGTH_MAX)}...` : text}'`;
}

function printable(text: string): string {
  return text.replaceAll(/[\p{C}\p{Z}]/gu, (char) => (char === ' ' ? ' ' : '?'));
}

/** The known word that a mistyped one is nearest to, if it is near at all. */
export function closest(word: string, known: readonly string[]): string | undefined {
  const lower = word.slice(0, QUOTE_LENGTH_MAX).toLowerCase().replaceAll('-', '_');
  let best: string | undefined;
  let least = Math.max(2, Math.floor(lower.length / 3)) + 1;
  for (const candidate of known) {
    const away = distance(lower, candidate);
    if (away < least) {
      least = away;
      best = candidate;
    }
  }
  return best;
}

/** Levenshtein distance. */
function distance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let at = 0; at < left.length; at += 1) {
    const next = [at + 1];
    for (let to = 0; to < right.length; to += 1) {
      const change = (row[to] ?? 0) + (left[at] === right[to] ? 0 : 1);
      next.push(Math.min(change, (row[to + 1] ?? 0) + 1, (next[to] ?? 0) + 1));
    }
    row = next;
  }
  return row[right.length] ?? 0;
}
