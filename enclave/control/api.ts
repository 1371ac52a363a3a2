// SPDX-License-Identifier: Apache-2.0
/**
 * The control API: what approvers and consoles ask of a running gateway. It knows no transport; who carries it bounds
 * bodies and connections. Whoever reaches it can read what waits for approval, but decides nothing: only a signature by a
 * key that the policy names does (design, section 8).
 *
 *   GET  /control/status
 *   GET  /control/approvals               what waits and what was decided last, a summary each
 *   GET  /control/approvals?watch=VERSION the same, once it differs from that version or after a while
 *   GET  /control/approvals/ID            one ticket as displayed, and the bytes to sign
 *   POST /control/approvals/ID            {"approver","decision","reason","signature"}
 */
import type { Attempt } from '../../shared/approval/decision.ts';
import { parseAttempt } from '../../shared/approval/decision.ts';
import { toBase64 } from '../../shared/audit/base64.ts';
import type { ErrorCode } from '../../shared/errors.ts';
import { Unavailable } from '../../shared/errors.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { jsonObject } from '../../shared/json/value.ts';
import { CONTROL_WATCHERS_MAX, CONTROL_WATCH_MS_MAX } from '../../shared/limits.ts';
import type { AttemptCode, DecideOutcome, TicketView } from '../approval/desk.ts';
import type { After } from '../approval/entry.ts';

export const CONTROL_SCHEMA = 'mcp-bastion/control/1';

export interface ControlRequest {
  readonly method: string;
  /** Path and query as received (attacker-controlled). */
  readonly target: string;
  /** `Content-Type` as received, or null. */
  readonly mediaType: string | null;
  readonly body: Uint8Array;
  /** The client is gone. */
  readonly signal: AbortSignal;
}

export interface ControlResponse {
  readonly status: number;
  readonly body: JsonObject;
  readonly headers?: Readonly<Record<string, string>>;
}

export type Control = (request: ControlRequest) => Promise<ControlResponse>;

/** What the API asks of the desk. */
export interface ControlDesk {
  readonly version: number;
  readonly pending: number;
  list(): TicketView[];
  view(id: string): TicketView | undefined;
  decide(id: string, attempt: Attempt): Promise<DecideOutcome>;
  onChange(listener: () => void): () => void;
}

/** What there is to say of a gateway. */
export interface ControlStatus {
  readonly version: string;
  /** Server id, or `gateway` where several servers share a log. */
  readonly name: string;
  /** SHA-256 of the policy in force, hex. */
  readonly policy: string;
  /** Directory and origin of the audit log. */
  readonly log: string;
  readonly origin: string;
  readonly pid: number;
  /** Milliseconds since 1970. */
  readonly started: number;
}

export interface ControlParts {
  readonly desk: ControlDesk;
  readonly status: () => ControlStatus;
  readonly after: After;
}

/** The error answer that every refusal has. */
export function controlRefusal(status: number, code: ErrorCode, message: string, hint: string, headers: Readonly<Record<string, string>> = {}): ControlResponse {
  return { status, headers, body: jsonObject({ schema: CONTROL_SCHEMA, error: jsonObject({ code, message, hint }) }) };
}

const ATTEMPT_ERRORS: Readonly<Record<AttemptCode, readonly [status: number, message: string, hint: string]>> = {
  TICKET_UNKNOWN: [404, 'there is no such ticket', 'list the tickets; a gateway that was started again has none of its earlier ones'],
  TICKET_CLOSED: [409, 'the ticket is decided, used or void', 'nothing is left to decide'],
  APPROVAL_EXPIRED: [409, 'the ticket has expired', 'a repetition of the call makes a new one'],
  APPROVER_UNKNOWN: [403, 'the policy names no such approver', 'add the key to approval.approvers of the policy'],
  APPROVER_NOT_ALLOWED: [403, 'this approver may not decide on this call', 'ask one of those whom the ticket names'],
  APPROVER_REPEATED: [409, 'this approver has approved already', 'another one has to approve'],
  SIGNATURE_INVALID: [403, 'the signature is not one by this approver over this ticket and decision', 'check that the policy names the public half of the key that signed'],
};

/** What the list says of a ticket: arguments are for those who look at one. */
function summaryOf({ id, state, ticket, given, denial }: TicketView): JsonObject {
  const { server, tool, label, principal, rule, approvals, approvers, created, expires } = ticket;
  const whose = { id, state, server, tool, label, principal, rule };
  return jsonObject({ ...whose, approvals, approvers: [...approvers], given: [...given], denied_by: denial?.approver ?? null, created, expires });
}

function listOf({ version, list }: { readonly version: number; readonly list: readonly TicketView[] }): ControlResponse {
  return { status: 200, body: jsonObject({ schema: CONTROL_SCHEMA, version, approvals: list.map(summaryOf) }) };
}

function ticketOf(view: TicketView): ControlResponse {
  const { ticket, canonical, denial } = view;
  const shown = jsonObject({ ...ticket, approvers: [...ticket.approvers] });
  const more = { ticket: shown, canonical: toBase64(canonical), reason: denial?.reason ?? null };
  return { status: 200, body: jsonObject({ schema: CONTROL_SCHEMA, ...summaryOf(view), ...more }) };
}

const TICKET_PATH = /^\/control\/approvals\/([0-9a-f]{64})$/;
const JSON_TYPE = /^application\/json[ \t]*(;|$)/i;
const WATCH = /^watch(?:=(0|[1-9][0-9]{0,14}))?$/;

function methodNotAllowed(allow: string): ControlResponse {
  return controlRefusal(405, 'METHOD_NOT_ALLOWED', 'the path does not take this method', `use ${allow}`, { allow });
}

class ControlApi {
  readonly #parts: ControlParts;
  #watchers = 0;

  constructor(parts: ControlParts) {
    this.#parts = parts;
  }

  async answer(request: ControlRequest): Promise<ControlResponse> {
    const at = request.target.indexOf('?');
    const path = at === -1 ? request.target : request.target.slice(0, at);
    const query = at === -1 ? null : request.target.slice(at + 1);
    const ticket = TICKET_PATH.exec(path)?.[1];
    if (query !== null && path !== '/control/approvals') return controlRefusal(400, 'PARAMS_INVALID', 'the path takes no query', 'leave the query out');
    if (path === '/control/status') return request.method === 'GET' ? this.#status() : methodNotAllowed('GET');
    if (path === '/control/approvals') return request.method === 'GET' ? this.#list(query, request.signal) : methodNotAllowed('GET');
    if (ticket === undefined) return controlRefusal(404, 'PATH_UNKNOWN', 'there is nothing at this path', 'a ticket is named by its 64 hex digits');
    if (request.method === 'GET') return this.#ticket(ticket);
    return request.method === 'POST' ? this.#decide(ticket, request) : methodNotAllowed('GET, POST');
  }

  #status(): ControlResponse {
    const { desk, status } = this.#parts;
    return { status: 200, body: jsonObject({ schema: CONTROL_SCHEMA, ...status(), pending: desk.pending }) };
  }

  async #list(query: string | null, signal: AbortSignal): Promise<ControlResponse> {
    const { desk } = this.#parts;
    if (query !== null) {
      const watch = WATCH.exec(query);
      if (watch === null) return controlRefusal(400, 'PARAMS_INVALID', 'the query is not known', 'use ?watch=VERSION with the version of the last answer');
      const known = watch[1] === undefined ? desk.version : Number(watch[1]);
      if (known === desk.version) {
        if (this.#watchers >= CONTROL_WATCHERS_MAX) return controlRefusal(503, 'CAPACITY', 'too many are waiting for changes already', 'try again later', { 'retry-after': '5' });
        await this.#change(signal);
      }
    }
    return listOf({ version: desk.version, list: desk.list() });
  }

  async #change(signal: AbortSignal): Promise<void> {
    const { desk, after } = this.#parts;
    this.#watchers += 1;
    let end: () => void = () => undefined;
    const over = new Promise<void>((resolve) => {
      end = resolve;
    });
    const cancel = after(CONTROL_WATCH_MS_MAX, end);
    const stop = desk.onChange(end);
    signal.addEventListener('abort', end);
    if (signal.aborted) end();
    await over;
    signal.removeEventListener('abort', end);
    stop();
    cancel();
    this.#watchers -= 1;
  }

  #ticket(id: string): ControlResponse {
    const view = this.#parts.desk.view(id);
    return view === undefined ? attemptRefusal('TICKET_UNKNOWN') : ticketOf(view);
  }

  async #decide(id: string, { mediaType, body }: ControlRequest): Promise<ControlResponse> {
    // A page of a browser cannot send this type elsewhere without asking first.
    if (mediaType === null || !JSON_TYPE.test(mediaType)) return controlRefusal(415, 'MEDIA_TYPE', 'the body is not said to be JSON', 'send Content-Type: application/json');
    const attempt = parseAttempt(body);
    if (attempt === undefined) return controlRefusal(400, 'PARAMS_INVALID', 'the body is no decision', 'send approver, decision (approve or deny), signature (base64 of 64 bytes) and, if you like, a reason');
    try {
      const outcome = await this.#parts.desk.decide(id, attempt);
      if (outcome.kind === 'refused') return attemptRefusal(outcome.code);
      const { state, given, needed } = outcome;
      return { status: 200, body: jsonObject({ schema: CONTROL_SCHEMA, id, state, given, needed }) };
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      return controlRefusal(503, error.code, error.message, error.hint);
    }
  }
}

function attemptRefusal(code: AttemptCode): ControlResponse {
  const [status, message, hint] = ATTEMPT_ERRORS[code];
  return controlRefusal(status, code, message, hint);
}

/** The API of one gateway. Rejects only for faults of the gateway's own. */
export function createControl(parts: ControlParts): Control {
  const api = new ControlApi(parts);
  return (request) => api.answer(request);
}
