// SPDX-License-Identifier: Apache-2.0
/** What `bastion-verify-pcrs --help` says. */

export const USAGE = `usage: bastion-verify-pcrs --document FILE --at TIME|now [options]

Verifies an attestation document of an AWS Nitro Enclave: what was signed, by whom,
for which enclave; then whether it is what you accept. One line per check, a verdict,
and what was not checked.

  --document FILE          the document: raw CBOR, as "Accept: application/cbor" gives it
  --at TIME|now            when it has to be valid, such as 2026-01-31T12:00:00Z
  --nonce HEX              the nonce that you asked for, 16 to 1024 bytes
  --trust FILE             trust.json: the PCRs and documents that you accept
  --pcr0 HEX --pcr1 HEX --pcr2 HEX
                           the PCRs of the release; --pcr3 to --pcr31 likewise
  --config FILE --policy FILE --pins FILE
                           the documents that it should have booted with
  --root FILE              another root than AWS's, DER or PEM: for simulated enclaves
  --allow-flags            take a failed boot self-test
  --allow-debug            look at a debug enclave; it is never verified
  --accept-unchecked LIST  what may stay unchecked, with commas: release, documents,
                           nonce, statement, channel
  --json                   print one JSON document
  --help, --version

Exit status: 0 verified; 1 checked and does not match; 2 usage; 3 could not check, or
something was left unchecked and not accepted so. A saved document never shows whose
connection it came over: "channel" stays unchecked.

example: bastion-verify-pcrs --document attestation.cbor --at now --nonce 00112233445566778899aabbccddeeff --trust trust.json --accept-unchecked channel
`;
