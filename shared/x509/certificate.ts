// SPDX-License-Identifier: Apache-2.0
/**
 * The subset of X.509 (RFC 5280) that AWS Nitro's certificates use: version 3, P-384 keys, ECDSA with SHA-384. Anything
 * else is refused here, so that the chain has no choices to make. Parsing proves the form only, never who signed.
 */
import type { DerElement } from '../der/read.ts';
import { parseDer, TAG } from '../der/read.ts';
import { childrenOf, readBytesOfBits, readOid, readPositive, readSmall, readTime } from '../der/types.ts';
import { CERTIFICATE_BYTES_MAX, SERIAL_BYTES_MAX } from '../limits.ts';
import { P384_POINT_BYTES, rawSignature } from './es384.ts';
import type { Extensions } from './extensions.ts';
import { readExtensions } from './extensions.ts';
import type { Name } from './name.ts';
import { readName } from './name.ts';

export interface Certificate {
  readonly der: Uint8Array;
  /** The signed part, as received. */
  readonly tbs: Uint8Array;
  /** Without sign byte. */
  readonly serial: Uint8Array;
  readonly issuer: Name;
  readonly subject: Name;
  /** Milliseconds since 1970; both ends belong to the period. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** The key: an uncompressed P-384 point, not yet known to be on the curve. */
  readonly point: Uint8Array;
  readonly extensions: Extensions;
  /** Raw, r then s. */
  readonly signature: Uint8Array;
}

export type CertificateParsed =
  | { readonly ok: true; readonly certificate: Certificate }
  /** The reason is safe to show: it holds nothing of the certificate. */
  | { readonly ok: false; readonly reason: string };

/** Identifier bytes of the tagged parts of a certificate. */
const VERSION = 0xa0;
const EXTENSIONS = 0xa3;
const V3 = 2;
const ECDSA_WITH_SHA384 = '1.2.840.10045.4.3.3';
const EC_PUBLIC_KEY = '1.2.840.10045.2.1';
const SECP384R1 = '1.3.132.0.34';

function refuse(reason: string): CertificateParsed {
  return { ok: false, reason };
}

/** Parses attacker-controlled bytes. The result refers to a copy of them. */
export function parseCertificate(bytes: Uint8Array): CertificateParsed {
  if (bytes.length > CERTIFICATE_BYTES_MAX) return refuse(`it is longer than ${CERTIFICATE_BYTES_MAX} bytes`);
  const tree = parseDer(bytes.slice());
  const [tbs, algorithm, bits] = childrenOf(tree, TAG.sequence, 3, 3) ?? [];
  if (tree === undefined || tbs === undefined) return refuse('it is not strict DER of three parts');
  const signature = rawSignature(readBytesOfBits(bits) ?? new Uint8Array());
  if (!isEcdsaSha384(algorithm) || signature === undefined) return refuse('it is not signed with ECDSA and SHA-384');
  const parts = childrenOf(tbs, TAG.sequence, 8, 8);
  if (parts === undefined) return refuse('it does not have the eight parts of version 3 with extensions');
  const [version, number, inner, issuerName, validity, subjectName, keyInfo, extensionList] = parts;
  if (readSmall(childrenOf(version, VERSION, 1, 1)?.[0]) !== V3) return refuse('it is not of version 3');
  const serial = readPositive(number);
  if (serial === undefined || serial.length > SERIAL_BYTES_MAX) return refuse('its serial number is not positive, or too long');
  if (!isEcdsaSha384(inner)) return refuse('its two signature algorithms differ');
  const issuer = readName(issuerName);
  const subject = readName(subjectName);
  if (issuer === undefined || subject === undefined) return refuse('a name is not strict DER of single attributes');
  const [notBeforeMs, notAfterMs] = (childrenOf(validity, TAG.sequence, 2, 2) ?? []).map(readTime);
  if (notBeforeMs === undefined || notAfterMs === undefined || notBeforeMs > notAfterMs) return refuse('its period is not two times in order');
  const point = readP384Point(keyInfo);
  if (point === undefined) return refuse('its key is not an uncompressed P-384 point');
  if (extensionList?.tag !== EXTENSIONS) return refuse('it has no extensions');
  const read = readExtensions(extensionList);
  if (!read.ok) return refuse(read.reason);
  const { extensions } = read;
  return { ok: true, certificate: { der: tree.bytes, tbs: tbs.bytes, serial, issuer, subject, notBeforeMs, notAfterMs, point, extensions, signature } };
}

/** RFC 5758 section 3.2: the algorithm has no parameters, not even null. */
function isEcdsaSha384(element: DerElement | undefined): boolean {
  return readOid(childrenOf(element, TAG.sequence, 1, 1)?.[0]) === ECDSA_WITH_SHA384;
}

/** RFC 5480 section 2. */
function readP384Point(element: DerElement | undefined): Uint8Array | undefined {
  const [algorithm, key] = childrenOf(element, TAG.sequence, 2, 2) ?? [];
  const [type, curve] = childrenOf(algorithm, TAG.sequence, 2, 2) ?? [];
  if (readOid(type) !== EC_PUBLIC_KEY || readOid(curve) !== SECP384R1) return undefined;
  const point = readBytesOfBits(key);
  return point?.length === P384_POINT_BYTES && point[0] === 0x04 ? point : undefined;
}
