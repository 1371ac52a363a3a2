// SPDX-License-Identifier: Apache-2.0
/**
 * Reads the id of a message that is refused before it is parsed. What is found here addresses an error answer and is
 * used for nothing else: the text around it is not known to be well formed.
 */
import { foldKey } from '../json/fold.ts';
import { ID_LENGTH_MAX } from '../limits.ts';
import type { RequestId } from './id.ts';

const QUOTE = 0x22;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** What could be seen of a message. */
export interface Glimpse {
  /** Null if there is none, or more than one candidate. */
  readonly id: RequestId | null;
  /** True with a method and an id (null counts): an answer is due. False for answers and notifications. */
  readonly request: boolean;
}

const decoder = new TextDecoder('utf-8');
const INTEGER = '0|-?[1-9][0-9]{0,15}';
/** Only text that means itself: no escapes and no units beyond ASCII. */
const PLAIN = `"[\\x20\\x21\\x23-\\x5b\\x5d-\\x7e]{0,${ID_LENGTH_MAX}}"`;
const MEMBER = new RegExp(`\\s*:\\s*(${INTEGER}|${PLAIN})(?=\\s*[,}])`, 'y');
const COLON = /\s*:/y;
const BLANK_OBJECT_START = /\s*\{/y;

/** An `id` that only simple members part from the end of the message. Within a string its quotes would be escaped. */
const TAIL = new RegExp(
  `[{,]\\s*("id"\\s*:\\s*(${INTEGER}|${PLAIN})(?:\\s*,\\s*"(?:id|jsonrpc|method)"\\s*:\\s*(?:${INTEGER}|${PLAIN}))*)\\s*\\}\\s*$`,
);

/** Looks at the members of a message's own object; linear in the text. */
export function glimpse(bytes: Uint8Array): Glimpse {
  const keys = topKeys(decoder.decode(bytes));
  const ids = keys.filter((member) => member.key === 'id');
  const has = (name: string): boolean => keys.some((member) => member.key === name);
  return {
    id: ids.length === 1 ? (ids[0]?.id ?? null) : null,
    request: has('method') && has('id') && !has('result') && !has('error'),
  };
}

/**
 * The id of a line of which only the ends were kept; null where none is seen near either end or more than one fits.
 */
export function guessId(head: Uint8Array, tail: Uint8Array): RequestId | null {
  const first = topKeys(decoder.decode(head)).filter((member) => member.key === 'id');
  const found = TAIL.exec(decoder.decode(tail));
  const ids = first.map((member) => member.id);
  if (found !== null) ids.push((found[1] ?? '').split('"id"').length === 2 ? idOf(found[2] ?? '') : null);
  const id = ids[0] ?? null;
  return ids.every((other) => other === id) ? id : null;
}

interface Member {
  /** In its folded form. */
  readonly key: string;
  /** The value, where it is a usable id. */
  readonly id: RequestId | null;
}

/** The envelope's keys among those of the object that the text starts with, as far as the text goes. */
function topKeys(text: string): Member[] {
  const members: Member[] = [];
  BLANK_OBJECT_START.lastIndex = 0;
  if (!BLANK_OBJECT_START.test(text)) return members;
  let depth = 1;
  let at = BLANK_OBJECT_START.lastIndex;
  while (at < text.length && depth > 0) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) {
      const end = stringEnd(text, at);
      const member = depth === 1 ? memberAt(text, at, end) : undefined;
      if (member !== undefined) members.push(member);
      at = end;
      continue;
    }
    if (unit === OPEN_BRACE || unit === OPEN_BRACKET) depth += 1;
    if (unit === CLOSE_BRACE || unit === CLOSE_BRACKET) depth -= 1;
    at += 1;
  }
  return members;
}

const NAMES: ReadonlySet<string> = new Set(['id', 'method', 'result', 'error']);
/** Longest key that is looked at: `"method"` with every letter as an escape, and its quotes. */
const KEY_LENGTH_MAX = 38;

function memberAt(text: string, start: number, end: number): Member | undefined {
  COLON.lastIndex = end;
  if (end - start > KEY_LENGTH_MAX || !COLON.test(text)) return undefined;
  const key = unquote(text.slice(start, end));
  const folded = foldKey(key);
  if (!NAMES.has(folded)) return undefined;
  MEMBER.lastIndex = end;
  return { key: folded, id: key === 'id' ? idOf(MEMBER.exec(text)?.[1] ?? '') : null };
}

/** The index after the closing quote of the string that starts at `start`. */
function stringEnd(text: string, start: number): number {
  let at = start + 1;
  for (;;) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE || Number.isNaN(unit)) return at + 1;
    at += unit === BACKSLASH ? 2 : 1;
  }
}

const UNICODE_ESCAPE = /\\u([0-9a-fA-F]{4})/g;

/** The text of a string literal. The names in question have no other escapes. */
function unquote(literal: string): string {
  const unit = (_: string, digits: string): string => String.fromCharCode(Number.parseInt(digits, 16));
  return literal.slice(1, -1).replace(UNICODE_ESCAPE, unit);
}

function idOf(lexeme: string): RequestId | null {
  if (lexeme === '') return null;
  if (lexeme.startsWith('"')) return lexeme.slice(1, -1);
  const value = Number(lexeme);
  return Number.isSafeInteger(value) ? value : null;
}
