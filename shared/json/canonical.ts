// SPDX-License-Identifier: Apache-2.0
/**
 * The one serialiser. Canonical JSON (RFC 8785) is what digests are made over; wire JSON is the same with the members in
 * their own order, and is what is forwarded. Neither holds a line break outside strings or an unescaped one inside.
 */
import type { JsonObject, JsonValue } from './value.ts';

/**
 * RFC 8785: keys sorted by UTF-16 units, numbers as ECMAScript writes them, no white space.
 * @throws TypeError for a number that is not finite, a lone surrogate, or something that is no JSON value.
 */
export function canonicalJson(value: JsonValue): string {
  return write(value, sortedKeys);
}

/**
 * The same with the members of objects in their own order.
 * @throws TypeError as canonicalJson does.
 */
export function wireJson(value: JsonValue): string {
  return write(value, Object.keys);
}

/** Array#sort without a comparator orders strings by UTF-16 units, which is what RFC 8785 asks for. */
function sortedKeys(value: JsonObject): string[] {
  return Object.keys(value).sort();
}

function write(value: JsonValue, keysOf: (value: JsonObject) => string[]): string {
  if (typeof value === 'string') return quote(value);
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError('JSON holds finite numbers only');
    return String(value);
  }
  if (value === null) return 'null';
  if (typeof value !== 'object') throw new TypeError('not a JSON value');
  return Array.isArray(value) ? writeArray(value, keysOf) : writeObject(value, keysOf);
}

function writeArray(values: readonly JsonValue[], keysOf: (value: JsonObject) => string[]): string {
  let text = '[';
  let separator = '';
  for (const value of values) {
    text += separator + write(value, keysOf);
    separator = ',';
  }
  return `${text}]`;
}

function writeObject(members: JsonObject, keysOf: (value: JsonObject) => string[]): string {
  let text = '{';
  let separator = '';
  for (const key of keysOf(members)) {
    const value = members[key];
    if (value === undefined) throw new TypeError('not a JSON value');
    text += `${separator}${quote(key)}:${write(value, keysOf)}`;
    separator = ',';
  }
  return `${text}}`;
}

/** Anything but text that stands for itself: control characters, the quote, the backslash, surrogates. */
const SPECIAL = /[^\x20\x21\x23-\x5b\x5d-\ud7ff\ue000-\uffff]/;

/** JSON.stringify escapes as RFC 8785 asks, except that it hides lone surrogates in escapes. */
function quote(text: string): string {
  if (!SPECIAL.test(text)) return `"${text}"`;
  if (!text.isWellFormed()) throw new TypeError('JSON holds well-formed strings only');
  return JSON.stringify(text);
}
