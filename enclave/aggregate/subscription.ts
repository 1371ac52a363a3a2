// SPDX-License-Identifier: Apache-2.0
/**
 * `subscriptions/listen` of 2026-07-28 at several servers as one: the client gets one acknowledgement, with what all of
 * them agreed to, then their notifications, and one answer when the last of them ended.
 */
import { wireJson } from '../../shared/json/canonical.ts';
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { isJsonObject, jsonObject } from '../../shared/json/value.ts';
import { AGGREGATE_WAIT_MS_MAX } from '../../shared/limits.ts';
import { META_SUBSCRIPTION_ID } from '../../shared/mcp/meta.ts';
import type { RequestMessage } from '../exchange/context.ts';
import type { About, Outlet } from '../exchange/parts.ts';
import type { Answers } from './answers.ts';
import type { Reply } from './ask.ts';
import type { ClientRequest } from './client-requests.ts';
import { firstFailure } from './handshake.ts';
import type { Member } from './member.ts';
import { uniteFilters } from './merge.ts';

export interface SubscriptionParts {
  readonly request: ClientRequest;
  readonly answers: Answers;
  readonly toClient: Outlet;
  /** Where other notifications of a server go. */
  readonly pass: (member: Member, text: string, about: About) => Promise<void>;
  readonly fault: (error: unknown) => void;
}

export class Subscription {
  readonly #parts: SubscriptionParts;
  readonly #waiting = new Set<Member>();
  readonly #filters: JsonObject[] = [];
  #acknowledged = false;
  #patient = true;

  constructor(parts: SubscriptionParts) {
    this.#parts = parts;
  }

  /** Asks some servers, each with its part of the filter; resolves when the last has ended. */
  async run(asked: ReadonlyMap<Member, RequestMessage>): Promise<void> {
    const { request, answers } = this.#parts;
    for (const member of asked.keys()) this.#waiting.add(member);
    const timer = setTimeout(() => {
      this.#patient = false;
      this.#acknowledge().catch(this.#parts.fault);
    }, AGGREGATE_WAIT_MS_MAX);
    const replies = await Promise.all([...asked].map(([member, message]) => this.#ask(member, message)));
    clearTimeout(timer);
    if (request.over) return;
    const result = replies.find((reply) => reply.kind === 'result');
    if (result !== undefined) {
      await this.#acknowledge(true);
      await answers.pass(request, result);
      return;
    }
    await answers.pass(request, firstFailure(replies));
  }

  async #ask(member: Member, message: RequestMessage): Promise<Reply> {
    const { request } = this.#parts;
    const heard = (text: string, about: About): Promise<void> => this.#heard(member, text, about);
    const reply = await member.ask(message, request.arrival, { client: request.via, msMax: null, waiting: request.waiting, heard });
    this.#waiting.delete(member);
    if (!request.over) await this.#acknowledge();
    return reply;
  }

  async #heard(member: Member, text: string, about: About): Promise<void> {
    if (this.#parts.request.over) return;
    switch (about.method) {
      case 'notifications/subscriptions/acknowledged':
        return this.#agreed(member, about.value['params']);
      case 'notifications/cancelled':
        this.#ended(member);
        return;
      case null:
      default:
        await this.#acknowledge(true);
        return this.#parts.pass(member, text, about);
    }
  }

  #agreed(member: Member, params: JsonValue | undefined): Promise<void> {
    const filter = isJsonObject(params) ? params['notifications'] : undefined;
    if (this.#waiting.delete(member) && isJsonObject(filter)) this.#filters.push(filter);
    return this.#acknowledge();
  }

  /** A server that ends its part says so with this, and answers no more. */
  #ended(member: Member): void {
    const { request } = this.#parts;
    const result = jsonObject({ resultType: 'complete', _meta: jsonObject({ [META_SUBSCRIPTION_ID]: request.id }) });
    for (const [ask, holder] of request.waiting) if (holder === member) ask.settle({ kind: 'result', result });
  }

  /** Once, when nobody is waited for any more; `now`: something comes that must not be first. */
  async #acknowledge(now = false): Promise<void> {
    const ready = this.#filters.length > 0 && (this.#waiting.size === 0 || !this.#patient);
    if (this.#acknowledged || !(now || ready) || this.#parts.request.over) return;
    this.#acknowledged = true;
    const { request, toClient } = this.#parts;
    const method = 'notifications/subscriptions/acknowledged';
    const params = jsonObject({ _meta: jsonObject({ [META_SUBSCRIPTION_ID]: request.id }), notifications: uniteFilters(this.#filters) });
    const value = jsonObject({ jsonrpc: '2.0', method, params });
    await toClient.send(wireJson(value), { kind: 'notification', id: null, method, era: 'modern', value, via: request.via, status: null, headers: null });
  }
}
