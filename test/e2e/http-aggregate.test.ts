// SPDX-License-Identifier: Apache-2.0
/**
 * Several servers behind one endpoint, with everything real: other people's servers on stdio and HTTP, and their clients
 * of both generations (DESIGN.md sections 3 and 6; mcp.md sections 3, 4 and 6).
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { CreateMessageRequestSchema, ElicitRequestSchema, LoggingMessageNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { AGGREGATE_RESTART_MS } from '../../shared/limits.ts';
import type { Wire } from '../harness/gateway.ts';
import { ALLOW_ALL, root, scratch } from '../harness/gateway.ts';
import { HttpGateway, PATIENCE_MS } from '../harness/http.ts';
import { modern, modernly, Session } from '../harness/http-clients.ts';
import { childrenOf } from '../harness/processes.ts';
import { everything, memory } from '../harness/servers.ts';

const peer = (file: string): string[] => [process.execPath, join(root, 'test', 'peers', file)];

/** The fixture of the conformance suite on a port of its own. */
async function startFixture(): Promise<string> {
  const child = spawn(process.execPath, [join(root, 'test', 'peers', 'conformance', 'server', 'fixture.mjs'), '0'], { stdio: ['ignore', 'ignore', 'pipe'] });
  after(() => void child.kill('SIGKILL'));
  let said = '';
  for await (const chunk of child.stderr) {
    said += String(chunk);
    const found = /listening on (http:\S+)/.exec(said);
    if (found?.[1] !== undefined) {
      child.stderr.resume();
      return found[1];
    }
  }
  throw new Error(`the fixture does not listen: ${said}`);
}

interface ServerEntry {
  readonly command?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly url?: string;
  readonly allow_private?: boolean;
}

/** A gateway in front of several servers; JSON is YAML too. */
function start(servers: Readonly<Record<string, ServerEntry>>, policy = ALLOW_ALL): Promise<HttpGateway> {
  const config = JSON.stringify({ version: 1, policy: 'policy.yaml', listen: '127.0.0.1:0', servers }, null, 1);
  return HttpGateway.open({ config, policy });
}

const deny = "version: 1\ndefault: allow\ndeny_tools: ['memory.delete_*']\nmethods:\n  '*': allow\n";
const url = await startFixture();
const gateway = await start(
  {
    everything: { command: everything() },
    memory: { command: memory(), env: { MEMORY_FILE_PATH: join(scratch(), 'memory.jsonl') } },
    modern: { command: peer('modern-server.ts') },
    paging: { command: peer('paging-server.ts') },
    fixture: { url, allow_private: true },
  },
  deny,
);

/** In front of servers that all speak 2026-07-28. */
const newer = await start({ modern: { command: peer('modern-server.ts') }, fixture: { url, allow_private: true } });

const at = (path: string, where = gateway): URL => new URL(`http://127.0.0.1:${where.port}${path}`);

async function legacyClient(path = '/mcp'): Promise<Client> {
  const client = new Client({ name: 'test', version: '1' }, { capabilities: { elicitation: {}, sampling: {} } });
  const transport: Transport = new StreamableHTTPClientTransport(at(path));
  await client.connect(transport);
  return client;
}

async function modernClient(where: HttpGateway): Promise<ModernClient> {
  const client = new ModernClient({ name: 'test', version: '1' }, { capabilities: { elicitation: {}, sampling: {} }, versionNegotiation: { mode: 'auto' } });
  await client.connect(new ModernTransport(at('/mcp', where)));
  return client;
}

const text = (result: Wire): string => result.content[0].text;
const prefixes = (names: readonly string[]): string[] => [...new Set(names.map((name) => name.split('__')[0] ?? ''))];
const patience = { timeout: PATIENCE_MS };

/** Every entry of a listing, page by page. */
async function all<T>(list: (cursor: string | undefined) => Promise<{ entries: T[]; next: string | undefined }>): Promise<T[]> {
  const entries: T[] = [];
  let cursor: string | undefined;
  do {
    const page = await list(cursor);
    entries.push(...page.entries);
    cursor = page.next;
  } while (cursor !== undefined);
  return entries;
}

test('a client of the older revisions sees all servers as one, and gets through to each', async () => {
  const client = await legacyClient();
  assert.equal(client.getServerVersion()?.name, 'mcp-bastion');
  const capabilities = client.getServerCapabilities() ?? {};
  for (const capability of ['tools', 'prompts', 'resources', 'logging', 'completions']) assert.ok(capability in capabilities, capability);
  assert.match(client.getInstructions() ?? '', /^## everything\n[\s\S]*\n\n## modern\nuse the tools with care\n\n## fixture\n/);
  const tools = await all(async (cursor) => {
    const page = await client.listTools({ cursor });
    return { entries: page.tools.map(({ name }) => name), next: page.nextCursor };
  });
  assert.deepEqual(prefixes(tools), ['everything', 'memory', 'modern', 'paging', 'fixture']);
  assert.equal(new Set(tools).size, tools.length);
  const paged = tools.filter((name) => name.startsWith('paging__'));
  assert.equal(paged.length, 3);
  const called = async (name: string, args: Record<string, unknown> = {}): Promise<string> => text(await client.callTool({ name, arguments: args }));
  assert.equal(await called('everything__echo', { message: 'hello' }), 'Echo: hello');
  assert.match(await called('memory__read_graph'), /entities/);
  assert.equal(await called('modern__add', { a: 1, b: 2 }), '3');
  assert.equal(await called(paged[2] ?? ''), 'called paging/tool.2');
  assert.match(await called('fixture__test_simple_text'), /simple text/);
  await client.close();
});

test('a client of 2026-07-28 falls back where a server does not speak it, and sees all', async () => {
  const client = await modernClient(gateway);
  assert.equal(client.getNegotiatedProtocolVersion(), '2025-11-25');
  assert.equal(text(await client.callTool({ name: 'everything__echo', arguments: { message: 'all' } })), 'Echo: all');
  await client.close();
});

test('a client of 2026-07-28 sees servers that all speak it as one', async () => {
  const client = await modernClient(newer);
  assert.equal(client.getNegotiatedProtocolVersion(), '2026-07-28');
  assert.equal(client.getServerVersion()?.name, 'mcp-bastion');
  const { tools } = await client.listTools();
  assert.deepEqual(prefixes(tools.map(({ name }) => name)), ['modern', 'fixture']);
  assert.equal(text(await client.callTool({ name: 'modern__add', arguments: { a: 1, b: 2 } })), '3');
  assert.match(text(await client.callTool({ name: 'fixture__test_simple_text', arguments: {} })), /simple text/);
  assert.match(gateway.stderr, /offers no 2026-07-28 because everything and memory and paging does not speak it|offers no 2026-07-28 because everything/);
  await client.close();
});

test('what a modern client mirrors into headers reaches its server, under names of its own', async () => {
  const client = await modernClient(newer);
  // The client learns from the listing what it has to mirror.
  await client.listTools();
  assert.equal(text(await client.callTool({ name: 'fixture__test_custom_header', arguments: { region: 'eu' } })), 'ran in eu');
  const refused = await modernly(gateway, 1, 'tools/call', { name: 'fixture__test_custom_header', arguments: { region: 'eu' } }, { headers: { 'Mcp-Param-Region': 'us' } });
  assert.deepEqual([refused.status, refused.messages[0].error.code], [400, -32020]);
  await client.close();
});

test('prompts, resources and completions find their servers', async () => {
  const client = await legacyClient();
  const prompts = await all(async (cursor) => {
    const page = await client.listPrompts({ cursor });
    return { entries: page.prompts.map(({ name }) => name), next: page.nextCursor };
  });
  assert.deepEqual(prefixes(prompts), ['everything', 'modern', 'paging', 'fixture']);
  const got = async (name: string, args?: Record<string, string>): Promise<string> => {
    const { messages } = await client.getPrompt({ name, arguments: args });
    return text({ content: messages.map((message) => message.content) });
  };
  assert.equal(await got('modern__greet', { name: 'Ann' }), 'Hello Ann');
  assert.match(await got('fixture__test_simple_prompt'), /simple prompt/);
  assert.equal(await got(prompts.find((name) => name.startsWith('paging__')) ?? ''), 'got paging/prompt.0');
  const read = async (uri: string): Promise<string> => ((await client.readResource({ uri })).contents[0] as Wire).text;
  assert.match(await read('test://static-text'), /static text/);
  assert.equal(await read('test://note'), 'noted');
  assert.match(await read('test://template/7/data'), /Data for ID: 7/);
  assert.match(await read('demo://resource/dynamic/text/1'), /Resource 1/);
  await assert.rejects(read('nobody://has/this'), { code: -32602 });
  await client.subscribeResource({ uri: 'test://watched-resource' });
  const completed = await client.complete({ ref: { type: 'ref/prompt', name: 'everything__completable-prompt' }, argument: { name: 'department', value: 'E' } });
  assert.ok(completed.completion.values.includes('Engineering'));
  const referred = await client.complete({ ref: { type: 'ref/resource', uri: 'test://template/{id}/data' }, argument: { name: 'id', value: '' } });
  assert.deepEqual(referred.completion.values, []);
  await client.close();
});

test('two servers that ask the client at once under the same ids get their own answers', async () => {
  const client = await legacyClient();
  const asked: string[] = [];
  let bothAsked: () => void = () => undefined;
  const both = new Promise<void>((resolve) => {
    bothAsked = resolve;
  });
  client.setRequestHandler(ElicitRequestSchema, async ({ params }) => {
    asked.push(params.message);
    if (asked.length === 2) bothAsked();
    await both;
    return { action: 'accept', content: { name: `for ${params.message}`, username: `for ${params.message}`, email: 'x' } };
  });
  client.setRequestHandler(CreateMessageRequestSchema, async ({ params }) => {
    const asked = text({ content: params.messages.map((message) => message.content) });
    return { role: 'assistant', model: 'm', content: { type: 'text', text: `sampled ${asked}` } };
  });
  const [one, two, sampledThere, sampledHere] = await Promise.all([
    client.callTool({ name: 'fixture__test_elicitation', arguments: { message: 'first' } }, undefined, patience),
    client.callTool({ name: 'everything__trigger-elicitation-request', arguments: {} }, undefined, patience),
    client.callTool({ name: 'fixture__test_sampling', arguments: { prompt: 'from the fixture' } }, undefined, patience),
    client.callTool({ name: 'everything__trigger-sampling-request', arguments: { prompt: 'from everything' } }, undefined, patience),
  ]);
  assert.equal(asked.length, 2);
  assert.match(text(one), /"username":"for first"/);
  assert.doesNotMatch(JSON.stringify(two), /for first/);
  assert.equal(text(sampledThere), 'LLM response: sampled from the fixture');
  assert.match(JSON.stringify(sampledHere), /sampled .*from everything/);
  await client.close();
});

test('progress and log messages reach the client that asked', async () => {
  const client = await legacyClient();
  const logged: unknown[] = [];
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void logged.push(params.data));
  const seen: number[] = [];
  const onprogress = ({ progress }: { progress: number }): void => void seen.push(progress);
  await client.callTool({ name: 'fixture__test_tool_with_progress', arguments: {} }, undefined, { ...patience, onprogress });
  assert.deepEqual(seen, [0, 50, 100]);
  await client.callTool({ name: 'everything__trigger-long-running-operation', arguments: { duration: 0.4, steps: 2 } }, undefined, { ...patience, onprogress });
  assert.deepEqual(seen.slice(3), [1, 2]);
  await client.setLoggingLevel('debug');
  await client.callTool({ name: 'fixture__test_tool_with_logging', arguments: {} });
  assert.ok(logged.includes('Tool processing data'));
  await client.close();
  const other = await modernClient(newer);
  const modernly: number[] = [];
  const counted = { ...patience, onprogress: ({ progress }: { progress: number }): void => void modernly.push(progress) };
  await Promise.all([
    other.callTool({ name: 'modern__count', arguments: {} }, counted),
    other.callTool({ name: 'fixture__test_tool_with_progress', arguments: {} }, counted),
  ]);
  assert.deepEqual(modernly.sort((left, right) => left - right), [0, 1, 2, 3, 50, 100]);
  await other.close();
});

test('a call is cancelled at its server, and its session goes on', async () => {
  const client = await legacyClient();
  const controller = new AbortController();
  const call = client.callTool({ name: 'everything__trigger-long-running-operation', arguments: { duration: 60, steps: 60 } }, undefined, {
    ...patience,
    signal: controller.signal,
    onprogress: () => controller.abort(),
  });
  await assert.rejects(call, /abort/i);
  await gateway.rowsLike((row) => row['method'] === 'notifications/cancelled' && row['server'] === 'everything' && row['dir'] === 'c2s');
  assert.equal(text(await client.callTool({ name: 'everything__echo', arguments: { message: 'still' } })), 'Echo: still');
  await client.close();
});

test('one subscription hears of the changes at every server', async () => {
  const stream = await modern(gateway, 'sub', 'subscriptions/listen', { notifications: { toolsListChanged: true, promptsListChanged: true } });
  assert.equal(stream.status, 200);
  const acknowledged = await stream.next((message) => message.method !== undefined);
  assert.equal(acknowledged.method, 'notifications/subscriptions/acknowledged');
  assert.deepEqual(acknowledged.params.notifications, { toolsListChanged: true, promptsListChanged: true });
  assert.equal(acknowledged.params._meta['io.modelcontextprotocol/subscriptionId'], 'sub');
  await modernly(gateway, 1, 'tools/call', { name: 'fixture__test_trigger_prompt_change', arguments: {} });
  await modernly(gateway, 2, 'tools/call', { name: 'modern__grow', arguments: {} });
  for (const method of ['notifications/prompts/list_changed', 'notifications/tools/list_changed']) {
    const told = await stream.next((message) => message.method === method);
    assert.equal(told.params._meta['io.modelcontextprotocol/subscriptionId'], 'sub');
  }
  assert.equal(stream.messages.filter((message) => message.method === 'notifications/subscriptions/acknowledged').length, 1);
  const listed = await modernly(gateway, 3, 'tools/list');
  assert.ok(listed.messages[0].result.tools.some((tool: { name: string }) => tool.name === 'modern__grown'));
  stream.leave();
  await gateway.rowsLike((row) => row['method'] === 'notifications/cancelled' && ['modern', 'fixture'].includes(String(row['server'])), 2);
});

test('what the policy denies by server and tool is hidden and denied, and rows carry the server of each call', async () => {
  const client = await legacyClient();
  const { tools } = await client.listTools();
  const own = tools.map(({ name }) => name).filter((name) => name.startsWith('memory__'));
  assert.ok(own.includes('memory__create_entities'));
  assert.ok(!own.some((name) => name.startsWith('memory__delete_')));
  await assert.rejects(client.callTool({ name: 'memory__delete_entities', arguments: { entityNames: [] } }), { code: -32001 });
  await assert.rejects(client.callTool({ name: 'nobody__here', arguments: {} }), { code: -32001 });
  await client.close();
  const [denied] = await gateway.rowsLike((row) => row['code'] === 'TOOL_DENIED');
  assert.deepEqual([denied?.['server'], denied?.['kind'], denied?.['rule']], ['memory', 'call', 'deny_tools[0]']);
  const [nowhere] = await gateway.rowsLike((row) => row['code'] === 'TOOL_NOT_LISTED');
  assert.deepEqual([nowhere?.['server'], nowhere?.['decision']], ['gateway', 'deny']);
  const servers = new Set(gateway.rows().filter((row) => row['kind'] === 'call' && row['decision'] === 'allow').map((row) => row['server']));
  for (const server of ['everything', 'memory', 'modern', 'fixture']) assert.ok(servers.has(server), server);
});

test('clients of the transport of 2024-11-05 see all servers as one too', async () => {
  const client = new Client({ name: 'test', version: '1' });
  const transport: Transport = new SSEClientTransport(at('/sse'));
  await client.connect(transport);
  const { tools } = await client.listTools();
  assert.deepEqual(prefixes(tools.map(({ name }) => name)), ['everything', 'memory', 'modern', 'paging', 'fixture']);
  assert.equal(text(await client.callTool({ name: 'everything__echo', arguments: { message: 'old' } })), 'Echo: old');
  await client.close();
});

test('each server keeps a path of its own beside, with its own names', async () => {
  const client = await legacyClient('/mcp/memory');
  assert.equal(client.getServerVersion()?.name, 'memory-server');
  const { tools } = await client.listTools();
  assert.ok(tools.some(({ name }) => name === 'read_graph'));
  assert.match(text(await client.callTool({ name: 'read_graph', arguments: {} })), /entities/);
  await client.close();
});

test('dead and mute servers do not stop the others, and standard error says who is left off', async () => {
  const crippled = await start({
    dead: { command: [process.execPath, '-e', 'process.exit(1)'] },
    absent: { command: [join(scratch(), 'no-such-program')] },
    mute: { command: [process.execPath, '-e', 'setInterval(() => undefined, 1e6)'] },
    gone: { url: 'http://127.0.0.1:9/mcp', allow_private: true },
    paging: { command: peer('paging-server.ts') },
  });
  const session = await Session.open(crippled);
  assert.equal(session.opened.messages[0].result.serverInfo.name, 'mcp-bastion');
  const began = Date.now();
  const listed = await session.ask(1, 'tools/list');
  assert.ok(Date.now() - began < 8000, 'nobody waits for the dead any more');
  assert.match(listed.result.tools[0].name, /^paging__paging_tool_0_[0-9a-f]{8}$/);
  assert.equal((await session.call(2, listed.result.tools[0].name)).result.content[0].text, 'called paging/tool.0');
  for (const name of ['dead', 'absent', 'mute', 'gone']) assert.match(crippled.stderr, new RegExp(`left off the common endpoint: ${name}`));
  assert.equal((await session.call(3, 'mute__anything')).error.data.code, 'UPSTREAM_UNREACHABLE');
  assert.equal((await session.end()).status, 200);
  assert.equal(await crippled.close(), 0);
});

test('where no server answers, the client is told, and there is no session', async () => {
  const dead = { command: [process.execPath, '-e', 'process.exit(1)'] };
  const none = await start({ one: dead, two: dead });
  const answer = await Session.initialize(none);
  assert.equal(answer.messages[0].error.data.code, 'UPSTREAM_GONE');
  assert.equal(answer.headers['mcp-session-id'], undefined);
  await none.close();
});

test('a server that ends in the middle is started again, and the session goes on', async () => {
  const file = join(scratch(), 'memory.jsonl');
  const two = await start({ memory: { command: memory(), env: { MEMORY_FILE_PATH: file } }, paging: { command: peer('paging-server.ts') } });
  const session = await Session.open(two);
  const entities = [{ name: 'Ann', entityType: 'person', observations: [] }];
  assert.equal((await session.call(1, 'memory__create_entities', { entities })).result.isError, undefined);
  const servers = childrenOf(two.process.pid ?? 0).flatMap((child) => [child, ...childrenOf(child)]);
  for (const child of servers) if (readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('server-memory')) process.kill(child, 'SIGKILL');
  await two.says(/memory ended; it is started again when it is needed/);
  // It is not started again at once.
  await delay(AGGREGATE_RESTART_MS + 200);
  assert.match((await session.call(2, 'memory__read_graph')).result.content[0].text, /Ann/);
  await two.close();
});

test('the gateway ends with all its servers', async () => {
  assert.equal(await gateway.close(), 0);
});
