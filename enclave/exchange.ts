// SPDX-License-Identifier: Apache-2.0
/**
 * One message's journey between one client and one server: frame, parse strictly, bind the id,
 * decide, record, act. The judged message is re-serialised and moves on; received bytes never do. Nothing moves before
 * its row is durable, in the order that `audit.order` names.
 */
import type { Direction } from '../shared/audit/row.ts';
import type { FrameEvent } from '../shared/frame/ndjson.ts';
import type { RequestId } from '../shared/jsonrpc/id.ts';
import type { Malformed, Message } from '../shared/jsonrpc/message.ts';
import { decodeMessage, guessId } from '../shared/jsonrpc/message.ts';
import type { Revision } from '../shared/mcp/revisions.ts';
import { LISTING_OLD_MS } from '../shared/limits.ts';
import { ClientSide } from './exchange/client-side.ts';
import { Conversation } from './exchange/conversation.ts';
import { Ledger } from './exchange/ledger.ts';
import type { Carrier, ExchangeParts } from './exchange/parts.ts';
import { ServerSide } from './exchange/server-side.ts';
import type { Arrival } from './exchange/side.ts';
import type { Refuse } from './exchange/verdict.ts';
import { Catalog } from './pins/catalog.ts';
import { Review } from './pins/review.ts';

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

export class Exchange {
  readonly #parts: ExchangeParts;
  readonly #conversation: Conversation;
  readonly #client: ClientSide;
  readonly #server: ServerSide;

  constructor(parts: ExchangeParts) {
    this.#parts = parts;
    this.#conversation = new Conversation(parts.session, parts.era);
    const ledger = new Ledger(parts);
    const review = new Review(parts, ledger);
    const catalog: Catalog = new Catalog({
      fetchPage: (cursor, msMax) => this.#client.listTools(cursor, msMax),
      judge: (pages) => review.judge(pages),
      visible: (name) => parts.policy.decideTool(parts.server, name, parts.soleServer).kind !== 'deny',
      now: parts.clock.now,
      randomHex: parts.randomHex,
      // 2026-07-28 over HTTP has no session whose end or notifications would tell of a change.
      oldAfterMs: parts.face === 'http' && parts.era === 'modern' ? LISTING_OLD_MS : null,
    });
    const context = { parts, conversation: this.#conversation, catalog, ledger };
    this.#client = new ClientSide(context);
    this.#server = new ServerSide(context);
  }

  /** Takes one frame from the client; resolves when it has been dealt with. */
  fromClient(event: FrameEvent): Promise<void> {
    return this.#take(event, 'c2s', this.#client);
  }

  /** Takes one frame from the server; resolves when it has been dealt with. */
  fromServer(event: FrameEvent, from: StreamOrigin = {}): Promise<void> {
    return this.#take(event, 's2c', this.#server, from);
  }

  /** Takes one decoded message of the client's: for transports that have to read it to know where it goes. */
  clientElement(element: Message | Malformed, arrival: Arrival): Promise<void> {
    return this.#client.element(element, arrival);
  }

  /** The client closed what its requests came in with, which cancels them. */
  clientLeft(via: Carrier): Promise<void> {
    return this.#client.clientLeft(via);
  }

  /** The transport cannot get an answer to one request of the client's. */
  upstreamFailed(id: RequestId, refusal: Refuse): Promise<void> {
    return this.#client.upstreamFailed(id, refusal);
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
    return this.#client.renew();
  }

  /** The server's output ended: no answer comes any more. */
  serverSilent(): void {
    this.#client.serverSilent();
  }

  /** The server is gone: whoever still waits for an answer of its gets one. */
  async serverGone(): Promise<void> {
    await this.#client.serverGone();
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
