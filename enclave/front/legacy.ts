// SPDX-License-Identifier: Apache-2.0
/**
 * Sessions of the revisions up to 2025-11-25 over Streamable HTTP. A session is one conversation with one server; its id
 * is the gateway's own, tied to the principal and the path that it was opened with.
 */
import type { ServerResponse } from 'node:http';
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Unavailable } from '../../shared/errors.ts';
import { CHANNELS_KEPT_MAX, FINISHED_LENGTH_MAX, FINISHED_MS_MAX, SESSION_END_MS_MAX, SESSION_ROOM_MS_MIN } from '../../shared/limits.ts';
import type { Malformed, Message } from '../../shared/jsonrpc/message.ts';
import type { About } from '../exchange/parts.ts';
import { malformedNumber } from '../exchange/verdict.ts';
import type { House, Peer, PeerOptions } from '../peer.ts';
import type { Principal } from './auth.ts';
import { Channel } from './channel.ts';
import type { Refusal } from './refusal.ts';
import { refusal, replyEmpty, replyRefusal } from './refusal.ts';

/** Opens a conversation with what stands behind an endpoint. */
export type Open = (options: PeerOptions) => Promise<Peer>;

export interface LegacyOptions {
  readonly house: House;
  readonly open: Open;
  /** Messages of the server's own can be told from those of an answer. */
  readonly separateStreams: boolean;
  readonly sessionsMax: number;
  readonly sessionsElsewhere?: () => number;
  readonly idleMs: number;
}

/** One POST as it was decoded. */
export interface Post {
  readonly elements: readonly (Message | Malformed)[];
  readonly batch: boolean;
  readonly bytes: number;
  readonly at: number;
  readonly principal: Principal;
  readonly response: ServerResponse;
}

function isRequest(element: Message | Malformed): boolean {
  return element.kind === 'request' || (element.kind === 'malformed' && element.request !== false);
}

const PRIMED_FROM = '2025-11-25';
/** The one revision whose HTTP transports have batches. */
export const BATCHES_AT = '2025-03-26';

class Session {
  readonly id: string = randomUUID();
  readonly binding: string;
  readonly #onEnd: () => Promise<void>;
  readonly #separate: boolean;
  peer: Peer | null = null;
  lastUsed: number;
  /** The server answered with events before. */
  likesEvents: boolean;
  #channels = 0;
  readonly #open = new Map<number, Channel>();
  readonly #own: Channel;
  /** When a response was written to the end, by its number; the client may have been gone already. */
  readonly #finished = new Map<number, number>();
  readonly #clock: () => number;
  #over: Promise<void> | null = null;
  /** Called whenever a response is done. */
  #progress: () => void = () => undefined;

  constructor(binding: string, options: { separate: boolean; likesEvents: boolean; clock: () => number; onEnd: () => Promise<void> }) {
    this.binding = binding;
    this.#onEnd = options.onEnd;
    this.#separate = options.separate;
    this.#clock = options.clock;
    this.lastUsed = options.clock();
    this.likesEvents = options.likesEvents;
    this.#own = new Channel({ ids: '0', priming: false, answers: Infinity, headers: () => this.headers });
  }

  get headers(): Readonly<Record<string, string>> {
    return { 'mcp-session-id': this.id };
  }

  get revision(): string | null {
    return this.peer?.revision ?? null;
  }

  get idle(): boolean {
    return !this.#own.attached && ![...this.#open.values()].some((channel) => channel.attached);
  }

  /** A response for a POST; it stays known until it is complete and the client has all of it. */
  channel(answers: number, response: ServerResponse): Channel {
    this.#channels += 1;
    const number = this.#channels;
    const channel = new Channel({
      ids: String(number),
      priming: this.revision === PRIMED_FROM,
      // A handshake that fails names no session: it is answered as JSON, whose headers can still say so.
      likesEvents: () => this.likesEvents && this.revision !== null,
      answers,
      headers: (kind) => (kind === 'json' && this.revision === null ? {} : this.headers),
      done: () => this.#settle(number, channel),
      left: () => this.#progress(),
    });
    channel.attach(response);
    this.#open.set(number, channel);
    return channel;
  }

  #settle(number: number, channel: Channel): void {
    if (channel.keptLength === 0) this.#open.delete(number);
    else this.#finished.set(number, this.#clock());
    this.forgetFinished();
    this.#progress();
  }

  /** Keeps the newest answers that the client may come back for, within bounds; the last one whatever its size. */
  forgetFinished(): void {
    const answered = [...this.#open].filter(([, channel]) => channel.complete && !channel.attached);
    const now = this.#clock();
    let length = 0;
    for (const [at, [number, channel]] of answered.toReversed().entries()) {
      length += channel.keptLength;
      const isOld = now - (this.#finished.get(number) ?? now) > FINISHED_MS_MAX;
      if (!isOld && at < CHANNELS_KEPT_MAX && (at === 0 || length <= FINISHED_LENGTH_MAX)) continue;
      this.#open.delete(number);
      this.#finished.delete(number);
    }
  }

  send(text: string, about: About): Promise<void> {
    const channel = about.via instanceof Channel ? about.via : this.#unrelated();
    return channel.send(text, about.kind === 'answer' ? 'answer' : 'other', about.status);
  }

  /** Messages that belong to no request go to the client's own stream, and only where that cannot be told, to an answer's. */
  #unrelated(): Channel {
    if (this.#separate || this.#own.attached) return this.#own;
    const attached = [...this.#open.values()].findLast((channel) => channel.attached);
    return attached ?? this.#own;
  }

  /** The client's own stream, or one that it takes up again. Null where the event is not known. */
  listen(response: ServerResponse, lastEventId: string | null): 'ok' | 'unknown' {
    if (lastEventId === null) {
      // A client that comes back without saying what it has seen gets what was never sent.
      return this.#own.resume(response, null) ? 'ok' : 'unknown';
    }
    const [, number = '', seq = ''] = /^([0-9]{1,9})-([0-9]{1,9})$/.exec(lastEventId) ?? [];
    const channel = number === '0' ? this.#own : this.#open.get(Number(number));
    return channel?.resume(response, Number(seq)) === true ? 'ok' : 'unknown';
  }

  get ended(): boolean {
    return this.#over !== null;
  }

  /** Takes no more; resolves when who still waited has an answer and every response is closed. */
  end(): Promise<void> {
    this.#over ??= this.#end();
    return this.#over;
  }

  async #end(): Promise<void> {
    const peer = this.#onEnd();
    this.#own.close();
    await Promise.race([this.#answered(), delay(SESSION_END_MS_MAX, undefined, { ref: false })]);
    for (const channel of this.#open.values()) channel.close();
    this.#open.clear();
    await peer;
  }

  /** Resolves when no client waits for an answer in a response any more. */
  #answered(): Promise<void> {
    return new Promise((resolve) => {
      this.#progress = () => {
        if ([...this.#open.values()].every((channel) => channel.complete || !channel.attached)) resolve();
      };
      this.#progress();
    });
  }
}

function unknownSession(): Refusal {
  return refusal(404, 'SESSION_UNKNOWN', 'there is no such session', 'initialize again', { number: -32001 });
}

export class LegacyDesk {
  readonly #options: LegacyOptions;
  readonly #sessions = new Map<string, Session>();

  constructor(options: LegacyOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** The session that an id names for this principal; one of another principal is as unknown as none. */
  find(id: string, principal: Principal): Session | null {
    const session = this.#sessions.get(id);
    if (session === undefined || session.peer === null || session.binding !== principal.binding) return null;
    session.lastUsed = this.#options.house.clock.now();
    return session;
  }

  /** A POST without a session: only `initialize` opens one. Returns what is refused. */
  async open(post: Post): Promise<Refusal | null> {
    const { house, open, separateStreams, sessionsMax, sessionsElsewhere } = this.#options;
    if (this.#sessions.size + (sessionsElsewhere?.() ?? 0) >= sessionsMax && !this.#makeRoom()) {
      return refusal(503, 'CAPACITY', 'too many sessions are open', 'end some, or raise limits.sessions', { headers: { 'retry-after': '10' } });
    }
    const session = new Session(post.principal.binding, {
      separate: separateStreams,
      clock: house.clock.now,
      // A server on stdio answers neither way: events are what clients are used to.
      likesEvents: !separateStreams,
      onEnd: async () => {
        this.#sessions.delete(session.id);
        await session.peer?.close();
      },
    });
    this.#sessions.set(session.id, session);
    const channel = session.channel(1, post.response);
    try {
      const peer = await open({
        principal: post.principal.name,
        era: 'legacy',
        face: 'http',
        toClient: {
          send: async (text, about) => {
            await session.send(text, about);
            // A handshake that failed leaves no session behind.
            if (about.method === 'initialize' && about.kind === 'answer' && session.revision === null) void session.end();
          },
          unanswered: (via) => {
            if (via instanceof Channel) via.skip();
          },
        },
        streaming: (via) => {
          session.likesEvents = true;
          if (via instanceof Channel) via.stream();
        },
        paused: (via, retryMs) => {
          if (via instanceof Channel) via.pause(retryMs);
        },
        gone: () => void session.end(),
      });
      session.peer = peer;
      if (session.ended) await peer.close();
    } catch (error) {
      channel.release();
      await session.end();
      if (!(error instanceof Unavailable)) throw error;
      house.log.error(error.code, error.message, error.hint);
      return refusal(502, error.code, error.message, error.hint, { number: -32001 });
    }
    await this.#take(session, post, channel);
    return null;
  }

  /** Ends the session without use for longest, of whoever has the most sessions; false if none was unused long enough. */
  #makeRoom(): boolean {
    const before = this.#options.house.clock.now() - SESSION_ROOM_MS_MIN;
    const owned = new Map<string, number>();
    for (const { binding } of this.#sessions.values()) owned.set(binding, (owned.get(binding) ?? 0) + 1);
    const [longest] = [...this.#sessions.values()]
      .filter((session) => session.idle && session.lastUsed <= before)
      .toSorted((a, b) => (owned.get(b.binding) ?? 0) - (owned.get(a.binding) ?? 0) || a.lastUsed - b.lastUsed);
    void longest?.end();
    return longest !== undefined;
  }

  /** A POST within a session. */
  async post(session: Session, post: Post): Promise<Refusal | null> {
    if (post.batch && session.revision !== BATCHES_AT) {
      return refusal(400, 'BATCH_NOT_ALLOWED', 'a batch is not allowed at this revision', 'send one message per request');
    }
    if (post.batch && post.elements.some((element) => element.kind === 'request' && element.method === 'initialize')) {
      return refusal(400, 'BATCH_NOT_ALLOWED', 'initialize may not be part of a batch', 'send it by itself');
    }
    const requests = post.elements.filter(isRequest).length;
    if (requests > 0) {
      await this.#take(session, post, session.channel(requests, post.response));
      return null;
    }
    await this.#take(session, post, null);
    const unfit = post.elements.find((element) => element.kind === 'malformed');
    // Its row is written; what cannot be taken must not be answered as if it were (2025-06-18, sending messages).
    if (unfit === undefined) replyEmpty(post.response, 202);
    else replyRefusal(post.response, refusal(400, unfit.code, unfit.code, unfit.hint, { number: malformedNumber(unfit.code) }));
    return null;
  }

  async #take(session: Session, post: Post, channel: Channel | null): Promise<void> {
    const { peer } = session;
    if (peer === null) return;
    const arrival = { bytes: post.bytes, at: post.at, via: channel };
    if (post.batch) channel?.stream();
    await Promise.all(post.elements.map((element) => peer.clientElement(element, arrival)));
  }

  /** GET: the client's own stream. Returns what is refused. */
  async listen(session: Session, response: ServerResponse, lastEventId: string | null): Promise<Refusal | null> {
    const { peer } = session;
    if (peer === null || session.revision === null) return refusal(400, 'SESSION_REQUIRED', 'the session is not initialized yet', 'finish the handshake first');
    if (lastEventId === null && (await peer.openStream()) === 'unsupported') {
      return refusal(405, 'METHOD_NOT_ALLOWED', 'the server has no stream of its own', 'answers come with their requests', { headers: { allow: 'POST, DELETE' } });
    }
    if (session.ended) return unknownSession();
    if (session.listen(response, lastEventId) === 'ok') return null;
    return refusal(400, 'EVENT_UNKNOWN', 'that event was never sent or is kept no longer', 'open the stream without Last-Event-ID');
  }

  /** DELETE. */
  end(session: Session, response: ServerResponse): void {
    void session.end();
    replyEmpty(response, 200);
  }

  /** Ends sessions that nobody uses. */
  sweep(now: number): void {
    for (const session of this.#sessions.values()) {
      session.forgetFinished();
      if (!session.idle) session.lastUsed = now;
      else if (now - session.lastUsed > this.#options.idleMs) void session.end();
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#sessions.values()].map((session) => session.end()));
  }

  static unknown(): Refusal {
    return unknownSession();
  }
}

export type { Session };
