// SPDX-License-Identifier: Apache-2.0
/**
 * Judges the server's answers. What a policy denies as a request is denied inside an answer too: embedded requests of
 * 2026-07-28 (InputRequiredResult), URL elicitation in an error of 2025-11-25. An unknown result type fails closed.
 */
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { jsonObject, withMember } from '../../shared/json/value.ts';
import type { Revision } from '../../shared/mcp/revisions.ts';
import { eraOf, isRevision } from '../../shared/mcp/revisions.ts';
import type { Pending } from './conversation.ts';
import type { Asking } from './parts.ts';
import { decideMethod } from './parts.ts';
import { invalid, judgeEmbedded } from './embedded.ts';
import { mayAskForInput } from './request-state.ts';
import type { Verdict } from './verdict.ts';
import { forward, refuse, refuseByPolicy } from './verdict.ts';

/** JSON-RPC error of 2025-11-25 that asks the client to open URLs first. */
const URL_ELICITATION_REQUIRED = -32042;

function judgeInputRequests(asking: Asking, pending: Pending, value: JsonObject, result: JsonObject): Verdict {
  if (!mayAskForInput.has(pending.method)) return invalid(`an answer to ${pending.shownMethod} asks for input`);
  if (result['inputRequests'] === undefined) {
    return typeof result['requestState'] === 'string' ? forward(value) : invalid('an answer asks for no input at all');
  }
  return judgeEmbedded(asking, result) ?? forward(value);
}

function judgeModernResult(asking: Asking, pending: Pending, value: JsonObject, result: JsonObject): Verdict {
  const type = result['resultType'];
  if (type === 'input_required') return judgeInputRequests(asking, pending, value, result);
  if (type !== undefined && type !== 'complete' && type !== 'task') {
    return refuse(
      'RESULT_TYPE_UNKNOWN',
      'the answer has a result type that the gateway does not know',
      'a newer mcp-bastion may know it; until then it cannot be inspected',
    );
  }
  if (type === 'task' && pending.method !== 'tools/call') return invalid(`an answer to ${pending.shownMethod} is a task`);
  // A task says what input it waits for in its status; any other answer that is complete cannot ask for more.
  const asks = 'inputRequests' in result && type !== 'task' && !pending.method.startsWith('tasks/');
  if (asks) return invalid('an answer is complete and asks for input');
  return judgeEmbedded(asking, result) ?? forward(value);
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
export function judgeResult(asking: Asking, pending: Pending, value: JsonObject, result: JsonObject): Verdict {
  const greets = pending.method === 'initialize' || pending.method === 'server/discover';
  if (greets && ('inputRequests' in result || result['resultType'] === 'input_required')) return invalid(`an answer to ${pending.method} asks for input`);
  if (pending.method === 'initialize') return judgeInitialize(value, result);
  if (pending.method === 'server/discover') return judgeDiscover(value, result);
  if (pending.era === 'modern') return judgeModernResult(asking, pending, value, result);
  return 'resultType' in result && result['resultType'] !== 'complete'
    ? invalid('an answer of an older revision has a result type')
    : forward(value);
}

/** Judges an error that answers a client's request: a client may follow the code in whatever era it comes. */
export function judgeError(asking: Asking, value: JsonObject, error: { code: number; data?: JsonValue }): Verdict {
  if (error.code !== URL_ELICITATION_REQUIRED) return forward(value);
  const decision = decideMethod(asking, 's2c', 'elicitation/create', jsonObject({ mode: 'url' }));
  return decision.kind === 'allow' ? forward(value) : refuseByPolicy(decision);
}
