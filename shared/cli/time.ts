// SPDX-License-Identifier: Apache-2.0
/** The time of a verification, as a command line gives it. */
import { Usage } from '../errors.ts';

const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{3})?Z$/;

/** Milliseconds since 1970, or `now`. @throws Usage (USAGE) */
export function parseTime(text: string, hint: string): number | 'now' {
  if (text === 'now') return 'now';
  const ms = TIME.test(text) ? Date.parse(text) : Number.NaN;
  // Date.parse takes 31 February over into March; only a real date is written as it was read.
  if (Number.isNaN(ms) || !new Date(ms).toISOString().startsWith(text.slice(0, 19))) throw new Usage('USAGE', '--at is no time', hint);
  return ms;
}
