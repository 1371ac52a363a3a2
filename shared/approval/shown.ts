// SPDX-License-Identifier: Apache-2.0
/**
 * A ticket as a person reads it, in lines of text. Every value of the call is attacker-controlled: what could move the
 * cursor, hide or reorder text stands as an escape, and nothing is cut. Texts of the call stand as JSON strings, whose
 * own backslashes are doubled, so an escape made here cannot be imitated.
 */
import { canonicalJson } from '../json/canonical.ts';
import type { Ticket } from './ticket.ts';

/**
 * Controls, formats, line ends, unassigned and private characters, whatever is drawn as nothing, spaces that are not the
 * plain one, and marks that enclose or strike out the letter before.
 */
const UNSEEN = /[\u0335-\u0338\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Me}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}/gu;
/** Letters that a terminal may reorder without any control character. */
const RIGHT_TO_LEFT = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}\p{Script=Samaritan}\p{Script=Mandaic}\p{Script=Adlam}\p{Script=Hanifi_Rohingya}]/u;
const BEYOND_ASCII = /[^\x20-\x7e]/;

/** The text with everything that cannot be seen as `\u{hex}`. */
export function escapeUnseen(text: string): string {
  return text.replace(UNSEEN, (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`);
}

/** A text of the call, as a JSON string without anything unseen. */
export function quoteShown(text: string): string {
  return escapeUnseen(canonicalJson(text.toWellFormed()));
}

const TIME_MAX = 8.64e15;

function timeOf(ms: number): string {
  return ms <= TIME_MAX ? new Date(ms).toISOString() : 'never';
}

function notesOf(shown: readonly string[], ticket: Ticket): string[] {
  const all = shown.join('\n');
  const notes: string[] = [];
  if (/(^|[^\\])(\\\\)*\\u\{/.test(all)) notes.push('note: characters that cannot be seen stand as \\u{...}');
  if (RIGHT_TO_LEFT.test(all)) notes.push('note: there are right-to-left letters; their order on the screen may not be the order of the text');
  if (BEYOND_ASCII.test(ticket.tool)) notes.push("note: the tool's name has characters beyond ASCII, which may look like others");
  return notes;
}

/**
 * The whole ticket, a line each; no line holds a control character.
 * @param id ticketId of the ticket
 */
export function ticketLines(ticket: Ticket, id: string): string[] {
  const rule = ticket.rule === null ? 'none' : quoteShown(ticket.rule);
  const call = [
    `tool:       ${quoteShown(ticket.tool)} (${ticket.label})`,
    `server:     ${ticket.server}`,
    `principal:  ${quoteShown(ticket.principal)}`,
    'arguments:',
    ...JSON.stringify(ticket.arguments, null, 2).split('\n').map((line) => `  ${escapeUnseen(line)}`),
  ];
  return [
    `ticket:     ${id}`,
    ...call,
    `digest:     ${ticket.digest} (SHA-256 of the real name and arguments)`,
    `rule:       ${rule}`,
    `policy:     ${ticket.policy}`,
    `needs:      ${ticket.approvals} of ${ticket.approvers.map(escapeUnseen).join(', ')}`,
    `created:    ${timeOf(ticket.created)}`,
    `expires:    ${timeOf(ticket.expires)}`,
    `gateway:    ${quoteShown(ticket.gateway)}`,
    `audit key:  ${ticket.audit_key}`,
    ...notesOf(call, ticket),
  ];
}
