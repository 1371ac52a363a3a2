// SPDX-License-Identifier: Apache-2.0
/**
 * Resource templates (RFC 6570), as far as telling whether a URI may come from one. Simple variables stand for one path
 * segment, `{+x}` and `{#x}` for anything; what the higher levels add stands for anything or nothing. Both sides are
 * attacker-controlled: matching takes one pass over the URI for each piece and never goes back.
 */
import { ROUTE_LENGTH_MAX, TEMPLATE_PIECES_MAX } from '../../shared/limits.ts';
import { detachedText } from '../exchange/conversation.ts';

type Piece =
  | { readonly kind: 'literal'; readonly text: string }
  /** At least one character, none of them a slash. */
  | { readonly kind: 'segment' }
  /** At least one character. */
  | { readonly kind: 'any' }
  | { readonly kind: 'any-or-none' };

export interface Template {
  readonly text: string;
  readonly pieces: readonly Piece[];
}

const SIMPLE = /^[A-Za-z0-9_%.]+$/;

function variable(expression: string): Piece {
  if (SIMPLE.test(expression)) return { kind: 'segment' };
  const operator = expression[0];
  return (operator === '+' || operator === '#') && SIMPLE.test(expression.slice(1)) ? { kind: 'any' } : { kind: 'any-or-none' };
}

/** Null for what is no template or is too long to be compared. */
export function readTemplate(text: string): Template | null {
  if (text.length > ROUTE_LENGTH_MAX) return null;
  const own = detachedText(text);
  const pieces: Piece[] = [];
  let at = 0;
  while (at < own.length) {
    if (pieces.length >= TEMPLATE_PIECES_MAX) return null;
    const open = own.indexOf('{', at);
    const end = open === -1 ? own.length : open;
    if (end > at) pieces.push({ kind: 'literal', text: own.slice(at, end) });
    if (open === -1) break;
    const close = own.indexOf('}', open);
    if (close === -1) return null;
    const piece = variable(own.slice(open + 1, close));
    // The fragment's own sign is part of what it expands to.
    if (own[open + 1] === '#' && piece.kind === 'any') pieces.push({ kind: 'literal', text: '#' });
    pieces.push(piece);
    at = close + 1;
  }
  return { text: own, pieces };
}

/** The places of a URI that can be reached by the pieces so far, as ones. */
function advance(from: Uint8Array, piece: Piece, uri: string): Uint8Array {
  const to = new Uint8Array(from.length);
  if (piece.kind === 'literal') {
    for (let at = from.indexOf(1); at !== -1; at = from.indexOf(1, at + 1)) {
      if (uri.startsWith(piece.text, at)) to[at + piece.text.length] = 1;
    }
    return to;
  }
  let open = false;
  for (let at = 0; at < uri.length; at += 1) {
    open ||= from[at] === 1;
    if (piece.kind === 'segment' && uri[at] === '/') open = false;
    if (open) to[at + 1] = 1;
  }
  if (piece.kind === 'any-or-none') for (let at = 0; at < from.length; at += 1) to[at] = (to[at] ?? 0) | (from[at] ?? 0);
  return to;
}

/** True if a URI may be an expansion of the template. */
export function fitsTemplate(template: Template, uri: string): boolean {
  if (uri.length > ROUTE_LENGTH_MAX) return false;
  const [first] = template.pieces;
  if (first?.kind === 'literal' && !uri.startsWith(first.text)) return false;
  let reached: Uint8Array = new Uint8Array(uri.length + 1);
  reached[0] = 1;
  for (const piece of template.pieces) {
    reached = advance(reached, piece, uri);
    if (!reached.includes(1)) return false;
  }
  return reached[uri.length] === 1;
}
