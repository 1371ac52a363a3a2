// SPDX-License-Identifier: Apache-2.0
/** The order of things in one exchange: decided, recorded, and only then moved. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Recorder } from '../../../enclave/audit/recorder.ts';
import type { RowDraft, RowReceipt } from '../../../shared/audit/row.ts';
import { Unavailable } from '../../../shared/errors.ts';
import type { Wires } from '../../harness/exchange.ts';
import { settled, wires } from '../../harness/exchange.ts';

/** A log whose rows become durable when the test says so. */
class HeldRecorder implements Recorder {
  readonly drafts: RowDraft[] = [];
  readonly #open: { resolve: (receipt: RowReceipt) => void; reject: (error: Error) => void }[] = [];
  available = true;
  ready = true;
  automatic: boolean;

  constructor(automatic: boolean) {
    this.automatic = automatic;
  }

  append(draft: RowDraft): Promise<RowReceipt> {
    this.drafts.push(draft);
    const receipt = { origin: 'o', idx: this.drafts.length - 1, leaf: '', size: this.drafts.length };
    if (this.automatic) return Promise.resolve(receipt);
    return new Promise((resolve, reject) => {
      this.#open.push({ resolve: () => resolve(receipt), reject });
    });
  }

  /** Makes the oldest waiting row durable. */
  async commit(): Promise<void> {
    this.#open.shift()?.resolve({ origin: 'o', idx: 0, leaf: '', size: 1 });
    await settled();
  }

  async fail(): Promise<void> {
    this.available = false;
    for (const { reject } of this.#open.splice(0)) reject(new Unavailable('AUDIT_UNAVAILABLE', 'the disk is full', 'make room'));
    await settled();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

interface Bench extends Wires {
  readonly recorder: HeldRecorder;
}

async function bench(policyText = "version: 1\nmethods: {'*': allow}\n", automatic = true): Promise<Bench> {
  const recorder = new HeldRecorder(automatic);
  let ticks = 0;
  const clock = { now: () => 1_700_000_000_000, mono: () => (ticks += 1) };
  return { recorder, ...(await wires(policyText, recorder, clock)) };
}

const ping = '{"jsonrpc":"2.0","id":1,"method":"ping"}';
const pong = '{"jsonrpc":"2.0","id":1,"result":{}}';

test('strict: neither a request nor its answer moves before its row is durable', async () => {
  const { recorder, client, server, toClient, toServer } = await bench(undefined, false);
  void client(ping);
  await settled();
  assert.deepEqual([recorder.drafts.length, toServer.length], [1, 0]);
  await recorder.commit();
  assert.deepEqual(toServer, [ping]);
  void server(pong);
  await settled();
  assert.deepEqual([recorder.drafts.length, toClient.length], [2, 0]);
  await recorder.commit();
  assert.deepEqual(toClient, [pong]);
});

test('intent: a request waits for its row, an answer does not', async () => {
  const { recorder, client, server, toClient, toServer } = await bench("version: 1\naudit: {order: intent}\n", false);
  void client(ping);
  await settled();
  assert.equal(toServer.length, 0);
  await recorder.commit();
  await server(pong);
  assert.deepEqual([recorder.drafts.length, toClient.length], [2, 1]);
});

test('response: a request moves while its row commits, an answer waits', async () => {
  const { recorder, client, server, toClient, toServer } = await bench("version: 1\naudit: {order: response}\n", false);
  await client(ping);
  assert.equal(toServer.length, 1);
  void server(pong);
  await settled();
  assert.equal(toClient.length, 0);
  await recorder.commit();
  await recorder.commit();
  assert.equal(toClient.length, 1);
});

test('a row that is lost stops its message, and every later one', async () => {
  const { recorder, client, server, toClient, toServer } = await bench(undefined, false);
  void client(ping);
  await settled();
  await recorder.fail();
  assert.equal(toServer.length, 0);
  assert.equal(JSON.parse(toClient[0] ?? '').error.data.code, 'AUDIT_UNAVAILABLE');
  await client('{"jsonrpc":"2.0","id":2,"method":"ping"}');
  assert.equal(JSON.parse(toClient[1] ?? '').error.data.code, 'AUDIT_UNAVAILABLE');
  await server('{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}');
  assert.deepEqual([toServer.length, toClient.length], [0, 2]);
});

test('an answer whose row is lost is withheld, and the client learns that the call was executed', async () => {
  const { recorder, client, server, toClient } = await bench(undefined, false);
  void client(ping);
  await settled();
  await recorder.commit();
  void server(pong);
  await settled();
  await recorder.fail();
  assert.equal(toClient.length, 1);
  assert.match(toClient[0] ?? '', /executed, but its answer could not be recorded/);
});

test('a request that is cancelled while its row commits is never forwarded', async () => {
  const { recorder, client, toServer, toClient } = await bench(undefined, false);
  void client(ping);
  await settled();
  void client('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}');
  await settled();
  await recorder.commit();
  await recorder.commit();
  assert.deepEqual([toServer, toClient], [[], []]);
  assert.equal(recorder.drafts[1]?.fields['code'], 'CANCELLED');
});

test('a late answer to a cancelled request is recorded with its call and goes no further', async () => {
  const { recorder, client, server, toClient } = await bench();
  await client(ping);
  await client('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}');
  await server(pong);
  assert.deepEqual(toClient, []);
  const [request, , late] = recorder.drafts.map((draft) => draft.fields);
  assert.equal(late?.['code'], 'CANCELLED');
  assert.equal(late?.['call_id'], request?.['call_id']);
});

test('an id is bound by type and value', async () => {
  const { client, server, toClient, recorder } = await bench();
  await client(ping);
  for (const id of ['"1"', '" 1 "', '1.0', '1e0', '"0x1"', '10']) await server(`{"jsonrpc":"2.0","id":${id},"result":{"forged":true}}`);
  assert.equal(toClient.filter((text) => text.includes('forged')).length, 0);
  assert.equal(recorder.drafts.length, 7);
});

test('the judged message is forwarded re-serialised, never the received bytes', async () => {
  const { client, toServer } = await bench();
  await client(' { "id" : 1 , "jsonrpc":"2.0", "m\\u0065thod":"ping" } \r');
  assert.deepEqual(toServer, ['{"id":1,"jsonrpc":"2.0","method":"ping"}']);
});

test('the row of a denied call holds the label of the tool and not its name', async () => {
  const { client, recorder, toServer, toClient } = await bench("version: 1\ndeny_tools: ['shell.*']\n");
  await client('{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"shell.exec","arguments":{}}}');
  assert.deepEqual(toServer, []);
  const answer = JSON.parse(toClient[0] ?? '');
  assert.equal(answer.error.code, -32001);
  assert.equal(answer.error.message, "denied by mcp-bastion: tool#3dca4690 matched deny rule 'shell.*'");
  assert.deepEqual([answer.error.data.code, answer.error.data.rule], ['TOOL_DENIED', 'shell.*']);
  const { tool, decision, rule, kind } = recorder.drafts[0]?.fields ?? {};
  assert.deepEqual([tool, decision, rule, kind], ['tool#3dca4690', 'deny', 'deny_tools[0]', 'call']);
});

test('a denial on 2026-07-28 uses a code outside the reserved range', async () => {
  const { client, toClient } = await bench("version: 1\ndeny_tools: ['shell.*']\n");
  const meta = '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}';
  await client(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"shell.exec",${meta}}}`);
  assert.equal(JSON.parse(toClient[0] ?? '').error.code, -31001);
});

test('a held call is answered with the reason and never reaches the server', async () => {
  const { client, server, toClient, toServer } = await bench("version: 1\nrequire_approval: ['pay']\n");
  const done = client('{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"pay","arguments":{}}}');
  await settled();
  const listing = JSON.parse(toServer[0] ?? '');
  assert.equal(listing.method, 'tools/list');
  await server(JSON.stringify({ jsonrpc: '2.0', id: listing.id, result: { tools: [{ name: 'pay', inputSchema: { type: 'object' } }] } }));
  await done;
  assert.equal(JSON.parse(toClient[0] ?? '').error.data.code, 'APPROVAL_REQUIRED');
  assert.equal(toServer.length, 1);
});
