// SPDX-License-Identifier: Apache-2.0
/**
 * Makes the signature section of an image: ECDSA over its PCR0. It needs the PCR0 and not the image, so that the key can
 * stay on another machine.
 */
import type { KeyObject, X509Certificate } from 'node:crypto';
import { createPrivateKey, sign } from 'node:crypto';
import { certificateOfPem, encodeSignatureSection, pcr0ToBeSigned } from '../shared/eif/signature.ts';
import { Usage } from '../shared/errors.ts';
import { EIF_SIGNATURE_BYTES_MAX } from '../shared/limits.ts';
import { algorithmOfKey, isValidAt, parseCertificate } from './certificate.ts';

export interface Signer {
  /** An unencrypted EC key on P-256, P-384 or P-521. */
  readonly keyPem: Uint8Array;
  /** One certificate, for that key. */
  readonly certificatePem: Uint8Array;
}

function fits(certificate: X509Certificate, key: KeyObject): boolean {
  try {
    return certificate.checkPrivateKey(key);
  } catch {
    // The certificate's own key cannot be read.
    return false;
  }
}

function privateKey(pem: Uint8Array): KeyObject {
  try {
    return createPrivateKey(Buffer.from(pem));
  } catch {
    throw new Usage('USAGE', 'the key is not an unencrypted private key in PEM', 'decrypt it first: openssl pkey -in KEY -out PLAIN');
  }
}

/**
 * The signature section for an image with that PCR0.
 *
 * @param now milliseconds since 1970
 * @throws Usage for a key or certificate that cannot sign an image
 */
export function signPcr0(pcr0: Uint8Array, signer: Signer, now: number): Uint8Array {
  const key = privateKey(signer.keyPem);
  const curve = algorithmOfKey(key);
  if (curve === undefined) {
    throw new Usage('USAGE', 'the key is not on P-256, P-384 or P-521', 'make one: openssl ecparam -name secp384r1 -genkey -noout -out KEY');
  }
  const certificate = parseCertificate(certificateOfPem(signer.certificatePem) ?? new Uint8Array());
  if (certificate === undefined) {
    throw new Usage('USAGE', 'the certificate file does not hold exactly one certificate in PEM', 'leave out the chain and any text: openssl x509 -in CERT -out PLAIN');
  }
  if (!fits(certificate, key)) throw new Usage('USAGE', 'the certificate is for another key', 'give the key that it was made for');
  // Nitro does not start an image whose certificate is out of its time.
  if (!isValidAt(certificate, now)) throw new Usage('USAGE', 'the certificate is not valid now', 'make one that is valid as long as the image is to run');
  const signature = sign(curve.hash, pcr0ToBeSigned(curve.algorithm, pcr0), { key, dsaEncoding: 'ieee-p1363' });
  const section = encodeSignatureSection(curve.algorithm, pcr0, signature, signer.certificatePem);
  if (section.length > EIF_SIGNATURE_BYTES_MAX) {
    throw new Usage('USAGE', 'the certificate file is too long for an image', 'use a shorter certificate');
  }
  return section;
}
