// SPDX-License-Identifier: Apache-2.0
/** The control API on a Unix socket, for local mode: bounded in headers, bodies, time and connections. */
import { chmodSync, rmSync } from 'node:fs';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { Unavailable } from '../../shared/errors.ts';
import { wireJson } from '../../shared/json/canonical.ts';
import { CONTROL_BODY_BYTES_MAX, CONTROL_CONNECTIONS_MAX, CONTROL_HEADER_BYTES_MAX, CONTROL_REQUEST_MS_MAX } from '../../shared/limits.ts';
import type { Control, ControlResponse } from './api.ts';
import { controlRefusal } from './api.ts';
import { newSocketPath, removeStale } from './paths.ts';

export interface ControlSocketOptions {
  readonly stateDir: string;
  readonly control: Control;
  readonly randomHex: (bytes: number) => string;
  /** Told of what should never happen. */
  readonly fault: (error: unknown) => void;
}

export interface ControlSocket {
  readonly path: string;
  /** Ends what is under way, and takes the socket away. */
  close(): Promise<void>;
}

/** Rejects with Unavailable (LISTEN_FAILED) where there can be no socket. */
export async function listenControl({ stateDir, control, randomHex, fault }: ControlSocketOptions): Promise<ControlSocket> {
  const path = newSocketPath(stateDir, process.pid, randomHex);
  await removeStale(stateDir);
  const server = createServer(
    {
      maxHeaderSize: CONTROL_HEADER_BYTES_MAX,
      headersTimeout: CONTROL_REQUEST_MS_MAX,
      requestTimeout: CONTROL_REQUEST_MS_MAX,
      connectionsCheckingInterval: CONTROL_REQUEST_MS_MAX / 2,
      requireHostHeader: false,
      insecureHTTPParser: false,
    },
    (request, response) => void take(request, response, control).catch((error: unknown) => {
      fault(error);
      reply(response, controlRefusal(500, 'AUDIT_UNAVAILABLE', 'the gateway cannot answer', 'look at its standard error'));
    }),
  );
  server.maxConnections = CONTROL_CONNECTIONS_MAX;
  server.maxRequestsPerSocket = 1;
  server.on('clientError', (_error, socket) => socket.destroy());
  server.on('connect', (_request, socket) => socket.destroy());
  await bound(server, path);
  return {
    path,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          rmSync(path, { force: true });
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

function bound(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: unknown): void => reject(new Unavailable('LISTEN_FAILED', `the control socket ${path} cannot be made`, 'choose another state folder with --state: it has to be on a file system that has sockets', error));
    server.once('error', failed);
    server.listen({ path }, () => {
      server.off('error', failed);
      server.on('error', () => undefined);
      try {
        // The folder keeps others out already; this says so at the socket as well.
        chmodSync(path, 0o600);
        resolve();
      } catch (error) {
        failed(error);
      }
    });
  });
}

async function take(request: IncomingMessage, response: ServerResponse, control: Control): Promise<void> {
  response.on('error', () => undefined);
  request.on('error', () => undefined);
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  const body = await read(request);
  if (body === 'gone') return;
  if (body === 'long') {
    reply(response, controlRefusal(413, 'FRAME_TOO_LARGE', `the body has more than ${CONTROL_BODY_BYTES_MAX} bytes`, 'send a decision and nothing else'));
    return;
  }
  const mediaType = request.headers['content-type'] ?? null;
  reply(response, await control({ method: request.method ?? '', target: request.url ?? '', mediaType, body, signal: gone.signal }));
}

async function read(request: IncomingMessage): Promise<Uint8Array | 'long' | 'gone'> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      if (!(chunk instanceof Uint8Array)) continue;
      bytes += chunk.length;
      if (bytes > CONTROL_BODY_BYTES_MAX) return 'long';
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } catch {
    return 'gone';
  }
}

function reply(response: ServerResponse, { status, body, headers = {} }: ControlResponse): void {
  if (response.headersSent || response.destroyed) return;
  const text = Buffer.from(`${wireJson(body)}\n`, 'utf8');
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': text.length, 'cache-control': 'no-store', connection: 'close', ...headers });
  response.end(text);
}
