// SPDX-License-Identifier: Apache-2.0
/**
 * One listener per signal, however many exchanges end with it: a signal that thousands of exchanges share would
 * otherwise hold thousands of listeners, and keep what they hold.
 */

interface Waiting {
  readonly callbacks: Set<() => void>;
  readonly listener: () => void;
}

export class Aborts {
  readonly #signals = new WeakMap<AbortSignal, Waiting>();

  /** Calls back once when the signal aborts. What it gives takes that back. */
  add(signal: AbortSignal, callback: () => void): () => void {
    const waiting = this.#signals.get(signal) ?? this.#listen(signal);
    waiting.callbacks.add(callback);
    return () => {
      if (waiting.callbacks.delete(callback) && waiting.callbacks.size === 0) this.#forget(signal, waiting);
    };
  }

  #listen(signal: AbortSignal): Waiting {
    const callbacks = new Set<() => void>();
    const waiting: Waiting = {
      callbacks,
      listener: () => {
        this.#forget(signal, waiting);
        for (const callback of callbacks) callback();
      },
    };
    signal.addEventListener('abort', waiting.listener);
    this.#signals.set(signal, waiting);
    return waiting;
  }

  #forget(signal: AbortSignal, { listener }: Waiting): void {
    signal.removeEventListener('abort', listener);
    this.#signals.delete(signal);
  }
}
