// SPDX-License-Identifier: Apache-2.0
/** The soak's server at the revisions with sessions: each session belongs to the one client that its canary names. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { randomUUID } from 'node:crypto';
import type { Message } from './message.ts';
import { notification, request } from './message.ts';
import { TOOLS, beginEvents, callResult, failure, replyJson, work, writeEvent } from './upstream-tools.ts';

/** The first revision with an empty event that a broken stream can be taken up after. */
const PRIMED = '2025-11-25';
const RETRY_MS = 200;

class Session {
  readonly id: string = randomUUID();
  readonly canary: string;
  readonly revision: string;
  stream: ServerResponse | null = null;
  pushes = 0;
  streams = 0;
  requests = 0;
  readonly asked = new Map<number, (answer: Message) => void>();
  readonly cancelled = new Set<unknown>();
  /** Answers of calls whose stream was ended early, by the event that they come after. */
  readonly owed = new Map<string, Message>();

  constructor(canary: string, revision: string) {
    this.canary = canary;
    this.revision = revision;
  }
}

export class LegacyServer {
  readonly #boot: string;
  readonly #sessions = new Map<string, Session>();

  constructor(boot: string) {
    this.#boot = boot;
  }

  /** One message of each session's own to each stream that is open. */
  push(): void {
    for (const session of this.#sessions.values()) {
      if (session.stream === null) continue;
      session.pushes += 1;
      const data = { canary: session.canary, seq: session.pushes };
      writeEvent(session.stream, notification('notifications/message', { level: 'info', data }), `own-${session.pushes}`);
    }
  }

  post(incoming: IncomingMessage, response: ServerResponse, message: Message): void {
    if (message.method === 'initialize') {
      this.#initialize(response, message);
      return;
    }
    const session = this.#sessions.get(String(incoming.headers['mcp-session-id']));
    if (session === undefined) {
      replyJson(response, 404, failure(message.id, 'no such session'));
    } else if (message.id === undefined || message.id === null || message.method === undefined) {
      this.#take(session, message);
      response.writeHead(202).end();
    } else if (message.method === 'tools/call') {
      void this.#call(session, message, response);
    } else {
      replyJson(response, 200, { jsonrpc: '2.0', id: message.id, result: message.method === 'tools/list' ? { tools: TOOLS } : {} });
    }
  }

  #initialize(response: ServerResponse, { id, params }: Message): void {
    const revision = params?.protocolVersion ?? PRIMED;
    const session = new Session(params?.clientInfo?.name ?? '', revision);
    this.#sessions.set(session.id, session);
    const serverInfo = { name: 'soak', version: this.#boot };
    const result = { protocolVersion: revision, capabilities: { tools: {}, logging: {} }, serverInfo };
    replyJson(response, 200, { jsonrpc: '2.0', id, result }, { 'mcp-session-id': session.id });
  }

  /** Notifications, and answers to what was asked. */
  #take(session: Session, message: Message): void {
    if (message.method === 'notifications/cancelled') session.cancelled.add(message.params?.requestId);
    else if (message.method === undefined) session.asked.get(Number(message.id))?.(message);
  }

  async #call(session: Session, { id, params }: Message, response: ServerResponse): Promise<void> {
    const args = params?.arguments;
    if (args === undefined || args.canary !== session.canary) {
      replyJson(response, 200, failure(id, "a call with another client's canary"));
      return;
    }
    if (params?.name === 'echo') {
      replyJson(response, 200, callResult(id, args));
      return;
    }
    beginEvents(response);
    session.streams += 1;
    const stream = session.streams;
    let event = 0;
    const send = (message: Message): void => {
      event += 1;
      writeEvent(response, message, session.revision === PRIMED ? `${stream}-${event}` : null);
    };
    if (session.revision === PRIMED) response.write(`id: ${stream}-0\nretry: ${RETRY_MS}\ndata: \n\n`);
    if (params?.name === 'poll' && session.revision === PRIMED) {
      // The client is told to come back for the answer, as servers do that do not hold connections.
      session.owed.set(`${stream}-0`, callResult(id, args));
      response.end();
      return;
    }
    if (params?.name === 'ask' && (await this.#ask(session, send)) !== session.canary) {
      send(failure(id, "another client's answer"));
      response.end();
      return;
    }
    const token = params?._meta?.['progressToken'];
    // A cancelled call is not answered, and its stream stays open: so does the published SDK's.
    if (!(await work(args, token, send, () => session.cancelled.has(id)))) return;
    send(callResult(id, args));
    response.end();
  }

  async #ask(session: Session, send: (message: Message) => void): Promise<string | undefined> {
    session.requests += 1;
    const id = session.requests;
    const answered = new Promise<Message>((resolve) => {
      session.asked.set(id, resolve);
    });
    const requestedSchema = { type: 'object', properties: { canary: { type: 'string' } } };
    send(request(id, 'elicitation/create', { message: `whose is this? ${session.canary}`, requestedSchema }));
    const { result } = await answered;
    session.asked.delete(id);
    const content = result?.content;
    return content !== undefined && 'canary' in content ? content.canary : undefined;
  }

  get(incoming: IncomingMessage, response: ServerResponse): void {
    const session = this.#sessions.get(String(incoming.headers['mcp-session-id']));
    if (session === undefined) {
      replyJson(response, 404, failure(null, 'no such session'));
      return;
    }
    beginEvents(response);
    const last = String(incoming.headers['last-event-id'] ?? '');
    const owed = session.owed.get(last);
    if (owed !== undefined) {
      session.owed.delete(last);
      writeEvent(response, owed, `${last}-1`);
      response.end();
      return;
    }
    session.stream = response;
    response.on('close', () => {
      if (session.stream === response) session.stream = null;
    });
  }

  delete(incoming: IncomingMessage, response: ServerResponse): void {
    const known = this.#sessions.get(String(incoming.headers['mcp-session-id']));
    if (known !== undefined) this.#sessions.delete(known.id);
    known?.stream?.end();
    response.writeHead(known === undefined ? 404 : 200).end();
  }
}
