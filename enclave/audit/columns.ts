// SPDX-License-Identifier: Apache-2.0
/** Reads one column of a row that SQLite gave; the row may hold anything. */
export function member(row: unknown, key: string): unknown {
  if (typeof row !== 'object' || row === null) return undefined;
  const value: unknown = Reflect.get(row, key);
  return value;
}
