// SPDX-License-Identifier: Apache-2.0
/**
 * Opens a segment for reading without leaving a trace beside it, with Node's own SQLite: the verifier has no native
 * package to install, and reads the very file that the gateway wrote, so that no export stands between the two.
 *
 * SQLite reads a write-ahead log with the help of a `-shm` file, and makes one if there is none. It is there while a
 * writer lives and after one was killed: then the file is opened in place. A `-wal` without it (a copy) is read from a
 * private copy in the system's folder for temporary files. Without either, all rows are in the file itself, and it is
 * opened as one that nobody changes; should a writer start meanwhile, the marks show it.
 */
import { constants, copyFileSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { UnreadableSegment } from '../audit/source.ts';
import { Unavailable } from '../errors.ts';
import { READ_TRANSACTION_MS_MAX } from '../limits.ts';

const COPY_ATTEMPTS_MAX = 3;

export interface OpenLog {
  readonly database: DatabaseSync;
  /** @throws UnreadableSegment if the files changed in a way that what was read may be a mixture */
  assertUnchanged(): void;
  close(): void;
}

/** The name of what SQLite or Node's binding to it found wrong; undefined for errors of another kind. */
function storageCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  if (error.code !== 'ERR_SQLITE_ERROR') return undefined;
  return 'errcode' in error && typeof error.errcode === 'number' ? `SQLITE ${error.errcode & 0xff}` : 'SQLITE';
}

/** Runs a read; what goes wrong with the storage comes out as UnreadableSegment, whose message is safe to show. */
export function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    const code = storageCode(error);
    if (code === undefined) throw error;
    throw new UnreadableSegment(`the database cannot be read (${code})`, error);
  }
}

/** @throws Unavailable FILE_UNREADABLE, UnreadableSegment */
export function openLog(path: string): OpenLog {
  // A pipe under the name of a segment would hold the command for ever.
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) throw new Unavailable('FILE_UNREADABLE', `${path} is no file`, 'name a log directory or one .sqlite file of it');
  if (exists(`${path}-shm`)) return opened(path, () => undefined);
  if (exists(`${path}-wal`)) return openCopy(path);
  const before = marks(path);
  const url = pathToFileURL(path);
  url.searchParams.set('immutable', '1');
  return opened(url, () => {
    if (marks(path) !== before) throw new UnreadableSegment('the database changed while it was read');
  });
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

function openCopy(path: string): OpenLog {
  const folder = mkdtempSync(join(tmpdir(), 'bastion-verify-log-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    const copy = join(folder, 'segment.sqlite');
    copyWhole(path, copy);
    const log = opened(copy, () => undefined);
    return {
      ...log,
      close: () => {
        log.close();
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}

function opened(location: string | URL, assertUnchanged: () => void): OpenLog {
  return reading(() => {
    const database = new DatabaseSync(location, { readOnly: true, timeout: READ_TRANSACTION_MS_MAX });
    try {
      database.exec('PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA query_only = ON');
      return { database, assertUnchanged, close: () => database.close() };
    } catch (error) {
      database.close();
      throw error;
    }
  });
}

/** A writer that starts during the copy shows in the marks; then the copy is made again. */
function copyWhole(path: string, copy: string): void {
  for (let attempt = 0; attempt < COPY_ATTEMPTS_MAX; attempt += 1) {
    const before = marks(path);
    for (const suffix of ['', '-wal']) {
      rmSync(copy + suffix, { force: true });
      if (exists(path + suffix)) copyFileSync(path + suffix, copy + suffix, constants.COPYFILE_FICLONE);
    }
    if (marks(path) === before) return;
  }
  throw new Unavailable('FILE_UNREADABLE', `${path} changes while it is read`, 'try again');
}

function marks(path: string): string {
  return ['', '-wal', '-shm']
    .map((suffix) => statSync(path + suffix, { throwIfNoEntry: false }))
    .map((stat) => (stat === undefined ? '-' : `${stat.size}:${stat.mtimeMs}:${stat.ino}`))
    .join(' ');
}
