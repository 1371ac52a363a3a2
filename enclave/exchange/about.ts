// SPDX-License-Identifier: Apache-2.0
/** What the transports are told of each kind of message. */
import type { JsonObject } from '../../shared/json/value.ts';
import type { RequestId } from '../../shared/jsonrpc/id.ts';
import type { Era } from '../../shared/mcp/revisions.ts';
import type { Pending } from './conversation.ts';
import type { About, Carrier } from './parts.ts';

/** A request on its way; a server's travels with the client's request that it belongs to. */
export function aboutRequest(pending: Pending, value: JsonObject, headers: About['headers'] = null, via: Carrier | null = pending.via): About {
  const { id, method, era } = pending;
  return { kind: 'request', id, method, era, value, via, status: null, headers };
}

/** The answer to a request; `status` is the HTTP status that it came with, or should have. */
export function aboutAnswer(pending: Pending, value: JsonObject, status: number | null = null): About {
  const { id, method, era, via } = pending;
  return { kind: 'answer', id, method, era, value, via, status, headers: null };
}

/** An answer to what could not be read as a request. */
export function aboutRefusal(id: RequestId | null, value: JsonObject, via: Carrier | null): About {
  return { kind: 'answer', id, method: null, era: null, value, via, status: 400, headers: null };
}

/** A notification. */
export function aboutNotification(method: string, era: Era | null, value: JsonObject, via: Carrier | null = null): About {
  return { kind: 'notification', id: null, method, era, value, via, status: null, headers: null };
}
