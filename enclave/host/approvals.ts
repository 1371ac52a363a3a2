// SPDX-License-Identifier: Apache-2.0
/**
 * `mcp-bastion approvals`: what waits for approval at the gateways of this machine, and the decision on it. What is signed
 * is made anew here from the ticket that is displayed; a gateway, or whoever plays one, gets a signature over that only.
 */
import { sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { resolve } from 'node:path';
import type { Decision } from '../../shared/approval/decision.ts';
import { isReason, signingInput } from '../../shared/approval/decision.ts';
import { escapeUnseen, quoteShown, ticketLines } from '../../shared/approval/shown.ts';
import type { Ticket } from '../../shared/approval/ticket.ts';
import { parseTicket } from '../../shared/approval/ticket.ts';
import { fromBase64, toBase64 } from '../../shared/audit/base64.ts';
import { utf8 } from '../../shared/bytes.ts';
import { Unavailable, Usage } from '../../shared/errors.ts';
import { wireJson } from '../../shared/json/canonical.ts';
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { isJsonObject, jsonObject } from '../../shared/json/value.ts';
import { parseFd, requireTerminal } from './approver.ts';
import type { LockedKey } from './approver-key.ts';
import { readKeyFile, unlock } from './approver-key.ts';
import type { ApprovalOptions } from './approvals-usage.ts';
import { APPROVALS_USAGE, parseApprovals } from './approvals-usage.ts';
import { watchTickets } from './approvals-watch.ts';
import type { Found, TicketSummary } from './gateways.ts';
import { askGateway, findTickets, socketsOf } from './gateways.ts';
import type { Terminal } from './passphrase.ts';
import { openTerminal, readPassphraseFrom } from './passphrase.ts';

export interface ApprovalsIo {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** Milliseconds since 1970. */
  now(): number;
  /** For tests; default: the terminal of the process. */
  readonly terminal?: () => Terminal | null;
  /** Ends `watch`. */
  readonly signal?: AbortSignal;
}

const EXIT = { done: 0, mismatch: 1, unable: 3 } as const;
const SCHEMA = 'mcp-bastion/approvals/1';
const SHORT_ID = 12;

/** JSON in ASCII: nothing in it can act on a terminal. */
function jsonLine(value: JsonObject): string {
  return `${wireJson(value).replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)}\n`;
}

/** One line for one ticket. */
export function summaryLine({ id, state, server, tool, principal, given, needed, expires }: TicketSummary): string {
  const until = Math.abs(expires) <= 8.64e15 ? new Date(expires).toISOString() : 'never';
  return `${id.slice(0, SHORT_ID)}  ${escapeUnseen(state)}  ${escapeUnseen(server)}  ${quoteShown(tool)}  for ${quoteShown(principal)}  ${given} of ${needed}  expires ${until}\n`;
}

function sayFailures({ failures }: Found, io: ApprovalsIo): void {
  for (const { socket, reason } of failures) {
    io.stderr.write(`approvals: warning: the gateway at ${escapeUnseen(socket)} cannot be asked: ${escapeUnseen(reason)}\n`);
  }
}

async function list(options: ApprovalOptions, io: ApprovalsIo): Promise<number> {
  const found = await findTickets(socketsOf(options.stateDir, options.socket));
  const shown = found.tickets.filter(({ summary }) => options.all || summary.state === 'pending' || summary.state === 'approved');
  if (options.json) {
    const approvals = shown.map(({ socket, summary }) => jsonObject({ ...summary.json, socket: socket.toWellFormed() }));
    const unreachable = found.failures.map(({ socket, reason }) => jsonObject({ socket: socket.toWellFormed(), reason }));
    io.stdout.write(jsonLine(jsonObject({ schema: SCHEMA, approvals, unreachable })));
  } else {
    for (const { summary } of shown) io.stdout.write(summaryLine(summary));
    if (shown.length === 0 && found.failures.length === 0) io.stderr.write('nothing waits for approval\n');
  }
  sayFailures(found, io);
  return found.failures.length === 0 ? EXIT.done : EXIT.unable;
}

/** A ticket as it was received and checked. */
interface Looked {
  readonly socket: string;
  readonly id: string;
  readonly state: string;
  readonly ticket: Ticket;
  readonly canonical: Uint8Array;
  readonly given: readonly JsonValue[];
}

/** A reason why there is nothing to do: the exit code is 1. */
class Mismatch extends Error {
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

function unreachable(reason: string): Unavailable {
  return new Unavailable('GATEWAY_UNREACHABLE', `the gateway cannot be asked: ${escapeUnseen(reason)}`, 'try again; if it goes on, start the gateway again');
}

/** What the gateway answered instead of what was asked for, in its own words. */
function refused(body: JsonObject): Mismatch {
  const { error } = body;
  const { message, hint } = isJsonObject(error) ? error : { message: null, hint: null };
  const words = (value: JsonValue | undefined, otherwise: string): string => (typeof value === 'string' && value.length <= 500 ? escapeUnseen(value) : otherwise);
  return new Mismatch(words(message, 'the gateway refused'), words(hint, 'look at its audit log'));
}

/** Finds a ticket by the beginning of its id, and reads it. */
async function look(options: ApprovalOptions, io: ApprovalsIo): Promise<Looked> {
  const found = await findTickets(socketsOf(options.stateDir, options.socket));
  const fitting = found.tickets.filter(({ summary }) => summary.id.startsWith(options.id));
  const [first] = fitting;
  if (first === undefined) {
    sayFailures(found, io);
    if (found.failures.length > 0) throw unreachable('its ticket may be there');
    throw new Mismatch('there is no such ticket', 'see: mcp-bastion approvals list --all');
  }
  if (new Set(fitting.map(({ summary }) => summary.id)).size > 1) throw new Usage('USAGE', 'several tickets begin like this', 'give more of the id');
  const { socket, summary } = first;
  const answer = await askGateway(socket, { target: `/control/approvals/${summary.id}` });
  if (answer.kind !== 'answered') throw unreachable(answer.kind === 'failed' ? answer.reason : 'it ended');
  if (answer.status !== 200) throw refused(answer.body);
  const { canonical: encoded, state, given } = answer.body;
  const canonical = typeof encoded === 'string' ? fromBase64(encoded) : undefined;
  const parsed = canonical === undefined ? undefined : parseTicket(canonical);
  // The id is the hash of the ticket: another ticket in its place shows here.
  if (canonical === undefined || parsed?.ok !== true || parsed.id !== summary.id) throw new Unavailable('GATEWAY_UNREACHABLE', 'the gateway answered with something that is not this ticket', 'something else may listen at its socket');
  return { socket, id: parsed.id, state: typeof state === 'string' ? state : 'unknown', ticket: parsed.ticket, canonical, given: Array.isArray(given) ? given : [] };
}

function textOf({ id, ticket, state, given }: Looked): string {
  const names = given.map((name) => (typeof name === 'string' ? escapeUnseen(name) : '?'));
  const by = names.length === 0 ? '' : `, approved by ${names.join(', ')}`;
  return `${[...ticketLines(ticket, id), `state:      ${escapeUnseen(state)}${by}`].join('\n')}\n`;
}

async function show(options: ApprovalOptions, io: ApprovalsIo): Promise<number> {
  const looked = await look(options, io);
  const { id, state, ticket, canonical, given, socket } = looked;
  const shown = jsonObject({ ...ticket, approvers: [...ticket.approvers] });
  const document = jsonObject({ schema: SCHEMA, id, state, given: [...given], ticket: shown, canonical: toBase64(canonical), socket: socket.toWellFormed() });
  io.stdout.write(options.json ? jsonLine(document) : textOf(looked));
  return EXIT.done;
}

/** What is wrong with deciding shows before anybody types a passphrase. */
function checkDecision({ ticket, state }: Looked, decision: Decision, key: LockedKey, now: number): void {
  const open = state === 'pending' || (state === 'approved' && decision === 'deny');
  if (!open) throw new Mismatch(`the ticket is ${escapeUnseen(state)}`, 'nothing is left to decide');
  if (state === 'pending' && now >= ticket.expires) throw new Mismatch('the ticket has expired', 'a repetition of the call makes a new one');
  if (!ticket.approvers.includes(key.name)) throw new Mismatch(`${key.name} may not decide on this call`, `it takes one of: ${ticket.approvers.map(escapeUnseen).join(', ')}`);
}

/** The last lines before the prompt: long arguments may have moved the rest out of sight. */
function question(decision: Decision, { ticket, id }: Looked, reason: string): string {
  const because = reason === '' ? '' : `, because: ${escapeUnseen(reason)}`;
  const verb = decision === 'approve' ? 'APPROVE' : 'DENY';
  return `\n${verb} ${id.slice(0, SHORT_ID)}: ${quoteShown(ticket.tool)} on ${ticket.server} for ${quoteShown(ticket.principal)}${because}\n`;
}

async function unlocked(key: LockedKey, passphrase: Buffer, path: string): Promise<KeyObject> {
  try {
    const privateKey = await unlock(key, passphrase);
    if (privateKey !== null) return privateKey;
  } finally {
    passphrase.fill(0);
  }
  throw new Unavailable('APPROVER_KEY', `the passphrase does not open ${escapeUnseen(path)}`, 'type it again; a file that was changed does not open either');
}

async function decide(options: ApprovalOptions, decision: Decision, io: ApprovalsIo): Promise<number> {
  const { keyFile, reason } = options;
  if (keyFile === undefined) throw new Usage('USAGE', '--key is missing', 'name the file that "mcp-bastion approver new" wrote');
  if (!isReason(reason)) throw new Usage('USAGE', '--reason is not one short line', 'use at most 256 characters, without line ends');
  const fd = parseFd(options.passphraseFd);
  const key = readKeyFile(resolve(io.cwd, keyFile));
  const looked = await look(options, io);
  checkDecision(looked, decision, key, io.now());
  const talk = textOf(looked) + question(decision, looked, reason);
  let passphrase: Buffer;
  if (fd === null) {
    const terminal = requireTerminal(io.terminal ?? openTerminal);
    try {
      // Whoever types sees what for, even if standard error goes elsewhere.
      terminal.say(talk);
      passphrase = await terminal.ask(`passphrase of ${key.name}: `);
    } finally {
      terminal.close();
    }
  } else {
    io.stderr.write(talk);
    passphrase = readPassphraseFrom(fd);
  }
  const privateKey = await unlocked(key, passphrase, keyFile);
  const signature = toBase64(new Uint8Array(sign(null, signingInput(decision, reason, looked.canonical), privateKey)));
  return send(options, decision, looked, { approver: key.name, decision, reason, signature }, io);
}

async function send(options: ApprovalOptions, decision: Decision, { socket, id }: Looked, attempt: Record<string, string>, io: ApprovalsIo): Promise<number> {
  const answer = await askGateway(socket, { target: `/control/approvals/${id}`, body: utf8(wireJson(jsonObject(attempt))) });
  if (answer.kind !== 'answered') throw unreachable(answer.kind === 'failed' ? answer.reason : 'it ended before it was told');
  if (answer.status >= 500) throw unreachable(refused(answer.body).message);
  if (answer.status !== 200) throw refused(answer.body);
  const { state, given, needed } = answer.body;
  if (typeof state !== 'string' || typeof given !== 'number' || typeof needed !== 'number') throw unreachable('its answer is not one to a decision');
  if (options.json) io.stdout.write(jsonLine(jsonObject({ schema: SCHEMA, id, decision, state, given, needed })));
  else io.stdout.write(decision === 'deny' ? `denied ${id.slice(0, SHORT_ID)}\n` : `approved ${id.slice(0, SHORT_ID)} (${given} of ${needed})\n`);
  return EXIT.done;
}

function run(options: ApprovalOptions, io: ApprovalsIo): Promise<number> {
  switch (options.command) {
    case 'list':
      return list(options, io);
    case 'show':
      return show(options, io);
    case 'approve':
    case 'deny':
      return decide(options, options.command, io);
    case 'watch':
      return watchTickets(options, io, (socket, summary) => io.stdout.write(options.json ? jsonLine(jsonObject({ schema: SCHEMA, ...summary.json, socket: socket.toWellFormed() })) : summaryLine(summary)));
  }
}

/**
 * Runs the command and returns its exit code.
 * @throws Usage for wrong arguments; Unavailable GATEWAY_UNREACHABLE, APPROVER_KEY
 */
export async function approvalsCommand(args: readonly string[], io: ApprovalsIo): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    io.stdout.write(APPROVALS_USAGE);
    return EXIT.done;
  }
  try {
    return await run(parseApprovals(args, io.env), io);
  } catch (error) {
    if (!(error instanceof Mismatch)) throw error;
    io.stderr.write(`approvals: error: ${error.message}\nhint: ${error.hint}\n`);
    return EXIT.mismatch;
  }
}
