// SPDX-License-Identifier: Apache-2.0
/** The command line of `mcp-bastion approvals`. */
import { parseArgs } from 'node:util';
import { Usage } from '../../shared/errors.ts';
import { defaultStateDir } from './state.ts';

export const APPROVALS_USAGE = `usage: mcp-bastion approvals list [--all] [options]
       mcp-bastion approvals show ID [options]
       mcp-bastion approvals approve ID --key FILE [options]
       mcp-bastion approvals deny ID --key FILE [--reason TEXT] [options]
       mcp-bastion approvals watch [options]

Shows the calls that wait for approval at the gateways on this machine, and decides on
them. approve and deny print the whole ticket, ask for the passphrase of the key in the
terminal, and sign what they printed.

  ID                  the ticket, or its first digits: 6 at least
  --key FILE          your key (mcp-bastion approver new)
  --reason TEXT       why, for the client: one line; it is signed too
  --all               also what was decided lately
  --passphrase-fd N   read the passphrase from this open file descriptor instead of
                      the terminal: its first line
  --state DIR         the state folder of the gateways; default MCP_BASTION_STATE or the
                      platform's
  --socket PATH       ask the gateway at this socket only
  --json              print one JSON document; for watch, one a line

Exit status: 0 done; 1 the ticket is not there or cannot be decided so; 2 usage; 3 could
not: no gateway, no key, or a passphrase that does not open it.

example: mcp-bastion approvals approve 1a2b3c --key alice.approver.json
`;

export interface ApprovalOptions {
  readonly command: 'list' | 'show' | 'approve' | 'deny' | 'watch';
  /** The beginning of an id; empty where the command takes none. */
  readonly id: string;
  readonly keyFile: string | undefined;
  readonly reason: string;
  readonly all: boolean;
  readonly json: boolean;
  readonly stateDir: string;
  readonly socket: string | undefined;
  readonly passphraseFd: string | undefined;
}

const SEE = 'see: mcp-bastion approvals --help';
/** Which options belong to which command; those of all commands aside. */
const OWN: Readonly<Record<ApprovalOptions['command'], readonly string[]>> = {
  list: ['all'],
  show: [],
  approve: ['key', 'passphrase-fd'],
  deny: ['key', 'passphrase-fd', 'reason'],
  watch: [],
};
const COMMON: readonly string[] = ['json', 'state', 'socket'];

function parseFlags(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        key: { type: 'string' },
        reason: { type: 'string' },
        all: { type: 'boolean' },
        json: { type: 'boolean' },
        state: { type: 'string' },
        socket: { type: 'string' },
        'passphrase-fd': { type: 'string' },
      },
    });
  } catch (error) {
    throw new Usage('USAGE', error instanceof Error ? (error.message.split('. ')[0] ?? 'bad options') : 'bad options', SEE);
  }
}

function commandOf(word: string | undefined): ApprovalOptions['command'] {
  switch (word) {
    case 'list':
    case 'show':
    case 'approve':
    case 'deny':
    case 'watch':
      return word;
    case undefined:
    default:
      throw new Usage('USAGE', word === undefined ? 'an approvals command is missing' : 'there is no such approvals command', SEE);
  }
}

/** @throws Usage for wrong arguments */
export function parseApprovals(args: readonly string[], env: NodeJS.ProcessEnv): ApprovalOptions {
  const { values, positionals } = parseFlags(args);
  const [word, id = '', ...more] = positionals;
  const command = commandOf(word);
  const foreign = Object.keys(values).find((name) => !COMMON.includes(name) && !OWN[command].includes(name));
  if (foreign !== undefined) throw new Usage('USAGE', `--${foreign} does not belong to ${command}`, SEE);
  const takesId = command !== 'list' && command !== 'watch';
  if (more.length > 0 || (id !== '' && !takesId)) throw new Usage('USAGE', 'there is a word too many', SEE);
  if (takesId && !/^[0-9a-f]{6,64}$/.test(id)) throw new Usage('USAGE', id === '' ? 'the ticket is missing' : 'this is no ticket id', 'give its first digits, at least 6 of 0-9 and a-f');
  return {
    command,
    id,
    keyFile: values.key,
    reason: values.reason ?? '',
    all: values.all === true,
    json: values.json === true,
    stateDir: values.state ?? defaultStateDir(env),
    socket: values.socket,
    passphraseFd: values['passphrase-fd'],
  };
}
