// SPDX-License-Identifier: Apache-2.0
/** One of several servers, for one client: its conversation, which begins anew where the server ended. */
import type { Message } from '../../shared/jsonrpc/message.ts';
import { Unavailable } from '../../shared/errors.ts';
import { AGGREGATE_RESTART_MS } from '../../shared/limits.ts';
import type { RequestMessage } from '../exchange/context.ts';
import type { About, Carrier } from '../exchange/parts.ts';
import type { Arrival } from '../exchange/side.ts';
import type { Refuse } from '../exchange/verdict.ts';
import { refuse } from '../exchange/verdict.ts';
import type { House, PeerOptions, Server, ServerPeer } from '../peer.ts';
import { openPeer } from '../peer.ts';
import type { Heard, Reply } from './ask.ts';
import { Ask } from './ask.ts';
import type { Offer } from './merge.ts';

export interface MemberParts {
  readonly house: House;
  readonly server: Server;
  readonly options: PeerOptions;
  /** Something of this server's for the client. */
  readonly send: (member: Member, text: string, about: About) => Promise<void>;
  /** The server is gone; everything that waited for it has been answered. `served`: it had answered its handshake. */
  readonly gone: (member: Member, served: boolean) => void;
  readonly fault: (error: unknown) => void;
}

export interface AskOptions {
  /** What the client's request came in with; null for a request of the gateway's own. */
  readonly client: Carrier | null;
  /** Milliseconds; null for a request without an end. */
  readonly msMax: number | null;
  /** Where the request stands while it waits, so that it can be cancelled. */
  readonly waiting?: Map<Ask, Member>;
  readonly heard?: Heard;
}

/** Why a server cannot serve, as whoever needed it is told. */
export function unavailable(name: string, error: Unavailable): Refuse {
  return refuse(error.code, `${name}: ${error.message}`, error.hint);
}

function late(name: string): Refuse {
  return refuse('UPSTREAM_UNREACHABLE', `${name} does not answer in time`, 'check that the server runs');
}

function cancelled(): Refuse {
  return refuse('CANCELLED', 'the request was cancelled', 'nothing has to be done');
}

export class Member {
  readonly #parts: MemberParts;
  #opening: Promise<ServerPeer> | null = null;
  #peer: ServerPeer | null = null;
  #closed = false;
  /** How often it was ended: what was being opened then is not wanted any more. */
  #ends = 0;
  /** What it answered to its handshake; null before that, and once it is gone. */
  offer: Offer | null = null;
  /** Why it is left alone for now; null where it is not. */
  refusal: Refuse | null = null;
  /** Milliseconds since 1970 until which it is left alone. */
  restUntil = 0;

  constructor(parts: MemberParts) {
    this.#parts = parts;
  }

  get name(): string {
    return this.#parts.server.name;
  }

  /** True while it is connected or is being connected. */
  get connected(): boolean {
    return this.#peer !== null || this.#opening !== null;
  }

  /** Rejects with Unavailable where it cannot be started. */
  open(): Promise<ServerPeer> {
    if (this.#peer !== null) return Promise.resolve(this.#peer);
    if (this.#opening !== null) return this.#opening;
    const opening = this.#connect().finally(() => {
      if (this.#opening === opening) this.#opening = null;
    });
    this.#opening = opening;
    return opening;
  }

  async #connect(): Promise<ServerPeer> {
    const { house, server, options, send } = this.#parts;
    const wanted = this.#ends;
    const life: { over: boolean; peer: ServerPeer | null } = { over: false, peer: null };
    const peer = await openPeer(house, server, {
      ...options,
      toClient: {
        send: (text, about) => (about.via instanceof Ask ? about.via.take(text, about) : send(this, text, about)),
        unanswered: (via) => {
          if (via instanceof Ask) via.settle({ kind: 'failed', refusal: cancelled() });
          else options.toClient.unanswered?.(via);
        },
      },
      streaming: (via) => {
        if (!(via instanceof Ask)) options.streaming?.(via);
      },
      paused: (via, retryMs) => {
        if (!(via instanceof Ask)) options.paused?.(via, retryMs);
      },
      gone: () => {
        life.over = true;
        if (life.peer !== null && life.peer === this.#peer) this.#ended(life.peer);
      },
    });
    if (life.over || this.#closed || wanted !== this.#ends) {
      await peer.close();
      throw new Unavailable('UPSTREAM_GONE', 'the server ended at once', 'see what it says on its standard error');
    }
    life.peer = peer;
    this.#peer = peer;
    return peer;
  }

  #ended(peer: ServerPeer): void {
    const served = this.offer !== null;
    this.#peer = null;
    this.offer = null;
    this.rest(refuse('UPSTREAM_GONE', `${this.name} ended`, 'try again in a moment'), AGGREGATE_RESTART_MS);
    peer.close().catch(this.#parts.fault);
    this.#parts.gone(this, served);
  }

  /** It is left alone for a while. */
  rest(refusal: Refuse, ms: number): void {
    this.refusal = refusal;
    this.restUntil = this.#parts.house.clock.now() + ms;
  }

  /** Asks for what the client or the gateway wants to know from several servers. */
  async ask(message: RequestMessage, arrival: Arrival, { client, msMax, waiting, heard }: AskOptions): Promise<Reply> {
    const ask = new Ask(client, heard ?? ((text, about) => this.#parts.send(this, text, about)));
    waiting?.set(ask, this);
    const timer = msMax === null ? undefined : setTimeout(() => {
      ask.settle({ kind: 'failed', refusal: late(this.name) });
      this.leave(ask);
    }, msMax);
    this.#hand(ask, message, arrival).catch((error: unknown) => {
      if (ask.settled) this.#parts.fault(error);
      else ask.fail(error);
    });
    try {
      return await ask.answered;
    } finally {
      clearTimeout(timer);
      waiting?.delete(ask);
    }
  }

  async #hand(ask: Ask, message: RequestMessage, arrival: Arrival): Promise<void> {
    let peer: ServerPeer;
    try {
      peer = await this.open();
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      ask.settle({ kind: 'failed', refusal: unavailable(this.name, error) });
      return;
    }
    if (!ask.settled) await peer.clientElement(message, { ...arrival, via: ask });
  }

  /** Takes a message of the client's as it is; false where the server is not connected. */
  async take(element: Message, arrival: Arrival): Promise<boolean> {
    if (this.#peer === null) return false;
    await this.#peer.clientElement(element, arrival);
    return true;
  }

  /** What a request came in with is closed. */
  leave(via: Carrier): void {
    if (via instanceof Ask && !via.settled) via.settle({ kind: 'failed', refusal: cancelled() });
    this.#peer?.clientLeft(via).catch(this.#parts.fault);
  }

  openStream(): Promise<'open' | 'unsupported'> {
    return this.#peer?.openStream() ?? Promise.resolve('unsupported');
  }

  /** Ends the conversation; it may begin anew. */
  async end(): Promise<void> {
    const peer = this.#peer;
    this.#ends += 1;
    this.#opening = null;
    this.#peer = null;
    this.offer = null;
    await peer?.close();
  }

  /** Ends the conversation for good. */
  async close(): Promise<void> {
    const opening = this.#opening;
    this.#closed = true;
    await this.end();
    try {
      await opening;
    } catch (error) {
      // Whoever wanted it open has been told.
      if (!(error instanceof Unavailable)) throw error;
    }
  }
}
