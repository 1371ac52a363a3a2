// SPDX-License-Identifier: Apache-2.0
/**
 * The gateway's outgoing HTTP. Redirects are answers like any other, because following one would send a request, with
 * its credentials, where nobody judged it; connections go only to permitted addresses; answers come as identity bytes
 * and as they arrive. Time has no bound once a connection stands: a tool call or an event stream may last for hours, and
 * the caller's signal ends it.
 */
import { Agent, buildConnector } from 'undici';
import type { Dispatcher } from 'undici';
import { Unavailable } from '../../shared/errors.ts';
import {
  UPSTREAM_BODIES_LENGTH_MAX,
  UPSTREAM_BODY_FREE_LENGTH,
  UPSTREAM_CONNECT_MS_MAX,
  UPSTREAM_HEADER_BYTES_MAX,
  UPSTREAM_HEADERS_MS_MAX,
  UPSTREAM_IDLE_HINT_MS_MAX,
  UPSTREAM_IDLE_MS_MAX,
} from '../../shared/limits.ts';
import { Aborts } from './aborts.ts';
import { classifyAddress } from './address.ts';
import type { Encoding } from './decode.ts';
import { decodeBody, encodingOf } from './decode.ts';
import { codeOf, explainFailure, SERVER_HINT } from './failure.ts';
import type { Guard, Resolve } from './guard.ts';
import { createGuard, resolveBySystem } from './guard.ts';

export type { Resolve } from './guard.ts';

export interface UpstreamRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Judged by `checkUpstreamUrl` or `sameOriginTarget`. */
  readonly url: URL;
  /** Without those that frame the message or choose its encoding: they belong to the client. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  /** Ends the exchange at any time, the reading of the body included. */
  readonly signal: AbortSignal | null;
}

/** The caller reads the body, once and to its end, or discards it: until then a connection is taken. */
export interface UpstreamResponse {
  readonly status: number;
  /** The value of a header, its name in lower case; null if it is absent, or there more than once with different values. */
  header(name: string): string | null;
  /** Throws the reason of the signal if that aborted, else Unavailable. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Gives the rest of the body up. Who reads it meanwhile gets Unavailable. */
  discard(): void;
}

export interface HttpClient {
  /**
   * Resolves when the headers are there. Throws the reason of the signal if that aborted, else Unavailable:
   * UPSTREAM_ADDRESS, UPSTREAM_UNREACHABLE or UPSTREAM_PROTOCOL. TypeError for a request that is no HTTP.
   */
  send(request: UpstreamRequest): Promise<UpstreamResponse>;
  /** Ends all exchanges and connections. */
  close(): Promise<void>;
}

export interface HttpClientOptions {
  /** Permits loopback and private networks, and plain http within them. */
  readonly allowPrivate: boolean;
  readonly resolve?: Resolve;
  /** Certificates (PEM) that are trusted instead of the well-known authorities. */
  readonly ca?: string;
}

export function createHttpClient(options: HttpClientOptions): HttpClient {
  const agent = new Agent({
    connect: createConnector(options),
    allowH2: false,
    connections: null,
    pipelining: 1,
    maxHeaderSize: UPSTREAM_HEADER_BYTES_MAX,
    bodyTimeout: 0,
    keepAliveTimeout: UPSTREAM_IDLE_MS_MAX,
    keepAliveMaxTimeout: UPSTREAM_IDLE_HINT_MS_MAX,
  });
  const aborts = new Aborts();
  const load: Load = { length: 0 };
  return {
    send: (request) => exchange({ agent, aborts, load }, request),
    close: () => agent.destroy(),
  };
}

/** Connects to permitted addresses only. For an address in the URL no lookup is made, so that it is judged here. */
function createConnector({ allowPrivate, resolve = resolveBySystem, ca }: HttpClientOptions): buildConnector.connector {
  function secured(isPlain: boolean): { guard: Guard; connect: buildConnector.connector } {
    const guard = createGuard({ allowPrivate, resolve, isPlain });
    const connect = buildConnector({
      lookup: guard.lookup,
      timeout: UPSTREAM_CONNECT_MS_MAX,
      allowH2: false,
      // A resumed session would skip the check of the certificate.
      maxCachedSessions: 0,
      // Said here, or an environment variable could switch it off.
      rejectUnauthorized: true,
      ...(ca === undefined ? {} : { ca }),
    });
    return { guard, connect };
  }
  const plain = secured(true);
  const encrypted = secured(false);
  return (target, callback) => {
    const { guard, connect } = target.protocol === 'https:' ? encrypted : plain;
    const failure = classifyAddress(target.hostname) === null ? null : guard.judge(target.hostname);
    if (failure !== null) {
      queueMicrotask(() => callback(failure, null));
      return;
    }
    connect(target, (error, socket) => {
      if (error !== null) {
        callback(error, null);
        return;
      }
      const reached = guard.judge(socket.remoteAddress);
      if (reached === null) {
        callback(null, socket);
      } else {
        socket.destroy();
        callback(reached, null);
      }
    });
  };
}

/** What the long bodies of one client take together. */
interface Load {
  length: number;
}

/**
 * Takes room for a long body, which is held in memory until its answer ends: calls that never end would take all there
 * is. What it gives lets go of it, once.
 */
function enter(load: Load, length: number): () => void {
  if (length <= UPSTREAM_BODY_FREE_LENGTH) return () => {};
  if (load.length > 0 && load.length + length > UPSTREAM_BODIES_LENGTH_MAX) {
    throw new Unavailable('UPSTREAM_UNREACHABLE', 'too many long messages wait for their answer', 'try again when some are answered');
  }
  load.length += length;
  let isInside = true;
  return () => {
    if (isInside) load.length -= length;
    isInside = false;
  };
}

interface Shared {
  readonly agent: Agent;
  readonly aborts: Aborts;
  readonly load: Load;
}

async function exchange({ agent, aborts, load }: Shared, request: UpstreamRequest): Promise<UpstreamResponse> {
  const { signal, body } = request;
  signal?.throwIfAborted();
  const own = new AbortController();
  const options = dispatchOptions(request, own.signal);
  const leave = enter(load, body?.length ?? 0);
  const unlisten = signal === null ? () => {} : aborts.add(signal, () => own.abort());
  const forget = (): void => {
    unlisten();
    leave();
  };
  try {
    const answer = await unlessAborted(agent.request(options), own.signal);
    // A body that fails before anybody reads it must not end the process.
    answer.body.on('error', () => {});
    answer.body.once('close', forget);
    return openResponse(answer, signal);
  } catch (error) {
    forget();
    signal?.throwIfAborted();
    if (codeOf(error) === 'UND_ERR_INVALID_ARG') throw new TypeError('the request cannot be written as HTTP/1.1', { cause: error });
    throw explainFailure(error, 'headers');
  }
}

/** Headers that would let a caller frame a message differently from what is sent. */
const FRAMING: ReadonlySet<string> = new Set(['connection', 'content-length', 'expect', 'host', 'keep-alive', 'transfer-encoding', 'upgrade']);

function dispatchOptions({ method, url, headers, body }: UpstreamRequest, signal: AbortSignal): Dispatcher.RequestOptions & { origin: string } {
  const sent = Object.entries(headers).map(([name, value]): [string, string] => [name.toLowerCase(), value]);
  const framing = sent.find(([name]) => FRAMING.has(name));
  if (framing !== undefined) throw new TypeError(`the header ${framing[0]} belongs to the client`);
  return {
    origin: url.origin,
    path: `${url.pathname}${url.search}`,
    method,
    headers: [...sent.filter(([name]) => name !== 'accept-encoding'), ['accept-encoding', 'identity']].flat(),
    body,
    signal,
    headersTimeout: method === 'POST' ? 0 : UPSTREAM_HEADERS_MS_MAX,
  };
}

/** A request that still waits for its connection does not see its signal. */
function unlessAborted<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError')), { once: true });
    answer.then(resolve, reject);
  });
}

function openResponse(answer: Dispatcher.ResponseData, signal: AbortSignal | null): UpstreamResponse {
  const headers = readHeaders(answer.headers);
  const encoding = encodingOf(headers.get('content-encoding') ?? []);
  if (encoding === null) {
    answer.body.destroy();
    throw new Unavailable('UPSTREAM_PROTOCOL', "the server's answer has an encoding that was not asked for", SERVER_HINT);
  }
  return {
    status: answer.statusCode,
    header(name) {
      const values = headers.get(name) ?? [];
      const [first = null] = values;
      return values.every((value) => value === first) ? first : null;
    },
    body: readBody(answer.body, encoding, signal),
    discard() {
      answer.body.destroy();
    },
  };
}

/** All values of each header. Names and values are attacker-controlled. */
function readHeaders(headers: Dispatcher.ResponseData['headers']): Map<string, readonly string[]> {
  const all = new Map<string, readonly string[]>();
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) all.set(name.toLowerCase(), [value].flat().map((each) => each.trim()));
  }
  return all;
}

async function* readBody(body: Dispatcher.ResponseData['body'], encoding: Encoding, signal: AbortSignal | null): AsyncGenerator<Uint8Array> {
  try {
    const received = readReceived(body);
    yield* encoding === 'identity' ? received : decodeBody(received, encoding);
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    body.destroy();
  }
}

async function* readReceived(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (error) {
    throw explainFailure(error, 'body');
  }
}
