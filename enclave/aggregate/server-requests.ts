// SPDX-License-Identifier: Apache-2.0
/**
 * Requests of the servers' to the client (revisions up to 2025-11-25). The ids and progress tokens of two servers may be
 * the same, so each request gets a number of its own that serves as both.
 */
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { isJsonObject, withMember } from '../../shared/json/value.ts';
import type { RequestId } from '../../shared/jsonrpc/id.ts';
import { isRequestId } from '../../shared/jsonrpc/id.ts';
import { detached } from '../exchange/conversation.ts';
import type { Member } from './member.ts';

export interface ServerRequest {
  readonly number: number;
  readonly member: Member;
  /** The server's own names. */
  readonly id: RequestId;
  readonly token: RequestId | null;
}

export class ServerRequests {
  /** Each server's exchange bounds how many of its requests are under way. */
  readonly #requests = new Map<number, ServerRequest>();
  #numbers = 0;

  /** The request as the client sees it. */
  admit(member: Member, id: RequestId, value: JsonObject): { readonly number: number; readonly value: JsonObject } {
    this.#numbers += 1;
    const number = this.#numbers;
    const params = value['params'];
    const meta = isJsonObject(params) ? params['_meta'] : undefined;
    const token = isJsonObject(meta) ? meta['progressToken'] : undefined;
    this.#requests.set(number, { number, member, id: detached(id), token: isRequestId(token) ? detached(token) : null });
    const renamed = withMember(value, 'id', number);
    if (!isJsonObject(params) || !isJsonObject(meta) || token === undefined) return { number, value: renamed };
    return { number, value: withMember(renamed, 'params', withMember(params, '_meta', withMember(meta, 'progressToken', number))) };
  }

  /** The request that the client names by its number. */
  get(number: JsonValue | undefined): ServerRequest | undefined {
    return typeof number === 'number' ? this.#requests.get(number) : undefined;
  }

  /** The request that its server names by its own id. */
  find(member: Member, id: JsonValue | undefined): ServerRequest | undefined {
    for (const request of this.#requests.values()) if (request.member === member && request.id === id) return request;
    return undefined;
  }

  end(request: ServerRequest): void {
    this.#requests.delete(request.number);
  }

  /** Nobody waits for the answers any more. */
  forget(member: Member): void {
    for (const request of this.#requests.values()) if (request.member === member) this.end(request);
  }
}
