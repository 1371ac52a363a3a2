// SPDX-License-Identifier: Apache-2.0
/** The `_meta` of a request's params: at 2026-07-28 it carries what `initialize` agreed on before. */
import type { JsonObject, JsonValue } from '../json/value.ts';
import { isJsonObject } from '../json/value.ts';
import type { RequestId } from '../jsonrpc/id.ts';
import { isRequestId } from '../jsonrpc/id.ts';
import type { Era } from './revisions.ts';

export const META_PROTOCOL_VERSION = 'io.modelcontextprotocol/protocolVersion';
export const META_CLIENT_CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';
export const META_CLIENT_INFO = 'io.modelcontextprotocol/clientInfo';
export const META_LOG_LEVEL = 'io.modelcontextprotocol/logLevel';
/** On messages of a `subscriptions/listen` stream: the id of the request that opened it. */
export const META_SUBSCRIPTION_ID = 'io.modelcontextprotocol/subscriptionId';

const MODERN_KEYS = [META_PROTOCOL_VERSION, META_CLIENT_CAPABILITIES, META_CLIENT_INFO, META_LOG_LEVEL];

/** What a request says of itself; null where it does not, or not in the right type. */
export interface RequestMeta {
  readonly protocolVersion: string | null;
  readonly clientCapabilities: JsonObject | null;
  /** Chosen by the client: never a ground for a decision. */
  readonly clientInfo: JsonObject | null;
  readonly logLevel: string | null;
  readonly progressToken: RequestId | null;
}

function metaOf(params: JsonObject | undefined): JsonObject | undefined {
  const meta = params?.['_meta'];
  return isJsonObject(meta) ? meta : undefined;
}

function text(value: JsonValue | undefined): string | null {
  return typeof value === 'string' ? value : null;
}

function object(value: JsonValue | undefined): JsonObject | null {
  return isJsonObject(value) ? value : null;
}

/** Reads the metadata of a request. */
export function readMeta(params: JsonObject | undefined): RequestMeta {
  const meta = metaOf(params);
  const token = meta?.['progressToken'];
  return {
    protocolVersion: text(meta?.[META_PROTOCOL_VERSION]),
    clientCapabilities: object(meta?.[META_CLIENT_CAPABILITIES]),
    clientInfo: object(meta?.[META_CLIENT_INFO]),
    logLevel: text(meta?.[META_LOG_LEVEL]),
    progressToken: isRequestId(token) ? token : null,
  };
}

/**
 * The revision that a request names in its metadata, known or not; null if it names none. A name that is not a string
 * reads as the empty one, which no revision has: it must not pass for a request without metadata.
 */
export function requestedRevision(params: JsonObject | undefined): string | null {
  const version = metaOf(params)?.[META_PROTOCOL_VERSION];
  return version === undefined ? null : (text(version) ?? '');
}

/** Modern as soon as the metadata has one of the keys that only the modern era knows, complete or not. */
export function eraOfRequest(params: JsonObject | undefined): Era {
  const meta = metaOf(params);
  return meta !== undefined && MODERN_KEYS.some((key) => key in meta) ? 'modern' : 'legacy';
}
