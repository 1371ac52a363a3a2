// SPDX-License-Identifier: Apache-2.0
/** `mcp-bastion audit reader`: makes the keys of somebody who may read sealed payloads. */
import { resolve } from 'node:path';
import { Usage } from '../../shared/errors.ts';
import { utf8 } from '../../shared/bytes.ts';
import { createIdentity, identityText } from '../audit/reader-key.ts';
import type { AuditIo } from './audit.ts';
import { parseCommand } from './audit-place.ts';
import { writeNewFile } from './private-file.ts';
import { visible } from '../../shared/cli/visible.ts';

const USAGE = `usage: mcp-bastion audit reader new -o FILE

Makes the keys of somebody who may read the payloads of the audit log: X25519 and
ML-KEM-768. FILE gets the private halves; the line on standard output is the public
one, for audit.readers of the policy. From then on payloads are stored for these
readers only, and the gateway itself cannot read them back.

  -o, --output FILE   where to write the identity; never overwritten

Make it on the reader's machine, and keep FILE there: who has it reads everything that
was sealed for it. Without it, what was sealed is lost.

Exit status: 0 done; 2 usage; 3 could not.
`;

/** @throws Usage; Unavailable FILE_EXISTS, FILE_UNREADABLE */
export async function readerCommand(args: readonly string[], io: AuditIo): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    io.stdout.write(USAGE);
    return 0;
  }
  const { values, positionals } = parseCommand(args, { output: { type: 'string', short: 'o' } }, 'audit reader');
  const see = 'see: mcp-bastion audit reader --help';
  if (positionals.length !== 1 || positionals[0] !== 'new') throw new Usage('USAGE', 'there is no such reader command', see);
  if (values.output === undefined) throw new Usage('USAGE', '--output is missing', see);
  const identity = createIdentity();
  writeNewFile(resolve(io.cwd, values.output), utf8(identityText(identity)));
  io.stdout.write(`${identity.reader.text}\n`);
  io.stderr.write(`wrote ${visible(values.output)}\nnext: put the line above into the policy, below audit.readers\n`);
  return 0;
}
