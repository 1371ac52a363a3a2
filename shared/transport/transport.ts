// SPDX-License-Identifier: Apache-2.0
/**
 * Streams between the parts of the appliance, one interface for every kind of address (design, section 5): duplex, with
 * backpressure and half-close. Who is at the other end is told, and never trusted as authentication.
 */
import type { Duplex } from 'node:stream';
import type { Address } from '../address.ts';
import { listenSocket, openHvsock, openSocket } from './socket.ts';
import type { Listener, ListenOptions } from './types.ts';
import { listenVsock, openVsock } from './vsock.ts';

/**
 * Opens a stream. Rejects with Unavailable (STREAM_FAILED) where that is not possible in time.
 * @param timeoutMs for the whole of it, handshake included
 */
export function connectStream(address: Address, timeoutMs: number): Promise<Duplex> {
  switch (address.kind) {
    case 'vsock':
      return openVsock(address, timeoutMs);
    case 'unix':
      return openSocket({ path: address.path }, timeoutMs);
    case 'tcp':
      return openSocket({ host: address.host, port: address.port }, timeoutMs);
    case 'hvsock':
      return openHvsock(address, timeoutMs);
  }
}

/**
 * Accepts streams. A stream above `connectionsMax` is ended at once. Rejects with Unavailable (LISTEN_FAILED).
 * Emulators hand streams for `hvsock` ports to the Unix socket `<path>_<port>`.
 */
export function listenStream(address: Address, options: ListenOptions): Promise<Listener> {
  switch (address.kind) {
    case 'vsock':
      return listenVsock(address, options);
    case 'unix':
      return listenSocket({ path: address.path }, options);
    case 'tcp':
      return listenSocket({ host: address.host, port: address.port }, options);
    case 'hvsock':
      return listenSocket({ path: `${address.path}_${address.port}` }, options);
  }
}
