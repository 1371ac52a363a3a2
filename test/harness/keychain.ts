// SPDX-License-Identifier: Apache-2.0
/** A keychain in memory, with the faults that real ones have. */
import type { Keychain, OpenEntry } from '../../enclave/audit/keychain.ts';
import { createKeychain } from '../../enclave/audit/keychain.ts';

export interface FakeKeychain {
  readonly keychain: Keychain;
  readonly secrets: Map<string, Uint8Array>;
  /** Every write, in order. */
  readonly writes: string[];
  /** What the next calls do instead of their work. */
  fault: (() => Promise<never>) | null;
}

export function fakeKeychain(msMax = 5000): FakeKeychain {
  const secrets = new Map<string, Uint8Array>();
  const writes: string[] = [];
  const fake: { fault: FakeKeychain['fault'] } = { fault: null };
  const open: OpenEntry = async (account) => ({
    getSecret: async () => {
      await fake.fault?.();
      const secret = secrets.get(account);
      return secret === undefined ? null : [...secret];
    },
    setSecret: async (secret) => {
      await fake.fault?.();
      writes.push(account);
      secrets.set(account, Uint8Array.from(secret));
    },
    deleteCredential: async () => {
      await fake.fault?.();
      return secrets.delete(account);
    },
  });
  return Object.assign(fake, { keychain: createKeychain(open, msMax), secrets, writes });
}
