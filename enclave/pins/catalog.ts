// SPDX-License-Identifier: Apache-2.0
/**
 * The gateway's own listing of a server's tools. It asks by itself, drains all pages, judges them against the pins, and
 * serves clients from that snapshot: a second, unjudged listing never reaches a client.
 */
import type { ErrorCode } from '../../shared/errors.ts';
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { emptyObject, withoutMembers } from '../../shared/json/value.ts';
import {
  LISTING_BYTES_MAX,
  LISTING_MS_MAX,
  LISTING_PAGES_MAX,
  LISTING_SNAPSHOTS_MAX,
  LISTING_TOOLS_MAX,
  LISTING_TTL_MS_MAX,
} from '../../shared/limits.ts';
import type { GatewayAnswer } from '../exchange/conversation.ts';
import type { JudgedTool } from './judge.ts';

interface Page {
  /** The upstream's result without `tools` and `nextCursor`. */
  readonly rest: JsonObject;
  readonly tools: readonly JudgedTool[];
}

/** A judged listing. */
export interface Snapshot {
  readonly kind: 'listed';
  readonly id: string;
  readonly pages: readonly Page[];
  readonly tools: ReadonlyMap<string, JudgedTool>;
  /** Milliseconds since 1970 until which clients may be served without a new listing (2026-07-28 `ttlMs`). */
  readonly freshUntil: number;
  /** Milliseconds since 1970. */
  readonly listedAt: number;
}

/** A listing that did not come about. */
export type ListingFailure =
  | { readonly kind: 'upstream-error'; readonly error: JsonObject }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string };

export type Listing = Snapshot | ListingFailure;

export interface CatalogParts {
  /** Sends one `tools/list` of the gateway's own and waits for its answer, at most that many milliseconds. */
  readonly fetchPage: (cursor: string | null, msMax: number) => Promise<GatewayAnswer>;
  /** Judges the tools, records the changes and keeps new pins. */
  readonly judge: (pages: readonly (readonly JsonValue[])[]) => Promise<readonly (readonly JudgedTool[])[] | ListingFailure>;
  /** True where a call would not be denied by policy: a listing never shows what a call would be denied. */
  readonly visible: (name: string) => boolean;
  readonly now: () => number;
  readonly randomHex: (bytes: number) => string;
  /** Milliseconds after which calls are judged by a new listing, if the server's `ttlMs` is not longer; null for never. */
  readonly oldAfterMs?: number | null;
}

function failed(code: ErrorCode, message: string): ListingFailure {
  return { kind: 'failed', code, message };
}

function ttlOf(result: JsonObject): number {
  const ttl = result['ttlMs'];
  return typeof ttl === 'number' && ttl > 0 ? Math.min(ttl, LISTING_TTL_MS_MAX) : 0;
}

export class Catalog {
  readonly #parts: CatalogParts;
  #snapshot: Snapshot | null = null;
  #running: Promise<Listing> | null = null;
  /** True if something changed while a listing was under way. */
  #stale = false;
  #used = false;
  readonly #served = new Map<string, Snapshot>();

  constructor(parts: CatalogParts) {
    this.#parts = parts;
  }

  /** True once a listing was made or is being made. */
  get used(): boolean {
    return this.#used;
  }

  /** Forgets the snapshot: the next call waits for a new listing. */
  invalidate(): void {
    this.#snapshot = null;
    this.#stale = true;
  }

  /** The snapshot that calls are judged by; lists first if there is none, or if it is too old. */
  current(): Promise<Listing> {
    const last = this.#snapshot;
    return last === null || this.#isOld(last) ? this.refresh() : Promise.resolve(last);
  }

  /** Where nobody tells the gateway of changes, what was listed is true for a while only. */
  #isOld(listing: Snapshot): boolean {
    const { oldAfterMs = null } = this.#parts;
    return oldAfterMs !== null && this.#parts.now() >= Math.max(listing.freshUntil, listing.listedAt + oldAfterMs);
  }

  /** The listing for a client's first page: a new one, unless the server said that the last is still fresh. */
  forClient(): Promise<Listing> {
    const last = this.#snapshot;
    return last !== null && this.#parts.now() < last.freshUntil ? Promise.resolve(last) : this.refresh();
  }

  /** Lists anew; callers that come meanwhile share the answer. */
  refresh(): Promise<Listing> {
    this.#used = true;
    this.#running ??= this.#listUntilStable().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  /** The page that a cursor of the gateway's names, or undefined if it made no such cursor. */
  page(cursor: string | null, listing: Snapshot | null): JsonObject | undefined {
    if (cursor === null) return listing === null ? undefined : this.#render(listing, 0);
    const [id = '', number = ''] = cursor.split('.', 2);
    const snapshot = this.#served.get(id);
    const index = /^[0-9]{1,3}$/.test(number) ? Number(number) : -1;
    return snapshot === undefined || snapshot.pages[index] === undefined ? undefined : this.#render(snapshot, index);
  }

  #render(snapshot: Snapshot, index: number): JsonObject {
    const result = emptyObject();
    const page = snapshot.pages[index];
    if (page === undefined) throw new RangeError('no such page');
    const shown = page.tools.filter((tool) => tool.decision !== 'deny' && this.#parts.visible(tool.name));
    Object.assign(result, page.rest);
    result['tools'] = shown.map((tool) => tool.tool);
    if (typeof result['ttlMs'] === 'number') {
      result['ttlMs'] = Math.max(0, Math.min(ttlOf(page.rest), snapshot.freshUntil - this.#parts.now()));
    }
    // What one client may see says nothing of another's: a shared cache must not keep a filtered list.
    if (shown.length !== page.tools.length && 'cacheScope' in result) result['cacheScope'] = 'private';
    if (index + 1 < snapshot.pages.length) {
      result['nextCursor'] = `${snapshot.id}.${index + 1}`;
      this.#served.set(snapshot.id, snapshot);
      const oldest = this.#served.keys().next();
      if (this.#served.size > LISTING_SNAPSHOTS_MAX && oldest.done !== true) this.#served.delete(oldest.value);
    }
    return result;
  }

  async #listUntilStable(): Promise<Listing> {
    const deadline = this.#parts.now() + LISTING_MS_MAX;
    for (;;) {
      this.#stale = false;
      const listing = await this.#list(deadline);
      if (listing.kind !== 'listed') return listing;
      if (!this.#changedMeanwhile()) {
        this.#snapshot = listing;
        return listing;
      }
      if (this.#parts.now() >= deadline) return failed('LISTING_FAILED', 'the server keeps changing its tools');
    }
  }

  #changedMeanwhile(): boolean {
    return this.#stale;
  }

  async #list(deadline: number): Promise<Listing> {
    const results: JsonObject[] = [];
    const toolPages: JsonValue[][] = [];
    const cursors = new Set<string>();
    let cursor: string | null = null;
    let tools = 0;
    let bytes = 0;
    do {
      const answer = await this.#parts.fetchPage(cursor, Math.max(0, deadline - this.#parts.now()));
      if (answer.kind === 'error') return { kind: 'upstream-error', error: answer.error };
      if (answer.kind === 'refused') return failed('LISTING_FAILED', `the server's tool listing was refused (${answer.code})`);
      const page = answer.result['tools'];
      if (!Array.isArray(page)) return failed('LISTING_FAILED', "the server's tool listing has no tools");
      tools += page.length;
      if (tools > LISTING_TOOLS_MAX) return failed('LISTING_FAILED', `the server lists more than ${LISTING_TOOLS_MAX} tools`);
      bytes += answer.bytes ?? 0;
      if (bytes > LISTING_BYTES_MAX) return failed('LISTING_FAILED', `the server's tool listing is longer than ${LISTING_BYTES_MAX} bytes`);
      results.push(withoutMembers(answer.result, 'tools', 'nextCursor'));
      toolPages.push(page);
      const next: JsonValue | undefined = answer.result['nextCursor'];
      cursor = typeof next === 'string' ? next : null;
      if (cursor !== null && cursors.has(cursor)) return failed('LISTING_FAILED', 'the server repeats a cursor');
      if (cursor !== null) cursors.add(cursor);
      if (cursors.size >= LISTING_PAGES_MAX) return failed('LISTING_FAILED', `the server lists more than ${LISTING_PAGES_MAX} pages`);
    } while (cursor !== null);
    return this.#judge(results, toolPages);
  }

  async #judge(results: readonly JsonObject[], toolPages: readonly JsonValue[][]): Promise<Listing> {
    const judged = await this.#parts.judge(toolPages);
    if (!('length' in judged)) return judged;
    const pages = results.map((rest, index) => ({ rest, tools: judged[index] ?? [] }));
    const byName = new Map<string, JudgedTool>();
    for (const page of judged) for (const tool of page) byName.set(tool.name, tool);
    const ttl = results.length === 0 ? 0 : Math.min(...results.map(ttlOf));
    return {
      kind: 'listed',
      id: this.#parts.randomHex(8),
      pages,
      tools: byName,
      freshUntil: ttl === 0 ? 0 : this.#parts.now() + ttl,
      listedAt: this.#parts.now(),
    };
  }
}
