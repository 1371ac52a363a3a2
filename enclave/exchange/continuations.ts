// SPDX-License-Identifier: Apache-2.0
/**
 * Calls that go on after the server asked for input (2026-07-28). A call that was approved once may be tried again with
 * the state that its own answer carried: once per state, so that one approval never becomes two executions.
 */
import { sha256Hex } from '../../shared/digest.ts';
import { CONTINUATIONS_MAX } from '../../shared/limits.ts';

export class Continuations {
  /** Digests of states that were given out in answer to approved calls, oldest first. */
  readonly #open = new Set<string>();

  /** @param state as the client is given it */
  add(state: string): void {
    this.#open.add(sha256Hex(state));
    const oldest = this.#open.keys().next();
    if (this.#open.size > CONTINUATIONS_MAX && oldest.done !== true) this.#open.delete(oldest.value);
  }

  /** What was approved under another policy has to be approved anew. */
  clear(): void {
    this.#open.clear();
  }

  /** True for a state of an approved call, the first time. */
  take(state: string): boolean {
    return this.#open.delete(sha256Hex(state));
  }
}
