// SPDX-License-Identifier: Apache-2.0
/**
 * A strict, bounded reader of DER (X.690 section 10): the whole text becomes a tree before anything of it is used, so
 * that no part escapes the rules. Lengths are definite and shortest, tags have one byte, nothing follows the element.
 */
import { DER_DEPTH_MAX } from '../limits.ts';

export interface DerElement {
  /** The identifier byte: class, constructed bit, number. */
  readonly tag: number;
  /** The whole element. */
  readonly bytes: Uint8Array;
  /** Without identifier and length. */
  readonly content: Uint8Array;
  /** Empty for a primitive element. */
  readonly children: readonly DerElement[];
}

/** Identifier bytes that X.509 certificates use. */
export const TAG: {
  readonly boolean: 0x01;
  readonly integer: 0x02;
  readonly bitString: 0x03;
  readonly octetString: 0x04;
  readonly null: 0x05;
  readonly oid: 0x06;
  readonly utf8String: 0x0c;
  readonly printableString: 0x13;
  readonly utcTime: 0x17;
  readonly generalizedTime: 0x18;
  readonly sequence: 0x30;
  readonly set: 0x31;
} = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
};

const CONSTRUCTED = 0x20;
const CLASS = 0xc0;
const CONTEXT = 0x80;
const NUMBER = 0x1f;

/** Reads exactly one element from attacker-controlled bytes, in linear time; undefined if they are not strict DER. */
export function parseDer(bytes: Uint8Array): DerElement | undefined {
  const element = readElement(bytes, 0, 1);
  return element?.bytes.length === bytes.length ? element : undefined;
}

function readElement(bytes: Uint8Array, from: number, depth: number): DerElement | undefined {
  const tag = bytes[from];
  if (tag === undefined || depth > DER_DEPTH_MAX || !isKnownForm(tag)) return undefined;
  const length = readLength(bytes, from + 1);
  if (length === undefined || bytes.length - length.at < length.value) return undefined;
  const end = length.at + length.value;
  const content = bytes.subarray(length.at, end);
  const children = (tag & CONSTRUCTED) === 0 ? [] : readChildren(content, depth + 1);
  return children === undefined ? undefined : { tag, bytes: bytes.subarray(from, end), content, children };
}

/** Sequences and sets are constructed, other universal types are not: DER has no strings in pieces. */
function isKnownForm(tag: number): boolean {
  const number = tag & NUMBER;
  if (number === NUMBER) return false;
  if ((tag & CLASS) === CONTEXT) return true;
  const constructed = (tag & CONSTRUCTED) !== 0;
  return (tag & CLASS) === 0 && number !== 0 && constructed === (number === (TAG.sequence & NUMBER) || number === (TAG.set & NUMBER));
}

function readChildren(content: Uint8Array, depth: number): DerElement[] | undefined {
  const children: DerElement[] = [];
  for (let at = 0; at < content.length; ) {
    const child = readElement(content, at, depth);
    if (child === undefined) return undefined;
    children.push(child);
    at += child.bytes.length;
  }
  return children;
}

/** X.690 section 8.1.3 and 10.1. Two bytes of length are enough: inputs are bounded far below 64 KiB. */
function readLength(bytes: Uint8Array, at: number): { readonly value: number; readonly at: number } | undefined {
  const first = bytes[at];
  const second = bytes[at + 1] ?? 0;
  if (first === undefined) return undefined;
  if (first < 0x80) return { value: first, at: at + 1 };
  if (first === 0x81) return second < 0x80 ? undefined : { value: second, at: at + 2 };
  if (first !== 0x82 || second === 0) return undefined;
  return { value: second * 256 + (bytes[at + 2] ?? 0), at: at + 3 };
}
