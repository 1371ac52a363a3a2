// SPDX-License-Identifier: Apache-2.0
/** Ends requests that the client does not want answered any more, at every server that was asked for them. */
import { isRequestId } from '../../shared/jsonrpc/id.ts';
import type { NotificationMessage } from '../exchange/context.ts';
import type { Carrier, Outlet } from '../exchange/parts.ts';
import type { Arrival } from '../exchange/side.ts';
import { refuse } from '../exchange/verdict.ts';
import type { Answers } from './answers.ts';
import type { ClientRequests } from './client-requests.ts';
import type { Member } from './member.ts';

export interface CancellationParts {
  readonly requests: ClientRequests;
  readonly answers: Answers;
  readonly toClient: Outlet;
}

/** `notifications/cancelled`: the exchange of each server that was asked ends its part. */
export async function cancel({ requests, answers, toClient }: CancellationParts, message: NotificationMessage, arrival: Arrival): Promise<void> {
  const id = message.params?.['requestId'];
  const request = isRequestId(id) ? requests.get(id) : undefined;
  if (request === undefined) {
    return answers.dropNotification(message, refuse('ID_UNKNOWN', 'no request of that id is in flight', 'nothing has to be done'), arrival);
  }
  const asked = request.member === null ? [...request.waiting.values()] : [request.member];
  if (asked.length === 0) {
    await answers.dropNotification(message, refuse('CANCELLED', 'cancelled before it was forwarded', 'nothing has to be done'), arrival);
    await answers.cancelled(request);
  }
  requests.end(request);
  await Promise.all(asked.map((member) => member.take(message, arrival)));
  // One server's exchange says it by itself.
  if (request.member === null && request.via !== null) toClient.unanswered?.(request.via);
}

/** The client closed what its requests came in with. */
export async function leave({ requests, answers, toClient }: CancellationParts, via: Carrier): Promise<void> {
  const routed = new Set<Member>();
  for (const request of requests.of(via)) {
    requests.end(request);
    if (request.member !== null) routed.add(request.member);
    else if (request.waiting.size === 0) await answers.cancelled(request);
    for (const [ask, member] of request.waiting) member.leave(ask);
  }
  for (const member of routed) member.leave(via);
  if (routed.size === 0) toClient.unanswered?.(via);
}
