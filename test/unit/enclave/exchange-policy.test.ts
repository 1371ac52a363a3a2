// SPDX-License-Identifier: Apache-2.0
/** Rules, redaction and limits where they meet: what one of them changes must not get past another. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Recorder } from '../../../enclave/audit/recorder.ts';
import type { RowDraft } from '../../../shared/audit/row.ts';
import type { Wires } from '../../harness/exchange.ts';
import { settled, wires } from '../../harness/exchange.ts';
import type { Wire } from '../../harness/gateway.ts';

const clock = { now: () => 1_700_000_000_000, mono: () => 0 };

function recorder(rows: RowDraft[]): Recorder {
  return { available: true, ready: true, append: (draft) => Promise.resolve({ origin: 'o', idx: rows.push(draft) - 1, leaf: '', size: rows.length }), close: () => Promise.resolve() };
}

async function open(policy: string): Promise<{ readonly wire: Wires; readonly rows: RowDraft[]; readonly ask: (id: number, params: string, method?: string) => Promise<Wire> }> {
  const rows: RowDraft[] = [];
  const wire = await wires(`version: 1\n${policy}`, recorder(rows), clock);
  const answer = async (): Promise<void> => {
    for (;;) {
      const line = wire.toServer.find((one) => one.includes('"tools/list"'));
      if (line === undefined) return;
      wire.toServer.splice(wire.toServer.indexOf(line), 1);
      await wire.server(JSON.stringify({ jsonrpc: '2.0', id: (JSON.parse(line) as { id: string }).id, result: { tools: [{ name: 'read', inputSchema: { type: 'object' } }, { name: 'write', inputSchema: { type: 'object' } }] } }));
    }
  };
  const ask = async (id: number, params: string, method = 'tools/call'): Promise<Wire> => {
    const done = wire.client(`{"jsonrpc":"2.0","id":${id},"method":"${method}","params":${params}}`);
    for (let turn = 0; turn < 20; turn += 1) {
      await settled();
      await answer();
    }
    await done;
    const denied = wire.toClient.map((line): Wire => JSON.parse(line)).find((message) => message.id === id);
    return denied ?? JSON.parse(wire.toServer.find((line) => JSON.parse(line).id === id) ?? 'null');
  };
  return { wire, rows, ask };
}

const NO_ETC = "rules: [{id: etc, action: deny, tools: ['*'], when: [{arg: path, path_in: /etc}]}]\n";

test('a denied path gets through in no spelling of JSON or of the path', async () => {
  const { wire, ask } = await open(NO_ETC);
  const spellings = ['"/etc/passwd"', '"/srv/../etc/passwd"', '"\\u002fetc/passwd"', '"/etc//passwd"', '"file:///etc/passwd"', '"/ETC/passwd"', '"/%65tc/passwd"', '"\\\\etc\\\\passwd"', '["/etc/passwd"]', '" /etc/passwd"'];
  for (const [id, path] of spellings.entries()) {
    const { error } = await ask(id, `{"name":"read","arguments":{"path":${path}}}`);
    assert.equal(error?.data.code, 'TOOL_DENIED', path);
    assert.equal(error.data.rule.includes('etc'), false, 'no path in the error');
  }
  assert.equal((await ask(90, '{"name":"read","arguments":{"Path":"/etc/passwd"}}')).error.data.code, 'TOOL_DENIED');
  assert.equal((await ask(91, '{"name":"read","arguments":{"path":"/srv/etc/passwd"}}')).error, undefined);
  assert.equal(wire.toServer.filter((line) => line.includes('passwd')).length, 1);
});

test('redaction does not make a call of one that the rules deny', async () => {
  const { wire, ask } = await open(`${NO_ETC}redact_args: [{pattern: 'X', replacement: ''}]\n`);
  assert.equal((await ask(1, '{"name":"read","arguments":{"path":"/Xetc/passwd"}}')).error.data.code, 'TOOL_DENIED');
  assert.equal((await ask(2, '{"name":"read","arguments":{"pXath":"/etc/passwd"}}')).error.data.code, 'TOOL_DENIED');
  assert.equal(wire.toServer.some((line) => line.includes('passwd')), false);
});

test('a secret leaves in no part of a call, a result, an error or a notification', async () => {
  const { wire, ask } = await open("redact_args: [{pattern: 'CANARY'}]\nredact_results: [{pattern: 'CANARY'}]\nmethods: {'*': allow}\n");
  await ask(1, '{"name":"read","arguments":{"a":"CANARY","CANARY":[{"b":"xCANARYx"}]},"_meta":{"note":"CANARY"}}');
  assert.ok(wire.toServer.length > 0 && !wire.toServer.join('').includes('CANARY'));
  await wire.server('{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":{"k":"CANARY"}}}');
  await wire.server('{"jsonrpc":"2.0","id":7,"method":"sampling/createMessage","params":{"messages":[{"role":"user","content":{"type":"text","text":"CANARY"}}],"maxTokens":5}}');
  await wire.server('{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"CANARY"},{"type":"resource","resource":{"uri":"a:b","text":"CANARY"}}],"structuredContent":{"x":"CANARY"},"_meta":{"y":"CANARY"}}}');
  await ask(2, '{"name":"read","arguments":{}}');
  await wire.server('{"jsonrpc":"2.0","id":2,"error":{"code":1,"message":"CANARY","data":["CANARY"]}}');
  assert.equal(wire.toClient.length, 4);
  assert.ok(!wire.toClient.join('').includes('CANARY'), wire.toClient.join('\n'));
});

test('what is observed passes and is marked with the rule that would have denied it', async () => {
  const { rows, ask } = await open(`mode: observe\n${NO_ETC}`);
  assert.equal((await ask(1, '{"name":"read","arguments":{"path":"/etc/passwd"}}')).error, undefined);
  const call = rows.find(({ fields }) => fields.kind === 'call')?.fields;
  assert.deepEqual([call?.['decision'], call?.['rule'], call?.['code']], ['alert', "rules['etc']", 'TOOL_DENIED']);
});

test('calls at once come back to a limit with their answer, their error and their cancellation', async () => {
  const { wire, ask } = await open('limits: [{concurrent: 1}]\n');
  const endings = [
    (id: number) => wire.server(`{"jsonrpc":"2.0","id":${id},"result":{"content":[]}}`),
    (id: number) => wire.server(`{"jsonrpc":"2.0","id":${id},"error":{"code":1,"message":"m"}}`),
    (id: number) => wire.client(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${id}}}`),
  ];
  for (const [at, end] of endings.entries()) {
    const id = at * 10 + 1;
    assert.equal((await ask(id, '{"name":"read","arguments":{}}')).error, undefined, String(at));
    assert.equal((await ask(id + 1, '{"name":"read","arguments":{}}')).error.data.code, 'LIMIT_EXCEEDED');
    await end(id);
  }
  assert.equal((await ask(99, '{"name":"read","arguments":{}}')).error, undefined);
});

test('progress that comes before its answer reaches the client before it, with patterns to look for', async () => {
  const { wire, ask } = await open('redact_results: [{use: credentials, decode: true}]\n');
  await ask(1, '{"name":"read","arguments":{},"_meta":{"progressToken":"p"}}');
  await Promise.all([
    wire.server('{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":1,"message":"half"}}'),
    wire.server('{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"done"}]}}'),
  ]);
  assert.deepEqual(wire.toClient.map((line) => JSON.parse(line).method ?? 'answer'), ['notifications/progress', 'answer']);
});
