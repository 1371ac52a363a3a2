// SPDX-License-Identifier: Apache-2.0
/** The HTTP server in front: bounded in headers, time and connections; what it answers is the door's business. */
import type { Server } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Unavailable } from '../../shared/errors.ts';
import { REQUEST_BODY_MS_MAX, REQUEST_HEADER_BYTES_MAX, REQUEST_HEADERS_MS_MAX } from '../../shared/limits.ts';
import type { Door } from './door.ts';

export interface ListenerOptions {
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  readonly connectionsMax: number;
}

export interface Listener {
  readonly port: number;
  /** Takes no more connections and ends those that are left. */
  close(): Promise<void>;
}

/** Rejects with Unavailable (LISTEN_FAILED) where the address cannot be had. */
export async function listen(options: ListenerOptions, door: Door): Promise<Listener> {
  const server = createServer(
    {
      maxHeaderSize: REQUEST_HEADER_BYTES_MAX,
      headersTimeout: REQUEST_HEADERS_MS_MAX,
      // Streams of answers have no end; only the request itself has to come in time.
      requestTimeout: REQUEST_HEADERS_MS_MAX + REQUEST_BODY_MS_MAX,
      // Node looks every 30 seconds otherwise, whatever the limits are.
      connectionsCheckingInterval: REQUEST_HEADERS_MS_MAX / 3,
      keepAliveTimeout: REQUEST_HEADERS_MS_MAX,
      requireHostHeader: false,
      insecureHTTPParser: false,
    },
    (request, response) => void door.enter(request, response),
  );
  server.maxConnections = options.connectionsMax;
  server.maxRequestsPerSocket = 0;
  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
    else socket.destroy();
  });
  // Without a listener for it, a request that asks to upgrade (h2c by some clients) is served as HTTP/1.1.
  server.on('connect', (_request, socket) => socket.destroy());
  await bound(server, options);
  const address = server.address();
  return {
    port: isAddress(address) ? address.port : options.port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function isAddress(address: AddressInfo | string | null): address is AddressInfo {
  return typeof address === 'object' && address !== null;
}

function bound(server: Server, { host, port }: ListenerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const taken = error.code === 'EADDRINUSE';
      const hint = taken ? 'another program listens there; choose another port' : 'choose an address of this machine';
      reject(new Unavailable('LISTEN_FAILED', `cannot listen on ${host}:${port} (${error.code ?? 'unknown'})`, hint, error));
    });
    server.listen({ host, port, exclusive: true }, () => {
      server.removeAllListeners('error');
      server.on('error', () => undefined);
      resolve();
    });
  });
}
