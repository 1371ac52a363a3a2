// SPDX-License-Identifier: Apache-2.0
/** The pins of one server as the data path sees them; where they are kept is the composition root's choice. */
import type { PinKind } from './item.ts';
import type { JudgedItem, Pin, ServerPins } from './judge.ts';

/** A pin for something that has none yet. */
export interface FreshPin {
  readonly kind: PinKind;
  readonly name: string;
  readonly pin: Pin;
}

/** A change of the pins that stands in no log yet: a person, or another gateway, made it. */
export interface PinChange {
  readonly kind: PinKind;
  readonly name: string;
  readonly change: 'new' | 'accepted' | 'rejected' | 'removed';
  /** SHA-256, hex: of what is pinned now, of what was refused, or of what is pinned no more. */
  readonly digest: string;
  /** Digest of the pin before; null where there was none. */
  readonly was: string | null;
}

/** What was judged of one listing or answer. */
export interface Seen {
  readonly items: readonly JudgedItem[];
  /** ISO time. */
  readonly at: string;
}

export interface PinBook {
  /** Another text as soon as other pins are in force. Cheap: asked before every call. Rejects as `read` does. */
  version(): Promise<string>;
  /** The pins that are in force now. Rejects with Unavailable (PIN_STORE) if they cannot be read. */
  read(): Promise<ServerPins>;
  /** Adds pins for items that have none; a pin that is there already stays. Rejects with Unavailable (PIN_STORE). */
  add(pins: readonly FreshPin[]): Promise<void>;
  /** Has each change recorded that has no row yet; a change whose row fails is offered again. */
  recordChanges(record: (change: PinChange) => Promise<void>): Promise<void>;
  /** Keeps for people what was judged and what waits for them. Resolves to what went wrong, if anything did. */
  remember(seen: Seen): Promise<string | null>;
}

/** Pins that are kept nowhere: for pinning that is off. */
export function emptyPinBook(): PinBook {
  return {
    version: () => Promise.resolve(''),
    read: () => Promise.resolve(new Map()),
    add: () => Promise.resolve(),
    recordChanges: () => Promise.resolve(),
    remember: () => Promise.resolve(null),
  };
}
