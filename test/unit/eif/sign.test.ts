// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { X509Certificate, generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { describeCertificate, isValidAt, parseCertificate, verifyEifSignature } from '../../../eif/certificate.ts';
import { signPcr0 } from '../../../eif/sign.ts';
import { concatBytes, utf8 } from '../../../shared/bytes.ts';
import { parseSignatureSection } from '../../../shared/eif/signature.ts';
import { Usage } from '../../../shared/errors.ts';
import { newSigner } from '../../harness/eif.ts';

const PCR0 = new Uint8Array(48).fill(9);
const now = Date.parse('2026-06-01T00:00:00Z');

test('a key on each of the three curves makes a signature that its certificate verifies, and another does not', () => {
  for (const [curve, algorithm] of [['P-256', 'ES256'], ['P-384', 'ES384'], ['P-521', 'ES512']] as const) {
    const signer = newSigner({ curve });
    const signature = parseSignatureSection(signPcr0(PCR0, signer, now));
    assert.ok(signature !== undefined);
    assert.equal(signature.algorithm, algorithm);
    const certificate = parseCertificate(signature.certificateDer);
    assert.ok(certificate !== undefined);
    assert.equal(verifyEifSignature(signature, certificate), true);
    assert.equal(verifyEifSignature(signature, new X509Certificate(Buffer.from(newSigner({ curve }).certificatePem))), false);
    assert.equal(verifyEifSignature({ ...signature, toBeSigned: concatBytes(signature.toBeSigned, Uint8Array.of(0)) }, certificate), false);
    const flipped = Uint8Array.from(signature.signature, (byte, at) => (at === 5 ? byte ^ 1 : byte));
    assert.equal(verifyEifSignature({ ...signature, signature: flipped }, certificate), false);
    assert.equal(verifyEifSignature({ ...signature, signature: new Uint8Array(signature.signature.length) }, certificate), false);
  }
});

test('a signature of one algorithm is not verified by a key for another', () => {
  const signature = parseSignatureSection(signPcr0(PCR0, newSigner({ curve: 'P-384' }), now));
  assert.ok(signature !== undefined);
  for (const curve of ['P-256', 'P-521'] as const) {
    assert.equal(verifyEifSignature(signature, new X509Certificate(Buffer.from(newSigner({ curve }).certificatePem))), false);
  }
});

const good = newSigner();
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const koblitz = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const locked = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' });
const twice = concatBytes(good.certificatePem, good.certificatePem);
const early = newSigner({ from: '2026-06-01T00:00:01Z' });
const late = newSigner({ to: '2026-05-31T23:59:59Z' });
const broken = utf8('-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n');

const refused: readonly [string, Uint8Array, Uint8Array, RegExp][] = [
  ['a key that is none', utf8('key'), good.certificatePem, /not an unencrypted private key/],
  ['a key with a passphrase', utf8(locked.toString()), good.certificatePem, /not an unencrypted private key/],
  ['an RSA key', utf8(rsa), good.certificatePem, /not on P-256/],
  ['a key on another curve', utf8(koblitz), good.certificatePem, /not on P-256/],
  ['the certificate of another key', newSigner().keyPem, good.certificatePem, /for another key/],
  ['a chain', good.keyPem, twice, /exactly one certificate/],
  ['a certificate that is none', good.keyPem, broken, /exactly one certificate/],
  ['a certificate that is not valid yet', early.keyPem, early.certificatePem, /not valid now/],
  ['a certificate that has expired', late.keyPem, late.certificatePem, /not valid now/],
];

for (const [name, keyPem, certificatePem, reason] of refused) {
  test(`signing refuses ${name}`, () => {
    assert.throws(() => signPcr0(PCR0, { keyPem, certificatePem }, now), (error) => error instanceof Usage && reason.test(error.message));
  });
}

test('a certificate is read from DER alone: not from PEM, and not with bytes after it', () => {
  const der = new X509Certificate(Buffer.from(good.certificatePem)).raw;
  assert.notEqual(parseCertificate(der), undefined);
  assert.equal(parseCertificate(concatBytes(der, Uint8Array.of(0))), undefined);
  assert.equal(parseCertificate(good.certificatePem), undefined);
  assert.equal(parseCertificate(new Uint8Array()), undefined);
});

test('a hostile certificate makes neither the description nor the check throw, or the process crash', () => {
  const signature = parseSignatureSection(signPcr0(PCR0, good, now));
  assert.ok(signature !== undefined);
  const der = signature.certificateDer;
  let taken = 0;
  for (let at = 0; at < der.length; at += 1) {
    for (const mask of [0x01, 0x10, 0x80, 0xff]) {
      const certificate = parseCertificate(Uint8Array.from(der, (byte, index) => (index === at ? byte ^ mask : byte)));
      if (certificate === undefined) continue;
      taken += 1;
      describeCertificate(certificate);
      verifyEifSignature(signature, certificate);
    }
  }
  assert.ok(taken > 100, String(taken));
});

test('a certificate is valid from its first second to its last', () => {
  const certificate = new X509Certificate(Buffer.from(newSigner({ from: '2026-01-01T00:00:00Z', to: '2026-12-31T23:59:59Z' }).certificatePem));
  const times = ['2025-12-31T23:59:59Z', '2026-01-01T00:00:00Z', '2026-12-31T23:59:59Z', '2027-01-01T00:00:00Z'];
  assert.deepEqual(times.map((time) => isValidAt(certificate, Date.parse(time))), [false, true, true, false]);
});

test('a certificate is described with long names in order, OpenSSL times and its own signature', () => {
  const certificate = new X509Certificate(Buffer.from(newSigner({ name: 'Release, "A"' }).certificatePem));
  const shown = describeCertificate(certificate);
  assert.deepEqual(Object.entries(shown.issuerName), [['commonName', 'Release, \\A\\'], ['countryName', 'DE']]);
  assert.equal(shown.algorithm, 'ecdsa-with-SHA384');
  assert.deepEqual([shown.notBefore, shown.notAfter], ['Jan  1 00:00:00 2020 GMT', 'Jan  1 00:00:00 2090 GMT']);
  const tail = Buffer.from(certificate.raw).toString('hex').toUpperCase();
  assert.ok(shown.signature.startsWith('30:6'));
  assert.ok(tail.endsWith(shown.signature.replaceAll(':', '')));
});
