// SPDX-License-Identifier: Apache-2.0
/**
 * Addresses of a configuration: their form only. What an upstream's address resolves to is judged when it is dialled.
 * Second spellings of an address are refused, so that what is written is what is compared.
 */
import { isIPv6 } from 'node:net';
import type { Checked } from '../document/problem.ts';
import { isLoopbackHost } from '../front/loopback.ts';
import { holdsCredential } from './secret.ts';

function refuse(problem: string, hint: string): Checked<never> {
  return { ok: false, problem, hint };
}

/** An http or https URL without credentials and fragment. */
export function httpUrl(text: string): Checked<URL> {
  if (!/^https?:\/\/[^/]/i.test(text)) return refuse('wants an http or https URL', 'for example: https://mcp.example.com/mcp');
  if (!/^[\x21-\x7e]*$/.test(text) || text.includes('\\')) {
    return refuse('the URL holds characters that do not belong there', 'write a host name in its xn-- form, and other characters as %XX');
  }
  const url = URL.parse(text);
  if (url === null) return refuse('this is not a URL', 'check the host and the port');
  if (url.username !== '' || url.password !== '' || holdsCredential(text)) {
    const hint = "remove it; a server gets credentials by reference: headers: {Authorization: 'env:NAME'}";
    return { ok: false, problem: 'the URL holds a credential', hint, code: 'SECRET_IN_CONFIG' };
  }
  if (text.includes('#')) return refuse('the URL has a fragment, which is never sent', "remove the '#' and what follows");
  return { ok: true, value: url };
}

/** The base of what clients see, without a slash at its end. */
export function publicUrl(text: string): Checked<string> {
  const checked = httpUrl(text);
  if (!checked.ok) return checked;
  if (text.includes('?')) return refuse('the URL has a query', "remove the '?' and what follows");
  return { ok: true, value: checked.value.href.replace(/\/+$/, '') };
}

/** A URL from which keys come: whoever answers for it decides who may use the gateway. */
export function keyUrl(text: string): Checked<URL> {
  const checked = httpUrl(text);
  if (!checked.ok) return checked;
  const { protocol, hostname } = checked.value;
  if (protocol === 'https:' || isLoopbackHost(hostname)) return checked;
  return refuse('whoever is on the network could answer for an http URL', 'use https');
}

/** RFC 8414 section 2: an issuer has no query. */
export function issuerUrl(text: string): Checked<URL> {
  return text.includes('?') ? refuse('an issuer has no query', "remove the '?' and what follows") : keyUrl(text);
}

const AUTHORITY = /^(?:([a-z0-9_-]+(?:\.[a-z0-9_-]+)*)|\[([0-9a-f:.]+)\])(?::([1-9][0-9]{0,4}))?$/;

function isAuthority(lower: string): boolean {
  const parts = AUTHORITY.exec(lower);
  if (parts === null) return false;
  const [, , six, port] = parts;
  return (six === undefined || isIPv6(six)) && Number(port ?? 1) <= 65_535;
}

/** A value of the `Host` header: `host` or `host:port`, in lower case. */
export function hostValue(text: string): Checked<string> {
  const lower = text.toLowerCase();
  if (isAuthority(lower)) return { ok: true, value: lower };
  return refuse('wants a host, or a host and a port', 'write it as clients send it: gateway.example.com or gateway.example.com:8443, without wildcard');
}

const DEFAULT_PORTS = /^(?:http:.*:80|https:.*:443)$/;

/** A value of the `Origin` header: scheme, host and port, in lower case. */
export function originValue(text: string): Checked<string> {
  const lower = text.toLowerCase();
  const authority = /^[a-z][a-z0-9+.-]*:\/\/(.*)$/.exec(lower)?.[1];
  if (authority === undefined || !isAuthority(authority)) {
    const hint = 'write it as browsers send it: https://app.example.com, without path or wildcard';
    return refuse(lower === 'null' ? "'null' is the origin of any page that hides its own" : 'wants an origin', hint);
  }
  if (DEFAULT_PORTS.test(lower)) return refuse('browsers leave out the default port', 'remove the port');
  return { ok: true, value: lower };
}

/** Names that the gateway answers for itself. */
const RESERVED: ReadonlySet<string> = new Set(['.well-known', 'attestation', 'control', 'healthz', 'metrics', 'readyz']);

/** Where clients find the gateway: a plain absolute path. */
export function endpointPath(text: string): Checked<string> {
  const segments = text.split('/').slice(1);
  const plain = text.startsWith('/') && segments.every((segment) => /^[A-Za-z0-9._~-]+$/.test(segment) && !/^\.{1,2}$/.test(segment));
  if (text !== '/' && !plain) return refuse('wants a path such as /mcp', "begin with '/'; use letters, digits and . _ ~ - between slashes, and no slash at the end");
  if (RESERVED.has(segments[0] ?? '')) return refuse('the gateway needs this path for itself', 'for example: /mcp');
  return { ok: true, value: text };
}
