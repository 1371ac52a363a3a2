// SPDX-License-Identifier: Apache-2.0
/**
 * The gateway as an OAuth resource server, with an authorization server beside it and published clients in front. They
 * find their way from a refusal to a token by themselves; a token opens exactly what the issuer made it for, and goes no
 * further than the gateway (mcp.md section 5; RFC 6750, 8707, 9068, 9728).
 */
import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { JWKS_REFRESH_MS_MIN } from '../../shared/limits.ts';
import { ALLOW_ALL, allBytes, root } from '../harness/gateway.ts';
import type { Answer } from '../harness/http.ts';
import { HttpGateway, PATIENCE_MS } from '../harness/http.ts';
import { call, headerPairs, modernly, request, Session } from '../harness/http-clients.ts';
import { Upstream } from '../harness/http-upstream.ts';
import { createKey, encode, Issuer, signJwt } from '../harness/issuer.ts';
import type { Connection, Prepare } from '../harness/oauth-clients.ts';
import { GENERATIONS, Person } from '../harness/oauth-clients.ts';

const SCOPE = 'tools:call';
const CREDENTIAL = 'Bearer upstream-credential-canary-0123456789';
const BOTH = { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream' };
const as = (token: string) => ({ Authorization: `Bearer ${token}` });

/** A port that nothing listens on: the gateway's own URL stands in its configuration. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return port;
}

interface Guarded {
  readonly gateway: HttpGateway;
  /** Its URL, for which tokens are. */
  readonly url: string;
}

const opened: HttpGateway[] = [];
const by = (issuer: string): string => `issuer: "${issuer}"`;

/** A gateway that wants tokens, in front of one server. */
async function guard(auth: string, server: string, how: 'audience' | 'public_url' = 'audience'): Promise<Guarded> {
  const port = await freePort();
  const base = `http://${how === 'audience' ? '127.0.0.1' : 'localhost'}:${port}`;
  const url = `${base}/mcp`;
  const gateway = await HttpGateway.open({
    policy: ALLOW_ALL,
    env: { UPSTREAM_CREDENTIAL: CREDENTIAL },
    config: `version: 1
policy: policy.yaml
listen: 127.0.0.1:${port}
${how === 'audience' ? '' : `public_url: "${base}"`}
auth: {kind: oauth, ${auth}, scopes: ["${SCOPE}"]${how === 'audience' ? `, audience: "${url}"` : ''}}
servers:
  peer: ${server}
`,
  });
  opened.push(gateway);
  return { gateway, url };
}

const issuer = await Issuer.open('RS256');
const upstream = await Upstream.open();
const modernServer = JSON.stringify({ command: [process.execPath, join(root, 'test', 'peers', 'modern-server.ts')] });
const stdio = await guard(by(issuer.url), modernServer);
const http = await guard(by(issuer.url), `{url: "${upstream.url}", allow_private: true, headers: {Authorization: "env:UPSTREAM_CREDENTIAL"}}`);

/** What raw requests were answered, for canaries. */
const heard: string[] = [];

async function ask(to: Guarded, options: { method?: string; path?: string; token?: string; headers?: Record<string, string>; body?: object }): Promise<Answer> {
  const { method = 'POST', path = '/mcp', token, headers = {}, body } = options;
  const pairs = headerPairs({ ...BOTH, ...(token === undefined ? {} : as(token)), ...headers });
  const answer = await to.gateway.fetch({ method, path, headers: pairs, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  heard.push(JSON.stringify(answer.headers), answer.text);
  return answer;
}

const initialize = request(1, 'initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'raw', version: '1' } });

const challengeOf = (answer: Answer): string => String(answer.headers['www-authenticate']);
const metadataOf = ({ url }: Guarded): string => url.replace('/mcp', '/.well-known/oauth-protected-resource/mcp');

/** A token such as the issuer gives to a user of some client for a gateway. */
const grant = (to: Guarded, user: string, more: object = {}): string => issuer.token({ sub: user, client_id: 'raw', aud: to.url, scope: SCOPE, ...more });

const label = (user: string): string => `oauth:${createHash('sha256').update(`${issuer.url}\n${user}`).digest('hex').slice(0, 8)}`;

/** As an application does it: connect, send the user away, take the code, connect again. */
async function authorized(prepare: Prepare, url: string, person: Person): Promise<Connection> {
  const before = prepare(url, person);
  await assert.rejects(before.connect(), { name: /Error/, message: /Unauthorized/i });
  assert.ok(person.callback, 'the browser came back');
  await before.finish(person.callback);
  const connection = prepare(url, person);
  await connection.connect();
  return connection;
}

test('without a token every request is refused with the way to one, and nobody is asked anything', async () => {
  for (const path of ['/mcp', '/mcp/peer']) {
    for (const [method, body] of [['POST', initialize], ['GET', undefined], ['DELETE', undefined]] as const) {
      const answer = await ask(http, { method, path, ...(body === undefined ? {} : { body }), headers: { 'Mcp-Session-Id': 'any' } });
      assert.equal(answer.status, 401, method);
      assert.equal(challengeOf(answer), `Bearer scope="${SCOPE}", resource_metadata="${metadataOf(http)}"`);
      assert.equal(answer.json.error.data.code, 'AUTH_REQUIRED');
    }
  }
  const modern = await modernly(http.gateway, 1, 'server/discover');
  assert.equal(modern.status, 401);
  assert.match(challengeOf(modern), /^Bearer scope=/);
  assert.equal(upstream.hits.length, 0);
  assert.equal(issuer.asked.size, 0);
});

test('the document that the refusal names needs no token, and stands also where clients look without it', async () => {
  for (const path of ['/.well-known/oauth-protected-resource/mcp', '/.well-known/oauth-protected-resource']) {
    const answer = await ask(stdio, { method: 'GET', path, headers: { 'MCP-Protocol-Version': '2025-11-25' } });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers['content-type'], 'application/json');
    assert.deepEqual(answer.json, {
      resource: stdio.url,
      authorization_servers: [issuer.url],
      scopes_supported: [SCOPE],
      bearer_methods_supported: ['header'],
      resource_name: 'mcp-bastion',
    });
  }
});

test('probes for what the gateway is not get a clean 404, whatever their method', async () => {
  const names = ['oauth-authorization-server', 'oauth-authorization-server/mcp', 'openid-configuration', 'openid-configuration/mcp', 'oauth-protected-resource/other', 'mcp.json'];
  const paths = [...names.map((name) => `/.well-known/${name}`), '/mcp/.well-known/openid-configuration', '/register', '/authorize', '/token'];
  for (const path of paths) {
    for (const method of ['GET', 'POST']) {
      const answer = await ask(stdio, { method, path, ...(method === 'POST' ? { body: {} } : {}) });
      assert.equal(answer.status, 404, `${method} ${path}`);
      assert.equal(answer.headers['content-type'], 'application/json');
      assert.equal(answer.headers['www-authenticate'], undefined, 'or a client would ask for a token for it');
    }
  }
});

for (const [generation, prepare] of Object.entries(GENERATIONS)) {
  test(`a client of ${generation} comes from the first refusal to a tool's answer by itself`, async () => {
    const person = new Person(`${generation}-user-canary`);
    const before = { registered: issuer.count('register'), codes: issuer.count('code') };
    const connection = await authorized(prepare, stdio.url, person);
    assert.deepEqual(await connection.add(19, 23), { sum: 42 });
    assert.equal(issuer.count('register'), before.registered + 1);
    assert.equal(issuer.count('code'), before.codes + 1);
    assert.deepEqual(issuer.complaints, []);
    const [page] = person.visited;
    assert.equal(page?.searchParams.get('resource'), stdio.url);
    assert.equal(page?.searchParams.get('scope'), SCOPE);
    const rows = await stdio.gateway.rowsLike((row) => row['kind'] === 'call' && row['principal'] === label(person.user));
    assert.equal(rows.length, 1);
  });

  test(`a client of ${generation} finds its way at the path of one server too`, async () => {
    const person = new Person(`${generation}-path-canary`);
    const connection = await authorized(prepare, `${stdio.url}/peer`, person);
    assert.deepEqual(await connection.add(1, 1), { sum: 2 });
    assert.equal(person.visited[0]?.searchParams.get('resource'), stdio.url);
  });

  test(`a client of ${generation} whose token has expired refreshes it and goes on with what it had`, async () => {
    const person = new Person(`${generation}-refresh-canary`);
    const connection = await authorized(prepare, stdio.url, person);
    const session = connection.transport.sessionId;
    const refreshed = issuer.count('refresh');
    const past = Math.floor(Date.now() / 1000) - 120;
    assert.ok(person.stored);
    person.stored.access_token = issuer.token({ sub: person.user, aud: stdio.url, scope: SCOPE, iat: past - 600, exp: past });
    assert.deepEqual(await connection.add(2, 3), { sum: 5 });
    assert.equal(issuer.count('refresh'), refreshed + 1);
    assert.equal(person.visited.length, 1, 'nobody is sent to the browser again');
    assert.equal(connection.transport.sessionId, session);
    if (generation === 'sdk 1.x') assert.match(session ?? '', /^[0-9a-f-]{36}$/);
  });

  test(`a client of ${generation} whose token allows too little asks for what the refusal names`, async () => {
    const person = new Person(`${generation}-stepup-canary`);
    const connection = await authorized(prepare, stdio.url, person);
    assert.deepEqual(await connection.add(0, 1), { sum: 1 });
    person.stored = { access_token: grant(stdio, person.user, { scope: 'profile' }), token_type: 'Bearer', scope: 'profile', issuer: issuer.url };
    const narrow = prepare(stdio.url, person);
    await assert.rejects(narrow.connect(), { message: /Unauthorized/i });
    const asked = person.visited[1]?.searchParams.get('scope')?.split(' ') ?? [];
    assert.ok(asked.includes(SCOPE), asked.join(' '));
    assert.ok(person.callback);
    await narrow.finish(person.callback);
    const wider = prepare(stdio.url, person);
    await wider.connect();
    assert.deepEqual(await wider.add(3, 4), { sum: 7 });
  });
}

test('a token without the scope that is needed gets 403 with what to ask for, and reaches nothing', async () => {
  const before = upstream.hits.length;
  for (const scope of [undefined, '', 'profile', 'tools', 'TOOLS:CALL', `x${SCOPE}`]) {
    const answer = await ask(http, { token: grant(http, 'narrow-user-canary', { scope }), body: initialize });
    assert.equal(answer.status, 403, String(scope));
    const [, description = ''] = /error_description="([^"]+)"/.exec(challengeOf(answer)) ?? [];
    assert.equal(challengeOf(answer), `Bearer error="insufficient_scope", error_description="${description}", scope="${SCOPE}", resource_metadata="${metadataOf(http)}"`);
    assert.equal(answer.json.error.data.code, 'AUTH_SCOPE');
  }
  assert.equal(upstream.hits.length, before);
});

test('a token that is not of this issuer, for this gateway and for now reaches nothing', async () => {
  const now = Math.floor(Date.now() / 1000);
  const stranger = createKey('RS256');
  const claims = { iss: issuer.url, sub: 'alice-canary', client_id: 'raw', aud: http.url, scope: SCOPE, iat: now, exp: now + 600 };
  const { kid, publicKey } = issuer.key;
  const hs256 = (secret: string): string => {
    const input = `${encode({ alg: 'HS256', typ: 'at+jwt', kid })}.${encode(claims)}`;
    return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
  };
  const [head = '', body = '', mark = ''] = grant(http, 'alice-canary').split('.');
  const bad: Readonly<Record<string, string>> = {
    'for the other gateway of the same issuer': grant(stdio, 'alice-canary'),
    'for the origin of the gateway': grant(http, 'alice-canary', { aud: new URL(http.url).origin }),
    'for the path of one server': grant(http, 'alice-canary', { aud: `${http.url}/peer` }),
    'for nobody in particular': grant(http, 'alice-canary', { aud: undefined }),
    'for the client, as an ID token': grant(http, 'alice-canary', { aud: 'raw' }),
    'of an issuer with a slash': grant(http, 'alice-canary', { iss: `${issuer.url}/` }),
    'of another issuer': grant(http, 'alice-canary', { iss: 'https://issuer.example.com' }),
    'that has expired': grant(http, 'alice-canary', { iat: now - 3600, exp: now - 120 }),
    'that begins tomorrow': grant(http, 'alice-canary', { nbf: now + 86_400, exp: now + 90_000 }),
    'that never expires': grant(http, 'alice-canary', { exp: undefined }),
    'with HS256 and the public key in PEM as the secret': hs256(publicKey.export({ format: 'pem', type: 'spki' }).toString()),
    'with HS256 and the key set as the secret': hs256(JSON.stringify(publicKey.export({ format: 'jwk' }))),
    'with alg none': `${encode({ alg: 'none', typ: 'at+jwt' })}.${encode(claims)}.`,
    'with alg none and the signature of another': `${encode({ alg: 'none', typ: 'at+jwt', kid })}.${body}.${mark}`,
    'without a signature': `${head}.${body}.`,
    'with other claims under a good signature': `${head}.${encode({ ...claims, sub: 'root' })}.${mark}`,
    "with a stranger's signature and the issuer's key id": signJwt({ alg: 'RS256', typ: 'at+jwt', kid }, claims, stranger),
    'with a key of its own in the header': signJwt({ alg: 'RS256', typ: 'at+jwt', jwk: stranger.publicKey.export({ format: 'jwk' }) }, claims, stranger),
    'with an address of keys in the header': signJwt({ alg: 'RS256', typ: 'at+jwt', kid: stranger.kid, jku: `${issuer.url}/other` }, claims, stranger),
    'of another type': issuer.token({ ...claims }, { typ: 'logout+jwt' }),
    'that is a refresh token': 'refresh-0123456789012345678901234567890123456789',
  };
  const before = upstream.hits.length;
  for (const [name, token] of Object.entries(bad)) {
    issuer.secrets.add(token);
    for (const [method, content] of [['POST', initialize], ['GET', undefined]] as const) {
      const answer = await ask(http, { method, token, ...(content === undefined ? {} : { body: content }) });
      assert.equal(answer.status, 401, name);
      assert.match(challengeOf(answer), /^Bearer error="invalid_token", error_description="[^"]+", scope="tools:call", resource_metadata="/, name);
      assert.equal(answer.json.error.data.code, 'AUTH_INVALID', name);
    }
  }
  assert.equal(upstream.hits.length, before);
  assert.equal((await ask(http, { token: `${head}.${body}.${mark}`, body: initialize })).status, 200, 'the good one among them opens the door');
});

test("the server sees the gateway's credential and nothing of the client's token, in either era", async () => {
  const token = grant(http, 'alice-canary');
  const session = await Session.open(http.gateway, { headers: as(token) });
  await session.call(1, 'echo');
  await session.listen().then((answer) => answer.leave());
  await session.end();
  assert.equal((await modernly(http.gateway, 1, 'tools/call', { name: 'echo' }, { headers: as(token) })).status, 200);
  assert.ok(upstream.seen('tools/call').length >= 2);
  assert.deepEqual([...new Set(upstream.hits.map(({ headers }) => headers.authorization))], [CREDENTIAL]);
  const everything = upstream.everything();
  for (const part of [...token.split('.'), 'alice-canary', label('alice-canary')]) assert.equal(everything.includes(part), false);
});

test('a session goes on with a refreshed token of the same user and client, and with nobody else', async () => {
  const first = grant(http, 'alice-canary');
  const session = await Session.open(http.gateway, { headers: as(first) });
  const refreshed = issuer.token({ sub: 'alice-canary', client_id: 'raw', aud: [http.url, 'https://elsewhere.example.com'], scope: ` ${SCOPE} `, exp: Math.floor(Date.now() / 1000) + 1200 });
  assert.equal((await session.post(request(1, 'ping'), as(refreshed))).status, 200);
  const others = {
    'another user': grant(http, 'bob-canary'),
    'the same user with another client': grant(http, 'alice-canary', { client_id: 'other' }),
    'the same user with other rights': grant(http, 'alice-canary', { scope: `${SCOPE} admin` }),
  };
  for (const [who, token] of Object.entries(others)) {
    const attempts = [await session.post(call(2, 'echo'), as(token)), await session.listen(undefined, as(token)), await session.end(as(token))];
    for (const answer of attempts) {
      await answer.over;
      assert.equal(answer.status, 404, who);
      assert.equal(answer.json.error.data.code, 'SESSION_UNKNOWN');
    }
  }
  for (const expired of [undefined, grant(http, 'alice-canary', { exp: 1_000_000, iat: 999_000 })]) {
    assert.equal((await session.post(request(3, 'ping'), { Authorization: expired === undefined ? null : `Bearer ${expired}` })).status, 401, 'the id of a session is no token');
  }
  assert.equal((await session.post(request(4, 'ping'))).status, 200);
  const bob = await Session.open(http.gateway, { headers: as(grant(http, 'bob-canary')) });
  assert.notEqual(bob.id, session.id);
  await bob.call(1, 'echo');
  await session.call(5, 'echo');
  await Promise.all([bob.end(), session.end()]);
  const rows = await http.gateway.rowsLike((row) => row['kind'] === 'call' && row['principal'] === label('bob-canary'));
  assert.equal(rows.length, 1);
});

test('rows name each caller by a label, and those that never came in by none', async () => {
  const who = new Set(http.gateway.rows().filter((row) => 'principal' in row).map((row) => row['principal']));
  for (const name of who) assert.match(String(name), /^(oauth:[0-9a-f]{8}|unknown)$/);
  assert.ok(who.has(label('alice-canary')) && who.has(label('bob-canary')));
  assert.equal(who.has(label('narrow-user-canary')), false);
  assert.equal(who.has(label('root')), false);
});

test('a request of 2026-07-28 is judged anew each time: what one user listed opens nothing for the next', async () => {
  assert.equal((await modernly(http.gateway, 1, 'tools/call', { name: 'echo' }, { headers: as(grant(http, 'carol-canary')) })).status, 200);
  const before = upstream.hits.length;
  for (const headers of [{}, as(grant(stdio, 'carol-canary'))]) {
    assert.equal((await modernly(http.gateway, 2, 'tools/call', { name: 'echo' }, { headers })).status, 401);
  }
  assert.equal(upstream.hits.length, before);
});

test('an issuer that is out makes the gateway say so, and known keys serve through an outage', async () => {
  const late = await Issuer.open('ES256');
  await late.stop();
  const waiting = await guard(by(late.url), modernServer);
  const token = late.token({ sub: 'dave-canary', client_id: 'raw', aud: waiting.url, scope: SCOPE });
  issuer.secrets.add(token);
  const refused = await ask(waiting, { token, body: initialize });
  assert.equal(refused.status, 503);
  assert.equal(refused.json.error.data.code, 'AUTH_UNAVAILABLE');
  assert.match(String(refused.headers['retry-after']), /^[1-9]\d*$/);
  assert.equal(refused.headers['www-authenticate'], undefined, 'the token is not to be thrown away');
  await waiting.gateway.says(/the issuer's keys cannot be fetched: the server refuses connections/);
  assert.equal((await ask(waiting, { body: initialize })).status, 401, 'who sends none is told what to do all the same');
  assert.equal((await ask(waiting, { method: 'GET', path: '/readyz' })).status, 200);
  await late.start();
  assert.equal((await eventually(() => ask(waiting, { token, body: initialize }))).status, 200);
  await late.stop();
  assert.equal((await ask(waiting, { token, body: initialize })).status, 200);
  await waiting.gateway.close().then((code) => assert.equal(code, 0, waiting.gateway.stderr));
});

test('metadata of another issuer leads to no keys, and the log says what is wrong with it', async () => {
  const other = await guard(by(`${issuer.url}/`), modernServer);
  const token = issuer.token({ iss: `${issuer.url}/`, sub: 'eve-canary', aud: other.url, scope: SCOPE });
  assert.equal((await ask(other, { token, body: initialize })).status, 503);
  await other.gateway.says(/the issuer's keys cannot be fetched: the metadata names another issuer/);
  await other.gateway.close();
});

test('keys may stand at an address of their own within the network, and the resource follows from the public URL', async () => {
  const elsewhere = 'https://issuer.example.com/tenant';
  const apart = await guard(`${by(elsewhere)}, jwks_url: "${issuer.url}/jwks"`, modernServer, 'public_url');
  const asked = issuer.count('metadata');
  const document = await ask(apart, { method: 'GET', path: '/.well-known/oauth-protected-resource/mcp' });
  assert.equal(document.json.resource, apart.url);
  assert.match(apart.url, /^http:\/\/localhost:/);
  assert.equal((await ask(apart, { token: grant(apart, 'frank-canary'), body: initialize })).status, 401, 'of the issuer who only has the keys');
  assert.equal((await ask(apart, { token: grant(apart, 'frank-canary', { iss: elsewhere }), body: initialize })).status, 200);
  assert.equal(issuer.count('metadata'), asked);
  await apart.gateway.close();
});

test('metadata sends the gateway nowhere into the network', async () => {
  const pointing = await Issuer.open('ES256');
  for (const [address, problem] of [['https://10.0.0.1/jwks', /private address/], ['https://169.254.169.254/jwks', /metadata address/]] as const) {
    pointing.metadata = { jwks_uri: address };
    const sent = await guard(by(pointing.url), modernServer);
    const token = pointing.token({ sub: 'grace-canary', aud: sent.url, scope: SCOPE });
    issuer.secrets.add(token);
    assert.equal((await ask(sent, { token, body: initialize })).status, 503);
    await sent.gateway.says(problem);
    await sent.gateway.close();
  }
});

/** Asks until the answer is 200: keys are not fetched at every request. */
async function eventually(attempt: () => Promise<Answer>): Promise<Answer> {
  const until = Date.now() + JWKS_REFRESH_MS_MIN + PATIENCE_MS;
  for (;;) {
    const answer = await attempt();
    if (answer.status === 200 || Date.now() > until) return answer;
    await delay(500);
  }
}

test('new keys of the issuer are found without a restart, and the old ones open nothing any more', async () => {
  const before = grant(http, 'alice-canary');
  const session = await Session.open(http.gateway, { headers: as(before) });
  issuer.rotate('ES256');
  const renewed = grant(http, 'alice-canary');
  const fetched = issuer.count('jwks');
  assert.equal((await eventually(() => ask(http, { token: renewed, body: initialize }))).status, 200);
  assert.equal(issuer.count('jwks'), fetched + 1, 'all those tries cost the issuer one fetch');
  assert.equal((await ask(http, { token: before, body: initialize })).status, 401);
  assert.equal((await session.post(request(1, 'ping'), as(renewed))).status, 200, 'the session is still the same');
  await session.end(as(renewed));
});

test('no token, code, secret or name of a user stands in the log, on standard error or in an answer', async () => {
  const codes = await Promise.all([stdio, http].map(({ gateway }) => gateway.close()));
  assert.deepEqual(codes, [0, 0]);
  const kept = opened.map((gateway) => allBytes(gateway.auditDir) + gateway.stderr + gateway.stdout).join('\n') + heard.join('\n');
  assert.ok(issuer.secrets.size > 60, `${issuer.secrets.size} secrets`);
  const parts = [...issuer.secrets].flatMap((secret) => [secret, ...secret.split('.').filter((part) => part.length > 40 && !part.startsWith('eyJhbGci'))]);
  for (const secret of [...parts, 'user-canary', 'alice-canary', 'bob-canary', 'upstream-credential-canary']) {
    assert.equal(kept.includes(secret), false, secret);
  }
});
