// SPDX-License-Identifier: Apache-2.0
/** The X.509 certificate of an image's signer: read, described as nitro-cli describes it, and used to check the signature. */
import type { KeyObject } from 'node:crypto';
import { X509Certificate, createHash, verify } from 'node:crypto';
import { equalBytes, toHex } from '../shared/bytes.ts';
import type { CertificateDescription } from '../shared/eif/describe.ts';
import type { Sha384 } from '../shared/eif/measure.ts';
import type { EifSignature, SignatureAlgorithm } from '../shared/eif/signature.ts';

/** By OpenSSL's name of the curve. */
const CURVES: ReadonlyMap<string, { readonly algorithm: SignatureAlgorithm; readonly hash: string }> = new Map([
  ['prime256v1', { algorithm: 'ES256', hash: 'sha256' }],
  ['secp384r1', { algorithm: 'ES384', hash: 'sha384' }],
  ['secp521r1', { algorithm: 'ES512', hash: 'sha512' }],
]);

/** OpenSSL's long names, which nitro-cli shows, by the short ones, which Node shows. */
const LONG_NAMES: ReadonlyMap<string, string> = new Map([
  ['C', 'countryName'],
  ['CN', 'commonName'],
  ['DC', 'domainComponent'],
  ['GN', 'givenName'],
  ['L', 'localityName'],
  ['O', 'organizationName'],
  ['OU', 'organizationalUnitName'],
  ['SN', 'surname'],
  ['ST', 'stateOrProvinceName'],
  ['UID', 'userId'],
]);

/** SHA-384 of node:crypto, for images of some hundred MiB. */
export function nodeSha384(): Sha384 {
  return createHash('sha384');
}

/** The algorithm that a key signs with, and its hash; undefined if it is not on one of the three curves. */
export function algorithmOfKey(key: KeyObject): { readonly algorithm: SignatureAlgorithm; readonly hash: string } | undefined {
  return key.asymmetricKeyType === 'ec' ? CURVES.get(key.asymmetricKeyDetails?.namedCurve ?? '') : undefined;
}

/** Reads a certificate from attacker-controlled DER; undefined if it is none, or if bytes follow it. */
export function parseCertificate(der: Uint8Array): X509Certificate | undefined {
  try {
    const certificate = new X509Certificate(der);
    // Node takes PEM here too, and trailing bytes, which PCR8 as the platform computes it would not cover.
    return equalBytes(certificate.raw, der) ? certificate : undefined;
  } catch {
    return undefined;
  }
}

/** True at a moment (milliseconds since 1970) within the certificate's validity. */
export function isValidAt(certificate: X509Certificate, at: number): boolean {
  return certificate.validFromDate.getTime() <= at && at <= certificate.validToDate.getTime();
}

/** True if the key in the certificate made the signature. What was signed is still to be compared. */
export function verifyEifSignature(signature: EifSignature, certificate: X509Certificate): boolean {
  let key;
  try {
    key = certificate.publicKey;
  } catch {
    // A key that OpenSSL cannot read, such as a point that is not on its curve.
    return false;
  }
  const curve = algorithmOfKey(key);
  if (curve?.algorithm !== signature.algorithm) return false;
  return verify(curve.hash, signature.toBeSigned, { key, dsaEncoding: 'ieee-p1363' }, signature.signature);
}

/** Bytes of one DER element from `at`: where its content begins and where it ends. */
function element(der: Uint8Array, at: number): { readonly from: number; readonly end: number } {
  const first = der[at + 1] ?? 0;
  if (first < 0x80) return { from: at + 2, end: at + 2 + first };
  let length = 0;
  for (let index = 0; index < (first & 0x7f); index += 1) length = length * 256 + (der[at + 2 + index] ?? 0);
  const from = at + 2 + (first & 0x7f);
  return { from, end: from + length };
}

/** The last of a certificate's three elements, a BIT STRING. OpenSSL has parsed the certificate already. */
function signatureBits(certificate: X509Certificate): Uint8Array {
  const der = certificate.raw;
  const body = element(der, element(der, element(der, 0).from).end);
  const bits = element(der, body.end);
  return der.subarray(bits.from + 1, bits.end);
}

/** A value without the escapes of RFC 2253, which Node adds: a backslash before a character or before two hex digits. */
function unescape(value: string): string {
  return value.replace(/\\(?:([0-9A-F]{2})|(.))/g, (_, hex: string | undefined, char: string | undefined) => char ?? String.fromCharCode(Number.parseInt(hex ?? '', 16)));
}

/**
 * Name parts by long name, in alphabetical order; one name twice shows its last value, as in nitro-cli. They are taken
 * from the text of the name, because toLegacyObject() crashes Node 24 on certificates with a bad public key.
 */
function issuerName(certificate: X509Certificate): Record<string, string> {
  const parts: [string, string][] = [];
  for (const line of certificate.issuer.split('\n')) {
    const at = line.indexOf('=');
    const name = line.slice(0, Math.max(at, 0));
    // nitro-cli prints the debug form of a Rust string without its quotes.
    const value = unescape(line.slice(at + 1)).replaceAll('\\', '\\\\').replaceAll('"', '\\');
    parts.push([LONG_NAMES.get(name) ?? name, value]);
  }
  parts.sort(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0));
  return Object.fromEntries(parts);
}

/** The certificate as `nitro-cli describe-eif` shows it. */
export function describeCertificate(certificate: X509Certificate): CertificateDescription {
  return {
    issuerName: issuerName(certificate),
    algorithm: certificate.signatureAlgorithm ?? '',
    notBefore: certificate.validFrom,
    notAfter: certificate.validTo,
    signature: (toHex(signatureBits(certificate)).toUpperCase().match(/../g) ?? []).join(':'),
  };
}
