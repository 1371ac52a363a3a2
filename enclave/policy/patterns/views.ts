// SPDX-License-Identifier: Apache-2.0
/**
 * Other readings of a text, each knowing where in the text its parts come from: without escapes, invisible characters
 * and compatibility forms; and what runs of base64 and hexadecimal stand for. Each takes one pass over the text.
 */
import { isUtf8 } from 'node:buffer';
import { withoutInvisible } from '../invisible.ts';
import { DECODED_RUN_LENGTH_MIN } from '../../../shared/limits.ts';

export interface View {
  readonly text: string;
  /** False for bytes that are no text in any encoding: each is a character here. */
  readonly isText: boolean;
  /** Begin and end, in the text that is viewed, of a part of the view. */
  readonly span: (from: number, to: number) => readonly [from: number, to: number];
  /** Begin and end of the encoded run; null where the view is of the whole text. */
  readonly run: readonly [from: number, to: number] | null;
}

/** Percent-encoding, escapes of JSON and of programming languages, HTML entities. */
const ESCAPED =
  '(?:%[89A-Fa-f][0-9A-Fa-f])+|%[0-7][0-9A-Fa-f]|\\\\(?:u\\{[0-9A-Fa-f]{1,6}\\}|u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|[nrtbf"\'\\\\/])|&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|amp|lt|gt|quot|apos|nbsp|equals|colon|sol|plus|lowbar|hyphen|dash|period|commat|Tab|NewLine);?';
const ESCAPE: RegExp = new RegExp(ESCAPED, 'gu');
/** The same, and every character that may be invisible or have a plainer form. */
const ESCAPE_OR_ODD: RegExp = new RegExp(`${ESCAPED}|[\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f]+|[^\\u0000-\\u007f]`, 'gu');
const MAY_ESCAPE = /[%\\&]/;
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/;
const BEYOND_ASCII = /[^\u0000-\u007f]/;

const NAMED: ReadonlyMap<string, string> = new Map([
  ['amp', '&'],
  ['lt', '<'],
  ['gt', '>'],
  ['quot', '"'],
  ['apos', "'"],
  ['nbsp', ' '],
  ['equals', '='],
  ['colon', ':'],
  ['sol', '/'],
  ['plus', '+'],
  ['lowbar', '_'],
  ['hyphen', '-'],
  ['dash', '-'],
  ['period', '.'],
  ['commat', '@'],
  ['Tab', '\t'],
  ['NewLine', '\n'],
]);

const CONTROLS: ReadonlyMap<string, string> = new Map([
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['b', '\b'],
  ['f', '\f'],
]);

function ofPoint(digits: string, radix: number): string {
  const point = Number.parseInt(digits, radix);
  return point > 0x10ffff ? '\ufffd' : String.fromCodePoint(point);
}

function unescape(escape: string): string {
  if (escape.startsWith('%')) {
    return escape.length === 3 ? ofPoint(escape.slice(1), 16) : Buffer.from(escape.replaceAll('%', ''), 'hex').toString('utf8');
  }
  if (escape.startsWith('\\')) {
    return escape.length > 2 ? ofPoint(escape.replace(/[^0-9A-Fa-f]/g, ''), 16) : (CONTROLS.get(escape.slice(1)) ?? escape.slice(1));
  }
  if (!escape.startsWith('&')) return escape;
  const name = escape.slice(1).replace(';', '');
  if (!name.startsWith('#')) return NAMED.get(name) ?? escape;
  return /^#x/i.test(name) ? ofPoint(name.slice(2), 16) : ofPoint(name.slice(1), 10);
}

/** Places in a text and in a view of it, ascending; between them both go on unit by unit. */
class Places {
  readonly #view: number[] = [0];
  readonly #text: number[] = [0];

  add(view: number, text: number): void {
    this.#view.push(view);
    this.#text.push(text);
  }

  /** Index of the last place at or before a unit of the view. */
  #before(at: number): number {
    let low = 0;
    let high = this.#view.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if ((this.#view[middle] ?? 0) <= at) low = middle;
      else high = middle;
    }
    return low;
  }

  span(from: number, to: number): readonly [number, number] {
    return [this.#unit(from)[0], this.#unit(to - 1)[1]];
  }

  /** Begin and end in the text of one unit of the view: all of an escape for any part of what it stands for. */
  #unit(at: number): readonly [number, number] {
    const place = this.#before(at);
    const offset = at - (this.#view[place] ?? 0);
    const begin = this.#text[place] ?? 0;
    // Places alternate: where plain text begins, and where an escape begins.
    if (place % 2 === 0) return [begin + offset, begin + offset + 1];
    return [begin, this.#text[place + 1] ?? begin + 1];
  }
}

/** True for a text in which nothing is invisible or has a plainer form. */
function isPlain(text: string): boolean {
  if (CONTROL.test(text)) return false;
  if (!BEYOND_ASCII.test(text)) return true;
  return text.normalize('NFKC') === text && withoutInvisible(text).length + lineUnits(text) === text.length;
}

/** Units of white space that count as invisible but stay. */
function lineUnits(text: string): number {
  return text.match(/[\t\n\r]/g)?.length ?? 0;
}

/**
 * A text without escapes, invisible characters and compatibility forms; null where it has none of them. Of bytes that are
 * no text (`isText` false) only the escapes are read: most of them are odd, and each would cost its time.
 */
export function plainView(text: string, isText: boolean): View | null {
  const odd = isText && !isPlain(text);
  if (!odd && !MAY_ESCAPE.test(text)) return null;
  const places = new Places();
  const known = new Map<string, string>();
  let plain = '';
  let done = 0;
  for (const found of text.matchAll(odd ? ESCAPE_OR_ODD : ESCAPE)) {
    const escape = found[0];
    const meant = known.get(escape) ?? withoutInvisible(unescape(escape).normalize('NFKC'));
    if (known.size < KNOWN_MAX) known.set(escape, meant);
    if (meant === escape) continue;
    if (found.index > done) plain += text.slice(done, found.index);
    places.add(plain.length, found.index);
    done = found.index + escape.length;
    plain += meant;
    places.add(plain.length, done);
  }
  if (done === 0) return null;
  return { text: plain + text.slice(done), isText, span: (from, to) => places.span(from, to), run: null };
}

/** Escapes whose meaning is remembered while one text is read. */
const KNOWN_MAX = 1024;

/** Line ends within a run belong to it: encoders wrap long runs. */
const BASE64_RUN: RegExp = new RegExp(`[A-Za-z0-9+/_-]{${DECODED_RUN_LENGTH_MIN},}(?:\\r?\\n[A-Za-z0-9+/_-]+)*`, 'g');
const HEX_RUN: RegExp = new RegExp(`[0-9A-Fa-f]{${DECODED_RUN_LENGTH_MIN},}|(?:(?:0x)?[0-9A-Fa-f]{2}[ :,-]{1,2}){${DECODED_RUN_LENGTH_MIN / 2 - 1},}(?:0x)?[0-9A-Fa-f]{2}`, 'g');

/** Base64 of a text has one in every few characters; words and paths often have none, and are not worth decoding. */
const CAPITAL_OR_DIGIT = /[A-Z0-9]/;

/** Units of one group of base64. A run may begin with what does not belong to it, so each place in a group is tried. */
const GROUP = 4;

/** What the runs of base64 and hexadecimal in a text stand for. */
export function* runViews(text: string): Generator<View> {
  if (text.length < DECODED_RUN_LENGTH_MIN) return;
  for (const found of text.matchAll(BASE64_RUN)) {
    if (!CAPITAL_OR_DIGIT.test(found[0])) continue;
    const run = runOf(found[0], found.index, /[\r\n]/g, /[^\r\n]/g);
    for (let skip = 0; skip < GROUP; skip += 1) yield bytesView(run, Buffer.from(run.packed.slice(skip), 'base64'), skip, GROUP / 3);
  }
  for (const found of text.matchAll(HEX_RUN)) {
    const run = runOf(found[0], found.index, /0x|[ :,-]/g, /(?!0x)[0-9A-Fa-f]/g);
    for (let skip = 0; skip < 2; skip += 1) yield bytesView(run, Buffer.from(run.packed.slice(skip), 'hex'), skip, 2);
  }
}

interface Run {
  readonly at: number;
  readonly length: number;
  /** Without what stands between its digits. */
  readonly packed: string;
  /** Where in the text a digit stands. */
  readonly place: (digit: number) => number;
}

function runOf(run: string, at: number, between: RegExp, digit: RegExp): Run {
  const packed = run.replaceAll(between, '');
  const { length } = run;
  if (packed.length === length) return { at, length, packed, place: (index) => at + index };
  let places: number[] | null = null;
  const place = (index: number): number => at + ((places ??= [...run.matchAll(digit)].map((found) => found.index))[index] ?? length);
  return { at, length, packed, place };
}

/** `digits`: how many of them make a byte. */
function bytesView(run: Run, bytes: Buffer, skip: number, digits: number): View {
  const { text, isText, byte } = readBytes(bytes);
  const end = run.at + run.length;
  return {
    text,
    isText,
    span: (from, to) => [run.place(skip + Math.floor(byte(from) * digits)), Math.min(end, run.place(skip + Math.ceil(byte(to) * digits) - 1) + 1)],
    run: [run.at, end],
  };
}

interface Read {
  readonly text: string;
  readonly isText: boolean;
  /** The byte at which a unit of the text begins. */
  readonly byte: (unit: number) => number;
}

/** Bytes as the text they are most likely to be: UTF-8, UTF-16, or else one character each. */
function readBytes(bytes: Buffer): Read {
  const wide = widthOf(bytes);
  if (wide !== null) return { text: Buffer.from(bytes.filter((_, index) => index % 2 === wide)).toString('latin1'), isText: true, byte: (unit) => unit * 2 };
  const text = bytes.toString('latin1');
  const isText = isUtf8(bytes);
  if (!isText || !BEYOND_ASCII.test(text)) return { text, isText, byte: (unit) => unit };
  const decoded = bytes.toString('utf8');
  let starts: Uint32Array | null = null;
  return { text: decoded, isText, byte: (unit) => (starts ??= byteStarts(decoded))[unit] ?? bytes.length };
}

/** Per unit of a text, the byte at which its character begins in UTF-8. */
function byteStarts(text: string): Uint32Array {
  const starts = new Uint32Array(text.length + 1);
  let byte = 0;
  let unit = 0;
  for (const point of text) {
    starts.fill(byte, unit, unit + point.length);
    byte += Buffer.byteLength(point, 'utf8');
    unit += point.length;
  }
  starts[unit] = byte;
  return starts;
}

/** Where ASCII begins in bytes that have a zero beside each of it, as UTF-16 has; null for others. */
function widthOf(bytes: Buffer): 0 | 1 | null {
  const zeros = [0, 0];
  for (let at = 0; at < bytes.length; at += 1) {
    if (bytes[at] === 0) zeros[at % 2] = (zeros[at % 2] ?? 0) + 1;
  }
  const most = bytes.length / 4;
  if (most < 2) return null;
  if ((zeros[1] ?? 0) >= most) return 0;
  return (zeros[0] ?? 0) >= most ? 1 : null;
}
