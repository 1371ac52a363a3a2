// SPDX-License-Identifier: Apache-2.0
/**
 * Requests of the server's that travel inside something else on 2026-07-28: in an InputRequiredResult, or in the status of
 * a task. What a policy denies as a request it denies there too.
 */
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { isJsonObject } from '../../shared/json/value.ts';
import type { KnownKeys } from '../../shared/jsonrpc/keys.ts';
import { isNearMiss, paramsKeys } from '../../shared/jsonrpc/keys.ts';
import type { Asking } from './parts.ts';
import { decideMethod } from './parts.ts';
import type { Refuse } from './verdict.ts';
import { refuse, refuseByPolicy } from './verdict.ts';

const embeddable: ReadonlySet<string> = new Set(['sampling/createMessage', 'elicitation/create', 'roots/list']);
const requestKeys: KnownKeys = new Map([
  ['method', 'method'],
  ['params', 'params'],
]);

/** A message of the server's that does not follow the protocol where that matters for judging it. */
export function invalid(problem: string): Refuse {
  return refuse('RESULT_INVALID', problem, 'the server does not follow the protocol; its vendor can mend it');
}

function judgeOne(asking: Asking, request: JsonValue): Refuse | null {
  const method = isJsonObject(request) ? request['method'] : undefined;
  if (!isJsonObject(request) || typeof method !== 'string' || !embeddable.has(method)) {
    return invalid('a message embeds a request that clients do not know');
  }
  const params = request['params'];
  if (isNearMiss(request, requestKeys) || (params !== undefined && (!isJsonObject(params) || isNearMiss(params, paramsKeys)))) {
    return invalid('a message embeds a request that is not in plain form');
  }
  const decision = decideMethod(asking, 's2c', method, params);
  return decision.kind === 'allow' ? null : refuseByPolicy(decision);
}

/** Refuses a result or the params of a notification if anything it embeds, or its task embeds, is denied. */
export function judgeEmbedded(asking: Asking, carrier: JsonObject): Refuse | null {
  const task = carrier['task'];
  for (const holder of isJsonObject(task) ? [carrier, task] : [carrier]) {
    const requests = holder['inputRequests'];
    if (requests === undefined) continue;
    if (!isJsonObject(requests)) return invalid('the inputRequests of a message are not an object');
    for (const request of Object.values(requests)) {
      const refusal = judgeOne(asking, request);
      if (refusal !== null) return refusal;
    }
  }
  return null;
}
