// SPDX-License-Identifier: Apache-2.0
/** One path of the HTTP face: reads a request, tells its era, and hands it to the session or the conversation it is for. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Malformed, Message } from '../../shared/jsonrpc/message.ts';
import { decodeMessage } from '../../shared/jsonrpc/message.ts';
import { MODERN_REVISION, isRevision } from '../../shared/mcp/revisions.ts';
import { malformedNumber } from '../exchange/verdict.ts';
import type { House } from '../peer.ts';
import type { Principal } from './auth.ts';
import type { BodyReader } from './body.ts';
import { judgeBodyHeaders } from './body.ts';
import { eraOfPost, judgeLegacyHeaders, judgeModernHeaders, paramHeadersOf } from './era.ts';
import { accepts, singleHeader } from './headers.ts';
import type { Open } from './legacy.ts';
import { LegacyDesk } from './legacy.ts';
import { ModernDesk } from './modern.ts';
import type { Refusal } from './refusal.ts';
import { refusal, replyRefusal } from './refusal.ts';

export interface EndpointOptions {
  readonly house: House;
  /** The server id, or the name that rows have for the aggregate. */
  readonly name: string;
  readonly open: Open;
  readonly separateStreams: boolean;
  readonly bodies: BodyReader;
  readonly sessionsMax: number;
  /** Sessions that another transport of this endpoint has open. */
  readonly sessionsElsewhere?: () => number;
  readonly idleMs: number;
}

export interface Visit {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly principal: Principal;
  /** Microseconds. */
  readonly at: number;
}

function notAllowed(allow: string, message: string): Refusal {
  return refusal(405, 'METHOD_NOT_ALLOWED', message, 'send messages with POST', { headers: { allow } });
}

export class Endpoint {
  readonly #options: EndpointOptions;
  readonly #legacy: LegacyDesk;
  readonly #modern: ModernDesk;

  constructor(options: EndpointOptions) {
    this.#options = options;
    this.#legacy = new LegacyDesk(options);
    this.#modern = new ModernDesk(options);
  }

  get name(): string {
    return this.#options.name;
  }

  get sessions(): number {
    return this.#legacy.size;
  }

  /** Answers a request; returns what was refused, for its row. */
  async visit(visit: Visit): Promise<{ refused: Refusal; bytes: number } | null> {
    const { method } = visit.request;
    if (method === 'POST') return this.#post(visit);
    if (method === 'GET' || method === 'DELETE') return this.#session(visit);
    return this.#refuse(visit, notAllowed('POST, GET, DELETE', 'the method is not part of the protocol'), 0);
  }

  #refuse(visit: Visit, refused: Refusal, bytes: number): { refused: Refusal; bytes: number } {
    const version = singleHeader(visit.request.rawHeaders, 'mcp-protocol-version');
    replyRefusal(visit.response, refused, version.kind === 'one' && version.value === MODERN_REVISION);
    // What is left of a body that is not read would hold the connection.
    if (!visit.request.complete) visit.request.resume();
    return { refused, bytes };
  }

  async #post(visit: Visit): Promise<{ refused: Refusal; bytes: number } | null> {
    const unfit = judgeBodyHeaders(visit.request.rawHeaders);
    if (unfit !== null) return this.#refuse(visit, unfit, 0);
    const body = await this.#options.bodies.read(visit.request);
    if (body === null) return null;
    if (!(body instanceof Uint8Array)) return this.#refuse(visit, body, 0);
    try {
      return await this.#read(visit, body);
    } finally {
      this.#options.bodies.release(body);
    }
  }

  async #read(visit: Visit, body: Uint8Array): Promise<{ refused: Refusal; bytes: number } | null> {
    const decoded = decodeMessage(body, 'c2s');
    if (decoded.kind === 'malformed') return this.#refuse(visit, malformed(decoded), body.length);
    const elements = decoded.kind === 'single' ? [decoded.element] : decoded.elements;
    const refused = await this.#message(visit, elements, decoded.kind === 'batch', body.length);
    return refused === null ? null : this.#refuse(visit, refused, body.length);
  }

  async #message(visit: Visit, elements: readonly (Message | Malformed)[], batch: boolean, bytes: number): Promise<Refusal | null> {
    const { rawHeaders } = visit.request;
    const modern = elements.find((element) => eraOfPost(rawHeaders, element) === 'modern');
    const sessionId = singleHeader(rawHeaders, 'mcp-session-id');
    if (sessionId.kind === 'repeated') return refusal(400, 'SESSION_UNKNOWN', 'the Mcp-Session-Id header is repeated', 'send it once');
    if (modern !== undefined) {
      if (batch) return refusal(400, 'BATCH_NOT_ALLOWED', 'a batch is not allowed at 2026-07-28', 'send one message per request');
      return this.#modernMessage(visit, modern, sessionId.kind === 'one', bytes);
    }
    const unlike = elements.map((element) => judgeLegacyHeaders(rawHeaders, element)).find((found) => found !== null);
    if (unlike !== undefined) return withId(unlike, elements);
    const post = { elements, batch, bytes, at: visit.at, principal: visit.principal, response: visit.response };
    if (sessionId.kind === 'one') {
      const session = this.#legacy.find(sessionId.value, visit.principal);
      if (session === null) return withId(LegacyDesk.unknown(), elements);
      return judgeVersion(rawHeaders, session) ?? this.#legacy.post(session, post);
    }
    const first = elements[0];
    if (batch || first?.kind !== 'request' || first.method !== 'initialize') {
      const hint = 'initialize first, then send the Mcp-Session-Id of the answer';
      return withId(refusal(400, 'SESSION_REQUIRED', 'the request names no session', hint), elements);
    }
    if (singleHeader(rawHeaders, 'mcp-protocol-version').kind === 'repeated') {
      return withId(refusal(400, 'REVISION_UNKNOWN', 'the MCP-Protocol-Version header is repeated', 'send it once'), elements);
    }
    return this.#legacy.open(post);
  }

  async #modernMessage(visit: Visit, element: Message | Malformed, inSession: boolean, bytes: number): Promise<Refusal | null> {
    if (element.kind === 'malformed') return malformed(element);
    if (element.kind !== 'request') {
      return refusal(400, 'METHOD_WRONG_KIND', 'clients of 2026-07-28 send requests only over HTTP', 'close the response to cancel its request');
    }
    const { rawHeaders } = visit.request;
    const { id } = element;
    if (inSession) {
      return refusal(400, 'ERA_MIXED', 'a request of 2026-07-28 names a session', 'use one protocol era: leave Mcp-Session-Id out', { id });
    }
    const unlike = judgeModernHeaders(rawHeaders, element);
    if (unlike !== null) return { ...unlike, id };
    const paramHeaders = paramHeadersOf(rawHeaders);
    if (paramHeaders === null) return refusal(400, 'HEADER_MISMATCH', 'an Mcp-Param header is repeated', 'send each once', { number: -32020, id });
    const { principal, response, at } = visit;
    return this.#modern.post({ message: element, paramHeaders, bytes, at, principal, response });
  }

  async #session(visit: Visit): Promise<{ refused: Refusal; bytes: number } | null> {
    const { request, response, principal } = visit;
    const { rawHeaders } = request;
    request.resume();
    const version = singleHeader(rawHeaders, 'mcp-protocol-version');
    const id = singleHeader(rawHeaders, 'mcp-session-id');
    if (id.kind !== 'one' || (version.kind === 'one' && version.value === MODERN_REVISION)) {
      return this.#refuse(visit, notAllowed('POST', 'there is no stream or session without a session id'), 0);
    }
    const session = this.#legacy.find(id.value, principal);
    if (session === null) return this.#refuse(visit, LegacyDesk.unknown(), 0);
    const unfit = judgeVersion(rawHeaders, session);
    if (unfit !== null) return this.#refuse(visit, unfit, 0);
    if (request.method === 'DELETE') {
      this.#legacy.end(session, response);
      return null;
    }
    const accept = singleHeader(rawHeaders, 'accept');
    if (accept.kind !== 'one' || !accepts(accept.value, 'text/event-stream')) {
      return this.#refuse(visit, refusal(406, 'ACCEPT_INVALID', 'the client does not accept events', 'set Accept: text/event-stream'), 0);
    }
    const last = singleHeader(rawHeaders, 'last-event-id');
    if (last.kind === 'repeated') return this.#refuse(visit, refusal(400, 'EVENT_UNKNOWN', 'the Last-Event-ID header is repeated', 'send it once'), 0);
    const refused = await this.#legacy.listen(session, response, last.kind === 'one' ? last.value : null);
    return refused === null ? null : this.#refuse(visit, refused, 0);
  }

  sweep(now: number): void {
    this.#legacy.sweep(now);
    this.#modern.sweep(now);
  }

  async close(): Promise<void> {
    await Promise.all([this.#legacy.close(), this.#modern.close()]);
  }
}

/** A message that cannot be read. */
export function malformed(element: Malformed): Refusal {
  const { code, hint, id } = element;
  return refusal(400, code, code, hint, { number: malformedNumber(code), ...(id === null ? {} : { id }) });
}

/** An answer under the request's own id, where there is exactly one request. */
export function withId(refused: Refusal, elements: readonly (Message | Malformed)[]): Refusal {
  const [first, second] = elements;
  return second === undefined && first?.kind === 'request' ? { ...refused, id: first.id } : refused;
}

/** From 2025-06-18 on each request of a session names its revision; a client that names another speaks to somebody else. */
export function judgeVersion(rawHeaders: readonly string[], session: { readonly revision: string | null }): Refusal | null {
  const version = singleHeader(rawHeaders, 'mcp-protocol-version');
  if (version.kind === 'none') return null;
  const hint = 'send the version that initialize agreed on';
  if (version.kind === 'repeated' || !isRevision(version.value)) return refusal(400, 'REVISION_UNKNOWN', 'the MCP-Protocol-Version header names no version that is known here', hint);
  if (session.revision === null || session.revision === version.value) return null;
  return refusal(400, 'ERA_MIXED', `the session speaks ${session.revision}`, hint);
}
