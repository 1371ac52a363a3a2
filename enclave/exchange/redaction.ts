// SPDX-License-Identifier: Apache-2.0
/**
 * Redaction of whole messages (design, section 3): what the policy redacts is taken out of everything in a message that is
 * content, and nothing that routes it changes. What is redacted of one message is handed over in one piece, so that the
 * budget is the message's and a secret in several of its strings is seen.
 */
import { isUtf8 } from 'node:buffer';
import type { Direction } from '../../shared/audit/row.ts';
import { canonicalJson } from '../../shared/json/canonical.ts';
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { emptyObject, isJsonObject, withMember } from '../../shared/json/value.ts';
import { UNCHECKED } from '../policy/redact.ts';
import type { Redaction } from '../policy/types.ts';
import type { Shape } from './redaction-shapes.ts';
import { errorShape, paramsShape, resultShape } from './redaction-shapes.ts';

/** What the policy makes of a value; `Policy.redact` for one server. */
export type Redact = (direction: Direction, value: JsonValue) => Promise<Redaction>;

export interface RedactedMessage {
  /** The whole JSON-RPC message; the same object where nothing changed. */
  readonly value: JsonObject;
  /** Strings, keys and numbers that changed. */
  readonly count: number;
  /** Of these, those that could not be checked in time. */
  readonly masked: number;
}

/** A request or notification, in either direction. */
export function redactRequest(redact: Redact, dir: Direction, method: string, value: JsonObject): Promise<RedactedMessage> {
  return redactMember(redact, dir, value, 'params', paramsShape(dir, method));
}

/** The result of a request with this method; `dir` is the way that the result takes. */
export async function redactResult(redact: Redact, dir: Direction, method: string, value: JsonObject): Promise<RedactedMessage> {
  const made = await redactMember(redact, dir, value, 'result', resultShape(dir, method));
  const [before, after] = [value['result'], made.value['result']];
  if (before === after || before === undefined || after === undefined) return made;
  const twins = await withTwins(redact, dir, before, after);
  return twins === after ? made : { ...made, value: withMember(made.value, 'result', twins) };
}

/** An error that answers a request. */
export function redactError(redact: Redact, dir: Direction, value: JsonObject): Promise<RedactedMessage> {
  return redactMember(redact, dir, value, 'error', errorShape());
}

async function redactMember(redact: Redact, dir: Direction, value: JsonObject, key: string, shape: Shape): Promise<RedactedMessage> {
  const member = value[key];
  if (member === undefined) return { value, count: 0, masked: 0 };
  const made = await redact(dir, take(member, shape));
  if (made.count === 0) return { value, count: 0, masked: 0 };
  const restored = { count: 0, masked: 0 };
  const redacted = put(member, made.value, shape, restored);
  if (redacted === member) return { value, count: 0, masked: 0 };
  return { value: withMember(value, key, redacted), count: made.count - restored.count, masked: made.masked - restored.masked };
}

/** Names of the protocol's that redaction changed and that were put back. */
interface Restored {
  count: number;
  masked: number;
}

const WORD = /^[A-Za-z][A-Za-z_/-]{0,63}$/;

/** A shape as it is for this value; a word is kept or redacted. */
function shapeFor(shape: Shape, value: JsonValue): Exclude<Shape, 'word' | 'schema' | ((value: JsonValue) => Shape)> {
  if (typeof shape === 'function') return shapeFor(shape(value), value);
  if (shape === 'word') return typeof value === 'string' ? (WORD.test(value) ? 'keep' : 'redact') : isScalar(value) ? 'keep' : 'redact';
  if (shape !== 'schema') return shape;
  if (Array.isArray(value)) return { kind: 'list', each: 'schema' };
  if (isJsonObject(value)) return { kind: 'object', members: SCHEMA_MEMBERS, rest: 'schema' };
  return typeof value === 'string' ? 'redact' : 'keep';
}

/** A type is a word or a list of words; a property of that name has a schema. */
const SCHEMA_MEMBERS: ReadonlyMap<string, Shape> = new Map(
  ['type', 'format'].map((name) => [name, (value: JsonValue): Shape => (typeof value === 'string' ? 'word' : 'schema')]),
);

function isScalar(value: JsonValue): boolean {
  return value === null || typeof value !== 'object';
}

/** The value with null in place of what is kept. */
function take(value: JsonValue, wanted: Shape): JsonValue {
  const shape = shapeFor(wanted, value);
  if (shape === 'keep') return null;
  if (shape === 'blob') return typeof value === 'string' ? (textOf(value) ?? value) : value;
  if (shape === 'redact') return value;
  if (shape.kind === 'list') return Array.isArray(value) ? value.map((one) => take(one, shape.each)) : value;
  if (!isJsonObject(value)) return value;
  const made = emptyObject();
  for (const [key, member] of Object.entries(value)) made[key] = take(member, shape.members.get(key) ?? shape.rest);
  return made;
}

/** The value with what was taken from it, as it came back; the same value where nothing changed. */
function put(value: JsonValue, redacted: JsonValue, wanted: Shape, restored: Restored): JsonValue {
  const shape = shapeFor(wanted, value);
  if (shape === 'keep') return value;
  if (shape === 'blob' && typeof value === 'string') return putBlob(value, redacted);
  if (typeof shape === 'string') return redacted;
  if (shape.kind === 'list') {
    if (!Array.isArray(value) || !Array.isArray(redacted)) return redacted;
    const made = value.map((one, at) => put(one, redacted[at] ?? null, shape.each, restored));
    return made.every((one, at) => one === value[at]) ? value : made;
  }
  if (!isJsonObject(value) || !isJsonObject(redacted)) return redacted;
  // Redaction keeps the number and the order of members, so they are matched by their place.
  const names = Object.keys(redacted);
  const made = emptyObject();
  let changed = false;
  for (const [at, [key, member]] of Object.entries(value).entries()) {
    const given = names[at] ?? key;
    const stays = shape.names === 'keep' || shape.members.has(key);
    if (stays && given !== key) {
      restored.count += 1;
      if (given.startsWith(UNCHECKED)) restored.masked += 1;
    }
    const name = stays ? key : free(given, key, value, made);
    const one = put(member, redacted[given] ?? null, shape.members.get(key) ?? shape.rest, restored);
    changed ||= name !== key || one !== member;
    made[name] = one;
  }
  return changed ? made : value;
}

/** A name that was given to a member must not take that of a member which kept its own. */
function free(given: string, key: string, value: JsonObject, made: JsonObject): string {
  let name = given;
  for (let counter = 2; name !== key && (name in value || name in made); counter += 1) name = `${given}#${counter}`;
  return name;
}

function textOf(blob: string): string | null {
  const bytes = Buffer.from(blob, 'base64');
  return bytes.length > 0 && isUtf8(bytes) ? bytes.toString('utf8') : null;
}

function putBlob(blob: string, redacted: JsonValue): JsonValue {
  const text = textOf(blob);
  if (text === null || typeof redacted !== 'string') return redacted === blob ? blob : redacted;
  return text === redacted ? blob : Buffer.from(redacted, 'utf8').toString('base64');
}

/**
 * Text blocks that say in JSON what `structuredContent` says are written anew from what became of it, so that both agree;
 * unless the text then holds what the policy redacts in texts. A task's result is one level deeper.
 */
async function withTwins(redact: Redact, dir: Direction, before: JsonValue, after: JsonValue): Promise<JsonValue> {
  if (!isJsonObject(before) || !isJsonObject(after)) return after;
  const [inner, innerAfter] = [before['result'], after['result']];
  if (isJsonObject(inner) && innerAfter !== undefined) {
    const made = await withTwins(redact, dir, inner, innerAfter);
    return made === innerAfter ? after : withMember(after, 'result', made);
  }
  const [structured, content] = [before['structuredContent'], before['content']];
  const [structuredAfter, contentAfter] = [after['structuredContent'], after['content']];
  if (structured === undefined || structuredAfter === undefined || structured === structuredAfter || !Array.isArray(content) || !Array.isArray(contentAfter)) return after;
  const same = canonicalJson(structured);
  const made: JsonValue[] = [];
  for (const [at, block] of content.entries()) {
    const text = isJsonObject(block) && block['type'] === 'text' ? block['text'] : undefined;
    const blockAfter = contentAfter[at] ?? null;
    if (typeof text !== 'string' || !isJsonObject(blockAfter) || !saysTheSame(text, same)) {
      made.push(blockAfter);
      continue;
    }
    const twin = await redact(dir, JSON.stringify(structuredAfter, null, text.includes('\n') ? 2 : 0));
    made.push(withMember(blockAfter, 'text', twin.value));
  }
  return withMember(after, 'content', made);
}

function saysTheSame(text: string, canonical: string): boolean {
  if (!/^\s*[[{"]/.test(text)) return false;
  try {
    const parsed: JsonValue = JSON.parse(text);
    return canonicalJson(parsed) === canonical;
  } catch {
    return false;
  }
}
