// SPDX-License-Identifier: Apache-2.0
/** The server's direction: answers bound to their request, its own requests, and its notifications. */
import { wireJson } from '../../shared/json/canonical.ts';
import type { JsonValue } from '../../shared/json/value.ts';
import { isJsonObject } from '../../shared/json/value.ts';
import { isRequestId } from '../../shared/jsonrpc/id.ts';
import type { Malformed, Message } from '../../shared/jsonrpc/message.ts';
import { judgeError, judgeResult, negotiatedRevision, offersModern } from './answers.ts';
import type { NotificationMessage, RequestMessage } from './client.ts';
import { judgeNotification, judgeServerRequest } from './client.ts';
import type { Pending } from './conversation.ts';
import { detached, detachedText, progressTokenOf } from './conversation.ts';
import type { AnswerMessage, Arrival, SideContext } from './side.ts';
import { Side } from './side.ts';
import type { Refuse, Verdict } from './verdict.ts';
import { denialError, refuse } from './verdict.ts';

export class ServerSide extends Side {
  /** True while a notification waits for the new tools to be judged. */
  #relisting = false;

  constructor(context: SideContext) {
    super(context, 's2c');
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

  /** A message that is refused for its form never reaches the client; the request it answers gets an error instead. */
  async malformed(element: Malformed, arrival: Arrival): Promise<void> {
    // The ids of the server's own requests are another space: a malformed one of those settles nothing.
    const pending = element.request !== true && element.id !== null ? this.conversation.fromClient.get(element.id) : undefined;
    const answered = pending?.sent === true ? pending : null;
    if (answered !== null) this.conversation.fromClient.remove(answered);
    await this.recordDrop(element, arrival, answered);
    if (answered === null) return;
    if (answered.settle !== undefined) {
      answered.settle({ kind: 'refused', code: element.code });
      return;
    }
    await this.#denyClient(answered, refuse(element.code, "the server's answer was refused for its form", element.hint));
  }

  #denyClient(pending: Pending, refusal: Refuse): Promise<void> {
    return this.parts.toClient.send(wireJson(denialError(pending.id, pending.era, refusal, pending.tool)));
  }

  async #answer(message: AnswerMessage, arrival: Arrival): Promise<void> {
    const pending = this.takeAnswered(this.conversation.fromClient, message);
    if (pending === null) return this.recordUnasked(message, arrival);
    const verdict = this.#judgeAnswer(message, pending);
    this.#learn(message, pending, verdict);
    const text = wireJson(verdict.kind === 'forward' ? verdict.value : message.value);
    const moves = await this.recordAnswer(message, pending, verdict, arrival, text);
    if (pending.settle !== undefined) {
      pending.settle(gatewayAnswer(message, moves, verdict, arrival.bytes));
      return;
    }
    if (moves) await this.parts.toClient.send(text);
    else await this.#denyClient(pending, verdict.kind === 'refuse' ? verdict : unrecorded());
  }

  #judgeAnswer(message: AnswerMessage, pending: Pending): Verdict {
    const { policy } = this.parts;
    if (message.kind === 'result') return judgeResult(policy, pending, message.value, message.result);
    return judgeError(policy, message.value, message.error);
  }

  /** The first handshake that succeeds settles the connection's era. */
  #learn(message: AnswerMessage, pending: Pending, verdict: Verdict): void {
    if (message.kind === 'error' || verdict.kind !== 'forward') return;
    const { conversation } = this;
    if (pending.method === 'initialize') {
      conversation.revision = negotiatedRevision(message.result);
      conversation.era ??= 'legacy';
    } else if (pending.era === 'modern' && (pending.method !== 'server/discover' || offersModern(message.result))) {
      conversation.era ??= 'modern';
    }
    const taskId = this.taskIdOf(message);
    if (taskId !== null && pending.method === 'tools/call' && pending.tool !== null) {
      conversation.tasks.add(taskId, pending.tool, pending.progressToken);
    }
  }

  async #request(message: RequestMessage, arrival: Arrival): Promise<void> {
    const { fromServer } = this.conversation;
    const pending: Pending = {
      id: detached(message.id),
      callId: this.conversation.nextCallId(),
      method: detachedText(message.method),
      shownMethod: detachedText(this.shownMethod(message.method)),
      tool: null,
      era: this.conversation.era ?? 'legacy',
      origin: 'server',
      arrived: arrival.at,
      progressToken: progressTokenOf(message.params),
      sent: false,
      cancelled: false,
    };
    const twice = fromServer.get(message.id) !== undefined;
    const verdict = this.#judgeRequest(message, twice);
    if (!twice && verdict.kind === 'forward') fromServer.add(pending);
    const text = wireJson(verdict.kind === 'forward' ? verdict.value : message.value);
    const occurrence = { ...this.occurrence(pending, arrival), kind: 'message', type: 'request' } as const;
    try {
      await this.ledger.message(occurrence, verdict, text);
    } catch (error) {
      fromServer.remove(pending);
      await this.#denyServer(pending, this.auditRefusal(error));
      return;
    }
    if (twice || pending.cancelled) return;
    if (verdict.kind !== 'forward') {
      await this.#denyServer(pending, verdict.kind === 'refuse' ? verdict : unrecorded());
      return;
    }
    pending.sent = true;
    await this.parts.toClient.send(text);
  }

  #judgeRequest(message: RequestMessage, twice: boolean): Verdict {
    if (twice) return refuse('ID_IN_FLIGHT', 'the id belongs to a request in flight', 'use a new id for each request');
    if (this.conversation.fromServer.awaitsLate(message.id)) {
      return refuse('ID_IN_FLIGHT', 'the id belongs to a cancelled request that may still be answered', 'use a new id for each request');
    }
    if (this.conversation.fromServer.full) {
      return refuse('IN_FLIGHT_LIMIT', 'too many requests wait for their answer', 'wait for answers first');
    }
    return judgeServerRequest(this.context, message);
  }

  #denyServer(pending: Pending, refusal: Refuse): Promise<void> {
    return this.parts.toServer.send(wireJson(denialError(pending.id, pending.era, refusal, null)));
  }

  async #notification(message: NotificationMessage, arrival: Arrival): Promise<void> {
    let pending: Pending | null = null;
    let verdict = judgeNotification(this.context, 's2c', message);
    if (verdict.kind === 'forward') {
      switch (message.method) {
        case 'notifications/cancelled':
          pending = this.#cancelled(message.params?.['requestId']);
          if (pending === null) verdict = refuse('ID_UNKNOWN', 'no request of that id is in flight', 'nothing has to be done');
          break;
        case 'notifications/progress':
          if (!this.#liveToken(message.params?.['progressToken'])) verdict = this.unknownProgress();
          break;
        case 'notifications/tools/list_changed':
          // The client hears of the change when the new tools have been judged.
          if (!(await this.#relist())) {
            verdict = refuse('CHANGE_MERGED', 'an earlier notification tells of this change too', 'nothing has to be done');
          }
          break;
        default:
          break;
      }
    }
    await this.passNotification(message, verdict, pending, arrival, this.parts.toClient);
  }

  /**
   * False if a notification that is held back already will tell the client: the answer to the listing may stand behind
   * hundreds of them, and has to be read.
   */
  async #relist(): Promise<boolean> {
    const { catalog } = this.context;
    const used = catalog.used;
    catalog.invalidate();
    if (!used) return true;
    if (this.#relisting) return false;
    this.#relisting = true;
    try {
      await catalog.refresh();
    } finally {
      this.#relisting = false;
    }
    return true;
  }

  /** A server may cancel its own requests and, at 2026-07-28, a subscription of the client's. */
  #cancelled(id: JsonValue | undefined): Pending | null {
    if (!isRequestId(id)) return null;
    const own = this.conversation.fromServer.get(id);
    if (own !== undefined) {
      this.conversation.fromServer.cancel(own);
      return own;
    }
    const listen = this.conversation.fromClient.get(id);
    if (listen?.method !== 'subscriptions/listen') return null;
    this.conversation.fromClient.cancel(listen);
    return listen;
  }

  #liveToken(token: JsonValue | undefined): boolean {
    if (!isRequestId(token)) return false;
    return this.conversation.fromClient.hasToken(token) || this.conversation.tasks.hasToken(token);
  }
}

function unrecorded(): Refuse {
  return refuse('AUDIT_UNAVAILABLE', 'the call was executed, but its answer could not be recorded', 'tell the operator');
}

function gatewayAnswer(message: AnswerMessage, moves: boolean, verdict: Verdict, bytes: number) {
  if (!moves) return { kind: 'refused', code: verdict.kind === 'refuse' ? verdict.code : 'AUDIT_UNAVAILABLE' } as const;
  if (message.kind === 'result') return { kind: 'result', result: message.result, bytes } as const;
  const error = message.value['error'];
  return isJsonObject(error) ? ({ kind: 'error', error } as const) : ({ kind: 'refused', code: 'RESULT_INVALID' } as const);
}

