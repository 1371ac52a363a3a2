// SPDX-License-Identifier: Apache-2.0
/**
 * The operating system's keychain: the only file that imports @napi-rs/keyring. On Linux the store is pinned to the Secret
 * Service: without the pin the library would fall back to the kernel's keyring, which forgets the seed at the next start
 * of the machine (audit reference, section 4). What is stored is the 32-byte seed as bytes, which every platform can hold.
 */
import type { AsyncEntry, EntryOptions } from '@napi-rs/keyring';
import { Unavailable } from '../../shared/errors.ts';
import { KEYCHAIN_MS_MAX } from '../../shared/limits.ts';
import type { AuditKey } from './key.ts';
import { SEED_BYTES, keyFromSeed } from './key.ts';

/** Under which the seeds stand; the account tells them apart. */
export const KEYCHAIN_SERVICE = 'mcp-bastion';

const PINNED: EntryOptions = { linux: { store: 'secret-service' } };

/** One secret of a keychain. */
export interface SecretEntry {
  getSecret(): Promise<number[] | null>;
  setSecret(secret: Uint8Array): Promise<void>;
  deleteCredential(): Promise<boolean>;
}

/** Finds the entry of an account; throws where there is no keychain. */
export type OpenEntry = (account: string) => Promise<SecretEntry>;

/** The keychain of this user. The library is loaded only by those who use it: it is native code. */
export const openEntry: OpenEntry = async (account) => {
  const { AsyncEntry: Entry } = await import('@napi-rs/keyring');
  const entry: AsyncEntry = new Entry(KEYCHAIN_SERVICE, account, PINNED);
  return {
    getSecret: () => entry.getSecret(),
    setSecret: (secret) => entry.setSecret(secret),
    deleteCredential: () => entry.deleteCredential(),
  };
};

function unusable(what: string, hint: string, cause?: unknown): Unavailable {
  return new Unavailable('AUDIT_KEY', `the keychain ${what}`, hint, cause);
}

/** The library's own words are not shown: on Linux they come over D-Bus from whoever answers there. */
function explain(error: unknown): Unavailable {
  if (error instanceof Unavailable) return error;
  const said = error instanceof Error ? `${error.name} ${error.message}` : '';
  if (/dismissed|locked/i.test(said)) return unusable('is locked', 'unlock it and start again; on a server without a desktop use audit.key: systemd-credential or file', error);
  if (/ambiguous|matched by|more than one/i.test(said)) return unusable(`holds more than one secret for ${KEYCHAIN_SERVICE}`, 'remove the one that another program wrote', error);
  return unusable('cannot be used', 'it needs a desktop session (on Linux: D-Bus and a Secret Service); elsewhere use audit.key: systemd-credential or file', error);
}

/** A keychain that does not answer is one that fails: its dialogue may stand where nobody sees it. */
async function bounded<T>(work: () => Promise<T>, msMax: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(unusable('did not answer', 'look for its dialogue, or unlock it, and start again')), msMax);
  });
  try {
    return await Promise.race([work(), late]);
  } catch (error) {
    throw explain(error);
  } finally {
    clearTimeout(timer);
  }
}

export interface Keychain {
  /** The key of an account, null if there is none. */
  load(account: string): Promise<AuditKey | null>;
  /** Stores a seed and reads it back. */
  store(account: string, seed: Uint8Array): Promise<void>;
  /** The seed itself, for the caller who clears it; null if there is none. */
  seed(account: string): Promise<Uint8Array | null>;
  remove(account: string): Promise<void>;
}

/** @throws Unavailable AUDIT_KEY from each of its functions */
export function createKeychain(open: OpenEntry = openEntry, msMax: number = KEYCHAIN_MS_MAX): Keychain {
  const seed = async (account: string): Promise<Uint8Array | null> => {
    const secret = await bounded(async () => (await open(account)).getSecret(), msMax);
    if (secret === null) return null;
    const bytes = Uint8Array.from(secret);
    secret.fill(0);
    if (bytes.length === SEED_BYTES) return bytes;
    bytes.fill(0);
    throw unusable(`holds a secret of another length for ${KEYCHAIN_SERVICE}/${account}`, 'it is no audit key: restore the right one, or choose another audit.key_name');
  };
  const load = async (account: string): Promise<AuditKey | null> => {
    const bytes = await seed(account);
    if (bytes === null) return null;
    const key = keyFromSeed(bytes, 'keychain');
    bytes.fill(0);
    return key;
  };
  return {
    load,
    seed,
    store: async (account, bytes) => {
      await bounded(async () => (await open(account)).setSecret(bytes), msMax);
      const wanted = keyFromSeed(bytes, 'keychain').fingerprint;
      if ((await load(account))?.fingerprint !== wanted) throw unusable('did not keep what was stored', 'look at its own messages; use audit.key: file if it cannot be mended');
    },
    remove: async (account) => {
      await bounded(async () => (await open(account)).deleteCredential(), msMax);
    },
  };
}
