// SPDX-License-Identifier: Apache-2.0
/**
 * The texts of a value in one list, so that they can be redacted elsewhere, and the value made anew from the redacted
 * list: every string and key, and every number by its decimal text. Both walks visit the same texts in the same order.
 */
import type { JsonObject, JsonValue } from '../../../shared/json/value.ts';
import { emptyObject } from '../../../shared/json/value.ts';

export interface Texts {
  readonly texts: readonly string[];
  /** Neighbours, by their index: what could hold the parts of one secret. Empty unless asked for. */
  readonly sequences: readonly (readonly number[])[];
  /** Index of a member's name and of its value, a string or number or one in an array; one pair after the other. Empty unless asked for. */
  readonly members: readonly number[];
}

export interface TextsOptions {
  readonly sequences: boolean;
  readonly members: boolean;
}

/** Collects the texts. Depth is bounded by the parser that made the value. */
export function textsOf(value: JsonValue, options: TextsOptions): Texts {
  const collect = new Collect(options);
  collect.value(value, '', null);
  return collect.finish();
}

class Collect {
  readonly #options: TextsOptions;
  readonly #texts: string[] = [];
  readonly #sequences: number[][] = [];
  readonly #members: number[] = [];
  /** Strings under each name of a member, in order, and whether they have one parent only: then they are neighbours anyway. */
  readonly #columns = new Map<string, { indices: number[]; parents: number }>();

  constructor(options: TextsOptions) {
    this.#options = options;
  }

  finish(): Texts {
    for (const { indices, parents } of this.#columns.values()) {
      if (parents > 1) this.#add(indices);
    }
    return { texts: this.#texts, sequences: this.#sequences, members: this.#members };
  }

  /** `member`: index of the name that the value has, or the array that it is in. */
  value(value: JsonValue, name: string, member: number | null): void {
    if (typeof value === 'string' || typeof value === 'number') {
      if (member !== null && this.#options.members) this.#members.push(member, this.#texts.length);
      this.#texts.push(String(value));
    } else if (Array.isArray(value)) this.#array(value, name, member);
    else if (value !== null && typeof value === 'object') this.#object(value);
  }

  #array(values: readonly JsonValue[], name: string, member: number | null): void {
    const strings: number[] = [];
    for (const value of values) {
      if (typeof value === 'string') strings.push(this.#texts.length);
      this.value(value, name, member);
    }
    if (!this.#options.sequences) return;
    this.#add(strings);
    this.#addColumn(name, strings);
  }

  #object(object: JsonObject): void {
    const { sequences } = this.#options;
    const names = this.#texts.length;
    const keys = Object.keys(object);
    for (const key of keys) this.#texts.push(key);
    const strings: number[] = [];
    const pairs: number[] = [];
    for (const [at, key] of keys.entries()) {
      const value = object[key] ?? null;
      const index = this.#texts.length;
      const isText = typeof value === 'string';
      if (sequences && isText) {
        strings.push(index);
        this.#addColumn(key, [index]);
      }
      if (sequences) pairs.push(names + at, ...(isText ? [index] : []));
      this.value(value, key, names + at);
    }
    if (!sequences) return;
    this.#add(keys.map((_, at) => names + at));
    this.#add(strings);
    this.#add(pairs);
  }

  #add(sequence: number[]): void {
    if (sequence.length > 1) this.#sequences.push(sequence);
  }

  #addColumn(name: string, strings: readonly number[]): void {
    if (strings.length === 0) return;
    const column = this.#columns.get(name);
    if (column === undefined) {
      this.#columns.set(name, { indices: [...strings], parents: 1 });
      return;
    }
    for (const index of strings) column.indices.push(index);
    column.parents += 1;
  }
}

/** The value with each of its texts replaced by the one at the same place in a list; the same value where none differs. */
export function withTexts(value: JsonValue, before: readonly string[], after: readonly string[]): JsonValue {
  return before.every((text, at) => text === after[at]) ? value : new Rebuild(after).value(value);
}

/** JavaScript puts such names before all others: the order of members has to stay. */
const INDEX = /^[0-9]+$/;

class Rebuild {
  readonly #texts: readonly string[];
  #next = 0;

  constructor(texts: readonly string[]) {
    this.#texts = texts;
  }

  value(value: JsonValue): JsonValue {
    if (typeof value === 'string') return this.#take();
    if (typeof value === 'number') {
      const text = this.#take();
      return text === String(value) ? value : text;
    }
    if (value === null || typeof value === 'boolean') return value;
    return Array.isArray(value) ? value.map((one) => this.value(one)) : this.#object(value);
  }

  #take(): string {
    const text = this.#texts[this.#next];
    this.#next += 1;
    if (text === undefined) throw new RangeError('there are fewer texts than the value has');
    return text;
  }

  #object(object: JsonObject): JsonObject {
    const names = this.#names(Object.keys(object));
    const made = emptyObject();
    for (const [key, value] of Object.entries(object)) made[names.get(key) ?? key] = this.value(value);
    return made;
  }

  /** New name per key. Keys that become equal get a suffix, so that no member is lost. */
  #names(keys: readonly string[]): Map<string, string> {
    const names = new Map<string, string>();
    const changed: [string, string][] = [];
    // `__proto__` counts as taken: no parser of ours accepts it, so redaction must not be able to make it.
    const taken = new Set<string>(['__proto__']);
    for (const key of keys) {
      const name = this.#take();
      if (name === key) taken.add(key);
      else changed.push([key, name]);
    }
    const counters = new Map<string, number>();
    for (const [key, name] of changed) {
      let free = name;
      let counter = counters.get(name) ?? 1;
      while (taken.has(free) || INDEX.test(free)) {
        counter += 1;
        free = `${name}#${counter}`;
      }
      counters.set(name, counter);
      taken.add(free);
      names.set(key, free);
    }
    return names;
  }
}
