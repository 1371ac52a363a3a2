// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { ml_dsa44 } from '@noble/post-quantum/ml-dsa.js';
import { createNativeVerify, keyFromSeed, signMessage } from '../../../enclave/audit/key.ts';
import { AnchorChain, anchorGenesis, anchorHash, buildAnchorLine, parseAnchorLine } from '../../../shared/audit/anchor.ts';
import {
  buildNote,
  cosignedMessage,
  fingerprintOf,
  fromSpki,
  keyIdOf,
  originOf,
  parseNote,
  parseVkey,
  signedByKey,
  toSpki,
  toVkey,
  verifyCheckpoint,
  verifySignature,
} from '../../../shared/audit/checkpoint.ts';
import { emptyRoot } from '../../../shared/audit/merkle.ts';
import { toHex } from '../../../shared/bytes.ts';

const SEED = Uint8Array.from({ length: 32 }, (_, at) => at);
const KEYS = ml_dsa44.keygen(SEED);
const NATIVE = keyFromSeed(SEED, 'file');
const ORIGIN = 'localhost/mcp-bastion/000102030405060708090a0b0c0d0e0f/1';
const CHECKPOINT = { origin: ORIGIN, size: 7, root: emptyRoot(), timestamp: 1_700_000_000 };
// Made with Python's struct and hashlib from the table of the format.
const MESSAGE =
  '737562747265652f76310a00386c6f63616c686f73742f6d63702d62617374696f6e2f30303031303230333034303530363037303830393061306230633064306530662f31' +
  '000000006553f100386c6f63616c686f73742f6d63702d62617374696f6e2f30303031303230333034303530363037303830393061306230633064306530662f31' +
  '00000000000000000000000000000007e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

const KEY_ID = keyIdOf(ORIGIN, KEYS.publicKey);
const SIGNED = { ...CHECKPOINT, keyId: KEY_ID, signature: ml_dsa44.sign(cosignedMessage(CHECKPOINT), KEYS.secretKey) };

test('the signed message is these bytes', () => {
  assert.equal(originOf('000102030405060708090a0b0c0d0e0f', 1), ORIGIN);
  assert.equal(toHex(cosignedMessage(CHECKPOINT)), MESSAGE);
  assert.equal(MESSAGE.length / 2, 70 + 2 * ORIGIN.length);
  assert.throws(() => cosignedMessage({ ...CHECKPOINT, origin: 'x'.repeat(256) }), RangeError);
  assert.throws(() => cosignedMessage({ ...CHECKPOINT, origin: '' }), RangeError);
  assert.throws(() => cosignedMessage({ ...CHECKPOINT, root: new Uint8Array(31) }), RangeError);
});

test('key id, fingerprint and vkey of the fixed seed are these', () => {
  // Made with Python's hashlib from the key that OpenSSL derives.
  assert.equal(toHex(KEY_ID), 'c7e14f9e');
  assert.equal(fingerprintOf(KEYS.publicKey), '837832708c5236d951581f1fddf2b79991b3424a0486d16da1ddad0fd69701be');
  assert.equal(createHash('sha256').update(toVkey(ORIGIN, KEYS.publicKey)).digest('hex'), 'd0dab2ab6d8823ba9358ae2dac0563f213b6fa5daeee4eafbd50f1dee3db6dc7');
});

test('the native and the portable implementation accept each other', () => {
  assert.deepEqual(NATIVE.publicKey, KEYS.publicKey);
  const message = cosignedMessage(CHECKPOINT);
  const native = createNativeVerify();
  for (const signature of [signMessage(NATIVE.privateKey, message), SIGNED.signature]) {
    for (const verify of [native, verifySignature]) {
      assert(verify(KEYS.publicKey, message, signature));
      assert(!verify(KEYS.publicKey, message.with(20, 0), signature));
      assert(!verify(KEYS.publicKey, message, signature.with(100, (signature[100] ?? 0) ^ 1)));
      assert(!verify(KEYS.publicKey, message, signature.subarray(1)));
      assert(!verify(KEYS.publicKey.subarray(1), message, signature));
    }
  }
  const withContext = ml_dsa44.sign(message, KEYS.secretKey, { context: Uint8Array.of(1) });
  assert(!verifySignature(KEYS.publicKey, message, withContext));
});

test('a key survives its SPKI and its vkey, and nothing else is taken for one', () => {
  const spki = toSpki(KEYS.publicKey);
  assert.equal(spki.length, 1334);
  assert.deepEqual(fromSpki(spki), KEYS.publicKey);
  assert.equal(fromSpki(spki.subarray(1)), undefined);
  assert.equal(fromSpki(spki.with(16, 0x12)), undefined);
  const vkey = toVkey(ORIGIN, KEYS.publicKey);
  assert.deepEqual(parseVkey(vkey), { kind: 'key', name: ORIGIN, publicKey: KEYS.publicKey });
  assert.equal(parseVkey(`${ORIGIN}+00000000+${vkey.split('+').slice(2).join('+')}`).kind, 'malformed');
  assert.equal(parseVkey(`a+00000000+${Buffer.concat([Buffer.of(1), Buffer.alloc(32)]).toString('base64')}`).kind, 'foreign');
  for (const bad of ['', 'a+b', vkey.slice(0, -1), `${vkey}=`, vkey.replace('localhost', 'local host'), 'x'.repeat(100_000)]) {
    assert.equal(parseVkey(bad).kind, 'malformed');
  }
});

test('a note survives, and its signature verifies', () => {
  const text = buildNote(SIGNED);
  assert(text.startsWith(`${ORIGIN}\n7\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n\u2014 ${ORIGIN} `));
  assert.equal(text.split(' ').at(-1)?.length, 3244 + 1);
  const note = parseNote(text) ?? assert.fail();
  const signed = signedByKey(note, KEYS.publicKey) ?? assert.fail();
  assert.deepEqual(signed, SIGNED);
  assert(verifyCheckpoint(signed, KEYS.publicKey));
  assert(!verifyCheckpoint({ ...signed, timestamp: 1 }, KEYS.publicKey));
  assert(!verifyCheckpoint({ ...signed, size: 8 }, KEYS.publicKey));
});

test('lines of other keys are passed over; two of its own, or none, are not a signature', () => {
  const text = buildNote(SIGNED);
  const own = `${text.split('\n')[4]}\n`;
  const other = `\u2014 witness.example ${Buffer.alloc(80, 1).toString('base64')}\n`;
  const signatureOf = (note: string): unknown => signedByKey(parseNote(note) ?? assert.fail(), KEYS.publicKey);
  assert.deepEqual(signatureOf(text + other), SIGNED);
  assert.equal(signatureOf(text + own), undefined);
  assert.equal(signatureOf(text.replace(own, other)), undefined);
});

test('a note in any other form is refused', () => {
  const text = buildNote(SIGNED);
  const [origin, size, root, , line] = text.split('\n');
  const wrong: [string, string][] = [
    ['no final newline', text.slice(0, -1)],
    ['an extension line', `${origin}\n${size}\n${root}\nextension\n\n${line}\n`],
    ['a leading zero', text.replace('\n7\n', '\n07\n')],
    ['a sign', text.replace('\n7\n', '\n+7\n')],
    ['an unsafe size', text.replace('\n7\n', '\n9007199254740993\n')],
    ['base64 with stray bits', text.replace('FU=\n', 'FV=\n')],
    ['a short root', text.replace(root ?? '', 'AAAA')],
    ['no signature', `${origin}\n${size}\n${root}\n\n`],
    ['a hyphen for the dash', text.replace('\u2014', '-')],
    ['a carriage return', text.replaceAll('\n', '\r\n')],
    ['an empty line at the end', `${text}\n`],
    ['seventeen signatures', text + `${line}\n`.repeat(16)],
    ['too long', text + '\u2014 a '.padEnd(70_000, 'A') + '\n'],
  ];
  for (const [what, note] of wrong) assert.equal(parseNote(note), undefined, what);
  assert.notEqual(parseNote(text + `${line}\n`.repeat(15)), undefined);
});

test('an anchor line survives, and no other form of it', () => {
  const line = buildAnchorLine({ n: 0, prev: anchorGenesis(ORIGIN), note: buildNote(SIGNED) });
  assert.equal(anchorGenesis(ORIGIN), 'aa1e0dff4140ae14833b17c6e4f6182475cfaae981e22ab8dbc7e17869093a9a');
  assert.deepEqual(parseAnchorLine(line), { n: 0, prev: anchorGenesis(ORIGIN), note: buildNote(SIGNED) });
  for (const wrong of [`${line} `, line.replace('"n":0', '"n":0,"x":1'), line.replace('"n":0', '"n":0.5'), '', '[]', 'null', `${line}${'x'.repeat(80_000)}`]) {
    assert.equal(parseAnchorLine(wrong), undefined);
  }
});

test('an anchor chain ends where a line does not name the one before', () => {
  const note = (size: number): string => buildNote({ ...SIGNED, size });
  const first = buildAnchorLine({ n: 0, prev: anchorGenesis(ORIGIN), note: note(1) });
  const second = buildAnchorLine({ n: 1, prev: anchorHash(first), note: note(5) });
  const third = buildAnchorLine({ n: 2, prev: anchorHash(second), note: note(4) });
  const walk = (lines: string[]): [number, number | undefined] => {
    const chain = new AnchorChain(lines, ORIGIN);
    while (chain.head !== undefined) chain.advance();
    return [chain.count, chain.brokenAt];
  };
  assert.deepEqual(walk([first, second]), [2, undefined]);
  assert.deepEqual(walk([]), [0, undefined]);
  assert.deepEqual(walk([second]), [0, 0]);
  assert.deepEqual(walk([first, first]), [1, 1]);
  assert.deepEqual(walk([first, second, third]), [2, 2], 'a size that goes back');
  assert.deepEqual(walk([first, `${second} `]), [1, 1]);
});
