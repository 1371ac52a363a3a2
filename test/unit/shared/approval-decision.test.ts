// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { sign } from 'node:crypto';
import { test } from 'node:test';
import type { Attempt } from '../../../shared/approval/decision.ts';
import { isReason, parseAttempt, signingInput, verifyDecision } from '../../../shared/approval/decision.ts';
import { verifyEd25519 } from '../../../enclave/approval/ed25519.ts';
import { alice, attemptOf, bob } from '../../harness/approval-desk.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const canonical = bytes('{"ticket":1}');

test('what is signed is the context, the word, the reason and the ticket', () => {
  assert.deepEqual(signingInput('approve', '', canonical), bytes('mcp-bastion/approval/1\0approve\0\0{"ticket":1}'));
  assert.deepEqual(signingInput('deny', 'not today', canonical), bytes('mcp-bastion/approval/1\0deny\0not today\0{"ticket":1}'));
});

const honest = attemptOf(alice, canonical, 'deny', 'not today');
const verifies = (changes: Partial<Attempt>, ticket = canonical, key = alice.key.publicKey): boolean =>
  verifyDecision({ ...honest, ...changes }, ticket, key, verifyEd25519);

test('an honest decision verifies', () => {
  assert.equal(verifies({}), true);
  assert.equal(verifyDecision(attemptOf(alice, canonical), canonical, alice.key.publicKey, verifyEd25519), true);
});

/** The same signature with the order of the group added to its scalar: a second form that careless verifiers take. */
function malleated(signature: Uint8Array): Uint8Array {
  const order = 2n ** 252n + 27742317777372353535851937790883648493n;
  const scalar = BigInt(`0x${Buffer.from(signature.slice(32)).reverse().toString('hex')}`) + order;
  return Buffer.concat([signature.slice(0, 32), Buffer.from(scalar.toString(16).padStart(64, '0'), 'hex').reverse()]);
}

const word = (text: string): Uint8Array => sign(null, bytes(`mcp-bastion/approval/1\0${text}\0\0{"ticket":1}`), alice.privateKey);
const forgeries: readonly [string, Partial<Attempt>, Uint8Array?, Uint8Array?][] = [
  ['an approval turned into a denial', { decision: 'deny', reason: '', signature: attemptOf(alice, canonical).signature }],
  ['a denial turned into an approval', { decision: 'approve' }],
  ['another reason', { reason: 'not today!' }],
  ['no reason', { reason: '' }],
  ['another ticket', {}, bytes('{"ticket":2}')],
  ['an empty ticket', {}, new Uint8Array()],
  ['a longer ticket', {}, bytes('{"ticket":1}\n')],
  ['the key of somebody else', {}, canonical, bob.key.publicKey],
  ['a key that is none', {}, canonical, new Uint8Array(31)],
  ['a word that is none', { decision: 'approve', reason: '', signature: word('APPROVE') }],
  ['no context', { decision: 'approve', reason: '', signature: sign(null, canonical, alice.privateKey) }],
  ['a signature over the id alone', { decision: 'approve', reason: '', signature: sign(null, bytes('0'.repeat(64)), alice.privateKey) }],
  ['a short signature', { signature: honest.signature.slice(0, 63) }],
  ['a longer signature', { signature: Buffer.concat([honest.signature, Buffer.alloc(1)]) }],
  ['an empty signature', { signature: new Uint8Array() }],
  ['a signature of zeros', { signature: new Uint8Array(64) }],
  ['a second form of the signature', { signature: malleated(honest.signature) }],
  ['a reason that moves the border to the ticket', { reason: 'not today\0{"ticket":1}' }, new Uint8Array()],
];

for (const [name, changes, ticket, key] of forgeries) {
  test(`no decision verifies with ${name}`, () => {
    assert.equal(verifies(changes, ticket, key), false);
  });
}

test('a second form of a signature is refused before a library is asked', () => {
  const careless = (): boolean => true;
  const take = (signature: Uint8Array): boolean => verifyDecision({ ...honest, signature }, canonical, alice.key.publicKey, careless);
  assert.equal(take(honest.signature), true);
  assert.equal(take(malleated(honest.signature)), false);
  // The order itself, and the largest scalar below it.
  const scalar = Buffer.from('edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010', 'hex');
  assert.equal(take(Buffer.concat([honest.signature.slice(0, 32), scalar])), false);
  scalar[0] = 0xec;
  assert.equal(take(Buffer.concat([honest.signature.slice(0, 32), scalar])), true);
});

test('every flipped bit of a signature makes it invalid', () => {
  for (let bit = 0; bit < 512; bit += 1) {
    const signature = honest.signature.slice();
    signature[bit >> 3] = (signature[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    assert.equal(verifies({ signature }), false, `bit ${bit}`);
  }
});

const reasons: readonly [string, boolean][] = [
  ['', true],
  ['not on a Friday', true],
  ['ж中', true],
  ['x'.repeat(256), true],
  ['x'.repeat(257), false],
  ['two\nlines', false],
  ['two\u2028lines', false],
  ['\u001b[2J', false],
  ['a\0b', false],
  ['\ud800', false],
];

test('a reason is one short line', () => {
  for (const [text, good] of reasons) assert.equal(isReason(text), good, JSON.stringify(text));
  assert.throws(() => signingInput('deny', 'a\0b', canonical), RangeError);
});

const signature = Buffer.from(honest.signature).toString('base64');
const body = (changes: Record<string, unknown>): Uint8Array => bytes(JSON.stringify({ approver: 'alice', decision: 'approve', signature, ...changes }));

test('a decision is read in its one form', () => {
  assert.deepEqual(parseAttempt(body({})), { approver: 'alice', decision: 'approve', reason: '', signature: new Uint8Array(honest.signature) });
  assert.equal(parseAttempt(body({ decision: 'deny', reason: 'no' }))?.reason, 'no');
});

const unreadable: readonly [string, Uint8Array][] = [
  ['no JSON', bytes('{')],
  ['a list', bytes('[]')],
  ['null', bytes('null')],
  ['a member more', body({ ticket: '0' })],
  ['a nested member', body({ reason: {} })],
  ['no approver', body({ approver: undefined })],
  ['an empty approver', body({ approver: '' })],
  ['a long approver', body({ approver: 'a'.repeat(1025) })],
  ['another word', body({ decision: 'Approve' })],
  ['no word', body({ decision: undefined })],
  ['a reason of two lines', body({ reason: 'a\nb' })],
  ['no signature', body({ signature: undefined })],
  ['a signature that is a number', body({ signature: 1 })],
  ['base64url', body({ signature: Buffer.from(honest.signature).toString('base64url') })],
  ['white space in the signature', body({ signature: ` ${signature.slice(1)}` })],
  ['base64 in another spelling', body({ signature: `${signature.slice(0, -3)}${String.fromCharCode((signature.at(-3) ?? 'A').charCodeAt(0) + 1)}==` })],
  ['a short signature', body({ signature: signature.slice(0, 84) })],
  ['a member twice', bytes(`{"approver":"a","approver":"b","decision":"approve","signature":"${signature}"}`)],
];

for (const [name, text] of unreadable) {
  test(`no decision is read from ${name}`, () => {
    assert.equal(parseAttempt(text), undefined);
  });
}
