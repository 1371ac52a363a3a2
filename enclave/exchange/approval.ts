// SPDX-License-Identifier: Apache-2.0
/** A held call waits for a person's approval, and is refused with its ticket where that does not come in time. */
import type { JsonValue } from '../../shared/json/value.ts';
import type { HoldOutcome } from '../approval/desk.ts';
import type { Pending } from './conversation.ts';
import type { ExchangeParts } from './parts.ts';
import type { Held, Refuse } from './verdict.ts';
import { refuse } from './verdict.ts';

/** True for a call that goes on after its server asked for input, and was approved when it began. */
function continues(parts: ExchangeParts, pending: Pending, state: JsonValue | undefined): boolean {
  return pending.round > 0 && typeof state === 'string' && parts.continuations?.take(state) === true;
}

/**
 * Null if the call was approved, once: it has to be forwarded now. Else how it is refused.
 * @param state the `requestState` that the client sent with it
 */
export async function awaitApproval(parts: ExchangeParts, pending: Pending, held: Held, state: JsonValue | undefined): Promise<Refuse | null> {
  const { approvals, principal, server, session, policy } = parts;
  if (approvals === undefined) return held.refusal;
  if (continues(parts, pending, state)) {
    pending.approved = true;
    return null;
  }
  const waiting = new AbortController();
  pending.abort = () => waiting.abort();
  // A call that was cancelled while it was judged waits for nobody, and spends no approval.
  if (pending.cancelled) waiting.abort();
  const { tool, args, shown, terms, refusal } = held;
  const call = { principal, server, session, tool, args, shown, rule: refusal.rule, terms, policy: policy.digest, settings: policy.approval, open: pending.era === 'legacy' };
  const outcome = await approvals.hold(call, waiting.signal);
  pending.abort = undefined;
  if (outcome.kind !== 'approved') return refusalOf(outcome, refusal);
  pending.approved = true;
  return null;
}

function refusalOf(outcome: Exclude<HoldOutcome, { kind: 'approved' }>, held: Refuse): Refuse {
  switch (outcome.kind) {
    case 'waiting':
      return { ...held, ticket: outcome.ticket, hint: `a person has to approve ticket ${outcome.ticket}; after that, repeat the same call with the same arguments` };
    case 'denied':
      return { ...refuse('APPROVAL_DENIED', 'a person denied this call', 'do not repeat it; ask the user what to do instead'), rule: held.rule, shownRule: held.shownRule };
    case 'expired':
      return refuse('APPROVAL_EXPIRED', 'nobody decided on this call in time', 'repeat it to ask again');
    case 'void':
      return refuse('APPROVAL_EXPIRED', 'the policy changed while the call was held', 'repeat it to ask again');
    case 'full':
      return outcome.why === 'length'
        ? refuse('APPROVAL_FULL', 'the call is too long for a person to read', 'send less in one call')
        : refuse('APPROVAL_FULL', 'too many calls wait for approval', 'wait until a person has decided on them');
    case 'cancelled':
      return refuse('CANCELLED', 'cancelled before it was forwarded', 'nothing has to be done');
  }
}
