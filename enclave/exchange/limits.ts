// SPDX-License-Identifier: Apache-2.0
/** The policy's limits on calls: how many, how large, how many at once. Asked last, so that a refused call costs nothing. */
import type { RequestMessage } from './context.ts';
import type { Pending } from './conversation.ts';
import type { ExchangeParts } from './parts.ts';
import type { Forward, Verdict } from './verdict.ts';
import { refuseByPolicy } from './verdict.ts';

/** Refuses a call above a limit; what a call takes of one is given back with its answer. */
export function judgeLimits(parts: ExchangeParts, message: RequestMessage, pending: Pending, bytes: number, verdict: Forward): Verdict {
  const { limiter, policy, server, principal, soleServer, clock } = parts;
  const tool = message.params?.['name'];
  if (limiter === undefined || message.method !== 'tools/call' || typeof tool !== 'string') return verdict;
  const admitted = limiter.admit(policy.limits, { server, tool, soleServer, principal, args: null }, bytes, clock.now());
  if (admitted.kind === 'deny') return refuseByPolicy(admitted.decision);
  pending.release = (answered) => admitted.release(answered, clock.now());
  const { mark } = admitted;
  return mark === null || verdict.decision === 'alert' ? verdict : { ...verdict, decision: 'alert', rule: mark.rule, code: mark.code, reason: mark.reason };
}
