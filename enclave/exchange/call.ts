// SPDX-License-Identifier: Apache-2.0
/**
 * Judges the call of a tool: by policy, by what the server was seen to list, by its headers. What is forwarded has its
 * secrets replaced. A call that the policy holds is judged like any other first: nobody is asked to approve what would
 * be refused all the same.
 */
import type { JsonObject } from '../../shared/json/value.ts';
import { isJsonObject, jsonObject } from '../../shared/json/value.ts';
import { TOOL_NAME_LENGTH_MAX } from '../../shared/limits.ts';
import type { JudgedItem } from '../pins/judge.ts';
import { pinRefusal } from '../pins/pinned.ts';
import type { PolicyDecision } from '../policy/types.ts';
import type { ClientContext, RequestMessage } from './context.ts';
import type { Pending } from './conversation.ts';
import { listingRefusal } from './listing.ts';
import { judgeParamHeaders, paramHeadersFor } from './param-headers.ts';
import { decideMethod } from './parts.ts';
import { redactedRequest } from './redact-verdict.ts';
import type { Forward, Refuse, Verdict } from './verdict.ts';
import { forward, forwardBy, marked, refuse, refuseByPolicy } from './verdict.ts';

/** `Mcp-Param-*` headers as received over HTTP; undefined where the transport has none. */
export type ReceivedHeaders = ReadonlyMap<string, string> | undefined;

type ListedTool = { readonly kind: 'listed'; readonly tool: JudgedItem | null; readonly alert: JudgedItem | null } | Refuse;

/** A call has to name a tool of the judged listing; with pinning off, the answer of the upstream decides. */
async function judgeListed(context: ClientContext, name: string, label: string): Promise<ListedTool> {
  const listing = await context.catalog.current();
  const strict = context.parts.policy.pinning.enabled;
  if (listing.kind !== 'listed') return strict ? listingRefusal(listing) : { kind: 'listed', tool: null, alert: null };
  const tool = listing.items.get(name);
  if (tool === undefined) {
    if (!strict) return { kind: 'listed', tool: null, alert: null };
    return refuse('TOOL_NOT_LISTED', `${label} is not in the server's listing`, 'list the tools and use a name from there');
  }
  return pinRefusal(tool) ?? { kind: 'listed', tool, alert: tool.decision === 'alert' ? tool : null };
}

type Mirrored = { readonly kind: 'mirrored'; readonly headers: ReadonlyMap<string, string> | null } | Refuse;

/** The headers of a call have to agree with what the client sent, and go on as what the server is sent. */
async function judgeMirrored(context: ClientContext, message: RequestMessage, value: JsonObject, tool: JudgedItem | null, received: ReceivedHeaders): Promise<Mirrored> {
  if (context.conversation.era === 'legacy') return { kind: 'mirrored', headers: null };
  const sent = message.params?.['arguments'];
  const unlike = received === undefined ? null : judgeParamHeaders(tool?.value ?? null, isJsonObject(sent) ? sent : undefined, received);
  if (unlike !== null) return unlike;
  const params = value['params'];
  const args = isJsonObject(params) ? params['arguments'] : undefined;
  const headers = await paramHeadersFor(context.parts, tool?.value ?? null, isJsonObject(args) ? args : undefined, received ?? new Map());
  return 'kind' in headers ? headers : { kind: 'mirrored', headers };
}

/** The arguments of a call as it stands; none are as good as an empty section. */
function argumentsOf(value: JsonObject): JsonObject {
  const params = value['params'];
  const args = isJsonObject(params) ? params['arguments'] : undefined;
  return isJsonObject(args) ? args : NO_ARGUMENTS;
}

type Held = Extract<PolicyDecision, { kind: 'deny' | 'hold' }>;

/** As a call that was held moves on once a person has approved it. */
function forHeld({ rule, reason }: Held, value: JsonObject): Forward {
  return forward(value, rule, `${reason}, approved`);
}

/** A held call is judged to its end, and goes no further until a person has approved it. */
function withHeld(verdict: Forward, decision: Held, tool: string, args: JsonObject): Forward {
  const { approval: terms } = decision;
  if (terms === null) throw new RangeError('nobody can approve the call');
  return { ...verdict, held: { terms, tool, args, shown: argumentsOf(verdict.value), refusal: refuseByPolicy(decision) } };
}

const NO_ARGUMENTS: JsonObject = jsonObject({});

/** @param pending the call's place among the requests in flight */
export async function judgeCall(context: ClientContext, message: RequestMessage, pending: Pending, headers: ReceivedHeaders): Promise<Verdict> {
  const { parts } = context;
  const name = message.params?.['name'];
  if (typeof name !== 'string' || name === '' || name.length > TOOL_NAME_LENGTH_MAX) {
    return refuse('PARAMS_INVALID', 'the call names no tool', 'send the name of a tool from the listing');
  }
  const args = message.params?.['arguments'] ?? NO_ARGUMENTS;
  if (!isJsonObject(args)) return refuse('PARAMS_INVALID', 'the arguments are not an object', 'send an object');
  const method = decideMethod(parts, 'c2s', message.method, message.params);
  if (method.kind !== 'allow') return refuseByPolicy(method);
  const { policy, server, soleServer, principal } = parts;
  const query = { server, tool: name, soleServer, principal };
  const decision = policy.decideTool({ ...query, args });
  if (decision.kind === 'deny') return refuseByPolicy(decision);
  const listed = await judgeListed(context, name, pending.tool ?? 'the tool');
  if (listed.kind === 'refuse') return listed;
  if (decision.kind === 'hold' && decision.approval === null) return refuseByPolicy(decision);
  const redacted = await redactedRequest(parts, 'c2s', message.method, decision.kind === 'allow' ? forwardBy(decision, message.value) : forHeld(decision, message.value));
  if (redacted.kind !== 'forward') return redacted;
  // What is forwarded is what has to be allowed: redaction can make another path or name of an argument.
  const final = redacted.redactions === 0 ? decision : policy.decideTool({ ...query, args: argumentsOf(redacted.value) });
  if (final.kind === 'deny' || (final.kind === 'hold' && final.approval === null)) return refuseByPolicy(final);
  const held = final.kind === 'hold' ? final : decision;
  const mirrored = await judgeMirrored(context, message, redacted.value, listed.tool, headers);
  if (mirrored.kind === 'refuse') return mirrored;
  const judged = held.kind === 'allow' || pending.approved ? redacted : withHeld(redacted, held, name, args);
  const verdict: Forward = mirrored.headers === null ? judged : { ...judged, headers: mirrored.headers };
  if (listed.alert === null) return verdict;
  const reason = listed.alert.code === 'TOOL_PIN_DRIFT' ? 'changed since it was pinned' : 'not pinned before';
  return marked(verdict, listed.alert.code ?? 'TOOL_PIN_DRIFT', reason);
}
