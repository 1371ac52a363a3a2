// SPDX-License-Identifier: Apache-2.0
/** Messages with one thing in them changed, and messages that the gateway makes for several servers by itself. */
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { isJsonObject, withMember, withoutMembers } from '../../shared/json/value.ts';
import { notificationMessage, requestMessage } from '../../shared/jsonrpc/build.ts';
import type { RequestId } from '../../shared/jsonrpc/id.ts';
import type { NotificationMessage, RequestMessage } from '../exchange/context.ts';
import type { AnswerMessage } from '../exchange/side.ts';

export function withParams<T extends RequestMessage | NotificationMessage>(message: T, params: JsonObject): T {
  return { ...message, params, value: withMember(message.value, 'params', params) };
}

export function withParam<T extends RequestMessage | NotificationMessage>(message: T, key: string, member: JsonValue): T {
  return message.params === undefined ? message : withParams(message, withMember(message.params, key, member));
}

/** Without its progress token: the progress of several servers does not add up to one. */
export function withoutProgress(message: RequestMessage): RequestMessage {
  const meta = message.params?.['_meta'];
  return isJsonObject(meta) && 'progressToken' in meta ? withParam(message, '_meta', withoutMembers(meta, 'progressToken')) : message;
}

/** Another page of the same listing; null for its first. */
export function withCursor(message: RequestMessage, cursor: string | null): RequestMessage {
  if (cursor === null) return message;
  return message.params === undefined ? withParams(message, withMember({}, 'cursor', cursor)) : withParam(message, 'cursor', cursor);
}

/** An answer under another id. */
export function withId(message: AnswerMessage, id: RequestId): AnswerMessage {
  const value = withMember(message.value, 'id', id);
  return { ...message, id, value };
}

export function ownRequest(id: RequestId, method: string, params?: JsonObject): RequestMessage {
  const value = requestMessage(id, method, params);
  return params === undefined ? { kind: 'request', id, method, value } : { kind: 'request', id, method, params, value };
}

export function ownNotification(method: string): NotificationMessage {
  return { kind: 'notification', method, value: notificationMessage(method) };
}
