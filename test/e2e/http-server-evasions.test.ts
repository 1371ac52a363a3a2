// SPDX-License-Identifier: Apache-2.0
/**
 * What a hostile server behind HTTP could try: to settle a call with something else than its answer, to reach the client
 * unjudged or by other ways than messages, to lead the gateway elsewhere (mcp.md section 7, threats.md section 6).
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { brotliCompressSync, constants, deflateSync, gzipSync } from 'node:zlib';
import type { Wire } from '../harness/gateway.ts';
import { HttpGateway } from '../harness/http.ts';
import { call, modern, modernly, Session } from '../harness/http-clients.ts';
import type { Hit } from '../harness/http-upstream.ts';
import { called, event, isModern, json, notice, result, stream, Upstream } from '../harness/http-upstream.ts';

const POLICY = "version: 1\nmethods:\n  'sampling/createMessage': deny\n  'elicitation/create': deny\n";
const upstream = await Upstream.open();
const elsewhere = await Upstream.open();
const gateway = await HttpGateway.open({ upstream: upstream.url, policy: POLICY });
const session = await Session.open(gateway);
await session.call('warm', 'echo');
await modernly(gateway, 'warm', 'tools/call', { name: 'echo' });

let calls = 0;

/** Calls in both eras while the server answers so; `forged` is what must never arrive. */
async function both(handler: (hit: Hit) => void | Promise<void>, check: (answer: Wire, era: string, headers: Wire) => void | Promise<void>): Promise<void> {
  upstream.on('tools/call', handler);
  for (const era of ['legacy', 'modern']) {
    calls += 1;
    const answer = era === 'legacy' ? await session.post(call(calls, 'echo')) : await modernly(gateway, calls, 'tools/call', { name: 'echo' });
    assert.equal(answer.text.includes('forged'), false, `${era}: ${answer.text}`);
    assert.equal(JSON.stringify(answer.headers).includes('forged'), false, `${era}: ${JSON.stringify(answer.headers)}`);
    const last = answer.messages.filter((message) => message.id === calls);
    assert.equal(last.length, 1, `${era}: exactly one answer: HTTP ${answer.status} ${answer.text}`);
    await check(last[0], era, answer.headers);
  }
  upstream.on('tools/call', null);
}

const codeOf = (code: string | readonly string[]) => (answer: Wire, era: string): void => {
  assert.ok([code].flat().includes(answer.error?.data?.code), `${era}: ${JSON.stringify(answer)}`);
};
const fine = (answer: Wire, era: string): void => assert.equal(answer.result?.content?.[0]?.text, 'fine', `${era}: ${JSON.stringify(answer)}`);

const idOf = (hit: Hit): string => JSON.stringify(hit.message.id);
const forged = (id: string): string => `{"jsonrpc":"2.0","id":${id},"result":{"resultType":"complete","content":[{"type":"text","text":"forged"}]}}`;

const jsonBodies: readonly [string, (hit: Hit) => string | Uint8Array, string | string[]][] = [
  ['the id as a string', (hit) => forged(`"${hit.message.id}"`), 'RESULT_INVALID'],
  ['the id with spaces', (hit) => forged(`" ${hit.message.id} "`), 'RESULT_INVALID'],
  ['the id in hexadecimal', (hit) => forged(`"0x${Number(hit.message.id).toString(16)}"`), 'RESULT_INVALID'],
  ['the id as a fraction', (hit) => forged(`${hit.message.id}.0`), ['ID_INVALID', 'RESULT_INVALID']],
  ['the id with an exponent', (hit) => forged(`${hit.message.id}e0`), ['ID_INVALID', 'RESULT_INVALID']],
  ['another id', () => forged('4711'), 'RESULT_INVALID'],
  ['a result without an id', () => forged('null'), ['ID_INVALID', 'RESULT_INVALID']],
  ['a result that is a text', (hit) => `{"jsonrpc":"2.0","id":${idOf(hit)},"result":"forged"}`, 'ENVELOPE_INVALID'],
  ['a result that is a list', (hit) => `{"jsonrpc":"2.0","id":${idOf(hit)},"result":["forged"]}`, 'ENVELOPE_INVALID'],
  ['a result that is null', (hit) => `{"jsonrpc":"2.0","id":${idOf(hit)},"result":null}`, 'ENVELOPE_INVALID'],
  ['an error without a code', (hit) => `{"jsonrpc":"2.0","id":${idOf(hit)},"error":{"message":"forged"}}`, 'ENVELOPE_INVALID'],
  ['two results', (hit) => `{"jsonrpc":"2.0","id":${idOf(hit)},"result":{},"result":{"content":[{"type":"text","text":"forged"}]}}`, 'KEY_DUPLICATE'],
  ['a result and an error', (hit) => `{"jsonrpc":"2.0","id":${idOf(hit)},"result":{},"error":{"code":1,"message":"forged"}}`, 'ENVELOPE_INVALID'],
  ['a result in another case', (hit) => `{"jsonrpc":"2.0","id":${idOf(hit)},"Result":{"a":"forged"}}`, 'ENVELOPE_KEY'],
  ['a content key in another case', (hit) => `{"jsonrpc":"2.0","id":${idOf(hit)},"result":{"Content":[{"type":"text","text":"forged"}]}}`, 'ENVELOPE_KEY'],
  ['a __proto__ key', (hit) => `{"jsonrpc":"2.0","id":${idOf(hit)},"result":{"__proto__":{"a":"forged"}}}`, 'KEY_FORBIDDEN'],
  ['a lone surrogate', (hit) => `{"jsonrpc":"2.0","id":${idOf(hit)},"result":{"a":"forged\\ud800"}}`, 'SURROGATE_LONE'],
  ['a big integer', (hit) => `{"jsonrpc":"2.0","id":${idOf(hit)},"result":{"forged":9007199254740993}}`, 'INTEGER_UNSAFE'],
  ['a byte order mark', (hit) => `\ufeff${forged(idOf(hit))}`, 'RESULT_INVALID'],
  ['UTF-16', (hit) => Buffer.from(`\ufeff${forged(idOf(hit))}`, 'utf16le'), 'RESULT_INVALID'],
  ['invalid UTF-8', (hit) => Buffer.concat([Buffer.from(forged(idOf(hit)).slice(0, -8)), Buffer.from([0xff]), Buffer.from('"}]}}')]), 'RESULT_INVALID'],
  ['two answers in one body', (hit) => `${forged(idOf(hit))}\n${forged(idOf(hit))}`, 'RESULT_INVALID'],
  ['no JSON', () => 'forged', 'RESULT_INVALID'],
  ['an empty body', () => '', 'RESULT_INVALID'],
  ['a request instead of an answer', () => '{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{"messages":["forged"]}}', 'RESULT_INVALID'],
  ['a notification instead of an answer', () => '{"jsonrpc":"2.0","method":"notifications/forged"}', 'RESULT_INVALID'],
  ["a method of the client's", () => '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"forged"}}', 'RESULT_INVALID'],
  ['an array of forged answers', () => `[${forged('"1"')},${forged('4711')}]`, 'RESULT_INVALID'],
];

test('a JSON body that is not the answer settles its call with an error, once', async (t) => {
  for (const [name, body, code] of jsonBodies) {
    await t.test(name, () => both((hit) => json(hit, body(hit)), codeOf(code)));
  }
  assert.match(JSON.stringify(await session.call('after', 'echo')), /ran echo/);
});

test('an array as a body is judged element by element in the older era and refused in the modern one', async () => {
  const forgery = { jsonrpc: '2.0', id: 'x', result: { content: [{ type: 'text', text: 'forged' }] } };
  await both((hit) => json(hit, [forgery, notice('notifications/forged'), called(hit, 'fine')]), (answer, era) => {
    if (era === 'legacy') fine(answer, era);
    else codeOf('RESULT_INVALID')(answer, era);
  });
});

const types: readonly [string, number, Record<string, string | string[]>, boolean][] = [
  ['HTTP 201', 201, { 'content-type': 'application/json' }, true],
  ['HTTP 202 with a body', 202, { 'content-type': 'application/json' }, true],
  ['HTTP 299', 299, { 'content-type': 'application/json' }, true],
  ['other letters and parameters', 200, { 'content-type': 'Application/JSON ; charset=UTF-8; profile="x"' }, true],
  ['text/plain', 200, { 'content-type': 'text/plain' }, false],
  ['no type', 200, {}, false],
  ['HTML', 200, { 'content-type': 'text/html' }, false],
  ['a structured type', 200, { 'content-type': 'application/vnd.api+json' }, false],
  ['a longer type', 200, { 'content-type': 'application/json-seq' }, false],
  ['UTF-16', 200, { 'content-type': 'application/json; charset=utf-16' }, false],
  ['two types', 200, { 'content-type': 'application/json, text/html' }, false],
  ['a mislabelled stream', 200, { 'content-type': 'text/event-stream' }, false],
];

test('an answer counts by its media type, in any spelling and with any status of success', async (t) => {
  for (const [name, status, headers, taken] of types) {
    await t.test(name, () =>
      both(
        (hit) => {
          const text = JSON.stringify(called(hit, taken ? 'fine' : 'forged'));
          hit.response.writeHead(status, headers);
          hit.response.end(text);
        },
        taken ? fine : codeOf(['RESULT_INVALID', 'UPSTREAM_GONE']),
      ),
    );
  }
});

// White space before and behind whatever a JSON text is.
const LONG = ' '.repeat(12 * 1024 * 1024);
const GZIP_BOMB = gzipSync(LONG);
const BROTLI_BOMB = brotliCompressSync(LONG, { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } });

const encodings: readonly [string, string, (text: string) => Uint8Array, boolean][] = [
  ['gzip', 'gzip', gzipSync, true],
  ['gzip in other letters', 'GZip', gzipSync, true],
  ['deflate', 'deflate', deflateSync, true],
  ['brotli', 'br', brotliCompressSync, true],
  ['gzip in gzip', 'gzip, gzip', (text) => gzipSync(gzipSync(text)), false],
  ['an unknown encoding', 'zstd', (text) => Buffer.from(text), false],
  ['plain text called gzip', 'gzip', (text) => Buffer.from(text), false],
  ['gzip that breaks off', 'gzip', (text) => gzipSync(text).subarray(0, 30), false],
  ['a bomb', 'gzip', () => GZIP_BOMB, false],
  ['a bomb in brotli', 'br', () => BROTLI_BOMB, false],
];

test('an encoded answer is decoded within bounds or refused, and arrives plain', async (t) => {
  for (const [name, encoding, encode, taken] of encodings) {
    await t.test(name, () =>
      both(
        (hit) => json(hit, encode(JSON.stringify(called(hit, taken ? 'fine' : 'forged'))), 200, { 'content-encoding': encoding }),
        (answer, era, headers) => {
          assert.equal(headers['content-encoding'], undefined);
          (taken ? fine : codeOf('UPSTREAM_PROTOCOL'))(answer, era);
        },
      ),
    );
  }
  await t.test('gzip as a stream of events', () =>
    both((hit) => void stream(hit, { 'content-encoding': 'gzip' }).end(gzipSync(event(called(hit, 'fine')))), fine),
  );
});

test('redirects are never followed', async (t) => {
  for (const status of [300, 301, 302, 303, 307, 308]) {
    await t.test(String(status), () =>
      both((hit) => json(hit, forged(idOf(hit)), status, { location: `http://127.0.0.1:${elsewhere.port}/mcp` }), codeOf('UPSTREAM_STATUS')),
    );
  }
  upstream.on('GET', (hit) => json(hit, {}, 307, { location: elsewhere.url }));
  upstream.on('initialize', (hit) => json(hit, {}, 308, { location: elsewhere.url }));
  assert.equal((await Session.initialize(gateway)).json.error.data.code, 'UPSTREAM_STATUS');
  upstream.on('initialize', null);
  assert.equal((await (await Session.open(gateway)).listen()).status, 405);
  upstream.on('GET', null);
  assert.deepEqual(elsewhere.hits, []);
});

test('nothing of the headers of an answer reaches the client', async () => {
  const headers = {
    'set-cookie': 'forged=1',
    'www-authenticate': 'Bearer resource_metadata="http://forged.example/"',
    'mcp-session-id': 'forged-session',
    'mcp-protocol-version': 'forged',
    location: 'http://forged.example/',
    link: '<http://forged.example/>; rel="forged"',
    'access-control-allow-origin': 'http://forged.example',
    'x-forged': 'forged',
    'clear-site-data': '"forged"',
    refresh: '0; url=http://forged.example/',
    server: 'forged',
  };
  await both((hit) => json(hit, called(hit, 'fine'), 200, headers), fine);
  await both((hit) => void stream(hit, headers).end(event(called(hit, 'fine'))), fine);
  const seen = (await session.post(call('headers', 'echo'))).headers;
  const own = ['cache-control', 'connection', 'content-length', 'content-type', 'date', 'keep-alive', 'mcp-session-id', 'transfer-encoding', 'x-accel-buffering'];
  assert.deepEqual(Object.keys(seen).filter((name) => !own.includes(name)), []);
  assert.equal(seen['mcp-session-id'], session.id);
});

test("a server that wants a credential is the operator's business: the client gets an error, not a challenge", async () => {
  for (const status of [401, 403, 407]) {
    for (const body of ['', 'with a body']) {
      await both(
        (hit) => json(hit, body === '' ? '' : { jsonrpc: '2.0', id: hit.message.id, error: { code: -32000, message: 'forged' } }, status, { 'www-authenticate': 'Bearer error="forged"' }),
        (answer, era, headers) => {
          assert.equal(headers['www-authenticate'], undefined);
          codeOf('UPSTREAM_AUTH')(answer, era);
        },
      );
      upstream.on('tools/call', (hit) => json(hit, body === '' ? '' : { jsonrpc: '2.0', id: hit.message.id, error: { code: -32000, message: 'forged' } }, status));
      assert.equal((await session.post(call('status', 'echo'))).status, 200, String(status));
    }
  }
});

test('bytes that are no HTTP end their call with an error', async (t) => {
  const rows: readonly [string, string][] = [
    ['another protocol', 'SSH-2.0-forged\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\ncontent-length: 6\r\n\r\nforged'],
    ['length and chunks', 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 6\r\ntransfer-encoding: chunked\r\n\r\n6\r\nforged\r\n0\r\n\r\n'],
    ['a body that breaks off', 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 600\r\n\r\n{"forged":'],
    ['an endless header', `HTTP/1.1 200 OK\r\nx: ${'forged'.repeat(20_000)}\r\n\r\n`],
    ['nothing', ''],
    ['a second response behind the first', `HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 0\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged`],
    ['an upgrade', 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nforged'],
  ];
  for (const [name, bytes] of rows) {
    await t.test(name, () =>
      both(
        (hit) => {
          const { socket } = hit.response;
          socket?.write(bytes);
          socket?.end();
        },
        codeOf(['UPSTREAM_PROTOCOL', 'UPSTREAM_UNREACHABLE', 'RESULT_INVALID']),
      ),
    );
  }
  assert.match(JSON.stringify(await session.call('after http', 'echo')), /ran echo/);
});

test('what a notification is answered with ends at the gateway', async () => {
  upstream.on('notifications/roots/list_changed', (hit) => json(hit, '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"forged"}}'));
  const answer = await session.post(notice('notifications/roots/list_changed'));
  assert.equal(answer.status, 202);
  assert.equal(answer.text, '');
  assert.equal(isModern(upstream.hits.at(-1)?.message), false);
});

test('an answer that comes with another answer settles only its own call', async () => {
  let first: Hit | undefined;
  upstream.on('tools/call', (hit) => {
    if (hit.message.params.arguments.nr === 1) {
      first = hit;
      return;
    }
    // The second's stream holds a forged answer to the first.
    const other = { ...called(hit, 'forged'), id: first?.message.id };
    stream(hit).end(event(other) + event(called(hit, 'fine')));
  });
  const waiting = modern(gateway, 'first', 'tools/call', { name: 'echo', arguments: { nr: 1 } });
  await upstream.hit((hit) => hit.body.includes('"nr":1'));
  const second = await modernly(gateway, 'second', 'tools/call', { name: 'echo', arguments: { nr: 2 } });
  assert.equal(second.messages.find((message) => message.id === 'second').result.content[0].text, 'fine');
  if (first !== undefined) json(first, called(first, 'fine'));
  const answer = await waiting;
  await answer.over;
  assert.equal(answer.json.result.content[0].text, 'fine');
  assert.equal(`${answer.text}${second.text}`.includes('forged'), false);
  upstream.on('tools/call', null);
});

test('a handshake that fails, or names a revision that it may not, leaves no session', async () => {
  const answers: readonly [(hit: Hit) => void, string][] = [
    [(hit) => result(hit, { protocolVersion: '2026-07-28', capabilities: {}, serverInfo: { name: 's', version: '1' } }), 'RESULT_INVALID'],
    [(hit) => result(hit, { protocolVersion: '2031-01-01', capabilities: {}, serverInfo: { name: 's', version: '1' } }), 'RESULT_INVALID'],
    [(hit) => result(hit, { protocolVersion: 20251125, capabilities: {} }), 'RESULT_INVALID'],
    [(hit) => json(hit, 'forged', 500), 'UPSTREAM_STATUS'],
    [(hit) => void hit.response.destroy(), 'UPSTREAM_UNREACHABLE'],
  ];
  for (const [handler, code] of answers) {
    upstream.on('initialize', handler);
    const answer = await Session.initialize(gateway);
    assert.equal(answer.messages[0].error.data.code, code);
    assert.equal(answer.headers['mcp-session-id'], undefined);
  }
  upstream.on('initialize', null);
});

test('a listing that the server filters, pages or denies never shows more than was judged', async () => {
  const policy = "version: 1\ndeny_tools: ['danger']\n";
  const other = await Upstream.open();
  const strict = await HttpGateway.open({ upstream: other.url, policy });
  const shown = async (): Promise<string[]> => {
    const fresh = await Session.open(strict);
    const listed = await fresh.ask(1, 'tools/list');
    return listed.result.tools.map((each: Wire) => each.name);
  };
  for (const [type, status] of [['Application/JSON ; charset=utf-8', 200], ['application/json', 201]] as const) {
    other.on('tools/list', (hit) => {
      hit.response.writeHead(status, { 'content-type': type });
      hit.response.end(gzipless({ jsonrpc: '2.0', id: hit.message.id, result: { tools: other.tools } }));
    });
    assert.deepEqual(await shown(), ['echo']);
  }
  other.on('tools/list', (hit) => json(hit, gzipSync(JSON.stringify({ jsonrpc: '2.0', id: hit.message.id, result: { tools: other.tools } })), 200, { 'content-encoding': 'gzip' }));
  assert.deepEqual(await shown(), ['echo']);
  other.on('tools/list', (hit) => void stream(hit).end(event({ jsonrpc: '2.0', id: hit.message.id, result: { tools: other.tools } })));
  assert.deepEqual(await shown(), ['echo']);
  other.on('tools/list', (hit) => result(hit, hit.message.params?.cursor === undefined ? { tools: other.tools.slice(1), nextCursor: 'c' } : { tools: other.tools.slice(0, 1) }));
  const paged = await Session.open(strict);
  assert.deepEqual((await paged.ask(1, 'tools/list')).result.tools, []);
  other.on('tools/list', (hit) => {
    hit.response.writeHead(200, { 'content-type': 'text/plain' });
    hit.response.end(gzipless({ jsonrpc: '2.0', id: hit.message.id, result: { tools: other.tools } }));
  });
  assert.equal((await (await Session.open(strict)).ask(1, 'tools/list')).error.data.code, 'LISTING_FAILED');
  await strict.close();
});

const gzipless = (value: object): string => JSON.stringify(value);
