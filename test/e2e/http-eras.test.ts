// SPDX-License-Identifier: Apache-2.0
/** What a server says of its own protocol over HTTP: eras, revisions, caching, headers to mirror, and sessions that it loses. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import test, { after } from 'node:test';
import type { Wire } from '../harness/gateway.ts';
import { ALLOW_ALL, launcher, readRows, scratch } from '../harness/gateway.ts';
import { modern, modernly, request, Session } from '../harness/http-clients.ts';
import { json, MODERN, result, tool, Upstream } from '../harness/http-upstream.ts';
import { HttpGateway } from '../harness/http.ts';

/** A client on stdio in front of a server over HTTP. */
class StdioFront {
  readonly folder: string = scratch();
  readonly #process;
  readonly #answers = new Map<unknown, Wire>();
  readonly #waiting: (() => void)[] = [];
  stderr = '';
  readonly #closed: Promise<unknown>;

  constructor(url: string) {
    const policy = join(this.folder, 'policy.yaml');
    writeFileSync(policy, ALLOW_ALL);
    const up = ['up', '--policy', policy, '--state', this.folder, '--name', 'peer', '--upstream-url', url, '--allow-private'];
    this.#process = spawn(process.execPath, [launcher, ...up]);
    after(() => this.#process.kill('SIGKILL'));
    this.#process.stdin.on('error', () => undefined);
    this.#closed = new Promise((resolve) => {
      this.#process.on('close', resolve);
    });
    this.#process.stderr.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    createInterface(this.#process.stdout).on('line', (line) => {
      const message: Wire = JSON.parse(line);
      this.#answers.set(message.id, message);
      for (const wake of this.#waiting.splice(0)) wake();
    });
  }

  tell(message: object): void {
    this.#process.stdin.write(`${JSON.stringify(message)}\n`);
  }

  async ask(id: number, method: string, params: object = {}): Promise<Wire> {
    this.tell(request(id, method, params));
    while (!this.#answers.has(id)) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
    return this.#answers.get(id);
  }

  async open(): Promise<void> {
    const answer = await this.ask(0, 'initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } });
    assert.equal(answer.result.protocolVersion, '2025-11-25');
    this.tell({ jsonrpc: '2.0', method: 'notifications/initialized' });
  }

  /** The exit code. */
  end(): Promise<unknown> {
    this.#process.stdin.end();
    return this.#closed;
  }
}

/** Answers as servers do that know their sessions: 404 for any other. */
function knowsItsSessions(upstream: Upstream): void {
  for (const method of ['ping', 'tools/call', 'tools/list']) {
    upstream.on(method, (hit) => {
      if (hit.headers['mcp-session-id'] === upstream.session) result(hit, method === 'tools/list' ? { tools: upstream.tools } : { content: [] });
      else json(hit, { jsonrpc: '2.0', id: null, error: { code: -32001, message: 'Session not found' } }, 404);
    });
  }
}

test('a client on stdio keeps its session where the server loses its own, and the handshake stands in the log', async () => {
  const upstream = await Upstream.open();
  knowsItsSessions(upstream);
  const front = new StdioFront(upstream.url);
  await front.open();
  assert.equal((await front.ask(1, 'tools/call', { name: 'echo', arguments: { n: 1 } })).id, 1);
  upstream.session = 'another-session';
  const again = await Promise.all([front.ask(2, 'tools/call', { name: 'echo', arguments: { n: 2 } }), front.ask(3, 'ping')]);
  assert.deepEqual(again.map(({ id, error }) => [id, error]), [[2, undefined], [3, undefined]]);
  assert.equal(upstream.seen('initialize').length, 2);
  assert.equal(upstream.seen('notifications/initialized').length, 2);
  await front.end();
  const renewals = readRows(join(front.folder, 'audit')).filter((row) => row['method'] === 'initialize' && row['type'] === 'request');
  assert.deepEqual(renewals.map((row) => row['origin']), ['client', 'gateway']);
});

test('a server that has become another one does not get the session of the first', async () => {
  const upstream = await Upstream.open();
  knowsItsSessions(upstream);
  const front = new StdioFront(upstream.url);
  await front.open();
  assert.equal((await front.ask(1, 'ping')).error, undefined);
  upstream.session = 'another-session';
  upstream.on('initialize', (hit) =>
    result(hit, { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'impostor', version: '6' }, instructions: 'obey' }, { 'mcp-session-id': 'another-session' }),
  );
  const refused = await front.ask(2, 'tools/call', { name: 'echo', arguments: { secret: 1 } });
  assert.match(refused.error.data.code, /^(SESSION_LOST|UPSTREAM_GONE)$/);
  assert.equal(upstream.seen('tools/call').every((hit) => hit.headers['mcp-session-id'] !== 'another-session'), true);
  assert.equal(await front.end(), 3);
});

test('a server that stops saying that it speaks 2026-07-28 is reported, and the answer is marked in the log', async () => {
  const upstream = await Upstream.open();
  const gateway = await HttpGateway.open({ upstream: upstream.url });
  const discovered = { supportedVersions: [MODERN], capabilities: { tools: {} }, ttlMs: 0, cacheScope: 'private' };
  upstream.on('server/discover', (hit) => result(hit, discovered));
  assert.equal((await modernly(gateway, 1, 'server/discover')).status, 200);
  upstream.on('server/discover', (hit) => json(hit, { jsonrpc: '2.0', id: hit.message.id, error: { code: -32601, message: 'Method not found' } }, 404));
  const answer = await modernly(gateway, 2, 'server/discover');
  assert.deepEqual([answer.status, answer.json.error.code], [404, -32601]);
  const [row] = await gateway.rowsLike((found) => found['code'] === 'ERA_DOWNGRADE');
  assert.deepEqual([row?.['decision'], row?.['method'], row?.['type']], ['alert', 'server/discover', 'error']);
  await gateway.says(/spoke 2026-07-28 before/);
  await gateway.close();
});

test('revisions that are older than the configuration allows are refused', async () => {
  const upstream = await Upstream.open();
  const config = (min: string): string =>
    `version: 1\npolicy: policy.yaml\nlisten: 127.0.0.1:0\nmin_protocol_version: '${min}'\nservers:\n  peer: {url: '${upstream.url}', allow_private: true}\n`;
  const gateway = await HttpGateway.open({ config: config('2025-06-18') });
  const old = await Session.initialize(gateway, { revision: '2025-03-26' });
  assert.equal(old.messages[0].error.data.code, 'REVISION_UNKNOWN');
  assert.equal(old.headers['mcp-session-id'], undefined);
  const session = await Session.open(gateway, { revision: '2025-06-18' });
  assert.equal((await session.ask(1, 'ping')).error, undefined);
  await gateway.close();
});

test('what may be kept, and how long, is what the gateway can stand for', async () => {
  const upstream = await Upstream.open();
  const gateway = await HttpGateway.open({ upstream: upstream.url });
  upstream.on('resources/read', (hit) => result(hit, { contents: [], ttlMs: 1e15, cacheScope: 'public' }));
  const { result: kept } = (await modernly(gateway, 1, 'resources/read', { uri: 'test://x' })).messages[0];
  assert.deepEqual([kept.ttlMs, kept.cacheScope], [3_600_000, 'private']);
  await gateway.close();
});

test('a tool whose schema mirrors arguments wrongly is left out at 2026-07-28, and only there', async () => {
  const upstream = await Upstream.open();
  const schema = (header: unknown): object => ({ type: 'object', properties: { region: { type: 'string', 'x-mcp-header': header } } });
  upstream.tools = [tool('right', { inputSchema: schema('Region') }), tool('wrong', { inputSchema: schema('two words') })];
  const gateway = await HttpGateway.open({ upstream: upstream.url });
  const names = (message: Wire): string[] => message.result.tools.map(({ name }: Wire) => name);
  assert.deepEqual(names((await modernly(gateway, 1, 'tools/list')).messages[0]), ['right']);
  const called = await modernly(gateway, 2, 'tools/call', { name: 'wrong', arguments: { region: 'eu' } });
  assert.equal(called.json.error.data.code, 'TOOL_HEADER_INVALID');
  assert.equal(upstream.seen('tools/call').length, 0);
  const session = await Session.open(gateway);
  assert.deepEqual(names(await session.ask(1, 'tools/list')), ['right', 'wrong']);
  await gateway.close();
});

test('a redacted argument is redacted in the header that mirrors it', async () => {
  const upstream = await Upstream.open();
  const inputSchema = { type: 'object', properties: { key: { type: 'string', 'x-mcp-header': 'Key' }, plain: { type: 'string' } } };
  upstream.tools = [tool('send', { inputSchema })];
  const gateway = await HttpGateway.open({ upstream: upstream.url, policy: `${ALLOW_ALL}redact_args:\n  - {pattern: 'hunter[0-9]+', replacement: 'XX'}\n` });
  const params = { name: 'send', arguments: { key: 'hunter2', plain: 'hunter3' } };
  const answer = await modernly(gateway, 1, 'tools/call', params, { headers: { 'Mcp-Param-Key': 'hunter2', 'Mcp-Param-Other': 'my hunter4' } });
  assert.equal(answer.status, 200, answer.text);
  const [hit] = upstream.seen('tools/call');
  assert.deepEqual([hit?.headers['mcp-param-key'], hit?.headers['mcp-param-other'], hit?.message.params.arguments], ['XX', 'my XX', { key: 'XX', plain: 'XX' }]);
  assert.doesNotMatch(upstream.everything(), /hunter/);
  const unlike = await modernly(gateway, 2, 'tools/call', params, { headers: { 'Mcp-Param-Key': 'something else' } });
  assert.deepEqual([unlike.status, unlike.json.error.code], [400, -32020]);
  await gateway.close();
});

test('responses have a cap, beyond which clients are told to wait', async () => {
  const upstream = await Upstream.open();
  const limits = 'limits: {streams: 2}\n';
  const config = `version: 1\npolicy: policy.yaml\nlisten: 127.0.0.1:0\n${limits}servers:\n  peer: {url: '${upstream.url}', allow_private: true}\n`;
  const gateway = await HttpGateway.open({ config });
  upstream.on('tools/call', () => undefined);
  for (const id of [1, 2]) void modern(gateway, id, 'tools/call', { name: 'echo' }).catch(() => undefined);
  await upstream.hit(() => upstream.seen('tools/call').length === 2);
  const third = await modernly(gateway, 3, 'tools/call', { name: 'echo' });
  assert.deepEqual([third.status, third.json.error.data.code, third.headers['retry-after']], [503, 'CAPACITY', '10']);
  await gateway.close();
});
