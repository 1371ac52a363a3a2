// SPDX-License-Identifier: Apache-2.0
/** Composition root of `mcp-bastion up --listen`: the HTTP face on this machine, until a signal ends it. */
import { Unavailable } from '../shared/errors.ts';
import type { JsonObject } from '../shared/json/value.ts';
import { createBastion } from './bastion.ts';
import { checkExposure } from './config/listen.ts';
import type { AuthConfig, BastionConfig } from './config/types.ts';
import type { Authenticator } from './front/auth.ts';
import { noAuth } from './front/auth.ts';
import { bearerAuth } from './front/bearer.ts';
import { listen } from './front/listener.ts';
import { isLoopbackHost } from './front/loopback.ts';
import { oauthAuth } from './front/oauth.ts';
import type { OriginRules } from './front/origin.ts';
import { originRules } from './front/origin.ts';
import { protectedResourceMetadata, resourceMetadataUrl } from './front/resource.ts';
import { openHouse } from './host/house.ts';
import { followPolicy } from './host/reload.ts';
import { openServers } from './host/servers.ts';
import type { Log } from './log.ts';
import type { Policy } from './policy/types.ts';
import { createHttpClient } from './upstream/http.ts';
import { fetchJson } from './upstream/json.ts';

export interface ServeOptions {
  readonly config: BastionConfig;
  readonly policy: Policy;
  readonly stateDir: string;
  readonly log: Log;
}

const SWEEP_MS = 5000;

/** The name of a log that several servers share. */
const SHARED_LOG = 'gateway';

interface Access {
  readonly auth: Authenticator;
  readonly documents: ReadonlyMap<string, JsonObject>;
}

type OAuthConfig = Extract<AuthConfig, { kind: 'oauth' }>;

/**
 * Fetches an issuer's documents. A host that the configuration names may be in a private network, as issuers of companies
 * are; one that only the issuer's metadata names may not, or the metadata could send the gateway anywhere in there.
 */
function issuerFetch({ issuer, jwksUrl }: OAuthConfig): (url: URL) => Promise<unknown> {
  const named = new Set([issuer, jwksUrl ?? issuer].map((url) => new URL(url).hostname));
  const isLocal = isLoopbackHost(new URL(issuer).hostname);
  const inside = createHttpClient({ allowPrivate: true });
  const outside = createHttpClient({ allowPrivate: false });
  return (url) => fetchJson(named.has(url.hostname) || (isLocal && isLoopbackHost(url.hostname)) ? inside : outside, url);
}

function oauthAccess(auth: OAuthConfig, log: Log): Access {
  const { issuer, audience, jwksUrl, scopes } = auth;
  const metadataUrl = resourceMetadataUrl(audience);
  const document = protectedResourceMetadata({ resource: audience, authorizationServers: [issuer], scopes, name: 'mcp-bastion' });
  return {
    auth: oauthAuth({
      issuer,
      audience,
      requiredScopes: scopes,
      fetchJson: issuerFetch(auth),
      resourceMetadataUrl: metadataUrl,
      report: (problem) => log.warn('AUTH_UNAVAILABLE', `the issuer's keys cannot be fetched: ${problem}`, 'check auth.issuer and auth.jwks_url, and that this machine reaches them'),
      ...(jwksUrl === null ? {} : { jwksUrl }),
    }),
    documents: new Map([
      [new URL(metadataUrl).pathname, document],
      // Where clients look that were told no address.
      ['/.well-known/oauth-protected-resource', document],
    ]),
  };
}

function accessOf(auth: AuthConfig, log: Log): Access {
  switch (auth.kind) {
    case 'none':
      return { auth: noAuth(), documents: new Map() };
    case 'bearer':
      return { auth: bearerAuth(auth.tokens), documents: new Map() };
    case 'oauth':
      return oauthAccess(auth, log);
  }
}

function signalled(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => resolve());
    // The launcher is gone: nobody would forward signals any more.
    process.once('disconnect', () => resolve());
    process.channel?.unref();
  });
}

/** Serves until a signal comes; returns the exit code. */
export async function serve(options: ServeOptions): Promise<number> {
  const { config, policy, log, stateDir } = options;
  if (config.listen === null) throw new TypeError('there is nothing to listen on');
  checkExposure(config);
  // What is wrong with it shows before anything is opened.
  const access = accessOf(config.auth, log);
  const [first] = config.servers;
  const name = config.servers.length === 1 && first !== undefined ? first.name : SHARED_LOG;
  const stop = signalled();
  const house = await openHouse({ policy, policyPath: config.policyPath, stateDir, server: name, log, minRevision: config.minRevision });
  followPolicy(house, config.policyPath);
  let reason = 'signal';
  try {
    const servers = await openServers(house, config.servers);
    const { host, port } = config.listen;
    let rules: OriginRules | undefined;
    const rulesFor = (bound: number): OriginRules =>
      originRules({ listenHost: host, port: bound, publicUrl: config.publicUrl, allowedHosts: config.allowedHosts, allowedOrigins: config.allowedOrigins });
    const bastion = createBastion({
      house,
      servers: servers.all,
      path: config.path,
      ...access,
      origins: () => (rules ??= rulesFor(port)),
      sessionsMax: config.limits.sessions,
      streamsMax: config.limits.streams,
      idleMs: config.limits.idleMs,
      publicUrl: config.publicUrl,
      legacySse: config.legacySse,
    });
    const listener = await listen({ host, port, connectionsMax: config.limits.connections }, bastion.door);
    rules = rulesFor(listener.port);
    const shownHost = host.includes(':') ? `[${host}]` : host;
    for (const path of bastion.paths) log.info(`listening on http://${shownHost}:${listener.port}${path}`);
    const timer = setInterval(() => bastion.sweep(), SWEEP_MS);
    await stop;
    clearInterval(timer);
    bastion.door.close();
    await bastion.close();
    await Promise.all([listener.close(), servers.close()]);
  } catch (error) {
    reason = error instanceof Unavailable ? error.code : 'fault';
    throw error;
  } finally {
    await house.close(reason);
  }
  return 0;
}
