// SPDX-License-Identifier: Apache-2.0
/**
 * The transport of revision 2024-11-05 for clients that know no other: a GET opens a stream, whose first event says where
 * messages go, and everything that the client is told comes on it. The session is the stream: when the client closes it,
 * the conversation ends. Its id stands in an address, so it is no authentication: each message is authenticated by
 * itself, and a session of another principal is as unknown as none.
 */
import type { ServerResponse } from 'node:http';
import { Unavailable } from '../../shared/errors.ts';
import { writeSseEvent } from '../../shared/http/sse.ts';
import type { Malformed, Message } from '../../shared/jsonrpc/message.ts';
import { decodeMessage } from '../../shared/jsonrpc/message.ts';
import { MODERN_REVISION } from '../../shared/mcp/revisions.ts';
import { sayFault } from '../fault.ts';
import type { House, Peer } from '../peer.ts';
import { Pipeline } from '../pipeline.ts';
import type { BodyReader } from './body.ts';
import { judgeBodyHeaders } from './body.ts';
import { Channel } from './channel.ts';
import type { Route } from './door.ts';
import type { Visit } from './endpoint.ts';
import { judgeVersion, malformed, withId } from './endpoint.ts';
import { eraOfPost, judgeLegacyHeaders } from './era.ts';
import { accepts, singleHeader } from './headers.ts';
import type { Open } from './legacy.ts';
import { BATCHES_AT, LegacyDesk } from './legacy.ts';
import type { Refusal } from './refusal.ts';
import { refusal, replyEmpty, replyRefusal } from './refusal.ts';

export interface SseDeskOptions {
  readonly house: House;
  /** As rows name what stands behind. */
  readonly name: string;
  readonly open: Open;
  readonly bodies: BodyReader;
  readonly sessionsMax: number;
  /** Sessions that the other transport of the same endpoint has open: both share what there may be. */
  readonly sessionsElsewhere: () => number;
  readonly idleMs: number;
}

type Outcome = { refused: Refusal; bytes: number } | null;

/** 128 bits: the id is all that leads to a session, besides its principal. */
const SESSION_ID_BYTES = 16;
class Session {
  readonly id: string;
  readonly binding: string;
  readonly channel: Channel;
  peer: Peer | null = null;
  lastUsed: number;
  ended = false;
  readonly #onEnd: () => void;
  readonly #pipeline: Pipeline = new Pipeline();
  #entered: Promise<void> = Promise.resolve();

  constructor(id: string, options: { readonly binding: string; readonly messagesPath: string; readonly now: number; readonly onEnd: () => void }) {
    this.id = id;
    this.binding = options.binding;
    this.lastUsed = options.now;
    this.#onEnd = options.onEnd;
    this.channel = new Channel({
      ids: null,
      priming: false,
      opening: writeSseEvent({ name: 'endpoint', data: `${options.messagesPath}?sessionId=${id}` }),
      answers: Infinity,
      headers: () => ({}),
      left: () => this.end(),
    });
  }

  get revision(): string | null {
    return this.peer?.revision ?? null;
  }

  /** Resolves, for one message after the other, when there is room for it. */
  enter(bytes: number): Promise<void> {
    this.#entered = this.#entered.then(() => this.#pipeline.enter(bytes));
    return this.#entered;
  }

  leave(bytes: number): void {
    this.#pipeline.leave(bytes);
  }

  end(): void {
    if (this.ended) return;
    this.ended = true;
    this.#onEnd();
    this.channel.close();
  }
}

function notAllowed(allow: string, hint: string): Refusal {
  return refusal(405, 'METHOD_NOT_ALLOWED', 'the method is not part of this transport', hint, { headers: { allow } });
}

function modernRefused(elements: readonly (Message | Malformed)[]): Refusal {
  return withId(refusal(400, 'ERA_MIXED', `this transport does not carry ${MODERN_REVISION}`, 'use the path of Streamable HTTP'), elements);
}

export class SseDesk {
  readonly #options: SseDeskOptions;
  readonly #sessions = new Map<string, Session>();

  constructor(options: SseDeskOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Answers where clients open streams. They are told to send their messages to that path, as they see it. */
  stream(messagesPath: string): Route {
    return { name: this.#options.name, unlisted: true, visit: (visit) => this.#listen(visit, messagesPath) };
  }

  /** Answers where clients send messages. */
  messages(): Route {
    return { name: this.#options.name, unlisted: true, visit: (visit) => this.#post(visit) };
  }

  #refuse({ request, response }: Visit, refused: Refusal, bytes = 0): Outcome {
    replyRefusal(response, refused);
    if (!request.complete) request.resume();
    return { refused, bytes };
  }

  async #listen(visit: Visit, messagesPath: string): Promise<Outcome> {
    const { request, response, principal } = visit;
    const unfit = this.#judgeOpening(visit);
    if (unfit !== null) return this.#refuse(visit, unfit);
    request.resume();
    const { house } = this.#options;
    const session = new Session(house.randomHex(SESSION_ID_BYTES), {
      binding: principal.binding,
      messagesPath,
      now: house.clock.now(),
      onEnd: () => {
        this.#sessions.delete(session.id);
        void session.peer?.close();
      },
    });
    this.#sessions.set(session.id, session);
    try {
      await this.#connect(session, principal.name, response);
      return null;
    } catch (error) {
      session.end();
      if (!(error instanceof Unavailable)) throw error;
      house.log.error(error.code, error.message, error.hint);
      return this.#refuse(visit, refusal(502, error.code, error.message, error.hint, { number: -32001 }));
    }
  }

  #judgeOpening({ request }: Visit): Refusal | null {
    const { sessionsMax, sessionsElsewhere } = this.#options;
    // Clients that first try Streamable HTTP here take 405 as the sign to open the stream.
    if (request.method !== 'GET') return notAllowed('GET', 'open the stream with GET; its first event says where messages go');
    const version = singleHeader(request.rawHeaders, 'mcp-protocol-version');
    if (version.kind === 'one' && version.value === MODERN_REVISION) return modernRefused([]);
    const accept = singleHeader(request.rawHeaders, 'accept');
    if (accept.kind === 'repeated' || (accept.kind === 'one' && !accepts(accept.value, 'text/event-stream'))) {
      return refusal(406, 'ACCEPT_INVALID', 'the client does not accept events', 'set Accept: text/event-stream');
    }
    if (this.#sessions.size + sessionsElsewhere() < sessionsMax) return null;
    return refusal(503, 'CAPACITY', 'too many sessions are open', 'end some, or raise limits.sessions', { headers: { 'retry-after': '10' } });
  }

  /** The stream begins when there is something behind it: from then on the client may send. */
  async #connect(session: Session, principal: string, response: ServerResponse): Promise<void> {
    const { open } = this.#options;
    const peer = await open({
      principal,
      era: 'legacy',
      face: 'http',
      toClient: { send: (text) => session.channel.send(text, 'other', null) },
      gone: () => session.end(),
    });
    session.peer = peer;
    if (session.ended) {
      await peer.close();
      throw new Unavailable('UPSTREAM_GONE', 'the server ended as soon as it was connected', 'see the log of the server');
    } else if (response.destroyed) {
      session.end();
    } else {
      session.channel.attach(response);
      session.channel.stream();
    }
  }

  #find({ request, principal }: Visit): Session | null {
    const [id, second] = new URLSearchParams((request.url ?? '').split('?', 2)[1] ?? '').getAll('sessionId');
    const session = id === undefined || second !== undefined ? undefined : this.#sessions.get(id);
    return session === undefined || session.binding !== principal.binding ? null : session;
  }

  async #post(visit: Visit): Promise<Outcome> {
    const { request } = visit;
    if (request.method !== 'POST') return this.#refuse(visit, notAllowed('POST', 'send messages with POST'));
    const session = this.#find(visit);
    if (session === null) return this.#refuse(visit, LegacyDesk.unknown());
    const unfit = judgeBodyHeaders(request.rawHeaders, 'only taken') ?? judgeVersion(request.rawHeaders, session);
    if (unfit !== null) return this.#refuse(visit, unfit);
    const body = await this.#options.bodies.read(request);
    if (body === null) return null;
    if (!(body instanceof Uint8Array)) return this.#refuse(visit, body);
    try {
      return await this.#read(visit, session, body);
    } finally {
      // The session's own bound holds for what waits behind it.
      this.#options.bodies.release(body);
    }
  }

  async #read(visit: Visit, session: Session, body: Uint8Array): Promise<Outcome> {
    const { response } = visit;
    const decoded = decodeMessage(body, 'c2s');
    if (decoded.kind === 'malformed') return this.#refuse(visit, malformed(decoded), body.length);
    const elements = decoded.kind === 'single' ? [decoded.element] : decoded.elements;
    const refused = this.#judge(visit, session, elements, decoded.kind === 'batch');
    if (refused !== null) return this.#refuse(visit, refused, body.length);
    await this.#take(session, elements, { bytes: body.length, at: visit.at });
    replyEmpty(response, 202);
    return null;
  }

  #judge({ request }: Visit, session: Session, elements: readonly (Message | Malformed)[], batch: boolean): Refusal | null {
    if (session.ended) return LegacyDesk.unknown();
    const [first] = elements;
    // A client that asks which eras there are is answered on the stream: a refusal here would be no answer to it.
    const asks = !batch && first?.kind === 'request' && first.method === 'server/discover';
    if (!asks && elements.some((element) => eraOfPost(request.rawHeaders, element) === 'modern')) return modernRefused(elements);
    if (batch && session.revision !== BATCHES_AT) {
      return refusal(400, 'BATCH_NOT_ALLOWED', 'a batch is not allowed at this revision', 'send one message per request');
    }
    const unlike = elements.map((element) => judgeLegacyHeaders(request.rawHeaders, element)).find((found) => found !== null);
    return unlike === undefined ? null : withId(unlike, elements);
  }

  /**
   * Messages are dealt with in their order, and a POST is answered before its message is: a client that sends one after
   * the other may have to answer a request of the server's first.
   */
  async #take(session: Session, elements: readonly (Message | Malformed)[], arrival: { readonly bytes: number; readonly at: number }): Promise<void> {
    const { house } = this.#options;
    const { peer } = session;
    session.lastUsed = house.clock.now();
    if (peer === null) return;
    await session.enter(arrival.bytes);
    void Promise.all(elements.map((element) => peer.clientElement(element, arrival)))
      .catch((error: unknown) => {
        sayFault(house.log, 'the session', error);
        session.end();
      })
      .finally(() => session.leave(arrival.bytes));
  }

  /** Ends streams on which no handshake came: each has a connection to the server behind it. */
  sweep(now: number): void {
    for (const session of this.#sessions.values()) {
      if (session.revision === null && now - session.lastUsed > this.#options.idleMs) session.end();
    }
  }

  async close(): Promise<void> {
    const open = [...this.#sessions.values()];
    for (const session of open) session.end();
    await Promise.all(open.map(({ peer }) => peer?.close() ?? Promise.resolve()));
  }
}
