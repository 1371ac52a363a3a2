// SPDX-License-Identifier: Apache-2.0
/**
 * Rules between the keys of a configuration. A key that can have no effect is an error, because its author believes that
 * it has one. Works on what could be read, so that these problems are reported together with those of the form.
 */
import { CONFIG_LIST_MAX, SERVERS_MAX } from '../../shared/limits.ts';
import type { Explained } from '../document/problem.ts';
import { quoted } from '../document/problem.ts';
import { asRecord, isSection, listIn, memberOf } from '../document/raw.ts';
import { isWildcard, parseListen } from './listen.ts';
import { appearance, MAKE_TOKEN } from './names.ts';

export interface Misfit extends Explained {
  /** Place in the document. */
  readonly path: readonly (string | number)[];
}

/** All misfits, in no particular order. */
export function misfits(raw: unknown): Misfit[] {
  const servers = asRecord(memberOf(raw, 'servers'));
  return [
    ...Object.entries(servers)
      .slice(0, SERVERS_MAX)
      .flatMap(([name, server]) => (isSection(server) ? serverMisfits(name, asRecord(server)) : [])),
    ...together(Object.keys(servers), memberOf(raw, 'listen') !== undefined),
    ...withoutListener(asRecord(raw)),
    ...namelessListener(raw),
    ...authMisfits(asRecord(memberOf(raw, 'auth')), memberOf(raw, 'public_url') !== undefined),
    ...tokenMisfits(memberOf(memberOf(raw, 'auth'), 'tokens'), ['auth', 'tokens']),
  ];
}

type Section = Readonly<Record<string, unknown>>;

const COMMAND_KEYS: readonly string[] = ['env', 'cwd'];
const URL_KEYS: readonly string[] = ['transport', 'allow_private', 'headers'];

function serverMisfits(name: string, server: Section): Misfit[] {
  const path = ['servers', name];
  const command = 'command' in server;
  if (command && 'url' in server) return [{ path, problem: 'this server has a command and a url', hint: 'keep one of them' }];
  if (!command && !('url' in server)) {
    return [{ path, problem: 'this server has neither a command nor a url', hint: 'write the command that starts it, or the url where it runs' }];
  }
  const other = command ? 'url' : 'command';
  const dead = (command ? URL_KEYS : COMMAND_KEYS).filter((key) => key in server);
  const misfits: Misfit[] = dead.map((key) => ({ path: [...path, key], problem: `${key} has no effect without ${other}`, hint: 'remove it' }));
  return [...misfits, ...repeatedHeaders([...path, 'headers'], asRecord(server['headers']))];
}

function repeatedHeaders(path: readonly string[], headers: Section): Misfit[] {
  const names = Object.keys(headers).slice(0, CONFIG_LIST_MAX);
  return repeats(names, (name) => name.toLowerCase()).map(([index]) => ({
    path: [...path, names[index] ?? ''],
    problem: 'this header stands here twice: case makes no difference',
    hint: 'keep one of them',
  }));
}

/** Index of each text that repeats an earlier one, and index of that one. */
function repeats(texts: readonly string[], keyOf: (text: string) => string): (readonly [index: number, earlier: number])[] {
  const first = new Map<string, number>();
  const found: (readonly [number, number])[] = [];
  for (const [index, text] of texts.entries()) {
    const earlier = first.get(keyOf(text));
    if (earlier === undefined) first.set(keyOf(text), index);
    else found.push([index, earlier]);
  }
  return found;
}

function together(names: readonly string[], listens: boolean): Misfit[] {
  const path = ['servers'];
  const known = names.slice(0, SERVERS_MAX);
  const misfits: Misfit[] = repeats(known, appearance).map(([index, earlier]) => ({
    path: [...path, known[index] ?? ''],
    problem: `this server id looks like ${quoted(known[earlier] ?? '')}`,
    hint: 'choose ids that nobody can mistake for each other',
  }));
  if (names.length > SERVERS_MAX) misfits.push({ path, problem: `servers is above the limit of ${SERVERS_MAX}`, hint: 'run a second gateway for the rest' });
  if (!listens && names.length > 1) {
    const hint = "add 'listen: 127.0.0.1:8080', or keep one server";
    misfits.push({ path, problem: "without listen the gateway stands at the client's stdio, in place of one server", hint });
  }
  return misfits;
}

const LISTENER_KEYS: readonly string[] = ['path', 'public_url', 'allowed_hosts', 'allowed_origins', 'auth', 'limits', 'legacy_sse'];

function withoutListener(top: Section): Misfit[] {
  if ('listen' in top) return [];
  const hint = "add 'listen: 127.0.0.1:8080', or remove it";
  return LISTENER_KEYS.filter((key) => key in top).map((key) => ({ path: [key], problem: `${key} has no effect without listen`, hint }));
}

/** A client that comes by a name that is not known is refused, and a listener on every interface knows no name. */
function namelessListener(raw: unknown): Misfit[] {
  const listen = memberOf(raw, 'listen');
  const address = typeof listen === 'string' ? parseListen(listen) : null;
  if (address?.ok !== true || !isWildcard(address.value.host)) return [];
  if (memberOf(raw, 'public_url') !== undefined || listIn(raw, 'allowed_hosts', 1).length > 0) return [];
  return [{ path: ['listen'], ...NAMELESS }];
}

const NAMELESS: Explained = {
  problem: 'a listener on every interface does not know the name by which clients reach it',
  hint: 'set public_url, or list the names in allowed_hosts',
};

/** The kind of authentication that reads a key. */
const AUTH_KEYS: ReadonlyMap<string, string> = new Map([
  ['tokens', 'bearer'],
  ['issuer', 'oauth'],
  ['jwks_url', 'oauth'],
  ['audience', 'oauth'],
  ['scopes', 'oauth'],
]);

function authMisfits(auth: Section, hasPublicUrl: boolean): Misfit[] {
  const kind = auth['kind'];
  if (kind !== 'none' && kind !== 'bearer' && kind !== 'oauth') return [];
  const misfits: Misfit[] = [...AUTH_KEYS]
    .filter(([key, reader]) => key in auth && reader !== kind)
    .map(([key, reader]) => ({ path: ['auth', key], problem: `auth.${key} has no effect with 'kind: ${kind}'`, hint: `remove it, or write 'kind: ${reader}'` }));
  const path = ['auth'];
  if (kind === 'bearer' && !('tokens' in auth)) misfits.push({ path, problem: 'auth.tokens is missing', hint: MAKE_TOKEN });
  if (kind === 'oauth' && !('issuer' in auth)) {
    misfits.push({ path, problem: 'auth.issuer is missing', hint: 'name the authorization server: issuer: https://issuer.example.com' });
  }
  if (kind === 'oauth' && !('audience' in auth) && !hasPublicUrl) {
    misfits.push({ path, problem: 'auth.audience is missing', hint: 'write it, or public_url, from which it follows' });
  }
  return misfits;
}

/** Tokens that have the name or the value of another one: nobody could tell them apart, or revoke one of them. */
export function tokenMisfits(raw: unknown, path: readonly string[]): Misfit[] {
  const tokens = Array.isArray(raw) ? raw.slice(0, CONFIG_LIST_MAX) : [];
  return ['name', 'sha256'].flatMap((key) => {
    const texts = tokens.map((token: unknown, index) => {
      const text = memberOf(token, key);
      return typeof text === 'string' ? text.toLowerCase() : `\0${index}`;
    });
    return repeats(texts, (text) => text).map(([index, earlier]) => ({
      path: [...path, index, key],
      problem: `this ${key} is that of entry ${earlier}, too`,
      hint: 'give every token a name and a value of its own',
    }));
  });
}
