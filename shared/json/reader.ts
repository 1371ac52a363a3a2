// SPDX-License-Identifier: Apache-2.0
/** The recursive descent of the strict parser over decoded text. parse.ts is its only caller. */
import type { MalformedCode } from '../errors.ts';
import { foldKey, mayFold } from './fold.ts';
import type { JsonArray, JsonObject, JsonValue } from './value.ts';
import { emptyObject } from './value.ts';

export type ReaderCode = Extract<
  MalformedCode,
  | 'JSON_SYNTAX'
  | 'JSON_TRAILING'
  | 'JSON_DEPTH'
  | 'JSON_NODES'
  | 'KEY_DUPLICATE'
  | 'KEY_CASE_COLLISION'
  | 'KEY_FORBIDDEN'
  | 'INTEGER_UNSAFE'
  | 'NUMBER_RANGE'
  | 'SURROGATE_LONE'
  | 'ID_INVALID'
>;

export interface ReaderSettings {
  readonly refuseFolded: boolean;
  readonly checkId: boolean;
  readonly depthMax: number;
  readonly nodesMax: number;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const LETTER_U = 0x75;

/** What may follow a backslash; the four digits of `\u` are part of it. */
const ESCAPE = /["\\/bfnrt]|u[0-9a-fA-F]{4}/y;
const ID_LEXEME = /^(?:0|-?[1-9][0-9]*)$/;
/** Any integer of so many digits is safe. */
const SAFE_DIGITS = 15;
/** From here on numbers are written with an exponent, so that they are not taken for integers when read again. */
const EXPONENT_FROM = 1e21;

/** Reads one text once. Methods give undefined after a failure, which then stands in `code` and `at`. */
export class Reader {
  code: ReaderCode = 'JSON_SYNTAX';
  at = 0;
  readonly #text: string;
  readonly #settings: ReaderSettings;
  #pos = 0;
  #nodes = 0;

  constructor(text: string, settings: ReaderSettings) {
    this.#text = text;
    this.#settings = settings;
  }

  document(): JsonValue | undefined {
    this.#next();
    const value = this.#value(1, true);
    if (value === undefined) return undefined;
    this.#next();
    return this.#pos === this.#text.length ? value : this.#fail('JSON_TRAILING');
  }

  #fail(code: ReaderCode, at: number = this.#pos): undefined {
    this.code = code;
    this.at = at;
    return undefined;
  }

  /** Skips white space and gives the unit that follows; NaN at the end. */
  #next(): number {
    for (;;) {
      const unit = this.#text.charCodeAt(this.#pos);
      if (unit !== 0x20 && unit !== 0x0a && unit !== 0x0d && unit !== 0x09) return unit;
      this.#pos += 1;
    }
  }

  /**
   * `depth`: of a container that starts here. `atEnvelope`: an object here is a message, an array here is a batch or,
   * one level down, no message.
   */
  #value(depth: number, atEnvelope: boolean): JsonValue | undefined {
    this.#nodes += 1;
    if (this.#nodes > this.#settings.nodesMax) return this.#fail('JSON_NODES');
    switch (this.#text.charCodeAt(this.#pos)) {
      case QUOTE:
        return this.#string();
      case OPEN_BRACE:
        return depth > this.#settings.depthMax ? this.#fail('JSON_DEPTH') : this.#object(depth, atEnvelope);
      case OPEN_BRACKET:
        return depth > this.#settings.depthMax ? this.#fail('JSON_DEPTH') : this.#array(depth);
      case 0x74:
        return this.#literal('true', true);
      case 0x66:
        return this.#literal('false', false);
      case 0x6e:
        return this.#literal('null', null);
      default:
        return this.#number();
    }
  }

  #literal(word: string, value: boolean | null): JsonValue | undefined {
    if (!this.#text.startsWith(word, this.#pos)) return this.#fail('JSON_SYNTAX');
    this.#pos += word.length;
    return value;
  }

  #array(depth: number): JsonArray | undefined {
    const made: JsonArray = [];
    this.#pos += 1;
    if (this.#next() === CLOSE_BRACKET) {
      this.#pos += 1;
      return made;
    }
    for (;;) {
      const value = this.#value(depth + 1, depth === 1);
      if (value === undefined) return undefined;
      made.push(value);
      const unit = this.#next();
      if (unit !== COMMA && unit !== CLOSE_BRACKET) return this.#fail('JSON_SYNTAX');
      this.#pos += 1;
      if (unit === CLOSE_BRACKET) return made;
      this.#next();
    }
  }

  #object(depth: number, isEnvelope: boolean): JsonObject | undefined {
    const made = emptyObject();
    const start = this.#pos;
    let marked: string[] | undefined;
    this.#pos += 1;
    if (this.#next() === CLOSE_BRACE) {
      this.#pos += 1;
      return made;
    }
    for (;;) {
      const key = this.#key(made);
      if (key === undefined) return undefined;
      if (this.#settings.refuseFolded && mayFold(key)) (marked ??= []).push(key);
      const at = this.#pos;
      const value = this.#value(depth + 1, false);
      if (value === undefined) return undefined;
      if (isEnvelope && key === 'id' && !this.#isPlainId(value, at)) return this.#fail('ID_INVALID', at);
      made[key] = value;
      const unit = this.#next();
      if (unit !== COMMA && unit !== CLOSE_BRACE) return this.#fail('JSON_SYNTAX');
      this.#pos += 1;
      if (unit === CLOSE_BRACE) break;
      this.#next();
    }
    return marked !== undefined && collides(marked, made) ? this.#fail('KEY_CASE_COLLISION', start) : made;
  }

  /** A key that the object does not have yet, its colon, and the white space after it. */
  #key(made: JsonObject): string | undefined {
    const at = this.#pos;
    if (this.#text.charCodeAt(at) !== QUOTE) return this.#fail('JSON_SYNTAX');
    const key = this.#string();
    if (key === undefined) return undefined;
    if (key === '__proto__') return this.#fail('KEY_FORBIDDEN', at);
    if (key in made) return this.#fail('KEY_DUPLICATE', at);
    if (this.#next() !== COLON) return this.#fail('JSON_SYNTAX');
    this.#pos += 1;
    this.#next();
    return key;
  }

  #isPlainId(value: JsonValue, at: number): boolean {
    if (!this.#settings.checkId || typeof value !== 'number') return true;
    return ID_LEXEME.test(this.#text.slice(at, this.#pos));
  }

  #string(): string | undefined {
    const text = this.#text;
    const start = this.#pos;
    let at = start + 1;
    for (;;) {
      const unit = text.charCodeAt(at);
      if (unit === QUOTE) {
        this.#pos = at + 1;
        return text.slice(start + 1, at);
      }
      if (unit === BACKSLASH) return this.#escapedString(start, at);
      if (!(unit >= 0x20)) return this.#fail('JSON_SYNTAX', at);
      at += 1;
    }
  }

  /** A string whose first escape is at `from`. Once its escapes are checked, the built-in parser decodes it. */
  #escapedString(start: number, from: number): string | undefined {
    const text = this.#text;
    let at = from;
    let surrogates = false;
    for (;;) {
      const unit = text.charCodeAt(at);
      if (unit === QUOTE) break;
      if (!(unit >= 0x20)) return this.#fail('JSON_SYNTAX', at);
      at += 1;
      if (unit === BACKSLASH) {
        ESCAPE.lastIndex = at;
        if (!ESCAPE.test(text)) return this.#fail('JSON_SYNTAX', at);
        surrogates ||= text.charCodeAt(at) === LETTER_U;
        at = ESCAPE.lastIndex;
      }
    }
    this.#pos = at + 1;
    const decoded: unknown = JSON.parse(text.slice(start, at + 1));
    if (typeof decoded !== 'string') throw new TypeError('the built-in parser disagrees about a string');
    if (surrogates && !decoded.isWellFormed()) return this.#fail('SURROGATE_LONE', start);
    return decoded;
  }

  #number(): number | undefined {
    const text = this.#text;
    const start = this.#pos;
    const negative = text.charCodeAt(start) === MINUS;
    const first = negative ? start + 1 : start;
    let end = this.#digits(first);
    const digits = end - first;
    if (digits === 0) return this.#fail('JSON_SYNTAX', first);
    if (digits > 1 && text.charCodeAt(first) === ZERO) return this.#fail('JSON_SYNTAX', first);
    const next = text.charCodeAt(end);
    const hasFraction = next === POINT;
    if (hasFraction) {
      const point = end;
      end = this.#digits(point + 1);
      if (end === point + 1) return this.#fail('JSON_SYNTAX', end);
    }
    const letter = text.charCodeAt(end);
    const hasExponent = letter === 0x65 || letter === 0x45;
    if (hasExponent) {
      const sign = text.charCodeAt(end + 1);
      const from = sign === 0x2b || sign === MINUS ? end + 2 : end + 1;
      end = this.#digits(from);
      if (end === from) return this.#fail('JSON_SYNTAX', end);
    }
    this.#pos = end;
    const value = Number(text.slice(start, end));
    const short = digits <= SAFE_DIGITS && !hasExponent;
    return short || this.#isExact(value, hasFraction, hasExponent, start) ? zeroWithoutSign(value) : undefined;
  }

  /** The end of a run of decimal digits. */
  #digits(from: number): number {
    let at = from;
    for (;;) {
      const unit = this.#text.charCodeAt(at);
      if (!(unit >= ZERO && unit <= NINE)) return at;
      at += 1;
    }
  }

  /**
   * Refuses numbers that other parsers hold as other integers, and those that would be written back as such a number.
   * Large numbers with an exponent stay: they are doubles to every parser.
   */
  #isExact(value: number, hasFraction: boolean, hasExponent: boolean, start: number): boolean {
    const size = Math.abs(value);
    if (size <= Number.MAX_SAFE_INTEGER) return true;
    if (!hasExponent || size < EXPONENT_FROM) {
      this.#fail(hasFraction && size === Infinity ? 'NUMBER_RANGE' : 'INTEGER_UNSAFE', start);
      return false;
    }
    if (size === Infinity) {
      this.#fail('NUMBER_RANGE', start);
      return false;
    }
    return true;
  }
}

function zeroWithoutSign(value: number): number {
  return value === 0 ? 0 : value;
}

/** Whether one of the marked keys has the folded form of another key. Two unmarked keys are their own folded forms. */
function collides(marked: readonly string[], made: JsonObject): boolean {
  const seen = new Set<string>();
  for (const key of marked) {
    const folded = foldKey(key);
    if (seen.has(folded) || (folded !== key && folded in made)) return true;
    seen.add(folded);
  }
  return false;
}
