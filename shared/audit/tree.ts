// SPDX-License-Identifier: Apache-2.0
/** A whole tree in memory, for proofs of many of its leaves: 64 bytes per leaf. */
import type { Sha256 } from './merkle.ts';
import { nodeHash } from './merkle.ts';
import { sha256 } from '@noble/hashes/sha2.js';

export class Tree {
  readonly #hash: Sha256;
  /** Complete subtrees: of one leaf, of two, of four, and so on, from left to right. */
  readonly #levels: Uint8Array[][];
  readonly size: number;

  constructor(leaves: readonly Uint8Array[], hash: Sha256 = sha256) {
    this.#hash = hash;
    this.size = leaves.length;
    this.#levels = [[...leaves]];
    for (let below = this.#levels[0] ?? []; below.length > 1; ) {
      const level: Uint8Array[] = [];
      for (let at = 0; at + 1 < below.length; at += 2) level.push(this.#node(below[at], below[at + 1]));
      this.#levels.push(level);
      below = level;
    }
  }

  /** @throws RangeError for an empty tree */
  root(): Uint8Array {
    return this.#range(0, this.size);
  }

  /** Audit path of RFC 6962 2.1.1, leaf to root. @throws RangeError if there is no such leaf */
  inclusion(index: number): Uint8Array[] {
    if (!Number.isSafeInteger(index) || index < 0 || index >= this.size) throw new RangeError('no such leaf');
    const path: Uint8Array[] = [];
    let [from, to] = [0, this.size];
    while (to - from > 1) {
      const middle = from + split(to - from);
      if (index < middle) {
        path.push(this.#range(middle, to));
        to = middle;
      } else {
        path.push(this.#range(from, middle));
        from = middle;
      }
    }
    return path.reverse();
  }

  /** Root over some leaves, whose number of a power of two divides where they begin, or which end the tree. */
  #range(from: number, to: number): Uint8Array {
    let [width, level] = [1, 0];
    while (width < to - from) [width, level] = [width * 2, level + 1];
    const complete = width === to - from ? this.#levels[level]?.[from / width] : undefined;
    if (complete !== undefined) return complete;
    if (to - from < 2) throw new RangeError('there is no leaf');
    const middle = from + split(to - from);
    return nodeHash(this.#range(from, middle), this.#range(middle, to), this.#hash);
  }

  #node(left: Uint8Array | undefined, right: Uint8Array | undefined): Uint8Array {
    if (left === undefined || right === undefined) throw new RangeError('a node has two children');
    return nodeHash(left, right, this.#hash);
  }
}

/** The largest power of two below a size of two or more. */
function split(size: number): number {
  let left = 1;
  while (left * 2 < size) left *= 2;
  return left;
}
