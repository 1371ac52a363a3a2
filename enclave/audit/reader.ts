// SPDX-License-Identifier: Apache-2.0
/**
 * Reads a segment: as a source for the verifier, and its last rows. Reads are cut into short transactions, which a log
 * that only grows allows: what is read ends where the last checkpoint ended when the segment was opened.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { basename } from 'node:path';
import { TILE_WIDTH } from '../../shared/audit/merkle.ts';
import type { SegmentSource, SchemaState, StoredCheckpoint, StoredEntry, StoredPayload } from '../../shared/audit/source.ts';
import { UnreadableSegment } from '../../shared/audit/source.ts';
import { Unavailable } from '../../shared/errors.ts';
import { ANCHOR_LINE_LENGTH_MAX } from '../../shared/limits.ts';
import { sqliteCode } from '../store/sqlite.ts';
import { member } from './columns.ts';
import { anchorPath, epochOf } from './files.ts';
import { schemaState } from './schema.ts';
import type { Snapshot } from './snapshot.ts';
import { openSnapshot } from './snapshot.ts';

const PAGE_ROWS = TILE_WIDTH;
/** Payloads can be large: fewer at a time. */
const PAGE_PAYLOADS = 16;
const CHUNK_BYTES = 64 * 1024;

const ENTRIES = 'SELECT idx, CAST(body AS BLOB) AS body, leaf FROM entry WHERE idx > ? AND idx <= ? ORDER BY idx LIMIT ?';
const PAYLOADS = 'SELECT idx, salt, media, data FROM payload WHERE idx > ? AND idx <= ? ORDER BY idx LIMIT ?';
const CHECKPOINTS = 'SELECT size, root, ts, key_id AS keyId, sig FROM checkpoint WHERE size > ? AND size <= ? ORDER BY size LIMIT ?';
const TAIL = 'SELECT idx, CAST(body AS BLOB) AS body, leaf FROM entry ORDER BY idx DESC LIMIT ?';
/** Rows beyond the last checkpoint are read too: they are a finding. */
const BOUNDS = 'SELECT (SELECT max(idx) FROM entry) AS idx, (SELECT max(idx) FROM payload) AS payload, (SELECT max(size) FROM checkpoint) AS size';

interface Bounds {
  readonly idx: number;
  readonly payload: number;
  readonly size: number;
}

/** Below every key: hostile rows may have negative ones. */
const BELOW = Number.MIN_SAFE_INTEGER;

/** Runs a read; what goes wrong with the storage comes out as UnreadableSegment, whose message is safe to show. */
function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    const code = sqliteCode(error);
    if (code === undefined) throw error;
    throw new UnreadableSegment(`the database cannot be read (${code})`, error);
  }
}

export class SegmentReader implements SegmentSource {
  readonly name: string;
  readonly epoch: number | null;
  readonly schema: SchemaState;
  readonly vkey: unknown;
  readonly grownTo: number;
  readonly #snapshot: Snapshot;
  readonly #bounds: Bounds;
  readonly #anchor: { readonly path: string; readonly bytes: number } | null;

  /** @throws Unavailable FILE_UNREADABLE, UnreadableSegment */
  constructor(path: string, open: (path: string) => Snapshot = openSnapshot) {
    this.name = basename(path);
    this.epoch = epochOf(this.name);
    this.#snapshot = reading(() => open(path));
    try {
      this.schema = reading(() => schemaState(this.#snapshot.database));
      const readable = this.schema === 'expected' || this.schema === 'extended';
      this.vkey = readable ? reading(() => this.#snapshot.database.prepare("SELECT v FROM meta WHERE k = 'vkey'").pluck().get()) : undefined;
      this.#bounds = readable ? this.#readBounds() : { idx: 0, payload: 0, size: 0 };
      this.#anchor = anchorExtent(anchorPath(path));
      this.grownTo = readable ? this.#readBounds().size : 0;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    if (this.#snapshot.database.open) this.#snapshot.close();
  }

  get lastCheckpointSize(): number {
    return this.#bounds.size;
  }

  get lastIdx(): number {
    return this.#bounds.idx;
  }

  *entries(after: number = BELOW): Generator<StoredEntry> {
    for (const row of this.#pages(ENTRIES, after, this.#bounds.idx, PAGE_ROWS, 'idx')) {
      yield { idx: member(row, 'idx'), body: member(row, 'body'), leaf: member(row, 'leaf') };
    }
  }

  *payloads(after: number = BELOW): Generator<StoredPayload> {
    for (const row of this.#pages(PAYLOADS, after, this.#bounds.payload, PAGE_PAYLOADS, 'idx')) {
      yield { idx: member(row, 'idx'), salt: member(row, 'salt'), media: member(row, 'media'), data: member(row, 'data') };
    }
  }

  *checkpoints(after: number = BELOW): Generator<StoredCheckpoint> {
    for (const row of this.#pages(CHECKPOINTS, after, this.#bounds.size, PAGE_ROWS, 'size')) {
      yield {
        size: member(row, 'size'),
        root: member(row, 'root'),
        ts: member(row, 'ts'),
        keyId: member(row, 'keyId'),
        sig: member(row, 'sig'),
      };
    }
  }

  tile(level: number, n: number): unknown {
    return reading(() => this.#snapshot.database.prepare('SELECT hashes FROM tile WHERE level = ? AND n = ?').pluck().get(level, n));
  }

  anchorLines(): Iterable<string> | null {
    return this.#anchor === null ? null : linesOf(this.#anchor.path, this.#anchor.bytes);
  }

  /** The last rows, newest first. */
  tail(limit: number): StoredEntry[] {
    const rows: unknown[] = reading(() => this.#snapshot.database.prepare(TAIL).all(limit));
    return rows.map((row) => ({ idx: member(row, 'idx'), body: member(row, 'body'), leaf: member(row, 'leaf') }));
  }

  payload(idx: number): StoredPayload | undefined {
    const row: unknown = reading(() => this.#snapshot.database.prepare('SELECT idx, salt, media, data FROM payload WHERE idx = ?').get(idx));
    if (row === undefined) return undefined;
    return { idx: member(row, 'idx'), salt: member(row, 'salt'), media: member(row, 'media'), data: member(row, 'data') };
  }

  /** Null if SQLite finds its own structures sound, else what it says. Reads the whole file. */
  quickCheck(): string | null {
    const said = reading(() => this.#snapshot.database.pragma('quick_check(1)', { simple: true }));
    return said === 'ok' ? null : String(said);
  }

  count(): number {
    return Number(reading(() => this.#snapshot.database.prepare('SELECT count(*) FROM entry').pluck().get()));
  }

  #readBounds(): Bounds {
    const row: unknown = reading(() => this.#snapshot.database.prepare(BOUNDS).get());
    const bound = (key: string): number => {
      const value = member(row, key);
      return typeof value === 'number' ? value : -1;
    };
    const size = bound('size');
    return { idx: bound('idx'), payload: bound('payload'), size: Math.max(0, size) };
  }

  *#pages(sql: string, after: number, upTo: number, count: number, key: string): Generator {
    const statement = reading(() => this.#snapshot.database.prepare(sql));
    let last = after;
    for (;;) {
      const rows: unknown[] = reading(() => statement.all(last, upTo, count));
      yield* rows;
      const next = member(rows.at(-1), key);
      if (rows.length < count || typeof next !== 'number') return;
      last = next;
    }
  }
}

/** The lines of the anchor file of a segment, which need not be there itself. */
export function readAnchorLines(segment: string): string[] {
  const extent = anchorExtent(anchorPath(segment));
  return extent === null ? [] : [...linesOf(extent.path, extent.bytes)];
}

function anchorExtent(path: string): { path: string; bytes: number } | null {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw new Unavailable('FILE_UNREADABLE', `${path} cannot be read`, 'look at its owner and mode', error);
  }
  try {
    return { path, bytes: fstatSync(file).size };
  } finally {
    closeSync(file);
  }
}

/**
 * Lines that end within the first so many bytes. What follows the last newline is left out: a write that was cut off.
 * An over-long line is given as an empty one, which is no anchor line.
 */
function* linesOf(path: string, bytes: number): Generator<string> {
  const file = openSync(path, constants.O_RDONLY);
  try {
    let rest = Buffer.alloc(0);
    for (let at = 0; at < bytes; ) {
      const chunk = Buffer.alloc(Math.min(CHUNK_BYTES, bytes - at));
      const got = readSync(file, chunk, 0, chunk.length, at);
      if (got === 0) return;
      at += got;
      rest = Buffer.concat([rest, chunk.subarray(0, got)]);
      for (let end = rest.indexOf(0x0a); end !== -1; end = rest.indexOf(0x0a)) {
        yield decodeLine(rest.subarray(0, end));
        rest = rest.subarray(end + 1);
      }
      if (rest.length > ANCHOR_LINE_LENGTH_MAX * 4) {
        yield '';
        return;
      }
    }
  } finally {
    closeSync(file);
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A line that is no UTF-8 is given as an empty one, which is no anchor line. */
function decodeLine(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    return '';
  }
}
