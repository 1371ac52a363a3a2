// SPDX-License-Identifier: Apache-2.0
/** What goes on between one client and several servers at the older revisions once they are connected, without processes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bench, FakeServer } from '../../../harness/aggregate.ts';
import { settled } from '../../../harness/exchange.ts';

const call = (name: string, more: object = {}): object => ({ name, arguments: {}, ...more });

test('the requests of two servers under the same id reach the client under two, and each gets its answer', async () => {
  const [a, b] = [new FakeServer('a'), new FakeServer('b')];
  const { initialize, send, said } = await bench([a, b]);
  await initialize();
  const before = said.length;
  for (const server of [a, b]) await server.say({ id: 1, method: 'elicitation/create', params: { message: server.name, requestedSchema: {}, _meta: { progressToken: 1 } } });
  const asked = said.slice(before).map(({ message }) => message);
  assert.deepEqual(asked.map((message) => message.params.message), ['a', 'b']);
  assert.notEqual(asked[0].id, asked[1].id);
  assert.notEqual(asked[0].params._meta.progressToken, asked[1].params._meta.progressToken);
  await send({ method: 'notifications/progress', params: { progressToken: asked[1].params._meta.progressToken, progress: 1 } });
  assert.deepEqual([a.last('notifications/progress'), b.last('notifications/progress').params.progressToken], [undefined, 1]);
  for (const message of [asked[1], asked[0]]) await send({ id: message.id, result: { action: 'accept', content: { from: message.params.message } } });
  for (const server of [a, b]) assert.deepEqual(server.received.at(-1), { jsonrpc: '2.0', id: 1, result: { action: 'accept', content: { from: server.name } } });
});

test('a server cancels its own request only, under the number that the client knows', async () => {
  const [a, b] = [new FakeServer('a'), new FakeServer('b')];
  const { initialize, said, send, rows } = await bench([a, b]);
  await initialize();
  for (const server of [a, b]) await server.say({ id: 'same', method: 'roots/list' });
  const [first, second] = said.slice(-2).map(({ message }) => message);
  await b.say({ method: 'notifications/cancelled', params: { requestId: 'same' } });
  assert.deepEqual(said.at(-1)?.message.params, { requestId: second.id });
  await send({ id: second.id, result: { roots: [] } });
  assert.equal(rows.at(-1)?.['code'], 'ID_UNKNOWN');
  await send({ id: first.id, result: { roots: [] } });
  assert.deepEqual(a.received.at(-1), { jsonrpc: '2.0', id: 'same', result: { roots: [] } });
  assert.equal(b.received.some((message) => message.result !== undefined), false);
});

for (const message of [{ id: 99, result: {} }, { id: 'x', result: {} }, { id: null, error: { code: 1, message: 'no' } }]) {
  test(`an answer ${JSON.stringify(message)} that nobody asked for reaches no server and has a row`, async () => {
    const a = new FakeServer('a');
    const { initialize, send, rows } = await bench([a]);
    await initialize();
    const before = a.received.length;
    await send(message);
    assert.equal(a.received.length, before);
    assert.deepEqual([rows.at(-1)?.['server'], rows.at(-1)?.['code']], ['gateway', 'ID_UNKNOWN']);
  });
}

test('progress for a token that nobody gave out reaches no server', async () => {
  const a = new FakeServer('a');
  const { initialize, send, rows } = await bench([a]);
  await initialize();
  await send({ method: 'notifications/progress', params: { progressToken: 5, progress: 1 } });
  assert.equal(a.last('notifications/progress'), undefined);
  assert.equal(rows.at(-1)?.['code'], 'PROGRESS_UNKNOWN');
});

test('ids of requests are one space over all servers', async () => {
  const [a, b] = ['a', 'b'].map((name) => new FakeServer(name, { handlers: { 'tools/call': () => null } }));
  assert.ok(a !== undefined && b !== undefined);
  const { initialize, send, said, rows } = await bench([a, b]);
  await initialize();
  const [one, two] = [{}, {}];
  await send({ id: 1, method: 'tools/call', params: call('a__do') }, one);
  await send({ id: 1, method: 'tools/call', params: call('b__do') }, two);
  assert.equal(b.last('tools/call'), undefined);
  const refused = said.at(-1);
  assert.deepEqual([refused?.message.id, refused?.message.error.data.code, refused?.about.via === two], [null, 'ID_IN_FLIGHT', true]);
  assert.deepEqual([rows.at(-1)?.['server'], rows.at(-1)?.['code']], ['gateway', 'ID_IN_FLIGHT']);
  await send({ id: '1', method: 'tools/call', params: call('b__do') });
  assert.equal(b.received.some((message) => message.method === 'tools/call' && message.id === '1'), true);
});

test('what is malformed is answered under its id only where that is free', async () => {
  const a = new FakeServer('a', { handlers: { 'tools/call': () => null } });
  const { initialize, send, said, rows } = await bench([a, new FakeServer('b')]);
  await initialize();
  await send({ id: 1, method: 'tools/call', params: call('a__do') });
  await send({ id: 1, method: 'tools/call', params: [] });
  assert.equal(said.at(-1)?.message.id, null);
  await send({ id: 2, method: 'tools/call', params: [] });
  assert.equal(said.at(-1)?.message.id, 2);
  assert.deepEqual([rows.at(-1)?.['server'], rows.at(-1)?.['kind'], rows.at(-1)?.['code']], ['gateway', 'drop', 'PARAMS_INVALID']);
});

test('a call is cancelled at the server that has it', async () => {
  const [a, b] = ['a', 'b'].map((name) => new FakeServer(name, { handlers: { 'tools/call': () => null } }));
  assert.ok(a !== undefined && b !== undefined);
  const { initialize, send, unanswered } = await bench([a, b]);
  await initialize();
  const via = {};
  await send({ id: 1, method: 'tools/call', params: call('b__do') }, via);
  await send({ method: 'notifications/cancelled', params: { requestId: 1, reason: 'changed my mind' } });
  assert.deepEqual(b.last('notifications/cancelled').params, { requestId: 1, reason: 'changed my mind' });
  assert.equal(a.last('notifications/cancelled'), undefined);
  assert.deepEqual(unanswered, [via]);
});

test('a listing is cancelled at every server that was asked, and never answered', async () => {
  const [a, b] = ['a', 'b'].map((name) => new FakeServer(name, { capabilities: { prompts: {} }, handlers: { 'prompts/list': () => null } }));
  assert.ok(a !== undefined && b !== undefined);
  const { initialize, send, unanswered, said } = await bench([a, b]);
  await initialize();
  const via = {};
  const listing = send({ id: 1, method: 'prompts/list' }, via);
  for (const server of [a, b]) await server.next((message) => message.method === 'prompts/list');
  const before = said.length;
  await send({ method: 'notifications/cancelled', params: { requestId: 1 } });
  await listing;
  for (const server of [a, b]) assert.equal(server.last('notifications/cancelled').params.requestId, 1);
  assert.deepEqual(unanswered, [via]);
  assert.equal(said.length, before);
});

test('cancelling what is not in flight reaches no server', async () => {
  const a = new FakeServer('a');
  const { initialize, send, rows } = await bench([a]);
  await initialize();
  await send({ method: 'notifications/cancelled', params: { requestId: 77 } });
  assert.equal(a.last('notifications/cancelled'), undefined);
  assert.deepEqual([rows.at(-1)?.['server'], rows.at(-1)?.['code']], ['gateway', 'ID_UNKNOWN']);
});

test("a server's progress carries the client's own token, and its other notifications pass", async () => {
  const a = new FakeServer('a', { handlers: { 'tools/call': () => null } });
  const { initialize, send, said } = await bench([a, new FakeServer('b')]);
  await initialize();
  const via = {};
  await send({ id: 1, method: 'tools/call', params: call('a__do', { _meta: { progressToken: 'mine' } }) }, via);
  await a.say({ method: 'notifications/progress', params: { progressToken: 'mine', progress: 1 } });
  assert.deepEqual([said.at(-1)?.message.params, said.at(-1)?.about.via === via], [{ progressToken: 'mine', progress: 1 }, true]);
  await a.say({ method: 'notifications/message', params: { level: 'info', data: 'x' } });
  assert.equal(said.at(-1)?.message.method, 'notifications/message');
});

test('setting the log level reaches every server that logs, and succeeds where one takes it', async () => {
  const logs = (handler: () => { result: object } | { error: object }): FakeServer['options'] => ({ capabilities: { logging: {} }, handlers: { 'logging/setLevel': handler } });
  const [a, b] = [new FakeServer('a', logs(() => ({ result: {} }))), new FakeServer('b', logs(() => ({ error: { code: -32000, message: 'no' } })))];
  const mute = new FakeServer('mute');
  const { initialize, ask, warnings } = await bench([a, b, mute]);
  await initialize();
  assert.deepEqual((await ask(1, 'logging/setLevel', { level: 'info' })).result, {});
  assert.deepEqual([a, b, mute].map((server) => server.last('logging/setLevel') !== undefined), [true, true, false]);
  assert.match(warnings.join('\n'), /b did not take the log level/);
  const { initialize: begin, ask: again } = await bench([new FakeServer('b', logs(() => ({ error: { code: -32000, message: 'no' } })))]);
  await begin();
  assert.equal((await again(1, 'logging/setLevel', { level: 'info' })).error.message, 'no');
});

test('a task belongs to the server that was asked to do it', async () => {
  const tasks: FakeServer['options'] = {
    capabilities: { tools: {}, tasks: { list: {} } },
    handlers: {
      'tools/call': (_request, { name }) => ({ result: { task: { taskId: `task-${name}`, status: 'working' } } }),
      'tasks/get': ({ params }, { name }) => ({ result: { taskId: params.taskId, status: name } }),
      'tasks/list': (_request, { name }) => ({ result: { tasks: [{ taskId: `listed-${name}` }, { taskId: 'same' }] } }),
    },
  };
  const { initialize, ask } = await bench([new FakeServer('a', tasks), new FakeServer('b', tasks)]);
  await initialize();
  assert.equal((await ask(1, 'tasks/get', { taskId: 'task-b' })).error.code, -32602);
  await ask(2, 'tools/call', call('b__do', { task: {} }));
  assert.equal((await ask(3, 'tasks/get', { taskId: 'task-b' })).result.status, 'b');
  assert.deepEqual((await ask(4, 'tasks/list')).result.tasks.map((task: { taskId: string }) => task.taskId), ['listed-a', 'same', 'listed-b', 'same']);
  assert.equal((await ask(5, 'tasks/get', { taskId: 'listed-a' })).result.status, 'a');
  assert.equal((await ask(6, 'tasks/get', { taskId: 'same' })).error.code, -32602);
});

test('a server that ends fails what waits for it, and is started and initialized again when it is needed', async () => {
  const silent = { hold: true };
  const a = new FakeServer('a', { handlers: { 'tools/call': ({ params }) => (silent.hold ? null : { result: { content: [{ type: 'text', text: params.name }] } }) } });
  const made = await bench([a, new FakeServer('b')]);
  const { initialize, ask, clock, warnings } = made;
  await initialize();
  const waiting = ask(1, 'tools/call', call('a__do'));
  await a.next((message) => message.method === 'tools/call');
  a.end();
  assert.equal((await waiting).error.data.code, 'UPSTREAM_GONE');
  await settled();
  assert.match(warnings.join('\n'), /a ended; it is started again when it is needed/);
  silent.hold = false;
  assert.equal((await ask(2, 'tools/call', call('a__do'))).error.data.code, 'UPSTREAM_GONE');
  assert.equal((await ask(3, 'tools/call', call('b__do'))).result.content[0].text, 'b:do');
  clock.ms += 1000;
  assert.equal((await ask(4, 'tools/call', call('a__do'))).result.content[0].text, 'do');
  assert.equal(a.starts, 2);
  assert.deepEqual(a.methods().slice(-4).filter((method) => method.includes('initialize')), ['initialize', 'notifications/initialized']);
  assert.equal(made.gone, 0);
});

test('a server that loses its session fails one request, and not the session of the client', async () => {
  const a = new FakeServer('a', { handlers: { 'tools/call': ({ id, params }) => (id === 1 ? null : { result: { content: [{ type: 'text', text: params.name }] } }) } });
  const { initialize, ask, said, clock } = await bench([a, new FakeServer('b')]);
  await initialize();
  const waiting = ask(1, 'tools/call', call('a__do'));
  await a.next((message) => message.id === 1);
  await a.loseSession(1);
  assert.equal((await waiting).error.data.code, 'SESSION_LOST');
  // A client takes the status 404 for the end of its own session.
  assert.equal(said.at(-1)?.about.status, null);
  await settled();
  clock.ms += 1000;
  assert.equal((await ask(2, 'tools/call', call('a__do'))).result.content[0].text, 'do');
});

test('where the last server ends, so does the session', async () => {
  const [a, b] = [new FakeServer('a'), new FakeServer('b')];
  const made = await bench([a, b]);
  await made.initialize();
  a.end();
  await settled();
  assert.equal(made.gone, 0);
  b.end();
  await settled();
  assert.equal(made.gone, 1);
});

test('ping is answered by a server that is there', async () => {
  const [a, b] = [new FakeServer('a'), new FakeServer('b')];
  const { initialize, ask } = await bench([a, b]);
  await initialize();
  a.end();
  await settled();
  assert.deepEqual((await ask(1, 'ping')).result, {});
  assert.deepEqual([a.last('ping'), b.last('ping') !== undefined], [undefined, true]);
});

test("roots that changed are every server's business", async () => {
  const [a, b] = [new FakeServer('a'), new FakeServer('b')];
  const { initialize, send } = await bench([a, b]);
  await initialize();
  await send({ method: 'notifications/roots/list_changed' });
  for (const server of [a, b]) assert.equal(server.methods().at(-1), 'notifications/roots/list_changed');
});

test('closing ends every server', async () => {
  const [a, b] = [new FakeServer('a'), new FakeServer('b')];
  const { initialize, peer } = await bench([a, b]);
  await initialize();
  await peer.close();
  assert.deepEqual([a.running, b.running], [false, false]);
});

test('a burst of requests beyond what may be in flight is refused, not queued', async () => {
  const a = new FakeServer('a', { handlers: { 'tools/call': () => null } });
  const { initialize, send, said } = await bench([a, new FakeServer('b', { handlers: { 'tools/call': () => null } })]);
  await initialize();
  for (let id = 0; id < 1024; id += 1) await send({ id, method: 'tools/call', params: call(id % 2 === 0 ? 'a__do' : 'b__do') });
  await send({ id: 'more', method: 'tools/call', params: call('a__do') });
  assert.equal(said.at(-1)?.message.error.data.code, 'IN_FLIGHT_LIMIT');
  assert.equal(a.received.filter((message) => message.method === 'tools/call').length, 512);
});
