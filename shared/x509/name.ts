// SPDX-License-Identifier: Apache-2.0
/** Distinguished names (RFC 5280 section 4.1.2.4). Names are compared by their bytes; only the common name is read. */
import type { DerElement } from '../der/read.ts';
import { TAG } from '../der/read.ts';
import { childrenOf, readOid, readText } from '../der/types.ts';
import { NAME_ATTRIBUTES_MAX } from '../limits.ts';

export interface Name {
  /** The encoding: equal names have equal bytes. */
  readonly der: Uint8Array;
  /** Null if there is none. Attacker-controlled text until the chain is verified. */
  readonly commonName: string | null;
}

const COMMON_NAME = '2.5.4.3';

/** Undefined unless each part has one attribute, all are text, and there is at most one common name. */
export function readName(element: DerElement | undefined): Name | undefined {
  const parts = childrenOf(element, TAG.sequence, 1, NAME_ATTRIBUTES_MAX);
  if (element === undefined || parts === undefined) return undefined;
  let commonName: string | null = null;
  for (const part of parts) {
    const [attribute] = childrenOf(part, TAG.set, 1, 1) ?? [];
    const [type, value] = childrenOf(attribute, TAG.sequence, 2, 2) ?? [];
    const oid = readOid(type);
    const text = readText(value);
    if (oid === undefined || text === undefined) return undefined;
    if (oid === COMMON_NAME && commonName !== null) return undefined;
    if (oid === COMMON_NAME) commonName = text;
  }
  return { der: element.bytes, commonName };
}
