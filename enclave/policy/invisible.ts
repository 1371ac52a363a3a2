// SPDX-License-Identifier: Apache-2.0
/**
 * Characters that print nothing: zero-width, bidirectional and tag characters, Hangul fillers, soft hyphen, controls.
 * In a name they hide from a rule what a lenient peer still reads; in a rule they hide from its reader what it covers.
 */
const INVISIBLE = /[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Cc}\u2028\u2029\u2800]/gu;

/** The text without them. */
export function withoutInvisible(text: string): string {
  return text.replaceAll(INVISIBLE, '');
}
