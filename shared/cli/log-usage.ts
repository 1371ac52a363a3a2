// SPDX-License-Identifier: Apache-2.0
/** What `bastion-verify-log --help` says. */

export const LOG_USAGE = `usage: bastion-verify-log PATH --trust FILE [options]

Verifies audit logs offline, from public data only: every row, every signature, every
payload, every line of the anchor file, and what was kept apart from the log. It writes
nothing and leaves no file behind.

  PATH                     a log directory, a directory above logs, or one .sqlite file;
                           or an evidence bundle, or a .tlog-proof with its .vkey beside it
  --trust FILE             trust.json: which keys belong to which log. Keep it apart from
                           the log: a key that the log itself names proves nothing
  --receipts FILE          receipts that clients got for their rows, one JSON object a line
  --anchors FILE           a checkpoint, or a copy of the anchor file, that was kept
                           elsewhere; may be given more than once
  --expect-size N          the log has at least N rows in all its epochs, as an earlier
                           verification showed
  --at TIME|now            when, for the age of the last signature; default now
  --accept-unchecked LIST  what may stay unchecked: key
  --json                   print one JSON document
  --help, --version

Exit status: 0 verified; 1 checked and does not match; 2 usage; 3 could not check, or the
key was left unchecked and not accepted so. The first line is the verdict and what it
rests on. What was cut off after the last thing that was kept elsewhere is never seen: the
report says from where on.

example: bastion-verify-log /var/log/bastion/files --trust trust.json --anchors kept.anchor.jsonl
`;
