// SPDX-License-Identifier: Apache-2.0
/** The command line of `bastion-verify-pcrs`, read strictly: an option that is passed over would check nothing. */
import { parseArgs } from 'node:util';
import { isNonceLength } from '../attestation/nonce.ts';
import { OPTIONAL } from '../attestation/check.ts';
import { readPcrs } from '../attestation/trust.ts';
import { fromHex } from '../bytes.ts';
import { Usage } from '../errors.ts';

export interface Options {
  readonly document: string;
  /** Milliseconds since 1970, or the time now. */
  readonly at: number | 'now';
  readonly nonce: Uint8Array | null;
  readonly pcrs: ReadonlyMap<number, Uint8Array> | null;
  readonly trust: string | null;
  readonly boot: { readonly config: string; readonly policy: string; readonly pins: string } | null;
  readonly root: string | null;
  readonly allowDebug: boolean;
  readonly allowFlags: boolean;
  readonly acceptUnchecked: ReadonlySet<string>;
  readonly json: boolean;
}

export type Command = { readonly kind: 'help' } | { readonly kind: 'version' } | { readonly kind: 'verify'; readonly options: Options };

const SEE_HELP = 'see: bastion-verify-pcrs --help';
const TEXTS = ['document', 'at', 'nonce', 'trust', 'config', 'policy', 'pins', 'root', 'accept-unchecked'];
const SWITCHES = ['allow-debug', 'allow-flags', 'json', 'help', 'version'];
const PCRS = Array.from({ length: 32 }, (_, index) => `pcr${index}`);
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{3})?Z$/;

/** The words of a command line, each option at most once. */
interface Words {
  readonly texts: ReadonlyMap<string, string>;
  readonly switches: ReadonlySet<string>;
}

/** @throws Usage (USAGE) */
export function parseCommand(args: readonly string[]): Command {
  const words = parseWords(args);
  if (words.switches.has('help')) return { kind: 'help' };
  if (words.switches.has('version')) return { kind: 'version' };
  const { texts, switches } = words;
  const document = texts.get('document');
  if (document === undefined) throw new Usage('USAGE', '--document is missing', SEE_HELP);
  const options: Options = {
    document,
    at: parseTime(texts.get('at')),
    nonce: parseNonce(texts.get('nonce')),
    pcrs: parsePcrs(texts),
    trust: texts.get('trust') ?? null,
    boot: parseBoot(texts),
    root: texts.get('root') ?? null,
    allowDebug: switches.has('allow-debug'),
    allowFlags: switches.has('allow-flags'),
    acceptUnchecked: parseAccepted(texts.get('accept-unchecked')),
    json: switches.has('json'),
  };
  return { kind: 'verify', options };
}

function parseWords(args: readonly string[]): Words {
  const texts = new Map<string, string>();
  const switches = new Set<string>();
  const options: Record<string, { type: 'string' | 'boolean'; multiple: true }> = {};
  for (const name of [...TEXTS, ...PCRS]) options[name] = { type: 'string', multiple: true };
  for (const name of SWITCHES) options[name] = { type: 'boolean', multiple: true };
  const { values, positionals } = parseStrictly(args, options);
  for (const [name, list = []] of Object.entries(values)) {
    if (list.length > 1) throw new Usage('USAGE', `--${name} is given twice`, 'give it once');
    for (const value of list) {
      if (typeof value === 'string') texts.set(name, value);
      else switches.add(name);
    }
  }
  if (positionals.some((word) => /^https?:/i.test(word))) {
    throw new Usage('USAGE', 'a running enclave cannot be asked by this version', 'save its document with "Accept: application/cbor" and name it with --document');
  }
  if (positionals.length > 0) throw new Usage('USAGE', 'there is a word that belongs to no option', SEE_HELP);
  return { texts, switches };
}

function parseStrictly(args: readonly string[], options: Record<string, { type: 'string' | 'boolean'; multiple: true }>) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    // The messages of parseArgs name options only; their advice is about other programs.
    throw new Usage('USAGE', error instanceof Error ? (error.message.split(/\. |\n/)[0] ?? 'bad options') : 'bad options', SEE_HELP);
  }
}

function parseTime(text: string | undefined): number | 'now' {
  if (text === 'now') return 'now';
  const ms = text !== undefined && TIME.test(text) ? Date.parse(text) : Number.NaN;
  // Date.parse takes 31 February over into March; only a real date is written as it was read.
  if (text === undefined || Number.isNaN(ms) || !new Date(ms).toISOString().startsWith(text.slice(0, 19))) {
    const problem = text === undefined ? '--at is missing' : '--at is no time';
    throw new Usage('USAGE', problem, 'give "now", or a time in UTC such as 2026-01-31T12:00:00Z; for a kept document, the time at which it was fetched');
  }
  return ms;
}

function parseNonce(text: string | undefined): Uint8Array | null {
  if (text === undefined) return null;
  const nonce = fromHex(text.toLowerCase());
  if (nonce === undefined || !isNonceLength(nonce.length)) throw new Usage('USAGE', '--nonce is not the hexadecimal of 16 to 1024 bytes', 'give the nonce that the document was asked for with');
  return nonce;
}

function parsePcrs(texts: ReadonlyMap<string, string>): ReadonlyMap<number, Uint8Array> | null {
  const given = PCRS.filter((name) => texts.has(name)).map((name): [string, string | undefined] => [name.slice('pcr'.length), texts.get(name)]);
  if (given.length === 0) return null;
  const read = readPcrs(given);
  if (!read.ok) throw new Usage('USAGE', read.reason, 'give at least --pcr0, --pcr1 and --pcr2, as the release names them');
  // Two sources of the same expectation would need a rule for which one wins.
  if (texts.has('trust')) throw new Usage('USAGE', 'PCRs are given beside --trust', 'put them into the trust file, or leave it out');
  return read.pcrs;
}

function parseBoot(texts: ReadonlyMap<string, string>): Options['boot'] {
  const config = texts.get('config');
  const policy = texts.get('policy');
  const pins = texts.get('pins');
  if (config === undefined && policy === undefined && pins === undefined) return null;
  if (config === undefined || policy === undefined || pins === undefined) {
    throw new Usage('USAGE', '--config, --policy and --pins belong together', 'one register holds all three: give each of them');
  }
  return { config, policy, pins };
}

function parseAccepted(text: string | undefined): ReadonlySet<string> {
  const names = text === undefined ? [] : text.split(',');
  if (!names.every((name) => OPTIONAL.has(name))) {
    throw new Usage('USAGE', '--accept-unchecked names something that has to be checked, or nothing known', `choose from: ${[...OPTIONAL].join(', ')}`);
  }
  return new Set(names);
}
