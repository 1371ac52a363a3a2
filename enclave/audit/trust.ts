// SPDX-License-Identifier: Apache-2.0
/**
 * The trust file of local mode, `<state>/trust.json`: which keys belong to which log. It stands outside the log
 * directories, so that a log that was rewritten with another key does not bring its own trust along.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Trust } from '../../shared/audit/verify.ts';
import { Unavailable } from '../../shared/errors.ts';
import { parseStrictJson } from '../../shared/json/parse.ts';
import type { JsonValue } from '../../shared/json/value.ts';
import { isJsonObject, jsonObject } from '../../shared/json/value.ts';
import { LOCK_WAIT_MS_MAX, TRUST_BYTES_MAX } from '../../shared/limits.ts';
import { acquireExclusive } from '../store/sqlite.ts';
import { readStateFile, replaceStateFile } from './state-file.ts';

const LOG_ID = /^[0-9a-f]{32}$/;
const FINGERPRINT = /^[0-9a-f]{64}$/;

export function trustPath(stateDir: string): string {
  return join(stateDir, 'trust.json');
}

function unusable(path: string, cause?: unknown): Unavailable {
  return new Unavailable('FILE_UNREADABLE', `the trust file ${path} cannot be read`, 'restore it from a backup; if you remove it, older logs are no longer pinned to their keys', cause);
}

/**
 * Reads a trust file: `{"version":1,"logs":{"<log id>":["<SHA-256 of the SPKI>", ...]}}`. Null if there is none.
 * @throws Unavailable FILE_UNREADABLE
 */
export function readTrust(path: string): Trust | null {
  const bytes = readBytes(path);
  if (bytes === null) return null;
  const parsed = parseStrictJson(bytes);
  const trust = parsed.ok ? trustOf(parsed.value) : undefined;
  if (trust === undefined) throw unusable(path);
  return trust;
}

function readBytes(path: string): Uint8Array | null {
  try {
    return readStateFile(path, TRUST_BYTES_MAX);
  } catch (error) {
    throw unusable(path, error);
  }
}

function trustOf(value: JsonValue): Map<string, Set<string>> | undefined {
  if (!isJsonObject(value) || value['version'] !== 1 || Object.keys(value).length !== 2) return undefined;
  const { logs } = value;
  if (!isJsonObject(logs)) return undefined;
  const trust = new Map<string, Set<string>>();
  for (const [log, keys] of Object.entries(logs)) {
    if (!LOG_ID.test(log) || !Array.isArray(keys)) return undefined;
    const set = new Set<string>();
    for (const key of keys) {
      if (typeof key !== 'string' || !FINGERPRINT.test(key)) return undefined;
      set.add(key);
    }
    trust.set(log, set);
  }
  return trust;
}

/**
 * Notes that a key belongs to a log; nothing is written if that is known. Waits for other processes that do the same.
 * @throws Unavailable AUDIT_LOCKED, FILE_UNREADABLE
 */
export function addTrust(stateDir: string, log: string, fingerprint: string): void {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const path = trustPath(stateDir);
  const lock = acquireExclusive(`${path}.lock`, LOCK_WAIT_MS_MAX);
  try {
    const trust = new Map(readTrust(path));
    if (trust.get(log)?.has(fingerprint) === true) return;
    trust.set(log, new Set([...(trust.get(log) ?? []), fingerprint]));
    replace(path, trust);
  } finally {
    lock.release();
  }
}

function replace(path: string, trust: Trust): void {
  const logs = jsonObject(Object.fromEntries([...trust].map(([log, keys]) => [log, [...keys]])));
  replaceStateFile(path, jsonObject({ version: 1, logs }));
}
