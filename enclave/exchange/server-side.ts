// SPDX-License-Identifier: Apache-2.0
/** The server's direction: answers bound to their request, its own requests, and its notifications. */
import { sha256Hex } from '../../shared/digest.ts';
import { canonicalJson, wireJson } from '../../shared/json/canonical.ts';
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { isJsonObject, withMember } from '../../shared/json/value.ts';
import type { RequestId } from '../../shared/jsonrpc/id.ts';
import { isRequestId } from '../../shared/jsonrpc/id.ts';
import type { Malformed } from '../../shared/jsonrpc/message.ts';
import { META_SUBSCRIPTION_ID } from '../../shared/mcp/meta.ts';
import { REVISIONS } from '../../shared/mcp/revisions.ts';
import { aboutAnswer, aboutRequest } from './about.ts';
import { judgeError, judgeResult, negotiatedRevision, offersModern } from './answers.ts';
import type { NotificationMessage, RequestMessage } from './context.ts';
import { privateCache } from './caching.ts';
import { judgeNotification, judgeServerRequest } from './client.ts';
import type { Pending } from './conversation.ts';
import { detached, detachedText, progressTokenOf } from './conversation.ts';
import { redactedAnswer } from './redact-verdict.ts';
import { sealState } from './request-state.ts';
import { readableResources } from './resources.ts';
import type { Catalog } from '../pins/catalog.ts';
import { carriesPinned, judgePinnedAnswer } from '../pins/pinned.ts';
import { judgeStream } from './streams.ts';
import { ownTasks } from './task-owners.ts';
import type { AnswerMessage, Arrival, SideContext } from './side.ts';
import { Side } from './side.ts';
import type { Refuse, Verdict } from './verdict.ts';
import { denialError, denialStatus, forwardWithAlert, modernStatus, refuse } from './verdict.ts';

export class ServerSide extends Side {
  constructor(context: SideContext) {
    super(context, 's2c');
  }

  /** A message that is refused for its form never reaches the client; the request it answers gets an error instead. */
  async malformed(element: Malformed, arrival: Arrival): Promise<void> {
    // The ids of the server's own requests are another space: a malformed one of those settles nothing.
    const pending = element.request !== true && element.id !== null && !this.#isAstray(element.id, arrival) ? this.conversation.fromClient.get(element.id) : undefined;
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
    const error = denialError(pending.id, pending.era, refusal, pending.tool);
    return this.parts.toClient.send(wireJson(error), aboutAnswer(pending, error, denialStatus(pending.era, refusal)));
  }

  /**
   * An error without an id answers the request whose HTTP response it is: a server that could not tell the id says so.
   */
  #addressed(message: AnswerMessage, arrival: Arrival): AnswerMessage {
    const { related = null } = arrival;
    if (message.kind !== 'error' || message.id !== null || related === null) return message;
    return { ...message, id: related, value: withMember(message.value, 'id', related) };
  }

  /** 2026-07-28: a response holds the answer to its own request only; what is in it for another may be another client's. */
  #isAstray(id: RequestId | null, { related }: Arrival): boolean {
    return this.parts.era === 'modern' && related !== undefined && related !== id;
  }

  protected async answer(received: AnswerMessage, arrival: Arrival): Promise<void> {
    const message = this.#addressed(received, arrival);
    const pending = this.#isAstray(message.id, arrival) ? null : this.takeAnswered(this.conversation.fromClient, message, arrival.bytes);
    if (pending === null) return this.recordUnasked(message, arrival);
    const answered = this.#judgeAnswer(message, pending);
    const judged = answered.kind === 'forward' && carriesPinned(this.context, pending) ? await judgePinnedAnswer(this.context, pending, answered) : answered;
    // What the gateway listed for itself is judged as it is.
    const verdict = pending.settle === undefined ? await redactedAnswer(this.parts, 's2c', pending.method, judged) : judged;
    this.#learn(message, pending, verdict);
    const value = verdict.kind === 'forward' ? this.#forClient(verdict.value, pending) : message.value;
    const text = wireJson(value);
    const moves = await this.recordAnswer(message, pending, verdict, arrival, text);
    if (pending.settle !== undefined) {
      pending.settle(gatewayAnswer(message, moves, verdict, arrival.bytes));
      return;
    }
    if (moves) await this.parts.toClient.send(text, aboutAnswer(pending, value, this.#statusOf(message, pending, arrival)));
    else await this.#denyClient(pending, verdict.kind === 'refuse' ? verdict : unrecorded());
  }

  /** An answer as the client gets it: its state wrapped, its caching private, without the tasks of others. */
  #forClient(judged: JsonObject, pending: Pending): JsonObject {
    const seen = readableResources(this.parts, pending, judged);
    const value = ownTasks(this.parts, pending, privateCache(this.parts, pending, sealState(this.parts, seen, pending.stateContext, pending.round)));
    const result = value['result'];
    const state = pending.approved && pending.stateContext !== null && isJsonObject(result) ? result['requestState'] : undefined;
    if (typeof state === 'string') this.parts.continuations?.add(state);
    return value;
  }

  /** The HTTP status of an answer: as the server gave it, or as 2026-07-28 wants it where the server speaks stdio. */
  #statusOf(message: AnswerMessage, pending: Pending, arrival: Arrival): number | null {
    if (arrival.status !== undefined) return arrival.status;
    return message.kind === 'error' && pending.era === 'modern' ? modernStatus(message.error.code) : null;
  }

  #judgeAnswer(message: AnswerMessage, pending: Pending): Verdict {
    const { eras, server } = this.parts;
    if (message.kind === 'result') return this.#tooOld(message, pending) ?? judgeResult(this.parts, pending, message.value, message.result);
    // Whoever can break the probe could make clients speak an older revision to a server that has a newer one.
    const downgrade = pending.method === 'server/discover' && eras?.get(server) === 'modern';
    const verdict = judgeError(this.parts, message.value, message.error);
    if (!downgrade || verdict.kind !== 'forward') return verdict;
    this.parts.log.warn('ERA_DOWNGRADE', `${server} spoke 2026-07-28 before and refuses to say so now`, 'find out what changed; min_protocol_version can forbid the older revisions');
    return forwardWithAlert(message.value, 'ERA_DOWNGRADE', 'the server spoke a newer revision before');
  }

  #tooOld(message: AnswerMessage, pending: Pending): Refuse | null {
    const { minRevision = null } = this.parts;
    if (minRevision === null || pending.method !== 'initialize' || message.kind === 'error') return null;
    const revision = negotiatedRevision(message.result);
    if (revision === null || REVISIONS.indexOf(revision) >= REVISIONS.indexOf(minRevision)) return null;
    return refuse('REVISION_UNKNOWN', `${revision} is older than this gateway allows`, `use a client and a server that speak ${minRevision} or newer`);
  }

  /** The first handshake that succeeds settles the connection's era. */
  #learn(message: AnswerMessage, pending: Pending, verdict: Verdict): void {
    if (message.kind === 'error' || verdict.kind !== 'forward') return;
    const { conversation } = this;
    if (pending.method === 'initialize') {
      conversation.revision = negotiatedRevision(message.result);
      if (conversation.handshake !== null && pending.origin === 'client') {
        conversation.handshake = { ...conversation.handshake, answer: sha256Hex(canonicalJson(message.result)) };
      }
      conversation.era ??= 'legacy';
    } else if (pending.era === 'modern' && (pending.method !== 'server/discover' || offersModern(message.result))) {
      conversation.era ??= 'modern';
    }
    if (pending.method === 'server/discover' && offersModern(message.result)) this.parts.eras?.set(this.parts.server, 'modern');
    const taskId = this.taskIdOf(message);
    if (taskId !== null && pending.method === 'tools/call') this.parts.taskOwners?.add(this.parts.server, taskId, this.parts.principal);
    if (taskId !== null && pending.method === 'tools/call' && pending.tool !== null) {
      conversation.tasks.add(taskId, pending.tool, pending.progressToken);
    }
  }

  protected async request(message: RequestMessage, arrival: Arrival): Promise<void> {
    const { fromServer } = this.conversation;
    const pending: Pending = {
      id: detached(message.id),
      shownId: detached(message.id),
      callId: this.conversation.nextCallId(),
      method: detachedText(message.method),
      shownMethod: detachedText(this.shownMethod(message.method)),
      tool: null,
      era: this.conversation.era ?? 'legacy',
      origin: 'server',
      arrived: arrival.at,
      progressToken: progressTokenOf(message.params),
      via: null,
      wantsLog: false,
      filter: null,
      stateContext: null,
      round: 0,
      approved: false,
      sent: false,
      cancelled: false,
    };
    const twice = fromServer.get(message.id) !== undefined;
    const refused = this.#refuseRequest(message, twice);
    // Before anything is waited for, so that the same id is not taken twice.
    if (refused === null) fromServer.add(pending);
    const verdict = refused ?? (await judgeServerRequest(this.context, message));
    if (refused === null && verdict.kind !== 'forward') fromServer.remove(pending);
    const value = verdict.kind === 'forward' ? verdict.value : message.value;
    const text = wireJson(value);
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
    await this.parts.toClient.send(text, aboutRequest(pending, value, null, this.#relatedTo(arrival)?.via ?? null));
  }

  #refuseRequest(message: RequestMessage, twice: boolean): Refuse | null {
    if (this.parts.face === 'http' && this.parts.era === 'modern') {
      return refuse('METHOD_WRONG_DIRECTION', 'servers of 2026-07-28 ask inside their answers', 'the server does not follow the protocol');
    }
    if (twice) return refuse('ID_IN_FLIGHT', 'the id belongs to a request in flight', 'use a new id for each request');
    if (this.conversation.fromServer.awaitsLate(message.id)) {
      return refuse('ID_IN_FLIGHT', 'the id belongs to a cancelled request that may still be answered', 'use a new id for each request');
    }
    if (this.conversation.fromServer.full) {
      return refuse('IN_FLIGHT_LIMIT', 'too many requests wait for their answer', 'wait for answers first');
    }
    return null;
  }

  #denyServer(pending: Pending, refusal: Refuse): Promise<void> {
    const error = denialError(pending.id, pending.era, refusal, null);
    return this.parts.toServer.send(wireJson(error), aboutAnswer(pending, error));
  }

  protected async notification(message: NotificationMessage, arrival: Arrival): Promise<void> {
    let pending: Pending | null = null;
    const carrying = this.#relatedTo(arrival, message);
    let verdict = judgeStream(this.parts, message, carrying) ?? judgeNotification(this.context, 's2c', message);
    const changed = this.#listingOf(message.method);
    if (verdict.kind === 'refuse') changed?.invalidate();
    if (verdict.kind === 'forward') {
      switch (message.method) {
        case 'notifications/cancelled':
          pending = this.#cancelled(message.params?.['requestId']);
          if (pending === null) verdict = refuse('ID_UNKNOWN', 'no request of that id is in flight', 'nothing has to be done');
          break;
        case 'notifications/progress':
          if (!this.#liveToken(message.params?.['progressToken'], carrying)) verdict = this.unknownProgress();
          break;
        case 'notifications/tools/list_changed':
        case 'notifications/prompts/list_changed':
        case 'notifications/resources/list_changed':
          // The client hears of the change when what is listed now has been judged.
          if (changed !== null && !(await this.#relist(changed, carrying))) {
            verdict = refuse('CHANGE_MERGED', 'an earlier notification tells of this change too', 'nothing has to be done');
          }
          break;
        default:
          break;
      }
    }
    await this.passNotification(message, verdict, pending, arrival, this.parts.toClient, (pending ?? carrying)?.via ?? null);
    // A subscription that its server ended gets no answer: its response ends here.
    if (pending?.method === 'subscriptions/listen' && pending.via !== null) this.parts.toClient.unanswered?.(pending.via);
  }

  /** The client's request that a message of the server's belongs to: by its stream, its subscription or its token. */
  #relatedTo(arrival: Arrival, message?: NotificationMessage): Pending | null {
    const { fromClient } = this.conversation;
    const { related = null } = arrival;
    if (related !== null) return fromClient.get(related) ?? null;
    const subscription = message === undefined ? null : subscriptionOf(message.params);
    if (subscription !== null) return fromClient.get(subscription) ?? null;
    return fromClient.holderOf(message?.params?.['progressToken']) ?? null;
  }

  /** What a notification says has changed, of what the gateway lists itself. */
  #listingOf(method: string): Catalog | null {
    const { catalog, prompts, templates } = this.context;
    if (method === 'notifications/tools/list_changed') return catalog;
    if (method === 'notifications/prompts/list_changed') return prompts;
    return method === 'notifications/resources/list_changed' ? templates : null;
  }

  /**
   * False if a notification that is held back already will tell the client: the answer to the listing may stand behind
   * hundreds of them, and has to be read.
   */
  async #relist(catalog: Catalog, carrying: Pending | null): Promise<boolean> {
    const { relisting } = catalog;
    const used = catalog.used;
    catalog.invalidate();
    if (!used) return true;
    if (relisting.has(carrying)) return false;
    relisting.add(carrying);
    try {
      await catalog.refresh();
    } finally {
      relisting.delete(carrying);
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

  #liveToken(token: JsonValue | undefined, carrying: Pending | null): boolean {
    if (!isRequestId(token)) return false;
    // 2026-07-28 over HTTP: progress travels with its own request, or it could tell one client of another's.
    if (this.parts.era === 'modern' && carrying !== null) return carrying.progressToken === token;
    return this.conversation.fromClient.hasToken(token) || this.conversation.tasks.hasToken(token);
  }
}

/** `_meta["io.modelcontextprotocol/subscriptionId"]`: the id of the listen request that a message belongs to. */
function subscriptionOf(params: JsonObject | undefined): RequestId | null {
  const meta = params?.['_meta'];
  const id = isJsonObject(meta) ? meta[META_SUBSCRIPTION_ID] : undefined;
  return isRequestId(id) ? id : null;
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

