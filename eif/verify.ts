// SPDX-License-Identifier: Apache-2.0
/**
 * Checks an image against what someone expects of it. Each check is a value; what was not checked is one too, because
 * an image that only passed what nobody asked for is not verified.
 */
import type { X509Certificate } from 'node:crypto';
import { equalBytes, toHex } from '../shared/bytes.ts';
import type { Measurements } from '../shared/eif/measure.ts';
import { measureEif } from '../shared/eif/measure.ts';
import type { Eif } from '../shared/eif/read.ts';
import { readEif } from '../shared/eif/read.ts';
import type { EifSignature } from '../shared/eif/signature.ts';
import { isValidAt, nodeSha384, parseCertificate, verifyEifSignature } from './certificate.ts';

export type CheckName = 'format' | 'pcr0' | 'pcr1' | 'pcr2' | 'signature' | 'certificate-time' | 'signer';

export interface Check {
  readonly name: CheckName;
  readonly result: 'ok' | 'fail' | 'unchecked';
  /** Why. Safe to show. */
  readonly detail: string;
  /** Hex; null where the check compares nothing. */
  readonly expected: string | null;
  readonly actual: string | null;
}

/** PCRs in lower-case hex; undefined is not expected, hence not checked. */
export interface Expected {
  readonly pcr0?: string | undefined;
  readonly pcr1?: string | undefined;
  readonly pcr2?: string | undefined;
  /** Of the certificate that has to have signed the image. */
  readonly pcr8?: string | undefined;
}

export interface VerifyOptions {
  readonly expected: Expected;
  /** Checks that may stay unchecked. */
  readonly accept: ReadonlySet<CheckName>;
  /** Milliseconds since 1970 at which the signing certificate has to be valid. */
  readonly at: number;
}

export interface Verification {
  /** `incomplete`: nothing is wrong, but something was left unchecked that was not accepted. */
  readonly verdict: 'ok' | 'mismatch' | 'incomplete';
  readonly checks: readonly Check[];
}

function check(name: CheckName, result: Check['result'], detail: string): Check {
  return { name, result, detail, expected: null, actual: null };
}

function compare(name: CheckName, expected: string, actual: string): Check {
  const equal = expected === actual;
  return { name, result: equal ? 'ok' : 'fail', detail: equal ? 'as expected' : 'not as expected', expected, actual };
}

interface Signing {
  readonly checks: readonly Check[];
  /** True if the expected signer signed this image's PCR0. */
  readonly trusted: boolean;
}

function checkSignature(signature: EifSignature, certificate: X509Certificate | undefined, pcr0: Uint8Array): Check {
  if (certificate === undefined) return check('signature', 'fail', 'the signing certificate cannot be read');
  if (!verifyEifSignature(signature, certificate)) return check('signature', 'fail', 'the key in the certificate did not make it');
  // The signature is over a PCR0 that it names itself: another image's would be just as good.
  if (equalBytes(signature.pcr0, pcr0)) return check('signature', 'ok', `${signature.algorithm} over this PCR0`);
  return { ...compare('signature', toHex(signature.pcr0), toHex(pcr0)), detail: 'it is over the PCR0 of another image' };
}

function checkSigning(eif: Eif, measured: Measurements, { expected, at }: VerifyOptions): Signing {
  const { signature } = eif;
  if (signature === null || measured.pcr8 === null) {
    if (expected.pcr8 === undefined) return { checks: [], trusted: false };
    return { checks: [check('signature', 'fail', 'the image is not signed')], trusted: false };
  }
  const certificate = parseCertificate(signature.certificateDer);
  const made = checkSignature(signature, certificate, measured.pcr0);
  const inTime = certificate !== undefined && isValidAt(certificate, at);
  const time = check('certificate-time', inTime ? 'ok' : 'fail', inTime ? 'valid' : 'not valid at that time');
  const signer =
    expected.pcr8 === undefined
      ? check('signer', 'unchecked', 'no certificate was given')
      : compare('signer', expected.pcr8, toHex(measured.pcr8));
  const checks = [made, time, signer];
  return { checks, trusted: checks.every(({ result }) => result === 'ok') };
}

function checkPcr(name: 'pcr0' | 'pcr1' | 'pcr2', expected: string | undefined, actual: Uint8Array, signed: boolean): Check {
  if (expected !== undefined) return compare(name, expected, toHex(actual));
  // The signature covers PCR0 alone, which does not say where the kernel ends and the first ramdisk begins.
  if (name === 'pcr0' && signed) return check(name, 'ok', 'as the expected signer signed it');
  return check(name, 'unchecked', 'no value was given');
}

function verdictOf(checks: readonly Check[], accept: ReadonlySet<CheckName>): Verification['verdict'] {
  if (checks.some(({ result }) => result === 'fail')) return 'mismatch';
  return checks.some(({ name, result }) => result === 'unchecked' && !accept.has(name)) ? 'incomplete' : 'ok';
}

/** Verifies attacker-controlled bytes, in time linear in their length. */
export function verifyEif(bytes: Uint8Array, options: VerifyOptions): Verification {
  const eif = readEif(bytes);
  if (eif.kind === 'malformed') {
    const rest = (['pcr0', 'pcr1', 'pcr2'] as const).map((name) => check(name, 'unchecked', 'the image cannot be read'));
    return { verdict: 'mismatch', checks: [check('format', 'fail', `${eif.message} (${eif.code} at byte ${eif.at})`), ...rest] };
  }
  const measured = measureEif(eif, nodeSha384);
  const signing = checkSigning(eif, measured, options);
  const pcrs = (['pcr0', 'pcr1', 'pcr2'] as const).map((name) => checkPcr(name, options.expected[name], measured[name], signing.trusted));
  const format = check('format', 'ok', `version 4, ${eif.sections.length} sections, checksum matches`);
  const checks = [format, ...pcrs, ...signing.checks];
  return { verdict: verdictOf(checks, options.accept), checks };
}
