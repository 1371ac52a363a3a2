// SPDX-License-Identifier: Apache-2.0
/**
 * Compares what a server says of itself with its pins. The whole object is pinned: a change of any member, known or not,
 * is drift. Pure: pins come in, judgements go out.
 */
import type { RowDecision } from '../../shared/audit/row.ts';
import { sha256Hex } from '../../shared/digest.ts';
import type { DeniedCode } from '../../shared/errors.ts';
import { canonicalJson } from '../../shared/json/canonical.ts';
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { isJsonObject } from '../../shared/json/value.ts';
import { ROUTE_LENGTH_MAX, TOOL_NAME_LENGTH_MAX } from '../../shared/limits.ts';
import { readParamHeaders } from '../../shared/mcp/param-headers.ts';
import type { PinningSettings } from '../policy/types.ts';
import type { ListedKind, PinKind } from './item.ts';
import { itemLabel } from './item.ts';

export interface Pin {
  /** SHA-256 of the object's canonical JSON, hex. */
  readonly sha256: string;
  /** ISO time. */
  readonly firstSeen: string;
  /** ISO time at which a person accepted it; null for what was pinned when it was first seen. */
  readonly accepted: string | null;
}

/** What a lockfile says of one item. */
export interface PinEntry {
  /** Null where only refusals stand in it. */
  readonly pin: Pin | null;
  /** Digests that a person refused, oldest first. */
  readonly rejected: readonly string[];
}

/** The pins of one server. Maps all the way: an item may be called `__proto__`, and its pin must count like any other. */
export type ServerPins = ReadonlyMap<PinKind, ReadonlyMap<string, PinEntry>>;

const NO_ENTRY: PinEntry = { pin: null, rejected: [] };

export function entryOf(pins: ServerPins, kind: PinKind, name: string): PinEntry {
  return pins.get(kind)?.get(name) ?? NO_ENTRY;
}

/** A part of what a server says of itself. */
export interface Item {
  readonly kind: PinKind;
  /** As the server calls it (attacker-controlled). */
  readonly name: string;
  readonly value: JsonObject;
}

export interface JudgedItem extends Item {
  readonly label: string;
  readonly digest: string;
  readonly change: 'same' | 'new' | 'drift';
  /** Digest of the pin, where there is one. */
  readonly was: string | null;
  /** A person refused this very digest. */
  readonly rejected: boolean;
  /** `deny` and `hold`: clients neither see nor reach it; what is held waits for a person to accept it. */
  readonly decision: RowDecision;
  readonly code: Extract<DeniedCode, 'TOOL_PIN_DRIFT' | 'TOOL_PIN_NEW' | 'TOOL_HEADER_INVALID' | 'ITEM_PIN_DRIFT' | 'ITEM_PIN_NEW'> | null;
}

/** True for what clients neither see nor reach. */
export function isBlocked(item: JudgedItem): boolean {
  return item.decision === 'deny' || item.decision === 'hold';
}

/** SHA-256 of an object's canonical JSON (RFC 8785), hex. */
export function itemDigest(value: JsonObject): string {
  return sha256Hex(canonicalJson(value));
}

/** How items are judged. */
export interface JudgeSettings extends PinningSettings {
  /** Clients mirror arguments into headers as a tool's schema says: one whose schema says it wrongly is left out. */
  readonly mirrorsParams: boolean;
}

const decisions = { allow: 'allow', alert: 'alert', block: 'deny', approve: 'hold' } as const;

/** Judges one item by what the lockfile says of it. */
export function judgeItem(item: Item, { pin, rejected }: PinEntry, settings: JudgeSettings): JudgedItem {
  const { kind, name, value } = item;
  const digest = itemDigest(value);
  const known = { kind, name, value, label: itemLabel(kind, name), digest, was: pin?.sha256 ?? null, rejected: false };
  if (kind === 'tool' && settings.mirrorsParams && readParamHeaders(value['inputSchema']).kind === 'invalid') {
    return { ...known, change: 'same', decision: 'deny', code: 'TOOL_HEADER_INVALID' };
  }
  if (!settings.enabled || pin?.sha256 === digest) return { ...known, change: 'same', decision: 'allow', code: null };
  const change = pin === null ? 'new' : 'drift';
  const isRejected = rejected.includes(digest);
  const decision = isRejected ? 'deny' : decisions[pin === null ? settings.onNew : settings.onDrift];
  const codes = kind === 'tool' ? ({ new: 'TOOL_PIN_NEW', drift: 'TOOL_PIN_DRIFT' } as const) : ({ new: 'ITEM_PIN_NEW', drift: 'ITEM_PIN_DRIFT' } as const);
  return { ...known, change, rejected: isRejected, decision, code: decision === 'allow' ? null : codes[change] };
}

/** What a listing may hold besides items that can be judged. */
export type JudgedListing =
  | { readonly kind: 'judged'; readonly pages: readonly (readonly JudgedItem[])[] }
  | { readonly kind: 'invalid'; readonly problem: string };

function nameOf(listed: ListedKind, item: JsonValue): string | null {
  const name = isJsonObject(item) ? item[listed.nameKey] : undefined;
  const max = listed.kind === 'template' ? ROUTE_LENGTH_MAX : TOOL_NAME_LENGTH_MAX;
  return typeof name === 'string' && name !== '' && name.length <= max ? name : null;
}

/**
 * Judges all pages of one listing. An item without a usable name, or a name that is listed twice, makes the listing
 * invalid: it could not be told which of the two a request would reach.
 *
 * @param pages the items of the upstream's pages (attacker-controlled)
 */
export function judgeListing(listed: ListedKind, pages: readonly (readonly JsonValue[])[], pins: ServerPins, settings: JudgeSettings): JudgedListing {
  const { kind, what } = listed;
  const seen = new Set<string>();
  const judged: JudgedItem[][] = [];
  for (const page of pages) {
    const items: JudgedItem[] = [];
    for (const value of page) {
      const name = nameOf(listed, value);
      if (!isJsonObject(value) || name === null) return { kind: 'invalid', problem: `the server lists a ${what} without a usable name` };
      if (seen.has(name)) return { kind: 'invalid', problem: `the server lists ${itemLabel(kind, name)} twice` };
      seen.add(name);
      items.push(judgeItem({ kind, name, value }, entryOf(pins, kind, name), settings));
    }
    judged.push(items);
  }
  return { kind: 'judged', pages: judged };
}

/** One digest for a whole listing: SHA-256 over the items' digests in the order of the server. */
export function listingDigest(pages: readonly (readonly JudgedItem[])[]): string {
  return sha256Hex(pages.flatMap((page) => page.map((item) => item.digest)).join('\n'));
}
