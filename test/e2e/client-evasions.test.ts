// SPDX-License-Identifier: Apache-2.0
/**
 * What a client, or something that speaks through it, could try to get a call past the gateway. Behind it is a real
 * server that executes what reaches it; a witness before that server notes every line.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Row } from '../harness/gateway.ts';
import { Gateway } from '../harness/gateway.ts';
import { everything, witnessed } from '../harness/servers.ts';

const POLICY = "version: 1\ndeny_tools: ['echo']\nmethods:\n  '*': allow\n";
const call = (name: string, id = '77'): string =>
  `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"${name}","arguments":{"message":"canary","a":1,"b":2}}}`;

interface Refused {
  readonly trick: string;
  readonly line: string | Uint8Array;
  readonly code: string;
}

function bytes(...parts: readonly (string | number[])[]): Uint8Array {
  return Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from(part))));
}

/** Every line of this table must leave a row with the code, and must not reach the server. */
const refused: readonly Refused[] = [
  { trick: 'a duplicate method', code: 'KEY_DUPLICATE', line: '{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"echo","arguments":{"message":"canary"}}}' },
  { trick: 'a duplicate tool name', code: 'KEY_DUPLICATE', line: '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get-sum","name":"echo","arguments":{"message":"canary"}}}' },
  { trick: 'a duplicate key that is escaped once', code: 'KEY_DUPLICATE', line: '{"jsonrpc":"2.0","id":1,"method":"ping","m\\u0065thod":"tools/call","params":{"name":"echo"}}' },
  { trick: 'a denied tool under escaped keys', code: 'TOOL_DENIED', line: call('echo').replace('"method"', '"m\\u0065thod"').replace('"name"', '"n\\u0061me"') },
  { trick: 'a denied tool with an escaped name', code: 'TOOL_DENIED', line: call('\\u0065cho') },
  { trick: 'a key in another case', code: 'ENVELOPE_KEY', line: '{"jsonrpc":"2.0","id":1,"Method":"tools/call","params":{"name":"echo"}}' },
  { trick: 'a key with a long s', code: 'ENVELOPE_KEY', line: '{"jsonrpc":"2.0","id":1,"method":"tools/call","param\u017f":{"name":"echo"}}' },
  { trick: 'a params key in another case', code: 'ENVELOPE_KEY', line: '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"Name":"echo","arguments":{}}}' },
  { trick: 'two argument keys that fold together', code: 'KEY_CASE_COLLISION', line: '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get-sum","arguments":{"a":1,"A":2,"b":3}}}' },
  { trick: 'a method in another case', code: 'METHOD_UNKNOWN', line: call('echo').replace('tools/call', 'Tools/Call') },
  { trick: 'a tool in another case', code: 'TOOL_DENIED', line: call('ECHO') },
  { trick: 'a tool with a space behind', code: 'TOOL_DENIED', line: call('echo ') },
  { trick: 'a tool in full-width letters', code: 'TOOL_DENIED', line: call('\uff45\uff43\uff48\uff4f') },
  { trick: 'a tool with a zero-width space', code: 'TOOL_DENIED', line: call('ec\u200bho') },
  { trick: 'a tool with a soft hyphen', code: 'TOOL_DENIED', line: call('ec\u00adho') },
  { trick: 'an id of 1.0', code: 'ID_INVALID', line: call('get-sum', '1.0') },
  { trick: 'an id of 1e0', code: 'ID_INVALID', line: call('get-sum', '1e0') },
  { trick: 'an id of 1.5', code: 'ID_INVALID', line: call('get-sum', '1.5') },
  { trick: 'an id of null', code: 'ID_INVALID', line: call('get-sum', 'null') },
  { trick: 'an id that is an object', code: 'ID_INVALID', line: call('get-sum', '{}') },
  { trick: 'an id beyond safe integers', code: 'INTEGER_UNSAFE', line: call('get-sum', '9007199254740993') },
  { trick: 'a call without an id', code: 'METHOD_WRONG_KIND', line: '{"jsonrpc":"2.0","method":"tools/call","params":{"name":"get-sum","arguments":{"a":1,"b":2}}}' },
  { trick: 'a notification with an id', code: 'METHOD_WRONG_KIND', line: '{"jsonrpc":"2.0","id":5,"method":"notifications/initialized"}' },
  { trick: 'a request that is also a result', code: 'ENVELOPE_INVALID', line: '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"},"result":{}}' },
  { trick: 'a result that is also an error', code: 'ENVELOPE_INVALID', line: '{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":"m"}}' },
  { trick: 'no jsonrpc member', code: 'JSONRPC_VERSION', line: '{"id":1,"method":"tools/call","params":{"name":"echo"}}' },
  { trick: 'another jsonrpc version', code: 'JSONRPC_VERSION', line: '{"jsonrpc":"1.0","id":1,"method":"tools/call","params":{"name":"echo"}}' },
  { trick: 'a byte order mark', code: 'BOM', line: `\ufeff${call('get-sum')}` },
  { trick: 'UTF-16', code: 'BOM', line: Buffer.from(`\ufeff${call('get-sum')}`, 'utf16le') },
  { trick: 'two messages on one line', code: 'JSON_TRAILING', line: `${call('get-sum')}${call('echo', '78')}` },
  { trick: 'a carriage return alone between messages', code: 'JSON_TRAILING', line: `${call('get-sum')}\r${call('echo', '78')}` },
  { trick: 'invalid UTF-8', code: 'UTF8_INVALID', line: bytes('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ech', [0xff], 'o"}}') },
  { trick: 'an overlong encoding', code: 'UTF8_INVALID', line: bytes('{"jsonrpc":"2.0","id":1,"method":"tools', [0xc0, 0xaf], 'call"}') },
  { trick: 'a lone surrogate', code: 'SURROGATE_LONE', line: call('get-sum').replace('canary', '\\ud800') },
  { trick: 'a big integer in the arguments', code: 'INTEGER_UNSAFE', line: call('get-sum').replace('"a":1', '"a":9007199254740993') },
  { trick: 'a number beyond doubles', code: 'NUMBER_RANGE', line: call('get-sum').replace('"a":1', '"a":1e999') },
  { trick: 'a __proto__ key', code: 'KEY_FORBIDDEN', line: call('get-sum').replace('"a":1', '"__proto__":{"a":1}') },
  { trick: 'deep nesting', code: 'JSON_DEPTH', line: call('get-sum').replace('"a":1', `"a":${'['.repeat(5000)}${']'.repeat(5000)}`) },
  { trick: 'a batch of too many', code: 'BATCH_TOO_LARGE', line: `[${Array.from({ length: 65 }, (_unused, index) => call('get-sum', String(1000 + index))).join(',')}]` },
  { trick: 'an empty batch', code: 'BATCH_EMPTY', line: '[]' },
  { trick: 'modern metadata in a legacy session', code: 'ERA_MIXED', line: call('get-sum').replace('"name"', '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}},"name"') },
  { trick: 'a probe of the other era', code: 'ERA_MIXED', line: '{"jsonrpc":"2.0","id":9,"method":"server/discover","params":{}}' },
  { trick: 'a tool name that is no string', code: 'PARAMS_INVALID', line: call('x').replace('"x"', '["echo"]') },
  { trick: 'an empty tool name', code: 'PARAMS_INVALID', line: call('') },
  { trick: 'arguments that are no object', code: 'PARAMS_INVALID', line: '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get-sum","arguments":[1]}}' },
  { trick: 'params that are no object', code: 'PARAMS_INVALID', line: '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["echo"]}' },
  { trick: "a method of the server's", code: 'METHOD_WRONG_DIRECTION', line: '{"jsonrpc":"2.0","id":3,"method":"sampling/createMessage","params":{}}' },
  { trick: 'an answer that nobody asked for', code: 'ID_UNKNOWN', line: '{"jsonrpc":"2.0","id":99,"result":{"roots":[]}}' },
  { trick: 'progress that nobody asked for', code: 'PROGRESS_UNKNOWN', line: '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}' },
  { trick: 'a cancellation of nothing', code: 'ID_UNKNOWN', line: '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":4711}}' },
  { trick: 'not JSON', code: 'JSON_SYNTAX', line: 'tools/call echo' },
  { trick: 'a scalar', code: 'ENVELOPE_INVALID', line: '"tools/call"' },
];

test('no trick of a client gets a call past the gateway, each leaves a row, and the session goes on', async (t) => {
  const gateway = new Gateway({ policy: POLICY, server: witnessed(everything()) });
  await gateway.initialize();
  await gateway.ask('warm', 'tools/call', { name: 'get-sum', arguments: { a: 20, b: 22 } });
  for (const { trick, line, code } of refused) {
    await t.test(trick, async () => {
      const before = gateway.witness().length;
      gateway.raw(line);
      const id = `after ${trick}`;
      const alive = await gateway.ask(id, 'tools/call', { name: 'get-sum', arguments: { a: 1, b: 2 } });
      assert.match(JSON.stringify(alive.result), /3/);
      const reached = gateway.witness().slice(before);
      assert.equal(reached.length, 1, `only the next call reaches the server, not: ${reached.join('\n')}`);
      assert.equal(JSON.parse(reached[0] ?? '').id, id);
      assert.equal(gateway.rows().filter((row) => row['code'] === code).length > 0, true, `a row says ${code}`);
    });
  }
  await gateway.close();
});

test('what is odd but harmless arrives in its plain form', async () => {
  const gateway = new Gateway({ policy: POLICY, server: witnessed(everything()) });
  await gateway.initialize();
  const sum = '"method":"tools/call","params":{"arguments":{"a":1,"b":2},"name":"get-sum"}}';
  const lines: readonly [string, number][] = [
    [`  \t{"jsonrpc":"2.0","id":201,${sum}`, 201],
    [`{"jsonrpc":"2.0","id":202,${sum}\r`, 202],
    [`{"jsonrpc":"2.0","id":203,${sum.replace('method', 'm\\u0065thod')}`, 203],
    [`{ "jsonrpc" : "2.0", "id" : 204 , ${sum}`, 204],
  ];
  for (const [line, id] of lines) {
    gateway.raw(line);
    const answer = await gateway.next((message) => message.id === id);
    assert.match(JSON.stringify(answer.result), /3/);
    const reached = gateway.witness().find((text) => JSON.parse(text).id === id) ?? '';
    assert.equal(reached, JSON.stringify(JSON.parse(reached)));
  }
  gateway.raw('');
  gateway.raw('   ');
  assert.deepEqual((await gateway.ask(205, 'ping')).result, {});
  await gateway.close();
});

test('each element of a batch is judged by itself', async () => {
  const gateway = new Gateway({ policy: POLICY, server: witnessed(everything()) });
  await gateway.initialize('2025-03-26');
  gateway.raw(`[${call('get-sum', '301')},${call('echo', '302')},{"jsonrpc":"2.0","id":303,"method":"ping"},7]`);
  const [sum, echo, ping] = await Promise.all([301, 302, 303].map((id) => gateway.next((message) => message.id === id)));
  assert.match(JSON.stringify(sum.result), /3/);
  assert.equal(echo.error.data.code, 'TOOL_DENIED');
  assert.deepEqual(ping.result, {});
  assert.equal(gateway.witness().some((line) => line.includes('echo')), false);
  assert.equal(gateway.rows().filter((row) => row['code'] === 'ENVELOPE_INVALID').length, 1);
  await gateway.close();
});

test('a second request under an id in flight gets a row and no answer, and the first gets one', async () => {
  const gateway = new Gateway({ policy: POLICY, server: witnessed(everything()) });
  await gateway.initialize();
  const long = '{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"trigger-long-running-operation","arguments":{"duration":1,"steps":2}}}';
  gateway.raw(long);
  gateway.raw(call('get-sum', '5'));
  const answer = await gateway.next((message) => message.id === 5);
  assert.match(JSON.stringify(answer.result), /completed/i);
  await gateway.ask(6, 'ping');
  assert.equal(gateway.received.filter((message) => message.id === 5).length, 1);
  assert.equal(gateway.rows().filter((row: Row) => row['code'] === 'ID_IN_FLIGHT').length, 1);
  await gateway.close();
});

test('an over-long line is refused with its size on record, and the next one works', async () => {
  const gateway = new Gateway({ policy: POLICY, server: witnessed(everything()) });
  await gateway.initialize();
  await gateway.ask(400, 'ping');
  const before = gateway.witness().length;
  gateway.raw(call('get-sum', '401').replace('canary', 'x'.repeat(17 * 1024 * 1024)));
  const refusedLine = await gateway.next((message) => message.error?.data?.code === 'FRAME_TOO_LARGE');
  assert.equal(refusedLine.id, 401);
  assert.deepEqual((await gateway.ask(402, 'ping')).result, {});
  assert.equal(gateway.witness().length, before + 1);
  const row = gateway.rows().find((each) => each['code'] === 'FRAME_TOO_LARGE');
  assert.equal(row?.['kind'], 'drop');
  assert.ok(row?.['bytes'] > 17 * 1024 * 1024);
  await gateway.close();
});

test('a last line without a line end is not executed', async () => {
  const gateway = new Gateway({ policy: POLICY, server: witnessed(everything()) });
  await gateway.initialize();
  await gateway.ask(1, 'ping');
  const before = gateway.witness().length;
  gateway.process.stdin.end(call('get-sum', '501'));
  await gateway.ended;
  assert.equal(gateway.witness().length, before);
  assert.equal(gateway.rows().some((row) => row['code'] === 'FRAME_UNTERMINATED'), true);
});
