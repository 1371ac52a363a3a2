// SPDX-License-Identifier: Apache-2.0
/** Numbers that a lenient server could read in a value. */
import { NUMBER_TEXT_LENGTH_MAX } from '../../shared/limits.ts';

/** Digits of other scripts, which many languages read as numbers too: each block of ten begins with its zero. */
function asciiDigits(text: string): string {
  return text.normalize('NFKC').replaceAll(/\p{Nd}/gu, (digit) => {
    let zero = digit.codePointAt(0) ?? 0;
    const point = zero;
    while (point - zero < 9 && /\p{Nd}/u.test(String.fromCodePoint(zero - 1))) zero -= 1;
    return String(point - zero);
  });
}

const NUMBER = /[-+]?(?:0x[0-9a-f]+|0o[0-7]+|0b[01]+|(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[-+]?[0-9]{1,4})?)/gi;

function* readNumbers(text: string): Generator<number> {
  yield Number(text);
  for (const [found] of text.matchAll(NUMBER)) {
    const sign = found.startsWith('-') ? -1 : 1;
    const digits = found.replace(/^[-+]/, '');
    yield sign * Number(digits);
    if (/^0[0-7]+$/.test(digits)) yield sign * Number.parseInt(digits, 8);
  }
}

/** Every number that a value may stand for; of a text, also those in it. Null for a text that is too long to say. */
export function numbersIn(value: string | number | boolean): readonly number[] | null {
  if (typeof value === 'number') return [value];
  if (typeof value === 'boolean') return [Number(value)];
  if (value.length > NUMBER_TEXT_LENGTH_MAX) return null;
  const text = asciiDigits(value).replaceAll('\u2212', '-');
  // With separators of thousands, and with a comma for the point.
  const forms = new Set([text, text.replaceAll(/[_,'\s]/g, ''), text.replaceAll('.', '').replace(',', '.')]);
  return [...forms].filter((form) => form.trim() !== '').flatMap((form) => [...readNumbers(form)].filter((number) => !Number.isNaN(number)));
}
