// SPDX-License-Identifier: Apache-2.0
/** Text of a server's as a terminal may show it: nothing in it moves the cursor, hides, reorders, or ends its quotes. */

const HIDDEN = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}/gu;

function escaped(char: string): string {
  if (char === '\n') return '\\n';
  if (char === '\t') return '\\t';
  return `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`;
}

/** Text with escapes for what cannot be seen; a backslash of its own stays one. */
export function escapedText(text: string): string {
  return text.toWellFormed().replaceAll(HIDDEN, escaped);
}

/** JSON text with the same characters as JSON escapes. */
export function escapedJson(text: string): string {
  return text.replaceAll(HIDDEN, (char) => Array.from({ length: char.length }, (_unit, at) => `\\u${char.charCodeAt(at).toString(16).padStart(4, '0')}`).join(''));
}

/** The text in double quotes, with a backslash before what would end them, and escapes for what cannot be seen. */
export function quoted(text: string): string {
  return `"${text.toWellFormed().replaceAll(/["\\]/g, (char) => `\\${char}`).replaceAll(HIDDEN, escaped)}"`;
}

const PLAIN = /^[A-Za-z0-9_.:/@-]+$/;

/** A name: as it is where nothing in it can be misread, else quoted. */
export function shownName(name: string): string {
  return PLAIN.test(name) ? name : quoted(name);
}

/** Where a member stands: `inputSchema.properties.path`, with what is no plain name in quotes. */
export function shownPath(path: readonly (string | number)[]): string {
  return path.map((part, at) => (typeof part === 'number' ? `[${part}]` : `${at === 0 ? '' : '.'}${/^[A-Za-z0-9_$@-]+$/.test(part) ? part : quoted(part)}`)).join('');
}

/** Characters that cannot be seen or that turn the direction of writing; line ends and tabs are none. */
export function hiddenIn(text: string): number {
  let count = 0;
  for (const [char] of text.matchAll(HIDDEN)) if (char !== '\n' && char !== '\t' && char !== '\r') count += 1;
  return count;
}
