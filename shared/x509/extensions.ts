// SPDX-License-Identifier: Apache-2.0
/**
 * The extensions of a certificate (RFC 5280 section 4.2). What a chain of Nitro certificates needs is read; what is
 * unknown is passed over unless it is critical, which refuses the certificate.
 */
import type { DerElement } from '../der/read.ts';
import { parseDer, TAG } from '../der/read.ts';
import { childrenOf, contentOf, readBoolean, readNamedBits, readOid, readSmall } from '../der/types.ts';
import { EXTENSIONS_MAX } from '../limits.ts';

export interface BasicConstraints {
  readonly critical: boolean;
  readonly ca: boolean;
  /** Authorities that may follow below, the leaf aside; null without a bound. */
  readonly pathLength: number | null;
}

export interface Extensions {
  readonly basicConstraints: BasicConstraints | null;
  /** Numbers of the bits that are set; null without the extension. */
  readonly keyUsage: ReadonlySet<number> | null;
}

export type ExtensionsRead = { readonly ok: true; readonly extensions: Extensions } | { readonly ok: false; readonly reason: string };

/** Bits of KeyUsage, RFC 5280 section 4.2.1.3. */
export const KEY_USAGE: { readonly digitalSignature: 0; readonly keyCertSign: 5 } = { digitalSignature: 0, keyCertSign: 5 };

const BASIC_CONSTRAINTS = '2.5.29.19';
const KEY_USAGE_OID = '2.5.29.15';
/** The last bit that KeyUsage defines. */
const KEY_USAGE_LAST = 8;

function refuse(reason: string): ExtensionsRead {
  return { ok: false, reason };
}

interface Extension {
  readonly oid: string;
  readonly critical: boolean;
  readonly value: Uint8Array;
}

/** Reads the `[3]` element of a certificate. */
export function readExtensions(element: DerElement): ExtensionsRead {
  const [list] = childrenOf(element, element.tag, 1, 1) ?? [];
  const items = childrenOf(list, TAG.sequence, 1, EXTENSIONS_MAX);
  if (items === undefined) return refuse('its extensions are no list, or too many');
  const seen = new Set<string>();
  let basicConstraints: BasicConstraints | null = null;
  let keyUsage: ReadonlySet<number> | null = null;
  for (const item of items) {
    const extension = readExtension(item);
    if (extension === undefined) return refuse('an extension is not strict DER');
    if (seen.has(extension.oid)) return refuse('it has an extension twice');
    seen.add(extension.oid);
    if (extension.oid === BASIC_CONSTRAINTS) {
      const read = readBasicConstraints(extension);
      if (read === undefined) return refuse('its basic constraints are not strict DER');
      basicConstraints = read;
    } else if (extension.oid === KEY_USAGE_OID) {
      const read = readKeyUsage(extension);
      if (read === undefined) return refuse('its key usage is not strict DER');
      keyUsage = read;
    } else if (extension.critical) {
      return refuse('it has a critical extension that is unknown');
    }
  }
  return { ok: true, extensions: { basicConstraints, keyUsage } };
}

function readExtension(element: DerElement): Extension | undefined {
  const parts = childrenOf(element, TAG.sequence, 2, 3);
  const oid = readOid(parts?.[0]);
  const value = contentOf(parts?.at(-1), TAG.octetString);
  if (parts === undefined || oid === undefined || value === undefined) return undefined;
  // The default, false, is never written in DER.
  if (parts.length === 3 && readBoolean(parts[1]) !== true) return undefined;
  return { oid, critical: parts.length === 3, value };
}

function readBasicConstraints(extension: Extension): BasicConstraints | undefined {
  const parts = childrenOf(parseDer(extension.value), TAG.sequence, 0, 2);
  if (parts === undefined) return undefined;
  const { critical } = extension;
  if (parts.length === 0) return { critical, ca: false, pathLength: null };
  // Again no written default; and a length of path without authority has no meaning.
  if (readBoolean(parts[0]) !== true) return undefined;
  if (parts.length === 1) return { critical, ca: true, pathLength: null };
  const pathLength = readSmall(parts[1]);
  return pathLength === undefined ? undefined : { critical, ca: true, pathLength };
}

function readKeyUsage(extension: Extension): ReadonlySet<number> | undefined {
  const bits = readNamedBits(parseDer(extension.value));
  return bits === undefined || bits.size === 0 || Math.max(...bits) > KEY_USAGE_LAST ? undefined : bits;
}
