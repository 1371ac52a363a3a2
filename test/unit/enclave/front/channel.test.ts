// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import test, { mock } from 'node:test';
import { Channel } from '../../../../enclave/front/channel.ts';
import type { ChannelOptions } from '../../../../enclave/front/channel.ts';
import { CHANNEL_EVENTS_MAX, CLIENT_STALL_MS_MAX, KEEP_ALIVE_MS } from '../../../../shared/limits.ts';
import { FakeResponse } from '../../../harness/responses.ts';

const options: ChannelOptions = { ids: '7', priming: false, answers: 1, headers: () => ({}) };

function attached(more: Partial<ChannelOptions> = {}): { channel: Channel; response: FakeResponse } {
  const channel = new Channel({ ...options, ...more });
  const response = new FakeResponse();
  channel.attach(response.asResponse);
  return { channel, response };
}

/** Comes back for what followed an event. */
function back(channel: Channel, after: number | null): FakeResponse | null {
  const response = new FakeResponse();
  return channel.resume(response.asResponse, after) ? response : null;
}

test('an answer with nothing before it is JSON, with its status', async () => {
  const { channel, response } = attached();
  await channel.send('{"a":1}', 'answer', 404);
  assert.deepEqual([response.status, response.headers['content-type'], response.text, response.ended], [404, 'application/json', '{"a":1}', true]);
  assert.equal(response.stallMs, CLIENT_STALL_MS_MAX, 'a client that does not read it loses it');
});

test('an answer after something else is the last event of a stream', async () => {
  const { channel, response } = attached({ priming: true });
  await channel.send('{"n":1}', 'other', null);
  assert.equal(response.ended, false);
  await channel.send('{"a":1}', 'answer', 404);
  assert.equal(response.status, 200);
  assert.equal(response.headers['x-accel-buffering'], 'no');
  assert.equal(response.text, 'id: 7-0\ndata: \n\nid: 7-1\ndata: {"n":1}\n\nid: 7-2\ndata: {"a":1}\n\n');
  assert.equal(response.ended, true);
});

test('a quiet stream shows signs of life, and only while a client reads it', (t) => {
  mock.timers.enable({ apis: ['setInterval', 'setTimeout'] });
  t.after(() => mock.timers.reset());
  const { channel, response } = attached();
  mock.timers.tick(KEEP_ALIVE_MS - 1);
  assert.equal(response.headersSent, false, 'an answer could still be JSON');
  mock.timers.tick(1);
  assert.equal(response.text, ': keep-alive\n\n');
  response.flowing = false;
  mock.timers.tick(KEEP_ALIVE_MS);
  assert.equal(response.text, ': keep-alive\n\n', 'a client that takes nothing gets no more of them');
  response.flowing = true;
  response.destroy();
  mock.timers.tick(3 * KEEP_ALIVE_MS);
  assert.equal(response.text, ': keep-alive\n\n');
  assert.equal(channel.attached, false);
});

test('a client that takes nothing for too long loses its connection, and whoever waited for it goes on', async (t) => {
  mock.timers.enable({ apis: ['setInterval', 'setTimeout'] });
  t.after(() => mock.timers.reset());
  const { channel, response } = attached({ answers: 2 });
  response.flowing = false;
  const sent = channel.send('{"n":1}', 'other', null);
  mock.timers.tick(CLIENT_STALL_MS_MAX);
  assert.equal(response.destroyed, true);
  await sent;
});

test('a client comes back for exactly what it missed', async () => {
  const { channel, response } = attached({ answers: 2 });
  await channel.send('{"n":1}', 'other', null);
  response.destroy();
  await channel.send('{"n":2}', 'answer', null);
  await channel.send('{"n":3}', 'answer', null);
  const again = back(channel, 1);
  assert.equal(again?.text, 'id: 7-2\ndata: {"n":2}\n\nid: 7-3\ndata: {"n":3}\n\n');
  assert.equal(again?.ended, true);
});

test('a client that names no event gets what nobody was sent', async () => {
  const { channel, response } = attached({ answers: Infinity });
  await channel.send('{"n":1}', 'other', null);
  response.destroy();
  await channel.send('{"n":2}', 'other', null);
  assert.equal(back(channel, null)?.text, 'id: 7-2\ndata: {"n":2}\n\n');
});

test('events that are kept no longer, or were never sent, are not promised', async () => {
  const { channel, response } = attached({ answers: Infinity });
  response.destroy();
  for (let n = 1; n <= CHANNEL_EVENTS_MAX + 1; n += 1) await channel.send(`{"n":${n}}`, 'other', null);
  assert.equal(back(channel, 0), null);
  assert.equal(back(channel, CHANNEL_EVENTS_MAX + 2), null);
  assert.notEqual(back(channel, 1), null);
});

test('a client that comes back takes the stream from its own older connection', async () => {
  const { channel, response } = attached({ answers: Infinity });
  await channel.send('{"n":1}', 'other', null);
  const again = back(channel, 1);
  assert.equal(response.ended, true);
  await channel.send('{"n":2}', 'other', null);
  assert.equal(response.text.includes('"n":2'), false);
  assert.equal(again?.text, 'id: 7-2\ndata: {"n":2}\n\n');
});

test('a client that comes back and then takes nothing loses its connection', async (t) => {
  mock.timers.enable({ apis: ['setInterval', 'setTimeout'] });
  t.after(() => mock.timers.reset());
  const { channel } = attached({ answers: Infinity });
  await channel.send('{"n":1}', 'other', null);
  const again = new FakeResponse();
  again.flowing = false;
  assert.equal(channel.resume(again.asResponse, 0), true);
  mock.timers.tick(CLIENT_STALL_MS_MAX - 1);
  assert.equal(again.destroyed, false);
  mock.timers.tick(1);
  assert.equal(again.destroyed, true);
});

test('a connection that is gone before it is attached takes nothing: the stream stays with who reads it', async () => {
  const { channel, response } = attached({ answers: Infinity });
  const dead = new FakeResponse();
  dead.destroy();
  assert.equal(channel.resume(dead.asResponse, null), true);
  await channel.send('{"n":1}', 'other', null);
  assert.equal(dead.text, '');
  assert.match(response.text, /"n":1/);
  let left = 0;
  const lone = new Channel({ ...options, left: () => (left += 1) });
  lone.attach(dead.asResponse);
  assert.equal(lone.attached, false);
  assert.equal(left, 1);
  await lone.send('{"n":1}', 'answer', null);
});

test('only clients that know of it are sent away to come back later', async () => {
  const old = attached();
  old.channel.stream();
  old.channel.pause(500);
  assert.equal(old.response.ended, false);
  const { channel, response } = attached({ priming: true });
  channel.pause(500);
  assert.equal(response.text, 'id: 7-0\ndata: \n\nretry: 500\n\n');
  assert.equal(response.ended, true);
  await channel.send('{"a":1}', 'answer', null);
  assert.equal(back(channel, 0)?.text, 'id: 7-1\ndata: {"a":1}\n\n');
});

test('a request that is never answered ends its stream', () => {
  const { channel, response } = attached();
  channel.skip();
  assert.equal(response.ended, true);
  const { channel: two, response: open } = attached({ answers: 2 });
  two.skip();
  assert.equal(open.ended, false);
});
