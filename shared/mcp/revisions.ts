// SPDX-License-Identifier: Apache-2.0
/** The protocol revisions that the gateway knows, and the two eras that they fall into. */

export const REVISIONS = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25', '2026-07-28'] as const;

/** The first revision without sessions, and so far the only one. */
export const MODERN_REVISION = '2026-07-28';

export type Revision = (typeof REVISIONS)[number];

/** `legacy`: a session that `initialize` opens. `modern`: every request carries its own metadata. */
export type Era = 'legacy' | 'modern';

const known: ReadonlySet<string> = new Set(REVISIONS);

/** True for a revision that the gateway knows, in its exact spelling. */
export function isRevision(text: string): text is Revision {
  return known.has(text);
}

/** The era of a revision. */
export function eraOf(revision: Revision): Era {
  return revision === MODERN_REVISION ? 'modern' : 'legacy';
}
