// SPDX-License-Identifier: Apache-2.0
/** Files of the pins that several processes change: each change under a lock, put in place as a whole. */
import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Unavailable } from '../../shared/errors.ts';
import { LOCK_WAIT_MS_MAX } from '../../shared/limits.ts';
import { acquireExclusive } from '../store/sqlite.ts';

/** Waiting for the lock blocks the thread in short steps: of one process, only the first in line does so. */
const lines = new Map<string, Promise<unknown>>();

/**
 * Does the work while nobody else holds the lock that a path stands for.
 * @throws Unavailable AUDIT_LOCKED if another holds it too long
 */
export async function withLock<T>(lockPath: string, work: () => Promise<T>): Promise<T> {
  const before = lines.get(lockPath) ?? Promise.resolve();
  const turn = before.then(() => alone(lockPath, work));
  const settled = turn.catch(() => undefined);
  lines.set(lockPath, settled);
  try {
    return await turn;
  } finally {
    if (lines.get(lockPath) === settled) lines.delete(lockPath);
  }
}

async function alone<T>(lockPath: string, work: () => Promise<T>): Promise<T> {
  const until = Date.now() + LOCK_WAIT_MS_MAX;
  for (;;) {
    const lock = tryLock(lockPath, Date.now() >= until);
    if (lock !== null) return work().finally(() => lock.release());
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
}

function tryLock(lockPath: string, last: boolean) {
  try {
    return acquireExclusive(lockPath);
  } catch (error) {
    if (last || !(error instanceof Unavailable) || error.code !== 'AUDIT_LOCKED') throw error;
    return null;
  }
}

/** Puts a new file in the place of an old one, and makes it last. */
export async function replaceFile(path: string, text: string, mode: number): Promise<void> {
  const temporary = join(dirname(path), `.bastion.lock.${randomBytes(6).toString('hex')}`);
  const file = await open(temporary, 'wx', mode);
  try {
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
