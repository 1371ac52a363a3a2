// SPDX-License-Identifier: Apache-2.0
/**
 * A seed that systemd hands over (LoadCredentialEncrypted=, bound to the TPM or the machine): $CREDENTIALS_DIRECTORY/NAME.
 * It is read and never written (audit reference, section 4).
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { Unavailable } from '../../shared/errors.ts';
import type { AuditKey } from './key.ts';
import { SEED_BYTES, keyFromSeed } from './key.ts';

function unusable(name: string, what: string, cause?: unknown): Unavailable {
  return new Unavailable('AUDIT_KEY', `the credential ${name} ${what}`, `give the unit a line LoadCredentialEncrypted=${name}: with a seed of ${SEED_BYTES} bytes`, cause);
}

/**
 * systemd makes the file for the user of the unit with mode 0400. Where the file system has access lists the file stays
 * root's and the user gets an entry in its list: the mode then shows the list's mask as 0440, and no group can read.
 */
function isPrivate({ uid, mode }: Stats): boolean {
  const user = process.geteuid?.();
  if (user === undefined) return true;
  const open = mode & 0o077;
  if (uid === user) return open === 0 && (mode & 0o200) === 0;
  return uid === 0 && (open === 0 || open === 0o040);
}

function isSafeFolder({ uid, mode }: Stats): boolean {
  const user = process.geteuid?.();
  return user === undefined || ((uid === user || uid === 0) && (mode & 0o022) === 0);
}

/**
 * Reads the key of a credential.
 * @param directory CREDENTIALS_DIRECTORY of the process
 * @throws Unavailable AUDIT_KEY, also if it is not there
 */
export function loadCredential(directory: string | undefined, name: string): AuditKey {
  if (directory === undefined || !isAbsolute(directory)) throw unusable(name, 'cannot be found, as CREDENTIALS_DIRECTORY is not set');
  let file: number | undefined;
  try {
    const folder = lstatSync(directory);
    if (!folder.isDirectory() || !isSafeFolder(folder)) throw unusable(name, 'stands in a folder that others can change');
    file = openSync(join(directory, name), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const stat = fstatSync(file);
    if (!stat.isFile()) throw unusable(name, 'is no regular file');
    if (!isPrivate(stat)) throw unusable(name, 'can be read or changed by others');
    if (stat.nlink !== 1) throw unusable(name, 'has a second name');
    if (stat.size !== SEED_BYTES) throw unusable(name, `does not have ${SEED_BYTES} bytes`);
    const seed = Buffer.alloc(SEED_BYTES);
    if (readSync(file, seed, 0, SEED_BYTES, 0) !== SEED_BYTES) throw unusable(name, `does not have ${SEED_BYTES} bytes`);
    const key = keyFromSeed(seed, 'systemd-credential');
    seed.fill(0);
    return key;
  } catch (error) {
    throw error instanceof Unavailable ? error : unusable(name, 'cannot be read', error);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
