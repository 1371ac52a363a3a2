// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { keyFromSeed, signMessage } from '../../../enclave/audit/key.ts';
import { proofName, sumsOf } from '../../../shared/audit/bundle-files.ts';
import { buildManifest, verifyBundle } from '../../../shared/audit/bundle.ts';
import { buildBody, genesisHash } from '../../../shared/audit/body.ts';
import { buildNote, cosignedMessage, keyIdOf, originOf, toVkey, verifySignature } from '../../../shared/audit/checkpoint.ts';
import { inclusionProof, leafHash, rootOf, verifyInclusion } from '../../../shared/audit/merkle.ts';
import { buildProof, parseProof, verifyProof } from '../../../shared/audit/proof.ts';
import { Tree } from '../../../shared/audit/tree.ts';
import { fromHex, toHex, utf8 } from '../../../shared/bytes.ts';
import { sha256 } from '@noble/hashes/sha2.js';

const LEAVES = Array.from({ length: 600 }, (_, at) => leafHash(utf8(`row ${at}`)));
/** Trees of the property tests; the sceptic's 10,000 take a minute. */
const ROUNDS = Number(process.env['BASTION_ROUNDS'] ?? 60);

test('a tree in memory has the root and the paths of the definition, for every leaf', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 140 }), fc.nat(459), (size, from) => {
      const leaves = LEAVES.slice(from, from + size);
      const tree = new Tree(leaves);
      assert.equal(toHex(tree.root()), toHex(rootOf(leaves)));
      for (const index of [0, size >> 1, size - 1]) assert.deepEqual(tree.inclusion(index), inclusionProof(leaves, index));
    }),
    { numRuns: ROUNDS },
  );
  assert.throws(() => new Tree([]).root(), RangeError);
  for (const index of [-1, 3, 0.5, Number.NaN]) assert.throws(() => new Tree(LEAVES.slice(0, 3)).inclusion(index), RangeError);
});

test('no path verifies with any element changed, left out, added or moved', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 200 }), fc.nat(), fc.nat(), fc.nat(255), (size, pick, spot, byte) => {
      const tree = new Tree(LEAVES.slice(0, size));
      const index = pick % size;
      const [leaf, root, path] = [LEAVES[index] ?? assert.fail(), tree.root(), tree.inclusion(index)];
      assert(verifyInclusion(leaf, index, size, path, root));
      const at = spot % path.length;
      const hash = path[at] ?? assert.fail();
      const changed = hash.with(spot % 32, (hash[spot % 32] ?? 0) ^ (byte === 0 ? 1 : byte));
      for (const wrong of [path.with(at, changed), path.toSpliced(at, 1), path.toSpliced(at, 0, hash), [...path, root]]) assert(!verifyInclusion(leaf, index, size, wrong, root));
      assert(!verifyInclusion(leaf, (index + 1) % size, size, path, root));
    }),
    { numRuns: ROUNDS },
  );
});

const KEY = keyFromSeed(new Uint8Array(32).fill(7), 'file');
const LOG = '000102030405060708090a0b0c0d0e0f';
const ORIGIN = originOf(LOG, 1);

/** Seven rows of a log, its tree and its checkpoint. */
function smallLog(origin = ORIGIN, broken = -1): { bodies: Uint8Array[]; tree: Tree; note: string } {
  const bodies: Uint8Array[] = [];
  let prev = toHex(genesisHash(fromHex(LOG) ?? assert.fail()));
  for (let idx = 0; idx < 7; idx += 1) {
    if (idx === broken) prev = '00'.repeat(32);
    const body = utf8(buildBody({ log: LOG, epoch: 1, idx, prev }, { kind: 'close', session: 's', reason: `r${idx}` }, { wall: idx, mono: idx }, null));
    prev = toHex(leafHash(body));
    bodies.push(body);
  }
  const tree = new Tree(bodies.map((body) => leafHash(body)));
  const checkpoint = { origin, size: 7, root: tree.root(), timestamp: 5 };
  const note = buildNote({ ...checkpoint, keyId: keyIdOf(origin, KEY.publicKey), signature: signMessage(KEY.privateKey, cosignedMessage(checkpoint)) });
  return { bodies, tree, note };
}

const { bodies, tree, note } = smallLog();
const CHECKS = { publicKey: KEY.publicKey, verify: verifySignature, sha256 };
const bodyOf = (idx: number): Uint8Array => bodies[idx] ?? assert.fail();

test('a proof survives its file, with and without its row', () => {
  for (const [index, body] of bodies.entries()) {
    for (const held of [body, null]) {
      const proof = { index, path: tree.inclusion(index), body: held, note };
      const read = parseProof(buildProof(proof)) ?? assert.fail();
      assert.deepEqual({ ...read, body: read.body === null ? null : new Uint8Array(read.body) }, proof);
    }
  }
  const text = buildProof({ index: 4, path: tree.inclusion(4), body: null, note });
  assert.deepEqual(text.split('\n').slice(0, 2), ['c2sp.org/tlog-proof@v1', 'index 4']);
  assert(text.endsWith(`\n\n${note}`));
});

test('a proof verifies for its row, and the verdict says what was signed', () => {
  const verdict = verifyProof({ index: 4, path: tree.inclusion(4), body: null, note }, bodyOf(4), CHECKS);
  assert(verdict.ok);
  assert.deepEqual([verdict.row.idx, verdict.origin, verdict.size, verdict.signedAt, verdict.key], [4, ORIGIN, 7, 5, KEY.fingerprint]);
});

test('a proof of anything else is refused with its code', () => {
  const path = tree.inclusion(4);
  const other = keyFromSeed(new Uint8Array(32).fill(8), 'file');
  const foreign = smallLog('localhost/mcp-bastion/ffffffffffffffffffffffffffffffff/1');
  const cases: [string, Parameters<typeof verifyProof>, string][] = [
    ['another row', [{ index: 4, path, body: null, note }, bodyOf(3), CHECKS], 'ROW_FIELD_MISMATCH'],
    ['another index', [{ index: 3, path, body: null, note }, bodyOf(4), CHECKS], 'ROW_FIELD_MISMATCH'],
    ['no row at all', [{ index: 4, path, body: null, note }, utf8('{}'), CHECKS], 'ROW_BODY_NONCANONICAL'],
    ['a short path', [{ index: 4, path: path.slice(1), body: null, note }, bodyOf(4), CHECKS], 'PROOF_INVALID'],
    ['a long path', [{ index: 4, path: [...path, tree.root()], body: null, note }, bodyOf(4), CHECKS], 'PROOF_INVALID'],
    ['another key', [{ index: 4, path, body: null, note }, bodyOf(4), { ...CHECKS, publicKey: other.publicKey }], 'SIG_MISSING'],
    ['a checkpoint of another log', [{ index: 4, path, body: null, note: foreign.note }, bodyOf(4), CHECKS], 'ROW_FIELD_MISMATCH'],
    ['a larger size', [{ index: 4, path, body: null, note: note.replace('\n7\n', '\n8\n') }, bodyOf(4), CHECKS], 'SIG_INVALID'],
    ['no note', [{ index: 4, path, body: null, note: 'hello' }, bodyOf(4), CHECKS], 'PROOF_INVALID'],
  ];
  for (const [what, args, code] of cases) {
    const verdict = verifyProof(...args);
    assert(!verdict.ok, what);
    assert.equal(verdict.code, code, what);
  }
});

test('a proof in any other form is refused', () => {
  const text = buildProof({ index: 4, path: tree.inclusion(4), body: bodyOf(4), note });
  const wrong: [string, string][] = [
    ['another version', text.replace('@v1', '@v2')],
    ['no index', text.replace('index 4\n', '')],
    ['a leading zero', text.replace('index 4', 'index 04')],
    ['an unsafe index', text.replace('index 4', 'index 9007199254740993')],
    ['a negative index', text.replace('index 4', 'index -4')],
    ['two extra lines', text.replace('extra ', 'extra AAAA\nextra ')],
    ['base64 that is not', text.replace('extra ', 'extra !')],
    ['carriage returns', text.replaceAll('\n', '\r\n')],
    ['too many hashes', text.replace('index 4\n', `index 4\n${`${'A'.repeat(43)}=\n`.repeat(54)}`)],
    ['a short hash', text.replace('index 4\n', 'index 4\nAAAA\n')],
    ['nothing', ''],
    ['no checkpoint', text.slice(0, text.indexOf('\n\n'))],
    ['too long', text + 'x'.repeat(300_000)],
  ];
  for (const [what, proof] of wrong) assert.equal(parseProof(proof), undefined, what);
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.string({ minLength: 1, maxLength: 1 }), (at, char) => {
      const changed = text.slice(0, at) + char + text.slice(at + 1);
      const proof = parseProof(changed);
      // What still has the form of a proof either is the same or proves nothing.
      if (proof === undefined || changed === text) return;
      assert.equal(verifyProof(proof, proof.body ?? new Uint8Array(0), CHECKS).ok, false, `character ${at}`);
    }),
    { numRuns: ROUNDS * 2 },
  );
});

test('a bundle whose rows do not name each other is refused, though their own key signed them', () => {
  for (const broken of [-1, 4]) {
    const small = smallLog(ORIGIN, broken);
    const files = new Map<string, Uint8Array>([
      ['bundle.json', utf8(buildManifest({ origin: ORIGIN, first: 0, last: 6, size: 7 }))],
      ['rows.jsonl', utf8(small.bodies.map((body) => `${new TextDecoder().decode(body)}\n`).join(''))],
      ['checkpoint.txt', utf8(small.note)],
      ['key.vkey', utf8(`${toVkey(ORIGIN, KEY.publicKey)}\n`)],
    ]);
    for (let index = 0; index < 7; index += 1) files.set(proofName(index), utf8(buildProof({ index, path: small.tree.inclusion(index), body: null, note: small.note })));
    files.set('SHA256SUMS', utf8(sumsOf(files)));
    const report = verifyBundle(files, { trust: new Map([[LOG, new Set([KEY.fingerprint])]]), verify: verifySignature, sha256 });
    assert.deepEqual(report.findings.map(({ code, at }) => [code, at]), broken === -1 ? [] : [['PREV_MISMATCH', 4]]);
  }
});
