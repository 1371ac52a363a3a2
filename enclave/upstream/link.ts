// SPDX-License-Identifier: Apache-2.0
/** The way to one server for one client, whatever the transport: messages out, frames and what went wrong back. */
import type { StreamOrigin } from '../exchange.ts';
import type { Carrier, Outlet } from '../exchange/parts.ts';
import type { Refuse } from '../exchange/verdict.ts';
import type { FrameEvent } from '../../shared/frame/ndjson.ts';
import type { RequestId } from '../../shared/jsonrpc/id.ts';

export interface LinkEvents {
  /** A frame came; resolves when it has been dealt with. */
  readonly frame: (event: FrameEvent, from: StreamOrigin) => Promise<void>;
  /** No answer to that request can come any more. */
  readonly failed: (id: RequestId, refusal: Refuse) => Promise<void>;
  /** True while a request waits for its answer. */
  readonly waiting: (id: RequestId) => boolean;
  /** The answer comes as a stream of events: the client can be told at once. */
  readonly streaming: (via: Carrier | null) => void;
  /** The server ended a stream before its answer; it is asked for again after that many milliseconds. */
  readonly paused: (via: Carrier | null, retryMs: number) => void;
  /** Repeats the handshake where the session at the server is lost; absent where the client has to do it. */
  readonly renew?: () => Promise<boolean>;
  /** The server says nothing more, but what it said may still be under way. */
  readonly silent: () => void;
  /** The server, or the session at it, is gone. */
  readonly lost: () => void;
  /** An error that is no expected outcome. */
  readonly fault: (error: unknown) => void;
}

export interface Link extends Outlet {
  /** Whether messages of the server's own come outside of answers; resolves when the server has said so. */
  openStream(): Promise<'open' | 'unsupported'>;
  /** Ends the connection and lets the server know where the protocol has a way; resolves when it is gone. */
  close(): Promise<void>;
}
