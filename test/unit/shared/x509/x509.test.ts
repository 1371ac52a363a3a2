// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { utf8 } from '../../../../shared/bytes.ts';
import { parseCertificate } from '../../../../shared/x509/certificate.ts';
import type { Certificate } from '../../../../shared/x509/certificate.ts';
import { verifyChain } from '../../../../shared/x509/chain.ts';
import { rawSignature, verifyEs384 } from '../../../../shared/x509/es384.ts';
import { certificateFromPem } from '../../../../shared/x509/pem.ts';
import { folder } from '../../../harness/attestation-vectors.ts';
import { bits, bool, element, integer, octets, oid, sequence, set, text, time } from '../../../harness/der.ts';
import type { CertificateParts } from '../../../harness/nitro.ts';
import { basicConstraints, certificate, certificatesOf, extension, join as joinBytes, keyUsage, makeHierarchy, makeKeys, nameOf, NOW, spkiOf } from '../../../harness/nitro.ts';

const hierarchy = makeHierarchy();
const rootDer = new Uint8Array(readFileSync(join(folder, 'aws_nitro_root_g1.der')));

function parsed(der: Uint8Array): Certificate {
  const read = parseCertificate(der);
  assert.ok(read.ok, read.ok ? '' : read.reason);
  return read.certificate;
}

test('the root of AWS is read as node:crypto reads it', () => {
  const own = parsed(rootDer);
  const other = new X509Certificate(rootDer);
  assert.equal(own.subject.commonName, 'aws.nitro-enclaves');
  assert.deepEqual(own.issuer, own.subject);
  assert.equal(Buffer.from(own.serial).toString('hex').toUpperCase(), other.serialNumber);
  assert.equal(own.notBeforeMs, Date.parse(other.validFrom));
  assert.equal(own.notAfterMs, Date.parse(other.validTo));
  assert.equal(own.notAfterMs, Date.parse('2049-10-28T14:28:05Z'));
  assert.deepEqual(own.extensions, { basicConstraints: { critical: true, ca: true, pathLength: null }, keyUsage: new Set([0, 5, 6]) });
  assert.ok(Buffer.from(other.publicKey.export({ type: 'spki', format: 'der' })).subarray(-97).equals(own.point));
});

test('certificates of the kinds that AWS uses are read', () => {
  const [root, regional, , instance, leaf] = certificatesOf(hierarchy).map(parsed);
  assert.deepEqual(root?.extensions.basicConstraints, { critical: true, ca: true, pathLength: null });
  assert.deepEqual(regional?.extensions.basicConstraints, { critical: true, ca: true, pathLength: 2 });
  assert.deepEqual(instance?.extensions, { basicConstraints: { critical: true, ca: true, pathLength: 0 }, keyUsage: new Set([5]) });
  assert.deepEqual(leaf?.extensions, { basicConstraints: { critical: true, ca: false, pathLength: null }, keyUsage: new Set([0, 1]) });
});

const CA = [basicConstraints(true, 0), keyUsage(0x04)];
const PARAMETERS = sequence(oid('1.2.840.10045.4.3.3'), element(0x05));
const point = spkiOf(hierarchy.instance.keys).subarray(-97);
const spki = (bytes: Uint8Array, curve = '1.3.132.0.34', type = '1.2.840.10045.2.1'): Uint8Array => sequence(sequence(oid(type), oid(curve)), bits(bytes));

const malformed: readonly [string, Partial<CertificateParts>, string][] = [
  ['of version 1', { version: element(0xa0, integer(Uint8Array.of(0))) }, 'it is not of version 3'],
  ['without version', { version: integer(Uint8Array.of(2)) }, 'it is not of version 3'],
  ['with serial number 0', { serial: element(0x02, Uint8Array.of(0)) }, 'its serial number is not positive, or too long'],
  ['with a negative serial number', { serial: element(0x02, Uint8Array.of(0x80)) }, 'its serial number is not positive, or too long'],
  ['with a padded serial number', { serial: element(0x02, Uint8Array.of(0, 1)) }, 'its serial number is not positive, or too long'],
  ['with a serial number of 21 bytes', { serial: integer(new Uint8Array(21).fill(1)) }, 'its serial number is not positive, or too long'],
  ['whose algorithm has parameters', { algorithm: PARAMETERS }, 'its two signature algorithms differ'],
  ['whose outer algorithm has parameters', { outerAlgorithm: PARAMETERS }, 'it is not signed with ECDSA and SHA-384'],
  ['signed with SHA-256', { outerAlgorithm: sequence(oid('1.2.840.10045.4.3.2')) }, 'it is not signed with ECDSA and SHA-384'],
  ['whose algorithms differ', { algorithm: sequence(oid('1.2.840.10045.4.3.2')) }, 'its two signature algorithms differ'],
  ['without names', { subject: sequence() }, 'a name is not strict DER of single attributes'],
  ['with two attributes in one part', { subject: sequence(set(sequence(oid('2.5.4.3'), text('a')), sequence(oid('2.5.4.10'), text('b')))) }, 'a name is not strict DER of single attributes'],
  ['with two common names', { subject: sequence(set(sequence(oid('2.5.4.3'), text('a'))), set(sequence(oid('2.5.4.3'), text('b')))) }, 'a name is not strict DER of single attributes'],
  ['with a name in another kind of text', { subject: sequence(set(sequence(oid('2.5.4.3'), element(0x1e, utf8('ab'))))) }, 'a name is not strict DER of single attributes'],
  ['with too long a name', { subject: sequence(...Array.from({ length: 17 }, () => set(sequence(oid('2.5.4.10'), text(''))))) }, 'a name is not strict DER of single attributes'],
  ['whose period is backwards', { validity: sequence(time(NOW + 1000), time(NOW)) }, 'its period is not two times in order'],
  ['whose period has one time', { validity: sequence(time(NOW)) }, 'its period is not two times in order'],
  ['with a compressed point', { spki: spki(joinBytes(Uint8Array.of(2 + ((point[96] ?? 0) & 1)), point.subarray(1, 49))) }, 'its key is not an uncompressed P-384 point'],
  ['with a hybrid point', { spki: spki(joinBytes(Uint8Array.of(6 + ((point[96] ?? 0) & 1)), point.subarray(1))) }, 'its key is not an uncompressed P-384 point'],
  ['with a point that is too long', { spki: spki(joinBytes(point, Uint8Array.of(0))) }, 'its key is not an uncompressed P-384 point'],
  ['with a point that is too short', { spki: spki(point.subarray(0, 96)) }, 'its key is not an uncompressed P-384 point'],
  ['with a point at infinity', { spki: spki(Uint8Array.of(0)) }, 'its key is not an uncompressed P-384 point'],
  ['on another curve', { spki: spki(point, '1.2.840.10045.3.1.7') }, 'its key is not an uncompressed P-384 point'],
  ['with a key of another kind', { spki: spki(point, '1.3.132.0.34', '1.2.840.113549.1.1.1') }, 'its key is not an uncompressed P-384 point'],
  ['with bytes after its key', { spki: sequence(sequence(oid('1.2.840.10045.2.1'), oid('1.3.132.0.34')), bits(point), integer(Uint8Array.of(1))) }, 'its key is not an uncompressed P-384 point'],
  ['with something after the extensions', { trailing: [octets(new Uint8Array(1))] }, 'it does not have the eight parts of version 3 with extensions'],
  ['with an empty list of extensions', { extensions: [] }, 'its extensions are no list, or too many'],
  ['with 17 extensions', { extensions: Array.from({ length: 17 }, (_, index) => extension(`1.3.${index}`, false, octets(new Uint8Array()))) }, 'its extensions are no list, or too many'],
  ['with an extension twice', { extensions: [...CA, keyUsage(0x04)] }, 'it has an extension twice'],
  ['with an unknown extension twice', { extensions: [...CA, extension('1.3.6', false, text('')), extension('1.3.6', false, text(''))] }, 'it has an extension twice'],
  ['with an unknown critical extension', { extensions: [...CA, extension('2.5.29.36', true, sequence())] }, 'it has a critical extension that is unknown'],
  ['with critical name constraints', { extensions: [...CA, extension('2.5.29.30', true, sequence())] }, 'it has a critical extension that is unknown'],
  ['that writes "not critical"', { extensions: [sequence(oid('2.5.29.19'), bool(false), octets(sequence()))] }, 'an extension is not strict DER'],
  ['whose "critical" is 01', { extensions: [sequence(oid('2.5.29.19'), element(0x01, Uint8Array.of(1)), octets(sequence()))] }, 'an extension is not strict DER'],
  ['whose authority is 01', { extensions: [extension('2.5.29.19', true, sequence(element(0x01, Uint8Array.of(1))))] }, 'its basic constraints are not strict DER'],
  ['that writes "no authority"', { extensions: [extension('2.5.29.19', true, sequence(bool(false)))] }, 'its basic constraints are not strict DER'],
  ['with a length of path and no authority', { extensions: [extension('2.5.29.19', true, sequence(integer(Uint8Array.of(1))))] }, 'its basic constraints are not strict DER'],
  ['with a negative length of path', { extensions: [extension('2.5.29.19', true, sequence(bool(true), element(0x02, Uint8Array.of(0xff))))] }, 'its basic constraints are not strict DER'],
  ['with bytes after its basic constraints', { extensions: [extension('2.5.29.19', true, joinBytes(sequence(), sequence()))] }, 'its basic constraints are not strict DER'],
  ['with an empty key usage', { extensions: [extension('2.5.29.15', true, bits(new Uint8Array()))] }, 'its key usage is not strict DER'],
  ['with a key usage that has zeros at its end', { extensions: [extension('2.5.29.15', true, bits(Uint8Array.of(0x80), 0))] }, 'its key usage is not strict DER'],
  ['with a key usage that uses unused bits', { extensions: [extension('2.5.29.15', true, bits(Uint8Array.of(0x85), 2))] }, 'its key usage is not strict DER'],
  ['with a key usage beyond the last bit', { extensions: [extension('2.5.29.15', true, bits(Uint8Array.of(0x80, 0x40), 6))] }, 'its key usage is not strict DER'],
  ['with a key usage that is a sequence', { extensions: [extension('2.5.29.15', true, sequence())] }, 'its key usage is not strict DER'],
];

for (const [name, replace, reason] of malformed) {
  test(`a certificate ${name} is refused: ${reason}`, () => {
    const read = parseCertificate(certificate({ ...hierarchy.instance.parts, ...replace }));
    assert.equal(read.ok ? 'taken' : read.reason, reason);
  });
}

test('a certificate without extensions, with bytes behind it, cut, or too long is refused', () => {
  const [der = new Uint8Array()] = certificatesOf(hierarchy);
  const refused = (bytes: Uint8Array): string => {
    const read = parseCertificate(bytes);
    return read.ok ? 'taken' : read.reason;
  };
  assert.equal(refused(joinBytes(der, Uint8Array.of(0))), 'it is not strict DER of three parts');
  assert.equal(refused(der.subarray(0, -1)), 'it is not strict DER of three parts');
  assert.equal(refused(new Uint8Array()), 'it is not strict DER of three parts');
  assert.equal(refused(new Uint8Array(1025)), 'it is longer than 1024 bytes');
  const { parts } = hierarchy.root;
  const bare = sequence(parts.version, parts.serial, parts.algorithm, parts.issuer, parts.validity, parts.subject, parts.spki);
  assert.equal(refused(sequence(bare, parts.outerAlgorithm, bits(sequence(integer(Uint8Array.of(1)), integer(Uint8Array.of(1)))))), 'it does not have the eight parts of version 3 with extensions');
});

test('extensions that are unknown and not critical are passed over', () => {
  const parts = { ...hierarchy.instance.parts, extensions: [...CA, extension('2.5.29.14', false, octets(new Uint8Array(20))), extension('1.3.6.1', false, text('?'))] };
  assert.deepEqual(parsed(certificate(parts)).extensions.keyUsage, new Set([5]));
});

test('what was parsed does not change with the input', () => {
  const [der = new Uint8Array()] = certificatesOf(hierarchy);
  const own = parsed(der);
  const before = own.tbs.slice();
  der.fill(0);
  assert.deepEqual(own.tbs, before);
});

test('a chain is verified in its order', async () => {
  assert.deepEqual(await verifyChain(certificatesOf(hierarchy).map(parsed)), { ok: true });
});

test('a root that carries its signature alone is no chain: it is no leaf', async () => {
  assert.deepEqual(await verifyChain([parsed(rootDer)]), { ok: false, fault: 'leaf', at: 0 });
});

const stranger = makeKeys();
const broken: readonly [string, Parameters<typeof certificatesOf>[1], { fault: string; at: number }][] = [
  ['whose leaf was signed by a stranger', { leaf: { signer: stranger } }, { fault: 'signature', at: 4 }],
  ['whose zonal authority was signed by a stranger', { zonal: { signer: stranger } }, { fault: 'signature', at: 2 }],
  ['whose root did not sign itself', { root: { signer: stranger } }, { fault: 'signature', at: 0 }],
  ['whose leaf was signed by the zonal authority in the name of the instance', { leaf: { signer: hierarchy.zonal.keys } }, { fault: 'signature', at: 4 }],
  ['whose leaf names another issuer', { leaf: { issuer: nameOf('other') } }, { fault: 'name', at: 4 }],
  ['whose instance is no authority', { instance: { extensions: [basicConstraints(false), keyUsage(0x04)] } }, { fault: 'authority', at: 3 }],
  ['whose instance says nothing of authority', { instance: { extensions: [keyUsage(0x04)] } }, { fault: 'authority', at: 3 }],
  ['whose instance is an authority, but not critically', { instance: { extensions: [extension('2.5.29.19', false, sequence(bool(true))), keyUsage(0x04)] } }, { fault: 'authority', at: 3 }],
  ['whose instance may not sign certificates', { instance: { extensions: [basicConstraints(true, 0), keyUsage(0x80)] } }, { fault: 'usage', at: 3 }],
  ['whose instance has no key usage', { instance: { extensions: [basicConstraints(true, 0)] } }, { fault: 'usage', at: 3 }],
  ['whose zonal authority allows none below', { zonal: { extensions: [basicConstraints(true, 0), keyUsage(0x86)] } }, { fault: 'path-length', at: 2 }],
  ['whose regional authority allows one below', { regional: { extensions: [basicConstraints(true, 1), keyUsage(0x86)] } }, { fault: 'path-length', at: 1 }],
  ['whose root allows two below', { root: { extensions: [basicConstraints(true, 2), keyUsage(0x86)] } }, { fault: 'path-length', at: 0 }],
  ['whose leaf is an authority', { leaf: { extensions: [basicConstraints(true, 0), keyUsage(0x80)] } }, { fault: 'leaf', at: 4 }],
  ['whose leaf may not sign', { leaf: { extensions: [basicConstraints(false), keyUsage(0x08)] } }, { fault: 'usage', at: 4 }],
  ['whose leaf may sign certificates', { leaf: { extensions: [basicConstraints(false), keyUsage(0x84)] } }, { fault: 'usage', at: 4 }],
  ['whose leaf has no key usage', { leaf: { extensions: [basicConstraints(false)] } }, { fault: 'usage', at: 4 }],
];

for (const [name, replace, fault] of broken) {
  test(`a chain ${name} is refused`, async () => {
    assert.deepEqual(await verifyChain(certificatesOf(hierarchy, replace).map(parsed)), { ok: false, ...fault });
  });
}

test('a chain in another order, with a gap or a guest, is refused', async () => {
  const [root, regional, zonal, instance, leaf] = certificatesOf(hierarchy).map(parsed);
  assert.ok(root && regional && zonal && instance && leaf);
  for (const order of [[root, zonal, regional, instance, leaf], [root, regional, instance, leaf], [root, regional, zonal, leaf], [root, regional, regional, zonal, instance, leaf], [regional, zonal, instance, leaf], [root, regional, zonal, instance, leaf, leaf]]) {
    assert.equal((await verifyChain(order)).ok, false);
  }
});

test('signatures are refused for points off the curve, of other lengths, and with numbers out of range', async () => {
  const { signature, tbs } = parsed(rootDer);
  const { point: key } = parsed(rootDer);
  assert.equal(await verifyEs384(key, signature, tbs), true);
  const off = key.slice();
  off[96] = (off[96] ?? 0) ^ 1;
  assert.equal(await verifyEs384(off, signature, tbs), false);
  assert.equal(await verifyEs384(key.subarray(1), signature, tbs), false);
  assert.equal(await verifyEs384(key, signature.subarray(1), tbs), false);
  assert.equal(await verifyEs384(key, new Uint8Array(96), tbs), false);
  assert.equal(await verifyEs384(key, new Uint8Array(96).fill(0xff), tbs), false);
  assert.equal(await verifyEs384(key, signature, tbs.subarray(1)), false);
});

test('a signature in X.509 has two positive numbers of at most 48 bytes', () => {
  const one = integer(Uint8Array.of(1));
  const raw = rawSignature(sequence(one, integer(new Uint8Array(48).fill(0xff))));
  assert.deepEqual(raw, joinBytes(new Uint8Array(47), Uint8Array.of(1), new Uint8Array(48).fill(0xff)));
  for (const wrong of [sequence(one), sequence(one, one, one), sequence(one, element(0x02, Uint8Array.of(0))), sequence(one, element(0x02, Uint8Array.of(0x80))), sequence(one, integer(new Uint8Array(49).fill(1))), new Uint8Array()]) {
    assert.equal(rawSignature(wrong), undefined);
  }
});

test('PEM is one block and nothing else', () => {
  const pem = new X509Certificate(rootDer).toString();
  assert.deepEqual(certificateFromPem(pem), rootDer);
  assert.deepEqual(certificateFromPem(pem.replaceAll('\n', '\r\n')), rootDer);
  for (const wrong of [`text\n${pem}`, pem + pem, `${pem}text`, pem.replaceAll('CERTIFICATE', 'KEY'), pem.replace('MII', 'MI!'), pem.replace('\n-----END', '=\n-----END'), '']) {
    assert.equal(certificateFromPem(wrong), undefined);
  }
});
