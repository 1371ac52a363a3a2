// SPDX-License-Identifier: Apache-2.0
/**
 * The gateway's own listing of what a server has of one kind: tools, prompts, resource templates. It asks by itself, drains
 * all pages, judges them against the pins, and serves clients from that snapshot: a second, unjudged listing never reaches
 * a client.
 */
import type { ErrorCode } from '../../shared/errors.ts';
import { Unavailable } from '../../shared/errors.ts';
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
import type { ListedKind } from './item.ts';
import type { JudgedItem } from './judge.ts';
import { isBlocked } from './judge.ts';

interface Page {
  /** The upstream's result without its items and `nextCursor`. */
  readonly rest: JsonObject;
  readonly items: readonly JudgedItem[];
}

/** A judged listing. */
export interface Snapshot {
  readonly kind: 'listed';
  readonly id: string;
  readonly pages: readonly Page[];
  readonly items: ReadonlyMap<string, JudgedItem>;
  /** The pins that it was judged by. */
  readonly version: string;
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

/** The judged items of all pages, and the version of the pins they were judged by. */
export interface JudgedPages {
  readonly kind: 'judged';
  readonly pages: readonly (readonly JudgedItem[])[];
  readonly version: string;
}

export interface CatalogParts {
  readonly listed: ListedKind;
  /** Sends one request for a page of the gateway's own and waits for its answer, at most that many milliseconds. */
  readonly fetchPage: (cursor: string | null, msMax: number) => Promise<GatewayAnswer>;
  /** Judges the items, records the changes and keeps new pins. */
  readonly judge: (pages: readonly (readonly JsonValue[])[]) => Promise<JudgedPages | ListingFailure>;
  /** The version of the pins in force. Rejects with Unavailable if they cannot be read. */
  readonly version: () => Promise<string>;
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
  /** The streams in which a notification waits for a new listing; null is the server's own. */
  readonly relisting: Set<object | null> = new Set();
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

  /** The snapshot that calls are judged by; lists first if there is none, if it is too old, or if other pins are in force. */
  async current(): Promise<Listing> {
    const last = this.#snapshot;
    // What a person accepts or refuses counts from the next call on, whatever the server says or does not say.
    const stands = last !== null && !this.#isOld(last) && (await this.#isInForce(last));
    return stands && this.#snapshot === last ? last : this.refresh();
  }

  async #isInForce(listing: Snapshot): Promise<boolean> {
    try {
      return (await this.#parts.version()) === listing.version;
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      // Judging anew says what is wrong.
      return false;
    }
  }

  /** Where nobody tells the gateway of changes, what was listed is true for a while only. */
  #isOld(listing: Snapshot): boolean {
    const { oldAfterMs = null } = this.#parts;
    return oldAfterMs !== null && this.#parts.now() >= Math.max(listing.freshUntil, listing.listedAt + oldAfterMs);
  }

  /** The listing for a client's first page: a new one, unless the server said that the last is still fresh. */
  async forClient(): Promise<Listing> {
    const last = this.#snapshot;
    const stands = last !== null && this.#parts.now() < last.freshUntil && (await this.#isInForce(last));
    return stands && this.#snapshot === last ? last : this.refresh();
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
    const shown = page.items.filter((item) => !isBlocked(item) && this.#parts.visible(item.name));
    Object.assign(result, page.rest);
    result[this.#parts.listed.key] = shown.map((item) => item.value);
    if (typeof result['ttlMs'] === 'number') {
      result['ttlMs'] = Math.max(0, Math.min(ttlOf(page.rest), snapshot.freshUntil - this.#parts.now()));
    }
    // What one client may see says nothing of another's: a shared cache must not keep a filtered list.
    if (shown.length !== page.items.length && 'cacheScope' in result) result['cacheScope'] = 'private';
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
      if (this.#parts.now() >= deadline) return failed('LISTING_FAILED', `the server keeps changing its ${this.#parts.listed.what}s`);
    }
  }

  #changedMeanwhile(): boolean {
    return this.#stale;
  }

  async #list(deadline: number): Promise<Listing> {
    const { key, what } = this.#parts.listed;
    const results: JsonObject[] = [];
    const pages: JsonValue[][] = [];
    const cursors = new Set<string>();
    let cursor: string | null = null;
    let count = 0;
    let bytes = 0;
    do {
      const answer = await this.#parts.fetchPage(cursor, Math.max(0, deadline - this.#parts.now()));
      if (answer.kind === 'error') return { kind: 'upstream-error', error: answer.error };
      if (answer.kind === 'refused') return failed('LISTING_FAILED', `the server's ${what} listing was refused (${answer.code})`);
      const page = answer.result[key];
      if (!Array.isArray(page)) return failed('LISTING_FAILED', `the server's ${what} listing has no ${what}s`);
      count += page.length;
      if (count > LISTING_TOOLS_MAX) return failed('LISTING_FAILED', `the server lists more than ${LISTING_TOOLS_MAX} ${what}s`);
      bytes += answer.bytes ?? 0;
      if (bytes > LISTING_BYTES_MAX) return failed('LISTING_FAILED', `the server's ${what} listing is longer than ${LISTING_BYTES_MAX} bytes`);
      results.push(withoutMembers(answer.result, key, 'nextCursor'));
      pages.push(page);
      const next: JsonValue | undefined = answer.result['nextCursor'];
      cursor = typeof next === 'string' ? next : null;
      if (cursor !== null && cursors.has(cursor)) return failed('LISTING_FAILED', 'the server repeats a cursor');
      if (cursor !== null) cursors.add(cursor);
      if (cursors.size >= LISTING_PAGES_MAX) return failed('LISTING_FAILED', `the server lists more than ${LISTING_PAGES_MAX} pages`);
    } while (cursor !== null);
    return this.#judge(results, pages);
  }

  async #judge(results: readonly JsonObject[], listedPages: readonly JsonValue[][]): Promise<Listing> {
    const judged = await this.#parts.judge(listedPages);
    if (judged.kind !== 'judged') return judged;
    const pages = results.map((rest, index) => ({ rest, items: judged.pages[index] ?? [] }));
    const items = new Map(judged.pages.flat().map((item) => [item.name, item]));
    const ttl = results.length === 0 ? 0 : Math.min(...results.map(ttlOf));
    return {
      kind: 'listed',
      id: this.#parts.randomHex(8),
      pages,
      items,
      version: judged.version,
      freshUntil: ttl === 0 ? 0 : this.#parts.now() + ttl,
      listedAt: this.#parts.now(),
    };
  }
}
