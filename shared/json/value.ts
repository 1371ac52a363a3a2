// SPDX-License-Identifier: Apache-2.0
/** The values that a strict JSON text can hold. Objects made by the parser have no prototype. */
export type JsonValue = null | boolean | number | string | JsonArray | JsonObject;
export type JsonArray = JsonValue[];
export interface JsonObject {
  [key: string]: JsonValue;
}

/** True for a JSON object, false for arrays, null and scalars. */
export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An object without prototype, so that no key of a peer's can reach an inherited member. */
export function emptyObject(): JsonObject {
  const made: JsonObject = Object.create(null);
  return made;
}

/** A copy of a literal's own members without prototype: for objects that are built here and then sent or hashed. */
export function jsonObject(members: Readonly<Record<string, JsonValue | undefined>>): JsonObject {
  const made = emptyObject();
  for (const [key, value] of Object.entries(members)) {
    if (value !== undefined) made[key] = value;
  }
  return made;
}

/** A copy in the same order with one member set; a new member comes last. */
export function withMember(value: JsonObject, key: string, member: JsonValue): JsonObject {
  const copy = withoutMembers(value);
  copy[key] = member;
  return copy;
}

/** A copy in the same order without some members. */
export function withoutMembers(value: JsonObject, ...keys: readonly string[]): JsonObject {
  const copy = emptyObject();
  for (const [key, member] of Object.entries(value)) {
    if (!keys.includes(key)) copy[key] = member;
  }
  return copy;
}
