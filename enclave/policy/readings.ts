// SPDX-License-Identifier: Apache-2.0
/**
 * Readings of a text: what lenient servers could understand by it. A rule that forbids, holds or marks looks at all of
 * them; a rule that permits trusts a text only if it has one. Texts are attacker-controlled.
 */
import { READINGS_MAX } from '../../shared/limits.ts';

export interface Readings {
  /** The only reading of a text that leaves no doubt; null where there is some. */
  readonly plain: string | null;
  readonly values: readonly string[];
  /** False where the text could mean more than was looked at: then it could mean anything. */
  readonly whole: boolean;
}

/** What becomes of a text that cannot be read in time or at all. */
export const UNREADABLE: Readings = { plain: null, values: [], whole: false };

type Step = (text: string) => string;

/** Everything that the steps make of a text, in any order, up to a bound. */
export function closure(text: string, steps: readonly Step[]): { readonly values: readonly string[]; readonly whole: boolean } {
  const found = new Set([text]);
  for (const one of found) {
    for (const step of steps) {
      found.add(step(one));
      if (found.size > READINGS_MAX) return { values: [...found], whole: false };
    }
  }
  return { values: [...found], whole: true };
}

const PERCENT = /%([0-9a-f]{2})/gi;

/** Percent-decoded as loosely as servers do: invalid sequences stay, overlong UTF-8 and `%u` mean what they meant to say. */
export function percentDecoded(text: string): string {
  if (!text.includes('%')) return text;
  const wide = text.replaceAll(/%u([0-9a-f]{4})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  // The overlong forms of dot, slash and backslash.
  const plain = wide.replaceAll(/%(?:c0|e0%80|f0%80%80)%(ae|af|2e|2f|5c|dc)/gi, (_, last: string) => String.fromCharCode(Number.parseInt(last, 16) & 0x7f)).replaceAll(/%c1%9c/gi, '\\');
  return plain.replaceAll(/(?:%[0-9a-f]{2})+/gi, (run) => {
    const bytes = Uint8Array.from(run.matchAll(PERCENT), ([, hex = '']) => Number.parseInt(hex, 16));
    return new TextDecoder('utf-8').decode(bytes);
  });
}

/** Escapes of JSON, of shells and of HTML, undone. */
export function unescaped(text: string): string {
  if (!text.includes('\\') && !text.includes('&#')) return text;
  return text.replaceAll(/\\u([0-9a-f]{4})|\\x([0-9a-f]{2})|&#x([0-9a-f]{1,5});|&#([0-9]{1,6});/gi, (_, u?: string, x?: string, hex?: string, decimal?: string) => {
    const digits = u ?? x ?? hex;
    return String.fromCodePoint(digits === undefined ? Number(decimal) : Number.parseInt(digits, 16));
  });
}
