// SPDX-License-Identifier: Apache-2.0
/** Several servers as one at 2026-07-28, without processes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FakeOptions } from '../../../harness/aggregate.ts';
import { bench, FakeServer, MODERN_META } from '../../../harness/aggregate.ts';
import { settled } from '../../../harness/exchange.ts';
import type { Wire } from '../../../harness/gateway.ts';

const SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId';

/** Everything but what waits for a timer has happened. */
async function quiet(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await settled();
}

function modern(name: string, options: FakeOptions = {}): FakeServer {
  return new FakeServer(name, { modern: true, ...options });
}

const names = (answer: Wire): string[] => answer.result.tools.map((tool: { name: string }) => tool.name);

test('where some servers are of the older era, a client of 2026-07-28 is made to fall back, and finds them all', async () => {
  const [a, old] = [modern('a'), new FakeServer('old')];
  const { ask, warnings, said } = await bench([a, old], { era: 'modern' });
  assert.equal((await ask(1, 'server/discover')).error.code, -32601);
  assert.equal(said.at(-1)?.about.status, 404);
  // One that rests is of the older era still.
  assert.equal((await ask(2, 'server/discover')).error.code, -32601);
  assert.match(warnings.join('\n'), /offers no 2026-07-28 because old does not speak it/);
  assert.equal(old.running, false);
});

test('server/discover is answered with what all servers offer that can be reached', async () => {
  const [a, out, b] = [modern('a', { instructions: 'use a' }), new FakeServer('out', { broken: true }), modern('b', { capabilities: { prompts: {} } })];
  const { ask, warnings } = await bench([a, out, b], { era: 'modern' });
  const { result } = await ask(1, 'server/discover');
  assert.deepEqual(result.supportedVersions, ['2026-07-28']);
  assert.deepEqual(result.capabilities, { tools: {}, prompts: {} });
  assert.equal(result.instructions, '## a\nuse a');
  assert.deepEqual([result.resultType, result.ttlMs, result.cacheScope], ['complete', 1000, 'private']);
  assert.equal(result._meta['io.modelcontextprotocol/serverInfo'].name, 'mcp-bastion');
  assert.match(warnings.join('\n'), /left off the common endpoint: /);
});

test('where no server speaks 2026-07-28, the client gets what makes it fall back', async () => {
  const { ask, said } = await bench([new FakeServer('a'), new FakeServer('b', { broken: true })], { era: 'modern' });
  assert.equal((await ask(1, 'server/discover')).error.code, -32601);
  assert.equal(said.at(-1)?.about.method, 'server/discover');
});

test('a server that answers server/discover without 2026-07-28 is left off too', async () => {
  const older = modern('older', { handlers: { 'server/discover': () => ({ result: { supportedVersions: ['2025-11-25'], capabilities: {} } }) } });
  const { ask, said } = await bench([older], { era: 'modern' });
  assert.equal((await ask(1, 'server/discover')).error.code, -32601);
  assert.equal(said.at(-1)?.about.status, 404);
});

test('requests without a discovery before find their servers, which are asked once who they are', async () => {
  const [a, b, old] = [modern('a'), modern('b'), new FakeServer('old')];
  const { ask, rows } = await bench([a, b, old], { era: 'modern' });
  assert.equal((await ask(1, 'tools/call', { name: 'b__do', arguments: {} })).result.content[0].text, 'b:do');
  assert.deepEqual([a.starts, b.starts, old.starts], [0, 1, 0]);
  const list = await ask(2, 'tools/list');
  assert.deepEqual(names(list), ['a__do', 'b__do']);
  assert.deepEqual([list.result.resultType, list.result.ttlMs, list.result.cacheScope], ['complete', 0, 'private']);
  await ask(3, 'tools/list');
  for (const server of [a, b, old]) assert.equal(server.methods().filter((method) => method === 'server/discover').length, 1);
  assert.deepEqual(b.last('server/discover').params._meta, MODERN_META);
  assert.equal(rows.find((row) => row['kind'] === 'call')?.['server'], 'b');
});

test('requests that need a server at the same time wait for one discovery', async () => {
  const a = modern('a');
  const { ask } = await bench([a, modern('b')], { era: 'modern' });
  await Promise.all([1, 2, 3].map((id) => ask(id, 'tools/call', { name: 'a__do', arguments: {} })));
  assert.deepEqual([a.starts, a.methods().filter((method) => method === 'server/discover').length], [1, 1]);
});

test('a server that starts when nobody waits for it any more is not asked', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let start: () => void = () => undefined;
  const started = new Promise<void>((resolve) => {
    start = resolve;
  });
  const late = modern('late', { started });
  const { ask } = await bench([late, modern('a')], { era: 'modern' });
  const list = ask(1, 'tools/list');
  await quiet();
  t.mock.timers.tick(10_000);
  assert.deepEqual(names(await list), ['a__do']);
  start();
  await quiet();
  assert.deepEqual(late.received, []);
  assert.deepEqual([late.starts, late.closes], [1, 1]);
});

for (const [why, meta] of [
  ['names no version', { 'io.modelcontextprotocol/clientCapabilities': {} }],
  ['names an unknown version', { ...MODERN_META, 'io.modelcontextprotocol/protocolVersion': 'v999' }],
  ['does not say what its client can do', { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' }],
] as const) {
  test(`a request that ${why} is refused with its status, and costs no server its place`, async () => {
    const [a, b] = [modern('a'), modern('b')];
    const { ask, said, warnings } = await bench([a, b], { era: 'modern' });
    for (const [id, method] of ['server/discover', 'tools/list', 'vendor/thing'].entries()) {
      const { error } = await ask(id, method, { _meta: meta });
      assert.ok([-32602, -32022].includes(error.code));
      assert.equal(said.at(-1)?.about.status, 400);
    }
    assert.deepEqual([a.received, b.received, warnings], [[], [], []]);
    assert.deepEqual(names(await ask('ok', 'tools/list')), ['a__do', 'b__do']);
  });
}

for (const method of ['initialize', 'ping', 'logging/setLevel', 'resources/subscribe', 'vendor/thing']) {
  test(`${method} is unknown at 2026-07-28, and says so by its status`, async () => {
    const { ask, said } = await bench([modern('a'), modern('b')], { era: 'modern' });
    assert.equal((await ask(1, method)).error.code, -32601);
    assert.equal(said.at(-1)?.about.status, 404);
  });
}

test('a server that failed is not waited for again at once, and is asked again later', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const state = { mute: true };
  const slow = modern('slow', {
    handlers: { 'server/discover': () => (state.mute ? null : { result: { supportedVersions: ['2026-07-28'], capabilities: { tools: {} }, resultType: 'complete' } }) },
  });
  const { ask, clock } = await bench([slow, modern('a')], { era: 'modern' });
  const first = ask(1, 'tools/list');
  await quiet();
  t.mock.timers.tick(10_000);
  assert.deepEqual(names(await first), ['a__do']);
  assert.equal((await first).result.ttlMs, 0);
  state.mute = false;
  assert.deepEqual(names(await ask(2, 'tools/list')), ['a__do']);
  clock.ms += 60_000;
  assert.deepEqual(names(await ask(3, 'tools/list')), ['slow__do', 'a__do']);
});

test('a client that leaves cancels its call at the one server, and its listing at all', async () => {
  const silent = { 'tools/call': () => null, 'prompts/list': () => null };
  const [a, b] = [modern('a', { capabilities: {}, handlers: silent }), modern('b', { handlers: silent, capabilities: { tools: {}, prompts: {} } })];
  const { ask, send, peer, said } = await bench([a, b], { era: 'modern' });
  await ask('d', 'server/discover');
  const [calling, listing] = [{}, {}];
  await send({ id: 1, method: 'tools/call', params: { _meta: MODERN_META, name: 'b__do', arguments: {} } }, calling);
  const list = send({ id: 2, method: 'prompts/list', params: { _meta: MODERN_META } }, listing);
  await b.next((message) => message.method === 'prompts/list');
  const before = said.length;
  await peer.clientLeft(calling);
  await peer.clientLeft(listing);
  await list;
  await quiet();
  assert.deepEqual(b.received.filter((message) => message.method === 'notifications/cancelled').map((message) => message.params.requestId), [1, 2]);
  assert.equal(a.last('notifications/cancelled'), undefined);
  assert.equal(said.length, before);
});

test('a client that leaves before its request went anywhere leaves a row', async () => {
  const a = modern('a', { handlers: { 'server/discover': () => null } });
  const { send, peer, rows } = await bench([a, modern('b')], { era: 'modern' });
  const via = {};
  void send({ id: 1, method: 'tools/call', params: { _meta: MODERN_META, name: 'a__do', arguments: {} } }, via);
  await a.next((message) => message.method === 'server/discover');
  await peer.clientLeft(via);
  assert.deepEqual([rows.at(-1)?.['server'], rows.at(-1)?.['code']], ['gateway', 'CANCELLED']);
  await peer.close();
  assert.equal(a.last('tools/call'), undefined);
});

/** A server whose subscriptions are in the hands of the test. */
function listening(name: string, options: FakeOptions = {}): FakeServer {
  return modern(name, { capabilities: { tools: { listChanged: true }, resources: { subscribe: true } }, ...options, handlers: { 'subscriptions/listen': () => null, ...options.handlers } });
}

function acknowledge(server: FakeServer, notifications: object): Promise<void> {
  return server.say({ method: 'notifications/subscriptions/acknowledged', params: { notifications, _meta: { [SUBSCRIPTION]: 7 } } }, 7);
}

function change(server: FakeServer): Promise<void> {
  return server.say({ method: 'notifications/tools/list_changed', params: { _meta: { [SUBSCRIPTION]: 7 } } }, 7);
}

const listenParams = { _meta: MODERN_META, notifications: { toolsListChanged: true } };

test('a subscription is acknowledged once, when all servers agreed, with what they agreed to', async () => {
  const [a, b] = [listening('a'), listening('b')];
  const { send, said } = await bench([a, b], { era: 'modern' });
  const via = {};
  await send({ id: 7, method: 'subscriptions/listen', params: { _meta: MODERN_META, notifications: { toolsListChanged: true, promptsListChanged: true } } }, via);
  await quiet();
  await acknowledge(a, { toolsListChanged: true });
  await quiet();
  assert.equal(said.length, 0);
  await acknowledge(b, { promptsListChanged: true });
  await quiet();
  assert.equal(said.length, 1);
  assert.equal(said[0]?.about.via, via);
  assert.equal(said[0]?.message.method, 'notifications/subscriptions/acknowledged');
  assert.deepEqual(said[0]?.message.params, { _meta: { [SUBSCRIPTION]: 7 }, notifications: { toolsListChanged: true, promptsListChanged: true } });
  await change(b);
  await quiet();
  assert.deepEqual([said[1]?.message.method, said[1]?.about.via === via, said.length], ['notifications/tools/list_changed', true, 2]);
});

test('a subscription ends with the last of its servers, and cancelling is an end', async () => {
  const [a, b] = [listening('a'), listening('b')];
  const { send, said } = await bench([a, b], { era: 'modern' });
  await send({ id: 7, method: 'subscriptions/listen', params: listenParams }, {});
  await quiet();
  await Promise.all([a, b].map((server) => acknowledge(server, { toolsListChanged: true })));
  await a.say({ id: 7, result: { resultType: 'complete', _meta: { [SUBSCRIPTION]: 7 } } }, 7);
  await quiet();
  assert.equal(said.length, 1);
  await change(b);
  await b.say({ method: 'notifications/cancelled', params: { requestId: 7, _meta: { [SUBSCRIPTION]: 7 } } }, 7);
  await quiet();
  assert.deepEqual(said.map(({ message }) => message.method ?? 'answer'), ['notifications/subscriptions/acknowledged', 'notifications/tools/list_changed', 'answer']);
  assert.deepEqual(said.at(-1)?.message.result, { resultType: 'complete', _meta: { [SUBSCRIPTION]: 7 } });
});

test('a server that refuses to subscribe does not end it for the others; where all refuse, the client is told', async () => {
  const refusing: FakeOptions = { handlers: { 'subscriptions/listen': () => ({ error: { code: -32601, message: 'Method not found' } }) } };
  const a = listening('a');
  const some = await bench([a, listening('b', refusing)], { era: 'modern' });
  await some.send({ id: 7, method: 'subscriptions/listen', params: listenParams }, {});
  await quiet();
  await acknowledge(a, { toolsListChanged: true });
  await quiet();
  assert.deepEqual(some.said.map(({ message }) => message.method), ['notifications/subscriptions/acknowledged']);
  const none = await bench([listening('a', refusing), listening('b', refusing)], { era: 'modern' });
  assert.equal((await none.ask(7, 'subscriptions/listen', { notifications: { toolsListChanged: true } })).error.code, -32601);
});

test('a server that does not acknowledge holds the others up only for a while', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const [a, mute] = [listening('a'), listening('mute')];
  const { send, said } = await bench([a, mute], { era: 'modern' });
  await send({ id: 7, method: 'subscriptions/listen', params: listenParams }, {});
  await quiet();
  await acknowledge(a, { toolsListChanged: true });
  await quiet();
  assert.equal(said.length, 0);
  t.mock.timers.tick(10_000);
  await quiet();
  assert.equal(said.length, 1);
  await acknowledge(mute, { toolsListChanged: true });
  await quiet();
  assert.equal(said.length, 1);
});

test('no notification comes before the acknowledgement', async () => {
  const [a, late] = [listening('a'), listening('late')];
  const { send, said } = await bench([a, late], { era: 'modern' });
  await send({ id: 7, method: 'subscriptions/listen', params: listenParams }, {});
  await quiet();
  await acknowledge(a, { toolsListChanged: true });
  await change(a);
  await quiet();
  assert.deepEqual(said.map(({ message }) => message.method), ['notifications/subscriptions/acknowledged', 'notifications/tools/list_changed']);
});

test('each server is asked to watch its own resources only', async () => {
  const listed = (uri: string): FakeOptions => ({
    handlers: {
      'resources/list': () => ({ result: { resources: [{ uri, name: uri }], resultType: 'complete' } }),
      'resources/templates/list': () => ({ result: { resourceTemplates: [], resultType: 'complete' } }),
    },
  });
  const [a, b, c] = [listening('a', listed('r://a')), listening('b', listed('r://b')), listening('c', listed('r://c'))];
  const { send } = await bench([a, b, c], { era: 'modern' });
  await send({ id: 7, method: 'subscriptions/listen', params: { _meta: MODERN_META, notifications: { resourceSubscriptions: ['r://b', 'r://a', 'x://nobody'] } } }, {});
  await quiet();
  assert.deepEqual(a.last('subscriptions/listen').params.notifications, { resourceSubscriptions: ['r://a'] });
  assert.deepEqual(b.last('subscriptions/listen').params.notifications, { resourceSubscriptions: ['r://b'] });
  assert.equal(c.last('subscriptions/listen'), undefined);
});

test('a client that leaves ends its subscription at every server', async () => {
  const [a, b] = [listening('a'), listening('b')];
  const { send, peer, said } = await bench([a, b], { era: 'modern' });
  const via = {};
  await send({ id: 7, method: 'subscriptions/listen', params: listenParams }, via);
  await quiet();
  await peer.clientLeft(via);
  await quiet();
  for (const server of [a, b]) assert.equal(server.last('notifications/cancelled').params.requestId, 7);
  assert.equal(said.length, 0);
});

test('a state that a server gave for a call comes back to it, and to no other', async () => {
  const asking: FakeOptions = {
    handlers: {
      'tools/call': ({ params }, { name }) =>
        params.requestState === undefined
          ? { result: { resultType: 'input_required', requestState: `state-of-${name}` } }
          : { result: { resultType: 'complete', content: [{ type: 'text', text: params.requestState }] } },
    },
  };
  const { ask } = await bench([modern('a', asking), modern('b', asking)], { era: 'modern' });
  const first = await ask(1, 'tools/call', { name: 'a__do', arguments: {} });
  const { requestState } = first.result;
  assert.equal((await ask(2, 'tools/call', { name: 'a__do', arguments: {}, requestState })).result.content[0].text, 'state-of-a');
  assert.equal((await ask(3, 'tools/call', { name: 'b__do', arguments: {}, requestState })).error.data.code, 'STATE_INVALID');
});

test('log messages of a listing reach the client that asked for them, with its request', async () => {
  const talking = modern('a', {
    capabilities: { prompts: {} },
    handlers: {
      'prompts/list': ({ id }, server) => {
        void server.say({ method: 'notifications/message', params: { level: 'info', data: 'listing' } }, id);
        return { result: { prompts: [], resultType: 'complete' } };
      },
    },
  });
  const { ask, said } = await bench([talking, modern('b')], { era: 'modern' });
  const via = {};
  await ask(1, 'prompts/list', { _meta: { ...MODERN_META, 'io.modelcontextprotocol/logLevel': 'info' } }, via);
  assert.deepEqual(said.map(({ message, about }) => [message.method ?? 'answer', about.via === via]), [['notifications/message', true], ['answer', true]]);
});
