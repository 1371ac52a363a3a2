// SPDX-License-Identifier: Apache-2.0
/**
 * A client of the revisions with sessions: a stream of its own that stays open, calls beside it, and all that clients do
 * to a session: drop a connection and take it up again, cancel, end it, forget it, initialize anew where it is lost.
 */
import type { Call, Course } from './call.ts';
import { SoakClient, choose } from './client.ts';
import type { ClientOptions } from './client.ts';
import type { CallArguments, Message } from './message.ts';
import { notification, patience, pause, request } from './message.ts';
import type { Since } from './tally.ts';
import type { Ended, Exchange } from './wire.ts';
import { exchange } from './wire.ts';

const ACTS = { echo: 40, work: 20, burst: 3, ask: 8, poll: 4, denied: 4, cancel: 6, resume: 5, list: 4, reconnect: 3, end: 2, forget: 1 };
const REVISIONS = ['2025-11-25', '2025-06-18'] as const;
const RETRY_MS = 300;

interface Session {
  readonly id: string;
  /** The start of the server that it was opened at. */
  readonly start: number;
  pushes: number;
  stream: Exchange | null;
  lastEventId: string | null;
  /** The client broke the stream off by itself. */
  reconnecting: boolean;
}

export class LegacyClient extends SoakClient {
  readonly #number: number;
  readonly #revision: string;
  #session: Session | null = null;
  #opening: Promise<void> | null = null;

  constructor(options: ClientOptions) {
    super(options);
    this.#number = options.number;
    this.#revision = REVISIONS[options.number % REVISIONS.length] ?? REVISIONS[0];
  }

  protected get who(): string {
    return `session client ${this.#number}`;
  }

  #headers(session: Session | null, accept = 'application/json, text/event-stream'): Record<string, string> {
    const common = { accept, 'content-type': 'application/json' };
    return session === null ? common : { ...common, 'mcp-session-id': session.id, 'mcp-protocol-version': this.#revision };
  }

  #outdated(session: Session): boolean {
    return session.start <= this.tally.kills;
  }

  open(): Promise<void> {
    this.#opening ??= this.#open().finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  async #open(): Promise<void> {
    while (this.#session === null && !this.stopped) {
      const since = this.tally.now();
      const session = await this.#initialize(since);
      if (session === null) {
        await pause(patience());
        continue;
      }
      this.#session = session;
      this.tally.opened('sessions', 1);
      await this.#say(session, notification('notifications/initialized'));
      void this.#keepStream(session);
    }
  }

  async #initialize(since: Since): Promise<Session | null> {
    let answer: Message | null = null;
    const params = { protocolVersion: this.#revision, capabilities: { elicitation: {} }, clientInfo: { name: this.canary, version: '1' } };
    const body = JSON.stringify(request(this.nextId(), 'initialize', params));
    const { ended } = exchange({ method: 'POST', url: this.url, headers: this.#headers(null), body, message: (text) => (answer = this.read(text)) });
    const { status, session, broken } = await ended;
    const { result, error } = (answer ?? {}) as Partial<Message>;
    if (session !== null && result?.serverInfo !== undefined) {
      this.tally.count('sessions opened');
      return { id: session, start: Number(result.serverInfo.version), pushes: 0, stream: null, lastEventId: null, reconnecting: false };
    }
    if (!this.tally.disturbedSince(since)) this.violation(`initialize: HTTP ${status} ${broken ?? ''} ${JSON.stringify(error)}`);
    this.tally.count(`handshake error ${error?.data?.code ?? broken ?? status}`);
    return null;
  }

  /** Sends a notification or an answer, which is only taken. */
  async #say(session: Session, message: Message): Promise<void> {
    const since = this.tally.now();
    const { ended } = exchange({ method: 'POST', url: this.url, headers: this.#headers(session), body: JSON.stringify(message), message: () => undefined });
    const { status, broken } = await ended;
    if (status === 404) this.#lost(session, since);
    else if (status !== 202) this.violation(`${message.method ?? 'answer'}: HTTP ${status} ${broken ?? ''}`);
  }

  #lost(session: Session, since: Since): void {
    if (this.#session !== session) return;
    if (!this.#outdated(session) && !this.tally.disturbedSince(since)) this.violation('its session is gone though the server is not');
    this.tally.count('sessions lost');
    this.#leave(session);
    void this.open();
  }

  #leave(session: Session): void {
    if (this.#session !== session) return;
    this.#session = null;
    this.tally.opened('sessions', -1);
    session.stream?.drop();
  }

  /** Keeps the client's own stream open for as long as the session lasts. */
  async #keepStream(session: Session): Promise<void> {
    while (this.#session === session && !this.stopped) {
      const since = this.tally.now();
      const headers = this.#headers(session, 'text/event-stream');
      if (session.lastEventId !== null) headers['last-event-id'] = session.lastEventId;
      let isOpen = false;
      session.stream = exchange({
        method: 'GET',
        url: this.url,
        headers,
        // A refusal names no request: it is judged by its status.
        message: (text) => (isOpen ? this.take(text, null) : this.read(text)),
        streaming: () => {
          isOpen = true;
          this.tally.opened('streams', 1);
        },
      });
      const { status, broken, lastEventId } = await session.stream.ended;
      if (isOpen) this.tally.opened('streams', -1);
      session.lastEventId = lastEventId ?? session.lastEventId;
      if (this.#session !== session || this.stopped) return;
      if (status === 404) this.#lost(session, since);
      else if (session.reconnecting) session.reconnecting = false;
      else if (!this.#outdated(session) && !this.tally.disturbedSince(since)) this.violation(`its stream ended: HTTP ${status} ${broken ?? ''}`);
      else this.tally.count(`stream ended ${status}`);
      await pause(patience());
    }
  }

  protected notified({ method, params, id }: Message): void {
    const session = this.#session;
    if (method === 'elicitation/create' && session !== null) {
      const content = { canary: this.canary };
      void this.#say(session, { jsonrpc: '2.0', id: id ?? null, result: { action: 'accept', content } as object });
      return;
    }
    const { seq = 0 } = params?.data ?? {};
    if (method !== 'notifications/message' || session === null) {
      // What was on its way when the session ended belongs to nobody.
      if (session !== null) this.violation(`an unexpected ${method}`);
      return;
    }
    if (seq !== session.pushes + 1) this.violation(`push ${seq} came after push ${session.pushes}`);
    session.pushes = seq;
    this.tally.count('pushes');
  }

  protected async act(): Promise<void> {
    await this.open();
    const session = this.#session;
    if (session === null) return;
    const act = choose(ACTS);
    switch (act) {
      case 'echo':
      case 'poll':
      case 'ask':
        return this.#call(session, act, {});
      case 'denied':
        return this.#call(session, 'secret', {});
      case 'work':
        return this.#call(session, 'work', { steps: 3, ms: Math.random() * 2000 });
      case 'burst':
        return this.#call(session, 'work', { steps: 80, pad: 4096 }, { restMs: 700 });
      case 'resume':
        return this.#call(session, 'work', { steps: 4, ms: 800 }, { drops: true });
      case 'cancel':
        return this.#call(session, 'work', { steps: 4, ms: 4000 }, { course: 'cancels' });
      case 'list':
        return this.#list(session);
      case 'reconnect':
        session.reconnecting = session.lastEventId !== null || session.pushes > 0;
        if (session.reconnecting) session.stream?.drop();
        return;
      case 'end':
        await this.#delete(session);
        return;
      case 'forget':
        this.tally.count('sessions forgotten');
        this.#leave(session);
    }
  }

  async #call(session: Session, tool: string, more: Partial<CallArguments>, how: { course?: Course; drops?: boolean; restMs?: number } = {}): Promise<void> {
    const { course = 'waits', drops = false, restMs = 0 } = how;
    const id = this.nextId();
    const args = { canary: this.canary, n: id, ...more };
    const call = this.begin({ who: this.who, tool, args, id, course, denied: tool === 'secret', outdated: () => this.#outdated(session) });
    const body = JSON.stringify(request(id, 'tools/call', { name: tool, arguments: args, _meta: { progressToken: id } }));
    let messages = 0;
    const sent = exchange({
      method: 'POST',
      url: this.url,
      headers: this.#headers(session),
      body,
      message: (text) => {
        this.take(text, call);
        messages += 1;
        if (messages === 1 && drops) sent.drop();
        if (messages === 1 && restMs > 0) sent.rest(restMs);
      },
    });
    if (course === 'cancels') {
      await pause(200 + Math.random() * 800);
      if (!call.answered) await this.#say(session, notification('notifications/cancelled', { requestId: id, reason: this.canary }));
    }
    let ended = await sent.ended;
    if (ended.broken !== null) call.violation(`its connection broke (${ended.broken})`);
    ended = await this.#follow(session, call, ended);
    this.finish(call, ended.status === 404 ? 'session lost' : `HTTP ${ended.status}`);
    if (ended.status === 404) this.#lost(session, this.tally.now());
  }

  /** Takes a response that ended early up again, until the answer is there. */
  async #follow(session: Session, call: Call, first: Ended): Promise<Ended> {
    let ended = first;
    let { lastEventId } = first;
    while (!call.answered && ended.events && lastEventId !== null && call.options.course === 'waits') {
      await pause(ended.retryMs ?? RETRY_MS);
      this.tally.count('streams taken up again');
      const headers = { ...this.#headers(session, 'text/event-stream'), 'last-event-id': lastEventId };
      let isOpen = false;
      const message = (text: string): void => void (isOpen ? this.take(text, call) : this.read(text));
      ended = await exchange({ method: 'GET', url: this.url, headers, message, streaming: () => (isOpen = true) }).ended;
      lastEventId = ended.lastEventId ?? lastEventId;
    }
    return ended;
  }

  async #list(session: Session): Promise<void> {
    const since = this.tally.now();
    let tools = 0;
    const body = JSON.stringify(request(this.nextId(), 'tools/list'));
    const message = (text: string): void => {
      tools = this.read(text)?.result?.tools?.length ?? 0;
    };
    const { status } = await exchange({ method: 'POST', url: this.url, headers: this.#headers(session), body, message }).ended;
    if (status === 404) this.#lost(session, since);
    else if (tools !== 4 && !this.tally.disturbedSince(since) && !this.#outdated(session)) this.violation(`tools/list: HTTP ${status}, ${tools} tools`);
    this.tally.count('listings');
  }

  async #delete(session: Session): Promise<void> {
    const since = this.tally.now();
    this.#leave(session);
    const { status } = await exchange({ method: 'DELETE', url: this.url, headers: this.#headers(session), message: () => undefined }).ended;
    if (status === 404 && (this.#outdated(session) || this.tally.disturbedSince(since))) return;
    if (status !== 200) this.violation(`DELETE: HTTP ${status}`);
    this.tally.count('sessions ended');
  }

  async close(): Promise<void> {
    if (this.#session !== null) await this.#delete(this.#session);
  }
}
