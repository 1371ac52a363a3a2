// SPDX-License-Identifier: Apache-2.0
/**
 * Who keeps the audit key, and the rules that hold for all of them: there is no fallback from one place to another, a key
 * is made once, and one that is known but missing, or not the one that is known, is refused (audit reference, section 4).
 */
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { equalBytes, fromHex } from '../../shared/bytes.ts';
import { Unavailable } from '../../shared/errors.ts';
import { loadCredential } from './credential.ts';
import type { AuditKey, Custody } from './key.ts';
import { SEED_BYTES, createEphemeralKey, createKeyFile, createNativeVerify, loadKeyFile, replaceKeyFile, signMessage } from './key.ts';
import type { Keychain } from './keychain.ts';
import { KEYCHAIN_SERVICE, createKeychain } from './keychain.ts';
import { lockKeys, noteKey, readKnownKeys } from './known-keys.ts';

/** What the policy says of the key. */
export type KeySource =
  | { readonly kind: 'ephemeral' }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'keychain'; readonly name: string }
  | { readonly kind: 'systemd-credential'; readonly name: string };

/** A place that keeps a key beyond the end of the process. Everything throws Unavailable AUDIT_KEY. */
export interface KeyPlace {
  readonly custody: Exclude<Custody, 'ephemeral'>;
  /** Names the place in messages and in the file of known keys. */
  readonly where: string;
  load(): Promise<AuditKey | null>;
  /** Makes the key; one that another process made first is the one that stays. */
  create(): Promise<AuditKey>;
  /** The key that a rotation is about to put in place. */
  loadNext(): Promise<AuditKey | null>;
  createNext(): Promise<AuditKey>;
  /** Puts the next key in the place of the key. */
  promote(): Promise<void>;
  dropNext(): Promise<void>;
}

function filePlace(path: string): KeyPlace {
  const next = `${path}.next`;
  return {
    custody: 'file',
    where: `file:${resolve(path)}`,
    load: async () => loadKeyFile(path),
    create: async () => createKeyFile(path),
    loadNext: async () => loadKeyFile(next),
    createNext: async () => createKeyFile(next),
    promote: async () => replaceKeyFile(next, path),
    dropNext: async () => rmSync(next, { force: true }),
  };
}

function keychainPlace(name: string, keychain: Keychain): KeyPlace {
  const next = `${name}.next`;
  const make = async (account: string): Promise<AuditKey> => {
    const seed = randomBytes(SEED_BYTES);
    try {
      await keychain.store(account, seed);
    } finally {
      seed.fill(0);
    }
    const key = await keychain.load(account);
    if (key === null) throw gone(`keychain:${KEYCHAIN_SERVICE}/${account}`);
    return key;
  };
  return {
    custody: 'keychain',
    where: `keychain:${KEYCHAIN_SERVICE}/${name}`,
    load: () => keychain.load(name),
    create: () => make(name),
    loadNext: () => keychain.load(next),
    createNext: () => make(next),
    promote: async () => {
      const seed = await keychain.seed(next);
      if (seed === null) throw gone(`keychain:${KEYCHAIN_SERVICE}/${next}`);
      try {
        await keychain.store(name, seed);
      } finally {
        seed.fill(0);
      }
    },
    dropNext: () => keychain.remove(next),
  };
}

function credentialPlace(name: string, directory: string | undefined): KeyPlace {
  const refuse = async (): Promise<never> => {
    throw new Unavailable('AUDIT_KEY', `systemd keeps the credential ${name}, and nobody else can change it`, 'replace the credential of the unit; then remove its line from keys.json of the state folder');
  };
  return {
    custody: 'systemd-credential',
    where: `systemd-credential:${name}`,
    load: async () => loadCredential(directory, name),
    create: refuse,
    loadNext: async () => null,
    createNext: refuse,
    promote: refuse,
    dropNext: async () => undefined,
  };
}

export interface PlaceParts {
  readonly keychain: Keychain;
  /** CREDENTIALS_DIRECTORY. */
  readonly credentials: string | undefined;
}

/** What this process was given. */
export function systemParts(): PlaceParts {
  return { keychain: createKeychain(), credentials: process.env['CREDENTIALS_DIRECTORY'] };
}

/** The place that a policy names; null for a key that is kept nowhere. */
export function placeOf(source: KeySource, parts: PlaceParts = systemParts()): KeyPlace | null {
  switch (source.kind) {
    case 'ephemeral':
      return null;
    case 'file':
      return filePlace(source.path);
    case 'keychain':
      return keychainPlace(source.name, parts.keychain);
    case 'systemd-credential':
      return credentialPlace(source.name, parts.credentials);
  }
}

export function gone(where: string): Unavailable {
  return new Unavailable('AUDIT_KEY', `the audit key is gone from ${where}`, 'restore it: it is never made anew in place of one that was used');
}

function exchanged(where: string): Unavailable {
  return new Unavailable(
    'AUDIT_KEY',
    `the audit key in ${where} is not the one that was there`,
    'restore the right one; if you replaced it on purpose, remove its line from keys.json of the state folder',
  );
}

/** A key that does not sign what its public half verifies would make a log that nobody can check. */
function checked(key: AuditKey): AuditKey {
  const probe = fromHex(key.fingerprint) ?? new Uint8Array(0);
  if (!createNativeVerify()(key.publicKey, probe, signMessage(key.privateKey, probe))) {
    throw new Unavailable('AUDIT_KEY', 'the audit key does not sign', 'please report it');
  }
  return key;
}

export interface OpenKeyOptions {
  readonly stateDir: string;
  /** True if a log that is about to be continued was written with a key from this custody. */
  readonly wasUsed: (custody: Custody) => boolean;
}

/**
 * The key to write a log with. The caller holds the log's lock, so that a rotation either sees the log in use or is seen
 * here.
 * @throws Unavailable AUDIT_KEY, AUDIT_LOCKED
 */
export async function openKey(place: KeyPlace | null, options: OpenKeyOptions): Promise<AuditKey> {
  if (place === null) return createEphemeralKey();
  const { stateDir } = options;
  const known = readKnownKeys(stateDir).get(place.where);
  if ((await place.loadNext()) !== null) {
    throw new Unavailable('AUDIT_KEY', `a rotation of the audit key in ${place.where} was not finished`, 'finish it with: mcp-bastion keys rotate');
  }
  const found = await place.load();
  if (found !== null) return checked(accept(place, found, known, stateDir));
  if (known !== undefined || options.wasUsed(place.custody)) throw gone(place.where);
  return make(place, stateDir);
}

/** A key that was found is the known one, or the first one seen there. */
function accept(place: KeyPlace, found: AuditKey, known: string | undefined, stateDir: string): AuditKey {
  if (known === found.fingerprint) return found;
  if (known !== undefined) throw exchanged(place.where);
  const lock = lockKeys(stateDir);
  try {
    const now = readKnownKeys(stateDir).get(place.where) ?? found.fingerprint;
    if (now !== found.fingerprint) throw exchanged(place.where);
    noteKey(stateDir, place.where, found.fingerprint);
  } finally {
    lock.release();
  }
  return found;
}

/** Another process may have made it while this one waited for the lock. */
async function make(place: KeyPlace, stateDir: string): Promise<AuditKey> {
  const lock = lockKeys(stateDir);
  try {
    const key = checked((await place.load()) ?? (await place.create()));
    const again = await place.load();
    if (again === null || !equalBytes(again.publicKey, key.publicKey)) throw gone(place.where);
    noteKey(stateDir, place.where, key.fingerprint);
    return key;
  } finally {
    lock.release();
  }
}
