// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import test from 'node:test';
import { noAuth } from '../../../../enclave/front/auth.ts';
import type { DoorOptions, Route } from '../../../../enclave/front/door.ts';
import { Door } from '../../../../enclave/front/door.ts';
import { originRules } from '../../../../enclave/front/origin.ts';
import type { House } from '../../../../enclave/peer.ts';
import { DOOR_ROWS_PER_SECOND_MAX } from '../../../../shared/limits.ts';
import { FakeResponse } from '../../../harness/responses.ts';

const HOST = '127.0.0.1:8080';

class FakeRequest extends EventEmitter {
  readonly method = 'POST';
  readonly url = '/mcp';
  readonly complete = true;
  readonly rawHeaders: readonly string[];
  readonly socket: { destroyed: boolean; destroy: () => void };

  constructor(host = HOST) {
    super();
    this.rawHeaders = ['Host', host];
    this.socket = { destroyed: false, destroy: () => void (this.socket.destroyed = true) };
  }

  get asRequest(): IncomingMessage {
    return this as unknown as IncomingMessage;
  }

  resume(): this {
    return this;
  }
}

function open(visit: Route['visit'], more: Partial<DoorOptions> = {}) {
  const rows: string[] = [];
  const said: string[] = [];
  const say = (...words: unknown[]): void => void said.push(words.join(' '));
  const house = {
    clock: { now: () => 1000, mono: () => 0 },
    policies: { current: { digest: 'ab'.repeat(32) } },
    recorder: { available: true, append: ({ fields }: { fields: { code: string } }) => Promise.resolve(void rows.push(fields.code)) },
    log: { warn: say, error: say },
  } as unknown as House;
  const door = new Door({
    house,
    origins: () => originRules({ listenHost: '127.0.0.1', port: 8080, publicUrl: null, allowedHosts: [], allowedOrigins: [] }),
    auth: noAuth(),
    routes: new Map([['/mcp', { name: 'peer', visit }]]),
    documents: new Map(),
    streamsMax: 2,
    ...more,
  });
  const enter = async (request = new FakeRequest()): Promise<FakeResponse> => {
    const response = new FakeResponse();
    await door.enter(request.asRequest, response.asResponse);
    return response;
  };
  return { enter, rows, said };
}

test('a fault inside is answered with nothing but its status', async () => {
  const { enter, said } = open(() => Promise.reject(new Error('internal-canary')));
  const response = await enter();
  assert.equal(response.status, 500);
  assert.equal(response.text, '');
  assert.equal(JSON.stringify(response.headers).includes('canary'), false);
  assert.match(said.join('\n'), /internal fault/);
});

test('a fault after the answer began closes its connection', async () => {
  const { enter } = open(({ response }) => {
    response.writeHead(200, {});
    return Promise.reject(new Error('internal-canary'));
  });
  const response = await enter();
  assert.equal(response.destroyed, true);
  assert.equal(response.text, '');
});

test('refusals beyond so many in a second are counted, not recorded', async () => {
  const { enter, rows } = open(() => Promise.resolve(null));
  for (let n = 0; n < DOOR_ROWS_PER_SECOND_MAX + 20; n += 1) assert.equal((await enter(new FakeRequest('evil.example.com'))).status, 403);
  assert.equal(rows.length, DOOR_ROWS_PER_SECOND_MAX);
  assert.deepEqual(new Set(rows), new Set(['HOST_REFUSED']));
});

test('only so many responses are open at once, and one that closes makes room', async () => {
  const { enter } = open(() => Promise.resolve(null));
  const [first] = [await enter(), await enter()];
  const refused = await enter();
  assert.equal(refused.status, 503);
  for (const response of [refused, first]) response.destroy();
  assert.equal((await enter()).headersSent, false);
});

test('a second request on a connection whose first is not answered ends the connection and is not looked at', async () => {
  let visits = 0;
  const { enter, rows } = open(() => {
    visits += 1;
    return Promise.resolve(null);
  });
  const request = new FakeRequest();
  const response = await enter(request);
  const queued = await enter(request);
  assert.equal(request.socket.destroyed, true);
  assert.equal(queued.headersSent, false);
  assert.equal(visits, 1);
  assert.deepEqual(rows, ['CAPACITY']);
  response.destroy();
  await enter(request);
  assert.equal(visits, 2);
});
