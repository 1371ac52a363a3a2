// SPDX-License-Identifier: Apache-2.0
/**
 * COSE_Sign1 (RFC 9052 section 4.2) as the NSM writes it. What was signed is built from the received bytes, never from
 * bytes that were encoded again.
 */
import { equalBytes, toHex } from '../bytes.ts';
import { parseCbor } from '../cbor/read.ts';
import type { CborValue } from '../cbor/value.ts';
import { encodeCbor } from '../cbor/write.ts';
import { ATTESTATION_BYTES_MAX, ATTESTATION_PAYLOAD_BYTES_MAX } from '../limits.ts';
import { ES384_SIGNATURE_BYTES } from '../x509/es384.ts';

export interface Sign1 {
  /** As received. */
  readonly protectedHeader: Uint8Array;
  readonly payload: Uint8Array;
  /** Raw, r then s. */
  readonly signature: Uint8Array;
  /** Whether tag 18 stood before it. */
  readonly tagged: boolean;
}

export type Sign1Parsed = { readonly ok: true; readonly sign1: Sign1 } | { readonly ok: false; readonly reason: string };

const COSE_SIGN1_TAG = 18;
/** `{1: -35}`: the algorithm is ES384. A header is compared, not read: it leaves the document no choice. */
const PROTECTED = Uint8Array.of(0xa1, 0x01, 0x38, 0x22);

function refuse(reason: string): Sign1Parsed {
  return { ok: false, reason };
}

/** Parses attacker-controlled bytes. */
export function parseSign1(bytes: Uint8Array): Sign1Parsed {
  if (bytes.length > ATTESTATION_BYTES_MAX) return refuse(`it is longer than ${ATTESTATION_BYTES_MAX} bytes`);
  const parsed = parseCbor(bytes, { indefinite: 'refuse' });
  if (!parsed.ok) return refuse(`not strict CBOR: ${parsed.reason} (byte ${parsed.at})`);
  const tagged = parsed.value.kind === 'tag';
  const body = untag(parsed.value);
  if (body?.kind !== 'array' || body.items.length !== 4) return refuse('it is no array of four items, bare or under tag 18');
  const [header, unprotected, payload, signature] = body.items;
  if (header?.kind !== 'bytes' || !equalBytes(header.value, PROTECTED)) return refuse(`its protected header is not ${toHex(PROTECTED)}`);
  if (unprotected?.kind !== 'map' || unprotected.entries.size !== 0) return refuse('its unprotected header is not an empty map');
  if (payload?.kind !== 'bytes' || payload.value.length === 0 || payload.value.length > ATTESTATION_PAYLOAD_BYTES_MAX) {
    return refuse(`its payload is not 1 to ${ATTESTATION_PAYLOAD_BYTES_MAX} bytes`);
  }
  if (signature?.kind !== 'bytes' || signature.value.length !== ES384_SIGNATURE_BYTES) return refuse(`its signature is not ${ES384_SIGNATURE_BYTES} bytes`);
  return { ok: true, sign1: { protectedHeader: header.value, payload: payload.value, signature: signature.value, tagged } };
}

function untag(value: CborValue): CborValue | undefined {
  if (value.kind !== 'tag') return value;
  return value.tag === COSE_SIGN1_TAG ? value.value : undefined;
}

/** The Sig_structure (RFC 9052 section 4.4), without external data. */
export function signedBytes(sign1: Sign1): Uint8Array {
  return encodeCbor({
    kind: 'array',
    items: [
      { kind: 'text', value: 'Signature1' },
      { kind: 'bytes', value: sign1.protectedHeader },
      { kind: 'bytes', value: new Uint8Array() },
      { kind: 'bytes', value: sign1.payload },
    ],
  });
}
