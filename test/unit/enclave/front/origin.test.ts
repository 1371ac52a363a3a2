// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { OriginOptions } from '../../../../enclave/front/origin.ts';
import { judgeOrigin, originRules } from '../../../../enclave/front/origin.ts';
import { Usage } from '../../../../shared/errors.ts';

const LOCAL: OriginOptions = { listenHost: '127.0.0.1', port: 8080, publicUrl: null, allowedHosts: [], allowedOrigins: [] };
const local = originRules(LOCAL);
const named = originRules({
  listenHost: '0.0.0.0',
  port: 8443,
  publicUrl: 'https://MCP.example.com/mcp',
  allowedHosts: ['Gateway:8443', '[2001:DB8::1]:8443'],
  allowedOrigins: ['https://App.example.com', 'vscode-webview://abc', 'http://localhost:3000'],
});

function judge(rules: typeof local, ...rawHeaders: string[]): string {
  const verdict = judgeOrigin(rules, rawHeaders);
  return verdict.kind === 'ok' ? 'ok' : verdict.code;
}

test('a loopback listener knows itself by its three names with its port, and pages of those', () => {
  for (const listenHost of ['127.0.0.1', '::1', '[::1]', 'localhost', 'LOCALHOST']) {
    const { hosts, origins } = originRules({ ...LOCAL, listenHost });
    assert.deepEqual([...hosts].toSorted(), ['127.0.0.1:8080', '[::1]:8080', 'localhost:8080'], listenHost);
    assert.deepEqual([...origins].toSorted(), ['http://127.0.0.1:8080', 'http://[::1]:8080', 'http://localhost:8080'], listenHost);
  }
});

test('a listener on another loopback address is known by that too', () => {
  assert.ok(originRules({ ...LOCAL, listenHost: '127.8.8.8' }).hosts.has('127.8.8.8:8080'));
});

test('the port may be left out where it is a default one, and in the origin it must be', () => {
  const { hosts, origins } = originRules({ ...LOCAL, port: 80 });
  assert.ok(hosts.has('localhost') && hosts.has('localhost:80'));
  assert.ok(origins.has('http://localhost') && !origins.has('http://localhost:80'));
  assert.ok(originRules({ ...LOCAL, port: 443 }).hosts.has('localhost'));
  assert.ok(!local.hosts.has('localhost'));
});

test('a listener on an address of the network is known by that address only', () => {
  assert.deepEqual([...originRules({ ...LOCAL, listenHost: '10.0.0.5' }).hosts], ['10.0.0.5:8080']);
  assert.deepEqual([...originRules({ ...LOCAL, listenHost: 'FD00::5' }).hosts], ['[fd00::5]:8080']);
});

test('a public URL adds its host, with and without a default port, and its origin', () => {
  assert.deepEqual([...named.hosts].toSorted(), ['[2001:db8::1]:8443', 'gateway:8443', 'mcp.example.com', 'mcp.example.com:443']);
  assert.ok(named.origins.has('https://mcp.example.com'));
  assert.deepEqual([...originRules({ ...LOCAL, listenHost: '::', publicUrl: 'https://a.example:8443/' }).hosts], ['a.example:8443']);
});

const hosts: readonly [string, 'ok' | 'HOST_REFUSED'][] = [
  ['localhost:8080', 'ok'],
  ['LocalHost:8080', 'ok'],
  ['127.0.0.1:8080', 'ok'],
  ['[::1]:8080', 'ok'],
  ['', 'HOST_REFUSED'],
  ['localhost', 'HOST_REFUSED'],
  ['localhost:', 'HOST_REFUSED'],
  ['localhost:80', 'HOST_REFUSED'],
  ['localhost:08080', 'HOST_REFUSED'],
  ['localhost:8080:8080', 'HOST_REFUSED'],
  ['localhost.:8080', 'HOST_REFUSED'],
  ['localhost :8080', 'HOST_REFUSED'],
  [' localhost:8080', 'HOST_REFUSED'],
  ['localhost:8080\t', 'HOST_REFUSED'],
  ['localhost:8080,localhost:8080', 'HOST_REFUSED'],
  ['user@localhost:8080', 'HOST_REFUSED'],
  ['localhost:8080/', 'HOST_REFUSED'],
  ['http://localhost:8080', 'HOST_REFUSED'],
  ['evil.example:8080', 'HOST_REFUSED'],
  ['localhost.evil.example:8080', 'HOST_REFUSED'],
  ['127.0.0.1.evil.example:8080', 'HOST_REFUSED'],
  ['127.1:8080', 'HOST_REFUSED'],
  ['2130706433:8080', 'HOST_REFUSED'],
  ['0x7f.0.0.1:8080', 'HOST_REFUSED'],
  ['0.0.0.0:8080', 'HOST_REFUSED'],
  ['::1:8080', 'HOST_REFUSED'],
  ['[::1%25eth0]:8080', 'HOST_REFUSED'],
  ['[::ffff:127.0.0.1]:8080', 'HOST_REFUSED'],
  ['loc\u0131lhost:8080', 'HOST_REFUSED'],
  ['loca\u217chost:8080', 'HOST_REFUSED'],
];

for (const [host, expected] of hosts) {
  test(`the Host ${JSON.stringify(host)} gives ${expected}`, () => assert.equal(judge(local, 'Host', host), expected));
}

test('a Host that is missing or sent twice is refused, however its name is written', () => {
  assert.equal(judge(local), 'HOST_REFUSED');
  assert.equal(judge(local, 'X-Forwarded-Host', 'localhost:8080'), 'HOST_REFUSED');
  assert.equal(judge(local, 'host', 'localhost:8080', 'HOST', 'localhost:8080'), 'HOST_REFUSED');
  assert.equal(judge(local, 'Host', 'localhost:8080', 'X-Forwarded-Host', 'evil.example'), 'ok');
});

const origins: readonly [string, 'ok' | 'ORIGIN_REFUSED'][] = [
  ['http://localhost:8080', 'ok'],
  ['HTTP://LocalHost:8080', 'ok'],
  ['http://[::1]:8080', 'ok'],
  ['', 'ORIGIN_REFUSED'],
  ['null', 'ORIGIN_REFUSED'],
  ['*', 'ORIGIN_REFUSED'],
  ['https://localhost:8080', 'ORIGIN_REFUSED'],
  ['http://localhost', 'ORIGIN_REFUSED'],
  ['http://localhost:3000', 'ORIGIN_REFUSED'],
  ['http://localhost:8080/', 'ORIGIN_REFUSED'],
  ['http://localhost.:8080', 'ORIGIN_REFUSED'],
  ['http://user@localhost:8080', 'ORIGIN_REFUSED'],
  ['http://localhost:8080@evil.example', 'ORIGIN_REFUSED'],
  ['http://localhost:8080 http://evil.example', 'ORIGIN_REFUSED'],
  ['http://localhost:8080, http://localhost:8080', 'ORIGIN_REFUSED'],
  [' http://localhost:8080', 'ORIGIN_REFUSED'],
  ['localhost:8080', 'ORIGIN_REFUSED'],
  ['file://', 'ORIGIN_REFUSED'],
  ['http://evil.example', 'ORIGIN_REFUSED'],
  ['http://localhost.evil.example:8080', 'ORIGIN_REFUSED'],
];

for (const [origin, expected] of origins) {
  test(`the Origin ${JSON.stringify(origin)} gives ${expected}`, () => assert.equal(judge(local, 'Host', 'localhost:8080', 'Origin', origin), expected));
}

test('a missing Origin is fine, a second one is refused even if both are allowed', () => {
  assert.equal(judge(local, 'Host', 'localhost:8080'), 'ok');
  assert.equal(judge(local, 'Host', 'localhost:8080', 'Origin', 'http://localhost:8080', 'origin', 'http://localhost:8080'), 'ORIGIN_REFUSED');
});

test('an allowed Origin makes no Host allowed, nor the other way round', () => {
  assert.equal(judge(local, 'Host', 'evil.example', 'Origin', 'http://localhost:8080'), 'HOST_REFUSED');
  assert.equal(judge(named, 'Host', 'app.example.com', 'Origin', 'https://app.example.com'), 'HOST_REFUSED');
  assert.equal(judge(named, 'Host', 'gateway:8443', 'Origin', 'https://gateway:8443'), 'ORIGIN_REFUSED');
});

test('origins that are listed are allowed as browsers send them, schemes of applications too', () => {
  for (const origin of ['https://app.example.com', 'vscode-webview://abc', 'http://localhost:3000', 'https://mcp.example.com']) {
    assert.equal(judge(named, 'Host', 'mcp.example.com', 'Origin', origin), 'ok', origin);
  }
  assert.equal(judge(named, 'Host', 'mcp.example.com', 'Origin', 'http://mcp.example.com'), 'ORIGIN_REFUSED');
});

test('what is no host, origin or public URL is refused at the start', () => {
  const bad: readonly Partial<OriginOptions>[] = [
    { allowedHosts: ['http://a'] },
    { allowedHosts: ['a/b'] },
    { allowedHosts: ['*.example.com'] },
    { allowedHosts: ['a.'] },
    { allowedHosts: [''] },
    { allowedOrigins: ['null'] },
    { allowedOrigins: ['*'] },
    { allowedOrigins: ['https://a/'] },
    { allowedOrigins: ['a.example'] },
    { allowedOrigins: ['https://a:443'] },
    { allowedOrigins: ['http://a:80'] },
    { publicUrl: 'mcp.example.com' },
    { publicUrl: 'ftp://mcp.example.com' },
    { publicUrl: 'https://mcp.example.com./' },
    { publicUrl: 'https://user@mcp.example.com/' },
    { listenHost: '0.0.0.0' },
    { listenHost: '::' },
    { listenHost: '' },
  ];
  for (const options of bad) assert.throws(() => originRules({ ...LOCAL, ...options }), Usage, JSON.stringify(options));
});

test('nothing but the listed spellings is let in, whatever the bytes', () => {
  const byte = fc.string({ unit: fc.constantFrom(...Array.from('localhst127.[]:8080/@ \tx%-')), maxLength: 20 });
  fc.assert(
    fc.property(byte, (host) => {
      assert.equal(judge(local, 'Host', host) === 'ok', local.hosts.has(host.toLowerCase()));
    }),
    { numRuns: 500, examples: [['localhost:8080'], ['[::1]:8080']] },
  );
});

test('letters that only become those of a listed name in lower case are refused', () => {
  const kiosk = originRules({ ...LOCAL, allowedHosts: ['kiosk'], allowedOrigins: ['https://kiosk'] });
  assert.equal(judge(kiosk, 'Host', 'Kiosk', 'Origin', 'https://KIOSK'), 'ok');
  assert.equal(judge(kiosk, 'Host', '\u212aiosk'), 'HOST_REFUSED');
  assert.equal(judge(kiosk, 'Host', 'kiosk', 'Origin', 'https://\u212aiosk'), 'ORIGIN_REFUSED');
});

test('a refusal repeats nothing of the request', () => {
  const verdict = judgeOrigin(local, ['Host', 'localhost:8080', 'Origin', 'https://secret.example']);
  assert.doesNotMatch(JSON.stringify(verdict), /secret/);
});
