// SPDX-License-Identifier: Apache-2.0
/**
 * The audit key: ML-DSA-44 by node:crypto, from a 32-byte seed. Where the seed is kept is decided in custody.ts; this file
 * holds the key itself and the seed file that only its owner can read (audit reference, section 4).
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { closeSync, constants, fstatSync, fsyncSync, linkSync, lstatSync, mkdirSync, openSync, readSync, readdirSync, renameSync, rmSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fingerprintOf, fromSpki, toSpki } from '../../shared/audit/checkpoint.ts';
import type { VerifySignature } from '../../shared/audit/checkpoint.ts';
import { Unavailable } from '../../shared/errors.ts';

export const SEED_BYTES = 32;
/** PKCS#8 of an ML-DSA-44 key as its seed alone (RFC 9881): the seed follows. */
const PKCS8_SEED_PREFIX = Buffer.from('3034020100300b060960864801650304031104228020', 'hex');

/** Where the seed of a key is kept. */
export type Custody = 'file' | 'keychain' | 'systemd-credential' | 'ephemeral';

export interface AuditKey {
  readonly custody: Custody;
  readonly privateKey: KeyObject;
  /** Raw, 1,312 bytes. */
  readonly publicKey: Uint8Array;
  /** SHA-256 of the SPKI, hex. */
  readonly fingerprint: string;
}

function describe(custody: Custody, privateKey: KeyObject): AuditKey {
  const publicKey = fromSpki(new Uint8Array(createPublicKey(privateKey).export({ format: 'der', type: 'spki' })));
  if (publicKey === undefined) throw new TypeError('not an ML-DSA-44 key');
  return { custody, privateKey, publicKey, fingerprint: fingerprintOf(publicKey) };
}

/** A key that ends with the process. */
export function createEphemeralKey(): AuditKey {
  return describe('ephemeral', generateKeyPairSync('ml-dsa-44').privateKey);
}

/** The key of a seed. */
export function keyFromSeed(seed: Uint8Array, custody: Custody): AuditKey {
  if (seed.length !== SEED_BYTES) throw new RangeError('a seed has 32 bytes');
  const der = Buffer.concat([PKCS8_SEED_PREFIX, seed]);
  const key = describe(custody, createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
  der.fill(0);
  return key;
}

/** Signs with the empty context; hedged, so two signatures of one message differ. Blocks for about a millisecond. */
export function signMessage(key: KeyObject, message: Uint8Array): Uint8Array {
  return sign(null, message, key);
}

/** Native verification: the last public key is kept, because a log's checkpoints share one. */
export function createNativeVerify(): VerifySignature {
  let known: { readonly raw: Uint8Array; readonly key: KeyObject } | undefined;
  return (publicKey, message, signature) => {
    try {
      if (known?.raw !== publicKey) {
        known = { raw: publicKey, key: createPublicKey({ key: Buffer.from(toSpki(publicKey)), format: 'der', type: 'spki' }) };
      }
      return verify(null, message, known.key, signature);
    } catch {
      return false;
    }
  };
}

function unusable(path: string, what: string, cause?: unknown): Unavailable {
  return new Unavailable('AUDIT_KEY', `the audit key ${path} ${what}`, 'it must be a file of 32 bytes, mode 0600, in a folder of mode 0700, both yours', cause);
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/** Platforms without user ids have neither the check nor the threat model of it. */
function isOwn(uid: number): boolean {
  return process.geteuid === undefined || process.geteuid() === uid;
}

const hasModes: boolean = process.platform !== 'win32';

function checkFolder(path: string): void {
  const folder = lstatSync(dirname(path));
  if (!folder.isDirectory()) throw unusable(path, 'stands in something that is no folder');
  if (!isOwn(folder.uid)) throw unusable(path, 'stands in a folder of another user');
  if (hasModes && (folder.mode & 0o077) !== 0) throw unusable(path, 'stands in a folder that others can enter');
}

/**
 * Reads the key of a seed file, or null if there is none.
 * @throws Unavailable AUDIT_KEY for a file or folder that is not as it must be
 */
export function loadKeyFile(path: string): AuditKey | null {
  let file: number;
  try {
    checkFolder(path);
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (isMissing(error)) return null;
    throw error instanceof Unavailable ? error : unusable(path, 'cannot be read', error);
  }
  try {
    const stat = fstatSync(file);
    if (!stat.isFile()) throw unusable(path, 'is no regular file');
    if (!isOwn(stat.uid)) throw unusable(path, 'belongs to another user');
    if (stat.nlink !== 1 && !dropLeftover(path, file, stat.ino)) throw unusable(path, 'has a second name');
    if (hasModes && (stat.mode & 0o077) !== 0) throw unusable(path, 'can be read by others');
    if (stat.size !== SEED_BYTES) throw unusable(path, 'does not have 32 bytes');
    const seed = Buffer.alloc(SEED_BYTES);
    if (readSync(file, seed, 0, SEED_BYTES, 0) !== SEED_BYTES) throw unusable(path, 'does not have 32 bytes');
    const key = keyFromSeed(seed, 'file');
    seed.fill(0);
    return key;
  } finally {
    closeSync(file);
  }
}

/**
 * Between the link and the unlink of createKeyFile the file has two names; a process that died there leaves it so. The
 * second name is removed if it is one of ours. True if the file then has one name.
 */
function dropLeftover(path: string, file: number, inode: number): boolean {
  const folder = dirname(path);
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(`${basename(path)}.`) || !/\.[0-9a-f]{16}\.tmp$/.test(name)) continue;
    if (lstatSync(join(folder, name), { throwIfNoEntry: false })?.ino === inode) rmSync(join(folder, name), { force: true });
  }
  return fstatSync(file).nlink === 1;
}

/**
 * Makes a seed file and reads it back. If another process makes it at the same moment, its file is the one that stays,
 * and is what this returns: a name appears only once the file behind it is whole.
 *
 * @throws Unavailable AUDIT_KEY
 */
export function createKeyFile(path: string): AuditKey {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    checkFolder(path);
    publish(path);
  } catch (error) {
    throw error instanceof Unavailable ? error : unusable(path, 'cannot be made', error);
  }
  const key = loadKeyFile(path);
  if (key === null) throw unusable(path, 'went away while it was made');
  return key;
}

function publish(path: string): void {
  const temporary = `${path}.${randomBytes(8).toString('hex')}.tmp`;
  const file = openSync(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
  try {
    const seed = randomBytes(SEED_BYTES);
    writeSync(file, seed);
    seed.fill(0);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  try {
    linkSync(temporary, path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
  syncFolder(dirname(path));
}

/** Puts one seed file in the place of another; there is no moment without one. */
export function replaceKeyFile(from: string, path: string): void {
  try {
    renameSync(from, path);
    syncFolder(dirname(path));
  } catch (error) {
    throw unusable(path, 'cannot be replaced', error);
  }
}

/** Makes names in a folder durable. */
export function syncFolder(path: string): void {
  if (process.platform === 'win32') return;
  const folder = openSync(path, constants.O_RDONLY);
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
