// SPDX-License-Identifier: Apache-2.0
/**
 * Where an authorization server keeps its signing keys (RFC 8414, OpenID Connect Discovery 1.0). What it says is
 * attacker-controlled until it has named itself as the issuer that was configured; which addresses may be fetched at all
 * is decided by the client that does the fetching.
 */
import { Usage } from '../../shared/errors.ts';
import { isLoopbackHost } from './loopback.ts';

/** True for a JSON object whoever parsed it. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** True for a URL whose answers nobody on the way can change. */
function isSecure(url: URL): boolean {
  const plain = url.username === '' && url.password === '' && url.hash === '';
  return plain && (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopbackHost(url.hostname)));
}

/** @throws Usage for what is not an absolute https URL, or http on loopback */
export function secureUrl(text: string, what: string): URL {
  const url = URL.parse(text);
  if (url !== null && isSecure(url)) return url;
  throw new Usage('USAGE', `the ${what} is not an https URL`, 'use https, or http with localhost; no user name and no fragment');
}

/** Where an issuer's metadata may be, in the order of trial that MCP asks of clients. */
export function metadataUrls(issuer: string): URL[] {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  const inserted = ['oauth-authorization-server', 'openid-configuration'].map((name) => `${origin}/.well-known/${name}${path}`);
  const appended = path === '' ? [] : [`${origin}${path}/.well-known/openid-configuration`];
  return [...inserted, ...appended].map((text) => new URL(text));
}

export type KeysAddress = { readonly kind: 'ok'; readonly url: URL } | { readonly kind: 'unfit'; readonly problem: string };

function unfit(problem: string): KeysAddress {
  return { kind: 'unfit', problem };
}

/**
 * The address of the keys in an issuer's metadata. Unfit is metadata of another issuer (RFC 8414 section 3.3), and an
 * address over which others could answer. Only an issuer on this machine may point back to this machine.
 */
export function jwksUrlOf(metadata: unknown, issuer: string): KeysAddress {
  if (!isRecord(metadata)) return unfit("the issuer's metadata is no JSON object");
  if (metadata['issuer'] !== issuer) return unfit('the metadata names another issuer, be it only by a slash at the end');
  const text = metadata['jwks_uri'];
  const url = typeof text === 'string' ? URL.parse(text) : null;
  if (url === null) return unfit("the issuer's metadata has no address of keys");
  if (!isSecure(url)) return unfit("the issuer's metadata has an address of keys that is not https");
  if (isLoopbackHost(url.hostname) && !isLoopbackHost(new URL(issuer).hostname)) return unfit("the issuer's metadata points at this machine for the keys");
  return { kind: 'ok', url };
}
