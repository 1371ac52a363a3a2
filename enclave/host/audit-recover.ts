// SPDX-License-Identifier: Apache-2.0
/** `mcp-bastion audit recover`: lets a log go on that lost rows. */
import { Usage } from '../../shared/errors.ts';
import { wireJson } from '../../shared/json/canonical.ts';
import { jsonObject } from '../../shared/json/value.ts';
import { acceptLoss } from '../audit/accept-loss.ts';
import type { AuditIo } from './audit.ts';
import { withLog } from './audit-log.ts';
import { parseCommand } from './audit-place.ts';
import { visible } from '../../shared/cli/visible.ts';

const USAGE = `usage: mcp-bastion audit recover --accept-loss --policy FILE [LOG] [options]

Lets a log go on whose anchor file covers rows that the database no longer holds, as
after a database was restored from an old backup. First try to find the newer database.
What is left is not changed; a new epoch begins, and a row of it names the lost rows. A
log that is damaged in another way is not mended: move its directory away.

  LOG            the log's directory; may be left out if there is only one
  --accept-loss  you know that rows are lost, and go on without them
  --policy FILE  whose section audit says where log and key are (or --config FILE)
  --state DIR    the state folder; default MCP_BASTION_STATE or the platform's
  --json         print one JSON document

Exit status: 0 done, or nothing is lost; 2 usage; 3 could not.
`;

const OPTIONS = {
  'accept-loss': { type: 'boolean' },
  policy: { type: 'string' },
  config: { type: 'string' },
  state: { type: 'string' },
  json: { type: 'boolean' },
} as const;

/** @throws Usage, Unavailable */
export async function recoverCommand(args: readonly string[], io: AuditIo): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    io.stdout.write(USAGE);
    return 0;
  }
  const { values, positionals } = parseCommand(args, OPTIONS, 'audit recover');
  if (values['accept-loss'] !== true) throw new Usage('USAGE', '--accept-loss is missing', 'a log that lost rows goes on only after a person accepted that; see: mcp-bastion audit recover --help');
  return withLog({ values, positionals, command: 'audit recover' }, io, ({ amend }) => {
    const loss = acceptLoss(amend);
    if (values.json === true) {
      const lost = loss === null ? null : jsonObject({ epoch: loss.epoch, from: loss.from, to: loss.to, root: loss.root });
      io.stdout.write(`${wireJson(jsonObject({ schema: 'mcp-bastion/audit-recover/1', dir: amend.dir, lost }))}\n`);
    } else if (loss === null) {
      io.stdout.write(`nothing is lost in ${visible(amend.dir)}\n`);
    } else {
      io.stdout.write(`rows ${loss.from} to ${loss.to - 1} of epoch ${loss.epoch} are lost in ${visible(amend.dir)}; the log goes on with epoch ${loss.epoch + 1}\n`);
    }
    return 0;
  });
}
