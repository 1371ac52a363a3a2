// SPDX-License-Identifier: Apache-2.0
/** The client's requests that have no answer yet. Their ids are one space, whichever of the servers a request went to. */
import type { RequestId } from '../../shared/jsonrpc/id.ts';
import { IN_FLIGHT_MAX } from '../../shared/limits.ts';
import { detached } from '../exchange/conversation.ts';
import type { RequestMessage } from '../exchange/context.ts';
import type { Carrier } from '../exchange/parts.ts';
import type { Arrival } from '../exchange/side.ts';
import type { Ask } from './ask.ts';
import type { Member } from './member.ts';

export interface ClientRequest {
  readonly id: RequestId;
  readonly message: RequestMessage;
  readonly arrival: Arrival;
  readonly via: Carrier | null;
  /** The server that answers it; null while that is not known, and where several do. */
  member: Member | null;
  /** What several servers were asked for it. */
  readonly waiting: Map<Ask, Member>;
  /** True once nobody waits for an answer any more. */
  over: boolean;
}

function keyOf(id: RequestId): string {
  return `${typeof id}:${id}`;
}

export class ClientRequests {
  readonly #requests = new Map<string, ClientRequest>();

  get full(): boolean {
    return this.#requests.size >= IN_FLIGHT_MAX;
  }

  get(id: RequestId): ClientRequest | undefined {
    return this.#requests.get(keyOf(id));
  }

  /** Binds the id of a request; it has to be free. */
  add(message: RequestMessage, arrival: Arrival): ClientRequest {
    const request: ClientRequest = {
      id: detached(message.id),
      message,
      arrival,
      via: arrival.via ?? null,
      member: null,
      waiting: new Map(),
      over: false,
    };
    this.#requests.set(keyOf(request.id), request);
    return request;
  }

  /** False if it was over already. */
  end(request: ClientRequest): boolean {
    if (request.over) return false;
    request.over = true;
    this.#requests.delete(keyOf(request.id));
    return true;
  }

  /** Those that came in with this. */
  of(via: Carrier): readonly ClientRequest[] {
    return [...this.#requests.values()].filter((request) => request.via === via);
  }
}
