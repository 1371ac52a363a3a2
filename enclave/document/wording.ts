// SPDX-License-Identifier: Apache-2.0
/** How problems of a document are worded: what is wrong at which key, and what to write instead. */
import type { UsageCode } from '../../shared/errors.ts';
import type { Explained } from './problem.ts';
import { closest, quoted } from './problem.ts';

/** One kind of document, and how messages speak of it. */
export interface DocumentKind {
  /** For example: `the policy`. */
  readonly noun: string;
  readonly code: UsageCode;
  readonly bytesMax: number;
  /**
   * The keys of each section, by its place: '' for the document, `redact_args` also for the entries of that list, and
   * `servers.*` for sections whose name the author chooses.
   */
  readonly keys: ReadonlyMap<string, readonly string[]>;
  readonly hints: {
    readonly tooLarge: string;
    readonly tooDeep: string;
    /** For a value that begins with a star. */
    readonly star: string;
    /** Where nothing better can be said. */
    readonly manual: string;
    /** By label of what is missing, without places in lists. */
    readonly missing: ReadonlyMap<string, string>;
  };
}

export type Path = readonly PropertyKey[];

/** A place in the document as its author would name it, such as `redact_args[1].pattern`. */
export function pathLabel(path: Path, kind: DocumentKind): string {
  return path.length === 0 ? kind.noun : path.map((part, index) => labelPart(part, index === 0)).join('');
}

function labelPart(part: PropertyKey, first: boolean): string {
  if (typeof part === 'number') return `[${part}]`;
  const word = String(part);
  if (!/^[a-z0-9_-]{1,64}$/.test(word)) return `[${quoted(word)}]`;
  return first ? word : `.${word}`;
}

export function missing(label: string, kind: DocumentKind): Explained {
  return { problem: `${label} is missing`, hint: missingHint(label, kind) };
}

function missingHint(label: string, kind: DocumentKind): string {
  if (label.endsWith('.enabled')) return 'say true or false, so that nobody has to guess';
  return kind.hints.missing.get(label.replaceAll(/\[\d+\]/g, '')) ?? 'add it';
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
  ['int', 'a whole number'],
]);

export function wrongType(label: string, expected: string, found: unknown, kind: DocumentKind): Explained {
  if (label === kind.noun && found === null) return { problem: `${kind.noun} is empty`, hint: missingHint('version', kind) };
  return { problem: `${label} wants ${TYPE_NAMES.get(expected) ?? expected}`, hint: typeHint(expected, found, kind) };
}

function typeHint(expected: string, found: unknown, kind: DocumentKind): string {
  if (found === null) return 'write a value, or remove the key';
  if (expected === 'array') return "write each entry on a line of its own that begins with '- '";
  if (expected === 'number' || expected === 'int') return 'write it in digits, without quotes';
  if (expected === 'boolean') return 'write one of these words';
  return expected === 'string' ? 'put it in quotes' : kind.hints.manual;
}

/** True if a place with stars, such as `servers.*.rules`, is that of a section. */
function isPlaceOf(place: string, section: Path): boolean {
  const parts = place.split('.');
  return parts.length === section.length && parts.every((part, index) => part === '*' || part === section[index]);
}

/** A key that the section at `path` does not know. */
export function unknownKey(path: Path, key: string, kind: DocumentKind): Explained {
  const section = path.filter((part) => typeof part !== 'number');
  const keys = kind.keys.get(section.join('.')) ?? [...kind.keys].find(([place]) => isPlaceOf(place, section))?.[1] ?? [];
  const near = closest(key, keys);
  const hint = near === undefined ? `known keys here: ${keys.join(', ')}` : `did you mean '${near}'?`;
  return { problem: `there is no key ${quoted(key)}${section.length === 0 ? '' : ` in ${pathLabel(section, kind)}`}`, hint };
}
