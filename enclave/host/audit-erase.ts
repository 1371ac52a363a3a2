// SPDX-License-Identifier: Apache-2.0
/** `mcp-bastion audit erase`: takes the payload of one row away. */
import { Unavailable, Usage } from '../../shared/errors.ts';
import { wireJson } from '../../shared/json/canonical.ts';
import { jsonObject } from '../../shared/json/value.ts';
import { eraseRow } from '../audit/erase.ts';
import type { AuditIo } from './audit.ts';
import { withLog } from './audit-log.ts';
import { parseCommand } from './audit-place.ts';
import { visible } from '../../shared/cli/visible.ts';

const USAGE = `usage: mcp-bastion audit erase --row N --policy FILE [LOG] [options]

Takes away what is stored beside one row: its payload and the salt of its commitment.
The row itself stays, and verifies; a new row says what was erased. Copies and backups
of the log are not reached.

  LOG            the log's directory; may be left out if there is only one
  --row N        the row's index in its epoch, as inspect-log shows it
  --epoch E      its epoch; default the last one
  --policy FILE  whose section audit says where log and key are (or --config FILE)
  --state DIR    the state folder; default MCP_BASTION_STATE or the platform's
  --json         print one JSON document

The gateway that writes the log has to be stopped. Exit status: 0 done; 2 usage; 3 could
not.

example: mcp-bastion audit erase --row 812 --policy policy.yaml
`;

const OPTIONS = {
  row: { type: 'string' },
  epoch: { type: 'string' },
  policy: { type: 'string' },
  config: { type: 'string' },
  state: { type: 'string' },
  json: { type: 'boolean' },
} as const;

function natural(text: string | undefined, name: string): number | null {
  if (text === undefined) return null;
  if (/^(0|[1-9][0-9]{0,14})$/.test(text)) return Number(text);
  throw new Usage('USAGE', `--${name} is not a number`, 'see: mcp-bastion audit erase --help');
}

/** @throws Usage, Unavailable */
export async function eraseCommand(args: readonly string[], io: AuditIo): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    io.stdout.write(USAGE);
    return 0;
  }
  const { values, positionals } = parseCommand(args, OPTIONS, 'audit erase');
  const row = natural(values.row, 'row');
  if (row === null) throw new Usage('USAGE', '--row is missing', 'see: mcp-bastion audit erase --help');
  const epoch = natural(values.epoch, 'epoch');
  return withLog({ values, positionals, command: 'audit erase' }, io, (log) => {
    if (log.audit.legalHold) throw new Unavailable('AUDIT_UNAVAILABLE', 'the log is under a legal hold', 'nothing of it may be erased while audit.legal_hold is true');
    const done = eraseRow({ ...log.amend, epoch, row });
    if (values.json === true) io.stdout.write(`${wireJson(jsonObject({ schema: 'mcp-bastion/audit-erase/1', dir: log.amend.dir, epoch: done.epoch, row: done.row }))}\n`);
    else io.stdout.write(`erased the payload of row ${done.row} of epoch ${done.epoch} in ${visible(log.amend.dir)}\n`);
    return 0;
  });
}
