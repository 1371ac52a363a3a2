// SPDX-License-Identifier: Apache-2.0
/** What each of several servers said is its own: URIs, tasks. The keys are attacker-controlled, and bounded for each server. */
import { ROUTE_LENGTH_MAX, ROUTES_PER_SERVER_MAX } from '../../shared/limits.ts';
import { detachedText } from '../exchange/conversation.ts';

interface Claimed {
  readonly now: Set<string>;
  /** Of the listing before, while the new one is not complete. */
  readonly before: ReadonlySet<string>;
}

export class Claims {
  readonly #claimed = new Map<string, Claimed>();

  /** A server lists anew. */
  begin(server: string): void {
    this.#claimed.set(server, { now: new Set(), before: this.#claimed.get(server)?.now ?? new Set() });
  }

  add(server: string, key: string): void {
    if (key.length > ROUTE_LENGTH_MAX) return;
    const claimed = this.#claimed.get(server) ?? { now: new Set(), before: new Set() };
    this.#claimed.set(server, claimed);
    // Taken out first, so that what is used stays among the newest.
    claimed.now.delete(key);
    claimed.now.add(detachedText(key));
    const oldest = claimed.now.keys().next();
    if (claimed.now.size > ROUTES_PER_SERVER_MAX && oldest.done !== true) claimed.now.delete(oldest.value);
  }

  /** Every server that claims a key now; where none does, those that did before. */
  owners(key: string): readonly string[] {
    const now = [...this.#claimed].filter(([, claimed]) => claimed.now.has(key));
    const found = now.length > 0 ? now : [...this.#claimed].filter(([, claimed]) => claimed.before.has(key));
    return found.map(([server]) => server);
  }
}
