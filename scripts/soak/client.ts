// SPDX-License-Identifier: Apache-2.0
/** What both kinds of the soak's clients share: every message is searched for canaries of others, then judged. */
import { Call } from './call.ts';
import type { CallOptions } from './call.ts';
import type { Message } from './message.ts';
import { canariesIn, newCanary, pause } from './message.ts';
import type { Tally } from './tally.ts';

export interface ClientOptions {
  readonly url: URL;
  readonly tally: Tally;
  readonly number: number;
  /** Milliseconds between two of its calls, on average. */
  readonly paceMs: number;
}

export abstract class SoakClient {
  readonly canary: string = newCanary();
  protected readonly url: URL;
  protected readonly tally: Tally;
  protected stopped = false;
  readonly #paceMs: number;
  readonly #calls = new Map<number, Call>();
  #ids = 0;

  constructor({ url, tally, paceMs }: ClientOptions) {
    this.url = url;
    this.tally = tally;
    this.#paceMs = paceMs;
  }

  protected abstract get who(): string;
  /** Does one thing. */
  protected abstract act(): Promise<void>;
  /** Messages that are no answers and no progress. */
  protected abstract notified(message: Message): void;
  /** Opens what stays open. Resolves when the client can make calls. */
  abstract open(): Promise<void>;
  /** Ends what stays open. */
  abstract close(): Promise<void>;

  /** Acts until it is stopped; resolves when nothing of its own is under way. */
  async run(): Promise<void> {
    while (!this.stopped) {
      await pause(Math.random() * 2 * this.#paceMs);
      if (!this.stopped) await this.act();
    }
  }

  stop(): void {
    this.stopped = true;
  }

  protected nextId(): number {
    this.#ids += 1;
    return this.#ids;
  }

  protected violation(problem: string): void {
    this.tally.violation(`${this.who}: ${problem}`);
  }

  protected begin(options: CallOptions): Call {
    const call = new Call(this.tally, options);
    this.#calls.set(options.id, call);
    return call;
  }

  protected finish(call: Call, how: string): void {
    call.over(how);
    this.#calls.delete(call.options.id);
  }

  /** Reads one message. Null where it is not even one. */
  protected read(text: string): Message | null {
    for (const canary of canariesIn(text)) {
      if (canary !== this.canary) this.violation(`was sent what belongs to ${canary}: ${text.slice(0, 200)}`);
    }
    try {
      return JSON.parse(text);
    } catch {
      this.violation(`a message that is no JSON: ${text.slice(0, 80)}`);
      return null;
    }
  }

  /** Takes one message, which came in the response to a call or in none. */
  protected take(text: string, within: Call | null): void {
    const message = this.read(text);
    if (message === null) return;
    this.tally.count('messages');
    const { method, params, id } = message;
    if (method === 'notifications/progress') {
      const call = this.#calls.get(Number(params?.progressToken));
      if (call === undefined || call !== within) this.violation(`progress of ${params?.progressToken} in the response to ${within?.options.id ?? 'none'}`);
      call?.progress(params?.progress ?? 0);
    } else if (method !== undefined) {
      this.notified(message);
    } else {
      const call = this.#calls.get(Number(id));
      if (call === undefined || call !== within) this.violation(`an answer to ${id} in the response to ${within?.options.id ?? 'none'}: ${text.slice(0, 120)}`);
      else call.answer(message);
    }
  }
}

/** One of the names, by their weights. */
export function choose<Name extends string>(weights: Readonly<Record<Name, number>>): Name {
  const entries = Object.entries<number>(weights) as [Name, number][];
  let left = Math.random() * entries.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [name, weight] of entries) {
    left -= weight;
    if (left < 0) return name;
  }
  throw new RangeError('there is nothing to choose from');
}
