// SPDX-License-Identifier: Apache-2.0
/** What was decided for one message, and the JSON-RPC error that a refused request is answered with. */
import type { ErrorCode, MalformedCode } from '../../shared/errors.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { jsonObject } from '../../shared/json/value.ts';
import type { RequestId } from '../../shared/jsonrpc/id.ts';
import { errorMessage } from '../../shared/jsonrpc/message.ts';
import type { Era } from '../../shared/mcp/revisions.ts';
import type { ApprovalTerms, PolicyDecision } from '../policy/types.ts';

/** The judged message moves on, possibly rewritten. */
export interface Forward {
  readonly kind: 'forward';
  readonly value: JsonObject;
  readonly decision: 'allow' | 'alert';
  readonly rule: string | null;
  readonly code: ErrorCode | null;
  readonly reason: string;
  readonly redactions: number;
  /** `Mcp-Param-*` headers that go with it (2026-07-28 over HTTP). */
  readonly headers?: ReadonlyMap<string, string>;
  /** The policy holds the message: it moves on only if a person approves it. */
  readonly held?: Held;
}

/** What a held call waits for, and how it is refused if that does not come. */
export interface Held {
  readonly terms: ApprovalTerms;
  readonly tool: string;
  /** The arguments as received. */
  readonly args: JsonObject;
  /** The arguments as they may be shown, and as they would be forwarded. */
  readonly shown: JsonObject;
  readonly refusal: Refuse;
}

/** The gateway answers by itself. */
export interface Answer {
  readonly kind: 'answer';
  readonly result: JsonObject;
  readonly rule: string | null;
  readonly reason: string;
}

/** The message ends here. */
export interface Refuse {
  readonly kind: 'refuse';
  readonly decision: 'deny' | 'hold';
  readonly code: ErrorCode;
  readonly rule: string | null;
  /** The rule as it may be shown to the peer. */
  readonly shownRule: string | null;
  /** For the log line. */
  readonly reason: string;
  /** For the peer. */
  readonly message: string;
  readonly hint: string;
  /** The ticket under which a person can approve the call. */
  readonly ticket?: string;
  /** An upstream's own JSON-RPC error, passed on instead of a denial. */
  readonly upstreamError?: JsonObject;
  /** The HTTP status that the upstream gave, where clients act on it. */
  readonly status?: number;
}

export type Verdict = Forward | Answer | Refuse;

/** A message that moves on as it is. */
export function forward(value: JsonObject, rule: string | null = null, reason = 'default allow'): Forward {
  return { kind: 'forward', value, decision: 'allow', rule, code: null, reason, redactions: 0 };
}

/** A message that the policy lets move on, with the mark that the policy sets. */
export function forwardBy(decision: Extract<PolicyDecision, { kind: 'allow' }>, value: JsonObject): Forward {
  const { mark } = decision;
  if (mark === null) return forward(value, decision.rule, decision.reason);
  return { kind: 'forward', value, decision: 'alert', rule: mark.rule, code: mark.code, reason: mark.reason, redactions: 0 };
}

/** The same message, marked in the log. */
export function marked(verdict: Forward, code: ErrorCode, reason: string): Forward {
  return { ...verdict, decision: 'alert', rule: null, code, reason };
}

/** A message that moves on and is marked in the log. */
export function forwardWithAlert(value: JsonObject, code: ErrorCode, reason: string): Forward {
  return { kind: 'forward', value, decision: 'alert', rule: null, code, reason, redactions: 0 };
}

/** A message that is refused for a reason that is not a rule of the policy. */
export function refuse(code: ErrorCode, message: string, hint: string): Refuse {
  return { kind: 'refuse', decision: 'deny', code, rule: null, shownRule: null, reason: message, message, hint };
}

/** What the policy refused or holds. */
export function refuseByPolicy(decision: Exclude<PolicyDecision, { kind: 'allow' }>): Refuse {
  const { code, rule, pattern, reason, message, hint } = decision;
  return { kind: 'refuse', decision: decision.kind, code, rule, shownRule: pattern ?? rule, reason, message, hint };
}

const malformedNumbers: ReadonlyMap<MalformedCode, number> = new Map<MalformedCode, number>([
  ['ENVELOPE_INVALID', -32600],
  ['ENVELOPE_KEY', -32600],
  ['JSONRPC_VERSION', -32600],
  ['ID_INVALID', -32600],
  ['METHOD_INVALID', -32600],
  ['BATCH_EMPTY', -32600],
  ['BATCH_TOO_LARGE', -32600],
  ['BATCH_NOT_ALLOWED', -32600],
  ['PARAMS_INVALID', -32602],
]);

/** The JSON-RPC code of a message that is refused for its form. */
export function malformedNumber(code: MalformedCode): number {
  return malformedNumbers.get(code) ?? -32700;
}

/** The answer to a message that is refused for its form (JSON-RPC 2.0 section 5.1). */
export function malformedError(id: RequestId | null, code: MalformedCode, hint: string): JsonObject {
  const data = jsonObject({ code, hint });
  return errorMessage(id, malformedNumber(code), `refused by mcp-bastion: ${code}`, data);
}

const protocolNumbers: ReadonlyMap<ErrorCode, number> = new Map<ErrorCode, number>([
  // Clients fall back to what an older peer offers when they see "method not found": a denial code would stop them.
  ['METHOD_UNKNOWN', -32601],
  ['METHOD_WRONG_DIRECTION', -32601],
  ['METHOD_WRONG_KIND', -32600],
  ['CURSOR_UNKNOWN', -32602],
  ['PARAMS_INVALID', -32602],
  ['META_INVALID', -32602],
  ['STATE_INVALID', -32602],
  ['HEADER_MISMATCH', -32020],
]);

const HTTP_BAD_REQUEST = 400;
const HTTP_NOT_FOUND = 404;
const badRequests: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['REVISION_UNKNOWN', 'ERA_MIXED', 'META_INVALID', 'HEADER_MISMATCH']);

/** The HTTP status of a protocol error of 2026-07-28; null for 200. */
export function modernStatus(code: number): number | null {
  if (code === -32601) return HTTP_NOT_FOUND;
  // HeaderMismatch, MissingRequiredClientCapability, UnsupportedProtocolVersion.
  return code <= -32020 && code >= -32022 ? HTTP_BAD_REQUEST : null;
}

/**
 * The HTTP status that a refused request is answered with; null for 200. Clients tell eras apart by it, and show most
 * other statuses as a broken connection: a denial by policy is an answer like any other.
 */
export function denialStatus(era: Era | null, refusal: Refuse): number | null {
  if (refusal.status !== undefined) return refusal.status;
  if (badRequests.has(refusal.code)) return HTTP_BAD_REQUEST;
  return era === 'modern' && refusal.code === 'METHOD_UNKNOWN' ? HTTP_NOT_FOUND : null;
}

/**
 * The answer to a denied request: -32001 on revisions up to 2025-11-25, -31001 on 2026-07-28, where the range of -32001
 * is reserved. `data.code` is authoritative on both.
 */
export function denialError(id: RequestId | null, era: Era | null, refusal: Refuse, tool: string | null): JsonObject {
  if (refusal.upstreamError !== undefined) {
    return jsonObject({ jsonrpc: '2.0', id, error: refusal.upstreamError });
  }
  const number = protocolNumbers.get(refusal.code) ?? (era === 'modern' ? -31001 : -32001);
  const data = jsonObject({
    code: refusal.code,
    rule: refusal.shownRule,
    tool: tool ?? undefined,
    ticket: refusal.ticket,
    hint: refusal.hint,
  });
  const verb = refusal.code.startsWith('UPSTREAM_') || refusal.code === 'SESSION_LOST' ? 'failed behind' : 'denied by';
  return errorMessage(id, number, `${verb} mcp-bastion: ${refusal.message}`, data);
}
