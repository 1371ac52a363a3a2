// SPDX-License-Identifier: Apache-2.0
/**
 * A strict, bounded reader of one CBOR item (RFC 8949). It refuses what two readers could take differently: duplicate
 * keys, integers and lengths that are not in their shortest form, reserved additional information, strings of indefinite
 * length, invalid UTF-8, trailing bytes. Maps and arrays of indefinite length are read on request, because the NSM
 * writes its payload map so since 2025-12.
 */
import { CBOR_DEPTH_MAX } from '../limits.ts';
import type { CborKey, CborValue } from './value.ts';
import { MAJOR } from './value.ts';

export interface CborOptions {
  /** Whether arrays and maps may be of indefinite length. */
  readonly indefinite: 'allow' | 'refuse';
}

export type CborParsed =
  | { readonly ok: true; readonly value: CborValue }
  | {
      readonly ok: false;
      /** Bytes from the start. */
      readonly at: number;
      /** Safe to show: holds nothing of the input. */
      readonly reason: string;
    };

/** Reads attacker-controlled bytes in linear time. Byte strings of the result are copies. */
export function parseCbor(bytes: Uint8Array, options: CborOptions): CborParsed {
  const reader = new Reader(bytes, options.indefinite === 'allow');
  const value = reader.item(1);
  if (value !== undefined && reader.at < bytes.length) return { ok: false, at: reader.at, reason: 'bytes follow the item' };
  return value === undefined ? { ok: false, at: reader.at, reason: reader.reason } : { ok: true, value };
}

/** Additional information of a break, and of items of indefinite length. */
const INDEFINITE = 31;
const BREAK = 0xff;
const FALSE = 20;
const TRUE = 21;
const NULL = 22;

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

interface Head {
  readonly major: number;
  readonly info: number;
  /** The argument; 0 for an item of indefinite length. */
  readonly value: number;
}

/** Types whose length may be left open, and the break that ends them. */
function hasLength(major: number): boolean {
  return (major >= MAJOR.bytes && major <= MAJOR.map) || major === MAJOR.simple;
}

/** Reads once. Methods give undefined after a failure, which then stands in `reason`. */
class Reader {
  at = 0;
  reason = '';
  readonly #bytes: Uint8Array;
  readonly #indefinite: boolean;

  constructor(bytes: Uint8Array, indefinite: boolean) {
    this.#bytes = bytes;
    this.#indefinite = indefinite;
  }

  item(depth: number): CborValue | undefined {
    if (depth > CBOR_DEPTH_MAX) return this.#fail('it is nested too deeply');
    const head = this.#head();
    if (head === undefined) return undefined;
    switch (head.major) {
      case MAJOR.unsigned:
        return { kind: 'int', value: head.value };
      case MAJOR.negative:
        return { kind: 'int', value: -1 - head.value };
      case MAJOR.bytes: {
        const bytes = this.#string(head);
        return bytes === undefined ? undefined : { kind: 'bytes', value: bytes.slice() };
      }
      case MAJOR.text:
        return this.#text(head);
      case MAJOR.array:
        return this.#array(head, depth);
      case MAJOR.map:
        return this.#map(head, depth);
      case MAJOR.tag: {
        const value = this.item(depth + 1);
        return value === undefined ? undefined : { kind: 'tag', tag: head.value, value };
      }
      default:
        return this.#simple(head.info);
    }
  }

  #fail(reason: string): undefined {
    this.reason = reason;
    return undefined;
  }

  /** The initial byte and its argument. */
  #head(): Head | undefined {
    const first = this.#bytes[this.at];
    if (first === undefined) return this.#fail('it ends early');
    this.at += 1;
    const major = first >> 5;
    const info = first & 31;
    if (info < 24) return { major, info, value: info };
    if (info === INDEFINITE) return hasLength(major) ? { major, info, value: 0 } : this.#fail('additional information 31 has no meaning here');
    if (info > 27) return this.#fail('additional information 28 to 30 is reserved');
    // Floats and two-byte simple values are refused by their additional information alone.
    if (major === MAJOR.simple) return { major, info, value: 0 };
    const value = this.#argument(1 << (info - 24));
    return value === undefined ? undefined : { major, info, value };
  }

  #argument(size: number): number | undefined {
    if (this.#bytes.length - this.at < size) return this.#fail('it ends early');
    let value = 0n;
    for (const byte of this.#bytes.subarray(this.at, this.at + size)) value = (value << 8n) | BigInt(byte);
    const least = size === 1 ? 24n : 1n << BigInt(size * 4);
    if (value < least) return this.#fail('an integer or length is not in its shortest form');
    // One less than the greatest safe integer, so that -1 - n is safe too.
    if (value >= BigInt(Number.MAX_SAFE_INTEGER)) return this.#fail('an integer is too large');
    this.at += size;
    return Number(value);
  }

  #string(head: Head): Uint8Array | undefined {
    if (head.info === INDEFINITE) return this.#fail('a string has no length');
    if (this.#bytes.length - this.at < head.value) return this.#fail('it ends early');
    const bytes = this.#bytes.subarray(this.at, this.at + head.value);
    this.at += head.value;
    return bytes;
  }

  #text(head: Head): CborValue | undefined {
    const bytes = this.#string(head);
    if (bytes === undefined) return undefined;
    try {
      return { kind: 'text', value: decoder.decode(bytes) };
    } catch {
      return this.#fail('a text is not UTF-8');
    }
  }

  #array(head: Head, depth: number): CborValue | undefined {
    const items: CborValue[] = [];
    for (let more = this.#more(head, 0); more !== false; more = this.#more(head, items.length)) {
      const item = more === undefined ? undefined : this.item(depth + 1);
      if (item === undefined) return undefined;
      items.push(item);
    }
    return { kind: 'array', items };
  }

  #map(head: Head, depth: number): CborValue | undefined {
    const entries = new Map<CborKey, CborValue>();
    for (let more = this.#more(head, 0); more !== false; more = this.#more(head, entries.size)) {
      const key = more === undefined ? undefined : this.#key(depth + 1);
      if (key === undefined) return undefined;
      if (entries.has(key)) return this.#fail('a map has a key twice');
      const value = this.item(depth + 1);
      if (value === undefined) return undefined;
      entries.set(key, value);
    }
    return { kind: 'map', entries };
  }

  #key(depth: number): CborKey | undefined {
    const key = this.item(depth);
    if (key === undefined) return undefined;
    return key.kind === 'int' || key.kind === 'text' ? key.value : this.#fail('a key is neither an integer nor text');
  }

  /** Whether a container has another item after so many; takes the break of one of indefinite length. */
  #more(head: Head, count: number): boolean | undefined {
    if (head.info !== INDEFINITE) return count < head.value;
    if (!this.#indefinite) return this.#fail('an array or map has no length');
    if (this.#bytes[this.at] !== BREAK) return true;
    this.at += 1;
    return false;
  }

  #simple(info: number): CborValue | undefined {
    if (info === FALSE || info === TRUE) return { kind: 'bool', value: info === TRUE };
    if (info === NULL) return { kind: 'null' };
    return this.#fail(info === INDEFINITE ? 'a break stands where an item should' : 'a float or simple value is not allowed');
  }
}
