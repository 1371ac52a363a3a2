// SPDX-License-Identifier: Apache-2.0
/**
 * `x-mcp-header` in a tool's input schema: arguments that clients copy into `Mcp-Param-*` headers (revision 2026-07-28,
 * Streamable HTTP, "Custom Headers from Tool Parameters"). A server decides here which arguments leave the encrypted
 * body, so an annotation that breaks one rule makes the schema invalid instead of being passed over.
 */
import { decodeHeaderValue, encodeHeaderValue } from '../http/header-value.ts';
import type { JsonObject, JsonValue } from '../json/value.ts';
import { isJsonObject } from '../json/value.ts';
import { PARAM_HEADERS_MAX, PARAM_HEADER_NAME_LENGTH_MAX } from '../limits.ts';

export interface ParamHeader {
  /** As annotated: `Region` for the header `Mcp-Param-Region`. */
  readonly name: string;
  /** Keys from the arguments to the value, at least one. */
  readonly path: readonly string[];
  readonly type: 'string' | 'integer' | 'boolean';
}

export type ParamHeaders =
  | { readonly kind: 'valid'; readonly headers: readonly ParamHeader[] }
  /** The tool must not be listed. The problem is safe to show: it holds nothing of the schema. */
  | { readonly kind: 'invalid'; readonly problem: string };

const ANNOTATION = 'x-mcp-header';
const HEADER_PREFIX = 'mcp-param-';
/** RFC 9110 5.6.2 */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Reads the annotations of an attacker-controlled schema that the strict JSON parser made; linear in its size. */
export function readParamHeaders(inputSchema: JsonValue | undefined): ParamHeaders {
  const found: Found = { headers: [], names: new Set() };
  const problem = inputSchema === undefined ? undefined : visitSchema(inputSchema, ROOT, found);
  return problem === undefined ? { kind: 'valid', headers: found.headers } : { kind: 'invalid', problem };
}

/**
 * The headers that go with some arguments, by lower-case name. None for a value that is absent, null, a container, or a
 * number without exact digits. What is not of the declared type is copied all the same: to refuse it is the server's.
 */
export function paramHeaderValues(headers: readonly ParamHeader[], args: JsonObject | undefined): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const { name, path } of headers) {
    const text = textOf(valueAt(args, path));
    if (text !== null) values.set(`${HEADER_PREFIX}${name.toLowerCase()}`, encodeHeaderValue(text));
  }
  return values;
}

/** An integer as some clients write it. More digits than these would be equal only after rounding. */
const INTEGER = /^-?(?:0|[1-9][0-9]{0,15})(?:\.0+)?$/;

/** True if an attacker-controlled header says what the body says. Never for a value that no header goes with. */
export function sameParamValue(type: ParamHeader['type'], headerValue: string, bodyValue: JsonValue): boolean {
  const text = decodeHeaderValue(headerValue);
  if (text === null) return false;
  if (type === 'integer' && Number.isSafeInteger(bodyValue)) return INTEGER.test(text) && Number(text) === bodyValue;
  return text === textOf(bodyValue);
}

function textOf(value: JsonValue | undefined): string | null {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  if (typeof value !== 'number' || (Number.isInteger(value) && !Number.isSafeInteger(value))) return null;
  return String(value);
}

function valueAt(args: JsonObject | undefined, path: readonly string[]): JsonValue | undefined {
  let value: JsonValue | undefined = args;
  for (const key of path) value = isJsonObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
  return value;
}

interface Found {
  readonly headers: ParamHeader[];
  /** In lower case. */
  readonly names: Set<string>;
}

/** How a schema is reached by `properties` alone. A list, because a copied path per property would cost depth times width. */
interface Step {
  readonly before: Step | null;
  readonly key: string;
}

const ROOT: Step = { before: null, key: '' };

/** Keywords whose members are named by the author, so that a name may be spelled like the annotation. */
const MAPS: ReadonlySet<string> = new Set([
  'properties',
  'patternProperties',
  'dependentSchemas',
  'dependentRequired',
  'dependencies',
  '$defs',
  'definitions',
]);

const MISPLACED = `${ANNOTATION} stands where no chain of properties leads to it`;

/**
 * Gives the first problem. `step` is null off the chain of properties. Every value is looked into, those of `default`
 * and of unknown keywords too: a `$ref` can make a schema of any of them.
 */
function visitSchema(schema: JsonValue, step: Step | null, found: Found): string | undefined {
  if (typeof schema !== 'object' || schema === null) return undefined;
  for (const [key, member] of Object.entries(schema)) {
    const problem = isJsonObject(schema) ? visitKeyword(schema, key, member, step, found) : visitSchema(member, null, found);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function visitKeyword(schema: JsonObject, key: string, member: JsonValue, step: Step | null, found: Found): string | undefined {
  if (key === ANNOTATION) return annotate(schema, member, step, found);
  if (MAPS.has(key) && isJsonObject(member)) return visitMap(member, key === 'properties' ? step : null, found);
  return visitSchema(member, null, found);
}

function visitMap(map: JsonObject, step: Step | null, found: Found): string | undefined {
  for (const [key, schema] of Object.entries(map)) {
    // No schema is a string: to a reader that follows a `$ref` to the map itself this one is an annotation.
    if (key === ANNOTATION && typeof schema === 'string') return MISPLACED;
    const problem = visitSchema(schema, step === null ? null : { before: step, key }, found);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function annotate(schema: JsonObject, name: JsonValue, step: Step | null, found: Found): string | undefined {
  if (step === null || step.before === null) return MISPLACED;
  if (typeof name !== 'string' || !TOKEN.test(name)) return `${ANNOTATION} is not a header name`;
  if (name.length > PARAM_HEADER_NAME_LENGTH_MAX) return `${ANNOTATION} is longer than ${PARAM_HEADER_NAME_LENGTH_MAX} characters`;
  const type = schema['type'];
  if (type !== 'string' && type !== 'integer' && type !== 'boolean') return `${ANNOTATION} is on something else than a string, an integer or a boolean`;
  if (found.names.has(name.toLowerCase())) return `${ANNOTATION} gives one header name twice`;
  if (found.headers.length === PARAM_HEADERS_MAX) return `${ANNOTATION} is used more than ${PARAM_HEADERS_MAX} times`;
  found.names.add(name.toLowerCase());
  found.headers.push({ name, path: pathTo(step), type });
  return undefined;
}

function pathTo(step: Step): string[] {
  const path: string[] = [];
  for (let at = step; at.before !== null; at = at.before) path.push(at.key);
  return path.reverse();
}
