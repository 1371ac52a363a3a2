// SPDX-License-Identifier: Apache-2.0
/**
 * Opens SQLite databases: the only file that imports better-sqlite3. Also the lock between processes: an exclusive
 * transaction on a small database, which the operating system releases when the process dies, however it dies.
 */
import { closeSync, constants, openSync } from 'node:fs';
import Sqlite from 'better-sqlite3';
import { Unavailable } from '../../shared/errors.ts';

export type Database = Sqlite.Database;
export type Statement = Sqlite.Statement;

/** Below it SQLite can lose committed rows of a WAL database with two connections. */
const VERSION_MIN = [3, 51, 3] as const;
/** Milliseconds: two processes that ask at the same moment can each see the other's first step. */
const LOCK_WAIT_MS = 20;

export interface OpenOptions {
  readonly readonly: boolean;
  /** Milliseconds to wait for another connection's lock; the thread is blocked meanwhile. */
  readonly waitMs: number;
}

/** The `code` of an SQLite error, such as `SQLITE_BUSY`, else undefined. */
export function sqliteCode(error: unknown): string | undefined {
  return error instanceof Sqlite.SqliteError ? error.code : undefined;
}

/** Creates an empty file that only its owner can read. A file that is there is left alone, and never opened. */
export function createPrivateFile(path: string): void {
  try {
    closeSync(openSync(path, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW, 0o600));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
}

/** Opens an existing file. Throws SqliteError as it comes. */
export function openDatabase(path: string, options: OpenOptions): Database {
  const database = new Sqlite(path, { readonly: options.readonly, fileMustExist: true, timeout: options.waitMs });
  assertVersion(database);
  return database;
}

function assertVersion(database: Database): void {
  const version: unknown = database.prepare('SELECT sqlite_version()').pluck().get();
  const parts = String(version).split('.').map(Number);
  for (const [index, least] of VERSION_MIN.entries()) {
    const part = parts[index] ?? 0;
    if (part > least) return;
    if (part < least) {
      database.close();
      throw new Unavailable('AUDIT_UNAVAILABLE', `SQLite ${String(version)} is too old`, `install a build with SQLite ${VERSION_MIN.join('.')} or newer`);
    }
  }
}

export interface Lock {
  /** Lets the next one in. Releasing twice does nothing. */
  release(): void;
}

/**
 * Takes the lock that a path stands for; the file is created if need be and stays empty. No other code of the process
 * may open that file while the lock is held: closing it would release the lock (POSIX record locks).
 *
 * @param waitMs blocks the thread for at most so long
 * @throws Unavailable AUDIT_LOCKED if another holds it, FILE_UNREADABLE if the file cannot be used
 */
export function acquireExclusive(path: string, waitMs: number = LOCK_WAIT_MS): Lock {
  let database: Database | undefined;
  try {
    createPrivateFile(path);
    database = new Sqlite(path, { timeout: waitMs });
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database?.close();
    const code = sqliteCode(error);
    if (code?.startsWith('SQLITE_BUSY') === true) {
      throw new Unavailable('AUDIT_LOCKED', `${path} is held by another process`, 'end the other process, or choose another place', error);
    }
    throw new Unavailable('FILE_UNREADABLE', `${path} cannot be used as a lock`, 'it must be an empty file that this user can write', error);
  }
  const held = database;
  return {
    release: () => {
      if (held.open) held.close();
    },
  };
}
