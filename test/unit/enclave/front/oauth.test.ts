// SPDX-License-Identifier: Apache-2.0
/** Tokens are signed here by node:crypto alone, so that what verifies them is not also what made them. */
import assert from 'node:assert/strict';
import { constants, createHash, createHmac, generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { mock, test } from 'node:test';
import type { AuthVerdict } from '../../../../enclave/front/auth.ts';
import type { OAuthOptions } from '../../../../enclave/front/oauth.ts';
import { oauthAuth } from '../../../../enclave/front/oauth.ts';
import { protectedResourceMetadata, resourceMetadataUrl } from '../../../../enclave/front/resource.ts';
import { Usage } from '../../../../shared/errors.ts';

const ISSUER = 'https://as.example.com/tenant';
const RESOURCE = 'https://mcp.example.com/mcp';
const METADATA = 'https://mcp.example.com/.well-known/oauth-protected-resource/mcp';
const KEYS = 'https://keys.example.com/jwks';
/** Milliseconds. */
const NOW = 1_800_000_000_000;
const SECONDS = NOW / 1000;

type Claims = Record<string, unknown>;

const CLAIMS: Claims = { iss: ISSUER, aud: RESOURCE, sub: 'alice', client_id: 'app', scope: 'tools:call audit:read', iat: SECONDS, exp: SECONDS + 600 };

interface Signer {
  readonly alg: string;
  readonly kid: string;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

const rsa = { alg: 'RS256', kid: 'rsa', ...generateKeyPairSync('rsa', { modulusLength: 2048 }) };
const pss: Signer = { ...rsa, alg: 'PS256' };
const ec: Signer = { alg: 'ES256', kid: 'ec', ...generateKeyPairSync('ec', { namedCurve: 'P-256' }) };
const ed: Signer = { alg: 'EdDSA', kid: 'ed', ...generateKeyPairSync('ed25519') };
const stranger: Signer = { alg: 'ES256', kid: 'ec', ...generateKeyPairSync('ec', { namedCurve: 'P-256' }) };

function jwk(signer: Signer, more: Claims = {}): Claims {
  return { ...signer.publicKey.export({ format: 'jwk' }), kid: signer.kid, use: 'sig', ...more };
}

const JWKS = { keys: [jwk(rsa), jwk(ec, { alg: 'ES256' }), jwk(ed)] };

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function signature(signer: Signer, input: string): Buffer {
  const data = Buffer.from(input);
  switch (signer.alg) {
    case 'PS256':
      return sign('sha256', data, { key: signer.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 });
    case 'ES256':
      return sign('sha256', data, { key: signer.privateKey, dsaEncoding: 'ieee-p1363' });
    default:
      return sign(signer.alg === 'EdDSA' ? null : 'sha256', data, signer.privateKey);
  }
}

function jwt(claims: Claims = {}, header: Claims = {}, signer: Signer = ec): string {
  const input = `${encode({ alg: signer.alg, typ: 'at+jwt', kid: signer.kid, ...header })}.${encode({ ...CLAIMS, ...claims })}`;
  return `${input}.${signature(signer, input).toString('base64url')}`;
}

/** An authenticator whose issuer's answers can be changed, and what it fetched. */
function gateway(options: Partial<OAuthOptions> = {}, answer: (url: string) => unknown = () => JWKS, keysAt: { jwksUrl?: string } = { jwksUrl: KEYS }) {
  const state = { answer, fetched: [] as string[] };
  const auth = oauthAuth({
    issuer: ISSUER,
    audience: RESOURCE,
    ...keysAt,
    requiredScopes: ['tools:call'],
    resourceMetadataUrl: METADATA,
    fetchJson: async (url) => {
      state.fetched.push(url.href);
      return state.answer(url.href);
    },
    ...options,
  });
  return { state, judge: (token: string, now = NOW): Promise<AuthVerdict> => auth.authenticate(['Authorization', `Bearer ${token}`], now), auth };
}

function shown(verdict: AuthVerdict): string {
  return verdict.kind === 'refused' ? `${verdict.status} ${verdict.code}` : verdict.kind;
}

const shared = gateway();

const admitted: readonly { name: string; token: string }[] = [
  { name: 'a token signed with RS256', token: jwt({}, {}, rsa) },
  { name: 'a token signed with PS256', token: jwt({}, {}, pss) },
  { name: 'a token signed with ES256', token: jwt({}, {}, ec) },
  { name: 'a token signed with EdDSA', token: jwt({}, {}, ed) },
  { name: 'typ JWT', token: jwt({}, { typ: 'JWT' }) },
  { name: 'no typ', token: jwt({}, { typ: undefined }) },
  { name: 'typ application/AT+JWT', token: jwt({}, { typ: 'application/AT+JWT' }) },
  { name: 'an array of audiences with ours', token: jwt({ aud: ['https://other.example.com', RESOURCE] }) },
  { name: 'a token that expired within the tolerance', token: jwt({ exp: SECONDS - 59, iat: SECONDS - 600 }) },
  { name: 'a token that begins within the tolerance', token: jwt({ nbf: SECONDS + 60, iat: SECONDS + 60 }) },
  { name: 'a token without iat', token: jwt({ iat: undefined }) },
  { name: 'scopes as a list', token: jwt({ scope: undefined, scp: ['audit:read', 'tools:call'] }) },
  { name: 'no kid where only one key fits', token: jwt({}, { kid: undefined }) },
];

for (const { name, token } of admitted) {
  test(`${name} is admitted`, async () => assert.equal(shown(await shared.judge(token)), 'ok'));
}

const hmacInput = (header: Claims): string => `${encode({ alg: 'HS256', typ: 'JWT', ...header })}.${encode(CLAIMS)}`;
const pem = ec.publicKey.export({ format: 'pem', type: 'spki' });
const good = jwt();
const [head = '', body = '', mark = ''] = good.split('.');

const refused: readonly { name: string; token: string; hint?: RegExp }[] = [
  { name: 'another audience', token: jwt({ aud: 'https://other.example.com/mcp' }), hint: /another resource/ },
  { name: 'an audience that ours begins with', token: jwt({ aud: 'https://mcp.example.com' }) },
  { name: 'our audience with a slash', token: jwt({ aud: `${RESOURCE}/` }) },
  { name: 'our audience in another case', token: jwt({ aud: RESOURCE.toUpperCase() }) },
  { name: 'an array of other audiences', token: jwt({ aud: ['a', 'b'] }) },
  { name: 'an empty array of audiences', token: jwt({ aud: [] }) },
  { name: 'an array in an array of audiences', token: jwt({ aud: [[RESOURCE]] }) },
  { name: 'no audience', token: jwt({ aud: undefined }) },
  { name: 'an ID token, whose audience is the client', token: jwt({ aud: 'app' }, { typ: 'JWT' }) },
  { name: 'an ID token without typ', token: jwt({ aud: 'app' }, { typ: undefined }) },
  { name: 'another issuer', token: jwt({ iss: 'https://as.example.com' }), hint: /another issuer/ },
  { name: 'the issuer with a slash', token: jwt({ iss: `${ISSUER}/` }) },
  { name: 'no issuer', token: jwt({ iss: undefined }) },
  { name: 'an array of issuers', token: jwt({ iss: [ISSUER] }) },
  { name: 'an expired token', token: jwt({ exp: SECONDS - 60, iat: SECONDS - 600 }), hint: /expired/ },
  { name: 'no expiry', token: jwt({ exp: undefined }) },
  { name: 'an expiry that is text', token: jwt({ exp: String(SECONDS + 600) }) },
  { name: 'an expiry beyond all dates', token: jwt({ exp: 1e300 }) },
  { name: 'a token that begins too late', token: jwt({ nbf: SECONDS + 61 }), hint: /not valid yet/ },
  { name: 'a begin that is text', token: jwt({ nbf: '0' }) },
  { name: 'a token issued in the future', token: jwt({ iat: SECONDS + 61 }) },
  { name: 'a token that expires before it is issued', token: jwt({ iat: SECONDS + 50, exp: SECONDS + 10 }) },
  { name: 'an issue time before 1970', token: jwt({ iat: -1 }) },
  { name: 'an issue time that is text', token: jwt({ iat: '0' }) },
  { name: 'no subject', token: jwt({ sub: undefined }) },
  { name: 'an empty subject', token: jwt({ sub: '' }) },
  { name: 'a subject that is a number', token: jwt({ sub: 1 }) },
  { name: 'a client that is no text', token: jwt({ client_id: ['app'] }) },
  { name: 'scopes that are no text', token: jwt({ scope: { 'tools:call': true } }) },
  { name: 'a list of scopes with something else in it', token: jwt({ scope: ['tools:call', 1] }) },
  { name: 'a scope with a quote in it', token: jwt({ scope: 'tools:call "' }) },
  { name: 'a typ of other JWTs', token: jwt({}, { typ: 'dpop+jwt' }), hint: /typ/ },
  { name: 'a typ of security events', token: jwt({}, { typ: 'secevent+jwt' }) },
  { name: 'a typ that is no text', token: jwt({}, { typ: ['JWT'] }) },
  { name: 'a kid that is no text', token: jwt({}, { kid: 1 }) },
  { name: 'an unknown kid', token: jwt({}, { kid: 'nobody' }) },
  { name: 'the kid of a key for another algorithm', token: jwt({}, { kid: 'rsa' }) },
  { name: 'the signature of a stranger', token: jwt({}, {}, stranger) },
  { name: 'a key in the header', token: jwt({}, { kid: undefined, jwk: jwk(stranger) }, stranger) },
  { name: 'an unknown critical extension', token: jwt({}, { crit: ['x'], x: 1 }) },
  { name: 'a payload that is not encoded', token: jwt({}, { crit: ['b64'], b64: false }) },
  { name: 'alg none without signature', token: `${encode({ alg: 'none', typ: 'JWT' })}.${body}.` },
  { name: 'alg None with a signature', token: `${encode({ alg: 'None', typ: 'JWT', kid: 'ec' })}.${body}.${mark}` },
  { name: 'HS256 with the public key as its secret', token: `${hmacInput({ kid: 'ec' })}.${createHmac('sha256', pem).update(hmacInput({ kid: 'ec' })).digest('base64url')}` },
  { name: 'no alg', token: jwt({}, { alg: undefined }) },
  { name: 'an alg that is not listed', token: jwt({}, { alg: 'RS512' }, rsa) },
  { name: 'an alg that is an inherited member', token: jwt({}, { alg: 'constructor' }) },
  { name: 'a signature of RS256 called PS256', token: jwt({}, { alg: 'PS256' }, rsa) },
  { name: 'other claims under a good signature', token: `${head}.${encode({ ...CLAIMS, sub: 'root' })}.${mark}` },
  { name: 'another header over a good signature', token: `${encode({ alg: 'ES256', typ: 'JWT', kid: 'ec' })}.${body}.${mark}` },
  { name: 'no signature', token: `${head}.${body}.` },
  { name: 'two parts', token: `${head}.${body}` },
  { name: 'five parts', token: `${head}.${body}.${mark}..` },
  { name: 'a header that is no JSON', token: `bm8.${body}.${mark}` },
  { name: 'no JWT at all', token: 'mbt_0123456789012345678901234567890123456789' },
];

for (const { name, token, hint } of refused) {
  test(`${name} is refused as an invalid token`, async () => {
    const verdict = await shared.judge(token);
    assert.equal(shown(verdict), '401 AUTH_INVALID');
    assert.ok(verdict.kind === 'refused');
    assert.match(verdict.hint, hint ?? /./);
    assert.match(verdict.wwwAuthenticate, /^Bearer error="invalid_token", error_description="[^"\\]+", scope="tools:call", resource_metadata="https:\/\/mcp\.example\.com\/\.well-known\/oauth-protected-resource\/mcp"$/);
  });
}

test('a token that is too large is refused before anything is fetched for it', async () => {
  const { judge, state } = gateway();
  const large = jwt({ padding: 'a'.repeat(8192) });
  assert.equal(shown(await judge(large)), '401 AUTH_INVALID');
  assert.deepEqual(state.fetched, []);
  assert.equal(shown(await judge(jwt({ padding: 'a'.repeat(5000) }))), 'ok');
});

test('what a header alone shows to be wrong costs no fetch', async () => {
  const { judge, state, auth } = gateway();
  for (const token of ['x', jwt({}, { alg: 'none' }), jwt({}, { typ: 'x' }), jwt({}, { kid: 1 })]) await judge(token);
  assert.equal(shown(await auth.authenticate([], NOW)), '401 AUTH_REQUIRED');
  assert.deepEqual(state.fetched, []);
});

test('no token: the challenge says where to get one, and is no error', async () => {
  const verdict = await shared.auth.authenticate(['Authorization', 'Basic YTpi'], NOW);
  assert.ok(verdict.kind === 'refused');
  assert.equal(verdict.code, 'AUTH_REQUIRED');
  assert.equal(verdict.wwwAuthenticate, `Bearer scope="tools:call", resource_metadata="${METADATA}"`);
});

test('two Authorization headers are refused, though both hold the same good token', async () => {
  const verdict = await shared.auth.authenticate(['Authorization', `Bearer ${good}`, 'authorization', `Bearer ${good}`], NOW);
  assert.equal(shown(verdict), '401 AUTH_INVALID');
});

test('a good token without a scope that is needed gets 403 with all that are needed', async () => {
  const { judge } = gateway({ requiredScopes: ['tools:call', 'admin'] });
  for (const claims of [{}, { scope: '' }, { scope: undefined }, { scope: 'admin' }, { scope: 'tools:callx admin' }, { scope: 'tools:call', scp: 'admin' }]) {
    const verdict = await judge(jwt(claims));
    assert.ok(verdict.kind === 'refused');
    assert.equal(shown(verdict), '403 AUTH_SCOPE');
    assert.match(verdict.wwwAuthenticate, /^Bearer error="insufficient_scope", error_description="[^"\\]+", scope="tools:call admin", resource_metadata="/);
  }
  assert.equal(shown(await judge(jwt({ scope: 'admin  x tools:call' }))), 'ok');
});

test('where no scope is needed none is named', async () => {
  const { auth, judge } = gateway({ requiredScopes: [] });
  const verdict = await auth.authenticate([], NOW);
  assert.equal(verdict.kind === 'refused' && verdict.wwwAuthenticate, `Bearer resource_metadata="${METADATA}"`);
  assert.equal(shown(await judge(jwt({ scope: undefined }))), 'ok');
});

async function principal(claims: Claims, signer: Signer = ec): Promise<{ name: string; scopes: readonly string[]; binding: string }> {
  const verdict = await shared.judge(jwt(claims, {}, signer));
  assert.ok(verdict.kind === 'ok');
  return verdict.principal;
}

test('the principal is a label of issuer and subject, with the scopes that were granted', async () => {
  const { name, scopes } = await principal({});
  assert.equal(name, `oauth:${createHash('sha256').update(`${ISSUER}\nalice`).digest('hex').slice(0, 8)}`);
  assert.deepEqual(scopes, ['audit:read', 'tools:call']);
});

test('a refreshed token has the binding of the one before; another subject, client or set of scopes has not', async () => {
  const { binding } = await principal({});
  assert.equal((await principal({ iat: SECONDS + 30, exp: SECONDS + 3600, jti: 'x', scope: 'audit:read tools:call' }, rsa)).binding, binding);
  assert.equal((await principal({ client_id: undefined, azp: 'app' })).binding, binding);
  const others = [{ sub: 'bob' }, { client_id: 'other' }, { client_id: undefined }, { scope: 'tools:call' }, { scope: 'tools:call audit:read admin' }];
  const bindings = await Promise.all(others.map(async (claims) => (await principal(claims)).binding));
  assert.equal(new Set([binding, ...bindings]).size, 6);
});

test('an algorithm that the configuration leaves out is refused', async () => {
  const { judge } = gateway({ algorithms: ['ES256'] });
  assert.equal(shown(await judge(jwt({}, {}, ec))), 'ok');
  assert.equal(shown(await judge(jwt({}, {}, rsa))), '401 AUTH_INVALID');
});

test('a token without kid is refused where two keys fit it', async () => {
  const { judge } = gateway({}, () => ({ keys: [jwk(ec), jwk(stranger, { kid: 'new' })] }));
  assert.equal(shown(await judge(jwt({}, { kid: undefined }))), '401 AUTH_INVALID');
  assert.equal(shown(await judge(jwt())), 'ok');
});

test('keys are fetched once, also for tokens that come at the same time', async () => {
  const { judge, state } = gateway();
  const verdicts = await Promise.all(Array.from({ length: 20 }, (_, at) => judge(jwt({ sub: `user${at}` }))));
  assert.ok(verdicts.every((verdict) => verdict.kind === 'ok'));
  assert.equal(shown(await judge(good, NOW + 599_999)), 'ok');
  assert.deepEqual(state.fetched, [KEYS]);
});

test('a flood of unknown kids causes one fetch in 30 seconds', async () => {
  const { judge, state } = gateway();
  for (let at = 0; at < 300; at += 1) {
    assert.equal(shown(await judge(jwt({ exp: SECONDS + 3600 }, { kid: `k${at}` }), NOW + at * 199)), '401 AUTH_INVALID');
  }
  await Promise.all(Array.from({ length: 100 }, (_, at) => judge(jwt({}, { kid: `p${at}` }), NOW + 59_900)));
  assert.equal(state.fetched.length, 2);
});

test('a key that is new at the issuer is found, once 30 seconds went by since the last fetch', async () => {
  const next: Signer = { ...stranger, kid: 'next' };
  const { judge, state } = gateway();
  assert.equal(shown(await judge(good)), 'ok');
  state.answer = () => ({ keys: [jwk(next)] });
  const token = jwt({}, {}, next);
  assert.equal(shown(await judge(token, NOW + 29_999)), '401 AUTH_INVALID');
  assert.equal(shown(await judge(token, NOW + 30_000)), 'ok');
  assert.equal(shown(await judge(good, NOW + 30_001)), '401 AUTH_INVALID');
  assert.equal(state.fetched.length, 2);
});

test('a key that was taken away serves ten minutes at most', async () => {
  const { judge, state } = gateway();
  const token = jwt({ exp: SECONDS + 7200 });
  assert.equal(shown(await judge(token)), 'ok');
  state.answer = () => ({ keys: [jwk(rsa)] });
  assert.equal(shown(await judge(token, NOW + 599_999)), 'ok');
  assert.equal(shown(await judge(token, NOW + 600_000)), '401 AUTH_INVALID');
});

test('a clock that is set back keeps no key for longer', async () => {
  const { judge, state } = gateway();
  await judge(good);
  state.answer = () => ({ keys: [jwk(rsa)] });
  assert.equal(shown(await judge(jwt({ iat: undefined }), NOW - 3_000_000)), '401 AUTH_INVALID');
});

test('an issuer that cannot be reached makes nothing but "unavailable", asked every two seconds at most', async () => {
  const { judge, state } = gateway({}, () => {
    throw new Error('connection refused');
  });
  assert.equal(shown(await judge(good)), 'unavailable');
  assert.equal(shown(await judge(good, NOW + 1999)), 'unavailable');
  assert.equal(state.fetched.length, 1);
  assert.equal(shown(await judge(good, NOW + 2000)), 'unavailable');
  assert.equal(state.fetched.length, 2);
  state.answer = () => JWKS;
  assert.equal(shown(await judge(good, NOW + 4000)), 'ok');
});

test('through an outage known keys serve for an hour, unknown ones are "unavailable", and then all are', async () => {
  const { judge, state } = gateway();
  const long = { exp: SECONDS + 7200 };
  assert.equal(shown(await judge(jwt(long))), 'ok');
  state.answer = () => {
    throw new Error('timeout');
  };
  assert.equal(shown(await judge(jwt(long), NOW + 700_000)), 'ok');
  assert.equal(shown(await judge(jwt(long, { kid: 'new' }), NOW + 700_001)), 'unavailable');
  assert.equal(shown(await judge(jwt(long, { kid: 'new' }), NOW + 729_999)), 'unavailable');
  assert.equal(state.fetched.length, 2);
  assert.equal(shown(await judge(jwt(long), NOW + 3_599_999)), 'ok');
  assert.equal(shown(await judge(jwt(long), NOW + 3_600_000)), 'unavailable');
});

test('an issuer that never answers is given up after ten seconds, and asked again later', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    const { judge, state } = gateway({}, () => new Promise(() => undefined));
    const pending = judge(good);
    for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
    mock.timers.tick(10_000);
    assert.equal(shown(await pending), 'unavailable');
    state.answer = () => JWKS;
    assert.equal(shown(await judge(good, NOW + 10_000)), 'ok');
  } finally {
    mock.timers.reset();
  }
});

/** The same number in more bytes: OpenSSL takes it. */
function paddedModulus(): string {
  return Buffer.concat([Buffer.alloc(2000), Buffer.from(String(jwk(rsa)['n']), 'base64url')]).toString('base64url');
}

const malformedSets: readonly { name: string; set: unknown }[] = [
  { name: 'null', set: null },
  { name: 'text', set: 'keys' },
  { name: 'an array', set: [jwk(ec)] },
  { name: 'no keys', set: {} },
  { name: 'an empty list', set: { keys: [] } },
  { name: 'keys that are no list', set: { keys: { 0: jwk(ec), length: 1 } } },
  { name: 'keys that are no objects', set: { keys: [null, 'a', []] } },
  { name: '65 keys', set: { keys: [...Array.from({ length: 64 }, () => jwk(rsa)), jwk(ec)] } },
  { name: 'a key for encryption', set: { keys: [jwk(ec, { use: 'enc' })] } },
  { name: 'a key for other operations', set: { keys: [jwk(ec, { key_ops: ['deriveBits'] })] } },
  { name: 'a private key', set: { keys: [{ ...ec.privateKey.export({ format: 'jwk' }), kid: 'ec' }] } },
  { name: 'a symmetric key', set: { keys: [{ kty: 'oct', k: 'AAAA', kid: 'ec' }] } },
  { name: 'another curve', set: { keys: [{ ...generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey.export({ format: 'jwk' }), kid: 'ec' }] } },
  { name: 'a point that is not on the curve', set: { keys: [jwk(ec, { x: Buffer.alloc(32, 1).toString('base64url') })] } },
  { name: 'a missing coordinate', set: { keys: [jwk(ec, { y: undefined })] } },
  { name: 'a key for another algorithm', set: { keys: [jwk(ec, { alg: 'ES384' })] } },
  { name: 'a kid that is no text', set: { keys: [jwk(ec, { kid: 7 })] } },
  { name: 'a kty that is an inherited member', set: { keys: [jwk(ec, { kty: 'constructor' })] } },
  { name: 'RSA with 1024 bits', set: { keys: [{ ...generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' }), kid: 'ec' }] } },
  { name: 'RSA with a huge modulus', set: { keys: [jwk(rsa, { n: Buffer.alloc(1500, 0xff).toString('base64url') })] } },
  { name: 'RSA with a modulus behind many zeros', set: { keys: [jwk(rsa, { n: paddedModulus() })] } },
  { name: 'RSA with a huge exponent', set: { keys: [jwk(rsa, { e: Buffer.alloc(64, 0xff).toString('base64url') })] } },
];

for (const { name, set } of malformedSets) {
  test(`a set of keys with nothing but ${name} is as good as none`, async () => {
    assert.equal(shown(await gateway({}, () => set).judge(good)), 'unavailable');
  });
}

test('keys that cannot be used are left out, and the others serve', async () => {
  const set = { keys: [null, { kty: 'oct', k: 'AAAA', kid: 'ec' }, jwk(stranger, { use: 'enc' }), jwk(ec, { key_ops: ['verify'] }), { kty: 'future' }] };
  assert.equal(shown(await gateway({}, () => set).judge(good)), 'ok');
});

const WELL_KNOWN = [
  'https://as.example.com/.well-known/oauth-authorization-server/tenant',
  'https://as.example.com/.well-known/openid-configuration/tenant',
  'https://as.example.com/tenant/.well-known/openid-configuration',
];

/** An authenticator that has to find the keys, with metadata at one address. */
function discovering(metadata: unknown, at: string | undefined, issuer = ISSUER) {
  const answer = (url: string): unknown => {
    if (!url.includes('/.well-known/')) return JWKS;
    if (url === at) return metadata;
    throw new Error('404');
  };
  return gateway({ issuer }, answer, {});
}

for (const [at, url] of WELL_KNOWN.entries()) {
  test(`the address of the keys is found in the metadata at place ${at + 1} of three`, async () => {
    const { judge, state } = discovering({ issuer: ISSUER, jwks_uri: KEYS }, url);
    assert.equal(shown(await judge(good)), 'ok');
    assert.deepEqual(state.fetched, [...WELL_KNOWN.slice(0, at + 1), KEYS]);
  });
}

test('an issuer without path has two places, with or without a slash at its end', async () => {
  for (const issuer of ['https://as.example.com', 'https://as.example.com/']) {
    const { judge, state } = discovering({ issuer, jwks_uri: KEYS }, 'https://as.example.com/.well-known/openid-configuration', issuer);
    assert.equal(shown(await judge(jwt({ iss: issuer }))), 'ok');
    assert.deepEqual(state.fetched, ['https://as.example.com/.well-known/oauth-authorization-server', 'https://as.example.com/.well-known/openid-configuration', KEYS]);
  }
});

const badMetadata: readonly { name: string; metadata: unknown }[] = [
  { name: 'of another issuer', metadata: { issuer: 'https://evil.example', jwks_uri: KEYS } },
  { name: 'of the issuer with a slash', metadata: { issuer: `${ISSUER}/`, jwks_uri: KEYS } },
  { name: 'of no issuer', metadata: { jwks_uri: KEYS } },
  { name: 'without address', metadata: { issuer: ISSUER } },
  { name: 'with an address that is no text', metadata: { issuer: ISSUER, jwks_uri: [KEYS] } },
  { name: 'with a relative address', metadata: { issuer: ISSUER, jwks_uri: '/jwks' } },
  { name: 'with an http address', metadata: { issuer: ISSUER, jwks_uri: 'http://keys.example.com/jwks' } },
  { name: 'with a file address', metadata: { issuer: ISSUER, jwks_uri: 'file:///etc/passwd' } },
  { name: 'with a user name in the address', metadata: { issuer: ISSUER, jwks_uri: 'https://a@keys.example.com/jwks' } },
  { name: 'that points at this machine', metadata: { issuer: ISSUER, jwks_uri: 'http://127.0.0.1:9000/jwks' } },
  { name: 'that points at this machine over https', metadata: { issuer: ISSUER, jwks_uri: 'https://localhost/jwks' } },
  { name: 'that is no object', metadata: [ISSUER] },
];

for (const { name, metadata } of badMetadata) {
  test(`metadata ${name} leads to no keys`, async () => {
    const { judge, state } = discovering(metadata, WELL_KNOWN[0]);
    assert.equal(shown(await judge(good)), 'unavailable');
    assert.deepEqual(state.fetched, WELL_KNOWN);
  });
}

test('an issuer on this machine may have its keys on this machine', async () => {
  const issuer = 'http://localhost:9000';
  const { judge } = discovering({ issuer, jwks_uri: 'http://127.0.0.1:9000/jwks' }, `${issuer}/.well-known/oauth-authorization-server`, issuer);
  assert.equal(shown(await judge(jwt({ iss: issuer }))), 'ok');
});

test('options that are wrong are refused at the start', () => {
  const bad: readonly Partial<OAuthOptions>[] = [
    { issuer: 'as.example.com' },
    { issuer: 'http://as.example.com' },
    { issuer: `${ISSUER}?a` },
    { issuer: `${ISSUER}#a` },
    { audience: 'mcp' },
    { audience: 'http://mcp.example.com/mcp' },
    { audience: `${RESOURCE}#a` },
    { jwksUrl: 'http://keys.example.com' },
    { resourceMetadataUrl: 'nowhere' },
    { requiredScopes: ['a b'] },
    { requiredScopes: ['a"'] },
    { algorithms: [] },
    { algorithms: ['HS256'] as never },
    { algorithms: ['none'] as never },
  ];
  for (const options of bad) assert.throws(() => gateway(options), Usage, JSON.stringify(options));
});

test('the metadata of the resource names its URL, its authorization servers and its scopes', () => {
  const made = protectedResourceMetadata({ resource: RESOURCE, authorizationServers: [ISSUER], scopes: ['tools:call'], name: 'mcp-bastion' });
  assert.equal(
    JSON.stringify(made),
    JSON.stringify({ resource: RESOURCE, authorization_servers: [ISSUER], scopes_supported: ['tools:call'], bearer_methods_supported: ['header'], resource_name: 'mcp-bastion' }),
  );
  const bare = protectedResourceMetadata({ resource: RESOURCE, authorizationServers: [], scopes: [], name: 'n' });
  assert.deepEqual(Object.keys(bare), ['resource', 'bearer_methods_supported', 'resource_name']);
});

test('the metadata is where RFC 9728 puts it, between host and path', () => {
  assert.equal(resourceMetadataUrl(RESOURCE), METADATA);
  assert.equal(resourceMetadataUrl('http://localhost:8080'), 'http://localhost:8080/.well-known/oauth-protected-resource');
  assert.equal(resourceMetadataUrl('https://a.example/x?k=1'), 'https://a.example/.well-known/oauth-protected-resource/x?k=1');
});
