// SPDX-License-Identifier: Apache-2.0
/**
 * Real clients talk to real servers twice, directly and through the gateway with an allow-all policy, and say and hear
 * the same: message for message at the client, and at the server but for the gateway's own listing.
 */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { Client as ClientV2 } from '@modelcontextprotocol/client';
import { StdioClientTransport as StdioV2 } from '@modelcontextprotocol/client/stdio';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as StdioV1 } from '@modelcontextprotocol/sdk/client/stdio.js';
import { CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { gatewayed, messages, recorded } from '../harness/conversation.ts';
import { ALLOW_ALL, command, root, scratch } from '../harness/gateway.ts';
import { everything, filesystem, memory } from '../harness/servers.ts';

type Talk = (argv: readonly string[], folder: string) => Promise<void>;

const open = new Set<{ close(): Promise<void> }>();
// A talk that failed half-way leaves its client behind, which would keep the run alive.
after(async () => {
  for (const client of open) await client.close();
});

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

function parameters(argv: readonly string[]) {
  const [program = '', ...args] = argv;
  return { command: program, args, stderr: 'ignore' as const };
}

interface Progress {
  readonly onprogress?: () => void;
  readonly signal?: AbortSignal;
}

/** What both generations of clients can do, under one set of names. */
interface Peer {
  readonly client: ClientV1 | ClientV2;
  call(name: string, args?: Record<string, unknown>, options?: Progress): Promise<unknown>;
}

const sampled = { role: 'assistant' as const, model: 'm', content: { type: 'text' as const, text: 'sampled' } };
const elicited = { action: 'accept' as const, content: { name: 'Ada', check: true } };
const roots = { roots: [{ uri: 'file:///tmp', name: 'tmp' }] };
const capabilities = { sampling: {}, elicitation: { form: {}, url: {} }, roots: { listChanged: true } };

type Connect = (argv: readonly string[]) => Promise<Peer>;

/** A client of sdk 1.x with every capability, its requests answered the same way each time. */
const v1: Connect = async (argv) => {
  const client = new ClientV1({ name: 'v1', version: '1' }, { capabilities });
  client.setRequestHandler(CreateMessageRequestSchema, () => sampled);
  client.setRequestHandler(ElicitRequestSchema, () => elicited);
  client.setRequestHandler(ListRootsRequestSchema, () => roots);
  open.add(client);
  await client.connect(new StdioV1(parameters(argv)));
  return { client, call: (name, args = {}, options = {}) => client.callTool({ name, arguments: args }, undefined, options) };
};

/** The same of sdk 2.x, which asks for the newest revision first. */
const v2Auto: Connect = async (argv) => {
  const client = new ClientV2({ name: 'v2', version: '1' }, { capabilities, versionNegotiation: { mode: 'auto' } });
  client.setRequestHandler('sampling/createMessage', () => sampled);
  client.setRequestHandler('elicitation/create', () => elicited);
  client.setRequestHandler('roots/list', () => roots);
  open.add(client);
  await client.connect(new StdioV2(parameters(argv)));
  return { client, call: (name, args = {}, options = {}) => client.callTool({ name, arguments: args }, options) };
};

async function attempt(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch {
    // An error is an answer too; it is on the record.
  }
}

const everythingTalk = (connect: Connect): Talk => async (argv) => {
  const peer = await connect(argv);
  const { client } = peer;
  await pause(700);
  const tools = await client.listTools();
  await client.listPrompts();
  await client.listResources();
  await client.listResourceTemplates();
  const call = (name: string, args?: Record<string, unknown>): Promise<void> => attempt(() => peer.call(name, args));
  await call('echo', { message: 'h\u00e9llo \u2028 "quoted" \\ \n' });
  await call('get-sum', { a: 1.5, b: -2 });
  await call('get-annotated-message', { messageType: 'error', includeImage: true });
  await call('get-tiny-image');
  await call('get-resource-links', { count: 2 });
  await call('get-resource-reference', { resourceType: 'Blob', resourceId: 3 });
  await call('get-structured-content', { location: 'Chicago' });
  await call('no-such-tool');
  await call('get-sum', { a: 'one' });
  await call('trigger-sampling-request', { prompt: 'p', maxTokens: 10 });
  await call('trigger-elicitation-request');
  await call('get-roots-list');
  let progress = 0;
  await peer.call('trigger-long-running-operation', { duration: 0.4, steps: 4 }, { onprogress: () => (progress += 1) });
  assert.ok(progress >= 3);
  await client.getPrompt({ name: 'simple-prompt' });
  await attempt(() => client.getPrompt({ name: 'args-prompt', arguments: { city: 'Paris' } }));
  await attempt(() => client.complete({ ref: { type: 'ref/prompt', name: 'completable-prompt' }, argument: { name: 'department', value: 'E' } }));
  await attempt(() => client.readResource({ uri: 'demo://resource/dynamic/text/1' }));
  await attempt(() => client.readResource({ uri: 'demo://resource/none' }));
  await client.subscribeResource({ uri: 'demo://resource/dynamic/text/1' });
  await client.unsubscribeResource({ uri: 'demo://resource/dynamic/text/1' });
  await client.setLoggingLevel('debug');
  await client.ping();
  await client.sendRootsListChanged();
  await pause(300);
  const cancelled = new AbortController();
  const slow = peer.call('trigger-long-running-operation', { duration: 5, steps: 1 }, { signal: cancelled.signal });
  setTimeout(() => cancelled.abort('enough'), 200);
  await attempt(() => slow);
  assert.ok(tools.tools.length >= 13);
  await client.close();
};

const filesystemTalk = (connect: Connect): Talk => async (argv, folder) => {
  const peer = await connect(argv);
  await pause(500);
  const call = (name: string, args: Record<string, unknown>): Promise<void> => attempt(() => peer.call(name, args));
  await peer.client.listTools();
  await call('write_file', { path: join(folder, 'a.txt'), content: 'one\ntwo\n' });
  await call('read_text_file', { path: join(folder, 'a.txt') });
  await call('edit_file', { path: join(folder, 'a.txt'), edits: [{ oldText: 'two', newText: 'three' }], dryRun: true });
  await call('list_directory', { path: folder });
  await call('search_files', { path: folder, pattern: '*.txt' });
  await call('read_text_file', { path: '/etc/passwd' });
  await peer.client.close();
};

const memoryTalk = (connect: Connect): Talk => async (argv) => {
  const peer = await connect(argv);
  const call = (name: string, args: Record<string, unknown>): Promise<void> => attempt(() => peer.call(name, args));
  await peer.client.listTools();
  await call('create_entities', { entities: [{ name: 'Ada', entityType: 'person', observations: ['likes engines'] }] });
  await call('create_relations', { relations: [{ from: 'Ada', to: 'Ada', relationType: 'is' }] });
  await call('search_nodes', { query: 'engines' });
  await call('delete_entities', { entityNames: ['Ada'] });
  await peer.client.close();
};

function v2(mode: 'legacy' | 'modern'): Talk {
  return async (argv) => {
    const versionNegotiation = { mode: mode === 'legacy' ? ('legacy' as const) : { pin: '2026-07-28' } };
    const client = new ClientV2({ name: 'v2', version: '1' }, { capabilities: { elicitation: { form: {} } }, versionNegotiation });
    open.add(client);
    client.setRequestHandler('elicitation/create', () => ({ action: 'accept', content: { confirm: true } }));
    await client.connect(new StdioV2(parameters(argv)));
    const call = (name: string, args: Record<string, unknown> = {}): Promise<void> => attempt(() => client.callTool({ name, arguments: args }));
    await client.listTools();
    await call('add', { a: 1, b: 2 });
    await call('fail');
    await attempt(() => client.callTool({ name: 'count', arguments: {} }, { onprogress: () => undefined }));
    await call('deploy', { env: 'test' });
    await call('none');
    await client.listPrompts();
    await attempt(() => client.getPrompt({ name: 'greet', arguments: { name: 'Ada' } }));
    await client.listResources();
    await client.readResource({ uri: 'test://note' });
    await attempt(() => client.readResource({ uri: 'test://none' }));
    await call('grow');
    await pause(200);
    await client.listTools();
    await call('grown');
    await client.close();
  };
}

const modern = [process.execPath, join(root, 'test', 'peers', 'modern-server.ts')];
const pairs: readonly { readonly name: string; readonly server: (folder: string) => string[]; readonly talk: Talk }[] = [
  { name: 'client of sdk 1.x and server-everything', server: everything, talk: everythingTalk(v1) },
  { name: 'client of sdk 1.x and server-filesystem', server: filesystem, talk: filesystemTalk(v1) },
  { name: 'client of sdk 1.x and server-memory', server: memory, talk: memoryTalk(v1) },
  { name: 'client of sdk 2.x and server-everything', server: everything, talk: everythingTalk(v2Auto) },
  { name: 'client of sdk 2.x and server-filesystem', server: filesystem, talk: filesystemTalk(v2Auto) },
  { name: 'client of sdk 2.x and server-memory', server: memory, talk: memoryTalk(v2Auto) },
  { name: 'client of sdk 2.x at 2025-11-25 and a server of both eras', server: () => modern, talk: v2('legacy') },
  { name: 'client of sdk 2.x at 2026-07-28 and a server of both eras', server: () => modern, talk: v2('modern') },
];

/** Messages that do not answer each other can cross: they are compared as they are, in any order. */
function unordered(lines: readonly string[]): string[] {
  return [...lines].sort();
}

for (const { name, server, talk } of pairs) {
  test(`${name}: the client says and hears the same with and without the gateway, and so does the server`, async () => {
    const folder = scratch();
    const files = join(folder, 'files');
    mkdirSync(files);
    writeFileSync(join(folder, 'policy.yaml'), ALLOW_ALL);
    const direct = join(folder, 'direct.log');
    const through = join(folder, 'through.log');
    await talk(recorded(direct, server(files)), files);
    const behind = join(folder, 'behind.log');
    const wrapped = gatewayed(join(folder, 'policy.yaml'), join(folder, 'state'), recorded(behind, server(files)));
    await talk(recorded(through, wrapped), files);
    for (const direction of ['>', '<'] as const) {
      const [atClient, expected] = [through, direct].map((file) => unordered(messages(file, direction, 'with listings')));
      assert.deepEqual(atClient, expected, `at the client ${direction}`);
      const [atServer, sent] = [behind, direct].map((file) => unordered(messages(file, direction, 'without listings')));
      assert.deepEqual(atServer, sent, `at the server ${direction}`);
    }
    const verified = command(['inspect-log', join(folder, 'state', 'audit'), '--verify', '--state', join(folder, 'state')]);
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
  });
}

test('a client of sdk 2.x that negotiates by itself ends up at the same revision with and without the gateway', async () => {
  const folder = scratch();
  writeFileSync(join(folder, 'policy.yaml'), ALLOW_ALL);
  for (const target of [modern, memory()]) {
    const versions: (string | undefined)[] = [];
    for (const argv of [target, gatewayed(join(folder, 'policy.yaml'), join(folder, 'state'), target)]) {
      const client = new ClientV2({ name: 'v2', version: '1' }, { versionNegotiation: { mode: 'auto' } });
      open.add(client);
      await client.connect(new StdioV2(parameters(argv)));
      versions.push(client.getNegotiatedProtocolVersion());
      await client.listTools();
      await client.close();
    }
    assert.equal(versions[0], versions[1]);
  }
});
