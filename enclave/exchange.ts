// SPDX-License-Identifier: Apache-2.0
/**
 * One message's journey between one client and one server: frame, parse strictly, bind the id,
 * decide, record, act. The judged message is re-serialised and moves on; received bytes never do. Nothing moves before
 * its row is durable, in the order that `audit.order` names.
 */
import type { Direction } from '../shared/audit/row.ts';
import type { FrameEvent } from '../shared/frame/ndjson.ts';
import { jsonObject } from '../shared/json/value.ts';
import type { RequestId } from '../shared/jsonrpc/id.ts';
import type { Malformed, Message } from '../shared/jsonrpc/message.ts';
import { decodeMessage, guessId } from '../shared/jsonrpc/message.ts';
import type { Revision } from '../shared/mcp/revisions.ts';
import { LISTING_OLD_MS } from '../shared/limits.ts';
import { ClientSide } from './exchange/client-side.ts';
import { Conversation } from './exchange/conversation.ts';
import { Ledger } from './exchange/ledger.ts';
import type { Carrier, ExchangeParts, PolicySource } from './exchange/parts.ts';
import { decideMethod } from './exchange/parts.ts';
import { ServerSide } from './exchange/server-side.ts';
import type { Arrival } from './exchange/side.ts';
import type { Refuse } from './exchange/verdict.ts';
import { Catalog } from './pins/catalog.ts';
import type { ListedKind } from './pins/item.ts';
import { PROMPTS, TEMPLATES, TOOLS } from './pins/item.ts';
import { Review } from './pins/review.ts';
import type { Policy } from './policy/types.ts';

/** Which response of the server's a frame came in. */
export type StreamOrigin = Pick<Arrival, 'related' | 'status'>;

function unreadable(event: Exclude<FrameEvent, { kind: 'frame' }>): Malformed {
  const oversize = event.kind === 'oversize';
  return {
    kind: 'malformed',
    code: oversize ? 'FRAME_TOO_LARGE' : 'FRAME_UNTERMINATED',
    hint: oversize ? 'send less in one message' : 'end every message with a line feed',
    id: guessId(event.head, event.tail),
  };
}

/** What an exchange is built from: its policy may change while it lasts. */
export interface ExchangeOptions extends Omit<ExchangeParts, 'policy'> {
  readonly policies: PolicySource;
}

/** Both directions under one policy. */
interface Sides {
  readonly policy: Policy;
  readonly client: ClientSide;
  readonly server: ServerSide;
}

export class Exchange {
  /** The parts with whatever policy is in force at the moment. */
  readonly #parts: ExchangeParts;
  readonly #conversation: Conversation;
  readonly #review: Review;
  readonly #catalog: Catalog;
  readonly #prompts: Catalog;
  readonly #templates: Catalog;
  #last: Sides;

  constructor(options: ExchangeOptions) {
    const { policies } = options;
    const parts: ExchangeParts = {
      ...options,
      get policy() {
        return policies.current;
      },
    };
    this.#parts = parts;
    this.#conversation = new Conversation(parts.session, parts.era);
    this.#review = new Review(parts, new Ledger(parts));
    const asking = (tool: string) => ({ server: parts.server, tool, soleServer: parts.soleServer, principal: parts.principal, args: null });
    this.#catalog = this.#catalogOf(TOOLS, (tool) => parts.policy.decideTool(asking(tool)).kind !== 'deny');
    this.#prompts = this.#catalogOf(PROMPTS, (name) => decideMethod(parts, 'c2s', 'prompts/get', jsonObject({ name })).kind === 'allow');
    this.#templates = this.#catalogOf(TEMPLATES, () => true);
    this.#last = this.#sidesUnder(parts.policy);
  }

  #catalogOf(listed: ListedKind, visible: (name: string) => boolean): Catalog {
    const parts = this.#parts;
    return new Catalog({
      listed,
      fetchPage: (cursor, msMax) => this.#sides.client.list(listed.method, cursor, msMax),
      judge: (pages) => this.#review.listing(listed, pages),
      version: () => parts.pins.version(),
      visible,
      now: parts.clock.now,
      randomHex: parts.randomHex,
      // 2026-07-28 over HTTP has no session whose end or notifications would tell of a change.
      oldAfterMs: parts.face === 'http' && parts.era === 'modern' ? LISTING_OLD_MS : null,
    });
  }

  #sidesUnder(policy: Policy): Sides {
    const parts: ExchangeParts = { ...this.#parts, policy };
    const listings = { catalog: this.#catalog, prompts: this.#prompts, templates: this.#templates };
    const context = { parts, conversation: this.#conversation, ...listings, review: this.#review, ledger: new Ledger(parts) };
    return { policy, client: new ClientSide(context), server: new ServerSide(context) };
  }

  /** A message is judged from its arrival to its row by the policy that was in force when it came. */
  get #sides(): Sides {
    const { policy } = this.#parts;
    if (this.#last.policy !== policy) {
      this.#last = this.#sidesUnder(policy);
      // What was listed was judged by other rules.
      for (const each of [this.#catalog, this.#prompts, this.#templates]) each.invalidate();
    }
    return this.#last;
  }

  /** Takes one frame from the client; resolves when it has been dealt with. */
  fromClient(event: FrameEvent): Promise<void> {
    return this.#take(event, 'c2s', this.#sides.client);
  }

  /** Takes one frame from the server; resolves when it has been dealt with. */
  fromServer(event: FrameEvent, from: StreamOrigin = {}): Promise<void> {
    return this.#take(event, 's2c', this.#sides.server, from);
  }

  /** Takes one decoded message of the client's: for transports that have to read it to know where it goes. */
  clientElement(element: Message | Malformed, arrival: Arrival): Promise<void> {
    return this.#sides.client.element(element, arrival);
  }

  /** The client closed what its requests came in with, which cancels them. */
  clientLeft(via: Carrier): Promise<void> {
    return this.#sides.client.clientLeft(via);
  }

  /** The transport cannot get an answer to one request of the client's. */
  upstreamFailed(id: RequestId, refusal: Refuse): Promise<void> {
    return this.#sides.client.upstreamFailed(id, refusal);
  }

  /** True while a request of the client's, or of the gateway's own, waits for its answer. */
  waitsFor(id: RequestId): boolean {
    return this.#conversation.fromClient.get(id) !== undefined;
  }

  /** The revision that the server answered to `initialize`. */
  get revision(): Revision | null {
    return this.#conversation.revision;
  }

  /** Repeats the handshake with a server that lost its session; false if it does not answer as it did before. */
  renew(): Promise<boolean> {
    return this.#sides.client.renew();
  }

  /** The server's output ended: no answer comes any more. */
  serverSilent(): void {
    this.#sides.client.serverSilent();
  }

  /** The server is gone: whoever still waits for an answer of its gets one. */
  async serverGone(): Promise<void> {
    await this.#sides.client.serverGone();
  }

  /** Requests of the client's that have no answer yet. */
  get waiting(): number {
    return this.#conversation.fromClient.size;
  }

  async #take(event: FrameEvent, dir: Direction, side: ClientSide | ServerSide, from: StreamOrigin = {}): Promise<void> {
    const at = this.#parts.clock.mono();
    if (event.kind !== 'frame') {
      await side.malformed(unreadable(event), { ...from, bytes: event.bytes, at });
      return;
    }
    const arrival: Arrival = { ...from, bytes: event.bytes.length, at };
    const decoded = decodeMessage(event.bytes, dir);
    switch (decoded.kind) {
      case 'malformed':
        await side.malformed(decoded, arrival);
        return;
      case 'single':
        await side.element(decoded.element, arrival);
        return;
      case 'batch':
        if (this.#conversation.era === 'modern') {
          const hint = 'send one message per line';
          await side.malformed({ kind: 'malformed', code: 'BATCH_NOT_ALLOWED', hint, id: null }, arrival);
          return;
        }
        // Every element is judged by itself and goes on by itself, whatever revision was agreed on.
        await Promise.all(decoded.elements.map((element) => side.element(element, arrival)));
    }
  }
}
