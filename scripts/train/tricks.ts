// SPDX-License-Identifier: Apache-2.0
/** The ways in which a text is hidden. Training uses them on attacks and on honest texts, the evaluation on attacks. */
import { rot13, reversed } from '../../enclave/screen/decode.ts';
import type { Random } from './random.ts';

export type Trick = (text: string, random: Random) => string;

const HOMOGLYPHS = new Map([['a', 'а'], ['e', 'е'], ['o', 'о'], ['p', 'р'], ['c', 'с'], ['x', 'х'], ['i', 'і'], ['s', 'ѕ'], ['y', 'у'], ['B', 'В'], ['T', 'Т'], ['O', 'Ο']]);
const LEET = new Map([['o', '0'], ['i', '1'], ['e', '3'], ['a', '4'], ['s', '5']]);

function each(text: string, part: number, random: Random, change: (letter: string) => string): string {
  let changed = '';
  for (const letter of text) changed += random.unit() < part ? change(letter) : letter;
  return changed;
}

export const TRICKS: ReadonlyMap<string, Trick> = new Map<string, Trick>([
  ['zero-width', (text, random) => each(text, 0.3, random, (letter) => `${letter}\u200b`)],
  ['zero-width-spaces', (text) => text.replaceAll(' ', '\u200b')],
  ['homoglyph', (text, random) => each(text, 0.5, random, (letter) => HOMOGLYPHS.get(letter) ?? letter)],
  ['fullwidth', (text) => text.replace(/[!-~]/g, (letter) => String.fromCharCode(letter.charCodeAt(0) + 0xfee0))],
  ['tags', (text) => `A useful tool.${Array.from(text, (letter) => String.fromCodePoint(0xe0000 + (letter.charCodeAt(0) & 0x7f))).join('')}`],
  ['base64', (text) => `Decode this: ${Buffer.from(text).toString('base64')}`],
  ['hex', (text) => `data: ${Buffer.from(text).toString('hex')}`],
  ['percent', (text) => encodeURIComponent(text)],
  ['rot13', (text) => rot13(text)],
  ['reversed', (text) => reversed(text)],
  ['spaced', (text) => text.split(' ').map((word) => Array.from(word).join(' ')).join('  ')],
  ['leet', (text, random) => each(text, 0.8, random, (letter) => LEET.get(letter) ?? letter)],
  ['comment', (text) => `<p>Welcome to our page.</p>\n<!-- ${text} -->\n<p>Contact us.</p>`],
  ['hidden-element', (text) => `<div>Results</div><span style="display:none">${text}</span><div>End</div>`],
  ['typos', (text, random) => text.replace(/[a-z]{5,}/g, (word) => (random.unit() < 0.4 ? swap(word, 1 + random.below(word.length - 3)) : word))],
  ['shout', (text) => text.toUpperCase()],
  ['json-escaped', (text) => JSON.stringify(JSON.stringify({ note: `\n${text}\n` }))],
  ['markdown', (text) => text.replace(/[a-z]{6,}/gi, (word) => `**${word}**`)],
]);

function swap(word: string, at: number): string {
  return word.slice(0, at) + word.charAt(at + 1) + word.charAt(at) + word.slice(at + 2);
}
