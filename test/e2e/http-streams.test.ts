// SPDX-License-Identifier: Apache-2.0
/**
 * Streams of the HTTP face: what is taken up again after a connection broke, who gets which message, and what the end of a
 * connection means in each era (mcp.md sections 3, 4 and 10).
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { HttpGateway } from '../harness/http.ts';
import { call, modern, modernly, request, Session } from '../harness/http-clients.ts';
import type { Hit } from '../harness/http-upstream.ts';
import { called, event, json, notice, stream, Upstream } from '../harness/http-upstream.ts';

const upstream = await Upstream.open();
const gateway = await HttpGateway.open({ upstream: upstream.url });
const said = (data: string | number): object => notice('notifications/message', { level: 'info', data });
const data = (message: { params?: { data?: unknown } }): unknown => message.params?.data;

/** A call that the test answers by hand, and the server's side of it. */
async function held(session: Session, id: string): Promise<{ readonly hit: Hit; readonly answer: Awaited<ReturnType<Session['send']>> }> {
  upstream.on('tools/call', (hit) => void stream(hit).write(event(said(`first of ${id}`))));
  const answer = await session.send(call(id, 'echo', { id }));
  const hit = await upstream.hit((each) => each.message?.id === id && each.message.params?.arguments?.id === id && !each.response.writableEnded);
  await answer.next((message) => data(message) === `first of ${id}`);
  upstream.on('tools/call', null);
  return { hit, answer };
}

test('a stream that broke off is taken up where it broke: each missed event comes once, in order', async () => {
  const session = await Session.open(gateway);
  const { hit, answer } = await held(session, 'resumed');
  hit.response.write(event(said('seen')));
  await answer.next((message) => data(message) === 'seen');
  const last = answer.events.at(-1)?.id ?? '';
  answer.leave();
  await answer.over;
  for (const text of ['missed 1', 'missed 2']) hit.response.write(event(said(text)));
  await delay(300);
  const again = await session.listen(last);
  assert.equal(again.status, 200);
  hit.response.end(event(said('live')) + event(called(hit, 'the result')));
  await again.over;
  assert.deepEqual(again.messages.map((message) => data(message) ?? message.id), ['missed 1', 'missed 2', 'live', 'resumed']);
  const ids = [...answer.events, ...again.events].map(({ id }) => id).filter((id) => id !== null);
  assert.equal(new Set(ids).size, ids.length, 'no event id comes twice');
});

test('a stream may be taken up from any of its events that is still kept, and by nothing else', async () => {
  const session = await Session.open(gateway);
  const { hit, answer } = await held(session, 'unknown');
  const [first] = answer.events.filter((each) => each.data !== '');
  const prefix = (first?.id ?? '').split('-')[0] ?? '';
  for (const id of ['', 'x', '9', '-1', '999-1', `${prefix}-99`, `${prefix}-1-1`, `${prefix}-01x`, `0${prefix}-99`, `${prefix}-9999999999`]) {
    const refused = await session.listen(id);
    await refused.over;
    assert.equal(refused.status, 400, id);
    assert.equal(refused.json.error.data.code, 'EVENT_UNKNOWN', id);
  }
  const twice = await session.listen(undefined, { 'Last-Event-ID': [`${prefix}-0`, `${prefix}-0`] });
  assert.equal(twice.status, 400);
  const other = await Session.open(gateway);
  const foreign = await other.listen(`${prefix}-1`);
  await foreign.over;
  assert.equal(foreign.text.includes('unknown'), false);
  hit.response.end(event(called(hit, 'fine')));
  await answer.over;
  assert.equal(answer.messages.at(-1).id, 'unknown');
});

test('an answer that was written as its connection broke can be fetched again', async () => {
  const session = await Session.open(gateway);
  const { hit, answer } = await held(session, 'late');
  const last = answer.events.at(-1)?.id ?? '';
  hit.response.end(event(called(hit, 'the result')));
  await answer.over;
  const again = await session.listen(last);
  assert.equal(again.status, 200);
  await again.over;
  assert.deepEqual(again.messages.map((message) => message.id), ['late']);
});

test('a priming event comes first at 2025-11-25 and never before', async () => {
  for (const [revision, primed] of [['2025-11-25', true], ['2025-06-18', false], ['2025-03-26', false]] as const) {
    const session = await Session.open(gateway, { revision });
    upstream.on('tools/call', (hit) => void stream(hit).end(event(said('x')) + event(called(hit, 'fine'))));
    const answer = await session.post(call(1, 'echo'));
    const [first] = answer.events;
    assert.equal(first?.data === '' && first.id !== null, primed, revision);
    upstream.on('tools/call', null);
  }
});

test('a server that lets go of a stream and wants to be asked again: so does the gateway with its client', async () => {
  const session = await Session.open(gateway);
  upstream.on('tools/call', (hit) => void stream(hit).end('id: up-1\ndata: \n\nretry: 700\n\n'));
  let asked = 0;
  let at = 0;
  const closed = Date.now();
  upstream.on('GET', (hit) => {
    if (hit.headers['last-event-id'] !== 'up-1') {
      hit.response.writeHead(405).end();
      return;
    }
    asked += 1;
    at = Date.now();
    stream(hit).end(event({ jsonrpc: '2.0', id: 'polled', result: { content: [] } }, 'up-2'));
  });
  const answer = await session.post(call('polled', 'echo'));
  assert.deepEqual(answer.messages, []);
  assert.deepEqual(answer.events.map(({ retry }) => retry).filter((retry) => retry !== null), [700]);
  const last = answer.events.findLast(({ id }) => id !== null)?.id ?? '';
  const again = await session.listen(last);
  assert.equal(again.status, 200);
  await again.over;
  assert.deepEqual(again.messages.map(({ id, result }) => [id, result]), [['polled', { content: [] }]]);
  assert.equal(asked, 1);
  assert.ok(at - closed >= 650, `the server's pause is kept: ${at - closed} ms`);
  for (const method of ['tools/call', 'GET']) upstream.on(method, null);
});

test('before 2025-11-25 a break at the server does not end the stream of the client', async () => {
  const session = await Session.open(gateway, { revision: '2025-06-18' });
  upstream.on('tools/call', (hit) => void stream(hit).end('id: up-1\nretry: 50\ndata: \n\n'));
  upstream.on('GET', (hit) => {
    if (hit.headers['last-event-id'] === undefined) hit.response.writeHead(405).end();
    else stream(hit).end(event({ jsonrpc: '2.0', id: 'kept', result: { content: [] } }, 'up-2'));
  });
  const answer = await session.post(call('kept', 'echo'));
  assert.deepEqual(answer.messages.map(({ id }) => id), ['kept']);
  for (const method of ['tools/call', 'GET']) upstream.on(method, null);
});

test("the server's own messages are kept until the client listens, go to one stream only, and to the newest", async () => {
  let own: Hit | undefined;
  upstream.on('GET', (hit) => {
    own = hit;
    stream(hit).write(': hello\n\n');
  });
  const session = await Session.open(gateway);
  const opened = await upstream.hit((hit) => hit.verb === 'GET' && hit === own);
  for (const text of ['early 1', 'early 2']) opened.response.write(event(said(text)));
  await gateway.rowsLike((row) => row['method'] === 'notifications/message' && row['dir'] === 's2c', 2);
  const first = await session.listen();
  assert.equal(first.status, 200);
  assert.equal(first.headers['x-accel-buffering'], 'no');
  assert.match(String(first.headers['cache-control']), /no-cache/);
  await first.next((message) => data(message) === 'early 2');
  const { hit, answer } = await held(session, 'beside');
  opened.response.write(event(said('to the stream')));
  await first.next((message) => data(message) === 'to the stream');
  assert.equal(answer.text.includes('to the stream'), false, 'not to the stream of an answer');
  const second = await session.listen();
  assert.equal(await first.over, 'whole', 'the older stream ends');
  opened.response.write(event(said('to the newer')));
  await second.next((message) => data(message) === 'to the newer');
  assert.deepEqual(second.messages.map(data), ['to the newer']);
  assert.deepEqual(first.messages.map(data), ['early 1', 'early 2', 'to the stream']);
  const last = first.events.findLast((each) => each.id !== null)?.id ?? '';
  const third = await session.listen(last);
  await third.next((message) => data(message) === 'to the newer');
  hit.response.end(event(called(hit, 'fine')));
  await answer.over;
  third.leave();
  upstream.on('GET', null);
});

test('a client that gives up waiting for its own stream loses none of its messages', async () => {
  let own: Hit | undefined;
  upstream.on('GET', (hit) => {
    own = hit;
  });
  const session = await Session.open(gateway);
  const impatient = session.listen();
  const opened = await upstream.hit((hit) => hit.verb === 'GET' && hit === own);
  await Promise.race([impatient, delay(300)]);
  await gateway.raw(
    `GET /mcp HTTP/1.1\r\nHost: 127.0.0.1:${gateway.port}\r\nAccept: text/event-stream\r\nMcp-Session-Id: ${session.id}\r\nMCP-Protocol-Version: 2025-11-25\r\n\r\n`,
    300,
  );
  await delay(300);
  stream(opened).write(event(said('kept 1')));
  const listening = await impatient;
  await listening.next((message) => data(message) === 'kept 1');
  listening.leave();
  upstream.on('GET', null);
});

test('a legacy client that leaves does not cancel its call, and one of 2026-07-28 does', async () => {
  const session = await Session.open(gateway);
  const legacy = await held(session, 'left');
  legacy.answer.leave();
  const outcome = await Promise.race([legacy.hit.over, delay(700).then(() => 'running')]);
  assert.equal(outcome, 'running');
  legacy.hit.response.end(event(called(legacy.hit, 'fine')));
  await gateway.rowsLike((row) => row['kind'] === 'result' && row['rpc'] !== null && row['status'] === 'ok');

  let hit: Hit | undefined;
  upstream.on('tools/call', (each) => {
    hit = each;
    stream(each).write(event(notice('notifications/progress', { progressToken: each.message.params._meta.progressToken, progress: 1 })));
  });
  const answer = await modern(gateway, 'gone', 'tools/call', { name: 'echo', arguments: {} }, { meta: { progressToken: 'p' } });
  await answer.next((message) => message.method === 'notifications/progress');
  answer.leave();
  assert.equal(await hit?.over, 'cut', 'the request ends at the server');
  await gateway.rowsLike((row) => row['method'] === 'notifications/cancelled' && row['decision'] === 'allow');
  upstream.on('tools/call', null);
});

test('a client of 2026-07-28 that leaves before its call went out never has it executed', async () => {
  const fresh = await Upstream.open();
  const other = await HttpGateway.open({ upstream: fresh.url });
  let list: Hit | undefined;
  fresh.on('tools/list', (hit) => {
    list = hit;
  });
  const message = JSON.stringify(call(1, 'echo', {}, { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} } }));
  const head = `POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:${other.port}\r\nContent-Type: application/json\r\nAccept: */*\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: echo\r\nContent-Length: ${message.length}\r\n\r\n`;
  const sent = other.raw(head + message, 1500);
  await fresh.hit((hit) => hit === list);
  await sent;
  await delay(300);
  if (list !== undefined) json(list, { jsonrpc: '2.0', id: list.message.id, result: { tools: fresh.tools, ttlMs: 0, cacheScope: 'private' } });
  await other.rowsLike((row) => row['code'] === 'CANCELLED');
  assert.deepEqual(fresh.seen('tools/call'), []);
  await other.close();
});

test('a legacy call that is cancelled ends its stream, and its late answer goes nowhere', async () => {
  const session = await Session.open(gateway);
  const { hit, answer } = await held(session, 'cancelled');
  assert.equal((await session.post(notice('notifications/cancelled', { requestId: 'cancelled' }))).status, 202);
  assert.equal(await answer.over, 'whole');
  await upstream.hit((each) => each.message?.method === 'notifications/cancelled' && each.message.params.requestId === 'cancelled');
  hit.response.end(event(called(hit, 'too late')));
  await gateway.rowsLike((row) => row['code'] === 'CANCELLED' && row['dir'] === 's2c');
  assert.equal(answer.text.includes('too late'), false);
  assert.deepEqual((await session.ask('next', 'ping')).result, {});
});

test('two sessions that use the same ids and tokens never get a message of the other', async () => {
  const sessions = await Promise.all([Session.open(gateway), Session.open(gateway)]);
  const open: Hit[] = [];
  upstream.on('tools/call', (hit) => {
    open.push(hit);
    if (open.length < 4) return;
    for (const each of open.toReversed()) {
      const { arguments: args, _meta } = each.message.params;
      const progress = notice('notifications/progress', { progressToken: _meta.progressToken, progress: 1, message: args.who });
      stream(each).end(event(progress) + event(said(args.who)) + event(called(each, args.who)));
    }
  });
  const asked = sessions.flatMap((session, nr) => [1, 2].map(async (id) => [`client ${nr} call ${id}`, await session.post(call(id, 'echo', { who: `client ${nr} call ${id}` }, { _meta: { progressToken: id } }))] as const));
  for (const [who, answer] of await Promise.all(asked)) {
    assert.deepEqual(answer.messages.map(({ params, result }) => params?.message ?? params?.data ?? result.content[0].text), [who, who, who]);
  }
  upstream.on('tools/call', null);
});

test('clients of 2026-07-28 that use the same ids and tokens at once never get a message of each other', async () => {
  const open: Hit[] = [];
  upstream.on('tools/call', (hit) => {
    open.push(hit);
    if (open.length < 4) return;
    for (const each of open.toReversed()) {
      const { arguments: args, _meta } = each.message.params;
      const other = open.find((candidate) => candidate !== each);
      const forged = notice('notifications/progress', { progressToken: other?.message.params._meta.progressToken, progress: 1, message: 'of another' });
      const progress = notice('notifications/progress', { progressToken: _meta.progressToken, progress: 1, message: args.who });
      stream(each).end(event(forged) + event(progress) + event(called(each, args.who)));
    }
  });
  const who = (nr: number): string => `client ${nr}`;
  const answers = await Promise.all([0, 1, 2, 3].map((nr) => modernly(gateway, 1, 'tools/call', { name: 'echo', arguments: { who: who(nr) } }, { meta: { progressToken: 't' } })));
  for (const [nr, answer] of answers.entries()) {
    assert.deepEqual(answer.messages.map(({ params, result }) => params?.message ?? result.content[0].text), [who(nr), who(nr)]);
    assert.deepEqual(answer.messages.map(({ params, id }) => params?.progressToken ?? id), ['t', 1]);
  }
  upstream.on('tools/call', null);
});

test('a session that the server lost is lost for its client, and a new one works', async () => {
  const lost = await Upstream.open();
  const other = await HttpGateway.open({ upstream: lost.url });
  const session = await Session.open(other);
  await session.call(1, 'echo');
  const refuse = (hit: Hit): void => json(hit, { jsonrpc: '2.0', id: null, error: { code: -32001, message: 'Session not found' } }, 404);
  for (const method of ['tools/call', 'ping', 'initialize', 'notifications/initialized']) lost.on(method, refuse);
  const answer = await session.post(call(2, 'echo'));
  assert.equal(answer.status, 404);
  assert.equal(answer.messages[0].error.data.code, 'SESSION_LOST');
  assert.equal((await session.post(request(3, 'ping'))).status, 404);
  for (const method of ['tools/call', 'ping', 'initialize', 'notifications/initialized']) lost.on(method, null);
  const again = await Session.open(other);
  assert.match(JSON.stringify(await again.call(1, 'echo')), /ran echo/);
  const row = await other.rowsLike((each) => each['code'] === 'SESSION_LOST');
  assert.equal(row.length, 1);
  await other.close();
});

test('a server that dies in the middle of a call leaves exactly one error, on record', async () => {
  for (const era of ['legacy', 'modern']) {
    const dying = await Upstream.open();
    const other = await HttpGateway.open({ upstream: dying.url });
    const session = await Session.open(other);
    await session.call(0, 'echo');
    dying.on('tools/call', (hit) => void stream(hit).write(event(said('begun'))));
    const answer = era === 'legacy' ? await session.send(call(9, 'echo')) : await modern(other, 9, 'tools/call', { name: 'echo' }, { meta: { 'io.modelcontextprotocol/logLevel': 'info' } });
    await answer.next((message) => data(message) === 'begun');
    await dying.close();
    const { error } = await answer.next((message) => message.id === 9);
    assert.match(error.data.code, /^UPSTREAM_/);
    assert.equal(await answer.over, 'whole');
    const rows = await other.rowsLike((row) => row['type'] === 'error' && row['rpc'] === '9');
    assert.deepEqual(rows.map((row) => row['origin']), ['gateway']);
    const next = era === 'legacy' ? await session.post(call(10, 'echo')) : await modernly(other, 10, 'tools/call', { name: 'echo' });
    assert.match(next.messages.at(-1).error.data.code, /^(UPSTREAM_|LISTING_)/);
    assert.equal((await other.fetch({ method: 'GET', path: '/healthz' })).status, 200);
    await other.close();
  }
});

test("errors of the protocol keep their status and the server's own words", async () => {
  const error = { code: -32_022, message: 'the words of the server', data: { supported: ['2026-07-28'], requested: '2026-07-28' } };
  for (const status of [400, 404, 405, 422, 500, 503]) {
    upstream.on('resources/list', (hit) => json(hit, { jsonrpc: '2.0', id: hit.message.id, error }, status));
    const answer = await modernly(gateway, 'e', 'resources/list');
    assert.equal(answer.status, status);
    assert.deepEqual(answer.json, { jsonrpc: '2.0', id: 'e', error });
    upstream.on('resources/list', (hit) => json(hit, { jsonrpc: '2.0', id: null, error }, status));
    assert.deepEqual((await modernly(gateway, 'f', 'resources/list')).json, { jsonrpc: '2.0', id: 'f', error });
    upstream.on('resources/list', (hit) => void hit.response.writeHead(status, { 'content-type': 'text/html' }).end('<h1>no</h1>'));
    const page = await modernly(gateway, 'g', 'resources/list');
    assert.equal(page.status, status < 500 ? status : 200);
    assert.equal(page.json.error.data.code, 'UPSTREAM_STATUS');
    assert.equal(page.text.includes('<h1>'), false);
  }
  upstream.on('resources/list', null);
});

test('a server on stdio that dies in the middle of a call ends its session, and the next one works', async () => {
  const server = `require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
    const { id, method, params } = JSON.parse(line);
    if (method === 'tools/call' && params.name === 'die') process.exit(7);
    const results = {
      initialize: { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 's', version: '1' } },
      'tools/list': { tools: ['die', 'live'].map((name) => ({ name, inputSchema: { type: 'object' } })) },
    };
    if (id !== undefined) console.log(JSON.stringify({ jsonrpc: '2.0', id, result: results[method] ?? { content: [] } }));
  });`;
  const other = await HttpGateway.open({ server: [process.execPath, '-e', server] });
  const [session, neighbour] = [await Session.open(other), await Session.open(other)];
  const answer = await session.post(call(1, 'die'));
  assert.deepEqual(answer.messages.map(({ id, error }) => [id, error.data.code]), [[1, 'UPSTREAM_GONE']]);
  assert.equal((await session.post(call(2, 'live'))).status, 404);
  assert.deepEqual((await neighbour.call(1, 'live')).result, { content: [] }, 'each session has a process of its own');
  assert.deepEqual((await (await Session.open(other)).call(1, 'live')).result, { content: [] });
  const rows = other.rows().filter((row) => row['type'] === 'error');
  assert.deepEqual(rows.map((row) => [row['code'], row['rpc'], row['origin']]), [['UPSTREAM_GONE', '1', 'gateway']]);
  await other.close();
});

test('connections that break at any moment leave nothing open', async () => {
  const busy = await Upstream.open();
  const limits = 'limits: {streams: 12, sessions: 40}';
  const config = `version: 1\npolicy: policy.yaml\nlisten: 127.0.0.1:0\n${limits}\nservers:\n  peer: {url: "${busy.url}", allow_private: true}\n`;
  const other = await HttpGateway.open({ config });
  busy.on('tools/call', async (hit) => {
    const nr = busy.hits.length;
    await delay(nr % 30);
    const response = stream(hit);
    response.write(event(said('x'), `e${nr}`));
    await delay(nr % 10);
    if (nr % 3 === 0) response.destroy();
    else response.end(nr % 3 === 1 ? event(called(hit, 'fine')) : '');
  });
  busy.on('GET', async (hit) => {
    await delay(busy.hits.length % 30);
    if (busy.hits.length % 2 === 0) stream(hit).write(event(said('g')));
    else hit.response.writeHead(405).end();
  });
  const session = await Session.open(other);
  const head = `Host: 127.0.0.1:${other.port}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n`;
  const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} };
  const old = (nr: number): string => JSON.stringify(call(nr, 'echo'));
  const recent = (nr: number): string => JSON.stringify(call(nr, 'echo', {}, { _meta: meta }));
  const kinds: readonly ((nr: number) => string)[] = [
    (nr) => `POST /mcp HTTP/1.1\r\n${head}Mcp-Session-Id: ${session.id}\r\nContent-Length: ${old(nr).length}\r\n\r\n${old(nr)}`,
    (nr) => `POST /mcp HTTP/1.1\r\n${head}Mcp-Session-Id: ${session.id}\r\nContent-Length: ${old(nr).length}\r\n\r\n${old(nr).slice(0, nr % 90)}`,
    (nr) => `POST /mcp HTTP/1.1\r\n${head}MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: echo\r\nContent-Length: ${recent(nr).length}\r\n\r\n${recent(nr)}`,
    () => `GET /mcp HTTP/1.1\r\n${head}Mcp-Session-Id: ${session.id}\r\n\r\n`,
  ];
  for (let nr = 100; nr < 300; nr += 5) {
    await Promise.all([0, 1, 2, 3, 4].map((more) => other.raw(kinds[(nr + more) % kinds.length]?.(nr + more) ?? '', (nr * 7 + more * 13) % 60)));
  }
  await delay(500);
  for (const method of ['tools/call', 'GET']) busy.on(method, null);
  const answers = await Promise.all(Array.from({ length: 11 }, (_unused, nr) => modernly(other, nr, 'tools/call', { name: 'echo' })));
  assert.deepEqual(answers.map(({ status }) => status), Array.from({ length: 11 }, () => 200));
  assert.equal((await Session.initialize(other)).status, 200);
  assert.doesNotMatch(other.stderr, /internal fault/);
  await other.close();
});
