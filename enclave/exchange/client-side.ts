// SPDX-License-Identifier: Apache-2.0
/** The client's direction: binds ids, has each message judged and recorded, and sends it on or answers it. */
import { wireJson } from '../../shared/json/canonical.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { emptyObject, isJsonObject } from '../../shared/json/value.ts';
import { notificationMessage, requestMessage, resultMessage } from '../../shared/jsonrpc/build.ts';
import { isRequestId } from '../../shared/jsonrpc/id.ts';
import type { Malformed, Message } from '../../shared/jsonrpc/message.ts';
import { toolLabel } from '../../shared/label.ts';
import { META_CLIENT_CAPABILITIES, META_CLIENT_INFO, META_PROTOCOL_VERSION } from '../../shared/mcp/meta.ts';
import { permittedParams } from './capabilities.ts';
import type { NotificationMessage, RequestMessage } from './client.ts';
import { eraOfMessage, judgeClientRequest, judgeNotification, upstreamGone } from './client.ts';
import type { GatewayAnswer, Pending } from './conversation.ts';
import { detached, detachedText, progressTokenOf } from './conversation.ts';
import type { AnswerMessage, Arrival, SideContext } from './side.ts';
import { Side } from './side.ts';
import type { Refuse, Verdict } from './verdict.ts';
import { denialError, forward, malformedError, refuse } from './verdict.ts';

export class ClientSide extends Side {
  /** True once the server says nothing more. */
  #silent = false;

  constructor(context: SideContext) {
    super(context, 'c2s');
  }

  async element(element: Message | Malformed, arrival: Arrival): Promise<void> {
    switch (element.kind) {
      case 'malformed':
        return this.malformed(element, arrival);
      case 'request':
        return this.#request(element, arrival);
      case 'notification':
        return this.#notification(element, arrival);
      case 'result':
      case 'error':
        return this.#answer(element, arrival);
    }
  }

  /** A message that is refused for its form: a row, and an answer under its own id only if that is readable and free. */
  async malformed(element: Malformed, arrival: Arrival): Promise<void> {
    await this.recordDrop(element, arrival, null);
    // Asked for after the row is written: another request may have taken the id meanwhile.
    const free = element.id !== null && this.conversation.fromClient.get(element.id) === undefined ? element.id : null;
    // A malformed notification or answer is not a request: nobody waits for an error to it.
    if (element.request === false) return;
    await this.parts.toClient.send(wireJson(malformedError(free, element.code, element.hint)));
  }

  async #request(message: RequestMessage, arrival: Arrival): Promise<void> {
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
    if (fromClient.full) {
      const full = refuse('IN_FLIGHT_LIMIT', 'too many requests wait for their answer', 'wait for answers first');
      await this.#end(message, pending, full, arrival);
      return;
    }
    fromClient.add(pending);
    const judged = await judgeClientRequest(this.context, message, pending);
    const verdict = pending.cancelled ? cancelledEarly() : judged;
    if (verdict.kind === 'refuse') {
      await this.#end(message, pending, verdict, arrival);
      return;
    }
    await this.#move(message, pending, verdict, arrival);
  }

  /** A second request under an id in flight gets a row and no answer: an answer would settle the first. */
  async #recordTwice(message: RequestMessage, pending: Pending, verdict: Refuse, arrival: Arrival): Promise<void> {
    try {
      await this.#record(message, pending, verdict, arrival, wireJson(message.value));
    } catch (error) {
      this.auditRefusal(error);
    }
  }

  #bind(message: RequestMessage, arrival: Arrival): Pending {
    const { params } = message;
    const name = params?.['name'];
    const tool = message.method === 'tools/call' && typeof name === 'string' ? toolLabel(name) : null;
    const era = eraOfMessage(message);
    if (era === 'modern' && isJsonObject(params?.['_meta'])) this.conversation.modernMeta = params['_meta'];
    return {
      id: detached(message.id),
      callId: this.conversation.nextCallId(),
      method: detachedText(message.method),
      shownMethod: detachedText(this.shownMethod(message.method)),
      tool: tool ?? this.conversation.tasks.toolOf(params?.['taskId']),
      era,
      origin: 'client',
      arrived: arrival.at,
      progressToken: progressTokenOf(params),
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
    const text = wireJson(verdict.kind === 'forward' ? verdict.value : message.value);
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
    if (this.#silent) await this.#answerGone(pending);
    else await this.parts.toServer.send(text);
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
    if (!pending.cancelled) await this.parts.toClient.send(text);
  }

  async #unrecorded(pending: Pending, error: unknown): Promise<void> {
    const refusal = this.auditRefusal(error);
    this.conversation.fromClient.remove(pending);
    if (!pending.cancelled) await this.#deny(pending, refusal);
  }

  #deny(pending: Pending, refusal: Refuse): Promise<void> {
    return this.parts.toClient.send(wireJson(denialError(pending.id, pending.era, refusal, pending.tool)));
  }

  async #notification(message: NotificationMessage, arrival: Arrival): Promise<void> {
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
  }

  async #answer(message: AnswerMessage, arrival: Arrival): Promise<void> {
    const pending = this.takeAnswered(this.conversation.fromServer, message);
    if (pending === null) return this.recordUnasked(message, arrival);
    const text = wireJson(message.value);
    if (await this.recordAnswer(message, pending, forward(message.value), arrival, text)) {
      await this.parts.toServer.send(text);
    }
  }

  /** Asks the server for one page of its tools, as a request of the gateway's own. */
  async listTools(cursor: string | null, msMax: number): Promise<GatewayAnswer> {
    const id = `mcp-bastion/${this.parts.randomHex(16)}`;
    const message = requestMessage(id, 'tools/list', this.#listParams(cursor));
    let settle: (answer: GatewayAnswer) => void = () => undefined;
    const answered = new Promise<GatewayAnswer>((resolve) => {
      settle = resolve;
    });
    const pending = this.#gatewayRequest(id, settle);
    const text = wireJson(message);
    this.conversation.fromClient.add(pending);
    const occurrence = { ...this.occurrence(pending, { bytes: text.length, at: pending.arrived }), origin: 'gateway' } as const;
    try {
      await this.ledger.message({ ...occurrence, kind: 'message', type: 'request' }, forward(message, null, 'gateway listing'), text);
    } catch (error) {
      this.conversation.fromClient.remove(pending);
      return { kind: 'refused', code: this.auditRefusal(error).code };
    }
    pending.sent = true;
    const timer = setTimeout(() => {
      this.conversation.fromClient.cancel(pending);
      settle({ kind: 'refused', code: 'no answer in time' });
      void this.#giveUp(pending);
    }, msMax);
    // A server that does not read must not hold up whoever waits for the listing: it ends at its time all the same.
    if (this.#silent) this.#settleListing(pending);
    else void this.parts.toServer.send(text);
    return answered.finally(() => clearTimeout(timer));
  }

  /** Tells the server that its answer is no longer waited for. */
  async #giveUp(pending: Pending): Promise<void> {
    const params = emptyObject();
    params['requestId'] = pending.id;
    const message = notificationMessage('notifications/cancelled', params);
    const text = wireJson(message);
    const occurrence = {
      ...this.occurrence(pending, { bytes: text.length, at: this.parts.clock.mono() }),
      kind: 'message',
      origin: 'gateway',
      type: 'notification',
      method: 'notifications/cancelled',
      id: null,
    } as const;
    try {
      await this.ledger.message(occurrence, forward(message, null, 'gateway listing'), text);
    } catch (error) {
      this.auditRefusal(error);
      return;
    }
    await this.parts.toServer.send(text);
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
    return Object.keys(params).length === 0 ? undefined : permittedParams(this.parts.policy, params);
  }

  #gatewayRequest(id: string, settle: (answer: GatewayAnswer) => void): Pending {
    return {
      id,
      callId: this.conversation.nextCallId(),
      method: 'tools/list',
      shownMethod: 'tools/list',
      tool: null,
      era: this.conversation.era ?? (this.conversation.modernMeta === null ? 'legacy' : 'modern'),
      origin: 'gateway',
      arrived: this.parts.clock.mono(),
      progressToken: null,
      sent: false,
      cancelled: false,
      settle,
    };
  }

  /** The server says nothing more: listings end, and what would still go to it is answered with an error. */
  serverSilent(): void {
    this.#silent = true;
    for (const pending of this.conversation.fromClient.all()) this.#settleListing(pending);
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
      if (pending.sent) await this.#answerGone(pending);
    }
  }

  async #answerGone(pending: Pending): Promise<void> {
    if (this.conversation.fromClient.get(pending.id) !== pending) return;
    this.conversation.fromClient.remove(pending);
    const refusal = upstreamGone();
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
