// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { parseAndCompile } from '../../../enclave/policy/compile.ts';
import type { Policy } from '../../../enclave/policy/types.ts';
import type { JsonValue } from '../../../shared/json/value.ts';
import { jsonObject } from '../../../shared/json/value.ts';

function policy(...lines: readonly string[]): Policy {
  return parseAndCompile(new TextEncoder().encode(['version: 1', ...lines, ''].join('\n')), 'policy.yaml');
}

function kind(loaded: Policy, value: JsonValue): string {
  return loaded.decideTool({ server: 'fs', tool: 'read', soleServer: true, principal: 'local', args: jsonObject({ at: value }) }).kind;
}

const deny = (condition: string): Policy => policy(`rules: [{ action: deny, when: [{ arg: at, ${condition} }] }]`);
const allow = (condition: string): Policy => policy('default: deny', `rules: [{ action: allow, when: [{ arg: at, ${condition} }] }]`);

/** Spellings of a path in /etc, or of one that some server would take for such a path. */
const PATHS: readonly JsonValue[] = [
  '/etc',
  '/etc/',
  '/etc/passwd',
  '//etc/passwd',
  '///etc///passwd',
  '/./etc/passwd',
  '/etc/./passwd',
  '/srv/../etc/passwd',
  '/srv/data/../../etc/passwd',
  '/srv/data/../../../../../etc/passwd',
  '/etc/x/../passwd',
  '/srv/./../etc',
  '../../etc/passwd',
  '../../../../../../etc/passwd',
  'etc/passwd',
  './etc/passwd',
  'a/../../etc/passwd',
  '/ETC/passwd',
  '/Etc/Passwd',
  '/eTC',
  '\\etc\\passwd',
  '/srv\\..\\etc\\passwd',
  '..\\..\\etc\\passwd',
  'C:\\etc\\passwd',
  'c:/etc/passwd',
  '\\\\?\\C:\\etc\\passwd',
  '\\\\.\\C:\\etc\\passwd',
  '//./C:/etc/passwd',
  '\\\\host\\c$\\etc\\passwd',
  '/etc./passwd',
  '/etc /passwd',
  '/etc.../passwd',
  '/etc::$INDEX_ALLOCATION/passwd',
  '/srv/.. /etc/passwd',
  '/srv/..;/etc/passwd',
  '/etc;a=b/passwd',
  '%2fetc%2fpasswd',
  '/%65tc/passwd',
  '/srv/%2e%2e/etc/passwd',
  '/srv/%2e%2e%2fetc/passwd',
  '%252fetc%252fpasswd',
  '%25252fetc',
  '/srv/..%c0%afetc/passwd',
  '/srv/%c0%ae%c0%ae/etc/passwd',
  '%u002fetc%u002fpasswd',
  '\\u002fetc\\u002fpasswd',
  '\\x2fetc/passwd',
  '&#47;etc&#x2f;passwd',
  '/etc\u0000/passwd',
  '/etc/passwd\u0000.png',
  '/srv/\u0000../../etc/passwd',
  '/e\u200btc/passwd',
  '/etc\u00ad/passwd',
  '\ufeff/etc/passwd',
  '/e\ntc/passwd',
  '/etc\t/passwd',
  ' /etc/passwd',
  '/etc/passwd ',
  '"/etc/passwd"',
  "'/etc/passwd'",
  '`/etc/passwd`',
  '\uff0fetc\uff0fpasswd',
  '/\uff45\uff54\uff43/passwd',
  '/\u212ftc/passwd',
  '\u2215etc\u2215passwd',
  '\u2044etc\u2044passwd',
  '/srv/\u2025/etc/passwd',
  '/srv/\uff0e\uff0e/etc',
  '/srv/\u2024\u2024/etc',
  '\u00a5etc\u00a5passwd',
  'file:///etc/passwd',
  'file:/etc/passwd',
  'file://localhost/etc/passwd',
  'FILE:///etc/passwd',
  'file:////etc/passwd',
  'file:\\\\\\etc\\passwd',
  'file:///etc/passwd?x#y',
  'file:///srv/%2e%2e/etc/passwd',
  'file:///C:/etc/passwd',
  'url:file:///etc/passwd',
  'vscode-remote://host/etc/passwd',
  'netdoc:///etc/passwd',
  'jar:file:///etc/x.jar!/a',
  '/proc/self/root/etc/passwd',
  '/proc/1/root/etc/passwd',
  '/proc/thread-self/root/etc',
  '/proc/self/task/12/root/etc/passwd',
  '/proc/self/root/../etc/passwd',
  '/proc/self/root/srv/../etc/passwd',
  '/proc/self/root/proc/self/root/etc',
  '../../proc/self/root/etc/passwd',
  '/proc/self/cwd/../../etc/passwd',
  '/srv/../proc//self/./root/etc',
  '/proc/self/fd/3',
  '/dev/fd/7/passwd',
  '~/x',
  '~root/x',
  '/srv/~/../../etc',
  '$HOME/x',
  '${PWD}/x',
  '/srv/$X/passwd',
  '%USERPROFILE%\\x',
  '/e*/passwd',
  '/et?/passwd',
  '/e[st]c/passwd',
  '/{srv,etc}/passwd',
  '/*/passwd',
  '/srv/*/../../etc/passwd',
  '....//....//etc/passwd',
  '/srv/..././..././etc/passwd',
  '/srv/a,/etc/passwd',
  '/srv/a /etc/passwd',
  '/srv/a;/etc/passwd',
  'cat /etc/passwd',
  '/srv/a\n/etc/passwd',
  ['/etc/passwd'],
  ['/srv/a', '/etc/passwd'],
  { path: '/etc/passwd' },
  [[{ x: ['/etc'] }]],
  '["/etc/passwd"]',
  '{"path":"\\u002fetc/passwd"}',
  `/srv/${'./'.repeat(9000)}../etc/passwd`,
  `%${'25'.repeat(60)}2fetc`,
  `/srv${'/a b'.repeat(64)}/etc`,
];

/** Paths that are in /srv/data under the plainest reading, and those in which some server could see another place. */
const NOT_PLAIN: readonly JsonValue[] = [
  ...PATHS,
  '/srv/data/../data/a',
  '/srv/data/./a',
  '/srv/data//a',
  '//srv/data/a',
  '/srv/data\\a',
  '/srv/data/..',
  '/srv/data/../other',
  '/srv/database/a',
  '/srv/data2',
  '/SRV/data/a',
  '/srv/Data/a',
  'srv/data/a',
  './srv/data/a',
  '../srv/data/a',
  '/srv/data/%2e%2e/x',
  '/srv/data/a%00',
  '/srv/data/a\u0000',
  '/srv/data/a\n',
  '/srv/data/ a',
  '/srv/data/a ',
  '/srv/data/a.',
  '/srv/data./a',
  '/srv/data/a:b',
  '/srv/data/a;b',
  '/srv/data/$HOME/x',
  '/srv/data/`id`',
  '/srv/data/*.txt',
  '/srv/data/{a,b}',
  '/srv/data/[ab]',
  '/srv/data/a|b',
  '/srv/data/a /etc/passwd',
  '/srv/data/a,/etc/passwd',
  '/srv/data/a ../../x',
  '/srv/data/a ~/x',
  '/srv/data/a --config=/etc',
  '/srv/data/\uff41',
  '/srv/data/e\u0301',
  '/srv/data/a\u202eb',
  '/srv/data/a\u2215b',
  'file:///srv/data/a',
  '~/srv/data/a',
  '"/srv/data/a"',
  '-/srv/data/a',
  '',
  ' ',
  '.',
  '/',
  ['/srv/data/a'],
  { path: '/srv/data/a' },
  5,
  true,
  null,
  `/srv/data/${'a'.repeat(20_000)}`,
];

/** Spellings of a URL to internal.example or 169.254.169.254. */
const URLS: readonly JsonValue[] = [
  'http://internal.example/',
  'https://internal.example',
  'http://INTERNAL.example/',
  'http://Internal.Example:8080/x?y#z',
  'http://internal.example./',
  'http://internal.example../',
  'http://user@internal.example/',
  'http://user:pass@internal.example/',
  'http://good.example@internal.example/',
  'http://good.example:80@internal.example/',
  'http://internal.example@good.example/',
  'http://good.example#@internal.example/',
  'http://good.example?@internal.example/',
  'http://good.example\\@internal.example/',
  'http://internal.example\\@good.example/',
  'http://good.example&@internal.example/',
  'http://a@b@internal.example/',
  'http:internal.example/',
  'http:/internal.example/',
  'http:///internal.example/',
  'http:////internal.example/',
  'http:\\\\internal.example\\x',
  '//internal.example/x',
  '\\\\internal.example\\x',
  'internal.example',
  'internal.example/x',
  'internal.example:80',
  'HTTP://internal.example/',
  'hTTps://internal.example/',
  ' http://internal.example/',
  'http://internal.example /',
  '\thttp://internal.example/',
  'ht\ntp://internal.example/',
  'http://inter\nnal.example/',
  'http://inter\tnal.example/',
  'http://internal.exam\rple/',
  'http://inter\u00adnal.example/',
  'http://inter\u200bnal.example/',
  'http://\uff49nternal.example/',
  'http://internal\u3002example/',
  'http://internal\uff0eexample/',
  'http://internal\uff61example/',
  'http://\u24d8nternal.example/',
  'http://%69nternal.example/',
  'http://%2569nternal.example/',
  'http%3a%2f%2finternal.example%2f',
  'http://internal%2eexample/',
  '"http://internal.example/"',
  '<http://internal.example/>',
  'url:http://internal.example/',
  'ftp://internal.example/',
  'gopher://internal.example:70/_x',
  'custom-scheme://internal.example/x',
  'javascript://internal.example/%0aalert(1)',
  '\\u0068ttp://internal.example/',
  'http\\u003a//internal.example/',
  'http:&#47;&#x2f;internal.example/',
  ['http://internal.example/'],
  { url: 'http://internal.example/' },
  '["http://internal.example/"]',
  'http://169.254.169.254/latest/meta-data/',
  'http://2852039166/',
  'http://0xa9fea9fe/',
  'http://0xA9.0xFE.0xA9.0xFE/',
  'http://0251.0376.0251.0376/',
  'http://025177524776/',
  'http://169.254.43518/',
  'http://169.16689662/',
  'http://169.254.0xa9fe/',
  'http://169.254.169.254./',
  'http://0xa9fea9fe./',
  'http://425.510.425.510/',
  'http://0169.0254.0169.0254/',
  'http://[::ffff:169.254.169.254]/',
  'http://[::ffff:a9fe:a9fe]/',
  'http://[0:0:0:0:0:ffff:a9fe:a9fe]/',
  'http://[::ffff:0:a9fe:a9fe]/',
  'http://[::a9fe:a9fe]/',
  'http://[64:ff9b::a9fe:a9fe]/',
  'http://[64:ff9b:1::169.254.169.254]/',
  'http://[2002:a9fe:a9fe::]/',
  'http://[2001:0:0:0:0:0:5601:5601]/',
  'http://[fe80::5efe:a9fe:a9fe]/',
  'http://\u2460\u2465\u2468.254.169.254/',
  'http://\uff11\uff16\uff19.254.169.254/',
  'http://169\u3002254\u3002169\u3002254/',
  'http://169.254.169.254:80@good.example/',
  '::ffff:169.254.169.254',
  '169.254.169.254',
  'http://good.example,internal.example/',
  `http://%${'25'.repeat(60)}69nternal.example/`,
  `http://good.example/${'x'.repeat(20_000)}`,
];

/** URLs that do not lead to good.example beyond doubt. */
const NOT_GOOD: readonly JsonValue[] = [
  ...URLS.filter((url) => url !== `http://good.example/${'x'.repeat(20_000)}`),
  'good.example',
  '//good.example/',
  'http:good.example',
  'http:/good.example',
  'http:///good.example',
  'HTTP://good.example/',
  'http://GOOD.example/',
  'http://good.example./',
  'http://good.example@evil.example/',
  'http://evil.example@good.example/',
  'http://user@good.example/',
  'http://good.example:80@evil.example/',
  'http://good.example:080/',
  'http://good.example:0/',
  'http://good.example:99999/',
  'http://good.example:/',
  'http://good.example\\@evil.example/',
  'http://good.example\\.evil.example/',
  'http://good.example/\\evil.example',
  'http://good.example#@evil.example/',
  'http://good.example?@evil.example/',
  'http://good.example%2eevil.example/',
  'http://good.example%00.evil.example/',
  'http://good.example .evil.example/',
  'http://good.example\n.evil.example/',
  'http://good.example/a b',
  'http://good.example/\u200b',
  'http://\uff47ood.example/',
  'http://g\u043eod.example/',
  'http://evilgood.example/',
  'http://good.example.evil.example/',
  'http://sub.good.example/',
  'http://go_od.example/',
  ' http://good.example/',
  'http://good.example/ ',
  'http://[::ffff:1.2.3.4]/',
  ['http://good.example/'],
  { url: 'http://good.example/' },
  1,
  null,
  '',
];

test('the tables hold at least sixty spellings each', () => {
  for (const table of [PATHS, NOT_PLAIN, URLS, NOT_GOOD]) assert.ok(table.length >= 60, String(table.length));
});

test('a rule that denies a folder catches every spelling of a path in it', () => {
  const loaded = deny('path_in: /etc');
  for (const path of PATHS) assert.equal(kind(loaded, path), 'deny', JSON.stringify(path).slice(0, 80));
});

test('a rule that denies a folder lets paths elsewhere pass', () => {
  const loaded = deny('path_in: /etc');
  for (const path of ['/srv/data/a.txt', '/', '/etcetera', '/srv/etc', 'notes.txt', 'src/**/*.ts', './a/b', '../c', 'My Documents/x', '/home/a/etc/x', 'C:\\Users\\a', 'https://example.com/x', '/srv/a*', '', '/srv/e\u0301t\u00e9', '/proc/cpuinfo', 5, true, null, []]) {
    assert.equal(kind(loaded, path), 'allow', JSON.stringify(path));
  }
});

test('a rule that denies a text as a path would be spelled catches it as one', () => {
  const globs = deny("glob: '/etc/*'");
  const regex = deny("regex: '^/etc/'");
  const equals = deny('equals: /etc/passwd');
  for (const path of ['/etc/passwd', '/srv/../etc/passwd', '/ETC/passwd', '//etc//passwd', '\\etc\\passwd', '%2fetc%2fpasswd', 'file:///etc/passwd', '/etc/x/../passwd', '/proc/self/root/etc/passwd', '\uff0fetc/passwd', '/e\u200btc/passwd', ['/etc/passwd']]) {
    for (const loaded of [globs, regex, equals]) assert.equal(kind(loaded, path), 'deny', JSON.stringify(path));
  }
});

test('a rule that allows a folder trusts plain paths in it only', () => {
  const loaded = allow('path_in: /srv/data');
  for (const path of ['/srv/data', '/srv/data/', '/srv/data/a', '/srv/data/a/b.c', '/srv/data/My Documents/x', '/srv/data/\u00e9t\u00e9', '/srv/data/.hidden', '/srv/data/a,b', '/srv/data/a=b+c@d']) {
    assert.equal(kind(loaded, path), 'allow', path);
  }
  for (const path of NOT_PLAIN) assert.equal(kind(loaded, path), 'deny', JSON.stringify(path).slice(0, 80));
});

test('a rule that denies hosts catches every spelling of a URL to them', () => {
  const loaded = deny('host: [internal.example, 169.254.169.254]');
  for (const url of URLS) assert.equal(kind(loaded, url), 'deny', JSON.stringify(url).slice(0, 80));
});

test('a rule that denies hosts lets other URLs pass', () => {
  const loaded = deny("host: [internal.example, 169.254.169.254, '*.corp.example']");
  for (const url of ['https://good.example/', 'http://internal.example.com/', 'https://example/internal.example', 'https://corp.example/', 'http://[2606:4700::1111]/', 'http://1.1.1.1/', 'https://good.example/?next=%2Fhome', 'good.example', 'mailto:a@good.example', '', 7, null]) {
    assert.equal(kind(loaded, url), 'allow', JSON.stringify(url));
  }
  for (const url of ['https://a.corp.example/', 'https://A.B.CORP.example', 'http://x@a.corp.example:1/']) assert.equal(kind(loaded, url), 'deny', url);
});

test('a rule that allows a host trusts plain URLs to it only', () => {
  const loaded = allow('host: good.example');
  for (const url of ['http://good.example', 'https://good.example/', 'https://good.example:8443/a/b?c=d#e', 'https://good.example/@user', 'https://good.example?x=1', 'https://good.example/a%20b']) assert.equal(kind(loaded, url), 'allow', url);
  for (const url of NOT_GOOD) assert.equal(kind(loaded, url), 'deny', JSON.stringify(url).slice(0, 80));
});

test('an address is allowed in its usual form only', () => {
  const loaded = allow("host: [169.254.169.254, '[::1]']");
  for (const url of ['http://169.254.169.254/', 'http://[::1]:80/']) assert.equal(kind(loaded, url), 'allow', url);
  for (const url of ['http://2852039166/', 'http://0xa9fea9fe/', 'http://169.254.43518/', 'http://0251.0376.0251.0376/', 'http://[0:0:0:0:0:0:0:1]/', 'http://[::ffff:169.254.169.254]/', 'http://[::ffff:a9fe:a9fe]/']) assert.equal(kind(loaded, url), 'deny', url);
});

test('schemes and ports are read as hosts are', () => {
  const schemes = deny('scheme: [http, file]');
  for (const url of ['http://a', 'HTTP://a', ' http://a', 'ht\ntp://a', 'http%3a//a', 'file:/a', 'url:file:///a', 'a.example', '//a.example', '\uff48ttp://a']) assert.equal(kind(schemes, url), 'deny', url);
  for (const url of ['https://a', 'ftp://a']) assert.equal(kind(schemes, url), 'allow', url);
  const ports = deny('port: [22, 80]');
  for (const url of ['http://a:22', 'ssh://a:0022', 'http://a', 'a:22', 'ws://a', 'http://b:1@a:22/', 'http://a:\uff12\uff12/', 'a.example']) assert.equal(kind(ports, url), 'deny', url);
  for (const url of ['https://a', 'http://a:8080x', 'https://a:443']) assert.equal(kind(ports, url), url === 'http://a:8080x' ? 'deny' : 'allow', url);
  const https = policy('default: deny', 'rules: [{ action: allow, when: [{ arg: at, scheme: https }, { arg: at, port: 443 }, { arg: at, host: good.example }] }]');
  for (const url of ['https://good.example/', 'https://good.example:443/x']) assert.equal(kind(https, url), 'allow', url);
  for (const url of ['http://good.example:443/', 'https://good.example:8443/', 'HTTPS://good.example/', 'good.example:443']) assert.equal(kind(https, url), 'deny', url);
});

/** Ways to spell a text so that some server reads the same. */
const DISGUISES: readonly ((text: string) => string)[] = [
  (text) => text.toUpperCase(),
  (text) => `${text} `,
  (text) => ` ${text}`,
  (text) => text.replaceAll('/', '//'),
  (text) => text.replaceAll('/', '/./'),
  (text) => text.replaceAll('/', '\\'),
  (text) => text.replaceAll('/', '\uff0f'),
  (text) => text.replaceAll('/', '%2f'),
  (text) => text.replaceAll('/', '/x/../'),
  (text) => text.replace(/[a-z]/, (char) => `%${char.charCodeAt(0).toString(16)}`),
  (text) => text.replace(/[a-z]/, (char) => String.fromCodePoint(char.charCodeAt(0) - 0x61 + 0xff41)),
  (text) => text.replace(/[a-z]/, (char) => `${char}\u200d`),
  (text) => `/srv/..${text}`,
  (text) => `/proc/self/root${text}`,
  (text) => `${text}\u0000`,
];
const WRAPPINGS: readonly ((text: string) => string)[] = [(text) => text, (text) => `file://${text}`, (text) => `"${text}"`, (text) => ` '${text}'`, (text) => JSON.stringify([text])];

test('no few disguises on top of one another get a path past a rule that denies, or into one that allows', () => {
  const [denies, allows] = [deny('path_in: /etc/ssl'), allow('path_in: /srv')];
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...DISGUISES), { minLength: 1, maxLength: 3 }), fc.constantFrom(...WRAPPINGS), (disguises, wrap) => {
      const path = wrap(disguises.reduce((text, disguise) => disguise(text), '/etc/ssl/key'));
      assert.equal(kind(denies, path), 'deny', JSON.stringify(path));
      assert.equal(kind(allows, path), 'deny', JSON.stringify(path));
    }),
    { numRuns: 400 },
  );
});

test('what is allowed by a folder, a host or a text is not denied by the same one, whatever the text', () => {
  const piece = fc.constantFrom('/', 'a', 'srv', '..', '.', '%2f', '\\', ':', '@', '#', '?', ' ', '\u0000', 'good.example', 'http://', 'file:', '~', '\uff0f', '%', '[', '1', '\ud800');
  for (const condition of ['path_in: /srv', 'host: good.example', "glob: '*srv*'", "regex: '.*a.*'", 'equals: a', 'scheme: http', 'port: 80', 'range: { min: 1 }', 'length: { max: 3 }', 'type: string']) {
    const [denies, allows] = [deny(condition), allow(condition)];
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const value = pieces.join('');
        if (kind(allows, value) === 'allow') assert.equal(kind(denies, value), 'deny', `${condition} ${JSON.stringify(value)}`);
      }),
      { numRuns: 150 },
    );
  }
});
