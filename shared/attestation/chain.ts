// SPDX-License-Identifier: Apache-2.0
/** The certificates of a document: their form, their chain, and the instant at which all of them have to be valid. */
import { CLOCK_SKEW_MS_MAX } from '../limits.ts';
import type { Certificate } from '../x509/certificate.ts';
import { parseCertificate } from '../x509/certificate.ts';
import type { ChainFault } from '../x509/chain.ts';
import { verifyChain } from '../x509/chain.ts';
import type { Check } from './check.ts';
import { bad, ok } from './check.ts';
import type { AttestationDocument } from './document.ts';

/** Root first; the last is the leaf, which signs the document. */
export interface CertificateList {
  readonly all: readonly Certificate[];
  readonly leaf: Certificate;
}

/** When something is verified: an explicit instant, never an own clock. */
export interface Instant {
  /** Milliseconds since 1970. */
  readonly ms: number;
  /** `clock`: this machine's time now, which may be a little wrong. `chosen`: a time that somebody named, taken exactly. */
  readonly source: 'clock' | 'chosen';
}

/** Parses all certificates of a document. */
export function readCertificates(document: AttestationDocument): { readonly check: Check; readonly list: CertificateList | null } {
  const all: Certificate[] = [];
  const ders = [...document.cabundle, document.certificate];
  for (const [at, der] of ders.entries()) {
    const parsed = parseCertificate(der);
    if (!parsed.ok) {
      const place = `certificate ${at + 1} of ${ders.length}: ${parsed.reason}`;
      return { check: bad('certificates', 'CERTIFICATE_MALFORMED', 'X.509 version 3 with P-384 and SHA-384, strict DER', place), list: null };
    }
    all.push(parsed.certificate);
  }
  const leaf = all.at(-1);
  if (leaf === undefined) throw new RangeError('a document has a certificate');
  return { check: ok('certificates', `${all.length}, strict DER, P-384`), list: { all, leaf } };
}

const RULES: Readonly<Record<ChainFault, string>> = {
  name: 'its issuer is the subject of the one before it',
  authority: 'it is an authority, by a critical extension',
  'path-length': 'no more authorities below it than it allows',
  leaf: 'the last one is no authority',
  usage: 'its key may be used so',
  signature: 'it is signed by the key of the one before it',
};

export async function checkChain({ all }: CertificateList): Promise<Check> {
  const verified = await verifyChain(all);
  if (verified.ok) return ok('chain', `${all.length} certificates, each signed by the one before it`);
  return bad('chain', 'CHAIN_INVALID', RULES[verified.fault], `certificate ${verified.at + 1} of ${all.length} breaks this`);
}

export function checkValidity({ all }: CertificateList, at: Instant): Check {
  const skew = at.source === 'clock' ? CLOCK_SKEW_MS_MAX : 0;
  const from = Math.max(...all.map((certificate) => certificate.notBeforeMs));
  const to = Math.min(...all.map((certificate) => certificate.notAfterMs));
  const period = `${isoTime(from)} to ${isoTime(to)}`;
  if (at.ms + skew < from || at.ms - skew > to) return bad('validity', 'CERTIFICATE_TIME', `a time from ${period}`, isoTime(at.ms));
  return ok('validity', `all certificates are valid at ${isoTime(at.ms)} (together ${period})`);
}

export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
