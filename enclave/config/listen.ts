// SPDX-License-Identifier: Apache-2.0
/** Where the gateway listens, and who may reach it there: without authentication only this machine. */
import { isIPv4, isIPv6 } from 'node:net';
import { Usage } from '../../shared/errors.ts';
import type { Checked } from '../document/problem.ts';
import { isLoopbackHost } from '../front/loopback.ts';
import type { BastionConfig, ListenAddress } from './types.ts';

const EXAMPLE = 'write 127.0.0.1:8080 for this machine alone';

function refuse(problem: string, hint: string = EXAMPLE): Checked<never> {
  return { ok: false, problem, hint };
}

/** Reads `host:port`; an IPv6 address stands in brackets. An address is never guessed: it decides who can connect. */
export function parseListen(text: string): Checked<ListenAddress> {
  if (/^:?[0-9]+$/.test(text)) return refuse('a port alone does not say who may connect');
  if (text.includes('://')) return refuse('wants an address and a port, not a URL');
  if (isIPv6(text)) return refuse('an IPv6 address stands in brackets, and its port behind them', 'write [::1]:8080 for this machine alone');
  const parts = /^(?:\[([^\]]*)\]|([^:[\]]*)):([^:]*)$/.exec(text);
  if (parts === null) return refuse('wants an address and a port');
  const [, six, name = '', digits = ''] = parts;
  if (!/^(?:0|[1-9][0-9]{0,4})$/.test(digits) || Number(digits) > 65_535) return refuse('the port is not a number from 0 to 65535');
  const host = six === undefined ? canonicalName(name) : canonicalSix(six);
  if (host !== null) return { ok: true, value: { host, port: Number(digits) } };
  return refuse(name === '*' ? "'*' is no address" : 'the part before the port is neither an IP address nor a host name');
}

/** Also refuses numbers that some resolvers read as addresses, such as `127.1` and `0x7f.1`. */
function canonicalName(name: string): string | null {
  const lower = name.toLowerCase();
  if (isIPv4(lower)) return lower;
  const labels = lower.split('.');
  const known = lower.length <= 253 && labels.every((label) => /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(label));
  return known && !/^(?:[0-9]+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? '') ? lower : null;
}

function canonicalSix(address: string): string | null {
  if (!isIPv6(address)) return null;
  // The URL parser writes the shortest form; it knows no zone ids.
  return URL.parse(`http://[${address}]/`)?.hostname.slice(1, -1) ?? null;
}

/** True for addresses that stand for every interface: clients never name them. */
export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

/**
 * Refuses a gateway that anyone on a network could use.
 *
 * @throws Usage (CONFIG_INVALID)
 */
export function checkExposure(config: Pick<BastionConfig, 'listen' | 'auth'>): void {
  if (config.listen === null || config.auth.kind !== 'none' || isLoopbackHost(config.listen.host)) return;
  throw new Usage(
    'CONFIG_INVALID',
    'without authentication the gateway listens on this machine only: others could use every server behind it',
    'listen on 127.0.0.1, or add auth with tokens (make one: mcp-bastion token new --name NAME) or OAuth',
  );
}
