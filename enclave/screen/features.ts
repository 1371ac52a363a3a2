// SPDX-License-Identifier: Apache-2.0
/**
 * A folded text as words with hashed features: the word, its parts (character n-grams), its neighbours, and pairs and
 * triples of concepts that stand near each other. Features belong to words, so that a window's sum is a difference of
 * two running sums and every window of a long text is judged at the cost of one pass.
 */
import { SCREEN_WORD_LENGTH_MAX } from '../../shared/limits.ts';
import { CONCEPTS, conceptWords } from './concepts.ts';

/** Features are numbered below this; a power of two. */
export const FEATURES: number = 2 ** 18;
/** Features of one word at most: its n-grams of three lengths, and what it makes with its neighbours. */
export const FEATURES_PER_WORD_MAX: number = 3 * (SCREEN_WORD_LENGTH_MAX + 2) + 24;

/** Words between two concepts that still count as near each other. */
const NEAR = 9;
/** Concepts before one that it is paired with. */
const PAIRED = 4;

/** Words within which two neighbours count so often and no more. */
const REPEATED = 48;
const SAID_MAX = 2;
/** Slots of the memory for that; a power of two. */
const SEEN = 4096;

const MASK = FEATURES - 1;
const PRIME = 0x01000193;
const START = 0x811c9dc5 | 0;
const NGRAM = 0x9e3779b1 | 0;
const CAPITALS = 0x51ed270b;
/** Pseudo words. */
const SENTENCE = 1;
const EDGE = 0x5e;

/** One word at a time: the first `count` numbers of `ids` are its features. They are overwritten by the next word. */
export type OnWord = (ids: Int32Array, count: number) => void;

/** By word hash: the number of its concept. 32 bits do not collide among some thousand words; a test holds that. */
const concepts: ReadonlyMap<number, number> = new Map([...conceptWords()].map(([word, concept]) => [hashOf(word), concept]));

function hashOf(word: string): number {
  let hash = START;
  for (let at = 0; at < word.length; at += 1) hash = Math.imul(hash ^ word.charCodeAt(at), PRIME);
  return hash;
}

function mix(left: number, right: number, seed: number): number {
  let hash = Math.imul(left ^ seed, 0x85ebca6b) + right;
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

/** What a character is to the scan. */
const SKIP = 0;
const BREAK = 1;
const SIGN = 2;
const UPPER = 3;
const LETTER = 4;
const IDEOGRAPH = 5;

const classes = new Uint8Array(0x10000);
for (let code = 0; code < classes.length; code += 1) {
  const text = String.fromCharCode(code);
  if (code >= 0x3041 && code <= 0x9fff || code >= 0xac00 && code <= 0xd7a3 || code >= 0xf900 && code <= 0xfaff) classes[code] = IDEOGRAPH;
  else if (code >= 0xd800 && code <= 0xdfff) classes[code] = SIGN;
  else if (code >= 0x41 && code <= 0x5a) classes[code] = UPPER;
  else if (/[\p{L}\p{N}\p{M}]/u.test(text)) classes[code] = LETTER;
  else if ('.!?;:\n\r。'.includes(text)) classes[code] = BREAK;
  else if ('<>[]{}@#/*`$=~|'.includes(text)) classes[code] = SIGN;
}
// A mark of emphasis is also an end: "IMPORTANT!!!".
const QUOTE = 0x27;

/** Scans a text; gives the number of its words. The arrays are its own, so one scan runs at a time. */
export class Features {
  readonly #ids = new Int32Array(FEATURES_PER_WORD_MAX);
  readonly #word = new Uint16Array(SCREEN_WORD_LENGTH_MAX + 2);
  /** The last concepts, newest first, and the index of the word of each. */
  readonly #near = new Int32Array(PAIRED);
  readonly #nearAt = new Int32Array(PAIRED);
  /** In slots by the hash of two neighbours: that hash, the word at which they were last seen, and how often. */
  readonly #pair = new Int32Array(SEEN);
  readonly #pairAt = new Int32Array(SEEN);
  readonly #pairCount = new Int32Array(SEEN);
  #before = SENTENCE;
  #beforeThat = SENTENCE;
  #words = 0;
  #concept = 0;

  /** Number of the concept of the last word, 0 for none. */
  get concept(): number {
    return this.#concept;
  }

  scan(text: string, onWord: OnWord): number {
    this.#before = SENTENCE;
    this.#beforeThat = SENTENCE;
    this.#words = 0;
    this.#near.fill(0);
    this.#pairCount.fill(0);
    const length = text.length;
    for (let at = 0; at < length; ) {
      const kind = classes[text.charCodeAt(at)] ?? SKIP;
      if (kind >= UPPER) at = this.#take(text, at, kind, onWord);
      else {
        if (kind === BREAK) this.#follow(SENTENCE);
        else if (kind === SIGN) this.#sign(text.charCodeAt(at));
        at += 1;
      }
    }
    return this.#words;
  }

  #follow(hash: number): void {
    if (hash === SENTENCE && this.#before === SENTENCE) return;
    this.#beforeThat = this.#before;
    this.#before = hash;
  }

  /** A run of one sign is one neighbour. */
  #sign(code: number): void {
    const hash = 0x100 + code;
    if (this.#before !== hash) this.#follow(hash);
  }

  /** Reads one word from its first character; gives the index after it. */
  #take(text: string, from: number, first: number, onWord: OnWord): number {
    const word = this.#word;
    let hash = START;
    let size = 0;
    let capitals = 0;
    let at = from;
    let lowerRun = 0;
    for (; at < text.length && size < SCREEN_WORD_LENGTH_MAX; at += 1) {
      let code = text.charCodeAt(at);
      const kind = classes[code] ?? SKIP;
      if (kind < UPPER) {
        // "don't" and "users'" are one word.
        if (code !== QUOTE || (classes[text.charCodeAt(at + 1)] ?? SKIP) < UPPER) break;
        continue;
      }
      if (at > from && (kind === IDEOGRAPH || first === IDEOGRAPH)) {
        if (kind !== first || size === 2) break;
      }
      if (kind === UPPER) {
        // camelCase is two words, RaNdOm is one.
        if (lowerRun >= 3 && (classes[text.charCodeAt(at + 1)] ?? SKIP) >= UPPER) break;
        code += 32;
        capitals += 1;
        lowerRun = 0;
      } else lowerRun += 1;
      size += 1;
      word[size] = code;
      hash = Math.imul(hash ^ code, PRIME);
    }
    onWord(this.#ids, this.#features(hash, size, capitals === size && size >= 3));
    this.#words += 1;
    // Words of ideographs overlap: each character begins one.
    return first === IDEOGRAPH && size === 2 ? from + 1 : at;
  }

  #features(hash: number, size: number, shouted: boolean): number {
    const ids = this.#ids;
    const word = this.#word;
    let count = 0;
    const pair = mix(this.#before, hash, 12);
    if (this.#repeats(pair)) {
      this.#concept = 0;
      this.#beforeThat = this.#before;
      this.#before = hash;
      return 0;
    }
    ids[count++] = mix(hash, 0, 11) & MASK;
    ids[count++] = pair & MASK;
    ids[count++] = mix(mix(this.#beforeThat, this.#before, 13), hash, 13) & MASK;
    ids[count++] = mix(this.#beforeThat, hash, 14) & MASK;
    if (shouted) ids[count++] = mix(hash, CAPITALS, 15) & MASK;
    word[0] = EDGE;
    word[size + 1] = EDGE;
    const last = size + 1;
    for (let from = 0; from + 2 <= last; from += 1) {
      let gram = Math.imul(NGRAM ^ (word[from] ?? 0), PRIME);
      gram = Math.imul(gram ^ (word[from + 1] ?? 0), PRIME);
      gram = Math.imul(gram ^ (word[from + 2] ?? 0), PRIME);
      ids[count++] = (gram ^ (gram >>> 15)) & MASK;
      if (from + 3 > last) continue;
      gram = Math.imul(gram ^ (word[from + 3] ?? 0), PRIME);
      ids[count++] = (gram ^ (gram >>> 15)) & MASK;
      if (from + 4 > last) continue;
      gram = Math.imul(gram ^ (word[from + 4] ?? 0), PRIME);
      ids[count++] = (gram ^ (gram >>> 15)) & MASK;
    }
    const concept = concepts.get(hash) ?? 0;
    this.#concept = concept;
    if (concept !== 0) count = this.#pairs(concept, shouted, count);
    this.#beforeThat = this.#before;
    this.#before = hash;
    return count;
  }

  /**
   * True for what was just said twice: tables and code repeat themselves, and say nothing new by it. Not what was said
   * once, or an attack could be hidden by its own words strewn before it.
   */
  #repeats(pair: number): boolean {
    const slot = pair & (SEEN - 1);
    const known = this.#pair[slot] === pair && this.#words - (this.#pairAt[slot] ?? 0) < REPEATED;
    const count = known ? (this.#pairCount[slot] ?? 0) + 1 : 1;
    this.#pair[slot] = pair;
    this.#pairAt[slot] = this.#words;
    this.#pairCount[slot] = count;
    return count > SAID_MAX;
  }

  #pairs(concept: number, shouted: boolean, from: number): number {
    const ids = this.#ids;
    const near = this.#near;
    const nearAt = this.#nearAt;
    let count = from;
    ids[count++] = mix(concept, this.#before === SENTENCE ? 1 : 0, 21) & MASK;
    if (shouted) ids[count++] = mix(concept, CAPITALS, 22) & MASK;
    for (let back = 0; back < PAIRED; back += 1) {
      const other = near[back] ?? 0;
      if (other === 0 || this.#words - (nearAt[back] ?? 0) > NEAR) break;
      ids[count++] = mix(other, concept, 23) & MASK;
      for (let further = back + 1; further < PAIRED; further += 1) {
        const third = near[further] ?? 0;
        if (third === 0 || this.#words - (nearAt[further] ?? 0) > NEAR) break;
        ids[count++] = mix(third * CONCEPTS.length + other, concept, 24) & MASK;
      }
    }
    // A concept said twice in a row counts once.
    if (near[0] !== concept) {
      near.copyWithin(1, 0, PAIRED - 1);
      nearAt.copyWithin(1, 0, PAIRED - 1);
      near[0] = concept;
    }
    nearAt[0] = this.#words;
    return count;
  }
}
