// SPDX-License-Identifier: Apache-2.0
/**
 * The keys that the protocol gives a meaning to, by place. A key that is none of them but folds onto one is refused:
 * a peer that matches keys without regard to case would read it, and the judgement would not have seen it.
 */
import { foldKey } from '../json/fold.ts';
import type { JsonObject } from '../json/value.ts';

/** Exact keys, by their folded form. */
export type KnownKeys = ReadonlyMap<string, string>;

function known(...keys: readonly string[]): KnownKeys {
  return new Map(keys.map((key) => [foldKey(key), key]));
}

const envelopeKeys: ReadonlySet<string> = new Set(['jsonrpc', 'id', 'method', 'params', 'result', 'error']);

export const errorKeys: KnownKeys = known('code', 'message', 'data');

export const paramsKeys: KnownKeys = known(
  'name',
  'arguments',
  '_meta',
  'uri',
  'cursor',
  'requestId',
  'progressToken',
  'protocolVersion',
  'capabilities',
  'clientInfo',
  'taskId',
  'task',
  'inputResponses',
  'requestState',
  'inputRequests',
  'mode',
  'url',
  'requestedSchema',
);

export const metaKeys: KnownKeys = known(
  'progressToken',
  'io.modelcontextprotocol/protocolVersion',
  'io.modelcontextprotocol/clientCapabilities',
  'io.modelcontextprotocol/clientInfo',
  'io.modelcontextprotocol/logLevel',
  'io.modelcontextprotocol/subscriptionId',
);

export const resultKeys: KnownKeys = known(
  'tools',
  'content',
  'structuredContent',
  'isError',
  'nextCursor',
  'resultType',
  'inputRequests',
  'requestState',
  '_meta',
  'resources',
  'resourceTemplates',
  'prompts',
  'messages',
  'contents',
  'instructions',
  'capabilities',
  'protocolVersion',
  'supportedVersions',
  'serverInfo',
  'task',
  'taskId',
);

/** True if a message has no member that JSON-RPC does not define; a near miss is one of those. */
export function hasOnlyMembers(message: JsonObject): boolean {
  return Object.keys(message).every((key) => envelopeKeys.has(key));
}

/** True if a key folds onto a known one without being it. */
export function isNearMiss(object: JsonObject, keys: KnownKeys): boolean {
  return Object.keys(object).some((key) => {
    const exact = keys.get(foldKey(key));
    return exact !== undefined && exact !== key;
  });
}
