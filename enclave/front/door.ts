// SPDX-License-Identifier: Apache-2.0
/**
 * The front door: every request on every path passes Host and Origin, then authentication, before anything of it is read.
 * What is refused here leaves a row, as long as there are not too many.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Unavailable } from '../../shared/errors.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { jsonObject } from '../../shared/json/value.ts';
import { DOOR_ROWS_PER_SECOND_MAX, UNREAD_BODY_MS_MAX } from '../../shared/limits.ts';
import { sayFault } from '../fault.ts';
import type { House } from '../peer.ts';
import type { Authenticator, AuthVerdict } from './auth.ts';
import type { Visit } from './endpoint.ts';
import { singleHeader } from './headers.ts';
import type { OriginRules } from './origin.ts';
import { judgeOrigin } from './origin.ts';
import type { Refusal } from './refusal.ts';
import { refusal, replyEmpty, replyJson, replyRefusal } from './refusal.ts';

/** What answers on one path. */
export interface Route {
  readonly name: string;
  /** Who asks for the wrong path is not pointed to this one. */
  readonly unlisted?: true;
  visit(visit: Visit): Promise<{ refused: Refusal; bytes: number } | null>;
}

export interface DoorOptions {
  readonly house: House;
  readonly origins: () => OriginRules;
  readonly auth: Authenticator;
  readonly routes: ReadonlyMap<string, Route>;
  /** Documents that need no authentication, by path. */
  readonly documents: ReadonlyMap<string, () => { status: number; body: JsonObject }>;
  /** Responses that may be under way at once. */
  readonly streamsMax: number;
}

const CORS_HEADERS = {
  'access-control-allow-methods': 'GET, POST, DELETE, OPTIONS',
  'access-control-expose-headers': 'Mcp-Session-Id, WWW-Authenticate',
  'access-control-max-age': '600',
} as const;

/** A header that a page may ask to send. */
const REQUEST_HEADER = /^[a-z0-9-]{1,64}$/;

function requestedHeaders(rawHeaders: readonly string[]): string {
  const asked = singleHeader(rawHeaders, 'access-control-request-headers');
  const names = asked.kind === 'one' ? asked.value.toLowerCase().split(',').map((name) => name.trim()) : [];
  return names.filter((name) => REQUEST_HEADER.test(name)).slice(0, 64).join(', ');
}

function listed(routes: ReadonlyMap<string, Route>): string[] {
  return [...routes].filter(([, route]) => route.unlisted !== true).map(([path]) => path);
}

export class Door {
  readonly #options: DoorOptions;
  #second = 0;
  #rows = 0;
  #unrecorded = 0;
  #open = 0;
  #closing = false;
  /** Connections with a response under way. */
  readonly #busy = new WeakSet<Socket>();

  constructor(options: DoorOptions) {
    this.#options = options;
  }

  /** Lets nobody in any more. */
  close(): void {
    this.#closing = true;
  }

  /** Answers one request. Never rejects. */
  async enter(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { house } = this.#options;
    response.on('error', () => undefined);
    request.on('error', () => undefined);
    const { socket } = request;
    const isQueued = this.#busy.has(socket);
    if (!isQueued) {
      this.#busy.add(socket);
      this.#open += 1;
      response.on('close', () => {
        this.#busy.delete(socket);
        this.#open -= 1;
      });
    }
    try {
      const refused = isQueued ? hangUp(socket) : await this.#enter(request, response);
      if (refused === null) return;
      if (!request.complete) giveUpOn(request);
      await this.#record(refused);
    } catch (error) {
      sayFault(house.log, 'one request', error);
      if (response.headersSent) response.destroy();
      else replyEmpty(response, 500);
    }
  }

  async #enter(request: IncomingMessage, response: ServerResponse): Promise<Refused | null> {
    const { house, origins, auth, routes, documents } = this.#options;
    const at = house.clock.mono();
    const refuse = (refused: Refusal, who = 'unknown', server = 'door'): Refused => {
      replyRefusal(response, refused);
      request.resume();
      return { refused, who, server, bytes: 0 };
    };
    const origin = judgeOrigin(origins(), request.rawHeaders);
    if (origin.kind === 'refused') return refuse(refusal(403, origin.code, 'the request comes from elsewhere', origin.hint));
    this.#allowOrigin(request, response);
    if (request.method === 'OPTIONS') {
      request.resume();
      replyEmpty(response, 204);
      return null;
    }
    const [path = '', query = ''] = (request.url ?? '').split('?', 2);
    const document = documents.get(path);
    if (document !== undefined && request.method === 'GET') {
      request.resume();
      const { status, body } = document();
      replyJson(response, status, body);
      return null;
    }
    if (this.#closing) return refuse(refusal(503, 'CAPACITY', 'the gateway is ending', 'try again later', { headers: { 'retry-after': '5' } }));
    if (this.#open > this.#options.streamsMax) {
      return refuse(refusal(503, 'CAPACITY', 'too many responses are under way', 'try again later, or raise limits.streams', { headers: { 'retry-after': '10' } }));
    }
    if (/(^|&)access_token=/i.test(query)) return refuse(refusal(400, 'AUTH_INVALID', 'a token stands in the address', 'send it in the Authorization header'));
    const verdict = await auth.authenticate(request.rawHeaders, house.clock.now());
    const route = routes.get(path);
    if (verdict.kind !== 'ok') {
      // Which servers there are is for those who may use them; that there is no authorization server here is for all.
      if (isNear(routes, path)) return refuse(unauthenticated(verdict));
      return refuse(refusal(404, 'PATH_UNKNOWN', 'there is nothing at this path', 'the gateway prints its paths when it starts'));
    }
    if (route === undefined) return refuse(refusal(404, 'PATH_UNKNOWN', 'there is nothing at this path', `try ${listed(routes).join(' or ')}`));
    const outcome = await route.visit({ request, response, principal: verdict.principal, at });
    return outcome === null ? null : { ...outcome, who: verdict.principal.name, server: route.name };
  }

  /** A page of an origin that may come in may also read the answer. */
  #allowOrigin(request: IncomingMessage, response: ServerResponse): void {
    const origin = singleHeader(request.rawHeaders, 'origin');
    if (origin.kind !== 'one') return;
    response.setHeader('access-control-allow-origin', origin.value);
    response.setHeader('vary', 'Origin');
    for (const [name, value] of Object.entries(CORS_HEADERS)) response.setHeader(name, value);
    if (request.method === 'OPTIONS') response.setHeader('access-control-allow-headers', requestedHeaders(request.rawHeaders));
  }

  async #record({ refused, who, server, bytes }: Refused): Promise<void> {
    const { house } = this.#options;
    const now = house.clock.now();
    if (!this.#mayRecord(now)) return;
    const { code } = refused;
    house.log.warn(code, `refused at the door: ${refused.message}`, null);
    if (!house.recorder.available) return;
    try {
      await house.recorder.append({
        fields: {
          kind: 'drop',
          call_id: null,
          tenant: null,
          principal: who,
          session: '0000000000000000',
          server,
          dir: 'c2s',
          origin: 'client',
          type: 'unreadable',
          method: null,
          tool: null,
          rpc: null,
          decision: 'deny',
          rule: null,
          code,
          status: null,
          policy: house.policies.current.digest,
          bytes,
          redactions: 0,
          us: null,
        },
        payload: null,
        wall: now,
        mono: house.clock.mono(),
      });
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      house.log.error(error.code, error.message, error.hint);
    }
  }

  /** Whoever knocks often must not fill the log. */
  #mayRecord(now: number): boolean {
    const second = Math.floor(now / 1000);
    if (second !== this.#second) {
      if (this.#unrecorded > 0) this.#options.house.log.warn('CAPACITY', `${this.#unrecorded} refusals at the door have no row`, null);
      this.#second = second;
      this.#rows = 0;
      this.#unrecorded = 0;
    }
    this.#rows += 1;
    if (this.#rows <= DOOR_ROWS_PER_SECOND_MAX) return true;
    this.#unrecorded += 1;
    return false;
  }
}

/** True for a path that begins as one that is served does, and is no place for metadata. */
function isNear(routes: ReadonlyMap<string, Route>, path: string): boolean {
  if (path.includes('/.well-known/')) return false;
  const first = (full: string): string => full.split('/')[1] ?? '';
  return [...routes.keys()].some((known) => first(known) === first(path));
}

/** A body that nobody wants is read on for a moment, so that its sender sees the answer, and then cut off. */
function giveUpOn(request: IncomingMessage): void {
  request.resume();
  setTimeout(() => {
    if (!request.complete) request.destroy();
  }, UNREAD_BODY_MS_MAX).unref();
}

/** Node never says of a response in a queue that its client is gone: it would count as open for ever. */
function hangUp(socket: Socket): Refused {
  socket.destroy();
  const refused = refusal(400, 'CAPACITY', 'a request came before the one before it was answered', 'wait for each answer, or use more connections');
  return { refused, who: 'unknown', server: 'door', bytes: 0 };
}

interface Refused {
  readonly refused: Refusal;
  /** Principal. */
  readonly who: string;
  readonly server: string;
  readonly bytes: number;
}

function unauthenticated(verdict: Exclude<AuthVerdict, { kind: 'ok' }>): Refusal {
  if (verdict.kind === 'unavailable') {
    return refusal(503, 'AUTH_UNAVAILABLE', 'it cannot be told now who sends this', verdict.hint, { headers: { 'retry-after': '5' } });
  }
  const message = verdict.code === 'AUTH_SCOPE' ? 'the token does not allow this' : 'the request is not authenticated';
  return refusal(verdict.status, verdict.code, message, verdict.hint, { number: -32001, data: jsonObject({}), headers: { 'www-authenticate': verdict.wwwAuthenticate } });
}
