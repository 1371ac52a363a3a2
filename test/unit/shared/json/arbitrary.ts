// SPDX-License-Identifier: Apache-2.0
/** Values that a strict text can hold, and their comparison. */
import * as fc from 'fast-check';
import type { JsonValue } from '../../../../shared/json/value.ts';
import { jsonObject } from '../../../../shared/json/value.ts';

const number = fc.oneof(
  fc.maxSafeInteger(),
  fc
    .double({ noNaN: true, noDefaultInfinity: true })
    .filter((value) => Math.abs(value) <= Number.MAX_SAFE_INTEGER || Math.abs(value) >= 1e21)
    .map((value) => (value === 0 ? 0 : value)),
);
const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }));
const key = fc.oneof(text, fc.constantFrom('toString', 'constructor', 'toJSON', 'length', '0', '-1', 'é')).filter((name) => name !== '__proto__');

/** Any value that the strict parser takes. */
export const jsonValue: fc.Arbitrary<JsonValue> = fc.letrec<{ value: JsonValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, true, false),
    number,
    text,
    fc.array(tie('value'), { maxLength: 5 }),
    fc.array(fc.tuple(key, tie('value')), { maxLength: 5 }).map((members) => jsonObject(Object.fromEntries(members))),
  ),
})).value;

/** The value with ordinary objects, so that it compares with what JSON.parse gives. */
export function plain(value: JsonValue): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]));
}
