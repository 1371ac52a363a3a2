// SPDX-License-Identifier: Apache-2.0
/**
 * Judges addresses at the moment of connecting. A name is looked up once per connection, every address it has must be
 * permitted, and the connection goes to exactly these: an answer that changes between check and use (DNS rebinding), or
 * that mixes permitted and forbidden addresses, leads nowhere.
 */
import { lookup } from 'node:dns/promises';
import type { LookupFunction } from 'node:net';
import { isIP } from 'node:net';
import { Unavailable } from '../../shared/errors.ts';
import { classifyAddress, permitsAddress } from './address.ts';
import { PRIVATE_HINT } from './target.ts';

/** Looks up all addresses of a host name. What it answers is attacker-controlled. */
export type Resolve = (host: string) => Promise<readonly { address: string; family: 4 | 6 }[]>;

export interface GuardOptions {
  readonly allowPrivate: boolean;
  readonly resolve: Resolve;
  /** True where nothing is encrypted: then only addresses that are not public are permitted. */
  readonly isPlain: boolean;
}

export interface Guard {
  /** For `net.connect` and `tls.connect`, which call it for names only. */
  readonly lookup: LookupFunction;
  /** Why there must be no connection to this address; null if there may be one. */
  judge(address: string | undefined): Unavailable | null;
}

export function createGuard(options: GuardOptions): Guard {
  async function permittedAddresses(host: string): Promise<{ address: string; family: number }[]> {
    const found = await options.resolve(host);
    // The family is read from the address: nothing else says which of the two a connection will use.
    const addresses = found.map(({ address }) => ({ address, family: isIP(address) }));
    const failure = addresses.map(({ address, family }) => judge(family === 0 ? undefined : address, options)).find((judged) => judged !== null);
    if (failure !== undefined) throw failure;
    return addresses;
  }

  return {
    lookup: (host, { all }, callback) => {
      permittedAddresses(host).then(
        (addresses) => {
          const [first] = addresses;
          if (first === undefined) callback(new Unavailable('UPSTREAM_UNREACHABLE', "the server's name has no address", NAME_HINT), '');
          else if (all === true) callback(null, addresses);
          else callback(null, first.address, first.family);
        },
        (error: unknown) => {
          callback(error instanceof Error ? error : new Error('the lookup failed', { cause: error }), '');
        },
      );
    },
    judge: (address) => judge(address, options),
  };
}

/** Looks names up as the system does, its hosts file included. */
export async function resolveBySystem(host: string): Promise<{ address: string; family: 4 | 6 }[]> {
  const found = await lookup(host, { all: true });
  return found.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }));
}

/** What to do about a name that leads nowhere. */
export const NAME_HINT = 'check the host name in the URL of the server';

function judge(address: string | undefined, { allowPrivate, isPlain }: GuardOptions): Unavailable | null {
  const cls = address === undefined ? null : classifyAddress(address);
  if (cls === null) return refusal('the server has no valid address', NAME_HINT);
  if (!permitsAddress(cls, allowPrivate)) {
    return refusal(`the server has a ${cls} address`, permitsAddress(cls, true) ? PRIVATE_HINT : 'no MCP server has such an address');
  }
  return isPlain && cls === 'public' ? refusal('the server has a public address, and the URL sends everything in the clear', 'use https') : null;
}

function refusal(message: string, hint: string): Unavailable {
  return new Unavailable('UPSTREAM_ADDRESS', message, hint);
}
