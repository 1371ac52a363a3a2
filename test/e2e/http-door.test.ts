// SPDX-License-Identifier: Apache-2.0
/**
 * The door of the HTTP face: how much it takes, whom it lets in, and what it keeps apart. Sessions belong to the principal
 * and the path that they were opened with; credentials of clients end here, and those of servers never show (threats.md
 * section 6).
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { allBytes, command, scratch } from '../harness/gateway.ts';
import { HttpGateway } from '../harness/http.ts';
import { call, headerPairs, modernly, request, Session } from '../harness/http-clients.ts';
import { called, event, json, notice, stream, Upstream, UPSTREAM_SESSION } from '../harness/http-upstream.ts';
import { MESSAGE_BYTES_MAX, REQUEST_HEADER_BYTES_MAX, REQUEST_HEADERS_MS_MAX } from '../../shared/limits.ts';

const POLICY = "version: 1\ndeny_tools: ['danger']\nmethods:\n  '*': allow\n";
const TOKENS = { ci: 'mbt_ci-canary-0123456789abcdefghijklmnopq', dev: 'mbt_dev-canary-0123456789abcdefghijklmno' };
const CREDENTIAL = 'Bearer upstream-credential-canary-0123456789';
const as = (token: string) => ({ Authorization: `Bearer ${token}` });
const BOTH = { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream' };

const first = await Upstream.open();
const second = await Upstream.open();
const hash = (token: string): string => createHash('sha256').update(token).digest('hex');
const gateway = await HttpGateway.open({
  policy: POLICY,
  env: { UPSTREAM_CREDENTIAL: CREDENTIAL },
  config: `version: 1
policy: policy.yaml
listen: 127.0.0.1:0
auth:
  kind: bearer
  tokens:
    - {name: ci, sha256: "${hash(TOKENS.ci)}"}
    - {name: dev, sha256: "${hash(TOKENS.dev)}"}
limits: {sessions: 8, connections: 64}
servers:
  first: {url: "${first.url}", allow_private: true, headers: {Authorization: "env:UPSTREAM_CREDENTIAL"}}
  second: {url: "${second.url}", allow_private: true}
`,
});
const ci = await Session.open(gateway, { path: '/mcp/first', headers: as(TOKENS.ci) });
await ci.call('warm', 'echo');

const at = (path: string, more: Record<string, string> = {}) => ({ path, headers: headerPairs({ ...BOTH, ...as(TOKENS.ci), ...more }) });

test('a body that is announced as too long is refused before it comes', async () => {
  for (const length of [MESSAGE_BYTES_MAX + 1, 4_294_967_296, 9_007_199_254_740_991]) {
    const head = `POST /mcp/first HTTP/1.1\r\nHost: 127.0.0.1:${gateway.port}\r\nContent-Type: application/json\r\nAccept: */*\r\nAuthorization: Bearer ${TOKENS.ci}\r\nContent-Length: ${length}\r\n\r\n`;
    assert.match(await gateway.raw(`${head}{"jsonrpc":`, 5000), /^HTTP\/1\.1 413 [\s\S]*FRAME_TOO_LARGE/);
  }
  await gateway.rowsLike((row) => row['code'] === 'FRAME_TOO_LARGE', 3);
});

test('a body in chunks without an end is cut off at the limit, and its client is told', async () => {
  const head = `POST /mcp/first HTTP/1.1\r\nHost: 127.0.0.1:${gateway.port}\r\nContent-Type: application/json\r\nAccept: */*\r\nAuthorization: Bearer ${TOKENS.ci}\r\nTransfer-Encoding: chunked\r\n\r\n`;
  const chunk = Buffer.concat([Buffer.from('100000\r\n'), Buffer.alloc(1024 * 1024, 0x20), Buffer.from('\r\n')]);
  const { answer, closed } = await new Promise<{ answer: string; closed: boolean }>((resolve) => {
    let text = '';
    const socket = connect(gateway.port, '127.0.0.1', () => {
      socket.write(head);
      more();
    });
    const done = (closed: boolean) => (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ answer: text, closed });
    };
    const timer = setTimeout(done(false), 20_000);
    const more = (): void => {
      if (!socket.destroyed) socket.write(chunk, () => setTimeout(more, text === '' ? 0 : 50));
    };
    socket.on('data', (data: Buffer) => (text += data.toString('latin1')));
    socket.on('close', done(true));
    socket.on('error', () => undefined);
  });
  assert.match(answer, /^HTTP\/1\.1 413 /);
  assert.equal(closed, true, 'whoever goes on sending loses the connection');
});

test('headers that are too long end their connection', async () => {
  const answer = await gateway.fetch({ ...at('/mcp/first', { 'X-Long': 'x'.repeat(REQUEST_HEADER_BYTES_MAX) }), body: '{}' }).then(({ status }) => status, () => 0);
  assert.ok(answer === 0 || answer === 400 || answer === 431, String(answer));
  assert.equal((await ci.ask('still', 'ping')).error, undefined);
});

test('more connections than are allowed are turned away, and the others go on', async () => {
  const sockets: Socket[] = await Promise.all(
    Array.from({ length: 80 }, () => new Promise<Socket>((resolve) => {
      const socket = connect(gateway.port, '127.0.0.1', () => resolve(socket));
      socket.on('error', () => undefined);
    })),
  );
  let closed = 0;
  for (const socket of sockets) {
    socket.resume();
    socket.on('close', () => (closed += 1));
    if (socket.destroyed) closed += 1;
  }
  // Before the time for headers is over, which would end them all.
  const until = Date.now() + REQUEST_HEADERS_MS_MAX / 2;
  while (closed < 10 && Date.now() < until) await delay(50);
  assert.ok(closed >= 10, `closed: ${closed}`);
  for (const socket of sockets) socket.destroy();
  // Until the gateway has seen that they are gone, it turns others away too.
  let answer = await ci.ask('after', 'ping').catch(() => null);
  while (answer === null && Date.now() < until) {
    await delay(50);
    answer = await ci.ask('after', 'ping').catch(() => null);
  }
  assert.deepEqual(answer?.result, {});
});

test('requests that do not wait for the answer to the one before end their connection, and nothing of them stays', async () => {
  first.on('tools/call', () => undefined);
  const own = (body: string): string =>
    `POST /mcp/first HTTP/1.1\r\nHost: 127.0.0.1:${gateway.port}\r\nContent-Type: application/json\r\nAccept: */*\r\nAuthorization: Bearer ${TOKENS.ci}\r\nMcp-Session-Id: ${ci.id}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const before = first.seen('ping').length;
  assert.equal(await gateway.raw(own(JSON.stringify(call('hangs', 'echo'))) + own('{"jsonrpc":"2.0","id":1,"method":"ping"}').repeat(1500), 10_000), '');
  assert.equal(first.seen('ping').length, before);
  first.on('tools/call', null);
  for (let n = 0; n < 3; n += 1) assert.equal((await ci.post(request(`on ${n}`, 'ping'))).status, 200);
  await gateway.rowsLike((row) => row['code'] === 'CAPACITY' && row['server'] === 'door');
});

test('verbs that the protocol does not have are refused with those that it has', async () => {
  for (const method of ['PUT', 'PATCH', 'HEAD', 'TRACE', 'PROPFIND']) {
    const answer = await gateway.fetch({ ...at('/mcp/first'), method });
    assert.equal(answer.status, 405, method);
    assert.match(String(answer.headers.allow), /POST/);
  }
  for (const method of ['GET', 'DELETE']) {
    const without = await gateway.fetch({ ...at('/mcp/first', { Accept: 'text/event-stream' }), method });
    assert.equal(without.status, 405, method);
    assert.equal(without.headers.allow, 'POST');
    const modern = await gateway.fetch({ ...at('/mcp/first', { Accept: 'text/event-stream', 'MCP-Protocol-Version': '2026-07-28', 'Mcp-Session-Id': ci.id }), method });
    assert.equal(modern.status, 405, method);
  }
  assert.deepEqual((await ci.ask('not ended', 'ping')).result, {});
});

test('paths that are not served say where to go, and probes for metadata get a clean 404', async () => {
  const lost = await gateway.fetch({ ...at('/'), body: '{}' });
  assert.equal(lost.status, 404);
  assert.match(lost.json.error.data.hint, /\/mcp\/first/);
  const probes = ['oauth-protected-resource', 'oauth-protected-resource/mcp/first', 'oauth-authorization-server', 'oauth-authorization-server/mcp', 'openid-configuration', 'mcp.json'];
  for (const probe of probes) {
    const answer = await gateway.fetch({ method: 'GET', path: `/.well-known/${probe}` });
    assert.equal(answer.status, 404, probe);
    assert.equal(answer.headers['content-type'], 'application/json');
  }
});

test('health and readiness are told to anyone on the machine', async () => {
  const [health, ready] = await Promise.all(['/healthz', '/readyz'].map((path) => gateway.fetch({ method: 'GET', path })));
  assert.deepEqual([health?.status, health?.json], [200, { status: 'ok' }]);
  assert.deepEqual([ready?.status, ready?.json], [200, { status: 'ready' }]);
});

test('only a known token in the Authorization header opens anything', async () => {
  const before = first.hits.length;
  const body = JSON.stringify(request(1, 'initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } }));
  const rows: readonly [Record<string, string>, string][] = [
    [{}, 'AUTH_REQUIRED'],
    [{ Authorization: 'Bearer mbt_wrong-0123456789abcdefghijklmnopqrst' }, 'AUTH_INVALID'],
    [{ Authorization: `Bearer ${TOKENS.ci}x` }, 'AUTH_INVALID'],
    [{ Authorization: `Bearer ${TOKENS.ci.toUpperCase()}` }, 'AUTH_INVALID'],
    [{ Authorization: `Bearer ${hash(TOKENS.ci)}` }, 'AUTH_INVALID'],
    [{ Authorization: `Basic ${Buffer.from(`ci:${TOKENS.ci}`).toString('base64')}` }, 'AUTH_REQUIRED'],
    [{ Authorization: `Bearer ${TOKENS.ci}, Bearer ${TOKENS.dev}` }, 'AUTH_INVALID'],
    [{ Cookie: `token=${TOKENS.ci}` }, 'AUTH_REQUIRED'],
    [{ 'X-Api-Key': TOKENS.ci }, 'AUTH_REQUIRED'],
    [{ 'X-Forwarded-User': 'ci', 'mcp-init-host': 'x', 'Mcp-Session-Id': ci.id }, 'AUTH_REQUIRED'],
  ];
  for (const [headers, code] of rows) {
    for (const method of ['POST', 'GET', 'DELETE']) {
      const answer = await gateway.fetch({ method, path: '/mcp/first', headers: headerPairs({ ...BOTH, ...headers }), ...(method === 'POST' ? { body } : {}) });
      assert.equal(answer.status, 401, `${method} ${JSON.stringify(headers)}`);
      assert.match(String(answer.headers['www-authenticate']), /^Bearer /);
      assert.equal(answer.json.error.data.code, code);
    }
  }
  const twice = await gateway.fetch({ path: '/mcp/first', headers: [...headerPairs(BOTH), ['Authorization', `Bearer ${TOKENS.ci}`], ['Authorization', `Bearer ${TOKENS.ci}`]], body });
  assert.equal(twice.status, 401);
  for (const query of [`access_token=${TOKENS.ci}`, `x=1&ACCESS_TOKEN=${TOKENS.ci}`]) {
    const inUrl = await gateway.fetch({ path: `/mcp/first?${query}`, headers: headerPairs({ ...BOTH, ...as(TOKENS.ci) }), body });
    assert.equal(inUrl.status, 400);
    assert.equal(inUrl.json.error.data.code, 'AUTH_INVALID');
  }
  assert.equal(first.hits.length, before);
});

test('a session is as unknown to another principal as one that never was', async () => {
  let release: () => void = () => undefined;
  first.on('tools/call', (hit) => {
    stream(hit).write(event(notice('notifications/message', { level: 'info', data: 'private-canary' })));
    release = () => void hit.response.end(event(called(hit, 'private-canary')));
  });
  const own = await ci.send(call('long', 'echo'));
  await own.next((message) => message.method === 'notifications/message');
  const last = own.events.at(-1)?.id ?? '';
  const theft = { Authorization: `Bearer ${TOKENS.dev}` };
  const attempts = [
    await ci.post(request(1, 'ping'), theft),
    await ci.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'long' } }, theft),
    await ci.listen(undefined, theft),
    await ci.listen(last, theft),
    await ci.end(theft),
  ];
  for (const answer of attempts) {
    await answer.over;
    assert.equal(answer.status, 404);
    assert.equal(answer.json.error.data.code, 'SESSION_UNKNOWN');
    assert.equal(answer.text.includes('canary'), false);
  }
  const elsewhere = await gateway.fetch({ ...at('/mcp/second', { 'Mcp-Session-Id': ci.id }), body: JSON.stringify(call(1, 'echo')) });
  assert.equal(elsewhere.status, 404, 'and on the path of another server');
  const dev = await Session.open(gateway, { path: '/mcp/first', headers: as(TOKENS.dev) });
  const foreign = await dev.listen(last);
  await foreign.over;
  assert.equal(foreign.status, 400, 'events of one session are none of another');
  release();
  assert.match(JSON.stringify(await own.next((message) => message.id === 'long')), /private-canary/);
  first.on('tools/call', null);
  await dev.end();
});

test('a state that a server gave one principal is none of another', async () => {
  first.on('tools/call', (hit) => {
    const { requestState } = hit.message.params;
    if (requestState !== undefined) json(hit, called(hit, `got ${requestState}`));
    else json(hit, { jsonrpc: '2.0', id: hit.message.id, result: { resultType: 'input_required', requestState: 'inner' } });
  });
  const path = '/mcp/first';
  const given = await modernly(gateway, 1, 'tools/call', { name: 'echo' }, { path, headers: as(TOKENS.ci) });
  const { requestState } = given.json.result;
  const stolen = await modernly(gateway, 1, 'tools/call', { name: 'echo', requestState }, { path, headers: as(TOKENS.dev) });
  assert.equal(stolen.json.error.data.code, 'STATE_INVALID');
  const elsewhere = await modernly(gateway, 1, 'tools/call', { name: 'echo', requestState }, { path: '/mcp/second', headers: as(TOKENS.ci) });
  assert.equal(elsewhere.json.error.data.code, 'STATE_INVALID');
  const own = await modernly(gateway, 1, 'tools/call', { name: 'echo', requestState }, { path, headers: as(TOKENS.ci) });
  assert.equal(own.json.result.content[0].text, 'got inner');
  first.on('tools/call', null);
});

test("headers of the client's stay at the gateway, and the server gets its own credential", async () => {
  const secrets = {
    Cookie: 'sid=client-secret-canary',
    'X-Api-Key': 'client-secret-canary',
    'X-Forwarded-For': 'client-secret-canary',
    'X-Custom': 'client-secret-canary',
    'Proxy-Authorization': 'Basic client-secret-canary',
    'User-Agent': 'client-secret-canary',
    Referer: 'http://client-secret-canary/',
    Traceparent: 'client-secret-canary',
    'Last-Event-ID': 'client-secret-canary',
    Forwarded: 'for=client-secret-canary',
  };
  for (const path of ['/mcp/first', '/mcp/second']) {
    const session = await Session.open(gateway, { path, headers: { ...as(TOKENS.ci), ...secrets } });
    await session.call(1, 'echo');
    await session.end();
    await modernly(gateway, 1, 'tools/call', { name: 'echo' }, { path, headers: { ...as(TOKENS.ci), ...secrets } });
  }
  for (const upstream of [first, second]) {
    assert.equal(upstream.everything().includes('client-secret-canary'), false);
    assert.equal(upstream.everything().includes('mbt_'), false);
    assert.equal(upstream.everything().includes(ci.id), false, "the session's id at the gateway is not the server's");
  }
  assert.deepEqual([...new Set(first.hits.map(({ headers }) => headers.authorization))], [CREDENTIAL]);
  assert.deepEqual([...new Set(second.hits.map(({ headers }) => headers.authorization))], [undefined]);
});

test('rows name the principal, and each says who called', async () => {
  const dev = await Session.open(gateway, { path: '/mcp/first', headers: as(TOKENS.dev) });
  await dev.call(1, 'echo');
  const callers = gateway.rows().filter((row) => row['kind'] === 'call').map((row) => String(row['principal']));
  assert.deepEqual(new Set(callers), new Set(['token:ci', 'token:dev']));
  await dev.end();
});

test('sessions have a cap, beyond which clients are told to wait', async () => {
  const options = { path: '/mcp/second', headers: as(TOKENS.dev), initialized: false };
  const sessions: Session[] = [];
  for (let n = 0; n < 8; n += 1) sessions.push(await Session.open(gateway, options));
  const refused = await Session.initialize(gateway, options);
  assert.equal(refused.status, 503);
  assert.equal(refused.headers['retry-after'], '10');
  assert.equal(refused.json.error.data.code, 'CAPACITY');
  assert.equal((await sessions[0]?.post(request(1, 'ping')))?.status, 200);
  for (const session of sessions) await session.end();
  const next = await Session.open(gateway, options);
  await next.end();
});

test('an ended session is gone, at the server too', async () => {
  const session = await Session.open(gateway, { path: '/mcp/first', headers: as(TOKENS.ci) });
  const before = first.seen('DELETE').length;
  assert.equal((await session.end()).status, 200);
  await first.hit((hit) => hit.verb === 'DELETE' && first.seen('DELETE').length > before);
  assert.equal((await session.post(request(1, 'ping'))).status, 404);
  assert.equal((await session.listen()).status, 404);
  assert.equal((await session.end()).status, 404);
});

test('no token, session id or credential stands in the log, on standard error or in an error', async () => {
  first.on('tools/call', (hit) => json(hit, {}, 500));
  const failed = await ci.post(call('fails', 'echo'));
  assert.equal(failed.text.includes('canary'), false);
  first.on('tools/call', null);
  const kept = allBytes(gateway.auditDir) + gateway.stderr + gateway.stdout;
  for (const secret of [...Object.values(TOKENS), 'upstream-credential-canary', 'client-secret-canary', UPSTREAM_SESSION, ci.id]) {
    assert.equal(kept.includes(secret), false, secret);
  }
});

test('without its log the gateway takes no more messages, and says that it is not ready', async () => {
  rmSync(gateway.auditDir, { recursive: true, force: true });
  const until = Date.now() + 20_000;
  let answer = await ci.post(call('first', 'echo'));
  while (answer.messages[0].error?.data?.code !== 'AUDIT_UNAVAILABLE' && Date.now() < until) answer = await ci.post(call('more', 'echo'));
  const before = [first.hits.length, second.hits.length];
  assert.equal((await ci.post(call('unlogged', 'echo'))).messages[0].error.data.code, 'AUDIT_UNAVAILABLE');
  const modern = await modernly(gateway, 'unlogged', 'tools/call', { name: 'echo' }, { path: '/mcp/second', headers: as(TOKENS.ci) });
  assert.equal(modern.json.error.data.code, 'AUDIT_UNAVAILABLE');
  assert.deepEqual([first.hits.length, second.hits.length], before);
  assert.equal((await gateway.fetch({ method: 'GET', path: '/readyz' })).status, 503);
  assert.equal((await gateway.fetch({ method: 'GET', path: '/healthz' })).status, 200);
});

test('without authentication nothing but this machine is listened to', () => {
  const folder = scratch();
  writeFileSync(`${folder}/policy.yaml`, POLICY);
  const run = command(['up', '--policy', `${folder}/policy.yaml`, '--state', folder, '--listen', '0.0.0.0:0', '--allowed-host', 'mcp.example.com', '--upstream-url', first.url, '--allow-private']);
  assert.equal(run.code, 2, run.stderr);
  assert.match(run.stderr, /without authentication/);
});

test('a server that cannot be started is told to its client', async () => {
  const broken = await HttpGateway.open({ server: ['/nowhere/at-all'] });
  const answer = await Session.initialize(broken);
  assert.equal(answer.status, 502);
  assert.equal(answer.json.error.data.code, 'UPSTREAM_SPAWN');
  assert.equal((await modernly(broken, 1, 'server/discover')).json.error.data.code, 'UPSTREAM_SPAWN');
  assert.equal((await broken.fetch({ method: 'GET', path: '/healthz' })).status, 200);
  await broken.close();
});
