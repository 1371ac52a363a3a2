// SPDX-License-Identifier: Apache-2.0
/** From a condition as it is written to one that can be asked. What stands in a document was checked when it was read. */
import { parseArgumentPath } from './argument-path.ts';
import type { Condition, Operator } from './conditions.ts';
import type { ConditionDocument } from './document-parts.ts';
import type { Glob } from './glob.ts';
import { compileGlob } from './glob.ts';
import type { HostPattern } from './host-readings.ts';
import { hostPattern } from './host-readings.ts';
import { normalRoot } from './path-readings.ts';
import type { Regex } from './regex.ts';
import { compileRegex } from './regex.ts';

function unchecked(): RangeError {
  return new RangeError('the document holds something that was not checked');
}

export function globOf(pattern: string): Glob {
  const compiled = compileGlob(pattern);
  if (!compiled.ok) throw unchecked();
  return compiled.glob;
}

export function hostOf(pattern: string): HostPattern {
  const compiled = hostPattern(pattern);
  if (compiled === null) throw unchecked();
  return compiled;
}

/** The pattern that matches a text from its first to its last character. */
export function wholePattern(source: string): string {
  return `\\A(?:${source})\\z`;
}

function regexOf(source: string): Regex {
  const compiled = compileRegex(source);
  if (!compiled.ok) throw unchecked();
  return compiled.regex;
}

function listOf<T extends string | number | boolean>(value: T | readonly T[]): readonly T[] {
  return typeof value === 'object' ? value : [value];
}

function operatorOf(read: ConditionDocument): Operator {
  if (read.equals !== undefined) return { kind: 'equals', values: listOf(read.equals) };
  if (read.glob !== undefined) return { kind: 'glob', globs: listOf(read.glob).map(globOf) };
  if (read.regex !== undefined) {
    const some = regexOf(read.regex);
    const whole = regexOf(wholePattern(read.regex));
    return { kind: 'regex', some: (text) => some.test(text), whole: (text) => whole.test(text) };
  }
  if (read.range !== undefined) return { kind: 'range', min: read.range.min ?? -Infinity, max: read.range.max ?? Infinity };
  if (read.host !== undefined) return { kind: 'host', hosts: listOf(read.host).map(hostOf) };
  if (read.scheme !== undefined) return { kind: 'scheme', schemes: listOf(read.scheme) };
  if (read.port !== undefined) return { kind: 'port', ports: listOf(read.port).map(String) };
  if (read.path_in !== undefined) return { kind: 'path', roots: listOf(read.path_in).map(normalRoot) };
  if (read.type !== undefined) return { kind: 'type', types: listOf(read.type) };
  if (read.length !== undefined) return { kind: 'length', min: read.length.min ?? 0, max: read.length.max ?? Infinity };
  throw unchecked();
}

/** The condition that a rule asks. */
export function compileCondition(read: ConditionDocument): Condition {
  const path = parseArgumentPath(read.arg);
  if (path === null) throw unchecked();
  if (read.exists !== undefined) return { kind: 'exists', path, exists: read.exists };
  return { kind: 'is', path, operator: operatorOf(read), negated: read.not };
}
