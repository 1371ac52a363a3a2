// SPDX-License-Identifier: Apache-2.0
/**
 * The strict JSON parser for everything that comes from a peer. It takes RFC 8259 text in UTF-8 without a byte order
 * mark and refuses, each with its own code, what two parsers could read differently: duplicate keys, `__proto__`,
 * integers that a double cannot hold, lone surrogates. Negative zero is read as zero, because canonical JSON writes
 * both as `0`. Keys that look like array indices come first in an object, as in every object of the language.
 */
import type { MalformedCode } from '../errors.ts';
import { JSON_DEPTH_MAX, JSON_NODES_MAX } from '../limits.ts';
import type { ReaderCode } from './reader.ts';
import { Reader } from './reader.ts';
import type { JsonValue } from './value.ts';

export interface ParseOptions {
  /** `refuse`: two keys of one object must differ in their folded form too. Default `allow`. */
  readonly foldedKeys?: 'refuse' | 'allow';
  /** `integer`: the number under `id` of a message (or of an element of a batch) must be written in plain digits. */
  readonly idLexeme?: 'integer' | 'any';
  /** Nested containers; never above JSON_DEPTH_MAX. */
  readonly depthMax?: number;
  /** Values in the text. */
  readonly nodesMax?: number;
}

export type Parsed =
  | { readonly ok: true; readonly value: JsonValue }
  | {
      readonly ok: false;
      readonly code: MalformedCode;
      /** UTF-16 units from the start of the text; 0 where the text as a whole is refused. */
      readonly at: number;
      /** Safe to show: holds nothing of the text. */
      readonly hint: string;
    };

const HINTS: Readonly<Record<ReaderCode | 'BOM' | 'UTF8_INVALID', string>> = {
  BOM: 'send UTF-8 without a byte order mark',
  UTF8_INVALID: 'send valid UTF-8',
  JSON_SYNTAX: 'send one JSON text as RFC 8259 defines it',
  JSON_TRAILING: 'send one JSON text per message, with nothing after it',
  JSON_DEPTH: 'nest arrays and objects less deeply',
  JSON_NODES: 'send fewer values in one message',
  KEY_DUPLICATE: 'use each key of an object once',
  KEY_CASE_COLLISION: 'use keys that differ in more than the case or width of letters',
  KEY_FORBIDDEN: 'do not use the key __proto__',
  INTEGER_UNSAFE: 'send integers beyond 2^53 - 1 as strings',
  NUMBER_RANGE: 'send numbers that a double can hold',
  SURROGATE_LONE: 'escape surrogates in pairs only',
  ID_INVALID: 'write an integer id in plain digits, without fraction or exponent',
};

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Parses attacker-controlled bytes in linear time; holds the text and the values, which the limits bound. */
export function parseStrictJson(bytes: Uint8Array, options: ParseOptions = {}): Parsed {
  if (hasForeignEncoding(bytes)) return refuse('BOM', 0);
  const text = decode(bytes);
  if (text === undefined) return refuse('UTF8_INVALID', 0);
  const reader = new Reader(text, {
    refuseFolded: options.foldedKeys === 'refuse',
    checkId: options.idLexeme === 'integer',
    depthMax: Math.min(options.depthMax ?? JSON_DEPTH_MAX, JSON_DEPTH_MAX),
    nodesMax: options.nodesMax ?? JSON_NODES_MAX,
  });
  const value = reader.document();
  return value === undefined ? refuse(reader.code, reader.at) : { ok: true, value };
}

function refuse(code: keyof typeof HINTS, at: number): Parsed {
  return { ok: false, code, at, hint: HINTS[code] };
}

/** A byte order mark of UTF-8 or UTF-16, or a zero byte where UTF-16 and UTF-32 texts have one. */
function hasForeignEncoding(bytes: Uint8Array): boolean {
  const first = bytes[0];
  const second = bytes[1];
  if (first === undefined || second === undefined) return false;
  if (first === 0 || second === 0) return true;
  if ((first === 0xfe && second === 0xff) || (first === 0xff && second === 0xfe)) return true;
  return first === 0xef && second === 0xbb && bytes[2] === 0xbf;
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}
