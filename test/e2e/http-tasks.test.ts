// SPDX-License-Identifier: Apache-2.0
/** Tasks over HTTP: the server sees one credential, and would show each principal everybody's. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import type { Wire } from '../harness/gateway.ts';
import { Session } from '../harness/http-clients.ts';
import { result, Upstream } from '../harness/http-upstream.ts';
import { HttpGateway } from '../harness/http.ts';

const TOKENS = { alice: 'alice-token-of-at-least-22-characters', bob: 'bob-token-of-at-least-22-characters' };
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

test('a task is its principal\'s alone: others neither see it in the list nor reach it by its id', async () => {
  const upstream = await Upstream.open();
  let count = 0;
  upstream.on('tools/call', (hit) => result(hit, { task: { taskId: `t${(count += 1)}`, status: 'working' } }));
  upstream.on('tasks/list', (hit) => result(hit, { tasks: ['t1', 't2', 'of nobody'].map((taskId) => ({ taskId, status: 'working' })) }));
  upstream.on('tasks/get', (hit) => result(hit, { taskId: hit.message.params.taskId, status: 'working' }));
  const tokens = Object.entries(TOKENS).map(([name, token]) => `{name: ${name}, sha256: '${sha256(token)}'}`);
  const config = `version: 1\npolicy: policy.yaml\nlisten: 127.0.0.1:0\nauth: {kind: bearer, tokens: [${tokens.join(', ')}]}\nservers:\n  peer: {url: '${upstream.url}', allow_private: true}\n`;
  const gateway = await HttpGateway.open({ config });
  const open = (name: keyof typeof TOKENS): Promise<Session> => Session.open(gateway, { headers: { Authorization: `Bearer ${TOKENS[name]}` } });
  const [alice, bob] = [await open('alice'), await open('bob')];
  assert.equal((await alice.call(1, 'echo')).result.task.taskId, 't1');
  assert.equal((await bob.call(1, 'echo')).result.task.taskId, 't2');
  const listed = (message: Wire): string[] => message.result.tasks.map(({ taskId }: Wire) => taskId);
  assert.deepEqual([listed(await alice.ask(2, 'tasks/list')), listed(await bob.ask(2, 'tasks/list'))], [['t1'], ['t2']]);
  assert.equal((await alice.ask(3, 'tasks/get', { taskId: 't1' })).result.taskId, 't1');
  for (const method of ['tasks/get', 'tasks/result', 'tasks/cancel']) {
    assert.equal((await bob.ask(method, method, { taskId: 't1' })).error.code, -32602, method);
  }
  assert.deepEqual(upstream.seen('tasks/get').map((hit) => hit.message.params.taskId), ['t1']);
  assert.equal(upstream.seen('tasks/result').length + upstream.seen('tasks/cancel').length, 0);
  // A session of its own is enough to come back.
  assert.equal((await (await open('alice')).ask(1, 'tasks/get', { taskId: 't1' })).result.taskId, 't1');
  await gateway.close();
});

test('a session is initialized once', async () => {
  const upstream = await Upstream.open();
  const gateway = await HttpGateway.open({ upstream: upstream.url });
  const session = await Session.open(gateway);
  const again = await session.post({ jsonrpc: '2.0', id: 'again', method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } } });
  assert.deepEqual([again.status, again.json.error.data.code], [400, 'ERA_MIXED']);
  assert.equal(upstream.seen('initialize').length, 1);
  await gateway.close();
});
