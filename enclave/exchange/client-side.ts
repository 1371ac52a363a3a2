// SPDX-License-Identifier: Apache-2.0
/** The client's direction: binds ids, has each message judged and recorded, and sends it on or answers it. */
import { sha256Hex } from '../../shared/digest.ts';
import { canonicalJson, wireJson } from '../../shared/json/canonical.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { emptyObject, isJsonObject } from '../../shared/json/value.ts';
import { notificationMessage, requestMessage, resultMessage } from '../../shared/jsonrpc/build.ts';
import type { RequestId } from '../../shared/jsonrpc/id.ts';
import { isRequestId } from '../../shared/jsonrpc/id.ts';
import type { Malformed } from '../../shared/jsonrpc/message.ts';
import { toolLabel } from '../../shared/label.ts';
import { LISTING_MS_MAX } from '../../shared/limits.ts';
import { META_CLIENT_CAPABILITIES, META_CLIENT_INFO, META_PROTOCOL_VERSION } from '../../shared/mcp/meta.ts';
import { rememberedUri } from '../pins/item.ts';
import { awaitApproval } from './approval.ts';
import { aboutAnswer, aboutNotification, aboutRefusal, aboutRequest } from './about.ts';
import { permittedParams } from './capabilities.ts';
import type { NotificationMessage, RequestMessage } from './context.ts';
import { eraOfMessage, judgeClientRequest, judgeNotification, upstreamGone } from './client.ts';
import { judgeLimits } from './limits.ts';
import type { GatewayAnswer, Pending } from './conversation.ts';
import { detached, detachedText, progressTokenOf, wantsLog } from './conversation.ts';
import type { Carrier } from './parts.ts';
import { redactedAnswer } from './redact-verdict.ts';
import { stateContext } from './request-state.ts';
import type { AnswerMessage, Arrival, SideContext } from './side.ts';
import { Side } from './side.ts';
import type { Held, Refuse, Verdict } from './verdict.ts';
import { denialError, denialStatus, forward, malformedError, refuse } from './verdict.ts';

export class ClientSide extends Side {
  constructor(context: SideContext) {
    super(context, 'c2s');
  }

  /** A message that is refused for its form: a row, and an answer under its own id only if that is readable and free. */
  async malformed(element: Malformed, arrival: Arrival): Promise<void> {
    await this.recordDrop(element, arrival, null);
    // Asked for after the row is written: another request may have taken the id meanwhile.
    const free = element.id !== null && this.conversation.fromClient.get(element.id) === undefined ? element.id : null;
    // A malformed notification or answer is not a request: nobody waits for an error to it.
    if (element.request === false) return;
    const error = malformedError(free, element.code, element.hint);
    await this.parts.toClient.send(wireJson(error), aboutRefusal(free, error, arrival.via ?? null));
  }

  protected async request(message: RequestMessage, arrival: Arrival): Promise<void> {
    const { fromClient } = this.conversation;
    const pending = this.#bind(message, arrival);
    if (fromClient.get(message.id) !== undefined) {
      const twice = refuse('ID_IN_FLIGHT', 'the id belongs to a request in flight', 'use a new id for each request');
      await this.#recordTwice(message, pending, twice, arrival);
      return;
    }
    if (fromClient.awaitsLate(message.id)) {
      const late = refuse('ID_IN_FLIGHT', 'the id belongs to a cancelled request that may still be answered', 'use a new id for each request');
      await this.#end(message, pending, late, arrival);
      return;
    }
    // Clients of 2026-07-28 share a conversation over HTTP: how many requests they have there is bounded at the door.
    const shared = this.parts.face === 'http' && this.parts.era === 'modern';
    if (fromClient.full && !shared) {
      const full = refuse('IN_FLIGHT_LIMIT', 'too many requests wait for their answer', 'wait for answers first');
      await this.#end(message, pending, full, arrival);
      return;
    }
    fromClient.add(pending);
    const judged = await this.#judge(message, pending, arrival);
    const verdict = pending.cancelled ? cancelledEarly() : judged;
    if (pending.cancelled) pending.release?.(0);
    if (verdict.kind === 'refuse') {
      await this.#end(message, pending, verdict, arrival);
      return;
    }
    await this.#move(message, pending, verdict, arrival);
  }

  /** The verdict on a request, when a person has approved what the policy holds and no limit is exceeded. */
  async #judge(message: RequestMessage, pending: Pending, arrival: Arrival): Promise<Verdict> {
    let verdict = await judgeClientRequest(this.context, message, pending, arrival.paramHeaders);
    if (verdict.kind === 'forward' && verdict.held !== undefined) {
      const refusal = await this.#await(pending, verdict.held, message);
      if (refusal !== null) return this.conversation.silent ? upstreamGone() : refusal;
      // While it was held, the server may have changed the tool.
      verdict = await judgeClientRequest(this.context, message, pending, arrival.paramHeaders);
    }
    return verdict.kind === 'forward' ? judgeLimits(this.parts, message, pending, arrival.bytes, verdict) : verdict;
  }

  /** Null if the call may go on; a step of its approval that cannot be recorded refuses it. */
  async #await(pending: Pending, held: Held, message: RequestMessage): Promise<Refuse | null> {
    try {
      return await awaitApproval(this.parts, pending, held, message.params?.['requestState']);
    } catch (error) {
      return this.auditRefusal(error);
    }
  }

  /** A second request under an id in flight gets a row and no answer: an answer would settle the first. */
  async #recordTwice(message: RequestMessage, pending: Pending, verdict: Refuse, arrival: Arrival): Promise<void> {
    try {
      await this.#record(message, pending, verdict, arrival, wireJson(message.value));
    } catch (error) {
      this.auditRefusal(error);
    }
    if (arrival.via === undefined || arrival.via === null) return;
    // Over HTTP the response of its own can say so without settling the first.
    const error = denialError(null, pending.era, verdict, pending.tool);
    await this.parts.toClient.send(wireJson(error), aboutRefusal(null, error, arrival.via));
  }

  #bind(message: RequestMessage, arrival: Arrival): Pending {
    const { params } = message;
    const name = params?.['name'];
    const tool = message.method === 'tools/call' && typeof name === 'string' ? toolLabel(name) : null;
    const era = this.parts.era ?? eraOfMessage(message);
    return {
      id: detached(message.id),
      shownId: detached(arrival.shownId ?? message.id),
      callId: this.conversation.nextCallId(),
      method: detachedText(message.method),
      shownMethod: detachedText(this.shownMethod(message.method)),
      tool: tool ?? this.conversation.tasks.toolOf(params?.['taskId']),
      era,
      origin: 'client',
      arrived: arrival.at,
      progressToken: progressTokenOf(params),
      via: arrival.via ?? null,
      wantsLog: wantsLog(era, params),
      filter: message.method === 'subscriptions/listen' && isJsonObject(params?.['notifications']) ? params['notifications'] : null,
      resource: message.method === 'resources/read' && typeof params?.['uri'] === 'string' ? detachedText(rememberedUri(params['uri'])) : undefined,
      stateContext: stateContext(this.parts, message),
      round: 0,
      approved: false,
      sent: false,
      cancelled: false,
    };
  }

  #record(message: RequestMessage, pending: Pending, verdict: Verdict, arrival: Arrival, text: string): Promise<void> {
    const kind = message.method === 'tools/call' ? 'call' : 'message';
    const occurrence = { ...this.occurrence(pending, arrival), kind, type: 'request' } as const;
    return this.ledger.message(occurrence, verdict, text);
  }

  /** A request that goes no further: its row, then its error. */
  async #end(message: RequestMessage, pending: Pending, verdict: Refuse, arrival: Arrival): Promise<void> {
    try {
      await this.#record(message, pending, verdict, arrival, wireJson(message.value));
    } catch (error) {
      await this.#unrecorded(pending, error);
      return;
    }
    this.conversation.fromClient.remove(pending);
    if (pending.cancelled) return;
    await this.#deny(pending, verdict);
  }

  async #move(
    message: RequestMessage,
    pending: Pending,
    verdict: Exclude<Verdict, Refuse>,
    arrival: Arrival,
  ): Promise<void> {
    const value = verdict.kind === 'forward' ? verdict.value : message.value;
    const text = wireJson(value);
    try {
      await this.#record(message, pending, verdict, arrival, text);
    } catch (error) {
      await this.#unrecorded(pending, error);
      return;
    }
    if (pending.cancelled) return;
    if (verdict.kind === 'answer') {
      await this.#answerByItself(pending, verdict.result);
      return;
    }
    pending.sent = true;
    if (message.method === 'initialize' && isJsonObject(value['params'])) this.conversation.handshake = { params: value['params'], answer: null };
    if (this.conversation.silent) await this.#answerFailed(pending, upstreamGone());
    else await this.parts.toServer.send(text, aboutRequest(pending, value, verdict.headers ?? null));
  }

  async #answerByItself(pending: Pending, result: JsonObject): Promise<void> {
    const message = resultMessage(pending.id, result);
    const text = wireJson(message);
    const occurrence = {
      ...this.occurrence(pending, { bytes: text.length, at: this.parts.clock.mono() }),
      kind: 'message',
      dir: 's2c',
      origin: 'gateway',
      type: 'result',
      status: 'ok',
    } as const;
    try {
      await this.ledger.message(occurrence, forward(message), text);
    } catch (error) {
      await this.#unrecorded(pending, error);
      return;
    }
    this.conversation.fromClient.remove(pending);
    if (!pending.cancelled) await this.parts.toClient.send(text, aboutAnswer(pending, message));
  }

  async #unrecorded(pending: Pending, error: unknown): Promise<void> {
    const refusal = this.auditRefusal(error);
    this.conversation.fromClient.remove(pending);
    if (!pending.cancelled) await this.#deny(pending, refusal);
  }

  #deny(pending: Pending, refusal: Refuse): Promise<void> {
    const error = denialError(pending.id, pending.era, refusal, pending.tool);
    return this.parts.toClient.send(wireJson(error), aboutAnswer(pending, error, denialStatus(pending.era, refusal)));
  }

  protected async notification(message: NotificationMessage, arrival: Arrival): Promise<void> {
    if (message.method === 'notifications/cancelled') return this.#cancel(message, arrival);
    let verdict = judgeNotification(this.context, 'c2s', message);
    if (message.method === 'notifications/progress' && verdict.kind === 'forward') {
      const token = message.params?.['progressToken'];
      if (!isRequestId(token) || !this.conversation.fromServer.hasToken(token)) verdict = this.unknownProgress();
    }
    await this.passNotification(message, verdict, null, arrival, this.parts.toServer);
  }

  /** A cancelled call never executes: one that has not gone out yet ends here, and the server never hears of it. */
  async #cancel(message: NotificationMessage, arrival: Arrival): Promise<void> {
    const id = message.params?.['requestId'];
    const pending = isRequestId(id) ? this.conversation.fromClient.get(id) : undefined;
    let verdict: Verdict;
    if (pending === undefined || pending.origin === 'gateway') {
      verdict = refuse('ID_UNKNOWN', 'no request of that id is in flight', 'nothing has to be done');
    } else {
      const sent = pending.sent;
      this.conversation.fromClient.cancel(pending);
      verdict = sent ? judgeNotification(this.context, 'c2s', message) : cancelledEarly();
    }
    await this.passNotification(message, verdict, pending ?? null, arrival, this.parts.toServer);
    if (pending?.cancelled === true && pending.via !== null) this.parts.toClient.unanswered?.(pending.via);
  }

  protected async answer(message: AnswerMessage, arrival: Arrival): Promise<void> {
    const pending = this.takeAnswered(this.conversation.fromServer, message, arrival.bytes);
    if (pending === null) return this.recordUnasked(message, arrival);
    const verdict = await redactedAnswer(this.parts, 'c2s', pending.method, forward(message.value));
    const value = verdict.kind === 'forward' ? verdict.value : message.value;
    const text = wireJson(value);
    if (await this.recordAnswer(message, pending, verdict, arrival, text)) {
      await this.parts.toServer.send(text, aboutAnswer(pending, value));
    }
  }

  /** Asks the server for one page of a listing, as a request of the gateway's own. */
  list(method: string, cursor: string | null, msMax: number): Promise<GatewayAnswer> {
    return this.#ask(method, this.#listParams(cursor), 'gateway listing', msMax);
  }

  /**
   * Repeats the client's handshake with a server that lost its session. False if the server does not answer what it
   * answered before: the client was told something else.
   */
  async renew(): Promise<boolean> {
    const { handshake } = this.conversation;
    if (handshake?.answer === undefined || handshake.answer === null) return false;
    const answer = await this.#ask('initialize', handshake.params, 'gateway renews the session', LISTING_MS_MAX);
    if (answer.kind !== 'result' || sha256Hex(canonicalJson(answer.result)) !== handshake.answer) return false;
    // Before the server may ask again: what it asks from then on belongs to the new session.
    this.conversation.fromServer.clear();
    await this.#tell('notifications/initialized', undefined, 'gateway renews the session');
    this.#forgetListings();
    return true;
  }

  #forgetListings(): void {
    const { catalog, prompts, templates } = this.context;
    for (const each of [catalog, prompts, templates]) each.invalidate();
  }

  /** Sends a request of the gateway's own and waits for its answer. */
  async #ask(method: string, params: JsonObject | undefined, reason: string, msMax: number): Promise<GatewayAnswer> {
    const id = `mcp-bastion/${this.parts.randomHex(16)}`;
    const message = requestMessage(id, method, params);
    let settle: (answer: GatewayAnswer) => void = () => undefined;
    const answered = new Promise<GatewayAnswer>((resolve) => {
      settle = resolve;
    });
    const pending = this.#gatewayRequest(id, method, settle);
    const text = wireJson(message);
    this.conversation.fromClient.add(pending);
    const occurrence = { ...this.occurrence(pending, { bytes: text.length, at: pending.arrived }), origin: 'gateway' } as const;
    try {
      await this.ledger.message({ ...occurrence, kind: 'message', type: 'request' }, forward(message, null, reason), text);
    } catch (error) {
      this.conversation.fromClient.remove(pending);
      return { kind: 'refused', code: this.auditRefusal(error).code };
    }
    pending.sent = true;
    const timer = setTimeout(() => {
      this.conversation.fromClient.cancel(pending);
      settle({ kind: 'refused', code: 'no answer in time' });
      const cancelled = emptyObject();
      cancelled['requestId'] = pending.id;
      void this.#tell('notifications/cancelled', cancelled, reason, pending);
    }, msMax);
    // A server that does not read must not hold up whoever waits for the answer: it ends at its time all the same.
    if (this.conversation.silent) this.#settleListing(pending);
    else void this.parts.toServer.send(text, aboutRequest(pending, message));
    return answered.finally(() => clearTimeout(timer));
  }

  /** Sends a notification of the gateway's own. */
  async #tell(method: string, params: JsonObject | undefined, reason: string, pending: Pending | null = null): Promise<void> {
    const message = notificationMessage(method, params);
    const text = wireJson(message);
    const occurrence = {
      kind: 'message',
      callId: pending?.callId ?? null,
      dir: 'c2s',
      origin: 'gateway',
      type: 'notification',
      method,
      tool: null,
      id: null,
      status: null,
      bytes: text.length,
      us: null,
    } as const;
    try {
      await this.ledger.message(occurrence, forward(message, null, reason), text);
    } catch (error) {
      this.auditRefusal(error);
      return;
    }
    await this.parts.toServer.send(text, aboutNotification(method, pending?.era ?? this.conversation.era, message));
  }

  #listParams(cursor: string | null): JsonObject | undefined {
    const params = emptyObject();
    const client = this.conversation.era === 'legacy' ? null : this.conversation.modernMeta;
    if (client !== null) {
      const meta = emptyObject();
      for (const key of [META_PROTOCOL_VERSION, META_CLIENT_CAPABILITIES, META_CLIENT_INFO]) {
        const member = client[key];
        if (member !== undefined) meta[key] = member;
      }
      params['_meta'] = meta;
    }
    if (cursor !== null) params['cursor'] = cursor;
    return Object.keys(params).length === 0 ? undefined : permittedParams(this.parts, params);
  }

  #gatewayRequest(id: string, method: string, settle: (answer: GatewayAnswer) => void): Pending {
    return {
      id,
      shownId: id,
      callId: this.conversation.nextCallId(),
      method,
      shownMethod: method,
      tool: null,
      era: this.conversation.era ?? (this.conversation.modernMeta === null ? 'legacy' : 'modern'),
      origin: 'gateway',
      arrived: this.parts.clock.mono(),
      progressToken: null,
      via: null,
      wantsLog: false,
      filter: null,
      stateContext: null,
      round: 0,
      approved: false,
      sent: false,
      cancelled: false,
      settle,
    };
  }

  /** The server says nothing more: listings end, and what would still go to it is answered with an error. */
  serverSilent(): void {
    this.conversation.silent = true;
    for (const pending of this.conversation.fromClient.all()) {
      pending.abort?.();
      this.#settleListing(pending);
    }
  }

  #settleListing(pending: Pending): void {
    if (pending.settle === undefined) return;
    this.conversation.fromClient.remove(pending);
    pending.settle({ kind: 'refused', code: upstreamGone().code });
  }

  /** The server ended: every request that waits for it is answered with an error that says so, and recorded. */
  async serverGone(): Promise<void> {
    this.serverSilent();
    for (const pending of this.conversation.fromClient.all()) {
      // One whose row is still being written is answered when that is done.
      if (pending.sent) await this.#answerFailed(pending, upstreamGone());
    }
  }

  /** The transport cannot get an answer to one request: it is answered with an error that says so, and recorded. */
  async upstreamFailed(id: RequestId, refusal: Refuse): Promise<void> {
    // A server that went away may come back with other tools.
    if (refusal.code === 'UPSTREAM_UNREACHABLE') this.#forgetListings();
    const pending = this.conversation.fromClient.get(id);
    if (pending !== undefined) await this.#answerFailed(pending, refusal);
  }

  /** The client closed what its requests came in with, which cancels them at 2026-07-28. */
  async clientLeft(via: Carrier): Promise<void> {
    for (const pending of this.conversation.fromClient.all()) {
      if (pending.via !== via) continue;
      const params = emptyObject();
      params['requestId'] = pending.id;
      const value = notificationMessage('notifications/cancelled', params);
      await this.#cancel({ kind: 'notification', method: 'notifications/cancelled', params, value }, { bytes: 0, at: this.parts.clock.mono() });
    }
  }

  async #answerFailed(pending: Pending, refusal: Refuse): Promise<void> {
    if (this.conversation.fromClient.get(pending.id) !== pending) return;
    this.conversation.fromClient.remove(pending);
    if (pending.settle !== undefined) {
      pending.settle({ kind: 'refused', code: refusal.code });
      return;
    }
    const occurrence = this.occurrence(pending, { bytes: 0, at: this.parts.clock.mono() });
    const kind = pending.method === 'tools/call' ? 'result' : 'message';
    try {
      await this.ledger.message({ ...occurrence, kind, dir: 's2c', origin: 'gateway', type: 'error', status: 'error' }, refusal, null);
    } catch (error) {
      this.auditRefusal(error);
    }
    await this.#deny(pending, refusal);
  }
}

function cancelledEarly(): Refuse {
  return refuse('CANCELLED', 'cancelled before it was forwarded', 'nothing has to be done');
}
