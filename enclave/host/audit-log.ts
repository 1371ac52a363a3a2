// SPDX-License-Identifier: Apache-2.0
/** Opens one log for a command that changes it: finds it, takes its lock, gets its key. */
import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { Unavailable, Usage } from '../../shared/errors.ts';
import type { AmendOptions } from '../audit/amend.ts';
import { openKey, placeOf } from '../audit/custody.ts';
import { lastCustody } from '../audit/recover.ts';
import { takeDirectory } from '../audit/slots.ts';
import type { AuditSettings } from '../policy/types.ts';
import type { AuditIo } from './audit.ts';
import { policyPathOf, readAuditPlace } from './audit-place.ts';
import { defaultStateDir } from './state.ts';

export interface LogArguments {
  readonly values: { readonly policy?: string | undefined; readonly config?: string | undefined; readonly state?: string | undefined };
  readonly positionals: readonly string[];
  /** For messages. */
  readonly command: string;
}

export interface OpenedLog {
  readonly audit: AuditSettings;
  readonly amend: AmendOptions;
}

function chooseLog(named: readonly string[], dirs: readonly string[], io: AuditIo): string {
  const [given, more] = named;
  if (more !== undefined) throw new Usage('USAGE', 'more than one log', 'call it once for each');
  if (given !== undefined) {
    const dir = resolve(io.cwd, given);
    // A directory that the policy does not lead to would get a row of a key that is not its own.
    if (dirs.includes(dir)) return dir;
    throw new Unavailable('FILE_UNREADABLE', `${given} is no log of this policy and state folder`, 'see: mcp-bastion inspect-log');
  }
  const [only, other] = dirs;
  if (only === undefined) throw new Unavailable('FILE_UNREADABLE', 'there is no log', 'name its state folder with --state');
  if (other !== undefined) throw new Usage('USAGE', 'there is more than one log', `name its directory, such as ${only}`);
  return only;
}

/**
 * Runs `act` with the log's lock and key held.
 * @throws Usage; Unavailable AUDIT_LOCKED while a gateway writes it, AUDIT_KEY
 */
export async function withLog(args: LogArguments, io: AuditIo, act: (log: OpenedLog) => number): Promise<number> {
  const stateDir = args.values.state ?? defaultStateDir(io.env);
  const { audit, key: source, dirs } = readAuditPlace(policyPathOf(args.values, args.command), stateDir);
  const dir = chooseLog(args.positionals, dirs, io);
  const { lock } = takeDirectory(dir);
  try {
    const key = await openKey(placeOf(source), { stateDir, wasUsed: (custody) => lastCustody(dir) === custody });
    return act({ audit, amend: { dir, stateDir, key, session: randomBytes(8).toString('hex'), now: () => io.now(), boot: null } });
  } finally {
    lock.release();
  }
}
