// SPDX-License-Identifier: Apache-2.0
/** Pseudo-random numbers from a seed: the same numbers on every run. */

export interface Random {
  /** 0 up to but not including `below`. */
  below(below: number): number;
  /** 0 up to but not including 1. */
  unit(): number;
  pick<T>(list: readonly T[]): T;
}

/** Mulberry32: small, and good enough to shuffle. */
export function createRandom(seed: number): Random {
  let state = seed | 0;
  const unit = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const below = (limit: number): number => Math.floor(unit() * limit);
  return {
    below,
    unit,
    pick(list) {
      const picked = list[below(list.length)];
      if (picked === undefined) throw new RangeError('an empty list has nothing to pick');
      return picked;
    },
  };
}

/** In place, by Fisher and Yates. */
export function shuffle<T>(list: T[], random: Random): T[] {
  for (let last = list.length - 1; last > 0; last -= 1) {
    const other = random.below(last + 1);
    const [left, right] = [list[last], list[other]];
    if (left !== undefined && right !== undefined) {
      list[last] = right;
      list[other] = left;
    }
  }
  return list;
}

/** A number from a text, for splits by group. */
export function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0x85ebca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}
