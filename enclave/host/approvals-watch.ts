// SPDX-License-Identifier: Apache-2.0
/** `mcp-bastion approvals watch`: says what comes to wait for approval, at gateways that run and those that start later. */
import { setTimeout as delay } from 'node:timers/promises';
import { CONTROL_WATCH_MS_MAX } from '../../shared/limits.ts';
import type { ApprovalOptions } from './approvals-usage.ts';
import type { TicketSummary } from './gateways.ts';
import { askGateway, socketsOf, ticketsOf } from './gateways.ts';

/** Milliseconds between two looks for gateways that started, and before one that failed is asked again. */
const RESCAN_MS = 2000;
/** Milliseconds between two questions to one gateway: one that always has news would keep both busy. */
const ROUND_MS = 200;

export interface WatchIo {
  readonly stderr: { write(text: string): unknown };
  /** Ends the watching; without it, a signal to the process does. */
  readonly signal?: AbortSignal;
}

type Say = (socket: string, summary: TicketSummary) => void;

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  // Being ended is no failure.
  await delay(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
}

/** Follows one gateway until it cannot be asked any more. */
async function follow(socket: string, signal: AbortSignal | undefined, say: Say): Promise<void> {
  let known: ReadonlyMap<string, string> | null = null;
  let query = '';
  for (;;) {
    const answer = await askGateway(socket, { target: `/control/approvals${query}`, waitMs: CONTROL_WATCH_MS_MAX, ...(signal === undefined ? {} : { signal }) });
    const tickets = ticketsOf(answer);
    const version = answer.kind === 'answered' ? answer.body['version'] : undefined;
    if (tickets === undefined || typeof version !== 'number' || !Number.isSafeInteger(version)) return;
    for (const ticket of tickets) {
      const before = known?.get(ticket.id);
      const isNews = known === null ? ticket.state === 'pending' : before !== `${ticket.state} ${ticket.given}`;
      if (isNews) say(socket, ticket);
    }
    known = new Map(tickets.map(({ id, state, given }) => [id, `${state} ${given}`]));
    query = `?watch=${version}`;
    await pause(ROUND_MS, signal);
  }
}

/** Runs until the signal comes; then the exit code is 0. */
export async function watchTickets(options: Pick<ApprovalOptions, 'stateDir' | 'socket'>, { stderr, signal }: WatchIo, say: Say): Promise<number> {
  const followed = new Set<string>();
  stderr.write('watching for calls that wait for approval; end with Ctrl-C\n');
  while (signal?.aborted !== true) {
    for (const socket of socketsOf(options.stateDir, options.socket)) {
      if (followed.has(socket)) continue;
      followed.add(socket);
      void follow(socket, signal, say).finally(() => followed.delete(socket));
    }
    await pause(RESCAN_MS, signal);
  }
  return 0;
}
