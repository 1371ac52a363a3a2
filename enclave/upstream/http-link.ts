// SPDX-License-Identifier: Apache-2.0
/**
 * A server behind Streamable HTTP, of either era. Each message is one POST; answers come as JSON or as events, and each
 * event is handed on as it comes. At the older revisions there is a session, a stream of the server's own, and streams
 * that are taken up again where they broke off; at 2026-07-28 closing the response is how a request is cancelled.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Unavailable } from '../../shared/errors.ts';
import type { SseEvent } from '../../shared/http/sse.ts';
import { createSseParser } from '../../shared/http/sse.ts';
import { isJsonObject } from '../../shared/json/value.ts';
import type { RequestId } from '../../shared/jsonrpc/id.ts';
import {
  LINGER_MS_MAX,
  MESSAGE_BYTES_MAX,
  POST_ORDER_MS_MAX,
  RESUME_ATTEMPTS_MAX,
  RETRY_MS_DEFAULT,
  RETRY_MS_MAX,
  RETRY_MS_MIN,
  SHUTDOWN_GRACE_MS,
  TAKE_MS_MAX,
} from '../../shared/limits.ts';
import type { About, Carrier } from '../exchange/parts.ts';
import type { Refuse } from '../exchange/verdict.ts';
import { Pipeline } from '../pipeline.ts';
import { within } from '../within.ts';
import type { HttpClient, UpstreamResponse } from './http.ts';
import type { Link, LinkEvents } from './link.ts';
import { postHeaders } from './request-headers.ts';
import { badStatus, endedEarly, kindOf, mayHoldAnswer, notAnswered, readBounded, sessionLost, unreachable } from './response.ts';

export interface HttpLinkOptions {
  readonly client: HttpClient;
  readonly url: URL;
  /** The gateway's own credential at the server. */
  readonly headers: Readonly<Record<string, string>>;
  /** The revision that the server answered to `initialize`; null before, and at 2026-07-28. */
  readonly revision: () => string | null;
  readonly events: LinkEvents;
}

/** One request whose answer is under way. */
interface Post {
  readonly id: RequestId;
  readonly via: Carrier | null;
  readonly abort: AbortController;
  /** The session that it went out in; its stream is taken up in no other. */
  session: string | null;
  /** Set once the server answers with events. */
  lastEventId: string | null;
  retryMs: number;
  /** Runs once nothing is waited for any more. */
  lingering?: NodeJS.Timeout;
}

/** The visible ASCII that a session id consists of (2025-11-25, session management). */
const SESSION_ID = /^[\x21-\x7e]{1,1024}$/;
/** An event id that a header can carry back as it is. */
const EVENT_ID = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;

export class HttpLink implements Link {
  readonly #options: HttpLinkOptions;
  readonly #posts = new Set<Post>();
  /** Messages that the server only takes, while it does not. */
  readonly #untaken = new Set<AbortController>();
  readonly #closed = new AbortController();
  #session: string | null = null;
  #stream: Promise<'open' | 'unsupported'> | null = null;
  #renewing: Promise<boolean> | null = null;
  /** Notifications and answers reach the server before what the client sends after them. */
  #before: Promise<void> = Promise.resolve();

  constructor(options: HttpLinkOptions) {
    this.#options = options;
  }

  async send(text: string, about: About): Promise<void> {
    if (this.#closed.signal.aborted) return;
    if (about.kind === 'request') {
      await this.#before;
      // What goes out after the end would be executed with nobody there to end it.
      if (this.#closed.signal.aborted) return;
      void this.#request(text, about).catch(this.#options.events.fault);
      return;
    }
    if (about.method === 'notifications/cancelled') this.#cancel(about);
    // 2026-07-28: a client sends requests and nothing else over HTTP.
    if (about.era === 'modern') return;
    const sent = this.#before.then(() => this.#oneWay(text, about)).catch(this.#options.events.fault);
    // A server that never takes one message must not hold up all that follow.
    this.#before = within(sent, POST_ORDER_MS_MAX);
    await this.#before;
  }

  /** 2026-07-28 has no notifications from the client: closing the response says it. Before, a late answer may come. */
  #cancel(about: About): void {
    const params = about.value['params'];
    const id = isJsonObject(params) ? params['requestId'] : undefined;
    const post = [...this.#posts].findLast((each) => each.id === id);
    if (post === undefined) return;
    if (about.era === 'modern') post.abort.abort();
    else this.#linger(post);
  }

  /** Nobody waits for this answer any more: a server that keeps its stream open all the same loses it after a while. */
  #linger(post: Post): void {
    post.lingering ??= setTimeout(() => post.abort.abort(), LINGER_MS_MAX).unref();
  }

  #post(text: string, about: About, signal: AbortSignal): Promise<UpstreamResponse> {
    const { client, url, headers, revision } = this.#options;
    const own = postHeaders(about, { id: this.#session, revision: about.method === 'initialize' ? null : revision() });
    return client.send({ method: 'POST', url, headers: { ...own, ...headers }, body: text, signal });
  }

  /** A notification, or the client's answer to a request of the server's: the server only takes it. */
  async #oneWay(text: string, about: About): Promise<void> {
    const abort = new AbortController();
    this.#untaken.add(abort);
    const late = setTimeout(() => abort.abort(), TAKE_MS_MAX).unref();
    try {
      await this.#renewed(about);
      if (this.#closed.signal.aborted) return;
      const session = this.#session;
      const response = await this.#post(text, about, abort.signal);
      response.discard();
      if (response.status === 404 && session !== null) this.#sessionEnded(session);
    } catch (error) {
      if (abort.signal.aborted || error instanceof Unavailable) return;
      throw error;
    } finally {
      clearTimeout(late);
      this.#untaken.delete(abort);
    }
    if (about.method === 'notifications/initialized') void this.openStream();
  }

  async #request(text: string, about: About): Promise<void> {
    const { events } = this.#options;
    const id = about.id ?? '';
    const post: Post = { id, via: about.via, abort: new AbortController(), session: null, lastEventId: null, retryMs: RETRY_MS_DEFAULT };
    // An id that comes again is one whose answer came: what is left of its stream must not speak for the new request.
    for (const before of this.#posts) if (before.id === id) before.abort.abort();
    this.#posts.add(post);
    try {
      await this.#renewed(about);
      const session = about.era === 'modern' || about.method === 'initialize' ? null : this.#session;
      let response = await this.#post(text, about, post.abort.signal);
      if (response.status === 404 && session !== null) {
        response.discard();
        if (!(await this.#renew(session))) {
          await events.failed(id, sessionLost());
          this.#lose(session);
          return;
        }
        // 404 says that the request was not taken: it may be sent again.
        response = await this.#post(text, about, post.abort.signal);
      }
      if (about.method === 'initialize') this.#learnSession(response);
      post.session = this.#session;
      await this.#answer(response, post, about);
    } catch (error) {
      if (post.abort.signal.aborted) return;
      if (!(error instanceof Unavailable)) throw error;
      await events.failed(id, unreachable(error));
    } finally {
      this.#posts.delete(post);
      clearTimeout(post.lingering);
    }
  }

  /** While the handshake is repeated there is no session that a message could name; the handshake itself needs none. */
  async #renewed(about: About): Promise<void> {
    const handshake = about.method === 'initialize' || about.method === 'notifications/initialized';
    if (!handshake && about.era !== 'modern') await this.#renewing;
  }

  /** One handshake serves all requests that met the loss of the same session. */
  #renew(lost: string | null): Promise<boolean> {
    const { renew } = this.#options.events;
    if (renew === undefined) return Promise.resolve(false);
    if (this.#renewing === null && this.#session !== lost) return Promise.resolve(true);
    this.#renewing ??= (async () => {
      this.#session = null;
      this.#stream = null;
      this.#standalone.lastEventId = null;
      const renewed = await renew();
      // Nothing goes out in the session of a server that has become another one.
      if (!renewed) this.#session = lost;
      return renewed;
    })().finally(() => {
      this.#renewing = null;
    });
    return this.#renewing;
  }

  /** The server no longer knows a session: it is made anew where that can be, else it is lost. */
  #sessionEnded(session: string): void {
    void this.#renew(session)
      .then((renewed) => {
        if (!renewed) this.#lose(session);
      })
      .catch(this.#options.events.fault);
  }

  #learnSession(response: UpstreamResponse): void {
    const id = response.header('mcp-session-id');
    if (response.status < 300 && id !== null && SESSION_ID.test(id)) this.#session = id;
  }

  async #answer(response: UpstreamResponse, post: Post, about: About): Promise<void> {
    const { events } = this.#options;
    const { status } = response;
    const kind = kindOf(response);
    if (status >= 200 && status < 300 && kind === 'events') {
      events.streaming(post.via);
      await this.#events(response, post, about);
      return;
    }
    const body = kind === 'json' && mayHoldAnswer(status) ? await readBounded(response, MESSAGE_BYTES_MAX) : null;
    response.discard();
    if (body !== null) await events.frame(body, { related: post.id, status: status < 300 ? null : status });
    if (!events.waiting(post.id) || post.abort.signal.aborted) return;
    await events.failed(post.id, status >= 200 && status < 300 ? notAnswered() : badStatus(status));
  }

  /** Reads the events of one answer, and takes the stream up again where the server lets go of it early. */
  async #events(first: UpstreamResponse, post: Post, about: About): Promise<void> {
    const { events } = this.#options;
    let response: UpstreamResponse = first;
    for (let attempt = 0; ; attempt += 1) {
      const before = post.lastEventId;
      const broken = await this.#readEvents(response, post);
      if (!events.waiting(post.id) || post.abort.signal.aborted) return;
      if (about.era === 'modern' || post.lastEventId === null) {
        await events.failed(post.id, broken ?? endedEarly());
        return;
      }
      if (post.lastEventId !== before) attempt = 0;
      if (attempt >= RESUME_ATTEMPTS_MAX) {
        await events.failed(post.id, broken ?? endedEarly());
        return;
      }
      events.paused(post.via, post.retryMs);
      await delay(post.retryMs, undefined, { signal: post.abort.signal });
      if (!events.waiting(post.id)) return;
      // A session that was made anew meanwhile knows nothing of the stream.
      const next = post.session === this.#session ? await this.#get(post.lastEventId, post.abort.signal) : null;
      if (next === null) {
        await events.failed(post.id, endedEarly());
        return;
      }
      response = next;
    }
  }

  /** Resolves with what broke the stream off, or null where it ended in order. */
  async #readEvents(response: UpstreamResponse, post: Post | null): Promise<Refuse | null> {
    const parser = createSseParser();
    const pipeline = new Pipeline();
    try {
      for await (const chunk of response.body) {
        for (const event of parser.push(chunk)) await this.#event(event, post, pipeline);
        if (post !== null && !this.#options.events.waiting(post.id)) this.#linger(post);
      }
      return null;
    } catch (error) {
      if (this.#closed.signal.aborted || post?.abort.signal.aborted === true) return null;
      if (!(error instanceof Unavailable)) throw error;
      return unreachable(error);
    } finally {
      response.discard();
      await pipeline.empty();
    }
  }

  async #event(event: SseEvent, post: Post | null, pipeline: Pipeline): Promise<void> {
    const { events } = this.#options;
    const place = post ?? this.#standalone;
    if (event.id !== null) place.lastEventId = EVENT_ID.test(event.id) ? event.id : null;
    if (event.retry !== null) place.retryMs = Math.min(Math.max(event.retry, RETRY_MS_MIN), RETRY_MS_MAX);
    const { data } = event;
    // Other names are not for clients, and the empty event of 2025-11-25 only carries its id.
    if (data === null || event.name !== 'message' || (data.kind === 'frame' && data.bytes.length === 0)) return;
    const size = data.kind === 'frame' ? data.bytes.length : 0;
    await pipeline.enter(size);
    void events
      .frame(data, { related: post?.id ?? null, status: null })
      .catch(events.fault)
      .finally(() => pipeline.leave(size));
  }

  readonly #standalone: { lastEventId: string | null; retryMs: number } = { lastEventId: null, retryMs: RETRY_MS_DEFAULT };

  /** A stream of events, or null where the server has none to give. */
  async #get(lastEventId: string | null, signal: AbortSignal, resumed: 'first' | 'again' = 'again'): Promise<UpstreamResponse | null> {
    const { client, url, headers, revision } = this.#options;
    const own: Record<string, string> = { accept: 'text/event-stream' };
    const session = this.#session;
    if (session !== null) own['mcp-session-id'] = session;
    const version = revision();
    if (version !== null) own['mcp-protocol-version'] = version;
    if (lastEventId !== null) own['last-event-id'] = lastEventId;
    const response = await client.send({ method: 'GET', url, headers: { ...own, ...headers }, body: null, signal });
    if (response.status === 200 && kindOf(response) === 'events') return response;
    response.discard();
    // Some servers that have no stream say so by 404, but none that had it open before.
    if (response.status === 404 && session !== null && resumed === 'again') this.#sessionEnded(session);
    return null;
  }

  openStream(): Promise<'open' | 'unsupported'> {
    this.#stream ??= this.#openStream();
    return this.#stream;
  }

  async #openStream(): Promise<'open' | 'unsupported'> {
    const { signal } = this.#closed;
    const session = this.#session;
    try {
      const response = await this.#get(null, signal, 'first');
      if (response === null) return 'unsupported';
      void this.#keepStream(response, session)
        .then(() => this.#forgetStream(session))
        .catch(this.#options.events.fault);
      return 'open';
    } catch (error) {
      if (!signal.aborted && !(error instanceof Unavailable)) throw error;
      this.#forgetStream(session);
      return 'unsupported';
    }
  }

  /** Whoever asks for the stream again has it opened again, unless a session that was made anew has its own. */
  #forgetStream(session: string | null): void {
    if (this.#session === session) this.#stream = null;
  }

  /** Reads the server's own stream, and opens it again when it ends, ever more slowly while it keeps ending. */
  async #keepStream(first: UpstreamResponse, session: string | null): Promise<void> {
    const { signal } = this.#closed;
    let response: UpstreamResponse | null = first;
    for (let failures = 0; response !== null || failures < RESUME_ATTEMPTS_MAX; ) {
      if (response !== null) {
        const began = performance.now();
        await this.#readEvents(response, null);
        failures = performance.now() - began > RETRY_MS_MAX ? 0 : failures + 1;
      }
      if (signal.aborted) return;
      try {
        await delay(Math.min(this.#standalone.retryMs * 2 ** Math.min(failures, 5), RETRY_MS_MAX), undefined, { signal });
        if (this.#session !== session) return;
        response = await this.#get(this.#standalone.lastEventId, signal);
        if (response === null) return;
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof Unavailable)) throw error;
        response = null;
        failures += 1;
      }
    }
  }

  #lose(session: string): void {
    if (this.#session !== session) return;
    this.#session = null;
    this.#options.events.lost();
  }

  async close(): Promise<void> {
    if (this.#closed.signal.aborted) return;
    const session = this.#session;
    this.#session = null;
    this.#closed.abort();
    for (const post of this.#posts) post.abort.abort();
    for (const abort of this.#untaken) abort.abort();
    if (session === null) return;
    const { client, url, headers, revision } = this.#options;
    const own: Record<string, string> = { 'mcp-session-id': session };
    const version = revision();
    if (version !== null) own['mcp-protocol-version'] = version;
    try {
      const response = await client.send({ method: 'DELETE', url, headers: { ...own, ...headers }, body: null, signal: AbortSignal.timeout(SHUTDOWN_GRACE_MS) });
      response.discard();
    } catch {
      // A server that is not there any more has no session left either.
    }
  }
}
