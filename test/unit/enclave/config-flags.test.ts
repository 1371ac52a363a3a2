// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import test from 'node:test';
import type { UpFlags } from '../../../enclave/config/flags.ts';
import { configFromFlags } from '../../../enclave/config/flags.ts';
import { Usage } from '../../../shared/errors.ts';

const NOTHING: UpFlags = { allowPrivate: false, argv: [], name: 'files', env: {}, headers: [], policy: 'p.yaml', allowedHosts: [], allowedOrigins: [] };
const COMMAND: UpFlags = { ...NOTHING, argv: ['npx', 'server'] };
const URL_ONLY: UpFlags = { ...NOTHING, upstreamUrl: 'https://a.example/mcp' };
const HASH = 'ab'.repeat(32);

function tokensFile(text: string): { path: string; bytes: Uint8Array } {
  return { path: 'b.yaml', bytes: new TextEncoder().encode(text) };
}

const TOKENS = tokensFile(`version: 1\ntokens: [{name: ci, sha256: ${HASH}}]`);

function refusal(flags: UpFlags): string {
  try {
    configFromFlags(flags);
  } catch (error) {
    assert.ok(error instanceof Usage, String(error));
    return `${error.code} ${error.message} | ${error.hint}`;
  }
  return 'accepted';
}

test('a command alone stands for one server at the stdio of the client', () => {
  const { digest, ...config } = configFromFlags({ ...COMMAND, env: { PATH: '/bin', TOKEN: 'ghp_x' } });
  assert.match(digest, /^[0-9a-f]{64}$/);
  assert.deepEqual(config, {
    version: 1,
    policyPath: 'p.yaml',
    listen: null,
    path: '/mcp',
    publicUrl: null,
    allowedHosts: [],
    allowedOrigins: [],
    auth: { kind: 'none' },
    servers: [
      {
        name: 'files',
        kind: 'stdio',
        argv: ['npx', 'server'],
        env: new Map([
          ['PATH', { kind: 'literal', value: '/bin' }],
          ['TOKEN', { kind: 'literal', value: 'ghp_x' }],
        ]),
        cwd: null,
      },
    ],
    limits: { sessions: 256, streams: 1024, connections: 1024, idleMs: 1_800_000 },
    minRevision: null,
    legacySse: true,
  });
});

test('every flag is read', () => {
  const config = configFromFlags({
    ...URL_ONLY,
    listen: '[::1]:0',
    path: '/x',
    transport: 'sse',
    allowPrivate: true,
    headers: ['Authorization=env:TOKEN', 'X-Key=file:key', 'X-Note=a=b'],
    allowedHosts: ['Gateway.example.com'],
    allowedOrigins: ['https://App.example'],
    tokensFile: TOKENS,
  });
  assert.deepEqual(config.listen, { host: '::1', port: 0 });
  assert.deepEqual([config.path, config.allowedHosts, config.allowedOrigins], ['/x', ['gateway.example.com'], ['https://app.example']]);
  assert.deepEqual(config.auth, { kind: 'bearer', tokens: [{ name: 'ci', sha256: HASH, scopes: [] }] });
  assert.deepEqual(config.servers, [
    {
      name: 'files',
      kind: 'http',
      url: 'https://a.example/mcp',
      transport: 'sse',
      allowPrivate: true,
      headers: new Map([
        ['authorization', { kind: 'env', name: 'TOKEN' }],
        ['x-key', { kind: 'file', path: resolve('key') }],
        ['x-note', { kind: 'literal', value: 'a=b' }],
      ]),
    },
  ]);
});

const PORT_ALONE = 'USAGE --listen: a port alone does not say who may connect | write 127.0.0.1:8080 for this machine alone';

const REFUSED: readonly (readonly [flags: UpFlags, expected: string])[] = [
  [NOTHING, 'USAGE no server to run: give --upstream "COMMAND", -- COMMAND or --upstream-url URL | see: mcp-bastion up --help'],
  [{ ...COMMAND, upstreamUrl: 'https://a.example' }, 'USAGE give the server once: by its command or with --upstream-url | see: mcp-bastion up --help'],
  [{ ...COMMAND, name: 'A' }, 'USAGE --name: this is not a server id | use 1 to 24 of a-z, 0-9 and -'],
  [{ ...COMMAND, listen: ':8080' }, PORT_ALONE],
  [{ ...COMMAND, listen: '8080' }, PORT_ALONE],
  [{ ...COMMAND, listen: '127.0.0.1' }, 'USAGE --listen: wants an address and a port | write 127.0.0.1:8080 for this machine alone'],
  [{ ...COMMAND, listen: '::1:80' }, 'USAGE --listen: an IPv6 address stands in brackets, and its port behind them | write [::1]:8080 for this machine alone'],
  [
    { ...COMMAND, listen: '0.0.0.0:80', tokensFile: TOKENS },
    'USAGE --listen: a listener on every interface does not know the name by which clients reach it | list the names with --allowed-host',
  ],
  [{ ...COMMAND, path: '/x' }, 'USAGE --path has no effect without --listen | add --listen, or remove --path'],
  [{ ...COMMAND, allowedHosts: ['a'] }, 'USAGE --allowed-host has no effect without --listen | add --listen, or remove --allowed-host'],
  [{ ...COMMAND, allowedOrigins: ['http://a'] }, 'USAGE --allowed-origin has no effect without --listen | add --listen, or remove --allowed-origin'],
  [{ ...COMMAND, tokensFile: TOKENS }, 'USAGE --tokens-file has no effect without --listen | add --listen, or remove --tokens-file'],
  [{ ...COMMAND, transport: 'http' }, 'USAGE --transport has no effect without --upstream-url | add --upstream-url, or remove --transport'],
  [{ ...COMMAND, headers: ['A=b'] }, 'USAGE --header has no effect without --upstream-url | add --upstream-url, or remove --header'],
  [
    { ...COMMAND, listen: 'localhost:1', path: 'x' },
    "USAGE --path: wants a path such as /mcp | begin with '/'; use letters, digits and . _ ~ - between slashes, and no slash at the end",
  ],
  [
    { ...COMMAND, listen: 'localhost:1', allowedHosts: ['*'] },
    'USAGE --allowed-host: wants a host, or a host and a port | write it as clients send it: gateway.example.com or gateway.example.com:8443, without wildcard',
  ],
  [
    { ...COMMAND, listen: 'localhost:1', allowedOrigins: ['*'] },
    'USAGE --allowed-origin: wants an origin | write it as browsers send it: https://app.example.com, without path or wildcard',
  ],
  [{ ...NOTHING, upstreamUrl: 'a.example' }, 'USAGE --upstream-url: wants an http or https URL | for example: https://mcp.example.com/mcp'],
  [
    { ...NOTHING, upstreamUrl: 'https://u:p@a.example' },
    "SECRET_IN_CONFIG --upstream-url: the URL holds a credential | remove it; a server gets credentials by reference: headers: {Authorization: 'env:NAME'}",
  ],
  [{ ...URL_ONLY, transport: 'stdio' }, 'USAGE --transport wants http or sse | leave it out for Streamable HTTP'],
  [{ ...URL_ONLY, headers: ['Authorization'] }, "USAGE --header wants NAME=VALUE | for example: --header 'Authorization=env:GITHUB_TOKEN'"],
  [{ ...URL_ONLY, headers: ['A B=x'] }, 'USAGE --header: this is not the name of a header | for example: Authorization'],
  [{ ...URL_ONLY, headers: ['Host=x'] }, "USAGE --header: this header is the gateway's own | remove it"],
  [{ ...URL_ONLY, headers: ['X-A=x', 'x-a=y'] }, 'USAGE --header: this header is given twice | keep one of them'],
  [
    { ...URL_ONLY, headers: ['Authorization=Bearer abc'] },
    "SECRET_IN_CONFIG --header: this looks like a credential | write 'env:NAME' or 'file:PATH' instead, so that the configuration holds no secret",
  ],
  [{ ...COMMAND, listen: 'localhost:1', tokensFile: tokensFile('version: 1') }, 'CONFIG_INVALID b.yaml:1:1: tokens is missing | make a token and its hash: mcp-bastion token new --name NAME'],
];

for (const [flags, expected] of REFUSED) {
  test(`flags are refused: ${expected.slice(0, 90)}`, () => {
    assert.equal(refusal(flags), expected);
  });
}

test('the digest changes with what is configured, and not with the values of secrets', () => {
  const digest = (flags: UpFlags): string => configFromFlags(flags).digest;
  const listening: UpFlags = { ...COMMAND, listen: 'localhost:1' };
  const different = [
    COMMAND, listening, { ...listening, listen: '[::1]:1' }, { ...listening, path: '/x' }, { ...listening, tokensFile: TOKENS }, { ...listening, allowedHosts: ['a'] },
    { ...listening, allowedOrigins: ['http://a'] }, { ...COMMAND, name: 'other' }, { ...COMMAND, policy: 'q.yaml' }, { ...COMMAND, argv: ['npx', 'other'] },
    { ...COMMAND, env: { A: '1' } }, URL_ONLY, { ...URL_ONLY, transport: 'sse' }, { ...URL_ONLY, allowPrivate: true }, { ...URL_ONLY, headers: ['A=env:B'] }, { ...URL_ONLY, headers: ['A=env:C'] },
  ];
  assert.equal(new Set(different.map(digest)).size, different.length);
  assert.equal(digest({ ...COMMAND, env: { A: '1', B: '2' } }), digest({ ...COMMAND, env: { B: '3', A: '4' } }));
  assert.equal(digest({ ...COMMAND, argv: ['x', '--password=hunter2'] }), digest({ ...COMMAND, argv: ['x', '--password=hunter3'] }));
});
