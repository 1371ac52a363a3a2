// SPDX-License-Identifier: Apache-2.0
/**
 * What was kept apart from a log and is held against it: receipts that a client got for its rows, and signed checkpoints
 * that stand elsewhere. Both show that the log was once longer, or another (audit reference, 2.7).
 */
import { parseStrictJson } from '../json/parse.ts';
import { isJsonObject } from '../json/value.ts';
import { fromHex, utf8 } from '../bytes.ts';
import { ANCHOR_LINE_LENGTH_MAX, NOTE_LENGTH_MAX } from '../limits.ts';
import { AnchorChain, parseAnchorLine } from './anchor.ts';
import type { Note } from './checkpoint.ts';
import { parseNote } from './checkpoint.ts';
import { HASH_BYTES } from './merkle.ts';
import type { RowReceipt } from './row.ts';

/** What is held against one epoch, each in the order of the tree. */
export interface EpochEvidence {
  readonly anchors: readonly Note[];
  readonly receipts: readonly RowReceipt[];
}

/** Gathers evidence by origin and remembers what no epoch took. */
export class Evidence {
  readonly #anchors: Map<string, Note[]> = new Map();
  readonly #receipts: Map<string, RowReceipt[]> = new Map();

  constructor(anchors: Iterable<Note>, receipts: Iterable<RowReceipt>) {
    for (const note of anchors) gather(this.#anchors, note);
    for (const receipt of receipts) gather(this.#receipts, receipt);
  }

  /** What is held against an epoch; it is given once. */
  take(origin: string): EpochEvidence {
    const anchors = (this.#anchors.get(origin) ?? []).sort((left, right) => left.size - right.size);
    const receipts = (this.#receipts.get(origin) ?? []).sort((left, right) => left.idx - right.idx || left.size - right.size);
    this.#anchors.delete(origin);
    this.#receipts.delete(origin);
    return { anchors, receipts };
  }

  /** How many are of epochs that were not there. */
  left(): { readonly anchors: number; readonly receipts: number } {
    return { anchors: count(this.#anchors), receipts: count(this.#receipts) };
  }
}

function gather<T extends { readonly origin: string }>(groups: Map<string, T[]>, one: T): void {
  const group = groups.get(one.origin);
  if (group === undefined) groups.set(one.origin, [one]);
  else group.push(one);
}

function count(groups: ReadonlyMap<string, readonly unknown[]>): number {
  let total = 0;
  for (const group of groups.values()) total += group.length;
  return total;
}

/**
 * Reads one line of a file of receipts, `{"origin","idx","leaf","size"}` in any order. Undefined for any other form: a
 * receipt that is passed over would check nothing.
 */
export function parseReceipt(line: string): RowReceipt | undefined {
  const parsed = parseStrictJson(utf8(line));
  if (!parsed.ok || !isJsonObject(parsed.value) || Object.keys(parsed.value).length !== 4) return undefined;
  const { origin, idx, leaf, size } = parsed.value;
  if (typeof origin !== 'string' || typeof leaf !== 'string' || fromHex(leaf)?.length !== HASH_BYTES) return undefined;
  if (typeof idx !== 'number' || typeof size !== 'number' || !Number.isSafeInteger(idx) || !Number.isSafeInteger(size)) return undefined;
  return idx < 0 || idx >= size ? undefined : { origin, idx, leaf, size };
}

/**
 * Reads a kept checkpoint (one note) or a kept copy of an anchor file (its lines, in whole or up to some line).
 * Undefined for any other form, and for lines that are not one chain.
 */
export function parseAnchors(text: string): readonly Note[] | undefined {
  if (!text.startsWith('{')) {
    const note = text.length > NOTE_LENGTH_MAX ? undefined : parseNote(text);
    return note === undefined ? undefined : [note];
  }
  if (!text.endsWith('\n')) return undefined;
  const lines = text.slice(0, -1).split('\n');
  const first = lines[0] === undefined || lines[0].length > ANCHOR_LINE_LENGTH_MAX ? undefined : parseAnchorLine(lines[0]);
  const origin = first === undefined ? undefined : parseNote(first.note)?.origin;
  if (origin === undefined) return undefined;
  const chain = new AnchorChain(lines, origin);
  const notes: Note[] = [];
  for (let head = chain.head; head !== undefined; head = chain.head) {
    notes.push(head.note);
    chain.advance();
  }
  return chain.brokenAt === undefined ? notes : undefined;
}
