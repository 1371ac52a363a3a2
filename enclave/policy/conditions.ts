// SPDX-License-Identifier: Apache-2.0
/**
 * Conditions of a rule on arguments. A rule that forbids, holds or marks applies if some reading of the value satisfies
 * the condition; a rule that permits applies only if the value is there, is plain, and has one reading that satisfies it.
 * So a second spelling never gets past the one and never into the other. `not` turns some into every and back:
 *
 * | the value is          | forbids         | permits       |
 * |-----------------------|-----------------|---------------|
 * | missing in some place | `not` holds     | nothing holds |
 * | too much to look at   | holds           | does not hold |
 *
 * `exists: false` holds for a rule that forbids if the exact key is missing or null, and for one that permits if no key
 * that resembles it is there.
 */
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { foldKey } from '../../shared/json/fold.ts';
import { GLOB_TEXT_LENGTH_MAX, READING_LENGTH_MAX, READINGS_LENGTH_MAX } from '../../shared/limits.ts';
import type { ArgumentPath } from './argument-path.ts';
import { decodedJson, lookUp } from './argument-path.ts';
import type { Glob } from './glob.ts';
import type { HostPattern } from './host-readings.ts';
import { hostReadings, portReadings, schemeReadings } from './host-readings.ts';
import { numbersIn } from './number-readings.ts';
import { isInside, mayReach, pathReadings } from './path-readings.ts';
import type { Readings } from './readings.ts';
import { UNREADABLE } from './readings.ts';
import { textReadings } from './text-readings.ts';

type Scalar = string | number | boolean;

/** What a value is compared with. */
export type Operator =
  | { readonly kind: 'equals'; readonly values: readonly Scalar[] }
  | { readonly kind: 'glob'; readonly globs: readonly Glob[] }
  /** `whole`: the pattern, to match the text from its first to its last character. */
  | { readonly kind: 'regex'; readonly some: (text: string) => boolean; readonly whole: (text: string) => boolean }
  | { readonly kind: 'range'; readonly min: number; readonly max: number }
  | { readonly kind: 'host'; readonly hosts: readonly HostPattern[] }
  | { readonly kind: 'scheme'; readonly schemes: readonly string[] }
  | { readonly kind: 'port'; readonly ports: readonly string[] }
  /** Normalised roots. */
  | { readonly kind: 'path'; readonly roots: readonly string[] }
  | { readonly kind: 'type'; readonly types: readonly string[] }
  | { readonly kind: 'length'; readonly min: number; readonly max: number };

export type Condition =
  | { readonly kind: 'is'; readonly path: ArgumentPath; readonly operator: Operator; readonly negated: boolean }
  | { readonly kind: 'exists'; readonly path: ArgumentPath; readonly exists: boolean };

type Reader = 'text' | 'path' | 'host' | 'scheme' | 'port';

const READERS: Readonly<Record<Reader, (text: string) => Readings>> = { text: textReadings, path: pathReadings, host: hostReadings, scheme: schemeReadings, port: portReadings };

/** The arguments of one call; what their texts mean is found out once. */
export class Subject {
  readonly args: JsonObject;
  readonly #known = new Map<string, Readings>();
  #left: number = READINGS_LENGTH_MAX;

  constructor(args: JsonObject) {
    this.args = args;
  }

  read(as: Reader, text: string): Readings {
    const key = `${as}:${text}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    // The few readings of long contents cost little; see textReadings.
    if (as !== 'text' || text.length <= READING_LENGTH_MAX) this.#left -= text.length;
    const readings = this.#left < 0 ? UNREADABLE : READERS[as](text);
    this.#known.set(key, readings);
    return readings;
  }
}

function isScalar(value: JsonValue): value is Scalar {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

function typeOf(value: JsonValue): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

function isWithin(number: number, { min, max }: { readonly min: number; readonly max: number }): boolean {
  return number >= min && number <= max;
}

/** Some servers take anything that is not empty for true, others `off` and the like for false. */
function mayBe(wanted: boolean, value: Scalar): boolean {
  if (typeof value === 'boolean') return value === wanted;
  if (typeof value === 'number') return (value !== 0) === wanted;
  return wanted ? value !== '' : /^\s*(?:|0|f|false|n|no|off|nil|null|none|undefined)\s*$/i.test(value.normalize('NFKC'));
}

function mayEqual(wanted: Scalar, value: Scalar, texts: readonly string[]): boolean {
  if (typeof wanted === 'boolean' && mayBe(wanted, value)) return true;
  if (typeof wanted === 'number' && numbersIn(value)?.includes(wanted) !== false) return true;
  const text = String(wanted);
  return texts.includes(text) || texts.includes(foldKey(text));
}

/** True if some reading of a single value satisfies the operator. */
function some(operator: Operator, value: Scalar, subject: Subject): boolean {
  const text = String(value);
  const holds = (as: Reader, test: (reading: string) => boolean): boolean => {
    const { values, whole } = subject.read(as, text);
    return !whole || values.some(test);
  };
  switch (operator.kind) {
    case 'equals': {
      const { values, whole } = subject.read('text', text);
      return !whole || operator.values.some((wanted) => mayEqual(wanted, value, values));
    }
    case 'glob':
      return text.length > GLOB_TEXT_LENGTH_MAX || holds('text', (form) => operator.globs.some((glob) => glob.matches(form) || glob.matchesFolded(form)));
    case 'regex':
      return holds('text', operator.some);
    case 'range':
      return numbersIn(value)?.some((number) => isWithin(number, operator)) !== false;
    case 'host':
      return holds('host', (host) => operator.hosts.some((matches) => matches(host)));
    case 'scheme':
      return holds('scheme', (scheme) => operator.schemes.includes(scheme));
    case 'port':
      return holds('port', (port) => operator.ports.includes(port));
    case 'path':
      return holds('path', (path) => operator.roots.some((root) => mayReach(path, root) || mayReach(path, foldKey(root))));
    case 'type':
      return operator.types.includes(typeOf(value));
    case 'length':
      return lengthsOf(text).some((length) => isWithin(length, operator));
  }
}

/** In UTF-16 units, characters and bytes. */
function lengthsOf(text: string): readonly number[] {
  return [text.length, Array.from(text).length, new TextEncoder().encode(text).length];
}

/** True if a single value has one reading, and that satisfies the operator. */
function every(operator: Operator, value: Scalar, subject: Subject): boolean {
  if (operator.kind === 'equals') return operator.values.includes(value);
  if (operator.kind === 'range') return typeof value === 'number' && isWithin(value, operator);
  if (operator.kind === 'type') return operator.types.includes(typeOf(value));
  if (typeof value !== 'string') return false;
  const plain = (as: Reader, test: (reading: string) => boolean): boolean => {
    const read = subject.read(as, value).plain;
    return read !== null && test(read);
  };
  switch (operator.kind) {
    case 'glob':
      return value.length <= GLOB_TEXT_LENGTH_MAX && operator.globs.some((glob) => glob.matches(value));
    case 'regex':
      return operator.whole(value);
    case 'host':
      return plain('host', (host) => operator.hosts.some((matches) => matches(host)));
    case 'scheme':
      return plain('scheme', (scheme) => operator.schemes.includes(scheme));
    case 'port':
      return plain('port', (port) => operator.ports.includes(port));
    case 'path':
      return plain('path', (path) => operator.roots.some((root) => isInside(path, root)));
    case 'length':
      return lengthsOf(value).every((length) => isWithin(length, operator));
  }
}

/** JSON inside JSON inside JSON is no longer looked into. */
const NESTED_MAX = 3;

/** Single values inside a value; a list or section where one is expected is looked into, JSON in a text too. */
function* scalarsIn(value: JsonValue, nested = 0): Generator<Scalar> {
  if (isScalar(value)) yield value;
  if (typeof value === 'string' && nested < NESTED_MAX && /^\s*["[{]/.test(value)) {
    const decoded = decodedJson(value);
    if (decoded !== undefined) yield* scalarsIn(decoded, nested + 1);
  } else if (typeof value === 'object' && value !== null) {
    for (const item of Object.values(value)) yield* scalarsIn(item, nested);
  }
}

function someOf(operator: Operator, value: JsonValue, subject: Subject): boolean {
  if (operator.kind === 'type') return operator.types.includes(typeOf(value));
  if (operator.kind === 'length' && Array.isArray(value) && isWithin(value.length, operator)) return true;
  // A list or section stands for true where a truth value is asked for, and null for false.
  if (operator.kind === 'equals' && typeof value === 'object' && operator.values.includes(value !== null)) return true;
  for (const scalar of scalarsIn(value)) if (some(operator, scalar, subject)) return true;
  return false;
}

function everyOf(operator: Operator, value: JsonValue, subject: Subject): boolean {
  if (operator.kind === 'type') return operator.types.includes(typeOf(value));
  if (operator.kind === 'length' && Array.isArray(value)) return isWithin(value.length, operator);
  return isScalar(value) && every(operator, value, subject);
}

/** True if the condition may hold: for rules that forbid, hold or mark. */
export function mayHold(condition: Condition, subject: Subject): boolean {
  const loose = lookUp(subject.args, condition.path, true);
  // What was not looked at could be anything.
  if (!loose.whole) return true;
  if (condition.kind === 'exists' && condition.exists) return loose.values.length > 0;
  const { operator, negated } = condition.kind === 'is' ? condition : MISSING;
  if (!negated) return loose.values.some((value) => someOf(operator, value, subject));
  const exact = lookUp(subject.args, condition.path, false);
  if (exact.values.length === 0 || exact.lacks) return true;
  const values = condition.kind === 'is' ? loose.values : exact.values;
  return values.some((value) => !everyOf(operator, value, subject));
}

/** `exists: false` is `not` of any type but null. */
const MISSING = { negated: true, operator: { kind: 'type', types: ['string', 'number', 'boolean', 'array', 'object'] } } as const;

/** True if the condition holds beyond doubt: for rules that permit. What is missing satisfies nothing but `exists: false`. */
export function mustHold(condition: Condition, subject: Subject): boolean {
  const exact = lookUp(subject.args, condition.path, false);
  const loose = lookUp(subject.args, condition.path, true);
  if (!loose.whole) return false;
  if (condition.kind === 'exists' && !condition.exists) return loose.values.length === 0;
  // A second place where a server might look is as good as a second reading.
  if (exact.values.length === 0 || exact.lacks || loose.values.length !== exact.values.length) return false;
  if (condition.kind === 'exists') return !exact.values.includes(null);
  const { operator, negated } = condition;
  return exact.values.every((value) => (negated ? !someOf(operator, value, subject) : everyOf(operator, value, subject)));
}
