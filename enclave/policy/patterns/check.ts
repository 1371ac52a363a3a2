// SPDX-License-Identifier: Apache-2.0
/**
 * What RE2 cannot express: check digits, and names that only resemble those of secrets. A pattern takes more digits or
 * groups than belong to a number where others follow it, so a check says which part of the match passes.
 */
import type { RedactionPattern } from '../types.ts';

/** Parts of a match that pass: begin and end of each, ascending, without overlap. */
export type Check = (match: string) => number[];

/** The check of a pattern; null where every match counts. */
export function checkOf(pattern: RedactionPattern): Check | null {
  const { check } = pattern;
  if (check === undefined) return null;
  switch (check) {
    case 'luhn':
      return cards;
    case 'iban':
      return iban;
    case 'assigned':
      return (match) => (NO_SECRET.test(match) ? [] : [0, match.length]);
  }
}

/** Tokens that say where a listing goes on or how far something is: without them a client cannot read the next page. */
const NO_SECRET = /^[a-z0-9_-]*(?:next|page|paging|pagination|continuation|cursor|sync|resume|progress)[_-]?tokens?\\?["']?[ \t]*[:=]/i;

const CARD_DIGITS_MIN = 13;
const CARD_DIGITS_MAX = 19;
const IBAN_LENGTH_MIN = 15;
const IBAN_LENGTH_MAX = 34;

/** The longest run of whole groups of digits, from each group on, that is a card's number. */
function cards(match: string): number[] {
  const groups = [...match.matchAll(/[0-9]+/g)];
  const spans: number[] = [];
  for (let first = 0; first < groups.length; first += 1) {
    let digits = '';
    let last = -1;
    for (let next = first; next < groups.length && digits.length < CARD_DIGITS_MAX; next += 1) {
      digits += groups[next]?.[0] ?? '';
      if (digits.length >= CARD_DIGITS_MIN && digits.length <= CARD_DIGITS_MAX && isCard(digits)) last = next;
    }
    const [from, to] = [groups[first], groups[last]];
    if (from === undefined || to === undefined) continue;
    spans.push(from.index, to.index + to[0].length);
    first = last;
  }
  return spans;
}

const ZERO = 0x30;

/** Luhn's check digit (ISO/IEC 7812-1), behind a first digit that card networks use. */
function isCard(digits: string): boolean {
  if (!/^(?:[3-6]|2[2-7])/.test(digits)) return false;
  let sum = 0;
  for (let at = 0; at < digits.length; at += 1) {
    const digit = digits.charCodeAt(digits.length - 1 - at) - ZERO;
    const counted = at % 2 === 0 ? digit : digit * 2;
    sum += counted > 9 ? counted - 9 : counted;
  }
  return sum % 10 === 0;
}

/** The longest beginning of whole groups that is an account's number. */
function iban(match: string): number[] {
  let account = '';
  let end = 0;
  for (const group of match.matchAll(/[A-Za-z0-9]+/g)) {
    account += group[0];
    if (account.length > IBAN_LENGTH_MAX) break;
    if (account.length >= IBAN_LENGTH_MIN && isIban(account)) end = group.index + group[0].length;
  }
  return end === 0 ? [] : [0, end];
}

/** ISO 7064 mod 97-10 over the number with its first four characters last and letters as 10 to 35. */
function isIban(account: string): boolean {
  let rest = 0;
  for (const character of account.slice(4) + account.slice(0, 4)) {
    const value = Number.parseInt(character, 36);
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
  }
  return rest === 1;
}
