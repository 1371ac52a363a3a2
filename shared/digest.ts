// SPDX-License-Identifier: Apache-2.0
/** SHA-256 as the product's identifiers use it. */
import { sha256 } from '@noble/hashes/sha2.js';
import { toHex, utf8 } from './bytes.ts';

/** SHA-256 of bytes, or of a string's UTF-8, in lower-case hex. */
export function sha256Hex(data: Uint8Array | string): string {
  return toHex(sha256(typeof data === 'string' ? utf8(data) : data));
}
