// SPDX-License-Identifier: Apache-2.0
/**
 * Resources outside of resources/read: a listing never shows what a read would be denied, and what may not be subscribed
 * to by resources/subscribe may not be in the filter of subscriptions/listen either (2026-07-28).
 */
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { isJsonObject, jsonObject, withMember } from '../../shared/json/value.ts';
import type { RequestMessage } from './context.ts';
import type { Pending } from './conversation.ts';
import type { Asking } from './parts.ts';
import { decideMethod } from './parts.ts';
import type { Refuse } from './verdict.ts';
import { refuse, refuseByPolicy } from './verdict.ts';

function readable(asking: Asking, resource: JsonValue): boolean {
  const uri = isJsonObject(resource) ? resource['uri'] : undefined;
  return typeof uri === 'string' && decideMethod(asking, 'c2s', 'resources/read', jsonObject({ uri })).kind === 'allow';
}

/** The answer to `resources/list` without what may not be read; the same object where that is nothing. */
export function readableResources(asking: Asking, pending: Pending, value: JsonObject): JsonObject {
  const result = value['result'];
  if (pending.method !== 'resources/list' || !isJsonObject(result)) return value;
  const listed = result['resources'];
  if (!Array.isArray(listed)) return value;
  const shown = listed.filter((resource) => readable(asking, resource));
  if (shown.length === listed.length) return value;
  // What one client may see says nothing of another's: a shared cache must not keep a filtered list.
  const scoped = 'cacheScope' in result ? withMember(result, 'cacheScope', 'private') : result;
  return withMember(value, 'result', withMember(scoped, 'resources', shown));
}

/** Refuses a subscription to a resource that the policy does not let the client subscribe to. */
export function judgeSubscriptions(asking: Asking, message: RequestMessage): Refuse | null {
  if (message.method !== 'subscriptions/listen') return null;
  const filter = message.params?.['notifications'];
  const uris = isJsonObject(filter) ? filter['resourceSubscriptions'] : undefined;
  if (uris === undefined) return null;
  if (!Array.isArray(uris)) return refuse('PARAMS_INVALID', 'resourceSubscriptions is no list', 'send a list of URIs');
  for (const uri of uris) {
    if (typeof uri !== 'string') return refuse('PARAMS_INVALID', 'resourceSubscriptions holds something that is no URI', 'send a list of URIs');
    const decision = decideMethod(asking, 'c2s', 'resources/subscribe', jsonObject({ uri }));
    if (decision.kind !== 'allow') return refuseByPolicy(decision);
  }
  return null;
}
