// SPDX-License-Identifier: Apache-2.0
/**
 * What a client could write into the body of a POST to get a call past the gateway, in both eras (mcp.md section 7). The
 * server behind notes every request: what is refused must not be among them.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { HttpGateway } from '../harness/http.ts';
import type { Answer } from '../harness/http.ts';
import type { Changes } from '../harness/http-clients.ts';
import { call, metaOf, modern, modernly, request, Session } from '../harness/http-clients.ts';
import { called, json, Upstream } from '../harness/http-upstream.ts';

const POLICY = "version: 1\ndeny_tools: ['danger']\nmethods:\n  '*': allow\n";
const META = JSON.stringify(metaOf());

type Era = 'legacy' | 'modern';

interface Trick {
  readonly trick: string;
  readonly code: string;
  /** Makes the body out of an ordinary call of the era. */
  readonly edit: (text: string) => string | Uint8Array;
  /** The tool that is called. Default: one that is allowed. */
  readonly tool?: string;
  /** HTTP status by era; default 400. Null: not sent in this era. */
  readonly legacy?: number | null;
  readonly modern?: number | null;
  /** What the code is in the other era, where it differs. */
  readonly modernCode?: string;
  /** `Mcp-Method`, where the call is made one of another method. */
  readonly method?: string;
}

function bytes(...parts: readonly (string | readonly number[])[]): Uint8Array {
  return Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from(part))));
}

const put = (from: string, to: string) => (text: string): string => {
  assert.ok(text.includes(from), `the call holds ${from}`);
  return text.replace(from, () => to);
};
const id = (lexeme: string) => put('"id":7', `"id":${lexeme}`);
const a = (value: string) => put('"a":1', `"a":${value}`);
const instead = (body: string | Uint8Array) => (): string | Uint8Array => body;
/** A value that HTTP carries as it is, or its encoded form. */
const headerText = (text: string): string => (/^[!-~]+$/.test(text) ? text : `=?base64?${Buffer.from(text).toString('base64')}?=`);

const METHOD = '"method":"tools/call"';
const denied = { legacy: 200, modern: 200, code: 'TOOL_DENIED' } as const;

const upstream = await Upstream.open();
const gateway = await HttpGateway.open({ upstream: upstream.url, policy: POLICY });
let strict: HttpGateway | undefined;

const tricks: readonly Trick[] = [
  { trick: 'a duplicate method', code: 'KEY_DUPLICATE', edit: put(METHOD, `"method":"ping",${METHOD}`) },
  { trick: 'a duplicate tool name', code: 'KEY_DUPLICATE', edit: put('"name":"echo"', '"name":"echo","name":"danger"') },
  { trick: 'a duplicate key that is escaped once', code: 'KEY_DUPLICATE', edit: put(METHOD, '"method":"ping","m\\u0065thod":"tools/call"') },
  { trick: 'a duplicate key deep inside', code: 'KEY_DUPLICATE', edit: a('{"b":[{"c":1,"c":2}]}') },
  { trick: 'duplicate params', code: 'KEY_DUPLICATE', edit: put('"params":', '"params":{"name":"danger"},"params":') },
  { trick: 'a denied tool', tool: 'danger', ...denied, edit: (text) => text },
  { trick: 'a denied tool under escaped keys', tool: 'danger', ...denied, edit: (text) => text.replace('"method"', '"m\\u0065thod"').replace('"name"', '"n\\u0061me"') },
  { trick: 'a denied tool with an escaped name', tool: 'danger', ...denied, edit: put('"danger"', '"\\u0064anger"') },
  { trick: 'a denied tool in another case', tool: 'DANGER', ...denied, edit: (text) => text },
  { trick: 'a denied tool with a space behind', tool: 'danger ', ...denied, edit: (text) => text },
  { trick: 'a denied tool in full-width letters', tool: '\uff44\uff41\uff4e\uff47\uff45\uff52', ...denied, edit: (text) => text },
  { trick: 'a denied tool with a zero-width space', tool: 'dan\u200bger', ...denied, edit: (text) => text },
  { trick: 'a denied tool with a soft hyphen', tool: 'dan\u00adger', ...denied, edit: (text) => text },
  { trick: 'a key in another case', code: 'ENVELOPE_KEY', edit: put('"method"', '"Method"') },
  { trick: 'a key with a long s', code: 'ENVELOPE_KEY', edit: put('"params"', '"param\u017f"') },
  { trick: 'a key with a Kelvin sign', code: 'ENVELOPE_KEY', modern: null, edit: put('"params":{', '"params":{"_meta":{"progressTo\u212aen":1},') },
  { trick: 'a params key in another case', code: 'ENVELOPE_KEY', edit: put('"params":{"name"', '"params":{"Name"') },
  { trick: 'an unknown member of the message', code: 'ENVELOPE_KEY', edit: put('"id":7', '"id":7,"extra":1') },
  { trick: 'two argument keys that fold together', code: 'KEY_CASE_COLLISION', edit: a('1,"A":2') },
  { trick: 'a method in another case', code: 'METHOD_UNKNOWN', method: 'Tools/Call', legacy: 200, modern: 404, edit: put('tools/call', 'Tools/Call') },
  { trick: 'a method with a space behind', code: 'METHOD_UNKNOWN', method: 'tools/call ', legacy: 200, modern: 404, edit: put('tools/call', 'tools/call ') },
  { trick: 'a method with a control character', code: 'METHOD_INVALID', edit: put('tools/call', 'tools/call\\u0000') },
  { trick: 'an id of 1.0', code: 'ID_INVALID', edit: id('1.0') },
  { trick: 'an id of 1e0', code: 'ID_INVALID', edit: id('1e0') },
  { trick: 'an id of 1.5', code: 'ID_INVALID', edit: id('1.5') },
  { trick: 'an id of null', code: 'ID_INVALID', edit: id('null') },
  { trick: 'an id of true', code: 'ID_INVALID', edit: id('true') },
  { trick: 'an id that is an object', code: 'ID_INVALID', edit: id('{}') },
  { trick: 'an id that is a list', code: 'ID_INVALID', edit: id('[7]') },
  { trick: 'an id that is very long', code: 'ID_INVALID', edit: id(JSON.stringify('i'.repeat(5000))) },
  { trick: 'an id beyond safe integers', code: 'INTEGER_UNSAFE', edit: id('9007199254740993') },
  { trick: 'a call without an id', code: 'METHOD_WRONG_KIND', legacy: 202, edit: put('"id":7,', '') },
  { trick: 'a notification with an id', code: 'METHOD_WRONG_KIND', legacy: 200, modern: 200, method: 'notifications/cancelled', edit: put('tools/call', 'notifications/cancelled') },
  { trick: 'a request that is also a result', code: 'ENVELOPE_INVALID', edit: put('"id":7', '"id":7,"result":{}') },
  { trick: 'a request that is also an error', code: 'ENVELOPE_INVALID', edit: put('"id":7', '"id":7,"error":{"code":1,"message":"m"}') },
  { trick: 'no jsonrpc member', code: 'JSONRPC_VERSION', edit: put('"jsonrpc":"2.0",', '') },
  { trick: 'another jsonrpc version', code: 'JSONRPC_VERSION', edit: put('"2.0"', '"1.0"') },
  { trick: 'a jsonrpc version that is a number', code: 'JSONRPC_VERSION', edit: put('"2.0"', '2.0') },
  { trick: 'a byte order mark', code: 'BOM', edit: (text) => `\ufeff${text}` },
  { trick: 'UTF-16 with a mark', code: 'BOM', edit: (text) => Buffer.from(`\ufeff${text}`, 'utf16le') },
  { trick: 'UTF-16 without a mark', code: 'BOM', edit: (text) => Buffer.from(text, 'utf16le') },
  { trick: 'two messages in one body', code: 'JSON_TRAILING', edit: (text) => `${text}\n${text.replace('echo', 'danger')}` },
  { trick: 'a carriage return alone between messages', code: 'JSON_TRAILING', edit: (text) => `${text}\r${text.replace('echo', 'danger')}` },
  { trick: 'a zero byte behind the message', code: 'JSON_TRAILING', edit: (text) => `${text}\0` },
  { trick: 'invalid UTF-8', code: 'UTF8_INVALID', edit: (text) => bytes(text.slice(0, -3), [0xff], text.slice(-3)) },
  { trick: 'an overlong encoding', code: 'UTF8_INVALID', edit: (text) => bytes(text.slice(0, 40), [0xc0, 0xaf], text.slice(40)) },
  { trick: 'a lone surrogate', code: 'SURROGATE_LONE', edit: a('"\\ud800"') },
  { trick: 'a big integer in the arguments', code: 'INTEGER_UNSAFE', edit: a('9007199254740993') },
  { trick: 'a number beyond doubles', code: 'NUMBER_RANGE', edit: a('1e999') },
  { trick: 'a __proto__ key', code: 'KEY_FORBIDDEN', edit: a('{"__proto__":{"b":1}}') },
  { trick: 'an escaped __proto__ key', code: 'KEY_FORBIDDEN', edit: a('{"\\u005f_proto__":{"b":1}}') },
  { trick: 'deep nesting', code: 'JSON_DEPTH', edit: a(`${'['.repeat(5000)}${']'.repeat(5000)}`) },
  { trick: 'a comment', code: 'JSON_SYNTAX', edit: (text) => `/* */${text}` },
  { trick: 'a trailing comma', code: 'JSON_SYNTAX', edit: (text) => text.replace(/\}$/, ',}') },
  { trick: 'NaN', code: 'JSON_SYNTAX', edit: a('NaN') },
  { trick: 'an empty body', code: 'JSON_SYNTAX', edit: instead('') },
  { trick: 'a scalar', code: 'ENVELOPE_INVALID', edit: instead('"tools/call"') },
  { trick: 'params that are no object', code: 'PARAMS_INVALID', edit: instead('{"jsonrpc":"2.0","id":7,"method":"tools/call","params":["echo"]}') },
  { trick: 'a call without params', code: 'PARAMS_INVALID', legacy: 200, modern: null, edit: instead('{"jsonrpc":"2.0","id":7,"method":"tools/call"}') },
  { trick: 'arguments that are no object', code: 'PARAMS_INVALID', legacy: 200, modern: 200, edit: (text) => text.replace(/"arguments":\{[^}]*\}/, '"arguments":[1]') },
  { trick: 'a tool name that is no string', code: 'PARAMS_INVALID', legacy: 200, modern: 200, edit: put('"echo"', '["danger"]') },
  { trick: 'an empty tool name', code: 'PARAMS_INVALID', tool: '', legacy: 200, modern: 200, edit: (text) => text },
  { trick: "a method of the server's", code: 'METHOD_WRONG_DIRECTION', method: 'sampling/createMessage', legacy: 200, modern: 200, edit: put('tools/call', 'sampling/createMessage') },
  { trick: 'an answer that nobody asked for', code: 'ID_UNKNOWN', modernCode: 'METHOD_WRONG_KIND', legacy: 202, edit: instead('{"jsonrpc":"2.0","id":99,"result":{"roots":[]}}') },
  { trick: 'an error without an id', code: 'ID_UNKNOWN', modernCode: 'METHOD_WRONG_KIND', legacy: 202, edit: instead('{"jsonrpc":"2.0","error":{"code":1,"message":"m"}}') },
  { trick: 'progress that nobody asked for', code: 'PROGRESS_UNKNOWN', modernCode: 'METHOD_WRONG_KIND', legacy: 202, edit: instead('{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}') },
  { trick: 'a cancellation of nothing', code: 'ID_UNKNOWN', modernCode: 'METHOD_WRONG_KIND', legacy: 202, edit: instead('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":4711}}') },
  { trick: 'a batch of one', code: 'BATCH_NOT_ALLOWED', edit: (text) => `[${text}]` },
  { trick: 'a batch that hides a denied call', code: 'BATCH_NOT_ALLOWED', edit: (text) => `[${text},${text.replace('echo', 'danger').replace('7', '8')}]` },
  { trick: 'an empty batch', code: 'BATCH_EMPTY', edit: instead('[]') },
  { trick: 'a batch of too many', code: 'BATCH_TOO_LARGE', edit: (text) => `[${Array.from({ length: 65 }, () => text).join(',')}]` },
  { trick: 'a batch within a batch', code: 'BATCH_NOT_ALLOWED', edit: (text) => `[[${text}]]` },
  { trick: 'modern metadata in a legacy session', code: 'ERA_MIXED', modern: null, edit: put('"name"', `"_meta":${META},"name"`) },
  { trick: 'one key of modern metadata in a legacy session', code: 'ERA_MIXED', modern: null, edit: put('"name"', '"_meta":{"io.modelcontextprotocol/clientInfo":{}},"name"') },
  { trick: 'a probe of the modern era in a legacy session', code: 'ERA_MIXED', modern: null, edit: instead('{"jsonrpc":"2.0","id":7,"method":"server/discover","params":{}}') },
  { trick: 'no metadata in the modern era', code: 'META_INVALID', legacy: null, edit: put(`,"_meta":${META}`, '') },
  { trick: 'metadata without capabilities', code: 'META_INVALID', legacy: null, edit: put('"io.modelcontextprotocol/clientCapabilities":{}', '"x":{}') },
  { trick: 'a protocol version that is no string', code: 'HEADER_MISMATCH', legacy: null, edit: put('"2026-07-28"', '20260728') },
  { trick: 'initialize in the modern era', code: 'METHOD_UNKNOWN', method: 'initialize', legacy: null, modern: 404, edit: put('tools/call', 'initialize') },
];

function bodyOf(era: Era, { tool = 'echo', edit }: Trick): string | Uint8Array {
  const meta = era === 'modern' ? `,"_meta":${META}` : '';
  return edit(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":${JSON.stringify(tool)},"arguments":{"a":1}${meta}}}`);
}

function sendTrick(era: Era, session: Session, row: Trick): Promise<Answer> {
  const body = bodyOf(era, row);
  if (era === 'legacy') return session.post(body);
  const headers: Changes = { 'Mcp-Method': headerText(row.method ?? 'tools/call'), 'Mcp-Name': headerText(row.tool ?? 'echo') };
  return modernly(gateway, 7, 'tools/call', { name: 'echo' }, { headers, body });
}

test('no trick in a body gets a call past the gateway, and each leaves a row', async (t) => {
  const session = await Session.open(gateway);
  await session.call('warm', 'echo');
  await modernly(gateway, 'warm', 'tools/call', { name: 'echo' });
  const rows = new Map<string, number>();
  for (const era of ['legacy', 'modern'] as const) {
    for (const row of tricks) {
      const status = row[era] === undefined ? 400 : row[era];
      if (status === null) continue;
      await t.test(`${row.trick} (${era})`, async () => {
        const before = upstream.hits.length;
        const answer = await sendTrick(era, session, row);
        assert.equal(answer.status, status, answer.text);
        const code = era === 'modern' ? (row.modernCode ?? row.code) : row.code;
        if (status !== 202) {
          const [message] = answer.messages;
          assert.equal(message.error.data.code, code);
          assert.equal(message.error.message.includes('danger'), false);
        }
        assert.deepEqual(upstream.hits.slice(before).map((hit) => hit.body), []);
        rows.set(code, (rows.get(code) ?? 0) + 1);
        await gateway.rowsLike((each) => each['code'] === code && each['dir'] === 'c2s', rows.get(code));
      });
    }
  }
  assert.match(JSON.stringify(await session.call('last', 'echo')), /ran echo/);
  assert.match((await modernly(gateway, 'last', 'tools/call', { name: 'echo' })).text, /ran echo/);
  assert.equal(upstream.everything().includes('danger'), false);
});

test('what is odd but harmless in a body arrives in its plain form', async () => {
  const session = await Session.open(gateway);
  const edits: readonly ((text: string) => string)[] = [
    (text) => `  \r\n\t${text}`,
    (text) => `${text}\r\n\r\n`,
    (text) => text.replace('"method"', '"m\\u0065thod"'),
    (text) => text.replaceAll(':', ' : ').replace('tools\\/call', 'tools/call'),
    (text) => text.replace('"a":1', '"a":1.0,"\\ud83d\\ude00":-0'),
  ];
  for (const edit of edits) {
    const legacy = await session.post(edit(JSON.stringify(call(7, 'echo', { a: 1 }))));
    assert.equal(legacy.status, 200, legacy.text);
    const { body } = upstream.hits.at(-1) ?? { body: '' };
    assert.equal(body, JSON.stringify(JSON.parse(body)));
    const body2 = edit(JSON.stringify(call(7, 'echo', { a: 1 }, { _meta: metaOf() })).replaceAll(/"io[^"]*"/g, (key) => key));
    if (body2.includes(' : ')) continue;
    assert.equal((await modernly(gateway, 7, 'tools/call', { name: 'echo' }, { body: body2 })).status, 200);
  }
});

test('each element of a batch of 2025-03-26 is judged by itself, and a denied one never reaches the server', async () => {
  const session = await Session.open(gateway, { revision: '2025-03-26' });
  const batch = [call(1, 'echo'), call(2, 'danger'), request(3, 'ping'), 7, { jsonrpc: '2.0', method: 'notifications/roots/list_changed' }, call(1, 'echo')];
  const answer = await session.post(JSON.stringify(batch));
  assert.equal(answer.status, 200);
  const { messages } = answer;
  const of = (wanted: number) => messages.filter((message) => message.id === wanted);
  assert.match(JSON.stringify(of(1)), /ran echo/);
  assert.equal(of(1).length, 1, 'the second of the same id is not answered under it');
  assert.equal(of(2)[0].error.data.code, 'TOOL_DENIED');
  assert.deepEqual(of(3)[0].result, {});
  assert.deepEqual(messages.filter((message) => message.id === null).map((message): string => message.error.data.code).toSorted(), ['ENVELOPE_INVALID', 'ID_IN_FLIGHT']);
  assert.equal(upstream.everything().includes('danger'), false);
  assert.equal(upstream.hits.every((hit) => !hit.body.startsWith('[')), true, 'elements go on one by one');
  const notices = await session.post(JSON.stringify([{ jsonrpc: '2.0', method: 'notifications/roots/list_changed' }, { jsonrpc: '2.0', id: 9, result: {} }]));
  assert.equal(notices.status, 202);
  await gateway.rowsLike((row) => row['code'] === 'TOOL_DENIED');
});

test('initialize is never part of a batch', async () => {
  const init = request('i', 'initialize', { protocolVersion: '2025-03-26', capabilities: {}, clientInfo: { name: 'c', version: '1' } });
  const alone = await Session.open(gateway, { revision: '2025-03-26' });
  const outside = await gateway.fetch({ headers: [['Content-Type', 'application/json'], ['Accept', '*/*']], body: JSON.stringify([init, call(1, 'echo')]) });
  assert.equal(outside.status, 400);
  const before = upstream.hits.length;
  const inside = await alone.post(JSON.stringify([init, call(1, 'echo')]));
  assert.equal(inside.status, 400);
  assert.equal(upstream.hits.length, before);
});

test('a second request under an id in flight is refused without settling the first', async () => {
  const session = await Session.open(gateway);
  let open = 0;
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  upstream.on('tools/call', async (hit) => {
    open += 1;
    await released;
    json(hit, called(hit, `ran ${JSON.stringify(hit.message.params.arguments)}`));
  });
  const first = session.post(call(5, 'echo', { nr: 1 }));
  await upstream.hit((hit) => hit.body.includes('"nr":1'));
  const second = await session.post(call(5, 'echo', { nr: 2 }));
  assert.equal(second.status, 400);
  assert.equal(second.json.error.data.code, 'ID_IN_FLIGHT');
  assert.equal(second.json.id, null);
  const text = session.post(call('5', 'echo', { nr: 3 }));
  await upstream.hit((hit) => hit.body.includes('"nr":3'));
  release();
  assert.match((await first).text, /nr\\":1/);
  assert.equal((await text).json.id, '5');
  assert.equal(open, 2);
  upstream.on('tools/call', null);
});

test('requests of 2026-07-28 may have the same id at once: each gets its own answer under it', async () => {
  await modernly(gateway, 1, 'tools/call', { name: 'echo' });
  const waiting: (() => void)[] = [];
  upstream.on('tools/call', (hit) => {
    waiting.unshift(() => json(hit, called(hit, `ran ${hit.message.params.arguments.nr}`)));
    if (waiting.length === 4) for (const go of waiting) go();
  });
  const answers = await Promise.all([1, 2, 3, 4].map((nr) => modernly(gateway, 7, 'tools/call', { name: 'echo', arguments: { nr } })));
  assert.deepEqual(answers.map(({ json: message }) => [message.id, message.result.content[0].text]), [1, 2, 3, 4].map((nr) => [7, `ran ${nr}`]));
  upstream.on('tools/call', null);
  const ids = upstream.hits.slice(-4).map((hit) => hit.message?.id);
  assert.equal(new Set(ids).size, 4, 'the server sees ids that differ');
});

test('a denied call hides in no other method: prompts, resources and completions are judged the same way in both eras', async () => {
  const policy = "version: 1\ndefault: deny\nallow_tools: ['echo']\nmethods:\n  'completion/complete': deny\n";
  strict = await HttpGateway.open({ upstream: upstream.url, policy });
  const session = await Session.open(strict);
  await session.call(0, 'echo');
  await modernly(strict, 0, 'tools/call', { name: 'echo' });
  for (const [method, params] of [
    ['resources/read', { uri: 'file:///etc/passwd' }],
    ['prompts/get', { name: 'p' }],
    ['completion/complete', { ref: { type: 'ref/prompt', name: 'p' }, argument: { name: 'a', value: 'v' } }],
    ['tools/call', { name: 'danger', arguments: {} }],
  ] as const) {
    const before = upstream.hits.length;
    assert.equal((await session.ask(1, method, params)).error.code, -32001, method);
    const answer = await modern(strict, 1, method, params);
    assert.equal((await answer.next(() => true)).error.code, -31001, method);
    assert.equal(upstream.hits.length, before);
  }
});

test('every message that reached the server has its row, and no row says so of one that did not', async () => {
  const count = (names: readonly string[]): Record<string, number> => {
    const counts: Record<string, number> = {};
    for (const name of names.toSorted()) counts[name] = (counts[name] ?? 0) + 1;
    return counts;
  };
  const session = await Session.open(gateway);
  await session.call('last of all', 'echo');
  const rows = [...gateway.rows(), ...(strict?.rows() ?? [])];
  const moved = rows.filter((row) => row['dir'] === 'c2s' && ['allow', 'alert'].includes(row['decision']));
  assert.deepEqual(count(upstream.hits.filter((hit) => hit.message !== null).map((hit) => hit.message.method)), count(moved.map((row) => String(row['method']))));
  await gateway.close();
});
