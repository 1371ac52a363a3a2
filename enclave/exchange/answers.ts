// SPDX-License-Identifier: Apache-2.0
/**
 * Judges the server's answers. What a policy denies as a request is denied inside an answer too: embedded requests of
 * 2026-07-28 (InputRequiredResult), URL elicitation in an error of 2025-11-25. An unknown result type fails closed.
 */
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { emptyObject, isJsonObject } from '../../shared/json/value.ts';
import type { KnownKeys } from '../../shared/jsonrpc/keys.ts';
import { isNearMiss, paramsKeys } from '../../shared/jsonrpc/keys.ts';
import type { Revision } from '../../shared/mcp/revisions.ts';
import { eraOf, isRevision } from '../../shared/mcp/revisions.ts';
import type { Policy } from '../policy/types.ts';
import type { Pending } from './conversation.ts';
import type { Verdict } from './verdict.ts';
import { forward, refuse, refuseByPolicy } from './verdict.ts';

const mayAskForInput: ReadonlySet<string> = new Set(['tools/call', 'prompts/get', 'resources/read']);
const embeddable: ReadonlySet<string> = new Set(['sampling/createMessage', 'elicitation/create', 'roots/list']);
const requestKeys: KnownKeys = new Map([
  ['method', 'method'],
  ['params', 'params'],
]);
/** JSON-RPC error of 2025-11-25 that asks the client to open URLs first. */
const URL_ELICITATION_REQUIRED = -32042;

function invalid(problem: string): Verdict {
  return refuse('RESULT_INVALID', problem, 'the server does not follow the protocol; its vendor can mend it');
}

function withMember(value: JsonObject, key: string, member: JsonValue): JsonObject {
  const copy = emptyObject();
  for (const [name, own] of Object.entries(value)) copy[name] = name === key ? member : own;
  return copy;
}

function judgeInputRequests(policy: Policy, pending: Pending, value: JsonObject, result: JsonObject): Verdict {
  if (!mayAskForInput.has(pending.method)) return invalid(`an answer to ${pending.shownMethod} asks for input`);
  const requests = result['inputRequests'];
  if (requests === undefined) {
    return typeof result['requestState'] === 'string' ? forward(value) : invalid('an answer asks for no input at all');
  }
  if (!isJsonObject(requests)) return invalid('the inputRequests of an answer are not an object');
  for (const request of Object.values(requests)) {
    const method = isJsonObject(request) ? request['method'] : undefined;
    if (!isJsonObject(request) || typeof method !== 'string' || !embeddable.has(method)) {
      return invalid('an answer embeds a request that clients do not know');
    }
    const params = request['params'];
    if (isNearMiss(request, requestKeys) || (params !== undefined && (!isJsonObject(params) || isNearMiss(params, paramsKeys)))) {
      return invalid('an answer embeds a request that is not in plain form');
    }
    const decision = policy.decideMethod('s2c', method, params, true);
    if (decision.kind !== 'allow') return refuseByPolicy(decision);
  }
  return forward(value);
}

function judgeModernResult(policy: Policy, pending: Pending, value: JsonObject, result: JsonObject): Verdict {
  const type = result['resultType'];
  if (type === undefined || type === 'complete') {
    return 'inputRequests' in result ? invalid('an answer is complete and asks for input') : forward(value);
  }
  if (type === 'input_required') return judgeInputRequests(policy, pending, value, result);
  if (type === 'task') {
    return pending.method === 'tools/call' ? forward(value) : invalid(`an answer to ${pending.shownMethod} is a task`);
  }
  return refuse(
    'RESULT_TYPE_UNKNOWN',
    'the answer has a result type that the gateway does not know',
    'a newer mcp-bastion may know it; until then it cannot be inspected',
  );
}

/** The version in an `initialize` result has to be a legacy one that the gateway knows. */
export function negotiatedRevision(result: JsonObject): Revision | null {
  const version = result['protocolVersion'];
  return typeof version === 'string' && isRevision(version) && eraOf(version) === 'legacy' ? version : null;
}

function judgeInitialize(value: JsonObject, result: JsonObject): Verdict {
  if (negotiatedRevision(result) !== null) return forward(value);
  return invalid('the server answered initialize with a protocol version that the gateway does not know');
}

/** `server/discover` is filtered, never denied: a denial there makes clients fall back to an older revision. */
function judgeDiscover(value: JsonObject, result: JsonObject): Verdict {
  const versions = result['supportedVersions'];
  if (!Array.isArray(versions)) return forward(value);
  const known = versions.filter((version) => typeof version === 'string' && isRevision(version));
  if (known.length === versions.length) return forward(value);
  return forward(withMember(value, 'result', withMember(result, 'supportedVersions', known)), null, 'versions filtered');
}

/** True for an answer to `server/discover` from a server of the modern era; an older one may answer anything to it. */
export function offersModern(result: JsonObject): boolean {
  const versions = result['supportedVersions'];
  return Array.isArray(versions) && versions.some((version) => typeof version === 'string' && isRevision(version) && eraOf(version) === 'modern');
}

/** Judges a result that answers a client's request. */
export function judgeResult(policy: Policy, pending: Pending, value: JsonObject, result: JsonObject): Verdict {
  if (pending.method === 'initialize') return judgeInitialize(value, result);
  if (pending.method === 'server/discover') return judgeDiscover(value, result);
  if (pending.era === 'modern') return judgeModernResult(policy, pending, value, result);
  return 'resultType' in result && result['resultType'] !== 'complete'
    ? invalid('an answer of an older revision has a result type')
    : forward(value);
}

/** Judges an error that answers a client's request: a client may follow the code in whatever era it comes. */
export function judgeError(policy: Policy, value: JsonObject, error: { code: number; data?: JsonValue }): Verdict {
  if (error.code !== URL_ELICITATION_REQUIRED) return forward(value);
  const params = emptyObject();
  params['mode'] = 'url';
  const decision = policy.decideMethod('s2c', 'elicitation/create', params, true);
  return decision.kind === 'allow' ? forward(value) : refuseByPolicy(decision);
}
