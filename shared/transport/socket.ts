// SPDX-License-Identifier: Apache-2.0
/** Unix and TCP streams, and the handshake by which emulators hand out vsock ports over a Unix socket. */
import type { Server, Socket } from 'node:net';
import { createConnection, createServer } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Address } from '../address.ts';
import { Unavailable } from '../errors.ts';
import { HVSOCK_REPLY_BYTES_MAX } from '../limits.ts';
import { systemErrorName } from './native.ts';
import { OpenStreams } from './open.ts';
import type { Listener, ListenOptions, StreamPeer } from './types.ts';

/** Where Node's own sockets go. */
export type SocketTarget = { readonly path: string } | { readonly host: string; readonly port: number };

function failed(why: string, cause?: unknown): Unavailable {
  return new Unavailable('STREAM_FAILED', `the stream cannot be opened (${why})`, 'check that the other side runs and listens there', cause);
}

/** Runs a step that needs the socket; ends the socket where it fails or takes too long. */
function within<T>(socket: Socket, timeoutMs: number, step: (resolve: (value: T) => void, reject: (error: Error) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(() => fail(failed('ETIMEDOUT')), timeoutMs);
    step((value) => {
      clearTimeout(timer);
      resolve(value);
    }, fail);
  });
}

/** Rejects with Unavailable (STREAM_FAILED). */
export function openSocket(target: SocketTarget, timeoutMs: number): Promise<Socket> {
  const socket = createConnection({ ...target, allowHalfOpen: true, noDelay: true });
  // It stays, so that a socket that fails between two owners does not end the process.
  socket.on('error', () => undefined);
  return within(socket, timeoutMs, (resolve, reject) => {
    socket.once('connect', () => resolve(socket));
    socket.once('error', (error) => reject(failed(systemErrorName(error) ?? 'an error', error)));
  });
}

/** `CONNECT <port>\n` is answered by `OK <n>\n`; what stands behind it belongs to the stream already. */
export async function openHvsock(address: Extract<Address, { kind: 'hvsock' }>, timeoutMs: number): Promise<Duplex> {
  const socket = await openSocket({ path: address.path }, timeoutMs);
  socket.write(`CONNECT ${address.port}\n`);
  return within(socket, timeoutMs, (resolve, reject) => {
    let head = Buffer.alloc(0);
    const closed = (): void => reject(failed('no such port'));
    // Read by hand, which leaves the stream neither flowing nor paused for whoever gets it.
    const read = (): void => {
      for (let chunk: unknown = socket.read(); Buffer.isBuffer(chunk); chunk = socket.read()) {
        head = Buffer.concat([head, chunk]);
        const end = head.indexOf('\n');
        if (end === -1 && head.length <= HVSOCK_REPLY_BYTES_MAX) continue;
        socket.off('readable', read).off('end', closed).off('close', closed);
        if (end === -1 || !/^OK [0-9]{1,10}\r?$/.test(head.toString('latin1', 0, end))) {
          reject(failed('an answer that is none'));
          return;
        }
        if (head.length > end + 1) socket.unshift(head.subarray(end + 1));
        resolve(socket);
        return;
      }
    };
    socket.on('readable', read).once('end', closed).once('close', closed);
  });
}

function peerOf(socket: Socket, target: SocketTarget): StreamPeer {
  return 'path' in target ? { kind: 'unix' } : { kind: 'tcp', host: socket.remoteAddress ?? '' };
}

function addressOf(server: Server, target: SocketTarget): Address {
  const bound = server.address();
  if ('path' in target) return { kind: 'unix', path: target.path };
  return { kind: 'tcp', host: target.host, port: typeof bound === 'object' && bound !== null ? bound.port : target.port };
}

/** Rejects with Unavailable (LISTEN_FAILED). */
export async function listenSocket(target: SocketTarget, options: ListenOptions): Promise<Listener> {
  const open = new OpenStreams(options.connectionsMax);
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    if (open.admit(socket)) options.accept(socket, peerOf(socket, target));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      const name = systemErrorName(error) ?? 'an error';
      reject(new Unavailable('LISTEN_FAILED', `the address cannot be taken (${name})`, 'find out what listens there', error));
    });
    server.listen({ ...target, ...(options.backlog === undefined ? {} : { backlog: options.backlog }) }, resolve);
  });
  server.on('error', options.failed);
  return {
    address: addressOf(server, target),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        open.end();
      }),
  };
}
