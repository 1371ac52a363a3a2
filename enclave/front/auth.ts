// SPDX-License-Identifier: Apache-2.0
/**
 * Who a request comes from. Every request is authenticated anew: a session id is no authentication (mcp.md section 4).
 * Refusals are written as RFC 6750 section 3 says; they name no token and nothing out of one.
 */
import { sha256Hex } from '../../shared/digest.ts';
import type { DeniedCode } from '../../shared/errors.ts';

export interface Principal {
  /** Safe to stand in rows: `local`, `token:ci`, `oauth:` and 8 hex digits of SHA-256(issuer LF subject). */
  readonly name: string;
  /** Sorted, each once. */
  readonly scopes: readonly string[];
  /**
   * What a session is bound to: it changes with the kind of credential, its owner and its rights, and is equal for a
   * refreshed token of the same subject and client with the same scopes. Bound to the name alone, a weaker token of one
   * user could go on with the session of a stronger one.
   */
  readonly binding: string;
}

export type AuthCode = Extract<DeniedCode, 'AUTH_REQUIRED' | 'AUTH_INVALID' | 'AUTH_SCOPE'>;

export interface AuthRefusal {
  readonly kind: 'refused';
  readonly status: 401 | 403;
  readonly code: AuthCode;
  /** The header of that name. */
  readonly wwwAuthenticate: string;
  readonly hint: string;
}

export type AuthVerdict =
  | { readonly kind: 'ok'; readonly principal: Principal }
  | AuthRefusal
  /** It cannot be told now: the request is answered with 503. */
  | { readonly kind: 'unavailable'; readonly hint: string };

export interface Authenticator {
  /** Judges node's `rawHeaders` at a time in milliseconds since 1970. Never rejects because of what a client sent. */
  authenticate(rawHeaders: readonly string[], now: number): Promise<AuthVerdict>;
}

/** A binding of a kind of credential, its owner and its rights. */
export function bindingOf(kind: 'local' | 'token' | 'oauth', owner: readonly string[], scopes: readonly string[]): string {
  return sha256Hex(JSON.stringify([kind, owner, scopes]));
}

/** RFC 6749 section 3.3. */
export function isScope(text: string): boolean {
  return /^[!#-[\]-~]+$/.test(text);
}

/** Scopes in the form in which principals hold them. */
export function scopeSet(scopes: readonly string[]): readonly string[] {
  return [...new Set(scopes)].toSorted();
}

/** Everybody who reaches the listener is the local user: for loopback listeners only. */
export function noAuth(): Authenticator {
  const principal: Principal = { name: 'local', scopes: [], binding: bindingOf('local', [], []) };
  return { authenticate: () => Promise.resolve({ kind: 'ok', principal }) };
}

export type ChallengeParameter = readonly [name: string, value: string];

/** RFC 6750 section 3.1: a request without credentials gets no error, so that its client knows to get some. */
const REFUSALS: Readonly<Record<AuthCode, { readonly status: 401 | 403; readonly error: string | null }>> = {
  AUTH_REQUIRED: { status: 401, error: null },
  AUTH_INVALID: { status: 401, error: 'invalid_token' },
  AUTH_SCOPE: { status: 403, error: 'insufficient_scope' },
};

/** Makes a refusal whose challenge ends with some parameters of the authenticator's own. */
export function authRefusal(code: AuthCode, hint: string, parameters: readonly ChallengeParameter[]): AuthRefusal {
  const { status, error } = REFUSALS[code];
  const said: readonly ChallengeParameter[] = error === null ? [] : [['error', error], ['error_description', hint]];
  return { kind: 'refused', status, code, wwwAuthenticate: bearerChallenge([...said, ...parameters]), hint };
}

/**
 * A `WWW-Authenticate` value with every parameter as a quoted string (RFC 9110 section 5.6.4).
 *
 * @throws TypeError for a value with anything but printable ASCII
 */
export function bearerChallenge(parameters: readonly ChallengeParameter[]): string {
  const parts = parameters.map(([name, value]) => {
    if (!/^[ -~]*$/.test(value)) throw new TypeError(`the challenge's ${name} is not printable ASCII`);
    return `${name}="${value.replace(/["\\]/g, '\\$&')}"`;
  });
  return parts.length === 0 ? 'Bearer' : `Bearer ${parts.join(', ')}`;
}
