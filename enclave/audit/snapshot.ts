// SPDX-License-Identifier: Apache-2.0
/**
 * Opens a database for reading without leaving a trace beside it. SQLite reads a write-ahead log with the help of a
 * `-shm` file, and makes one if there is none. It is there while a writer lives and after one was killed: then the file
 * is opened in place. Without it (an orderly end, or a copy) a private copy in the system's folder for temporary files
 * is read instead, with the `-wal` file if there is one. `immutable` is no way out: it leaves the `-wal` unread.
 */
import { constants, copyFileSync, existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Unavailable } from '../../shared/errors.ts';
import { READ_TRANSACTION_MS_MAX } from '../../shared/limits.ts';
import type { Database } from '../store/sqlite.ts';
import { openDatabase } from '../store/sqlite.ts';

const COPY_ATTEMPTS_MAX = 3;

export interface Snapshot {
  readonly database: Database;
  close(): void;
}

/** @throws Unavailable FILE_UNREADABLE; errors of SQLite come as they are */
export function openSnapshot(path: string): Snapshot {
  if (!existsSync(path)) throw new Unavailable('FILE_UNREADABLE', `there is no file ${path}`, 'name a log directory or one .sqlite file of it');
  if (existsSync(`${path}-shm`)) {
    const database = prepare(path);
    return { database, close: () => database.close() };
  }
  return openCopy(path);
}

/** For the holder of the directory's lock, who may leave SQLite's files beside the segment. */
export function openInPlace(path: string): Snapshot {
  const database = prepare(path, false);
  return { database, close: () => database.close() };
}

function openCopy(path: string): Snapshot {
  const folder = mkdtempSync(join(tmpdir(), 'mcp-bastion-read-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    const copy = join(folder, 'segment.sqlite');
    copyWhole(path, copy);
    const database = prepare(copy);
    return {
      database,
      close: () => {
        database.close();
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}

function prepare(path: string, readonly = true): Database {
  const database = openDatabase(path, { readonly, waitMs: READ_TRANSACTION_MS_MAX });
  try {
    database.pragma('trusted_schema = OFF');
    database.pragma('cell_size_check = ON');
    database.pragma('query_only = ON');
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** A writer that starts during the copy shows in the marks; then the copy is made again. */
function copyWhole(path: string, copy: string): void {
  for (let attempt = 0; attempt < COPY_ATTEMPTS_MAX; attempt += 1) {
    const before = marks(path);
    for (const suffix of ['', '-wal']) {
      rmSync(copy + suffix, { force: true });
      if (existsSync(path + suffix)) copyFileSync(path + suffix, copy + suffix, constants.COPYFILE_FICLONE);
    }
    if (marks(path) === before) return;
  }
  throw new Unavailable('FILE_UNREADABLE', `${path} changes while it is read`, 'try again');
}

function marks(path: string): string {
  return ['', '-wal', '-shm']
    .map((suffix) => statSync(path + suffix, { throwIfNoEntry: false }))
    .map((stat) => (stat === undefined ? '-' : `${stat.size}:${stat.mtimeMs}`))
    .join(' ');
}
