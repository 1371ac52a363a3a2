// SPDX-License-Identifier: Apache-2.0
/**
 * Proof that one row stands in a signed log, as a file (C2SP tlog-proof@v1): the row's index, the hashes from its leaf to
 * the root, and the signed checkpoint. The row itself travels in the `extra` line, which the format does not cover: here
 * it is hashed to the leaf that is proved.
 */
import { NOTE_LENGTH_MAX, PROOF_LENGTH_MAX, ROW_BYTES_MAX } from '../limits.ts';
import { fromBase64, toBase64 } from './base64.ts';
import type { RowBody } from './body.ts';
import { parseBody } from './body.ts';
import type { VerifySignature } from './checkpoint.ts';
import { fingerprintOf, originOf, parseNote, signedByKey, verifyCheckpoint } from './checkpoint.ts';
import type { FindingCode } from './findings.ts';
import type { Sha256 } from './merkle.ts';
import { HASH_BYTES, leafHash, verifyInclusion } from './merkle.ts';

const FORMAT = 'c2sp.org/tlog-proof@v1';
/** A tree whose size is a safe integer has no longer path. */
const PATH_MAX = 53;

export interface RowProof {
  readonly index: number;
  /** Leaf to root. */
  readonly path: readonly Uint8Array[];
  /** The row's body; null where it stands elsewhere. */
  readonly body: Uint8Array | null;
  /** The signed checkpoint as it was made. */
  readonly note: string;
}

export function buildProof({ index, path, body, note }: RowProof): string {
  const extra = body === null ? '' : `extra ${toBase64(body)}\n`;
  return `${FORMAT}\n${extra}index ${index}\n${path.map((hash) => `${toBase64(hash)}\n`).join('')}\n${note}`;
}

/** Reads a proof; attacker-controlled. Undefined unless it is what buildProof writes for its content. */
export function parseProof(text: string): RowProof | undefined {
  if (text.length > PROOF_LENGTH_MAX) return undefined;
  const end = text.indexOf('\n\n');
  if (end === -1) return undefined;
  const [format, ...lines] = text.slice(0, end).split('\n');
  const extra = lines[0]?.startsWith('extra ') === true ? lines.shift() : undefined;
  const digits = /^index (0|[1-9][0-9]{0,15})$/.exec(lines.shift() ?? '')?.[1];
  const body = extra === undefined ? null : fromBase64(extra.slice('extra '.length));
  if (format !== FORMAT || digits === undefined || body === undefined || lines.length > PATH_MAX) return undefined;
  const path: Uint8Array[] = [];
  for (const line of lines) {
    const hash = fromBase64(line);
    if (hash?.length !== HASH_BYTES) return undefined;
    path.push(hash);
  }
  const note = text.slice(end + 2);
  if (note.length > NOTE_LENGTH_MAX || (body !== null && body.length > ROW_BYTES_MAX)) return undefined;
  const proof = { index: Number(digits), path, body, note };
  return Number.isSafeInteger(proof.index) && buildProof(proof) === text ? proof : undefined;
}

export interface ProofChecks {
  readonly publicKey: Uint8Array;
  readonly verify: VerifySignature;
  readonly sha256: Sha256;
}

export type ProofVerdict =
  | { readonly ok: true; readonly row: RowBody; readonly origin: string; readonly size: number; readonly root: Uint8Array; readonly signedAt: number; readonly key: string }
  | { readonly ok: false; readonly code: FindingCode; readonly detail: string };

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function readRow(body: Uint8Array): RowBody | undefined {
  try {
    const parsed = parseBody(decoder.decode(body));
    return parsed.ok ? parsed.body : undefined;
  } catch {
    return undefined;
  }
}

function refuse(code: FindingCode, detail: string): ProofVerdict {
  return { ok: false, code, detail };
}

/** Checks that a row is the one that the proof is about, in the log that its key signed. Whose key that is, is not asked. */
export function verifyProof(proof: RowProof, body: Uint8Array, { publicKey, verify, sha256 }: ProofChecks): ProofVerdict {
  const row = readRow(body);
  if (row === undefined) return refuse('ROW_BODY_NONCANONICAL', 'a row is not the canonical form of a known kind');
  const note = parseNote(proof.note);
  if (note === undefined) return refuse('PROOF_INVALID', 'the checkpoint of a proof is no note');
  if (row.idx !== proof.index) return refuse('ROW_FIELD_MISMATCH', 'a row names another index');
  if (note.origin !== originOf(row.log, row.epoch)) return refuse('ROW_FIELD_MISMATCH', 'a row names another log than the checkpoint');
  const signed = signedByKey(note, publicKey);
  if (signed === undefined) return refuse('SIG_MISSING', 'the checkpoint of a proof has no signature of the key');
  if (!verifyCheckpoint(signed, publicKey, verify)) return refuse('SIG_INVALID', 'a signature does not verify');
  if (!verifyInclusion(leafHash(body, sha256), proof.index, note.size, proof.path, note.root)) return refuse('PROOF_INVALID', 'a proof does not lead from its row to the signed root');
  return { ok: true, row, origin: note.origin, size: note.size, root: note.root, signedAt: signed.timestamp, key: fingerprintOf(publicKey) };
}
