// SPDX-License-Identifier: Apache-2.0
/**
 * The keys of those who may read sealed payloads: X25519 and ML-KEM-768 side by side, so that what is stored now stays
 * closed to a quantum computer later, and to a break of the younger scheme now. The gateway knows public halves only.
 */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { fromBase64, toBase64 } from '../../shared/audit/base64.ts';
import { concatBytes, equalBytes, utf8 } from '../../shared/bytes.ts';
import { canonicalJson } from '../../shared/json/canonical.ts';
import { parseStrictJson } from '../../shared/json/parse.ts';
import type { JsonValue } from '../../shared/json/value.ts';
import { isJsonObject, jsonObject } from '../../shared/json/value.ts';

/** What a public key begins with in a policy. */
export const READER_PREFIX = 'mbr1:';
export const READER_ID_BYTES = 8;
const X25519_BYTES = 32;
const KEM_BYTES = 1184;
const X25519_SPKI = Buffer.from('302a300506032b656e032100', 'hex');
const KEM_SPKI = Buffer.from('308204b2300b0609608648016503040402038204a100', 'hex');

/** Somebody for whom payloads are sealed. */
export interface Reader {
  readonly x25519: KeyObject;
  readonly kem: KeyObject;
  /** First bytes of the SHA-256 of both public keys: which part of a sealed payload is whose. */
  readonly id: Uint8Array;
  /** As it stands in a policy. */
  readonly text: string;
}

/** The private halves. */
export interface ReaderIdentity {
  readonly x25519: KeyObject;
  readonly kem: KeyObject;
  readonly reader: Reader;
}

function rawOf(key: KeyObject, prefix: Buffer): Uint8Array {
  return new Uint8Array(key.export({ format: 'der', type: 'spki' })).subarray(prefix.length);
}

function readerOf(x25519: KeyObject, kem: KeyObject): Reader {
  const raw = concatBytes(rawOf(x25519, X25519_SPKI), rawOf(kem, KEM_SPKI));
  const id = new Uint8Array(createHash('sha256').update(raw).digest()).subarray(0, READER_ID_BYTES);
  return { x25519, kem, id, text: `${READER_PREFIX}${toBase64(raw)}` };
}

/** Reads a public key as it stands in a policy; undefined if it is none. */
export function parseReader(text: string): Reader | undefined {
  const raw = text.startsWith(READER_PREFIX) ? fromBase64(text.slice(READER_PREFIX.length)) : undefined;
  if (raw?.length !== X25519_BYTES + KEM_BYTES) return undefined;
  try {
    const der = (prefix: Buffer, bytes: Uint8Array): KeyObject => createPublicKey({ key: Buffer.concat([prefix, bytes]), format: 'der', type: 'spki' });
    return readerOf(der(X25519_SPKI, raw.subarray(0, X25519_BYTES)), der(KEM_SPKI, raw.subarray(X25519_BYTES)));
  } catch {
    return undefined;
  }
}

/** New keys for one reader. */
export function createIdentity(): ReaderIdentity {
  const x25519 = generateKeyPairSync('x25519');
  const kem = generateKeyPairSync('ml-kem-768');
  return { x25519: x25519.privateKey, kem: kem.privateKey, reader: readerOf(x25519.publicKey, kem.publicKey) };
}

function pkcs8(key: KeyObject): string {
  return toBase64(new Uint8Array(key.export({ format: 'der', type: 'pkcs8' })));
}

/** What an identity file holds. */
export function identityText({ x25519, kem }: ReaderIdentity): string {
  return `${canonicalJson(jsonObject({ type: 'mcp-bastion/audit-reader/1', x25519: pkcs8(x25519), 'ml-kem-768': pkcs8(kem) }))}\n`;
}

function privateOf(value: JsonValue | undefined, type: string): KeyObject | undefined {
  const der = typeof value === 'string' ? fromBase64(value) : undefined;
  if (der === undefined) return undefined;
  try {
    const key = createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' });
    return key.asymmetricKeyType === type ? key : undefined;
  } catch {
    return undefined;
  }
}

/** Reads an identity file; undefined if it is none, or holds anything else. */
export function parseIdentity(bytes: Uint8Array): ReaderIdentity | undefined {
  const parsed = parseStrictJson(bytes);
  if (!parsed.ok || !isJsonObject(parsed.value)) return undefined;
  const x25519 = privateOf(parsed.value['x25519'], 'x25519');
  const kem = privateOf(parsed.value['ml-kem-768'], 'ml-kem-768');
  if (x25519 === undefined || kem === undefined) return undefined;
  const identity = { x25519, kem, reader: readerOf(createPublicKey(x25519), createPublicKey(kem)) };
  return equalBytes(utf8(identityText(identity)), bytes) ? identity : undefined;
}
