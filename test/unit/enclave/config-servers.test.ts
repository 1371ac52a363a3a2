// SPDX-License-Identifier: Apache-2.0
/** What a configuration says wrong about servers. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { report, testRefused } from './config-report.ts';
import type { Refused } from './config-report.ts';

/** Shaped like a credential, but nobody's. */
const TOKEN = `ghp_${'a1'.repeat(18)}`;

const BEFORE = 'version: 1\npolicy: p\nlisten: 127.0.0.1:1\n';

const SERVERS: readonly Refused[] = [
  [['servers: {A: {command: [x]}}'], "4:11: servers['A']: this is not a server id | use 1 to 24 of a-z, 0-9 and -"],
  [['servers: {a_b: {command: [x]}}'], '4:11: servers.a_b: this is not a server id | use 1 to 24 of a-z, 0-9 and -'],
  [
    ['servers: {aaaaaaaaaaaaaaaaaaaaaaaaa: {command: [x]}}'],
    '4:11: servers.aaaaaaaaaaaaaaaaaaaaaaaaa: this is not a server id | use 1 to 24 of a-z, 0-9 and -',
  ],
  [["servers: {'': {command: [x]}}"], "4:11: servers['']: this is not a server id | use 1 to 24 of a-z, 0-9 and -"],
  [['servers: {a: x}'], '4:14: servers.a wants a section of keys | see: mcp-bastion up --help'],
  [['servers: {a: {}}'], '4:11: this server has neither a command nor a url | write the command that starts it, or the url where it runs'],
  [['servers: {a: {command: [x], url: https://a.example}}'], '4:11: this server has a command and a url | keep one of them'],
  [
    ['servers: {a: {comand: [x]}}'],
    '4:11: this server has neither a command nor a url | write the command that starts it, or the url where it runs',
    "4:15: there is no key 'comand' in servers.a | did you mean 'command'?",
  ],
  [['servers: {a: {command: x}}'], "4:24: servers.a.command wants a list | write each entry on a line of its own that begins with '- '"],
  [['servers: {a: {command: []}}'], '4:24: servers.a.command is empty | write a value, or remove the key'],
  [["servers: {a: {command: ['']}}"], '4:25: servers.a.command[0]: the program is empty | the first entry is the program, for example: npx'],
  [['servers: {a: {command: [x, 5]}}'], '4:28: servers.a.command[1] wants text | put it in quotes'],
  [['servers: {a: {command: ["x\\0"]}}'], '4:25: servers.a.command[0]: the text holds a zero character | remove it'],
  [['servers: {a: {command: [x], cwd: 5}}'], '4:34: servers.a.cwd wants text | put it in quotes'],
  [["servers: {a: {command: [x], cwd: ''}}"], '4:34: servers.a.cwd is empty | write a value, or remove the key'],
  [['servers: {a: {command: [x], transport: http}}'], '4:29: transport has no effect without url | remove it'],
  [['servers: {a: {command: [x], allow_private: true}}'], '4:29: allow_private has no effect without url | remove it'],
  [['servers: {a: {command: [x], headers: {}}}'], '4:29: headers has no effect without url | remove it'],
  [['servers: {a: {command: [x], env: [A]}}'], '4:34: servers.a.env wants a section of keys | see: mcp-bastion up --help'],
  [
    ['servers: {a: {command: [x], env: {A-B: x}}}'],
    "4:35: servers.a.env['A-B']: this is not the name of an environment variable | use letters, digits and _, and no digit first",
  ],
  [
    ['servers: {a: {command: [x], env: {1A: x}}}'],
    "4:35: servers.a.env['1A']: this is not the name of an environment variable | use letters, digits and _, and no digit first",
  ],
  [['servers: {a: {command: [x], env: {A: 5}}}'], "4:38: servers.a.env['A'] wants text | put it in quotes"],
  [
    ["servers: {a: {command: [x], env: {A: 'env:'}}}", "servers: {a: {command: [x], env: {A: 'env:A-B'}}}"],
    "4:38: servers.a.env['A']: this is not the name of an environment variable | use letters, digits and _, and no digit first",
  ],
  [["servers: {a: {command: [x], env: {A: 'file:'}}}"], "4:38: servers.a.env['A']: file: wants a path | for example: file:/run/secrets/token"],
  [
    ["servers: {a: {command: [x], env: {A: ' env:A'}}}", "servers: {a: {command: [x], env: {A: 'ENV:A'}}}"],
    "4:38: servers.a.env['A']: this is almost a reference | write env:NAME or file:PATH, in lower case and without spaces",
  ],
  [
    ["servers: {a: {command: [x], env: {A: 'keychain:a'}}}", "servers: {a: {command: [x], env: {A: 'sealed:a'}}}"],
    "4:38: servers.a.env['A']: this build does not read such a reference | use env:NAME or file:PATH",
  ],
  [
    ["servers: {a: {command: [x], env: {A: '${B}'}}}", 'servers: {a: {command: [x], env: {A: $B}}}'],
    "4:38: servers.a.env['A']: variables are not filled in | write env:NAME, and nothing else beside it",
  ],
  [['servers: {a: {command: [x], env: {A: "a\\0b"}}}'], "4:38: servers.a.env['A']: the value holds a zero character | remove it"],
  [['servers: {a: {command: [x], env: {A: x, A: y}}}'], '4:41: this key stands here twice | keep one of them'],
  [['servers: {a: {command: [x], env: {__proto__: y}}}'], '4:35: this key cannot be used | choose another name'],
  [
    ['servers: {a: {url: a.example}}', 'servers: {a: {url: file:///etc/passwd}}'],
    '4:20: servers.a.url: wants an http or https URL | for example: https://mcp.example.com/mcp',
  ],
  [
    ["servers: {a: {url: 'https://a.example/mcp#x'}}"],
    "4:20: servers.a.url: the URL has a fragment, which is never sent | remove the '#' and what follows",
  ],
  [['servers: {a: {url: 5}}'], '4:20: servers.a.url wants text | put it in quotes'],
  [['servers: {a: {url: https://a.example, transport: stdio}}'], '4:50: servers.a.transport wants http or sse | write one of these words'],
  [['servers: {a: {url: https://a.example, allow_private: 1}}'], '4:54: servers.a.allow_private wants true or false | write one of these words'],
  [['servers: {a: {url: https://a.example, env: {}}}'], '4:39: env has no effect without command | remove it'],
  [['servers: {a: {url: https://a.example, cwd: x}}'], '4:39: cwd has no effect without command | remove it'],
  [
    ["servers: {a: {url: https://a.example, headers: {'A B': x}}}"],
    "4:49: servers.a.headers['A B']: this is not the name of a header | for example: Authorization",
  ],
  [['servers: {a: {url: https://a.example, headers: {Host: x}}}'], "4:49: servers.a.headers['Host']: this header is the gateway's own | remove it"],
  [
    ['servers: {a: {url: https://a.example, headers: {Mcp-Param-Region: x}}}'],
    "4:49: servers.a.headers['Mcp-Param-Region']: this header is the gateway's own | remove it",
  ],
  [
    ["servers: {a: {url: https://a.example, headers: {Authorization: 'Bearer env:TOKEN'}}}"],
    "4:64: servers.a.headers['Authorization']: a reference stands alone | let the variable or the file hold the whole value, such as 'Bearer ...'",
  ],
  [
    ["servers: {a: {url: https://a.example, headers: {Authorization: 'Bearer ${TOKEN}'}}}"],
    "4:64: servers.a.headers['Authorization']: variables are not filled in | write env:NAME, and nothing else beside it",
  ],
  [
    ["servers: {a: {url: https://a.example, headers: {X-A: ''}}}"],
    "4:54: servers.a.headers['X-A']: the value is empty | write a value, or remove the header",
  ],
  [
    [
      "servers: {a: {url: https://a.example, headers: {X-A: ' a'}}}",
      'servers: {a: {url: https://a.example, headers: {X-A: "a\\r\\nb: c"}}}',
      'servers: {a: {url: https://a.example, headers: {X-A: ä}}}',
    ],
    "4:54: servers.a.headers['X-A']: the value holds characters that a header cannot carry | use visible ASCII characters, and spaces only between them",
  ],
  [['servers: {a: {url: https://a.example, headers: {X-A: 5}}}'], "4:54: servers.a.headers['X-A'] wants text | put it in quotes"],
  [
    ['servers: {a: {url: https://a.example, headers: {X-A: b, x-a: c}}}'],
    '4:57: this header stands here twice: case makes no difference | keep one of them',
  ],
  [
    ['servers: {db-1: {command: [x]}, db-l: {command: [x]}}'],
    "4:33: this server id looks like 'db-1' | choose ids that nobody can mistake for each other",
  ],
  [
    ['servers: {foo: {command: [x]}, f0o: {command: [x]}}'],
    "4:32: this server id looks like 'foo' | choose ids that nobody can mistake for each other",
  ],
  [
    ['servers: {farm: {command: [x]}, fann: {command: [x]}, farrn: {command: [x]}}'],
    "4:55: this server id looks like 'farm' | choose ids that nobody can mistake for each other",
  ],
  [
    ['servers: {vvv: {command: [x]}, wv: {command: [x]}}'],
    "4:32: this server id looks like 'vvv' | choose ids that nobody can mistake for each other",
  ],
  [
    ['servers: {a-b: {command: [x]}, a--b: {command: [x]}}'],
    "4:32: this server id looks like 'a-b' | choose ids that nobody can mistake for each other",
  ],
  [['servers: {a: {command: [x]}, a: {command: [x]}}'], '4:30: this key stands here twice | keep one of them'],
  [['servers: {a: {command: [*x]}}'], '4:25: a star begins a value that is not quoted | put it in quotes'],
  [['servers: {a: &x {command: [x]}}'], "4:17: anchors are not accepted | write the value out, or quote it if it begins with '&'"],
  [['servers: {a: !!x {command: [x]}}'], "4:14: tags are not accepted | remove the tag, or quote a value that begins with '!'"],
  [['servers: {5: {command: [x]}}'], '4:11: this key is not text | put it in quotes'],
  [
    ['servers: {a: {command: [x]}, aliases: {<<: {command: [x]}}}'],
    '4:30: this server has neither a command nor a url | write the command that starts it, or the url where it runs',
    "4:40: there is no key '<<' in servers.aliases | known keys here: command, env, cwd, url, transport, allow_private, headers",
  ],
];

testRefused(SERVERS, BEFORE);

const SECRETS: readonly Refused[] = [
  [
    [
      'servers: {a: {url: https://u@a.example}}', 'servers: {a: {url: https://a:b@a.example/mcp}}',
      "servers: {a: {url: 'https://a.example/?sig=abcdefghijklmnopqrstuvwxyz'}}",
    ],
    "4:20: servers.a.url: the URL holds a credential | remove it; a server gets credentials by reference: headers: {Authorization: 'env:NAME'}",
  ],
  [
    ['servers: {a: {command: [x, --api-key=s3cretvalue]}}', `servers: {a: {command: [x, ${TOKEN}]}}`],
    "4:28: servers.a.command[1]: this looks like a credential | hand it over in env instead: env: {NAME: 'env:NAME'}",
  ],
  [
    ['servers: {a: {command: [x], env: {API_KEY: abc}}}'],
    "4:44: servers.a.env['API_KEY']: this looks like a credential | write 'env:NAME' or 'file:PATH' instead, so that the configuration holds no secret",
  ],
  [
    [
      `servers: {a: {command: [x], env: {A: ${TOKEN}}}}`, `servers: {a: {command: [x], env: {A: /srv/${TOKEN}.pem}}}`,
      'servers: {a: {command: [x], env: {A: "-----BEGIN PRIVATE KEY-----\\nMIIB\\n-----END PRIVATE KEY-----\\n"}}}',
    ],
    "4:38: servers.a.env['A']: this looks like a credential | write 'env:NAME' or 'file:PATH' instead, so that the configuration holds no secret",
  ],
  [
    ['servers: {a: {url: https://a.example, headers: {Authorization: abc}}}'],
    "4:64: servers.a.headers['Authorization']: this looks like a credential | write 'env:NAME' or 'file:PATH' instead, so that the configuration holds no secret",
  ],
  [
    ['servers: {a: {url: https://a.example, headers: {Cookie: a}}}'],
    "4:57: servers.a.headers['Cookie']: this looks like a credential | write 'env:NAME' or 'file:PATH' instead, so that the configuration holds no secret",
  ],
  [
    ['servers: {a: {url: https://a.example, headers: {x-api-key: a}}}'],
    "4:60: servers.a.headers.x-api-key: this looks like a credential | write 'env:NAME' or 'file:PATH' instead, so that the configuration holds no secret",
  ],
  [
    ['servers: {a: {url: https://a.example, headers: {X-Auth-Token: a}}}'],
    "4:63: servers.a.headers['X-Auth-Token']: this looks like a credential | write 'env:NAME' or 'file:PATH' instead, so that the configuration holds no secret",
  ],
  [
    ['servers: {a: {url: https://a.example, headers: {X-A: Bearer ab12cd34ef56ab12cd34ef56}}}'],
    "4:54: servers.a.headers['X-A']: this looks like a credential | write 'env:NAME' or 'file:PATH' instead, so that the configuration holds no secret",
  ],
];

testRefused(SECRETS, BEFORE, 'SECRET_IN_CONFIG');

test('a header that belongs to the connection or to the gateway is refused in any case', () => {
  const own = [
    'accept', 'accept-encoding', 'connection', 'content-encoding', 'content-length', 'content-type', 'expect', 'host', 'keep-alive', 'last-event-id',
    'mcp-method', 'mcp-name', 'mcp-param-a', 'mcp-protocol-version', 'mcp-session-id', 'proxy-authorization', 'te', 'trailer', 'transfer-encoding', 'upgrade',
  ];
  for (const name of [...own, ...own.map((one) => one.toUpperCase())]) {
    const problem = report(`${BEFORE}servers: {a: {url: https://a.example, headers: {${name}: x}}}`)?.problems[0] ?? '';
    assert.match(problem, /^4:49: .*: this header is the gateway's own \| remove it$/, name);
  }
});

test('what only resembles a credential, a reference or the headers of the gateway is accepted', () => {
  const accepted = [
    "{command: [npx, -y, '@modelcontextprotocol/server-filesystem@2026.8.31', /data]}",
    '{command: [docker, run, -i, --rm, -e, GITHUB_PERSONAL_ACCESS_TOKEN, ghcr.io/github/github-mcp-server]}',
    "{command: [uvx, mcp-server-git, --repository, '/srv/repo']}",
    "{command: [x, '', '--flag=']}",
    '{command: [x], env: {GOOGLE_APPLICATION_CREDENTIALS: /etc/gcp/key.json}}',
    '{command: [x], env: {TOKEN_LIMIT: "4096", TOKENIZER: cl100k, LOG_LEVEL: debug, EMPTY: ""}}',
    '{command: [x], env: {API_TOKEN: ""}}',
    '{command: [x], env: {PRICE: "5$", NOTE: "environment:x", WHERE: "see file:x"}}',
    '{url: https://api.example.com/mcp?tenant=blue}',
    '{url: https://a.example, headers: {X-Region: eu-west-1, Mcp-Params: x, User-Agent: "bastion (x)"}}',
  ];
  for (const server of accepted) assert.equal(report(`${BEFORE}servers: {a: ${server}}`), null, server);
});

test('no message repeats a literal that could be a secret', () => {
  const secret = 'hunter2hunter2';
  const texts = [
    `{a: {url: https://u:${secret}@a.example}}`,
    `{a: {url: https://a.example, headers: {Authorization: ${secret}}}}`,
    `{a: {command: [x, --password=${secret}], env: {DB_PASSWORD: ${secret}}}}`,
    `{a: {command: [x], env: {A: " env:${secret}", B: "\${${secret}}", C: "env:${secret}-", D: "keychain:${secret}"}}}`,
    `{a: {command: [x], env: {A: [${secret}], B: {c: ${secret}}}}}`,
    `{a: {command: [x], env: {A: ${secret}`,
    `{a: {command: [x], env: {A: 'x' ${secret}}}}`,
    `{a: {command: [x], env: {A: @${secret}}}}`,
    `{a: {command: [x], env: {A: "\\q${secret}"}}}`,
    `{a: {command: [x], env: {A: x}}} ${secret}`,
    `{a: {command: [x], env: {A: x}}}} ${secret}`,
    `\n  a: |${secret}\n  b`,
    `\n  a: |9x ${secret}\n  b`,
    `\n- x\nb: ${secret}`,
    `x\n] ${secret}`,
    `x\n%${secret} y\n--- z`,
  ];
  for (const text of texts) {
    const found = report(`${BEFORE}servers: ${text}`);
    assert.ok(found !== null, text);
    assert.ok(!found.problems.some((problem) => problem.includes('hunter2')), found.problems.join());
  }
});

test('a configuration with a secret is one error, whatever else is wrong with it', () => {
  const lines = Array.from({ length: 30 }, (_, index) => `key${index}: 1`).join('\n');
  const found = report(`${BEFORE}${lines}\nservers: {a: {url: https://a.example, headers: {Authorization: x}}}`);
  assert.equal(found?.code, 'SECRET_IN_CONFIG');
});
