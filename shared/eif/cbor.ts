// SPDX-License-Identifier: Apache-2.0
/**
 * The little CBOR (RFC 8949) that a signature section is made of: maps with fixed keys, byte strings, and bytes written
 * as arrays of integers, because that is how the Rust library serialises them. One encoding of each value is taken.
 */
import { concatBytes, equalBytes, utf8 } from '../bytes.ts';

/** CBOR major types, as the upper bits of the first byte. */
const MAJOR = { uint: 0x00, bytes: 0x40, text: 0x60, array: 0x80, map: 0xa0 } as const;
type Major = keyof typeof MAJOR;

/** The first bytes of an item: its type and its length or value, in as few bytes as hold it. */
function head(major: Major, value: number): Uint8Array {
  const type = MAJOR[major];
  if (value < 24) return Uint8Array.of(type | value);
  if (value < 0x100) return Uint8Array.of(type | 24, value);
  if (value < 0x10000) return Uint8Array.of(type | 25, value >> 8, value & 0xff);
  throw new RangeError('nothing in a signature section is longer than 65535 bytes');
}

export function encodeText(text: string): Uint8Array {
  const bytes = utf8(text);
  return concatBytes(head('text', bytes.length), bytes);
}

export function encodeBytes(bytes: Uint8Array): Uint8Array {
  return concatBytes(head('bytes', bytes.length), bytes);
}

/** Bytes as an array of integers. */
export function encodeIntegers(bytes: Uint8Array): Uint8Array {
  const items = [head('array', bytes.length)];
  for (const byte of bytes) items.push(head('uint', byte));
  return concatBytes(...items);
}

/**
 * Reads items one after the other from attacker-controlled bytes. The first that is not as asked for makes everything
 * after it read as empty; `whole` then says false.
 */
export class CborCursor {
  readonly #bytes: Uint8Array;
  #at = 0;
  #failed = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** True if everything was as asked for and nothing is left. */
  get whole(): boolean {
    return !this.#failed && this.#at === this.#bytes.length;
  }

  /** Takes exactly these bytes. */
  expect(bytes: Uint8Array): void {
    if (!equalBytes(this.#take(bytes.length), bytes)) this.#failed = true;
  }

  /** A byte string. */
  bytes(): Uint8Array {
    return this.#take(this.#head('bytes'));
  }

  /** An array of integers below 256. */
  integers(): Uint8Array {
    const length = this.#head('array');
    // Each integer takes a byte at least: a length beyond the input is refused before anything is allocated.
    if (length > this.#bytes.length - this.#at) this.#failed = true;
    if (this.#failed) return new Uint8Array();
    const read = new Uint8Array(length);
    for (let index = 0; index < length; index += 1) {
      const value = this.#head('uint');
      if (value > 0xff) this.#failed = true;
      read[index] = value;
    }
    return read;
  }

  #take(length: number): Uint8Array {
    if (this.#failed || length > this.#bytes.length - this.#at) {
      this.#failed = true;
      return new Uint8Array();
    }
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  /** The value of the next head if it is of that type and in its shortest form; else 0. */
  #head(major: Major): number {
    const [first = 0] = this.#take(1);
    const short = first & 0x1f;
    let value = short;
    if (short === 24) [value = 0] = this.#take(1);
    if (short === 25) {
      const [high = 0, low = 0] = this.#take(2);
      value = high * 0x100 + low;
    }
    const shortest = short < 24 || (short === 24 && value >= 24) || (short === 25 && value >= 0x100);
    if ((first & 0xe0) !== MAJOR[major] || !shortest) this.#failed = true;
    return this.#failed ? 0 : value;
  }
}
