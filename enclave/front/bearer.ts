// SPDX-License-Identifier: Apache-2.0
/**
 * Bearer tokens (RFC 6750): how they are read from a request, and static ones that the configuration knows by their
 * SHA-256. The hash needs no salt or stretching because a token has too many bits to be guessed.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { Usage } from '../../shared/errors.ts';
import { BEARER_LENGTH_MAX } from '../../shared/limits.ts';
import type { AuthRefusal, Authenticator, AuthVerdict, ChallengeParameter, Principal } from './auth.ts';
import { authRefusal, bindingOf, isScope, scopeSet } from './auth.ts';
import { singleHeader } from './headers.ts';

export type BearerReading =
  /** No `Authorization`, or of another scheme. */
  | { readonly kind: 'none' }
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'malformed'; readonly hint: string };

/** Reads the one bearer token of a request. Tokens anywhere else, as in the URL, are not read. */
export function readBearer(rawHeaders: readonly string[]): BearerReading {
  const header = singleHeader(rawHeaders, 'authorization');
  if (header.kind === 'none') return { kind: 'none' };
  if (header.kind === 'repeated') return { kind: 'malformed', hint: 'a request may have one Authorization header' };
  const [scheme = ''] = header.value.split(' ', 1);
  if (scheme.toLowerCase() !== 'bearer') return { kind: 'none' };
  const token = header.value.slice(scheme.length).replace(/^ +/, '');
  if (token.length > BEARER_LENGTH_MAX) return { kind: 'malformed', hint: `a token may have ${BEARER_LENGTH_MAX} characters` };
  if (!/^[A-Za-z0-9\-._~+/]+=*$/.test(token)) return { kind: 'malformed', hint: 'the Authorization header is not Bearer and one token' };
  return { kind: 'token', token };
}

/** Characters of base64url that hold 128 bits. A shorter token could be guessed from its hash, whoever chose it. */
const TOKEN_LENGTH_MIN = 22;
const TOKEN_BYTES = 32;

export interface StaticToken {
  readonly name: string;
  /** Hex of SHA-256 of the token. */
  readonly sha256: string;
  readonly scopes?: readonly string[];
}

export const TOKEN_NAME_HINT = 'use 1 to 32 of a-z, 0-9, dot, _ and -, a letter or digit first';

/** True for a name that a static token may have: short, and safe in rows and YAML. */
export function isTokenName(name: string): boolean {
  return /^[a-z0-9][a-z0-9._-]{0,31}$/.test(name);
}

/** A new token and what the configuration holds of it. `randomBytes` must be a cryptographic source. */
export function createToken(randomBytes: (size: number) => Uint8Array): { token: string; sha256: string } {
  const bytes = randomBytes(TOKEN_BYTES);
  if (bytes.length !== TOKEN_BYTES) throw new TypeError(`a token needs ${TOKEN_BYTES} random bytes`);
  const token = `mbt_${Buffer.from(bytes).toString('base64url')}`;
  return { token, sha256: digest(token).toString('hex') };
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

interface Entry {
  readonly digest: Buffer;
  readonly principal: Principal;
}

function checkedEntries(tokens: readonly StaticToken[]): Entry[] {
  if (tokens.length === 0) throw new Usage('USAGE', 'there is no token', 'make one with: mcp-bastion token new --name NAME');
  const names = new Set<string>();
  const digests = new Set<string>();
  return tokens.map(({ name, sha256, scopes = [] }) => {
    if (!isTokenName(name)) throw new Usage('USAGE', 'a token has a bad name', TOKEN_NAME_HINT);
    if (!/^[0-9a-f]{64}$/.test(sha256)) throw new Usage('USAGE', `the sha256 of token ${name} is not 64 hex digits`, 'mcp-bastion token new prints it');
    if (names.has(name) || digests.has(sha256)) throw new Usage('USAGE', `token ${name} is there twice`, 'give each client a token of its own');
    if (!scopes.every(isScope)) throw new Usage('USAGE', `token ${name} has a bad scope`, 'use printable characters without spaces and quotes');
    names.add(name);
    digests.add(sha256);
    const rights = scopeSet(scopes);
    return { digest: Buffer.from(sha256, 'hex'), principal: { name: `token:${name}`, scopes: rights, binding: bindingOf('token', [name, sha256], rights) } };
  });
}

/**
 * Admits requests with one of some static tokens.
 *
 * @throws Usage where the list is empty or an entry is wrong
 */
export function bearerAuth(tokens: readonly StaticToken[], realm = 'mcp-bastion'): Authenticator {
  const entries = checkedEntries(tokens);
  const parameters: readonly ChallengeParameter[] = [['realm', realm]];
  const refused = (code: 'AUTH_REQUIRED' | 'AUTH_INVALID', hint: string): AuthRefusal => authRefusal(code, hint, parameters);

  function judge(rawHeaders: readonly string[]): AuthVerdict {
    const reading = readBearer(rawHeaders);
    if (reading.kind === 'none') return refused('AUTH_REQUIRED', 'send a token: Authorization: Bearer TOKEN');
    if (reading.kind === 'malformed') return refused('AUTH_INVALID', reading.hint);
    const presented = digest(reading.token);
    let principal: Principal | null = null;
    // All entries are compared: the time tells neither which one matched nor how far one did.
    for (const entry of entries) {
      if (timingSafeEqual(entry.digest, presented)) principal = entry.principal;
    }
    if (principal === null || reading.token.length < TOKEN_LENGTH_MIN) return refused('AUTH_INVALID', 'the token is not one that the gateway knows');
    return { kind: 'ok', principal };
  }

  // A bad realm is a caller bug: it shows here, not at the first refusal.
  refused('AUTH_REQUIRED', '');
  return { authenticate: async (rawHeaders) => judge(rawHeaders) };
}
