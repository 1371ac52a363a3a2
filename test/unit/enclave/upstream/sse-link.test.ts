// SPDX-License-Identifier: Apache-2.0
/** The way to a server of the transport of 2024-11-05, against servers that keep to it and servers that do not. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { About } from '../../../../enclave/exchange/parts.ts';
import type { Link, LinkEvents } from '../../../../enclave/upstream/link.ts';
import type { SseOptions } from '../../../../enclave/upstream/sse-connection.ts';
import { openSseLink } from '../../../../enclave/upstream/sse-link.ts';
import type { JsonObject } from '../../../../shared/json/value.ts';
import { PIPELINE_MESSAGES_MAX, UPSTREAM_URL_LENGTH_MAX } from '../../../../shared/limits.ts';
import type { Revision } from '../../../../shared/mcp/revisions.ts';
import { eventually, SseServer } from '../../../harness/sse.ts';
import { client, unavailable } from './servers.ts';

/** What the link reports, as text and in order. */
class Report implements LinkEvents {
  readonly lines: string[] = [];
  readonly asked = new Set<string | number>();
  hold: Promise<void> = Promise.resolve();
  readonly renew?: () => Promise<boolean>;

  constructor(renew?: () => Promise<boolean>) {
    if (renew !== undefined) this.renew = renew;
  }

  readonly frame: LinkEvents['frame'] = (event, from) => {
    assert.deepEqual(from, {});
    const text = event.kind === 'frame' ? Buffer.from(event.bytes).toString() : event.kind;
    const answered = /"id":(\d+),"result"/.exec(text)?.[1];
    if (answered !== undefined) this.asked.delete(Number(answered));
    this.lines.push(`frame ${text}`);
    return this.hold;
  };
  readonly failed: LinkEvents['failed'] = (id, { code, status }) => {
    this.asked.delete(id);
    this.lines.push(`failed ${id} ${code}${status === undefined ? '' : ` ${status}`}`);
    return Promise.resolve();
  };
  readonly waiting: LinkEvents['waiting'] = (id) => this.asked.has(id);
  readonly streaming: LinkEvents['streaming'] = () => void this.lines.push('streaming');
  readonly paused: LinkEvents['paused'] = () => void this.lines.push('paused');
  readonly silent: LinkEvents['silent'] = () => void this.lines.push('silent');
  readonly lost: LinkEvents['lost'] = () => void this.lines.push('lost');
  readonly fault: LinkEvents['fault'] = (error) => void this.lines.push(`fault ${String(error)}`);
}

interface Rig {
  readonly server: SseServer;
  readonly report: Report;
  readonly options: SseOptions;
  revision: Revision | null;
}

async function rig(t: TestContext, report = new Report()): Promise<Rig> {
  const server = await SseServer.open();
  server.answer = () => null;
  const made: Rig = {
    server,
    report,
    revision: null,
    options: { client: client(t), url: server.url, headers: { authorization: 'Bearer secret' }, revision: () => made.revision, events: report },
  };
  return made;
}

async function opened(t: TestContext, { options }: Rig): Promise<Link> {
  const link = await openSseLink(options);
  t.after(() => link.close());
  return link;
}

function about(kind: About['kind'], id: number | null, method: string | null, value: JsonObject): About {
  return { kind, id, method, era: 'legacy', value, via: null, status: null, headers: null };
}

/** Sends a message as the exchange does. */
function say(link: Link, report: Report, method: string, id: number | null = null, params: JsonObject = {}): Promise<void> {
  const value = { jsonrpc: '2.0', ...(id === null ? {} : { id }), method, params } as JsonObject;
  if (id !== null) report.asked.add(id);
  return link.send(JSON.stringify(value), about(id === null ? 'notification' : 'request', id, method, value));
}

const reported = (report: Report, line: string): Promise<void> => eventually(line, () => report.lines.includes(line));

for (const [endpoint, expected] of [
  ['/messages?sessionId=1', '/messages?sessionId=1'],
  ['messages', '/messages'],
  ['?sessionId=1', '/sse?sessionId=1'],
  ['$ORIGIN/deep/er', '/deep/er'],
] as const) {
  test(`messages go to the endpoint ${endpoint}, with the credential`, async (t) => {
    const it = await rig(t);
    it.server.opening = () => `event: endpoint\ndata: ${endpoint.replace('$ORIGIN', it.server.origin)}\n\n`;
    const link = await opened(t, it);
    await say(link, it.report, 'initialize', 1);
    await eventually('the message comes', () => it.server.posts.length === 1);
    it.revision = '2025-06-18';
    await say(link, it.report, 'ping', 2);
    await eventually('the message comes', () => it.server.posts.length === 2);
    assert.deepEqual(it.server.posts.map(({ url }) => url), [expected, expected]);
    assert.deepEqual(it.server.posts.map(({ headers }) => headers['mcp-protocol-version']), [undefined, '2025-06-18']);
    for (const { headers } of [...it.server.posts, ...it.server.gets]) assert.equal(headers.authorization, 'Bearer secret');
    assert.equal(it.server.gets[0]?.headers.accept, 'text/event-stream');
    assert.equal(it.server.posts[0]?.headers['content-type'], 'application/json');
  });
}

const long = `/${'x'.repeat(UPSTREAM_URL_LENGTH_MAX)}`;
for (const endpoint of [
  'http://evil.example/messages', '//evil.example/messages', 'http://127.0.0.1/messages', 'https://127.0.0.1:$PORT/messages', 'http://127.0.0.1:$PORT@evil.example/',
  'http://user@127.0.0.1:$PORT/messages', '/../messages', '/a/%2e%2e/messages', '/a/..;/messages', '\\\\evil.example', '/a\\b', '/messages#x', 'javascript:alert(1)', 'file:///etc/passwd',
  '', ' ', '/m\u00e4', '/a b', 'http:/messages', 'http://localhost:$PORT/messages', 'http://[::1]:$PORT/messages', 'http://2130706433:$PORT/messages', long,
]) {
  test(`the endpoint ${endpoint.slice(0, 60)} is refused, and nothing is sent there`, async (t) => {
    const it = await rig(t);
    it.server.opening = () => `event: endpoint\ndata: ${endpoint.replace('$PORT', it.server.url.port)}\n\n`;
    await assert.rejects(openSseLink(it.options), unavailable('UPSTREAM_PROTOCOL', /another origin, or no proper URL/));
    await eventually('the stream is closed', () => it.server.stream.destroyed);
    assert.deepEqual([it.server.posts.length, it.server.gets.length, it.report.lines], [0, 1, []]);
  });
}

for (const [what, opening, message] of [
  ['a message', 'data: {"jsonrpc":"2.0","method":"ping","id":1}\n\n', /messages before it names its endpoint/],
  ['no data', 'event: endpoint\n\nevent: endpoint\ndata\n\n', /no proper URL/],
  ['nothing', ': hello\n\n', /does not name its endpoint in time/],
  ['other events', 'event: ping\ndata: x\n\nevent: Endpoint\ndata: /m\n\n', /does not name its endpoint in time/],
  ['half an event', 'event: endpoint\ndata: /m\n', /does not name its endpoint in time/],
] as const) {
  test(`a stream that begins with ${what} is no connection`, async (t) => {
    const it = await rig(t);
    it.server.opening = () => opening;
    await assert.rejects(openSseLink({ ...it.options, endpointMsMax: 500 }), unavailable('UPSTREAM_PROTOCOL', message));
    await eventually('the stream is closed', () => it.server.stream.destroyed);
    assert.deepEqual(it.report.lines, []);
  });
}

test('a stream that ends before its endpoint is no connection', async (t) => {
  const it = await rig(t);
  it.server.opening = (_url, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).end('event: endpoint\ndata: /m\n');
    return null;
  };
  await assert.rejects(openSseLink(it.options), unavailable('UPSTREAM_PROTOCOL', /ends its stream before/));
});

test('comments, times and other events may come before the endpoint', async (t) => {
  const it = await rig(t);
  it.server.opening = () => '\ufeff: hello\r\n\r\nretry: 10\n\nevent: ping\ndata: {}\n\ndata:\n\nid: 7\n\nevent: endpoint\rdata: /m\r\r:\n';
  const link = await opened(t, it);
  await say(link, it.report, 'ping', 1);
  await eventually('the message comes', () => it.server.posts[0]?.url === '/m');
  assert.deepEqual(it.report.lines, []);
});

for (const [status, type, code, message] of [
  [200, 'application/json', 'UPSTREAM_PROTOCOL', /does not answer with a stream/],
  [202, 'text/event-stream', 'UPSTREAM_PROTOCOL', /does not answer with a stream/],
  [204, '', 'UPSTREAM_PROTOCOL', /does not answer with a stream/],
  [302, 'text/event-stream', 'UPSTREAM_STATUS', /redirect/],
  [401, 'text/event-stream', 'UPSTREAM_AUTH', /credential/],
  [404, 'text/plain', 'UPSTREAM_STATUS', /HTTP 404/],
  [503, 'text/event-stream', 'UPSTREAM_STATUS', /HTTP 503/],
] as const) {
  test(`HTTP ${status} with ${type || 'no type'} is no stream`, async (t) => {
    const it = await rig(t);
    it.server.opening = (_url, response) => {
      response.writeHead(status, { ...(type === '' ? {} : { 'content-type': type }), location: 'http://evil.example/' }).end();
      return null;
    };
    await assert.rejects(openSseLink(it.options), unavailable(code, message));
  });
}

test('events named message are handed on in order, and nothing else', async (t) => {
  const it = await rig(t);
  await opened(t, it);
  const { stream } = it.server;
  stream.write('data: {"a":1}\n\nevent: message\ndata: {"b":\ndata: 2}\n\nevent: Message\ndata: {"c":3}\n\nevent: ping\ndata: {}\n\ndata:\n\n: comment\n\n');
  stream.write('data: {"d":"\xff');
  stream.write('"}\n\ndata: cut off');
  stream.end();
  await reported(it.report, 'lost');
  assert.deepEqual(it.report.lines, ['frame {"a":1}', 'frame {"b":\n2}', 'frame {"d":"\xff"}', 'silent', 'lost']);
});

test('a second endpoint ends the connection: what waits is failed, and nothing is sent to it', async (t) => {
  for (const renew of [undefined, () => Promise.resolve(true)]) {
    const it = await rig(t, new Report(renew));
    const link = await opened(t, it);
    await say(link, it.report, 'tools/call', 1);
    await eventually('the message comes', () => it.server.posts.length === 1);
    it.server.stream.write(`event: endpoint\ndata: /elsewhere\n\ndata: {"jsonrpc":"2.0","id":1,"result":{}}\n\n`);
    await reported(it.report, 'lost');
    assert.deepEqual(it.report.lines, ['silent', 'failed 1 UPSTREAM_PROTOCOL', 'lost']);
    await say(link, it.report, 'tools/call', 2);
    await delay(50);
    assert.deepEqual([it.server.posts.length, it.server.gets.length], [1, 1]);
  }
});

test('when the stream ends, what waits is failed once, and what was answered is not', async (t) => {
  for (const [end, code] of [['end', 'UPSTREAM_GONE'], ['destroy', 'UPSTREAM_UNREACHABLE']] as const) {
    const it = await rig(t);
    const link = await opened(t, it);
    for (const id of [1, 2, 3]) await say(link, it.report, 'tools/call', id);
    await eventually('the messages come', () => it.server.posts.length === 3);
    it.server.say({ jsonrpc: '2.0', id: 2, result: {} });
    await eventually('the answer comes', () => it.report.lines.length === 1);
    it.server.stream[end]();
    await reported(it.report, 'lost');
    assert.deepEqual(it.report.lines.slice(1), ['silent', `failed 1 ${code}`, `failed 3 ${code}`, 'lost']);
  }
});

for (const [status, line] of [
  [200, null], [202, null], [204, null],
  [302, 'failed 1 UPSTREAM_STATUS'], [400, 'failed 1 UPSTREAM_STATUS'], [401, 'failed 1 UPSTREAM_AUTH'], [404, 'failed 1 UPSTREAM_STATUS'], [500, 'failed 1 UPSTREAM_STATUS'],
] as const) {
  test(`a POST that is answered with HTTP ${status} is ${line === null ? 'taken' : 'not'}`, async (t) => {
    const it = await rig(t);
    it.server.taken = ({ response }) => response.writeHead(status, { location: 'http://evil.example/' }).end('no message');
    const link = await opened(t, it);
    await say(link, it.report, 'initialize', 1);
    if (line === null) await delay(100);
    else await reported(it.report, line);
    assert.deepEqual(it.report.lines, line === null ? [] : [line]);
    assert.equal(it.server.posts.length, 1);
  });
}

test('HTTP 404 after the handshake says that the session is lost', async (t) => {
  const it = await rig(t);
  const link = await opened(t, it);
  it.revision = '2024-11-05';
  await say(link, it.report, 'tools/call', 1);
  await eventually('the message comes', () => it.server.posts.length === 1);
  it.server.taken = ({ response }) => response.writeHead(404).end();
  await say(link, it.report, 'tools/call', 2);
  await reported(it.report, 'lost');
  assert.deepEqual(it.report.lines, ['silent', 'failed 1 SESSION_LOST 404', 'failed 2 SESSION_LOST 404', 'lost']);
});

test('a POST that fails late does not fail a new request of the same id', async (t) => {
  const it = await rig(t);
  it.server.taken = () => undefined;
  const link = await opened(t, it);
  await say(link, it.report, 'ping', 1);
  await eventually('the message comes', () => it.server.posts.length === 1);
  it.report.asked.delete(1);
  await say(link, it.report, 'ping', 1);
  await eventually('the message comes', () => it.server.posts.length === 2);
  it.server.posts[0]?.response.destroy();
  await delay(100);
  assert.deepEqual(it.report.lines, []);
  it.server.posts[1]?.response.destroy();
  await reported(it.report, 'failed 1 UPSTREAM_UNREACHABLE');
});

test('what is sent after a notification waits until the server took it, but not for ever', async (t) => {
  const it = await rig(t);
  it.server.taken = ({ message, response }) => {
    if (message.method !== 'notifications/one') response.writeHead(202).end();
  };
  const link = await opened(t, it);
  const began = performance.now();
  await Promise.all([say(link, it.report, 'notifications/one'), say(link, it.report, 'notifications/two'), say(link, it.report, 'ping', 1)]);
  await eventually('all come', () => it.server.posts.length === 3);
  assert.deepEqual(it.server.posts.map(({ message }) => message.method), ['notifications/one', 'notifications/two', 'ping']);
  assert.ok(performance.now() - began > 1000);
});

test('a cancellation comes after its request, however slowly that is taken', async (t) => {
  const it = await rig(t);
  const order: string[] = [];
  it.server.taken = ({ message, response }) => {
    setTimeout(() => {
      order.push(message.method);
      response.writeHead(202).end();
    }, message.method === 'tools/call' ? 300 : 0);
  };
  const link = await opened(t, it);
  await say(link, it.report, 'tools/call', 1);
  await say(link, it.report, 'notifications/cancelled', null, { requestId: 1 });
  await eventually('both are taken', () => order.length === 2);
  assert.deepEqual(order, ['tools/call', 'notifications/cancelled']);
});

test('a stream is not read on while too much of it is under way', async (t) => {
  const it = await rig(t);
  let release = (): void => undefined;
  it.report.hold = new Promise((resolve) => {
    release = resolve;
  });
  await opened(t, it);
  for (let n = 0; n < 2 * PIPELINE_MESSAGES_MAX; n += 1) it.server.say({ n });
  await eventually('the room is taken', () => it.report.lines.length === PIPELINE_MESSAGES_MAX);
  await delay(100);
  assert.equal(it.report.lines.length, PIPELINE_MESSAGES_MAX);
  release();
  await eventually('the rest comes', () => it.report.lines.length === 2 * PIPELINE_MESSAGES_MAX);
  assert.equal(it.report.lines.at(-1), `frame {"n":${2 * PIPELINE_MESSAGES_MAX - 1}}`);
});

test('closing ends the stream and reports nothing', async (t) => {
  const it = await rig(t);
  it.server.taken = () => undefined;
  const link = await opened(t, it);
  await say(link, it.report, 'ping', 1);
  await eventually('the message comes', () => it.server.posts.length === 1);
  await link.close();
  await eventually('the stream is closed', () => it.server.stream.destroyed);
  await say(link, it.report, 'ping', 2);
  await delay(50);
  assert.deepEqual(it.report.lines, []);
  assert.equal(it.server.posts.length, 1);
});

test('a client that cannot learn of a cut gets a new connection and its handshake, before its next message', async (t) => {
  let link: Link | undefined;
  const report: Report = new Report(async () => {
    report.lines.push('renew');
    await say(link as Link, report, 'initialize', 90);
    await say(link as Link, report, 'notifications/initialized');
    return true;
  });
  const it = await rig(t, report);
  link = await opened(t, it);
  it.revision = '2025-11-25';
  await say(link, report, 'tools/call', 1);
  await eventually('the message comes', () => it.server.posts.length === 1);
  it.server.stream.end();
  await reported(report, 'failed 1 UPSTREAM_GONE');
  assert.equal(it.server.gets.length, 1);
  await Promise.all([say(link, report, 'tools/call', 2), say(link, report, 'notifications/progress'), say(link, report, 'tools/list', 3)]);
  await eventually('all come', () => it.server.posts.length === 6);
  assert.deepEqual(it.server.posts.slice(1, 3).map(({ message }) => message.method), ['initialize', 'notifications/initialized']);
  assert.deepEqual([it.server.gets.length, report.lines], [2, ['failed 1 UPSTREAM_GONE', 'renew']]);
});

test('a server that is not back yet fails the one request, and is tried again with the next', async (t) => {
  const it = await rig(t, new Report(() => Promise.resolve(true)));
  const link = await opened(t, it);
  it.revision = '2025-11-25';
  const port = Number(it.server.url.port);
  await it.server.close();
  await say(link, it.report, 'ping', 1);
  await reported(it.report, 'failed 1 UPSTREAM_UNREACHABLE');
  await it.server.listen(port);
  await say(link, it.report, 'ping', 2);
  await eventually('the message comes', () => it.server.posts.some(({ message }) => message.id === 2));
  assert.equal(it.report.lines.includes('lost'), false);
});

test('a server that answers the repeated handshake differently is lost', async (t) => {
  const it = await rig(t, new Report(() => Promise.resolve(false)));
  const link = await opened(t, it);
  it.revision = '2025-11-25';
  it.server.stream.end();
  await delay(100);
  await say(link, it.report, 'ping', 1);
  await reported(it.report, 'failed 1 SESSION_LOST 404');
  assert.ok(it.report.lines.includes('lost'));
  await eventually('the stream is closed', () => it.server.stream.destroyed);
  await say(link, it.report, 'ping', 2);
  assert.deepEqual(it.server.posts, []);
});
