// SPDX-License-Identifier: Apache-2.0
/**
 * `Mcp-Param-*` headers of a call at 2026-07-28: the values of arguments that a tool's schema wants mirrored. What the
 * client sent has to agree with the body; what goes on is made anew from the judged arguments, so that a value that was
 * redacted in the body is not in a header either.
 */
import { decodeHeaderValue, encodeHeaderValue } from '../../shared/http/header-value.ts';
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { isJsonObject, jsonObject } from '../../shared/json/value.ts';
import type { ParamHeader } from '../../shared/mcp/param-headers.ts';
import { paramHeaderValues, readParamHeaders, sameParamValue } from '../../shared/mcp/param-headers.ts';
import type { Asking } from './parts.ts';
import type { Refuse } from './verdict.ts';
import { refuse } from './verdict.ts';

type Headers = ReadonlyMap<string, string>;

function mismatch(problem: string): Refuse {
  return refuse('HEADER_MISMATCH', problem, 'mirror the argument into the header exactly, or leave both out');
}

function valueAt(args: JsonObject | undefined, path: readonly string[]): JsonValue | undefined {
  let value: JsonValue | undefined = args;
  for (const key of path) value = isJsonObject(value) ? value[key] : undefined;
  return value;
}

function annotated(tool: JsonObject | null): readonly ParamHeader[] {
  const read = tool === null ? null : readParamHeaders(tool['inputSchema']);
  return read?.kind === 'valid' ? read.headers : [];
}

/** Refuses a call whose headers do not say what its body says. */
export function judgeParamHeaders(tool: JsonObject | null, args: JsonObject | undefined, received: Headers): Refuse | null {
  for (const header of annotated(tool)) {
    const sent = received.get(`mcp-param-${header.name.toLowerCase()}`);
    const value = valueAt(args, header.path) ?? null;
    if (value === null && sent === undefined) continue;
    if (value === null) return mismatch('an Mcp-Param header has no argument in the body');
    if (sent === undefined) return mismatch('an Mcp-Param header that the tool asks for is missing');
    if (!sameParamValue(header.type, sent, value)) return mismatch('an Mcp-Param header differs from its argument');
  }
  return null;
}

/** The headers that go with a call: from its judged arguments, and those that no schema explains, redacted like arguments. */
export async function paramHeadersFor({ policy, server }: Asking, tool: JsonObject | null, args: JsonObject | undefined, received: Headers): Promise<Headers | Refuse> {
  const headers = annotated(tool);
  const made = new Map(paramHeaderValues(headers, args));
  const explained = new Set(headers.map((header) => `mcp-param-${header.name.toLowerCase()}`));
  for (const [name, value] of received) {
    if (explained.has(name)) continue;
    const text = decodeHeaderValue(value);
    if (text === null) return mismatch('an Mcp-Param header is not encoded as the protocol says');
    const redacted = await policy.redact('c2s', server, jsonObject({ value: text }));
    const kept = isJsonObject(redacted.value) ? redacted.value['value'] : undefined;
    if (typeof kept === 'string') made.set(name, encodeHeaderValue(kept));
  }
  return made;
}
