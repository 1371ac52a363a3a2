// SPDX-License-Identifier: Apache-2.0
/** The configuration that the flags of `up` stand for: one server, without a file. */
import { resolve } from 'node:path';
import { sha256Hex } from '../../shared/digest.ts';
import type { UsageCode } from '../../shared/errors.ts';
import { Usage } from '../../shared/errors.ts';
import { canonicalJson } from '../../shared/json/canonical.ts';
import { jsonObject } from '../../shared/json/value.ts';
import type { Checked } from '../document/problem.ts';
import { endpointPath, hostValue, httpUrl, originValue } from './address.ts';
import { parseTokens } from './document.ts';
import { isWildcard, parseListen } from './listen.ts';
import { headerName, serverId } from './names.ts';
import { holdsCredential, readHeader } from './secret.ts';
import type { AuthConfig, BastionConfig, ListenAddress, Secret, ServerConfig } from './types.ts';
import { DEFAULT_LIMITS, DEFAULT_PATH } from './types.ts';

/** Flags as they were given; what a flag names is checked here. */
export interface UpFlags {
  readonly listen?: string | undefined;
  readonly path?: string | undefined;
  readonly upstreamUrl?: string | undefined;
  readonly transport?: string | undefined;
  /** Without effect on a server that is started by its command. */
  readonly allowPrivate: boolean;
  /** Empty with `upstreamUrl`. */
  readonly argv: readonly string[];
  readonly name: string;
  /** The whole environment of a server that is started by its command. */
  readonly env: Readonly<Record<string, string>>;
  /** `NAME=env:VARIABLE`, `NAME=file:PATH` or `NAME=text`. */
  readonly headers: readonly string[];
  readonly policy: string;
  readonly allowedHosts: readonly string[];
  readonly allowedOrigins: readonly string[];
  /** The token file and its name. */
  readonly tokensFile?: { readonly path: string; readonly bytes: Uint8Array } | undefined;
}

/**
 * @throws Usage (USAGE) for the first flag that is wrong, (SECRET_IN_CONFIG) for a credential on the command line,
 * (CONFIG_INVALID) for a wrong token file
 */
export function configFromFlags(flags: UpFlags): BastionConfig {
  refuseDead(flags);
  const listen = flags.listen === undefined ? null : read('--listen', parseListen(flags.listen));
  const allowedHosts = flags.allowedHosts.map((host) => read('--allowed-host', hostValue(host)));
  if (listen !== null && isWildcard(listen.host) && allowedHosts.length === 0) {
    const hint = 'list the names with --allowed-host';
    throw new Usage('USAGE', '--listen: a listener on every interface does not know the name by which clients reach it', hint);
  }
  const config: Omit<BastionConfig, 'digest'> = {
    version: 1,
    policyPath: flags.policy,
    listen,
    path: flags.path === undefined ? DEFAULT_PATH : read('--path', endpointPath(flags.path)),
    publicUrl: null,
    allowedHosts,
    allowedOrigins: flags.allowedOrigins.map((origin) => read('--allowed-origin', originValue(origin))),
    auth: authOf(flags),
    servers: [serverOf(flags)],
    limits: DEFAULT_LIMITS,
    minRevision: null,
    legacySse: true,
  };
  return { ...config, digest: digestOf(config) };
}

/** The value of a flag. Problems name the flag, never its value: it could be a secret. */
function read<T>(flag: string, checked: Checked<T>): T {
  if (checked.ok) return checked.value;
  const code: UsageCode = checked.code ?? 'USAGE';
  throw new Usage(code, `${flag}: ${checked.problem}`, checked.hint);
}

function refuseDead(flags: UpFlags): void {
  const dead = (given: boolean, flag: string, without: string): void => {
    if (given) throw new Usage('USAGE', `${flag} has no effect without ${without}`, `add ${without}, or remove ${flag}`);
  };
  if (flags.listen === undefined) {
    dead(flags.path !== undefined, '--path', '--listen');
    dead(flags.allowedHosts.length > 0, '--allowed-host', '--listen');
    dead(flags.allowedOrigins.length > 0, '--allowed-origin', '--listen');
    dead(flags.tokensFile !== undefined, '--tokens-file', '--listen');
  }
  if (flags.upstreamUrl === undefined) {
    dead(flags.transport !== undefined, '--transport', '--upstream-url');
    dead(flags.headers.length > 0, '--header', '--upstream-url');
  }
}

function authOf({ tokensFile }: UpFlags): AuthConfig {
  return tokensFile === undefined ? { kind: 'none' } : { kind: 'bearer', tokens: parseTokens(tokensFile.bytes, tokensFile.path) };
}

function serverOf(flags: UpFlags): ServerConfig {
  const name = read('--name', serverId(flags.name));
  const { upstreamUrl, argv } = flags;
  if (upstreamUrl === undefined) {
    if (argv.length === 0) throw new Usage('USAGE', 'no server to run: give --upstream "COMMAND", -- COMMAND or --upstream-url URL', 'see: mcp-bastion up --help');
    const env = Object.entries(flags.env).map(([variable, value]): [string, Secret] => [variable, { kind: 'literal', value }]);
    return { name, kind: 'stdio', argv, env: new Map(env), cwd: null };
  }
  if (argv.length > 0) throw new Usage('USAGE', 'give the server once: by its command or with --upstream-url', 'see: mcp-bastion up --help');
  read('--upstream-url', httpUrl(upstreamUrl));
  const transport = flags.transport ?? 'http';
  if (transport !== 'http' && transport !== 'sse') throw new Usage('USAGE', '--transport wants http or sse', 'leave it out for Streamable HTTP');
  return { name, kind: 'http', url: upstreamUrl, transport, allowPrivate: flags.allowPrivate, headers: headersOf(flags.headers) };
}

function headersOf(requests: readonly string[]): ReadonlyMap<string, Secret> {
  const headers = new Map<string, Secret>();
  for (const request of requests) {
    const at = request.indexOf('=');
    if (at === -1) throw new Usage('USAGE', '--header wants NAME=VALUE', "for example: --header 'Authorization=env:GITHUB_TOKEN'");
    const name = read('--header', headerName(request.slice(0, at)));
    if (headers.has(name)) throw new Usage('USAGE', '--header: this header is given twice', 'keep one of them');
    const secret = read('--header', readHeader(name, request.slice(at + 1)));
    headers.set(name, secret.kind === 'file' ? { kind: 'file', path: resolve(secret.path) } : secret);
  }
  return headers;
}

/** Over everything but values of the environment and credentials on the command line: they could be guessed from it. */
function digestOf(config: Omit<BastionConfig, 'digest'>): string {
  const { listen, auth } = config;
  const description = jsonObject({
    flags: 1,
    policy: config.policyPath,
    listen: listen === null ? null : listenText(listen),
    path: config.path,
    allowed_hosts: [...config.allowedHosts],
    allowed_origins: [...config.allowedOrigins],
    tokens: auth.kind === 'bearer' ? auth.tokens.map((token) => jsonObject({ ...token, scopes: [...token.scopes] })) : null,
    servers: config.servers.map((server) =>
      server.kind === 'stdio'
        ? jsonObject({ name: server.name, command: server.argv.map((word) => (holdsCredential(word) ? '[REDACTED]' : word)), env: [...server.env.keys()].sort() })
        : jsonObject({
            name: server.name,
            url: server.url,
            transport: server.transport,
            allow_private: server.allowPrivate,
            headers: [...server.headers].map(([name, secret]) => jsonObject({ name, ...secret })),
          }),
    ),
  });
  return sha256Hex(canonicalJson(description));
}

function listenText({ host, port }: ListenAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
