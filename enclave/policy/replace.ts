// SPDX-License-Identifier: Apache-2.0
/**
 * The core of redaction: patterns applied to a text, and to every string, key and number of a value at any depth.
 * Pure but for the clock, which is a parameter. Used on the event loop, in the redaction worker and in the audit log's
 * thread.
 */
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { emptyObject } from '../../shared/json/value.ts';
import { compileRegex, compileRegexSet } from './regex.ts';
import type { RedactionPattern } from './types.ts';

/** True once the budget is used up; asked between patterns. */
export type Expired = () => boolean;

/** A text after all patterns, or null if the budget ran out before. */
export type Replace = (text: string, expired: Expired) => string | null;

export type Replaced = { readonly value: JsonValue; readonly count: number } | null;

/** A budget of milliseconds that starts now. */
export function budget(now: () => number, ms: number): Expired {
  const deadline = now() + ms;
  return () => now() > deadline;
}

/**
 * Compiles patterns to one function that applies them in order, each to what the one before it left. Throws RangeError
 * for a pattern that is not RE2: the policy document refuses those with their position.
 */
export function createReplace(patterns: readonly RedactionPattern[]): Replace {
  const set = compileRegexSet(patterns.map((pattern) => pattern.source));
  const steps = patterns.map(({ name, source, replacement }) => {
    const compiled = compileRegex(source);
    if (!compiled.ok) throw new RangeError(`pattern ${name} is not RE2`);
    return { regex: compiled.regex, replacement };
  });
  return (original, expired) => {
    let text = original;
    let candidates = set.candidates(text);
    if (candidates.length === 0 && !expired()) return text;
    let last = -1;
    while (true) {
      if (expired()) return null;
      const index = candidates.find((candidate) => candidate > last);
      const step = index === undefined ? undefined : steps[index];
      if (index === undefined || step === undefined) return text;
      last = index;
      const next = step.regex.replaceAll(text, step.replacement);
      if (next === text) continue;
      text = next;
      // A replacement can join what stood apart, so that a later pattern matches only now.
      candidates = set.candidates(text);
    }
  };
}

/**
 * Applies a replacement to every string and key, and to every number by its decimal text: a number that matches becomes
 * a string. Null if the budget ran out. `count`: values and keys that changed.
 */
export function replaceIn(value: JsonValue, replace: (text: string) => string | null): Replaced {
  const walk = new Walk(replace);
  const made = walk.value(value);
  return made === undefined ? null : { value: made, count: walk.count };
}

/** Every text that replaceIn would hand to its replacement. */
export function textsOf(value: JsonValue): string[] {
  const texts: string[] = [];
  replaceIn(value, (text) => {
    texts.push(text);
    return text;
  });
  return texts;
}

class Walk {
  count = 0;
  readonly #replace: (text: string) => string | null;

  constructor(replace: (text: string) => string | null) {
    this.#replace = replace;
  }

  /** Undefined where the budget ran out. Depth is bounded by the parser that made the value. */
  value(value: JsonValue): JsonValue | undefined {
    if (typeof value === 'string') return this.#text(value);
    if (typeof value === 'number') return this.#number(value);
    if (value === null || typeof value === 'boolean') return value;
    return Array.isArray(value) ? this.#array(value) : this.#object(value);
  }

  #text(text: string): string | undefined {
    const replaced = this.#replace(text);
    if (replaced === null) return undefined;
    if (replaced !== text) this.count += 1;
    return replaced;
  }

  #number(value: number): JsonValue | undefined {
    const text = String(value);
    const replaced = this.#text(text);
    return replaced === text ? value : replaced;
  }

  #array(values: readonly JsonValue[]): JsonValue | undefined {
    const made: JsonValue[] = [];
    for (const value of values) {
      const one = this.value(value);
      if (one === undefined) return undefined;
      made.push(one);
    }
    return made;
  }

  #object(object: JsonObject): JsonObject | undefined {
    const names = this.#names(Object.keys(object));
    if (names === undefined) return undefined;
    const made = emptyObject();
    for (const [key, value] of Object.entries(object)) {
      const one = this.value(value);
      if (one === undefined) return undefined;
      made[names.get(key) ?? key] = one;
    }
    return made;
  }

  /** New name per key. Keys that become equal get a suffix, so that no member is lost. */
  #names(keys: readonly string[]): Map<string, string> | undefined {
    const names = new Map<string, string>();
    const changed: [string, string][] = [];
    // `__proto__` counts as taken: no parser of ours accepts it, so redaction must not be able to make it.
    const taken = new Set<string>(['__proto__']);
    for (const key of keys) {
      const name = this.#text(key);
      if (name === undefined) return undefined;
      if (name === key) taken.add(key);
      else changed.push([key, name]);
    }
    const counters = new Map<string, number>();
    for (const [key, name] of changed) {
      let free = name;
      let counter = counters.get(name) ?? 1;
      while (taken.has(free)) {
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
