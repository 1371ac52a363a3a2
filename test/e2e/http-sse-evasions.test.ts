// SPDX-License-Identifier: Apache-2.0
/**
 * What a hostile server could write into a stream of events, and what it may send along with which request at 2026-07-28
 * (mcp.md sections 3 and 7): frames of any form, notifications that nobody asked for, requests, and states that return to
 * another request than the one they were given for.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Wire } from '../harness/gateway.ts';
import type { Answer } from '../harness/http.ts';
import { HttpGateway } from '../harness/http.ts';
import { call, modern, modernly, Session } from '../harness/http-clients.ts';
import type { Hit } from '../harness/http-upstream.ts';
import { called, event, isModern, json, notice, result, stream, tool, Upstream } from '../harness/http-upstream.ts';

const upstream = await Upstream.open();
upstream.tools = [tool('echo'), tool('other')];
const gateway = await HttpGateway.open({ upstream: upstream.url, policy: 'version: 1\n' });
const session = await Session.open(gateway, { capabilities: { sampling: {}, roots: {} } });
await session.call('warm', 'echo');
await modernly(gateway, 'warm', 'tools/call', { name: 'echo' });

const fine = (hit: Hit): string => JSON.stringify(called(hit, 'fine'));
const forged = (hit: Hit): string => JSON.stringify(called(hit, 'forged'));

let calls = 0;
async function callAs(era: string): Promise<Answer> {
  calls += 1;
  return era === 'legacy' ? session.post(call(calls, 'echo')) : modernly(gateway, calls, 'tools/call', { name: 'echo' });
}

async function trickle(hit: Hit, bytes: Uint8Array): Promise<void> {
  const response = stream(hit);
  for (const byte of bytes) {
    response.write(Uint8Array.of(byte));
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
  response.end();
}

const streams: readonly [string, (hit: Hit) => string | Promise<void>, 'fine' | 'error'][] = [
  ['line feeds', (hit) => `data: ${fine(hit)}\n\n`, 'fine'],
  ['carriage returns', (hit) => `data: ${fine(hit)}\r\r: x`, 'fine'],
  ['both', (hit) => `data: ${fine(hit)}\r\n\r\n`, 'fine'],
  ['a mixture', (hit) => `id: 1\rdata: ${fine(hit)}\r\n\n`, 'fine'],
  ['no space behind the colon', (hit) => `data:${fine(hit)}\n\n`, 'fine'],
  ['a byte order mark', (hit) => `\ufeffdata: ${fine(hit)}\n\n`, 'fine'],
  ['data in several lines', (hit) => `data: {"jsonrpc":"2.0",\ndata: ${fine(hit).slice(17)}\n\n`, 'fine'],
  ['comments and unknown fields', (hit) => `: forged\nforged: forged\nevent: message\ndata: ${fine(hit)}\n\n`, 'fine'],
  ['many comments first', (hit) => `${': keep-alive\n\n'.repeat(2000)}data: ${fine(hit)}\n\n`, 'fine'],
  ['a byte at a time', (hit) => trickle(hit, Buffer.from(`data: ${fine(hit).replace('"fine"', '"fine","_meta":{"a":"\u00e9\u20ac\ud83d\ude00"}')}\n\n`)), 'fine'],
  ['another event first', (hit) => `event: forged\ndata: ${forged(hit)}\n\ndata: ${fine(hit)}\n\n`, 'fine'],
  ['the event name in other letters first', (hit) => `event: Message\ndata: ${forged(hit)}\n\ndata: ${fine(hit)}\n\n`, 'fine'],
  ['the endpoint of an older transport', (hit) => `event: endpoint\ndata: http://forged.example/\n\ndata: ${fine(hit)}\n\n`, 'fine'],
  ['the answer twice', (hit) => `data: ${fine(hit)}\n\ndata: ${forged(hit)}\n\n`, 'fine'],
  ['no blank line at the end', (hit) => `data: ${forged(hit)}\n`, 'error'],
  ['no line end at the end', (hit) => `data: ${forged(hit)}`, 'error'],
  ['only another event', (hit) => `event: forged\ndata: ${forged(hit)}\n\n`, 'error'],
  ['two messages in one event', (hit) => `data: ${forged(hit)}\ndata: ${forged(hit)}\n\n`, 'error'],
  ['a message cut in two events', (hit) => `data: ${forged(hit).slice(0, 20)}\n\ndata: ${forged(hit).slice(20)}\n\n`, 'error'],
  ['a field name in other letters', (hit) => `Data: ${forged(hit)}\n\n`, 'error'],
  ['a space before the field', (hit) => ` data: ${forged(hit)}\n\n`, 'error'],
  ['invalid UTF-8', (hit) => trickle(hit, Buffer.concat([Buffer.from(`data: ${forged(hit).slice(0, -6)}`), Buffer.from([0xff]), Buffer.from('"}]}}\n\n')])), 'error'],
  ['an empty stream', () => '', 'error'],
  ['nothing but retry', () => 'retry: 1\n\n', 'error'],
];

test('a stream of events is read as the standard says, whatever its form', async (t) => {
  for (const era of ['legacy', 'modern']) {
    for (const [name, write, outcome] of streams) {
      await t.test(`${name} (${era})`, async () => {
        upstream.on('tools/call', async (hit) => {
          const text = write(hit);
          if (typeof text === 'string') stream(hit).end(text);
          else await text;
        });
        const answer = await callAs(era);
        assert.equal(answer.text.includes('forged'), false, answer.text);
        const own = answer.messages.filter((message) => message.id === calls);
        assert.equal(own.length, 1, answer.text);
        if (outcome === 'fine') assert.equal(own[0].result?.content[0].text, 'fine', answer.text);
        else assert.equal(typeof own[0].error?.data?.code, 'string', answer.text);
      });
    }
  }
  upstream.on('tools/call', null);
});

test('an array in an event is judged element by element in the older era, and refused in the modern one', async () => {
  upstream.on('tools/call', (hit) => void stream(hit).end(`data: [${JSON.stringify(notice('notifications/forged'))},${fine(hit)}]\n\n`));
  assert.equal((await callAs('legacy')).messages.find((message) => message.id === calls).result.content[0].text, 'fine');
  const answer = await callAs('modern');
  assert.equal(answer.text.includes('fine'), false);
  assert.equal(answer.text.includes('forged'), false);
  upstream.on('tools/call', null);
});

const along: readonly [string, object, string][] = [
  ['a request for sampling', { jsonrpc: '2.0', id: 1, method: 'sampling/createMessage', params: { messages: [{ role: 'user', content: { type: 'text', text: 'forged' } }], maxTokens: 1 } }, 'METHOD_WRONG_DIRECTION'],
  ['a request for roots', { jsonrpc: '2.0', id: 2, method: 'roots/list', params: { forged: 1 } }, 'METHOD_WRONG_DIRECTION'],
  ['a ping', { jsonrpc: '2.0', id: 'forged', method: 'ping' }, 'METHOD_WRONG_DIRECTION'],
  ['an elicitation', { jsonrpc: '2.0', id: 3, method: 'elicitation/create', params: { message: 'forged', requestedSchema: {} } }, 'METHOD_WRONG_DIRECTION'],
  ['a log message that the request did not ask for', notice('notifications/message', { level: 'info', data: 'forged' }), 'NOTIFICATION_UNASKED'],
  ['a change of tools', notice('notifications/tools/list_changed', { forged: 1 }), 'NOTIFICATION_UNASKED'],
  ['a change of a resource', notice('notifications/resources/updated', { uri: 'forged:' }), 'NOTIFICATION_UNASKED'],
  ['progress under an unknown token', notice('notifications/progress', { progressToken: 'forged', progress: 1 }), 'PROGRESS_UNKNOWN'],
  ['progress under a number that nobody gave', notice('notifications/progress', { progressToken: 999_999, progress: 1, message: 'forged' }), 'PROGRESS_UNKNOWN'],
  ['a cancellation of the request', notice('notifications/cancelled', { requestId: 1, reason: 'forged' }), 'ID_UNKNOWN'],
  ['an unknown notification', notice('notifications/forged'), 'METHOD_UNKNOWN'],
  ['an answer to nothing', { jsonrpc: '2.0', id: 4711, result: { forged: 1 } }, 'ID_UNKNOWN'],
];

test('what a modern server may not send along with an answer ends at the gateway, with a row', async (t) => {
  for (const [name, message, code] of along) {
    await t.test(name, async () => {
      const rows = gateway.rows().filter((row) => row['code'] === code).length;
      upstream.on('tools/call', (hit) => void stream(hit).end(event(message) + event(called(hit, 'fine'))));
      const before = upstream.hits.length;
      const answer = await callAs('modern');
      assert.deepEqual(answer.messages.map((each) => each.id), [calls], answer.text);
      assert.equal(answer.text.includes('forged'), false);
      await gateway.rowsLike((row) => row['code'] === code && row['dir'] === 's2c', rows + 1);
      assert.deepEqual(upstream.hits.slice(before).filter((hit) => hit.message.method === undefined), [], 'clients of this era send no answers');
    });
  }
  upstream.on('tools/call', null);
});

test('log messages and progress that a modern request asked for arrive with it, under its own names', async () => {
  upstream.on('tools/call', (hit) => {
    const { progressToken } = hit.message.params._meta;
    const progress = notice('notifications/progress', { progressToken, progress: 1, message: 'half' });
    stream(hit).end(event(progress) + event(notice('notifications/message', { level: 'info', data: 'said' })) + event(called(hit, 'fine')));
  });
  const meta = { progressToken: 'mine', 'io.modelcontextprotocol/logLevel': 'info' };
  const answer = await modernly(gateway, 'a', 'tools/call', { name: 'echo' }, { meta });
  assert.deepEqual(answer.messages.map(({ method, params, id }) => [method, params?.progressToken, params?.data, id]), [
    ['notifications/progress', 'mine', undefined, undefined],
    ['notifications/message', undefined, 'said', undefined],
    [undefined, undefined, undefined, 'a'],
  ]);
  upstream.on('tools/call', null);
});

test('a subscription brings what it asked for, under its own id, and nothing else', async () => {
  let listening: Hit | undefined;
  upstream.on('subscriptions/listen', (hit) => {
    listening = hit;
    stream(hit).write(event(notice('notifications/subscriptions/acknowledged', { notifications: {}, _meta: { 'io.modelcontextprotocol/subscriptionId': hit.message.id } })));
  });
  const notifications = { promptsListChanged: true, resourceSubscriptions: ['test://a'] };
  const answer = await modern(gateway, 'mine', 'subscriptions/listen', { notifications });
  await answer.next((message) => message.method === 'notifications/subscriptions/acknowledged');
  const { response } = listening as Hit;
  const subscribed = { _meta: { 'io.modelcontextprotocol/subscriptionId': (listening as Hit).message.id } };
  for (const [method, params] of [
    ['notifications/tools/list_changed', {}],
    ['notifications/resources/list_changed', {}],
    ['notifications/resources/updated', { uri: 'test://b' }],
    ['notifications/message', { level: 'info', data: 'forged' }],
    ['notifications/progress', { progressToken: 1, progress: 1 }],
    ['notifications/prompts/list_changed', {}],
    ['notifications/resources/updated', { uri: 'test://a' }],
  ] as const) {
    response.write(event(notice(method, { ...params, ...subscribed })));
  }
  await answer.next((message) => message.params?.uri === 'test://a');
  assert.deepEqual(answer.messages.map(({ method, params }) => [method, params.uri, params._meta['io.modelcontextprotocol/subscriptionId']]), [
    ['notifications/subscriptions/acknowledged', undefined, 'mine'],
    ['notifications/prompts/list_changed', undefined, 'mine'],
    ['notifications/resources/updated', 'test://a', 'mine'],
  ]);
  answer.leave();
  assert.equal(await (listening as Hit).over, 'cut', 'leaving ends the subscription at the server');
  await gateway.rowsLike((row) => row['code'] === 'NOTIFICATION_UNASKED' && row['method'] === 'notifications/tools/list_changed');
  upstream.on('subscriptions/listen', null);
});

const results: readonly [string, string, object, string][] = [
  ['a result type that nobody knows', 'tools/call', { resultType: 'forged', content: [] }, 'RESULT_TYPE_UNKNOWN'],
  ['a result type that is no text', 'tools/call', { resultType: ['complete'], forged: 1 }, 'RESULT_TYPE_UNKNOWN'],
  ['a question with nothing asked', 'tools/call', { resultType: 'input_required', forged: 1 }, 'RESULT_INVALID'],
  ['a question from a listing', 'resources/list', { resultType: 'input_required', requestState: 'forged' }, 'RESULT_INVALID'],
  ['a complete result that asks', 'tools/call', { resultType: 'complete', inputRequests: { a: { method: 'roots/list', forged: 1 } } }, 'RESULT_INVALID'],
  ['a result without a type that asks', 'tools/call', { inputRequests: { a: { method: 'sampling/createMessage', forged: 1 } } }, 'RESULT_INVALID'],
  ['a denied request inside a question', 'tools/call', { resultType: 'input_required', inputRequests: { a: { method: 'sampling/createMessage', params: { messages: ['forged'] } } } }, 'METHOD_DENIED'],
  ['a request of no known kind inside a question', 'tools/call', { resultType: 'input_required', inputRequests: { a: { method: 'tools/call', params: { name: 'forged' } } } }, 'RESULT_INVALID'],
  ['an elicitation of a URL', 'tools/call', { resultType: 'input_required', inputRequests: { a: { method: 'elicitation/create', params: { mode: 'url', url: 'http://forged.example' } } } }, 'METHOD_DENIED'],
  ['a task from a listing', 'resources/list', { resultType: 'task', taskId: 'forged' }, 'RESULT_INVALID'],
];

test('a modern result that could get something past the policy fails closed', async (t) => {
  for (const [name, method, value, code] of results) {
    await t.test(name, async () => {
      upstream.on(method, (hit) => json(hit, { jsonrpc: '2.0', id: hit.message.id, result: value }));
      const params = method === 'tools/call' ? { name: 'echo' } : {};
      const answer = await modernly(gateway, 1, method, params, { capabilities: {} });
      assert.equal(answer.text.includes('forged'), false, answer.text);
      assert.equal(answer.json.error.data.code, code);
      assert.equal(answer.json.error.code, -31001);
      upstream.on(method, null);
    });
  }
  const fresh = await Upstream.open();
  fresh.on('tools/list', (hit) => json(hit, { jsonrpc: '2.0', id: hit.message.id, result: { resultType: 'input_required', requestState: 'forged' } }));
  const other = await HttpGateway.open({ upstream: fresh.url });
  const listed = await modernly(other, 1, 'tools/list');
  assert.equal(listed.json.error.data.code, 'LISTING_FAILED');
  assert.equal(listed.text.includes('forged'), false);
  await other.close();
});

test('a state returns to the server byte for byte, and only with the request that it was given for', async () => {
  const STATE = 'state {"nonce":"\u00e9\u20ac"}  ';
  upstream.on('tools/call', (hit) => {
    const { requestState, arguments: args } = hit.message.params;
    if (requestState === undefined) json(hit, { jsonrpc: '2.0', id: hit.message.id, result: { resultType: 'input_required', requestState: `${STATE}${args.a}` } });
    else json(hit, called(hit, `got ${requestState}`));
  });
  const ask = async (args: object, more: object = {}, name = 'echo'): Promise<Wire> => (await modernly(gateway, 1, 'tools/call', { name, arguments: args, ...more })).json;
  const first = await ask({ a: 1 });
  const { requestState } = first.result;
  assert.equal(first.result.resultType, 'input_required');
  assert.equal(requestState.includes('nonce'), false, 'the state is wrapped');
  assert.equal((await ask({ a: 1 }, { requestState, inputResponses: {} })).result.content[0].text, `got ${STATE}1`);
  const before = upstream.hits.length;
  const second = (await ask({ a: 2 })).result.requestState;
  assert.equal(upstream.hits.length, before + 1);
  const refused: readonly [string, Promise<Wire>][] = [
    ['with other arguments', ask({ a: 2 }, { requestState })],
    ['with more arguments', ask({ a: 1, b: 1 }, { requestState })],
    ['with another tool', ask({ a: 1 }, { requestState }, 'other')],
    ["another request's", ask({ a: 1 }, { requestState: second })],
    ['tampered at the end', ask({ a: 1 }, { requestState: `${requestState}A` })],
    ['tampered within', ask({ a: 1 }, { requestState: flip(requestState) })],
    ['with spaces', ask({ a: 1 }, { requestState: ` ${requestState}` })],
    ['made up', ask({ a: 1 }, { requestState: 'AAAA' })],
    ['unwrapped', ask({ a: 1 }, { requestState: `${STATE}1` })],
    ['empty', ask({ a: 1 }, { requestState: '' })],
    ['no text', ask({ a: 1 }, { requestState: { a: 1 } })],
    ['with another method', modernly(gateway, 1, 'prompts/get', { name: 'echo', arguments: { a: 1 }, requestState }).then((answer) => answer.json)],
  ];
  for (const [name, answer] of refused) {
    const { error } = await answer;
    assert.equal(error?.code, -32602, name);
    assert.equal(error.data.code, 'STATE_INVALID', name);
  }
  assert.equal(upstream.hits.length, before + 1, 'none of them reaches the server');
  upstream.on('tools/call', null);
});

const flip = (text: string): string => text.slice(0, 10) + (text[10] === 'A' ? 'B' : 'A') + text.slice(11);

test('a server cannot ask for input without end', async () => {
  upstream.on('tools/call', (hit) => json(hit, { jsonrpc: '2.0', id: hit.message.id, result: { resultType: 'input_required', requestState: 's' } }));
  let requestState: string | undefined;
  let error: Wire;
  let rounds = 0;
  for (; error === undefined && rounds < 100; rounds += 1) {
    const answer = await modernly(gateway, 1, 'tools/call', { name: 'echo', ...(requestState === undefined ? {} : { requestState }) });
    ({ error } = answer.json);
    requestState = answer.json.result?.requestState;
  }
  assert.equal(error?.data.code, 'STATE_INVALID');
  assert.equal(rounds, 17);
  upstream.on('tools/call', null);
});

test("an older server's requests are judged too, and go to the stream of the request that they belong to", async () => {
  const asked = { jsonrpc: '2.0', id: 'r1', method: 'roots/list' };
  const sampling = { jsonrpc: '2.0', id: 's1', method: 'sampling/createMessage', params: { messages: ['forged'], maxTokens: 1 } };
  upstream.on('tools/call', async (hit) => {
    const response = stream(hit);
    response.write(event(sampling) + event(asked));
    const answered = await upstream.hit((each) => each.message?.id === 'r1');
    response.end(event(called(hit, JSON.stringify(answered.message.result))));
  });
  const answer = await session.send(call('asks', 'echo'));
  const request = await answer.next((message) => message.method !== undefined);
  assert.deepEqual([request.id, request.method], ['r1', 'roots/list']);
  assert.equal((await session.post({ jsonrpc: '2.0', id: 'r1', result: { roots: [] } })).status, 202);
  assert.match(JSON.stringify(await answer.next((message) => message.id === 'asks')), /roots/);
  const denied = await upstream.hit((hit) => hit.message?.id === 's1');
  assert.equal(denied.message.error.data.code, 'METHOD_DENIED');
  assert.equal(answer.text.includes('forged'), false);
  assert.equal((await session.post({ jsonrpc: '2.0', id: 'r1', result: { roots: ['again'] } })).status, 202);
  assert.equal(upstream.everything().includes('again'), false, 'a request is answered once');
  upstream.on('tools/call', null);
});

test('a stream that floods its call with notifications arrives whole and in order', async () => {
  upstream.on('tools/call', (hit) => {
    const response = stream(hit);
    for (let n = 0; n < 2000; n += 1) response.write(event(notice('notifications/message', { level: 'info', data: n })));
    response.end(event(called(hit, 'fine')));
  });
  const answer = await session.post(call('flood', 'echo'));
  const numbers = answer.messages.filter(({ method }) => method === 'notifications/message').map(({ params }) => params.data);
  assert.deepEqual(numbers, Array.from({ length: 2000 }, (_unused, n) => n));
  assert.equal(answer.messages.at(-1).id, 'flood');
  upstream.on('tools/call', null);
});

test('a legacy result has no type of the newer era', async () => {
  upstream.on('tools/call', (hit) => json(hit, { jsonrpc: '2.0', id: hit.message.id, result: { resultType: 'input_required', requestState: 'forged', inputRequests: {} } }));
  const answer = await callAs('legacy');
  assert.deepEqual(answer.messages.map((message) => message.error?.data.code), ['RESULT_INVALID']);
  assert.equal(isModern(upstream.hits.at(-1)?.message), false);
  upstream.on('tools/call', (hit) => result(hit, {}));
  assert.deepEqual((await callAs('legacy')).messages.map((message) => message.result), [{}]);
  upstream.on('tools/call', null);
});
