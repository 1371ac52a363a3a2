// SPDX-License-Identifier: Apache-2.0
/**
 * Labels that stand for names of peers in logs, errors and audit rows. They let three records be matched without
 * showing the name. They are short and unsalted: a name from a public catalogue can be guessed from its label.
 */
import { sha256Hex } from './digest.ts';

function label(prefix: string, name: string): string {
  return `${prefix}#${sha256Hex(name).slice(0, 8)}`;
}

/** `tool#` and the first 8 hex digits of SHA-256 of the upstream's own tool name. */
export function toolLabel(name: string): string {
  return label('tool', name);
}

/** The same for a method that no revision defines. */
export function methodLabel(name: string): string {
  return label('method', name);
}

/** Above it, a number could be a card's or a telephone's rather than a count. */
const ID_SHOWN_MAX = 999_999_999;

/** A request id as it stands in rows: counts as they are, strings and longer numbers by label. */
export function idLabel(id: string | number): string {
  return typeof id === 'number' && Math.abs(id) <= ID_SHOWN_MAX ? String(id) : label('id', String(id));
}
