// SPDX-License-Identifier: Apache-2.0
/** What both directions share: rows for messages that end here, and answers that are bound to their request. */
import type { Direction } from '../../shared/audit/row.ts';
import type { RequestId } from '../../shared/jsonrpc/id.ts';
import { Unavailable } from '../../shared/errors.ts';
import { wireJson } from '../../shared/json/canonical.ts';
import { isJsonObject } from '../../shared/json/value.ts';
import type { Malformed, Message } from '../../shared/jsonrpc/message.ts';
import { methodLabel } from '../../shared/label.ts';
import { lookupMethod } from '../../shared/mcp/methods.ts';
import type { ClientContext, NotificationMessage, RequestMessage } from './context.ts';
import type { Conversation, InFlight, Pending } from './conversation.ts';
import type { Ledger, Occurrence } from './ledger.ts';
import { aboutNotification } from './about.ts';
import type { Carrier, ExchangeParts, Outlet } from './parts.ts';
import { redactedRequest } from './redact-verdict.ts';
import type { Refuse, Verdict } from './verdict.ts';
import { refuse } from './verdict.ts';

export interface SideContext extends ClientContext {
  readonly ledger: Ledger;
}

/** What came in, as rows need it. */
export interface Arrival {
  readonly bytes: number;
  /** Microseconds. */
  readonly at: number;
  /** From the client over HTTP: what the message came in with. */
  readonly via?: Carrier | null;
  /** A message that the gateway itself makes in the client's place. */
  readonly origin?: 'gateway';
  /** The client's own id, where the transport gave the request another. */
  readonly shownId?: RequestId;
  /** From the client over HTTP at 2026-07-28: its `Mcp-Param-*` headers as received, by lower-case name. */
  readonly paramHeaders?: ReadonlyMap<string, string>;
  /** From the server over HTTP: the request in whose stream the message came, and the status of the response. */
  readonly related?: RequestId | null;
  readonly status?: number | null;
}

export type AnswerMessage = Extract<Message, { kind: 'result' | 'error' }>;

function statusOf(message: AnswerMessage): Occurrence['status'] {
  if (message.kind === 'error') return 'error';
  return message.result['isError'] === true ? 'tool_error' : 'ok';
}

export abstract class Side {
  protected readonly context: SideContext;
  protected readonly dir: Direction;

  constructor(context: SideContext, dir: Direction) {
    this.context = context;
    this.dir = dir;
  }

  abstract malformed(element: Malformed, arrival: Arrival): Promise<void>;
  protected abstract request(message: RequestMessage, arrival: Arrival): Promise<void>;
  protected abstract notification(message: NotificationMessage, arrival: Arrival): Promise<void>;
  protected abstract answer(message: AnswerMessage, arrival: Arrival): Promise<void>;

  /** Takes one message; resolves when it has been dealt with. */
  element(element: Message | Malformed, arrival: Arrival): Promise<void> {
    switch (element.kind) {
      case 'malformed':
        return this.malformed(element, arrival);
      case 'request':
        return this.request(element, arrival);
      case 'notification':
        return this.notification(element, arrival);
      case 'result':
      case 'error':
        return this.answer(element, arrival);
    }
  }

  protected get parts(): ExchangeParts {
    return this.context.parts;
  }

  protected get conversation(): Conversation {
    return this.context.conversation;
  }

  protected get ledger(): Ledger {
    return this.context.ledger;
  }

  /** A method as it may be shown: any name that some revision defines, else its label. */
  protected shownMethod(method: string): string {
    return lookupMethod(null, this.dir, method).kind === 'unknown' ? methodLabel(method) : method;
  }

  protected occurrence(pending: Pending, arrival: Arrival): Omit<Occurrence, 'kind' | 'type'> {
    return {
      callId: pending.callId,
      dir: this.dir,
      origin: arrival.origin ?? (this.dir === 'c2s' ? 'client' : 'server'),
      method: pending.shownMethod,
      tool: pending.tool,
      id: pending.shownId,
      status: null,
      bytes: arrival.bytes,
      us: null,
    };
  }

  /** The row of a message that is refused for its form. Nothing of its content is kept: it cannot be redacted. */
  protected async recordDrop(element: Malformed, arrival: Arrival, pending: Pending | null): Promise<void> {
    const verdict = refuse(element.code, element.hint, element.hint);
    const occurrence: Occurrence = {
      kind: 'drop',
      callId: pending?.callId ?? null,
      dir: this.dir,
      origin: this.dir === 'c2s' ? 'client' : 'server',
      type: 'unreadable',
      method: pending?.shownMethod ?? null,
      tool: pending?.tool ?? null,
      id: element.id,
      status: null,
      bytes: arrival.bytes,
      us: null,
    };
    try {
      await this.ledger.message(occurrence, { ...verdict, reason: element.code }, null);
    } catch (error) {
      this.auditRefusal(error);
    }
  }

  /** Turns a failed recording into the refusal that the peer sees; anything else is a fault of the gateway's. */
  protected auditRefusal(error: unknown): Refuse {
    if (!(error instanceof Unavailable)) throw error;
    this.parts.log.error(error.code, error.message, error.hint);
    return refuse(error.code, 'the audit log is unavailable, so nothing is forwarded', 'tell the operator; see the gateway log');
  }

  protected unknownProgress(): Refuse {
    return refuse('PROGRESS_UNKNOWN', 'the progress token belongs to no request in flight', 'nothing has to be done');
  }

  /** Records a notification and passes it on if it may. */
  protected async passNotification(
    message: NotificationMessage,
    judged: Verdict,
    pending: Pending | null,
    arrival: Arrival,
    outlet: Outlet,
    via: Carrier | null = null,
  ): Promise<void> {
    const verdict = await redactedRequest(this.parts, this.dir, message.method, judged);
    const value = verdict.kind === 'forward' ? verdict.value : message.value;
    const text = wireJson(value);
    const occurrence: Occurrence = {
      kind: 'message',
      callId: pending?.callId ?? null,
      dir: this.dir,
      origin: arrival.origin ?? (this.dir === 'c2s' ? 'client' : 'server'),
      type: 'notification',
      method: this.shownMethod(message.method),
      tool: pending?.tool ?? null,
      id: null,
      status: null,
      bytes: arrival.bytes,
      us: null,
    };
    try {
      await this.ledger.message(occurrence, verdict, text);
    } catch (error) {
      this.auditRefusal(error);
      return;
    }
    if (verdict.kind === 'forward') await outlet.send(text, aboutNotification(message.method, pending?.era ?? this.conversation.era, value, via));
  }

  /** The request that an answer belongs to, taken out; null for an answer that nobody asked for. */
  protected takeAnswered(requests: InFlight, message: AnswerMessage, bytes: number): Pending | null {
    const pending = message.id === null ? undefined : requests.get(message.id);
    if (pending === undefined || !pending.sent) return null;
    pending.release?.(bytes);
    pending.release = undefined;
    requests.remove(pending);
    return pending;
  }

  /** Records an answer; false if it must not move on. */
  protected async recordAnswer(
    message: AnswerMessage,
    pending: Pending,
    verdict: Verdict,
    arrival: Arrival,
    text: string,
  ): Promise<boolean> {
    const occurrence: Occurrence = {
      ...this.occurrence(pending, arrival),
      kind: pending.method === 'tools/call' ? 'result' : 'message',
      type: message.kind,
      status: statusOf(message),
      us: Math.max(0, arrival.at - pending.arrived),
    };
    try {
      await this.ledger.message(occurrence, verdict, text);
    } catch (error) {
      this.auditRefusal(error);
      return false;
    }
    return verdict.kind === 'forward';
  }

  /** An answer without a request in flight is recorded and ends here. */
  protected async recordUnasked(message: AnswerMessage, arrival: Arrival): Promise<void> {
    const requests = this.dir === 'c2s' ? this.conversation.fromServer : this.conversation.fromClient;
    const late = message.id === null ? undefined : requests.takeLate(message.id);
    const verdict =
      late === undefined
        ? refuse('ID_UNKNOWN', 'an answer that no request in flight asked for', 'nothing has to be done')
        : refuse('CANCELLED', 'an answer to a cancelled request', 'nothing has to be done');
    const occurrence: Occurrence = {
      kind: late?.method === 'tools/call' ? 'result' : 'message',
      callId: late?.callId ?? null,
      dir: this.dir,
      origin: this.dir === 'c2s' ? 'client' : 'server',
      type: message.kind,
      method: late?.shownMethod ?? null,
      tool: late?.tool ?? null,
      id: message.id,
      status: statusOf(message),
      bytes: arrival.bytes,
      us: late === undefined ? null : Math.max(0, arrival.at - late.arrived),
    };
    try {
      await this.ledger.message(occurrence, verdict, wireJson(message.value));
    } catch (error) {
      this.auditRefusal(error);
    }
  }

  /** The `taskId` of a result that started a task (2025-11-25: in `task`; 2026-07-28: at the top). */
  protected taskIdOf(message: AnswerMessage): string | null {
    if (message.kind === 'error') return null;
    const task = message.result['task'];
    const id = isJsonObject(task) ? task['taskId'] : message.result['taskId'];
    return typeof id === 'string' ? id : null;
  }
}
