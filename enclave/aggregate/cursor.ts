// SPDX-License-Identifier: Apache-2.0
/**
 * One cursor for the listings of several servers: base64url of the canonical JSON of each server's own cursor, by server
 * id. Only servers that have a next page are in it. It comes back from the client and holds nothing that it could not ask
 * each server by itself.
 */
import { canonicalJson } from '../../shared/json/canonical.ts';
import { parseStrictJson } from '../../shared/json/parse.ts';
import { emptyObject, isJsonObject } from '../../shared/json/value.ts';
import { AGGREGATE_CURSOR_LENGTH_MAX } from '../../shared/limits.ts';

/** Undefined where no server has a next page. */
export function encodeCursor(cursors: ReadonlyMap<string, string>): string | undefined {
  if (cursors.size === 0) return undefined;
  const members = emptyObject();
  for (const [server, cursor] of cursors) members[server] = cursor;
  return Buffer.from(canonicalJson(members), 'utf8').toString('base64url');
}

/** Attacker-controlled. Null for anything but a cursor in the one spelling that it was given out in. */
export function decodeCursor(text: string): ReadonlyMap<string, string> | null {
  if (text.length > AGGREGATE_CURSOR_LENGTH_MAX) return null;
  const bytes = Buffer.from(text, 'base64url');
  const parsed = parseStrictJson(bytes);
  if (!parsed.ok || !isJsonObject(parsed.value)) return null;
  const cursors = new Map<string, string>();
  for (const [server, cursor] of Object.entries(parsed.value)) {
    if (typeof cursor !== 'string') return null;
    cursors.set(server, cursor);
  }
  return encodeCursor(cursors) === text ? cursors : null;
}
