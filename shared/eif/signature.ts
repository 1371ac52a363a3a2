// SPDX-License-Identifier: Apache-2.0
/**
 * The signature section of an EIF: the signing certificate as PEM, and a COSE_Sign1 (RFC 9052) over PCR0. Reading and
 * writing stand side by side; the ECDSA itself is the caller's. What is read here proves nothing yet.
 */
import { concatBytes } from '../bytes.ts';
import { EIF_SIGNATURE_BYTES_MAX } from '../limits.ts';
import { certificateFromPem } from '../x509/pem.ts';
import { CborCursor, encodeBytes, encodeIntegers, encodeText } from './cbor.ts';

export type SignatureAlgorithm = 'ES256' | 'ES384' | 'ES512';

interface Algorithm {
  /** The protected header: a map with the algorithm alone. */
  readonly header: Uint8Array;
  /** Bytes of r and s together. */
  readonly signatureBytes: number;
}

const ALGORITHMS: ReadonlyMap<SignatureAlgorithm, Algorithm> = new Map([
  ['ES256', { header: Uint8Array.of(0xa1, 0x01, 0x26), signatureBytes: 64 }],
  ['ES384', { header: Uint8Array.of(0xa1, 0x01, 0x38, 0x22), signatureBytes: 96 }],
  ['ES512', { header: Uint8Array.of(0xa1, 0x01, 0x38, 0x23), signatureBytes: 132 }],
]);

/** Bytes of a PCR. */
const PCR_BYTES = 48;
const ARRAY_OF_1 = Uint8Array.of(0x81);
const ARRAY_OF_4 = Uint8Array.of(0x84);
const MAP_OF_2 = Uint8Array.of(0xa2);
const EMPTY_MAP = Uint8Array.of(0xa0);
const EMPTY_BYTES = Uint8Array.of(0x40);
const ZERO = Uint8Array.of(0x00);
const KEYS = {
  certificate: encodeText('signing_certificate'),
  signature: encodeText('signature'),
  index: encodeText('register_index'),
  value: encodeText('register_value'),
} as const;

export interface EifSignature {
  readonly algorithm: SignatureAlgorithm;
  /** As the certificate claims it; PCR8 is made of it. */
  readonly certificateDer: Uint8Array;
  /** The PCR0 that was signed: 48 bytes, to be compared with the file's own. */
  readonly pcr0: Uint8Array;
  /** The COSE Sig_structure, which the signature is made over. */
  readonly toBeSigned: Uint8Array;
  /** r and s, each as long as the curve's order. */
  readonly signature: Uint8Array;
}

/** Bytes to text one to one: PEM is ASCII, and anything else is then refused for what it is. */
const latin1 = new TextDecoder('latin1');

/** The DER of the one certificate in a PEM file; undefined if it holds anything else. */
export function certificateOfPem(pem: Uint8Array): Uint8Array | undefined {
  return certificateFromPem(latin1.decode(pem));
}

function algorithmOf(header: Uint8Array): SignatureAlgorithm | undefined {
  for (const [name, algorithm] of ALGORITHMS) {
    if (algorithm.header.length === header.length && algorithm.header.every((byte, at) => byte === header[at])) return name;
  }
  return undefined;
}

function payloadOf(pcr0: Uint8Array): Uint8Array {
  return concatBytes(MAP_OF_2, KEYS.index, ZERO, KEYS.value, encodeIntegers(pcr0));
}

function sigStructure(header: Uint8Array, payload: Uint8Array): Uint8Array {
  return concatBytes(ARRAY_OF_4, encodeText('Signature1'), encodeBytes(header), EMPTY_BYTES, encodeBytes(payload));
}

function algorithmNamed(name: SignatureAlgorithm): Algorithm {
  const algorithm = ALGORITHMS.get(name);
  if (algorithm === undefined) throw new RangeError('no such algorithm');
  return algorithm;
}

/** What a signer with that algorithm has to sign for that PCR0. */
export function pcr0ToBeSigned(algorithm: SignatureAlgorithm, pcr0: Uint8Array): Uint8Array {
  if (pcr0.length !== PCR_BYTES) throw new RangeError(`a PCR has ${PCR_BYTES} bytes`);
  return sigStructure(algorithmNamed(algorithm).header, payloadOf(pcr0));
}

/** The data of a signature section. */
export function encodeSignatureSection(
  algorithm: SignatureAlgorithm,
  pcr0: Uint8Array,
  signature: Uint8Array,
  certificatePem: Uint8Array,
): Uint8Array {
  const { header, signatureBytes } = algorithmNamed(algorithm);
  if (signature.length !== signatureBytes) throw new RangeError(`a signature of ${algorithm} has ${signatureBytes} bytes`);
  const cose = concatBytes(ARRAY_OF_4, encodeBytes(header), EMPTY_MAP, encodeBytes(payloadOf(pcr0)), encodeBytes(signature));
  return concatBytes(ARRAY_OF_1, MAP_OF_2, KEYS.certificate, encodeIntegers(certificatePem), KEYS.signature, encodeIntegers(cose));
}

/**
 * Reads the data of a signature section, which is attacker-controlled.
 *
 * @returns undefined unless it is exactly what AWS's signer writes: one signature, over PCR0, in the shortest encoding
 */
export function parseSignatureSection(data: Uint8Array): EifSignature | undefined {
  if (data.length > EIF_SIGNATURE_BYTES_MAX) return undefined;
  const section = new CborCursor(data);
  section.expect(ARRAY_OF_1);
  section.expect(MAP_OF_2);
  section.expect(KEYS.certificate);
  const certificateDer = certificateOfPem(section.integers());
  section.expect(KEYS.signature);
  const cose = new CborCursor(section.integers());
  cose.expect(ARRAY_OF_4);
  const header = cose.bytes();
  cose.expect(EMPTY_MAP);
  const payload = cose.bytes();
  const signature = cose.bytes();
  const claim = new CborCursor(payload);
  claim.expect(MAP_OF_2);
  claim.expect(KEYS.index);
  claim.expect(ZERO);
  claim.expect(KEYS.value);
  const pcr0 = claim.integers();
  const algorithm = algorithmOf(header);
  if (!section.whole || !cose.whole || !claim.whole || certificateDer === undefined || algorithm === undefined) return undefined;
  if (pcr0.length !== PCR_BYTES || signature.length !== algorithmNamed(algorithm).signatureBytes) return undefined;
  return { algorithm, certificateDer, pcr0, toBeSigned: sigStructure(header, payload), signature };
}
