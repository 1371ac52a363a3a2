// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  consistencyProof,
  Frontier,
  inclusionProof,
  leafHash,
  rootOf,
  TILE_WIDTH,
  tileHashes,
  Tiler,
  verifyConsistency,
  verifyInclusion,
} from '../../../shared/audit/merkle.ts';
import type { Tile } from '../../../shared/audit/merkle.ts';
import { toHex } from '../../../shared/bytes.ts';

function sha256(...parts: Uint8Array[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** The definition of RFC 6962 2.1, word for word. */
function definition(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return sha256();
  const [only] = leaves;
  if (leaves.length === 1 && only !== undefined) return only;
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return sha256(Buffer.of(1), definition(leaves.slice(0, k)), definition(leaves.slice(k)));
}

const LEAVES = Array.from({ length: 700 }, (_, at) => leafHash(Buffer.from(`row ${at}`)));

test('the root over seven one-byte rows is this hash', () => {
  const leaves = Array.from({ length: 7 }, (_, at) => leafHash(Uint8Array.of(at)));
  // Made with Python's hashlib.
  assert.equal(toHex(rootOf(leaves)), '3560191803028444b232018ac047fdb561c09c23a7a6876c85e08b5e4d48e9f3');
  assert.equal(toHex(rootOf([])), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
});

test('the frontier has the root of the definition at every size', () => {
  const frontier = new Frontier();
  for (let size = 0; size < 140; size += 1) {
    assert.equal(toHex(frontier.root()), toHex(definition(LEAVES.slice(0, size))), String(size));
    assert.equal(frontier.size, size);
    frontier.append(LEAVES[size] ?? assert.fail());
  }
});

test('a frontier takes a whole subtree only where it fits', () => {
  const frontier = new Frontier();
  frontier.appendSubtree(4, definition(LEAVES.slice(0, 4)));
  assert.throws(() => frontier.appendSubtree(8, new Uint8Array(32)), RangeError);
  assert.throws(() => frontier.appendSubtree(3, new Uint8Array(32)), RangeError);
  frontier.append(LEAVES[4] ?? assert.fail());
  assert.equal(toHex(frontier.root()), toHex(definition(LEAVES.slice(0, 5))));
});

test('tiles hold 256 hashes each, and the next level holds their roots', () => {
  const tiler = new Tiler();
  const tiles: Tile[] = [];
  for (let at = 0; at < TILE_WIDTH * TILE_WIDTH; at += 1) tiles.push(...tiler.append(LEAVES[at % LEAVES.length] ?? assert.fail()));
  assert.equal(tiles.length, 257);
  assert.deepEqual([tiles[0]?.level, tiles[0]?.n, tiles[255]?.n, tiles[256]?.level, tiles[256]?.n], [0, 0, 255, 1, 0]);
  assert.deepEqual(tiles[0]?.hashes, new Uint8Array(Buffer.concat(LEAVES.slice(0, 256))));
  const upper = tileHashes(tiles[256]?.hashes ?? assert.fail()) ?? assert.fail();
  assert.equal(toHex(upper[0] ?? assert.fail()), toHex(definition(LEAVES.slice(0, 256))));
  assert.equal(tileHashes(new Uint8Array(31)), undefined);
});

test('a tiler that resumes goes on like one that never stopped', () => {
  const whole = new Tiler();
  const resumed = new Tiler();
  for (const leaf of LEAVES.slice(0, 512)) whole.append(leaf);
  for (const n of [0, 1]) resumed.appendAt(1, definition(LEAVES.slice(n * 256, (n + 1) * 256)));
  resumed.skip(0, 2);
  for (let at = 512; at < 1100; at += 1) {
    const leaf = LEAVES[at % LEAVES.length] ?? assert.fail();
    assert.deepEqual(resumed.append(leaf), whole.append(leaf));
  }
});

test('every inclusion proof verifies, and none with anything changed', () => {
  for (const size of [1, 2, 3, 7, 8, 33]) {
    const leaves = LEAVES.slice(0, size);
    const root = rootOf(leaves);
    for (const [index, leaf] of leaves.entries()) {
      const proof = inclusionProof(leaves, index);
      assert(verifyInclusion(leaf, index, size, proof, root));
      assert(!verifyInclusion(leaf, index + 1, size, proof, root));
      assert(!verifyInclusion(leaf, index, size, [...proof, root], root));
      if (size > 1) assert(!verifyInclusion(leaf, index, size, proof.slice(1), root));
      for (const [at, hash] of proof.entries()) {
        const flipped = Uint8Array.from(hash, (byte, i) => (i === 31 ? byte ^ 1 : byte));
        assert(!verifyInclusion(leaf, index, size, proof.with(at, flipped), root));
      }
    }
  }
});

test('every consistency proof verifies, and none with anything changed', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 70 }), fc.integer({ min: 0, max: 70 }), (older, more) => {
      const newer = older + more;
      const leaves = LEAVES.slice(0, newer);
      const from = { size: older, root: rootOf(leaves.slice(0, older)) };
      const to = { size: newer, root: rootOf(leaves) };
      const proof = consistencyProof(leaves, older);
      assert(verifyConsistency(from, to, proof));
      assert(!verifyConsistency(from, to, [...proof, to.root]));
      if (proof.length > 0) assert(!verifyConsistency(from, to, proof.slice(0, -1)));
      if (more > 0) assert(!verifyConsistency({ ...from, root: to.root }, to, proof));
      if (more > 0) assert(!verifyConsistency(from, { ...to, root: from.root }, proof));
      for (const [at, hash] of proof.entries()) {
        assert(!verifyConsistency(from, to, proof.with(at, Uint8Array.from(hash, (byte) => byte ^ 0x80))));
      }
    }),
    { numRuns: 150 },
  );
});

test('proofs for leaves or trees that do not exist are refused', () => {
  assert.throws(() => inclusionProof(LEAVES.slice(0, 3), 3), RangeError);
  assert.throws(() => consistencyProof(LEAVES.slice(0, 3), 4), RangeError);
  assert(!verifyInclusion(new Uint8Array(32), -1, 1, [], new Uint8Array(32)));
  assert(!verifyConsistency({ size: 0, root: rootOf([]) }, { size: 1, root: rootOf(LEAVES.slice(0, 1)) }, []));
});
