// SPDX-License-Identifier: Apache-2.0
/**
 * How long and for whom an answer may be kept (2026-07-28). What one principal may see says nothing of another's, and a
 * server that changes its mind must not have frozen a list for a year.
 */
import type { JsonObject } from '../../shared/json/value.ts';
import { isJsonObject, withMember } from '../../shared/json/value.ts';
import { LISTING_TTL_MS_MAX } from '../../shared/limits.ts';
import type { Pending } from './conversation.ts';
import type { ExchangeParts } from './parts.ts';

/** An answer with its caching reduced to what the gateway can stand for. */
export function privateCache(parts: ExchangeParts, pending: Pending, value: JsonObject): JsonObject {
  const result = value['result'];
  if (parts.face !== 'http' || pending.era !== 'modern' || !isJsonObject(result)) return value;
  let kept = result;
  if (kept['cacheScope'] === 'public') kept = withMember(kept, 'cacheScope', 'private');
  const ttl = kept['ttlMs'];
  if (typeof ttl === 'number' && ttl > LISTING_TTL_MS_MAX) kept = withMember(kept, 'ttlMs', LISTING_TTL_MS_MAX);
  return kept === result ? value : withMember(value, 'result', kept);
}
