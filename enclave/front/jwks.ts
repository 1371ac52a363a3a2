// SPDX-License-Identifier: Apache-2.0
/** An issuer's signing keys (RFC 7517): which of them can be used at all, and a cache that a flood cannot turn on the issuer. */
import type { KeyObject } from 'node:crypto';
import { createPublicKey } from 'node:crypto';
import { Unavailable } from '../../shared/errors.ts';
import {
  JWK_MEMBER_LENGTH_MAX,
  JWKS_FETCH_MS_MAX,
  JWKS_FRESH_MS_MAX,
  JWKS_KEYS_MAX,
  JWKS_REFRESH_MS_MIN,
  JWKS_RETRY_MS_MIN,
  JWKS_STALE_MS_MAX,
} from '../../shared/limits.ts';
import { isRecord } from './issuer.ts';

/** Public-key algorithms only: a set that also held HMAC would let the public key sign. */
export const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA'] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

export interface SigningKey {
  readonly kid: string | undefined;
  readonly algorithms: readonly Algorithm[];
  readonly key: KeyObject;
}

interface Shape {
  readonly algorithms: readonly Algorithm[];
  readonly curve: string | undefined;
  readonly members: readonly string[];
}

const SHAPES: ReadonlyMap<unknown, Shape> = new Map([
  ['RSA', { algorithms: ['RS256', 'PS256'], curve: undefined, members: ['n', 'e'] }],
  ['EC', { algorithms: ['ES256'], curve: 'P-256', members: ['crv', 'x', 'y'] }],
  ['OKP', { algorithms: ['EdDSA'], curve: 'Ed25519', members: ['crv', 'x'] }],
]);

/** Below, RSA can be broken (RFC 7518 section 3.3); above, verifying is slow enough to be an attack. */
const RSA_BITS = { min: 2048, max: 8192 } as const;
const RSA_EXPONENT_MAX = 0xffff_ffffn;

function importKey(jwk: Readonly<Record<string, unknown>>, shape: Shape): KeyObject | undefined {
  const members: Record<string, string> = { kty: String(jwk['kty']) };
  for (const name of shape.members) {
    const member = jwk[name];
    if (typeof member !== 'string' || member.length > JWK_MEMBER_LENGTH_MAX) return undefined;
    members[name] = member;
  }
  try {
    const key = createPublicKey({ key: members, format: 'jwk' });
    const { modulusLength: bits = RSA_BITS.min, publicExponent: exponent = 0n } = key.asymmetricKeyDetails ?? {};
    return bits >= RSA_BITS.min && bits <= RSA_BITS.max && exponent <= RSA_EXPONENT_MAX ? key : undefined;
  } catch {
    return undefined;
  }
}

function readKey(jwk: unknown): SigningKey | undefined {
  // A private part that was published is known to everybody.
  if (!isRecord(jwk) || jwk['d'] !== undefined || (jwk['use'] ?? 'sig') !== 'sig') return undefined;
  const operations = jwk['key_ops'] ?? ['verify'];
  if (!Array.isArray(operations) || !operations.includes('verify')) return undefined;
  const kid = jwk['kid'];
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > JWK_MEMBER_LENGTH_MAX)) return undefined;
  const shape = SHAPES.get(jwk['kty']);
  if (shape === undefined || (shape.curve !== undefined && jwk['crv'] !== shape.curve)) return undefined;
  const algorithms = shape.algorithms.filter((name) => jwk['alg'] === undefined || jwk['alg'] === name);
  const key = algorithms.length === 0 ? undefined : importKey(jwk, shape);
  return key === undefined ? undefined : { kid, algorithms, key };
}

/**
 * The keys of a set that can verify a token; others are left out, as RFC 7517 section 5 asks. Undefined where it is no
 * set, holds too many keys or none that can be used.
 */
export function readKeys(set: unknown): readonly SigningKey[] | undefined {
  const keys = isRecord(set) ? set['keys'] : undefined;
  if (!Array.isArray(keys) || keys.length > JWKS_KEYS_MAX) return undefined;
  const usable = keys.map(readKey).filter((key) => key !== undefined);
  return usable.length === 0 ? undefined : usable;
}

export type KeyLookup =
  | { readonly kind: 'found'; readonly key: KeyObject }
  /** The issuer has no such key, or several that a token without `kid` could mean. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'unavailable' };

/** True where that many milliseconds went by. A clock that was set back must not keep anything for longer. */
function isOver(since: number, ms: number, now: number): boolean {
  return now < since || now - since >= ms;
}

/** Why a fetch failed, in words that are safe to show. */
export function problemOf(error: unknown): string {
  return error instanceof Unavailable ? error.message : 'the exchange failed';
}

type Fetched = { readonly kind: 'value'; readonly value: unknown } | { readonly kind: 'failed'; readonly problem: string };

async function settled(promise: Promise<unknown>, msMax: number): Promise<Fetched> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Fetched>((resolve) => {
    timer = setTimeout(() => resolve({ kind: 'failed', problem: 'the answer takes too long' }), msMax);
  });
  const came = promise.then<Fetched, Fetched>(
    (value) => ({ kind: 'value', value }),
    (error: unknown) => ({ kind: 'failed', problem: problemOf(error) }),
  );
  try {
    return await Promise.race([came, late]);
  } finally {
    clearTimeout(timer);
  }
}

export class KeyCache {
  /** Fetches the set that `readKeys` reads. */
  readonly #fetch: () => Promise<unknown>;
  readonly #report: (problem: string) => void;
  #keys: readonly SigningKey[] | null = null;
  #readAt = 0;
  #triedAt: number | null = null;
  #failed = false;
  #running: Promise<void> | null = null;

  /** `report` hears of each failed fetch: clients are not told why, and whoever runs the gateway has to know. */
  constructor(fetch: () => Promise<unknown>, report: (problem: string) => void) {
    this.#fetch = fetch;
    this.#report = report;
  }

  /** The one key that a token's header means. May fetch; callers that come meanwhile share the answer. */
  async find(kid: string | undefined, algorithm: Algorithm, now: number): Promise<KeyLookup> {
    if (this.#keys === null || isOver(this.#readAt, JWKS_FRESH_MS_MAX, now)) {
      const refreshed = this.#refresh(now);
      // An issuer that was out and may not answer at all must not hold up who has a known key.
      if (!this.#failed || this.#pick(kid, algorithm, now) === undefined) await refreshed;
    }
    let key = this.#pick(kid, algorithm, now);
    if (key === undefined) {
      await this.#refresh(now);
      key = this.#pick(kid, algorithm, now);
    }
    if (key !== undefined) return { kind: 'found', key };
    // After a failure nobody knows which keys there are: that is no fault of the token's.
    return this.#failed ? { kind: 'unavailable' } : { kind: 'unknown' };
  }

  /** Old keys serve through an outage, but not for ever: who cuts the connection must not keep a revoked key alive. */
  #pick(kid: string | undefined, algorithm: Algorithm, now: number): KeyObject | undefined {
    if (this.#keys === null || isOver(this.#readAt, JWKS_STALE_MS_MAX, now)) return undefined;
    const fitting = this.#keys.filter((key) => key.algorithms.includes(algorithm) && (kid === undefined || key.kid === kid));
    return fitting.length === 1 ? fitting[0]?.key : undefined;
  }

  #refresh(now: number): Promise<void> {
    const pause = this.#keys === null ? JWKS_RETRY_MS_MIN : JWKS_REFRESH_MS_MIN;
    if (this.#running === null && this.#triedAt !== null && !isOver(this.#triedAt, pause, now)) return Promise.resolve();
    this.#running ??= this.#read(now).finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #read(now: number): Promise<void> {
    this.#triedAt = now;
    const fetched = await settled(this.#fetch(), JWKS_FETCH_MS_MAX);
    const keys = fetched.kind === 'value' ? readKeys(fetched.value) : undefined;
    this.#failed = keys === undefined;
    if (keys === undefined) {
      this.#report(fetched.kind === 'failed' ? fetched.problem : 'the answer is no set of keys with one that can be used');
      return;
    }
    this.#keys = keys;
    this.#readAt = now;
  }
}
