// SPDX-License-Identifier: Apache-2.0
/** What all kinds of streams have in common. */
import type { Duplex } from 'node:stream';
import type { Address } from '../address.ts';

/** Who opened a stream, as far as the transport can tell. */
export type StreamPeer =
  | { readonly kind: 'vsock'; readonly cid: number; readonly port: number }
  | { readonly kind: 'tcp'; readonly host: string }
  /** A Unix socket tells nothing that is worth anything. */
  | { readonly kind: 'unix' };

export interface ListenOptions {
  readonly accept: (stream: Duplex, peer: StreamPeer) => void;
  /** Accepting failed once, such as for want of descriptors; the listener goes on. */
  readonly failed: (error: Error) => void;
  /** Streams that are open at once. */
  readonly connectionsMax: number;
  /** Connections that wait to be accepted; a full backlog resets the next. */
  readonly backlog?: number;
}

export interface Listener {
  /** Where it listens: with the port that it was given, where any was asked for. */
  readonly address: Address;
  /** Stops accepting and ends what is open. */
  close(): Promise<void>;
}
