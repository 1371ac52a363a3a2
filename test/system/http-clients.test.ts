// SPDX-License-Identifier: Apache-2.0
/**
 * Real clients over HTTP, with real servers behind: what each of them sees through the gateway is what it sees without
 * it. The servers speak Streamable HTTP, the older transport with events, and stdio.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { after, suite } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Client as ClientV2, SSEClientTransport as SseV2, StreamableHTTPClientTransport as HttpV2 } from '@modelcontextprotocol/client';
import { StdioClientTransport as StdioV2 } from '@modelcontextprotocol/client/stdio';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport as SseV1 } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport as StdioV1 } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport as HttpV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { ALLOW_ALL, command, launcher, scratch } from '../harness/gateway.ts';
import { HttpGateway } from '../harness/http.ts';
import { bothEras, everythingOver, inspector, isolated, mcpRemote, mcporter, run } from '../harness/peers.ts';
import type { Finished } from '../harness/peers.ts';
import { everything } from '../harness/servers.ts';

/** Where a client finds a server. */
type Place = { readonly http: string } | { readonly sse: string } | { readonly argv: readonly string[] };

interface Options {
  readonly onprogress?: (progress: { readonly progress: number }) => void;
  readonly signal?: AbortSignal;
}

/** What both generations of clients can do, under one set of names. */
interface Peer {
  readonly client: ClientV1 | ClientV2;
  readonly call: (name: string, args?: Record<string, unknown>, options?: Options) => Promise<unknown>;
}

type Connect = (place: Place) => Promise<Peer>;

const open = new Set<{ close(): Promise<void> }>();
after(async () => {
  for (const client of open) await client.close();
});

const capabilities = { sampling: {}, elicitation: { form: {}, url: {} }, roots: { listChanged: true } };
const sampled = { role: 'assistant' as const, model: 'm', content: { type: 'text' as const, text: 'sampled' } };
const elicited = { action: 'accept' as const, content: { name: 'Ada', check: true } };
const roots = { roots: [{ uri: 'file:///tmp', name: 'tmp' }] };

function parameters([program = '', ...args]: readonly string[]) {
  return { command: program, args, env: isolated(), stderr: 'ignore' as const };
}

function transportV1(place: Place) {
  if ('http' in place) return new HttpV1(new URL(place.http));
  return 'sse' in place ? new SseV1(new URL(place.sse)) : new StdioV1(parameters(place.argv));
}

function transportV2(place: Place) {
  if ('http' in place) return new HttpV2(new URL(place.http));
  return 'sse' in place ? new SseV2(new URL(place.sse)) : new StdioV2(parameters(place.argv));
}

const v1: Connect = async (place) => {
  const client = new ClientV1({ name: 'v1', version: '1' }, { capabilities });
  client.setRequestHandler(CreateMessageRequestSchema, () => sampled);
  client.setRequestHandler(ElicitRequestSchema, () => elicited);
  client.setRequestHandler(ListRootsRequestSchema, () => roots);
  open.add(client);
  await client.connect(transportV1(place));
  return { client, call: (name, args = {}, options = {}) => client.callTool({ name, arguments: args }, undefined, options) };
};

const v2: Connect = async (place) => {
  const client = new ClientV2({ name: 'v2', version: '1' }, { capabilities, versionNegotiation: { mode: 'auto' } });
  client.setRequestHandler('sampling/createMessage', () => sampled);
  client.setRequestHandler('elicitation/create', () => elicited);
  client.setRequestHandler('roots/list', () => roots);
  open.add(client);
  await client.connect(transportV2(place));
  return { client, call: (name, args = {}, options = {}) => client.callTool({ name, arguments: args }, options) };
};

const clients = { 'sdk 1.x': v1, 'sdk 2.x': v2 } as const;

/** What may differ from run to run. */
function settled(text: string): string {
  return text
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replaceAll(/\d{1,2}:\d\d:\d\d( [AP]M)?/g, 'TIME')
    .replaceAll(/"blob":"([^"]*)"/g, (_all, blob: string) => `"blob":${JSON.stringify(settled(Buffer.from(blob, 'base64').toString('latin1')))}`)
    .replaceAll(/"nextCursor":"[^"]+"/g, '"nextCursor":"CURSOR"');
}

type Saw = readonly [what: string, answer: unknown];

/** Does one thing after the other and notes what came of each. */
class Notes {
  readonly saw: Saw[] = [];

  async note(what: string, work: () => Promise<unknown>): Promise<void> {
    let answer: unknown;
    try {
      answer = await work();
    } catch (error) {
      answer = { thrown: error instanceof Error ? error.message : String(error) };
    }
    this.saw.push([what, JSON.parse(settled(JSON.stringify(answer ?? null)))]);
  }
}

async function talkToEverything(connect: Connect, place: Place): Promise<readonly Saw[]> {
  const notes = new Notes();
  const { client, call } = await connect(place);
  await delay(500);
  await notes.note('version', async () => client.getServerVersion());
  await notes.note('capabilities', async () => client.getServerCapabilities());
  await notes.note('tools', () => client.listTools());
  await notes.note('prompts', () => client.listPrompts());
  await notes.note('resources', () => client.listResources());
  await notes.note('templates', () => client.listResourceTemplates());
  await notes.note('echo', () => call('echo', { message: 'h\u00e9llo \u2028 "quoted" \\ \n' }));
  await notes.note('sum', () => call('get-sum', { a: 1.5, b: -2 }));
  await notes.note('image', () => call('get-tiny-image'));
  await notes.note('structured', () => call('get-structured-content', { location: 'Chicago' }));
  await notes.note('reference', () => call('get-resource-reference', { resourceType: 'Blob', resourceId: 3 }));
  await notes.note('no such tool', () => call('no-such-tool'));
  await notes.note('bad arguments', () => call('get-sum', { a: 'one' }));
  await notes.note('sampling', () => call('trigger-sampling-request', { prompt: 'p', maxTokens: 10 }));
  await notes.note('elicitation', () => call('trigger-elicitation-request'));
  await notes.note('roots', () => call('get-roots-list'));
  const progress: number[] = [];
  await notes.note('progress', () => call('trigger-long-running-operation', { duration: 0.6, steps: 3 }, { onprogress: (step) => progress.push(step.progress) }));
  // The server does not wait for its last step before it answers, and clients take no step after the answer.
  await notes.note('steps', async () => progress.slice(0, 2));
  await notes.note('prompt', () => client.getPrompt({ name: 'args-prompt', arguments: { city: 'Paris' } }));
  await notes.note('completion', () => client.complete({ ref: { type: 'ref/prompt', name: 'completable-prompt' }, argument: { name: 'department', value: 'E' } }));
  await notes.note('resource', () => client.readResource({ uri: 'demo://resource/dynamic/text/1' }));
  await notes.note('no such resource', () => client.readResource({ uri: 'demo://resource/none' }));
  await notes.note('subscribe', () => client.subscribeResource({ uri: 'demo://resource/dynamic/text/1' }));
  await notes.note('unsubscribe', () => client.unsubscribeResource({ uri: 'demo://resource/dynamic/text/1' }));
  await notes.note('level', () => client.setLoggingLevel('debug'));
  const cancelled = new AbortController();
  const slow = call('trigger-long-running-operation', { duration: 3, steps: 1 }, { signal: cancelled.signal });
  setTimeout(() => cancelled.abort('enough'), 300);
  await notes.note('cancelled', () => slow);
  await notes.note('after it', () => call('echo', { message: 'still there' }));
  await notes.note('ping', () => client.ping());
  await client.close();
  return notes.saw;
}

async function talkToBothEras(connect: Connect, place: Place): Promise<readonly Saw[]> {
  const notes = new Notes();
  const { client, call } = await connect(place);
  if (client instanceof ClientV2) await notes.note('revision', async () => client.getNegotiatedProtocolVersion());
  await notes.note('tools', () => client.listTools());
  await notes.note('text', () => call('test_simple_text'));
  await notes.note('error', () => call('test_error_handling'));
  const progress: number[] = [];
  await notes.note('progress', () => call('test_tool_with_progress', {}, { onprogress: (step) => progress.push(step.progress) }));
  await notes.note('steps', async () => progress);
  await notes.note('elicitation', () => call('test_elicitation', { message: 'who?' }));
  await notes.note('input', () => call('test_input_required_result_multi_round'));
  await notes.note('prompts', () => client.listPrompts());
  await notes.note('prompt', () => client.getPrompt({ name: 'test_simple_prompt' }));
  await notes.note('resource', () => client.readResource({ uri: 'test://static-text' }));
  await notes.note('no such resource', () => client.readResource({ uri: 'test://none' }));
  await client.close();
  return notes.saw;
}

function verified(gateway: HttpGateway): void {
  const report = command(['inspect-log', gateway.auditDir, '--verify', '--state', join(gateway.folder, 'state')]);
  assert.equal(report.code, 0, report.stdout + report.stderr);
}

/** A gateway on stdio in front of a server over HTTP. */
function onStdio(url: string, folder: string, args: readonly string[] = []): string[] {
  const policy = join(folder, 'policy.yaml');
  writeFileSync(policy, ALLOW_ALL);
  const up = ['up', '--policy', policy, '--state', join(folder, 'state'), '--name', 'peer', ...args];
  return [process.execPath, launcher, ...up, '--upstream-url', url, '--allow-private'];
}

suite('the reference server', { concurrency: false }, () => {
  const servers: readonly { readonly name: string; readonly start: () => Promise<{ place: Place; gateway: HttpGateway }> }[] = [
    {
      name: 'over Streamable HTTP',
      start: async () => {
        const http = await everythingOver('streamableHttp');
        return { place: { http }, gateway: await HttpGateway.open({ upstream: http }) };
      },
    },
    {
      name: 'over the older transport with events',
      start: async () => {
        const sse = await everythingOver('sse');
        return { place: { sse }, gateway: await HttpGateway.open({ upstream: sse, args: ['--transport', 'sse'] }) };
      },
    },
    {
      name: 'on stdio',
      start: async () => ({ place: { argv: everything() }, gateway: await HttpGateway.open({ server: everything() }) }),
    },
  ];
  for (const { name, start } of servers) {
    test(`${name}: clients see the same through the gateway, over either HTTP transport`, async () => {
      const { place, gateway } = await start();
      for (const [version, connect] of Object.entries(clients)) {
        const direct = await talkToEverything(connect, place);
        const through = await talkToEverything(connect, { http: `http://127.0.0.1:${gateway.port}/mcp` });
        assert.deepEqual(through, direct, version);
        const older = await talkToEverything(connect, { sse: `http://127.0.0.1:${gateway.port}/sse` });
        assert.deepEqual(older, direct, `${version} over events`);
      }
      assert.equal(await gateway.close(), 0);
      verified(gateway);
    });
  }
});

test('clients on stdio see the same of a server over HTTP through the gateway, over either of its transports', async () => {
  for (const transport of ['streamableHttp', 'sse'] as const) {
    const url = await everythingOver(transport);
    for (const [version, connect] of Object.entries(clients)) {
      const folder = scratch();
      const direct = await talkToEverything(connect, transport === 'sse' ? { sse: url } : { http: url });
      const argv = onStdio(url, folder, transport === 'sse' ? ['--transport', 'sse'] : []);
      assert.deepEqual(await talkToEverything(connect, { argv }), direct, `${version} and ${transport}`);
      const report = command(['inspect-log', join(folder, 'state', 'audit'), '--verify', '--state', join(folder, 'state')]);
      assert.equal(report.code, 0, report.stdout + report.stderr);
    }
  }
});

test('clients of both generations find the era of a server of both eras, and see the same of it', async () => {
  const http = await bothEras();
  const gateway = await HttpGateway.open({ upstream: http });
  for (const [version, connect] of Object.entries(clients)) {
    const direct = await talkToBothEras(connect, { http });
    assert.deepEqual(await talkToBothEras(connect, { http: `http://127.0.0.1:${gateway.port}/mcp` }), direct, version);
    assert.deepEqual(await talkToBothEras(connect, { argv: onStdio(http, scratch()) }), direct, `${version} on stdio`);
    const revision = direct.find(([what]) => what === 'revision')?.[1];
    assert.equal(revision, connect === v2 ? '2026-07-28' : undefined);
  }
  assert.equal(await gateway.close(), 0);
  verified(gateway);
});

test('mcp-remote brings a client on stdio to the gateway and sees the same as without it', async () => {
  const http = await everythingOver('streamableHttp');
  const gateway = await HttpGateway.open({ upstream: http });
  const direct = await talkToEverything(v1, { argv: mcpRemote(http) });
  const through = await talkToEverything(v1, { argv: mcpRemote(`http://127.0.0.1:${gateway.port}/mcp`) });
  assert.deepEqual(through, direct);
  assert.equal(await gateway.close(), 0);
  verified(gateway);
});

/** Arguments of a command line that asks one thing of a server at some URL. */
type Question = (url: string) => readonly string[];

/** What a command printed; of one that failed, its complaints too. */
function printed({ code, stdout, stderr }: Finished, url: string): string {
  const text = settled(code === 0 ? stdout : stdout + stderr).replaceAll(url, 'URL').replaceAll(new URL(url).host, 'HOST');
  return text.replaceAll(/"durationMs": ?\d+/g, '"durationMs":0');
}

/** Asks the same of a server directly and through the gateway; both have to end and to print the same. */
async function sameOutput(peer: readonly string[], questions: Readonly<Record<string, Question>>, urls: { direct: string; through: string }): Promise<void> {
  for (const [name, question] of Object.entries(questions)) {
    const direct = await run(peer, question(urls.direct));
    const through = await run(peer, question(urls.through));
    assert.equal(through.code, direct.code, `${name}: ${through.stderr}`);
    assert.equal(printed(through, urls.through), printed(direct, urls.direct), name);
    assert.notEqual(printed(direct, urls.direct), '', name);
  }
}

test('the command line of the MCP inspector prints the same, at either era', async () => {
  const http = await everythingOver('streamableHttp');
  const both = await bothEras();
  const [gateway, second] = await Promise.all([HttpGateway.open({ upstream: http }), HttpGateway.open({ upstream: both })]);
  const ask = (method: string, ...more: readonly string[]): Question => (url) => [url, '--transport', 'http', '--format', 'json', '--method', method, ...more];
  await sameOutput(
    inspector,
    {
      tools: ask('tools/list'),
      call: ask('tools/call', '--tool-name', 'get-sum', '--tool-arg', 'a=2', 'b=3'),
      'failing call': ask('tools/call', '--tool-name', 'no-such-tool'),
      resources: ask('resources/list'),
      resource: ask('resources/read', '--uri', 'demo://resource/dynamic/text/1'),
      prompt: ask('prompts/get', '--prompt-name', 'args-prompt', '--prompt-args', 'city=Paris'),
    },
    { direct: http, through: `http://127.0.0.1:${gateway.port}/mcp` },
  );
  const modern = (method: string, ...more: readonly string[]): Question => ask(method, '--protocol-era', 'modern', ...more);
  await sameOutput(
    inspector,
    {
      'modern tools': modern('tools/list'),
      'modern call': modern('tools/call', '--tool-name', 'test_simple_text'),
      'modern resource': modern('resources/read', '--uri', 'test://static-text'),
    },
    { direct: both, through: `http://127.0.0.1:${second.port}/mcp` },
  );
  assert.deepEqual([await gateway.close(), await second.close()], [0, 0]);
});

test('mcporter lists, calls and reads the same', async () => {
  const http = await everythingOver('streamableHttp');
  const gateway = await HttpGateway.open({ upstream: http });
  const file = join(scratch(), 'mcporter.json');
  const at = (url: string): readonly string[] => {
    writeFileSync(file, JSON.stringify({ mcpServers: { peer: { url } } }));
    return ['--config', file];
  };
  const call = (tool: string, args: object): Question => (url) => [...at(url), 'call', `peer.${tool}`, '--output', 'json', '--args', JSON.stringify(args)];
  await sameOutput(
    mcporter,
    {
      list: (url) => [...at(url), 'list', 'peer', '--json'],
      call: call('get-sum', { a: 2, b: 3 }),
      'failing call': call('get-sum', { a: 'one' }),
      'long call': call('trigger-long-running-operation', { duration: 1, steps: 2 }),
      resource: (url) => [...at(url), 'resource', 'peer', 'demo://resource/dynamic/text/1'],
    },
    { direct: http, through: `http://127.0.0.1:${gateway.port}/mcp` },
  );
  assert.equal(await gateway.close(), 0);
  verified(gateway);
});
