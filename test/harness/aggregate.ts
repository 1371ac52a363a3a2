// SPDX-License-Identifier: Apache-2.0
/** Several servers behind one endpoint without processes: servers that answer from tables, and a raw client. */
import { openAggregate } from '../../enclave/aggregate/aggregate.ts';
import { Notices } from '../../enclave/aggregate/notices.ts';
import type { Recorder } from '../../enclave/audit/recorder.ts';
import type { About, Carrier } from '../../enclave/exchange/parts.ts';
import { Continuations } from '../../enclave/exchange/continuations.ts';
import { Room } from '../../enclave/exchange/room.ts';
import { TaskOwners } from '../../enclave/exchange/task-owners.ts';
import type { Log } from '../../enclave/log.ts';
import type { House, Peer, Server } from '../../enclave/peer.ts';
import type { PinBook } from '../../enclave/pins/book.ts';
import { emptyPinBook } from '../../enclave/pins/book.ts';
import { Limiter } from '../../enclave/policy/limiter.ts';
import { loadPolicy } from '../../enclave/policy/compile.ts';
import type { Link, LinkEvents } from '../../enclave/upstream/link.ts';
import { sessionLost } from '../../enclave/upstream/response.ts';
import type { RowDraft } from '../../shared/audit/row.ts';
import { Unavailable } from '../../shared/errors.ts';
import { decodeMessage } from '../../shared/jsonrpc/message.ts';
import type { Era } from '../../shared/mcp/revisions.ts';
import { ALLOW_ALL } from './gateway.ts';
import type { Wire } from './gateway.ts';

export const MODERN_META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
  'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
};

/** What a server does with a request: the result, an error, or nothing at all for null. */
export type Handler = (request: Wire, server: FakeServer) => { result: object } | { error: object } | null;

export interface FakeOptions {
  /** The newest revision that it speaks of the older ones; null where it speaks none of them. */
  readonly revision?: string | null;
  /** It speaks 2026-07-28. */
  readonly modern?: boolean;
  readonly capabilities?: object;
  readonly instructions?: string;
  readonly tools?: readonly string[];
  readonly handlers?: Readonly<Record<string, Handler>>;
  /** It cannot be started. */
  readonly broken?: boolean;
  /** It is started when this resolves. */
  readonly started?: Promise<void>;
}

const REVISIONS = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25'];

/** One server; what it received over all its lives is kept. */
export class FakeServer implements Server {
  readonly name: string;
  readonly sole = false;
  readonly kind = 'stdio';
  readonly pins: PinBook = emptyPinBook();
  readonly received: Wire[] = [];
  readonly #options: FakeOptions;
  readonly #waiting: { readonly match: (message: Wire) => boolean; readonly resolve: (message: Wire) => void }[] = [];
  #events: LinkEvents | null = null;
  starts = 0;
  closes = 0;

  constructor(name: string, options: FakeOptions = {}) {
    this.name = name;
    this.#options = options;
  }

  async connect(events: LinkEvents): Promise<Link> {
    this.starts += 1;
    if (this.#options.broken === true) throw new Unavailable('UPSTREAM_SPAWN', 'it cannot be started', 'try');
    await this.#options.started;
    this.#events = events;
    return {
      send: (text: string) => {
        this.#take(JSON.parse(text));
        return Promise.resolve();
      },
      openStream: () => Promise.resolve('open' as const),
      close: () => {
        this.closes += 1;
        if (this.#events === events) this.#events = null;
        return Promise.resolve();
      },
    };
  }

  get running(): boolean {
    return this.#events !== null;
  }

  /** Sends something on; `related`: in the response of that request. */
  say(message: object, related: number | string | null = null): Promise<void> {
    const bytes = new TextEncoder().encode(JSON.stringify({ jsonrpc: '2.0', ...message }));
    return this.#events?.frame({ kind: 'frame', bytes }, { related }) ?? Promise.resolve();
  }

  /** It knows the session no more, in which that request came. */
  async loseSession(id: number | string): Promise<void> {
    await this.#events?.failed(id, sessionLost());
    this.end();
  }

  /** Its process ends. */
  end(): void {
    this.#events?.lost();
  }

  methods(): string[] {
    return this.received.map((message) => message.method ?? 'answer');
  }

  last(method: string): Wire {
    return this.received.findLast((message) => message.method === method);
  }

  /** The first message that matches, of those that came already and those to come. */
  next(match: (message: Wire) => boolean): Promise<Wire> {
    const found = this.received.find(match);
    if (found !== undefined) return Promise.resolve(found);
    return new Promise((resolve) => {
      this.#waiting.push({ match, resolve });
    });
  }

  #take(message: Wire): void {
    this.received.push(message);
    const at = this.#waiting.findIndex(({ match }) => match(message));
    if (at !== -1) this.#waiting.splice(at, 1)[0]?.resolve(message);
    if (message.method === undefined || message.id === undefined) return;
    const answer = (this.#options.handlers?.[message.method] ?? defaults[message.method] ?? unknownMethod)(message, this);
    const related = message.params?._meta?.['io.modelcontextprotocol/protocolVersion'] === undefined ? null : message.id;
    if (answer !== null) setImmediate(() => void this.say({ id: message.id, ...answer }, related));
  }

  get options(): FakeOptions {
    return this.#options;
  }
}

const unknownMethod: Handler = () => ({ error: { code: -32601, message: 'Method not found' } });

const defaults: Readonly<Record<string, Handler>> = {
  initialize: ({ params }, { options, name }) => {
    const { revision = '2025-11-25', capabilities = { tools: {} }, instructions } = options;
    if (revision === null) return { error: { code: -32602, message: 'Unsupported protocol version' } };
    const protocolVersion = REVISIONS.indexOf(params.protocolVersion) < REVISIONS.indexOf(revision) ? params.protocolVersion : revision;
    return { result: { protocolVersion, capabilities, serverInfo: { name, version: '1' }, ...(instructions === undefined ? {} : { instructions }) } };
  },
  'server/discover': (_request, { options }) => {
    const { modern = false, capabilities = { tools: {} }, instructions } = options;
    if (!modern) return { error: { code: -32601, message: 'Method not found' } };
    const caching = { ttlMs: 1000, cacheScope: 'public', resultType: 'complete' };
    return { result: { supportedVersions: ['2025-11-25', '2026-07-28'], capabilities, ...caching, ...(instructions === undefined ? {} : { instructions }) } };
  },
  ping: () => ({ result: {} }),
  'tools/list': (_request, { options }) => ({
    result: { tools: (options.tools ?? ['do']).map((name) => ({ name, title: name, inputSchema: { type: 'object' } })), ...(options.modern === true ? { resultType: 'complete' } : {}) },
  }),
  'tools/call': ({ params }, { name, options }) => ({
    result: { content: [{ type: 'text', text: `${name}:${params.name}` }], ...(options.modern === true ? { resultType: 'complete' } : {}) },
  }),
};

export interface Said {
  readonly message: Wire;
  readonly about: About;
}

export interface Bench {
  readonly peer: Peer;
  readonly rows: RowDraft['fields'][];
  readonly warnings: string[];
  readonly said: Said[];
  readonly unanswered: Carrier[];
  readonly clock: { ms: number };
  gone: number;
  /** Sends a message of the client's; resolves when it has been dealt with. */
  readonly send: (message: object, via?: Carrier | null) => Promise<void>;
  /** Sends a request and waits for its answer. */
  readonly ask: (id: number | string, method: string, params?: object, via?: Carrier) => Promise<Wire>;
  readonly next: (match: (message: Wire) => boolean) => Promise<Wire>;
  readonly initialize: (protocolVersion?: string) => Promise<Wire>;
}

export interface BenchOptions {
  readonly era?: Era;
  readonly policy?: string;
}

function recording(rows: RowDraft['fields'][]): Recorder {
  return {
    available: true,
    ready: true,
    append: (draft) => {
      rows.push(draft.fields);
      return Promise.resolve({ origin: 'o', idx: rows.length, leaf: '', size: rows.length });
    },
    close: () => Promise.resolve(),
  };
}

export async function bench(servers: readonly FakeServer[], { era = 'legacy', policy = ALLOW_ALL }: BenchOptions = {}): Promise<Bench> {
  const rows: RowDraft['fields'][] = [];
  const warnings: string[] = [];
  const said: Said[] = [];
  const unanswered: Carrier[] = [];
  const waiting: { readonly match: (message: Wire) => boolean; readonly resolve: (message: Wire) => void }[] = [];
  const clock = { ms: 1_000_000 };
  const nothing = (): void => undefined;
  const warn = (_code: string | null, message: string): void => void warnings.push(message);
  const log: Log = { decision: nothing, info: nothing, warn, error: warn, upstream: nothing, flush: () => Promise.resolve() };
  let random = 0;
  const house: House = {
    policies: { current: await loadPolicy(new TextEncoder().encode(policy)) },
    continuations: new Continuations(),
    limiter: new Limiter(),
    recorder: recording(rows),
    log,
    clock: { now: () => clock.ms, mono: () => clock.ms * 1000 },
    randomHex: (bytes) => (random += 1).toString(16).padStart(bytes * 2, '0'),
    room: new Room(),
    eras: new Map(),
    taskOwners: new TaskOwners(),
    minRevision: null,
    seal: { seal: (text, context) => `${context}.${text}`, open: (text, context) => (text.startsWith(`${context}.`) ? text.slice(context.length + 1) : null) },
  };
  const toClient = {
    send: (text: string, about: About) => {
      const message: Wire = JSON.parse(text);
      said.push({ message, about });
      const at = waiting.findIndex(({ match }) => match(message));
      if (at !== -1) waiting.splice(at, 1)[0]?.resolve(message);
      return Promise.resolve();
    },
    unanswered: (via: Carrier) => void unanswered.push(via),
  };
  const made = { gone: 0 };
  const options = { principal: 'local', era, face: 'http', toClient, gone: () => void (made.gone += 1) } as const;
  const peer = await openAggregate(house, servers, options, new Notices(log));
  const next = (match: (message: Wire) => boolean): Promise<Wire> => {
    const found = said.find(({ message }) => match(message));
    if (found !== undefined) return Promise.resolve(found.message);
    return new Promise((resolve) => {
      waiting.push({ match, resolve });
    });
  };
  const send = async (message: object, via: Carrier | null = null): Promise<void> => {
    const bytes = new TextEncoder().encode(JSON.stringify({ jsonrpc: '2.0', ...message }));
    const decoded = decodeMessage(bytes, 'c2s');
    if (decoded.kind === 'batch') throw new TypeError('one message at a time');
    await peer.clientElement(decoded.kind === 'single' ? decoded.element : decoded, { bytes: bytes.length, at: clock.ms * 1000, via });
  };
  const ask = (id: number | string, method: string, params: object = {}, via: Carrier = {}): Promise<Wire> => {
    const own = era === 'modern' ? { _meta: MODERN_META, ...params } : params;
    const answered = next((message) => message.id === id && (message.result !== undefined || message.error !== undefined));
    return Promise.all([answered, send({ id, method, params: own }, via)]).then(([answer]) => answer);
  };
  return Object.assign(made, {
    peer,
    rows,
    warnings,
    said,
    unanswered,
    clock,
    send,
    ask,
    next,
    initialize: async (protocolVersion = '2025-11-25') => {
      const answer = await ask('init', 'initialize', { protocolVersion, capabilities: { elicitation: {}, sampling: {}, roots: {} }, clientInfo: { name: 'test', version: '1' } });
      await send({ method: 'notifications/initialized' });
      return answer;
    },
  });
}
