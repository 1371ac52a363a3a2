// SPDX-License-Identifier: Apache-2.0
/**
 * Takes out of a client's declared capabilities what the policy denies the server, so that a well-behaved server does
 * not ask for it. Requests that come all the same are refused one by one.
 */
import type { JsonObject } from '../../shared/json/value.ts';
import { isJsonObject, jsonObject, withMember, withoutMembers } from '../../shared/json/value.ts';
import { META_CLIENT_CAPABILITIES } from '../../shared/mcp/meta.ts';
import type { Asking } from './parts.ts';
import { decideMethod } from './parts.ts';

function denies(asking: Asking, method: string, params?: JsonObject): boolean {
  return decideMethod(asking, 's2c', method, params).kind !== 'allow';
}

/** An elicitation capability without modes means forms (2025-06-18); with modes, each stands for itself. */
function stripElicitation(asking: Asking, capabilities: JsonObject): JsonObject {
  const declared = capabilities['elicitation'];
  if (!isJsonObject(declared)) return capabilities;
  const denied = ['form', 'url'].filter((mode) => denies(asking, 'elicitation/create', jsonObject({ mode })));
  if (denied.length === 0) return capabilities;
  const modes = Object.keys(declared);
  if (modes.length === 0) return denied.includes('form') ? withoutMembers(capabilities, 'elicitation') : capabilities;
  const left = withoutMembers(declared, ...denied);
  return Object.keys(left).length === 0
    ? withoutMembers(capabilities, 'elicitation')
    : withMember(capabilities, 'elicitation', left);
}

function stripTasks(asking: Asking, capabilities: JsonObject): JsonObject {
  const tasks = capabilities['tasks'];
  const requests = isJsonObject(tasks) ? tasks['requests'] : undefined;
  if (!isJsonObject(tasks) || !isJsonObject(requests)) return capabilities;
  const drop: string[] = [];
  if (denies(asking, 'sampling/createMessage')) drop.push('sampling');
  if (denies(asking, 'elicitation/create', jsonObject({ mode: 'form' }))) drop.push('elicitation');
  if (!drop.some((key) => key in requests)) return capabilities;
  return withMember(capabilities, 'tasks', withMember(tasks, 'requests', withoutMembers(requests, ...drop)));
}

/** The capabilities that the server is told of. Returns the same object where nothing is denied. */
export function permittedCapabilities(asking: Asking, capabilities: JsonObject): JsonObject {
  let kept = capabilities;
  if ('sampling' in kept && denies(asking, 'sampling/createMessage')) kept = withoutMembers(kept, 'sampling');
  if ('roots' in kept && denies(asking, 'roots/list')) kept = withoutMembers(kept, 'roots');
  return stripTasks(asking, stripElicitation(asking, kept));
}

/** A request's params with the capabilities of `initialize` or of a modern `_meta` reduced to what is permitted. */
export function permittedParams(asking: Asking, params: JsonObject | undefined): JsonObject | undefined {
  if (params === undefined) return undefined;
  const declared = params['capabilities'];
  let kept = params;
  if (isJsonObject(declared)) {
    const permitted = permittedCapabilities(asking, declared);
    if (permitted !== declared) kept = withMember(kept, 'capabilities', permitted);
  }
  const meta = kept['_meta'];
  const modern = isJsonObject(meta) ? meta[META_CLIENT_CAPABILITIES] : undefined;
  if (isJsonObject(meta) && isJsonObject(modern)) {
    const permitted = permittedCapabilities(asking, modern);
    if (permitted !== modern) {
      kept = withMember(kept, '_meta', withMember(meta, META_CLIENT_CAPABILITIES, permitted));
    }
  }
  return kept;
}
