// SPDX-License-Identifier: Apache-2.0
/** One client's conversation with one server: the exchange that judges it and the link that carries it. */
import type { Approvals } from './approval/desk.ts';
import type { Recorder } from './audit/recorder.ts';
import { Exchange } from './exchange.ts';
import { sayFault } from './fault.ts';
import type { Carrier, Clock, Outlet, PolicySource } from './exchange/parts.ts';
import type { Continuations } from './exchange/continuations.ts';
import type { StateSeal } from './exchange/request-state.ts';
import type { Room } from './exchange/room.ts';
import type { TaskOwners } from './exchange/task-owners.ts';
import type { Log } from './log.ts';
import type { Limiter } from './policy/limiter.ts';
import type { PinBook } from './pins/book.ts';
import type { Shadows } from './pins/shadow.ts';
import type { Link, LinkEvents } from './upstream/link.ts';
import type { Arrival } from './exchange/side.ts';
import type { Malformed, Message } from '../shared/jsonrpc/message.ts';
import type { Era, Revision } from '../shared/mcp/revisions.ts';

/** What all conversations of one process share. */
export interface House {
  /** What is in force now. */
  readonly policies: PolicySource;
  readonly recorder: Recorder;
  readonly log: Log;
  readonly clock: Clock;
  readonly randomHex: (bytes: number) => string;
  readonly room: Room;
  readonly taskOwners: TaskOwners;
  /** Servers that spoke the modern era before, by id. */
  readonly eras: Map<string, Era>;
  /** Older revisions are refused. */
  readonly minRevision: Revision | null;
  readonly seal: StateSeal;
  /** Holds calls until a person has approved them. */
  readonly approvals?: Approvals;
  readonly continuations: Continuations;
  /** Counts calls for the policy's limits. */
  readonly limiter: Limiter;
  /** What all servers list, to tell confusable tools. */
  readonly shadows?: Shadows;
}

/** One configured server. */
export interface Server {
  readonly name: string;
  /** True where no other server is configured. */
  readonly sole: boolean;
  /** Answers of this server cannot be told apart by the HTTP response they came in. */
  readonly kind: 'stdio' | 'http';
  readonly pins: PinBook;
  /** Rejects with Unavailable where the server cannot be started. */
  connect(events: LinkEvents, revision: () => Revision | null): Promise<Link>;
}

export interface PeerOptions {
  readonly principal: string;
  /** Null where the client's first message settles it. */
  readonly era: Era | null;
  readonly face: 'stdio' | 'http';
  readonly toClient: Outlet;
  /** The server answers the request with events. */
  readonly streaming?: (via: Carrier | null) => void;
  /** The server ended a stream before its answer, and is asked again after so many milliseconds. */
  readonly paused?: (via: Carrier | null, retryMs: number) => void;
  /** The server, or its session, is gone; everything that waited has been answered. */
  readonly gone: () => void;
}

/** What a face talks to: one server, or several that look like one. */
export interface Peer {
  /** The revision that `initialize` agreed on; null before, and at 2026-07-28. */
  readonly revision: Revision | null;
  /** Takes one decoded message of the client's; resolves when it has been dealt with. */
  clientElement(element: Message | Malformed, arrival: Arrival): Promise<void>;
  /** The client closed what its requests came in with, which cancels them. */
  clientLeft(via: Carrier): Promise<void>;
  /** Whether messages of the server's own come outside of answers; resolves when the server has said so. */
  openStream(): Promise<'open' | 'unsupported'>;
  close(): Promise<void>;
}

/** A peer that is one server. */
export interface ServerPeer extends Peer {
  readonly exchange: Exchange;
}

/** Connects to a server for one client. Rejects with Unavailable where it cannot. */
export async function openPeer(house: House, server: Server, options: PeerOptions): Promise<ServerPeer> {
  const session = house.randomHex(8);
  let link: Link | undefined;
  let over = false;
  const end = (): void => {
    if (over) return;
    over = true;
    void exchange.serverGone().then(options.gone, (error: unknown) => {
      sayFault(house.log, 'the connection', error);
      options.gone();
    });
  };
  const fault = (error: unknown): void => {
    sayFault(house.log, 'the connection', error);
    end();
  };
  const exchange: Exchange = new Exchange({
    server: server.name,
    soleServer: server.sole,
    principal: options.principal,
    session,
    policies: house.policies,
    recorder: house.recorder,
    pins: server.pins,
    shadows: house.shadows,
    log: house.log,
    clock: house.clock,
    toClient: options.toClient,
    toServer: { send: (text, about) => link?.send(text, about) ?? Promise.resolve() },
    randomHex: house.randomHex,
    face: options.face,
    room: house.room,
    eras: house.eras,
    ...(options.face === 'http' ? { taskOwners: house.taskOwners } : {}),
    minRevision: house.minRevision,
    seal: house.seal,
    continuations: house.continuations,
    limiter: house.limiter,
    ...(house.approvals === undefined ? {} : { approvals: house.approvals }),
    ...(options.era === null ? {} : { era: options.era }),
  });
  const events: LinkEvents = {
    frame: (event, from) => exchange.fromServer(event, from),
    failed: (id, refusal) => exchange.upstreamFailed(id, refusal),
    waiting: (id) => exchange.waitsFor(id),
    streaming: (via) => options.streaming?.(via),
    paused: (via, retryMs) => options.paused?.(via, retryMs),
    // A client on stdio has no way to learn of it; one on HTTP is told by its status.
    ...(options.face === 'stdio' ? { renew: () => exchange.renew() } : {}),
    silent: () => exchange.serverSilent(),
    lost: end,
    fault,
  };
  link = await server.connect(events, () => exchange.revision);
  const opened = link;
  return {
    exchange,
    get revision() {
      return exchange.revision;
    },
    clientElement: (element, arrival) => exchange.clientElement(element, arrival),
    clientLeft: (via) => exchange.clientLeft(via),
    openStream: () => opened.openStream(),
    close: async () => {
      over = true;
      await opened.close();
      await exchange.serverGone();
    },
  };
}
