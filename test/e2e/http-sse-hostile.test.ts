// SPDX-License-Identifier: Apache-2.0
/** The transport of 2024-11-05 with servers and clients that mean harm (mcp.md sections 4 and 7). */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { gzipSync } from 'node:zlib';
import { createToken } from '../../enclave/front/bearer.ts';
import type { Row, Wire } from '../harness/gateway.ts';
import { allBytes, ALLOW_ALL, command, readRows, scratch } from '../harness/gateway.ts';
import type { Answer } from '../harness/http.ts';
import { HttpGateway } from '../harness/http.ts';
import type { Changes } from '../harness/http-clients.ts';
import { call, headerPairs, metaOf, request, Session } from '../harness/http-clients.ts';
import { eventually, SseClient, SseServer, usual } from '../harness/sse.ts';

const codeOf = (answer: Answer): string => answer.json.error.data.code;
const JSON_TYPE = { 'Content-Type': 'application/json' };
const BASE = "version: 1\npolicy: policy.yaml\nlisten: '127.0.0.1:0'\n";
const entry = (name: string, server: SseServer): string => `  ${name}: {url: '${server.url.href}', transport: sse, allow_private: true}\n`;

const openings: readonly (readonly [name: string, opening: string])[] = [
  ['origin', 'event: endpoint\ndata: http://evil.example/messages\n\n'],
  ['authority', 'event: endpoint\ndata: //evil.example/messages\n\n'],
  ['traversal', 'event: endpoint\ndata: /messages/../../admin\n\n'],
  ['escaped', 'event: endpoint\ndata: /messages/%2e%2e/admin\n\n'],
  ['early', 'event: message\ndata: {"jsonrpc":"2.0","id":1,"method":"roots/list"}\n\nevent: endpoint\ndata: /messages\n\n'],
  ['never', ': wait\n\n'],
];

test('a server whose endpoint is bad, late or missing is not connected to, and the client is told', { timeout: 120_000 }, async () => {
  const servers = await Promise.all(openings.map(async ([name, opening]) => {
    const server = await SseServer.open();
    server.opening = () => opening;
    return { name, server };
  }));
  const gateway = await HttpGateway.open({ config: `${BASE}servers:\n${servers.map(({ name, server }) => entry(name, server)).join('')}` });
  await Promise.all(servers.map(async ({ name, server }) => {
    const [streamable, stream] = await Promise.all([Session.initialize(gateway, { path: `/mcp/${name}` }), SseClient.listen(gateway, `/mcp/${name}/sse`)]);
    await stream.over;
    for (const answer of [streamable, stream]) assert.deepEqual([answer.status, codeOf(answer)], [502, 'UPSTREAM_PROTOCOL'], name);
    assert.equal(server.posts.length, 0, name);
    await eventually('the streams are closed', () => server.streams.every((each) => each.destroyed));
    const rows = await gateway.rowsLike((row) => row['server'] === name, 2);
    for (const row of rows) assert.deepEqual([row['kind'], row['decision'], row['code']], ['drop', 'deny', 'UPSTREAM_PROTOCOL']);
  }));
  assert.equal(await gateway.close(), 0);
});

test('a client on stdio is told at once that the server cannot be had, and the log is closed in order', async () => {
  const folder = scratch();
  const server = await SseServer.open();
  const url = server.url.href;
  await server.close();
  writeFileSync(join(folder, 'policy.yaml'), ALLOW_ALL);
  const { code, stdout, stderr } = command(['up', '--policy', 'policy.yaml', '--state', 'state', '--transport', 'sse', '--allow-private', '--upstream-url', url], { cwd: folder });
  assert.deepEqual([code, stdout], [3, '']);
  assert.match(stderr, /^up: error: the server refuses connections\nhint: check that the server runs/m);
  assert.deepEqual(readRows(join(folder, 'state', 'audit')).map((row) => row['kind']), ['boot', 'close']);
});

test('a server that names another endpoint in the middle loses the session, and gets nothing there', async () => {
  const server = await SseServer.open();
  server.answer = (message) => {
    if (message.method === 'tools/call') server.stream.write('event: endpoint\ndata: /elsewhere\n\n');
    return usual(message);
  };
  const gateway = await HttpGateway.open({ upstream: server.url.href, args: ['--transport', 'sse'] });
  const session = await Session.open(gateway);
  const answer = await session.call(1, 'echo', { a: 1 });
  assert.equal(answer.error.data.code, 'UPSTREAM_PROTOCOL');
  await eventually('the session is gone', () => server.stream.destroyed);
  assert.equal((await session.post(request(2, 'ping'))).status, 404);

  const client = await SseClient.open(gateway);
  await client.initialize();
  const told = await client.ask(1, 'tools/call', { name: 'echo', arguments: {} });
  assert.equal(told.error.data.code, 'UPSTREAM_PROTOCOL');
  assert.equal(await client.stream.over, 'whole');
  assert.deepEqual([...new Set(server.posts.map(({ url }) => url))], ['/messages?stream=0', '/messages?stream=1']);
  const failed = gateway.rows().filter((row) => row['kind'] === 'result' && row['code'] === 'UPSTREAM_PROTOCOL');
  assert.deepEqual(failed.map((row) => [row['origin'], row['status']]), [['gateway', 'error'], ['gateway', 'error']]);
  assert.equal(await gateway.close(), 0);
});

interface Guarded {
  readonly server: SseServer;
  readonly gateway: HttpGateway;
  readonly alice: Changes;
  readonly bob: Changes;
}

/** A gateway with two principals. */
async function guarded(policy = ALLOW_ALL): Promise<Guarded> {
  const folder = scratch();
  const [alice, bob] = [createToken(randomBytes), createToken(randomBytes)];
  const tokens = join(folder, 'tokens.yaml');
  writeFileSync(tokens, `version: 1\ntokens:\n  - {name: alice, sha256: "${alice.sha256}"}\n  - {name: bob, sha256: "${bob.sha256}"}\n`);
  const server = await SseServer.open();
  const gateway = await HttpGateway.open({ folder, policy, upstream: server.url.href, args: ['--transport', 'sse', '--tokens', tokens] });
  return { server, gateway, alice: { Authorization: `Bearer ${alice.token}` }, bob: { Authorization: `Bearer ${bob.token}` } };
}

test('a session is its principal\'s alone, and one of somebody else looks like none', async () => {
  const { server, gateway, alice, bob } = await guarded();
  const client = await SseClient.open(gateway, '/sse', alice);
  await client.initialize();
  await eventually('the handshake is over', () => server.seen('notifications/initialized').length === 1);
  const before = server.posts.length;
  const id = new URLSearchParams(client.endpoint.split('?')[1]).get('sessionId') ?? '';
  assert.match(id, /^[0-9a-f]{32}$/);
  const ping = JSON.stringify(request(1, 'ping'));
  const at = (query: string, own: Changes, path = '/messages'): Promise<Answer> =>
    gateway.fetch({ path: `${path}${query}`, headers: headerPairs(JSON_TYPE, own), body: ping });
  const unknown = await at(`?sessionId=${'0'.repeat(32)}`, alice);
  for (const [query, own] of [
    [`?sessionId=${id}`, bob],
    ['', alice],
    ['?sessionId=', alice],
    [`?sessionid=${id}`, alice],
    [`?sessionId=${id}&sessionId=${id}`, alice],
    [`?sessionId=${id.toUpperCase()}x`, alice],
    [`?sessionId=${id}%00`, alice],
    ['?sessionId=__proto__', alice],
  ] as const) {
    const answer = await at(query, own);
    assert.deepEqual([answer.status, answer.text], [unknown.status, unknown.text], query);
  }
  assert.deepEqual([unknown.status, codeOf(unknown)], [404, 'SESSION_UNKNOWN']);
  assert.equal((await at(`?sessionId=${id}`, {})).status, 401);
  assert.equal((await at(`?sessionId=${id}`, { Authorization: 'Bearer wrong-wrong-wrong-wrong' })).status, 401);
  assert.equal((await at(`?sessionId=${id}&access_token=x`, alice)).status, 400);
  assert.equal((await SseClient.listen(gateway, '/sse')).status, 401);
  assert.equal(server.posts.length, before);
  // Whatever path of the same server names it, the session is the same one.
  assert.equal((await at(`?sessionId=${id}`, alice, '/mcp/peer/messages')).status, 202);
  await client.next((message) => message.id === 1);

  const rows = gateway.rows();
  assert.ok(rows.some((row) => row['code'] === 'SESSION_UNKNOWN' && row['principal'] === 'token:bob' && row['server'] === 'peer' && row['kind'] === 'drop'));
  assert.ok(rows.some((row) => row['method'] === 'initialize' && row['principal'] === 'token:alice'));
  client.stream.leave();
  await eventually('the session at the server ends', () => server.stream.destroyed);
  await eventually('the session is forgotten', () => gateway.rows().length > 0);
  assert.equal((await at(`?sessionId=${id}`, alice)).status, 404);
  assert.equal(await gateway.close(), 0);
  assert.equal(allBytes(join(gateway.folder, 'state')).includes(id), false);
  assert.equal(gateway.stderr.includes(id), false);
});

const ping = JSON.stringify(request(1, 'ping'));
const modernPing = JSON.stringify(request(1, 'ping', { _meta: metaOf() }));
const refusedPosts: readonly (readonly [what: string, body: string | Uint8Array, changes: Changes, status: number, code: string])[] = [
  ['no JSON', '{', {}, 400, 'JSON_SYNTAX'],
  ['nothing', '', {}, 400, 'JSON_SYNTAX'],
  ['two messages', `${ping}\n${ping}`, {}, 400, 'JSON_TRAILING'],
  ['a duplicate key', '{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}', {}, 400, 'KEY_DUPLICATE'],
  ['a byte order mark', `\ufeff${ping}`, {}, 400, 'BOM'],
  ['invalid UTF-8', Buffer.from('{"jsonrpc":"2.0","id":1,"method":"\xff"}', 'latin1'), {}, 400, 'UTF8_INVALID'],
  ['UTF-16', Buffer.from(ping, 'utf16le'), { 'Content-Type': 'application/json; charset=utf-16le' }, 415, 'MEDIA_TYPE'],
  ['a compressed body', gzipSync(ping), { 'Content-Encoding': 'gzip' }, 415, 'MEDIA_TYPE'],
  ['text/plain', ping, { 'Content-Type': 'text/plain' }, 415, 'MEDIA_TYPE'],
  ['no type', ping, { 'Content-Type': null }, 415, 'MEDIA_TYPE'],
  ['two types', ping, { 'Content-Type': ['application/json', 'text/plain'] }, 415, 'MEDIA_TYPE'],
  ['a batch at a revision without batches', `[${ping}]`, {}, 400, 'BATCH_NOT_ALLOWED'],
  ['an empty batch', '[]', {}, 400, 'BATCH_EMPTY'],
  ['another revision', ping, { 'MCP-Protocol-Version': '2025-03-26' }, 400, 'ERA_MIXED'],
  ['an unknown revision', ping, { 'MCP-Protocol-Version': '1' }, 400, 'REVISION_UNKNOWN'],
  ['a header of 2026-07-28', ping, { 'MCP-Protocol-Version': '2026-07-28' }, 400, 'ERA_MIXED'],
  ['a body of 2026-07-28', modernPing, {}, 400, 'ERA_MIXED'],
  ['a probe within a batch', JSON.stringify([request(1, 'server/discover', {})]), {}, 400, 'ERA_MIXED'],
  ['a method header that differs', ping, { 'Mcp-Method': 'tools/list' }, 400, 'HEADER_MISMATCH'],
  ['an evil Host', ping, { Host: 'evil.example' }, 403, 'HOST_REFUSED'],
  ['an evil Origin', ping, { Origin: 'http://evil.example' }, 403, 'ORIGIN_REFUSED'],
  ['an opaque Origin', ping, { Origin: 'null' }, 403, 'ORIGIN_REFUSED'],
];

test('what is no proper message from the right place is refused with its POST, with a row, and moves nothing', async () => {
  const { server, gateway, alice } = await guarded();
  const client = await SseClient.open(gateway, '/mcp/sse', alice);
  await client.initialize('2025-06-18');
  await eventually('the handshake is over', () => server.seen('notifications/initialized').length === 1);
  const before = [server.posts.length, client.messages.length];
  for (const [what, body, changes, status, code] of refusedPosts) {
    const answer = await client.post(body, changes);
    assert.deepEqual([answer.status, codeOf(answer)], [status, code], what);
  }
  assert.deepEqual([server.posts.length, client.messages.length], before);
  const codes = refusedPosts.map(([, , , , code]) => code);
  const rows = await gateway.rowsLike((row) => row['kind'] === 'drop', codes.length);
  assert.deepEqual(rows.map((row) => row['code']), codes);
  for (const row of rows) assert.deepEqual([row['dir'], row['decision'], row['server']], ['c2s', 'deny', /^(HOST|ORIGIN)/.test(String(row['code'])) ? 'door' : 'peer']);

  // What is JSON but no message is the conversation's to judge: its error comes on the stream.
  const taken = await client.post('{"jsonrpc":"2.0","id":7,"method":"ping","extra":1}');
  assert.deepEqual([taken.status, taken.text], [202, '']);
  const error = await client.next((message) => message.id === 7);
  assert.equal(error.error.data.code, 'ENVELOPE_KEY');
  await gateway.rowsLike((row) => row['kind'] === 'drop' && row['code'] === 'ENVELOPE_KEY');
  const probe = await client.ask(8, 'server/discover', {});
  assert.equal(probe.error.data.code, 'ERA_MIXED');
  assert.equal(server.posts.length, before[0]);
  assert.equal(await gateway.close(), 0);
});

test('the stream is opened by GET alone, from the right place, by who takes events', async () => {
  const { server, gateway, alice } = await guarded();
  for (const path of ['/sse', '/mcp/sse', '/mcp/peer/sse']) {
    for (const [changes, status, code] of [
      [{ Host: 'evil.example' }, 403, 'HOST_REFUSED'],
      [{ Host: `127.0.0.1:${gateway.port}.evil.example` }, 403, 'HOST_REFUSED'],
      [{ Origin: 'http://evil.example' }, 403, 'ORIGIN_REFUSED'],
      [{ Accept: 'application/json' }, 406, 'ACCEPT_INVALID'],
      [{ 'MCP-Protocol-Version': '2026-07-28' }, 400, 'ERA_MIXED'],
    ] as const) {
      const answer = await SseClient.listen(gateway, path, { ...alice, ...changes });
      await answer.over;
      assert.deepEqual([answer.status, codeOf(answer)], [status, code]);
    }
    const headers = headerPairs(JSON_TYPE, alice);
    const posted = await gateway.fetch({ path, headers, body: ping });
    assert.deepEqual([posted.status, posted.headers.allow], [405, 'GET']);
    const got = await gateway.fetch({ method: 'GET', path: path.replace('sse', 'messages'), headers });
    assert.deepEqual([got.status, got.headers.allow], [405, 'POST']);
  }
  assert.equal(server.gets.length, 0);
  const lenient = await SseClient.open(gateway, '/sse', { ...alice, Accept: null });
  lenient.stream.leave();
  const page = await SseClient.open(gateway, '/sse', { ...alice, Origin: `http://localhost:${gateway.port}` });
  assert.equal(page.stream.headers['access-control-allow-origin'], `http://localhost:${gateway.port}`);
  assert.equal(page.stream.headers['x-accel-buffering'], 'no');
  assert.match(page.stream.text, /^event: endpoint\ndata: \/messages\?sessionId=[0-9a-f]{32}\n\n/);
  assert.equal(await gateway.close(), 0);
  assert.equal(await page.stream.over, 'whole');
});

test('policy holds over this transport: denied calls do not happen, and batches hide nothing', async () => {
  const { server, gateway, alice } = await guarded("version: 1\ndeny_tools: ['danger']\n");
  const client = await SseClient.open(gateway, '/sse', alice);
  await client.initialize('2025-03-26');
  const batch = JSON.stringify([call(1, 'echo', { n: 1 }), call(2, 'danger'), { jsonrpc: '2.0', method: 'tools/call' }, call(3, 'echo', { n: 3 })]);
  assert.equal((await client.post(batch)).status, 202);
  const answers: Wire[] = [];
  for (const id of [1, 2, 3]) answers.push(await client.next((message) => message.id === id));
  assert.deepEqual(answers.map((answer) => answer.error?.data.code ?? answer.result.content[0].text), ['{"n":1}', 'TOOL_DENIED', '{"n":3}']);
  assert.deepEqual(server.seen('tools/call').map(({ message }) => message.params.name), ['echo', 'echo']);
  // An unknown id settles nothing.
  await client.post({ jsonrpc: '2.0', id: 99, result: {} });
  await gateway.rowsLike((row) => row['code'] === 'ID_UNKNOWN');
  const rows = gateway.rows();
  const calls = rows.filter((row) => row['kind'] === 'call').map((row) => row['decision']);
  assert.deepEqual(calls.filter((decision) => decision === 'deny').length, 1);
  assert.ok(rows.some((row) => row['code'] === 'METHOD_WRONG_KIND'));
  assert.equal(await gateway.close(), 0);
});

test('both transports of a server share its sessions, and a stream that is closed makes room', async () => {
  const server = await SseServer.open();
  const config = `${BASE}public_url: 'https://gateway.example.com/behind'\nallowed_hosts: []\nlimits: {sessions: 2}\nservers:\n${entry('peer', server)}`;
  const gateway = await HttpGateway.open({ config });
  const client = await SseClient.open(gateway, '/mcp/peer/sse');
  assert.match(client.endpoint, /^\/behind\/mcp\/peer\/messages\?sessionId=/);
  const session = await Session.open(gateway);
  const full = await SseClient.listen(gateway, '/mcp/sse');
  await full.over;
  assert.deepEqual([full.status, codeOf(full)], [503, 'CAPACITY']);
  assert.equal((await Session.initialize(gateway)).status, 503);
  client.stream.leave();
  let again = await SseClient.listen(gateway, '/mcp/sse');
  await eventually('there is room again', () => {
    if (again.status === 200) return true;
    void SseClient.listen(gateway, '/mcp/sse').then((answer) => (again = answer));
    return false;
  });
  assert.equal((await session.ask(1, 'ping')).error, undefined);
  assert.equal(await gateway.close(), 0);
});

test('several servers are one over this transport too', async () => {
  const servers = [await SseServer.open(), await SseServer.open()] as const;
  const gateway = await HttpGateway.open({ config: `${BASE}servers:\n${entry('one', servers[0])}${entry('two', servers[1])}` });
  for (const path of ['/sse', '/mcp/sse']) {
    const client = await SseClient.open(gateway, path);
    await client.initialize();
    const { tools } = (await client.ask(1, 'tools/list')).result;
    assert.equal(tools.length, 2);
    for (const [at, { name }] of tools.entries()) {
      const called = await client.ask(10 + at, 'tools/call', { name, arguments: { at } });
      assert.equal(called.result.content[0].text, JSON.stringify({ at }));
    }
    client.stream.leave();
  }
  for (const server of servers) {
    assert.equal(server.seen('tools/call').length, 2);
    await eventually('the streams are closed', () => server.streams.every((each) => each.destroyed));
  }
  assert.equal(await gateway.close(), 0);
});

test('with legacy_sse: false there is nothing at these paths', async () => {
  const server = await SseServer.open();
  const gateway = await HttpGateway.open({ config: `${BASE}legacy_sse: false\nservers:\n${entry('peer', server)}` });
  for (const path of ['/sse', '/mcp/sse', '/mcp/peer/sse', '/messages', '/mcp/messages', '/mcp/peer/messages']) {
    const answer = await SseClient.listen(gateway, path);
    await answer.over;
    assert.deepEqual([answer.status, codeOf(answer)], [404, 'PATH_UNKNOWN'], path);
  }
  assert.deepEqual(server.gets, []);
  assert.equal(await gateway.close(), 0);
});

test('streams on which no handshake comes end when they are idle, and others do not', { timeout: 60_000 }, async () => {
  const server = await SseServer.open();
  const gateway = await HttpGateway.open({ config: `${BASE}limits: {idle_ms: 1000}\nservers:\n${entry('peer', server)}` });
  const used = await SseClient.open(gateway);
  await used.initialize();
  const unused = await SseClient.open(gateway);
  assert.equal(await unused.stream.over, 'whole');
  const closed = (row: Row): boolean => row['code'] === 'SESSION_UNKNOWN';
  assert.equal((await unused.post(request(1, 'ping'))).status, 404);
  await gateway.rowsLike(closed);
  assert.deepEqual((await used.ask(1, 'ping')).result, {});
  assert.equal(await gateway.close(), 0);
});
