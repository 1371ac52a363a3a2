// SPDX-License-Identifier: Apache-2.0
/**
 * Whatever bytes come, the readers of attestation give a value, in bounded time. BASTION_FUZZ_SECONDS sets how long each
 * of these tests may take; the default keeps the whole suite short.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { parseSign1 } from '../../../../shared/attestation/cose.ts';
import { parseDocument } from '../../../../shared/attestation/document.ts';
import { readStatement } from '../../../../shared/attestation/statement.ts';
import { readAttestationTrust } from '../../../../shared/attestation/trust.ts';
import { verifyAttestation } from '../../../../shared/attestation/verify.ts';
import { parseCbor } from '../../../../shared/cbor/read.ts';
import type { CborValue } from '../../../../shared/cbor/value.ts';
import { encodeCbor } from '../../../../shared/cbor/write.ts';
import { parseCertificate } from '../../../../shared/x509/certificate.ts';
import { NO_EXPECTATIONS, positives, read } from '../../../harness/attestation-vectors.ts';
import { certificatesOf, documentOf, makeHierarchy, NOW, payloadOf, sign1, trusted } from '../../../harness/nitro.ts';

const secondsEach = Number(process.env['BASTION_FUZZ_SECONDS'] ?? '2');
const boxed = { numRuns: 1_000_000, interruptAfterTimeLimit: secondsEach * 1000, markInterruptAsFailure: false };

const hierarchy = makeHierarchy();
const certificates = certificatesOf(hierarchy);
const payloads = positives.map((entry) => {
  const parsed = parseSign1(read(entry.file));
  assert.ok(parsed.ok);
  return parsed.sign1.payload;
});

/** Some bytes, changed in a few places: most changes leave enough of the form to get deep into a reader. */
function changed(sources: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
  const edit = fc.record({ at: fc.nat(), remove: fc.nat({ max: 3 }), insert: fc.uint8Array({ maxLength: 4 }) });
  return fc.tuple(fc.constantFrom(...sources), fc.array(edit, { maxLength: 4 })).map(([source, edits]) => {
    let bytes = source;
    for (const { at, remove, insert } of edits) {
      const from = at % (bytes.length + 1);
      bytes = new Uint8Array([...bytes.subarray(0, from), ...insert, ...bytes.subarray(from + remove)]);
    }
    return bytes;
  });
}

test('readers return for changed documents, certificates and any bytes', () => {
  const inputs = fc.oneof(changed(payloads), changed(positives.map((entry) => read(entry.file))), changed(certificates), fc.uint8Array({ maxLength: 64 }));
  fc.assert(
    fc.property(inputs, (bytes) => {
      for (const parse of [parseSign1, parseDocument, parseCertificate, readAttestationTrust]) assert.equal(typeof parse(bytes).ok, 'boolean');
      assert.equal(typeof readStatement({ state: 'bytes', bytes }).kind, 'string');
    }),
    boxed,
  );
});

/** A value in which one part, at any depth, is replaced, left out or repeated. */
function disturb(value: CborValue, path: readonly number[], guest: CborValue | null): CborValue {
  const [step = 0, ...rest] = path;
  if (value.kind === 'array' && value.items.length > 0) {
    const at = step % value.items.length;
    if (guest === null && rest.length === 0) return { kind: 'array', items: value.items.filter((_, index) => index !== at) };
    return { kind: 'array', items: value.items.map((item, index) => (index === at ? disturb(item, rest, guest) : item)) };
  }
  if (value.kind === 'map' && value.entries.size > 0) {
    const entries = [...value.entries];
    const at = step % entries.length;
    if (guest === null && rest.length === 0) return { kind: 'map', entries: new Map(entries.filter((_, index) => index !== at)) };
    return { kind: 'map', entries: new Map(entries.map(([key, item], index) => [key, index === at ? disturb(item, rest, guest) : item])) };
  }
  if (guest !== null) return guest;
  return value.kind === 'bytes' ? { kind: 'bytes', value: value.value.map((byte, index) => (index === step % value.value.length ? byte ^ (1 << (step % 8)) : byte)) } : { kind: 'null' };
}

test('a document with a valid signature over a disturbed payload is taken only if its certificates and registers are whole', async () => {
  const genuine = payloadOf(certificates);
  const guest = fc.oneof(
    fc.constant(null),
    fc.integer({ min: -40, max: 40 }).map((value): CborValue => ({ kind: 'int', value })),
    fc.uint8Array({ maxLength: 60 }).map((value): CborValue => ({ kind: 'bytes', value })),
    fc.string({ maxLength: 8 }).map((value): CborValue => ({ kind: 'text', value })),
    fc.constant<CborValue>({ kind: 'map', entries: new Map() }),
    fc.constant<CborValue>({ kind: 'array', items: [] }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(), { minLength: 1, maxLength: 3 }), guest, async (path, value) => {
      const payload = disturb(genuine, path, value);
      const document = encodeCbor(sign1(encodeCbor(payload), hierarchy.leaf.keys));
      const report = await verifyAttestation(document, { at: { ms: NOW, source: 'chosen' }, root: trusted(certificates), expect: NO_EXPECTATIONS });
      if (report.verified === null) return;
      const fields = (of: CborValue): CborValue[] => (of.kind === 'map' ? ['module_id', 'certificate', 'cabundle', 'digest'].map((key) => of.entries.get(key) ?? { kind: 'null' }) : []);
      assert.deepEqual(fields(payload), fields(genuine));
    }),
    boxed,
  );
});

test('deep, long and hollow inputs are refused at once', () => {
  const started = performance.now();
  for (const byte of [0x81, 0xa1, 0xc1, 0x9f, 0xbf, 0x5f, 0x30, 0x31, 0xa0]) {
    const bytes = new Uint8Array(1_000_000).fill(byte);
    assert.equal(parseSign1(bytes).ok || parseDocument(bytes).ok || parseCertificate(bytes).ok || parseCbor(bytes, { indefinite: 'allow' }).ok, false);
  }
  assert.ok(performance.now() - started < 2000);
});

test('the document of the harness is taken, so that the fuzzing starts from something that is', async () => {
  const report = await verifyAttestation(documentOf(hierarchy, {}, certificates), { at: { ms: NOW, source: 'chosen' }, root: trusted(certificates), expect: NO_EXPECTATIONS });
  assert.notEqual(report.verified, null);
});
