// SPDX-License-Identifier: Apache-2.0
/**
 * OAuth access tokens: the gateway as a resource server (mcp.md section 5, RFC 9068). A token is admitted only if the
 * configured issuer signed it for the gateway's own URL; whatever cannot be checked is refused.
 */
import { decodeProtectedHeader, errors, jwtVerify } from 'jose';
import type { JWTPayload, ProtectedHeaderParameters } from 'jose';
import type { KeyObject } from 'node:crypto';
import { sha256Hex } from '../../shared/digest.ts';
import { Unavailable, Usage } from '../../shared/errors.ts';
import { TOKEN_CLOCK_SECONDS_MAX } from '../../shared/limits.ts';
import type { AuthCode, AuthRefusal, Authenticator, AuthVerdict, ChallengeParameter } from './auth.ts';
import { authRefusal, bindingOf, isScope, scopeSet } from './auth.ts';
import { readBearer } from './bearer.ts';
import { jwksUrlOf, metadataUrls, secureUrl } from './issuer.ts';
import type { Algorithm } from './jwks.ts';
import { ALGORITHMS, KeyCache, problemOf } from './jwks.ts';

export interface OAuthOptions {
  /** As it stands in tokens: compared character by character. */
  readonly issuer: string;
  /** The gateway's own resource URL (RFC 8707), compared likewise. */
  readonly audience: string;
  /** Where the issuer's keys are; without it, its metadata says so. */
  readonly jwksUrl?: string;
  /** Each request needs all of them. */
  readonly requiredScopes: readonly string[];
  readonly algorithms?: readonly Algorithm[];
  /** Fetches and parses a JSON document. It decides which addresses are reached, follows no redirect and bounds the size. */
  readonly fetchJson: (url: URL) => Promise<unknown>;
  /** Where the document of `protectedResourceMetadata` is. */
  readonly resourceMetadataUrl: string;
  /** Hears why the issuer's keys could not be fetched, in words that are safe to show. */
  readonly report?: (problem: string) => void;
}

type Judged<Value> = { readonly kind: 'ok'; readonly value: Value } | { readonly kind: 'invalid'; readonly hint: string };

function invalid(hint: string): { readonly kind: 'invalid'; readonly hint: string } {
  return { kind: 'invalid', hint };
}

interface Header {
  readonly algorithm: Algorithm;
  readonly kid: string | undefined;
}

/**
 * Other types of JWT of the same issuer (RFC 8725 section 3.11) are no access tokens. RFC 9068 has `at+jwt`, but many
 * issuers say `JWT`, and some large ones nothing, which means as little (RFC 7519 section 5.1): then the audience alone
 * tells an access token from an ID token, whose audience is the client.
 */
const TYPES: ReadonlySet<string> = new Set(['jwt', 'at+jwt', 'application/jwt', 'application/at+jwt']);

/** Judges what a token says of itself, before anything is fetched for it. All of it is attacker-controlled. */
function judgeHeader(token: string, allowed: readonly Algorithm[]): Judged<Header> {
  let header: ProtectedHeaderParameters;
  try {
    header = decodeProtectedHeader(token);
  } catch {
    return invalid('the token is not a signed JWT');
  }
  const { alg, typ, kid } = header;
  const algorithm = allowed.find((name) => name === alg);
  if (algorithm === undefined) return invalid('the algorithm of the token is not allowed');
  if (typ !== undefined && (typeof typ !== 'string' || !TYPES.has(typ.toLowerCase()))) {
    return invalid('the token is not an access token: its typ is neither at+jwt nor JWT');
  }
  // The type is what jose declares, not what it checked.
  if (kid !== undefined && typeof kid !== 'string') return invalid('the kid of the token is not a string');
  return { kind: 'ok', value: { algorithm, kid } };
}

/** Claims whose failure the client's owner can mend. The signature was good by then, so naming them tells no forger anything. */
const CLAIM_HINTS: ReadonlyMap<string, string> = new Map([
  ['aud', 'the token is for another resource'],
  ['iss', 'the token is of another issuer'],
  ['nbf', 'the token is not valid yet'],
]);

function hintOf(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'the token has expired';
  if (error instanceof errors.JWTClaimValidationFailed) return CLAIM_HINTS.get(error.claim) ?? 'a claim of the token is missing or wrong';
  return 'the token does not verify';
}

async function verify(token: string, key: KeyObject, algorithm: Algorithm, options: OAuthOptions, now: number): Promise<Judged<JWTPayload>> {
  try {
    const { payload } = await jwtVerify(token, key, {
      algorithms: [algorithm],
      issuer: options.issuer,
      audience: options.audience,
      clockTolerance: TOKEN_CLOCK_SECONDS_MAX,
      currentDate: new Date(now),
    });
    return judgeTimes(payload, now);
  } catch (error) {
    return invalid(hintOf(error));
  }
}

/** What jose leaves open: a token from the future, and numbers that JSON can hold but no date is. */
function judgeTimes(payload: JWTPayload, now: number): Judged<JWTPayload> {
  const { exp, iat } = payload;
  if (exp === undefined || !Number.isSafeInteger(Math.ceil(exp))) return invalid('the token never expires');
  if (iat !== undefined && (iat < 0 || iat > exp)) return invalid('the token expires before it is issued');
  if (iat !== undefined && iat > now / 1000 + TOKEN_CLOCK_SECONDS_MAX) return invalid('the token was issued in the future');
  return { kind: 'ok', value: payload };
}

interface Grant {
  readonly subject: string;
  readonly client: string;
  readonly scopes: readonly string[];
}

/** RFC 9068 has `scope`, a string; some issuers have `scp`, a string or a list. */
function readScopes(payload: JWTPayload): readonly string[] | undefined {
  const claim: unknown = payload['scope'] ?? payload['scp'] ?? '';
  const items: readonly unknown[] = typeof claim === 'string' ? claim.split(' ').filter((item) => item !== '') : Array.isArray(claim) ? claim : [claim];
  const scopes = items.filter((item) => typeof item === 'string').filter(isScope);
  return scopes.length === items.length ? scopeSet(scopes) : undefined;
}

function readGrant(payload: JWTPayload): Judged<Grant> {
  const { sub } = payload;
  if (typeof sub !== 'string' || sub === '') return invalid('the token names no subject');
  const scopes = readScopes(payload);
  if (scopes === undefined) return invalid('the scopes of the token are malformed');
  const client = payload['client_id'] ?? payload['azp'] ?? '';
  return typeof client === 'string' ? { kind: 'ok', value: { subject: sub, client, scopes } } : invalid('the client of the token is malformed');
}

class OAuthAuthenticator implements Authenticator {
  readonly #options: OAuthOptions;
  readonly #algorithms: readonly Algorithm[];
  readonly #keys: KeyCache;
  readonly #challenge: readonly ChallengeParameter[];

  constructor(options: OAuthOptions, keys: KeyCache) {
    const { requiredScopes, resourceMetadataUrl } = options;
    this.#options = options;
    this.#algorithms = options.algorithms ?? ALGORITHMS;
    this.#keys = keys;
    const scope: readonly ChallengeParameter[] = requiredScopes.length === 0 ? [] : [['scope', requiredScopes.join(' ')]];
    this.#challenge = [...scope, ['resource_metadata', resourceMetadataUrl]];
  }

  async authenticate(rawHeaders: readonly string[], now: number): Promise<AuthVerdict> {
    const reading = readBearer(rawHeaders);
    if (reading.kind === 'none') return this.#refused('AUTH_REQUIRED', 'send an access token: Authorization: Bearer TOKEN');
    if (reading.kind === 'malformed') return this.#refused('AUTH_INVALID', reading.hint);
    const header = judgeHeader(reading.token, this.#algorithms);
    if (header.kind === 'invalid') return this.#refused('AUTH_INVALID', header.hint);
    const { kid, algorithm } = header.value;
    const lookup = await this.#keys.find(kid, algorithm, now);
    if (lookup.kind === 'unavailable') return { kind: 'unavailable', hint: "the issuer's keys cannot be fetched: try again, and check that the issuer can be reached" };
    if (lookup.kind === 'unknown') return this.#refused('AUTH_INVALID', 'the token names no key that the issuer has');
    const payload = await verify(reading.token, lookup.key, algorithm, this.#options, now);
    if (payload.kind === 'invalid') return this.#refused('AUTH_INVALID', payload.hint);
    const grant = readGrant(payload.value);
    return grant.kind === 'invalid' ? this.#refused('AUTH_INVALID', grant.hint) : this.#admit(grant.value);
  }

  #admit({ subject, client, scopes }: Grant): AuthVerdict {
    const { issuer, requiredScopes } = this.#options;
    if (!requiredScopes.every((scope) => scopes.includes(scope))) {
      return this.#refused('AUTH_SCOPE', 'the token lacks a scope that is needed');
    }
    const name = `oauth:${sha256Hex(`${issuer}\n${subject}`).slice(0, 8)}`;
    return { kind: 'ok', principal: { name, scopes, binding: bindingOf('oauth', [issuer, subject, client], scopes) } };
  }

  #refused(code: AuthCode, hint: string): AuthRefusal {
    return authRefusal(code, hint, this.#challenge);
  }
}

/** Asks the places where an issuer's metadata may be, one after the other, for where its keys are. */
async function discoverJwks(issuer: string, fetchJson: OAuthOptions['fetchJson']): Promise<URL> {
  let unfit: string | undefined;
  let missing: string | undefined;
  for (const url of metadataUrls(issuer)) {
    const found = await fetchJson(url).then(
      (metadata) => jwksUrlOf(metadata, issuer),
      (error: unknown) => ({ kind: 'missing', problem: problemOf(error) }) as const,
    );
    if (found.kind === 'ok') return found.url;
    if (found.kind === 'unfit') unfit ??= found.problem;
    else missing ??= found.problem;
  }
  // Metadata is at one of the places only: what is wrong with it says more than that the others have none.
  throw new Unavailable('AUTH_UNAVAILABLE', unfit ?? missing ?? 'the issuer has no metadata', 'check the issuer');
}

/**
 * Admits requests with an access token of one issuer. Fetches nothing before the first token comes.
 *
 * @throws Usage where an option is wrong
 */
export function oauthAuth(options: OAuthOptions): Authenticator {
  const { issuer, jwksUrl, fetchJson } = options;
  if (secureUrl(issuer, 'issuer').search !== '') throw new Usage('USAGE', 'the issuer has a query', 'use the iss of its tokens');
  secureUrl(options.audience, 'audience');
  secureUrl(options.resourceMetadataUrl, 'address of the resource metadata');
  const keysUrl = jwksUrl === undefined ? null : secureUrl(jwksUrl, 'address of the keys');
  if (!options.requiredScopes.every(isScope)) throw new Usage('USAGE', 'a required scope is malformed', 'use printable characters without spaces and quotes');
  const { algorithms = ALGORITHMS } = options;
  if (algorithms.length === 0 || !algorithms.every((name) => ALGORITHMS.includes(name))) {
    throw new Usage('USAGE', 'the algorithms are not some of those that are supported', `use ${ALGORITHMS.join(', ')}`);
  }
  const keys = new KeyCache(async () => fetchJson(keysUrl ?? (await discoverJwks(issuer, fetchJson))), options.report ?? (() => undefined));
  return new OAuthAuthenticator(options, keys);
}
