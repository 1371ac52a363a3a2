// SPDX-License-Identifier: Apache-2.0
/**
 * Both ends of the transport of 2024-11-05: a server that says what a test tells it, hostile or not, and a client of the
 * gateway that sends whatever it likes.
 */
import assert from 'node:assert/strict';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Wire } from './gateway.ts';
import type { Answer, HttpGateway } from './http.ts';
import { PATIENCE_MS } from './http.ts';
import type { Changes } from './http-clients.ts';
import { headerPairs, request } from './http-clients.ts';

/** One message that reached the server. */
export interface Posted {
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly message: Wire;
  readonly response: ServerResponse;
}

export const TOOLS: readonly object[] = [{ name: 'echo', inputSchema: { type: 'object' } }];

export class SseServer {
  readonly posts: Posted[] = [];
  /** Every stream that was opened, oldest first. */
  readonly streams: ServerResponse[] = [];
  readonly gets: { readonly url: string; readonly headers: IncomingHttpHeaders }[] = [];
  /** What a stream begins with; null for an answer that is no stream. */
  opening: (url: string, response: ServerResponse) => string | null = () => `event: endpoint\ndata: /messages?stream=${this.streams.length}\n\n`;
  /** Answers the POST itself. */
  taken: (posted: Posted) => void = ({ response }) => response.writeHead(202).end('Accepted');
  /** What is said on the stream to a request; null for nothing. */
  answer: (message: Wire) => object | null = usual;
  readonly #server = createServer((request, response) => this.#take(request, response));

  static async open(port = 0): Promise<SseServer> {
    const server = new SseServer();
    await server.listen(port);
    after(() => server.close());
    return server;
  }

  async listen(port: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.listen(port, '127.0.0.1', resolve);
    });
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get url(): URL {
    return new URL(`${this.origin}/sse`);
  }

  /** The stream that was opened last. */
  get stream(): ServerResponse {
    const last = this.streams.at(-1);
    assert.ok(last, 'a stream is open');
    return last;
  }

  say(message: object): void {
    this.stream.write(`event: message\ndata: ${JSON.stringify(message)}\n\n`);
  }

  /** Messages of a method that came so far. */
  seen(method: string): Posted[] {
    return this.posts.filter(({ message }) => message.method === method);
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const { method, url = '', headers } = request;
    response.on('error', () => undefined);
    if (method === 'GET') {
      this.gets.push({ url, headers });
      const opening = this.opening(url, response);
      if (opening === null) return;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(opening);
      this.streams.push(response);
      return;
    }
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const posted = { url, headers, message: JSON.parse(Buffer.concat(chunks).toString()), response };
      this.posts.push(posted);
      this.taken(posted);
      const said = this.answer(posted.message);
      const stream = this.streams[Number(new URLSearchParams(url.split('?')[1]).get('stream'))];
      if (said !== null) stream?.write(`event: message\ndata: ${JSON.stringify(said)}\n\n`);
    });
  }
}

/** What a well-behaved server says. */
export function usual(message: Wire): object | null {
  if (message.id === undefined || message.method === undefined) return null;
  const answer = (result: object): object => ({ jsonrpc: '2.0', id: message.id, result });
  switch (message.method) {
    case 'initialize':
      return answer({ protocolVersion: message.params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'sse', version: '1' } });
    case 'tools/list':
      return answer({ tools: TOOLS });
    case 'tools/call':
      return answer({ content: [{ type: 'text', text: JSON.stringify(message.params.arguments) }] });
    default:
      return answer({});
  }
}

/** Waits until something is so. */
export async function eventually(what: string, is: () => boolean): Promise<void> {
  const until = Date.now() + PATIENCE_MS;
  while (!is()) {
    if (Date.now() > until) throw new Error(`it does not come about: ${what}`);
    await delay(20);
  }
}

/** A client of the gateway: one stream, and messages sent beside it. */
export class SseClient {
  readonly stream: Answer;
  readonly endpoint: string;
  readonly #gateway: HttpGateway;
  readonly #own: Changes;

  private constructor(gateway: HttpGateway, stream: Answer, endpoint: string, own: Changes) {
    this.#gateway = gateway;
    this.stream = stream;
    this.endpoint = endpoint;
    this.#own = own;
  }

  /** Opens a stream, or tries to. */
  static listen(gateway: HttpGateway, path: string, headers: Changes = {}): Promise<Answer> {
    return gateway.send({ method: 'GET', path, headers: headerPairs({ Accept: 'text/event-stream' }, headers) });
  }

  static async open(gateway: HttpGateway, path = '/mcp/sse', headers: Changes = {}): Promise<SseClient> {
    const stream = await SseClient.listen(gateway, path, headers);
    if (stream.status !== 200) await stream.over;
    assert.equal(stream.status, 200, stream.text);
    const { data } = await stream.event(({ data }) => data !== null);
    assert.ok(data);
    return new SseClient(gateway, stream, data, headers);
  }

  /** Sends a message, or a body as it is, and takes the whole answer to the POST. */
  post(message: object | string | Uint8Array, changes: Changes = {}): Promise<Answer> {
    const body = typeof message === 'string' || message instanceof Uint8Array ? message : JSON.stringify(message);
    return this.#gateway.fetch({ path: this.endpoint, headers: headerPairs({ 'Content-Type': 'application/json' }, { ...this.#own, ...changes }), body });
  }

  get messages(): Wire[] {
    return this.stream.events.flatMap(({ data }) => (data?.startsWith('{') === true ? [JSON.parse(data)] : []));
  }

  /** The first message on the stream that matches. */
  async next(match: (message: Wire) => boolean): Promise<Wire> {
    const found = await this.stream.event(({ data }) => data?.startsWith('{') === true && match(JSON.parse(data)));
    return JSON.parse(found.data ?? '');
  }

  async ask(id: number | string, method: string, params?: object): Promise<Wire> {
    const taken = await this.post(request(id, method, params));
    assert.equal(taken.status, 202, taken.text);
    return this.next((message) => message.id === id && message.method === undefined);
  }

  async initialize(protocolVersion = '2024-11-05', capabilities: object = {}): Promise<Wire> {
    const answer = await this.ask('init', 'initialize', { protocolVersion, capabilities, clientInfo: { name: 'test', version: '1' } });
    await this.post({ jsonrpc: '2.0', method: 'notifications/initialized' });
    return answer;
  }
}
