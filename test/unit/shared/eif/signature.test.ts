// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { concatBytes, utf8 } from '../../../../shared/bytes.ts';
import { certificateOfPem, encodeSignatureSection, parseSignatureSection, pcr0ToBeSigned } from '../../../../shared/eif/signature.ts';
import { newSigner } from '../../../harness/eif.ts';

const { certificatePem } = newSigner();
const PCR0 = Uint8Array.from({ length: 48 }, (_, index) => index);
const SIZES = [['ES256', 64, 'a10126'], ['ES384', 96, 'a1013822'], ['ES512', 132, 'a1013823']] as const;

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
const ascii = (text: string): string => Buffer.from(text).toString('hex');
/** Integers as serde writes them, by another hand. */
const integers = (bytes: Iterable<number>): string => Array.from(bytes, (byte) => (byte < 24 ? byte : 0x1800 | byte).toString(16).padStart(byte < 24 ? 2 : 4, '0')).join('');
const payload = `a2 6e ${ascii('register_index')} 00 6e ${ascii('register_value')} 98 30 ${integers(PCR0)}`;

/** A section with parts of one's own, as hex. */
function sectionOf(change: { cose?: string; pem?: Uint8Array; before?: string; after?: string } = {}): Uint8Array {
  const cose = hex(change.cose ?? coseOf());
  const pem = change.pem ?? certificatePem;
  const array = (bytes: Uint8Array): string => {
    const { length } = bytes;
    const head = length < 24 ? (0x80 | length).toString(16) : length < 256 ? `98 ${length.toString(16)}` : `99 ${length.toString(16).padStart(4, '0')}`;
    return `${head} ${integers(bytes)}`;
  };
  const start = change.before ?? '81 a2';
  return hex(`${start} 73 ${ascii('signing_certificate')} ${array(pem)} 69 ${ascii('signature')} ${array(cose)} ${change.after ?? ''}`);
}

function bytesOf(text: string): string {
  const { length } = hex(text);
  return `${length < 24 ? (0x40 | length).toString(16) : `58 ${length.toString(16).padStart(2, '0')}`} ${text}`;
}

function coseOf(change: { start?: string; header?: string; unprotected?: string; payload?: string; signature?: string; after?: string } = {}): string {
  const { start = '84', header = 'a1013822', unprotected = 'a0', signature = '07'.repeat(96), after = '' } = change;
  return `${start} ${bytesOf(header)} ${unprotected} ${bytesOf(change.payload ?? payload)} ${bytesOf(signature)} ${after}`;
}

test('a section has exactly the bytes that the format describes', () => {
  const written = encodeSignatureSection('ES384', PCR0, new Uint8Array(96).fill(7), certificatePem);
  assert.equal(Buffer.from(written).toString('hex'), Buffer.from(sectionOf()).toString('hex'));
});

test('what is signed is the COSE structure over the claim of PCR0', () => {
  for (const [algorithm, , header] of SIZES) {
    const expected = hex(`84 6a ${ascii('Signature1')} ${bytesOf(header)} 40 ${bytesOf(payload)}`);
    assert.deepEqual(Buffer.from(pcr0ToBeSigned(algorithm, PCR0)), expected);
  }
});

test('a section is read back as it was written, for each algorithm', () => {
  for (const [algorithm, size] of SIZES) {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 48, maxLength: 48 }), fc.uint8Array({ minLength: size, maxLength: size }), (pcr0, signature) => {
        const read = parseSignatureSection(encodeSignatureSection(algorithm, pcr0, signature, certificatePem));
        assert.deepEqual(read, {
          algorithm, pcr0, signature: read?.signature,
          certificateDer: certificateOfPem(certificatePem), toBeSigned: pcr0ToBeSigned(algorithm, pcr0),
        });
        assert.deepEqual(Buffer.from(read.signature), Buffer.from(signature));
      }),
      { numRuns: 30 },
    );
  }
});

test('the section that the negatives below are made from is taken', () => {
  assert.equal(parseSignatureSection(sectionOf())?.algorithm, 'ES384');
});

const shifted = payload.replace(' 00 6e', ' 01 6e');
const pemText = Buffer.from(certificatePem).toString();
const refused: readonly [string, Uint8Array][] = [
  ['nothing', new Uint8Array()],
  ['no signature', hex('80')],
  ['two signatures', concatBytes(sectionOf({ before: '82 a2' }), sectionOf({ before: 'a2' }))],
  ['an array of no fixed length', sectionOf({ before: '9f a2', after: 'ff' })],
  ['a length that is not in its shortest form', sectionOf({ before: '98 01 a2' })],
  ['a third member', sectionOf({ before: '81 a3', after: '61 61 00' })],
  ['bytes after it', sectionOf({ after: '00' })],
  ['a tagged COSE structure', sectionOf({ cose: coseOf({ start: 'd2 84' }) })],
  ['bytes after the COSE structure', sectionOf({ cose: coseOf({ after: '00' }) })],
  ['another algorithm', sectionOf({ cose: coseOf({ header: 'a10127' }) })],
  ['a header with more in it', sectionOf({ cose: coseOf({ header: 'a2013822044100' }) })],
  ['an algorithm that is not protected', sectionOf({ cose: coseOf({ header: '', unprotected: 'a1013822' }) })],
  ['a signature too short for its algorithm', sectionOf({ cose: coseOf({ signature: '07'.repeat(95) }) })],
  ['a signature of another algorithm', sectionOf({ cose: coseOf({ header: 'a10126' }) })],
  ['another register', sectionOf({ cose: coseOf({ payload: shifted }) })],
  ['a value of 47 bytes', sectionOf({ cose: coseOf({ payload: payload.replace('98 30 00', '98 2f') }) })],
  ['a value that is a byte string', sectionOf({ cose: coseOf({ payload: payload.slice(0, payload.indexOf('98 30')) + bytesOf('00'.repeat(48)) }) })],
  ['an integer above 255', sectionOf({ cose: coseOf({ payload: payload.replace('98 30 00', '98 30 19 01 00') }) })],
  ['an integer that is not in its shortest form', sectionOf({ cose: coseOf({ payload: payload.replace('98 30 00', '98 30 18 00') }) })],
  ['a detached payload', sectionOf({ cose: `84 ${bytesOf('a1013822')} a0 f6 ${bytesOf('07'.repeat(96))}` })],
  ['an array longer than what follows', hex(`81 a2 73 ${ascii('signing_certificate')} 99 ffff 00`)],
  ['an empty certificate', sectionOf({ pem: new Uint8Array() })],
  ['two certificates', sectionOf({ pem: utf8(pemText + pemText) })],
  ['a key instead of a certificate', sectionOf({ pem: newSigner().keyPem })],
  ['a certificate in DER', sectionOf({ pem: certificateOfPem(certificatePem) ?? new Uint8Array() })],
];

for (const [name, section] of refused) {
  test(`a signature section is refused: ${name}`, () => assert.equal(parseSignatureSection(section), undefined));
}

test('a section that is cut off anywhere is refused', () => {
  const section = sectionOf();
  for (let length = 0; length < section.length; length += 1) assert.equal(parseSignatureSection(section.subarray(0, length)), undefined);
});

test('no byte of a section can change unseen', () => {
  const section = Uint8Array.from(sectionOf());
  const show = (bytes: Uint8Array): string => JSON.stringify(parseSignatureSection(bytes) ?? null, (_, value: unknown) => (value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value));
  const before = show(section);
  for (let at = 0; at < section.length; at += 1) {
    for (const bit of [0, 3, 5, 7]) {
      const changed = Uint8Array.from(section, (byte, index) => (index === at ? byte ^ (1 << bit) : byte));
      assert.notEqual(show(changed), before, `byte ${at}`);
    }
  }
});

test('a caller that gives a PCR or a signature of another length is told', () => {
  assert.throws(() => pcr0ToBeSigned('ES384', new Uint8Array(32)), RangeError);
  assert.throws(() => encodeSignatureSection('ES384', PCR0, new Uint8Array(64), certificatePem), RangeError);
  assert.throws(() => encodeSignatureSection('ES256', PCR0, new Uint8Array(64), new Uint8Array(70_000)), RangeError);
});
