// SPDX-License-Identifier: Apache-2.0
/**
 * `<state>/keys.json`: the fingerprint of the key in each place that ever held one. Public, and apart from the key: a
 * secret that is gone or another is then noticed, and never made anew in silence (audit reference, section 4).
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Unavailable } from '../../shared/errors.ts';
import { parseStrictJson } from '../../shared/json/parse.ts';
import { isJsonObject, jsonObject } from '../../shared/json/value.ts';
import { KNOWN_KEYS_BYTES_MAX, LOCK_WAIT_MS_MAX } from '../../shared/limits.ts';
import type { Lock } from '../store/sqlite.ts';
import { acquireExclusive } from '../store/sqlite.ts';
import { readStateFile, replaceStateFile } from './state-file.ts';

const FINGERPRINT = /^[0-9a-f]{64}$/;

export function knownKeysPath(stateDir: string): string {
  return join(stateDir, 'keys.json');
}

function unusable(path: string, cause?: unknown): Unavailable {
  return new Unavailable('AUDIT_KEY', `the file of known keys ${path} cannot be read`, 'restore it from a backup; without it a lost key would be replaced unnoticed', cause);
}

/** Fingerprints by place. @throws Unavailable AUDIT_KEY */
export function readKnownKeys(stateDir: string): ReadonlyMap<string, string> {
  const path = knownKeysPath(stateDir);
  let bytes: Uint8Array | null;
  try {
    bytes = readStateFile(path, KNOWN_KEYS_BYTES_MAX);
  } catch (error) {
    throw unusable(path, error);
  }
  if (bytes === null) return new Map();
  const parsed = parseStrictJson(bytes);
  if (!parsed.ok || !isJsonObject(parsed.value) || parsed.value['version'] !== 1) throw unusable(path);
  const { keys } = parsed.value;
  if (!isJsonObject(keys)) throw unusable(path);
  const known = new Map<string, string>();
  for (const [place, fingerprint] of Object.entries(keys)) {
    if (typeof fingerprint !== 'string' || !FINGERPRINT.test(fingerprint)) throw unusable(path);
    known.set(place, fingerprint);
  }
  return known;
}

/**
 * Keeps other processes from making or changing a key.
 * @throws Unavailable AUDIT_LOCKED
 */
export function lockKeys(stateDir: string): Lock {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  return acquireExclusive(`${knownKeysPath(stateDir)}.lock`, LOCK_WAIT_MS_MAX);
}

/** Notes what a place holds from now on. For the holder of the lock. */
export function noteKey(stateDir: string, place: string, fingerprint: string): void {
  const known = new Map(readKnownKeys(stateDir));
  if (known.get(place) === fingerprint) return;
  known.set(place, fingerprint);
  replaceStateFile(knownKeysPath(stateDir), jsonObject({ version: 1, keys: jsonObject(Object.fromEntries(known)) }));
}
