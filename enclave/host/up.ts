// SPDX-License-Identifier: Apache-2.0
/** `mcp-bastion up`: reads the command line and the policy, and runs the gateway. */
import { parseArgs } from 'node:util';
import { Usage } from '../../shared/errors.ts';
import { runLocal } from '../local.ts';
import { createLog } from '../log.ts';
import { loadPolicy } from '../policy/compile.ts';
import { checkServerName, serverName, splitCommand } from './argv.ts';
import { childEnvironment } from './environment.ts';
import { defaultStateDir } from './state.ts';

export const UP_USAGE = `usage: mcp-bastion up --policy FILE [options] --upstream "COMMAND"
       mcp-bastion up --policy FILE [options] -- COMMAND [ARG ...]

Runs an MCP server over stdio behind the gateway. Put this in place of the server's
own command in your client's configuration.

  --policy FILE      what is allowed (see: mcp-bastion init)
  --upstream "CMD"   the server's command; quotes work, a shell does not
  --name NAME        the server's id in policy and log; default from the command
  --env NAME[=VALUE] passes one environment variable to the server; repeatable.
                     The server gets PATH, HOME and the like, and nothing else.
  --state DIR        where logs are kept; default MCP_BASTION_STATE or the
                     platform's state folder
  --log text|json    form of the lines on standard error; default text

example: mcp-bastion up --policy policy.yaml -- npx -y @modelcontextprotocol/server-filesystem .
`;

interface UpOptions {
  readonly policy: string;
  readonly argv: readonly string[];
  readonly name: string | undefined;
  readonly env: readonly string[];
  readonly state: string | undefined;
  readonly log: 'text' | 'json';
}

function usage(problem: string, hint = 'see: mcp-bastion up --help'): Usage {
  return new Usage('USAGE', problem, hint);
}

function parseFlags(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: false,
      options: {
        policy: { type: 'string' },
        upstream: { type: 'string' },
        name: { type: 'string' },
        env: { type: 'string', multiple: true },
        state: { type: 'string' },
        log: { type: 'string' },
      },
    }).values;
  } catch (error) {
    throw usage(error instanceof Error ? (error.message.split('. ')[0] ?? 'bad options') : 'bad options');
  }
}

function parseUp(args: readonly string[]): UpOptions {
  const dashes = args.indexOf('--');
  const values = parseFlags(dashes === -1 ? args : args.slice(0, dashes));
  const rest = dashes === -1 ? [] : args.slice(dashes + 1);
  if (values.policy === undefined) throw usage('--policy is missing', 'write one with: mcp-bastion init -o policy.yaml');
  if (values.upstream !== undefined && rest.length > 0) throw usage('give the server once: with --upstream or after --');
  if (values.upstream === undefined && rest.length === 0) throw usage('no server to run: give --upstream "COMMAND" or -- COMMAND');
  const log = values.log ?? 'text';
  if (log !== 'text' && log !== 'json') throw usage('--log wants text or json');
  return {
    policy: values.policy,
    argv: values.upstream === undefined ? rest : splitCommand(values.upstream),
    name: values.name,
    env: values.env ?? [],
    state: values.state,
    log,
  };
}

/** Runs `up` and returns the exit code: the server's own if it ended by itself. */
export async function up(args: readonly string[]): Promise<number> {
  const options = parseUp(args);
  const name = options.name === undefined ? serverName(options.argv) : checkServerName(options.name);
  const childEnv = childEnvironment(process.env, options.env);
  const policy = await loadPolicy(options.policy);
  const log = createLog(options.log);
  for (const notice of policy.audit.notices) log.warn(null, notice, null);
  try {
    return await runLocal({
      policy,
      policyPath: options.policy,
      stateDir: options.state ?? defaultStateDir(process.env),
      server: name,
      argv: options.argv,
      childEnv,
      log,
    });
  } finally {
    await log.flush();
  }
}
