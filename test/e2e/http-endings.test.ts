// SPDX-License-Identifier: Apache-2.0
/** Whoever waits at an end has an answer: when a session is lost or closed, or a server does not even start. */
import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Wire } from '../harness/gateway.ts';
import { HttpGateway } from '../harness/http.ts';
import type { Answer } from '../harness/http.ts';
import { Session, call } from '../harness/http-clients.ts';
import { Upstream, called, event, json, notice, stream } from '../harness/http-upstream.ts';

const CALLS = 24;

/** Answers to calls, each as whether it arrived whole and what it said. */
async function answersOf(answers: readonly Answer[]): Promise<{ over: string; messages: Wire[] }[]> {
  return Promise.all(answers.map(async (answer) => ({ over: await answer.over, messages: answer.messages })));
}

for (const kept of [0, CALLS / 2]) {
  test(`a session that is lost while ${CALLS} calls are under way, ${kept} of them unanswered, answers each of them once`, async () => {
    const upstream = await Upstream.open();
    const gateway = await HttpGateway.open({ upstream: upstream.url });
    const session = await Session.open(gateway);
    await session.call('first', 'echo');
    let count = 0;
    upstream.on('tools/call', (hit) => {
      count += 1;
      if (count > kept) json(hit, { jsonrpc: '2.0', id: null, error: { code: -32001, message: 'Session not found' } }, 404);
    });
    const sent = Array.from({ length: CALLS }, (_, at) => session.send(call(at, 'echo')));
    const answers = await answersOf(await Promise.all(sent));
    for (const [at, { over, messages }] of answers.entries()) {
      assert.equal(over, 'whole');
      assert.equal(messages.length, 1);
      // A call that came after the end of the session is told so, under its id as well.
      assert.equal(messages[0].id, at);
      assert.match(messages[0].error.data.code, /^(SESSION_LOST|SESSION_UNKNOWN|UPSTREAM_GONE)$/);
    }
    assert.equal((await session.post(call('late', 'echo'))).status, 404);
    const codes = new Set(gateway.rows().filter((row) => row['kind'] === 'result' && row['status'] === 'error').map((row) => row['code']));
    assert.ok(codes.has('SESSION_LOST'));
    assert.equal(await gateway.close(), 0);
  });
}

test('a client that ends its session gets an answer to the call that it still had under way', async () => {
  const upstream = await Upstream.open();
  const gateway = await HttpGateway.open({ upstream: upstream.url });
  const session = await Session.open(gateway);
  await session.call('first', 'echo');
  upstream.on('tools/call', () => undefined);
  const slow = session.post(call('slow', 'echo'));
  await upstream.hit((hit) => hit.message?.id !== undefined && hit.message?.method === 'tools/call' && hit.body.includes('slow'));
  assert.equal((await session.end()).status, 200);
  const [message] = (await slow).messages;
  assert.equal(message.id, 'slow');
  assert.equal(message.error.data.code, 'UPSTREAM_GONE');
});

test('a server whose command does not exist is an answer to the handshake, not a broken connection', async () => {
  const gateway = await HttpGateway.open({ server: ['/nonexistent/mcp-server'] });
  for (const path of ['/mcp', '/mcp/peer']) {
    const answer = await Session.initialize(gateway, { path });
    assert.equal(answer.status, 502);
    assert.equal(answer.json.error.data.code, 'UPSTREAM_SPAWN');
    assert.equal(answer.headers['mcp-session-id'], undefined);
  }
});

function openSlowly(port: number, headers: Record<string, string>, body: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port, path: '/mcp', method: 'POST', headers, agent: false });
    request.on('response', resolve);
    request.on('error', reject);
    request.end(body);
  });
}

test('a client that reads slowly gets all of a long stream, in order, and the runtime has nothing to warn of', async () => {
  const upstream = await Upstream.open();
  const gateway = await HttpGateway.open({ upstream: upstream.url });
  const session = await Session.open(gateway);
  await session.call('first', 'echo');
  const steps = 200;
  upstream.on('tools/call', (hit) => {
    const response = stream(hit);
    const progressToken = hit.message.params._meta.progressToken;
    for (let progress = 1; progress <= steps; progress += 1) response.write(event(notice('notifications/progress', { progressToken, progress, message: 'x'.repeat(32_768) })));
    response.end(event(called(hit, 'done')));
  });
  const headers = { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream', 'Mcp-Session-Id': session.id, 'MCP-Protocol-Version': session.revision };
  const response = await openSlowly(gateway.port, headers, JSON.stringify(call(1, 'echo', {}, { _meta: { progressToken: 1 } })));
  await delay(1500);
  let text = '';
  for await (const chunk of response) text += String(chunk);
  const found = [...text.matchAll(/"progress":(\d+)/g)].map(([, number]) => Number(number));
  assert.deepEqual(found, Array.from({ length: steps }, (_, at) => at + 1));
  assert.match(text, /"text":"done"/);
  assert.equal(await gateway.close(), 0);
  assert.doesNotMatch(gateway.stderr, /Warning:/);
});
