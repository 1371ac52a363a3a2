// SPDX-License-Identifier: Apache-2.0
/** Documents that AWS signed: each verifies at its own time, and hardly any change of it goes unseen. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import * as fc from 'fast-check';
import type { Check } from '../../../../shared/attestation/check.ts';
import { parseSign1 } from '../../../../shared/attestation/cose.ts';
import type { OptionalBytes } from '../../../../shared/attestation/document.ts';
import { parseDocument } from '../../../../shared/attestation/document.ts';
import { AWS_NITRO_ROOT_G1, chosenRoot } from '../../../../shared/attestation/root.ts';
import { verifyAttestation } from '../../../../shared/attestation/verify.ts';
import { toHex } from '../../../../shared/bytes.ts';
import { negatives, positive, positives, read, requestAt } from '../../../harness/attestation-vectors.ts';

const ALL = new Set(['release', 'documents', 'nonce', 'statement', 'channel']);

function failed(checks: readonly Check[]): string[] {
  return checks.flatMap((check) => (check.result === 'failed' ? [`${check.name} ${check.failure.code}`] : []));
}

function lengthOf(value: OptionalBytes): number | string {
  return value.state === 'bytes' ? value.bytes.length : value.state;
}

test('the root that is pinned is that of AWS', () => {
  assert.equal(AWS_NITRO_ROOT_G1.sha256, '641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b');
  assert.equal(chosenRoot(read('aws_nitro_root_g1.der')), AWS_NITRO_ROOT_G1);
});

test('there are ten documents, three of them of debug enclaves, one with an indefinite map', () => {
  assert.equal(positives.length, 10);
  assert.equal(positives.filter((entry) => entry.debug).length, 3);
});

for (const entry of positives) {
  test(`${entry.file} verifies at its own time${entry.debug ? ', but for debug mode' : ''}`, async () => {
    const bytes = read(entry.file);
    assert.equal(createHash('sha256').update(bytes).digest('hex'), entry.sha256);
    const report = await verifyAttestation(bytes, requestAt(entry.timestampMs, { acceptUnchecked: ALL }));
    assert.deepEqual(failed(report.checks), entry.debug ? ['debug DEBUG_ENCLAVE'] : []);
    assert.deepEqual(report.verdict.kind, entry.debug ? 'refused' : 'verified');
    const document = report.verified?.document;
    assert.ok(document);
    assert.equal(document.moduleId, entry.module_id);
    assert.equal(document.timestampMs, entry.timestampMs);
    assert.equal(document.pcrs.size, entry.pcrCount);
    assert.deepEqual(Object.fromEntries(Array.from(document.pcrs, ([index, value]) => [String(index), toHex(value)])), entry.pcrs);
    assert.deepEqual([document.publicKey, document.userData, document.nonce].map(lengthOf), [entry.public_key, entry.user_data, entry.nonce]);
    assert.deepEqual(report.verified?.notes, []);
  });

  test(`${entry.file} verifies within its period to the second, and not outside`, async () => {
    const at = async (ms: number): Promise<string[]> => failed((await verifyAttestation(read(entry.file), requestAt(ms, { allowDebug: true }))).checks);
    const [from, to] = [Date.parse(entry.validFrom), Date.parse(entry.validTo)];
    assert.deepEqual(await at(from - 1), ['validity CERTIFICATE_TIME']);
    assert.deepEqual(await at(to + 1), ['validity CERTIFICATE_TIME']);
    const fresh = (ms: number): string[] => (Math.abs(ms - entry.timestampMs) > 300_000 ? ['freshness DOCUMENT_STALE'] : []);
    assert.deepEqual(await at(from), fresh(from));
    assert.deepEqual(await at(to), fresh(to));
  });
}

for (const entry of negatives) {
  test(`${entry.file} is refused: ${entry.why}`, async () => {
    const bytes = read(entry.file);
    const sign1 = parseSign1(bytes);
    const document = sign1.ok ? parseDocument(sign1.sign1.payload) : sign1;
    assert.ok(document.ok && 'document' in document);
    const report = await verifyAttestation(bytes, requestAt(document.document.timestampMs, { acceptUnchecked: ALL }));
    assert.equal(report.verdict.kind, 'refused');
    assert.equal(report.verified, null);
    assert.deepEqual(failed(report.checks), [entry.file.includes('root') ? 'root ROOT_UNKNOWN' : 'signature SIGNATURE_INVALID']);
  });
}

test('the self-made chain does not pass with its own root either: it follows no rule of AWS', async () => {
  const bytes = read('negative/NEG-oyster-custom-root.cbor');
  const sign1 = parseSign1(bytes);
  const document = sign1.ok ? parseDocument(sign1.sign1.payload) : sign1;
  assert.ok(document.ok && 'document' in document);
  const request = requestAt(document.document.timestampMs, { acceptUnchecked: ALL });
  const report = await verifyAttestation(bytes, { ...request, root: chosenRoot(document.document.cabundle[0] ?? new Uint8Array()) });
  assert.deepEqual(failed(report.checks), ['identity IDENTITY_MISMATCH']);
});

test('a document with and without its tag is the same', async () => {
  const entry = positive('veracruz');
  const tagged = new Uint8Array([0xd2, ...read(entry.file)]);
  assert.equal((await verifyAttestation(tagged, requestAt(entry.timestampMs, { acceptUnchecked: ALL }))).verdict.kind, 'verified');
  for (const tag of [[0xd1], [0xd8, 0x12], [0xd2, 0xd2], [0xd9, 0xd9, 0xf7]]) {
    const other = new Uint8Array([...tag, ...read(entry.file)]);
    assert.deepEqual(failed((await verifyAttestation(other, requestAt(entry.timestampMs))).checks), ['format COSE_MALFORMED']);
  }
});

test('the other of the two signatures verifies too: a document is not named by its hash', async () => {
  const order = BigInt('0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973');
  const entry = positive('veracruz');
  const bytes = read(entry.file);
  const s = BigInt(`0x${toHex(bytes.subarray(-48))}`);
  bytes.set(Buffer.from((order - s).toString(16).padStart(96, '0'), 'hex'), bytes.length - 48);
  assert.equal((await verifyAttestation(bytes, requestAt(entry.timestampMs, { acceptUnchecked: ALL }))).verdict.kind, 'verified');
});

test('a certificate of one document in another is refused', async () => {
  const one = positive('veracruz');
  const bytes = read(one.file);
  const other = read('sparsity-attestation_2.cbor');
  const place = (all: Uint8Array): number => Buffer.from(all).indexOf('certificate', 0, 'latin1') + 'certificate'.length;
  const leaf = other.slice(place(other), place(other) + 3 + (other[place(other) + 1] ?? 0) * 256 + (other[place(other) + 2] ?? 0));
  const end = place(bytes) + 3 + (bytes[place(bytes) + 1] ?? 0) * 256 + (bytes[place(bytes) + 2] ?? 0);
  const mixed = new Uint8Array([...bytes.subarray(0, place(bytes)), ...leaf, ...bytes.subarray(end)]);
  const lengthAt = Buffer.from(mixed).indexOf('a101382', 0, 'hex') + 6;
  const payload = ((bytes[lengthAt] ?? 0) << 8) + (bytes[lengthAt + 1] ?? 0) + mixed.length - bytes.length;
  mixed.set([payload >> 8, payload & 0xff], lengthAt);
  assert.deepEqual(failed((await verifyAttestation(mixed, requestAt(one.timestampMs))).checks), ['chain CHAIN_INVALID']);
});

test('no flip of one bit is taken, in no byte of any document', async () => {
  // Forms are checked before signatures, so that most flips cost nothing; some hundred per document reach a signature.
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...positives), fc.nat(), fc.integer({ min: 0, max: 7 }), async (entry, position, bit) => {
      const bytes = read(entry.file);
      const at = position % bytes.length;
      bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
      const report = await verifyAttestation(bytes, requestAt(entry.timestampMs, { allowDebug: true, acceptUnchecked: ALL }));
      assert.equal(report.verdict.kind, 'refused', `byte ${at} bit ${bit} of ${entry.file}`);
      assert.equal(report.verified, null);
    }),
    { numRuns: 1500 },
  );
});

test('no cut, insertion or repetition is taken', async () => {
  const change = fc.record({ entry: fc.constantFrom(...positives), at: fc.nat(), remove: fc.integer({ min: 0, max: 40 }), insert: fc.uint8Array({ maxLength: 40 }) });
  await fc.assert(
    fc.asyncProperty(change, async ({ entry, at, remove, insert }) => {
      const bytes = read(entry.file);
      const from = at % (bytes.length + 1);
      const changed = new Uint8Array([...bytes.subarray(0, from), ...insert, ...bytes.subarray(from + remove)]);
      fc.pre(!Buffer.from(changed).equals(bytes));
      assert.equal((await verifyAttestation(changed, requestAt(entry.timestampMs, { allowDebug: true, acceptUnchecked: ALL }))).verified, null);
    }),
    { numRuns: 500 },
  );
});

test('every proper prefix of a document is refused', async () => {
  const entry = positive('dstack');
  const bytes = read(entry.file);
  for (let length = 0; length < bytes.length; length += 7) {
    assert.deepEqual(failed((await verifyAttestation(bytes.subarray(0, length), requestAt(entry.timestampMs))).checks), ['format COSE_MALFORMED']);
  }
});
