// SPDX-License-Identifier: Apache-2.0
/**
 * What is known of one client connection: its era, the requests in flight in both directions, and the tokens that tie
 * later messages to them. A request id is bound by type and value to exactly one request.
 */
import { sha256Hex } from '../../shared/digest.ts';
import { ID_LENGTH_MAX, IN_FLIGHT_MAX } from '../../shared/limits.ts';
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { isJsonObject } from '../../shared/json/value.ts';
import type { RequestId } from '../../shared/jsonrpc/id.ts';
import { isRequestId } from '../../shared/jsonrpc/id.ts';
import { META_LOG_LEVEL } from '../../shared/mcp/meta.ts';
import type { Era, Revision } from '../../shared/mcp/revisions.ts';
import { MODERN_REVISION } from '../../shared/mcp/revisions.ts';
import type { Carrier } from './parts.ts';

/** What the peer answered to a request that the gateway made by itself. */
export type GatewayAnswer =
  | { readonly kind: 'result'; readonly result: JsonObject; readonly bytes?: number }
  | { readonly kind: 'error'; readonly error: JsonObject }
  | { readonly kind: 'refused'; readonly code: string };

/** A request that waits for its answer. */
export interface Pending {
  readonly id: RequestId;
  /** The id as the client knows it, where the transport gave the request another. */
  readonly shownId: RequestId;
  readonly callId: string;
  readonly method: string;
  /** The method as rows and logs show it. */
  readonly shownMethod: string;
  readonly tool: string | null;
  readonly era: Era;
  readonly origin: 'client' | 'server' | 'gateway';
  /** Microseconds. */
  readonly arrived: number;
  readonly progressToken: RequestId | null;
  /** What it came in with, over HTTP. */
  readonly via: Carrier | null;
  /** Log messages of the server's may travel with it (2026-07-28: only where the request names a level). */
  readonly wantsLog: boolean;
  /** For `subscriptions/listen`: the notifications that were asked for. */
  readonly filter: JsonObject | null;
  /** For `resources/read`: what is read. */
  readonly resource?: string | undefined;
  /** What a `requestState` of its answer is bound to; null where none is wrapped. */
  readonly stateContext: string | null;
  /** How often the server asked for input to this request before. */
  round: number;
  /** A person approved the call, in this attempt or in the one that it continues. */
  approved: boolean;
  /** True once the request went to the peer. */
  sent: boolean;
  cancelled: boolean;
  /** Ends what the request waits for before it goes to the peer. */
  abort?: (() => void) | undefined;
  /** Gives back what the request holds of a limit, with the bytes of its answer. */
  release?: ((bytes: number) => void) | undefined;
  /** For requests of the gateway's own. */
  readonly settle?: (answer: GatewayAnswer) => void;
}

function keyOf(id: RequestId): string {
  return `${typeof id}:${id}`;
}

/**
 * A copy of its own. A text cut from a message keeps the whole message in memory, and what is remembered here outlives
 * its message.
 */
export function detached(id: RequestId): RequestId {
  return typeof id === 'string' ? detachedText(id) : id;
}

/** The same for a text. */
export function detachedText(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8');
}

/** Requests of one direction. */
export class InFlight {
  readonly #pending = new Map<string, Pending>();
  readonly #tokens = new Map<string, Pending[]>();
  /** Cancelled requests whose late answer may still come, oldest first. */
  readonly #late = new Map<string, Pending>();

  get size(): number {
    return this.#pending.size;
  }

  get full(): boolean {
    return this.#pending.size >= IN_FLIGHT_MAX;
  }

  get(id: RequestId): Pending | undefined {
    return this.#pending.get(keyOf(id));
  }

  add(pending: Pending): void {
    this.#pending.set(keyOf(pending.id), pending);
    if (pending.progressToken !== null) {
      const token = keyOf(pending.progressToken);
      this.#tokens.set(token, [...(this.#tokens.get(token) ?? []), pending]);
    }
  }

  /** Takes the request out; its answer is no longer expected. */
  remove(pending: Pending): void {
    // A refused or cancelled request may have left its id to another one.
    if (this.get(pending.id) !== pending) return;
    this.#pending.delete(keyOf(pending.id));
    pending.release?.(0);
    pending.release = undefined;
    if (pending.progressToken === null) return;
    const token = keyOf(pending.progressToken);
    const left = (this.#tokens.get(token) ?? []).filter((holder) => holder !== pending);
    if (left.length === 0) this.#tokens.delete(token);
    else this.#tokens.set(token, left);
  }

  /** Takes a cancelled request out and remembers it, so that a late answer is recorded with its request. */
  cancel(pending: Pending): void {
    pending.cancelled = true;
    pending.abort?.();
    this.remove(pending);
    if (!pending.sent) return;
    this.#late.set(keyOf(pending.id), pending);
    const oldest = this.#late.keys().next();
    if (this.#late.size > IN_FLIGHT_MAX && oldest.done !== true) this.#late.delete(oldest.value);
  }

  /** True while a cancelled request of that id may still be answered: a new one would take its answer. */
  awaitsLate(id: RequestId): boolean {
    return this.#late.has(keyOf(id));
  }

  /** The cancelled request that this id answers late, once. */
  takeLate(id: RequestId): Pending | undefined {
    const late = this.#late.get(keyOf(id));
    this.#late.delete(keyOf(id));
    return late;
  }

  hasToken(token: RequestId): boolean {
    return this.#tokens.has(keyOf(token));
  }

  /** Forgets all of them: the peer that made them is another one now. */
  clear(): void {
    this.#pending.clear();
    this.#tokens.clear();
    this.#late.clear();
  }

  /** The oldest request that waits under a progress token. */
  holderOf(token: JsonValue | undefined): Pending | undefined {
    return isRequestId(token) ? this.#tokens.get(keyOf(token))?.[0] : undefined;
  }

  all(): readonly Pending[] {
    return [...this.#pending.values()];
  }
}

/** A server may make its task ids as long as it likes. */
function taskKey(taskId: string): string {
  return taskId.length > ID_LENGTH_MAX ? `sha256:${sha256Hex(taskId)}` : detachedText(taskId);
}

/** Tasks whose later messages belong to a tool call (2025-11-25 and the modern extension). */
class TaskTools {
  readonly #tools = new Map<string, { tool: string; token: RequestId | null }>();

  add(taskId: string, tool: string, token: RequestId | null): void {
    this.#tools.set(taskKey(taskId), { tool, token });
    const oldest = this.#tools.keys().next();
    if (this.#tools.size > IN_FLIGHT_MAX && oldest.done !== true) this.#tools.delete(oldest.value);
  }

  toolOf(taskId: JsonValue | undefined): string | null {
    return typeof taskId === 'string' ? (this.#tools.get(taskKey(taskId))?.tool ?? null) : null;
  }

  hasToken(token: RequestId): boolean {
    for (const task of this.#tools.values()) if (task.token === token) return true;
    return false;
  }
}

/** What the client asked in `initialize`, and what it was answered. */
export interface Handshake {
  /** As they were forwarded. */
  readonly params: JsonObject;
  /** SHA-256 of the answer's canonical JSON; null before it came. */
  readonly answer: string | null;
}

/** The state of one client connection. */
export class Conversation {
  /** Null until the first handshake succeeded; fixed from then on. */
  era: Era | null;
  /** The revision that the server answered to `initialize`. */
  revision: Revision | null = null;
  /** `_meta` of the client's last modern request: the gateway's own listing speaks with the same capabilities. */
  modernMeta: JsonObject | null = null;
  /** The `initialize` that the server answered, to be repeated where its session is lost. */
  handshake: Handshake | null = null;
  readonly fromClient: InFlight = new InFlight();
  readonly fromServer: InFlight = new InFlight();
  readonly tasks: TaskTools = new TaskTools();
  /** True once the server says nothing more. */
  silent = false;
  #calls = 0;
  readonly session: string;

  /** @param session 16 hex digits */
  constructor(session: string, era: Era | null = null) {
    this.session = session;
    this.era = era;
  }

  /** 32 hex digits: the session and a counter. */
  nextCallId(): string {
    this.#calls += 1;
    return this.session + this.#calls.toString(16).padStart(16, '0');
  }

  /** The revision whose methods are known now; null while the handshake is open. */
  revisionFor(era: Era): Revision | null {
    return era === 'modern' ? MODERN_REVISION : this.revision;
  }
}

/** True if log messages may travel with a request: at 2026-07-28 it has to name a level. */
export function wantsLog(era: Era, params: JsonObject | undefined): boolean {
  const meta = params?.['_meta'];
  return era === 'legacy' || (isJsonObject(meta) && META_LOG_LEVEL in meta);
}

/** The progress token of a request's `_meta`, if it is usable. */
export function progressTokenOf(params: JsonObject | undefined): RequestId | null {
  const meta = params?.['_meta'];
  const token = isJsonObject(meta) ? meta['progressToken'] : undefined;
  return isRequestId(token) ? detached(token) : null;
}
