// SPDX-License-Identifier: Apache-2.0
/** What an exchange is built from; the composition roots name the concrete parts. */
import type { Recorder } from '../audit/recorder.ts';
import type { Log } from '../log.ts';
import type { PinBook } from '../pins/book.ts';
import type { Policy } from '../policy/types.ts';

/** One way out: to the client or to the server. */
export interface Outlet {
  /** Takes one serialised message without its line end; resolves when the peer can take more. */
  send(text: string): Promise<void>;
}

export interface Clock {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Microseconds since an arbitrary start, never going back. */
  readonly mono: () => number;
}

export interface ExchangeParts {
  readonly server: string;
  /** True where no other server is configured: allow globs may then name a bare tool. */
  readonly soleServer: boolean;
  readonly principal: string;
  /** 16 hex digits. */
  readonly session: string;
  readonly policy: Policy;
  readonly recorder: Recorder;
  readonly pins: PinBook;
  readonly log: Log;
  readonly clock: Clock;
  readonly toClient: Outlet;
  readonly toServer: Outlet;
  /** Hex of that many random bytes. */
  readonly randomHex: (bytes: number) => string;
}
