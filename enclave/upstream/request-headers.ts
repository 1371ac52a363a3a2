// SPDX-License-Identifier: Apache-2.0
/** The headers of a POST to a server: made from the judged message, never from what the client sent. */
import { encodeHeaderValue } from '../../shared/http/header-value.ts';
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { isJsonObject } from '../../shared/json/value.ts';
import { requestedRevision } from '../../shared/mcp/meta.ts';
import { MODERN_REVISION } from '../../shared/mcp/revisions.ts';
import type { About } from '../exchange/parts.ts';

/** Methods of 2026-07-28 whose `Mcp-Name` is a member of their params. */
const named: ReadonlyMap<string, string> = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['resources/read', 'uri'],
  ['tasks/get', 'taskId'],
  ['tasks/update', 'taskId'],
  ['tasks/cancel', 'taskId'],
]);

/** The member of params that `Mcp-Name` repeats; null for methods that have none, undefined where it is missing. */
export function namedBy(method: string, params: JsonObject | undefined): string | null | undefined {
  const member = named.get(method);
  if (member === undefined) return null;
  const value: JsonValue | undefined = params?.[member];
  return typeof value === 'string' ? value : undefined;
}

function modernHeaders(about: About): Record<string, string> {
  const params = about.value['params'];
  const object = isJsonObject(params) ? params : undefined;
  const method = about.method ?? '';
  const headers: Record<string, string> = {
    'mcp-protocol-version': requestedRevision(object) ?? MODERN_REVISION,
    'mcp-method': encodeHeaderValue(method),
  };
  const name = namedBy(method, object);
  if (typeof name === 'string') headers['mcp-name'] = encodeHeaderValue(name);
  for (const [header, value] of about.headers ?? []) headers[header] = value;
  return headers;
}

/** @param session id and revision that the server gave in the handshake of the older revisions */
export function postHeaders(about: About, session: { readonly id: string | null; readonly revision: string | null }): Record<string, string> {
  const headers: Record<string, string> = { accept: 'application/json, text/event-stream', 'content-type': 'application/json' };
  if (about.era === 'modern') return { ...headers, ...modernHeaders(about) };
  if (session.id !== null) headers['mcp-session-id'] = session.id;
  if (session.revision !== null) headers['mcp-protocol-version'] = session.revision;
  return headers;
}
