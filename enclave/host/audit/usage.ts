// SPDX-License-Identifier: Apache-2.0
/** What `mcp-bastion audit --help` says. */

export const AUDIT_USAGE = `usage: mcp-bastion audit prove --row N [LOG] -o FILE [options]
       mcp-bastion audit bundle --rows A-B [LOG] -o DIR [options]
       mcp-bastion audit verify BUNDLE|PROOF [--trust FILE] [--accept-unchecked key]

Exports evidence from a log, for somebody who does not have the log, and verifies it.

  prove            write the proof of one row: the row, its path to the signed root, and
                   the checkpoint (C2SP tlog-proof); the log's public key goes to FILE.vkey
  bundle           write a folder with rows, a proof for each, the checkpoint, the key, a
                   trust file to compare, checksums, and how to check it all
  verify           check either of them; a log is checked with bastion-verify-log

  LOG              a log directory or one .sqlite file; may be left out if the state
                   folder holds one log only
  --row N          the row, as inspect-log numbers it
  --rows A-B       the first and the last row, both included
  --epoch N        the epoch of a log directory; default the last
  --payloads       bundle: what is still stored of the messages, after redaction. They
                   are in clear there
  --policy FILE    bundle: the policy that decided; its digest must stand in the rows
  --attestation FILE
                   bundle: an attestation document that vouches for the key
  -o FILE|DIR      where to write; nothing is overwritten
  --trust FILE     verify: which keys belong to which log; default: trust.json of the
                   state folder, if it is there
  --accept-unchecked key
                   verify: take the key from the evidence itself
  --state DIR      the state folder; default MCP_BASTION_STATE or the platform's
  --json           verify: print one JSON document

Exit status: 0 written, or verified; 1 does not match; 2 usage; 3 could not.

example: mcp-bastion audit bundle --rows 120-140 /var/log/bastion/files -o evidence
`;
