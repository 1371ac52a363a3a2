// SPDX-License-Identifier: Apache-2.0
/** How problems of a policy document are worded: what is wrong at which key, and what to write instead. */
import { closest, quoted } from './problem.ts';

export interface Explained {
  readonly problem: string;
  readonly hint: string;
}

export const SEE_STARTER = 'see the comments of the starter policy: mcp-bastion init';

type Path = readonly PropertyKey[];

/** A place in the document as its author would name it, such as `redact_args[1].pattern`. */
export function pathLabel(path: Path): string {
  if (path.length === 0) return 'the policy';
  return path.map((part, index) => labelPart(part, index === 0)).join('');
}

function labelPart(part: PropertyKey, first: boolean): string {
  if (typeof part === 'number') return `[${part}]`;
  const word = String(part);
  if (!/^[a-z_]+$/.test(word)) return `[${quoted(word)}]`;
  return first ? word : `.${word}`;
}

export function missing(label: string): Explained {
  return { problem: `${label} is missing`, hint: missingHint(label) };
}

function missingHint(label: string): string {
  if (label === 'version') return "begin the policy with 'version: 1'";
  return label.endsWith('.enabled') ? 'say true or false, so that nobody has to guess' : 'add it';
}

export function wrongWord(label: string, words: readonly unknown[]): Explained {
  const hint = label === 'version' ? 'this build reads version 1' : 'write one of these words';
  return { problem: `${label} wants ${words.map(String).join(' or ')}`, hint };
}

const TYPE_NAMES: ReadonlyMap<string, string> = new Map([
  ['array', 'a list'],
  ['object', 'a section of keys'],
  ['record', 'a section of keys'],
  ['string', 'text'],
  ['boolean', 'true or false'],
  ['number', 'a number'],
]);

export function wrongType(label: string, expected: string, found: unknown): Explained {
  if (label === pathLabel([]) && found === null) return { problem: 'the policy is empty', hint: missingHint('version') };
  return { problem: `${label} wants ${TYPE_NAMES.get(expected) ?? expected}`, hint: typeHint(expected, found) };
}

function typeHint(expected: string, found: unknown): string {
  if (found === null) return 'write a value, or remove the key';
  if (expected === 'array') return "write each entry on a line of its own that begins with '- '";
  return expected === 'string' ? 'put it in quotes' : SEE_STARTER;
}

/** A key that the section at `path` does not know; `known` holds the keys of each section. */
export function unknownKey(path: Path, key: string, known: ReadonlyMap<string, readonly string[]>): Explained {
  const section = typeof path[0] === 'string' ? path[0] : '';
  const keys = known.get(section) ?? [];
  const near = closest(key, keys);
  const hint = near === undefined ? `known keys here: ${keys.join(', ')}` : `did you mean '${near}'?`;
  return { problem: `there is no key ${quoted(key)}${section === '' ? '' : ` in ${section}`}`, hint };
}
