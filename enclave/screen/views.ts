// SPDX-License-Identifier: Apache-2.0
/**
 * All the ways in which a text can be read: as it is shown, and what hides in it (tag characters, variation selectors,
 * comments, encodings). Each becomes a view that is judged by itself (design, section 9). Linear in the text, bounded by
 * named limits, never throws.
 */
import { SCREEN_RUNS_MAX, SCREEN_TEXT_LENGTH_MAX, SCREEN_VIEW_DEPTH_MAX, SCREEN_VIEWS_LENGTH_MAX } from '../../shared/limits.ts';
import { isConceptWord } from './concepts.ts';
import { base64Texts, hexTexts, hiddenTexts, readsReversed, readsRot13, reversed, rot13, selectorTexts, tagTexts } from './decode.ts';
import { fold } from './fold.ts';
import type { Finding, View, ViewName, Views } from './types.ts';

interface Budget {
  /** UTF-16 units that hidden views may still have. */
  units: number;
  runs: number;
  partial: boolean;
}

/** The views of a text. What is beyond a limit is left out and reported as `partial`. */
export function normalise(text: string): Views {
  const found = new Set<Finding>();
  const views: View[] = [];
  const budget: Budget = { units: SCREEN_VIEWS_LENGTH_MAX, runs: SCREEN_RUNS_MAX, partial: text.length > SCREEN_TEXT_LENGTH_MAX };
  look('text', text.slice(0, SCREEN_TEXT_LENGTH_MAX), 0, { found, views, budget });
  return { views, found: [...found], partial: budget.partial };
}

interface Sight {
  readonly found: Set<Finding>;
  readonly views: View[];
  readonly budget: Budget;
}

function look(name: ViewName, raw: string, depth: number, sight: Sight): void {
  const { found, views, budget } = sight;
  const folded = fold(raw, found, isConceptWord);
  views.push({ name, text: folded.text });
  const hide = (view: ViewName, finding: Finding, texts: Iterable<string>): void => {
    for (const text of texts) {
      found.add(finding);
      if (depth >= SCREEN_VIEW_DEPTH_MAX || budget.runs === 0 || text.length > budget.units) {
        // Hidden markup also stands in the text that it was found in.
        if (view !== 'hidden') budget.partial = true;
        return;
      }
      budget.units -= text.length;
      budget.runs -= 1;
      look(view, text, depth + 1, sight);
    }
  };
  if (folded.apart !== null) {
    budget.units -= folded.apart.length;
    if (budget.units < 0) budget.partial = true;
    else views.push({ name: 'apart', text: folded.apart });
  }
  hide('tags', 'TAG_CHARACTERS', tagTexts(raw));
  hide('selectors', 'VARIATION_SELECTORS', selectorTexts(raw));
  hide('hidden', 'HIDDEN_MARKUP', hiddenTexts(folded.text));
  hide('base64', 'BASE64', base64Texts(folded.text));
  hide('hex', 'HEX', hexTexts(folded.text));
  // These two read the whole text anew: once is enough.
  if (name !== 'rot13' && readsRot13(folded.text)) hide('rot13', 'ROT13', [rot13(folded.text)]);
  if (name !== 'reversed' && readsReversed(folded.text)) hide('reversed', 'REVERSED', [reversed(folded.text)]);
}
