// SPDX-License-Identifier: Apache-2.0
/** The command line of `mcp-bastion pins`. */
import { parseArgs } from 'node:util';
import { Usage } from '../../shared/errors.ts';
import type { PinKind } from '../pins/item.ts';
import { isPinKind, PIN_KINDS } from '../pins/item.ts';
import { defaultStateDir } from './state.ts';

export const PINS_USAGE: string = `usage: mcp-bastion pins list [options]
       mcp-bastion pins diff [NAME ...] [options]
       mcp-bastion pins accept NAME ... | --digest SHA256 | --all [options]
       mcp-bastion pins reject NAME ... | --digest SHA256 [options]

Shows what MCP servers say of themselves (tools, prompts, resource templates, ui://
resources, instructions), what of it changed since it was pinned or is new, and lets a
person accept or reject it. A running gateway follows at once.

  list            all pins of the lockfile, and what waits for a decision
  diff            what waits for a decision, compared with what is pinned
  accept          pin what waits
  reject          keep what waits blocked, without further alerts

  NAME            as the server calls it, or its label, such as tool#1a2b3c4d
  --digest SHA256 only what has this digest: its first digits, at least 8. Where a server
                  changes its mind between diff and accept, nothing is accepted.
  --server S      of this server only
  --kind KIND     ${PIN_KINDS.join(', ')}
  --all           everything that waits, less what was rejected
  --lockfile FILE default: the one that --policy names, else bastion.lock.yaml here
  --policy FILE   the policy of the gateway
  --state DIR     the state folder of the gateway; default MCP_BASTION_STATE or the
                  platform's
  --json          print one JSON document

Exit status: 0 done, or nothing waits; 1 something waits (diff), or it is not what was
named; 2 usage; 3 could not.

example: mcp-bastion pins diff --policy policy.yaml
`;

export interface PinsOptions {
  readonly command: 'list' | 'diff' | 'accept' | 'reject';
  readonly names: readonly string[];
  /** The beginning of a digest; null where none is given. */
  readonly digest: string | null;
  readonly server: string | null;
  readonly kind: PinKind | null;
  readonly all: boolean;
  readonly lockfile: string | null;
  readonly policy: string | null;
  readonly stateDir: string;
  readonly json: boolean;
}

const SEE = 'see: mcp-bastion pins --help';

function parseFlags(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        digest: { type: 'string' },
        server: { type: 'string' },
        kind: { type: 'string' },
        all: { type: 'boolean' },
        lockfile: { type: 'string' },
        policy: { type: 'string' },
        state: { type: 'string' },
        json: { type: 'boolean' },
      },
    });
  } catch (error) {
    throw new Usage('USAGE', error instanceof Error ? (error.message.split('. ')[0] ?? 'bad options') : 'bad options', SEE);
  }
}

function commandOf(word: string | undefined): PinsOptions['command'] {
  if (word === 'list' || word === 'diff' || word === 'accept' || word === 'reject') return word;
  throw new Usage('USAGE', word === undefined ? 'a command is missing' : 'there is no such pins command', SEE);
}

/** @throws Usage */
export function parsePinsOptions(args: readonly string[], env: NodeJS.ProcessEnv): PinsOptions {
  const { values, positionals } = parseFlags(args);
  const [word, ...names] = positionals;
  const command = commandOf(word);
  const { digest = null, kind = null, all = false } = values;
  if (digest !== null && !/^[0-9a-f]{8,64}$/.test(digest)) throw new Usage('USAGE', '--digest is no beginning of a digest', 'give at least 8 of its digits, in lower case');
  if (kind !== null && !isPinKind(kind)) throw new Usage('USAGE', '--kind is not known', `use one of ${PIN_KINDS.join(', ')}`);
  if (command === 'list' && names.length > 0) throw new Usage('USAGE', 'list takes no names', SEE);
  if (all && command !== 'accept') throw new Usage('USAGE', `--all does not belong to ${command}`, SEE);
  if (all && (names.length > 0 || digest !== null)) throw new Usage('USAGE', '--all and something by name', 'use one of the two');
  const decides = command === 'accept' || command === 'reject';
  if (decides && !all && names.length === 0 && digest === null) throw new Usage('USAGE', `nothing is named to ${command}`, 'name it as mcp-bastion pins diff shows it');
  if (names.length > 1 && digest !== null) throw new Usage('USAGE', '--digest and more than one name', 'decide on them one by one');
  return {
    command,
    names,
    digest,
    server: values.server ?? null,
    kind,
    all,
    lockfile: values.lockfile ?? null,
    policy: values.policy ?? null,
    stateDir: values.state ?? defaultStateDir(env),
    json: values.json === true,
  };
}
