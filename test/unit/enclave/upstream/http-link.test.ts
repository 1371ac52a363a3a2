// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { syncBuiltinESMExports } from 'node:module';
import test, { mock } from 'node:test';
import type { TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { About } from '../../../../enclave/exchange/parts.ts';
import type { HttpClient, UpstreamRequest, UpstreamResponse } from '../../../../enclave/upstream/http.ts';
import { HttpLink } from '../../../../enclave/upstream/http-link.ts';
import { Unavailable } from '../../../../shared/errors.ts';
import { jsonObject } from '../../../../shared/json/value.ts';
import { LINGER_MS_MAX, POST_ORDER_MS_MAX, RETRY_MS_MIN, TAKE_MS_MAX } from '../../../../shared/limits.ts';

/** One request of the link's: the test answers it, or not. */
interface Asked {
  readonly request: UpstreamRequest;
  /** Answers with a stream of events that stays open until the request is aborted. */
  readonly events: (text: string, more?: 'open' | 'ended') => void;
}

function bench(t: TestContext) {
  mock.timers.enable({ apis: ['setTimeout'] });
  syncBuiltinESMExports();
  t.after(() => {
    mock.timers.reset();
    syncBuiltinESMExports();
  });
  const asked: Asked[] = [];
  const waiting = new Set<unknown>();
  const failed: string[] = [];
  const faults: unknown[] = [];
  const client: HttpClient = {
    send: (request) =>
      new Promise((resolve, reject) => {
        const { signal } = request;
        signal?.addEventListener('abort', () => reject(new Unavailable('UPSTREAM_UNREACHABLE', 'aborted', '')));
        asked.push({
          request,
          events: (text, more = 'open') => {
            async function* body(): AsyncGenerator<Uint8Array> {
              yield new TextEncoder().encode(text);
              if (more === 'ended') return;
              await new Promise((_resolve, refuse) => signal?.addEventListener('abort', () => refuse(new Unavailable('UPSTREAM_UNREACHABLE', 'aborted', ''))));
            }
            const response: UpstreamResponse = { status: 200, header: (name) => (name === 'content-type' ? 'text/event-stream' : null), body: body(), discard: () => undefined };
            resolve(response);
          },
        });
      }),
    close: () => Promise.resolve(),
  };
  const link = new HttpLink({
    client,
    url: new URL('http://127.0.0.1/mcp'),
    headers: {},
    revision: () => '2025-11-25',
    events: {
      frame: (event) => {
        const answered: { id?: unknown } = event.kind === 'frame' ? JSON.parse(Buffer.from(event.bytes).toString()) : {};
        waiting.delete(answered.id);
        return Promise.resolve();
      },
      failed: (id, { code }) => {
        waiting.delete(id);
        failed.push(code);
        return Promise.resolve();
      },
      waiting: (id) => waiting.has(id),
      streaming: () => undefined,
      paused: () => undefined,
      silent: () => undefined,
      lost: () => undefined,
      fault: (error) => faults.push(error),
    },
  });
  const about = (kind: About['kind'], id: number | null, method: string, params = {}): About => ({
    kind, id, method, era: 'legacy', value: jsonObject({ method, params: jsonObject(params) }), via: null, status: null, headers: null,
  });
  const settle = async (): Promise<void> => {
    for (let n = 0; n < 5; n += 1) await turn();
  };
  return {
    link, asked, failed, faults, settle,
    ask: async (id: number): Promise<Asked> => {
      waiting.add(id);
      await link.send('{}', about('request', id, 'tools/call'));
      await settle();
      const last = asked.at(-1);
      assert.ok(last !== undefined);
      return last;
    },
    notify: (method: string, params = {}) => link.send('{}', about('notification', null, method, params)),
    forget: (id: number) => waiting.delete(id),
  };
}

test('a stream that stays open after its answer is closed after a while', async (t) => {
  const { ask, settle, faults } = bench(t);
  const { request, events } = await ask(1);
  events('data: {"id":1,"result":{}}\n\n');
  await settle();
  mock.timers.tick(LINGER_MS_MAX - 1);
  assert.equal(request.signal?.aborted, false);
  mock.timers.tick(1);
  await settle();
  assert.equal(request.signal?.aborted, true);
  assert.deepEqual(faults, []);
});

test('a stream whose answer is waited for stays open for as long as it takes', async (t) => {
  const { ask, settle, failed } = bench(t);
  const { request, events } = await ask(1);
  events('data: {"method":"notifications/message"}\n\n');
  await settle();
  mock.timers.tick(100 * LINGER_MS_MAX);
  await settle();
  assert.equal(request.signal?.aborted, false);
  assert.deepEqual(failed, []);
});

test('a cancelled request that the server never answers is given up after a while', async (t) => {
  const { ask, notify, forget, settle, asked } = bench(t);
  const { request } = await ask(1);
  forget(1);
  void notify('notifications/cancelled', { requestId: 1 });
  await settle();
  assert.equal(asked.length, 2, 'the server hears of it');
  mock.timers.tick(LINGER_MS_MAX - 1);
  assert.equal(request.signal?.aborted, false, 'a late answer may come');
  mock.timers.tick(1);
  assert.equal(request.signal?.aborted, true);
});

test('a server that wants to be asked again at once is asked after a moment', async (t) => {
  const { ask, settle, asked } = bench(t);
  const { events } = await ask(1);
  events('id: a\nretry: 0\ndata: \n\n', 'ended');
  await settle();
  mock.timers.tick(RETRY_MS_MIN - 1);
  await settle();
  assert.equal(asked.length, 1);
  mock.timers.tick(1);
  await settle();
  assert.equal(asked.at(-1)?.request.headers['last-event-id'], 'a');
});

test('an event id that no header can carry ends its request, not the session', async (t) => {
  for (const id of ['\u20ac', 'a\u0001', '\u00e9']) {
    await t.test(JSON.stringify(id), async (each) => {
      const { ask, settle, failed, faults } = bench(each);
      const { events } = await ask(1);
      events(`id: ${id}\ndata: \n\n`, 'ended');
      await settle();
      assert.deepEqual(failed, ['UPSTREAM_GONE']);
      assert.deepEqual(faults, []);
    });
  }
});

test('a notification that the server never takes does not hold up what follows for long', async (t) => {
  const { link, notify, settle, asked, ask } = bench(t);
  void notify('notifications/roots/list_changed');
  const following = ask(1);
  await settle();
  assert.equal(asked.length, 1);
  mock.timers.tick(POST_ORDER_MS_MAX);
  await following;
  assert.equal(asked.length, 2);
  await link.close();
});

test('a message that the server never takes gives its connection back after a while', async (t) => {
  const { notify, settle, asked, faults } = bench(t);
  void notify('notifications/roots/list_changed');
  await settle();
  const { request } = asked[0] ?? assert.fail();
  mock.timers.tick(TAKE_MS_MAX - 1);
  assert.equal(request.signal?.aborted, false);
  mock.timers.tick(1);
  await settle();
  assert.equal(request.signal?.aborted, true);
  assert.deepEqual(faults, []);
});

test('what waits for its turn when the link is closed is not sent any more', async (t) => {
  const { link, notify, settle, asked, ask } = bench(t);
  void notify('notifications/roots/list_changed');
  const following = ask(1);
  await settle();
  await link.close();
  mock.timers.tick(POST_ORDER_MS_MAX);
  await following;
  assert.equal(asked.length, 1);
  assert.equal(asked[0]?.request.signal?.aborted, true);
});
