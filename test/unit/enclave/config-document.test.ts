// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import test from 'node:test';
import * as fc from 'fast-check';
import { CONFIG_KEYS, parseConfig, parseTokens } from '../../../enclave/config/document.ts';
import type { BastionConfig } from '../../../enclave/config/types.ts';
import { CONFIG_BYTES_MAX } from '../../../shared/limits.ts';
import { report, reportOf } from './config-report.ts';

const HASH = 'ab'.repeat(32);

function parse(text: string, file = '/etc/bastion/b.yaml'): BastionConfig {
  return parseConfig(new TextEncoder().encode(text), file);
}

const listening = (...lines: readonly string[]): BastionConfig =>
  parse(['version: 1', 'policy: p.yaml', "listen: '[::1]:0'", 'servers: {a: {command: [x]}}', ...lines, ''].join('\n'));

test('the shortest configuration has all defaults', () => {
  const text = 'version: 1\npolicy: policy.yaml\nservers:\n  files: {command: [npx, -y, server]}\n';
  assert.deepEqual(parse(text), {
    version: 1,
    policyPath: '/etc/bastion/policy.yaml',
    listen: null,
    path: '/mcp',
    publicUrl: null,
    allowedHosts: [],
    allowedOrigins: [],
    auth: { kind: 'none' },
    servers: [{ name: 'files', kind: 'stdio', argv: ['npx', '-y', 'server'], env: new Map(), cwd: null }],
    limits: { sessions: 256, streams: 1024, connections: 1024, idleMs: 1_800_000 },
    minRevision: null,
    legacySse: true,
    digest: createHash('sha256').update(text).digest('hex'),
  });
});

test('every key is read', () => {
  const { digest, ...read } = parse(`version: 1
policy: ../p.yaml
listen: 127.0.0.1:8080
path: /a/b
public_url: https://Gateway.example.com/base/
allowed_hosts: [Gateway.example.com, 'gateway.internal:8443', '[::1]:8080']
allowed_origins: ['https://App.example.com', 'http://localhost:3000', 'vscode-webview://abc']
auth:
  kind: oauth
  issuer: https://issuer.example.com
  jwks_url: https://issuer.example.com/keys
  audience: https://gateway.example.com/mcp
  scopes: [mcp, 'tools:read']
servers:
  files:
    command: [npx, -y, '@modelcontextprotocol/server-filesystem', /data]
    env: {LEVEL: debug, TOKEN: 'env:FILES_TOKEN', KEY: 'file:secrets/key', ABSOLUTE: 'file:/run/key'}
    cwd: work
  github:
    url: https://api.example.com/mcp
    transport: sse
    allow_private: true
    headers: {Authorization: 'env:GITHUB_TOKEN', X-Region: eu, X-Key: 'file:key'}
limits: {sessions: 1, streams: 2, connections: 3, idle_ms: 1000}
min_protocol_version: '2025-03-26'
legacy_sse: false
`);
  assert.match(digest, /^[0-9a-f]{64}$/);
  assert.deepEqual(read, {
    version: 1,
    policyPath: '/etc/p.yaml',
    listen: { host: '127.0.0.1', port: 8080 },
    path: '/a/b',
    publicUrl: 'https://gateway.example.com/base',
    allowedHosts: ['gateway.example.com', 'gateway.internal:8443', '[::1]:8080'],
    allowedOrigins: ['https://app.example.com', 'http://localhost:3000', 'vscode-webview://abc'],
    auth: {
      kind: 'oauth',
      issuer: 'https://issuer.example.com',
      jwksUrl: 'https://issuer.example.com/keys',
      audience: 'https://gateway.example.com/mcp',
      scopes: ['mcp', 'tools:read'],
    },
    servers: [
      {
        name: 'files',
        kind: 'stdio',
        argv: ['npx', '-y', '@modelcontextprotocol/server-filesystem', '/data'],
        env: new Map([
          ['LEVEL', { kind: 'literal', value: 'debug' }],
          ['TOKEN', { kind: 'env', name: 'FILES_TOKEN' }],
          ['KEY', { kind: 'file', path: '/etc/bastion/secrets/key' }],
          ['ABSOLUTE', { kind: 'file', path: '/run/key' }],
        ]),
        cwd: '/etc/bastion/work',
      },
      {
        name: 'github',
        kind: 'http',
        url: 'https://api.example.com/mcp',
        transport: 'sse',
        allowPrivate: true,
        headers: new Map([
          ['authorization', { kind: 'env', name: 'GITHUB_TOKEN' }],
          ['x-region', { kind: 'literal', value: 'eu' }],
          ['x-key', { kind: 'file', path: '/etc/bastion/key' }],
        ]),
      },
    ],
    limits: { sessions: 1, streams: 2, connections: 3, idleMs: 1000 },
    minRevision: '2025-03-26',
    legacySse: false,
  });
});

test('a configuration that is named by a relative path has absolute paths', () => {
  assert.equal(parse('version: 1\npolicy: p.yaml\nservers: {a: {command: [x]}}', 'b.yaml').policyPath, resolve('p.yaml'));
});

test('one entry of limits leaves the others at their defaults', () => {
  assert.deepEqual(listening('limits: {streams: 5}').limits, { sessions: 256, streams: 5, connections: 1024, idleMs: 1_800_000 });
  assert.deepEqual(listening('limits: {}').limits, { sessions: 256, streams: 1024, connections: 1024, idleMs: 1_800_000 });
});

test('the limits themselves are accepted', () => {
  assert.deepEqual(listening('limits: {sessions: 16384, streams: 65536, connections: 65536, idle_ms: 604800000}').limits, {
    sessions: 16_384,
    streams: 65_536,
    connections: 65_536,
    idleMs: 604_800_000,
  });
});

test('tokens are read with their hash in lower case', () => {
  const { auth } = listening(`auth: {kind: bearer, tokens: [{name: ci, sha256: ${HASH.toUpperCase()}, scopes: [a, A]}, {name: b, sha256: ${'cd'.repeat(32)}}]}`);
  assert.deepEqual(auth, {
    kind: 'bearer',
    tokens: [
      { name: 'ci', sha256: HASH, scopes: ['a', 'A'] },
      { name: 'b', sha256: 'cd'.repeat(32), scopes: [] },
    ],
  });
});

test('the audience follows from the public URL and the path', () => {
  const oauth = { kind: 'oauth', issuer: 'https://i.example', jwksUrl: null, scopes: [] };
  const auth = 'auth: {kind: oauth, issuer: https://i.example}';
  assert.deepEqual(listening(auth, 'public_url: https://a.example').auth, { ...oauth, audience: 'https://a.example/mcp' });
  assert.deepEqual(listening(auth, 'public_url: https://a.example/x/', 'path: /y').auth, { ...oauth, audience: 'https://a.example/x/y' });
});

test('an issuer on this machine may use http', () => {
  for (const host of ['127.0.0.1:9000', 'localhost:9000', '[::1]:9000']) {
    const { auth } = listening(`auth: {kind: oauth, issuer: 'http://${host}', jwks_url: 'http://${host}/k', audience: https://a.example}`);
    assert.equal(auth.kind, 'oauth');
  }
});

test('servers stand in the order of the file, even where their names are numbers', () => {
  const { servers } = parse("version: 1\npolicy: p\nlisten: localhost:1\nservers: {b: {command: [x]}, '2': {command: [x]}, a: {command: [x]},\n  '1': {command: [x]}}");
  assert.deepEqual(servers.map((server) => server.name), ['b', '2', 'a', '1']);
});

test('64 servers are accepted, 65 are not', () => {
  // Letters whose combinations never look like each other.
  const name = (index: number): string => `${'abcdefghk'.charAt(index % 9)}${'abcdefghk'.charAt(Math.floor(index / 9))}`;
  const servers = (count: number): string => Array.from({ length: count }, (_, index) => `  ${name(index)}: {command: [x]}\n`).join('');
  const text = (count: number): string => `version: 1\npolicy: p\nlisten: localhost:1\nservers:\n${servers(count)}`;
  assert.equal(parse(text(64)).servers.length, 64);
  assert.deepEqual(report(text(65))?.problems, ['4:1: servers is above the limit of 64 | run a second gateway for the rest']);
});

test('a list, a section or a text that is too long is refused', () => {
  const before = 'version: 1\npolicy: p\nlisten: 127.0.0.1:1\n';
  const entries = (count: number, entry: (index: number) => string): string => Array.from({ length: count }, (_, index) => entry(index)).join(', ');
  const server = (inner: string): string => `${before}servers: {a: {${inner}}}`;
  const rows: readonly (readonly [accepted: string, refused: string, problem: string])[] = [
    [
      `${before}servers: {a: {command: [x]}}\nallowed_hosts: [${entries(256, (index) => `h${index}`)}]`,
      `${before}servers: {a: {command: [x]}}\nallowed_hosts: [${entries(257, (index) => `h${index}`)}]`,
      '5:16: allowed_hosts is above the limit of 256 | make it smaller',
    ],
    [
      server(`command: [${entries(256, () => 'x')}]`),
      server(`command: [${entries(257, () => 'x')}]`),
      '4:24: servers.a.command is above the limit of 256 | make it smaller',
    ],
    [
      server(`command: [x], env: {${entries(256, (index) => `N${index}: x`)}}`),
      server(`command: [x], env: {${entries(257, (index) => `N${index}: x`)}}`),
      '4:34: servers.a.env: more than 256 entries | make it smaller',
    ],
    [
      server(`command: [${'x'.repeat(4096)}]`),
      server(`command: [${'x'.repeat(4097)}]`),
      '4:25: servers.a.command[0] is above the limit of 4096 | make it smaller',
    ],
    [
      server(`command: [x], env: {A: ${'x'.repeat(4096)}}`),
      server(`command: [x], env: {A: ${'x'.repeat(4097)}}`),
      "4:38: servers.a.env['A'] is above the limit of 4096 | make it smaller",
    ],
  ];
  for (const [accepted, refused, problem] of rows) {
    assert.equal(report(accepted), null);
    assert.deepEqual(report(refused)?.problems, [problem]);
  }
});

test('the keys of a configuration are frozen', () => {
  assert.deepEqual(Object.fromEntries(CONFIG_KEYS), {
    '': ['version', 'policy', 'listen', 'path', 'public_url', 'allowed_hosts', 'allowed_origins', 'auth', 'servers', 'limits', 'min_protocol_version', 'legacy_sse'],
    auth: ['kind', 'tokens', 'issuer', 'jwks_url', 'audience', 'scopes'],
    'auth.tokens': ['name', 'sha256', 'scopes'],
    'servers.*': ['command', 'env', 'cwd', 'url', 'transport', 'allow_private', 'headers'],
    limits: ['sessions', 'streams', 'connections', 'idle_ms'],
  });
});

test('a token file is read like the tokens of a configuration', () => {
  const tokens = (text: string): unknown => parseTokens(new TextEncoder().encode(text), 'b.yaml');
  assert.deepEqual(tokens(`version: 1\ntokens:\n  - name: ci\n    sha256: ${HASH.toUpperCase()}\n    scopes: [a]\n`), [{ name: 'ci', sha256: HASH, scopes: ['a'] }]);
  const rows: readonly (readonly [text: string, ...problems: readonly string[]])[] = [
    ['', "1:1: the token file is empty | begin the token file with 'version: 1'"],
    [`tokens: [{name: a, sha256: ${HASH}}]`, "1:1: version is missing | begin the token file with 'version: 1'"],
    ['version: 1', '1:1: tokens is missing | make a token and its hash: mcp-bastion token new --name NAME'],
    ['version: 1\ntokens: []', '2:9: tokens is empty | write a value, or remove the key'],
    ['version: 1\ntokens: [{name: a}]', '2:10: tokens[0].sha256 is missing | make a token and its hash: mcp-bastion token new --name NAME'],
    [`version: 1\ntokens: [{name: a, sha256: ${HASH}, skopes: []}]`, "2:94: there is no key 'skopes' in tokens | did you mean 'scopes'?"],
    [
      `version: 1\ntokens:\n- {name: a, sha256: ${HASH}}\n- {name: A, sha256: ${HASH}}`,
      '4:4: this name is that of entry 0, too | give every token a name and a value of its own',
      '4:10: tokens[1].name: this is not a token name | use 1 to 32 of a-z, 0-9, dot, _ and -, a letter or digit first',
      '4:13: this sha256 is that of entry 0, too | give every token a name and a value of its own',
    ],
    ['version: 1\nkind: bearer\ntokens: x', "2:1: there is no key 'kind' | known keys here: version, tokens", "3:9: tokens wants a list | write each entry on a line of its own that begins with '- '"],
  ];
  for (const [text, ...problems] of rows) {
    assert.throws(() => tokens(text), (error: unknown) => {
      assert.deepEqual(reportOf(error), { code: 'CONFIG_INVALID', problems });
      return true;
    });
  }
});

test('a configuration that is no UTF-8, too large or too deep is refused', () => {
  assert.deepEqual(report(Uint8Array.of(0x61, 0xff))?.problems, ['1:1: the configuration is not UTF-8 text | save the file as UTF-8']);
  assert.deepEqual(report(new Uint8Array(CONFIG_BYTES_MAX + 1))?.problems, [
    '1:1: the configuration is larger than 1048576 bytes | run a second gateway for some of the servers',
  ]);
  assert.match(report(`servers: ${'['.repeat(20_000)}`)?.problems[0] ?? '', /^\d+:\d+: the configuration is nested too deeply \| a configuration needs four levels$/);
});

test('an alias bomb is refused without being unfolded', () => {
  const levels = Array.from({ length: 30 }, (_, index) => `a${index + 1}: &a${index + 1} [*a${index}, *a${index}]`);
  const found = report(`version: 1\na0: &a0 [x]\n${levels.join('\n')}\n`);
  assert.ok(found?.problems.some((line) => line.includes('anchors are not accepted')));
});

test('all problems are reported in one go, in the order of the text', () => {
  assert.deepEqual(
    report(`version: 1
listn: 127.0.0.1:80
servers:
  files: {comand: [npx]}
  Web:
    url: https://a.example
  api:
    url: http://a.example
    headers:
      Cookie: x
    cwd: /
limits:
  sessions: none
`),
    {
      code: 'SECRET_IN_CONFIG',
      problems: [
        "1:1: policy is missing | name the file that says what is allowed: 'policy: policy.yaml'",
        "2:1: there is no key 'listn' | did you mean 'listen'?",
        "3:1: without listen the gateway stands at the client's stdio, in place of one server | add 'listen: 127.0.0.1:8080', or keep one server",
        '4:3: this server has neither a command nor a url | write the command that starts it, or the url where it runs',
        "4:11: there is no key 'comand' in servers.files | did you mean 'command'?",
        "5:3: servers['Web']: this is not a server id | use 1 to 24 of a-z, 0-9 and -",
        "10:15: servers.api.headers['Cookie']: this looks like a credential | write 'env:NAME' or 'file:PATH' instead, so that the configuration holds no secret",
        '11:5: cwd has no effect without command | remove it',
        "12:1: limits has no effect without listen | add 'listen: 127.0.0.1:8080', or remove it",
        '13:13: limits.sessions wants a number | write it in digits, without quotes',
      ],
    },
  );
});

test('no document makes the parser fail in another way than with its own error', () => {
  const piece = fc.constantFrom(
    'version: 1\n', 'policy: p\n', 'servers:', 'a:', 'url:', 'command:', 'env:', 'headers:', 'auth:', 'kind: bearer', 'tokens:', 'listen:', ' 0.0.0.0:1', 'limits:',
    ' ', '\n', '\n  ', '- ', '[', ']', '{', '}', ': ', "'", '"', '*', '&a', '!!x', '|', '#', 'x', ',', '<<', '1', '~', '\u0000', '__proto__', 'constructor',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      report(pieces.join(''));
    }),
    { numRuns: 1500 },
  );
});
