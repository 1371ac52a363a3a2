// SPDX-License-Identifier: Apache-2.0
/**
 * Which notifications may travel in which HTTP response at 2026-07-28: what a subscription did not ask for, and log
 * messages that no request asked for, end here. To a client on stdio a server sends what it likes.
 */
import type { JsonValue } from '../../shared/json/value.ts';
import type { NotificationMessage } from './context.ts';
import type { Pending } from './conversation.ts';
import type { ExchangeParts } from './parts.ts';
import type { Refuse } from './verdict.ts';
import { refuse } from './verdict.ts';

/** Notifications of a subscription, and the member of its filter that asks for each. */
const subscribed: ReadonlyMap<string, string> = new Map([
  ['notifications/tools/list_changed', 'toolsListChanged'],
  ['notifications/prompts/list_changed', 'promptsListChanged'],
  ['notifications/resources/list_changed', 'resourcesListChanged'],
  ['notifications/resources/updated', 'resourceSubscriptions'],
]);

function unasked(): Refuse {
  return refuse('NOTIFICATION_UNASKED', 'the client did not ask for this notification', 'nothing has to be done');
}

function asksFor(pending: Pending, message: NotificationMessage): boolean {
  if (message.method === 'notifications/subscriptions/acknowledged' || message.method === 'notifications/cancelled') return true;
  if (message.method === 'notifications/tasks') return true;
  const member = subscribed.get(message.method);
  const asked: JsonValue | undefined = member === undefined ? undefined : pending.filter?.[member];
  if (asked === true) return true;
  const uri = message.params?.['uri'];
  // What is below a subscribed resource may be told of under its own URI.
  return Array.isArray(asked) && typeof uri === 'string' && asked.some((prefix) => typeof prefix === 'string' && uri.startsWith(prefix));
}

/** Refuses a notification of the server's that may not travel with the request it came with. */
export function judgeStream(parts: ExchangeParts, message: NotificationMessage, carrying: Pending | null): Refuse | null {
  if (parts.face !== 'http' || parts.era !== 'modern') return null;
  if (carrying === null) return unasked();
  if (carrying.method === 'subscriptions/listen') return asksFor(carrying, message) ? null : unasked();
  if (message.method === 'notifications/message') return carrying.wantsLog ? null : unasked();
  return subscribed.has(message.method) ? unasked() : null;
}
