// SPDX-License-Identifier: Apache-2.0
/** What a lenient server could understand by a text that a rule compares as a word: other spellings of the same. */
import { READING_LENGTH_MAX } from '../../shared/limits.ts';
import { withoutInvisible } from './invisible.ts';
import { formsOf } from './names.ts';
import { pathForms } from './path-readings.ts';
import type { Readings } from './readings.ts';
import { closure, percentDecoded, unescaped } from './readings.ts';

const STEPS: readonly ((text: string) => string)[] = [percentDecoded, unescaped];

/** What makes a text more than one word in one spelling. */
const SPELLED = /[^a-z0-9 ,_-]/;

/** The text decoded, trimmed, without what is invisible, in NFKC, folded, and normalised as a path. */
export function textReadings(text: string): Readings {
  if (!SPELLED.test(text)) return { plain: text, values: text === text.trim() ? [text] : [text, text.trim()], whole: true };
  if (text.length > READING_LENGTH_MAX) return longReadings(text);
  const { values, whole } = closure(text, STEPS);
  const found = new Set<string>();
  for (const form of values) for (const one of formsOf(form)) found.add(one);
  if (!/[./\\%\u0080-\uffff]/.test(text)) return { plain: text, values: [...found], whole };
  const paths = pathForms(text);
  for (const path of paths.values) found.add(path);
  return { plain: text, values: [...found], whole: whole && paths.whole };
}

/** A long text is contents more than a word: the readings that change every character, at little cost each. */
function longReadings(text: string): Readings {
  const wide = withoutInvisible(text).normalize('NFKC');
  const forms = [text, percentDecoded(text), unescaped(text), wide, wide.toUpperCase().toLowerCase()];
  return { plain: text, values: [...new Set(forms)], whole: true };
}
