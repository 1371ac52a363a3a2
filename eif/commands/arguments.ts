// SPDX-License-Identifier: Apache-2.0
/** What the commands share: their surroundings, and how they read words of the command line. */
import { parseArgs } from 'node:util';
import { Usage } from '../../shared/errors.ts';

export interface CommandIo {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** 0 done or verified, 1 checked and does not match, 3 not (wholly) checked; 2 is a Usage. */
export type ExitCode = 0 | 1 | 3;

export interface Arguments {
  readonly words: readonly string[];
  readonly options: ReadonlyMap<string, string>;
  readonly flags: ReadonlySet<string>;
}

/**
 * Reads `--name VALUE` for the named options, `--name` for the named flags, and the other words.
 *
 * @throws Usage for anything else
 */
export function readArguments(args: readonly string[], optionNames: readonly string[], flagNames: readonly string[], usage: string): Arguments {
  const config: Record<string, { type: 'string' | 'boolean' }> = {};
  for (const name of optionNames) config[name] = { type: 'string' };
  for (const name of flagNames) config[name] = { type: 'boolean' };
  let parsed;
  try {
    parsed = parseArgs({ args: [...args], allowPositionals: true, options: config, tokens: true });
  } catch {
    throw new Usage('USAGE', 'these arguments are not known', usage);
  }
  const options = new Map<string, string>();
  const flags = new Set<string>();
  for (const token of parsed.tokens) {
    if (token.kind !== 'option') continue;
    if (options.has(token.name)) throw new Usage('USAGE', `--${token.name} is given twice`, usage);
    if (token.value === undefined) flags.add(token.name);
    else options.set(token.name, token.value);
  }
  return { words: parsed.positionals, options, flags };
}

/** The single word of a command: the path of an image. @throws Usage */
export function oneImage(words: readonly string[], usage: string): string {
  const [path, ...more] = words;
  if (path === undefined || more.length > 0) throw new Usage('USAGE', 'this wants one image', usage);
  return path;
}

/** A PCR of an image in lower-case hex. @throws Usage */
export function pcrHex(text: string, name: string): string {
  const hex = text.toLowerCase();
  if (!/^[0-9a-f]{96}$/.test(hex)) throw new Usage('USAGE', `${name} is not a PCR`, 'give 96 hexadecimal digits');
  if (/^0+$/.test(hex)) throw new Usage('USAGE', `${name} is zero`, 'only enclaves in debug mode have such values: no image measures to them');
  return hex;
}
