// SPDX-License-Identifier: Apache-2.0
/**
 * Where in the arguments a condition looks: `path`, `options.path`, `files[0].name`, `files[*].name`, `*.url`, and `**` for
 * any depth: `**.url` for every `url`, `**` alone for every text, number and truth value. A key that holds one of `.[]*"`
 * stands in double quotes.
 */
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { foldKey } from '../../shared/json/fold.ts';
import { parseStrictJson } from '../../shared/json/parse.ts';
import { isJsonObject } from '../../shared/json/value.ts';
import { ARGUMENT_VALUES_MAX, READING_LENGTH_MAX } from '../../shared/limits.ts';

type Step = { readonly kind: 'key'; readonly key: string } | { readonly kind: 'index'; readonly index: number } | { readonly kind: 'each' } | { readonly kind: 'deep' };

export type ArgumentPath = readonly Step[];

export interface Found {
  readonly values: readonly JsonValue[];
  /** False where there was more than could be looked at. */
  readonly whole: boolean;
  /** True where a part of the arguments lacks what the path names. */
  readonly lacks: boolean;
}

const TOKEN = /^(?:\[(\d{1,9}|\*)\]|\.(?:"((?:[^"\\]|\\["\\])+)"|(\*\*)|(\*)|([^.[\]*"\s][^.[\]*"]*)))/;

/** Null for a text that is no path into arguments. */
export function parseArgumentPath(text: string): ArgumentPath | null {
  const steps: Step[] = [];
  let rest = text;
  while (rest !== '') {
    const dotted = steps.length === 0 && !rest.startsWith('[') ? `.${rest}` : rest;
    const found = TOKEN.exec(dotted);
    if (found === null) return null;
    const [matched, index, quoted, deep, each, key] = found;
    if (index !== undefined) steps.push(index === '*' ? { kind: 'each' } : { kind: 'index', index: Number(index) });
    else if (quoted !== undefined) steps.push({ kind: 'key', key: quoted.replaceAll(/\\(["\\])/g, '$1') });
    else if (deep !== undefined) steps.push({ kind: 'deep' });
    else if (each !== undefined) steps.push({ kind: 'each' });
    else if (key !== undefined) steps.push({ kind: 'key', key });
    rest = dotted.slice(matched.length);
  }
  return steps.length === 0 ? null : steps;
}

/** True for a text that looks like a list or section. */
function isEncoded(value: JsonValue): value is string {
  return typeof value === 'string' && /^\s*[[{]/.test(value);
}

/** What a server finds that reads JSON in a text; undefined where it is none. */
export function decodedJson(text: string): JsonValue | undefined {
  if (text.length > READING_LENGTH_MAX) return undefined;
  const parsed = parseStrictJson(new TextEncoder().encode(text));
  return parsed.ok ? parsed.value : undefined;
}

class Look {
  readonly values: JsonValue[] = [];
  whole = true;
  lacks = false;
  readonly #path: ArgumentPath;
  readonly #loose: boolean;
  #left = ARGUMENT_VALUES_MAX;

  constructor(path: ArgumentPath, loose: boolean) {
    this.#path = path;
    this.#loose = loose;
  }

  at(value: JsonValue, step: number): void {
    this.#left -= 1;
    if (this.#left < 0) {
      this.whole = false;
      return;
    }
    const next = this.#path[step];
    if (next === undefined) {
      this.values.push(value);
      return;
    }
    if (this.#loose) this.#loosely(value, next, step);
    switch (next.kind) {
      case 'key':
        this.#key(value, next.key, step);
        return;
      case 'index':
        this.#item(Array.isArray(value) ? value[next.index] : undefined, step);
        return;
      case 'each':
        if (typeof value !== 'object' || value === null) this.lacks = true;
        for (const item of children(value)) this.at(item, step + 1);
        return;
      case 'deep':
        if (step < this.#path.length - 1) this.at(value, step + 1);
        else if (typeof value !== 'object' || value === null) this.values.push(value);
        for (const item of children(value)) this.at(item, step);
    }
  }

  /** Where lenient servers look besides: into JSON in a text, into a list for the one, at the one for a list. */
  #loosely(value: JsonValue, next: Step, step: number): void {
    if (isEncoded(value)) {
      const decoded = decodedJson(value);
      if (decoded !== undefined && typeof decoded !== 'string') this.at(decoded, step);
      // Whatever reads it as a section finds there what cannot be seen from here.
      else if (next.kind !== 'deep') this.whole = false;
    }
    if (Array.isArray(value)) {
      if (next.kind === 'key' && this.#path[step - 1]?.kind !== 'deep') for (const item of value) this.at(item, step);
      return;
    }
    const isWrapped = next.kind === 'index' ? next.index === 0 : next.kind === 'each' && (!isJsonObject(value) || this.#path[step + 1]?.kind === 'key');
    if (isWrapped) this.at(value, step + 1);
  }

  #item(item: JsonValue | undefined, step: number): void {
    if (item !== undefined) this.at(item, step + 1);
    // Below `**` it is no surprise that most places lack a key.
    else if (!this.#path.slice(0, step).some(({ kind }) => kind === 'deep')) this.lacks = true;
  }

  /** Some servers match keys without regard to case: a rule that forbids looks at those too. */
  #key(value: JsonValue, key: string, step: number): void {
    const members = isJsonObject(value) ? Object.entries(value) : [];
    const exact = members.find(([name]) => name === key);
    this.#item(exact?.[1], step);
    if (!this.#loose) return;
    for (const [name, item] of members) {
      if (name !== key && foldKey(name.trim()) === foldKey(key)) this.at(item, step + 1);
    }
  }
}

function children(value: JsonValue): readonly JsonValue[] {
  if (Array.isArray(value)) return value;
  return isJsonObject(value) ? Object.values(value) : [];
}

/** The values at a path. `loose`: also where a lenient server might find them. */
export function lookUp(args: JsonObject, path: ArgumentPath, loose: boolean): Found {
  const look = new Look(path, loose);
  look.at(args, 0);
  return look;
}
