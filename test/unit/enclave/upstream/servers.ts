// SPDX-License-Identifier: Apache-2.0
/** Servers on loopback, good and bad, and what tests of the HTTP client say about its answers. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer as createRawServer } from 'node:net';
import type { TestContext } from 'node:test';
import type { HttpClient, HttpClientOptions, Resolve, UpstreamRequest, UpstreamResponse } from '../../../../enclave/upstream/http.ts';
import { createHttpClient } from '../../../../enclave/upstream/http.ts';
import { Unavailable } from '../../../../shared/errors.ts';

export function client(t: TestContext, options: Partial<HttpClientOptions> = {}): HttpClient {
  const http = createHttpClient({ allowPrivate: true, ...options });
  t.after(() => http.close());
  return http;
}

export async function listen(t: TestContext, server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

/** The URL of a server that answers so. */
export async function serve(t: TestContext, listener: (request: IncomingMessage, response: ServerResponse) => unknown): Promise<URL> {
  const server = createServer((request, response) => void listener(request, response));
  return new URL(`http://127.0.0.1:${await listen(t, server)}/mcp`);
}

/** The URL of a server that answers the first bytes of each connection with these. */
export async function serveRaw(t: TestContext, answer: (socket: Socket, connection: number) => void): Promise<URL> {
  let connections = 0;
  const server = createRawServer((socket) => {
    connections += 1;
    const connection = connections;
    socket.once('data', () => answer(socket, connection));
  });
  return new URL(`http://127.0.0.1:${await listen(t, server)}/mcp`);
}

export function get(url: URL, more: Partial<UpstreamRequest> = {}): UpstreamRequest {
  return { method: 'GET', url, headers: {}, body: null, signal: null, ...more };
}

export async function text(response: UpstreamResponse): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** Reads on until the text read so far ends so. */
export async function readUntil(reader: AsyncIterator<Uint8Array>, end: string): Promise<void> {
  let read = '';
  while (!read.endsWith(end)) {
    const { done, value } = await reader.next();
    assert.notEqual(done, true, `the body ended after ${read}`);
    read += Buffer.from(value as Uint8Array).toString();
  }
}

/** A connection can be used again one turn of the event loop after an answer. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(() => setImmediate(resolve));
  });
}

export function unavailable(code: string, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof Unavailable, String(error));
    assert.equal(`${error.code} ${error.message}`.startsWith(`${code} `), true, `${error.code} ${error.message}`);
    assert.match(error.message, message);
    assert.doesNotMatch(error.message + error.hint, /127\.0\.0\.1|server\.example|secret/);
    assert.notEqual(error.hint, '');
    return true;
  };
}

export function resolver(...answers: readonly (readonly string[])[]): { resolve: Resolve; asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    resolve: async (host) => {
      const answer = answers[asked.length] ?? [];
      asked.push(host);
      return answer.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    },
  };
}
