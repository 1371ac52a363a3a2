// SPDX-License-Identifier: Apache-2.0
/**
 * A server behind Streamable HTTP that does exactly what a test tells it, hostile or not, within the test's process. It
 * speaks both eras where nothing else is said, and notes every request that reaches it.
 */
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after } from 'node:test';
import type { Wire } from './gateway.ts';

/** One request that reached the server. */
export interface Hit {
  readonly verb: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly body: string;
  /** The body, read as JSON; null if it is none. */
  readonly message: Wire;
  readonly response: ServerResponse;
  /** Resolves when the response is over: `cut` if the gateway closed it. */
  readonly over: Promise<'whole' | 'cut'>;
}

export type Handler = (hit: Hit) => void | Promise<void>;

export const MODERN = '2026-07-28';
const SCHEMA = { type: 'object' };

/** A session id that must stand nowhere but between the gateway and this server. */
export const UPSTREAM_SESSION = 'upstream-session-canary';

export const tool = (name: string, more: object = {}): object => ({ name, description: `about ${name}`, inputSchema: SCHEMA, ...more });

/** True for a request of 2026-07-28. */
export function isModern(message: Wire): boolean {
  return message?.params?._meta?.['io.modelcontextprotocol/protocolVersion'] === MODERN || message?.method === 'server/discover';
}

/** Answers with a JSON body. */
export function json(hit: Hit, body: unknown, status = 200, headers: Record<string, string> = {}): void {
  hit.response.writeHead(status, { 'content-type': 'application/json', ...headers });
  hit.response.end(typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body));
}

/** Answers a request with a result. */
export function result(hit: Hit, value: object, headers: Record<string, string> = {}): void {
  json(hit, { jsonrpc: '2.0', id: hit.message.id, result: isModern(hit.message) ? { resultType: 'complete', ...value } : value }, 200, headers);
}

/** The answer to a call as a message. */
export function called(hit: Hit, text: string): object {
  const content = [{ type: 'text', text }];
  return { jsonrpc: '2.0', id: hit.message.id, result: isModern(hit.message) ? { resultType: 'complete', content } : { content } };
}

/** Begins a stream of events. */
export function stream(hit: Hit, headers: Record<string, string> = {}): ServerResponse {
  hit.response.writeHead(200, { 'content-type': 'text/event-stream', ...headers });
  hit.response.flushHeaders();
  return hit.response;
}

/** One event. */
export function event(message: object, id?: string): string {
  return `${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(message)}\n\n`;
}

/** A notification of the server's. */
export function notice(method: string, params: object = {}): object {
  return { jsonrpc: '2.0', method, params };
}

export class Upstream {
  readonly hits: Hit[] = [];
  readonly #handlers = new Map<string, Handler>();
  readonly #server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    response.on('error', () => undefined);
    const over = new Promise<'whole' | 'cut'>((resolve) => {
      response.on('close', () => resolve(response.writableFinished ? 'whole' : 'cut'));
    });
    request.on('error', () => undefined);
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString('utf8');
      const { method: verb = '', url = '', headers, rawHeaders } = request;
      const hit: Hit = { verb, url, headers, rawHeaders, body, message: read(body), response, over };
      this.hits.push(hit);
      for (const waiting of this.#waiting.splice(0)) waiting();
      void this.#answer(hit);
    });
  });
  readonly #waiting: (() => void)[] = [];
  tools: readonly object[] = [tool('echo'), tool('danger')];
  /** Null: the server keeps no sessions. */
  session: string | null = UPSTREAM_SESSION;
  revision: string | null = null;
  port = 0;

  static async open(port = 0): Promise<Upstream> {
    const upstream = new Upstream();
    await upstream.listen(port);
    after(() => upstream.close());
    return upstream;
  }

  async listen(port: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.listen(port, '127.0.0.1', resolve);
    });
    this.port = (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/mcp`;
  }

  /** Says how a method is answered: `GET` and `DELETE` stand for requests without a message; null for the usual way. */
  on(method: string, handler: Handler | null): void {
    if (handler === null) this.#handlers.delete(method);
    else this.#handlers.set(method, handler);
  }

  /** Messages of a method that came so far. */
  seen(method: string): Hit[] {
    return this.hits.filter((hit) => hit.message?.method === method || (hit.message === null && hit.verb === method));
  }

  /** The first request that matches, among those that came and those to come. */
  async hit(match: (hit: Hit) => boolean, msMax = 20_000): Promise<Hit> {
    const until = Date.now() + msMax;
    for (;;) {
      const found = this.hits.find(match);
      if (found !== undefined) return found;
      if (Date.now() > until) throw new Error(`no such request; came: ${this.hits.map((hit) => `${hit.verb} ${hit.body.slice(0, 80)}`).join('\n')}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 200);
        this.#waiting.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  /** Everything that reached the server, as one text. */
  everything(): string {
    return this.hits.map((hit) => `${hit.verb} ${hit.url}\n${hit.rawHeaders.join('\n')}\n\n${hit.body}`).join('\n');
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #answer(hit: Hit): Promise<void> {
    const name = hit.message === null ? hit.verb : hit.message.method;
    const handler = this.#handlers.get(name);
    if (handler !== undefined) await handler(hit);
    else this.#usual(hit);
  }

  #usual(hit: Hit): void {
    const { message, response } = hit;
    if (message === null) {
      response.writeHead(hit.verb === 'DELETE' ? 200 : 405).end();
      return;
    }
    if (message.id === undefined || message.method === undefined) {
      response.writeHead(202).end();
      return;
    }
    switch (message.method) {
      case 'initialize': {
        const value = {
          protocolVersion: this.revision ?? message.params.protocolVersion,
          capabilities: { tools: { listChanged: true } },
          serverInfo: { name: 'scripted', version: '1' },
        };
        result(hit, value, this.session === null ? {} : { 'mcp-session-id': this.session });
        return;
      }
      case 'server/discover':
        result(hit, { supportedVersions: [MODERN], capabilities: { tools: {} }, ttlMs: 0, cacheScope: 'private' });
        return;
      case 'tools/list':
        result(hit, { tools: this.tools, ...(isModern(message) ? { ttlMs: 60_000, cacheScope: 'private' } : {}) });
        return;
      case 'tools/call':
        json(hit, called(hit, `ran ${message.params?.name} ${JSON.stringify(message.params?.arguments ?? {})}`));
        return;
      default:
        result(hit, {});
    }
  }
}

function read(body: string): Wire {
  try {
    return JSON.parse(body);
  } catch {
    return null;
  }
}
