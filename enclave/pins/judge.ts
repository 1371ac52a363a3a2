// SPDX-License-Identifier: Apache-2.0
/**
 * Compares a server's listed tools with their pins. The whole tool object is pinned: a change of any member, known or
 * not, is drift. Pure: pins come in, judgements go out.
 */
import type { RowDecision } from '../../shared/audit/row.ts';
import { sha256Hex } from '../../shared/digest.ts';
import type { DeniedCode } from '../../shared/errors.ts';
import { canonicalJson } from '../../shared/json/canonical.ts';
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { isJsonObject } from '../../shared/json/value.ts';
import { toolLabel } from '../../shared/label.ts';
import { TOOL_NAME_LENGTH_MAX } from '../../shared/limits.ts';
import { readParamHeaders } from '../../shared/mcp/param-headers.ts';
import type { PinningSettings } from '../policy/types.ts';

export interface Pin {
  /** SHA-256 of the tool object's canonical JSON, hex. */
  readonly sha256: string;
  /** ISO time. */
  readonly firstSeen: string;
}

export interface JudgedTool {
  readonly name: string;
  readonly label: string;
  readonly tool: JsonObject;
  readonly digest: string;
  readonly change: 'same' | 'new' | 'drift';
  /** Digest of the pin, where there is one. */
  readonly was: string | null;
  /** `deny`: neither listed to the client nor callable. */
  readonly decision: Extract<RowDecision, 'allow' | 'alert' | 'deny'>;
  readonly code: Extract<DeniedCode, 'TOOL_PIN_DRIFT' | 'TOOL_PIN_NEW' | 'TOOL_HEADER_INVALID'> | null;
}

/** SHA-256 of the tool object's canonical JSON (RFC 8785), hex. */
export function toolDigest(tool: JsonObject): string {
  return sha256Hex(canonicalJson(tool));
}

function judgeOne(name: string, tool: JsonObject, pin: Pin | undefined, settings: ListingSettings): JudgedTool {
  const digest = toolDigest(tool);
  const known = { name, label: toolLabel(name), tool, digest, was: pin?.sha256 ?? null };
  if (settings.mirrorsParams && readParamHeaders(tool['inputSchema']).kind === 'invalid') {
    return { ...known, change: 'same', decision: 'deny', code: 'TOOL_HEADER_INVALID' };
  }
  if (!settings.enabled) return { ...known, change: 'same', decision: 'allow', code: null };
  if (pin === undefined) {
    const decision = settings.onNew === 'block' ? 'deny' : settings.onNew;
    return { ...known, change: 'new', decision, code: decision === 'allow' ? null : 'TOOL_PIN_NEW' };
  }
  if (pin.sha256 === digest) return { ...known, change: 'same', decision: 'allow', code: null };
  const decision = settings.onDrift === 'block' ? 'deny' : 'alert';
  return { ...known, change: 'drift', decision, code: 'TOOL_PIN_DRIFT' };
}

/** How a listing is judged. */
export interface ListingSettings extends PinningSettings {
  /** Clients mirror arguments into headers as a tool's schema says: one whose schema says it wrongly is left out. */
  readonly mirrorsParams: boolean;
}

/** What a listing may hold besides tools that can be judged. */
export type JudgedListing =
  | { readonly kind: 'judged'; readonly pages: readonly (readonly JudgedTool[])[] }
  | { readonly kind: 'invalid'; readonly problem: string };

/**
 * Judges all pages of one listing. A tool without a usable name, or a name that is listed twice, makes the listing
 * invalid: it could not be told which of the two a call would reach.
 *
 * @param pages the `tools` members of the upstream's pages (attacker-controlled)
 */
export function judgeListing(
  pages: readonly (readonly JsonValue[])[],
  pins: ReadonlyMap<string, Pin>,
  settings: ListingSettings,
): JudgedListing {
  const seen = new Set<string>();
  const judged: JudgedTool[][] = [];
  for (const page of pages) {
    const tools: JudgedTool[] = [];
    for (const tool of page) {
      const name = isJsonObject(tool) ? tool['name'] : undefined;
      if (!isJsonObject(tool) || typeof name !== 'string' || name === '' || name.length > TOOL_NAME_LENGTH_MAX) {
        return { kind: 'invalid', problem: 'the server lists a tool without a usable name' };
      }
      if (seen.has(name)) return { kind: 'invalid', problem: `the server lists ${toolLabel(name)} twice` };
      seen.add(name);
      tools.push(judgeOne(name, tool, pins.get(name), settings));
    }
    judged.push(tools);
  }
  return { kind: 'judged', pages: judged };
}

/** One digest for a whole listing: SHA-256 over the tools' digests in the order of the server. */
export function listingDigest(pages: readonly (readonly JudgedTool[])[]): string {
  return sha256Hex(pages.flatMap((page) => page.map((tool) => tool.digest)).join('\n'));
}
