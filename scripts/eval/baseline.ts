// SPDX-License-Identifier: Apache-2.0
/** What a list of patterns finds, as many gateways have one: the row that the classifier is compared with. */

const PATTERNS: readonly RegExp[] = [
  /\b(?:ignore|disregard|forget|override)\b.{0,40}\b(?:previous|prior|above|earlier|all)\b.{0,40}\b(?:instructions?|rules|prompts?|guidelines)\b/i,
  /\byou are now\b/i,
  /\bsystem prompt\b/i,
  /\bdo not (?:tell|inform|mention|reveal)\b/i,
  /<(?:important|system|instructions?|secret|hidden)>/i,
  /\b(?:before|prior to) (?:using|calling|executing) this tool\b/i,
  /\b(?:jailbreak|DAN mode|developer mode)\b/i,
  /\[(?:system|inst|admin)\]/i,
  /~\/\.ssh|id_rsa|\/etc\/passwd|\.aws\/credentials/i,
  /\bcurl\b[^\n]{0,80}\|\s*(?:ba)?sh\b/i,
  /\bnew instructions?:/i,
];

/** 1 for a text with a pattern in it, else 0. */
export function baselineScore(text: string): number {
  return PATTERNS.some((pattern) => pattern.test(text)) ? 1 : 0;
}
