// SPDX-License-Identifier: Apache-2.0
/** The CBOR values (RFC 8949) that the product reads and writes: no floats, no undefined, no other simple values. */

/** Integers are safe ones; keys of maps are integers or text. */
export type CborKey = number | string;

export type CborValue =
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'bytes'; readonly value: Uint8Array }
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'array'; readonly items: readonly CborValue[] }
  /** In the order of the encoding; a Map, because keys may come from an attacker. */
  | { readonly kind: 'map'; readonly entries: ReadonlyMap<CborKey, CborValue> }
  | { readonly kind: 'tag'; readonly tag: number; readonly value: CborValue }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'null' };

/** RFC 8949 section 3.1. */
export const MAJOR: {
  readonly unsigned: 0;
  readonly negative: 1;
  readonly bytes: 2;
  readonly text: 3;
  readonly array: 4;
  readonly map: 5;
  readonly tag: 6;
  readonly simple: 7;
} = { unsigned: 0, negative: 1, bytes: 2, text: 3, array: 4, map: 5, tag: 6, simple: 7 };
