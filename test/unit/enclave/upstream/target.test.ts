// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { checkUpstreamUrl, sameOriginTarget } from '../../../../enclave/upstream/target.ts';

const usual = { allowPrivate: false };
const inside = { allowPrivate: true };

function problem(text: string, options = inside): string {
  const verdict = checkUpstreamUrl(text, options);
  assert.equal(verdict.kind, 'refused', text);
  assert.notEqual(verdict.hint, '', text);
  return verdict.problem;
}

const accepted: readonly [string, boolean][] = [
  ['https://example.com/mcp', false],
  ['https://example.com', false],
  ['https://example.com/', false],
  ['HTTPS://EXAMPLE.com/mcp', false],
  ['https://example.com:8443/mcp?key=a%20b&c=//d', false],
  ['https://example.com:443/mcp', false],
  ['https://xn--bcher-kva.example/a/b/', false],
  ['https://8.8.8.8/mcp', false],
  ['https://[2606:4700::1111]:8443/mcp', false],
  ['https://example.com/.well-known/..a/...', false],
  ['https://example.com/a%20b/%E2%82%AC', false],
  ['http://localhost:3000/mcp', true],
  ['http://LocalHost/mcp', true],
  ['http://app.localhost/mcp', true],
  ['https://localhost/mcp', true],
  ['http://127.0.0.1:80/mcp', true],
  ['http://[::1]:3000/mcp', true],
  ['http://10.0.0.1/mcp', true],
  ['http://100.64.0.1/mcp', true],
  ['http://[fd12::1]/mcp', true],
  ['http://mcp-server:3000/mcp', true],
  ['http://mcp_server:3000/mcp', true],
  ['http://mcp.default.svc.cluster.local/mcp', true],
  ['http://mcp.internal/mcp', true],
];

for (const [text, allowPrivate] of accepted) {
  test(`${text} is accepted ${allowPrivate ? 'where private networks are' : 'anywhere'}`, () => {
    const verdict = checkUpstreamUrl(text, { allowPrivate });
    assert.equal(verdict.kind, 'ok');
    assert.equal(verdict.url.href, new URL(text).href);
    if (allowPrivate) assert.equal(checkUpstreamUrl(text, usual).kind, 'refused');
    else assert.equal(checkUpstreamUrl(text, inside).kind, 'ok');
  });
}

/** Each is refused even where private networks are allowed. */
const refused: readonly [string, RegExp][] = [
  // Schemes and text.
  ['', /neither http nor https/],
  ['example.com/mcp', /neither http nor https/],
  ['ftp://example.com/', /neither http nor https/],
  ['file:///etc/passwd', /neither http nor https/],
  ['ws://example.com/', /neither http nor https/],
  ['javascript://example.com/', /neither http nor https/],
  ['https:example.com/', /neither http nor https/],
  ['https:/example.com/', /neither http nor https/],
  ['https:///example.com/', /has no host/],
  ['https://', /has no host/],
  [' https://example.com/', /a space, a control character/],
  ['https://example.com/ ', /a space, a control character/],
  ['https://exa\tmple.com/', /a space, a control character/],
  ['https://example.com/a\nb', /a space, a control character/],
  ['https://example.com/\u0000', /a space, a control character/],
  ['https://example.com/?a=\u007f', /a space, a control character/],
  ['https://bücher.example/', /outside ASCII/],
  ['https://ⓔxample.com/', /outside ASCII/],
  ['https://127。0。0。1/', /outside ASCII/],
  ['https://example.com\\@evil.example/', /a backslash/],
  ['https:\\\\example.com/', /a backslash/],
  ['https://example.com/mcp#', /a fragment/],
  ['https://example.com/mcp#a', /a fragment/],
  [`https://example.com/${'a'.repeat(4096)}`, /longer than 4096/],
  // Authority.
  ['https://user@example.com/', /user name or password/],
  ['https://user:pass@example.com/', /user name or password/],
  ['https://@example.com/', /user name or password/],
  ['https://example.com:pass@evil.example/', /user name or password/],
  ['https://%65xample.com/', /the host of the URL holds '%'/],
  ['https://[::1%25eth0]/', /the host of the URL holds '%'/],
  ['https://[::1%lo]/', /the host of the URL holds '%'/],
  ['https://127.0.0.1%2f@example.com/', /user name or password/],
  ['https://example.com:/', /canonical form/],
  ['https://example.com:0443/', /canonical form/],
  ['https://example.com:00080/', /canonical form/],
  ['https://example.com:99999/', /no valid host/],
  ['https://example.com:8080a/', /no valid host/],
  ['https://exa mple.com/', /a space/],
  ['https://example.com./', /not a valid name/],
  ['https://localhost./', /not a valid name/],
  ['https://example..com/', /not a valid name/],
  ['https://.example.com/', /not a valid name/],
  ["https://exa'mple.com/", /not a valid name/],
  ['https://exa$mple.com/', /not a valid name/],
  [`https://${'a'.repeat(64)}.com/`, /not a valid name/],
  [`https://${'a.'.repeat(127)}com/`, /not a valid name/],
  ['https://[::1/', /no valid host/],
  ['https://::1/', /no valid host/],
  // Addresses in other forms than their own.
  ['http://2130706433/', /canonical form/],
  ['http://0x7f000001/', /canonical form/],
  ['http://0x7f.1/', /canonical form/],
  ['http://0177.0.0.1/', /canonical form/],
  ['http://017700000001/', /canonical form/],
  ['http://127.1/', /canonical form/],
  ['http://127.0.0.1./', /canonical form/],
  ['http://0/', /canonical form/],
  ['https://8.8.2056/', /canonical form/],
  ['https://256.1.1.1/', /no valid host/],
  ['https://1.2.3.4.5/', /no valid host/],
  ['https://08.8.8.8/', /no valid host/],
  ['http://[0:0:0:0:0:0:0:1]/', /canonical form/],
  ['http://[::ffff:127.0.0.1]/', /canonical form/],
  ['http://[::0001]/', /canonical form/],
  // Addresses that are never right.
  ['https://0.0.0.0/', /an? unspecified address/],
  ['https://[::]/', /an? unspecified address/],
  ['http://169.254.169.254/latest/meta-data/', /a metadata address/],
  ['https://100.100.100.200/', /a metadata address/],
  ['https://[fd00:ec2::254]/', /a metadata address/],
  ['https://[::ffff:a9fe:a9fe]/', /a metadata address/],
  ['https://[64:ff9b::a9fe:a9fe]/', /a metadata address/],
  ['https://[2002:a9fe:a9fe::1]/', /a metadata address/],
  ['https://169.254.1.1/', /a link-local address/],
  ['https://[fe80::1]/', /a link-local address/],
  ['https://224.0.0.1/', /a multicast address/],
  ['https://[ff02::1]/', /a multicast address/],
  ['https://255.255.255.255/', /a reserved address/],
  ['https://192.0.2.1/', /a reserved address/],
  ['https://[2001:db8::1]/', /a reserved address/],
  ['https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/', /a reserved address/],
  // In the clear.
  ['http://example.com/mcp', /in the clear/],
  ['http://8.8.8.8/mcp', /in the clear/],
  ['http://[2606:4700::1111]/mcp', /in the clear/],
  ['http://localhost.example.com/mcp', /in the clear/],
  // Paths.
  ['https://example.com//mcp', /an empty segment/],
  ['https://example.com/a//b', /an empty segment/],
  ['https://example.com/a//', /an empty segment/],
  ['https://example.com/./mcp', /a dot segment/],
  ['https://example.com/a/..', /a dot segment/],
  ['https://example.com/a/../b', /a dot segment/],
  ['https://example.com/..', /a dot segment/],
  ['https://example.com/..;/b', /a dot segment/],
  ['https://example.com/a/.;x=1/b', /a dot segment/],
  ['https://example.com/%2e/b', /escapes a dot/],
  ['https://example.com/%2E%2E/b', /escapes a dot/],
  ['https://example.com/.%2e/b', /escapes a dot/],
  ['https://example.com/a%2fb', /escapes a dot, a slash/],
  ['https://example.com/a%2Fb', /escapes a dot, a slash/],
  ['https://example.com/a%5cb', /escapes a dot, a slash/],
  ['https://example.com/a%5Cb', /escapes a dot, a slash/],
  ['https://example.com/a%00b', /control character/],
  ['https://example.com/a%0d%0ab', /control character/],
  ['https://example.com/a%7f', /control character/],
  ['https://example.com/%252e%252e/b', /escapes a dot/],
  ['https://example.com/%25252Fb', /escapes a dot/],
  ['https://example.com/a%', /escapes nothing/],
  ['https://example.com/a%2', /escapes nothing/],
  ['https://example.com/a%zz', /escapes nothing/],
];

for (const [text, expected] of refused) {
  test(`${JSON.stringify(text.slice(0, 60))} is refused`, () => {
    assert.match(problem(text), expected);
    assert.equal(checkUpstreamUrl(text, usual).kind, 'refused');
  });
}

test('a host inside is refused with a hint how to allow it, one that is never right without', () => {
  for (const text of ['https://localhost/', 'https://a.localhost/', 'https://127.0.0.1/', 'https://10.0.0.1/', 'https://100.64.0.1/', 'https://[fc00::1]/', 'https://[::ffff:7f00:1]/']) {
    const verdict = checkUpstreamUrl(text, usual);
    assert.equal(verdict.kind, 'refused', text);
    assert.match(verdict.hint, /allow_private: true/, text);
  }
  const never = checkUpstreamUrl('https://169.254.169.254/', usual);
  assert.equal(never.kind, 'refused');
  assert.doesNotMatch(never.hint, /allow_private/);
});

test('plain http to a public host is refused with the hint to use https', () => {
  for (const options of [usual, inside]) {
    const verdict = checkUpstreamUrl('http://example.com/', options);
    assert.deepEqual(verdict, { kind: 'refused', problem: 'the URL sends everything in the clear', hint: 'use https' });
  }
});

test('a refusal repeats nothing of the URL', () => {
  for (const [text] of refused) {
    const verdict = checkUpstreamUrl(text, inside);
    assert.ok(verdict.kind === 'refused' && !/passwd|evil|user@|pass@|meta-data|xample\.com/.test(verdict.problem + verdict.hint), text);
  }
});

test('an accepted URL means the same to a parser that repairs nothing', () => {
  const piece = fc.constantFrom('http://', 'https://', '/', '//', '\\', '.', '..', 'a', 'localhost', '127.0.0.1', '127.1', '[::1]', 'example.com', ':', '80', '443', '08', '@', '%', '%2e', '%41', '?', '#', ' ', '\t', 'é', ';');
  fc.assert(
    fc.property(fc.array(piece, { minLength: 2, maxLength: 7 }).map((pieces) => pieces.join('')), (text) => {
      const verdict = checkUpstreamUrl(text, inside);
      if (verdict.kind === 'refused') return;
      const [, scheme = '', host = '', path = '', query = ''] = /^(https?):\/\/([^/?]+)(\/[^?]*)?(\?.+)?\??$/i.exec(text) ?? [];
      const { url } = verdict;
      assert.equal(url.protocol, `${scheme.toLowerCase()}:`);
      assert.equal(url.host, host.toLowerCase().replace(scheme.toLowerCase() === 'https' ? /:443$/ : /:80$/, ''));
      assert.equal(url.pathname, path === '' ? '/' : path);
      assert.equal(url.search, query);
      assert.equal(url.username + url.password + url.hash, '');
    }),
    { numRuns: 5000 },
  );
});

const base = new URL('https://example.com:8443/mcp/sse?token=1');
const targets: readonly [string, string | null][] = [
  ['/messages?sessionId=abc', 'https://example.com:8443/messages?sessionId=abc'],
  ['/messages', 'https://example.com:8443/messages'],
  ['messages?sessionId=abc', 'https://example.com:8443/mcp/messages?sessionId=abc'],
  ['?sessionId=abc', 'https://example.com:8443/mcp/sse?sessionId=abc'],
  ['/messages?next=//evil.example/../%2e', 'https://example.com:8443/messages?next=//evil.example/../%2e'],
  ['https://example.com:8443/messages', 'https://example.com:8443/messages'],
  ['HTTPS://EXAMPLE.com:8443/messages', 'https://example.com:8443/messages'],
  ['https://example.com:8443', 'https://example.com:8443/'],
  ['', null],
  ['https://evil.example/messages', null],
  ['https://example.com/messages', null],
  ['http://example.com:8443/messages', null],
  ['https://example.com:8443.evil.example/', null],
  ['https://example.com:08443/messages', null],
  ['https://user@example.com:8443/messages', null],
  ['https://example.com:8443@evil.example/', null],
  ['https://example.com:8443\\@evil.example/', null],
  ['https:/messages', null],
  ['https:messages', null],
  ['https:example.com', null],
  ['//evil.example/messages', null],
  ['//example.com:8443/messages', null],
  ['/\\evil.example/messages', null],
  ['\\\\evil.example', null],
  ['/\t/evil.example', null],
  ['\thttps://evil.example/', null],
  [' /messages', null],
  ['javascript:alert(1)', null],
  ['data:text/plain,a', null],
  ['/messages#a', null],
  ['/a/../messages', null],
  ['../messages', null],
  ['./messages', null],
  ['..', null],
  ['/a//b', null],
  ['/%2e%2e/messages', null],
  ['/a%2Fb', null],
  ['/a%5cb', null],
  ['/a%00', null],
  ['/é', null],
  [`/${'a'.repeat(4096)}`, null],
];

for (const [candidate, expected] of targets) {
  test(`an endpoint of ${JSON.stringify(candidate.slice(0, 50))} is ${expected === null ? 'refused' : 'taken'}`, () => {
    assert.equal(sameOriginTarget(base, candidate)?.href ?? null, expected);
  });
}

test('the port of the scheme may be written or left out', () => {
  const plain = new URL('https://example.com/sse');
  assert.equal(sameOriginTarget(plain, 'https://example.com:443/a')?.href, 'https://example.com/a');
  assert.equal(sameOriginTarget(plain, 'https://example.com:80/a'), null);
});

test('no endpoint leaves the origin, whatever it is made of', () => {
  const piece = fc.constantFrom('/', '//', '\\', '@', ':', 'https:', 'http:', 'evil.example', 'example.com', ':8443', '?', '#', '.', '..', '%2f', '\t', ' ', 'a');
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 8 }).map((pieces) => pieces.join('')), (candidate) => {
      const target = sameOriginTarget(base, candidate);
      if (target === null) return;
      assert.equal(target.origin, base.origin);
      assert.equal(target.username + target.password + target.hash, '');
      assert.doesNotMatch(target.pathname, /\/\/|\\|(^|\/)\.{1,2}(\/|$)/);
    }),
    { numRuns: 5000 },
  );
});
