// SPDX-License-Identifier: Apache-2.0
/**
 * String leaves of recorded tool results. The recordings are envelopes around the text (JSON, JSON with raw controls or
 * cut off, or Python's print of an object): a model must not learn that an envelope is honest.
 */

const ENVELOPE = /^\s*(?:\{\s*"_meta"|meta=None content=\[)/;
const TEXT = /"text": "((?:[^"\\]|\\.)*)/gs;
const PYTHON = /text='((?:[^'\\]|\\.)*)/gs;

export function leavesOf(recorded: string): string[] {
  if (!ENVELOPE.test(recorded)) return [recorded];
  const leaves = [...recorded.matchAll(TEXT), ...recorded.matchAll(PYTHON)].map((match) => unescaped(match[1] ?? ''));
  const texts = leaves.filter((leaf) => leaf.trim() !== '').flatMap((leaf) => leavesOf(leaf));
  return texts.length === 0 ? [recorded] : texts;
}

function unescaped(text: string): string {
  return text.replace(/\\(["'\\/bfnrt]|u[0-9a-fA-F]{4})/g, (_, sign: string) => {
    if (sign.startsWith('u')) return String.fromCharCode(Number.parseInt(sign.slice(1), 16));
    return new Map([['n', '\n'], ['r', '\r'], ['t', '\t'], ['b', ''], ['f', '']]).get(sign) ?? sign;
  });
}
