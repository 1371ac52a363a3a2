// SPDX-License-Identifier: Apache-2.0
/**
 * The attestation document of the Nitro Security Module: its fields and their bounds, as AWS describes them and as real
 * documents have them where both differ. Parsing proves the form only: who signed it is for verify.ts.
 */
import { parseCbor } from '../cbor/read.ts';
import type { CborKey, CborValue } from '../cbor/value.ts';
import { ATTESTATION_FIELD_BYTES_MAX, CABUNDLE_MAX, CERTIFICATE_BYTES_MAX } from '../limits.ts';
import { shown } from './shown.ts';

/** Absent, null and empty are three states. */
export type OptionalBytes = { readonly state: 'absent' } | { readonly state: 'null' } | { readonly state: 'bytes'; readonly bytes: Uint8Array };

export interface AttestationDocument {
  /** `i-<instance>-enc<enclave>`, hexadecimal. */
  readonly moduleId: string;
  /** The part of the module id that names the instance, `i-...`. */
  readonly instanceId: string;
  /** The hexadecimal digits of the module id that name the enclave. */
  readonly enclaveId: string;
  /** Milliseconds since 1970, by the hypervisor's clock. */
  readonly timestampMs: number;
  /** Index (0 to 31) to 48 bytes. */
  readonly pcrs: ReadonlyMap<number, Uint8Array>;
  /** DER of the leaf. */
  readonly certificate: Uint8Array;
  /** DER of the authorities, root first. */
  readonly cabundle: readonly Uint8Array[];
  readonly publicKey: OptionalBytes;
  readonly userData: OptionalBytes;
  readonly nonce: OptionalBytes;
}

export type DocumentParsed = { readonly ok: true; readonly document: AttestationDocument } | { readonly ok: false; readonly reason: string };

const MODULE_ID = /^(i-[0-9a-f]{1,32})-enc([0-9a-f]{1,32})$/;
const DIGEST = 'SHA384';
/** Registers that a module has; AWS's own check of the index lets 32 pass. */
const PCR_COUNT = 32;
export const PCR_BYTES = 48;
const KEYS: ReadonlySet<string> = new Set(['module_id', 'digest', 'timestamp', 'pcrs', 'certificate', 'cabundle', 'public_key', 'user_data', 'nonce']);

function refuse(reason: string): DocumentParsed {
  return { ok: false, reason };
}

/** Parses the payload of a COSE_Sign1: attacker-controlled bytes. */
export function parseDocument(payload: Uint8Array): DocumentParsed {
  const parsed = parseCbor(payload, { indefinite: 'allow' });
  if (!parsed.ok) return refuse(`not strict CBOR: ${parsed.reason} (byte ${parsed.at})`);
  if (parsed.value.kind !== 'map') return refuse('it is no map');
  const fields = parsed.value.entries;
  for (const key of fields.keys()) {
    if (typeof key !== 'string') return refuse('it has a key that is not text');
    if (!KEYS.has(key)) return refuse(`it has an unknown key: ${shown(key)}`);
  }
  const moduleId = textOf(fields.get('module_id'));
  const [, instanceId, enclaveId] = MODULE_ID.exec(moduleId ?? '') ?? [];
  if (moduleId === undefined || instanceId === undefined || enclaveId === undefined) return refuse('module_id is not i-<hex>-enc<hex>');
  if (textOf(fields.get('digest')) !== DIGEST) return refuse(`digest is not ${DIGEST}`);
  const timestamp = fields.get('timestamp');
  if (timestamp?.kind !== 'int' || timestamp.value <= 0 || timestamp.value > TIME_MS_MAX) return refuse('timestamp is not a time in milliseconds');
  const pcrs = pcrsOf(fields.get('pcrs'));
  if (pcrs === undefined) return refuse(`pcrs is not a map of 1 to ${PCR_COUNT} registers, 0 to ${PCR_COUNT - 1}, of ${PCR_BYTES} bytes each`);
  const certificate = certificateOf(fields.get('certificate'));
  if (certificate === undefined) return refuse(`certificate is not 1 to ${CERTIFICATE_BYTES_MAX} bytes`);
  const cabundle = cabundleOf(fields.get('cabundle'));
  if (cabundle === undefined) return refuse(`cabundle is not 1 to ${CABUNDLE_MAX} certificates of 1 to ${CERTIFICATE_BYTES_MAX} bytes`);
  const publicKey = optionalOf(fields, 'public_key', 1);
  if (publicKey === undefined) return refuse(`public_key is not null or 1 to ${ATTESTATION_FIELD_BYTES_MAX} bytes`);
  const userData = optionalOf(fields, 'user_data', 0);
  if (userData === undefined) return refuse(`user_data is not null or at most ${ATTESTATION_FIELD_BYTES_MAX} bytes`);
  const nonce = optionalOf(fields, 'nonce', 0);
  if (nonce === undefined) return refuse(`nonce is not null or at most ${ATTESTATION_FIELD_BYTES_MAX} bytes`);
  const document = { moduleId, instanceId, enclaveId, timestampMs: timestamp.value, pcrs, certificate, cabundle, publicKey, userData, nonce };
  return { ok: true, document };
}

/** The last time that a date can hold (ECMA-262 section 21.4.1.1). */
const TIME_MS_MAX = 8_640_000_000_000_000;

function textOf(value: CborValue | undefined): string | undefined {
  return value?.kind === 'text' ? value.value : undefined;
}

function bytesOf(value: CborValue | undefined, least: number, most: number): Uint8Array | undefined {
  return value?.kind === 'bytes' && value.value.length >= least && value.value.length <= most ? value.value : undefined;
}

function certificateOf(value: CborValue | undefined): Uint8Array | undefined {
  return bytesOf(value, 1, CERTIFICATE_BYTES_MAX);
}

function cabundleOf(value: CborValue | undefined): Uint8Array[] | undefined {
  if (value?.kind !== 'array' || value.items.length === 0 || value.items.length > CABUNDLE_MAX) return undefined;
  const certificates = value.items.map(certificateOf).filter((item) => item !== undefined);
  return certificates.length === value.items.length ? certificates : undefined;
}

function pcrsOf(value: CborValue | undefined): Map<number, Uint8Array> | undefined {
  if (value?.kind !== 'map' || value.entries.size === 0) return undefined;
  const pcrs = new Map<number, Uint8Array>();
  for (const [index, register] of value.entries) {
    const bytes = bytesOf(register, PCR_BYTES, PCR_BYTES);
    if (typeof index !== 'number' || index < 0 || index >= PCR_COUNT || bytes === undefined) return undefined;
    pcrs.set(index, bytes);
  }
  return pcrs;
}

function optionalOf(fields: ReadonlyMap<CborKey, CborValue>, key: string, least: number): OptionalBytes | undefined {
  const value = fields.get(key);
  if (value === undefined) return { state: 'absent' };
  if (value.kind === 'null') return { state: 'null' };
  const bytes = bytesOf(value, least, ATTESTATION_FIELD_BYTES_MAX);
  return bytes === undefined ? undefined : { state: 'bytes', bytes };
}

/** How an optional field stands in a report. */
export function describeOptional(value: OptionalBytes): string {
  return value.state === 'bytes' ? `${value.bytes.length} bytes` : value.state;
}
