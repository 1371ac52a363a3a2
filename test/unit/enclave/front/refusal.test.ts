// SPDX-License-Identifier: Apache-2.0
/** A refusal reaches its client, whatever was said before it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import test from 'node:test';
import { refusal, replyRefusal } from '../../../../enclave/front/refusal.ts';

async function reply(t: TestContext, before: (response: ServerResponse) => void): Promise<Response> {
  const server = createServer((_request, response) => {
    before(response);
    replyRefusal(response, refusal(502, 'UPSTREAM_GONE', 'gone', 'try again', { id: 7 }));
  });
  t.after(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
}

test('a refusal is an error with its status', async (t) => {
  const answer = await reply(t, () => undefined);
  assert.equal(answer.status, 502);
  const { id, error } = (await answer.json()) as { id: number; error: { data: { code: string } } };
  assert.deepEqual([id, error.data.code], [7, 'UPSTREAM_GONE']);
});

test('a refusal that comes when a stream has begun is its last event', async (t) => {
  const answer = await reply(t, (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(': keep-alive\n\n');
  });
  const text = await answer.text();
  assert.match(text, /^: keep-alive\n\ndata: \{"jsonrpc":"2\.0","id":7,"error":.*"UPSTREAM_GONE".*\}\n\n$/);
});
