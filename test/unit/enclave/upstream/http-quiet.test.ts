// SPDX-License-Identifier: Apache-2.0
/** Long silence of a server is no failure: an answer may take hours, and a stream may have nothing to say (mcp.md section 10, number 4). */
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent } from 'undici';
import { client, get, serve, text } from './servers.ts';

/** The clock of undici's own timeouts, which its tests move too. */
const clock: { tick(ms: number): void } = createRequire(import.meta.url)('undici/lib/util/timers.js');

/** Moves undici's clock on in steps, so that timers that start late run out too. */
async function pass(ms: number): Promise<void> {
  for (let step = 0; step < 4; step += 1) {
    clock.tick(ms / 4);
    await delay(5);
  }
}

const SILENCE_MS = 3_600_000;

test('a stream may say nothing for an hour, where the defaults of the runtime cut it off', async (t) => {
  const open: ServerResponse[] = [];
  const url = await serve(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('begun ');
    open.push(response);
  });
  const http = client(t);
  const streams = [await http.send(get(url)), await http.send(get(url, { method: 'POST', body: '{}' }))];
  const texts = streams.map((stream) => text(stream));
  const usual = new Agent();
  t.after(() => usual.destroy());
  const { body } = await usual.request({ origin: url.origin, path: url.pathname, method: 'GET' });
  const cut = assert.rejects(body.text(), { code: 'UND_ERR_BODY_TIMEOUT' });
  // The first bytes have to be read: silence counts from there.
  await delay(50);
  await pass(SILENCE_MS);
  await cut;
  for (const response of open) response.end('and done');
  assert.deepEqual(await Promise.all(texts), ['begun and done', 'begun and done']);
});

test('an answer to POST may take an hour to begin, and one to GET may not', async (t) => {
  const open: ServerResponse[] = [];
  const url = await serve(t, (request, response) => {
    if (request.method === 'POST') open.push(response);
  });
  const http = client(t);
  const late = http.send(get(url, { method: 'POST', body: '{}' }));
  const never = assert.rejects(http.send(get(url)), { code: 'UPSTREAM_UNREACHABLE' });
  while (open.length === 0) await delay(5);
  await delay(50);
  await pass(SILENCE_MS);
  await never;
  const [response] = open;
  assert.ok(response);
  response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  assert.equal(await text(await late), '{}');
});

test('a connection to a silent server is probed, so that one that is gone is noticed', async (t) => {
  const url = await serve(t, (_request, response) => {
    response.writeHead(200).flushHeaders();
  });
  const probes: unknown[][] = [];
  t.mock.method(Socket.prototype, 'setKeepAlive', function (this: unknown, ...args: unknown[]) {
    probes.push(args);
    return this;
  });
  const answer = await client(t).send(get(url));
  answer.discard();
  assert.deepEqual(probes.map(([isOn]) => isOn), [true]);
});
