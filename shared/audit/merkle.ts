// SPDX-License-Identifier: Apache-2.0
/**
 * The Merkle tree of RFC 6962 over SHA-256: leaf and node hashes, the growing frontier, 256-wide tiles (C2SP tlog-tiles,
 * full tiles only) and the two proofs. Sizes are safe integers, so halves are taken by division, not by shifts.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { concatBytes, equalBytes } from '../bytes.ts';

const LEAF = Uint8Array.of(0);

/** Bytes of every hash. */
export const HASH_BYTES = 32;
/** Hashes of one full tile. */
export const TILE_WIDTH = 256;

/** SHA-256 of some bytes: the portable one, or a native one where it is given, which is three times as fast. */
export type Sha256 = (data: Uint8Array) => Uint8Array;

/** What is hashed is put together here: a verifier does it twice per row, and making room each time costs more than hashing. */
const scratch = new Uint8Array(4096);

/** SHA-256 of 0x00 and the row's body. */
export function leafHash(body: Uint8Array, hash: Sha256 = sha256): Uint8Array {
  if (body.length >= scratch.length) return hash(concatBytes(LEAF, body));
  scratch[0] = 0;
  scratch.set(body, 1);
  return hash(scratch.subarray(0, body.length + 1));
}

const node = scratch.subarray(0, 1 + 2 * HASH_BYTES);

/** SHA-256 of 0x01 and both children, of 32 bytes each. */
export function nodeHash(left: Uint8Array, right: Uint8Array, hash: Sha256 = sha256): Uint8Array {
  if (left.length !== HASH_BYTES || right.length !== HASH_BYTES) throw new RangeError('a child has 32 bytes');
  node[0] = 1;
  node.set(left, 1);
  node.set(right, 1 + HASH_BYTES);
  return hash(node);
}

/** Root of the empty tree. */
export function emptyRoot(): Uint8Array {
  return sha256(new Uint8Array(0));
}

interface Peak {
  /** Leaves below it, a power of two. */
  readonly leaves: number;
  readonly hash: Uint8Array;
}

/** The right edge of a growing tree: at most one complete subtree per power of two. */
export class Frontier {
  readonly #hash: Sha256;
  #peaks: Peak[] = [];
  #size = 0;

  constructor(hash: Sha256 = sha256) {
    this.#hash = hash;
  }

  get size(): number {
    return this.#size;
  }

  append(leaf: Uint8Array): void {
    this.appendSubtree(1, leaf);
  }

  /**
   * Adds a complete subtree at once.
   * @throws RangeError unless `leaves` is a power of two that divides the size so far
   */
  appendSubtree(leaves: number, hash: Uint8Array): void {
    if (!isPowerOfTwo(leaves) || this.#size % leaves !== 0) throw new RangeError('a subtree does not fit here');
    let peak: Peak = { leaves, hash };
    for (let last = this.#peaks.at(-1); last?.leaves === peak.leaves; last = this.#peaks.at(-1)) {
      this.#peaks.pop();
      peak = { leaves: last.leaves * 2, hash: nodeHash(last.hash, peak.hash, this.#hash) };
    }
    this.#peaks.push(peak);
    this.#size += leaves;
  }

  root(): Uint8Array {
    let root = this.#peaks.at(-1)?.hash;
    if (root === undefined) return emptyRoot();
    for (let at = this.#peaks.length - 2; at >= 0; at -= 1) {
      const left = this.#peaks[at];
      if (left !== undefined) root = nodeHash(left.hash, root, this.#hash);
    }
    return root;
  }
}

/** Root of the tree over all leaves. */
export function rootOf(leaves: Iterable<Uint8Array>, hash: Sha256 = sha256): Uint8Array {
  const frontier = new Frontier(hash);
  for (const leaf of leaves) frontier.append(leaf);
  return frontier.root();
}

/** A full tile: 256 hashes of one tile level, side by side. */
export interface Tile {
  readonly level: number;
  readonly n: number;
  readonly hashes: Uint8Array;
}

/** The hashes of a full tile, or undefined if its length is wrong. */
export function tileHashes(hashes: Uint8Array): Uint8Array[] | undefined {
  if (hashes.length !== TILE_WIDTH * HASH_BYTES) return undefined;
  return Array.from({ length: TILE_WIDTH }, (_, at) => hashes.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES));
}

/** Gathers leaves into full tiles, level by level. */
export class Tiler {
  readonly #hash: Sha256;
  readonly #levels: { open: Uint8Array[]; full: number }[] = [];

  constructor(hash: Sha256 = sha256) {
    this.#hash = hash;
  }

  /** Adds a leaf and gives the tiles that it completes, lowest level first. */
  append(leaf: Uint8Array): Tile[] {
    return this.appendAt(0, leaf);
  }

  /** Adds a hash to a level whose lower levels are empty: for resuming from stored tiles. */
  appendAt(from: number, hash: Uint8Array): Tile[] {
    const tiles: Tile[] = [];
    let carry: Uint8Array | undefined = hash;
    for (let level = from; carry !== undefined; level += 1) {
      const row = this.#level(level);
      row.open.push(carry);
      carry = undefined;
      if (row.open.length === TILE_WIDTH) {
        tiles.push({ level, n: row.full, hashes: concatBytes(...row.open) });
        carry = rootOf(row.open, this.#hash);
        row.open = [];
        row.full += 1;
      }
    }
    return tiles;
  }

  /** States that a level holds so many full tiles already. */
  skip(level: number, full: number): void {
    this.#level(level).full = full;
  }

  #level(level: number): { open: Uint8Array[]; full: number } {
    while (this.#levels.length <= level) this.#levels.push({ open: [], full: 0 });
    const row = this.#levels[level];
    if (row === undefined) throw new RangeError('no such level');
    return row;
  }
}

function isPowerOfTwo(size: number): boolean {
  let power = 1;
  while (power < size) power *= 2;
  return power === size;
}

/** Leaves of the left part: the largest power of two below the size. */
function split(size: number): number {
  let left = 1;
  while (left * 2 < size) left *= 2;
  return left;
}

/** Audit path of RFC 6962 2.1.1, leaf to root. Reads all leaves. */
export function inclusionProof(leaves: readonly Uint8Array[], index: number): Uint8Array[] {
  if (index < 0 || index >= leaves.length) throw new RangeError('no such leaf');
  if (leaves.length === 1) return [];
  const left = split(leaves.length);
  return index < left
    ? [...inclusionProof(leaves.slice(0, left), index), rootOf(leaves.slice(left))]
    : [...inclusionProof(leaves.slice(left), index - left), rootOf(leaves.slice(0, left))];
}

/** True if the proof leads from the leaf at that index to the root of the tree of that size; every element is used. */
export function verifyInclusion(leaf: Uint8Array, index: number, size: number, proof: readonly Uint8Array[], root: Uint8Array): boolean {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size || leaf.length !== HASH_BYTES) return false;
  let at = index;
  let last = size - 1;
  let hash = leaf;
  for (const sibling of proof) {
    if (sibling.length !== HASH_BYTES || last === 0) return false;
    if (at % 2 === 1 || at === last) {
      hash = nodeHash(sibling, hash);
      while (at % 2 === 0 && at !== 0) {
        at /= 2;
        last = Math.floor(last / 2);
      }
    } else {
      hash = nodeHash(hash, sibling);
    }
    at = Math.floor(at / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && equalBytes(hash, root);
}

/** Consistency proof of RFC 6962 2.1.2 between the first `older` leaves and all of them. Reads all leaves. */
export function consistencyProof(leaves: readonly Uint8Array[], older: number): Uint8Array[] {
  if (older < 1 || older > leaves.length) throw new RangeError('no such older tree');
  return subproof(leaves, older, true);
}

function subproof(leaves: readonly Uint8Array[], older: number, whole: boolean): Uint8Array[] {
  if (older === leaves.length) return whole ? [] : [rootOf(leaves)];
  const left = split(leaves.length);
  return older <= left
    ? [...subproof(leaves.slice(0, left), older, whole), rootOf(leaves.slice(left))]
    : [...subproof(leaves.slice(left), older - left, false), rootOf(leaves.slice(0, left))];
}

/** One of the two trees that a consistency proof speaks of. */
export interface TreeHead {
  readonly size: number;
  readonly root: Uint8Array;
}

/** RFC 9162 2.1.4.2: true if the newer tree begins with the older one; every element of the proof is used. */
export function verifyConsistency(older: TreeHead, newer: TreeHead, proof: readonly Uint8Array[]): boolean {
  if (!Number.isSafeInteger(older.size) || !Number.isSafeInteger(newer.size) || older.size < 1 || older.size > newer.size) return false;
  if ([older.root, newer.root, ...proof].some((hash) => hash.length !== HASH_BYTES)) return false;
  if (older.size === newer.size) return proof.length === 0 && equalBytes(older.root, newer.root);
  const path = isPowerOfTwo(older.size) ? [older.root, ...proof] : [...proof];
  const first = path.shift();
  if (first === undefined) return false;
  let at = older.size - 1;
  let last = newer.size - 1;
  while (at % 2 === 1) {
    at = Math.floor(at / 2);
    last = Math.floor(last / 2);
  }
  let old = first;
  let grown = first;
  for (const hash of path) {
    if (last === 0) return false;
    if (at % 2 === 1 || at === last) {
      old = nodeHash(hash, old);
      grown = nodeHash(hash, grown);
      while (at % 2 === 0 && at !== 0) {
        at /= 2;
        last = Math.floor(last / 2);
      }
    } else {
      grown = nodeHash(grown, hash);
    }
    at = Math.floor(at / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && equalBytes(old, older.root) && equalBytes(grown, newer.root);
}
