// SPDX-License-Identifier: Apache-2.0
/** The primitive types of DER (X.690 sections 8, 10 and 11), each read to a value or refused with undefined. */
import type { DerElement } from './read.ts';
import { TAG } from './read.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The content of an element of that type; undefined for one of another type or of none. */
export function contentOf(element: DerElement | undefined, tag: number): Uint8Array | undefined {
  return element?.tag === tag ? element.content : undefined;
}

/** The children of an element of that type, if it has so many. */
export function childrenOf(element: DerElement | undefined, tag: number, least: number, most: number): readonly DerElement[] | undefined {
  if (element?.tag !== tag || element.children.length < least || element.children.length > most) return undefined;
  return element.children;
}

/** X.690 section 11.1: true is 0xff and nothing else. */
export function readBoolean(element: DerElement | undefined): boolean | undefined {
  const content = contentOf(element, TAG.boolean);
  if (content?.length !== 1) return undefined;
  return content[0] === 0xff ? true : content[0] === 0 ? false : undefined;
}

/** The bytes of an integer above zero, without sign byte; undefined for others and for one that is padded. */
export function readPositive(element: DerElement | undefined): Uint8Array | undefined {
  const content = contentOf(element, TAG.integer);
  const first = content?.[0];
  if (content === undefined || first === undefined || first >= 0x80) return undefined;
  if (first !== 0) return content;
  return (content[1] ?? 0) >= 0x80 ? content.subarray(1) : undefined;
}

/** A small integer, 0 to 127. */
export function readSmall(element: DerElement | undefined): number | undefined {
  const content = contentOf(element, TAG.integer);
  const value = content?.[0];
  return content?.length === 1 && value !== undefined && value < 0x80 ? value : undefined;
}

/** The bytes of a bit string that has no unused bits. */
export function readBytesOfBits(element: DerElement | undefined): Uint8Array | undefined {
  const content = contentOf(element, TAG.bitString);
  return content?.[0] === 0 ? content.subarray(1) : undefined;
}

/**
 * The numbers of the bits that are set in a named bit list. X.690 section 11.2: unused bits are zero, and so many that
 * the last used one is set. Otherwise one list would have several encodings.
 */
export function readNamedBits(element: DerElement | undefined): ReadonlySet<number> | undefined {
  const content = contentOf(element, TAG.bitString);
  const unused = content?.[0];
  const last = content?.at(-1);
  if (content === undefined || unused === undefined || last === undefined || unused > 7) return undefined;
  if (content.length === 1) return unused === 0 ? new Set() : undefined;
  if ((last & ((1 << unused) - 1)) !== 0 || (last & (1 << unused)) === 0) return undefined;
  const set = new Set<number>();
  for (let bit = 0; bit < (content.length - 1) * 8; bit += 1) {
    if (((content[1 + (bit >> 3)] ?? 0) & (0x80 >> (bit & 7))) !== 0) set.add(bit);
  }
  return set;
}

/** An object identifier in dotted form; arcs are below 2^28. */
export function readOid(element: DerElement | undefined): string | undefined {
  const content = contentOf(element, TAG.oid);
  if (content === undefined || content.length === 0 || (content.at(-1) ?? 0x80) >= 0x80) return undefined;
  const arcs: number[] = [];
  let arc = 0;
  let digits = 0;
  for (const byte of content) {
    if (digits === 0 && byte === 0x80) return undefined;
    arc = arc * 128 + (byte & 0x7f);
    digits += 1;
    if (digits > 4) return undefined;
    if (byte >= 0x80) continue;
    arcs.push(arc);
    arc = 0;
    digits = 0;
  }
  const joint = arcs[0] ?? 0;
  const top = Math.min(2, Math.floor(joint / 40));
  return [top, joint - top * 40, ...arcs.slice(1)].join('.');
}

/** A UTF8String or PrintableString. */
export function readText(element: DerElement | undefined): string | undefined {
  const printable = contentOf(element, TAG.printableString);
  const content = printable ?? contentOf(element, TAG.utf8String);
  if (content === undefined) return undefined;
  try {
    const text = utf8.decode(content);
    return printable === undefined || /^[A-Za-z0-9 '()+,./:=?-]*$/.test(text) ? text : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Milliseconds since 1970. RFC 5280 section 4.1.2.5: UTCTime for years up to 2049, GeneralizedTime from 2050 on, both
 * with seconds and Z.
 */
export function readTime(element: DerElement | undefined): number | undefined {
  const short = element?.tag === TAG.utcTime;
  const content = short ? element.content : contentOf(element, TAG.generalizedTime);
  if (content === undefined || content.length !== (short ? 13 : 15)) return undefined;
  const text = String.fromCharCode(...content);
  const match = /^(\d{2,4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/.exec(text);
  if (match === null) return undefined;
  const [, written = '', month = '', day = '', hours = '', minutes = '', seconds = ''] = match;
  const year = short ? `${Number(written) < 50 ? '20' : '19'}${written}` : written;
  if (!short && Number(year) < 2050) return undefined;
  const iso = `${year}-${month}-${day}T${hours}:${minutes}:${seconds}.000Z`;
  const time = Date.parse(iso);
  // Date.parse takes 31 February and hour 24 over into the next day; only a real date is written as it was read.
  return Number.isNaN(time) || new Date(time).toISOString() !== iso ? undefined : time;
}
