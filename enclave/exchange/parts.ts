// SPDX-License-Identifier: Apache-2.0
/** What an exchange is built from; the composition roots name the concrete parts. */
import type { Direction } from '../../shared/audit/row.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import type { RequestId } from '../../shared/jsonrpc/id.ts';
import type { Era, Revision } from '../../shared/mcp/revisions.ts';
import type { Approvals } from '../approval/desk.ts';
import type { Recorder } from '../audit/recorder.ts';
import type { Log } from '../log.ts';
import type { PinBook } from '../pins/book.ts';
import type { Shadows } from '../pins/shadow.ts';
import type { Limiter } from '../policy/limiter.ts';
import type { Policy, PolicyDecision } from '../policy/types.ts';
import type { Continuations } from './continuations.ts';
import type { StateSeal } from './request-state.ts';
import type { Room } from './room.ts';
import type { TaskOwners } from './task-owners.ts';

/** The HTTP exchange that a client's message came in with. The data path only hands it through. */
export type Carrier = object;

/** What a transport has to know of a message besides its text. */
export interface About {
  readonly kind: 'request' | 'notification' | 'answer';
  /** The id of a request, or of the request that an answer settles; null where there is none. */
  readonly id: RequestId | null;
  /** The method of a request or notification, or of the request that is answered; null where it cannot be told. */
  readonly method: string | null;
  readonly era: Era | null;
  /** The message that the text serialises. */
  readonly value: JsonObject;
  /** What the client's request came in with that this message is or belongs to; null if there is none. */
  readonly via: Carrier | null;
  /** To the client: HTTP status of an answer; null for 200. */
  readonly status: number | null;
  /** To the server: `Mcp-Param-*` headers (lower case) of a call; null where the revision has none. */
  readonly headers: ReadonlyMap<string, string> | null;
}

/** One way out: to the client or to the server. */
export interface Outlet {
  /** Takes one serialised message without its line end; resolves when the peer can take more. */
  send(text: string, about: About): Promise<void>;
  /** To the client: a request that came in with this is never answered. */
  unanswered?(via: Carrier): void;
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
  /** What is in force for the message at hand. */
  readonly policy: Policy;
  readonly recorder: Recorder;
  readonly pins: PinBook;
  /** What all servers list, to tell confusable tools; one for all conversations of a process. */
  readonly shadows?: Shadows | undefined;
  readonly log: Log;
  readonly clock: Clock;
  readonly toClient: Outlet;
  readonly toServer: Outlet;
  /** Hex of that many random bytes. */
  readonly randomHex: (bytes: number) => string;
  /** The era that the transport has settled already. */
  readonly era?: Era;
  /** `http`: the rules that revision 2026-07-28 has for its HTTP transport hold as well. */
  readonly face?: 'stdio' | 'http';
  /** Servers that spoke the modern era before, by id; one for all conversations of a process. */
  readonly eras?: Map<string, Era>;
  /** Older revisions are refused. */
  readonly minRevision?: Revision | null;
  /** Whose tasks are whose, where several principals share a server; one for all conversations of a process. */
  readonly taskOwners?: TaskOwners;
  /** Wraps `requestState`; without it, states pass as they are. */
  readonly seal?: StateSeal;
  /** Holds calls until a person has approved them; without it, held calls are refused. */
  readonly approvals?: Approvals;
  /** Approved calls that go on after the server asked for input; one for all conversations of a process. */
  readonly continuations?: Continuations;
  /** Counts calls for the policy's limits; one for all conversations of a process. */
  readonly limiter?: Limiter;
  /** The share of the audit log's queue; one for all conversations of a process. */
  readonly room?: Room;
}

/** Where the policy comes from: another may be in force for the next message. */
export interface PolicySource {
  readonly current: Policy;
}

/** Who asks whom, under which policy. */
export type Asking = Pick<ExchangeParts, 'policy' | 'server' | 'principal'>;

/** The policy's decision on a method. `known`: some revision defines it. */
export function decideMethod(asking: Asking, direction: Direction, method: string, params: JsonObject | undefined, known = true): PolicyDecision {
  const { policy, server, principal } = asking;
  return policy.decideMethod({ server, principal, direction, method, params, known });
}
