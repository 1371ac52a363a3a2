// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import test from 'node:test';
import { checkExposure, isWildcard, parseListen } from '../../../enclave/config/listen.ts';
import type { AuthConfig } from '../../../enclave/config/types.ts';
import { Usage } from '../../../shared/errors.ts';

const READ: readonly (readonly [text: string, host: string, port: number])[] = [
  ['127.0.0.1:8080', '127.0.0.1', 8080],
  ['127.0.0.1:0', '127.0.0.1', 0],
  ['127.0.0.1:65535', '127.0.0.1', 65_535],
  ['127.1.2.3:80', '127.1.2.3', 80],
  ['localhost:8080', 'localhost', 8080],
  ['LocalHost:8080', 'localhost', 8080],
  ['gateway.Internal:443', 'gateway.internal', 443],
  ['0.0.0.0:1', '0.0.0.0', 1],
  ['[::1]:8080', '::1', 8080],
  ['[0:0:0:0:0:0:0:1]:8080', '::1', 8080],
  ['[::]:8080', '::', 8080],
  ['[0::0]:8080', '::', 8080],
  ['[2001:DB8::1]:8080', '2001:db8::1', 8080],
  ['[::ffff:127.0.0.1]:8080', '::ffff:7f00:1', 8080],
];

for (const [text, host, port] of READ) {
  test(`an address is read: ${text}`, () => {
    assert.deepEqual(parseListen(text), { ok: true, value: { host, port } });
  });
}

test('an address is never guessed', () => {
  const refused = ['', ':', '8080', ':8080', '127.0.0.1', 'localhost', '::1', '::1:80', '[::1]', '[::1]80', '[::1]:', 'a:b:80', '127.0.0.1:', '127.0.0.1:-1', '127.0.0.1:1e3'];
  const odd = [' 127.0.0.1:80', '127.0.0.1:80 ', '127.0.0.1 :80', '127.0.0.01:80', '127.1:80', '1:80', '0:80', '0x7f000001:80', 'a..b:80', '-a:80', 'a-:80', 'ä:80', '127.0.0.1:８０', '[::1%lo]:80', `${'a'.repeat(64)}:80`];
  for (const text of [...refused, ...odd]) assert.equal(parseListen(text).ok, false, text);
});

test('only the addresses that mean every interface are wildcards', () => {
  assert.deepEqual(['0.0.0.0', '::', '127.0.0.1', '::1', '10.0.0.1', 'localhost'].map(isWildcard), [true, true, false, false, false, false]);
});

const NONE: AuthConfig = { kind: 'none' };
const BEARER: AuthConfig = { kind: 'bearer', tokens: [] };
const OAUTH: AuthConfig = { kind: 'oauth', issuer: 'https://i', jwksUrl: null, audience: 'https://a', scopes: [] };

function exposure(listen: string | null, auth: AuthConfig): string | null {
  const address = listen === null ? null : parseListen(listen);
  assert.notEqual(address?.ok, false);
  try {
    checkExposure({ listen: address?.ok === true ? address.value : null, auth });
    return null;
  } catch (error) {
    assert.ok(error instanceof Usage);
    return `${error.code} ${error.message} | ${error.hint}`;
  }
}

test('without authentication only this machine may connect', () => {
  for (const listen of [null, '127.0.0.1:1', '127.9.9.9:1', 'localhost:1', '[::1]:1', '[0::1]:1']) assert.equal(exposure(listen, NONE), null, String(listen));
  for (const listen of ['0.0.0.0:1', '[::]:1', '10.0.0.1:1', '192.168.1.1:0', '[fe80::1]:1', '[::ffff:127.0.0.1]:1', 'gateway.internal:1', 'localhost.example:1', '128.0.0.1:1']) {
    assert.equal(
      exposure(listen, NONE),
      'CONFIG_INVALID without authentication the gateway listens on this machine only: others could use every server behind it | listen on 127.0.0.1, or add auth with tokens (make one: mcp-bastion token new --name NAME) or OAuth',
    );
    assert.equal(exposure(listen, BEARER), null);
    assert.equal(exposure(listen, OAUTH), null);
  }
});
