// SPDX-License-Identifier: Apache-2.0
/** Two JSON Schemas compared by what they let through: what a model may now send, or has to. */
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { isJsonObject } from '../../shared/json/value.ts';
import { DIFF_DEPTH_MAX } from '../../shared/limits.ts';
import type { Changes, Path, Severity } from './changes.ts';
import { own, sameValue, textOf } from './changes.ts';

/** Text in a schema that models read. */
const TEXTS: ReadonlySet<string> = new Set(['description', 'title', '$comment', 'examples']);
/** Members that hold schemas by name, schemas by place, and one schema. */
const BY_NAME: ReadonlySet<string> = new Set(['$defs', 'definitions', 'patternProperties', 'dependentSchemas']);
const BY_PLACE: ReadonlySet<string> = new Set(['anyOf', 'oneOf', 'allOf', 'prefixItems']);
const NESTED: ReadonlySet<string> = new Set(['items', 'not', 'if', 'then', 'else', 'contains', 'propertyNames', 'unevaluatedProperties', 'unevaluatedItems']);

interface Rules {
  readonly changes: Changes;
  /** What widening is called: a wider output asks nothing new of anybody. */
  readonly wide: Severity;
}

/** @param wide the severity of what takes more than before */
export function compareSchemas(changes: Changes, path: Path, old: JsonValue, now: JsonValue, wide: Severity): void {
  compare({ changes, wide }, path, old, now);
}

function compare(rules: Rules, path: Path, old: JsonValue, now: JsonValue): void {
  const { changes, wide } = rules;
  if (sameValue(old, now)) return;
  if (!isJsonObject(old) || !isJsonObject(now) || path.length >= DIFF_DEPTH_MAX) {
    changes.replaced(wide, path, old, now);
    return;
  }
  changes.members(old, now, (key, was, is) => compareMember(rules, path, key, was, is));
}

function compareMember(rules: Rules, path: Path, key: string, was: JsonValue | undefined, is: JsonValue | undefined): void {
  const { changes, wide } = rules;
  const at = [...path, key];
  if (key === 'properties') return compareProperties(rules, at, was, is);
  if (key === 'required') return compareRequired(rules, path, was, is);
  if (key === 'enum') return compareEnum(rules, at, was, is);
  if (key === 'additionalProperties') return compareAdditional(rules, at, was, is);
  if (TEXTS.has(key)) return changes.member('text', at, was, is);
  if (key === 'x-mcp-header' && is !== undefined) return changes.added(wide, at, is, 'its value is now copied into a header of every call');
  if (['type', 'default', 'const', '$ref', '$dynamicRef'].includes(key)) return changes.member(wide, at, was, is);
  if (BY_NAME.has(key) && isJsonObject(was) && isJsonObject(is)) return changes.members(was, is, (name, left, right) => compareOrMember(rules, [...at, name], left, right));
  if (BY_PLACE.has(key) && Array.isArray(was) && Array.isArray(is) && was.length === is.length) {
    for (const [index, left] of was.entries()) compare(rules, [...at, index], left, is[index] ?? null);
    return;
  }
  if (BY_PLACE.has(key) || BY_NAME.has(key)) return changes.member(wide, at, was, is);
  if (NESTED.has(key)) return compareOrMember(rules, at, was, is);
  changes.member('other', at, was, is);
}

function compareOrMember(rules: Rules, path: Path, was: JsonValue | undefined, is: JsonValue | undefined): void {
  if (was === undefined || is === undefined) rules.changes.member(rules.wide, path, was, is);
  else compare(rules, path, was, is);
}

/** A property that went and one that came with the very same schema are one that was renamed. */
function compareProperties(rules: Rules, path: Path, was: JsonValue | undefined, is: JsonValue | undefined): void {
  const { changes, wide } = rules;
  if (!isJsonObject(was) || !isJsonObject(is)) return changes.member(wide, path, was, is);
  const gone = Object.keys(was).filter((name) => !Object.hasOwn(is, name));
  const come = Object.keys(is).filter((name) => !Object.hasOwn(was, name));
  const renamed = new Set<string>();
  for (const name of come) {
    const schema = own(is, name) ?? null;
    const from = gone.find((old) => !renamed.has(old) && sameValue(own(was, old) ?? null, schema));
    if (from === undefined) changes.added(wide, [...path, name], schema, 'parameter added');
    else changes.renamed(wide, path, from, name, 'parameter renamed');
    if (from !== undefined) renamed.add(from);
  }
  for (const name of gone) if (!renamed.has(name)) changes.removed('other', [...path, name], own(was, name) ?? null, 'parameter removed');
  for (const name of Object.keys(was)) {
    const [left, right] = [own(was, name), own(is, name)];
    if (left !== undefined && right !== undefined) compare(rules, [...path, name], left, right);
  }
}

function listed(value: JsonValue | undefined): readonly JsonValue[] {
  return Array.isArray(value) ? value : [];
}

function missing(from: readonly JsonValue[], among: readonly JsonValue[]): JsonValue[] {
  const there = new Set(among.map(textOf));
  return from.filter((value) => !there.has(textOf(value)));
}

function compareRequired({ changes, wide }: Rules, path: Path, was: JsonValue | undefined, is: JsonValue | undefined): void {
  const isList = (value: JsonValue | undefined): boolean => value === undefined || Array.isArray(value);
  const [more, fewer] = [missing(listed(is), listed(was)), missing(listed(was), listed(is))];
  if (!isList(was) || !isList(is) || more.length + fewer.length === 0) return changes.member('other', [...path, 'required'], was, is);
  for (const name of more) changes.add(wide, [...path, 'properties', textOf(name)], 'is required now');
  for (const name of fewer) changes.add('other', [...path, 'properties', textOf(name)], 'is not required any more');
}

function compareEnum({ changes, wide }: Rules, path: Path, was: JsonValue | undefined, is: JsonValue | undefined): void {
  if (!Array.isArray(was) || !Array.isArray(is)) return changes.member(wide, path, was, is);
  const [more, fewer] = [missing(is, was), missing(was, is)];
  for (const value of more) changes.added(wide, path, value, 'allows one more value');
  for (const value of fewer) changes.removed('other', path, value, 'allows one value less');
  if (more.length + fewer.length === 0) changes.member('cosmetic', path, was, is);
}

function compareAdditional({ changes, wide }: Rules, path: Path, was: JsonValue | undefined, is: JsonValue | undefined): void {
  if (is === false) return changes.member('other', path, was, is);
  if (was === false) return changes.add(wide, path, 'members that the schema does not name are allowed now', [{ kind: 'added', text: is === undefined ? 'true' : textOf(is) }]);
  changes.member(wide, path, was, is);
}

/** Kept apart from text: hosts act on it. */
export function compareAnnotations(changes: Changes, path: Path, old: JsonValue | undefined, now: JsonValue | undefined): void {
  const hints: JsonObject = isJsonObject(now) ? now : Object.create(null);
  const before: JsonObject = isJsonObject(old) ? old : Object.create(null);
  if ((old !== undefined && !isJsonObject(old)) || (now !== undefined && !isJsonObject(now))) return changes.member('widened', path, old, now);
  changes.members(before, hints, (key, was, is) => {
    const at = [...path, key];
    if (key === 'title') changes.member('text', at, was, is);
    else if (key === 'readOnlyHint' && was === true) changes.add('widened', at, 'the tool does not say any more that it only reads');
    else if (key === 'readOnlyHint' && is === true) changes.add('widened', at, 'the tool says now that it only reads');
    else changes.member('widened', at, was, is);
  });
  // Empty annotations and none are two objects all the same.
  if (old === undefined && now !== undefined && Object.keys(hints).length === 0) changes.added('cosmetic', path, now);
  if (now === undefined && old !== undefined && Object.keys(before).length === 0) changes.removed('cosmetic', path, old);
}
