// SPDX-License-Identifier: Apache-2.0
/**
 * The servers behind one endpoint, and which of them serve this client. A server that cannot be started, that does not
 * answer its handshake in time or that speaks no revision of the others' is left off with a line in the log; one that
 * ended is started again when it is needed.
 */
import { Unavailable } from '../../shared/errors.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { emptyObject, isJsonObject, jsonObject } from '../../shared/json/value.ts';
import { AGGREGATE_REST_MS, AGGREGATE_WAIT_MS_MAX } from '../../shared/limits.ts';
import { META_CLIENT_CAPABILITIES, META_CLIENT_INFO, META_PROTOCOL_VERSION, readMeta } from '../../shared/mcp/meta.ts';
import type { Era, Revision } from '../../shared/mcp/revisions.ts';
import { MODERN_REVISION } from '../../shared/mcp/revisions.ts';
import { negotiatedRevision, offersModern } from '../exchange/answers.ts';
import type { Arrival } from '../exchange/side.ts';
import type { Refuse } from '../exchange/verdict.ts';
import { refuse } from '../exchange/verdict.ts';
import type { House } from '../peer.ts';
import type { Reply } from './ask.ts';
import type { Member } from './member.ts';
import { unavailable } from './member.ts';
import { offerOf, offers } from './merge.ts';
import { ownNotification, ownRequest } from './rewrite.ts';

/** What the client and the servers agreed on in `initialize`. */
export interface Agreement {
  readonly revision: Revision;
  /** The client's params with that revision in them: a server that is started again gets them. */
  readonly params: JsonObject;
}

export interface MembersParts {
  readonly house: House;
  readonly era: Era;
  readonly all: readonly Member[];
  readonly fault: (error: unknown) => void;
}

/** Metadata of a request that the gateway makes by itself, in the name of the client of another one. */
export function ownMeta(params: JsonObject | undefined): JsonObject {
  const { clientCapabilities, clientInfo } = readMeta(params);
  return jsonObject({
    [META_PROTOCOL_VERSION]: MODERN_REVISION,
    [META_CLIENT_CAPABILITIES]: clientCapabilities ?? emptyObject(),
    [META_CLIENT_INFO]: clientInfo ?? undefined,
  });
}

/** What the gateway itself says of a server that cannot answer; a server that says the same fails all the same. */
const FAILURES: ReadonlySet<string> = new Set(['UPSTREAM_GONE', 'UPSTREAM_UNREACHABLE', 'UPSTREAM_STATUS', 'UPSTREAM_AUTH', 'UPSTREAM_ADDRESS', 'AUDIT_UNAVAILABLE']);

/** Why there is no answer, in words of the gateway's own; null where the server answered, even with an error. */
export function failureOf(name: string, reply: Reply): Refuse | null {
  if (reply.kind === 'failed') return reply.refusal;
  const data = reply.kind === 'error' ? reply.error['data'] : undefined;
  const code = isJsonObject(data) ? data['code'] : undefined;
  if (typeof code !== 'string' || !FAILURES.has(code)) return null;
  return refuse('UPSTREAM_UNREACHABLE', `${name} cannot be used now (${code})`, 'check that the server runs');
}

export class Members {
  readonly #parts: MembersParts;
  readonly #readying = new Map<Member, Promise<Refuse | null>>();
  #closed = false;
  /** Null before `initialize` is answered, and at 2026-07-28. */
  agreement: Agreement | null = null;

  constructor(parts: MembersParts) {
    this.#parts = parts;
  }

  /** In the order of the configuration. */
  get all(): readonly Member[] {
    return this.#parts.all;
  }

  get era(): Era {
    return this.#parts.era;
  }

  named(server: string): Member | undefined {
    return this.all.find((member) => member.name === server);
  }

  /** An id for a request of the gateway's own, which no client's can be. */
  ownId(): string {
    return `mcp-bastion/${this.#parts.house.randomHex(16)}`;
  }

  ownArrival(): Arrival {
    return { bytes: 0, at: this.#parts.house.clock.mono(), origin: 'gateway' };
  }

  /** Connects to all of them. @throws Unavailable, the first, where none can be connected to */
  async open(): Promise<void> {
    const opened = await Promise.allSettled(this.all.map((member) => this.#open(member)));
    if (opened.some((one) => one.status === 'fulfilled')) return;
    for (const one of opened) if (one.status === 'rejected') throw one.reason;
  }

  async #open(member: Member): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      const error = new Unavailable('UPSTREAM_UNREACHABLE', 'the server does not start in time', 'check that it runs');
      timer = setTimeout(() => reject(error), AGGREGATE_WAIT_MS_MAX);
    });
    try {
      await Promise.race([member.open(), late]);
    } catch (error) {
      if (error instanceof Unavailable) this.leaveOff(member, unavailable(member.name, error), null);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** The server is not asked any more: `null` for as long as this client stays, else for so many milliseconds. */
  leaveOff(member: Member, refusal: Refuse, ms: number | null): void {
    if (this.#closed) return;
    member.rest(refusal, ms ?? Infinity);
    member.end().catch(this.#parts.fault);
    this.#parts.house.log.warn(refusal.code, `left off the common endpoint: ${refusal.message}`, refusal.hint);
  }

  /** Those that serve now, out of some; whoever has to be asked first is. */
  async serving(params: JsonObject | undefined, of: readonly Member[] = this.all): Promise<readonly Member[]> {
    const refusals = await Promise.all(of.map((member) => this.ready(member, params)));
    return of.filter((_member, index) => refusals[index] === null);
  }

  /** Those of them that have a capability. */
  async serve(capability: string, params: JsonObject | undefined): Promise<readonly Member[]> {
    return (await this.serving(params)).filter((member) => offers(member.offer, capability));
  }

  /**
   * Makes sure that a server has answered its handshake; why it cannot serve, where it has not.
   * @param params of the client's request: at 2026-07-28 a request says who the client is
   */
  ready(member: Member, params: JsonObject | undefined): Promise<Refuse | null> {
    if (member.connected && member.offer !== null) return Promise.resolve(null);
    if (member.refusal !== null && this.#parts.house.clock.now() < member.restUntil) return Promise.resolve(member.refusal);
    const running = this.#readying.get(member);
    if (running !== undefined) return running;
    const readied = (this.era === 'modern' ? this.#discover(member, params) : this.#revive(member)).finally(() => this.#readying.delete(member));
    this.#readying.set(member, readied);
    return readied;
  }

  async #discover(member: Member, params: JsonObject | undefined): Promise<Refuse | null> {
    const request = ownRequest(this.ownId(), 'server/discover', jsonObject({ _meta: ownMeta(params) }));
    return this.meet(member, await member.ask(request, this.ownArrival(), { client: null, msMax: AGGREGATE_WAIT_MS_MAX }));
  }

  /** Takes a server's answer to `server/discover`; why it is left off, where it is. */
  meet(member: Member, reply: Reply): Refuse | null {
    if (reply.kind === 'result' && offersModern(reply.result)) {
      member.offer = offerOf(reply.result);
      return null;
    }
    const refusal = failureOf(member.name, reply) ?? refuse('UPSTREAM_PROTOCOL', `${member.name} does not speak ${MODERN_REVISION}`, 'clients of the older revisions reach it');
    this.leaveOff(member, refusal, AGGREGATE_REST_MS);
    return refusal;
  }

  /** Repeats the handshake with a server that was started again. */
  async #revive(member: Member): Promise<Refuse | null> {
    const { agreement } = this;
    if (agreement === null) return refuse('UPSTREAM_GONE', `${member.name} is not initialized`, 'initialize first');
    const request = ownRequest(this.ownId(), 'initialize', agreement.params);
    const reply = await member.ask(request, this.ownArrival(), { client: null, msMax: AGGREGATE_WAIT_MS_MAX });
    if (reply.kind === 'result' && negotiatedRevision(reply.result) === agreement.revision) {
      member.offer = offerOf(reply.result);
      await member.take(ownNotification('notifications/initialized'), this.ownArrival());
      return null;
    }
    const refusal = failureOf(member.name, reply) ?? refuse('UPSTREAM_PROTOCOL', `${member.name} does not answer initialize as it did before`, 'start a new session');
    this.leaveOff(member, refusal, AGGREGATE_REST_MS);
    return refusal;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.all.map((member) => member.close()));
  }
}
