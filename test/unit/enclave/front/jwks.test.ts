// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { test } from 'node:test';
import { KeyCache, readKeys } from '../../../../enclave/front/jwks.ts';
import { oauthAuth } from '../../../../enclave/front/oauth.ts';
import { Unavailable } from '../../../../shared/errors.ts';
import { JWKS_FRESH_MS_MAX, JWKS_REFRESH_MS_MIN } from '../../../../shared/limits.ts';

const NOW = 1_800_000_000_000;
const ISSUER = 'https://as.example.com/tenant';
const KEYS = 'https://keys.example.com/jwks';

const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const setOf = (kid: string, key: KeyObject = publicKey): object => ({ keys: [{ ...key.export({ format: 'jwk' }), kid, use: 'sig' }] });

test('while an issuer is out, who has a known key does not wait for another try', async () => {
  const answers: Promise<unknown>[] = [Promise.resolve(setOf('old')), Promise.reject(new Error('out'))];
  const slow = Promise.withResolvers<unknown>();
  let fetches = 0;
  const cache = new KeyCache(
    () => {
      fetches += 1;
      return answers.shift() ?? slow.promise;
    },
    () => undefined,
  );
  const later = NOW + JWKS_FRESH_MS_MAX;
  assert.equal((await cache.find('old', 'ES256', NOW)).kind, 'found');
  assert.equal((await cache.find('old', 'ES256', later)).kind, 'found');
  assert.equal((await cache.find('old', 'ES256', later + JWKS_REFRESH_MS_MIN)).kind, 'found');
  assert.equal(fetches, 3, 'the third try is under way');
  const unknown = cache.find('new', 'ES256', later + JWKS_REFRESH_MS_MIN);
  slow.resolve(setOf('new'));
  assert.equal((await unknown).kind, 'found', 'who needs the answer waits for it');
  assert.equal((await cache.find('old', 'ES256', later + JWKS_REFRESH_MS_MIN)).kind, 'unknown');
});

const out = (): never => {
  throw new Unavailable('UPSTREAM_UNREACHABLE', 'the server refuses connections', 'start it');
};

const failures: readonly { name: string; answer: (url: string) => unknown; problem: string }[] = [
  { name: 'an issuer that is out', answer: out, problem: 'the server refuses connections' },
  {
    name: 'a fault, whose own words may hold anything',
    answer: () => {
      throw new Error('payload-canary');
    },
    problem: 'the exchange failed',
  },
  { name: 'metadata of another issuer', answer: () => ({ issuer: `${ISSUER}/`, jwks_uri: KEYS }), problem: 'the metadata names another issuer, be it only by a slash at the end' },
  { name: 'metadata that is no object', answer: () => [ISSUER], problem: "the issuer's metadata is no JSON object" },
  {
    name: 'bad metadata at one place, while the others have none',
    answer: (url) => (url.endsWith('/tenant/.well-known/openid-configuration') ? { issuer: ISSUER } : out()),
    problem: "the issuer's metadata has no address of keys",
  },
  { name: 'an address of keys in the clear', answer: () => ({ issuer: ISSUER, jwks_uri: 'http://keys.example.com' }), problem: "the issuer's metadata has an address of keys that is not https" },
  { name: 'an address of keys on this machine', answer: () => ({ issuer: ISSUER, jwks_uri: 'https://localhost/jwks' }), problem: "the issuer's metadata points at this machine for the keys" },
  {
    name: 'a set without a key that can be used',
    answer: (url) => (url === KEYS ? { keys: [] } : { issuer: ISSUER, jwks_uri: KEYS }),
    problem: 'the answer is no set of keys with one that can be used',
  },
];

for (const { name, answer, problem } of failures) {
  test(`the operator is told of ${name}`, async () => {
    const heard: string[] = [];
    const auth = oauthAuth({
      issuer: ISSUER,
      audience: 'https://mcp.example.com/mcp',
      requiredScopes: [],
      resourceMetadataUrl: 'https://mcp.example.com/.well-known/oauth-protected-resource/mcp',
      fetchJson: async (url) => answer(url.href),
      report: (text) => heard.push(text),
    });
    const token = `${Buffer.from('{"alg":"ES256","typ":"at+jwt","kid":"k"}').toString('base64url')}.e30.AAAA`;
    const verdict = await auth.authenticate(['Authorization', `Bearer ${token}`], NOW);
    assert.equal(verdict.kind, 'unavailable');
    assert.deepEqual(heard, [problem]);
  });
}

test('of a set only keys that can verify are kept', () => {
  const jwk = publicKey.export({ format: 'jwk' });
  const keys = [{ ...jwk, kid: 'a' }, { ...jwk, kid: 'b', use: 'enc' }, { ...jwk, kid: 'c', d: 'AAAA' }, null];
  assert.deepEqual(readKeys({ keys })?.map(({ kid }) => kid), ['a']);
});
