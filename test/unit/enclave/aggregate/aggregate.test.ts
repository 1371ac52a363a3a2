// SPDX-License-Identifier: Apache-2.0
/** Several servers as one at the older revisions, without processes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bench, FakeServer } from '../../../harness/aggregate.ts';
import { settled } from '../../../harness/exchange.ts';
import type { Wire } from '../../../harness/gateway.ts';

const call = (name: string, more: object = {}): object => ({ name, arguments: {}, ...more });
/** Everything but what waits for a timer has happened. */
async function quiet(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await settled();
}

const names = (answer: Wire, key = 'tools'): string[] => answer.result[key].map((entry: { name: string }) => entry.name);

test('initialize is answered with what all servers offer, by the gateway', async () => {
  const a = new FakeServer('a', { capabilities: { tools: { listChanged: true }, logging: {} }, instructions: 'use a' });
  const b = new FakeServer('b', { capabilities: { tools: {}, prompts: {} }, instructions: 'use b' });
  const { initialize, peer } = await bench([a, b]);
  const { result } = await initialize();
  assert.equal(result.protocolVersion, '2025-11-25');
  assert.deepEqual(result.capabilities, { tools: { listChanged: true }, logging: {}, prompts: {} });
  assert.equal(result.serverInfo.name, 'mcp-bastion');
  assert.equal(result.instructions, '## a\nuse a\n\n## b\nuse b');
  assert.equal(peer.revision, '2025-11-25');
  for (const server of [a, b]) assert.deepEqual(server.methods(), ['initialize', 'notifications/initialized']);
});

test('the oldest revision that one of them answers is the one of all', async () => {
  const a = new FakeServer('a');
  const old = new FakeServer('old', { revision: '2025-03-26' });
  const { initialize, peer, ask, warnings } = await bench([a, old]);
  const { result } = await initialize();
  assert.equal(result.protocolVersion, '2025-03-26');
  assert.equal(peer.revision, '2025-03-26');
  assert.deepEqual([a.starts, a.closes, old.starts], [2, 1, 1]);
  assert.equal(a.last('initialize').params.protocolVersion, '2025-03-26');
  assert.deepEqual(names(await ask(1, 'tools/list')), ['a__do', 'old__do']);
  assert.equal(warnings[0], 'the common endpoint speaks 2025-03-26 because old answered nothing newer');
});

test('a server that cannot speak the revision of the others is left off, with a line that says so', async () => {
  const stubborn: FakeServer = new FakeServer('stubborn', {
    handlers: { initialize: () => ({ result: { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 's', version: '1' } } }) },
  });
  const { initialize, ask, warnings } = await bench([stubborn, new FakeServer('old', { revision: '2024-11-05' })]);
  assert.equal((await initialize()).result.protocolVersion, '2024-11-05');
  assert.deepEqual(names(await ask(1, 'tools/list')), ['old__do']);
  assert.match(warnings.join('\n'), /left off the common endpoint: stubborn does not speak 2024-11-05/);
  const refused = await ask(2, 'tools/call', call('stubborn__do'));
  assert.equal(refused.error.data.code, 'UPSTREAM_PROTOCOL');
});

test('servers that cannot be started, refuse, or never answer do not stop the others', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const slow = new FakeServer('slow', { handlers: { initialize: () => null } });
  const broken = new FakeServer('broken', { broken: true });
  const refusing = new FakeServer('refusing', { revision: null });
  const { initialize, ask, warnings } = await bench([slow, broken, refusing, new FakeServer('good')]);
  const answer = initialize();
  await slow.next((message) => message.method === 'initialize');
  await quiet();
  t.mock.timers.tick(10_000);
  assert.deepEqual(Object.keys((await answer).result.capabilities), ['tools']);
  assert.deepEqual(names(await ask(1, 'tools/list')), ['good__do']);
  for (const name of ['slow', 'broken', 'refusing']) assert.match(warnings.join('\n'), new RegExp(`left off the common endpoint: ${name}`));
  assert.equal(slow.running, false);
});

test('where no server answers, the client gets the error of one of them', async () => {
  const { initialize, peer } = await bench([new FakeServer('a', { revision: null }), new FakeServer('b', { revision: null })]);
  assert.equal((await initialize()).error.message, 'Unsupported protocol version');
  assert.equal(peer.revision, null);
});

test('where no server can be started, the connection is refused', async () => {
  await assert.rejects(bench([new FakeServer('a', { broken: true }), new FakeServer('b', { broken: true })]), { name: 'Unavailable', code: 'UPSTREAM_SPAWN' });
});

test('a second initialize is refused', async () => {
  const { initialize, ask } = await bench([new FakeServer('a')]);
  await initialize();
  assert.equal((await ask(1, 'initialize', { protocolVersion: '2025-11-25', capabilities: {} })).error.code, -32600);
});

test('tools are listed in the order of the configuration, and nothing of them changes but the name', async () => {
  const { initialize, ask } = await bench([new FakeServer('b', { tools: ['z', 'y'] }), new FakeServer('a', { tools: ['x'] })]);
  await initialize();
  const { result } = await ask(1, 'tools/list', { _meta: { progressToken: 1 } });
  assert.deepEqual(result, {
    tools: [
      { name: 'b__z', title: 'z', inputSchema: { type: 'object' } },
      { name: 'b__y', title: 'y', inputSchema: { type: 'object' } },
      { name: 'a__x', title: 'x', inputSchema: { type: 'object' } },
    ],
  });
});

test('servers are not asked for the progress of what several of them do', async () => {
  const a = new FakeServer('a', { capabilities: { prompts: {} }, handlers: { 'prompts/list': () => ({ result: { prompts: [] } }) } });
  const { initialize, ask } = await bench([a, new FakeServer('b')]);
  await initialize();
  await ask(1, 'prompts/list', { _meta: { progressToken: 1, more: 2 } });
  assert.deepEqual(a.last('prompts/list').params, { _meta: { more: 2 } });
});

test('a call goes to the one server under its own name, listed before or not, and rows carry that server', async () => {
  const [a, b] = [new FakeServer('a'), new FakeServer('b')];
  const { initialize, ask, rows } = await bench([a, b]);
  await initialize();
  assert.equal((await ask(1, 'tools/call', call('b__do', { _meta: { progressToken: 'p' } }))).result.content[0].text, 'b:do');
  assert.equal(a.last('tools/call'), undefined);
  assert.deepEqual(b.last('tools/call').params, { name: 'do', arguments: {}, _meta: { progressToken: 'p' } });
  const calls = rows.filter((row) => row['kind'] === 'call' || row['kind'] === 'result');
  assert.deepEqual(calls.map((row) => [row['kind'], row['server'], row['decision']]), [['call', 'b', 'allow'], ['result', 'b', 'allow']]);
});

test('names that do not fit are cut, and the call finds the tool, with or without a listing before', async () => {
  const own = 'ns/some.tool with an extraordinarily long name that no model API takes';
  for (const list of [true, false]) {
    const a = new FakeServer('a', { tools: [own, 'plain'] });
    const { initialize, ask } = await bench([a, new FakeServer('b')]);
    await initialize();
    if (list) assert.match(names(await ask(1, 'tools/list'))[0] ?? '', /^a__ns_some_tool_with[A-Za-z0-9_-]+_[0-9a-f]{8}$/);
    const { clientName } = await import('../../../../enclave/aggregate/names.ts');
    const answer = await ask(2, 'tools/call', call(clientName('a', own)));
    assert.equal(answer.result.content[0].text, `a:${own}`);
  }
});

for (const name of ['nope__do', 'do', '', 'a.do', 'a_do']) {
  test(`a call of ${JSON.stringify(name)} goes to no server, and has a row of the gateway's`, async () => {
    const a = new FakeServer('a');
    const { initialize, ask, rows, said } = await bench([a, new FakeServer('b')]);
    await initialize();
    const via = {};
    const { error } = await ask(1, 'tools/call', call(name), via);
    assert.deepEqual([error.code, error.data.code], [-32001, 'TOOL_NOT_LISTED']);
    assert.match(error.data.tool, /^tool#[0-9a-f]{8}$/);
    assert.equal(a.last('tools/call'), undefined);
    const row = rows.find((one) => one['kind'] === 'call');
    assert.deepEqual([row?.['server'], row?.['decision'], row?.['code'], row?.['tool']], ['gateway', 'deny', 'TOOL_NOT_LISTED', error.data.tool]);
    assert.equal(said.at(-1)?.about.via, via);
  });
}

test('what the policy denies by server and tool is neither listed nor called, and the row is of that server', async () => {
  const a = new FakeServer('a', { tools: ['read', 'write'] });
  const { initialize, ask, rows } = await bench([a, new FakeServer('b', { tools: ['write'] })], { policy: "version: 1\ndeny_tools: ['a.write']\n" });
  await initialize();
  assert.deepEqual(names(await ask(1, 'tools/list')), ['a__read', 'b__write']);
  assert.equal((await ask(2, 'tools/call', call('a__write'))).error.data.code, 'TOOL_DENIED');
  assert.equal((await ask(3, 'tools/call', call('b__write'))).result.content[0].text, 'b:write');
  assert.equal(a.last('tools/call'), undefined);
  assert.equal(rows.find((row) => row['code'] === 'TOOL_DENIED')?.['server'], 'a');
});

test('tools of the same or confusable names on two servers are told of once, by label', async () => {
  const { initialize, ask, warnings } = await bench([new FakeServer('a', { tools: ['read', 'x'] }), new FakeServer('b', { tools: ['READ ', 'y'] })]);
  await initialize();
  await ask(1, 'tools/list');
  await ask(2, 'tools/list');
  const told = warnings.filter((line) => line.includes('confusable'));
  assert.equal(told.length, 1);
  assert.match(told[0] ?? '', /^a tool#[0-9a-f]{8} and b tool#[0-9a-f]{8} have/);
});

test('pages of several servers are one page, and the cursor leads to those that have more', async () => {
  const paged = (pages: readonly (readonly string[])[]): FakeServer['options'] => ({
    capabilities: { prompts: {} },
    handlers: {
      'prompts/list': ({ params }) => {
        const at = params?.cursor === undefined ? 0 : Number(params.cursor);
        const prompts = (pages[at] ?? []).map((name) => ({ name }));
        return { result: at + 1 < pages.length ? { prompts, nextCursor: String(at + 1) } : { prompts } };
      },
    },
  });
  const [a, b] = [new FakeServer('a', paged([['1'], ['2'], ['3']])), new FakeServer('b', paged([['x']]))];
  const { initialize, ask } = await bench([a, b, new FakeServer('tools-only')]);
  await initialize();
  const first = await ask(1, 'prompts/list');
  assert.deepEqual(names(first, 'prompts'), ['a__1', 'b__x']);
  const second = await ask(2, 'prompts/list', { cursor: first.result.nextCursor });
  assert.deepEqual(names(second, 'prompts'), ['a__2']);
  const third = await ask(3, 'prompts/list', { cursor: second.result.nextCursor });
  assert.deepEqual(third.result, { prompts: [{ name: 'a__3' }] });
  assert.equal(b.received.filter((message) => message.method === 'prompts/list').length, 1);
});

for (const cursor of ['', 'x', 7, Buffer.from('{"nope":"1"}').toString('base64url'), Buffer.from('{"a": "1"}').toString('base64url')]) {
  test(`a cursor ${JSON.stringify(cursor)} that was never given out is refused`, async () => {
    const { initialize, ask } = await bench([new FakeServer('a')]);
    await initialize();
    const { error } = await ask(1, 'tools/list', { cursor });
    assert.deepEqual([error.code, error.data.code], [-32602, 'CURSOR_UNKNOWN']);
  });
}

test('a server that fails a listing is left out of it, and where all fail the client is told', async () => {
  const failing = { capabilities: { prompts: {} }, handlers: { 'prompts/list': () => ({ error: { code: -32000, message: 'broken' } }) } };
  const good = { capabilities: { prompts: {} }, handlers: { 'prompts/list': () => ({ result: { prompts: [{ name: 'p' }] } }) } };
  const some = await bench([new FakeServer('a', failing), new FakeServer('b', good)]);
  await some.initialize();
  assert.deepEqual(names(await some.ask(1, 'prompts/list'), 'prompts'), ['b__p']);
  assert.match(some.warnings.join('\n'), /a is left out of an answer to prompts\/list/);
  const none = await bench([new FakeServer('a', failing), new FakeServer('b', failing)]);
  await none.initialize();
  assert.equal((await none.ask(1, 'prompts/list')).error.message, 'broken');
});

test('a server that does not know a method after all is left out without a word', async () => {
  const ignorant = { capabilities: { prompts: {} } };
  const failing = { capabilities: { prompts: {} }, handlers: { 'prompts/list': () => ({ error: { code: -32000, message: 'broken' } }) } };
  const good = { capabilities: { prompts: {} }, handlers: { 'prompts/list': () => ({ result: { prompts: [{ name: 'p' }] } }) } };
  const some = await bench([new FakeServer('a', ignorant), new FakeServer('b', good)]);
  await some.initialize();
  assert.deepEqual(names(await some.ask(1, 'prompts/list'), 'prompts'), ['b__p']);
  assert.deepEqual(some.warnings, []);
  const none = await bench([new FakeServer('a', ignorant), new FakeServer('b', failing)]);
  await none.initialize();
  assert.equal((await none.ask(1, 'prompts/list')).error.message, 'broken');
  const nobody = await bench([new FakeServer('a', ignorant), new FakeServer('b', ignorant)]);
  await nobody.initialize();
  assert.equal((await nobody.ask(1, 'prompts/list')).error.code, -32601);
});

test('a name that was free in the last listing is not taken in the next one', async () => {
  const { clientName } = await import('../../../../enclave/aggregate/names.ts');
  const twin = clientName('a', 'x.y').slice('a__'.length);
  const tools = ['x.y'];
  const a = new FakeServer('a', { tools });
  const { initialize, ask, warnings } = await bench([a, new FakeServer('b')]);
  await initialize();
  await ask(1, 'tools/list');
  tools.push(twin);
  assert.deepEqual(names(await ask(2, 'tools/list')), [clientName('a', 'x.y'), 'b__do']);
  assert.match(warnings.join('\n'), /^a lists tool#[0-9a-f]{8} under a name that another of its tools has/m);
  tools.shift();
  assert.deepEqual(names(await ask(3, 'tools/list')), [`a__${twin}`, 'b__do']);
  assert.equal((await ask(4, 'tools/call', call(`a__${twin}`))).result.content[0].text, `a:${twin}`);
});

test('an id may be used again once its request is answered', async () => {
  const { initialize, ask, next, send } = await bench([new FakeServer('a'), new FakeServer('b')]);
  await initialize();
  await ask(1, 'tools/call', call('a__do'));
  await send({ id: 1, method: 'tools/call', params: call('b__do') });
  await next((message) => message.result?.content?.[0].text === 'b:do');
});

test('a server that is slow to list is left out when its time is over, and is told that nobody waits', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const slow = new FakeServer('slow', { capabilities: { prompts: {} }, handlers: { 'prompts/list': () => null } });
  const good = new FakeServer('good', { capabilities: { prompts: {} }, handlers: { 'prompts/list': () => ({ result: { prompts: [{ name: 'p' }] } }) } });
  const { initialize, ask } = await bench([slow, good]);
  await initialize();
  const answer = ask(1, 'prompts/list');
  await slow.next((message) => message.method === 'prompts/list');
  await quiet();
  t.mock.timers.tick(15_000);
  assert.deepEqual(names(await answer, 'prompts'), ['good__p']);
  await slow.next((message) => message.method === 'notifications/cancelled');
});

test('what no server offers is an unknown method', async () => {
  const { initialize, ask } = await bench([new FakeServer('a'), new FakeServer('b')]);
  await initialize();
  for (const [id, method] of ['prompts/list', 'resources/list', 'logging/setLevel', 'tasks/list', 'vendor/thing', 'server/discover'].entries()) {
    assert.equal((await ask(id, method)).error.code, -32601, method);
  }
});

function resources(uris: readonly string[], templates: readonly string[] = []): FakeServer['options'] {
  return {
    capabilities: { resources: { subscribe: true } },
    handlers: {
      'resources/list': () => ({ result: { resources: uris.map((uri) => ({ uri, name: uri })) } }),
      'resources/templates/list': () => ({ result: { resourceTemplates: templates.map((uriTemplate) => ({ uriTemplate, name: uriTemplate })) } }),
      'resources/read': ({ params }, { name }) => ({ result: { contents: [{ uri: params.uri, text: name }] } }),
      'resources/subscribe': () => ({ result: {} }),
    },
  };
}

test('resources are read where they are listed, or where their template is, and keep their URIs', async () => {
  const [a, b] = [new FakeServer('a', resources(['r://a', 'r://both'])), new FakeServer('b', resources(['r://b', 'r://both'], ['t://{id}']))];
  const { initialize, ask, warnings, rows } = await bench([a, b, new FakeServer('tools-only')]);
  await initialize();
  for (const [id, uri, owner] of [[1, 'r://b', 'b'], [2, 'r://a', 'a'], [3, 't://7', 'b']] as const) {
    assert.equal((await ask(id, 'resources/read', { uri })).result.contents[0].text, owner);
  }
  const twice = await ask(4, 'resources/read', { uri: 'r://both' });
  assert.match(twice.error.data.hint, /a or b/);
  await ask(5, 'resources/subscribe', { uri: 'r://both' });
  assert.equal(warnings.filter((line) => line.includes('a and b offer the same resource')).length, 1);
  assert.equal((await ask(6, 'resources/read', { uri: 'x://1' })).error.data.code, 'PARAMS_INVALID');
  assert.deepEqual((await ask(7, 'resources/subscribe', { uri: 'r://a' })).result, {});
  assert.equal(a.received.filter((message) => message.method === 'resources/list').length, 1);
  assert.equal(rows.filter((row) => row['server'] === 'gateway' && row['method'] === 'resources/read').length, 2);
});

test('where one server alone has resources, all URIs are its own', async () => {
  const a = new FakeServer('a', resources([]));
  const { initialize, ask } = await bench([new FakeServer('tools-only'), a]);
  await initialize();
  assert.equal((await ask(1, 'resources/read', { uri: 'anything://1' })).result.contents[0].text, 'a');
  assert.equal(a.last('resources/list'), undefined);
});

test('resources are looked for again after a server said that they changed', async () => {
  const uris = ['r://a'];
  const [a, b] = [new FakeServer('a', resources(uris)), new FakeServer('b', resources([]))];
  const { initialize, ask, next } = await bench([a, b]);
  await initialize();
  assert.equal((await ask(1, 'resources/read', { uri: 'r://new' })).error.code, -32602);
  uris.push('r://new');
  assert.equal((await ask(2, 'resources/read', { uri: 'r://new' })).error.code, -32602);
  await a.say({ method: 'notifications/resources/list_changed' });
  await next((message) => message.method === 'notifications/resources/list_changed');
  assert.equal((await ask(3, 'resources/read', { uri: 'r://new' })).result.contents[0].text, 'a');
});

test('completions go where their prompt or template is', async () => {
  const complete = { 'completion/complete': ({ params }: Wire, { name }: FakeServer) => ({ result: { completion: { values: [name, params.ref.name ?? params.ref.uri] } } }) };
  const [a, b] = ['a', 'b'].map((name) => {
    const options = resources([], [`${name}://{id}`]);
    return new FakeServer(name, { ...options, handlers: { ...options.handlers, ...complete } });
  });
  assert.ok(a !== undefined && b !== undefined);
  const { initialize, ask } = await bench([a, b]);
  await initialize();
  const argument = { name: 'x', value: '' };
  assert.deepEqual((await ask(1, 'completion/complete', { ref: { type: 'ref/prompt', name: 'b__p' }, argument })).result.completion.values, ['b', 'p']);
  assert.deepEqual((await ask(2, 'completion/complete', { ref: { type: 'ref/resource', uri: 'a://{id}' }, argument })).result.completion.values, ['a', 'a://{id}']);
  assert.equal((await ask(3, 'completion/complete', { ref: { type: 'ref/other' }, argument })).error.code, -32602);
  assert.equal((await ask(4, 'completion/complete', { ref: 1, argument })).error.code, -32602);
});

test('a link in a result leads back to the server that gave it', async () => {
  const linking = { 'tools/call': () => ({ result: { content: [{ type: 'resource_link', uri: 'secret://1', name: 'x' }] } }) };
  const a = resources([]);
  const { initialize, ask } = await bench([new FakeServer('a', { capabilities: { tools: {}, resources: {} }, handlers: { ...a.handlers, ...linking } }), new FakeServer('b', resources([]))]);
  await initialize();
  assert.equal((await ask(1, 'resources/read', { uri: 'secret://1' })).error.code, -32602);
  await ask(2, 'tools/call', call('a__do'));
  assert.equal((await ask(3, 'resources/read', { uri: 'secret://1' })).result.contents[0].text, 'a');
});
