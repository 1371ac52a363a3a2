// SPDX-License-Identifier: Apache-2.0
/**
 * The verdict on the URL of a server, before anything connects. Only the canonical spelling of a URL is accepted: what a
 * parser would repair, two parsers repair differently, and then the URL that was judged is not the one that is fetched
 * (URL standard sections 3.5 and 4.4; RFC 3986 section 6.2.2). Names are not looked up here: the addresses behind a name
 * are judged when the connection is made.
 */
import { UPSTREAM_URL_LENGTH_MAX } from '../../shared/limits.ts';
import type { AddressClass } from './address.ts';
import { classifyAddress, permitsAddress } from './address.ts';

export type UpstreamUrl =
  | { readonly kind: 'ok'; readonly url: URL }
  | { readonly kind: 'refused'; readonly problem: string; readonly hint: string };

export interface UrlOptions {
  /** Permits loopback and private networks, and plain http within them. */
  readonly allowPrivate: boolean;
}

/** Judges the URL of a server, as a person or another server wrote it. */
export function checkUpstreamUrl(text: string, options: UrlOptions): UpstreamUrl {
  const parts = split(text);
  if ('problem' in parts) return refused(parts);
  const problem = pathProblem(parts.path);
  if (problem !== null) return refused(problem);
  const url = URL.parse(text);
  if (url === null) return refused({ problem: 'the URL has no valid host', hint: 'write https://, a host name, and a path' });
  const fault = hostProblem(url, parts.authority) ?? networkProblem(url, options);
  if (fault !== null) return refused(fault);
  return { kind: 'ok', url };
}

/**
 * The URL that an `endpoint` event names (transport of 2024-11-05), which is attacker-controlled: relative or absolute, of
 * the same origin as the event's stream. Null if it is another origin or no canonical URL.
 */
export function sameOriginTarget(base: URL, candidate: string): URL | null {
  if (candidate === '' || textProblem(candidate) !== null) return null;
  let path: string;
  if (/^[a-z][a-z0-9+.-]*:/i.test(candidate)) {
    const parts = split(candidate);
    if ('problem' in parts) return null;
    path = parts.path;
    const target = URL.parse(candidate);
    if (target === null || hostProblem(target, parts.authority) !== null) return null;
  } else {
    path = candidate.split('?', 1)[0] ?? '';
  }
  const target = URL.parse(candidate, base.href);
  if (target === null || target.origin !== base.origin || pathProblem(path) !== null) return null;
  return pathProblem(target.pathname) === null ? target : null;
}

interface Problem {
  readonly problem: string;
  readonly hint: string;
}

interface Parts {
  /** As it was written. */
  readonly authority: string;
  readonly path: string;
}

function refused({ problem, hint }: Problem): UpstreamUrl {
  return { kind: 'refused', problem, hint };
}

/** The parts of an http or https URL, by RFC 3986 appendix B: no repairs. */
function split(text: string): Parts | Problem {
  const problem = textProblem(text);
  if (problem !== null) return problem;
  const match = /^https?:\/\/([^/?]*)([^?]*)(?:\?.*)?$/i.exec(text);
  if (match === null) return { problem: 'the URL is neither http nor https', hint: 'write https://, a host name, and a path' };
  const [, authority = '', path = ''] = match;
  if (authority === '') return { problem: 'the URL has no host', hint: 'write https://, a host name, and a path' };
  if (authority.includes('@')) {
    return { problem: 'the URL holds a user name or password', hint: 'give credentials as a header that refers to a secret' };
  }
  if (authority.includes('%')) return { problem: "the host of the URL holds '%'", hint: 'write the host name without escapes' };
  return { authority, path };
}

/** What no URL may hold anywhere. Parsers drop or replace these characters silently. */
function textProblem(text: string): Problem | null {
  if (text.length > UPSTREAM_URL_LENGTH_MAX) {
    return { problem: `the URL is longer than ${UPSTREAM_URL_LENGTH_MAX} characters`, hint: 'give a shorter one' };
  }
  if (!/^[\x21-\x7e]*$/.test(text)) {
    return { problem: 'the URL holds a space, a control character or a character outside ASCII', hint: 'write names in their xn-- form and escape the rest with %' };
  }
  if (text.includes('\\')) return { problem: 'the URL holds a backslash', hint: 'write slashes' };
  if (text.includes('#')) return { problem: 'the URL has a fragment', hint: "remove the '#' and what follows" };
  return null;
}

/** Escapes of what separates or ends segments, also escaped more than once: some server will unescape them. */
const ESCAPED_STRUCTURE = /%(?:25)*(?:2e|2f|5c|[01][0-9a-f]|7f)/i;
const MALFORMED_ESCAPE = /%(?![0-9a-f]{2})/i;
/** Some servers cut parameters off a segment before they resolve it. */
const DOT_SEGMENT = /(?:^|\/)\.{1,2}(?:;[^/]*)?(?:\/|$)/;

function pathProblem(path: string): Problem | null {
  const hint = 'write the path as the server has it, in its shortest form';
  if (path.includes('//')) return { problem: 'the path of the URL has an empty segment', hint };
  if (DOT_SEGMENT.test(path)) return { problem: 'the path of the URL has a dot segment', hint };
  if (ESCAPED_STRUCTURE.test(path)) return { problem: 'the path of the URL escapes a dot, a slash or a control character', hint };
  if (MALFORMED_ESCAPE.test(path)) return { problem: "the path of the URL has a '%' that escapes nothing", hint };
  return null;
}

/** The host has to be written as the parser gives it back; upper case and the scheme's own port are harmless. */
function hostProblem(url: URL, authority: string): Problem | null {
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
  const written = authority.toLowerCase();
  if (written !== url.host && written !== `${url.hostname}:${port}`) {
    return { problem: 'the host of the URL is not written in its canonical form', hint: 'write addresses as 192.0.2.1 or [2001:db8::1], and ports without zeros' };
  }
  if (classifyAddress(url.hostname) === null && !isName(url.hostname)) {
    return { problem: 'the host of the URL is not a valid name', hint: 'write the name without a dot at its end' };
  }
  return null;
}

/** Letters, digits, `-` and `_` in labels of up to 63, 253 in all (RFC 1035; underscores occur in container networks). */
function isName(host: string): boolean {
  return host.length <= 253 && /^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/.test(host);
}

function networkProblem(url: URL, { allowPrivate }: UrlOptions): Problem | null {
  const cls = classOf(url.hostname);
  if (cls !== null && !permitsAddress(cls, allowPrivate)) {
    const problem = `the host of the URL is a ${cls} address`;
    return { problem, hint: permitsAddress(cls, true) ? PRIVATE_HINT : 'no MCP server has such an address' };
  }
  if (url.protocol === 'https:') return null;
  const inside = allowPrivate && (cls === null ? isPrivateName(url.hostname) : cls !== 'public');
  return inside ? null : { problem: 'the URL sends everything in the clear', hint: 'use https' };
}

/** How to reach what is refused only because nobody allowed it. */
export const PRIVATE_HINT = 'if this server is meant to be there, set allow_private: true for it, or give --allow-private';

/** RFC 6761 section 6.3: these names mean this machine, whatever a resolver says. */
function classOf(host: string): AddressClass | null {
  return host === 'localhost' || host.endsWith('.localhost') ? 'loopback' : classifyAddress(host);
}

/**
 * Names that no public zone holds (RFC 6762, RFC 8375, the reserved zone "internal", single labels). That the addresses
 * behind one are private as well is seen to when the connection is made.
 */
function isPrivateName(host: string): boolean {
  return !host.includes('.') || /\.(?:local|internal|home\.arpa)$/.test(host);
}
