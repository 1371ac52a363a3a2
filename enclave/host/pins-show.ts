// SPDX-License-Identifier: Apache-2.0
/** Pins and their changes as a terminal shows them, and as JSON. Nothing of a server's reaches either unescaped. */
import { wireJson } from '../../shared/json/canonical.ts';
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { jsonObject } from '../../shared/json/value.ts';
import type { Change } from '../pins/changes.ts';
import { diffItems } from '../pins/diff.ts';
import { itemLabel, PIN_KINDS } from '../pins/item.ts';
import type { PinKind } from '../pins/item.ts';
import type { PinEntry } from '../pins/judge.ts';
import { escapedJson, escapedText, quoted, shownName, shownPath } from '../pins/shown.ts';
import type { Overview, Waiting } from '../pins/waiting.ts';
import type { Segment } from '../pins/words.ts';

/** Digits of a digest that are shown: enough to tell it from any that was made to look like it. */
const DIGITS = 16;
/** Words of what stayed that are shown on each side of a change. */
const CONTEXT_WORDS = 6;

export interface Pinned {
  readonly server: string;
  readonly kind: PinKind;
  readonly name: string;
  readonly entry: PinEntry;
}

/** What waits, with both objects as far as they are kept here. */
export interface Compared {
  readonly waiting: Waiting;
  readonly old: JsonObject | null;
  readonly now: JsonObject | null;
}

function state({ change, blocked, isRejected }: Waiting): string {
  return `${change === 'new' ? 'new' : 'changed'}, ${isRejected ? 'rejected' : blocked ? 'blocked' : 'in use'}`;
}

/** All entries of a lockfile in a fixed order. */
export function pinnedIn({ file }: Overview): readonly Pinned[] {
  return [...file].flatMap(([server, pins]) => PIN_KINDS.flatMap((kind) => [...(pins.get(kind) ?? [])].map(([name, entry]) => ({ server, kind, name, entry }))));
}

function listLine({ server, kind, name, entry: { pin } }: Pinned): string {
  const accepted = pin === null || pin.accepted === null ? '' : `, accepted ${pin.accepted}`;
  const what = pin === null ? 'not pinned' : `${pin.sha256.slice(0, DIGITS)}  first seen ${pin.firstSeen}${accepted}`;
  return `${shownName(server)}  ${kind}  ${shownName(name)}  ${escapedText(what)}\n`;
}

export function listAsText(pinned: readonly Pinned[], waiting: readonly Waiting[]): string {
  if (pinned.length + waiting.length === 0) return 'no pins\n';
  const lines = pinned.map(listLine);
  for (const one of waiting) lines.push(`${shownName(one.server)}  ${one.kind}  ${shownName(one.name)}  ${one.digest.slice(0, DIGITS)}  WAITS: ${state(one)}, first seen ${escapedText(one.since)}\n`);
  return lines.join('');
}

function waitingAsJson(one: Waiting): JsonObject {
  const { server, kind, name, change, digest, pinned, blocked, isRejected, since } = one;
  return jsonObject({ server, kind, name, label: itemLabel(kind, name), change, digest, was: pinned, blocked, rejected: isRejected, since });
}

function document(schema: string, members: Record<string, JsonValue>): string {
  return `${escapedJson(wireJson(jsonObject({ schema: `mcp-bastion/${schema}/1`, ...members })))}\n`;
}

export function listAsJson({ path }: Overview, pinned: readonly Pinned[], waiting: readonly Waiting[]): string {
  const pins = pinned.map(({ server, kind, name, entry: { pin, rejected } }) =>
    jsonObject({ server, kind, name, label: itemLabel(kind, name), sha256: pin?.sha256 ?? null, first_seen: pin?.firstSeen ?? null, accepted: pin?.accepted ?? null, rejected: [...rejected] }),
  );
  return document('pins-list', { lockfile: path, pins, waiting: waiting.map(waitingAsJson) });
}

/** What stayed the same is cut in its middle; what did not is shown whole. */
function segmentLine({ kind, text }: Segment): string {
  const sign = { same: '=', added: '+', removed: '-' }[kind];
  const words = kind === 'same' ? text.split(/(?<=\s)(?=\S)/) : [];
  if (words.length <= 2 * CONTEXT_WORDS) return `      ${sign} ${quoted(text)}\n`;
  const [head, tail] = [words.slice(0, CONTEXT_WORDS).join(''), words.slice(-CONTEXT_WORDS).join('')];
  return `      ${sign} ${quoted(head)} ... ${quoted(tail)}\n`;
}

function changeLines({ severity, path, what, segments }: Change): string {
  const where = path.length === 0 ? '' : `${shownPath(path)}: `;
  return `  ${severity.padEnd(8)}  ${where}${what}\n${segments.map(segmentLine).join('')}`;
}

/** An object in whole: its strings are JSON, so that nothing in it begins a line. */
function wholeLines(value: JsonObject): string {
  return JSON.stringify(value, null, 2)
    .split('\n')
    .map((line) => `      + ${escapedText(line)}\n`)
    .join('');
}

function bodyLines({ waiting, old, now }: Compared): string {
  if (now === null) return '  what it is now is not kept in this state folder\n';
  if (old !== null) return diffItems(waiting.kind, old, now).map(changeLines).join('');
  const why = waiting.pinned === null ? '' : '  what was pinned is not kept in this state folder; this is what it is now:\n';
  return `${why}${wholeLines(now)}`;
}

function commandFor({ server, kind, name, digest }: Waiting): string {
  // A name that a shell could read otherwise is left out: the digest says which it is.
  const plain = /^[A-Za-z0-9_][A-Za-z0-9_./:-]*$/.test(name) ? ` ${name}` : '';
  const where = /^[a-z0-9-]+$/.test(server) ? ` --server ${server}` : '';
  return `mcp-bastion pins accept${where} --kind ${kind} --digest ${digest.slice(0, DIGITS)}${plain}`;
}

export function diffAsText(compared: readonly Compared[]): string {
  const blocks = compared.map((one) => {
    const { waiting } = one;
    const { server, kind, name, digest, pinned, since } = waiting;
    const label = kind === 'instructions' ? '' : ` (${itemLabel(kind, name)})`;
    const was = pinned === null ? '' : `  pinned    ${pinned.slice(0, DIGITS)}\n`;
    const next = one.now === null ? '' : `  accept    ${commandFor(waiting)}\n`;
    return `${shownName(server)} ${kind} ${shownName(name)}${label}: ${state(waiting)}\n${was}  now       ${digest.slice(0, DIGITS)}, first seen ${escapedText(since)}\n${bodyLines(one)}${next}`;
  });
  return compared.length === 0 ? 'nothing waits\n' : blocks.join('\n');
}

export function diffAsJson({ path }: Overview, compared: readonly Compared[]): string {
  const items = compared.map(({ waiting, old, now }) => {
    const changes = old === null || now === null ? null : diffItems(waiting.kind, old, now);
    const shown = changes?.map((change) => jsonObject({ severity: change.severity, path: [...change.path], what: change.what, segments: change.segments.map((segment) => jsonObject({ ...segment })) }));
    return jsonObject({ ...waitingAsJson(waiting), changes: shown ?? null, now: changes === null ? now : undefined });
  });
  return document('pins-diff', { lockfile: path, items });
}

export function decidedAsText(verb: 'accepted' | 'rejected', chosen: readonly Waiting[]): string {
  return chosen.map(({ server, kind, name, digest, pinned }) => `${verb} ${shownName(server)} ${kind} ${shownName(name)} ${digest.slice(0, DIGITS)}${pinned === null ? '' : ` (pinned: ${pinned.slice(0, DIGITS)})`}\n`).join('');
}

export function decidedAsJson({ path }: Overview, verb: 'accepted' | 'rejected', chosen: readonly Waiting[]): string {
  return document(`pins-${verb}`, { lockfile: path, items: chosen.map(waitingAsJson) });
}
