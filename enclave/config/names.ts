// SPDX-License-Identifier: Apache-2.0
/** Names in a configuration: of servers, tokens, scopes, environment variables and headers. */
import type { Checked } from '../document/problem.ts';
import { isTokenName, TOKEN_NAME_HINT } from '../front/bearer.ts';

function refuse(problem: string, hint: string): Checked<never> {
  return { ok: false, problem, hint };
}

/** Who rows name where no server is concerned, or all are. */
const RESERVED: ReadonlySet<string> = new Set(['gateway', 'door']);

/** A server id, as it stands in policy, pins and log. */
export function serverId(text: string): Checked<string> {
  if (RESERVED.has(text)) return refuse('the gateway itself has this name in the log', 'choose another');
  if (/^[a-z0-9-]{1,24}$/.test(text)) return { ok: true, value: text };
  return refuse('this is not a server id', 'use 1 to 24 of a-z, 0-9 and -');
}

/** What a hurried reader takes a server id for: two ids must differ in it. */
export function appearance(id: string): string {
  return id.replaceAll('0', 'o').replaceAll('1', 'l').replaceAll('rn', 'm').replaceAll('vv', 'w').replaceAll(/-+/g, '-').replaceAll(/^-|-$/g, '');
}

/** The name of a token, as it stands in the log. */
export function tokenName(text: string): Checked<string> {
  if (isTokenName(text)) return { ok: true, value: text };
  return refuse('this is not a token name', TOKEN_NAME_HINT);
}

/** For every place that wants a token. */
export const MAKE_TOKEN = 'make a token and its hash: mcp-bastion token new --name NAME';

/** Hashes of what `echo` and an unset variable give: whoever has one of them hashed no token. */
const EMPTY_HASHES: ReadonlySet<string> = new Set([
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b',
]);

export function tokenHash(text: string): Checked<string> {
  const lower = text.toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(lower)) return refuse('wants the SHA-256 of the token: 64 hex digits', MAKE_TOKEN);
  if (EMPTY_HASHES.has(lower)) return refuse('this is the hash of an empty text', MAKE_TOKEN);
  return { ok: true, value: lower };
}

/** RFC 6749 section 3.3. */
export function scope(text: string): Checked<string> {
  if (/^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/.test(text)) return { ok: true, value: text };
  return refuse('this is not a scope', 'use 1 to 128 visible ASCII characters, no space, quote or backslash; one scope an entry');
}

export function variableName(text: string): Checked<string> {
  if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(text)) return { ok: true, value: text };
  return refuse('this is not the name of an environment variable', 'use letters, digits and _, and no digit first');
}

/** Headers that belong to one connection (RFC 9110 section 7.6.1), and those that the gateway sets itself. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  'accept', 'accept-encoding', 'connection', 'content-encoding', 'content-length', 'content-type', 'expect', 'host', 'keep-alive', 'last-event-id',
  'mcp-method', 'mcp-name', 'mcp-protocol-version', 'mcp-session-id', 'proxy-authenticate', 'proxy-authorization', 'proxy-connection', 'te', 'trailer',
  'transfer-encoding', 'upgrade',
]);

/** The name of a header that an upstream gets, in lower case (RFC 9110 section 5.1). */
export function headerName(text: string): Checked<string> {
  const lower = text.toLowerCase();
  if (!/^[!#$%&'*+.^_`|~0-9a-z-]{1,128}$/.test(lower)) {
    return refuse('this is not the name of a header', 'for example: Authorization');
  }
  if (OWN_HEADERS.has(lower) || lower.startsWith('mcp-param-')) return refuse("this header is the gateway's own", 'remove it');
  return { ok: true, value: lower };
}
