// SPDX-License-Identifier: Apache-2.0
/**
 * An approver's key file: an Ed25519 seed under a passphrase, by scrypt (RFC 7914) and AES-256-GCM. All that the file says
 * besides is authenticated with it, so that a name or a public key that was changed shows when the key is unlocked. The
 * cost of the derivation is bounded on both sides: a file from elsewhere can neither exhaust memory nor weaken the key.
 */
import { createCipheriv, createDecipheriv, createPrivateKey, createPublicKey, randomBytes, scrypt } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { closeSync, constants, fstatSync, fsyncSync, lstatSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { fromBase64, toBase64 } from '../../shared/audit/base64.ts';
import { equalBytes, utf8 } from '../../shared/bytes.ts';
import { Unavailable } from '../../shared/errors.ts';
import { canonicalJson } from '../../shared/json/canonical.ts';
import { parseStrictJson } from '../../shared/json/parse.ts';
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { isJsonObject, jsonObject } from '../../shared/json/value.ts';
import { APPROVER_KEY_BYTES_MAX, SCRYPT_N_MAX, SCRYPT_N_MIN, SCRYPT_P_MAX } from '../../shared/limits.ts';
import { syncFolder } from '../audit/key.ts';

const SCHEMA = 'mcp-bastion/approver-key/1';
const SCRYPT_R = 8;
const SALT_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const SEED_BYTES = 32;
/** PKCS#8 of an Ed25519 key (RFC 8410): the seed follows. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
const NAME = /^[a-z0-9._-]{1,32}$/;

export const APPROVER_NAME_HINT = 'use 1 to 32 of a-z, 0-9, dot, _ and -';

interface Cost {
  readonly n: number;
  readonly p: number;
}

/** A key file that was read; the key in it is still locked, and nothing of it is authenticated yet. */
export interface LockedKey {
  readonly name: string;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly cost: Cost;
  readonly salt: Uint8Array;
  readonly iv: Uint8Array;
  /** Ciphertext and tag. */
  readonly sealed: Uint8Array;
}

export function isApproverName(name: string): boolean {
  return NAME.test(name);
}

/** As the policy names a key. */
export function publicKeyText(publicKey: Uint8Array): string {
  return `ed25519:${toBase64(publicKey)}`;
}

function publicKeyOf(privateKey: KeyObject): Uint8Array {
  return new Uint8Array(createPublicKey(privateKey).export({ format: 'der', type: 'spki' }).subarray(-32));
}

function keyOfSeed(seed: Uint8Array): KeyObject {
  const der = Buffer.concat([PKCS8_PREFIX, seed]);
  try {
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  } finally {
    der.fill(0);
  }
}

/** Takes some tenths of a second and 128 MiB or more, off the event loop. */
function derive(passphrase: Uint8Array, salt: Uint8Array, { n, p }: Cost): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(passphrase, salt, 32, { N: n, r: SCRYPT_R, p, maxmem: 2 * 128 * n * SCRYPT_R }, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}

/** What stands in the file around the key; it is authenticated by the cipher. */
function headerOf({ name, publicKey, cost, salt, iv }: Omit<LockedKey, 'sealed'>): JsonObject {
  const kdf = jsonObject({ name: 'scrypt', n: cost.n, r: SCRYPT_R, p: cost.p, salt: toBase64(salt) });
  const cipher = jsonObject({ name: 'aes-256-gcm', iv: toBase64(iv) });
  return jsonObject({ schema: SCHEMA, name, public: publicKeyText(publicKey), kdf, cipher });
}

/** The text of a key file. */
export function keyFileText(key: LockedKey): string {
  return `${canonicalJson(jsonObject({ ...headerOf(key), sealed: toBase64(key.sealed) }))}\n`;
}

/** Makes a key and locks it with a passphrase. */
export async function createLockedKey(name: string, passphrase: Uint8Array): Promise<LockedKey> {
  const seed = randomBytes(SEED_BYTES);
  const header = { name, publicKey: publicKeyOf(keyOfSeed(seed)), cost: { n: SCRYPT_N_MIN, p: 1 }, salt: new Uint8Array(randomBytes(SALT_BYTES)), iv: new Uint8Array(randomBytes(IV_BYTES)) };
  const key = await derive(passphrase, header.salt, header.cost);
  try {
    const cipher = createCipheriv('aes-256-gcm', key, header.iv, { authTagLength: TAG_BYTES });
    cipher.setAAD(utf8(canonicalJson(headerOf(header))));
    const sealed = Buffer.concat([cipher.update(seed), cipher.final(), cipher.getAuthTag()]);
    return { ...header, sealed: new Uint8Array(sealed) };
  } finally {
    key.fill(0);
    seed.fill(0);
  }
}

/** The private key, or null if the passphrase is another one or the file was changed: the two cannot be told apart. */
export async function unlock(locked: LockedKey, passphrase: Uint8Array): Promise<KeyObject | null> {
  const key = await derive(passphrase, locked.salt, locked.cost);
  let seed = Buffer.alloc(0);
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, locked.iv, { authTagLength: TAG_BYTES });
    decipher.setAAD(utf8(canonicalJson(headerOf(locked))));
    decipher.setAuthTag(locked.sealed.subarray(SEED_BYTES));
    seed = Buffer.concat([decipher.update(locked.sealed.subarray(0, SEED_BYTES)), decipher.final()]);
    const privateKey = keyOfSeed(seed);
    return equalBytes(publicKeyOf(privateKey), locked.publicKey) ? privateKey : null;
  } catch {
    return null;
  } finally {
    key.fill(0);
    seed.fill(0);
  }
}

function bytesOf(value: JsonValue | undefined, length: number): Uint8Array | undefined {
  const bytes = typeof value === 'string' && value.length <= 4 * length ? fromBase64(value) : undefined;
  return bytes?.length === length ? bytes : undefined;
}

function costOf(kdf: JsonValue | undefined): Cost | undefined {
  if (!isJsonObject(kdf)) return undefined;
  const { n, p } = kdf;
  if (typeof n !== 'number' || !Number.isInteger(n) || n < SCRYPT_N_MIN || n > SCRYPT_N_MAX || (n & (n - 1)) !== 0) return undefined;
  if (typeof p !== 'number' || !Number.isInteger(p) || p < 1 || p > SCRYPT_P_MAX) return undefined;
  return { n, p };
}

/** Reads attacker-controlled bytes: one key file in the one form that is written, or undefined. */
export function parseKeyFile(bytes: Uint8Array): LockedKey | undefined {
  const parsed = parseStrictJson(bytes, { depthMax: 2 });
  if (!parsed.ok || !isJsonObject(parsed.value)) return undefined;
  const { name, public: shown, kdf, cipher } = parsed.value;
  const publicKey = typeof shown === 'string' && shown.startsWith('ed25519:') ? bytesOf(shown.slice('ed25519:'.length), 32) : undefined;
  const cost = costOf(kdf);
  const salt = isJsonObject(kdf) ? bytesOf(kdf['salt'], SALT_BYTES) : undefined;
  const iv = isJsonObject(cipher) ? bytesOf(cipher['iv'], IV_BYTES) : undefined;
  const sealed = bytesOf(parsed.value['sealed'], SEED_BYTES + TAG_BYTES);
  if (typeof name !== 'string' || !isApproverName(name) || publicKey === undefined || cost === undefined) return undefined;
  if (salt === undefined || iv === undefined || sealed === undefined) return undefined;
  const key = { name, publicKey, cost, salt, iv, sealed };
  // What is written anew from it is what was read: no member is unknown, and none has another value than expected.
  return equalBytes(utf8(keyFileText(key)), bytes) ? key : undefined;
}

function unusable(path: string, what: string, hint: string, cause?: unknown): Unavailable {
  return new Unavailable('APPROVER_KEY', `the key file ${path} ${what}`, hint, cause);
}

/** @throws Unavailable APPROVER_KEY for a file that is no key file, or that others can read */
export function readKeyFile(path: string): LockedKey {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw unusable(path, 'cannot be read', 'check the path; make one with: mcp-bastion approver new --name NAME', error);
  }
  try {
    const stat = fstatSync(file);
    if (!stat.isFile() || stat.size > APPROVER_KEY_BYTES_MAX) throw unusable(path, 'is no key file', 'make one with: mcp-bastion approver new --name NAME');
    if (process.platform !== 'win32' && (stat.mode & 0o077) !== 0) throw unusable(path, 'can be read by others', 'make it yours alone: chmod 600 FILE');
    const bytes = Buffer.alloc(stat.size);
    const key = readSync(file, bytes, 0, bytes.length, 0) === bytes.length ? parseKeyFile(bytes) : undefined;
    if (key === undefined) throw unusable(path, 'is no key file, or was changed', 'restore it from a backup, or make a new one and name its key in the policy');
    return key;
  } finally {
    closeSync(file);
  }
}

function fileExists(): Unavailable {
  return new Unavailable('FILE_EXISTS', 'the key file is there already', 'choose another name with -o: a key is never overwritten');
}

/**
 * Nobody should type a passphrase for nothing.
 * @throws Unavailable FILE_EXISTS
 */
export function checkNewFile(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) throw fileExists();
}

/**
 * Writes a new key file, and only a new one.
 * @throws Unavailable FILE_EXISTS, FILE_UNREADABLE
 */
export function writeKeyFile(path: string, key: LockedKey): void {
  let file: number;
  try {
    file = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') throw fileExists();
    throw new Unavailable('FILE_UNREADABLE', 'the key file cannot be written', 'check the folder and its permissions', error);
  }
  try {
    writeSync(file, keyFileText(key));
    fsyncSync(file);
    syncFolder(dirname(path));
  } catch (error) {
    rmSync(path, { force: true });
    throw new Unavailable('FILE_UNREADABLE', 'the key file cannot be written', 'check the disk', error);
  } finally {
    closeSync(file);
  }
}
