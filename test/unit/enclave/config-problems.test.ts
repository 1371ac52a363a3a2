// SPDX-License-Identifier: Apache-2.0
/** What a configuration says wrong, at every key but those of servers. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { report, testRefused } from './config-report.ts';
import type { Refused } from './config-report.ts';

const HASH = 'ab'.repeat(32);
const OTHER = 'cd'.repeat(32);

const WHOLE: readonly Refused[] = [
  [['', '# nothing'], "1:1: the configuration is empty | begin the configuration with 'version: 1'"],
  [['- a', 'text'], '1:1: the configuration wants a section of keys | see: mcp-bastion up --help'],
  [['policy: p\nservers: {a: {command: [x]}}'], "1:1: version is missing | begin the configuration with 'version: 1'"],
  [
    ['version: 2\npolicy: p\nservers: {a: {command: [x]}}', "version: '1'\npolicy: p\nservers: {a: {command: [x]}}"],
    '1:10: version wants 1 | this build reads version 1',
  ],
  [['version: 1\nservers: {a: {command: [x]}}'], "1:1: policy is missing | name the file that says what is allowed: 'policy: policy.yaml'"],
  [["version: 1\npolicy: ''\nservers: {a: {command: [x]}}"], '2:9: policy is empty | write a value, or remove the key'],
  [['version: 1\npolicy: 5\nservers: {a: {command: [x]}}'], '2:9: policy wants text | put it in quotes'],
  [['version: 1\npolicy: "a\\0b"\nservers: {a: {command: [x]}}'], '2:9: policy: the text holds a zero character | remove it'],
  [['version: 1\npolicy: p'], "1:1: servers is missing | name at least one server: 'servers: {files: {command: [PROGRAM, ARGUMENT]}}'"],
  [['version: 1\npolicy: p\nservers:'], '3:9: servers wants a section of keys | write a value, or remove the key'],
  [['version: 1\npolicy: p\nservers: {}'], '3:10: servers: there is no server | name at least one'],
  [['version: 1\npolicy: p\nservers: [a]'], '3:10: servers wants a section of keys | see: mcp-bastion up --help'],
  [
    ['version: 1\npolicy: p\nservers: {a: {command: [x]}, b: {command: [x]}}'],
    "3:1: without listen the gateway stands at the client's stdio, in place of one server | add 'listen: 127.0.0.1:8080', or keep one server",
  ],
];

testRefused(WHOLE, '');

const LISTEN: readonly Refused[] = [
  [
    ['listen: 8080', "listen: ':8080'", "listen: '8080'"],
    '4:9: listen: a port alone does not say who may connect | write 127.0.0.1:8080 for this machine alone',
  ],
  [['listen: 127.0.0.1', "listen: ''"], '4:9: listen: wants an address and a port | write 127.0.0.1:8080 for this machine alone'],
  [["listen: '::1:8080'"], '4:9: listen: an IPv6 address stands in brackets, and its port behind them | write [::1]:8080 for this machine alone'],
  [['listen: http://127.0.0.1:8080'], '4:9: listen: wants an address and a port, not a URL | write 127.0.0.1:8080 for this machine alone'],
  [
    ['listen: 127.0.0.1:65536', 'listen: 127.0.0.1:080', 'listen: 127.0.0.1:x'],
    '4:9: listen: the port is not a number from 0 to 65535 | write 127.0.0.1:8080 for this machine alone',
  ],
  [["listen: '*:80'"], "4:9: listen: '*' is no address | write 127.0.0.1:8080 for this machine alone"],
  [
    [
      'listen: 127.1:80', 'listen: 0x7f.1:80', 'listen: 2130706433:80', 'listen: 300.0.0.1:80', 'listen: a_b:80',
      'listen: localhost.:80', "listen: '[::g]:80'", "listen: '[fe80::1%eth0]:80'", "listen: '[127.0.0.1]:80'", "listen: '[]:80'",
    ],
    '4:9: listen: the part before the port is neither an IP address nor a host name | write 127.0.0.1:8080 for this machine alone',
  ],
  [
    ['listen: 0.0.0.0:80', "listen: '[::]:80'"],
    '4:1: a listener on every interface does not know the name by which clients reach it | set public_url, or list the names in allowed_hosts',
  ],
  [['listen: '], '4:9: listen wants text | write a value, or remove the key'],
  [['listen: [a]'], '4:9: listen wants text | put it in quotes'],
];

testRefused(LISTEN, 'version: 1\npolicy: p\nservers: {a: {command: [x]}}\n');

test('keys that only a listener reads are refused without one', () => {
  const entries = ['path: /mcp', 'public_url: https://a.example', 'allowed_hosts: [a]', 'allowed_origins: [http://a]', 'auth: {kind: none}', 'limits: {sessions: 1}', 'legacy_sse: true'];
  for (const entry of entries) {
    const problems = [`4:1: ${entry.split(':')[0]} has no effect without listen | add 'listen: 127.0.0.1:8080', or remove it`];
    assert.deepEqual(report(`version: 1\npolicy: p\nservers: {a: {command: [x]}}\n${entry}`), { code: 'CONFIG_INVALID', problems });
    assert.equal(report(`version: 1\npolicy: p\nservers: {a: {command: [x]}}\nlisten: 127.0.0.1:1\n${entry}`), null);
  }
});

test('a listener on every interface is accepted with a name by which clients reach it', () => {
  for (const name of ['public_url: https://a.example', 'allowed_hosts: [a.example]']) {
    for (const address of ['0.0.0.0:80', "'[::]:80'"]) {
      assert.equal(report(`version: 1\npolicy: p\nservers: {a: {command: [x]}}\nlisten: ${address}\n${name}`), null);
    }
  }
});

const TOP: readonly Refused[] = [
  [
    ['path: mcp', "path: ''", 'path: /mcp/', 'path: //mcp', 'path: /a/../b', 'path: /a b', 'path: /mcp?x', 'path: /%2e'],
    "5:7: path: wants a path such as /mcp | begin with '/'; use letters, digits and . _ ~ - between slashes, and no slash at the end",
  ],
  [['path: /healthz', 'path: /control/x', 'path: /.well-known/x'], '5:7: path: the gateway needs this path for itself | for example: /mcp'],
  [['path: 5'], '5:7: path wants text | put it in quotes'],
  [
    ['public_url: gateway.example.com', 'public_url: ftp://a.example', 'public_url: https:a.example', 'public_url: https:///a'],
    '5:13: public_url: wants an http or https URL | for example: https://mcp.example.com/mcp',
  ],
  [
    ["public_url: 'https://a b'", 'public_url: https://ä.example', "public_url: 'https://a\\b'"],
    '5:13: public_url: the URL holds characters that do not belong there | write a host name in its xn-- form, and other characters as %XX',
  ],
  [['public_url: https://a.example:99999'], '5:13: public_url: this is not a URL | check the host and the port'],
  [['public_url: https://a.example?x=1'], "5:13: public_url: the URL has a query | remove the '?' and what follows"],
  [["public_url: 'https://a.example#x'"], "5:13: public_url: the URL has a fragment, which is never sent | remove the '#' and what follows"],
  [['public_url: 5'], '5:13: public_url wants text | put it in quotes'],
  [["public_url: ''"], '5:13: public_url is empty | write a value, or remove the key'],
  [['allowed_hosts: a'], "5:16: allowed_hosts wants a list | write each entry on a line of its own that begins with '- '"],
  [
    [
      "allowed_hosts: ['*.example.com']", "allowed_hosts: ['https://a.example']", "allowed_hosts: ['a:0']", "allowed_hosts: ['a:65536']",
      "allowed_hosts: ['a.']", "allowed_hosts: ['::1']", "allowed_hosts: ['[::g]']", "allowed_hosts: ['']",
    ],
    '5:17: allowed_hosts[0]: wants a host, or a host and a port | write it as clients send it: gateway.example.com or gateway.example.com:8443, without wildcard',
  ],
  [['allowed_hosts: [a, A]'], '5:20: allowed_hosts[1]: this entry stands here twice | keep one of them'],
  [['allowed_hosts: [5]'], '5:17: allowed_hosts[0] wants text | put it in quotes'],
  [['allowed_origins: a'], "5:18: allowed_origins wants a list | write each entry on a line of its own that begins with '- '"],
  [
    [
      "allowed_origins: ['*']", 'allowed_origins: [https://a.example/]', 'allowed_origins: [https://a.example/x]',
      "allowed_origins: ['https://*.example']", 'allowed_origins: [a.example]',
    ],
    '5:19: allowed_origins[0]: wants an origin | write it as browsers send it: https://app.example.com, without path or wildcard',
  ],
  [
    ["allowed_origins: ['null']"],
    "5:19: allowed_origins[0]: 'null' is the origin of any page that hides its own | write it as browsers send it: https://app.example.com, without path or wildcard",
  ],
  [
    ['allowed_origins: [https://a.example:443]', 'allowed_origins: [http://a.example:80]'],
    '5:19: allowed_origins[0]: browsers leave out the default port | remove the port',
  ],
  [['allowed_origins: [https://a.example, HTTPS://A.example]'], '5:38: allowed_origins[1]: this entry stands here twice | keep one of them'],
  [['auth: none'], '5:7: auth wants a section of keys | see: mcp-bastion up --help'],
  [['auth: {}'], '5:7: auth.kind is missing | write none, bearer or oauth'],
  [['auth: {kind: basic}'], '5:14: auth.kind wants none or bearer or oauth | write one of these words'],
  [
    ['auth: {kind: none, tokens: []}'],
    "5:20: auth.tokens has no effect with 'kind: none' | remove it, or write 'kind: bearer'",
    '5:28: auth.tokens is empty | write a value, or remove the key',
  ],
  [['auth: {kind: none, scopes: [a]}'], "5:20: auth.scopes has no effect with 'kind: none' | remove it, or write 'kind: oauth'"],
  [['auth: {kind: bearer}'], '5:1: auth.tokens is missing | make a token and its hash: mcp-bastion token new --name NAME'],
  [['auth: {kind: bearer, tokens: []}'], '5:30: auth.tokens is empty | write a value, or remove the key'],
  [['auth: {kind: bearer, tokens: [a]}'], '5:31: auth.tokens[0] wants a section of keys | see: mcp-bastion up --help'],
  [
    ['auth: {kind: bearer, tokens: [{}]}'],
    '5:31: auth.tokens[0].name is missing | add it',
    '5:31: auth.tokens[0].sha256 is missing | make a token and its hash: mcp-bastion token new --name NAME',
  ],
  [
    [`auth: {kind: bearer, tokens: [{name: a b, sha256: ${HASH}}]}`],
    '5:38: auth.tokens[0].name: this is not a token name | use 1 to 32 of a-z, 0-9, dot, _ and -, a letter or digit first',
  ],
  [
    ['auth: {kind: bearer, tokens: [{name: a, sha256: abc}]}'],
    '5:49: auth.tokens[0].sha256: wants the SHA-256 of the token: 64 hex digits | make a token and its hash: mcp-bastion token new --name NAME',
  ],
  [
    [
      'auth: {kind: bearer, tokens: [{name: a, sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855}]}',
      'auth: {kind: bearer, tokens: [{name: a, sha256: 01BA4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b}]}',
    ],
    '5:49: auth.tokens[0].sha256: this is the hash of an empty text | make a token and its hash: mcp-bastion token new --name NAME',
  ],
  [
    [`auth: {kind: bearer, tokens: [{name: a, sha256: ${HASH}, scope: [x]}]}`],
    "5:115: there is no key 'scope' in auth.tokens | did you mean 'scopes'?",
  ],
  [
    [`auth: {kind: bearer, tokens: [{name: a, sha256: ${HASH}, scopes: ['a b']}]}`],
    '5:124: auth.tokens[0].scopes[0]: this is not a scope | use 1 to 128 visible ASCII characters, no space, quote or backslash; one scope an entry',
  ],
  [
    [`auth: {kind: bearer, tokens: [{name: a, sha256: ${HASH}, scopes: [a, a]}]}`],
    '5:127: auth.tokens[0].scopes[1]: this entry stands here twice | keep one of them',
  ],
  [
    [
      `auth: {kind: bearer, tokens: [{name: a, sha256: ${HASH}}, {name: A, sha256: ${OTHER}}]}`,
    ],
    '5:117: this name is that of entry 0, too | give every token a name and a value of its own',
    '5:123: auth.tokens[1].name: this is not a token name | use 1 to 32 of a-z, 0-9, dot, _ and -, a letter or digit first',
  ],
  [
    [
      `auth: {kind: bearer, tokens: [{name: a, sha256: ${HASH}}, {name: b, sha256: ${HASH.toUpperCase()}}]}`,
    ],
    '5:126: this sha256 is that of entry 0, too | give every token a name and a value of its own',
  ],
  [
    [
      `auth: {kind: bearer, tokens: [{name: a, sha256: ${HASH}}], issuer: https://i.example}`,
    ],
    "5:117: auth.issuer has no effect with 'kind: bearer' | remove it, or write 'kind: oauth'",
  ],
  [
    ['auth: {kind: oauth}'],
    '5:1: auth.issuer is missing | name the authorization server: issuer: https://issuer.example.com',
    '5:1: auth.audience is missing | write it, or public_url, from which it follows',
  ],
  [
    ['auth: {kind: oauth, audience: https://a.example/mcp}'],
    '5:1: auth.issuer is missing | name the authorization server: issuer: https://issuer.example.com',
  ],
  [['auth: {kind: oauth, issuer: https://i.example}'], '5:1: auth.audience is missing | write it, or public_url, from which it follows'],
  [
    ['auth: {kind: oauth, issuer: http://i.example, audience: https://a.example}'],
    '5:29: auth.issuer: whoever is on the network could answer for an http URL | use https',
  ],
  [
    ["auth: {kind: oauth, issuer: 'https://i.example?x', audience: https://a.example}"],
    "5:29: auth.issuer: an issuer has no query | remove the '?' and what follows",
  ],
  [
    ['auth: {kind: oauth, issuer: i.example, audience: https://a.example}'],
    '5:29: auth.issuer: wants an http or https URL | for example: https://mcp.example.com/mcp',
  ],
  [
    ['auth: {kind: oauth, issuer: https://i.example, jwks_url: http://i.example/k, audience: https://a.example}'],
    '5:58: auth.jwks_url: whoever is on the network could answer for an http URL | use https',
  ],
  [
    ['auth: {kind: oauth, issuer: https://i.example, audience: api}'],
    '5:58: auth.audience: wants an http or https URL | for example: https://mcp.example.com/mcp',
  ],
  [
    ["auth: {kind: oauth, issuer: https://i.example, audience: https://a.example, scopes: ['']}"],
    '5:86: auth.scopes[0]: this is not a scope | use 1 to 128 visible ASCII characters, no space, quote or backslash; one scope an entry',
  ],
  [
    ['auth: {kind: oauth, issuer: https://i.example, audience: https://a.example, scopes: mcp}'],
    "5:85: auth.scopes wants a list | write each entry on a line of its own that begins with '- '",
  ],
  [
    ['auth: {kind: oauth, issuer: https://i.example, audience: https://a.example, tokens: []}'],
    "5:77: auth.tokens has no effect with 'kind: oauth' | remove it, or write 'kind: bearer'",
    '5:85: auth.tokens is empty | write a value, or remove the key',
  ],
  [
    ['auth: {kind: oauth, isuer: x, audience: https://a.example}'],
    '5:1: auth.issuer is missing | name the authorization server: issuer: https://issuer.example.com',
    "5:21: there is no key 'isuer' in auth | did you mean 'issuer'?",
  ],
  [['limits: 5'], '5:9: limits wants a section of keys | see: mcp-bastion up --help'],
  [['limits: {session: 1}'], "5:10: there is no key 'session' in limits | did you mean 'sessions'?"],
  [['limits: {sessions: 0}'], '5:20: limits.sessions is below 1 | make it larger'],
  [['limits: {sessions: 16385}'], '5:20: limits.sessions is above the limit of 16384 | make it smaller'],
  [['limits: {sessions: 1.5}'], '5:20: limits.sessions wants a whole number | write it in digits, without quotes'],
  [["limits: {sessions: '5'}"], '5:20: limits.sessions wants a number | write it in digits, without quotes'],
  [['limits: {streams: 0}'], '5:19: limits.streams is below 1 | make it larger'],
  [['limits: {streams: 65537}'], '5:19: limits.streams is above the limit of 65536 | make it smaller'],
  [['limits: {connections: 0}'], '5:23: limits.connections is below 1 | make it larger'],
  [['limits: {connections: 65537}'], '5:23: limits.connections is above the limit of 65536 | make it smaller'],
  [['limits: {idle_ms: 999}'], '5:19: limits.idle_ms is below 1000 | make it larger'],
  [['limits: {idle_ms: 604800001}'], '5:19: limits.idle_ms is above the limit of 604800000 | make it smaller'],
  [['limits: {idle_ms: 30m}'], '5:19: limits.idle_ms wants a number | write it in digits, without quotes'],
  [
    ["min_protocol_version: '2025-01-01'", 'min_protocol_version: 20250326', 'min_protocol_version: '],
    '5:23: min_protocol_version wants 2024-11-05 or 2025-03-26 or 2025-06-18 or 2025-11-25 or 2026-07-28 | write one of these words',
  ],
  [['legacy_sse: yes', "legacy_sse: 'true'"], '5:13: legacy_sse wants true or false | write one of these words'],
  [['publicurl: x'], "5:1: there is no key 'publicurl' | did you mean 'public_url'?"],
  [
    ['audit: {path: x}'],
    "5:1: there is no key 'audit' | known keys here: version, policy, listen, path, public_url, allowed_hosts, allowed_origins, auth, servers, limits, min_protocol_version, legacy_sse",
  ],
  [
    ['a: b'],
    "5:1: there is no key 'a' | known keys here: version, policy, listen, path, public_url, allowed_hosts, allowed_origins, auth, servers, limits, min_protocol_version, legacy_sse",
  ],
  [['__proto__: {a: b}'], '5:1: this key cannot be used | choose another name'],
];

testRefused(TOP, 'version: 1\npolicy: p\nlisten: 127.0.0.1:1\nservers: {a: {command: [x]}}\n');
