// SPDX-License-Identifier: Apache-2.0
/** Documents with valid signatures that AWS would not write, each refused by the rule that it breaks. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { verifyAttestation } from '../../../../shared/attestation/verify.ts';
import type { CborValue } from '../../../../shared/cbor/value.ts';
import { encodeCbor } from '../../../../shared/cbor/write.ts';
import { NO_EXPECTATIONS } from '../../../harness/attestation-vectors.ts';
import { octets, sequence, time } from '../../../harness/der.ts';
import type { Fields } from '../../../harness/nitro.ts';
import {
  array, bytes, certificatesOf, documentOf, ES384_HEADER, extended, extension, int, join, makeHierarchy, makeKeys, map, MODULE, nameOf, nothing, NOW, payloadOf, pcrMap, REGION, registers, sign1, string, trusted,
} from '../../../harness/nitro.ts';

const hierarchy = makeHierarchy();
const certificates = certificatesOf(hierarchy);
const signer = hierarchy.leaf.keys;
const DAY = 86_400_000;

/** The check that failed, or "ok". */
async function outcome(document: Uint8Array, root = trusted(certificates), at = NOW): Promise<string> {
  const report = await verifyAttestation(document, { at: { ms: at, source: 'chosen' }, root, expect: NO_EXPECTATIONS });
  const [failure] = report.checks.filter((check) => check.result === 'failed');
  assert.equal(report.verified === null, failure !== undefined && failure.result === 'failed' && failure.failure.family === 'evidence');
  return failure?.result === 'failed' ? `${failure.name} ${failure.failure.code}: ${failure.failure.actual}` : 'ok';
}

const withFields = (fields: Fields): Uint8Array => documentOf(hierarchy, fields, certificates);
const withPayload = (payload: Uint8Array): Uint8Array => encodeCbor(sign1(payload, signer));
const payload = encodeCbor(payloadOf(certificates));
const items = (value: CborValue): readonly CborValue[] => (value.kind === 'array' ? value.items : []);
const [header = nothing, unprotected = nothing, body = nothing, signature = nothing] = items(sign1(payload, signer));

test('the document of the harness verifies, so that each case below fails for its own reason', async () => {
  assert.equal(await outcome(withFields({})), 'ok');
});

const fieldsTaken: readonly [string, Fields][] = [
  ['optional fields that are absent', { public_key: undefined, user_data: undefined, nonce: undefined }],
  ['optional fields of 1024 bytes', { public_key: bytes(new Uint8Array(1024)), user_data: bytes(new Uint8Array(1024)), nonce: bytes(new Uint8Array(1024)) }],
  ['empty user_data and nonce', { user_data: bytes(new Uint8Array()), nonce: bytes(new Uint8Array()) }],
  ['32 registers', { pcrs: pcrMap(new Map([...Array.from({ length: 32 }, (_, index) => [index, new Uint8Array(48)] as const), ...registers()])) }],
];

for (const [name, fields] of fieldsTaken) test(`a document with ${name} is taken`, async () => assert.equal(await outcome(withFields(fields)), 'ok'));

const PCRS = 'pcrs is not a map of 1 to 32 registers, 0 to 31, of 48 bytes each';
const CABUNDLE = 'cabundle is not 1 to 8 certificates of 1 to 1024 bytes';
const big = bytes(new Uint8Array(1025));
const fieldsRefused: readonly [string, Fields, string][] = [
  ['no module_id', { module_id: undefined }, 'module_id is not i-<hex>-enc<hex>'],
  ['an empty module_id', { module_id: string('') }, 'module_id is not i-<hex>-enc<hex>'],
  ["QEMU's default module_id", { module_id: string('i-234-enc5678\n') }, 'module_id is not i-<hex>-enc<hex>'],
  ['a module_id in upper case', { module_id: string(MODULE.toUpperCase()) }, 'module_id is not i-<hex>-enc<hex>'],
  ['a module_id that is bytes', { module_id: bytes(new Uint8Array(4)) }, 'module_id is not i-<hex>-enc<hex>'],
  ['no digest', { digest: undefined }, 'digest is not SHA384'],
  ['another digest', { digest: string('SHA512') }, 'digest is not SHA384'],
  ['a digest in lower case', { digest: string('sha384') }, 'digest is not SHA384'],
  ['no timestamp', { timestamp: undefined }, 'timestamp is not a time in milliseconds'],
  ['timestamp 0', { timestamp: int(0) }, 'timestamp is not a time in milliseconds'],
  ['a negative timestamp', { timestamp: int(-1) }, 'timestamp is not a time in milliseconds'],
  ['a timestamp beyond all dates', { timestamp: int(8_640_000_000_000_001) }, 'timestamp is not a time in milliseconds'],
  ['a timestamp that is text', { timestamp: string('now') }, 'timestamp is not a time in milliseconds'],
  ['no pcrs', { pcrs: undefined }, PCRS],
  ['pcrs that are null', { pcrs: nothing }, PCRS],
  ['no register', { pcrs: map() }, PCRS],
  ['a register 32', { pcrs: pcrMap(registers().set(32, new Uint8Array(48))) }, PCRS],
  ['a register -1', { pcrs: pcrMap(registers().set(-1, new Uint8Array(48))) }, PCRS],
  ['a register with a name', { pcrs: map(['0', bytes(new Uint8Array(48))]) }, PCRS],
  ['a register of 32 bytes', { pcrs: pcrMap(registers().set(3, new Uint8Array(32))) }, PCRS],
  ['a register of 64 bytes', { pcrs: pcrMap(registers().set(3, new Uint8Array(64))) }, PCRS],
  ['a register that is null', { pcrs: map([0, nothing]) }, PCRS],
  ['no certificate', { certificate: undefined }, 'certificate is not 1 to 1024 bytes'],
  ['an empty certificate', { certificate: bytes(new Uint8Array()) }, 'certificate is not 1 to 1024 bytes'],
  ['too long a certificate', { certificate: big }, 'certificate is not 1 to 1024 bytes'],
  ['no cabundle', { cabundle: undefined }, CABUNDLE],
  ['a cabundle that is null', { cabundle: nothing }, CABUNDLE],
  ['an empty cabundle', { cabundle: array() }, CABUNDLE],
  ['nine authorities', { cabundle: array(...Array.from({ length: 9 }, () => bytes(new Uint8Array(1)))) }, CABUNDLE],
  ['an authority of no bytes', { cabundle: array(bytes(new Uint8Array())) }, CABUNDLE],
  ['an authority of 1025 bytes', { cabundle: array(big) }, CABUNDLE],
  ['an authority that is text', { cabundle: array(string('root')) }, CABUNDLE],
  ['an empty public_key', { public_key: bytes(new Uint8Array()) }, 'public_key is not null or 1 to 1024 bytes'],
  ['too long a public_key', { public_key: big }, 'public_key is not null or 1 to 1024 bytes'],
  ['a public_key that is text', { public_key: string('dummy') }, 'public_key is not null or 1 to 1024 bytes'],
  ['too long user_data', { user_data: big }, 'user_data is not null or at most 1024 bytes'],
  ['user_data that is a number', { user_data: int(1) }, 'user_data is not null or at most 1024 bytes'],
  ['too long a nonce', { nonce: big }, 'nonce is not null or at most 1024 bytes'],
  ['a nonce that is text', { nonce: string('0'.repeat(32)) }, 'nonce is not null or at most 1024 bytes'],
  ['a key that nobody knows', { firmware: nothing }, 'it has an unknown key: firmware'],
  ['an unknown key that a terminal would obey', { '\u001b[2J': nothing }, 'it has an unknown key: a text of 4 characters that is not shown'],
];

for (const [name, fields, reason] of fieldsRefused) {
  test(`a document with ${name} is refused`, async () => {
    assert.equal(await outcome(withFields(fields)), `document DOCUMENT_MALFORMED: ${reason}`);
  });
}

test('a map of indefinite length is read, also within; its faults are refused', async () => {
  const open = (encoded: Uint8Array): Uint8Array => join(Uint8Array.of(0xbf), encoded.subarray(1), Uint8Array.of(0xff));
  assert.equal(await outcome(withPayload(open(payload))), 'ok');
  assert.equal(await outcome(withPayload(open(payload).subarray(0, -1))), `document DOCUMENT_MALFORMED: not strict CBOR: it ends early (byte ${payload.length})`);
  const odd = join(open(payload).subarray(0, -1), encodeCbor(string('x')), Uint8Array.of(0xff));
  assert.equal(await outcome(withPayload(odd)), `document DOCUMENT_MALFORMED: not strict CBOR: a break stands where an item should (byte ${payload.length + 3})`);
});

const payloadsRefused: readonly [string, Uint8Array, string][] = [
  ['no payload', new Uint8Array(), 'format COSE_MALFORMED: its payload is not 1 to 16384 bytes'],
  ['a payload that is too long', join(payload, new Uint8Array(16_384)), 'format COSE_MALFORMED: it is longer than 17408 bytes'],
  ['a payload that is an array', encodeCbor(array()), 'document DOCUMENT_MALFORMED: it is no map'],
  ['bytes behind the payload', join(payload, Uint8Array.of(0xf6)), `document DOCUMENT_MALFORMED: not strict CBOR: bytes follow the item (byte ${payload.length})`],
  ['a key that is a number', encodeCbor(map([1, nothing])), 'document DOCUMENT_MALFORMED: it has a key that is not text'],
  ['a bare break', Uint8Array.of(0xff), 'document DOCUMENT_MALFORMED: not strict CBOR: a break stands where an item should (byte 1)'],
];

for (const [name, content, expected] of payloadsRefused) {
  test(`a document with ${name} is refused`, async () => assert.equal(await outcome(withPayload(content)), expected));
}

test('a payload with a key twice is refused', async () => {
  const twice = join(Uint8Array.of(0xaa), payload.subarray(1), encodeCbor(string('nonce')), Uint8Array.of(0xf6));
  assert.match(await outcome(withPayload(twice)), /^document DOCUMENT_MALFORMED: not strict CBOR: a map has a key twice/);
});

const envelopes: readonly [string, CborValue, string][] = [
  ['that is a map', map(), 'it is no array of four items, bare or under tag 18'],
  ['of three items', array(header, unprotected, body), 'it is no array of four items, bare or under tag 18'],
  ['of five items', array(header, unprotected, body, signature, nothing), 'it is no array of four items, bare or under tag 18'],
  ['with another algorithm', array(bytes(Uint8Array.of(0xa1, 0x01, 0x26)), unprotected, body, signature), 'its protected header is not a1013822'],
  ["with QEMU's protected header", array(bytes(Uint8Array.of(0xa1, 0x01, 0x20)), unprotected, body, signature), 'its protected header is not a1013822'],
  ['with a protected header that is empty', array(bytes(new Uint8Array()), unprotected, body, signature), 'its protected header is not a1013822'],
  ['with a protected header in another encoding', array(bytes(Uint8Array.of(0xbf, 0x01, 0x38, 0x22, 0xff)), unprotected, body, signature), 'its protected header is not a1013822'],
  ['with an unprotected header that is null', array(header, nothing, body, signature), 'its unprotected header is not an empty map'],
  ['with something in its unprotected header', array(header, map([1, int(-7)]), body, signature), 'its unprotected header is not an empty map'],
  ['without payload', array(header, unprotected, nothing, signature), 'its payload is not 1 to 16384 bytes'],
  ['with a signature of 64 bytes', array(header, unprotected, body, bytes(new Uint8Array(64))), 'its signature is not 96 bytes'],
  ['with a signature of 97 bytes', array(header, unprotected, body, bytes(new Uint8Array(97))), 'its signature is not 96 bytes'],
];

for (const [name, value, reason] of envelopes) {
  test(`an envelope ${name} is refused`, async () => assert.equal(await outcome(encodeCbor(value)), `format COSE_MALFORMED: ${reason}`));
}

test('an envelope of indefinite length, or with bytes behind it, is refused', async () => {
  const whole = withFields({});
  assert.match(await outcome(join(Uint8Array.of(0x9f), whole.subarray(1), Uint8Array.of(0xff))), /an array or map has no length/);
  assert.match(await outcome(join(whole, Uint8Array.of(0))), /bytes follow the item/);
});

test('a signature by another key, over other bytes, or of zeros is refused', async () => {
  const refused = 'signature SIGNATURE_INVALID: it does not verify';
  assert.equal(await outcome(encodeCbor(sign1(payload, makeKeys()))), refused);
  assert.equal(await outcome(encodeCbor(sign1(payload, hierarchy.instance.keys))), refused);
  assert.equal(await outcome(encodeCbor(array(header, unprotected, body, bytes(new Uint8Array(96))))), refused);
  const [, , , other = nothing] = items(sign1(payload, signer, join(ES384_HEADER, Uint8Array.of(0))));
  assert.equal(await outcome(encodeCbor(array(header, unprotected, body, other))), refused);
});

test('a chain to another root is refused, and so is another certificate of the same root key', async () => {
  const again = certificatesOf(hierarchy);
  const mixed = [...again.slice(0, 1), ...certificates.slice(1)];
  for (const list of [again, mixed]) {
    assert.match(await outcome(documentOf(hierarchy, {}, list)), /^root ROOT_UNKNOWN: [0-9a-f]{64}$/);
    assert.equal(await outcome(documentOf(hierarchy, {}, list), trusted(list)), 'ok');
  }
});

test('the root has to come first, and the chain in its order', async () => {
  const [root, regional, zonal, instance, leaf] = certificates;
  assert.ok(root && regional && zonal && instance && leaf);
  assert.match(await outcome(documentOf(hierarchy, {}, [regional, root, zonal, instance, leaf])), /^root ROOT_UNKNOWN/);
  assert.equal(await outcome(documentOf(hierarchy, {}, [root, zonal, regional, instance, leaf])), 'chain CHAIN_INVALID: certificate 2 of 5 breaks this');
  assert.equal(await outcome(documentOf(hierarchy, {}, [root, leaf])), 'chain CHAIN_INVALID: certificate 2 of 2 breaks this');
});

test('each certificate is parsed, also one that no signature depends on', async () => {
  const [root, regional, zonal, instance, leaf] = certificates;
  assert.ok(root && regional && zonal && instance && leaf);
  const junk = documentOf(hierarchy, {}, [root, regional, octets(new Uint8Array(3)), instance, leaf]);
  assert.equal(await outcome(junk), 'certificates CERTIFICATE_MALFORMED: certificate 3 of 5: it is not strict DER of three parts');
  const critical = certificatesOf(hierarchy, { leaf: { extensions: [...hierarchy.leaf.parts.extensions, extension('1.3.6.1', true, sequence())] } });
  assert.equal(await outcome(documentOf(hierarchy, {}, critical), trusted(critical)), 'certificates CERTIFICATE_MALFORMED: certificate 5 of 5: it has a critical extension that is unknown');
});

test('every certificate has to be valid at the time of verification', async () => {
  const validity = sequence(time(NOW - 2 * DAY), time(NOW - DAY));
  for (const name of ['root', 'regional', 'zonal', 'instance', 'leaf'] as const) {
    const list = certificatesOf(hierarchy, { [name]: { validity } });
    assert.match(await outcome(documentOf(hierarchy, {}, list), trusted(list)), /^validity CERTIFICATE_TIME: 2026-03-01T12:00:00.000Z$/, name);
  }
});

test('a clock may be a minute wrong, a chosen time may not', async () => {
  const document = withFields({});
  const end = NOW + 7_200_000;
  const at = async (ms: number, source: 'clock' | 'chosen'): Promise<boolean> => {
    const report = await verifyAttestation(document, { at: { ms, source }, root: trusted(certificates), expect: NO_EXPECTATIONS });
    return report.checks.some((check) => check.name === 'validity' && check.result === 'ok');
  };
  assert.deepEqual([await at(end, 'chosen'), await at(end + 1, 'chosen'), await at(end + 60_000, 'clock'), await at(end + 60_001, 'clock')], [true, false, true, false]);
  const begin = NOW - 3_600_000;
  assert.deepEqual([await at(begin, 'chosen'), await at(begin - 1, 'chosen'), await at(begin - 60_000, 'clock'), await at(begin - 60_001, 'clock')], [true, false, true, false]);
});

test("a document's time lies in the period of its leaf", async () => {
  for (const ms of [NOW - 3_600_001, NOW + 7_200_001, Math.floor(NOW / 1000)]) {
    assert.match(await outcome(withFields({ timestamp: int(ms) })), /^timestamp TIMESTAMP_OUTSIDE/);
  }
});

test('PCR4 is that of the instance in module_id', async () => {
  assert.equal(await outcome(withFields({ pcrs: pcrMap(registers().set(4, extended(new Uint8Array(1)))) })), 'identity IDENTITY_MISMATCH: another PCR4');
  const without = registers();
  without.delete(4);
  assert.equal(await outcome(withFields({ pcrs: pcrMap(without) })), 'identity IDENTITY_MISMATCH: another PCR4');
  assert.equal(await outcome(withFields({ module_id: string('i-00000000000000000-enc0011223344556677') })), 'identity IDENTITY_MISMATCH: another PCR4');
});

test('the names in the certificates are those of the enclave, its instance and one region', async () => {
  const cases: readonly [Parameters<typeof certificatesOf>[1], string][] = [
    [{ leaf: { subject: nameOf(`${MODULE.slice(0, -1)}8.${REGION}.aws`) } }, `${MODULE.slice(0, -1)}8.${REGION}.aws`],
    [{ leaf: { subject: nameOf(`${MODULE}0.${REGION}.aws`) } }, `${MODULE}0.${REGION}.aws`],
    [{ leaf: { subject: nameOf(`${MODULE}.aws`) } }, `${MODULE}.aws`],
    [{ leaf: { subject: nameOf(`${MODULE}..aws`) } }, `${MODULE}..aws`],
    [{ leaf: { subject: nameOf(`${MODULE}.evil.example.aws`) } }, `${MODULE}.evil.example.aws`],
    [{ leaf: { subject: nameOf(`${MODULE}.${REGION}.aws\n`) } }, `a text of ${MODULE.length + REGION.length + 6} characters that is not shown`],
    [{ leaf: { subject: nameOf(`${MODULE}.us-east-1.aws`) } }, `i-0123456789abcdef0.${REGION}.aws.nitro-enclaves`],
  ];
  for (const [replace, actual] of cases) {
    const list = certificatesOf(hierarchy, replace);
    assert.equal(await outcome(documentOf(hierarchy, {}, list), trusted(list)), `identity IDENTITY_MISMATCH: ${actual}`);
  }
});

test('authorities of another region are refused', async () => {
  const other = nameOf('00aa.us-east-1.aws.nitro-enclaves');
  const list = certificatesOf(hierarchy, { regional: { subject: other }, zonal: { issuer: other } });
  assert.equal(await outcome(documentOf(hierarchy, {}, list), trusted(list)), 'identity IDENTITY_MISMATCH: 00aa.us-east-1.aws.nitro-enclaves');
});

test('an unusual serial number of the leaf is noted, and refuses nothing', async () => {
  const list = certificatesOf(hierarchy, { leaf: { serial: hierarchy.zonal.parts.serial } });
  const report = await verifyAttestation(documentOf(hierarchy, {}, list), { at: { ms: NOW, source: 'chosen' }, root: trusted(list), expect: NO_EXPECTATIONS });
  assert.deepEqual(report.verified?.notes, [
    'the root is not that of AWS: nothing says that this enclave is one',
    "the leaf's serial number is not made of enclave id and time of issue, as known ones are",
  ]);
});

test('the verdict does not depend on what the caller does with its bytes meanwhile', async () => {
  const document = withFields({});
  const running = verifyAttestation(document, { at: { ms: NOW, source: 'chosen' }, root: trusted(certificates), expect: NO_EXPECTATIONS });
  document.fill(0);
  assert.notEqual((await running).verified, null);
});
