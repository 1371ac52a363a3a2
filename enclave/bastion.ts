// SPDX-License-Identifier: Apache-2.0
/** The gateway's HTTP face put together: a path for each server, and the door in front of them. */
import type { JsonObject } from '../shared/json/value.ts';
import { jsonObject } from '../shared/json/value.ts';
import { openAggregate } from './aggregate/aggregate.ts';
import { GATEWAY } from './aggregate/answers.ts';
import { Notices } from './aggregate/notices.ts';
import type { Authenticator } from './front/auth.ts';
import { BodyReader } from './front/body.ts';
import type { Route } from './front/door.ts';
import { Door } from './front/door.ts';
import { Endpoint } from './front/endpoint.ts';
import type { Open } from './front/legacy.ts';
import type { OriginRules } from './front/origin.ts';
import { SseDesk } from './front/sse-desk.ts';
import type { House, Server } from './peer.ts';
import { openPeer } from './peer.ts';

export interface BastionParts {
  readonly house: House;
  readonly servers: readonly Server[];
  /** Where clients find the gateway; each server has a path of its own below. */
  readonly path: string;
  readonly auth: Authenticator;
  /** Known once the listener has its port. */
  readonly origins: () => OriginRules;
  readonly documents: ReadonlyMap<string, JsonObject>;
  readonly sessionsMax: number;
  readonly streamsMax: number;
  readonly idleMs: number;
  /** What clients see as the base, if that is not where the listener is. */
  readonly publicUrl: string | null;
  /** Clients of the transport of 2024-11-05 are served too. */
  readonly legacySse: boolean;
}

export interface Bastion {
  readonly door: Door;
  /** The paths that are served. */
  readonly paths: readonly string[];
  /** Ends what nobody uses any more. */
  sweep(): void;
  close(): Promise<void>;
}

/** What a proxy in front adds to paths: the public URL is the base of what clients see. */
function publicPrefix(publicUrl: string | null): string {
  return publicUrl === null ? '' : new URL(publicUrl).pathname.replace(/\/$/, '');
}

/** Serves the transport of 2024-11-05 below some paths, where the names are free. */
function addSse(routes: Map<string, Route>, desk: SseDesk, bases: readonly string[], prefix: string): void {
  for (const base of bases) {
    const stream = `${base}/sse`;
    const messages = `${base}/messages`;
    if (routes.has(stream) || routes.has(messages)) continue;
    routes.set(stream, desk.stream(prefix + messages));
    routes.set(messages, desk.messages());
  }
}

/** What clients talk to at some paths. */
interface Face {
  readonly name: string;
  readonly open: Open;
  /** Messages of the servers' own can be told from those of an answer. */
  readonly separateStreams: boolean;
  readonly paths: readonly string[];
}

/** Each server by itself, and all of them together where there are several. */
function facesOf({ house, servers, path }: BastionParts): readonly Face[] {
  const below = path === '/' ? '' : path;
  const faces: Face[] = servers.map((server) => ({
    name: server.name,
    open: (options) => openPeer(house, server, options),
    separateStreams: server.kind === 'http',
    paths: [`${below}/${server.name}`, ...(server.sole ? [path] : [])],
  }));
  if (servers.length < 2) return faces;
  const notices = new Notices(house.log);
  const separateStreams = servers.every((server) => server.kind === 'http');
  return [...faces, { name: GATEWAY, open: (options) => openAggregate(house, servers, options, notices), separateStreams, paths: [path] }];
}

export function createBastion(parts: BastionParts): Bastion {
  const { house, sessionsMax, idleMs } = parts;
  const bodies = new BodyReader();
  const routes = new Map<string, Route>();
  const endpoints: (Endpoint | SseDesk)[] = [];
  const sseBases: [SseDesk, string[]][] = [];
  for (const face of facesOf(parts)) {
    const shared = { house, name: face.name, open: face.open, bodies, sessionsMax, idleMs };
    const endpoint = new Endpoint({ ...shared, separateStreams: face.separateStreams, sessionsElsewhere: () => sse.size });
    const sse = new SseDesk({ ...shared, sessionsElsewhere: () => endpoint.sessions });
    endpoints.push(endpoint, sse);
    for (const at of face.paths) routes.set(at, endpoint);
    // Configurations of old clients name /sse at the root.
    sseBases.push([sse, face.paths.flatMap((at) => (at === '/mcp' ? ['/mcp', ''] : [at === '/' ? '' : at]))]);
  }
  const paths = [...routes.keys()];
  if (parts.legacySse) for (const [desk, bases] of sseBases) addSse(routes, desk, bases, publicPrefix(parts.publicUrl));
  const documents = new Map<string, () => { status: number; body: JsonObject }>([
    ['/healthz', () => ({ status: 200, body: jsonObject({ status: 'ok' }) })],
    ['/readyz', () => (house.recorder.ready ? { status: 200, body: jsonObject({ status: 'ready' }) } : { status: 503, body: jsonObject({ status: 'audit log unavailable' }) })],
  ]);
  for (const [at, body] of parts.documents) documents.set(at, () => ({ status: 200, body }));
  return {
    door: new Door({ house, origins: parts.origins, auth: parts.auth, routes, documents, streamsMax: parts.streamsMax }),
    paths,
    sweep: () => {
      for (const endpoint of endpoints) endpoint.sweep(house.clock.now());
    },
    close: async () => {
      await Promise.all(endpoints.map((endpoint) => endpoint.close()));
    },
  };
}
