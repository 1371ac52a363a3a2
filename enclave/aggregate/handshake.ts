// SPDX-License-Identifier: Apache-2.0
/**
 * The client's handshake with several servers at once. Eras are not translated and revisions neither: whoever does not
 * speak what the others agree on is left off.
 */
import { withMember } from '../../shared/json/value.ts';
import { AGGREGATE_WAIT_MS_MAX } from '../../shared/limits.ts';
import type { Revision } from '../../shared/mcp/revisions.ts';
import { REVISIONS } from '../../shared/mcp/revisions.ts';
import { negotiatedRevision } from '../exchange/answers.ts';
import type { RequestMessage } from '../exchange/context.ts';
import type { Refuse } from '../exchange/verdict.ts';
import { refuse } from '../exchange/verdict.ts';
import type { Answers } from './answers.ts';
import type { Reply } from './ask.ts';
import type { ClientRequest } from './client-requests.ts';
import type { Member } from './member.ts';
import type { Members } from './members.ts';
import { failureOf } from './members.ts';
import { offerOf, unitedDiscover, unitedInitialize } from './merge.ts';
import type { Notices } from './notices.ts';
import { withoutProgress, withParam } from './rewrite.ts';

/** What stands for all where nobody succeeded: an error of a server's own, because clients act on it, or the first failure. */
export function firstFailure(replies: readonly Reply[]): Reply {
  const failures = replies.filter((reply) => reply.kind !== 'result');
  const found = failures.find((reply) => reply.kind === 'error') ?? failures[0];
  return found ?? { kind: 'failed', refusal: refuse('UPSTREAM_GONE', 'no server answers', 'see the log of the gateway') };
}

function askAll(request: ClientRequest, message: RequestMessage, members: readonly Member[]): Promise<readonly Reply[]> {
  const options = { client: request.via, msMax: AGGREGATE_WAIT_MS_MAX, waiting: request.waiting };
  return Promise.all(members.map((member) => member.ask(withoutProgress(message), request.arrival, options)));
}

/** What one server answered to `initialize`. */
interface Greeting {
  readonly member: Member;
  readonly reply: Reply;
  /** Null where it answered none that is known. */
  readonly revision: Revision | null;
}

async function greet(request: ClientRequest, message: RequestMessage, members: readonly Member[]): Promise<readonly Greeting[]> {
  const replies = await askAll(request, message, members);
  return members.map((member, index) => {
    const reply = replies[index] ?? firstFailure([]);
    return { member, reply, revision: reply.kind === 'result' ? negotiatedRevision(reply.result) : null };
  });
}

function oldest(greetings: readonly Greeting[]): Revision | undefined {
  return REVISIONS.find((revision) => greetings.some((greeting) => greeting.revision === revision));
}

function unfit(name: string, reply: Reply, revision: Revision): Refuse {
  return failureOf(name, reply) ?? refuse('UPSTREAM_PROTOCOL', `${name} does not speak ${revision} as the others do`, 'use the path of its own');
}

export interface HandshakeParts {
  readonly members: Members;
  readonly answers: Answers;
  readonly notices: Notices;
}

/** `initialize`: the revision that all servers speak is the oldest that one of them answered. */
export async function initialize({ members, answers, notices }: HandshakeParts, request: ClientRequest): Promise<void> {
  const { message } = request;
  const first = await greet(request, message, members.all.filter((member) => member.restUntil < Infinity));
  const revision = oldest(first);
  if (request.over) return;
  if (revision === undefined) {
    const refusal = members.all.find((member) => member.refusal !== null)?.refusal;
    const replies = first.map((greeting) => greeting.reply);
    await answers.pass(request, replies.length === 0 && refusal ? { kind: 'failed', refusal } : firstFailure(replies));
    return;
  }
  const agreed = withParam(withoutProgress(message), 'protocolVersion', revision);
  const holding = first.filter((greeting) => greeting.revision === revision).map((greeting) => greeting.member.name);
  const others = first.filter((greeting) => greeting.revision !== null && greeting.revision !== revision).map((greeting) => greeting.member);
  if (others.length > 0) notices.heldBack(holding, revision);
  // A server keeps to what it answered first: only one that is started again can answer anything else.
  await Promise.all(others.map((member) => member.end()));
  const second = await greet(request, agreed, others);
  if (request.over) return;
  const all = first.map((greeting) => second.find((again) => again.member === greeting.member) ?? greeting);
  for (const { member, reply, revision: answered } of all) {
    if (reply.kind === 'result' && answered === revision) member.offer = offerOf(reply.result);
    else members.leaveOff(member, unfit(member.name, reply, revision), null);
  }
  members.agreement = { revision, params: agreed.params ?? withMember({}, 'protocolVersion', revision) };
  await answers.result(request, unitedInitialize(revision, offersOf(members)));
}

function offersOf(members: Members) {
  return members.all.flatMap((member) => (member.offer === null ? [] : [[member.name, member.offer] as const]));
}

/**
 * `server/discover`: an endpoint offers what all its servers speak. Where one is of the older era, the client falls back
 * and finds them all; one that cannot be reached says nothing of its era. Whoever is not resting is asked anew.
 */
export async function discover({ members, answers, notices }: HandshakeParts, request: ClientRequest, now: number): Promise<void> {
  const asked = members.all.filter((member) => member.refusal === null || now >= member.restUntil);
  const replies = await askAll(request, request.message, asked);
  if (request.over) return;
  const refusals = asked.map((member, index) => members.meet(member, replies[index] ?? firstFailure([])));
  const older = members.all.filter((member) => member.refusal?.code === 'UPSTREAM_PROTOCOL').map((member) => member.name);
  if (offersOf(members).length > 0 && older.length > 0) {
    notices.mixedEras(older);
    await answers.refuse(request, refuse('METHOD_UNKNOWN', 'not every server speaks 2026-07-28', 'use an older revision, or the path of one server'));
    return;
  }
  if (offersOf(members).length > 0) {
    await answers.result(request, unitedDiscover(offersOf(members)));
    return;
  }
  const refusal = refusals.find((one) => one !== null) ?? members.all[0]?.refusal ?? null;
  const failure = replies.every((reply) => reply.kind === 'result') ? null : firstFailure(replies);
  if (failure !== null) await answers.pass(request, failure);
  else await answers.refuse(request, notModern(refusal));
}

/** Clients fall back to an older revision where the method is not known. */
function notModern(refusal: Refuse | null): Refuse {
  if (refusal !== null && refusal.code !== 'UPSTREAM_PROTOCOL') return refusal;
  return refuse('METHOD_UNKNOWN', 'no server speaks 2026-07-28', 'use an older revision');
}
