// SPDX-License-Identifier: Apache-2.0
/**
 * What a client, a web page or something between could try with everything that is not the body: types and encodings,
 * headers that say something else than the body, sessions, versions, Host, Origin and request targets.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { HttpGateway } from '../harness/http.ts';
import type { Changes } from '../harness/http-clients.ts';
import { call, headerPairs, metaOf, modernly, request, Session } from '../harness/http-clients.ts';
import { MODERN, Upstream } from '../harness/http-upstream.ts';

const POLICY = "version: 1\ndeny_tools: ['danger']\nmethods:\n  '*': allow\n";
const upstream = await Upstream.open();
const gateway = await HttpGateway.open({ upstream: upstream.url, policy: POLICY });
const session = await Session.open(gateway);
await session.call(0, 'echo');
await modernly(gateway, 0, 'tools/call', { name: 'echo' });

const LEGACY = JSON.stringify(call(7, 'echo'));
const NEW = JSON.stringify(call(7, 'echo', {}, { _meta: metaOf() }));

/** Runs something after which the server must have seen nothing new, and a row must say why. */
async function refused(code: string, run: () => Promise<{ status: number; text: string }>, status: number): Promise<string> {
  const rows = gateway.rows().filter((row) => row['code'] === code).length;
  const before = upstream.hits.length;
  const answer = await run();
  assert.equal(answer.status, status, answer.text);
  assert.deepEqual(upstream.hits.slice(before).map((hit) => hit.body), []);
  await gateway.rowsLike((row) => row['code'] === code, rows + 1);
  return answer.text;
}

const bodies: readonly [string, Changes, ((text: string) => string | Uint8Array)?][] = [
  ['text/plain', { 'Content-Type': 'text/plain' }],
  ['no type', { 'Content-Type': null }],
  ['an empty type', { 'Content-Type': '' }],
  ['a form', { 'Content-Type': 'application/x-www-form-urlencoded' }],
  ['a multipart form', { 'Content-Type': 'multipart/form-data; boundary=x' }],
  ['a type that only begins alike', { 'Content-Type': 'application/jsonp' }],
  ['a structured type', { 'Content-Type': 'application/problem+json' }],
  ['two types in one header', { 'Content-Type': 'text/plain, application/json' }],
  ['a repeated type', { 'Content-Type': ['application/json', 'application/json'] }],
  ['UTF-16', { 'Content-Type': 'application/json; charset=utf-16le' }, (text) => Buffer.from(text, 'utf16le')],
  ['UTF-7', { 'Content-Type': 'application/json; charset=utf-7' }],
  ['two charsets', { 'Content-Type': 'application/json; charset=utf-8; charset=utf-7' }],
  ['gzip', { 'Content-Encoding': 'gzip' }, gzipSync],
  ['deflate', { 'Content-Encoding': 'deflate' }, deflateSync],
  ['brotli', { 'Content-Encoding': 'br' }, brotliCompressSync],
  ['an encoding in other letters', { 'Content-Encoding': 'GZIP' }, gzipSync],
  ['an encoding that is only named', { 'Content-Encoding': 'gzip' }],
  ['an encoding behind identity', { 'Content-Encoding': 'identity, gzip' }, gzipSync],
  ['a repeated encoding', { 'Content-Encoding': ['identity', 'gzip'] }, gzipSync],
  ['an unknown encoding', { 'Content-Encoding': 'zstd' }],
];

test('a body is taken in plain UTF-8 JSON only', async (t) => {
  for (const [name, headers, edit = (text: string) => text] of bodies) {
    await t.test(name, async () => {
      await refused('MEDIA_TYPE', () => session.post(edit(LEGACY), headers), 415);
      await refused('MEDIA_TYPE', () => modernly(gateway, 7, 'tools/call', { name: 'echo' }, { headers, body: edit(NEW) }), 415);
    });
  }
});

test('the type of a body may be written in any way that means the same', async () => {
  for (const type of ['Application/JSON', 'application/json ; charset=utf-8', 'application/json;charset="UTF-8"', 'application/json; charset=utf8; x=y']) {
    assert.equal((await session.post(LEGACY, { 'Content-Type': type })).status, 200, type);
  }
  assert.equal((await session.post(LEGACY, { 'Content-Encoding': 'identity' })).status, 200);
});

test('a client that takes only one kind of answer is told', async () => {
  for (const accept of [null, 'application/json', 'text/event-stream', 'application/json, text/event-stream;q=0', 'nonsense', ['application/json', 'text/event-stream']]) {
    await refused('ACCEPT_INVALID', () => session.post(LEGACY, { Accept: accept }), 406);
  }
  await refused('ACCEPT_INVALID', () => session.listen(undefined, { Accept: 'application/json' }).then(whole), 406);
  for (const accept of ['*/*', 'text/event-stream, application/json', 'application/*;q=0.1, text/*']) {
    assert.equal((await session.post(LEGACY, { Accept: accept })).status, 200, accept);
  }
});

async function whole<T extends { over: Promise<unknown> }>(answer: T): Promise<T> {
  await answer.over;
  return answer;
}

const base64 = (text: string): string => `=?base64?${Buffer.from(text).toString('base64')}?=`;

const mismatches: readonly [string, Changes][] = [
  ['another method', { 'Mcp-Method': 'ping' }],
  ['the method in other letters', { 'Mcp-Method': 'Tools/Call' }],
  ['no method', { 'Mcp-Method': null }],
  ['the method twice', { 'Mcp-Method': ['tools/call', 'tools/call'] }],
  ['two methods in one header', { 'Mcp-Method': 'tools/call, ping' }],
  ['another name', { 'Mcp-Name': 'danger' }],
  ['no name', { 'Mcp-Name': null }],
  ['the name twice', { 'Mcp-Name': ['echo', 'echo'] }],
  ['a second name', { 'Mcp-Name': ['echo', 'danger'] }],
  ['another name in base64', { 'Mcp-Name': base64('danger') }],
  ['a name in base64 without its padding', { 'Mcp-Name': '=?base64?ZWNobw?=' }],
  ['a name in base64 with a marker in capitals', { 'Mcp-Name': '=?BASE64?ZWNobw==?=' }],
  ['a name outside of ASCII', { 'Mcp-Name': 'ech\u00f6' }],
  ['no version', { 'MCP-Protocol-Version': null }],
  ['another version', { 'MCP-Protocol-Version': '2025-11-25' }],
  ['a version that nobody knows', { 'MCP-Protocol-Version': '2027-01-01' }],
  ['the version twice', { 'MCP-Protocol-Version': [MODERN, MODERN] }],
  ['a mirrored argument twice', { 'Mcp-Param-A': ['1', '1'] }],
  ['a mirrored argument in bad base64', { 'Mcp-Param-A': '=?base64?!!?=' }],
];

test('headers of 2026-07-28 that say something else than the body are refused with -32020', async (t) => {
  for (const [name, headers] of mismatches) {
    await t.test(name, async () => {
      const text = await refused('HEADER_MISMATCH', () => modernly(gateway, 7, 'tools/call', { name: 'echo' }, { headers }), 400);
      assert.equal(JSON.parse(text).error.code, -32020);
      assert.equal(JSON.parse(text).id, 7);
    });
  }
  await refused('HEADER_MISMATCH', () => modernly(gateway, 7, 'tools/call', { name: 'danger' }, { headers: { 'Mcp-Name': 'echo' } }), 400);
});

test('headers of 2026-07-28 in another spelling that says the same are taken', async () => {
  const same: readonly Changes[] = [{ 'mcp-method': 'tools/call' }, { 'MCP-METHOD': 'tools/call' }, { 'Mcp-Name': '  echo  ' }, { 'Mcp-Name': base64('echo') }];
  for (const headers of same) assert.equal((await modernly(gateway, 7, 'tools/call', { name: 'echo' }, { headers })).status, 200, JSON.stringify(headers));
  const hit = upstream.hits.at(-1);
  assert.equal(hit?.headers['mcp-name'], 'echo');
});

test('early headers of an older client may not say what its body does not', async () => {
  for (const headers of [{ 'Mcp-Method': 'tools/list' }, { 'Mcp-Name': 'danger' }, { 'Mcp-Method': ['tools/call', 'tools/call'] }]) {
    await refused('HEADER_MISMATCH', () => session.post(LEGACY, headers), 400);
  }
  const notice = { jsonrpc: '2.0', method: 'notifications/roots/list_changed' };
  await refused('HEADER_MISMATCH', () => session.post(notice, { 'Mcp-Method': 'tools/call' }), 400);
  assert.equal((await session.post(LEGACY, { 'Mcp-Method': 'tools/call', 'Mcp-Name': 'echo' })).status, 200);
  assert.equal((await session.post(notice, { 'Mcp-Method': 'notifications/roots/list_changed' })).status, 202);
});

test('a request belongs to one era by its body, its headers and its session together', async () => {
  const rows: readonly [string, string, string, Changes][] = [
    ['an older version than agreed on', 'ERA_MIXED', LEGACY, { 'MCP-Protocol-Version': '2025-06-18' }],
    ['the modern version in a session', 'ERA_MIXED', LEGACY, { 'MCP-Protocol-Version': MODERN }],
    ['a modern call in a session', 'ERA_MIXED', NEW, { 'MCP-Protocol-Version': MODERN, 'Mcp-Method': 'tools/call', 'Mcp-Name': 'echo' }],
    ['a modern body in a session', 'ERA_MIXED', NEW, {}],
    ['an unknown version', 'REVISION_UNKNOWN', LEGACY, { 'MCP-Protocol-Version': '2024-10-07' }],
    ['an empty version', 'REVISION_UNKNOWN', LEGACY, { 'MCP-Protocol-Version': '' }],
    ['the version twice', 'REVISION_UNKNOWN', LEGACY, { 'MCP-Protocol-Version': ['2025-11-25', '2025-11-25'] }],
    ['no session', 'SESSION_REQUIRED', LEGACY, { 'Mcp-Session-Id': null }],
    ['the session twice', 'SESSION_UNKNOWN', LEGACY, { 'Mcp-Session-Id': [session.id, session.id] }],
  ];
  for (const [name, code, body, headers] of rows) {
    const text = await refused(code, () => session.post(body, headers), 400);
    assert.equal(JSON.parse(text).error.data.code, code, name);
  }
  for (const id of ['', session.id.toUpperCase(), `${session.id} x`, '00000000-0000-4000-8000-000000000000', '__proto__', 'x'.repeat(5000)]) {
    await refused('SESSION_UNKNOWN', () => session.post(LEGACY, { 'Mcp-Session-Id': id }), 404);
  }
  const legacyInModern = await modernly(gateway, 7, 'tools/call', { name: 'echo' }, { body: LEGACY });
  assert.equal(legacyInModern.json.error.code, -32602);
  assert.equal((await session.post(LEGACY, { 'MCP-Protocol-Version': null })).status, 200, 'a missing version means what was agreed on');
});

test('initialize with two version headers, or with another method in its headers, opens no session', async () => {
  const changes: readonly Changes[] = [{ 'MCP-Protocol-Version': ['2025-11-25', MODERN] }, { 'Mcp-Method': 'ping' }];
  for (const headers of changes) {
    const before = upstream.hits.length;
    assert.equal((await Session.initialize(gateway, { headers })).status, 400, JSON.stringify(headers));
    assert.equal(upstream.hits.length, before);
  }
});

const host = `127.0.0.1:${gateway.port}`;
const places = [
  { method: 'POST', path: '/mcp' },
  { method: 'GET', path: '/mcp' },
  { method: 'DELETE', path: '/mcp' },
  { method: 'OPTIONS', path: '/mcp' },
  { method: 'GET', path: '/healthz' },
  { method: 'GET', path: '/readyz' },
  { method: 'GET', path: '/nowhere' },
] as const;

async function knock(code: string, headers: readonly (readonly [string, string])[], where: readonly (typeof places)[number][] = places): Promise<void> {
  for (const { method, path } of where) {
    const own = headerPairs({ 'Content-Type': 'application/json', Accept: '*/*', 'Mcp-Session-Id': session.id });
    const body = method === 'POST' ? LEGACY : undefined;
    const text = await refused(code, () => gateway.fetch({ method, path, headers: [...headers, ...own], ...(body === undefined ? {} : { body }) }), 403);
    assert.equal(JSON.parse(text).error.data.code, code, `${method} ${path}`);
  }
}

test('a wrong Host alone is refused on every path and verb', async () => {
  await knock('HOST_REFUSED', [['Host', 'evil.example.com']]);
  const names = ['evil.example.com:80', `${host}.`, `localhost.:${gateway.port}`, `x@${host}`, `127.0.0.1:${gateway.port + 1}`, '127.0.0.1', `127.0.0.1.nip.io:${gateway.port}`, '', `localhost:0${gateway.port}`, `[::ffff:7f00:1]:${gateway.port}`];
  for (const name of names) await knock('HOST_REFUSED', [['Host', name]], places.slice(0, 1));
});

test('a wrong Origin alone is refused on every path and verb', async () => {
  await knock('ORIGIN_REFUSED', [['Host', host], ['Origin', 'http://evil.example.com']]);
  const origins = ['null', '', 'http://evil.example.com:80', `https://${host}`, `http://${host}/`, `http://${host}.evil.example.com`, 'http://localhost', `http://x@${host}`, 'file://', 'chrome-extension://abcdefgh'];
  for (const origin of origins) await knock('ORIGIN_REFUSED', [['Host', host], ['Origin', origin]], places.slice(0, 1));
  await knock('ORIGIN_REFUSED', [['Host', host], ['Origin', `http://${host}`], ['Origin', 'http://evil.example.com']], places.slice(0, 2));
  await knock('ORIGIN_REFUSED', [['Host', host], ['Origin', `http://${host}`], ['Origin', `http://${host}`]], places.slice(0, 2));
});

test('the own names are taken as Host and Origin, in any letters, and a page of them may read the answer', async () => {
  for (const name of [host, `localhost:${gateway.port}`, `LOCALHOST:${gateway.port}`, `[::1]:${gateway.port}`]) {
    const answer = await session.post(LEGACY, { Host: name, Origin: `http://${name}`.toLowerCase() });
    assert.equal(answer.status, 200, name);
    assert.equal(answer.headers['access-control-allow-origin'], `http://${name}`.toLowerCase());
  }
  const preflight = await gateway.fetch({
    method: 'OPTIONS',
    headers: [['Host', host], ['Origin', `http://${host}`], ['Access-Control-Request-Headers', 'Mcp-Session-Id, content-type, x(y']],
  });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers['access-control-allow-headers'], 'mcp-session-id, content-type');
  assert.equal(preflight.headers['access-control-allow-credentials'], undefined);
});

test('two Host headers, none, or one that an absolute target contradicts lead nowhere', async () => {
  const before = upstream.hits.length;
  const body = `Content-Type: application/json\r\nAccept: */*\r\nMcp-Session-Id: ${session.id}\r\nConnection: close\r\nContent-Length: ${LEGACY.length}\r\n\r\n${LEGACY}`;
  const raw = async (head: string): Promise<string> => (await gateway.raw(`${head}${body}`)).split('\r\n')[0] ?? '';
  assert.match(await raw(`POST /mcp HTTP/1.1\r\nHost: ${host}\r\nHost: evil.example.com\r\n`), / 40[03] /);
  assert.match(await raw(`POST /mcp HTTP/1.1\r\nHost: evil.example.com\r\nHost: ${host}\r\n`), / 40[03] /);
  assert.match(await raw('POST /mcp HTTP/1.1\r\n'), / 40[03] /);
  assert.match(await raw('POST /mcp HTTP/1.0\r\n'), / 40[03] /);
  assert.match(await raw(`POST http://evil.example.com/mcp HTTP/1.1\r\nHost: ${host}\r\n`), / 404 /);
  assert.match(await raw(`POST http://${host}/mcp HTTP/1.1\r\nHost: evil.example.com\r\n`), / 403 /);
  assert.match(await raw(`POST * HTTP/1.1\r\nHost: ${host}\r\n`), / 404 /);
  assert.equal(upstream.hits.length, before);
  assert.match(await raw(`POST /mcp HTTP/1.1\r\nHost: ${host}\r\n`), / 200 /);
});

test('a path is its one spelling', async () => {
  for (const path of ['/MCP', '/mcp/', '//mcp', '/mcp;x', '/mcp%2f', '/%6dcp', '/./mcp', '/x/../mcp', '/mcp/peer/', '/mcp/other', '/mcp#x']) {
    await refused('PATH_UNKNOWN', () => gateway.fetch({ path, headers: headerPairs({ 'Content-Type': 'application/json', Accept: '*/*', 'Mcp-Session-Id': session.id }), body: LEGACY }), 404);
  }
  const other = await Session.open(gateway, { path: '/mcp/peer' });
  assert.match(JSON.stringify(await other.call(1, 'echo')), /ran echo/);
});

const smuggled = (more: string, body: string): string =>
  `POST /mcp HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nAccept: */*\r\nMcp-Session-Id: ${session.id}\r\n${more}\r\n${body}`;

test('a request that two readers could frame differently is refused as a whole', async () => {
  const inner = smuggled('Content-Length: 2\r\n', '{}');
  const chunk = `${LEGACY.length.toString(16)}\r\n${LEGACY}\r\n0\r\n\r\n`;
  const frames: readonly string[] = [
    smuggled(`Content-Length: ${LEGACY.length}\r\nTransfer-Encoding: chunked\r\n`, `${chunk}${inner}`),
    smuggled(`Content-Length: ${LEGACY.length}\r\nContent-Length: ${LEGACY.length + 5}\r\n`, `${LEGACY}${inner}`),
    smuggled('Content-Length: +90\r\n', LEGACY),
    smuggled('Transfer-Encoding: xchunked\r\n', chunk),
    smuggled('Transfer-Encoding: chunked, identity\r\n', chunk),
    smuggled('Transfer-Encoding: gzip, chunked\r\n', chunk),
    smuggled('Transfer-Encoding : chunked\r\n', chunk),
    smuggled('X: a\n b\r\nContent-Length: 0\r\n', ''),
    smuggled('Transfer-Encoding: chunked\r\n', `${LEGACY.length.toString(16)};x=\n${LEGACY}\r\n0\r\n\r\n`),
  ];
  for (const frame of frames) {
    const before = upstream.seen('tools/call').length;
    const answer = await gateway.raw(frame, 2000);
    assert.equal(upstream.seen('tools/call').length, before, `${frame.slice(0, 220)}\n→ ${answer}`);
    assert.match(answer, /^HTTP\/1\.1 4\d\d /);
  }
});

test('a client that asks to change the protocol is served as if it had not', async () => {
  const head = `Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nContent-Length: ${LEGACY.length}\r\n`;
  assert.match(await gateway.raw(smuggled(head, LEGACY)), /^HTTP\/1\.1 200 /);
  const before = upstream.hits.length;
  assert.doesNotMatch(await gateway.raw(`CONNECT ${host} HTTP/1.1\r\nHost: ${host}\r\n\r\n`), /^HTTP\/1\.1 2/);
  assert.equal(upstream.hits.length, before);
});

test('what is redacted in the arguments is redacted in the headers that mirror them', async () => {
  const server = await Upstream.open();
  const inputSchema = { type: 'object', properties: { key: { type: 'string', 'x-mcp-header': 'Key' }, other: { type: 'string' } } };
  server.tools = [{ name: 'send', description: 'd', inputSchema }];
  const policy = "version: 1\nredact_args:\n  - {pattern: 'hunter[0-9]', replacement: '[REDACTED]'}\n";
  const redacting = await HttpGateway.open({ upstream: server.url, policy });
  const send = (args: object, headers: Changes) => modernly(redacting, 1, 'tools/call', { name: 'send', arguments: args }, { headers });
  const plain = await send({ key: 'hunter2 x', other: 'hunter3' }, { 'Mcp-Param-Key': 'hunter2 x', 'Mcp-Param-Unknown': 'my hunter4' });
  assert.equal(plain.status, 200, plain.text);
  const [hit] = server.seen('tools/call');
  assert.equal(hit?.headers['mcp-param-key'], '[REDACTED] x');
  assert.equal(hit?.headers['mcp-param-unknown'], 'my [REDACTED]');
  assert.deepEqual(hit?.message.params.arguments, { key: '[REDACTED] x', other: '[REDACTED]' });
  assert.equal(server.everything().includes('hunter'), false);
  for (const [args, headers] of [
    [{ key: 'a' }, {}],
    [{ key: 'a' }, { 'Mcp-Param-Key': 'b' }],
    [{ key: 'a' }, { 'Mcp-Param-Key': 'A' }],
    [{}, { 'Mcp-Param-Key': 'a' }],
    [{ key: null }, { 'Mcp-Param-Key': 'a' }],
  ] as const) {
    const answer = await send(args, headers);
    assert.equal(answer.status, 400, JSON.stringify([args, headers]));
    assert.equal(answer.json.error.code, -32020);
  }
  assert.equal((await send({ key: 'hunter2', other: '\u00e9' }, { 'Mcp-Param-Key': base64('hunter2') })).status, 200);
  assert.equal(server.everything().includes('hunter'), false);
  assert.equal(server.seen('tools/call').length, 2);
  await redacting.close();
});

test('the client had nothing but its own requests executed', () => {
  assert.equal(upstream.everything().includes('danger'), false);
  assert.equal(JSON.stringify(request(1, 'x')).includes('danger'), false);
});
