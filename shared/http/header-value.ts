// SPDX-License-Identifier: Apache-2.0
/**
 * How revision 2026-07-28 puts text into `Mcp-Name` and `Mcp-Param-*` headers (Streamable HTTP, "Value Encoding"): as it
 * is where every HTTP implementation keeps it, else as base64 of its UTF-8 between two markers.
 */
import { fromBase64, toBase64 } from '../audit/base64.ts';
import { utf8 } from '../bytes.ts';
import { HEADER_VALUE_LENGTH_MAX } from '../limits.ts';

const PREFIX = '=?base64?';
const SUFFIX = '?=';

/** Visible ASCII; space and tab only within, because HTTP drops them at the ends. Empty headers get lost too. */
const PLAIN = /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/;
/** What may stand in a value at all. Other bytes are text to one reader and something else to the next. */
const FIELD_VALUE = /^[\t\x20-\x7e]*$/;

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The header value for a text. As long as the text, or a third longer. RangeError for lone surrogates. */
export function encodeHeaderValue(text: string): string {
  if (!text.isWellFormed()) throw new RangeError('a header value must be well-formed text');
  return PLAIN.test(text) && !isMarked(text) ? text : `${PREFIX}${toBase64(utf8(text))}${SUFFIX}`;
}

/** The text of an attacker-controlled header value, or null if it has none: then the request is refused. */
export function decodeHeaderValue(value: string): string | null {
  if (value.length > HEADER_VALUE_LENGTH_MAX || !FIELD_VALUE.test(value)) return null;
  if (!isMarked(value)) return value;
  // In `=?base64?=` the markers share a character.
  if (value.length < PREFIX.length + SUFFIX.length) return null;
  const bytes = fromBase64(value.slice(PREFIX.length, -SUFFIX.length));
  if (bytes === undefined) return null;
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}

function isMarked(text: string): boolean {
  return text.startsWith(PREFIX) && text.endsWith(SUFFIX);
}
