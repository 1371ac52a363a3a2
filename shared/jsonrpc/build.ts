// SPDX-License-Identifier: Apache-2.0
/** Messages that the gateway itself makes, with one fixed order of members. */
import type { JsonObject, JsonValue } from '../json/value.ts';
import { jsonObject } from '../json/value.ts';
import type { RequestId } from './id.ts';

/** A request. */
export function requestMessage(id: RequestId, method: string, params?: JsonObject): JsonObject {
  return jsonObject({ jsonrpc: '2.0', id, method, params });
}

/** A notification. */
export function notificationMessage(method: string, params?: JsonObject): JsonObject {
  return jsonObject({ jsonrpc: '2.0', method, params });
}

/** The answer to a request that succeeded. */
export function resultMessage(id: RequestId, result: JsonObject): JsonObject {
  return jsonObject({ jsonrpc: '2.0', id, result });
}

/** The answer to a request that failed; id null where the request's id could not be read. */
export function errorMessage(id: RequestId | null, code: number, message: string, data?: JsonValue): JsonObject {
  return jsonObject({ jsonrpc: '2.0', id, error: jsonObject({ code, message, data }) });
}
