// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import test from 'node:test';
import { checkServerName, serverName, splitCommand } from '../../../enclave/host/argv.ts';
import { childEnvironment } from '../../../enclave/host/environment.ts';

test('a command is split into words as a shell would, without being one', () => {
  for (const [command, words] of [
    ['npx -y @scope/server /tmp', ['npx', '-y', '@scope/server', '/tmp']],
    ["node 'a b.js' \"c d\" e\\ f", ['node', 'a b.js', 'c d', 'e f']],
    ['x "" \'\'', ['x', '', '']],
    ['x "a\\"b\\\\c\\d"', ['x', 'a"b\\c\\d']],
    ["x '|;&$*?[~'", ['x', '|;&$*?[~']],
    ['x a~b "\\$a"', ['x', 'a~b', '$a']],
    ['  x   y  ', ['x', 'y']],
  ] as const) assert.deepEqual(splitCommand(command), words);
});

test('what only a shell understands is refused', () => {
  for (const command of ['a | b', 'a; b', 'a && b', 'a > f', 'a $HOME', 'a `b`', '(a)', 'a "$HOME"', 'a "`b`"', 'a *.js', 'a ?', 'a [b]', 'a ~/b', '"open', '', '   ']) {
    assert.throws(() => splitCommand(command), { name: 'Usage', code: 'USAGE' }, command);
  }
});

test('a server is named after its package or script', () => {
  for (const [words, name] of [
    ['npx -y @modelcontextprotocol/server-filesystem /tmp', 'filesystem'],
    ['npx -y @scope/mcp-server-git@1.2.3', 'git'],
    ['npx some-mcp-server@latest', 'some-mcp-server'],
    ['node /path/to/my_server.mjs --flag', 'my-server'],
    ['uvx mcp-server-fetch', 'fetch'],
    ['/usr/bin/python3 server.py', 'server'],
    ['node /x/node_modules/@modelcontextprotocol/server-memory/dist/index.js', 'memory'],
    ['node dist/index.js', 'index'],
    ['node build/tool/main.mjs', 'tool'],
    ['node', 'node'],
    ['./日本', 'server'],
    ['npx a-name-that-is-far-longer-than-the-limit-allows', 'a-name-that-is-far-longe'],
  ] as const) assert.equal(serverName(words.split(' ')), name, words);
});

test('a name has 1 to 24 of a-z, 0-9 and -', () => {
  assert.equal(checkServerName('a-1'), 'a-1');
  for (const name of ['', 'A', 'a b', 'a/b', '..', 'a'.repeat(25)]) assert.throws(() => checkServerName(name), { code: 'USAGE' });
});

test('the environment is what programs need and what was named', () => {
  const own = { PATH: '/bin', HOME: '/h', AWS_SECRET_ACCESS_KEY: 's', TOKEN: 't', SHELL: '() { :; }' };
  assert.deepEqual(childEnvironment(own, []), { HOME: '/h', PATH: '/bin' });
  assert.deepEqual(childEnvironment(own, ['TOKEN', 'A=b=c', 'EMPTY=']), { HOME: '/h', PATH: '/bin', TOKEN: 't', A: 'b=c', EMPTY: '' });
  for (const bad of ['NOT_SET', '1A=x', '=x', 'a-b=c']) assert.throws(() => childEnvironment(own, [bad]), { code: 'USAGE' });
});
