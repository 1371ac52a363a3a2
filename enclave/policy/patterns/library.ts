// SPDX-License-Identifier: Apache-2.0
/**
 * The library of named patterns (design, section 6). A policy takes one by its name, or many by the name of their group.
 * What is stored or logged goes through all credentials, whatever the policy says.
 */
import type { RedactionPattern } from '../types.ts';
import { CREDENTIALS } from './credentials.ts';
import type { LibraryPattern } from './pattern.ts';
import { redactionOf } from './pattern.ts';
import { PERSONAL } from './personal.ts';

export type { LibraryPattern } from './pattern.ts';

/** In the order in which they are applied. */
const ALL: readonly LibraryPattern[] = [...CREDENTIALS, ...PERSONAL];

export const PATTERN_LIBRARY: ReadonlyMap<string, LibraryPattern> = new Map(ALL.map((pattern) => [pattern.name, pattern]));

/** Names that stand for many patterns at once. */
const GROUPS: ReadonlySet<string> = new Set(ALL.map((pattern) => pattern.group));

/** Every name that a policy can use: of the groups, then of the patterns. */
export const LIBRARY_NAMES: readonly string[] = [...GROUPS, ...PATTERN_LIBRARY.keys()];

/** The patterns of a name or group; null if the library has none of that name. */
export function libraryPatterns(name: string): readonly RedactionPattern[] | null {
  const found = GROUPS.has(name) ? ALL.filter((pattern) => pattern.group === name) : ALL.filter((pattern) => pattern.name === name);
  return found.length === 0 ? null : found.map(redactionOf);
}
