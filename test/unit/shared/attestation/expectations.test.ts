// SPDX-License-Identifier: Apache-2.0
/** Good evidence, compared with what somebody accepts. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Check } from '../../../../shared/attestation/check.ts';
import { bootPcr } from '../../../../shared/attestation/pcr.ts';
import type { AttestationReport, Expectations } from '../../../../shared/attestation/verify.ts';
import { verifyAttestation } from '../../../../shared/attestation/verify.ts';
import { toHex, utf8 } from '../../../../shared/bytes.ts';
import type { CborValue } from '../../../../shared/cbor/value.ts';
import { encodeCbor } from '../../../../shared/cbor/write.ts';
import { NO_EXPECTATIONS } from '../../../harness/attestation-vectors.ts';
import type { Fields } from '../../../harness/nitro.ts';
import {
  bootRegisters, bytes, certificatesOf, documentOf, extended, int, join, makeHierarchy, map, NOW, pcrMap, registers, sha384, statementFields, string, trusted,
} from '../../../harness/nitro.ts';

const hierarchy = makeHierarchy();
const certificates = certificatesOf(hierarchy);
const root = trusted(certificates);
const NONCE = Uint8Array.from({ length: 32 }, (_, index) => index);
const TLS = new Uint8Array(32).fill(0x11);
const documents = { config: sha384(utf8('config')), policy: sha384(utf8('policy')), pins: sha384(utf8('pins')) };

/** A document as the gateway's enclave would have it. */
function ours(change: (statement: Map<string, CborValue>) => void = () => {}, fields: Fields = {}): Uint8Array {
  const statement = statementFields(documents, TLS);
  change(statement);
  return documentOf(hierarchy, { pcrs: pcrMap(bootRegisters(documents)), nonce: bytes(NONCE), user_data: bytes(encodeCbor(map(...statement))), ...fields }, certificates);
}

const image = (): Map<number, Uint8Array> => new Map([...registers()].filter(([index]) => index < 3));
const complete: Expectations = { ...NO_EXPECTATIONS, pcrs: image(), documents, nonce: NONCE, channelSha256: TLS };

function verify(document: Uint8Array, expect: Partial<Expectations> = {}, at = NOW): Promise<AttestationReport> {
  return verifyAttestation(document, { at: { ms: at, source: 'chosen' }, root, expect: { ...complete, ...expect } });
}

function failures(checks: readonly Check[]): string[] {
  return checks.flatMap((check) => (check.result === 'failed' ? [`${check.name} ${check.failure.family} ${check.failure.code}`] : []));
}

test('an enclave of ours that is all that was expected is verified, with nothing unchecked', async () => {
  const report = await verify(ours());
  assert.deepEqual(report.verdict, { kind: 'verified', accepted: [] });
  assert.deepEqual(report.checks.map((check) => `${check.name} ${check.result}`), [
    'format ok', 'document ok', 'certificates ok', 'root ok', 'chain ok', 'validity ok', 'signature ok', 'timestamp ok', 'identity ok',
    'freshness ok', 'debug ok', 'pcr0 ok', 'pcr1 ok', 'pcr2 ok', 'documents ok', 'nonce ok', 'statement ok', 'flags ok', 'channel ok',
  ]);
  assert.equal(report.verified?.statement?.origin, 'example.org/mcp-bastion/0123/1-0011223344556677');
  assert.equal(report.verified?.statement?.size, 12);
});

test('PCR16 is SHA-384 over 48 zeros and the extension, whose parts are the digests of the documents', async () => {
  const zeros = { config: new Uint8Array(48), policy: new Uint8Array(48), pins: new Uint8Array(48) };
  const named = { config: sha384(utf8('config')), policy: sha384(utf8('policy')), pins: sha384(utf8('pins')) };
  // Computed with Python's hashlib: sha384(48 zeros || 'mcp-bastion/pcr16/1' || zero byte || three digests).
  assert.equal(toHex(await bootPcr(zeros)), '8743799db28b1ca2bd46c0b8353a068821bfb605e5a48f920ff9581e45f794953ab8b4269b6ce63f7194b54396510512');
  assert.equal(toHex(await bootPcr(named)), '95aa277ada21d4d51a5afe780193ffd4a96cfb8310f0c32063947e7d05b0e8838e01c37156aff103587fb669d333bc77');
});

test('digests of another length are no boot documents', async () => {
  await assert.rejects(async () => bootPcr({ ...documents, policy: new Uint8Array(32) }), RangeError);
});

test('what is not given is not checked, and the verdict is not "verified" unless that was accepted', async () => {
  const report = await verify(ours(), NO_EXPECTATIONS);
  assert.deepEqual(report.verdict, { kind: 'incomplete', unchecked: ['release', 'documents', 'nonce', 'channel'] });
  const accepted = await verify(ours(), { ...NO_EXPECTATIONS, acceptUnchecked: new Set(['release', 'documents', 'nonce', 'channel']) });
  assert.deepEqual(accepted.verdict, { kind: 'verified', accepted: ['release', 'documents', 'nonce', 'channel'] });
  const most = await verify(ours(), { ...NO_EXPECTATIONS, acceptUnchecked: new Set(['release', 'documents', 'nonce']) });
  assert.deepEqual(most.verdict, { kind: 'incomplete', unchecked: ['channel'] });
});

test('expectations that check nothing are bugs of the caller', async () => {
  for (const index of [0, 1, 2]) {
    const pcrs = image();
    pcrs.delete(index);
    await assert.rejects(verify(ours(), { pcrs }), RangeError);
  }
  for (const length of [0, 15, 1025]) await assert.rejects(verify(ours(), { nonce: new Uint8Array(length) }), RangeError);
});

test('each register is compared, and further ones where they are given', async () => {
  for (const index of [0, 1, 2]) {
    const pcrs = image().set(index, extended(utf8('another image')));
    assert.deepEqual(failures((await verify(ours(), { pcrs })).checks), [`pcr${index} expectation PCR_MISMATCH`]);
  }
  assert.deepEqual((await verify(ours(), { pcrs: image().set(3, new Uint8Array(48)) })).verdict.kind, 'verified');
  assert.deepEqual(failures((await verify(ours(), { pcrs: image().set(8, extended(utf8('signer'))) })).checks), ['pcr8 expectation PCR_MISMATCH']);
  const absent = await verify(ours(), { pcrs: image().set(17, new Uint8Array(48)) });
  assert.deepEqual(absent.checks.find((check) => check.name === 'pcr17'), {
    name: 'pcr17', result: 'failed', failure: { family: 'expectation', code: 'PCR_MISMATCH', expected: '0'.repeat(96), actual: 'absent' },
  });
});

const debugCases: readonly [string, readonly number[]][] = [['PCR0', [0]], ['PCR1', [1]], ['PCR2', [2]], ['PCR0, PCR1, PCR2', [0, 1, 2]]];

for (const [name, zero] of debugCases) {
  test(`an enclave with ${name} zero is a debug enclave, although other registers are set`, async () => {
    const pcrs = bootRegisters(documents);
    for (const index of zero) pcrs.set(index, new Uint8Array(48));
    const document = ours(() => {}, { pcrs: pcrMap(pcrs) });
    const report = await verify(document, { pcrs: null, acceptUnchecked: new Set(['release']) });
    assert.deepEqual(failures(report.checks), ['debug expectation DEBUG_ENCLAVE']);
    assert.equal(report.checks.some((check) => check.result === 'failed' && check.failure.actual === `${name} zero or absent`), true);
  });
}

test('a document without PCR2 is that of a debug enclave too', async () => {
  const pcrs = bootRegisters(documents);
  pcrs.delete(2);
  assert.deepEqual(failures((await verify(ours(() => {}, { pcrs: pcrMap(pcrs) }), { pcrs: null })).checks), ['debug expectation DEBUG_ENCLAVE']);
});

test('a debug enclave that is allowed is never verified, whatever is accepted', async () => {
  const pcrs = bootRegisters(documents);
  for (const index of [0, 1, 2]) pcrs.set(index, new Uint8Array(48));
  const document = ours(() => {}, { pcrs: pcrMap(pcrs) });
  const report = await verify(document, { pcrs: null, allowDebug: true, acceptUnchecked: new Set(['release', 'debug']) });
  assert.deepEqual(report.verdict, { kind: 'incomplete', unchecked: ['debug'] });
  assert.match(report.checks.find((check) => check.name === 'debug' && check.result === 'not-checked')?.name ?? '', /debug/);
  assert.equal((await verify(document, { allowDebug: true })).verdict.kind, 'refused');
});

test('other documents than those expected are refused', async () => {
  for (const key of ['config', 'policy', 'pins'] as const) {
    assert.deepEqual(failures((await verify(ours(), { documents: { ...documents, [key]: sha384(utf8('other')) } })).checks), ['documents expectation DOCUMENTS_MISMATCH']);
  }
  const swapped = { config: documents.policy, policy: documents.config, pins: documents.pins };
  assert.deepEqual(failures((await verify(ours(), { documents: swapped })).checks), ['documents expectation DOCUMENTS_MISMATCH']);
  const without = await verify(documentOf(hierarchy, { nonce: bytes(NONCE) }, certificates), { channelSha256: null });
  assert.deepEqual(failures(without.checks), ['documents expectation DOCUMENTS_MISMATCH']);
});

test('another nonce, a part of it, or none is refused', async () => {
  const cases: readonly Fields[] = [{ nonce: bytes(NONCE.toReversed()) }, { nonce: bytes(NONCE.subarray(0, 31)) }, { nonce: bytes(join(NONCE, Uint8Array.of(0))) }, { nonce: bytes(new Uint8Array()) }, { nonce: undefined }];
  for (const fields of cases) assert.deepEqual(failures((await verify(ours(() => {}, fields))).checks), ['nonce expectation NONCE_MISMATCH']);
});

test('a document from another time than that of verification is stale', async () => {
  assert.equal((await verify(ours(), {}, NOW + 300_000)).verdict.kind, 'verified');
  assert.equal((await verify(ours(), {}, NOW - 300_000)).verdict.kind, 'verified');
  for (const at of [NOW + 300_001, NOW - 300_001]) assert.deepEqual(failures((await verify(ours(), {}, at)).checks), ['freshness expectation DOCUMENT_STALE']);
});

test('a connection with another key than the one that is stated is refused', async () => {
  assert.deepEqual(failures((await verify(ours(), { channelSha256: new Uint8Array(32) })).checks), ['channel expectation CHANNEL_MISMATCH']);
  const foreign = documentOf(hierarchy, { pcrs: pcrMap(bootRegisters(documents)), nonce: bytes(NONCE), user_data: bytes(TLS) }, certificates);
  const report = await verify(foreign, { acceptUnchecked: new Set(['statement']) });
  assert.deepEqual(failures(report.checks), ['channel expectation CHANNEL_MISMATCH']);
});

test('user_data of somebody else is no statement: not checked, and no flags', async () => {
  const some: readonly Fields[] = [{ user_data: undefined }, { user_data: bytes(new Uint8Array()) }, { user_data: bytes(TLS) }, { user_data: bytes(encodeCbor(map(['a', int(1)]))) }, { user_data: bytes(encodeCbor(int(1))) }];
  for (const fields of some) {
    const report = await verify(ours(() => {}, fields), { channelSha256: null, acceptUnchecked: new Set(['channel']) });
    assert.deepEqual(report.verdict, { kind: 'incomplete', unchecked: ['statement'] });
    assert.equal(report.verified?.statement, null);
  }
});

const broken: readonly [string, (statement: Map<string, CborValue>) => void, string][] = [
  ['of version 2', (statement) => statement.set('v', int(2)), 'its version is not 1'],
  ['with a version that is text', (statement) => statement.set('v', string('1')), 'its version is not 1'],
  ['without flags', (statement) => statement.delete('flags'), 'it has not exactly the keys of its version'],
  ['with another key', (statement) => statement.set('more', int(1)), 'it has not exactly the keys of its version'],
  ['with a short digest', (statement) => statement.set('tls', bytes(new Uint8Array(31))), 'a value has not the form of its key'],
  ['with a SHA-256 of its policy', (statement) => statement.set('policy', bytes(new Uint8Array(32))), 'a value has not the form of its key'],
  ['with negative flags', (statement) => statement.set('flags', int(-1)), 'a value has not the form of its key'],
  ['with an origin that a terminal would obey', (statement) => statement.set('origin', string('\u001b[2J')), 'a value has not the form of its key'],
  ['with a release of several words', (statement) => statement.set('release', string('0.1.0 VERIFIED')), 'a value has not the form of its key'],
  ['that is too long', (statement) => statement.set('origin', string('x'.repeat(300))), 'it is longer than 512 bytes'],
];

for (const [name, change, reason] of broken) {
  test(`a statement ${name} is refused`, async () => {
    const report = await verify(ours(change), { channelSha256: null });
    assert.deepEqual(failures(report.checks), ['statement evidence STATEMENT_MALFORMED']);
    assert.equal(report.checks.some((check) => check.result === 'failed' && check.failure.actual === reason), true);
  });
}

test('a statement that is not canonical is refused', async () => {
  const canonical = encodeCbor(map(...statementFields(documents, TLS)));
  // The first key is "v" with 1; the last is "release": the two entries change places.
  const first = canonical.subarray(1, 4);
  const reordered = join(canonical.subarray(0, 1), canonical.subarray(4), first);
  assert.equal(reordered.length, canonical.length);
  const report = await verify(ours(() => {}, { user_data: bytes(reordered) }), { channelSha256: null });
  assert.deepEqual(failures(report.checks), ['statement evidence STATEMENT_MALFORMED']);
});

test('a statement of other documents than PCR16 holds is refused', async () => {
  const report = await verify(ours((statement) => void statement.set('policy', bytes(sha384(utf8('kind words'))))));
  assert.deepEqual(failures(report.checks), ['statement evidence STATEMENT_MISMATCH']);
  const without = await verify(ours(() => {}, { pcrs: pcrMap(registers()) }), { documents: null });
  assert.deepEqual(failures(without.checks), ['statement evidence STATEMENT_MISMATCH']);
});

test('flags are refused by name; known ones may be allowed, unknown ones never', async () => {
  const flagged = async (flags: number, allowFlags: boolean): Promise<string> => {
    const { checks } = await verify(ours((statement) => void statement.set('flags', int(flags))), { allowFlags });
    const check = checks.find(({ name }) => name === 'flags');
    return check?.result === 'failed' ? `${check.failure.code}: ${check.failure.actual}` : check?.result === 'ok' ? check.detail : 'none';
  };
  assert.equal(await flagged(1, false), 'FLAGS_SET: it failed: clock source');
  assert.equal(await flagged(31, false), 'FLAGS_SET: it failed: clock source, random numbers, command line, own document, heartbeat');
  assert.equal(await flagged(20, true), 'allowed although the boot self-test failed: command line, heartbeat');
  assert.equal(await flagged(32, true), 'FLAGS_SET: it failed: unknown bits');
  assert.equal(await flagged(2 ** 40 + 1, true), 'FLAGS_SET: it failed: clock source, unknown bits');
});

test('after bad evidence nothing of the document is compared or given', async () => {
  const document = ours();
  document[document.length - 1] = (document.at(-1) ?? 0) ^ 1;
  const report = await verify(document);
  assert.equal(report.verified, null);
  assert.deepEqual(report.checks.at(-1)?.name, 'signature');
  assert.equal(report.verdict.kind, 'refused');
});
