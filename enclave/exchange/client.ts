// SPDX-License-Identifier: Apache-2.0
/** Judges what the client sends: requests, notifications, and its answers to the server's requests. */
import type { JsonObject } from '../../shared/json/value.ts';
import { isJsonObject, jsonObject, withMember } from '../../shared/json/value.ts';
import type { Message } from '../../shared/jsonrpc/message.ts';
import { TOOL_NAME_LENGTH_MAX } from '../../shared/limits.ts';
import { lookupMethod } from '../../shared/mcp/methods.ts';
import { eraOfRequest, META_CLIENT_CAPABILITIES, META_PROTOCOL_VERSION, readMeta, requestedRevision } from '../../shared/mcp/meta.ts';
import type { Era } from '../../shared/mcp/revisions.ts';
import { MODERN_REVISION } from '../../shared/mcp/revisions.ts';
import type { Catalog, Listing, ListingFailure } from '../pins/catalog.ts';
import type { JudgedTool } from '../pins/judge.ts';
import type { PolicyDecision } from '../policy/types.ts';
import { permittedParams } from './capabilities.ts';
import type { Conversation, Pending } from './conversation.ts';
import { judgeEmbedded } from './embedded.ts';
import { judgeParamHeaders, paramHeadersFor } from './param-headers.ts';
import type { ExchangeParts } from './parts.ts';
import { openState } from './request-state.ts';
import { judgeTask } from './task-owners.ts';
import type { Refuse, Verdict } from './verdict.ts';
import { forward, forwardWithAlert, refuse, refuseByPolicy } from './verdict.ts';

export type RequestMessage = Extract<Message, { kind: 'request' }>;
export type NotificationMessage = Extract<Message, { kind: 'notification' }>;

export interface ClientContext {
  readonly parts: ExchangeParts;
  readonly conversation: Conversation;
  readonly catalog: Catalog;
}

function withParams(value: JsonObject, params: JsonObject | undefined): JsonObject {
  return params === undefined || value['params'] === params ? value : withMember(value, 'params', params);
}

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
  const { policy } = context.parts;
  const decision = policy.decideMethod(dir, message.method, message.params, form.known);
  if (decision.kind !== 'allow' || !form.elsewhere) return decision;
  const there = policy.decideMethod(dir, message.method, message.params, true);
  return there.kind === 'allow' ? decision : there;
}

function listingRefusal(failure: ListingFailure): Refuse {
  if (failure.kind === 'failed') {
    return refuse(failure.code === 'PIN_STORE' ? 'PIN_STORE' : 'LISTING_FAILED', failure.message, 'the tools of the server cannot be told apart; see the log');
  }
  const message = 'the server refused to list its tools';
  return { ...refuse('LISTING_FAILED', message, 'ask the server why'), upstreamError: failure.error };
}

async function judgeList(context: ClientContext, message: RequestMessage): Promise<Verdict> {
  const { parts, catalog } = context;
  const decision = parts.policy.decideMethod('c2s', message.method, message.params, true);
  if (decision.kind !== 'allow') return refuseByPolicy(decision);
  const cursor = message.params?.['cursor'];
  if (cursor !== undefined && typeof cursor !== 'string') {
    return refuse('PARAMS_INVALID', 'the cursor is not a string', 'send the cursor of the last page');
  }
  let listing: Listing | null = null;
  if (cursor === undefined) {
    listing = await catalog.forClient();
    if (listing.kind !== 'listed') return listingRefusal(listing);
  }
  const result = catalog.page(cursor ?? null, listing);
  if (result === undefined) {
    return refuse('CURSOR_UNKNOWN', 'invalid cursor', 'list again from the first page');
  }
  return { kind: 'answer', result, rule: decision.rule, reason: decision.reason };
}

function judgePinned(tool: JudgedTool): Refuse | null {
  if (tool.decision !== 'deny') return null;
  if (tool.code === 'TOOL_HEADER_INVALID') {
    return refuse(tool.code, `${tool.label} has an x-mcp-header that no client may follow`, "the server's vendor can mend it");
  }
  const drift = tool.code === 'TOOL_PIN_DRIFT';
  const message = drift ? `${tool.label} changed since it was pinned` : `${tool.label} is not pinned yet`;
  const hint = drift
    ? 'someone has to review what changed and accept the new description'
    : 'someone has to review the tool and pin it';
  return refuse(drift ? 'TOOL_PIN_DRIFT' : 'TOOL_PIN_NEW', message, hint);
}

type ListedTool = { readonly kind: 'listed'; readonly tool: JudgedTool | null; readonly alert: JudgedTool | null } | Refuse;

/** A call has to name a tool of the judged listing; with pinning off, the answer of the upstream decides. */
async function judgeListed(context: ClientContext, name: string, label: string): Promise<ListedTool> {
  const listing = await context.catalog.current();
  const strict = context.parts.policy.pinning.enabled;
  if (listing.kind !== 'listed') return strict ? listingRefusal(listing) : { kind: 'listed', tool: null, alert: null };
  const tool = listing.tools.get(name);
  if (tool === undefined) {
    if (!strict) return { kind: 'listed', tool: null, alert: null };
    return refuse('TOOL_NOT_LISTED', `${label} is not in the server's listing`, 'list the tools and use a name from there');
  }
  return judgePinned(tool) ?? { kind: 'listed', tool, alert: tool.decision === 'alert' ? tool : null };
}

async function judgeCall(context: ClientContext, message: RequestMessage, label: string, headers: ReceivedHeaders): Promise<Verdict> {
  const { policy, server, soleServer } = context.parts;
  const name = message.params?.['name'];
  if (typeof name !== 'string' || name === '' || name.length > TOOL_NAME_LENGTH_MAX) {
    return refuse('PARAMS_INVALID', 'the call names no tool', 'send the name of a tool from the listing');
  }
  const method = policy.decideMethod('c2s', message.method, message.params, true);
  if (method.kind !== 'allow') return refuseByPolicy(method);
  const decision = policy.decideTool(server, name, soleServer);
  if (decision.kind === 'deny') return refuseByPolicy(decision);
  const listed = await judgeListed(context, name, label);
  if (listed.kind === 'refuse') return listed;
  if (decision.kind === 'hold') return refuseByPolicy(decision);
  const rewritten = await redactCall(context, message);
  if (rewritten.kind === 'refuse') return rewritten;
  const { value, count } = rewritten;
  const judged = await judgeMirrored(context, message, value, listed.tool, headers);
  if (judged.kind === 'refuse') return judged;
  const more = judged.headers === null ? {} : { headers: judged.headers };
  if (listed.alert !== null) {
    const drifted = listed.alert.code === 'TOOL_PIN_DRIFT';
    const reason = drifted ? 'changed since it was pinned' : 'not pinned before';
    return { ...forwardWithAlert(value, listed.alert.code ?? 'TOOL_PIN_DRIFT', reason), redactions: count, ...more };
  }
  return { ...forward(value, decision.rule, decision.reason), redactions: count, ...more };
}

/** `Mcp-Param-*` headers as received over HTTP; undefined where the transport has none. */
type ReceivedHeaders = ReadonlyMap<string, string> | undefined;

type Mirrored = { readonly kind: 'mirrored'; readonly headers: ReadonlyMap<string, string> | null } | Refuse;

/** The headers of a call have to agree with what the client sent, and go on as what the server is sent. */
async function judgeMirrored(context: ClientContext, message: RequestMessage, value: JsonObject, tool: JudgedTool | null, received: ReceivedHeaders): Promise<Mirrored> {
  if (context.conversation.era === 'legacy') return { kind: 'mirrored', headers: null };
  const sent = message.params?.['arguments'];
  const unlike = received === undefined ? null : judgeParamHeaders(tool?.tool ?? null, isJsonObject(sent) ? sent : undefined, received);
  if (unlike !== null) return unlike;
  const params = value['params'];
  const args = isJsonObject(params) ? params['arguments'] : undefined;
  const headers = await paramHeadersFor(context.parts.policy, tool?.tool ?? null, isJsonObject(args) ? args : undefined, received ?? new Map());
  return 'kind' in headers ? headers : { kind: 'mirrored', headers };
}

type Redacted = { readonly kind: 'value'; readonly value: JsonObject; readonly count: number } | Refuse;

async function redactCall(context: ClientContext, message: RequestMessage): Promise<Redacted> {
  const { params, value } = message;
  const args = params?.['arguments'];
  if (params === undefined || args === undefined) return { kind: 'value', value, count: 0 };
  if (!isJsonObject(args)) return refuse('PARAMS_INVALID', 'the arguments are not an object', 'send an object');
  const redaction = await context.parts.policy.redactArguments(args);
  if (redaction.kind === 'timeout') {
    return refuse('REDACTION_TIMEOUT', 'the arguments could not be redacted in time', 'send less in one call');
  }
  if (redaction.count === 0) return { kind: 'value', value, count: 0 };
  const changed = withMember(params, 'arguments', redaction.value);
  return { kind: 'value', value: withParams(value, changed), count: redaction.count };
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
  const permitted = withParams(message.value, permittedParams(context.parts.policy, message.params));
  const params = permitted['params'];
  const judged: RequestMessage = isJsonObject(params) ? { ...message, params, value: permitted } : message;
  if (form.known && message.method === 'tools/list') return judgeList(context, judged);
  if (form.known && message.method === 'tools/call') return judgeCall(context, judged, pending.tool ?? 'the tool', headers);
  const decision = decideByForm(context, 'c2s', message, form);
  return decision.kind === 'allow' ? forward(permitted, decision.rule, decision.reason) : refuseByPolicy(decision);
}

/** Judges a notification in either direction, less what depends on requests in flight. */
export function judgeNotification(context: ClientContext, dir: 'c2s' | 's2c', message: NotificationMessage): Verdict {
  const era = context.conversation.era ?? 'legacy';
  const form = judgeMethodForm(context, dir, era, message.method, 'notification');
  if ('kind' in form) return form;
  const decision = decideByForm(context, dir, message, form);
  if (decision.kind !== 'allow') return refuseByPolicy(decision);
  // The status of a task may ask for input on the server's behalf.
  const embedded = dir === 's2c' && message.params !== undefined ? judgeEmbedded(context.parts.policy, message.params) : null;
  return embedded ?? forward(message.value, decision.rule, decision.reason);
}

/** Judges a request of the server's. */
export function judgeServerRequest(context: ClientContext, message: RequestMessage): Verdict {
  const era = context.conversation.era ?? 'legacy';
  const form = judgeMethodForm(context, 's2c', era, message.method, 'request');
  if ('kind' in form) return form;
  const decision = decideByForm(context, 's2c', message, form);
  return decision.kind === 'allow' ? forward(message.value, decision.rule, decision.reason) : refuseByPolicy(decision);
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
