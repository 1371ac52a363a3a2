// SPDX-License-Identifier: Apache-2.0
/** The text that goes with an evidence bundle: for an auditor who has neither the log nor our software. */
import { ATTESTATION, PAYLOADS, POLICY } from '../../../shared/audit/bundle-files.ts';

export interface ReadmeFacts {
  readonly origin: string;
  readonly first: number;
  readonly last: number;
  readonly size: number;
  /** SHA-256 of the key's SubjectPublicKeyInfo, hex. */
  readonly fingerprint: string;
  readonly names: readonly string[];
}

export function readmeOf({ origin, first, last, size, fingerprint, names }: ReadmeFacts): string {
  const optional = [
    ...(names.includes(PAYLOADS) ? [`${PAYLOADS}     what was kept of the messages, after redaction`] : []),
    ...(names.includes(POLICY) ? [`${POLICY}         the policy; its SHA-256 stands in the rows that it decided`] : []),
    ...(names.includes(ATTESTATION) ? [`${ATTESTATION}   the enclave's statement about the key: see bastion-verify-pcrs`] : []),
  ];
  return `Evidence from an audit log of mcp-bastion

  log     ${origin}
  rows    ${first} to ${last}, of ${size} rows that were signed when this was made
  key     ${fingerprint}

What this shows: each of these rows stood at its place in the log of that key, as it is
here, when the checkpoint was signed. What it does not show: rows that are not here, what
happened later, and whose key it is. Ask the log's owner for the key's fingerprint on
another way than this folder; trust.json here is for comparing only.

Files

  bundle.json        which rows, of which log
  rows.jsonl         the rows, one a line: canonical JSON, exactly the bytes that were hashed
  proofs/            for each row its path to the signed root (C2SP tlog-proof)
  checkpoint.txt     the signed root (C2SP checkpoint, ML-DSA-44)
  key.vkey           the log's public key
  trust.json         the key's fingerprint, in the form of a trust file
${optional.map((line) => `  ${line}\n`).join('')}  SHA256SUMS         checksums of all of it

To check it with our software

  bastion-verify-log . --trust YOUR-TRUST-FILE

To check it without

  1. sha256sum -c SHA256SUMS
  2. Leaf of a row: SHA-256 of one byte 00 and the bytes of its line, without the newline.
  3. Take the hashes of the row's proof in order (base64, after the line "index N"). With
     n = N and last = SIZE - 1, for each hash p: if n is odd or n = last, the new hash is
     SHA-256(01, p, hash), and then, while n is even and not 0, halve n and last; else it
     is SHA-256(01, hash, p). Then halve n and last, rounding down. At the end last is 0
     and the hash is the third line of checkpoint.txt (RFC 6962, RFC 9162 section 2.1.3.2).
  4. Each row's "prev" is the leaf of the row before it, in hex.
  5. Signature: the last line of checkpoint.txt holds in base64 4 bytes of key id, 8 bytes
     of time (seconds, big-endian) and 2420 bytes of ML-DSA-44 signature (FIPS 204, pure,
     empty context). What is signed: "subtree/v1", a newline, one byte 00; one byte with
     the length of the log's name, the name; the time; the length and the name again; 8
     bytes 00; the size, 8 bytes big-endian; the 32 bytes of the root. The log's name is
     the first line of checkpoint.txt.
  6. The public key: base64 after the last "+" of key.vkey, less its first byte (06). Its
     fingerprint is the SHA-256 of the key's SubjectPublicKeyInfo (DER).
  7. A payload: SHA-256 of "mcp-bastion/payload/1", one byte 00, the salt, the length (8
     bytes big-endian) and the data is "pc" of its row.
`;
}
