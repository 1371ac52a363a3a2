// SPDX-License-Identifier: Apache-2.0
/**
 * Seals payloads for their readers before they are stored (design, section 10): salt and data under AES-256-GCM with a key
 * of each row's own, bound to log, epoch and row. The secret that row keys come from is made per start and wrapped for each
 * reader by X25519 and ML-KEM-768 together: both have to be broken. The row's commitment stays over the plain content.
 */
import { createCipheriv, createDecipheriv, createPublicKey, decapsulate, diffieHellman, encapsulate, generateKeyPairSync, hash, hkdfSync, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { payloadPreimage } from '../../shared/audit/body.ts';
import { SEALED_MEDIA } from '../../shared/audit/row.ts';
import type { RowPayload } from '../../shared/audit/row.ts';
import { concatBytes, equalBytes, fromHex, toHex, utf8 } from '../../shared/bytes.ts';
import { READERS_MAX } from '../../shared/limits.ts';
import type { Reader, ReaderIdentity } from './reader-key.ts';
import { READER_ID_BYTES } from './reader-key.ts';

const VERSION = 1;
const SALT_BYTES = 32;
const SECRET_BYTES = 32;
const TAG_BYTES = 16;
const KEM_CIPHERTEXT_BYTES = 1088;
const X25519_BYTES = 32;
const WRAP_BYTES = READER_ID_BYTES + KEM_CIPHERTEXT_BYTES + SECRET_BYTES + TAG_BYTES;
const X25519_SPKI = Buffer.from('302a300506032b656e032100', 'hex');
/** Each key is used for one message only, so that the nonce may be the same. */
const NONCE = new Uint8Array(12);
const MEDIA: readonly RowPayload['media'][] = ['application/json', 'text/plain'];

/** Where a payload belongs. */
export interface SealPlace {
  /** 32 hex digits. */
  readonly log: string;
  readonly epoch: number;
  readonly idx: number;
}

/** As the payload table holds it: the salt here is one of the row's key, not of its commitment. */
export interface Sealed {
  readonly salt: Uint8Array;
  readonly media: typeof SEALED_MEDIA;
  readonly data: Uint8Array;
}

function u64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}

function bindingOf({ log, epoch, idx }: SealPlace): Uint8Array {
  return concatBytes(fromHex(log) ?? new Uint8Array(0), u64(epoch), u64(idx));
}

function derive(secret: Uint8Array, salt: Uint8Array, info: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, salt, info, SECRET_BYTES));
}

function encrypt(key: Uint8Array, plain: Uint8Array, binding: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', key, NONCE).setAAD(binding);
  return concatBytes(cipher.update(plain), cipher.final(), cipher.getAuthTag());
}

function decrypt(key: Uint8Array, sealed: Uint8Array, binding: Uint8Array): Uint8Array | undefined {
  if (sealed.length < TAG_BYTES) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', key, NONCE, { authTagLength: TAG_BYTES }).setAAD(binding).setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  try {
    return concatBytes(decipher.update(sealed.subarray(0, sealed.length - TAG_BYTES)), decipher.final());
  } catch {
    return undefined;
  }
}

/** Both secrets and all that was sent go into the key, so that none of it can be exchanged. */
function wrapKey(kemSecret: Uint8Array, dhSecret: Uint8Array, ciphertext: Uint8Array, ephemeral: Uint8Array, reader: Reader): Uint8Array {
  const sent = new Uint8Array(hash('sha256', concatBytes(ciphertext, ephemeral, utf8(reader.text)), 'buffer'));
  return derive(concatBytes(kemSecret, dhSecret), utf8('mcp-bastion/seal/1'), concatBytes(utf8('wrap\0'), sent));
}

function rowKey(secret: Uint8Array, salt: Uint8Array, binding: Uint8Array): Uint8Array {
  return derive(secret, salt, concatBytes(utf8('mcp-bastion/seal/1 row\0'), binding));
}

export type Seal = (place: SealPlace, salt: Uint8Array, media: RowPayload['media'], data: Uint8Array) => Sealed;

/** Seals for these readers until the process ends. */
export function createSeal(readers: readonly Reader[]): Seal {
  if (readers.length === 0 || readers.length > READERS_MAX) throw new RangeError('a seal has 1 to READERS_MAX readers');
  const secret = new Uint8Array(randomBytes(SECRET_BYTES));
  const ephemeral = generateKeyPairSync('x25519');
  const shown = new Uint8Array(ephemeral.publicKey.export({ format: 'der', type: 'spki' })).subarray(X25519_SPKI.length);
  const wraps = readers.map((reader) => {
    const { sharedKey, ciphertext } = encapsulate(reader.kem);
    const dh = diffieHellman({ privateKey: ephemeral.privateKey, publicKey: reader.x25519 });
    const key = wrapKey(sharedKey, dh, ciphertext, shown, reader);
    return concatBytes(reader.id, ciphertext, encrypt(key, secret, reader.id));
  });
  const head = concatBytes(Uint8Array.of(VERSION, readers.length), shown, ...wraps);
  return (place, salt, media, data) => {
    const own = new Uint8Array(randomBytes(SALT_BYTES));
    const binding = bindingOf(place);
    const plain = concatBytes(Uint8Array.of(MEDIA.indexOf(media)), salt, data);
    return { salt: own, media: SEALED_MEDIA, data: concatBytes(head, encrypt(rowKey(secret, own, binding), plain, concatBytes(binding, head))) };
  };
}

export type Unsealed =
  | { readonly kind: 'open'; readonly media: RowPayload['media']; readonly data: Uint8Array }
  /** `foreign`: sealed for others; `damaged`: changed, or of another row; `mismatch`: not what the row commits to. */
  | { readonly kind: 'foreign' | 'damaged' | 'mismatch' };

/** Opens a stored payload and checks it against its row's commitment, hex; attacker-controlled. */
export function openSealed(identity: ReaderIdentity, place: SealPlace, stored: { readonly salt: Uint8Array; readonly data: Uint8Array }, pc: string): Unsealed {
  const { salt, data } = stored;
  const count = data[1] ?? 0;
  const headBytes = 2 + X25519_BYTES + count * WRAP_BYTES;
  if (data[0] !== VERSION || count < 1 || count > READERS_MAX || data.length < headBytes + TAG_BYTES) return { kind: 'damaged' };
  const head = data.subarray(0, headBytes);
  const secret = secretFor(identity, head, count);
  if (secret === 'foreign' || secret === 'damaged') return { kind: secret };
  const binding = bindingOf(place);
  const plain = decrypt(rowKey(secret, salt, binding), data.subarray(headBytes), concatBytes(binding, head));
  const media = plain === undefined ? undefined : MEDIA[plain[0] ?? -1];
  if (plain === undefined || media === undefined || plain.length < 1 + SALT_BYTES) return { kind: 'damaged' };
  const content = plain.subarray(1 + SALT_BYTES);
  const right = toHex(new Uint8Array(hash('sha256', payloadPreimage(plain.subarray(1, 1 + SALT_BYTES), content), 'buffer'))) === pc;
  return right ? { kind: 'open', media, data: content } : { kind: 'mismatch' };
}

function secretFor({ x25519, kem, reader }: ReaderIdentity, head: Uint8Array, count: number): Uint8Array | 'foreign' | 'damaged' {
  const shown = head.subarray(2, 2 + X25519_BYTES);
  for (let at = 0; at < count; at += 1) {
    const wrap = head.subarray(2 + X25519_BYTES + at * WRAP_BYTES, 2 + X25519_BYTES + (at + 1) * WRAP_BYTES);
    if (!equalBytes(wrap.subarray(0, READER_ID_BYTES), reader.id)) continue;
    const ciphertext = wrap.subarray(READER_ID_BYTES, READER_ID_BYTES + KEM_CIPHERTEXT_BYTES);
    const dh = agree(x25519, shown);
    if (dh === undefined) return 'damaged';
    const key = wrapKey(decapsulate(kem, ciphertext), dh, ciphertext, shown, reader);
    return decrypt(key, wrap.subarray(READER_ID_BYTES + KEM_CIPHERTEXT_BYTES), reader.id) ?? 'damaged';
  }
  return 'foreign';
}

/** A public key of small order is refused by OpenSSL: it would make a secret that everybody knows. */
function agree(privateKey: KeyObject, raw: Uint8Array): Uint8Array | undefined {
  try {
    return diffieHellman({ privateKey, publicKey: createPublicKey({ key: Buffer.concat([X25519_SPKI, raw]), format: 'der', type: 'spki' }) });
  } catch {
    return undefined;
  }
}
