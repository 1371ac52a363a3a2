// SPDX-License-Identifier: Apache-2.0
/** `mcp-bastion up`: reads the command line, the configuration and the policy, and runs the gateway. */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { Unavailable, Usage } from '../../shared/errors.ts';
import { CONFIG_BYTES_MAX } from '../../shared/limits.ts';
import { parseConfig } from '../config/document.ts';
import { configFromFlags } from '../config/flags.ts';
import type { BastionConfig } from '../config/types.ts';
import { runLocal } from '../local.ts';
import { createLog } from '../log.ts';
import { loadPolicy } from '../policy/compile.ts';
import { serve } from '../serve.ts';
import { checkServerName, serverName, serverNameOfUrl, splitCommand } from './argv.ts';
import { childEnvironment } from './environment.ts';
import { defaultStateDir } from './state.ts';

export const UP_USAGE = `usage: mcp-bastion up --config FILE [options]
       mcp-bastion up --policy FILE [options] -- COMMAND [ARG ...]
       mcp-bastion up --policy FILE [options] --upstream "COMMAND"
       mcp-bastion up --policy FILE [options] --upstream-url URL

Runs MCP servers behind the gateway. Without --listen it speaks stdio: put it in place
of the server's own command in your client's configuration. With --listen it serves
Streamable HTTP, and answers GET /healthz and /readyz.

  --config FILE      servers, listener and authentication (bastion.yaml); names the policy
  --policy FILE      what is allowed (see: mcp-bastion init)
  --upstream "CMD"   the server's command; quotes work, a shell does not
  --upstream-url URL a server over HTTP
  --transport http|sse
                     what that server speaks; sse is the transport of 2024-11-05
  --allow-private    the URL may lead to this machine or a private network
  --header NAME=env:VARIABLE
                     the gateway's own credential at that server; repeatable
  --listen HOST:PORT serve HTTP there, for example 127.0.0.1:8080
  --path PATH        where clients find it; default /mcp
  --tokens FILE      clients authenticate with one of these tokens (mcp-bastion token new)
  --allowed-host HOST, --allowed-origin ORIGIN
                     further names under which clients reach it; repeatable
  --name NAME        the server's id in policy and log; default from the command
  --env NAME[=VALUE] passes one environment variable to the server; repeatable.
                     The server gets PATH, HOME and the like, and nothing else.
  --state DIR        where logs are kept; default MCP_BASTION_STATE or the
                     platform's state folder
  --log text|json    form of the lines on standard error; default text

examples:
  mcp-bastion up --policy policy.yaml -- npx -y @modelcontextprotocol/server-filesystem .
  mcp-bastion up --policy policy.yaml --listen 127.0.0.1:8080 --upstream-url https://mcp.example.com/mcp
`;

function usage(problem: string, hint = 'see: mcp-bastion up --help'): Usage {
  return new Usage('USAGE', problem, hint);
}

function parseFlags(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: false,
      options: {
        config: { type: 'string' },
        policy: { type: 'string' },
        upstream: { type: 'string' },
        'upstream-url': { type: 'string' },
        transport: { type: 'string' },
        'allow-private': { type: 'boolean' },
        header: { type: 'string', multiple: true },
        listen: { type: 'string' },
        path: { type: 'string' },
        tokens: { type: 'string' },
        'allowed-host': { type: 'string', multiple: true },
        'allowed-origin': { type: 'string', multiple: true },
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

type Flags = ReturnType<typeof parseFlags>;

async function readBounded(path: string, bytesMax: number, what: string): Promise<Uint8Array> {
  try {
    const bytes = await readFile(path);
    if (bytes.length <= bytesMax) return bytes;
  } catch (error) {
    throw new Unavailable('FILE_UNREADABLE', `${what} cannot be read`, 'check the path and its permissions', error);
  }
  throw new Unavailable('FILE_UNREADABLE', `${what} is larger than ${bytesMax} bytes`, 'check the path');
}

/** What a file says, or what the flags say: never half of each. */
async function readConfig(values: Flags, rest: readonly string[]): Promise<BastionConfig> {
  if (values.config !== undefined) {
    const given = Object.keys(values).filter((flag) => !['config', 'state', 'log'].includes(flag));
    if (given.length > 0 || rest.length > 0) throw usage(`--config stands for itself: leave ${given[0] === undefined ? 'the command' : `--${given[0]}`} out`);
    return parseConfig(await readBounded(values.config, CONFIG_BYTES_MAX, 'the configuration'), values.config);
  }
  if (values.policy === undefined) throw usage('--policy is missing', 'write one with: mcp-bastion init -o policy.yaml');
  const url = values['upstream-url'];
  const ways = [values.upstream !== undefined, url !== undefined, rest.length > 0].filter(Boolean).length;
  if (ways > 1) throw usage('give the server once: with --upstream, --upstream-url or after --');
  if (ways === 0) throw usage('no server to run: give --upstream "COMMAND", --upstream-url URL or -- COMMAND');
  const argv = url !== undefined ? [] : values.upstream === undefined ? rest : splitCommand(values.upstream);
  const named = url === undefined ? serverName(argv) : serverNameOfUrl(url);
  return configFromFlags({
    listen: values.listen,
    path: values.path,
    upstreamUrl: url,
    transport: values.transport,
    allowPrivate: values['allow-private'] ?? false,
    argv,
    name: values.name === undefined ? named : checkServerName(values.name),
    env: url === undefined ? childEnvironment(process.env, values.env ?? []) : {},
    headers: values.header ?? [],
    policy: values.policy,
    allowedHosts: values['allowed-host'] ?? [],
    allowedOrigins: values['allowed-origin'] ?? [],
    tokensFile: values.tokens === undefined ? undefined : { path: values.tokens, bytes: await readBounded(values.tokens, CONFIG_BYTES_MAX, 'the token file') },
  });
}

/** Runs `up` and returns the exit code: the server's own if it ended by itself. */
export async function up(args: readonly string[]): Promise<number> {
  const dashes = args.indexOf('--');
  const values = parseFlags(dashes === -1 ? args : args.slice(0, dashes));
  const format = values.log ?? 'text';
  if (format !== 'text' && format !== 'json') throw usage('--log wants text or json');
  const config = await readConfig(values, dashes === -1 ? [] : args.slice(dashes + 1));
  const policy = await loadPolicy(config.policyPath);
  const log = createLog(format, config.servers.length > 1);
  for (const notice of policy.audit.notices) log.warn(null, notice, null);
  const unknown = policy.serversNamed.filter((id) => config.servers.every(({ name }) => name !== id));
  if (unknown.length > 0) log.warn(null, `the policy has sections for servers that are not configured: ${unknown.join(', ')}`, 'check their ids; a server on the command line is named with --name');
  const options = { config, policy, stateDir: values.state ?? defaultStateDir(process.env), log };
  try {
    return config.listen === null ? await runLocal(options) : await serve(options);
  } finally {
    await log.flush();
  }
}
