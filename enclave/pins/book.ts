// SPDX-License-Identifier: Apache-2.0
/** The pins of one server as the data path sees them; where they are kept is the composition root's choice. */
import type { Pin } from './judge.ts';

export interface PinBook {
  /** The pins that are in force now. Rejects with Unavailable (PIN_STORE) if they cannot be read. */
  read(): Promise<ReadonlyMap<string, Pin>>;
  /** Adds pins for tools that have none; an entry that is there already stays. */
  add(pins: ReadonlyMap<string, Pin>): Promise<void>;
}

/** Pins that are kept nowhere: for pinning that is off. */
export function emptyPinBook(): PinBook {
  return {
    read: () => Promise.resolve(new Map()),
    add: () => Promise.resolve(),
  };
}
