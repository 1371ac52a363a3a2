// SPDX-License-Identifier: Apache-2.0
/**
 * The form in which two names count as confusable: NFKC and Unicode simple case folding. Some peers match the keys of
 * a message without regard to case (CVE-2026-27896), so keys that are equal in this form must not differ in the text.
 */

const MARKED = /[A-Z\u0080-\uffff]/;
const BEYOND_ASCII = /[\u0080-\uffff]/;

/** False for a text that is its own folded form without looking further: ASCII without capitals. */
export function mayFold(text: string): boolean {
  return MARKED.test(text);
}

/**
 * The folded form. Upper case first, then lower case, each per code point and only where it stays one code point: that
 * joins every pair that simple folding joins (U+017F with s, U+212A with k, both sigmas), and dotless i with i.
 */
export function foldKey(text: string): string {
  if (!BEYOND_ASCII.test(text)) return text.toLowerCase();
  let folded = '';
  for (const point of text.normalize('NFKC')) {
    const upper = ifSingle(point.toUpperCase(), point);
    folded += ifSingle(upper.toLowerCase(), upper);
  }
  return folded.normalize('NFKC');
}

/** The changed text if that is one code point, else the text before. */
function ifSingle(changed: string, before: string): string {
  const length = (changed.codePointAt(0) ?? 0) > 0xffff ? 2 : 1;
  return changed.length === length ? changed : before;
}
