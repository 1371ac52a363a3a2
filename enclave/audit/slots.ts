// SPDX-License-Identifier: Apache-2.0
/**
 * Which directory a process writes its log to. Two windows of one client start the same server twice: each takes the
 * first slot that nobody holds, so each writes a log of its own.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Unavailable } from '../../shared/errors.ts';
import { LOG_SLOTS_MAX } from '../../shared/limits.ts';
import type { Lock } from '../store/sqlite.ts';
import { acquireExclusive } from '../store/sqlite.ts';
import { LOCK_NAME } from './files.ts';

/** Milliseconds to wait for a directory that was named: whoever looks at the lock at this moment is gone by then. */
const NAMED_WAIT_MS = 250;

export interface LogDirectory {
  readonly dir: string;
  /** Null for a directory that the policy names. */
  readonly slot: number | null;
  readonly lock: Lock;
}

function makeDirectory(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new Unavailable('AUDIT_UNAVAILABLE', `the log directory ${dir} cannot be made`, 'choose another with audit.path, or mend its owner and mode', error);
  }
}

/** Where the logs of local mode stand. */
export function logsRoot(stateDir: string): string {
  return join(stateDir, 'audit');
}

/**
 * Takes the named directory.
 * @throws Unavailable AUDIT_LOCKED if another process writes there
 */
export function takeDirectory(dir: string): LogDirectory {
  makeDirectory(dir);
  try {
    return { dir, slot: null, lock: acquireExclusive(join(dir, LOCK_NAME), NAMED_WAIT_MS) };
  } catch (error) {
    if (!(error instanceof Unavailable) || error.code !== 'AUDIT_LOCKED') throw error;
    throw new Unavailable('AUDIT_LOCKED', `another process writes the log in ${dir}`, 'end it, or leave audit.path out: then each process takes a slot of its own', error);
  }
}

/**
 * Takes the first free slot of a server.
 * @throws Unavailable AUDIT_LOCKED if all are held
 */
export function takeSlot(stateDir: string, server: string): LogDirectory {
  for (let slot = 0; slot < LOG_SLOTS_MAX; slot += 1) {
    const dir = join(logsRoot(stateDir), server, String(slot));
    makeDirectory(dir);
    try {
      return { dir, slot, lock: acquireExclusive(join(dir, LOCK_NAME)) };
    } catch (error) {
      if (!(error instanceof Unavailable) || error.code !== 'AUDIT_LOCKED') throw error;
    }
  }
  throw new Unavailable('AUDIT_LOCKED', `all ${LOG_SLOTS_MAX} logs of ${server} are being written`, 'end some of the processes that run it');
}
