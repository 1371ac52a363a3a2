// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { hash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { createIdentity, identityText, parseIdentity, parseReader, READER_PREFIX } from '../../../enclave/audit/reader-key.ts';
import { createSeal, openSealed } from '../../../enclave/audit/seal.ts';
import { fromBase64, toBase64 } from '../../../shared/audit/base64.ts';
import { payloadPreimage } from '../../../shared/audit/body.ts';
import { utf8 } from '../../../shared/bytes.ts';
import { READERS_MAX } from '../../../shared/limits.ts';

const PLACE = { log: 'ab'.repeat(16), epoch: 3, idx: 77 };
const [alice, bob, eve] = [createIdentity(), createIdentity(), createIdentity()];
const seal = createSeal([alice.reader, bob.reader]);
const text = utf8('{"secret":"CANARY"}');
const SALT = new Uint8Array(32).fill(5);
const PC = hash('sha256', payloadPreimage(SALT, text), 'hex');

test('each reader opens what was sealed, and it is what the row commits to', () => {
  const sealed = seal(PLACE, SALT, 'application/json', text);
  for (const identity of [alice, bob]) assert.deepEqual(openSealed(identity, PLACE, sealed, PC), { kind: 'open', media: 'application/json', data: text });
  assert.deepEqual(openSealed(eve, PLACE, sealed, PC), { kind: 'foreign' });
  assert.deepEqual(openSealed(alice, PLACE, sealed, '00'.repeat(32)), { kind: 'mismatch' });
  const stored = Buffer.concat([sealed.salt, sealed.data]);
  assert(!stored.includes('CANARY') && !stored.includes(Buffer.from(SALT)), 'neither the content nor the salt of its commitment');
});

test('what is sealed belongs to its row, its epoch and its log', () => {
  const sealed = seal(PLACE, SALT, 'text/plain', text);
  for (const other of [{ ...PLACE, idx: 78 }, { ...PLACE, epoch: 4 }, { ...PLACE, log: 'ac'.repeat(16) }]) {
    assert.deepEqual(openSealed(alice, other, sealed, PC), { kind: 'damaged' });
  }
});

test('two sealings of the same have nothing in common but their head, and no start opens with the key of another', () => {
  const [one, two] = [seal(PLACE, SALT, 'text/plain', text), seal(PLACE, SALT, 'text/plain', text)];
  assert.notDeepEqual(one.salt, two.salt);
  const body = (data: Uint8Array): Uint8Array => data.subarray(data.length - text.length - 32 - 16);
  assert.notDeepEqual(body(one.data), body(two.data));
  const other = createSeal([alice.reader])(PLACE, SALT, 'text/plain', text);
  const mixed = { salt: other.salt, data: new Uint8Array([...one.data.subarray(0, one.data.length - 60), ...other.data.subarray(other.data.length - 60)]) };
  assert.notEqual(openSealed(alice, PLACE, mixed, PC).kind, 'open');
});

test('any content survives', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(), fc.nat(), (data, epoch, idx) => {
      const salt = new Uint8Array(randomBytes(32));
      const place = { ...PLACE, epoch, idx };
      const pc = hash('sha256', payloadPreimage(salt, data), 'hex');
      assert.deepEqual(openSealed(bob, place, seal(place, salt, 'text/plain', data), pc), { kind: 'open', media: 'text/plain', data });
    }),
    { numRuns: 50 },
  );
});

test('no changed or shortened byte opens, and none throws', () => {
  const sealed = createSeal([alice.reader])(PLACE, SALT, 'text/plain', text);
  for (let at = 0; at < sealed.data.length; at += at < 50 || at > 1100 ? 1 : 37) {
    for (const mask of [1, 0x80]) {
      const data = Uint8Array.from(sealed.data);
      data[at] = (data[at] ?? 0) ^ mask;
      assert.notEqual(openSealed(alice, PLACE, { salt: sealed.salt, data }, PC).kind, 'open', String(at));
    }
    assert.notEqual(openSealed(alice, PLACE, { salt: sealed.salt, data: sealed.data.subarray(0, at) }, PC).kind, 'open');
  }
  const salt = Uint8Array.from(sealed.salt).fill(0);
  assert.equal(openSealed(alice, PLACE, { salt, data: sealed.data }, PC).kind, 'damaged');
  const zeros = Uint8Array.from(sealed.data).fill(0, 2, 34);
  assert.equal(openSealed(alice, PLACE, { salt: sealed.salt, data: zeros }, PC).kind, 'damaged', 'a shared secret of zeros is refused');
});

test('a public key and an identity file are read back, and nothing else is taken for one', () => {
  assert.equal(parseReader(alice.reader.text)?.text, alice.reader.text);
  const bytes = utf8(identityText(alice));
  assert.equal(parseIdentity(bytes)?.reader.text, alice.reader.text);
  const raw = fromBase64(alice.reader.text.slice(READER_PREFIX.length)) ?? new Uint8Array(0);
  for (const wrong of ['', READER_PREFIX, alice.reader.text.slice(1), `${alice.reader.text}A`, `${READER_PREFIX}${toBase64(raw.subarray(1))}`, `${READER_PREFIX}${toBase64(new Uint8Array([...raw, 0]))}`, `${READER_PREFIX}${toBase64(new Uint8Array(1216).fill(255))}`]) {
    assert.equal(parseReader(wrong), undefined, wrong.slice(0, 20));
  }
  for (const wrong of ['', '{}', identityText(alice).trim(), identityText(alice).replace('reader/1', 'reader/2'), identityText(alice).replace('"x25519"', '"x"'), `${identityText(alice)} `]) {
    assert.equal(parseIdentity(utf8(wrong)), undefined, wrong.slice(0, 20));
  }
  const swapped = identityText({ ...alice, x25519: alice.kem });
  assert.equal(parseIdentity(utf8(swapped)), undefined);
});

test('a seal has readers, and not too many', () => {
  assert.throws(() => createSeal([]), RangeError);
  assert.throws(() => createSeal(Array.from({ length: READERS_MAX + 1 }, () => alice.reader)), RangeError);
});
