// SPDX-License-Identifier: Apache-2.0
/**
 * Writes CBOR in its core deterministic encoding (RFC 8949 section 4.2.1): shortest forms, definite lengths, keys in the
 * order of their encoded bytes. A value has one encoding, so that comparing with it proves that bytes were canonical.
 */
import { concatBytes, utf8 } from '../bytes.ts';
import type { CborKey, CborValue } from './value.ts';
import { MAJOR } from './value.ts';

/** @throws RangeError for an integer that is not safe: a caller's bug */
export function encodeCbor(value: CborValue): Uint8Array {
  switch (value.kind) {
    case 'int':
      return encodeInteger(value.value);
    case 'bytes':
      return concatBytes(encodeHead(MAJOR.bytes, value.value.length), value.value);
    case 'text':
      return encodeText(value.value);
    case 'array':
      return concatBytes(encodeHead(MAJOR.array, value.items.length), ...value.items.map(encodeCbor));
    case 'map':
      return concatBytes(encodeHead(MAJOR.map, value.entries.size), ...sortedEntries(value.entries));
    case 'tag':
      return concatBytes(encodeHead(MAJOR.tag, value.tag), encodeCbor(value.value));
    case 'bool':
      return Uint8Array.of(value.value ? 0xf5 : 0xf4);
    case 'null':
      return Uint8Array.of(0xf6);
  }
}

function encodeHead(major: number, argument: number): Uint8Array {
  if (!Number.isSafeInteger(argument) || argument < 0) throw new RangeError('not a safe integer');
  const type = major << 5;
  if (argument < 24) return Uint8Array.of(type | argument);
  const size = argument < 0x100 ? 1 : argument < 0x1_0000 ? 2 : argument < 0x1_0000_0000 ? 4 : 8;
  const head = new Uint8Array(1 + size);
  head[0] = type | (24 + Math.log2(size));
  let rest = argument;
  for (let at = size; at > 0; at -= 1) {
    head[at] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return head;
}

function encodeInteger(value: number): Uint8Array {
  return value < 0 ? encodeHead(MAJOR.negative, -1 - value) : encodeHead(MAJOR.unsigned, value);
}

function encodeText(text: string): Uint8Array {
  const bytes = utf8(text);
  return concatBytes(encodeHead(MAJOR.text, bytes.length), bytes);
}

function sortedEntries(entries: ReadonlyMap<CborKey, CborValue>): Uint8Array[] {
  const encoded = Array.from(entries, ([key, value]) => ({
    key: typeof key === 'number' ? encodeInteger(key) : encodeText(key),
    value: encodeCbor(value),
  }));
  encoded.sort((left, right) => compareBytes(left.key, right.key));
  return encoded.flatMap(({ key, value }) => [key, value]);
}

function compareBytes(left: Uint8Array, right: Uint8Array): number {
  const at = left.findIndex((byte, index) => byte !== right[index]);
  return at === -1 ? left.length - right.length : (left[at] ?? 0) - (right[at] ?? 0);
}
