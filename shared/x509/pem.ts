// SPDX-License-Identifier: Apache-2.0
/** A certificate in PEM (RFC 7468), read strictly: one block, nothing around it. */
import { fromBase64 } from '../audit/base64.ts';

const BLOCK = /^-----BEGIN CERTIFICATE-----\r?\n((?:[A-Za-z0-9+/=]{1,76}\r?\n)+)-----END CERTIFICATE-----\r?\n?$/;

/** The DER bytes; undefined if the text is not one PEM certificate. */
export function certificateFromPem(text: string): Uint8Array | undefined {
  const body = BLOCK.exec(text)?.[1];
  return body === undefined ? undefined : fromBase64(body.replace(/\r?\n/g, ''));
}
