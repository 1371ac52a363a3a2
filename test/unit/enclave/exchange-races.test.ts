// SPDX-License-Identifier: Apache-2.0
/** Messages that overtake each other, and a log that has no room: each step is taken by hand. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Recorder } from '../../../enclave/audit/recorder.ts';
import { Room } from '../../../enclave/exchange/room.ts';
import type { RowDraft } from '../../../shared/audit/row.ts';
import { Unavailable } from '../../../shared/errors.ts';
import { settled, wires } from '../../harness/exchange.ts';
import { AUDIT_QUEUE_BYTES_MAX, AUDIT_QUEUE_ROWS_MAX } from '../../../shared/limits.ts';

async function bench(policyText: string, leftMs = 10) {
  const drafts: RowDraft[] = [];
  const gate = { refuse: false };
  const recorder: Recorder = {
    available: true,
    ready: true,
    append: (draft) => {
      if (gate.refuse) return Promise.reject(new Unavailable('AUDIT_UNAVAILABLE', 'too many rows wait', 'send less'));
      drafts.push(draft);
      return Promise.resolve({ origin: 'o', idx: drafts.length, leaf: '', size: drafts.length });
    },
    close: () => Promise.resolve(),
  };
  let hurry = 0;
  // Each look at the clock finds it almost as late as a listing may be, so that its time is over at once.
  const clock = { now: () => (hurry += 15_000 - leftMs), mono: () => 0 };
  return { gate, drafts, ...(await wires(policyText, recorder, clock)) };
}

const ALL = "version: 1\nmethods: {'*': allow}\n";
const cancel = '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}';
const list = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
const ping = '{"jsonrpc":"2.0","id":1,"method":"ping"}';

test('the gateway tells the server that it gave up a listing, and writes a row before it does', async () => {
  const { client, toServer, drafts, toClient } = await bench(ALL);
  await client(list);
  await settled();
  assert.equal(JSON.parse(toClient[0] ?? '').error.data.code, 'LISTING_FAILED');
  const sent = toServer.map((text) => JSON.parse(text).method);
  assert.deepEqual(sent, ['tools/list', 'notifications/cancelled']);
  const rows = drafts.map((draft) => draft.fields).filter((fields) => fields['dir'] === 'c2s' && fields['origin'] === 'gateway');
  assert.deepEqual(rows.map((fields) => fields['method']), sent);
});

test('a request that was cancelled while it was judged does not take away the id of the next one', async () => {
  // Time enough to cancel the request before its listing is given up, on a busy machine too.
  const { client, server, toClient, toServer } = await bench(ALL, 2000);
  const first = client(list);
  await settled();
  await client(cancel);
  await client(ping);
  await first;
  await server('{"jsonrpc":"2.0","id":1,"result":{}}');
  assert.equal(toServer.filter((text) => text === ping).length, 1);
  assert.deepEqual(toClient, ['{"jsonrpc":"2.0","id":1,"result":{}}']);
});

for (const [order, direction] of [['intent', 's2c'], ['response', 'c2s']] as const) {
  test(`a row that is refused at once stops its message, with audit.order ${order} too`, async () => {
    const { client, server, gate, toClient, toServer } = await bench(`${ALL}audit: {order: ${order}}\n`);
    gate.refuse = true;
    if (direction === 's2c') await server('{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}');
    else await client(ping);
    assert.deepEqual(toServer, []);
    assert.equal(toClient.some((text) => !text.includes('AUDIT_UNAVAILABLE')), false);
  });
}

test('a request after the end of the server is answered, and not sent into nothing', async () => {
  const { exchange, client, toClient, toServer } = await bench(ALL);
  exchange.serverSilent();
  await client(ping);
  assert.deepEqual(toServer, []);
  assert.equal(JSON.parse(toClient[0] ?? '').error.data.code, 'UPSTREAM_GONE');
});

test('the log takes turns in order, never more than its share, and one row of any size', async () => {
  const room = new Room();
  assert.equal(room.enter(AUDIT_QUEUE_BYTES_MAX * 4), undefined);
  const entered: number[] = [];
  void room.enter(AUDIT_QUEUE_BYTES_MAX / 2)?.then(() => entered.push(1));
  void room.enter(1)?.then(() => entered.push(2));
  await settled();
  assert.deepEqual(entered, []);
  room.leave(AUDIT_QUEUE_BYTES_MAX * 4);
  await settled();
  assert.deepEqual(entered, [1]);
  room.leave(AUDIT_QUEUE_BYTES_MAX / 2);
  await settled();
  assert.deepEqual(entered, [1, 2]);
  let free = 0;
  while (room.enter(1) === undefined) free += 1;
  assert.ok(free < AUDIT_QUEUE_ROWS_MAX);
});
