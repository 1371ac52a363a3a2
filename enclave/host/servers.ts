// SPDX-License-Identifier: Apache-2.0
/** The configured servers as the gateway connects to them. */
import { readFile } from 'node:fs/promises';
import { Usage } from '../../shared/errors.ts';
import { resolveSecret } from '../config/secret.ts';
import type { Secret, ServerConfig } from '../config/types.ts';
import type { Server } from '../peer.ts';
import { HttpLink } from '../upstream/http-link.ts';
import type { HttpClient } from '../upstream/http.ts';
import { createHttpClient } from '../upstream/http.ts';
import { openSseLink } from '../upstream/sse-link.ts';
import { StdioLink } from '../upstream/stdio-link.ts';
import { checkUpstreamUrl } from '../upstream/target.ts';
import { startChild } from './child.ts';
import { childEnvironment } from './environment.ts';
import { watchGroup } from './groups.ts';
import type { LocalHouse } from './house.ts';
import { clock } from './house.ts';
import { relayStderr } from './stderr.ts';

/** The values that a configuration refers to. */
export async function secrets(named: ReadonlyMap<string, Secret>): Promise<Record<string, string>> {
  const values: Record<string, string> = {};
  for (const [name, secret] of named) values[name] = await resolveSecret(secret, { env: process.env, readFile });
  return values;
}

type Stdio = Extract<ServerConfig, { kind: 'stdio' }>;
type Http = Extract<ServerConfig, { kind: 'http' }>;

async function stdioServer(house: LocalHouse, config: Stdio, sole: boolean): Promise<Server> {
  const { name, argv } = config;
  const env = { ...childEnvironment(process.env, []), ...(await secrets(config.env)) };
  return {
    name,
    sole,
    kind: 'stdio',
    pins: house.pinsOf(name),
    connect: async (events) => {
      const child = await startChild(argv, env, config.cwd);
      watchGroup(child);
      void relayStderr(child.stderr, {
        scrub: (text) => house.policies.current.scrubText(text),
        write: (line) => house.log.upstream(name, line),
        now: clock.now,
      });
      return new StdioLink(child, events);
    },
  };
}

async function httpServer(house: LocalHouse, config: Http, sole: boolean, client: HttpClient): Promise<Server> {
  const { name } = config;
  const checked = checkUpstreamUrl(config.url, { allowPrivate: config.allowPrivate });
  if (checked.kind === 'refused') throw new Usage('CONFIG_INVALID', `server ${name}: ${checked.problem}`, checked.hint);
  const headers = await secrets(config.headers);
  return {
    name,
    sole,
    // Over the transport of 2024-11-05 everything comes on one stream, as on stdio.
    kind: config.transport === 'sse' ? 'stdio' : 'http',
    pins: house.pinsOf(name),
    connect: async (events, revision) => {
      const options = { client, url: checked.url, headers, revision, events };
      return config.transport === 'sse' ? openSseLink(options) : new HttpLink(options);
    },
  };
}

export interface Servers {
  readonly all: readonly Server[];
  close(): Promise<void>;
}

/** @throws Usage for an address that is refused or a secret that is missing */
export async function openServers(house: LocalHouse, configs: readonly ServerConfig[]): Promise<Servers> {
  const sole = configs.length === 1;
  const clients: HttpClient[] = [];
  const all: Server[] = [];
  for (const config of configs) {
    if (config.kind === 'stdio') {
      all.push(await stdioServer(house, config, sole));
    } else {
      const client = createHttpClient({ allowPrivate: config.allowPrivate });
      clients.push(client);
      all.push(await httpServer(house, config, sole, client));
    }
  }
  return {
    all,
    close: async () => {
      await Promise.all(clients.map((client) => client.close()));
    },
  };
}
