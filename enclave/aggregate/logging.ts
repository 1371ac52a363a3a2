// SPDX-License-Identifier: Apache-2.0
/** `logging/setLevel` (revisions up to 2025-11-25): for every server that can log. */
import { emptyObject } from '../../shared/json/value.ts';
import { LISTING_MS_MAX } from '../../shared/limits.ts';
import { refuse } from '../exchange/verdict.ts';
import type { House } from '../peer.ts';
import type { Answers } from './answers.ts';
import type { ClientRequest } from './client-requests.ts';
import { firstFailure } from './handshake.ts';
import type { Members } from './members.ts';
import { withoutProgress } from './rewrite.ts';

export interface LoggingParts {
  readonly house: House;
  readonly members: Members;
  readonly answers: Answers;
}

/** It succeeds where one of them took the level. */
export async function setLevel({ house, members, answers }: LoggingParts, request: ClientRequest): Promise<void> {
  const asked = await members.serve('logging', request.message.params);
  const options = { client: request.via, msMax: LISTING_MS_MAX, waiting: request.waiting };
  const replies = await Promise.all(asked.map((member) => member.ask(withoutProgress(request.message), request.arrival, options)));
  if (request.over) return;
  if (asked.length === 0) return answers.refuse(request, refuse('METHOD_UNKNOWN', 'no server offers this', 'use what the servers offer'));
  for (const [index, member] of asked.entries()) {
    if (replies[index]?.kind !== 'result') house.log.warn(null, `${member.name} did not take the log level`, null);
  }
  if (replies.some((reply) => reply.kind === 'result')) await answers.result(request, emptyObject());
  else await answers.pass(request, firstFailure(replies));
}
