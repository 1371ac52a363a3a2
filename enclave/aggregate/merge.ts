// SPDX-License-Identifier: Apache-2.0
/** One answer out of several servers' answers. Servers come in the order of the configuration, which is kept. */
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { emptyObject, isJsonObject, jsonObject, withMember } from '../../shared/json/value.ts';
import type { Era, Revision } from '../../shared/mcp/revisions.ts';
import { MODERN_REVISION } from '../../shared/mcp/revisions.ts';
import { VERSION } from '../../shared/version.ts';

/** At 2026-07-28 a result says in its metadata who made it. */
const META_SERVER_INFO = 'io.modelcontextprotocol/serverInfo';
/** What one server answered to its handshake. */
export interface Offer {
  /** Null where the answer names none: then it cannot be told. */
  readonly capabilities: JsonObject | null;
  readonly instructions: string | null;
  readonly ttlMs: number;
}

/** Reads the result of `initialize` or `server/discover`. */
export function offerOf(result: JsonObject): Offer {
  const { capabilities, instructions } = result;
  return {
    capabilities: isJsonObject(capabilities) ? capabilities : null,
    instructions: typeof instructions === 'string' && instructions !== '' ? instructions : null,
    ttlMs: ttlOf(result),
  };
}

/** True if a server said that it has a capability, or said nothing at all of its capabilities. */
export function offers(offer: Offer | null, capability: string): boolean {
  return offer !== null && (offer.capabilities === null || capability in offer.capabilities);
}

function ttlOf(result: JsonObject): number {
  const ttl = result['ttlMs'];
  return typeof ttl === 'number' && ttl > 0 ? ttl : 0;
}

function unite(left: JsonValue | undefined, right: JsonValue): JsonValue {
  if (left === undefined || left === false) return right;
  if (!isJsonObject(left) || !isJsonObject(right)) return left;
  let united = left;
  for (const [key, value] of Object.entries(right)) united = withMember(united, key, unite(united[key], value));
  return united;
}

/** Capabilities that at least one server has. Where two say different things that cannot be united, the first counts. */
export function uniteCapabilities(all: readonly JsonObject[]): JsonObject {
  let united: JsonObject = emptyObject();
  for (const capabilities of all) {
    const both = unite(united, capabilities);
    if (isJsonObject(both)) united = both;
  }
  return united;
}

/** The servers' instructions, each under its server's name; undefined where none has any. */
export function joinInstructions(all: readonly (readonly [string, Offer])[]): string | undefined {
  const blocks = all.flatMap(([server, { instructions }]) => (instructions === null ? [] : [`## ${server}\n${instructions}`]));
  return blocks.length === 0 ? undefined : blocks.join('\n\n');
}

function gatewayInfo(): JsonObject {
  return jsonObject({ name: 'mcp-bastion', version: VERSION });
}

type Offers = readonly (readonly [string, Offer])[];

/** The result of `initialize` for all servers together. */
export function unitedInitialize(revision: Revision, all: Offers): JsonObject {
  return jsonObject({
    protocolVersion: revision,
    capabilities: uniteCapabilities(all.map(([, offer]) => offer.capabilities ?? emptyObject())),
    serverInfo: gatewayInfo(),
    instructions: joinInstructions(all),
  });
}

/** The result of `server/discover` for all servers together: the gateway knows one revision of that era. */
export function unitedDiscover(all: Offers): JsonObject {
  return jsonObject({
    supportedVersions: [MODERN_REVISION],
    capabilities: uniteCapabilities(all.map(([, offer]) => offer.capabilities ?? emptyObject())),
    instructions: joinInstructions(all),
    ...resultMembers(all.map(([, offer]) => offer.ttlMs)),
  });
}

/** What every result of 2026-07-28 that may be kept says besides its content. */
function resultMembers(ttls: readonly number[]): Record<string, JsonValue> {
  return {
    resultType: 'complete',
    ttlMs: ttls.length === 0 ? 0 : Math.min(...ttls),
    // What one principal may see says nothing of another's.
    cacheScope: 'private',
    _meta: jsonObject({ [META_SERVER_INFO]: gatewayInfo() }),
  };
}

/** One page of a listing as some server answered it, with the entries that clients are shown. */
export interface Page {
  readonly result: JsonObject;
  readonly shown: readonly JsonValue[];
}

/**
 * One page of all servers.
 * @param whole false where a server is missing: what is incomplete must not be kept
 */
export function mergePages(era: Era, key: string, pages: readonly Page[], next: { readonly cursor: string | undefined; readonly whole: boolean }): JsonObject {
  const ttls = next.whole ? pages.map((page) => ttlOf(page.result)) : [];
  return jsonObject({
    [key]: pages.flatMap((page) => page.shown),
    nextCursor: next.cursor,
    ...(era === 'modern' ? resultMembers(ttls) : {}),
  });
}

/** The filter of a subscription that several servers acknowledged: each part that at least one of them did. */
export function uniteFilters(filters: readonly JsonObject[]): JsonObject {
  const united = emptyObject();
  for (const filter of filters) {
    for (const [key, value] of Object.entries(filter)) {
      const known = united[key];
      if (Array.isArray(known) && Array.isArray(value)) united[key] = [...new Set([...known, ...value])];
      else if (known === undefined || known === false) united[key] = value;
    }
  }
  return united;
}
