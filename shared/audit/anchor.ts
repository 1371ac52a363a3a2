// SPDX-License-Identifier: Apache-2.0
/**
 * The anchor file: one line of canonical JSON per anchored checkpoint, `{"n","note","prev"}`. Each line names the hash
 * of the line before, so that lines cannot be taken out or changed without all later ones.
 */
import { sha256Hex } from '../digest.ts';
import { canonicalJson } from '../json/canonical.ts';
import type { JsonValue } from '../json/value.ts';
import { isJsonObject, jsonObject } from '../json/value.ts';
import { ANCHOR_LINE_LENGTH_MAX } from '../limits.ts';
import type { Note } from './checkpoint.ts';
import { parseNote } from './checkpoint.ts';
import { Peekable } from './source.ts';

export interface AnchorLine {
  /** Line number, from 0. */
  readonly n: number;
  /** SHA-256 of the line before without its newline, hex; anchorGenesis for the first. */
  readonly prev: string;
  /** A signed checkpoint as a note. */
  readonly note: string;
}

/** What the first line of an epoch's file names as the line before. */
export function anchorGenesis(origin: string): string {
  return sha256Hex(`mcp-bastion/anchor/1\0${origin}`);
}

/** What the next line names. */
export function anchorHash(line: string): string {
  return sha256Hex(line);
}

/** The line without its newline. */
export function buildAnchorLine(anchor: AnchorLine): string {
  return canonicalJson(jsonObject({ n: anchor.n, prev: anchor.prev, note: anchor.note }));
}

/** Reads a line; attacker-controlled. Undefined unless it is what buildAnchorLine writes for its content. */
export function parseAnchorLine(line: string): AnchorLine | undefined {
  if (line.length > ANCHOR_LINE_LENGTH_MAX || !line.isWellFormed()) return undefined;
  const value = readValue(line);
  if (!isJsonObject(value)) return undefined;
  const { n, prev, note } = value;
  if (typeof n !== 'number' || !Number.isSafeInteger(n) || typeof prev !== 'string' || typeof note !== 'string') return undefined;
  const anchor = { n, prev, note };
  return buildAnchorLine(anchor) === line ? anchor : undefined;
}

function readValue(line: string): JsonValue | undefined {
  try {
    const value: JsonValue = JSON.parse(line);
    return value;
  } catch {
    return undefined;
  }
}

/** One line that fits its chain. */
export interface Anchor {
  /** Line number, from 0. */
  readonly line: number;
  readonly note: Note;
  /** SHA-256 of the line, hex. */
  readonly hash: string;
}

/** Walks the lines of an anchor file as a chain. Whether the notes are signed and true is not looked at. */
export class AnchorChain {
  readonly #lines: Peekable<string>;
  #prev: string;
  #size = 0;
  #count = 0;
  #head: Anchor | undefined;
  #brokenAt: number | undefined;

  constructor(lines: Iterable<string>, origin: string) {
    this.#lines = new Peekable(lines);
    this.#prev = anchorGenesis(origin);
    this.advance();
  }

  /** The line at hand; undefined at the end and where the chain breaks. */
  get head(): Anchor | undefined {
    return this.#head;
  }

  /** Lines that fitted, the one at hand included. */
  get count(): number {
    return this.#count;
  }

  /** Number of the line that does not fit, if there is one; lines after it are not read. */
  get brokenAt(): number | undefined {
    return this.#brokenAt;
  }

  advance(): void {
    this.#head = undefined;
    const line = this.#brokenAt === undefined ? this.#lines.shift() : undefined;
    if (line === undefined) return;
    const anchor = parseAnchorLine(line);
    const note = anchor === undefined ? undefined : parseNote(anchor.note);
    if (anchor?.n !== this.#count || anchor.prev !== this.#prev || note === undefined || note.size < this.#size) {
      this.#brokenAt = this.#count;
      return;
    }
    this.#prev = anchorHash(line);
    this.#size = note.size;
    this.#head = { line: this.#count, note, hash: this.#prev };
    this.#count += 1;
  }
}
