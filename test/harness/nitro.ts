// SPDX-License-Identifier: Apache-2.0
/**
 * A throw-away hierarchy like AWS Nitro's, and documents that it signs: for cases that need a valid signature over
 * something that AWS would not sign. Each part can be replaced.
 */
import type { KeyObject } from 'node:crypto';
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { concatBytes, utf8 } from '../../shared/bytes.ts';
import type { CborKey, CborValue } from '../../shared/cbor/value.ts';
import { encodeCbor } from '../../shared/cbor/write.ts';
import { chosenRoot } from '../../shared/attestation/root.ts';
import type { TrustedRoot } from '../../shared/attestation/root.ts';
import { bits, bool, element, integer, octets, oid, sequence, set, text, time } from './der.ts';

export const INSTANCE = 'i-0123456789abcdef0';
export const MODULE: string = `${INSTANCE}-enc0011223344556677`;
export const REGION = 'eu-central-1';
/** The time of the documents, and when they are valid. */
export const NOW: number = Date.parse('2026-03-01T12:00:00Z');

const HOUR = 3_600_000;
const ECDSA_SHA384 = sequence(oid('1.2.840.10045.4.3.3'));

export interface Keys {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

export function makeKeys(): Keys {
  return generateKeyPairSync('ec', { namedCurve: 'P-384' });
}

export function nameOf(commonName: string): Uint8Array {
  return sequence(set(sequence(oid('2.5.4.10'), text('Test'))), set(sequence(oid('2.5.4.3'), text(commonName))));
}

export function spkiOf(keys: Keys): Uint8Array {
  return new Uint8Array(keys.publicKey.export({ type: 'spki', format: 'der' }));
}

export function extension(id: string, critical: boolean, value: Uint8Array): Uint8Array {
  return sequence(oid(id), ...(critical ? [bool(true)] : []), octets(value));
}

export function basicConstraints(ca: boolean, pathLength: number | null = null): Uint8Array {
  const parts = ca ? [bool(true), ...(pathLength === null ? [] : [integer(Uint8Array.of(pathLength))])] : [];
  return extension('2.5.29.19', true, sequence(...parts));
}

/** The bits of the first byte of KeyUsage; digitalSignature is 0x80, keyCertSign 0x04. */
export function keyUsage(byte: number, critical = true): Uint8Array {
  const unused = Math.log2(byte & -byte);
  return extension('2.5.29.15', critical, bits(Uint8Array.of(byte), unused));
}

/** What a certificate is made of; each is a whole DER element. */
export interface CertificateParts {
  version: Uint8Array;
  serial: Uint8Array;
  algorithm: Uint8Array;
  issuer: Uint8Array;
  validity: Uint8Array;
  subject: Uint8Array;
  spki: Uint8Array;
  extensions: Uint8Array[];
  /** What stands after the extensions. */
  trailing: Uint8Array[];
  outerAlgorithm: Uint8Array;
  signer: Keys;
}

export interface Member {
  readonly keys: Keys;
  readonly parts: CertificateParts;
}

export function certificate(parts: CertificateParts): Uint8Array {
  const extensions = element(0xa3, sequence(...parts.extensions));
  const tbs = sequence(parts.version, parts.serial, parts.algorithm, parts.issuer, parts.validity, parts.subject, parts.spki, extensions, ...parts.trailing);
  return sequence(tbs, parts.outerAlgorithm, bits(new Uint8Array(sign('sha384', tbs, parts.signer.privateKey))));
}

function member(issuer: Member | null, commonName: string, extensions: Uint8Array[], hours: readonly [number, number], serial: Uint8Array): Member {
  const keys = makeKeys();
  const subject = nameOf(commonName);
  const validity = sequence(time(NOW + hours[0] * HOUR), time(NOW + hours[1] * HOUR));
  const parts: CertificateParts = {
    version: element(0xa0, integer(Uint8Array.of(2))),
    serial: integer(serial),
    algorithm: ECDSA_SHA384,
    issuer: issuer?.parts.subject ?? subject,
    validity,
    subject,
    spki: spkiOf(keys),
    extensions,
    trailing: [],
    outerAlgorithm: ECDSA_SHA384,
    signer: issuer?.keys ?? keys,
  };
  return { keys, parts };
}

/** Five certificates from root to leaf. */
export interface Hierarchy {
  readonly root: Member;
  readonly regional: Member;
  readonly zonal: Member;
  readonly instance: Member;
  readonly leaf: Member;
}

export function makeHierarchy(): Hierarchy {
  const root = member(null, 'test.nitro-enclaves', [basicConstraints(true), keyUsage(0x86)], [-24_000, 240_000], Uint8Array.of(1));
  const regional = member(root, `00aa.${REGION}.aws.nitro-enclaves`, [basicConstraints(true, 2), keyUsage(0x86)], [-240, 240], Uint8Array.of(2));
  const zonal = member(regional, `00bb.zonal.${REGION}.aws.nitro-enclaves`, [basicConstraints(true, 1), keyUsage(0x86)], [-70, 70], Uint8Array.of(3));
  const instance = member(zonal, `${INSTANCE}.${REGION}.aws.nitro-enclaves`, [basicConstraints(true, 0), keyUsage(0x04)], [-12, 12], Uint8Array.of(4));
  const issuedSeconds = (NOW - HOUR) / 1000 + 3;
  const serial = new Uint8Array(Buffer.from(`0011223344556677${issuedSeconds.toString(16).padStart(16, '0')}`, 'hex')).subarray(1);
  const leaf = member(instance, `${MODULE}.${REGION}.aws`, [basicConstraints(false), keyUsage(0xc0, false)], [-1, 2], serial);
  return { root, regional, zonal, instance, leaf };
}

/** The certificates root first, with parts of some of them replaced. */
export function certificatesOf(hierarchy: Hierarchy, replace: Partial<Record<keyof Hierarchy, Partial<CertificateParts>>> = {}): Uint8Array[] {
  const order: readonly (keyof Hierarchy)[] = ['root', 'regional', 'zonal', 'instance', 'leaf'];
  return order.map((name) => certificate({ ...hierarchy[name].parts, ...replace[name] }));
}

export function trusted(certificates: readonly Uint8Array[]): TrustedRoot {
  return chosenRoot(certificates[0] ?? new Uint8Array());
}

export const int = (value: number): CborValue => ({ kind: 'int', value });
export const bytes = (value: Uint8Array): CborValue => ({ kind: 'bytes', value });
export const string = (value: string): CborValue => ({ kind: 'text', value });
export const nothing: CborValue = { kind: 'null' };
export const array = (...items: readonly CborValue[]): CborValue => ({ kind: 'array', items });
export const map = (...entries: readonly (readonly [CborKey, CborValue])[]): CborValue => ({ kind: 'map', entries: new Map(entries) });

export function sha384(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha384');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

export function extended(data: Uint8Array): Uint8Array {
  return sha384(new Uint8Array(48), data);
}

/** Registers as a production enclave has them. */
export function registers(): Map<number, Uint8Array> {
  const pcrs = new Map<number, Uint8Array>();
  for (let index = 0; index < 16; index += 1) pcrs.set(index, new Uint8Array(48));
  for (const index of [0, 1, 2]) pcrs.set(index, extended(utf8(`image ${index}`)));
  return pcrs.set(4, extended(utf8(INSTANCE)));
}

export function pcrMap(pcrs: ReadonlyMap<number, Uint8Array>): CborValue {
  return map(...Array.from(pcrs, ([index, value]) => [index, bytes(value)] as const));
}

export interface BootDocuments {
  readonly config: Uint8Array;
  readonly policy: Uint8Array;
  readonly pins: Uint8Array;
}

/** Registers of an enclave of ours that booted with documents of these digests. */
export function bootRegisters({ config, policy, pins }: BootDocuments): Map<number, Uint8Array> {
  return registers().set(16, extended(concatBytes(utf8('mcp-bastion/pcr16/1\0'), config, policy, pins)));
}

/** What such an enclave states in user_data. */
export function statementFields({ config, policy, pins }: BootDocuments, tls: Uint8Array): Map<string, CborValue> {
  return new Map<string, CborValue>([
    ['v', int(1)],
    ['flags', int(0)],
    ['tls', bytes(tls)],
    ['audit', bytes(new Uint8Array(32).fill(0x22))],
    ['config', bytes(config)],
    ['policy', bytes(policy)],
    ['pins', bytes(pins)],
    ['origin', string('example.org/mcp-bastion/0123/1-0011223344556677')],
    ['size', int(12)],
    ['root', bytes(new Uint8Array(32).fill(0x33))],
    ['release', string('0.1.0+0123abc')],
  ]);
}

/** The fields of a document; `undefined` leaves one out. */
export type Fields = Partial<Record<string, CborValue | undefined>>;

export function payloadOf(certificates: readonly Uint8Array[], fields: Fields = {}): CborValue {
  const all: Fields = {
    module_id: string(MODULE),
    digest: string('SHA384'),
    timestamp: int(NOW),
    pcrs: pcrMap(registers()),
    certificate: bytes(certificates.at(-1) ?? new Uint8Array()),
    cabundle: array(...certificates.slice(0, -1).map(bytes)),
    public_key: nothing,
    user_data: nothing,
    nonce: nothing,
    ...fields,
  };
  return map(...Object.entries(all).flatMap(([key, value]) => (value === undefined ? [] : [[key, value] as const])));
}

export const ES384_HEADER: Uint8Array = Uint8Array.of(0xa1, 0x01, 0x38, 0x22);

/** A COSE_Sign1 over a payload. */
export function sign1(payload: Uint8Array, signer: Keys, header: Uint8Array = ES384_HEADER): CborValue {
  const signed = encodeCbor(array(string('Signature1'), bytes(header), bytes(new Uint8Array()), bytes(payload)));
  const signature = new Uint8Array(sign('sha384', signed, { key: signer.privateKey, dsaEncoding: 'ieee-p1363' }));
  return array(bytes(header), map(), bytes(payload), bytes(signature));
}

/** A whole document that verifies, but for what was replaced. */
export function documentOf(hierarchy: Hierarchy, fields: Fields = {}, certificates: readonly Uint8Array[] = certificatesOf(hierarchy)): Uint8Array {
  return encodeCbor(sign1(encodeCbor(payloadOf(certificates, fields)), hierarchy.leaf.keys));
}

export function join(...parts: readonly Uint8Array[]): Uint8Array {
  return concatBytes(...parts);
}
