// SPDX-License-Identifier: Apache-2.0
/**
 * The transport of 2024-11-05 with peers that nobody here wrote: a server that speaks it behind the gateway, clients that
 * speak it in front, and the newer transports on the other side of each.
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import test, { after } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { writeFileSync } from 'node:fs';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CreateMessageRequestSchema, ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import type { Row, Wire } from '../harness/gateway.ts';
import { ALLOW_ALL, launcher, readRows, scratch } from '../harness/gateway.ts';
import { HttpGateway, PATIENCE_MS } from '../harness/http.ts';
import { childrenOf } from '../harness/processes.ts';
import { everything } from '../harness/servers.ts';
import { eventually, SseServer } from '../harness/sse.ts';

type Transport = Parameters<Client['connect']>[0];

const limit = { timeout: 180_000 };

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => {
    probe.listen(0, '127.0.0.1', resolve);
  });
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => {
    probe.close(resolve);
  });
  return port;
}

/** server-everything, which has this transport built in. */
async function everythingOverSse(): Promise<{ url: string; child: ChildProcess }> {
  const port = await freePort();
  const [node = '', script = ''] = everything();
  const child = spawn(node, [script, 'sse'], { env: { ...process.env, PORT: String(port) }, stdio: ['ignore', 'ignore', 'pipe'] });
  after(() => child.kill('SIGKILL'));
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await eventually('the server listens', () => said.includes('running on port'));
  return { url: `http://127.0.0.1:${port}/sse`, child };
}

interface Asked {
  readonly client: Client;
  /** Methods that the server asked the client for. */
  readonly methods: string[];
  /** Everything that the client received, in order. */
  readonly received: Wire[];
}

async function connected(t: TestContext, transport: Transport): Promise<Asked> {
  const methods: string[] = [];
  const received: Wire[] = [];
  const client = new Client({ name: 'test', version: '1' }, { capabilities: { sampling: {}, elicitation: {} } });
  client.setRequestHandler(CreateMessageRequestSchema, () => {
    methods.push('sampling/createMessage');
    return { model: 'none', role: 'assistant', content: { type: 'text', text: 'the sampled text' } };
  });
  client.setRequestHandler(ElicitRequestSchema, () => {
    methods.push('elicitation/create');
    return { action: 'accept', content: { name: 'the elicited name' } };
  });
  await client.connect(transport);
  // A client of this kind that is left open would keep the process.
  t.after(() => client.close());
  const take = transport.onmessage;
  const note: typeof take = (message, extra) => {
    received.push(message);
    take?.(message, extra);
  };
  Object.assign(transport, { onmessage: note });
  return { client, methods, received };
}

const patience = { timeout: PATIENCE_MS };
const textOf = (result: unknown): string => JSON.stringify(result);

/** Everything that a client does with a server, by a client that nobody here wrote. */
async function mainJob({ client, methods, received }: Asked): Promise<void> {
  assert.equal(client.getServerVersion()?.name, 'mcp-servers/everything');
  // Some tools are there only when the server has heard what the client can do.
  const until = Date.now() + PATIENCE_MS;
  let names: string[] = [];
  while (!names.includes('trigger-elicitation-request') && Date.now() < until) {
    names = (await client.listTools(undefined, patience)).tools.map(({ name }) => name);
    if (!names.includes('trigger-elicitation-request')) await delay(100);
  }
  assert.ok(names.includes('echo') && names.includes('trigger-sampling-request'), names.join(' '));
  assert.match(textOf(await client.callTool({ name: 'echo', arguments: { message: 'straße' } }, undefined, patience)), /Echo: straße/);

  const { resources } = await client.listResources(undefined, patience);
  const read = await client.readResource({ uri: resources[0]?.uri ?? '' }, patience);
  assert.ok(textOf(read.contents).length > 20);

  const before = received.length;
  const long = { name: 'trigger-long-running-operation', arguments: { duration: 0.4, steps: 2 } };
  assert.match(textOf(await client.callTool(long, undefined, { ...patience, onprogress: () => undefined })), /completed/);
  // What the callback is told depends on the client: it forgets it as soon as it has the answer.
  const told = received.slice(before).map((message) => message.params?.progress ?? (message.result === undefined ? null : 'answer'));
  assert.deepEqual(told.filter((step) => step !== null), [1, 2, 'answer']);

  const sampled = await client.callTool({ name: 'trigger-sampling-request', arguments: { prompt: 'p' } }, undefined, patience);
  assert.match(textOf(sampled), /the sampled text/);
  const elicited = await client.callTool({ name: 'trigger-elicitation-request', arguments: {} }, undefined, patience);
  assert.match(textOf(elicited), /the elicited name/);
  assert.deepEqual(methods, ['sampling/createMessage', 'elicitation/create']);

  const abort = new AbortController();
  const endless = client.callTool({ name: 'trigger-long-running-operation', arguments: { duration: 60, steps: 2 } }, undefined, { ...patience, signal: abort.signal });
  setTimeout(() => abort.abort(), 500);
  await assert.rejects(endless);
  await client.ping(patience);
}

const from = (dir: string, method: string) => (row: Row): boolean => row['dir'] === dir && row['method'] === method;

/** The rows that the main job leaves, whatever the transports. */
async function checkRows(rows: () => Row[]): Promise<void> {
  await eventually('the cancellation has its row', () => rows().some(from('c2s', 'notifications/cancelled')));
  const all = rows();
  const shown = (match: (row: Row) => boolean): string[] => all.filter(match).map((row) => `${row['kind']} ${row['type']} ${row['decision']}`);
  assert.deepEqual(shown(from('c2s', 'initialize')), ['message request allow']);
  assert.equal(shown(from('c2s', 'tools/call')).filter((row) => row === 'call request allow').length, 5);
  assert.equal(shown(from('s2c', 'tools/call')).filter((row) => row === 'result result allow').length, 4);
  assert.deepEqual(shown(from('s2c', 'sampling/createMessage')), ['message request allow']);
  assert.deepEqual(shown(from('c2s', 'sampling/createMessage')), ['message result allow']);
  assert.deepEqual(shown(from('s2c', 'elicitation/create')), ['message request allow']);
  assert.deepEqual(shown(from('s2c', 'notifications/progress')), ['message notification allow', 'message notification allow']);
  assert.deepEqual(shown(from('c2s', 'notifications/cancelled')), ['message notification allow']);
  const denied = all.filter((row) => row['decision'] === 'deny').map((row) => row['code']);
  assert.deepEqual(denied.filter((code) => code !== 'CHANGE_MERGED'), []);
}

test('a server over SSE serves a client of Streamable HTTP, and again when it comes back', limit, async (t) => {
  const { url, child } = await everythingOverSse();
  const gateway = await HttpGateway.open({ upstream: url, args: ['--transport', 'sse'] });
  const at = new URL(`http://127.0.0.1:${gateway.port}/mcp`);
  const first = new StreamableHTTPClientTransport(at);
  const asked = await connected(t, first);
  await mainJob(asked);
  await checkRows(() => gateway.rows());
  await first.terminateSession();
  await asked.client.close();

  const second = await connected(t, new StreamableHTTPClientTransport(at));
  child.kill('SIGKILL');
  await once(child, 'exit');
  await assert.rejects(second.client.callTool({ name: 'echo', arguments: { message: 'x' } }, undefined, patience));
  await second.client.close();
  await assert.rejects(connected(t, new StreamableHTTPClientTransport(at)), /the server refuses connections/);
  await gateway.rowsLike((row) => row['kind'] === 'drop' && row['code'] === 'UPSTREAM_UNREACHABLE' && row['server'] === 'peer');
  assert.equal(await gateway.close(), 0);
});

/** A client on stdio with the gateway as its server, and the rows that come of it. */
function onStdio(url: string): { transport: Transport; rows: () => Row[] } {
  const folder = scratch();
  const policy = join(folder, 'policy.yaml');
  writeFileSync(policy, ALLOW_ALL);
  const up = ['up', '--policy', policy, '--state', join(folder, 'state'), '--name', 'peer', '--transport', 'sse', '--allow-private', '--upstream-url', url];
  const transport = new StdioClientTransport({ command: process.execPath, args: [launcher, ...up], stderr: 'ignore' });
  return { transport, rows: () => readRows(join(folder, 'state', 'audit')) };
}

test('a server over SSE serves a client on stdio', limit, async (t) => {
  const { url } = await everythingOverSse();
  const { transport, rows } = onStdio(url);
  const asked = await connected(t, transport);
  await mainJob(asked);
  await asked.client.close();
  await checkRows(rows);
});

test('a client on stdio does not notice that the stream of its server was cut', limit, async (t) => {
  const server = await SseServer.open();
  const { transport, rows } = onStdio(server.url.href);
  const { client } = await connected(t, transport);
  for (const [at, cut] of (['end', 'destroy'] as const).entries()) {
    assert.match(textOf(await client.callTool({ name: 'echo', arguments: { at } }, undefined, patience)), /content/);
    server.stream[cut]();
    await eventually('the gateway sees it', () => server.stream.destroyed);
    await delay(200);
    assert.match(textOf(await client.callTool({ name: 'echo', arguments: { at } }, undefined, patience)), /content/);
    assert.equal(server.streams.length, at + 2);
  }
  assert.equal(server.seen('initialize').length, 3);
  await client.close();
  const renewed = rows().filter((row) => row['method'] === 'initialize' && row['dir'] === 'c2s');
  assert.deepEqual(renewed.map((row) => row['origin']), ['client', 'gateway', 'gateway']);
});

test('a client over SSE is served by a server on stdio, which ends when the client leaves', limit, async (t) => {
  const gateway = await HttpGateway.open({ server: everything() });
  const [host = 0] = childrenOf(gateway.process.pid ?? 0);
  const before = childrenOf(host).length;
  for (const path of ['/sse', '/mcp/sse', '/mcp/peer/sse']) {
    const asked = await connected(t, new SSEClientTransport(new URL(`http://127.0.0.1:${gateway.port}${path}`)));
    assert.equal(childrenOf(host).length, before + 1);
    if (path === '/sse') {
      await mainJob(asked);
      await checkRows(() => gateway.rows());
    } else {
      assert.match(textOf(await asked.client.callTool({ name: 'echo', arguments: { message: path } }, undefined, patience)), /Echo: /);
    }
    await asked.client.close();
    await eventually('the server of the client ends', () => childrenOf(host).length === before);
  }
  assert.equal(await gateway.close(), 0);
});

test('a client over SSE is served by a server over SSE', limit, async (t) => {
  const { url } = await everythingOverSse();
  const gateway = await HttpGateway.open({ upstream: url, args: ['--transport', 'sse'] });
  const asked = await connected(t, new SSEClientTransport(new URL(`http://127.0.0.1:${gateway.port}/sse`)));
  await mainJob(asked);
  await asked.client.close();
  await checkRows(() => gateway.rows());
  assert.equal(await gateway.close(), 0);
});
