// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { CheckName, Expected } from '../../../eif/verify.ts';
import { verifyEif } from '../../../eif/verify.ts';
import { signPcr0 } from '../../../eif/sign.ts';
import { withSignature } from '../../../eif/write.ts';
import { toHex } from '../../../shared/bytes.ts';
import { measureEif } from '../../../shared/eif/measure.ts';
import type { Measurements } from '../../../shared/eif/measure.ts';
import { certificateOfPem, encodeSignatureSection, pcr0ToBeSigned } from '../../../shared/eif/signature.ts';
import { sign } from 'node:crypto';
import { imageOf, newSigner, readOf } from '../../harness/eif.ts';

const now = Date.parse('2026-06-01T00:00:00Z');
const signer = newSigner({ to: '2026-12-31T00:00:00Z' });
const plain = imageOf();
const measured = measureEif(readOf(plain));
const signed = signedBy(signer, measured.pcr0);
const other = imageOf({ kernel: Buffer.from('other') });

function signedBy(by: ReturnType<typeof newSigner>, pcr0: Uint8Array, image = plain): Uint8Array {
  return withSignature(readOf(image), signPcr0(pcr0, by, now));
}

function hexes({ pcr0, pcr1, pcr2, pcr8 }: Measurements): Expected {
  return { pcr0: toHex(pcr0), pcr1: toHex(pcr1), pcr2: toHex(pcr2), ...(pcr8 === null ? {} : { pcr8: toHex(pcr8) }) };
}

const all = hexes(measureEif(readOf(signed)));
const { pcr8 = '', ...three } = all;

function outcome(bytes: Uint8Array, expected: Expected, change: { accept?: CheckName[]; at?: number } = {}): [string, string] {
  const { verdict, checks } = verifyEif(bytes, { expected, accept: new Set(change.accept), at: change.at ?? now });
  return [verdict, checks.filter(({ result }) => result !== 'ok').map(({ name, result }) => `${name} ${result}`).join(', ')];
}

const table: readonly [name: string, actual: () => [string, string], expected: [string, string]][] = [
  ['an unsigned image with its three PCRs is verified', () => outcome(plain, three), ['ok', '']],
  ['a signed one with all four as well', () => outcome(signed, all), ['ok', '']],
  ['nothing expected is not verified', () => outcome(plain, {}), ['incomplete', 'pcr0 unchecked, pcr1 unchecked, pcr2 unchecked']],
  ['PCR0 alone is not enough', () => outcome(plain, { pcr0: three.pcr0 }), ['incomplete', 'pcr1 unchecked, pcr2 unchecked']],
  ['unless the rest is accepted', () => outcome(plain, { pcr0: three.pcr0 }, { accept: ['pcr1', 'pcr2'] }), ['ok', 'pcr1 unchecked, pcr2 unchecked']],
  ['and all of the rest', () => outcome(plain, { pcr0: three.pcr0 }, { accept: ['pcr1'] }), ['incomplete', 'pcr1 unchecked, pcr2 unchecked']],
  ['what is accepted unchecked and yet wrong does not match', () => outcome(other, three, { accept: ['pcr0', 'pcr1'] }), ['mismatch', 'pcr0 fail, pcr1 fail']],
  ['an unknown signer is left unchecked', () => outcome(signed, three), ['incomplete', 'signer unchecked']],
  ['the known signer vouches for PCR0 only', () => outcome(signed, { pcr8 }), ['incomplete', 'pcr1 unchecked, pcr2 unchecked']],
  ['another signer is not the one expected', () => outcome(signedBy(newSigner(), measured.pcr0), all), ['mismatch', 'signer fail']],
  ['another signer vouches for nothing', () => outcome(signedBy(newSigner(), measured.pcr0), { pcr8 }), ['mismatch', 'pcr0 unchecked, pcr1 unchecked, pcr2 unchecked, signer fail']],
  ['a signature that was expected has to be there', () => outcome(plain, all), ['mismatch', 'signature fail']],
  ['an expired certificate does not match', () => outcome(signed, all, { at: Date.parse('2027-01-01T00:00:00Z') }), ['mismatch', 'certificate-time fail']],
  ['an image with another kernel does not match', () => outcome(other, three), ['mismatch', 'pcr0 fail, pcr1 fail']],
  ['a signature of another image does not match', () => outcome(signedBy(signer, measured.pcr0, other), hexes(measureEif(readOf(signedBy(signer, measured.pcr0, other))))), ['mismatch', 'signature fail']],
  ['a changed byte does not match', () => outcome(Uint8Array.from(plain, (byte, at) => (at === 560 ? byte ^ 1 : byte)), three), ['mismatch', 'format fail, pcr0 unchecked, pcr1 unchecked, pcr2 unchecked']],
];

for (const [name, actual, expected] of table) test(`verify: ${name}`, () => assert.deepEqual(actual(), expected));

test('a certificate of the expected signer beside the signature of another key proves nothing', () => {
  const toBeSigned = pcr0ToBeSigned('ES384', measured.pcr0);
  const forged = sign('sha384', toBeSigned, { key: Buffer.from(newSigner().keyPem), dsaEncoding: 'ieee-p1363' });
  const section = encodeSignatureSection('ES384', measured.pcr0, forged, signer.certificatePem);
  const image = withSignature(readOf(plain), section);
  assert.deepEqual(outcome(image, { pcr8 }), ['mismatch', 'pcr0 unchecked, pcr1 unchecked, pcr2 unchecked, signature fail']);
});

test('a certificate that cannot be read fails the checks that need it', () => {
  const pem = Buffer.from('-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n');
  const image = withSignature(readOf(plain), encodeSignatureSection('ES384', measured.pcr0, new Uint8Array(96), pem));
  assert.deepEqual(outcome(image, three), ['mismatch', 'signature fail, certificate-time fail, signer unchecked']);
});

test('a mutated image is never verified, and never makes the check throw', () => {
  fc.assert(
    fc.property(fc.nat({ max: signed.length - 1 }), fc.nat({ max: 7 }), fc.nat({ max: signed.length - 1 }), (at, bit, cut) => {
      const changed = Uint8Array.from(signed, (byte, index) => (index === at ? byte ^ (1 << bit) : byte));
      for (const bytes of [changed, signed.subarray(0, cut)]) assert.equal(outcome(bytes, all)[0], 'mismatch');
    }),
    { numRuns: 200 },
  );
  assert.ok(certificateOfPem(signer.certificatePem) !== undefined);
});
