// SPDX-License-Identifier: Apache-2.0
/**
 * Takes secrets out of what is stored. The audit log's thread calls it before anything of a payload is hashed or
 * written; the policy calls it for lines of text.
 */
import { canonicalJson } from '../../shared/json/canonical.ts';
import type { JsonValue } from '../../shared/json/value.ts';
import { REDACTION_MS_MAX } from '../../shared/limits.ts';
import { textsOf, withTexts } from './patterns/texts.ts';
import { budget, createReplacing } from './replace.ts';
import type { RedactionPattern } from './types.ts';

export interface Scrubber {
  /**
   * Canonical JSON of a JSON text with every string, key and number redacted at any depth. Patterns see strings without
   * their escapes. Null if the budget ran out, or if the text is no JSON or has no canonical form: it must not be stored.
   */
  json(text: string): string | null;
  /** A text redacted as one string. Null if the budget ran out: it must not be stored. */
  text(text: string): string | null;
}

/** Compiles the patterns; throws RangeError for one that is not RE2. `now`: milliseconds, never going back. */
export function createScrubber(
  patterns: readonly RedactionPattern[],
  now: () => number = () => performance.now(),
): Scrubber {
  const replacing = createReplacing(patterns);
  return {
    json(text) {
      const value = readJson(text);
      if (value === undefined) return null;
      const texts = textsOf(value, replacing.options);
      const made = replacing.all(texts, budget(now, REDACTION_MS_MAX));
      return made.every((one) => one !== null) ? writeJson(withTexts(value, texts.texts, made)) : null;
    },
    text: (text) => replacing.text(text, budget(now, REDACTION_MS_MAX)),
  };
}

function readJson(text: string): JsonValue | undefined {
  try {
    const value: JsonValue = JSON.parse(text);
    return value;
  } catch {
    return undefined;
  }
}

function writeJson(value: JsonValue): string | null {
  try {
    return canonicalJson(value);
  } catch {
    return null;
  }
}
