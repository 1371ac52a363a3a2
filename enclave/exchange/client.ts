// SPDX-License-Identifier: Apache-2.0
/** Judges what the client sends: requests, notifications, and its answers to the server's requests. */
import type { JsonObject } from '../../shared/json/value.ts';
import { isJsonObject, jsonObject } from '../../shared/json/value.ts';
import { lookupMethod } from '../../shared/mcp/methods.ts';
import { eraOfRequest, META_CLIENT_CAPABILITIES, META_PROTOCOL_VERSION, readMeta, requestedRevision } from '../../shared/mcp/meta.ts';
import type { Era } from '../../shared/mcp/revisions.ts';
import { MODERN_REVISION } from '../../shared/mcp/revisions.ts';
import { judgePinned } from '../pins/pinned.ts';
import type { PolicyDecision } from '../policy/types.ts';
import type { ReceivedHeaders } from './call.ts';
import { judgeCall } from './call.ts';
import { permittedParams } from './capabilities.ts';
import type { ClientContext, NotificationMessage, RequestMessage } from './context.ts';
import { withParams } from './context.ts';
import type { Conversation, Pending } from './conversation.ts';
import { judgeEmbedded } from './embedded.ts';
import { judgeList } from './listing.ts';
import type { ExchangeParts } from './parts.ts';
import { decideMethod } from './parts.ts';
import { redactedRequest } from './redact-verdict.ts';
import { openState } from './request-state.ts';
import { judgeSubscriptions } from './resources.ts';
import { judgeTask } from './task-owners.ts';
import type { Refuse, Verdict } from './verdict.ts';
import { forwardBy, refuse, refuseByPolicy } from './verdict.ts';

/** The era of one request: `initialize` is legacy, a modern `_meta` is modern, a probe is modern. */
export function eraOfMessage(message: RequestMessage): Era {
  if (message.method === 'server/discover') return 'modern';
  if (message.method === 'initialize') return 'legacy';
  return eraOfRequest(message.params);
}

/** Refuses a message whose era does not fit the connection's, or whose revision is not known here. */
function judgeEra(parts: ExchangeParts, conversation: Conversation, message: RequestMessage): Refuse | null {
  const era = eraOfMessage(message);
  const requested = requestedRevision(message.params);
  if (requested !== null && requested !== MODERN_REVISION && message.method !== 'initialize') {
    const known = refuse('REVISION_UNKNOWN', 'the request names an unknown protocol version', `use ${MODERN_REVISION}`);
    return { ...known, upstreamError: unsupportedVersion(requested) };
  }
  if (parts.face === 'http' && conversation.era === 'modern' && message.method === 'initialize') {
    return refuse('METHOD_UNKNOWN', `initialize is no method of ${MODERN_REVISION}`, 'ask with server/discover');
  }
  if (message.method === 'initialize' && requested !== null) {
    return refuse('ERA_MIXED', 'initialize carries the metadata of 2026-07-28', 'use one protocol era per connection');
  }
  if (parts.face === 'http' && message.method === 'initialize' && conversation.revision !== null) {
    return refuse('ERA_MIXED', 'the session is initialized already', 'open a new one for another handshake');
  }
  if (parts.face === 'http' && conversation.era === 'modern') return judgeMeta(message);
  if (conversation.era === null || conversation.era === era) return null;
  const settled = conversation.era === 'modern' ? MODERN_REVISION : (conversation.revision ?? 'an older revision');
  return refuse('ERA_MIXED', `the connection speaks ${settled}`, 'use one protocol era per connection');
}

/** 2026-07-28: every request says which protocol it speaks and what its client can do. */
function judgeMeta(message: RequestMessage): Refuse | null {
  const meta = readMeta(message.params);
  if (meta.protocolVersion !== null && meta.clientCapabilities !== null) return null;
  const missing = meta.protocolVersion === null ? META_PROTOCOL_VERSION : META_CLIENT_CAPABILITIES;
  return refuse('META_INVALID', `_meta has no usable ${missing}`, `a request of ${MODERN_REVISION} carries it`);
}

interface MethodForm {
  /** The revision that is spoken defines the method. */
  readonly known: boolean;
  /** Only another revision defines it. */
  readonly elsewhere: boolean;
}

/** Refuses a method in the wrong direction or of the wrong kind. */
function judgeMethodForm(
  context: ClientContext,
  dir: 'c2s' | 's2c',
  era: Era,
  method: string,
  type: 'request' | 'notification',
): Refuse | MethodForm {
  const found = lookupMethod(context.conversation.revisionFor(era), dir, method);
  switch (found.kind) {
    case 'known':
      if (found.type === type) return { known: true, elsewhere: false };
      return refuse('METHOD_WRONG_KIND', `the method is a ${found.type}, not a ${type}`, 'requests have an id, notifications none');
    case 'wrong-direction':
      return refuse('METHOD_WRONG_DIRECTION', 'the method goes in the other direction', 'the peer does not follow the protocol');
    case 'other-revision':
      return { known: false, elsewhere: true };
    case 'unknown':
      return { known: false, elsewhere: false };
  }
}

/**
 * What only another revision defines has to be allowed as an unknown method and as what it is there: a peer that settles
 * on an older revision must not get past the rules for a newer one.
 */
function decideByForm(context: ClientContext, dir: 'c2s' | 's2c', message: RequestMessage | NotificationMessage, form: MethodForm): PolicyDecision {
  const decision = decideMethod(context.parts, dir, message.method, message.params, form.known);
  if (decision.kind !== 'allow' || !form.elsewhere) return decision;
  const there = decideMethod(context.parts, dir, message.method, message.params);
  return there.kind === 'allow' ? decision : there;
}

/** Judges a request of the client's. `pending` is its place among the requests in flight. */
export async function judgeClientRequest(context: ClientContext, received: RequestMessage, pending: Pending, headers: ReceivedHeaders): Promise<Verdict> {
  const mixed = judgeEra(context.parts, context.conversation, received);
  if (mixed !== null) return mixed;
  const foreign = judgeTask(context.parts, received);
  if (foreign !== null) return foreign;
  const meta = received.params?.['_meta'];
  // What was refused above says nothing that the gateway's own listing could repeat.
  if (pending.era === 'modern' && isJsonObject(meta)) context.conversation.modernMeta = meta;
  const opened = openState(context.parts, received, pending.stateContext);
  if ('kind' in opened) return opened;
  const { message } = opened;
  pending.round = opened.round;
  const form = judgeMethodForm(context, 'c2s', pending.era, message.method, 'request');
  if ('kind' in form) return form;
  const permitted = withParams(message.value, permittedParams(context.parts, message.params));
  const params = permitted['params'];
  const judged: RequestMessage = isJsonObject(params) ? { ...message, params, value: permitted } : message;
  if (form.known && message.method === 'tools/list') return judgeList(context, judged, context.catalog);
  if (form.known && message.method === 'tools/call') return judgeCall(context, judged, pending, headers);
  const decision = decideByForm(context, 'c2s', message, form);
  if (decision.kind !== 'allow') return refuseByPolicy(decision);
  const verdict = judgeSubscriptions(context.parts, message) ?? forwardBy(decision, permitted);
  const pinned = verdict.kind === 'forward' ? await judgePinned(context, judged, verdict) : verdict;
  return redactedRequest(context.parts, 'c2s', message.method, pinned);
}

/** Judges a notification in either direction, less what depends on requests in flight. */
export function judgeNotification(context: ClientContext, dir: 'c2s' | 's2c', message: NotificationMessage): Verdict {
  const era = context.conversation.era ?? 'legacy';
  const form = judgeMethodForm(context, dir, era, message.method, 'notification');
  if ('kind' in form) return form;
  const decision = decideByForm(context, dir, message, form);
  if (decision.kind !== 'allow') return refuseByPolicy(decision);
  // The status of a task may ask for input on the server's behalf.
  const embedded = dir === 's2c' && message.params !== undefined ? judgeEmbedded(context.parts, message.params) : null;
  return embedded ?? forwardBy(decision, message.value);
}

/** Judges a request of the server's. */
export async function judgeServerRequest(context: ClientContext, message: RequestMessage): Promise<Verdict> {
  const era = context.conversation.era ?? 'legacy';
  const form = judgeMethodForm(context, 's2c', era, message.method, 'request');
  if ('kind' in form) return form;
  const decision = decideByForm(context, 's2c', message, form);
  return decision.kind === 'allow' ? redactedRequest(context.parts, 's2c', message.method, forwardBy(decision, message.value)) : refuseByPolicy(decision);
}

/** What a request that cannot be answered upstream any more is answered with. */
export function upstreamGone(): Refuse {
  return refuse('UPSTREAM_GONE', 'the server ended before it answered', 'start the connection again');
}

/** The `error` member for a modern request whose version is not known here (2026-07-28, UnsupportedProtocolVersion). */
function unsupportedVersion(requested: string): JsonObject {
  const data = jsonObject({ supported: [MODERN_REVISION], requested });
  return jsonObject({ code: -32022, message: 'Unsupported protocol version', data });
}
