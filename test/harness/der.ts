// SPDX-License-Identifier: Apache-2.0
/** A small writer of DER, for certificates that tests make. */
import { concatBytes, utf8 } from '../../shared/bytes.ts';

export function element(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = concatBytes(...parts);
  const { length } = content;
  const head = length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
  return concatBytes(Uint8Array.from(head), content);
}

export const sequence = (...parts: readonly Uint8Array[]): Uint8Array => element(0x30, ...parts);
export const set = (...parts: readonly Uint8Array[]): Uint8Array => element(0x31, ...parts);
export const octets = (bytes: Uint8Array): Uint8Array => element(0x04, bytes);
export const bits = (bytes: Uint8Array, unused = 0): Uint8Array => element(0x03, Uint8Array.of(unused), bytes);
export const bool = (value: boolean): Uint8Array => element(0x01, Uint8Array.of(value ? 0xff : 0));
export const text = (value: string): Uint8Array => element(0x0c, utf8(value));

/** A positive integer from its bytes. */
export function integer(bytes: Uint8Array): Uint8Array {
  return element(0x02, (bytes[0] ?? 0) >= 0x80 ? concatBytes(Uint8Array.of(0), bytes) : bytes);
}

export function oid(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const content: number[] = [];
  for (const arc of [first * 40 + second, ...rest]) {
    const digits = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) digits.unshift((left & 0x7f) | 0x80);
    content.push(...digits);
  }
  return element(0x06, Uint8Array.from(content));
}

/** UTCTime up to 2049, GeneralizedTime from then on. */
export function time(ms: number): Uint8Array {
  const digits = new Date(ms).toISOString().slice(0, 19).replace(/[-:T]/g, '');
  return digits < '2050' ? element(0x17, utf8(`${digits.slice(2)}Z`)) : element(0x18, utf8(`${digits}Z`));
}
