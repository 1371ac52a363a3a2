// SPDX-License-Identifier: Apache-2.0
/**
 * Tools of two servers that a model or a person may take for one another: the same name in another spelling, a name one
 * typing mistake away, or a description that tells the model about another server's tool. Alerts only: servers of good
 * will have a `search` each.
 */
import { sha256Hex } from '../../shared/digest.ts';
import { foldKey } from '../../shared/json/fold.ts';
import type { JsonValue } from '../../shared/json/value.ts';
import { DIFF_WORDS_MAX, SHADOW_ALERTS_MAX, SHADOW_TOOLS_MAX, SHADOW_WORDS_MAX } from '../../shared/limits.ts';
import { withoutInvisible } from '../policy/invisible.ts';
import type { JudgedItem } from './judge.ts';

/** Lower-case letters of other alphabets that are drawn like an ASCII one (Unicode UTS 39, the common ones), and digits. */
const TWINS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    a: 'аɑα', b: 'Ьъь', c: 'сϲᴄ', d: 'ԁ', e: 'еєҽ', g: 'ɡց', h: 'һհ', i: 'іıι', j: 'јϳ', k: 'кκ', l: 'ӏⅼ1|', m: 'м', n: 'ոп', o: 'оοօσ0',
    p: 'рρ', q: 'ԛ', r: 'г', s: 'ѕ', t: 'тτ', u: 'υսц', v: 'νѵ', w: 'ԝѡω', x: 'хχ', y: 'уү', z: 'ᴢ',
  }).flatMap(([ascii, twins]) => Array.from(twins, (twin): [string, string] => [twin, ascii])),
);

/** One form for all names that look alike: case, width, alphabet and separators are taken out. */
export function skeleton(name: string): string {
  const folded = foldKey(withoutInvisible(name.normalize('NFKC'))).normalize('NFD').replaceAll(/\p{M}/gu, '');
  let form = '';
  for (const char of folded) form += TWINS.get(char) ?? char;
  const bare = form.replaceAll(/[\s_.\-/:\u2010-\u2015]/g, '');
  return bare === '' ? form : bare;
}

/** Shorter names have too many honest neighbours, and nobody reads longer ones letter by letter. */
const NEAR_LENGTH_MIN = 8;
const NEAR_LENGTH_MAX = 64;

/**
 * True for two names that one typing mistake tells apart. A plural, another number and another first letter (get, set) are
 * honest differences.
 */
export function isNear(left: string, right: string): boolean {
  const [long, short] = left.length >= right.length ? [left, right] : [right, left];
  if (short.length < NEAR_LENGTH_MIN || long.length - short.length > 1 || long === short) return false;
  let at = 0;
  while (at < short.length && long[at] === short[at]) at += 1;
  if (at === 0) return false;
  if (long.length > short.length) {
    const letter = long.charAt(at);
    return long.slice(at + 1) === short.slice(at) && !/\d/.test(letter) && !(letter === 's' && at === short.length);
  }
  if (/\d/.test(long.charAt(at) + short.charAt(at))) return false;
  const swapped = long.charAt(at) === short.charAt(at + 1) && long.charAt(at + 1) === short.charAt(at) && long.slice(at + 2) === short.slice(at + 2);
  return swapped || long.slice(at + 1) === short.slice(at + 1);
}

/** The form with each of its letters left out once: two near names have one of these, or a whole form, in common. */
function gaps(form: string): string[] {
  return form.length < NEAR_LENGTH_MIN || form.length > NEAR_LENGTH_MAX ? [] : Array.from(form, (_letter, at) => form.slice(0, at) + form.slice(at + 1));
}

/** Words that can only mean a tool: plain words such as `search` stand in every description. */
function isDistinctive(word: string): boolean {
  return word.length >= 6 && /[a-z0-9][_.-][a-z0-9]|[a-z][A-Z]/.test(word);
}

function wordsOf(description: JsonValue | undefined): readonly string[] {
  if (typeof description !== 'string') return [];
  const words = new Set<string>();
  let looked = 0;
  for (const [word] of description.matchAll(/[A-Za-z0-9][A-Za-z0-9_.-]*[A-Za-z0-9]/g)) {
    looked += 1;
    if (looked > DIFF_WORDS_MAX || words.size >= SHADOW_WORDS_MAX) break;
    if (isDistinctive(word)) words.add(skeleton(word));
  }
  return [...words];
}

/** What was found: one alert. Tools stand in it by label. */
export interface Shadow {
  readonly tool: string;
  readonly digest: string;
  readonly other: string;
  readonly otherTool: string;
  readonly otherDigest: string;
  readonly why: 'has the same or a confusable name as' | 'has nearly the name of' | 'speaks in its description of' | 'is spoken of in the description of';
}

interface Known {
  readonly label: string;
  readonly digest: string;
  readonly form: string;
  readonly isDistinctive: boolean;
  readonly words: readonly string[];
}

function knownOf({ name, label, digest, value }: JudgedItem): Known {
  return { label, digest, form: skeleton(name), isDistinctive: isDistinctive(name), words: wordsOf(value['description']) };
}

type Index = ReadonlyMap<string, readonly Known[]>;

function indexBy(tools: readonly Known[], keysOf: (tool: Known) => readonly string[]): Index {
  const index = new Map<string, Known[]>();
  for (const tool of tools) {
    for (const key of keysOf(tool)) {
      const found = index.get(key);
      if (found === undefined) index.set(key, [tool]);
      else if (found.length < SHADOW_WORDS_MAX) found.push(tool);
    }
  }
  return index;
}

function shadow(one: Known, other: string, two: Known, why: Shadow['why']): Shadow {
  return { tool: one.label, digest: one.digest, other, otherTool: two.label, otherDigest: two.digest, why };
}

/** The tools of one server by what they are compared by. */
interface Shelf {
  readonly tools: readonly Known[];
  readonly byForm: Index;
  readonly byGap: Index;
  readonly byWord: Index;
}

function shelfOf(tools: readonly Known[]): Shelf {
  return {
    tools,
    byForm: indexBy(tools, ({ form }) => [form]),
    byGap: indexBy(tools.slice(0, SHADOW_TOOLS_MAX), ({ form }) => [form, ...gaps(form)]),
    byWord: indexBy(tools, ({ words }) => words),
  };
}

/** Compares the tools of one server with those of another, both ways. */
function between(own: Shelf, other: string, theirs: Shelf): Shadow[] {
  const found: Shadow[] = [];
  for (const [at, one] of own.tools.entries()) {
    for (const two of theirs.byForm.get(one.form) ?? []) found.push(shadow(one, other, two, 'has the same or a confusable name as'));
    const keys = at < SHADOW_TOOLS_MAX ? [one.form, ...gaps(one.form)] : [];
    const near = new Set(keys.flatMap((key) => theirs.byGap.get(key) ?? []));
    for (const two of near) if (isNear(one.form, two.form)) found.push(shadow(one, other, two, 'has nearly the name of'));
    // A description that names a tool of its own server means that one.
    for (const word of one.words) {
      const named = own.byForm.has(word) ? [] : (theirs.byForm.get(word) ?? []);
      for (const two of named) if (two.isDistinctive) found.push(shadow(one, other, two, 'speaks in its description of'));
    }
    const speakers = one.isDistinctive && !theirs.byForm.has(one.form) ? (theirs.byWord.get(one.form) ?? []) : [];
    for (const two of speakers) found.push(shadow(one, other, two, 'is spoken of in the description of'));
    if (found.length > SHADOW_ALERTS_MAX) break;
  }
  return found;
}

/** What all servers of a process list; one for all conversations. */
export class Shadows {
  readonly #shelves = new Map<string, Shelf>();
  readonly #digests = new Map<string, string>();
  readonly #said = new Set<string>();

  /** Takes what a server lists, and tells what of it may be taken for another server's; each is told once. */
  compare(server: string, tools: readonly JudgedItem[]): readonly Shadow[] {
    const digest = sha256Hex(tools.map((tool) => tool.digest).join());
    if (this.#digests.get(server) === digest) return [];
    const others = [...this.#shelves].filter(([name]) => name !== server);
    const own = shelfOf(tools.map(knownOf));
    this.#shelves.set(server, own);
    this.#digests.set(server, digest);
    return others.flatMap(([other, theirs]) => between(own, other, theirs)).filter((one) => this.#isNew(server, one));
  }

  #isNew(server: string, { tool, other, otherTool, why }: Shadow): boolean {
    const ends: [string, string] = [`${server} ${tool}`, `${other} ${otherTool}`];
    // Both directions of one fact are one alert.
    const spoken = why === 'speaks in its description of' || why === 'is spoken of in the description of';
    const pair = why === 'is spoken of in the description of' ? ends.toReversed() : why === 'speaks in its description of' ? ends : ends.toSorted();
    const key = [spoken ? 'spoken' : why, ...pair].join('\0');
    if (this.#said.has(key) || this.#said.size >= SHADOW_ALERTS_MAX) return false;
    this.#said.add(key);
    return true;
  }
}
