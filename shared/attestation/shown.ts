// SPDX-License-Identifier: Apache-2.0
/** Text of an attestation document as it may stand in a report: it is attacker-controlled, and terminals obey controls. */

/** Characters of one text in a report: longer than any name that AWS writes. */
const SHOWN_LENGTH_MAX = 128;

export function shown(text: string): string {
  return text.length <= SHOWN_LENGTH_MAX && /^[\x21-\x7e]+$/.test(text) ? text : `a text of ${text.length} characters that is not shown`;
}
