// SPDX-License-Identifier: Apache-2.0
/**
 * Folds a text to the form that its reader sees: escapes and entities read, invisible characters gone, marks and
 * look-alike letters replaced. Every step is one pass over the text.
 */
import type { Finding } from './types.ts';

export interface Folded {
  readonly text: string;
  /** The same with a space where an invisible character stood between two letters, if there was one. */
  readonly apart: string | null;
}

const NON_ASCII = /[^\x00-\x7f]/;
const INVISIBLE = /[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Co}\ufffc\u2028\u2029\u2800]/gu;
const CONTROLS = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/g;
const BIDI = /[\u202a-\u202e\u2066-\u2069]/;
const BETWEEN = /[\p{L}\p{N}][\p{Default_Ignorable_Code_Point}\p{Cf}\x00-\x08\x0e-\x1f]+[\p{L}\p{N}]/u;
const MARKS = /[\u0300-\u036f]|[\u0483-\u0489]|[\u20d0-\u20f0]/g;
const ENTITY = /&(?:#(?<dec>[0-9]{1,7})|#[xX](?<hex>[0-9a-fA-F]{1,6})|(?<name>lt|gt|amp|quot|apos|nbsp));/g;
const ESCAPE = /\\(?:u\{(?<point>[0-9a-fA-F]{1,6})\}|u(?<unit>[0-9a-fA-F]{4})|x(?<byte>[0-9a-fA-F]{2})|(?<plain>[nrtvf"'/]))/g;
const PERCENT = /(?:%[0-9a-fA-F]{2})+/g;
const SPACED = /(?<![\p{L}\p{N}])\p{L}(?:[ .\-_*|/\u00b7]{1,2}\p{L}(?![\p{L}\p{N}])){4,}/gu;
const SPACED_HINT = /[a-z][ .\-_*|/]{1,2}[a-z][ .\-_*|/]{1,2}[a-z][ .\-_*|/]{1,2}[a-z][ .\-_*|/]{1,2}[a-z](?![a-z])/i;
const LEET = /(?<![a-z0-9@$!|])(?=[a-z]{0,23}[013457@$!|])(?=[0-9@$!|]{0,23}[a-z])[a-z0-9@$!|]{3,23}[a-z0-9](?![a-z0-9@$])/gi;
const LETTERS_ONLY = /^[A-Za-z]+$/;

const NAMED = new Map([['lt', '<'], ['gt', '>'], ['amp', '&'], ['quot', '"'], ['apos', "'"], ['nbsp', ' ']]);
const PLAIN = new Map([['n', '\n'], ['r', '\n'], ['t', ' '], ['v', ' '], ['f', ' '], ['"', '"'], ["'", "'"], ['/', '/']]);

/** Letters of other scripts, each followed by the Latin one that it looks like: Cyrillic, Greek, Armenian, and small capitals. */
const LOOKALIKES: ReadonlyMap<string, string> = new Map(
  [
    'аa вb сc еe нh іi јj кk мm оo рp ѕs тt уy хx ԁd ԛq ԝw гr пn ѵv ӏl һh ьb иu',
    'αa βb γy εe ηn ιi κk νv οo ρp σo τt υu χx ωw',
    'աw ցg ոn սu օo քp հh յj զq լl',
    'ɑa ɡg ɩi ʟl ɴn ʀr ꜱs ᴀa ʙb ᴄc ᴅd ᴇe ꜰf ɢg ʜh ɪi ᴊj ᴋk ᴍm ᴏo ᴘp ᴛt ᴜu ᴠv ᴡw ʏy ᴢz ıi łl øo đd ħh ŧt',
  ].flatMap((line) => line.split(' ').map((pair): [string, string] => [pair.charAt(0), pair.charAt(1)])),
);
const WORD_OF_OTHERS = /(?<![\p{L}\p{M}])[\p{L}\p{M}]*[\u0131\u0142\u00f8\u0111\u0127\u0167\u0250-\u02af\u0370-\u058f\u1d00-\u1d7f\ua720-\ua7ff][\p{L}\p{M}]*/gu;

const LEET_LETTERS = new Map([['0', 'o'], ['1', 'i'], ['3', 'e'], ['4', 'a'], ['5', 's'], ['7', 't'], ['8', 'b'], ['@', 'a'], ['$', 's'], ['!', 'i'], ['|', 'l']]);

/** Never throws. `known` says of a lower-case word that leetspeak may have meant it. */
export function fold(text: string, found: Set<Finding>, known: (word: string) => boolean): Folded {
  let plain = text;
  if (plain.includes('\\')) plain = unescape(plain, found);
  if (plain.includes('&')) plain = entities(plain, found);
  if (plain.includes('%')) plain = percent(plain, found);
  let apart: string | null = null;
  if (NON_ASCII.test(plain) || CONTROLS.test(plain)) {
    CONTROLS.lastIndex = 0;
    if (BIDI.test(plain)) found.add('BIDI');
    if (BETWEEN.test(plain)) {
      found.add('INVISIBLE');
      apart = letters(plain.replace(INVISIBLE, ' ').replace(CONTROLS, ' '), found);
    }
    plain = letters(plain.replace(INVISIBLE, '').replace(CONTROLS, ''), found);
  }
  return { text: words(plain, found, known), apart: apart === null ? null : words(apart, found, known) };
}

function words(text: string, found: Set<Finding>, known: (word: string) => boolean): string {
  const spaced = SPACED_HINT.test(text) || NON_ASCII.test(text);
  const joined = !spaced ? text : text.replace(SPACED, (run) => {
    found.add('SPACED_LETTERS');
    // Two separators in a row stand between words.
    return ` ${run.replace(/[ .\-_*|/\u00b7]{2}/g, '\u0000').replace(/[ .\-_*|/\u00b7]/g, '').replaceAll('\u0000', ' ')} `;
  });
  return joined.replace(LEET, (word) => {
    if (LETTERS_ONLY.test(word)) return word;
    const read = word.toLowerCase().replace(/[01345789@$!|]/g, (sign) => LEET_LETTERS.get(sign) ?? sign);
    if (!known(read)) return word;
    found.add('LEETSPEAK');
    return read;
  });
}

/** The letters of a text as `fold` has them, for words that are compared with it. */
export function foldLetters(text: string): string {
  return letters(text, new Set());
}

/** Compatibility forms, marks, capitals beyond ASCII and look-alike letters. */
function letters(text: string, found: Set<Finding>): string {
  const bare = text.normalize('NFKD').replace(MARKS, '').normalize('NFC');
  const lower = bare.replace(/[\u0080-\uffff]+/g, (run) => run.toLowerCase());
  return lower.replace(WORD_OF_OTHERS, (word) => {
    let latin = '';
    for (const letter of word) {
      const like = LOOKALIKES.get(letter) ?? letter;
      if (like > '\u007f') return word;
      latin += like;
    }
    if (/[A-Za-z]/.test(word)) found.add('HOMOGLYPHS');
    return latin;
  });
}

function unescape(text: string, found: Set<Finding>): string {
  return text.replace(ESCAPE, (whole, ...rest: unknown[]) => {
    const { point, unit, byte, plain } = groupsOf(rest);
    if (plain !== undefined) return PLAIN.get(plain) ?? whole;
    found.add('ESCAPES');
    return character(Number.parseInt(point ?? unit ?? byte ?? '', 16), whole);
  });
}

function entities(text: string, found: Set<Finding>): string {
  return text.replace(ENTITY, (whole, ...rest: unknown[]) => {
    const { dec, hex, name } = groupsOf(rest);
    if (name !== undefined) return NAMED.get(name) ?? whole;
    found.add('ENTITIES');
    return character(dec === undefined ? Number.parseInt(hex ?? '', 16) : Number(dec), whole);
  });
}

function percent(text: string, found: Set<Finding>): string {
  return text.replace(PERCENT, (run) => {
    found.add('PERCENT');
    return Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8');
  });
}

function groupsOf(rest: readonly unknown[]): Readonly<Record<string, string | undefined>> {
  const last = rest.at(-1);
  return typeof last === 'object' && last !== null ? { ...last } : {};
}

function character(point: number, otherwise: string): string {
  return point > 0 && point <= 0x10ffff ? String.fromCodePoint(point) : otherwise;
}
