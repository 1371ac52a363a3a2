// SPDX-License-Identifier: Apache-2.0
/**
 * Revision 2026-07-28 over HTTP: every POST stands for itself. Behind it, the requests of one principal with one set of
 * capabilities share a conversation, so that they share its judged listing; each gets an id of its own there, because the
 * ids of two clients may be the same. On the way back the client's own id and tokens stand again.
 */
import type { ServerResponse } from 'node:http';
import { sha256Hex } from '../../shared/digest.ts';
import { Unavailable } from '../../shared/errors.ts';
import { canonicalJson, wireJson } from '../../shared/json/canonical.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { isJsonObject, withMember, withoutMembers } from '../../shared/json/value.ts';
import type { RequestId } from '../../shared/jsonrpc/id.ts';
import { isRequestId } from '../../shared/jsonrpc/id.ts';
import type { Message } from '../../shared/jsonrpc/message.ts';
import { MODERN_PEERS_MAX, MODERN_PEERS_PER_PRINCIPAL_MAX } from '../../shared/limits.ts';
import { META_SUBSCRIPTION_ID, readMeta } from '../../shared/mcp/meta.ts';
import type { About } from '../exchange/parts.ts';
import type { House, Peer } from '../peer.ts';
import type { Principal } from './auth.ts';
import { Channel } from './channel.ts';
import type { Open } from './legacy.ts';
import type { Refusal } from './refusal.ts';
import { refusal } from './refusal.ts';

export interface ModernOptions {
  readonly house: House;
  readonly open: Open;
  readonly separateStreams: boolean;
  /** Conversations at most: behind each there may be a process. */
  readonly sessionsMax: number;
  readonly idleMs: number;
}

export interface ModernPost {
  readonly message: Extract<Message, { kind: 'request' }>;
  readonly paramHeaders: ReadonlyMap<string, string>;
  readonly bytes: number;
  readonly at: number;
  readonly principal: Principal;
  readonly response: ServerResponse;
}

/** The client's own names of one request. */
interface Names {
  readonly id: RequestId;
  readonly token: RequestId | null;
}

/** Milliseconds after which a conversation that brought nothing but refusals ends: the server is of an older era. */
const USELESS_IDLE_MS = 10_000;

class Shelf {
  readonly peer: Promise<Peer>;
  lastUsed: number;
  /** Requests under way. */
  open = 0;
  /** Some request was answered with a result. */
  useful = false;
  #ids = 0;
  readonly #names = new WeakMap<Channel, Names>();

  constructor(connect: (shelf: Shelf) => Promise<Peer>, now: number) {
    this.lastUsed = now;
    this.peer = connect(this);
  }

  /** The message under an id and a progress token that nobody else has here. */
  admit(message: ModernPost['message'], channel: Channel): ModernPost['message'] {
    this.#ids += 1;
    const id = this.#ids;
    const { progressToken } = readMeta(message.params);
    this.#names.set(channel, { id: message.id, token: progressToken });
    const value = withMember(message.value, 'id', id);
    const meta = message.params?.['_meta'];
    if (progressToken === null || message.params === undefined || !isJsonObject(meta)) return { ...message, id, value };
    const params = withMember(message.params, '_meta', withMember(meta, 'progressToken', id));
    return { ...message, id, params, value: withMember(value, 'params', params) };
  }

  send(_text: string, about: About): Promise<void> {
    // What belongs to no request has no response to travel in.
    if (!(about.via instanceof Channel)) return Promise.resolve();
    const names = this.#names.get(about.via);
    if (about.kind === 'answer' && 'result' in about.value) this.useful = true;
    const value = names === undefined ? about.value : restored(about, names);
    return about.via.send(wireJson(value), about.kind === 'answer' ? 'answer' : 'other', about.status);
  }
}

/** A message with the client's own names in the places where the gateway's stood. */
function restored(about: About, names: Names): JsonObject {
  const { value } = about;
  if (about.kind === 'answer') {
    // 2026-07-28: an error whose request has no readable id has none either.
    if (about.id === null) return withoutMembers(value, 'id');
    const named = withMember(value, 'id', names.id);
    const result = value['result'];
    return isJsonObject(result) ? withMember(named, 'result', resubscribed(result, names)) : named;
  }
  const params = value['params'];
  if (!isJsonObject(params)) return value;
  const subscribed = resubscribed(params, names);
  const kept = about.method === 'notifications/progress' && names.token !== null ? withMember(subscribed, 'progressToken', names.token) : subscribed;
  const cancelled = about.method === 'notifications/cancelled' && isRequestId(params['requestId']) ? withMember(kept, 'requestId', names.id) : kept;
  return cancelled === params ? value : withMember(value, 'params', cancelled);
}

function resubscribed(holder: JsonObject, names: Names): JsonObject {
  const meta = holder['_meta'];
  if (!isJsonObject(meta) || !(META_SUBSCRIPTION_ID in meta)) return holder;
  return withMember(holder, '_meta', withMember(meta, META_SUBSCRIPTION_ID, names.id));
}

export class ModernDesk {
  readonly #options: ModernOptions;
  readonly #shelves = new Map<string, Shelf>();

  constructor(options: ModernOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#shelves.size;
  }

  /** Returns what is refused before the conversation. */
  async post(post: ModernPost): Promise<Refusal | null> {
    const { house } = this.#options;
    const shelf = this.#shelfFor(post);
    if (shelf === null) {
      return refusal(503, 'CAPACITY', 'too many clients are served', 'try again later', { id: post.message.id, headers: { 'retry-after': '10' } });
    }
    // Counted from now on, so that it is not taken for idle while it connects.
    shelf.open += 1;
    let peer: Peer;
    try {
      peer = await shelf.peer;
    } catch (error) {
      shelf.open -= 1;
      if (!(error instanceof Unavailable)) throw error;
      house.log.error(error.code, error.message, error.hint);
      return refusal(502, error.code, error.message, error.hint, { number: -31001, id: post.message.id });
    }
    if (post.response.destroyed) {
      shelf.open -= 1;
      return null;
    }
    const channel: Channel = new Channel({
      ids: null,
      priming: false,
      answers: 1,
      headers: () => ({}),
      likesEvents: () => !this.#options.separateStreams,
      done: () => {
        shelf.open -= 1;
        shelf.lastUsed = house.clock.now();
      },
      left: () => {
        shelf.open -= 1;
        void peer.clientLeft(channel);
      },
    });
    channel.attach(post.response);
    const message = shelf.admit(post.message, channel);
    await peer.clientElement(message, {
      bytes: post.bytes,
      at: post.at,
      via: channel,
      shownId: post.message.id,
      paramHeaders: post.paramHeaders,
    });
    return null;
  }

  #shelfFor(post: ModernPost): Shelf | null {
    const { house, open } = this.#options;
    const { clientCapabilities } = readMeta(post.message.params);
    const key = `${post.principal.binding}:${sha256Hex(canonicalJson(clientCapabilities))}`;
    const known = this.#shelves.get(key);
    if (known !== undefined) {
      known.lastUsed = house.clock.now();
      return known;
    }
    const { binding } = post.principal;
    const own = [...this.#shelves].filter(([name]) => name.startsWith(`${binding}:`));
    if (own.length >= MODERN_PEERS_PER_PRINCIPAL_MAX && !this.#makeRoom(own)) return null;
    if (this.#shelves.size >= Math.min(MODERN_PEERS_MAX, this.#options.sessionsMax) && !this.#makeRoom(this.#shelves)) return null;
    const forget = (): void => {
      if (this.#shelves.get(key) === shelf) this.#shelves.delete(key);
    };
    const shelf: Shelf = new Shelf(async (self) => {
      try {
        return await open({
          principal: post.principal.name,
          era: 'modern',
          face: 'http',
          toClient: {
            send: (text, about) => self.send(text, about),
            unanswered: (via) => {
              if (via instanceof Channel) via.skip();
            },
          },
          streaming: (via) => {
            if (via instanceof Channel) via.stream();
          },
          gone: () => {
            forget();
            void self.peer.then((peer) => peer.close(), () => undefined);
          },
        });
      } catch (error) {
        forget();
        throw error;
      }
    }, house.clock.now());
    // Who asked is told; here it is only kept from counting as unhandled.
    shelf.peer.catch(() => undefined);
    this.#shelves.set(key, shelf);
    return shelf;
  }

  /** Ends the conversation that was used least recently, if one has nothing under way. */
  #makeRoom(among: Iterable<[string, Shelf]>): boolean {
    let oldest: [string, Shelf] | null = null;
    for (const entry of among) {
      if (entry[1].open <= 0 && (oldest === null || entry[1].lastUsed < oldest[1].lastUsed)) oldest = entry;
    }
    if (oldest === null) return false;
    this.#end(...oldest);
    return true;
  }

  #end(key: string, shelf: Shelf): void {
    this.#shelves.delete(key);
    void shelf.peer.then((peer) => peer.close(), () => undefined);
  }

  /** Ends conversations that nobody uses. */
  sweep(now: number): void {
    for (const [key, shelf] of this.#shelves) {
      const idleMs = shelf.useful ? this.#options.idleMs : USELESS_IDLE_MS;
      if (shelf.open <= 0 && now - shelf.lastUsed > idleMs) this.#end(key, shelf);
    }
  }

  async close(): Promise<void> {
    const peers = [...this.#shelves.values()].map((shelf) => shelf.peer.then((peer) => peer.close(), () => undefined));
    this.#shelves.clear();
    await Promise.all(peers);
  }
}
