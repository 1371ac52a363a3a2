// SPDX-License-Identifier: Apache-2.0
/**
 * One request to one of several servers whose answer does not go straight to the client. It stands where a client's
 * request has the HTTP exchange that it came in with.
 */
import type { JsonObject } from '../../shared/json/value.ts';
import { isJsonObject } from '../../shared/json/value.ts';
import type { About, Carrier } from '../exchange/parts.ts';
import type { Refuse } from '../exchange/verdict.ts';

/** What became of it. */
export type Reply =
  | { readonly kind: 'result'; readonly result: JsonObject }
  /** The server's error, or a denial; the exchange has recorded it. */
  | { readonly kind: 'error'; readonly error: JsonObject; readonly status: number | null }
  /** There is no answer; nothing says so in the log yet. */
  | { readonly kind: 'failed'; readonly refusal: Refuse };

/** Takes what comes with the request before its answer. */
export type Heard = (text: string, about: About) => Promise<void>;

export class Ask {
  /** What the client's request came in with that this is asked for; null where the gateway asks by itself. */
  readonly client: Carrier | null;
  readonly answered: Promise<Reply>;
  readonly #heard: Heard;
  #resolve: (reply: Reply) => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;
  #settled = false;

  constructor(client: Carrier | null, heard: Heard) {
    this.client = client;
    this.#heard = heard;
    this.answered = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  get settled(): boolean {
    return this.#settled;
  }

  settle(reply: Reply): void {
    this.#settled = true;
    this.#resolve(reply);
  }

  /** An error that is no expected outcome. */
  fail(error: unknown): void {
    this.#settled = true;
    this.#reject(error);
  }

  /** Takes what the exchange sends to the client. */
  take(text: string, about: About): Promise<void> {
    if (about.kind !== 'answer') return this.#heard(text, { ...about, via: this.client });
    const { result, error } = about.value;
    if (isJsonObject(result)) this.settle({ kind: 'result', result });
    else if (isJsonObject(error)) this.settle({ kind: 'error', error, status: about.status });
    return Promise.resolve();
  }
}
