// SPDX-License-Identifier: Apache-2.0
/** What judging a message needs to know of the conversation that it belongs to. */
import type { JsonObject } from '../../shared/json/value.ts';
import { withMember } from '../../shared/json/value.ts';
import type { Message } from '../../shared/jsonrpc/message.ts';
import type { Catalog } from '../pins/catalog.ts';
import type { Review } from '../pins/review.ts';
import type { Conversation } from './conversation.ts';
import type { ExchangeParts } from './parts.ts';

export type RequestMessage = Extract<Message, { kind: 'request' }>;
export type NotificationMessage = Extract<Message, { kind: 'notification' }>;

export interface ClientContext {
  readonly parts: ExchangeParts;
  readonly conversation: Conversation;
  /** What the server lists, as the gateway judged it; prompts and templates only where pinning is on. */
  readonly catalog: Catalog;
  readonly prompts: Catalog;
  readonly templates: Catalog;
  readonly review: Review;
}

/** A message with other params. */
export function withParams(value: JsonObject, params: JsonObject | undefined): JsonObject {
  return params === undefined || value['params'] === params ? value : withMember(value, 'params', params);
}
