// SPDX-License-Identifier: Apache-2.0
/**
 * The trust file: what its owner accepts of an enclave. It is the owner's own, yet read strictly: a key that is passed
 * over would be an expectation that nobody checks.
 *
 *   {"version": 1,
 *    "pcrs": {"0": "<96 hex>", "1": "...", "2": "...", and others as wanted},
 *    "documents": {"config_sha384": "<96 hex>", "policy_sha384": "...", "pins_sha384": "..."}}
 *
 * Either part may be missing, not both.
 */
import { fromHex } from '../bytes.ts';
import { parseStrictJson } from '../json/parse.ts';
import type { JsonObject, JsonValue } from '../json/value.ts';
import { isJsonObject } from '../json/value.ts';
import { PCR_BYTES } from './document.ts';
import type { BootDigests } from './pcr.ts';
import { IMAGE_PCRS } from './pcr.ts';

export interface AttestationTrust {
  readonly pcrs: ReadonlyMap<number, Uint8Array> | null;
  readonly documents: BootDigests | null;
}

export type TrustRead = { readonly ok: true; readonly trust: AttestationTrust } | { readonly ok: false; readonly reason: string };

export type PcrsRead = { readonly ok: true; readonly pcrs: ReadonlyMap<number, Uint8Array> } | { readonly ok: false; readonly reason: string };

const VERSION = 1;
const PCR_INDEX = /^(?:[0-9]|[12][0-9]|3[01])$/;

function refuse(reason: string): { readonly ok: false; readonly reason: string } {
  return { ok: false, reason };
}

/** 48 bytes from 96 hexadecimal digits of either case; undefined for anything else. */
export function readDigest(text: JsonValue | undefined): Uint8Array | undefined {
  if (typeof text !== 'string' || text.length !== PCR_BYTES * 2 || !/^[0-9a-fA-F]*$/.test(text)) return undefined;
  return fromHex(text.toLowerCase());
}

/** Expected registers from index to hexadecimal value, as a trust file and the command line give them. */
export function readPcrs(entries: Iterable<readonly [string, JsonValue | undefined]>): PcrsRead {
  const pcrs = new Map<number, Uint8Array>();
  for (const [index, text] of entries) {
    if (!PCR_INDEX.test(index)) return refuse('a PCR has an index from 0 to 31');
    const value = readDigest(text);
    if (value === undefined) return refuse(`PCR${index} is not 96 hexadecimal digits`);
    pcrs.set(Number(index), value);
  }
  if (!IMAGE_PCRS.every((index) => pcrs.has(index))) return refuse('PCR0, PCR1 and PCR2 belong together: none of them alone names an image');
  // To expect zero would be to expect a debug enclave.
  const zero = IMAGE_PCRS.find((index) => pcrs.get(index)?.every((byte) => byte === 0) === true);
  return zero === undefined ? { ok: true, pcrs } : refuse(`PCR${zero} is all zeros, as debug enclaves have it`);
}

/** Reads the bytes of a trust file. */
export function readAttestationTrust(bytes: Uint8Array): TrustRead {
  const parsed = parseStrictJson(bytes);
  if (!parsed.ok) return refuse(`it is not strict JSON (${parsed.code})`);
  const root = parsed.value;
  if (!isJsonObject(root) || root['version'] !== VERSION) return refuse(`it is no object with "version": ${VERSION}`);
  if (!hasOnly(root, ['version', 'pcrs', 'documents'])) return refuse('it has a key other than version, pcrs and documents');
  if (root['pcrs'] === undefined && root['documents'] === undefined) return refuse('it has neither pcrs nor documents');
  let pcrs: ReadonlyMap<number, Uint8Array> | null = null;
  if (root['pcrs'] !== undefined) {
    if (!isJsonObject(root['pcrs'])) return refuse('pcrs is no object');
    const read = readPcrs(Object.entries(root['pcrs']));
    if (!read.ok) return read;
    pcrs = read.pcrs;
  }
  if (root['documents'] === undefined) return { ok: true, trust: { pcrs, documents: null } };
  const documents = readDocuments(root['documents']);
  if (documents === undefined) return refuse('documents is not config_sha384, policy_sha384 and pins_sha384 of 96 hexadecimal digits each');
  return { ok: true, trust: { pcrs, documents } };
}

function readDocuments(value: JsonValue): BootDigests | undefined {
  if (!isJsonObject(value) || !hasOnly(value, ['config_sha384', 'policy_sha384', 'pins_sha384'])) return undefined;
  const config = readDigest(value['config_sha384']);
  const policy = readDigest(value['policy_sha384']);
  const pins = readDigest(value['pins_sha384']);
  return config === undefined || policy === undefined || pins === undefined ? undefined : { config, policy, pins };
}

function hasOnly(value: JsonObject, keys: readonly string[]): boolean {
  return Object.keys(value).every((key) => keys.includes(key));
}
