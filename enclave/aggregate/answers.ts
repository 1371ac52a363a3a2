// SPDX-License-Identifier: Apache-2.0
/**
 * What the client gets from the gateway itself where several servers are one endpoint: answers that are put together, and
 * refusals of what goes to no server. The servers' exchanges have rows for what they saw; what only this place saw gets
 * its row here, under the name of the gateway.
 */
import { Unavailable } from '../../shared/errors.ts';
import { wireJson } from '../../shared/json/canonical.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { jsonObject } from '../../shared/json/value.ts';
import { resultMessage } from '../../shared/jsonrpc/build.ts';
import type { RequestId } from '../../shared/jsonrpc/id.ts';
import type { Malformed } from '../../shared/jsonrpc/message.ts';
import { methodLabel, toolLabel } from '../../shared/label.ts';
import { lookupMethod } from '../../shared/mcp/methods.ts';
import type { Era } from '../../shared/mcp/revisions.ts';
import { aboutRefusal } from '../exchange/about.ts';
import type { NotificationMessage, RequestMessage } from '../exchange/context.ts';
import type { Occurrence } from '../exchange/ledger.ts';
import { Ledger } from '../exchange/ledger.ts';
import type { About, Outlet } from '../exchange/parts.ts';
import type { AnswerMessage, Arrival } from '../exchange/side.ts';
import type { Refuse } from '../exchange/verdict.ts';
import { denialError, denialStatus, malformedError, refuse } from '../exchange/verdict.ts';
import type { House } from '../peer.ts';
import type { Reply } from './ask.ts';
import type { ClientRequest, ClientRequests } from './client-requests.ts';
import { splitClientName } from './names.ts';

/** The name that rows have for what concerns no single server. */
export const GATEWAY = 'gateway';

export interface AnswersParts {
  readonly house: House;
  readonly principal: string;
  readonly era: Era;
  readonly toClient: Outlet;
  readonly requests: ClientRequests;
}

const HTTP_NOT_FOUND = 404;

/**
 * The status of an answer. At the older revisions a client takes 404 for the end of its session, and that of one server
 * is not the client's.
 */
export function statusOf(era: Era, status: number | null): number | null {
  return era === 'legacy' && status === HTTP_NOT_FOUND ? null : status;
}

function shownMethod(method: string): string {
  return lookupMethod(null, 'c2s', method).kind === 'unknown' ? methodLabel(method) : method;
}

/** The label is over the server's own name, as far as the client's name tells it. */
function labelOf(message: RequestMessage): string | null {
  const name = message.params?.['name'];
  if (message.method !== 'tools/call' || typeof name !== 'string') return null;
  return toolLabel(splitClientName(name)?.rest ?? name);
}

function cancelledEarly(): Refuse {
  return refuse('CANCELLED', 'cancelled before it was forwarded', 'nothing has to be done');
}

export class Answers {
  readonly #parts: AnswersParts;
  readonly #ledger: Ledger;
  readonly #session: string;
  #calls = 0;

  constructor(parts: AnswersParts) {
    const { house, principal } = parts;
    const { policies, recorder, log, clock, room } = house;
    this.#parts = parts;
    this.#session = house.randomHex(8);
    this.#ledger = new Ledger({
      server: GATEWAY,
      principal,
      session: this.#session,
      get policy() {
        return policies.current;
      },
      recorder,
      log,
      clock,
      room,
    });
  }

  /** A result that was put together; its parts are recorded. */
  async result(request: ClientRequest, result: JsonObject): Promise<void> {
    if (!this.#parts.requests.end(request)) return;
    await this.#send(request, resultMessage(request.id, result), null);
  }

  /** What one server answered stands for all. */
  async pass(request: ClientRequest, reply: Reply): Promise<void> {
    switch (reply.kind) {
      case 'result':
        return this.result(request, reply.result);
      case 'failed':
        return this.refuse(request, reply.refusal);
      case 'error':
        if (!this.#parts.requests.end(request)) return;
        return this.#send(request, jsonObject({ jsonrpc: '2.0', id: request.id, error: reply.error }), reply.status);
    }
  }

  /** A request that goes to no server: its row, then its error. */
  async refuse(request: ClientRequest, refusal: Refuse): Promise<void> {
    const { era, requests } = this.#parts;
    const tool = labelOf(request.message);
    const unrecorded = await this.#recordRequest(request.message, refusal, request.arrival);
    if (!requests.end(request)) return;
    const said = unrecorded ?? refusal;
    await this.#send(request, denialError(request.id, era, said, tool), denialStatus(era, said));
  }

  /** A request that was cancelled before any server saw it: it is never answered. */
  async cancelled(request: ClientRequest): Promise<void> {
    this.#parts.requests.end(request);
    await this.#recordRequest(request.message, cancelledEarly(), request.arrival);
  }

  /** A second request under an id in flight: an answer under that id would settle the first. */
  async refuseTwice(message: RequestMessage, refusal: Refuse, arrival: Arrival): Promise<void> {
    await this.#recordRequest(message, refusal, arrival);
    const { via = null } = arrival;
    if (via === null) return;
    const error = denialError(null, this.#parts.era, refusal, labelOf(message));
    await this.#parts.toClient.send(wireJson(error), aboutRefusal(null, error, via));
  }

  /** What is refused for its form; it is answered under its own id only where that is readable and free. */
  async malformed(element: Malformed, arrival: Arrival): Promise<void> {
    const { code, hint, id, request } = element;
    const verdict = { ...refuse(code, hint, hint), reason: code };
    await this.#record({ kind: 'drop', type: 'unreadable', method: null, tool: null, id }, verdict, arrival, null);
    if (request === false) return;
    const free = id !== null && this.#parts.requests.get(id) === undefined ? id : null;
    const error = malformedError(free, code, hint);
    await this.#parts.toClient.send(wireJson(error), aboutRefusal(free, error, arrival.via ?? null));
  }

  /** A notification that belongs to nothing; it ends here. */
  async dropNotification(message: NotificationMessage, refusal: Refuse, arrival: Arrival): Promise<void> {
    const method = shownMethod(message.method);
    await this.#record({ kind: 'message', type: 'notification', method, tool: null, id: null }, refusal, arrival, message.value);
  }

  /** An answer that no server asked for; it ends here. */
  async dropAnswer(message: AnswerMessage, arrival: Arrival): Promise<void> {
    const refusal = refuse('ID_UNKNOWN', 'an answer that no request in flight asked for', 'nothing has to be done');
    await this.#record({ kind: 'message', type: message.kind, method: null, tool: null, id: message.id }, refusal, arrival, message.value);
  }

  #recordRequest(message: RequestMessage, refusal: Refuse, arrival: Arrival): Promise<Refuse | null> {
    const kind = message.method === 'tools/call' ? 'call' : 'message';
    const id: RequestId = arrival.shownId ?? message.id;
    const shown = { kind, type: 'request', method: shownMethod(message.method), tool: labelOf(message), id } as const;
    return this.#record(shown, refusal, arrival, message.value);
  }

  /** What is to be said instead where the row cannot be written. */
  async #record(shown: Pick<Occurrence, 'kind' | 'type' | 'method' | 'tool' | 'id'>, refusal: Refuse, arrival: Arrival, value: JsonObject | null): Promise<Refuse | null> {
    this.#calls += 1;
    const callId = this.#session + this.#calls.toString(16).padStart(16, '0');
    const occurrence: Occurrence = { ...shown, callId, dir: 'c2s', origin: 'client', status: null, bytes: arrival.bytes, us: null };
    try {
      await this.#ledger.message(occurrence, refusal, value === null ? null : wireJson(value));
      return null;
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      this.#parts.house.log.error(error.code, error.message, error.hint);
      return refuse(error.code, 'the audit log is unavailable, so nothing is forwarded', 'tell the operator; see the gateway log');
    }
  }

  #send(request: ClientRequest, value: JsonObject, status: number | null): Promise<void> {
    const { era, toClient } = this.#parts;
    const { id, message, via } = request;
    const about: About = { kind: 'answer', id, method: message.method, era, value, via, status: statusOf(era, status), headers: null };
    return toClient.send(wireJson(value), about);
  }
}
