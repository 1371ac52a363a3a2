// SPDX-License-Identifier: Apache-2.0
/**
 * Verifies an attestation document of AWS Nitro Enclaves. First the evidence: what was signed, by whom, when, and for
 * which enclave. Only then what it says is compared with what is accepted. The time, the root and all expectations are
 * arguments: there is no clock, network or default here.
 */
import type { CertificateList, Instant } from './chain.ts';
import { checkChain, checkValidity, readCertificates } from './chain.ts';
import type { Check, Verdict } from './check.ts';
import { bad, ok, verdictOf } from './check.ts';
import type { Sign1 } from './cose.ts';
import { parseSign1, signedBytes } from './cose.ts';
import type { AttestationDocument } from './document.ts';
import { describeOptional, parseDocument } from './document.ts';
import { checkIdentity, checkTimestamp } from './identity.ts';
import { checkFreshness, checkNonce, isNonceLength } from './nonce.ts';
import type { BootDigests } from './pcr.ts';
import { checkDebug, checkDocuments, checkPcrs, IMAGE_PCRS } from './pcr.ts';
import type { TrustedRoot } from './root.ts';
import { AWS_NITRO_ROOT_G1, checkRoot } from './root.ts';
import type { Statement } from './statement.ts';
import { checkChannel, checkFlags, checkStatement, readStatement } from './statement.ts';
import { toHex } from '../bytes.ts';
import type { Certificate } from '../x509/certificate.ts';
import { verifyEs384 } from '../x509/es384.ts';

/** What is accepted. Null: not given, hence not checked, and the verdict says so. */
export interface Expectations {
  /** Must hold PCR0, PCR1 and PCR2: none of them says alone what an image is. */
  readonly pcrs: ReadonlyMap<number, Uint8Array> | null;
  readonly documents: BootDigests | null;
  /** 16 to 1024 bytes. */
  readonly nonce: Uint8Array | null;
  /** SHA-256 of the SPKI that the connection showed on which the document came. */
  readonly channelSha256: Uint8Array | null;
  readonly allowDebug: boolean;
  readonly allowFlags: boolean;
  /** Names of optional checks that may stay unchecked. */
  readonly acceptUnchecked: ReadonlySet<string>;
}

export interface VerifyRequest {
  readonly at: Instant;
  readonly root: TrustedRoot;
  readonly expect: Expectations;
}

/** A document of which all evidence was checked. */
export interface VerifiedDocument {
  readonly proven: true;
  readonly document: AttestationDocument;
  /** What the gateway states in user_data; null where that is something else. */
  readonly statement: Statement | null;
  /** Oddities that refuse nothing. */
  readonly notes: readonly string[];
}

export interface AttestationReport {
  readonly verdict: Verdict;
  /** In the order of the procedure. After bad evidence it ends: what follows would compare what nobody vouches for. */
  readonly checks: readonly Check[];
  /** Null after bad evidence. */
  readonly verified: VerifiedDocument | null;
}

/** Verifies attacker-controlled bytes. @throws RangeError for expectations that can check nothing: a caller's bug */
export async function verifyAttestation(bytes: Uint8Array, { at, root, expect }: VerifyRequest): Promise<AttestationReport> {
  requireSensible(expect);
  const checks: Check[] = [];
  const evidence = await checkEvidence(bytes.slice(), at, root, checks);
  if (evidence === null) return { verdict: verdictOf(checks, expect.acceptUnchecked), checks, verified: null };

  const { document, leaf } = evidence;
  checks.push(checkFreshness(document, at));
  checks.push(checkDebug(document, expect.allowDebug));
  checks.push(...checkPcrs(document, expect.pcrs));
  checks.push(await checkDocuments(document, expect.documents));
  checks.push(checkNonce(document, expect.nonce));
  const read = readStatement(document.userData);
  checks.push(await checkStatement(document, read));
  if (read.kind === 'statement') checks.push(checkFlags(read.statement, expect.allowFlags));
  checks.push(checkChannel(read, expect.channelSha256));

  const statement = read.kind === 'statement' ? read.statement : null;
  const verified: VerifiedDocument = { proven: true, document, statement, notes: notesOn(document, leaf, root) };
  return { verdict: verdictOf(checks, expect.acceptUnchecked), checks, verified };
}

interface Evidence {
  readonly document: AttestationDocument;
  readonly leaf: Certificate;
}

function requireSensible({ pcrs, nonce }: Expectations): void {
  if (pcrs !== null && !IMAGE_PCRS.every((index) => pcrs.has(index))) throw new RangeError('PCR0, PCR1 and PCR2 belong together');
  if (nonce !== null && !isNonceLength(nonce.length)) throw new RangeError('a nonce has 16 to 1024 bytes');
}

/** The document and its leaf if all evidence is good; null after the first step that fails. */
async function checkEvidence(bytes: Uint8Array, at: Instant, root: TrustedRoot, checks: Check[]): Promise<Evidence | null> {
  /** Notes a check; true if it passed. */
  const passes = (check: Check): boolean => checks.push(check) > 0 && check.result === 'ok';

  // The form: one COSE_Sign1 with one possible algorithm, around one document with all bounds kept.
  const { check: format, sign1 } = readSign1(bytes);
  if (!passes(format) || sign1 === null) return null;
  const { check: form, document } = readDocument(sign1.payload);
  if (!passes(form) || document === null) return null;
  const { check: certificates, list } = readCertificates(document);
  if (!passes(certificates) || list === null) return null;

  // Who signed: the pinned root, by way of each certificate in its order, down to the leaf.
  if (!passes(checkRoot(document.cabundle[0] ?? new Uint8Array(), root))) return null;
  if (!passes(await checkChain(list))) return null;
  if (!passes(checkValidity(list, at))) return null;
  if (!passes(await checkSignature(sign1, list))) return null;

  // Of what: the time, the registers and the certificates are of one enclave.
  if (!passes(checkTimestamp(document, list))) return null;
  if (!passes(await checkIdentity(document, list))) return null;
  return { document, leaf: list.leaf };
}

function readSign1(bytes: Uint8Array): { readonly check: Check; readonly sign1: Sign1 | null } {
  const parsed = parseSign1(bytes);
  if (!parsed.ok) return { check: bad('format', 'COSE_MALFORMED', 'a COSE_Sign1 with ES384', parsed.reason), sign1: null };
  return { check: ok('format', `COSE_Sign1 with ES384, ${bytes.length} bytes${parsed.sign1.tagged ? ', tagged' : ''}`), sign1: parsed.sign1 };
}

function readDocument(payload: Uint8Array): { readonly check: Check; readonly document: AttestationDocument | null } {
  const parsed = parseDocument(payload);
  if (!parsed.ok) return { check: bad('document', 'DOCUMENT_MALFORMED', 'an attestation document', parsed.reason), document: null };
  const { publicKey, userData, nonce, pcrs } = parsed.document;
  const fields = `public_key ${describeOptional(publicKey)}, user_data ${describeOptional(userData)}, nonce ${describeOptional(nonce)}`;
  return { check: ok('document', `${pcrs.size} PCRs, ${fields}`), document: parsed.document };
}

async function checkSignature(sign1: Sign1, { leaf }: CertificateList): Promise<Check> {
  if (await verifyEs384(leaf.point, sign1.signature, signedBytes(sign1))) return ok('signature', "by the leaf's key, over the received bytes");
  return bad('signature', 'SIGNATURE_INVALID', "a signature by the leaf's key", 'it does not verify');
}

function notesOn(document: AttestationDocument, leaf: Certificate, root: TrustedRoot): string[] {
  const notes: string[] = [];
  if (root.sha256 !== AWS_NITRO_ROOT_G1.sha256) notes.push('the root is not that of AWS: nothing says that this enclave is one');
  if (!hasUsualSerial(document, leaf)) notes.push("the leaf's serial number is not made of enclave id and time of issue, as known ones are");
  return notes;
}

/** Known leaves: the enclave's id and the second of issue, three after the beginning of the period, 8 bytes each. */
function hasUsualSerial(document: AttestationDocument, leaf: Certificate): boolean {
  const issuedSeconds = Math.floor(leaf.notBeforeMs / 1000) + 3;
  return toHex(leaf.serial).padStart(32, '0') === document.enclaveId.padStart(16, '0') + issuedSeconds.toString(16).padStart(16, '0');
}
