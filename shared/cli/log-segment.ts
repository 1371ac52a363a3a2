// SPDX-License-Identifier: Apache-2.0
/**
 * A segment file as the verifier reads it. Integers are read as BigInt, because a hostile one beyond 2^53 would else end
 * the reading, not the log's good name. What is read ends where the last checkpoint ended when the segment was opened.
 */
import { basename } from 'node:path';
import type { StatementSync } from 'node:sqlite';
import type { SchemaState, SegmentSource, StoredCheckpoint, StoredEntry, StoredPayload } from '../audit/source.ts';
import { schemaStateOf } from '../audit/tables.ts';
import { TILE_WIDTH } from '../audit/merkle.ts';
import type { AnchorExtent } from './anchor-lines.ts';
import { anchorExtent, anchorLinesOf } from './anchor-lines.ts';
import { anchorPathOf, epochOf } from './log-find.ts';
import type { OpenLog } from './log-open.ts';
import { openLog, reading } from './log-open.ts';

const PAGE_ROWS = TILE_WIDTH;
/** Payloads can be large, up to a mebibyte: fewer at a time. */
const PAGE_PAYLOADS = 32;
/** Pages between two looks at whether the files are still the same. */
const PAGES_UNWATCHED = 16;
/** Below every key: hostile rows may have negative ones. */
const BELOW: bigint = -(2n ** 63n);

const ENTRIES = 'SELECT idx, CAST(body AS BLOB), leaf FROM entry WHERE idx >= ? AND idx <= ? ORDER BY idx LIMIT ?';
const PAYLOADS = 'SELECT idx, salt, media, data FROM payload WHERE idx >= ? AND idx <= ? ORDER BY idx LIMIT ?';
const CHECKPOINTS = 'SELECT size, root, ts, key_id, sig FROM checkpoint WHERE size >= ? AND size <= ? ORDER BY size LIMIT ?';
const TILE = 'SELECT hashes FROM tile WHERE level = ? AND n = ?';
/** Rows beyond the last checkpoint are read too: they are a finding. */
const BOUNDS = 'SELECT (SELECT max(idx) FROM entry), (SELECT max(idx) FROM payload), (SELECT max(size) FROM checkpoint)';

function cell(row: unknown, at: number): unknown {
  if (!Array.isArray(row)) return undefined;
  const value: unknown = row[at];
  // Beyond 2^53 it becomes a number that is not safe, and no index, size or time.
  return typeof value === 'bigint' ? Number(value) : value;
}

function keyOf(row: unknown): bigint | undefined {
  const key = Array.isArray(row) ? (row[0] satisfies unknown) : undefined;
  return typeof key === 'bigint' ? key : undefined;
}

export class LogSegment implements SegmentSource {
  readonly name: string;
  readonly epoch: number | null;
  readonly schema: SchemaState;
  readonly vkey: unknown;
  readonly grownTo: number;
  readonly #log: OpenLog;
  readonly #bounds: readonly [entry: bigint, payload: bigint, checkpoint: bigint];
  readonly #anchor: AnchorExtent | null;
  #tile: StatementSync | undefined;

  /** @throws Unavailable FILE_UNREADABLE, UnreadableSegment */
  constructor(path: string) {
    this.name = basename(path);
    this.epoch = epochOf(this.name);
    this.#log = openLog(path);
    try {
      this.schema = reading(() => this.#schemaState());
      const readable = this.schema === 'expected' || this.schema === 'extended';
      this.vkey = readable ? cell(this.#one("SELECT v FROM meta WHERE k = 'vkey'"), 0) : undefined;
      this.#bounds = readable ? this.#readBounds() : [BELOW, BELOW, BELOW];
      this.#anchor = anchorExtent(anchorPathOf(path));
      this.grownTo = readable ? Math.max(0, Number(this.#readBounds()[2])) : 0;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    this.#log.close();
  }

  *entries(): Generator<StoredEntry> {
    for (const row of this.#pages(ENTRIES, this.#bounds[0], PAGE_ROWS)) yield { idx: cell(row, 0), body: cell(row, 1), leaf: cell(row, 2) };
  }

  *payloads(): Generator<StoredPayload> {
    for (const row of this.#pages(PAYLOADS, this.#bounds[1], PAGE_PAYLOADS)) {
      yield { idx: cell(row, 0), salt: cell(row, 1), media: cell(row, 2), data: cell(row, 3) };
    }
  }

  *checkpoints(): Generator<StoredCheckpoint> {
    for (const row of this.#pages(CHECKPOINTS, this.#bounds[2], PAGE_ROWS)) {
      yield { size: cell(row, 0), root: cell(row, 1), ts: cell(row, 2), keyId: cell(row, 3), sig: cell(row, 4) };
    }
  }

  tile(level: number, n: number): unknown {
    return reading(() => {
      this.#tile ??= this.#prepare(TILE);
      const row: unknown = this.#tile.get(level, n);
      return cell(row, 0);
    });
  }

  anchorLines(): Iterable<string> | null {
    return this.#anchor === null ? null : anchorLinesOf(this.#anchor);
  }

  #schemaState(): SchemaState {
    const objects = this.#prepare('SELECT name, sql FROM sqlite_schema').all().map((row: unknown) => ({ name: cell(row, 0), sql: cell(row, 1) }));
    return schemaStateOf(objects, cell(this.#one('PRAGMA application_id'), 0), cell(this.#one('PRAGMA user_version'), 0));
  }

  #prepare(sql: string): StatementSync {
    const statement = this.#log.database.prepare(sql);
    statement.setReturnArrays(true);
    statement.setReadBigInts(true);
    return statement;
  }

  #one(sql: string): unknown {
    return reading(() => this.#prepare(sql).get());
  }

  #readBounds(): readonly [bigint, bigint, bigint] {
    const row = this.#one(BOUNDS);
    const bound = (at: number): bigint => {
      const value: unknown = Array.isArray(row) ? row[at] : undefined;
      return typeof value === 'bigint' ? value : BELOW;
    };
    return [bound(0), bound(1), bound(2)];
  }

  *#pages(sql: string, upTo: bigint, count: number): Generator {
    const statement = reading(() => this.#prepare(sql));
    let from = BELOW;
    for (let page = 1; from <= upTo; page += 1) {
      const rows: unknown[] = reading(() => statement.all(from, upTo, count));
      const last = rows.length < count ? undefined : keyOf(rows.at(-1));
      if (last === undefined || page % PAGES_UNWATCHED === 0) this.#log.assertUnchanged();
      yield* rows;
      if (last === undefined) return;
      from = last + 1n;
    }
  }
}
