// SPDX-License-Identifier: Apache-2.0
/**
 * Platform configuration registers: how they are extended, which of them say that an enclave runs in debug mode, and
 * what PCR16 holds. Extending is `new = SHA-384(old || data)`; a register begins with 48 zero bytes.
 */
import { concatBytes, equalBytes, toHex, utf8 } from '../bytes.ts';
import type { Check } from './check.ts';
import { notChecked, ok, unwanted } from './check.ts';
import type { AttestationDocument } from './document.ts';
import { PCR_BYTES } from './document.ts';

/** Registers that together measure the image. */
export const IMAGE_PCRS: readonly number[] = [0, 1, 2];
/** The register that the gateway extends, once, by its boot documents. */
export const BOOT_PCR = 16;
const BOOT_PREFIX: Uint8Array = utf8('mcp-bastion/pcr16/1\0');

/** SHA-384 of the documents that an enclave boots with, 48 bytes each. */
export interface BootDigests {
  readonly config: Uint8Array;
  readonly policy: Uint8Array;
  readonly pins: Uint8Array;
}

export async function sha384(data: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-384', data.slice()));
}

/** The value of a register that was extended once by this data. */
export function firstExtension(data: Uint8Array): Promise<Uint8Array> {
  return sha384(concatBytes(new Uint8Array(PCR_BYTES), data));
}

/** What the gateway extends PCR16 by. @throws RangeError for a digest that is not 48 bytes: a caller's bug */
export function bootMeasurement({ config, policy, pins }: BootDigests): Uint8Array {
  // The parts have no lengths in the measurement: other lengths could make two sets of documents one.
  for (const digest of [config, policy, pins]) if (digest.length !== PCR_BYTES) throw new RangeError('a SHA-384 digest has 48 bytes');
  return concatBytes(BOOT_PREFIX, config, policy, pins);
}

/** The value of PCR16 of an enclave that booted with these documents. */
export function bootPcr(digests: BootDigests): Promise<Uint8Array> {
  return firstExtension(bootMeasurement(digests));
}

function isZero(value: Uint8Array): boolean {
  return value.every((byte) => byte === 0);
}

/**
 * Each of PCR0, PCR1 and PCR2 is looked at by itself: an enclave in debug mode has these at zero, and others not. With
 * `allowed` a debug enclave is not refused, but it never counts as checked: nothing of its code is measured.
 */
export function checkDebug(document: AttestationDocument, allowed: boolean): Check {
  const missing = IMAGE_PCRS.filter((index) => isZero(document.pcrs.get(index) ?? new Uint8Array()));
  if (missing.length === 0) return ok('debug', 'PCR0, PCR1 and PCR2 are set: not a debug enclave');
  if (allowed) return notChecked('debug', 'INSECURE: a debug enclave, whose host reads its console; its code is not measured');
  return unwanted('debug', 'DEBUG_ENCLAVE', 'PCR0, PCR1 and PCR2 set', `${missing.map((index) => `PCR${index}`).join(', ')} zero or absent`);
}

/** One check for each register of which a value is expected; `release` not checked if there is none. */
export function checkPcrs(document: AttestationDocument, expected: ReadonlyMap<number, Uint8Array> | null): Check[] {
  if (expected === null) return [notChecked('release', 'no PCRs are given')];
  return Array.from(expected, ([index, value]) => {
    const actual = document.pcrs.get(index);
    if (actual !== undefined && equalBytes(actual, value)) return ok(`pcr${index}`, toHex(actual));
    return unwanted(`pcr${index}`, 'PCR_MISMATCH', toHex(value), actual === undefined ? 'absent' : toHex(actual));
  });
}

/** Recomputes PCR16 from the digests of the documents that are accepted. */
export async function checkDocuments(document: AttestationDocument, expected: BootDigests | null): Promise<Check> {
  if (expected === null) return notChecked('documents', 'no configuration, policy and pins are given');
  const wanted = await bootPcr(expected);
  const actual = document.pcrs.get(BOOT_PCR);
  if (actual !== undefined && equalBytes(actual, wanted)) return ok('documents', `PCR${BOOT_PCR} is that of the configuration, policy and pins`);
  return unwanted('documents', 'DOCUMENTS_MISMATCH', `PCR${BOOT_PCR} ${toHex(wanted)}`, actual === undefined ? 'absent' : toHex(actual));
}
