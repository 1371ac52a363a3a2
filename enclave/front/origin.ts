// SPDX-License-Identifier: Apache-2.0
/**
 * Who a request was meant for and which page sent it: `Host` and `Origin` against lists of what is allowed, each alone,
 * on every path. A web page that rebinds its own name to this address sends that name as `Host` (threats.md section 6);
 * any other page sends its `Origin`, if it is a browser that sends the request.
 */
import type { DeniedCode } from '../../shared/errors.ts';
import { Usage } from '../../shared/errors.ts';
import { singleHeader } from './headers.ts';
import { isLoopbackHost } from './loopback.ts';

export interface OriginRules {
  /** `host` or `host:port` in lower case. */
  readonly hosts: ReadonlySet<string>;
  /** `scheme://host[:port]` in lower case, without a default port. */
  readonly origins: ReadonlySet<string>;
}

export interface OriginOptions {
  /** What the listener binds. */
  readonly listenHost: string;
  readonly port: number;
  /** Where clients reach the gateway, if that is not where it listens. */
  readonly publicUrl: string | null;
  readonly allowedHosts: readonly string[];
  readonly allowedOrigins: readonly string[];
}

export type OriginVerdict =
  | { readonly kind: 'ok' }
  | { readonly kind: 'refused'; readonly code: Extract<DeniedCode, 'HOST_REFUSED' | 'ORIGIN_REFUSED'>; readonly hint: string };

// No trailing dot, no zone id, no userinfo, no percent-encoding: a second spelling of a name is no name that is listed.
const AUTHORITY = String.raw`(?:[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?`;
const HOST = new RegExp(`^${AUTHORITY}$`);
const ORIGIN = new RegExp(String.raw`^[A-Za-z][A-Za-z0-9+.-]*://${AUTHORITY}$`);

const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '[::1]'] as const;
/** Addresses that are bound to listen on every interface; nobody names them as `Host`. */
const WILDCARDS: ReadonlySet<string> = new Set(['0.0.0.0', '::', '']);

/** The names that a request may give for a port; the default ports may be left out. */
function withPort(host: string, port: number): string[] {
  return port === 80 || port === 443 ? [host, `${host}:${port}`] : [`${host}:${port}`];
}

function listenNames(listenHost: string): readonly string[] {
  const bare = listenHost.replace(/^\[|\]$/g, '');
  if (WILDCARDS.has(bare)) return [];
  const name = bare.includes(':') ? `[${bare}]` : bare;
  return isLoopbackHost(bare) ? [...LOOPBACK_NAMES, name] : [name];
}

function publicParts(publicUrl: string): { hosts: string[]; origin: string } {
  const url = URL.parse(publicUrl);
  if (url === null || !/^https?:$/.test(url.protocol) || !HOST.test(url.host) || url.username !== '' || url.password !== '') {
    throw new Usage('USAGE', 'the public URL is not an http or https URL', 'for example: https://mcp.example.com/mcp');
  }
  const port = url.protocol === 'https:' ? 443 : 80;
  return { hosts: url.port === '' ? withPort(url.host, port) : [url.host], origin: url.origin };
}

function allowedHost(host: string): string {
  if (HOST.test(host)) return host.toLowerCase();
  throw new Usage('USAGE', 'an allowed host is not a host', 'use host or host:port, without scheme, path or final dot; IPv6 in brackets');
}

function allowedOrigin(origin: string): string {
  const ports = /^http:.*:80$|^https:.*:443$/i;
  if (ORIGIN.test(origin) && !ports.test(origin)) return origin.toLowerCase();
  throw new Usage('USAGE', 'an allowed origin is not an origin', 'use scheme://host or scheme://host:port as browsers send it: no path, no wildcard, no default port');
}

/**
 * What a listener accepts: its own names, those of its public URL, and those that are listed.
 *
 * @throws Usage where an entry is not a host or an origin, or where no host at all would be accepted
 */
export function originRules(options: OriginOptions): OriginRules {
  const { listenHost, port, publicUrl } = options;
  const hosts = new Set(options.allowedHosts.map(allowedHost));
  const origins = new Set(options.allowedOrigins.map(allowedOrigin));
  for (const name of listenNames(listenHost)) {
    for (const host of withPort(name, port)) hosts.add(allowedHost(host));
    origins.add((port === 80 ? `http://${name}` : `http://${name}:${port}`).toLowerCase());
  }
  if (publicUrl !== null) {
    const { hosts: names, origin } = publicParts(publicUrl);
    for (const name of names) hosts.add(name);
    origins.add(origin);
  }
  if (hosts.size === 0) {
    throw new Usage('USAGE', 'a listener on every interface needs to know its name', 'set its public URL, or list the hosts by which clients reach it');
  }
  return { hosts, origins };
}

function refused(code: 'HOST_REFUSED' | 'ORIGIN_REFUSED', hint: string): OriginVerdict {
  return { kind: 'refused', code, hint };
}

/** Judges the `Host` and `Origin` of a request from node's `rawHeaders`. A missing `Origin` is no browser's, and fine. */
export function judgeOrigin(rules: OriginRules, rawHeaders: readonly string[]): OriginVerdict {
  const host = singleHeader(rawHeaders, 'host');
  if (host.kind !== 'one') return refused('HOST_REFUSED', 'a request needs exactly one Host header');
  if (!HOST.test(host.value) || !rules.hosts.has(host.value.toLowerCase())) {
    return refused('HOST_REFUSED', 'this Host is not allowed: use the address that the gateway printed, or add it to the allowed hosts');
  }
  const origin = singleHeader(rawHeaders, 'origin');
  if (origin.kind === 'none') return { kind: 'ok' };
  if (origin.kind === 'repeated') return refused('ORIGIN_REFUSED', 'a request may have one Origin header at most');
  if (!ORIGIN.test(origin.value) || !rules.origins.has(origin.value.toLowerCase())) {
    return refused('ORIGIN_REFUSED', 'pages of this Origin may not use the gateway: add it to the allowed origins if they should');
  }
  return { kind: 'ok' };
}
