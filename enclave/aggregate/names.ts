// SPDX-License-Identifier: Apache-2.0
/**
 * Names of tools and prompts as clients of the aggregated endpoint see them: `<server>__<name>`, in the 64 characters that
 * model APIs take. A name that does not fit is cut and marked with a digest of the server's own name.
 */
import { sha256Hex } from '../../shared/digest.ts';
import { CLIENT_NAME_LENGTH_MAX, ROUTES_PER_SERVER_MAX, TOOL_NAME_LENGTH_MAX } from '../../shared/limits.ts';
import { detachedText } from '../exchange/conversation.ts';

const SEPARATOR = '__';
const FITS = /^[A-Za-z0-9_-]+$/;
const FOREIGN = /[^A-Za-z0-9_-]/gu;
const DIGEST_LENGTH = 8;
const SHORTENED = /_[0-9a-f]{8}$/;

function fits(name: string): boolean {
  return name.length <= CLIENT_NAME_LENGTH_MAX && FITS.test(name);
}

/** The name that clients see for what a server calls by a name of its own. */
export function clientName(server: string, own: string): string {
  const plain = server + SEPARATOR + own;
  if (fits(plain)) return plain;
  const mark = `_${sha256Hex(own).slice(0, DIGEST_LENGTH)}`;
  const prefix = server + SEPARATOR;
  return prefix + own.replaceAll(FOREIGN, '_').slice(0, CLIENT_NAME_LENGTH_MAX - prefix.length - mark.length) + mark;
}

/** What a client's name says by itself. */
export interface SplitName {
  readonly server: string;
  /** The server's own name, unless that was cut. */
  readonly rest: string;
  /** It looks like a name that was cut: only the listing tells what it stands for. */
  readonly shortened: boolean;
}

/** Null for what is no client's name at all. Server ids hold no underscore, so the first separator is the one. */
export function splitClientName(name: string): SplitName | null {
  const at = name.indexOf(SEPARATOR);
  if (at <= 0 || !fits(name)) return null;
  return { server: name.slice(0, at), rest: name.slice(at + SEPARATOR.length), shortened: SHORTENED.test(name) };
}

/** The names of one server as its listings told them. */
export class NameBook {
  readonly #server: string;
  #now = new Map<string, string>();
  /** Of the listing before: a client may still use it while it pages through the new one. */
  #before: ReadonlyMap<string, string> = new Map<string, string>();

  constructor(server: string) {
    this.#server = server;
  }

  /** A new listing begins. */
  begin(): void {
    this.#before = this.#now;
    this.#now = new Map();
  }

  /** The client's name for a listed one; null where another name of this listing has it already. */
  learn(own: string): string | null {
    const name = clientName(this.#server, own);
    const taken = this.#now.get(name);
    if (taken !== undefined) return taken === own ? name : null;
    // A longer name is not taken in a call either.
    if (own.length > TOOL_NAME_LENGTH_MAX) return name;
    this.#now.set(name, detachedText(own));
    const oldest = this.#now.keys().next();
    if (this.#now.size > ROUTES_PER_SERVER_MAX && oldest.done !== true) this.#now.delete(oldest.value);
    return name;
  }

  /** The server's own name, if some listing told it. */
  own(name: string): string | undefined {
    return this.#now.get(name) ?? this.#before.get(name);
  }
}
