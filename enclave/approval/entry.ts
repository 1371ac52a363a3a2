// SPDX-License-Identifier: Apache-2.0
/**
 * One ticket at the desk: its state, who has approved it, who waits for it. Steps of one ticket are taken one after the
 * other, so that each sees what the one before has recorded; what may follow what stands in one table.
 */
import type { Ticket } from '../../shared/approval/ticket.ts';
import type { ApproverKey } from '../policy/types.ts';

/** `opening`: its first row is not durable yet; nobody but its own call knows of it. */
export type TicketState = 'opening' | 'pending' | 'approved' | 'redeemed' | 'denied' | 'expired' | 'void';

const NEXT: Readonly<Record<TicketState, readonly TicketState[]>> = {
  opening: ['pending'],
  pending: ['approved', 'denied', 'expired', 'void'],
  // An approver may think better of it as long as the call has not gone on.
  approved: ['redeemed', 'denied', 'expired', 'void'],
  redeemed: [],
  denied: [],
  expired: [],
  void: [],
};

/** Calls back after so many milliseconds, unless the function that it gives is called before. */
export type After = (ms: number, act: () => void) => () => void;

export class Entry {
  readonly id: string;
  /** What is held: one ticket for one of it. */
  readonly key: string;
  readonly ticket: Ticket;
  /** What approvers sign. */
  readonly canonical: Uint8Array;
  /** Those who may decide, by name; `known` are all of the policy. */
  readonly approvers: ReadonlyMap<string, ApproverKey>;
  readonly known: ReadonlyMap<string, ApproverKey>;
  /** Milliseconds for which an approval can be used. */
  readonly redeemMs: number;
  /** Names of those who approved, by the fingerprint of the key: two names with one key are one approver. */
  readonly given: Map<string, string> = new Map();
  denial: { readonly approver: string; readonly reason: string } | null = null;
  /** Resolves when the first row is durable. */
  opened: Promise<void> = Promise.resolve();
  /** When it ends by itself, by the steady clock and by the wall clock, in milliseconds. */
  deadline: { readonly steady: number; readonly wall: number };
  /** True once nothing can happen to it but its end. */
  barred = false;
  /** Ends the timer of the deadline. */
  disarm: () => void = () => undefined;
  #state: TicketState = 'opening';
  #tail: Promise<unknown> = Promise.resolve();
  readonly #waiters: Set<() => void> = new Set();

  constructor(made: Pick<Entry, 'id' | 'key' | 'ticket' | 'canonical' | 'approvers' | 'known' | 'redeemMs' | 'deadline'>) {
    this.id = made.id;
    this.key = made.key;
    this.ticket = made.ticket;
    this.canonical = made.canonical;
    this.approvers = made.approvers;
    this.known = made.known;
    this.redeemMs = made.redeemMs;
    this.deadline = made.deadline;
  }

  get state(): TicketState {
    return this.#state;
  }

  /** True while it can still be decided or used. */
  get isOpen(): boolean {
    return this.#state === 'pending' || this.#state === 'approved';
  }

  /** @throws RangeError for a step that the table does not have */
  move(state: TicketState): void {
    if (!NEXT[this.#state].includes(state)) throw new RangeError(`a ticket does not go from ${this.#state} to ${state}`);
    this.#state = state;
    this.wake();
  }

  /** Runs a step when those before it are done. */
  step<T>(act: () => Promise<T>): Promise<T> {
    const done = this.#tail.then(act);
    this.#tail = done.catch(() => undefined);
    return done;
  }

  wake(): void {
    for (const waiter of this.#waiters) waiter();
  }

  /** Resolves when something changed, the time is over, or the signal says so. */
  async change(ms: number, signal: AbortSignal, after: After): Promise<void> {
    let wake: () => void = () => undefined;
    const woken = new Promise<void>((resolve) => {
      wake = resolve;
    });
    const cancel = after(ms, wake);
    this.#waiters.add(wake);
    signal.addEventListener('abort', wake);
    await woken;
    signal.removeEventListener('abort', wake);
    this.#waiters.delete(wake);
    cancel();
  }
}
