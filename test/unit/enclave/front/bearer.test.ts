// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { AuthVerdict } from '../../../../enclave/front/auth.ts';
import { bearerChallenge, noAuth } from '../../../../enclave/front/auth.ts';
import type { StaticToken } from '../../../../enclave/front/bearer.ts';
import { bearerAuth, createToken, readBearer } from '../../../../enclave/front/bearer.ts';
import { TOKEN_USAGE, tokenCommand } from '../../../../enclave/host/token.ts';
import { Usage } from '../../../../shared/errors.ts';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const TOKEN = 'mbt_abcdefghijklmnopqrstuvwxyz0123456789-_ABCDE';
const OTHER = 'mbt_another-token-of-another-client-0000000000';
const CI: StaticToken = { name: 'ci', sha256: sha256(TOKEN), scopes: ['tools:call', 'audit:read', 'tools:call'] };
const auth = bearerAuth([{ name: 'other', sha256: sha256(OTHER) }, CI]);

async function judge(...rawHeaders: string[]): Promise<AuthVerdict> {
  return auth.authenticate(rawHeaders, 0);
}

test('a token that is known is admitted under its name with its scopes, whatever the case of the scheme', async () => {
  for (const scheme of ['Bearer', 'bearer', 'BEARER']) {
    const verdict = await judge('Host', 'a', 'AUTHORIZATION', `${scheme} ${TOKEN}`);
    assert.ok(verdict.kind === 'ok');
    assert.equal(verdict.principal.name, 'token:ci');
    assert.deepEqual(verdict.principal.scopes, ['audit:read', 'tools:call']);
  }
  const other = await judge('Authorization', `Bearer   ${OTHER}`);
  assert.deepEqual(other.kind === 'ok' && [other.principal.name, other.principal.scopes], ['token:other', []]);
});

const refusals: readonly { name: string; headers: string[]; code: string }[] = [
  { name: 'no Authorization', headers: [], code: 'AUTH_REQUIRED' },
  { name: 'another scheme', headers: ['Authorization', `Basic ${TOKEN}`], code: 'AUTH_REQUIRED' },
  { name: 'an empty header', headers: ['Authorization', ''], code: 'AUTH_REQUIRED' },
  { name: 'a token without scheme', headers: ['Authorization', TOKEN], code: 'AUTH_REQUIRED' },
  { name: 'the scheme alone', headers: ['Authorization', 'Bearer'], code: 'AUTH_INVALID' },
  { name: 'the scheme and a blank', headers: ['Authorization', 'Bearer '], code: 'AUTH_INVALID' },
  { name: 'an unknown token', headers: ['Authorization', `Bearer ${TOKEN}x`], code: 'AUTH_INVALID' },
  { name: 'a token in another case', headers: ['Authorization', `Bearer ${TOKEN.toUpperCase()}`], code: 'AUTH_INVALID' },
  { name: 'the hash instead of the token', headers: ['Authorization', `Bearer ${CI.sha256}`], code: 'AUTH_INVALID' },
  { name: 'a tab before the token', headers: ['Authorization', `Bearer \t${TOKEN}`], code: 'AUTH_INVALID' },
  { name: 'a blank after the token', headers: ['Authorization', `Bearer ${TOKEN} `], code: 'AUTH_INVALID' },
  { name: 'two tokens in one header', headers: ['Authorization', `Bearer ${TOKEN}, Bearer ${TOKEN}`], code: 'AUTH_INVALID' },
  { name: 'a quoted token', headers: ['Authorization', `Bearer "${TOKEN}"`], code: 'AUTH_INVALID' },
  { name: 'two headers', headers: ['Authorization', `Bearer ${TOKEN}`, 'authorization', `Bearer ${TOKEN}`], code: 'AUTH_INVALID' },
  { name: 'a second header of another scheme', headers: ['Authorization', `Bearer ${TOKEN}`, 'authorization', 'Basic YTpi'], code: 'AUTH_INVALID' },
  { name: 'a header that another name holds', headers: ['Proxy-Authorization', `Bearer ${TOKEN}`], code: 'AUTH_REQUIRED' },
  { name: 'a token longer than allowed', headers: ['Authorization', `Bearer ${'a'.repeat(8193)}`], code: 'AUTH_INVALID' },
];

for (const { name, headers, code } of refusals) {
  test(`${name}: ${code}, and the answer holds no token`, async () => {
    const verdict = await judge(...headers);
    assert.ok(verdict.kind === 'refused');
    assert.equal(verdict.code, code);
    assert.equal(verdict.status, 401);
    assert.doesNotMatch(JSON.stringify(verdict), /abcdefghij|ABCDEFGHIJ/);
    const challenge = code === 'AUTH_REQUIRED' ? /^Bearer realm="mcp-bastion"$/ : /^Bearer error="invalid_token", error_description="[^"\\]+", realm="mcp-bastion"$/;
    assert.match(verdict.wwwAuthenticate, challenge);
  });
}

test('the longest token that is allowed is read, and one character more is not', () => {
  assert.equal(readBearer(['Authorization', `Bearer ${'a'.repeat(8192)}`]).kind, 'token');
  assert.equal(readBearer(['Authorization', `Bearer ${'a'.repeat(8193)}`]).kind, 'malformed');
});

test('a token that somebody chose too short is never admitted, though its hash is known', async () => {
  const short = 'a'.repeat(21);
  const long = 'a'.repeat(22);
  const chosen = bearerAuth([{ name: 'short', sha256: sha256(short) }, { name: 'long', sha256: sha256(long) }]);
  assert.equal((await chosen.authenticate(['Authorization', `Bearer ${short}`], 0)).kind, 'refused');
  assert.equal((await chosen.authenticate(['Authorization', `Bearer ${long}`], 0)).kind, 'ok');
});

test('a configuration that is wrong is refused at the start', () => {
  const bad: readonly (readonly StaticToken[])[] = [
    [],
    [{ name: '', sha256: sha256('a') }],
    [{ name: 'A', sha256: sha256('a') }],
    [{ name: 'a\nb', sha256: sha256('a') }],
    [{ name: '-a', sha256: sha256('a') }],
    [{ name: 'a'.repeat(33), sha256: sha256('a') }],
    [{ name: 'a', sha256: '' }],
    [{ name: 'a', sha256: sha256('a').toUpperCase() }],
    [{ name: 'a', sha256: sha256('a').slice(1) }],
    [{ name: 'a', sha256: TOKEN }],
    [{ name: 'a', sha256: sha256('a'), scopes: ['a b'] }],
    [{ name: 'a', sha256: sha256('a'), scopes: [''] }],
    [{ name: 'a', sha256: sha256('a') }, { name: 'a', sha256: sha256('b') }],
    [{ name: 'a', sha256: sha256('a') }, { name: 'b', sha256: sha256('a') }],
  ];
  for (const tokens of bad) assert.throws(() => bearerAuth(tokens), Usage, JSON.stringify(tokens));
  assert.throws(() => bearerAuth([CI], 'a\r\nSet-Cookie: b'), TypeError);
});

async function binding(tokens: readonly StaticToken[], token = TOKEN): Promise<string> {
  const verdict = await bearerAuth(tokens).authenticate(['Authorization', `Bearer ${token}`], 0);
  assert.ok(verdict.kind === 'ok');
  return verdict.principal.binding;
}

test('a binding is the same for the same token and rights, and differs with name, token, rights and kind', async () => {
  const first = await binding([CI]);
  assert.equal(await binding([{ ...CI, scopes: ['audit:read', 'tools:call'] }]), first);
  const local = await noAuth().authenticate([], 0);
  const others = [
    await binding([{ ...CI, name: 'c' }]),
    await binding([{ ...CI, scopes: ['tools:call'] }]),
    await binding([{ ...CI, scopes: ['audit:read tools:call'.replace(' ', '')] }]),
    await binding([{ ...CI, sha256: sha256(OTHER) }], OTHER),
    local.kind === 'ok' ? local.principal.binding : '',
  ];
  assert.equal(new Set([first, ...others]).size, 6);
  assert.ok([first, ...others].every((item) => /^[0-9a-f]{64}$/.test(item)));
});

test('without authentication everybody is the local user with no scopes, and credentials are not looked at', async () => {
  for (const headers of [[], ['Authorization', 'Bearer x'], ['Authorization', 'a', 'Authorization', 'b']]) {
    const verdict = await noAuth().authenticate(headers, 0);
    assert.deepEqual(verdict.kind === 'ok' && [verdict.principal.name, verdict.principal.scopes], ['local', []]);
  }
});

test('a new token holds 32 bytes of the source and is admitted by its hash', async () => {
  const { token, sha256: hash } = createToken(randomBytes);
  assert.match(token, /^mbt_[A-Za-z0-9_-]{43}$/);
  assert.equal(hash, sha256(token));
  assert.notEqual(createToken(randomBytes).token, token);
  assert.equal(createToken(() => new Uint8Array(32).fill(255)).token, `mbt_${'_'.repeat(42)}8`);
  assert.equal(await binding([{ name: 'new', sha256: hash }], token), await binding([{ name: 'new', sha256: hash }], token));
  assert.throws(() => createToken(() => new Uint8Array(16)), TypeError);
});

test('any bearer token in the grammar of RFC 6750 is read back', () => {
  const token = fc.string({ unit: fc.constantFrom(...Array.from('abzAZ019-._~+/')), minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(token, fc.nat({ max: 3 }), fc.integer({ min: 1, max: 3 }), (text, padding, blanks) => {
      const whole = `${text}${'='.repeat(padding)}`;
      assert.deepEqual(readBearer(['authorization', `Bearer${' '.repeat(blanks)}${whole}`]), { kind: 'token', token: whole });
    }),
  );
});

test('values of a challenge are quoted, and what cannot be quoted is a bug of the caller', () => {
  assert.equal(bearerChallenge([]), 'Bearer');
  assert.equal(bearerChallenge([['a', 'x"y\\z'], ['b', '']]), 'Bearer a="x\\"y\\\\z", b=""');
  for (const value of ['a\r\nb', 'a\tb', 'é', '\u007f']) assert.throws(() => bearerChallenge([['a', value]]), TypeError);
});

async function command(...args: string[]): Promise<{ exit: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const exit = await tokenCommand(args, { stdout: { write: (text) => (out += text) }, stderr: { write: (text) => (err += text) } });
  return { exit, out, err };
}

test('token new prints the token alone on standard output, and on standard error what the configuration needs', async () => {
  const { exit, out, err } = await command('new', '--name', 'ci');
  assert.equal(exit, 0);
  assert.match(out, /^mbt_[A-Za-z0-9_-]{43}\n$/);
  assert.ok(err.includes(`auth:\n  tokens:\n    - name: "ci"\n      sha256: "${sha256(out.trim())}"\n`));
  assert.ok(!err.includes(out.trim()));
  assert.notEqual((await command('new', '--name=ci')).out, out);
});

test('token says how it is used, and refuses other arguments without making a token', async () => {
  assert.deepEqual(await command('--help'), { exit: 0, out: TOKEN_USAGE, err: '' });
  for (const args of [[], ['new'], ['old', '--name', 'a'], ['new', 'new', '--name', 'a'], ['new', '--name', 'A b'], ['new', '--name', ''], ['new', '--nam', 'a'], ['new', '--name']]) {
    await assert.rejects(command(...args), Usage, args.join(' '));
  }
});
