// SPDX-License-Identifier: Apache-2.0
/** The one certificate in a PEM text (RFC 7468). Two blocks are refused: AWS's tools read the first, a person the last. */
import { fromBase64 } from '../audit/base64.ts';

/** The certificate's DER, or undefined unless the text holds exactly one block, and that a certificate. */
export function certificateOfPem(pem: Uint8Array): Uint8Array | undefined {
  let text = '';
  for (const byte of pem) {
    if (byte > 0x7e || (byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d)) return undefined;
    text += String.fromCharCode(byte);
  }
  const [before = '', begin, body = '', end, , ...more] = text.split('-----');
  if (more.length > 0 || begin !== 'BEGIN CERTIFICATE' || end !== 'END CERTIFICATE') return undefined;
  if (before !== '' && !before.endsWith('\n')) return undefined;
  const der = fromBase64(body.replace(/[\r\n]/g, ''));
  return der === undefined || der.length === 0 ? undefined : der;
}
