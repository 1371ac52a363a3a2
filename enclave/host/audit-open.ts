// SPDX-License-Identifier: Apache-2.0
/** `mcp-bastion audit open`: decrypts sealed payloads for a reader, and checks each against its row. Reads only. */
import { resolve } from 'node:path';
import { parseBody } from '../../shared/audit/body.ts';
import { SEALED_MEDIA } from '../../shared/audit/row.ts';
import { UnreadableSegment } from '../../shared/audit/source.ts';
import { Unavailable, Usage } from '../../shared/errors.ts';
import { wireJson } from '../../shared/json/canonical.ts';
import { jsonObject } from '../../shared/json/value.ts';
import { READER_IDENTITY_BYTES_MAX } from '../../shared/limits.ts';
import type { ReaderIdentity } from '../audit/reader-key.ts';
import { parseIdentity } from '../audit/reader-key.ts';
import { SegmentReader } from '../audit/reader.ts';
import { openSealed } from '../audit/seal.ts';
import { logsRoot } from '../audit/slots.ts';
import { findLogs } from '../audit/walk.ts';
import type { AuditIo } from './audit.ts';
import { parseCommand } from './audit-place.ts';
import { readPrivateFile } from './private-file.ts';
import { defaultStateDir } from './state.ts';

const USAGE = `usage: mcp-bastion audit open --identity FILE [PATH] [options]

Decrypts the payloads that were sealed for a reader, checks each against what its row
commits to, and prints one JSON document a line. Whether the rows themselves are
genuine is not looked at: inspect-log --verify says that.

  PATH             a log directory, a directory above logs, or one .sqlite file;
                   default: all logs of local mode
  --identity FILE  what "mcp-bastion audit reader new" wrote
  --row N          that row only, of each segment
  --state DIR      the state folder; default MCP_BASTION_STATE or the platform's

Exit status: 0 opened; 1 a payload is not what its row commits to, or was changed; 2
usage; 3 could not.

example: mcp-bastion audit open --identity auditor.json --row 812
`;

const OPTIONS = { identity: { type: 'string' }, row: { type: 'string' }, state: { type: 'string' } } as const;

interface Counts {
  opened: number;
  foreign: number;
  wrong: number;
}

function identityOf(path: string | undefined, io: AuditIo): ReaderIdentity {
  if (path === undefined) throw new Usage('USAGE', '--identity is missing', 'see: mcp-bastion audit open --help');
  const identity = parseIdentity(readPrivateFile(resolve(io.cwd, path), READER_IDENTITY_BYTES_MAX, 'the identity'));
  if (identity === undefined) throw new Unavailable('FILE_UNREADABLE', 'the identity is none, or was changed', 'name the file that "mcp-bastion audit reader new" wrote');
  return identity;
}

/** Rows and payloads of a segment are attacker-controlled. */
function openSegment(path: string, only: number | null, identity: ReaderIdentity, counts: Counts, io: AuditIo): void {
  const reader = new SegmentReader(path);
  try {
    if (reader.schema !== 'expected' && reader.schema !== 'extended') return;
    for (const entry of reader.entries(only === null ? undefined : only - 1)) {
      const parsed = entry.body instanceof Uint8Array ? parseBody(new TextDecoder().decode(entry.body)) : undefined;
      if (parsed?.ok !== true || parsed.body.commitment === null) {
        if (only !== null) return;
        continue;
      }
      const { log, epoch, idx, commitment } = parsed.body;
      if (only !== null && idx !== only) return;
      const stored = reader.payload(idx);
      if (stored?.media !== SEALED_MEDIA || !(stored.data instanceof Uint8Array) || !(stored.salt instanceof Uint8Array)) continue;
      const found = openSealed(identity, { log, epoch, idx }, { salt: stored.salt, data: stored.data }, commitment.pc);
      if (found.kind === 'open') {
        counts.opened += 1;
        io.stdout.write(`${wireJson(jsonObject({ log, epoch, idx, media: found.media, payload: new TextDecoder().decode(found.data) }))}\n`);
      } else if (found.kind === 'foreign') {
        counts.foreign += 1;
      } else {
        counts.wrong += 1;
        io.stderr.write(`epoch ${epoch} row ${idx}: ${found.kind === 'mismatch' ? 'not what its row commits to' : 'changed, or of another row'}\n`);
      }
    }
  } finally {
    reader.close();
  }
}

/** @throws Usage, Unavailable */
export async function openCommand(args: readonly string[], io: AuditIo): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    io.stdout.write(USAGE);
    return 0;
  }
  const { values, positionals } = parseCommand(args, OPTIONS, 'audit open');
  if (positionals.length > 1) throw new Usage('USAGE', 'more than one path', 'name one directory above all logs');
  if (values.row !== undefined && !/^(0|[1-9][0-9]{0,14})$/.test(values.row)) throw new Usage('USAGE', '--row is not a number', 'see: mcp-bastion audit open --help');
  const identity = identityOf(values.identity, io);
  const counts: Counts = { opened: 0, foreign: 0, wrong: 0 };
  const path = positionals[0] === undefined ? logsRoot(values.state ?? defaultStateDir(io.env)) : resolve(io.cwd, positionals[0]);
  try {
    for (const log of findLogs(path)) {
      for (const segment of log.segments) openSegment(segment, values.row === undefined ? null : Number(values.row), identity, counts, io);
    }
  } catch (error) {
    if (!(error instanceof UnreadableSegment)) throw error;
    throw new Unavailable('FILE_UNREADABLE', error.message, 'run: mcp-bastion inspect-log --verify', error);
  }
  io.stderr.write(`${counts.opened} opened, ${counts.foreign} for other readers, ${counts.wrong} wrong\n`);
  if (counts.wrong > 0) return 1;
  if (counts.opened > 0) return 0;
  throw new Unavailable('FILE_UNREADABLE', 'nothing here was sealed for this identity', 'check the path, and audit.readers of the policy');
}
