// SPDX-License-Identifier: Apache-2.0
/** Writes one segment: tables once, then one transaction per commit group. The caller holds the directory's lock. */
import type { Tile } from '../../shared/audit/merkle.ts';
import { Unavailable } from '../../shared/errors.ts';
import type { Database, Statement } from '../store/sqlite.ts';
import { createPrivateFile, openDatabase } from '../store/sqlite.ts';
import { createSchema, schemaState } from './schema.ts';

/** Milliseconds to wait for a reader that is just opening or closing the file. */
const BUSY_MS = 2000;

export interface NewEntry {
  readonly idx: number;
  readonly body: string;
  readonly leaf: Uint8Array;
  readonly payload: { readonly salt: Uint8Array; readonly media: string; readonly data: Uint8Array } | null;
}

export interface NewCheckpoint {
  readonly size: number;
  readonly root: Uint8Array;
  /** POSIX seconds. */
  readonly timestamp: number;
  readonly keyId: Uint8Array;
  readonly signature: Uint8Array;
}

/** What becomes durable together. */
export interface CommitGroup {
  readonly entries: readonly NewEntry[];
  readonly tiles: readonly Tile[];
  readonly checkpoint: NewCheckpoint;
}

interface Statements {
  readonly entry: Statement;
  readonly payload: Statement;
  readonly checkpoint: Statement;
  readonly tile: Statement;
}

/** A segment open for writing. */
export class SegmentStore {
  readonly #database: Database;
  #statements: Statements | undefined;
  /** Written with the first group of a new segment. */
  #meta: ReadonlyMap<string, string> | null;

  private constructor(database: Database, meta: ReadonlyMap<string, string> | null) {
    this.#database = database;
    this.#meta = meta;
  }

  /** Opens a file whose tables are there already, and were checked. */
  static resume(path: string): SegmentStore {
    return new SegmentStore(openForWriting(path), null);
  }

  /**
   * Opens a new or empty file. The tables come into being with the first group, in its transaction, so that a segment
   * with tables always has its boot row.
   */
  static begin(path: string, meta: ReadonlyMap<string, string>): SegmentStore {
    createPrivateFile(path);
    return new SegmentStore(openForWriting(path), meta);
  }

  /** Makes a group durable; throws with nothing of it written. */
  commit(group: CommitGroup): void {
    const database = this.#database;
    database.exec('BEGIN IMMEDIATE');
    try {
      if (this.#meta !== null) this.#create(this.#meta);
      this.#statements ??= prepare(database);
      this.#write(this.#statements, group);
      database.exec('COMMIT');
      this.#meta = null;
    } catch (error) {
      if (database.inTransaction) database.exec('ROLLBACK');
      throw error;
    }
  }

  close(): void {
    if (this.#database.open) this.#database.close();
  }

  #create(meta: ReadonlyMap<string, string>): void {
    if (schemaState(this.#database) !== 'empty') throw new Error('the segment is not empty');
    createSchema(this.#database);
    const insert = this.#database.prepare('INSERT INTO meta (k, v) VALUES (?, ?)');
    for (const [key, value] of meta) insert.run(key, value);
  }

  #write(statements: Statements, group: CommitGroup): void {
    for (const { idx, body, leaf, payload } of group.entries) {
      statements.entry.run(idx, body, leaf);
      if (payload !== null) statements.payload.run(idx, payload.salt, payload.media, payload.data);
    }
    for (const { level, n, hashes } of group.tiles) statements.tile.run(level, n, hashes);
    const { size, root, timestamp, keyId, signature } = group.checkpoint;
    statements.checkpoint.run(size, root, timestamp, keyId, signature);
  }
}

/**
 * Takes the payload of a row away, so that its bytes are in none of the segment's files any more. True if there was one.
 * The caller holds the directory's lock.
 */
export function erasePayload(path: string, idx: number): boolean {
  const database = openForWriting(path);
  try {
    database.pragma('secure_delete = ON');
    const { changes } = database.prepare('DELETE FROM payload WHERE idx = ?').run(idx);
    // Older versions of its pages may stand in the write-ahead log, which stays while somebody reads.
    if (database.pragma('wal_checkpoint(TRUNCATE)', { simple: true }) !== 0) {
      throw new Unavailable('AUDIT_LOCKED', 'what was erased still stands in the write-ahead log, as somebody reads it', 'end what reads the log, and run it again');
    }
    return changes > 0;
  } finally {
    database.close();
  }
}

function prepare(database: Database): Statements {
  return {
    entry: database.prepare('INSERT INTO entry (idx, body, leaf) VALUES (?, ?, ?)'),
    payload: database.prepare('INSERT INTO payload (idx, salt, media, data) VALUES (?, ?, ?, ?)'),
    checkpoint: database.prepare('INSERT INTO checkpoint (size, root, ts, key_id, sig) VALUES (?, ?, ?, ?, ?)'),
    // A tile is a cache: what a repair left behind is written over.
    tile: database.prepare('INSERT OR REPLACE INTO tile (level, n, hashes) VALUES (?, ?, ?)'),
  };
}

function openForWriting(path: string): Database {
  const database = openDatabase(path, { readonly: false, waitMs: BUSY_MS });
  try {
    database.pragma('trusted_schema = OFF');
    database.pragma('cell_size_check = ON');
    if (database.pragma('journal_mode = WAL', { simple: true }) !== 'wal') throw new Error('the file system does not allow a write-ahead log');
    database.pragma('synchronous = FULL');
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}
