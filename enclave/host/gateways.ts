// SPDX-License-Identifier: Apache-2.0
/**
 * What commands ask of the gateways that run on this machine, over their control sockets. Several run at once, one for
 * each window of a client. What they answer is checked like any input: another program may have made the socket.
 */
import { request } from 'node:http';
import { Unavailable } from '../../shared/errors.ts';
import { parseStrictJson } from '../../shared/json/parse.ts';
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { isJsonObject } from '../../shared/json/value.ts';
import { CONTROL_ANSWER_BYTES_MAX, CONTROL_ANSWER_MS_MAX } from '../../shared/limits.ts';
import { checkSocketPath, findSockets } from '../control/paths.ts';

export type GatewayAnswer =
  | { readonly kind: 'answered'; readonly status: number; readonly body: JsonObject }
  /** Nobody listens there any more. */
  | { readonly kind: 'gone' }
  | { readonly kind: 'failed'; readonly reason: string };

export interface Question {
  readonly target: string;
  /** JSON to POST; without it, GET. */
  readonly body?: Uint8Array;
  /** Milliseconds that the gateway was asked to wait. */
  readonly waitMs?: number;
  readonly signal?: AbortSignal;
}

/** One ticket as the list of a gateway has it; every text is attacker-controlled. */
export interface TicketSummary {
  readonly id: string;
  readonly state: string;
  readonly server: string;
  readonly tool: string;
  readonly principal: string;
  readonly given: number;
  readonly needed: number;
  /** Milliseconds since 1970. */
  readonly created: number;
  readonly expires: number;
  /** As received. */
  readonly json: JsonObject;
}

/** What all gateways together have. */
export interface Found {
  readonly tickets: readonly { readonly socket: string; readonly summary: TicketSummary }[];
  /** How many answered. */
  readonly gateways: number;
  readonly failures: readonly { readonly socket: string; readonly reason: string }[];
}

/** Asks one gateway. Never rejects. */
export function askGateway(socket: string, { target, body, waitMs = 0, signal }: Question): Promise<GatewayAnswer> {
  return new Promise((resolve) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json', 'content-length': body.length };
    const asked = request({ socketPath: socket, path: target, method: body === undefined ? 'GET' : 'POST', headers, agent: false, ...(signal === undefined ? {} : { signal }) });
    const timer = setTimeout(() => asked.destroy(new Error('it does not answer')), waitMs + CONTROL_ANSWER_MS_MAX);
    const settle = (answer: GatewayAnswer): void => {
      clearTimeout(timer);
      resolve(answer);
    };
    asked.on('error', (error) => {
      const code = 'code' in error ? error.code : undefined;
      settle(code === 'ECONNREFUSED' || code === 'ENOENT' ? { kind: 'gone' } : { kind: 'failed', reason: typeof code === 'string' ? code : error.message });
    });
    asked.on('response', (response) => {
      const chunks: Uint8Array[] = [];
      let bytes = 0;
      response.on('data', (chunk: Uint8Array) => {
        bytes += chunk.length;
        if (bytes > CONTROL_ANSWER_BYTES_MAX) asked.destroy(new Error('its answer is too long'));
        else chunks.push(chunk);
      });
      response.on('error', () => undefined);
      response.on('close', () => settle(response.complete ? answerOf(response.statusCode ?? 0, Buffer.concat(chunks)) : { kind: 'failed', reason: 'its answer was cut off' }));
    });
    asked.end(body);
  });
}

function answerOf(status: number, bytes: Uint8Array): GatewayAnswer {
  const parsed = parseStrictJson(bytes);
  return parsed.ok && isJsonObject(parsed.value) ? { kind: 'answered', status, body: parsed.value } : { kind: 'failed', reason: 'its answer is no JSON object' };
}

/** The sockets to ask: the one that was named, or all of the state folder. */
export function socketsOf(stateDir: string, named: string | undefined): string[] {
  if (named === undefined) return findSockets(stateDir);
  checkSocketPath(named);
  return [named];
}

function summaryOf(value: JsonValue): TicketSummary | undefined {
  if (!isJsonObject(value)) return undefined;
  const { id, state, server, tool, principal, given, approvals, created, expires } = value;
  if (typeof id !== 'string' || !/^[0-9a-f]{64}$/.test(id) || typeof state !== 'string' || typeof server !== 'string') return undefined;
  if (typeof tool !== 'string' || typeof principal !== 'string' || !Array.isArray(given) || typeof approvals !== 'number') return undefined;
  if (typeof created !== 'number' || typeof expires !== 'number') return undefined;
  return { id, state, server, tool, principal, given: given.length, needed: approvals, created, expires, json: value };
}

/** The tickets of a list, or undefined if the answer is none. */
export function ticketsOf(answer: GatewayAnswer): TicketSummary[] | undefined {
  const list = answer.kind === 'answered' && answer.status === 200 ? answer.body['approvals'] : undefined;
  if (!Array.isArray(list)) return undefined;
  const tickets = list.flatMap((value) => summaryOf(value) ?? []);
  return tickets.length === list.length ? tickets : undefined;
}

/**
 * Asks all of them, and puts together what they have, the oldest ticket first.
 * @throws Unavailable GATEWAY_UNREACHABLE where none is running
 */
export async function findTickets(sockets: readonly string[]): Promise<Found> {
  const answers = await Promise.all(sockets.map(async (socket) => ({ socket, answer: await askGateway(socket, { target: '/control/approvals' }) })));
  const tickets: { socket: string; summary: TicketSummary }[] = [];
  const failures: { socket: string; reason: string }[] = [];
  let gateways = 0;
  for (const { socket, answer } of answers) {
    if (answer.kind === 'gone') continue;
    const list = ticketsOf(answer);
    if (list === undefined) {
      failures.push({ socket, reason: answer.kind === 'failed' ? answer.reason : 'its answer is no list of tickets' });
      continue;
    }
    gateways += 1;
    tickets.push(...list.map((summary) => ({ socket, summary })));
  }
  if (gateways === 0 && failures.length === 0) {
    throw new Unavailable('GATEWAY_UNREACHABLE', 'no gateway is running that can be asked', 'start one with a policy that names approvers, or name its state folder with --state');
  }
  tickets.sort((left, right) => left.summary.created - right.summary.created);
  return { tickets, gateways, failures };
}
