// SPDX-License-Identifier: Apache-2.0
/**
 * Failures that proxies were reported for, in what they carry: quiet streams, cancellation, changes, progress, pages, size
 * and sessions, for servers on stdio and over HTTP that answer with events or with JSON (mcp.md section 10).
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { createInterface } from 'node:readline';
import test, { after } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Wire } from '../harness/gateway.ts';
import { ALLOW_ALL } from '../harness/gateway.ts';
import type { Answer } from '../harness/http.ts';
import { HttpGateway } from '../harness/http.ts';
import { call, metaOf, modern, modernly, request, Session } from '../harness/http-clients.ts';
import type { Hit } from '../harness/http-upstream.ts';
import { event, isModern, MODERN, notice, stream, tool, Upstream } from '../harness/http-upstream.ts';

type Kind = 'stdio' | 'events' | 'json';
const KINDS: readonly Kind[] = ['stdio', 'events', 'json'];
const ERAS = ['legacy', 'modern'] as const;

/** One message that reached the server, and what the server can say because of it. */
interface Reached {
  readonly message: Wire;
  /** Names the conversation at the server. */
  readonly session: string;
  /** Says something on the way to the answer. */
  say(message: object): void;
  answer(result: object): void;
  /** Answers in pieces of these sizes. */
  answerIn(result: object, pieces: (bytes: Buffer) => readonly Buffer[]): Promise<void>;
  /** How the response ended; never on stdio. */
  readonly over: Promise<'whole' | 'cut'>;
}

const LISTS = { 'tools/list': 'tools', 'prompts/list': 'prompts', 'resources/list': 'resources', 'resources/templates/list': 'resourceTemplates' };
/** What a cursor may be made of: it is the server's own, and opaque. */
const CURSORS = ['the first', '', '/+="\\ ü✓', 'A'.repeat(600)];
const CAPABILITIES = { tools: { listChanged: true }, prompts: { listChanged: true }, resources: { listChanged: true, subscribe: true } };
const CHANGES = ['notifications/tools/list_changed', 'notifications/prompts/list_changed', 'notifications/resources/list_changed'];

/** Two entries a page; all tools of the second page are such as the policy hides. */
function page(method: string, cursor: string | undefined): object {
  const at = cursor === undefined ? 0 : CURSORS.indexOf(cursor);
  const names = [1, 2].map((nr) => `${at === 1 ? 'hidden' : 'shown'}_${at}_${nr}`);
  const entries: Record<string, (name: string) => object> = {
    'tools/list': (name) => tool(name),
    'prompts/list': (name) => ({ name }),
    'resources/list': (name) => ({ name, uri: `test://${name}` }),
    'resources/templates/list': (name) => ({ name, uriTemplate: `test://${name}/{x}` }),
  };
  const listed = Object.entries(LISTS).find(([name]) => name === method)?.[1] ?? '';
  const next = CURSORS[at + 1];
  return { [listed]: names.map(entries[method] ?? assert.fail), ...(next === undefined ? {} : { nextCursor: next }), ttlMs: 0, cacheScope: 'private' };
}

function results(message: Wire): object | null {
  if (message.method in LISTS) return page(message.method, message.params?.cursor);
  if (message.method === 'initialize') return { protocolVersion: message.params.protocolVersion, capabilities: CAPABILITIES, serverInfo: { name: 's', version: '1' } };
  if (message.method === 'server/discover') return { supportedVersions: [MODERN], capabilities: CAPABILITIES, ttlMs: 0, cacheScope: 'private' };
  return message.id === undefined || message.method === undefined ? null : {};
}

const answerTo = (message: Wire, result: object): object => ({ jsonrpc: '2.0', id: message.id, result: isModern(message) ? { resultType: 'complete', ...result } : result });
const text = (content: string): object => ({ content: [{ type: 'text', text: content }] });

/** A server of both eras whose side is within this process, on stdio too: its process there only passes bytes on. */
class Server {
  readonly kind: Kind;
  readonly reached: Reached[] = [];
  readonly #handlers = new Map<string, (reached: Reached) => unknown>();
  /** The way to say what belongs to no request, by conversation. */
  readonly #own = new Map<string, (text: string) => void>();
  #sessions = 0;

  constructor(kind: Kind) {
    this.kind = kind;
  }

  static async open(kind: Kind): Promise<{ server: Server; gateway: HttpGateway }> {
    const server = new Server(kind);
    const policy = `${ALLOW_ALL}deny_tools: ['hidden_*']\n`;
    const gateway = await HttpGateway.open({ policy, ...(kind === 'stdio' ? { server: await server.#relay() } : { upstream: await server.#http() }) });
    return { server, gateway };
  }

  async #relay(): Promise<string[]> {
    const listener = createServer((socket) => this.#connected(socket));
    await new Promise<void>((resolve) => {
      listener.listen(0, '127.0.0.1', resolve);
    });
    after(() => listener.close());
    const { port } = listener.address() as AddressInfo;
    return [process.execPath, '-e', `const s = require('node:net').connect(${port}, '127.0.0.1'); s.setNoDelay(); process.stdin.pipe(s); s.pipe(process.stdout);`];
  }

  #connected(socket: Socket): void {
    const session = this.#opened();
    socket.setNoDelay();
    socket.on('error', () => undefined);
    const write = (chunk: string | Buffer): void => void socket.write(chunk);
    this.#own.set(session, write);
    createInterface({ input: socket, crlfDelay: 0 }).on('line', (line) => {
      const message: Wire = JSON.parse(line);
      const whole = (result: object): Buffer => Buffer.from(`${JSON.stringify(answerTo(message, result))}\n`);
      this.#take({
        message,
        session,
        say: (said) => write(`${JSON.stringify(said)}\n`),
        answer: (result) => write(whole(result)),
        answerIn: async (result, pieces) => {
          for (const piece of pieces(whole(result))) {
            write(piece);
            await delay(2);
          }
        },
        over: new Promise(() => undefined),
      });
    });
  }

  #opened(): string {
    this.#sessions += 1;
    return `server-session-${this.#sessions}`;
  }

  get sessions(): number {
    return this.#sessions;
  }

  async #http(): Promise<string> {
    const upstream = await Upstream.open();
    const methods = ['initialize', 'server/discover', ...Object.keys(LISTS), 'tools/call', 'ping', 'resources/subscribe', 'subscriptions/listen'];
    for (const method of [...methods, 'notifications/initialized', 'notifications/cancelled']) upstream.on(method, (hit) => this.#posted(hit));
    upstream.on('GET', (hit) => {
      const response = stream(hit);
      this.#own.set(String(hit.headers['mcp-session-id']), (said) => response.write(`data: ${said}\n`));
    });
    return upstream.url;
  }

  #posted(hit: Hit): void {
    const { message, response } = hit;
    const isHandshake = message.method === 'initialize';
    const session = isHandshake ? this.#opened() : String(hit.headers['mcp-session-id'] ?? 'none');
    const named: Record<string, string> = isHandshake ? { 'mcp-session-id': session } : {};
    const begin = (): void => {
      if (!response.headersSent) stream(hit, named);
    };
    const whole = (result: object): Buffer => {
      const asJson = this.kind === 'json' && !response.headersSent;
      if (asJson) response.writeHead(200, { 'content-type': 'application/json', ...named });
      else begin();
      const answer = answerTo(message, result);
      return Buffer.from(asJson ? JSON.stringify(answer) : event(answer));
    };
    if (message.id === undefined) response.writeHead(202).end();
    this.#take({
      message,
      session,
      say: (said) => {
        begin();
        response.write(event(said));
      },
      answer: (result) => void response.end(whole(result)),
      answerIn: async (result, pieces) => {
        for (const piece of pieces(whole(result))) response.write(piece);
        await Promise.resolve();
        response.end();
      },
      over: hit.over,
    });
  }

  #take(reached: Reached): void {
    this.reached.push(reached);
    const handler = this.#handlers.get(reached.message.method);
    if (handler !== undefined) {
      handler(reached);
      return;
    }
    const result = results(reached.message);
    if (result !== null) reached.answer(result);
  }

  /** Says how a method is answered; null for the usual way. */
  on(method: string, handler: ((reached: Reached) => unknown) | null): void {
    if (handler === null) this.#handlers.delete(method);
    else this.#handlers.set(method, handler);
  }

  /** Says something that belongs to no request, in the conversation that was opened last or the one named. */
  async tell(message: object, session = `server-session-${this.#sessions}`): Promise<void> {
    const own = await until(() => this.#own.get(session));
    own(`${JSON.stringify(message)}\n`);
  }

  seen(method: string): Reached[] {
    return this.reached.filter(({ message }) => message.method === method);
  }
}

async function until<T>(look: () => T | undefined | false): Promise<T> {
  const end = Date.now() + 20_000;
  for (;;) {
    const found = look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > end) throw new Error('it does not come about');
    await delay(10);
  }
}

const behind = new Map(await Promise.all(KINDS.map(async (kind) => [kind, await Server.open(kind)] as const)));
const of = (kind: Kind): { server: Server; gateway: HttpGateway } => behind.get(kind) ?? assert.fail();
/** A client that takes everything of its own stream. */
async function listening(gateway: HttpGateway): Promise<{ session: Session; own: Answer }> {
  const session = await Session.open(gateway);
  return { session, own: await session.listen() };
}

const SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId';
const WANTED = { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true, resourceSubscriptions: ['test://a'] };

/** A subscription of 2026-07-28, with the server's side of it. */
async function subscribed(kind: Kind, id: string): Promise<{ answer: Answer; reached: Reached; tell: (method: string, params?: object) => void }> {
  const { server, gateway } = of(kind);
  let reached: Reached | undefined;
  const tell = (method: string, params: object = {}): void => reached?.say(notice(method, { ...params, _meta: { [SUBSCRIPTION]: reached.message.id } }));
  server.on('subscriptions/listen', (each) => {
    reached = each;
    tell('notifications/subscriptions/acknowledged', { notifications: each.message.params.notifications });
  });
  const answer = await modern(gateway, id, 'subscriptions/listen', { notifications: WANTED });
  await answer.next((message) => message.method === 'notifications/subscriptions/acknowledged');
  return { answer, reached: await until(() => reached), tell };
}

// Signs of life come after fifteen seconds: these streams say nothing while all else is tested.
const quiet = await (async () => {
  const { server, gateway } = of('events');
  const open: Promise<Answer>[] = [];
  const waiting: Reached[] = [];
  server.on('tools/call', (reached) => waiting.push(reached));
  const { session, own } = await listening(gateway);
  open.push(session.send(call('quiet', 'shown_0_1')), modern(gateway, 'quiet', 'tools/call', { name: 'shown_0_1', arguments: {} }));
  await until(() => waiting.length === 2);
  server.on('tools/call', null);
  const { answer } = await subscribed('events', 'quiet');
  return { own, subscription: answer, open, waiting };
})();

for (const kind of KINDS) {
  test(`a cancelled call is cancelled at the server under its own id and in its own session, and no other is (${kind})`, async () => {
    const { server, gateway } = of(kind);
    const held: Reached[] = [];
    server.on('tools/call', (reached) => held.push(reached));
    const first = await Session.open(gateway);
    const second = await Session.open(gateway);
    const calls = [[first, 1], [first, '1'], [second, 1], [second, '1']] as const;
    const answers = calls.map(([session, id], nr) => session.post(call(id, 'shown_0_1', { nr })));
    await until(() => held.length === 4);
    const bySession = (nr: number): Reached => held.find(({ message }) => message.params.arguments.nr === nr) ?? assert.fail();
    const before = server.seen('notifications/cancelled').length;
    await first.post(notice('notifications/cancelled', { requestId: '1', reason: 'no longer wanted' }));
    const told = await until(() => server.seen('notifications/cancelled')[before]);
    assert.deepEqual(told.message.params, { requestId: '1', reason: 'no longer wanted' });
    assert.equal(told.session, bySession(1).session);
    assert.notEqual(told.session, bySession(3).session);
    for (const reached of held) reached.answer(text(`answer ${reached.message.params.arguments.nr}`));
    const outcomes = (await Promise.all(answers)).map(({ messages }) => messages.map(({ id, result }) => [id, result?.content[0].text]));
    assert.deepEqual(outcomes, [[[1, 'answer 0']], [], [[1, 'answer 2']], [['1', 'answer 3']]]);
    assert.equal(server.seen('notifications/cancelled').length, before + 1);
    server.on('tools/call', null);
  });

  if (kind === 'json') continue;
  test(`a client of 2026-07-28 that leaves cancels its own call, and not another of the same id (${kind})`, async () => {
    const { server, gateway } = of(kind);
    const held: Reached[] = [];
    server.on('tools/call', (reached) => {
      held.push(reached);
      reached.say(notice('notifications/progress', { progressToken: reached.message.params._meta.progressToken, progress: 1 }));
    });
    const answers: Answer[] = [];
    for (const nr of [0, 1]) answers.push(await modern(gateway, 7, 'tools/call', { name: 'shown_0_1', arguments: { nr } }, { meta: { progressToken: 't' } }));
    const [left, kept] = answers;
    const before = server.seen('notifications/cancelled').length;
    left?.leave();
    if (kind === 'stdio') {
      const told = await until(() => server.seen('notifications/cancelled')[before]);
      assert.equal(told.message.params.requestId, held[0]?.message.id);
      assert.notEqual(held[0]?.message.id, held[1]?.message.id);
    } else {
      assert.equal(await Promise.race([held[0]?.over, delay(20_000, 'still open', { ref: false })]), 'cut');
    }
    held[1]?.answer(text('kept'));
    assert.equal((await kept?.next((message) => message.id === 7))?.result.content[0].text, 'kept');
    assert.equal(server.seen('notifications/cancelled').length, before + (kind === 'stdio' ? 1 : 0));
    server.on('tools/call', null);
  });
}

for (const kind of KINDS) {
  test(`a client of the older revisions hears of every change of lists and resources (${kind})`, async () => {
    const { server, gateway } = of(kind);
    const { session, own } = await listening(gateway);
    await session.ask(1, 'tools/list');
    await session.ask(2, 'resources/subscribe', { uri: 'test://a' });
    for (const method of CHANGES) await server.tell(notice(method));
    await server.tell(notice('notifications/resources/updated', { uri: 'test://a' }));
    for (const method of CHANGES) assert.equal((await own.next((message) => message.method === method)).id, undefined);
    const updated = await own.next((message) => message.method === 'notifications/resources/updated');
    assert.deepEqual(updated.params, { uri: 'test://a' });
    own.leave();
  });

  test(`a subscription of 2026-07-28 hears of every change, under its own id (${kind})`, async () => {
    const { answer, reached, tell } = await subscribed(kind, 'changes');
    assert.deepEqual(reached.message.params.notifications, WANTED);
    for (const method of CHANGES) tell(method);
    tell('notifications/resources/updated', { uri: 'test://a' });
    for (const method of [...CHANGES, 'notifications/resources/updated']) {
      const told = await answer.next((message) => message.method === method);
      assert.equal(told.params._meta[SUBSCRIPTION], 'changes');
    }
    answer.leave();
  });
}

for (const kind of KINDS) {
  test(`progress reaches who asked for it, under a token of the same kind, before the answer (${kind})`, async () => {
    const { server, gateway } = of(kind);
    const { session, own } = await listening(gateway);
    server.on('tools/call', async (reached) => {
      const { progressToken } = reached.message.params._meta;
      for (const progress of [1, 2, 3]) {
        const message = notice('notifications/progress', { progressToken, progress, total: 3, message: 'ü' });
        if (kind === 'json') await server.tell(message, reached.session);
        else reached.say(message);
      }
      // What comes on another response than the answer may be slower.
      if (kind === 'json') await delay(300);
      reached.answer(text('done'));
    });
    for (const token of [0, 7, '7', 'a token', -1]) {
      const answer = await session.post(call('p', 'shown_0_1', {}, { _meta: { progressToken: token } }));
      const told = [...own.messages, ...answer.messages].filter(({ method, params }) => method === 'notifications/progress' && params.progressToken === token);
      assert.deepEqual(told.map(({ params }) => [params.progress, params.total, params.message]), [[1, 3, 'ü'], [2, 3, 'ü'], [3, 3, 'ü']], JSON.stringify(token));
      assert.equal(answer.messages.at(-1).result.content[0].text, 'done');
      if (kind === 'json') continue;
      const recent = await modernly(gateway, 'p', 'tools/call', { name: 'shown_0_1', arguments: {} }, { meta: { progressToken: token } });
      assert.deepEqual(recent.messages.map(({ id, params }) => id ?? [params.progressToken, params.progress]), [[token, 1], [token, 2], [token, 3], 'p']);
    }
    own.leave();
    server.on('tools/call', null);
  });

  test(`every page of every list can be had, and a page of nothing but hidden tools hides no other (${kind})`, async () => {
    const { server, gateway } = of(kind);
    const session = await Session.open(gateway);
    const pages = CURSORS.flatMap((_cursor, at) => [1, 2].map((nr) => `${at === 1 ? 'hidden' : 'shown'}_${at}_${nr}`));
    for (const [method, listed] of Object.entries(LISTS)) {
      for (const era of ERAS) {
        const names: string[] = [];
        let cursor: string | undefined;
        let asked = 0;
        do {
          const params = cursor === undefined ? {} : { cursor };
          const { result, error } = era === 'legacy' ? await session.ask(asked, method, params) : (await modernly(gateway, asked, method, params)).messages.at(-1);
          assert.equal(error, undefined, JSON.stringify(error));
          names.push(...result[listed].map(({ name }: { name: string }) => name));
          cursor = result.nextCursor;
          asked += 1;
        } while (cursor !== undefined && asked < 10);
        assert.deepEqual(names, method === 'tools/list' ? pages.filter((name) => name.startsWith('shown')) : pages, `${method} ${era}`);
      }
    }
    const cursors = new Set(server.seen('prompts/list').map(({ message }) => message.params?.cursor));
    assert.deepEqual(cursors, new Set([undefined, ...CURSORS.slice(1)]));
  });
}

const BIG = 'é✓😀 x'.repeat(470_000);
const digest = (value: string): string => createHash('sha256').update(value).digest('hex');

for (const kind of KINDS) {
  test(`arguments and results of five megabytes arrive whole (${kind})`, { timeout: 120_000 }, async () => {
    assert.ok(Buffer.byteLength(BIG) > 5_000_000);
    const { server, gateway } = of(kind);
    const session = await Session.open(gateway);
    let taken = '';
    server.on('tools/call', (reached) => {
      taken = digest(reached.message.params.arguments.big);
      reached.answer(text(`${BIG}end`));
    });
    const params = { name: 'shown_0_1', arguments: { big: BIG } };
    const answer = kind === 'events' ? await modernly(gateway, 'big', 'tools/call', params) : await session.post(request('big', 'tools/call', params));
    assert.equal(taken, digest(BIG));
    assert.equal(digest(answer.messages.at(-1).result.content[0].text), digest(`${BIG}end`));
    server.on('tools/call', null);
  });
}

const ODD = 'aé✓😀\u2028\u0085"\\\u0001𝄞z';

for (const kind of KINDS) {
  test(`characters that are cut at any of their bytes arrive whole (${kind})`, async () => {
    const { server, gateway } = of(kind);
    const session = await Session.open(gateway);
    const width = Buffer.byteLength(JSON.stringify(ODD));
    let cut = 0;
    server.on('tools/call', (reached) => {
      const pieces = (bytes: Buffer): readonly Buffer[] => {
        // On stdio each boundary by itself, because a pipe may join what comes at once; over HTTP each byte is a chunk.
        const from = bytes.indexOf('aé') + cut;
        return kind === 'stdio' ? [bytes.subarray(0, from), bytes.subarray(from)] : [...bytes].map((_byte, at) => bytes.subarray(at, at + 1));
      };
      return reached.answerIn(text(reached.message.params.arguments.odd), pieces);
    });
    for (const era of ERAS) {
      for (cut = 0; cut < (kind === 'stdio' ? width : 1); cut += 1) {
        const params = { name: 'shown_0_1', arguments: { odd: ODD } };
        const message = era === 'legacy' ? await session.ask(cut, 'tools/call', params) : (await modernly(gateway, cut, 'tools/call', params)).messages.at(-1);
        assert.equal(message.result?.content[0].text, ODD, `${era} ${cut}`);
      }
    }
    for (const era of ERAS) {
      const body = Buffer.from(JSON.stringify(call(era, 'shown_0_1', { odd: ODD }, era === 'modern' ? { _meta: metaOf() } : {})));
      const named = era === 'legacy' ? `Mcp-Session-Id: ${session.id}` : `MCP-Protocol-Version: ${MODERN}\r\nMcp-Method: tools/call\r\nMcp-Name: shown_0_1`;
      const head = `POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:${gateway.port}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n${named}\r\nConnection: close\r\n`;
      const chunks = [...body].map((_byte, at) => Buffer.concat([Buffer.from('1\r\n'), body.subarray(at, at + 1), Buffer.from('\r\n')]));
      const before = server.seen('tools/call').length;
      const answer = await gateway.raw(Buffer.concat([Buffer.from(`${head}Transfer-Encoding: chunked\r\n\r\n`), ...chunks, Buffer.from('0\r\n\r\n')]));
      assert.match(answer, /^HTTP\/1.1 200 /);
      assert.equal(server.seen('tools/call')[before]?.message.params.arguments.odd, ODD, era);
    }
    server.on('tools/call', null);
  });

  test(`a session has one handshake and one session at the server, and keeps to it; 2026-07-28 has none (${kind})`, async () => {
    const { server, gateway } = of(kind);
    const before = { sessions: server.sessions, handshakes: server.seen('initialize').length };
    const sessions = [await Session.open(gateway), await Session.open(gateway), await Session.open(gateway)];
    const seen: Reached[] = [];
    server.on('tools/call', (reached) => {
      seen.push(reached);
      reached.answer({ content: [] });
    });
    for (let round = 0; round < 4; round += 1) await Promise.all(sessions.map((session, nr) => session.call(round, 'shown_0_1', { nr })));
    const homes = sessions.map((_session, nr) => [...new Set(seen.filter(({ message }) => message.params.arguments.nr === nr).map(({ session }) => session))]);
    assert.deepEqual(homes.map(({ length }) => length), [1, 1, 1]);
    assert.equal(new Set(homes.flat()).size, 3);
    assert.deepEqual({ sessions: server.sessions - before.sessions, handshakes: server.seen('initialize').length - before.handshakes }, { sessions: 3, handshakes: 3 });
    await modernly(gateway, 'warm', 'tools/call', { name: 'shown_0_1', arguments: {} });
    const opened = server.sessions;
    await Promise.all([1, 2, 3, 4, 5].map((id) => modernly(gateway, id, 'tools/call', { name: 'shown_0_1', arguments: {} })));
    assert.equal(server.sessions, opened, 'and no process of its own');
    assert.equal(server.seen('initialize').length, before.handshakes + 3);
    server.on('tools/call', null);
  });
}

test('streams that say nothing show signs of life, and bring their answer in the end', { timeout: 60_000 }, async () => {
  const answers = await Promise.all(quiet.open);
  for (const answer of [...answers, quiet.own, quiet.subscription]) {
    assert.equal(answer.headers['x-accel-buffering'], 'no');
    await answer.event(({ comment }) => comment);
    assert.equal(answer.ended, false);
  }
  for (const reached of quiet.waiting) reached.answer(text('after all'));
  for (const answer of answers) assert.equal((await answer.next(({ id }) => id === 'quiet')).result.content[0].text, 'after all');
  for (const stream of [quiet.own, quiet.subscription]) stream.leave();
});

test('the gateways had no fault, and end in order', async () => {
  for (const { gateway } of behind.values()) {
    assert.doesNotMatch(gateway.stderr, /internal fault|unhandled|uncaught|Warning:/i);
    assert.equal(await gateway.close(), 0);
  }
});
