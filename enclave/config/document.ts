// SPDX-License-Identifier: Apache-2.0
/**
 * Reads `bastion.yaml`, version 1: the servers behind the gateway, where it listens and who may use it. All problems are
 * reported at once, each with line, column and hint.
 */
import { dirname, resolve } from 'node:path';
import * as z from 'zod';
import { sha256Hex } from '../../shared/digest.ts';
import {
  CONFIG_BYTES_MAX,
  CONFIG_LIST_MAX,
  CONFIG_TEXT_LENGTH_MAX,
  CONNECTIONS_MAX,
  IDLE_MS_MAX,
  SESSIONS_MAX,
  STREAMS_MAX,
} from '../../shared/limits.ts';
import { REVISIONS } from '../../shared/mcp/revisions.ts';
import { explain, readable, report } from '../document/explain.ts';
import type { Checked } from '../document/problem.ts';
import { problemsError } from '../document/problem.ts';
import { memberOf } from '../document/raw.ts';
import type { DocumentKind } from '../document/wording.ts';
import type { Yaml } from '../document/yaml.ts';
import { readYaml } from '../document/yaml.ts';
import { endpointPath, hostValue, httpUrl, issuerUrl, keyUrl, originValue, publicUrl } from './address.ts';
import type { Misfit } from './checks.ts';
import { misfits, tokenMisfits } from './checks.ts';
import { parseListen } from './listen.ts';
import { headerName, MAKE_TOKEN, scope, serverId, tokenHash, tokenName, variableName } from './names.ts';
import { holdsCredential, readHeader, readVariable } from './secret.ts';
import type { AuthConfig, BastionConfig, Secret, ServerConfig, TokenConfig } from './types.ts';
import { DEFAULT_LIMITS, DEFAULT_PATH } from './types.ts';

/**
 * Parses and checks a configuration. `file` names it in messages; paths in it are relative to its folder.
 *
 * @throws Usage (CONFIG_INVALID, SECRET_IN_CONFIG) with all problems
 */
export function parseConfig(bytes: Uint8Array, file: string): BastionConfig {
  const { data, yaml } = parseAs(schema, misfits, bytes, file, CONFIG);
  return finish(data, { yaml, file, digest: sha256Hex(bytes) });
}

interface Parsed<T> {
  readonly data: T;
  readonly yaml: Yaml;
}

/** The form of a document by its schema, and the rules between its keys: what is wrong with either is reported at once. */
function parseAs<T>(form: z.ZodType<T>, rules: (raw: unknown) => readonly Misfit[], bytes: Uint8Array, file: string, kind: DocumentKind): Parsed<T> {
  const yaml = readYaml(bytes, file, kind);
  const problems = [...yaml.problems];
  const parsed = form.safeParse(yaml.value, { reportInput: true });
  if (!parsed.success) {
    for (const issue of parsed.error.issues) problems.push(...explain(issue, yaml, kind));
  }
  for (const { path, ...explained } of rules(yaml.value)) problems.push({ ...yaml.keyAt(path), ...explained });
  if (!parsed.success || problems.length > 0) throw problemsError(file, problems, kind.code);
  return { data: parsed.data, yaml };
}

const text = z.string().min(1, { abort: true }).max(CONFIG_TEXT_LENGTH_MAX).superRefine(noZero);

/** No system call takes one: what follows it would be cut off without a word. */
function noZero(value: string, ctx: z.RefinementCtx): void {
  if (value.includes('\0')) report(ctx, { problem: 'the text holds a zero character', hint: 'remove it' });
}

/** A list of texts that are read each by itself; what they are read as must not repeat. */
function list(read: (entry: string) => Checked<string>) {
  return z
    .array(z.string().max(CONFIG_TEXT_LENGTH_MAX).superRefine(readable(read)))
    .max(CONFIG_LIST_MAX)
    .superRefine((entries, ctx) => {
      const seen = new Set<string>();
      for (const [index, entry] of entries.entries()) {
        const checked = read(entry);
        if (!checked.ok) continue;
        if (seen.has(checked.value)) report(ctx, { problem: 'this entry stands here twice', hint: 'keep one of them' }, [index]);
        seen.add(checked.value);
      }
    });
}

/** A section of names and values that may refer to secrets. */
function secrets(readName: (name: string) => Checked<unknown>, read: (name: string, value: string) => Checked<Secret>) {
  return z.record(z.string(), z.string().max(CONFIG_TEXT_LENGTH_MAX)).superRefine((entries, ctx) => {
    const named = Object.entries(entries);
    if (named.length > CONFIG_LIST_MAX) report(ctx, { problem: `more than ${CONFIG_LIST_MAX} entries`, hint: 'make it smaller' });
    for (const [name, value] of named.slice(0, CONFIG_LIST_MAX)) {
      const known = readName(name);
      if (!known.ok) report(ctx, known, [name], 'key');
      const secret = read(name, value);
      if (!secret.ok) report(ctx, secret, [name]);
    }
  });
}

/** Whatever stands on a command line is shown to every user of the machine. */
function checkCommand(argv: readonly string[], ctx: z.RefinementCtx): void {
  if (argv[0] === '') report(ctx, { problem: 'the program is empty', hint: 'the first entry is the program, for example: npx' }, [0]);
  for (const [index, word] of argv.entries()) {
    if (!holdsCredential(word)) continue;
    const hint = "hand it over in env instead: env: {NAME: 'env:NAME'}";
    report(ctx, { problem: 'this looks like a credential', hint, code: 'SECRET_IN_CONFIG' }, [index]);
  }
}

const server = z.strictObject({
  command: z.array(z.string().max(CONFIG_TEXT_LENGTH_MAX).superRefine(noZero)).min(1).max(CONFIG_LIST_MAX).superRefine(checkCommand).optional(),
  env: secrets(variableName, readVariable).optional(),
  cwd: text.optional(),
  url: text.superRefine(readable(httpUrl)).optional(),
  transport: z.enum(['http', 'sse']).optional(),
  allow_private: z.boolean().optional(),
  headers: secrets(headerName, (name, value) => readHeader(name.toLowerCase(), value)).optional(),
});

const token = z.strictObject({
  name: z.string().superRefine(readable(tokenName)),
  sha256: z.string().superRefine(readable(tokenHash)),
  scopes: list(scope).default([]),
});

const tokens = z.array(token).min(1).max(CONFIG_LIST_MAX);

const schema = z.strictObject({
  version: z.literal(1),
  policy: text,
  // A port alone is a number in YAML, and deserves the same answer as one in quotes.
  listen: z.preprocess((value) => (typeof value === 'number' ? String(value) : value), z.string().superRefine(readable(parseListen)).optional()),
  path: z.string().max(CONFIG_TEXT_LENGTH_MAX).superRefine(readable(endpointPath)).default(DEFAULT_PATH),
  public_url: text.superRefine(readable(publicUrl)).optional(),
  allowed_hosts: list(hostValue).default([]),
  allowed_origins: list(originValue).default([]),
  auth: z
    .strictObject({
      kind: z.enum(['none', 'bearer', 'oauth']),
      tokens: tokens.optional(),
      issuer: text.superRefine(readable(issuerUrl)).optional(),
      jwks_url: text.superRefine(readable(keyUrl)).optional(),
      audience: text.superRefine(readable(httpUrl)).optional(),
      scopes: list(scope).default([]),
    })
    .optional(),
  servers: z.record(z.string().superRefine(readable(serverId)), server).superRefine((servers, ctx) => {
    if (Object.keys(servers).length === 0) report(ctx, { problem: 'there is no server', hint: 'name at least one' });
  }),
  limits: z
    .strictObject({
      sessions: z.int().min(1).max(SESSIONS_MAX).default(DEFAULT_LIMITS.sessions),
      streams: z.int().min(1).max(STREAMS_MAX).default(DEFAULT_LIMITS.streams),
      connections: z.int().min(1).max(CONNECTIONS_MAX).default(DEFAULT_LIMITS.connections),
      idle_ms: z.int().min(1000).max(IDLE_MS_MAX).default(DEFAULT_LIMITS.idleMs),
    })
    .optional(),
  min_protocol_version: z.enum(REVISIONS).optional(),
  legacy_sse: z.boolean().default(true),
});

/** Every key that a configuration can hold, by the place of its section; a pin test freezes them. */
export const CONFIG_KEYS: ReadonlyMap<string, readonly string[]> = new Map([
  ['', Object.keys(schema.shape)],
  ['auth', Object.keys(schema.shape.auth.unwrap().shape)],
  ['auth.tokens', Object.keys(token.shape)],
  ['servers.*', Object.keys(server.shape)],
  ['limits', Object.keys(schema.shape.limits.unwrap().shape)],
]);

const CONFIG: DocumentKind = {
  noun: 'the configuration',
  code: 'CONFIG_INVALID',
  bytesMax: CONFIG_BYTES_MAX,
  keys: CONFIG_KEYS,
  hints: {
    tooLarge: 'run a second gateway for some of the servers',
    tooDeep: 'a configuration needs four levels',
    star: 'put it in quotes',
    manual: 'see: mcp-bastion up --help',
    missing: new Map([
      ['version', "begin the configuration with 'version: 1'"],
      ['policy', "name the file that says what is allowed: 'policy: policy.yaml'"],
      ['servers', "name at least one server: 'servers: {files: {command: [PROGRAM, ARGUMENT]}}'"],
      ['auth.kind', 'write none, bearer or oauth'],
      ['auth.tokens.sha256', MAKE_TOKEN],
    ]),
  },
};

type Read = z.infer<typeof schema>;

interface Source {
  readonly yaml: Yaml;
  readonly file: string;
  readonly digest: string;
}

function finish(read: Read, source: Source): BastionConfig {
  const folder = dirname(source.file);
  const limits = read.limits;
  const base = read.public_url === undefined ? null : value(publicUrl(read.public_url));
  return {
    version: 1,
    policyPath: resolve(folder, read.policy),
    listen: read.listen === undefined ? null : value(parseListen(read.listen)),
    path: read.path,
    publicUrl: base,
    allowedHosts: read.allowed_hosts.map((host) => host.toLowerCase()),
    allowedOrigins: read.allowed_origins.map((origin) => origin.toLowerCase()),
    auth: authOf(read.auth, base === null ? '' : `${base}${read.path}`),
    servers: inFileOrder(read.servers, source.yaml).map(([name, one]) => serverOf(name, one, folder)),
    limits: limits === undefined ? DEFAULT_LIMITS : { sessions: limits.sessions, streams: limits.streams, connections: limits.connections, idleMs: limits.idle_ms },
    minRevision: read.min_protocol_version ?? null,
    legacySse: read.legacy_sse,
    digest: source.digest,
  };
}

/** What the schema has accepted already. */
function value<T>(checked: Checked<T>): T {
  if (!checked.ok) throw new RangeError('the document holds a value that was not checked');
  return checked.value;
}

/** Objects list keys that look like numbers first. */
function inFileOrder<T>(servers: Readonly<Record<string, T>>, yaml: Yaml): [string, T][] {
  const place = ([name]: readonly [string, T]): number => {
    const { line, column } = yaml.keyAt(['servers', name]);
    return line * (CONFIG_BYTES_MAX + 1) + column;
  };
  return Object.entries(servers).sort((left, right) => place(left) - place(right));
}

function authOf(read: Read['auth'], resource: string): AuthConfig {
  switch (read?.kind) {
    case undefined:
    case 'none':
      return { kind: 'none' };
    case 'bearer':
      return { kind: 'bearer', tokens: (read.tokens ?? []).map(tokenOf) };
    case 'oauth':
      return { kind: 'oauth', issuer: read.issuer ?? '', jwksUrl: read.jwks_url ?? null, audience: read.audience ?? resource, scopes: read.scopes };
  }
}

function tokenOf(read: z.infer<typeof token>): TokenConfig {
  return { name: read.name, sha256: read.sha256.toLowerCase(), scopes: read.scopes };
}

function serverOf(name: string, read: z.infer<typeof server>, folder: string): ServerConfig {
  const secret = (checked: Checked<Secret>): Secret => {
    const found = value(checked);
    return found.kind === 'file' ? { kind: 'file', path: resolve(folder, found.path) } : found;
  };
  if (read.url === undefined) {
    const env = Object.entries(read.env ?? {}).map(([variable, entry]): [string, Secret] => [variable, secret(readVariable(variable, entry))]);
    return { name, kind: 'stdio', argv: read.command ?? [], env: new Map(env), cwd: read.cwd === undefined ? null : resolve(folder, read.cwd) };
  }
  const headers = Object.entries(read.headers ?? {}).map(([header, entry]): [string, Secret] => {
    const lower = header.toLowerCase();
    return [lower, secret(readHeader(lower, entry))];
  });
  const transport = read.transport ?? 'http';
  return { name, kind: 'http', url: read.url, transport, allowPrivate: read.allow_private ?? false, headers: new Map(headers) };
}

const tokenFile = z.strictObject({ version: z.literal(1), tokens });

const TOKENS: DocumentKind = {
  ...CONFIG,
  noun: 'the token file',
  keys: new Map([
    ['', Object.keys(tokenFile.shape)],
    ['tokens', Object.keys(token.shape)],
  ]),
  hints: {
    ...CONFIG.hints,
    tooLarge: 'remove tokens that nobody uses',
    tooDeep: 'a token file needs three levels',
    missing: new Map([
      ['version', "begin the token file with 'version: 1'"],
      ['tokens', MAKE_TOKEN],
      ['tokens.sha256', MAKE_TOKEN],
    ]),
  },
};

/**
 * Parses and checks a token file: `version: 1` and `tokens`, as under `auth` of a configuration.
 *
 * @throws Usage (CONFIG_INVALID) with all problems
 */
export function parseTokens(bytes: Uint8Array, file: string): readonly TokenConfig[] {
  return parseAs(tokenFile, (raw) => tokenMisfits(memberOf(raw, 'tokens'), ['tokens']), bytes, file, TOKENS).data.tokens.map(tokenOf);
}
