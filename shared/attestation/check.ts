// SPDX-License-Identifier: Apache-2.0
/**
 * What a verification says: a list of named checks and what they come to. Two families of failure are kept apart:
 * evidence that is bad, and evidence that is good but not of what was asked for.
 */

/** The document does not prove what it says. */
export type EvidenceCode =
  | 'COSE_MALFORMED'
  | 'DOCUMENT_MALFORMED'
  | 'CERTIFICATE_MALFORMED'
  | 'ROOT_UNKNOWN'
  | 'CHAIN_INVALID'
  | 'CERTIFICATE_TIME'
  | 'SIGNATURE_INVALID'
  | 'TIMESTAMP_OUTSIDE'
  | 'IDENTITY_MISMATCH'
  | 'STATEMENT_MALFORMED'
  | 'STATEMENT_MISMATCH';

/** The document proves something else than what is accepted. */
export type ExpectationCode = 'DOCUMENT_STALE' | 'DEBUG_ENCLAVE' | 'PCR_MISMATCH' | 'DOCUMENTS_MISMATCH' | 'NONCE_MISMATCH' | 'FLAGS_SET' | 'CHANNEL_MISMATCH';

/** What a failure says. The texts are safe to show: printable, and short or hexadecimal. */
interface Contrast {
  readonly expected: string;
  readonly actual: string;
}

export type Failure =
  | ({ readonly family: 'evidence'; readonly code: EvidenceCode } & Contrast)
  | ({ readonly family: 'expectation'; readonly code: ExpectationCode } & Contrast);

export type CheckName =
  | 'format'
  | 'document'
  | 'certificates'
  | 'root'
  | 'chain'
  | 'validity'
  | 'signature'
  | 'timestamp'
  | 'identity'
  | 'freshness'
  | 'debug'
  | 'release'
  | `pcr${number}`
  | 'documents'
  | 'nonce'
  | 'statement'
  | 'flags'
  | 'channel';

export type Check =
  | { readonly name: CheckName; readonly result: 'ok'; readonly detail: string }
  | { readonly name: CheckName; readonly result: 'failed'; readonly failure: Failure }
  | { readonly name: CheckName; readonly result: 'not-checked'; readonly reason: string };

/** What one may accept as unchecked; everything else has to be checked. */
export type Optional = 'release' | 'documents' | 'nonce' | 'statement' | 'channel';

export const OPTIONAL: ReadonlySet<string> = new Set<Optional>(['release', 'documents', 'nonce', 'statement', 'channel']);

export type Verdict =
  /** Everything was checked and matches, but for what was named as accepted. */
  | { readonly kind: 'verified'; readonly accepted: readonly CheckName[] }
  /** A check failed; this is the first. */
  | { readonly kind: 'refused'; readonly failure: Failure }
  /** Nothing failed, but this was left unchecked and not accepted so. */
  | { readonly kind: 'incomplete'; readonly unchecked: readonly CheckName[] };

export function ok(name: CheckName, detail: string): Check {
  return { name, result: 'ok', detail };
}

export function bad(name: CheckName, code: EvidenceCode, expected: string, actual: string): Check {
  return { name, result: 'failed', failure: { family: 'evidence', code, expected, actual } };
}

export function unwanted(name: CheckName, code: ExpectationCode, expected: string, actual: string): Check {
  return { name, result: 'failed', failure: { family: 'expectation', code, expected, actual } };
}

export function notChecked(name: CheckName, reason: string): Check {
  return { name, result: 'not-checked', reason };
}

export function verdictOf(checks: readonly Check[], acceptUnchecked: ReadonlySet<string>): Verdict {
  for (const check of checks) if (check.result === 'failed') return { kind: 'refused', failure: check.failure };
  const unchecked = checks.filter((check) => check.result === 'not-checked').map((check) => check.name);
  const missing = unchecked.filter((name) => !OPTIONAL.has(name) || !acceptUnchecked.has(name));
  return missing.length === 0 ? { kind: 'verified', accepted: unchecked } : { kind: 'incomplete', unchecked: missing };
}
