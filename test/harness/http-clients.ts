// SPDX-License-Identifier: Apache-2.0
/** Clients of the HTTP face: a session of the older revisions, and requests of 2026-07-28. */
import assert from 'node:assert/strict';
import type { Wire } from './gateway.ts';
import type { Answer, HttpGateway } from './http.ts';
import { MODERN } from './http-upstream.ts';

/** Headers to set in place of a client's own: null leaves one out, a list repeats it. */
export type Changes = Readonly<Record<string, string | null | readonly string[]>>;

type Pairs = (readonly [name: string, value: string])[];

export function headerPairs(base: Readonly<Record<string, string>>, changes: Changes = {}): Pairs {
  const lower = new Map(Object.entries(changes).map(([name, value]) => [name.toLowerCase(), value]));
  const kept: Pairs = Object.entries(base).filter(([name]) => !lower.has(name.toLowerCase()));
  for (const [name, value] of Object.entries(changes)) {
    for (const each of value === null ? [] : [value].flat()) kept.push([name, each]);
  }
  return kept;
}

const BOTH = { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream' };

export function request(id: number | string, method: string, params?: object): object {
  return { jsonrpc: '2.0', id, method, ...(params === undefined ? {} : { params }) };
}

export function call(id: number | string, name: string, args: object = {}, more: object = {}): object {
  return request(id, 'tools/call', { name, arguments: args, ...more });
}

export interface SessionOptions {
  readonly revision?: string;
  readonly capabilities?: object;
  readonly headers?: Changes;
  readonly path?: string;
  /** False: the handshake is left open. */
  readonly initialized?: boolean;
}

/** A client of the revisions up to 2025-11-25. */
export class Session {
  readonly gateway: HttpGateway;
  readonly id: string;
  readonly revision: string;
  readonly opened: Answer;
  readonly #path: string;
  readonly #own: Changes;

  private constructor(gateway: HttpGateway, opened: Answer, options: SessionOptions) {
    this.gateway = gateway;
    this.opened = opened;
    this.id = String(opened.headers['mcp-session-id']);
    this.revision = options.revision ?? '2025-11-25';
    this.#path = options.path ?? '/mcp';
    this.#own = options.headers ?? {};
  }

  static initialize(gateway: HttpGateway, options: SessionOptions = {}): Promise<Answer> {
    const { revision = '2025-11-25', capabilities = {}, headers, path = '/mcp' } = options;
    const body = JSON.stringify(request('init', 'initialize', { protocolVersion: revision, capabilities, clientInfo: { name: 'test', version: '1' } }));
    return gateway.fetch({ path, headers: headerPairs(BOTH, headers), body });
  }

  static async open(gateway: HttpGateway, options: SessionOptions = {}): Promise<Session> {
    const opened = await Session.initialize(gateway, options);
    assert.equal(opened.status, 200, opened.text);
    const session = new Session(gateway, opened, options);
    if (options.initialized !== false) assert.equal((await session.post({ jsonrpc: '2.0', method: 'notifications/initialized' })).status, 202);
    return session;
  }

  get #headers(): Record<string, string> {
    return { ...BOTH, 'Mcp-Session-Id': this.id, 'MCP-Protocol-Version': this.revision };
  }

  /** Sends a message, or a body as it is; resolves when the headers of the answer are there. */
  send(message: object | string | Uint8Array, changes: Changes = {}): Promise<Answer> {
    const body = typeof message === 'string' || message instanceof Uint8Array ? message : JSON.stringify(message);
    return this.gateway.send({ path: this.#path, headers: headerPairs(this.#headers, { ...this.#own, ...changes }), body });
  }

  /** The same with the whole answer. */
  async post(message: object | string | Uint8Array, changes: Changes = {}): Promise<Answer> {
    const answer = await this.send(message, changes);
    await answer.over;
    return answer;
  }

  /** Asks and returns the message that answers. */
  async ask(id: number | string, method: string, params?: object): Promise<Wire> {
    const answer = await this.send(request(id, method, params));
    return answer.next((message) => message.id === id && message.method === undefined);
  }

  async call(id: number | string, name: string, args: object = {}): Promise<Wire> {
    return this.ask(id, 'tools/call', { name, arguments: args });
  }

  /** Opens the server's own stream, or takes one up again. */
  listen(lastEventId?: string, changes: Changes = {}): Promise<Answer> {
    const base: Record<string, string> = { Accept: 'text/event-stream', 'Mcp-Session-Id': this.id, 'MCP-Protocol-Version': this.revision };
    if (lastEventId !== undefined) base['Last-Event-ID'] = lastEventId;
    return this.gateway.send({ method: 'GET', path: this.#path, headers: headerPairs(base, { ...this.#own, ...changes }) });
  }

  end(changes: Changes = {}): Promise<Answer> {
    const base = { 'Mcp-Session-Id': this.id, 'MCP-Protocol-Version': this.revision };
    return this.gateway.fetch({ method: 'DELETE', path: this.#path, headers: headerPairs(base, { ...this.#own, ...changes }) });
  }
}

export function metaOf(capabilities: object = {}, more: object = {}): object {
  return {
    'io.modelcontextprotocol/protocolVersion': MODERN,
    'io.modelcontextprotocol/clientCapabilities': capabilities,
    'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
    ...more,
  };
}

export interface ModernOptions {
  readonly headers?: Changes;
  readonly capabilities?: object;
  readonly meta?: object;
  /** The body in place of the one that the arguments make. */
  readonly body?: string | Uint8Array;
  readonly path?: string;
}

/** Sends one request of 2026-07-28; resolves when the headers of the answer are there. */
export function modern(gateway: HttpGateway, id: number | string, method: string, params: Wire = {}, options: ModernOptions = {}): Promise<Answer> {
  const { headers, capabilities = {}, meta = {}, body, path = '/mcp' } = options;
  const message = request(id, method, { ...params, _meta: metaOf(capabilities, meta) });
  const base: Record<string, string> = { ...BOTH, 'MCP-Protocol-Version': MODERN, 'Mcp-Method': method };
  const name: unknown = params.name ?? params.uri;
  if (['tools/call', 'prompts/get', 'resources/read'].includes(method) && typeof name === 'string') base['Mcp-Name'] = name;
  return gateway.send({ path, headers: headerPairs(base, headers), body: body ?? JSON.stringify(message) });
}

/** The same with the whole answer. */
export async function modernly(gateway: HttpGateway, id: number | string, method: string, params: Wire = {}, options: ModernOptions = {}): Promise<Answer> {
  const answer = await modern(gateway, id, method, params, options);
  await answer.over;
  return answer;
}
