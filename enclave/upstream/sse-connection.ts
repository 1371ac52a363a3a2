// SPDX-License-Identifier: Apache-2.0
/**
 * One connection of the transport of revision 2024-11-05 (HTTP with SSE): a stream of events for everything that the
 * server says, and an address, named by its first event, that takes the client's messages by POST. An answer belongs to
 * no response of its own, so requests are told apart by their ids alone, as on stdio.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Unavailable } from '../../shared/errors.ts';
import type { SseEvent } from '../../shared/http/sse.ts';
import { createSseParser } from '../../shared/http/sse.ts';
import { isJsonObject } from '../../shared/json/value.ts';
import type { RequestId } from '../../shared/jsonrpc/id.ts';
import { isRequestId } from '../../shared/jsonrpc/id.ts';
import { IN_FLIGHT_MAX, POST_ORDER_MS_MAX, TAKE_MS_MAX, SSE_ENDPOINT_MS_MAX } from '../../shared/limits.ts';
import type { Revision } from '../../shared/mcp/revisions.ts';
import type { About } from '../exchange/parts.ts';
import type { Refuse } from '../exchange/verdict.ts';
import { refuse } from '../exchange/verdict.ts';
import { Pipeline } from '../pipeline.ts';
import { within } from '../within.ts';
import { SERVER_HINT } from './failure.ts';
import type { HttpClient, UpstreamResponse } from './http.ts';
import type { LinkEvents } from './link.ts';
import { postHeaders } from './request-headers.ts';
import { badStatus, kindOf, sessionLost, unreachable } from './response.ts';
import { sameOriginTarget } from './target.ts';

export interface SseOptions {
  readonly client: HttpClient;
  /** Where the stream is. */
  readonly url: URL;
  /** The gateway's own credential at the server. */
  readonly headers: Readonly<Record<string, string>>;
  /** The revision that the server answered to `initialize`; null before. */
  readonly revision: () => Revision | null;
  readonly events: LinkEvents;
  /** Default SSE_ENDPOINT_MS_MAX. */
  readonly endpointMsMax?: number;
}

/** How a connection ended that nobody closed. */
export interface Ending {
  /** Null where the server ended its stream in order. */
  readonly reason: Refuse | null;
  /** Resolves when everything that the server said has been dealt with. */
  readonly rest: Promise<void>;
}

/** A request that may still wait for its answer. */
interface Asked {
  /** Resolves when the server took it, or did not. */
  posted: Promise<void>;
}

/**
 * Connects, and waits until the server has named its endpoint. Rejects with Unavailable where it does not, or names one
 * that must not be used.
 */
export async function connectSse(options: SseOptions, ended: (ending: Ending) => Promise<void>): Promise<SseConnection> {
  const { client, url, headers } = options;
  const closed = new AbortController();
  const late = setTimeout(() => closed.abort(protocolError('the server does not name its endpoint in time')), options.endpointMsMax ?? SSE_ENDPOINT_MS_MAX);
  try {
    const response = await client.send({ method: 'GET', url, headers: { accept: 'text/event-stream', ...headers }, body: null, signal: closed.signal });
    if (response.status !== 200 || kindOf(response) !== 'events') throw noStream(response.status);
    const stream = eventsOf(response);
    return new SseConnection(options, { endpoint: await endpointOf(stream, url), stream, closed, ended });
  } catch (error) {
    closed.abort();
    throw error;
  } finally {
    clearTimeout(late);
  }
}

function protocolError(problem: string): Unavailable {
  return new Unavailable('UPSTREAM_PROTOCOL', problem, SERVER_HINT);
}

function noStream(status: number): Unavailable {
  const { code, message, hint } = badStatus(status);
  if (code === 'UPSTREAM_AUTH') return new Unavailable(code, message, hint);
  if (status >= 200 && status < 300) return new Unavailable('UPSTREAM_PROTOCOL', 'the server does not answer with a stream of events', 'a server of Streamable HTTP is reached without the transport sse');
  return new Unavailable('UPSTREAM_STATUS', message, 'check the URL: for the transport sse it is that of the event stream');
}

async function* eventsOf(response: UpstreamResponse): AsyncGenerator<SseEvent> {
  const parser = createSseParser();
  for await (const chunk of response.body) yield* parser.push(chunk);
}

/** True for an event that holds a message; others are signs of life, or names that clients do not know either. */
function isMessage({ name, data }: SseEvent): boolean {
  return name === 'message' && data !== null && !(data.kind === 'frame' && data.bytes.length === 0);
}

/** Reads the stream up to its `endpoint` event, which is attacker-controlled. */
async function endpointOf(stream: AsyncGenerator<SseEvent>, base: URL): Promise<URL> {
  for (;;) {
    const next = await stream.next();
    if (next.done === true) throw protocolError('the server ends its stream before it names its endpoint');
    const event = next.value;
    if (isMessage(event)) throw protocolError('the server sends messages before it names its endpoint');
    if (event.name !== 'endpoint') continue;
    const { data } = event;
    // One character for each byte: what is not ASCII is refused with the rest of what no URL may hold.
    const target = data?.kind === 'frame' ? sameOriginTarget(base, Buffer.from(data.bytes).toString('latin1')) : null;
    if (target === null) throw protocolError("the server's endpoint is at another origin, or no proper URL");
    return target;
  }
}

interface Parts {
  readonly endpoint: URL;
  readonly stream: AsyncGenerator<SseEvent>;
  readonly closed: AbortController;
  readonly ended: (ending: Ending) => Promise<void>;
}

export class SseConnection {
  readonly #options: SseOptions;
  readonly #parts: Parts;
  readonly #asked = new Map<RequestId, Asked>();
  #left = false;
  #reason: Refuse | null = null;
  /** Notifications and answers reach the server before what the client sends after them. */
  #before: Promise<void> = Promise.resolve();

  constructor(options: SseOptions, parts: Parts) {
    this.#options = options;
    this.#parts = parts;
    void this.#read().catch(options.events.fault);
  }

  /** Resolves when the server can take more. */
  async send(text: string, about: About): Promise<void> {
    if (about.kind === 'request') {
      await this.#before;
      this.#request(text, about);
      return;
    }
    const turn = Promise.all([this.#before, this.#cancelled(about)]);
    const posted = turn.then(async () => {
      await this.#post(text, about);
    });
    posted.catch(this.#options.events.fault);
    this.#before = within(posted, POST_ORDER_MS_MAX);
    await this.#before;
  }

  /** A request that is cancelled reaches the server before its cancellation. */
  async #cancelled(about: About): Promise<void> {
    if (about.method !== 'notifications/cancelled') return;
    const params = about.value['params'];
    const id = isJsonObject(params) ? params['requestId'] : undefined;
    const posted = isRequestId(id) ? this.#asked.get(id)?.posted : undefined;
    if (posted !== undefined) await within(posted, POST_ORDER_MS_MAX);
  }

  #request(text: string, about: About): void {
    const { events } = this.#options;
    const id = about.id ?? '';
    const asked: Asked = { posted: Promise.resolve() };
    this.#remember(id, asked);
    asked.posted = this.#post(text, about)
      .then(async (refused) => {
        // By now the id may be another request's.
        if (refused !== null && this.#asked.get(id) === asked) await events.failed(id, refused);
      })
      .catch(events.fault);
  }

  #remember(id: RequestId, asked: Asked): void {
    if (this.#asked.size >= 2 * IN_FLIGHT_MAX) {
      for (const known of this.#asked.keys()) if (!this.#options.events.waiting(known)) this.#asked.delete(known);
    }
    this.#asked.set(id, asked);
  }

  /** Resolves with why the server did not take the message; null where it did, or where nobody asks any more. */
  async #post(text: string, about: About): Promise<Refuse | null> {
    const { client, headers, revision } = this.#options;
    const { endpoint, closed } = this.#parts;
    const own = postHeaders(about, { id: null, revision: about.method === 'initialize' ? null : revision() });
    // The answer comes on the stream: a POST that is never taken may not hold its connection.
    const late = AbortSignal.timeout(TAKE_MS_MAX);
    try {
      const response = await client.send({ method: 'POST', url: endpoint, headers: { ...own, ...headers }, body: text, signal: AbortSignal.any([closed.signal, late]) });
      response.discard();
      return this.#judgeStatus(response.status);
    } catch (error) {
      if (closed.signal.aborted || late.aborted) return null;
      if (!(error instanceof Unavailable)) throw error;
      return unreachable(error);
    }
  }

  #judgeStatus(status: number): Refuse | null {
    if (status >= 200 && status < 300) return null;
    if (status === 404 && this.#options.revision() !== null) {
      this.#break(sessionLost());
      return null;
    }
    // A status of this transport says nothing about the client's own.
    const { code, message, hint } = badStatus(status);
    return refuse(code, message, hint);
  }

  async #read(): Promise<void> {
    const { stream, closed, ended } = this.#parts;
    const pipeline = new Pipeline();
    // Whoever connects has to hold the connection before its first message comes.
    await nextTurn();
    try {
      for await (const event of stream) {
        if (event.name === 'endpoint') {
          this.#break(unreachable(protocolError('the server names its endpoint again')));
          break;
        }
        if (isMessage(event)) await this.#take(event, pipeline);
      }
    } catch (error) {
      if (!closed.signal.aborted) {
        if (!(error instanceof Unavailable)) throw error;
        this.#reason = unreachable(error);
      }
    }
    if (this.#left) return;
    closed.abort();
    await ended({ reason: this.#reason, rest: pipeline.empty() });
  }

  async #take({ data }: SseEvent, pipeline: Pipeline): Promise<void> {
    const { events } = this.#options;
    if (data === null) return;
    const size = data.kind === 'frame' ? data.bytes.length : 0;
    await pipeline.enter(size);
    void events
      .frame(data, {})
      .catch(events.fault)
      .finally(() => pipeline.leave(size));
  }

  #break(reason: Refuse): void {
    this.#reason ??= reason;
    this.#parts.closed.abort();
  }

  /** No answer can come any more. All that wait are failed at once, before a new request takes the id of one. */
  async fail(refused: Refuse): Promise<void> {
    const { events } = this.#options;
    const waiting = [...this.#asked.keys()].filter((id) => events.waiting(id));
    await Promise.all(waiting.map((id) => events.failed(id, refused)));
  }

  close(): void {
    this.#left = true;
    this.#parts.closed.abort();
  }
}
