// SPDX-License-Identifier: Apache-2.0
/**
 * Signed checkpoints: the bytes that ML-DSA-44 signs (C2SP tlog-cosignature, label subtree/v1) and the note that carries
 * them (C2SP signed-note, tlog-checkpoint). Our notes have no extension lines: this signature would not cover them.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { ml_dsa44 } from '@noble/post-quantum/ml-dsa.js';
import { concatBytes, equalBytes, toHex, utf8 } from '../bytes.ts';
import { NOTE_LENGTH_MAX, NOTE_SIGNATURES_MAX } from '../limits.ts';
import { fromBase64, toBase64 } from './base64.ts';
import { HASH_BYTES } from './merkle.ts';

export const PUBLIC_KEY_BYTES = 1312;
export const SIGNATURE_BYTES = 2420;
export const KEY_ID_BYTES = 4;
/** C2SP signature type of ML-DSA-44 cosignatures. */
const TYPE = Uint8Array.of(0x06);
const LABEL = utf8('subtree/v1\n\0');
/** DER of a SubjectPublicKeyInfo up to the key: SEQUENCE, AlgorithmIdentifier id-ml-dsa-44, BIT STRING. */
const SPKI_PREFIX = Uint8Array.of(0x30, 0x82, 0x05, 0x32, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x11, 0x03, 0x82, 0x05, 0x21, 0x00);
const TIMESTAMP_BYTES = 8;

/** The state of one log that a signature covers. */
export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
  /** POSIX seconds; 0 claims nothing. */
  readonly timestamp: number;
}

/** Checks an ML-DSA-44 signature, pure mode, empty context. False for input of wrong length; never throws. */
export type VerifySignature = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean;

/** The default, which runs anywhere. */
export const verifySignature: VerifySignature = (publicKey, message, signature) => {
  if (publicKey.length !== PUBLIC_KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
  try {
    return ml_dsa44.verify(signature, message, publicKey);
  } catch {
    return false;
  }
};

/** Origin of one epoch of a log outside an enclave; the cosigner has the same name. */
export function originOf(log: string, epoch: number): string {
  return `localhost/mcp-bastion/${log}/${epoch}`;
}

function u64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}

function named(name: string): Uint8Array {
  const bytes = utf8(name);
  if (bytes.length < 1 || bytes.length > 255) throw new RangeError('a name has 1 to 255 bytes');
  return concatBytes(Uint8Array.of(bytes.length), bytes);
}

/**
 * The bytes that are signed: label, name, timestamp, origin, start 0, size, root. 70 bytes and both names.
 * @throws RangeError for a name, number or root that does not fit
 */
export function cosignedMessage(checkpoint: Checkpoint): Uint8Array {
  const { origin, size, root, timestamp } = checkpoint;
  if (root.length !== HASH_BYTES) throw new RangeError('a root has 32 bytes');
  return concatBytes(LABEL, named(origin), u64(timestamp), named(origin), u64(0), u64(size), root);
}

/** SubjectPublicKeyInfo (1,334 bytes) of a raw key. */
export function toSpki(publicKey: Uint8Array): Uint8Array {
  if (publicKey.length !== PUBLIC_KEY_BYTES) throw new RangeError('an ML-DSA-44 public key has 1312 bytes');
  return concatBytes(SPKI_PREFIX, publicKey);
}

/** The raw key, or undefined unless the bytes are exactly the SPKI of an ML-DSA-44 key. */
export function fromSpki(spki: Uint8Array): Uint8Array | undefined {
  if (spki.length !== SPKI_PREFIX.length + PUBLIC_KEY_BYTES) return undefined;
  return equalBytes(spki.subarray(0, SPKI_PREFIX.length), SPKI_PREFIX) ? spki.slice(SPKI_PREFIX.length) : undefined;
}

/** SHA-256 of the SPKI, hex: how rows and trust files name a key. */
export function fingerprintOf(publicKey: Uint8Array): string {
  return toHex(sha256(toSpki(publicKey)));
}

/** First four bytes of SHA-256 over name, newline, type and key. */
export function keyIdOf(name: string, publicKey: Uint8Array): Uint8Array {
  return sha256(concatBytes(utf8(`${name}\n`), TYPE, publicKey)).slice(0, KEY_ID_BYTES);
}

/** `<name>+<key id>+<base64 of type and key>`. */
export function toVkey(name: string, publicKey: Uint8Array): string {
  return `${name}+${toHex(keyIdOf(name, publicKey))}+${toBase64(concatBytes(TYPE, publicKey))}`;
}

export type ParsedVkey =
  | { readonly kind: 'key'; readonly name: string; readonly publicKey: Uint8Array }
  /** A key of another signature type. */
  | { readonly kind: 'foreign' }
  | { readonly kind: 'malformed' };

/** Reads a vkey; attacker-controlled. The key id must be the key's. */
export function parseVkey(text: string): ParsedVkey {
  const match = text.length > NOTE_LENGTH_MAX ? null : /^([^\s+]{1,255})\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(text);
  const [name, id, encoded] = match?.slice(1) ?? [];
  const bytes = encoded === undefined ? undefined : fromBase64(encoded);
  if (name === undefined || id === undefined || bytes === undefined || bytes.length < 2) return { kind: 'malformed' };
  if (bytes[0] !== TYPE[0]) return { kind: 'foreign' };
  const publicKey = bytes.slice(1);
  if (publicKey.length !== PUBLIC_KEY_BYTES || toHex(keyIdOf(name, publicKey)) !== id) return { kind: 'malformed' };
  return { kind: 'key', name, publicKey };
}

/** A checkpoint with the signature of the log's own key. */
export interface SignedCheckpoint extends Checkpoint {
  readonly keyId: Uint8Array;
  readonly signature: Uint8Array;
}

/** The note: origin, size, root, a blank line, one signature line. */
export function buildNote(signed: SignedCheckpoint): string {
  const { origin, size, root, timestamp, keyId, signature } = signed;
  const blob = toBase64(concatBytes(keyId, u64(timestamp), signature));
  return `${origin}\n${size}\n${toBase64(root)}\n\n\u2014 ${origin} ${blob}\n`;
}

/** One signature line whose key is not looked at yet. */
export interface NoteSignature {
  readonly name: string;
  readonly keyId: Uint8Array;
  /** What follows the key id. */
  readonly blob: Uint8Array;
}

export interface Note {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
  readonly signatures: readonly NoteSignature[];
}

/** Reads a note; attacker-controlled. Undefined unless it is canonical, without extension lines, of bounded length. */
export function parseNote(text: string): Note | undefined {
  if (text.length > NOTE_LENGTH_MAX || !text.endsWith('\n') || !text.isWellFormed()) return undefined;
  const [origin = '', digits = '', encoded = '', blank, ...lines] = text.slice(0, -1).split('\n');
  const size = /^(?:0|[1-9][0-9]{0,15})$/.test(digits) ? Number(digits) : Number.NaN;
  const root = fromBase64(encoded);
  const signatures = lines.map(parseSignatureLine);
  if (!/^[^\s+]{1,255}$/u.test(origin) || utf8(origin).length > 255 || !Number.isSafeInteger(size)) return undefined;
  if (root?.length !== HASH_BYTES || blank !== '' || signatures.length < 1 || signatures.length > NOTE_SIGNATURES_MAX) return undefined;
  const known: NoteSignature[] = [];
  for (const signature of signatures) {
    if (signature === undefined) return undefined;
    known.push(signature);
  }
  return { origin, size, root, signatures: known };
}

function parseSignatureLine(line: string): NoteSignature | undefined {
  const match = /^\u2014 ([^\s+]{1,255}) ([A-Za-z0-9+/=]+)$/u.exec(line);
  const [name, encoded] = match?.slice(1) ?? [];
  const bytes = encoded === undefined ? undefined : fromBase64(encoded);
  if (name === undefined || bytes === undefined || bytes.length <= KEY_ID_BYTES) return undefined;
  return { name, keyId: bytes.slice(0, KEY_ID_BYTES), blob: bytes.slice(KEY_ID_BYTES) };
}

/**
 * The log's own signature in a note: the lines of other keys are passed over, two of its own are refused.
 * Undefined if there is none, or if it does not have the form of an ML-DSA-44 cosignature.
 */
export function signedByKey(note: Note, publicKey: Uint8Array): SignedCheckpoint | undefined {
  const keyId = keyIdOf(note.origin, publicKey);
  const own = note.signatures.filter((signature) => signature.name === note.origin && equalBytes(signature.keyId, keyId));
  const blob = own.length === 1 ? own[0]?.blob : undefined;
  if (blob?.length !== TIMESTAMP_BYTES + SIGNATURE_BYTES) return undefined;
  const timestamp = Number(new DataView(blob.buffer, blob.byteOffset).getBigUint64(0));
  if (!Number.isSafeInteger(timestamp)) return undefined;
  return { origin: note.origin, size: note.size, root: note.root, timestamp, keyId, signature: blob.slice(TIMESTAMP_BYTES) };
}

/** True if the checkpoint is signed by that key. */
export function verifyCheckpoint(signed: SignedCheckpoint, publicKey: Uint8Array, verify: VerifySignature = verifySignature): boolean {
  return verify(publicKey, cosignedMessage(signed), signed.signature);
}
