// SPDX-License-Identifier: Apache-2.0
/** What can be read of a document whose form may be wrong: rules between keys are checked together with the form. */

/** True for an object that is no list. */
export function isSection(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The own members of an object; nothing for any other value. */
export function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return isSection(value) ? { ...value } : {};
}

export function memberOf(value: unknown, key: string): unknown {
  return asRecord(value)[key];
}

/** The first `max` entries of a list; nothing for any other value. */
export function listIn(value: unknown, key: string, max: number): readonly unknown[] {
  const list = memberOf(value, key);
  return Array.isArray(list) ? list.slice(0, max) : [];
}
