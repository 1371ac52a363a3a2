// SPDX-License-Identifier: Apache-2.0
/**
 * What changed between two versions of something that is pinned, in the order in which a person should look at it. Pure.
 * Whatever differs shows: what no rule below knows is compared as a plain value.
 */
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { isJsonObject } from '../../shared/json/value.ts';
import { DIFF_CHANGES_MAX } from '../../shared/limits.ts';
import type { Change, Path, Severity } from './changes.ts';
import { Changes, own, sameValue, SEVERITIES } from './changes.ts';
import { compareAnnotations, compareSchemas } from './diff-schema.ts';
import type { PinKind } from './item.ts';

const TEXTS: ReadonlySet<string> = new Set(['description', 'title', 'instructions']);

/** Members of `_meta` by which a server asks a host for rights (MCP Apps). */
const RIGHTS = /csp|permission|domain|visibility|resourceuri/i;

function metaSeverity(path: Path): Severity {
  return path.some((part) => typeof part === 'string' && RIGHTS.test(part)) ? 'widened' : 'other';
}

function compareMeta(changes: Changes, path: Path, old: JsonValue | undefined, now: JsonValue | undefined): void {
  if (isJsonObject(old) && isJsonObject(now) && path.length < 4) changes.members(old, now, (key, was, is) => compareMeta(changes, [...path, key], was, is));
  else changes.member(metaSeverity(path), path, old, now);
}

/** Prompts name their arguments in a list, in any order. */
function compareArguments(changes: Changes, path: Path, old: JsonValue | undefined, now: JsonValue | undefined): void {
  const [before, after] = [byName(old), byName(now)];
  if (before === null || after === null) return changes.member('widened', path, old, now);
  let found = 0;
  for (const name of new Set([...before.keys(), ...after.keys()])) {
    const [was, is] = [before.get(name), after.get(name)];
    const at = [...path, name];
    if (was === undefined && is !== undefined) changes.added('widened', at, is, 'argument added');
    else if (was !== undefined && is === undefined) changes.removed('other', at, was, 'argument removed');
    else if (was !== undefined && is !== undefined && !sameValue(was, is)) compareArgument(changes, at, was, is);
    else continue;
    found += 1;
  }
  if (found === 0) changes.member('cosmetic', path, old, now);
}

function compareArgument(changes: Changes, path: Path, old: JsonObject, now: JsonObject): void {
  changes.members(old, now, (key, was, is) => {
    if (key === 'required' && is === true) changes.add('widened', path, 'is required now');
    else changes.member(TEXTS.has(key) ? 'text' : 'other', [...path, key], was, is);
  });
}

/** Null for what is no list of named objects. */
function byName(value: JsonValue | undefined): Map<string, JsonObject> | null {
  if (value === undefined) return new Map();
  if (!Array.isArray(value)) return null;
  const named = new Map<string, JsonObject>();
  for (const one of value) {
    const name = own(one, 'name');
    if (!isJsonObject(one) || typeof name !== 'string' || named.has(name)) return null;
    named.set(name, one);
  }
  return named;
}

function compareContents(changes: Changes, path: Path, old: JsonValue | undefined, now: JsonValue | undefined): void {
  if (!Array.isArray(old) || !Array.isArray(now) || old.length !== now.length) return changes.member('text', path, old, now);
  for (const [at, was] of old.entries()) {
    const is = now[at] ?? null;
    if (!isJsonObject(was) || !isJsonObject(is)) changes.values('text', [...path, at], was, is);
    else changes.members(was, is, (key, left, right) => (key === '_meta' ? compareMeta : compareText)(changes, [...path, at, key], left, right));
  }
}

function compareText(changes: Changes, path: Path, old: JsonValue | undefined, now: JsonValue | undefined): void {
  changes.member('text', path, old, now);
}

function compareMember(kind: PinKind, changes: Changes, key: string, was: JsonValue | undefined, is: JsonValue | undefined): void {
  const path = [key];
  if (TEXTS.has(key)) return compareText(changes, path, was, is);
  if (key === 'icons') return changes.member('cosmetic', path, was, is);
  if (key === '_meta') return compareMeta(changes, path, was, is);
  if (kind === 'tool' && key === 'annotations') return compareAnnotations(changes, path, was, is);
  if (kind === 'tool' && (key === 'inputSchema' || key === 'outputSchema')) {
    const wide = key === 'inputSchema' ? 'widened' : 'other';
    if (was === undefined || is === undefined) return changes.member(wide, path, was, is);
    return compareSchemas(changes, path, was, is, wide);
  }
  if (kind === 'prompt' && key === 'arguments') return compareArguments(changes, path, was, is);
  if (kind === 'content' && key === 'contents') return compareContents(changes, path, was, is);
  changes.member('other', path, was, is);
}

/** All changes, the riskiest first; empty exactly where both are the same. */
export function diffItems(kind: PinKind, old: JsonObject, now: JsonObject): readonly Change[] {
  if (sameValue(old, now)) return [];
  const changes = new Changes();
  changes.members(old, now, (key, was, is) => compareMember(kind, changes, key, was, is));
  if (changes.found.length === 0) changes.replaced('other', [], old, now);
  const ranked = changes.found.toSorted((left, right) => SEVERITIES.indexOf(left.severity) - SEVERITIES.indexOf(right.severity));
  if (ranked.length <= DIFF_CHANGES_MAX) return ranked;
  const rest = ranked.length - DIFF_CHANGES_MAX;
  return [...ranked.slice(0, DIFF_CHANGES_MAX), { severity: 'other', path: [], what: `${rest} further changes are not shown`, segments: [] }];
}
