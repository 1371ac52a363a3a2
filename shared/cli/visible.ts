// SPDX-License-Identifier: Apache-2.0
/** Text from outside as a terminal may show it: what could move the cursor, hide or reorder text stands as an escape. */
export function visible(text: string): string {
  return text.toWellFormed().replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}]/gu, (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`);
}
