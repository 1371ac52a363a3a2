// SPDX-License-Identifier: Apache-2.0
/** What screening takes and gives. Reasons are stable codes and never hold any of the text (design, section 9). */

/** Where a text comes from: metadata of tools, or what a call gave back. Each has its own calibration. */
export type ScreenKind = 'tool' | 'result';

/** Something found in the form of a text, before any word of it is judged. */
export type Finding =
  | 'INVISIBLE'
  | 'BIDI'
  | 'TAG_CHARACTERS'
  | 'VARIATION_SELECTORS'
  | 'HOMOGLYPHS'
  | 'HIDDEN_MARKUP'
  | 'BASE64'
  | 'HEX'
  | 'PERCENT'
  | 'ENTITIES'
  | 'ESCAPES'
  | 'ROT13'
  | 'REVERSED'
  | 'SPACED_LETTERS'
  | 'LEETSPEAK';

/** Why a window scored as it did: groups of words that stood near each other, or a form of hiding. */
export type Reason =
  | Finding
  | 'OVERRIDES_INSTRUCTIONS'
  | 'CONCEALS_FROM_USER'
  | 'READS_SECRETS'
  | 'SENDS_DATA'
  | 'MOVES_MONEY'
  | 'CHANGES_ACCESS'
  | 'CLAIMS_AUTHORITY'
  | 'CHANGES_ROLE'
  | 'STEERS_TOOLS'
  | 'ADDRESSES_MODEL'
  | 'WORDING';

export interface Score {
  /** 0 to 1; ALERT_SCORE and BLOCK_SCORE are the operating points of every kind. */
  readonly score: number;
  /** Windows judged, over all views of the text. */
  readonly windows: number;
  /** The window that scored highest: its view and the index of its first word there. */
  readonly at: { readonly view: ViewName; readonly word: number } | null;
  readonly reasons: readonly Reason[];
  /** True if some of the text or of its hidden views was beyond a limit and was not judged. */
  readonly partial: boolean;
}

/** How a view came from the text. */
export type ViewName = 'text' | 'apart' | 'tags' | 'selectors' | 'hidden' | 'base64' | 'hex' | 'rot13' | 'reversed';

export interface View {
  readonly name: ViewName;
  /** Folded: no invisible characters, no marks, only ASCII letters may be capitals. */
  readonly text: string;
}

export interface Views {
  /** The first is the whole text. */
  readonly views: readonly View[];
  readonly found: readonly Finding[];
  readonly partial: boolean;
}

export interface Scorer {
  /** Digest of the weights, for the audit log. */
  readonly model: string;
  score(text: string, kind: ScreenKind): Score;
}
