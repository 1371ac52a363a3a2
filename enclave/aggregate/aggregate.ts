// SPDX-License-Identifier: Apache-2.0
/**
 * Several servers that look like one to one client. Each has its own exchange, which decides and records under its own
 * name; here messages only find their way: names and ids are changed, requests for all are asked of each, and what they
 * answer is put together.
 */
import type { Malformed, Message } from '../../shared/jsonrpc/message.ts';
import { LISTING_MS_MAX } from '../../shared/limits.ts';
import { readMeta } from '../../shared/mcp/meta.ts';
import { lookupMethod } from '../../shared/mcp/methods.ts';
import type { Era, Revision } from '../../shared/mcp/revisions.ts';
import { MODERN_REVISION } from '../../shared/mcp/revisions.ts';
import type { NotificationMessage, RequestMessage } from '../exchange/context.ts';
import type { About, Carrier } from '../exchange/parts.ts';
import type { Arrival } from '../exchange/side.ts';
import { refuse } from '../exchange/verdict.ts';
import { sayFault } from '../fault.ts';
import type { House, Peer, PeerOptions, Server } from '../peer.ts';
import { Answers } from './answers.ts';
import type { CancellationParts } from './cancellation.ts';
import { cancel, leave } from './cancellation.ts';
import type { ClientRequest } from './client-requests.ts';
import { ClientRequests } from './client-requests.ts';
import { FromServers } from './from-servers.ts';
import { discover, initialize } from './handshake.ts';
import { listen } from './listen.ts';
import { listKinds, Listings } from './listings.ts';
import { setLevel } from './logging.ts';
import { Member } from './member.ts';
import { Members } from './members.ts';
import { Notices } from './notices.ts';
import { isRouted, Routing } from './routing.ts';

/** What requests can be that go to no single server and are no listing. */
type Common = (request: ClientRequest) => Promise<void>;

class Aggregate implements Peer {
  readonly #house: House;
  readonly #options: PeerOptions;
  readonly #era: Era;
  readonly #members: Members;
  readonly #answers: Answers;
  readonly #listings: Listings;
  readonly #routing: Routing;
  readonly #requests = new ClientRequests();
  readonly #fromServers: FromServers;
  readonly #cancellation: CancellationParts;
  readonly #notices: Notices;
  readonly #common: ReadonlyMap<string, Common>;
  #closed = false;

  constructor(house: House, servers: readonly Server[], options: PeerOptions, notices: Notices) {
    this.#house = house;
    this.#options = options;
    this.#notices = notices;
    this.#era = options.era ?? 'legacy';
    const fault = (error: unknown): void => this.#fault(error);
    const parts = {
      house,
      options: { ...options, era: this.#era },
      send: (member: Member, text: string, about: About) => this.#fromServers.take(member, text, about),
      gone: (member: Member, served: boolean) => this.#gone(member, served),
      fault,
    };
    this.#members = new Members({ house, era: this.#era, all: servers.map((server) => new Member({ ...parts, server })), fault });
    this.#answers = new Answers({ house, principal: options.principal, era: this.#era, toClient: options.toClient, requests: this.#requests });
    this.#listings = new Listings({ house, members: this.#members, answers: this.#answers, notices });
    this.#routing = new Routing({ members: this.#members, listings: this.#listings, notices, clock: house.clock });
    const { toClient } = options;
    const shared = { toClient, requests: this.#requests, answers: this.#answers };
    const all = { ...shared, members: this.#members, listings: this.#listings, routing: this.#routing };
    this.#fromServers = new FromServers(all);
    this.#cancellation = shared;
    this.#common = new Map<string, Common>([
      ['initialize', (request) => this.#initialize(request)],
      ['server/discover', (request) => discover({ members: this.#members, answers: this.#answers, notices }, request, house.clock.now())],
      ['ping', (request) => this.#ping(request)],
      ['logging/setLevel', (request) => setLevel({ house, members: this.#members, answers: this.#answers }, request)],
      ['subscriptions/listen', (request) => listen({ ...all, fromServers: this.#fromServers, fault }, request)],
    ]);
  }

  get revision(): Revision | null {
    return this.#members.agreement?.revision ?? null;
  }

  open(): Promise<void> {
    return this.#members.open();
  }

  async clientElement(element: Message | Malformed, arrival: Arrival): Promise<void> {
    switch (element.kind) {
      case 'malformed':
        return this.#answers.malformed(element, arrival);
      case 'request':
        return this.#request(element, arrival);
      case 'notification':
        return this.#notification(element, arrival);
      case 'result':
      case 'error':
        return this.#fromServers.answer(element, arrival);
    }
  }

  async #request(message: RequestMessage, arrival: Arrival): Promise<void> {
    if (this.#requests.get(message.id) !== undefined) {
      const twice = refuse('ID_IN_FLIGHT', 'the id belongs to a request in flight', 'use a new id for each request');
      return this.#answers.refuseTwice(message, twice, arrival);
    }
    const { full } = this.#requests;
    const request = this.#requests.add(message, arrival);
    if (full) return this.#answers.refuse(request, refuse('IN_FLIGHT_LIMIT', 'too many requests wait for their answer', 'wait for answers first'));
    if (this.#era === 'modern' && !saysWhoItIs(message)) return this.#handToAny(request);
    const { method } = message;
    const revision = this.#era === 'modern' ? MODERN_REVISION : this.revision;
    const kind = listKinds.get(method);
    const common = this.#common.get(method);
    if (lookupMethod(revision, 'c2s', method).kind === 'known') {
      if (kind !== undefined) return this.#listings.answer(request, kind);
      if (common !== undefined) return common(request);
      if (isRouted(method)) return this.#route(request);
    }
    return this.#answers.refuse(request, refuse('METHOD_UNKNOWN', 'the common endpoint of several servers does not know the method', 'use the path of one server alone'));
  }

  async #route(request: ClientRequest): Promise<void> {
    const route = await this.#routing.find(request.message);
    if (request.over) return;
    if (route.kind === 'refuse') await this.#answers.refuse(request, route);
    else await this.#hand(request, route.member, route.message);
  }

  /** Gives a request to the one server that answers it: what it says goes straight to the client. */
  async #hand(request: ClientRequest, member: Member, message: RequestMessage): Promise<void> {
    const refusal = await this.#members.ready(member, message.params);
    if (request.over) return;
    if (refusal !== null) return this.#answers.refuse(request, refusal);
    request.member = member;
    if (await member.take(message, request.arrival)) return;
    request.member = null;
    await this.#answers.refuse(request, refuse('UPSTREAM_GONE', `${member.name} ended`, 'try again in a moment'));
  }

  /** A request that every exchange refuses before its server sees it: one of them answers and records it. */
  async #handToAny(request: ClientRequest): Promise<void> {
    const { all } = this.#members;
    const member = all.find((one) => one.connected) ?? all.find((one) => one.refusal === null) ?? all[0];
    if (member === undefined) return;
    const reply = await member.ask(request.message, request.arrival, { client: request.via, msMax: LISTING_MS_MAX, waiting: request.waiting });
    if (!request.over) await this.#answers.pass(request, reply);
  }

  async #initialize(request: ClientRequest): Promise<void> {
    if (this.revision === null) return initialize({ members: this.#members, answers: this.#answers, notices: this.#notices }, request);
    return this.#answers.refuse(request, refuse('METHOD_WRONG_KIND', 'the session is initialized already', 'open a new session'));
  }

  async #ping(request: ClientRequest): Promise<void> {
    const { all } = this.#members;
    const member = all.find((one) => one.connected && one.offer !== null) ?? (await this.#members.serving(request.message.params))[0] ?? all[0];
    if (member !== undefined) await this.#hand(request, member, request.message);
  }

  async #notification(message: NotificationMessage, arrival: Arrival): Promise<void> {
    switch (message.method) {
      case 'notifications/cancelled':
        return cancel(this.#cancellation, message, arrival);
      case 'notifications/progress':
        return this.#fromServers.progress(message, arrival);
      case 'notifications/tasks/status':
        return this.#fromServers.taskStatus(message, arrival);
      default: {
        const members = this.#members.all.filter((member) => member.offer !== null);
        await Promise.all(members.map((member) => member.take(message, arrival)));
      }
    }
  }

  clientLeft(via: Carrier): Promise<void> {
    return leave(this.#cancellation, via);
  }

  openStream(): Promise<'open' | 'unsupported'> {
    const streams = this.#members.all.filter((member) => member.offer !== null).map((member) => member.openStream());
    return new Promise((resolve, reject) => {
      // One that takes its time must not hold up the others.
      for (const stream of streams) stream.then((state) => state === 'open' && resolve(state), reject);
      Promise.all(streams).then(() => resolve('unsupported'), reject);
    });
  }

  #gone(member: Member, served: boolean): void {
    this.#fromServers.forget(member);
    // One that ends before its handshake is answered is left off by who waits for that.
    if (this.#closed || !served) return;
    this.#house.log.warn('UPSTREAM_GONE', `${member.name} ended; it is started again when it is needed`, null);
    if (!this.#members.all.some((one) => one.connected)) this.#options.gone();
  }

  #fault(error: unknown): void {
    if (this.#closed) return;
    sayFault(this.#house.log, 'the connection', error);
    this.#options.gone();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#members.close();
  }
}

/** 2026-07-28: a request says which revision it speaks and what its client can do. */
function saysWhoItIs(message: RequestMessage): boolean {
  const { protocolVersion, clientCapabilities } = readMeta(message.params);
  return protocolVersion === MODERN_REVISION && clientCapabilities !== null;
}

/**
 * Connects one client to several servers. Servers that cannot be started are left off.
 * @param notices what was said already; one for all clients of a process
 * @throws Unavailable where none of them can be started
 */
export async function openAggregate(house: House, servers: readonly Server[], options: PeerOptions, notices: Notices = new Notices(house.log)): Promise<Peer> {
  const aggregate = new Aggregate(house, servers, options, notices);
  // At 2026-07-28 a server is connected to when the first request needs it.
  if (options.era !== 'modern') await aggregate.open();
  return aggregate;
}
