// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { About } from '../../../../enclave/exchange/parts.ts';
import { createHttpClient } from '../../../../enclave/upstream/http.ts';
import { HttpLink } from '../../../../enclave/upstream/http-link.ts';
import type { JsonValue } from '../../../../shared/json/value.ts';
import { jsonObject } from '../../../../shared/json/value.ts';
import type { Hit } from '../../../harness/http-upstream.ts';
import { called, event, json, stream, Upstream } from '../../../harness/http-upstream.ts';

const INITIALIZE = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } };

/** A link to a real server; whoever is in front keeps its session, or has to begin anew. */
async function bench(t: TestContext, front: 'keeps' | 'begins anew' | 'finds another server', get: ((hit: Hit) => void) | null = null) {
  const upstream = await Upstream.open();
  upstream.on('GET', get);
  const client = createHttpClient({ allowPrivate: true });
  const waiting = new Set<unknown>();
  const said: string[] = [];
  let ids = 0;
  let renewed = 0;
  const link: HttpLink = new HttpLink({
    client,
    url: new URL(upstream.url),
    headers: {},
    revision: () => '2025-11-25',
    events: {
      frame: (frame) => {
        const { id }: { id?: unknown } = frame.kind === 'frame' ? JSON.parse(Buffer.from(frame.bytes).toString()) : {};
        if (waiting.delete(id)) said.push(`answered ${String(id)}`);
        return Promise.resolve();
      },
      failed: (id, { code }) => {
        waiting.delete(id);
        said.push(`failed ${id} ${code}`);
        return Promise.resolve();
      },
      waiting: (id) => waiting.has(id),
      streaming: () => undefined,
      paused: () => undefined,
      silent: () => undefined,
      lost: () => said.push('lost'),
      fault: (error) => said.push(`fault ${String(error)}`),
      ...(front === 'begins anew' ? {} : { renew: () => handshake().then(() => (renewed += 1) > 0 && front === 'keeps') }),
    },
  });
  t.after(async () => {
    await link.close();
    await client.close();
  });
  const send = (kind: About['kind'], id: string | number | null, method: string, params: Record<string, JsonValue> = {}): Promise<void> => {
    const value = jsonObject({ jsonrpc: '2.0', ...(id === null ? {} : { id }), method, params: jsonObject(params) });
    return link.send(JSON.stringify(value), { kind, id, method, era: 'legacy', value, via: null, status: null, headers: null });
  };
  const ask = async (id: string | number, method: string, params: Record<string, JsonValue> = {}): Promise<void> => {
    waiting.add(id);
    await send('request', id, method, params);
  };
  const until = async (done: () => boolean): Promise<void> => {
    for (let n = 0; n < 1000 && !done(); n += 1) await delay(10);
    assert.ok(done(), said.join(', '));
  };
  async function handshake(): Promise<void> {
    const id = `hand-${(ids += 1)}`;
    await ask(id, 'initialize', INITIALIZE);
    await until(() => !waiting.has(id));
    await send('notification', null, 'notifications/initialized');
  }
  await handshake();
  said.length = 0;
  return { upstream, link, said, ask, until, notify: (method: string) => send('notification', null, method), renewals: () => renewed };
}

/** The server forgets all sessions: what names an old one gets 404. */
function forget(upstream: Upstream, methods: readonly string[], usual: (hit: Hit) => void): void {
  upstream.session = 'second';
  for (const method of methods) {
    upstream.on(method, (hit) => (hit.headers['mcp-session-id'] === 'second' ? usual(hit) : json(hit, { error: 'no session' }, 404)));
  }
}

test('a notification that meets a lost session has it made anew for a client that keeps it', async (t) => {
  const { upstream, said, ask, until, notify, renewals } = await bench(t, 'keeps');
  forget(upstream, ['notifications/roots/list_changed'], (hit) => hit.response.writeHead(202).end());
  await notify('notifications/roots/list_changed');
  await until(() => renewals() === 1);
  await ask(1, 'tools/call');
  await until(() => said.includes('answered 1'));
  assert.equal(said.includes('lost'), false);
  assert.equal(upstream.seen('tools/call')[0]?.headers['mcp-session-id'], 'second');
});

test('a notification that meets a lost session ends it for a client that can begin anew', async (t) => {
  const { upstream, said, until, notify } = await bench(t, 'begins anew');
  forget(upstream, ['notifications/roots/list_changed'], (hit) => hit.response.writeHead(202).end());
  await notify('notifications/roots/list_changed');
  await until(() => said.includes('lost'));
});

test('a server that became another one gets nothing that waited while it was greeted', async (t) => {
  const { upstream, said, ask, until } = await bench(t, 'finds another server');
  forget(upstream, ['tools/call'], (hit) => json(hit, called(hit, 'executed')));
  let greeted = false;
  upstream.on('initialize', async (hit) => {
    greeted = true;
    await delay(200);
    json(hit, { jsonrpc: '2.0', id: hit.message.id, result: {} }, 200, { 'mcp-session-id': 'second' });
  });
  await ask(1, 'tools/call');
  await until(() => greeted);
  await ask(2, 'tools/call');
  await until(() => said.includes('lost') && upstream.seen('tools/call').length > 1);
  await delay(200);
  assert.deepEqual(upstream.seen('tools/call').filter((hit) => hit.headers['mcp-session-id'] === 'second'), []);
});

for (const [front, outcome] of [['keeps', 'made anew'], ['begins anew', 'lost']] as const) {
  test(`a stream of the server's own that ends with its session: a client that ${front} finds it ${outcome}`, async (t) => {
    const streams: Hit[] = [];
    const { upstream, said, until, renewals } = await bench(t, front, (hit) => {
      streams.push(hit);
      stream(hit).write('retry: 100\n\n');
    });
    await until(() => streams.length === 1);
    forget(upstream, ['GET'], (hit) => void stream(hit).write(': open\n\n'));
    streams[0]?.response.end();
    await until(() => (front === 'keeps' ? renewals() === 1 : said.includes('lost')));
    await delay(300);
    assert.equal(renewals(), front === 'keeps' ? 1 : 0, 'once');
    assert.equal(said.includes('lost'), front !== 'keeps');
  });
}

test('a server that says by 404 that it has no stream keeps its session', async (t) => {
  const { upstream, link, said, ask, until, renewals } = await bench(t, 'keeps', (hit) => json(hit, { error: 'not found' }, 404));
  assert.equal(await link.openStream(), 'unsupported');
  await ask(1, 'tools/call');
  await until(() => said.includes('answered 1'));
  assert.equal(renewals(), 0);
  assert.equal(upstream.seen('GET').length, 1, 'and is not asked again');
});

test('a stream that could not be opened once is tried again when it is asked for', async (t) => {
  let tries = 0;
  const { link, until } = await bench(t, 'begins anew', (hit) => {
    tries += 1;
    if (tries === 1) hit.response.destroy();
    else stream(hit);
  });
  await until(() => tries === 1);
  assert.equal(await link.openStream().then((first) => (first === 'open' ? first : link.openStream())), 'open');
  assert.equal(tries, 2);
});

test('a stream of an answered request that ends late says nothing of a new request with the same id', async (t) => {
  const { upstream, said, ask, until } = await bench(t, 'begins anew');
  const calls: Hit[] = [];
  upstream.on('tools/call', (hit) => {
    calls.push(hit);
    const answer = stream(hit);
    if (calls.length === 1) answer.write(event(called(hit, 'one')));
  });
  await ask(1, 'tools/call');
  await until(() => said.includes('answered 1'));
  await ask(1, 'tools/call');
  await until(() => calls.length === 2);
  calls[0]?.response.end();
  await delay(200);
  assert.deepEqual(said, ['answered 1']);
  const second = calls[1];
  assert.ok(second !== undefined);
  second.response.end(event(called(second, 'two')));
  await until(() => said.length === 2);
  assert.deepEqual(said, ['answered 1', 'answered 1']);
});
