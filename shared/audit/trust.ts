// SPDX-License-Identifier: Apache-2.0
/**
 * The trust file of logs, `{"version":1,"logs":{"<log id>":["<SHA-256 of the SPKI>", ...]}}`: which keys belong to which
 * log. It is its owner's own, yet read strictly: a key that is passed over would be trust that nobody gave.
 */
import { parseStrictJson } from '../json/parse.ts';
import { isJsonObject } from '../json/value.ts';
import type { Trust } from './verify.ts';

const LOG_ID = /^[0-9a-f]{32}$/;
const FINGERPRINT = /^[0-9a-f]{64}$/;

/** Undefined for any other form. */
export function readLogTrust(bytes: Uint8Array): Trust | undefined {
  const parsed = parseStrictJson(bytes);
  if (!parsed.ok || !isJsonObject(parsed.value) || parsed.value['version'] !== 1 || Object.keys(parsed.value).length !== 2) return undefined;
  const { logs } = parsed.value;
  if (!isJsonObject(logs)) return undefined;
  const trust = new Map<string, ReadonlySet<string>>();
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
