// SPDX-License-Identifier: Apache-2.0
/** Judges what a server says of itself against the pins in force, records what changed, and keeps pins for what is new. */
import type { PinRow } from '../../shared/audit/row.ts';
import { Unavailable } from '../../shared/errors.ts';
import type { JsonValue } from '../../shared/json/value.ts';
import { PINS_PENDING_MAX } from '../../shared/limits.ts';
import type { Ledger } from '../exchange/ledger.ts';
import type { ExchangeParts } from '../exchange/parts.ts';
import type { FreshPin, PinChange } from './book.ts';
import type { JudgedPages, ListingFailure } from './catalog.ts';
import type { ListedKind } from './item.ts';
import { itemLabel, rowItem } from './item.ts';
import type { Item, JudgedItem, JudgedListing, JudgeSettings, ServerPins } from './judge.ts';
import { entryOf, isBlocked, judgeItem, judgeListing, listingDigest } from './judge.ts';

export type ReviewParts = Pick<ExchangeParts, 'server' | 'soleServer' | 'session' | 'policy' | 'pins' | 'log' | 'clock' | 'face' | 'era' | 'shadows'>;

/** What was judged of an answer, or why it could not be. */
export type JudgedAnswer = { readonly kind: 'judged'; readonly items: readonly JudgedItem[] } | Extract<ListingFailure, { kind: 'failed' }>;

type Failed = Extract<ListingFailure, { kind: 'failed' }>;
type Judged = JudgedPages | Failed;

/** What cannot be judged or recorded is a failure like any other of a listing. */
async function unlessUnavailable(work: () => Promise<Judged>): Promise<Judged> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    return { kind: 'failed', code: error.code, message: error.message };
  }
}

function keyOf({ kind, name }: Item): string {
  return `${kind}\0${name}`;
}

/** True for what is pinned as it is seen. */
function isFresh(item: JudgedItem): boolean {
  return item.change === 'new' && !isBlocked(item);
}

export class Review {
  readonly #parts: ReviewParts;
  readonly #ledger: Ledger;
  /** Digests whose change stands in the log already: those of the last listing or answer with the item. */
  readonly #reported = new Map<string, string>();

  constructor(parts: ReviewParts, ledger: Ledger) {
    this.#parts = parts;
    this.#ledger = ledger;
  }

  #settings(): JudgeSettings {
    const { policy, face, era } = this.#parts;
    return { ...policy.pinning, mirrorsParams: face === 'http' && era === 'modern' };
  }

  /** @param pages the items of the upstream's pages (attacker-controlled) */
  listing(listed: ListedKind, pages: readonly (readonly JsonValue[])[]): Promise<JudgedPages | ListingFailure> {
    return unlessUnavailable(async () => {
      const judged = await this.#judge((pins) => judgeListing(listed, pages, pins, this.#settings()), listed);
      if (judged.kind === 'judged' && listed.kind === 'tool') await this.#compareServers(judged.pages.flat());
      return judged;
    });
  }

  /** Judges parts of an answer: there is no listing of them that could be judged before. */
  async answer(items: readonly Item[]): Promise<JudgedAnswer> {
    const settings = this.#settings();
    const judge = (pins: ServerPins): JudgedListing => ({ kind: 'judged', pages: [items.map((item) => judgeItem(item, entryOf(pins, item.kind, item.name), settings))] });
    const judged = await unlessUnavailable(() => this.#judge(judge, null));
    return judged.kind === 'judged' ? { kind: 'judged', items: judged.pages.flat() } : judged;
  }

  async #judge(judge: (pins: ServerPins) => JudgedListing, listed: ListedKind | null): Promise<Judged> {
    const { pins } = this.#parts;
    await pins.recordChanges((change) => this.#ledger.fact(this.#changeRow(change)));
    for (let first = true; ; first = false) {
      // Asked for before they are read: a change in between shows as another version.
      const version = await pins.version();
      const judged = judge(await pins.read());
      if (judged.kind === 'invalid') return { kind: 'failed', code: 'RESULT_INVALID', message: judged.problem };
      const items = judged.pages.flat();
      if (!first && items.some(isFresh)) return { kind: 'failed', code: 'PIN_STORE', message: 'the pins change while they are written' };
      await this.#remember(items);
      await this.#recordItems(items);
      if (first && listed !== null) await this.#recordListing(listed, judged.pages, items.length);
      const fresh = items.filter(isFresh);
      if (fresh.length === 0) return { kind: 'judged', pages: judged.pages, version };
      await this.#pin(fresh);
      const after = await pins.version();
      const inForce = await pins.read();
      // Another gateway may have pinned one of them first, and not as it is here: its pin counts.
      if (fresh.every(({ kind, name, digest }) => entryOf(inForce, kind, name).pin?.sha256 === digest)) return { kind: 'judged', pages: judged.pages, version: after };
    }
  }

  /** Before any row refers to it: people find what a digest stands for. */
  async #remember(items: readonly JudgedItem[]): Promise<void> {
    const { pins, policy, log, clock, server } = this.#parts;
    if (!policy.pinning.enabled) return;
    const problem = await pins.remember({ items, at: new Date(clock.now()).toISOString() });
    if (problem !== null) log.warn(null, `what ${server} says of itself cannot be kept for comparison (${problem})`, 'check that the state folder is writable');
  }

  async #recordItems(items: readonly JudgedItem[]): Promise<void> {
    for (const item of items) this.#sayUnusable(item);
    // One that a person refused stays refused without a word.
    const changed = items.filter((item) => item.change !== 'same' && !item.rejected && this.#reported.get(keyOf(item)) !== item.digest);
    await Promise.all(changed.map((item) => this.#ledger.fact(this.#row(item))));
    for (const item of items) {
      if (item.change === 'same') this.#reported.delete(keyOf(item));
      else this.#reported.set(keyOf(item), item.digest);
      const oldest = this.#reported.keys().next();
      if (this.#reported.size > PINS_PENDING_MAX && oldest.done !== true) this.#reported.delete(oldest.value);
    }
    for (const item of changed) if (item.decision !== 'allow') this.#sayChanged(item);
  }

  #sayUnusable(item: JudgedItem): void {
    if (item.code !== 'TOOL_HEADER_INVALID') return;
    this.#parts.log.warn(item.code, `${item.label} of ${this.#parts.server} has an x-mcp-header that no client may follow; it is left out`, "the server's vendor can mend it");
  }

  #sayChanged(item: JudgedItem): void {
    const { log, server } = this.#parts;
    const what = item.change === 'drift' ? 'changed since it was pinned' : 'is new';
    const effect = item.decision === 'hold' ? 'it is held back until someone accepts it' : item.decision === 'deny' ? 'it is blocked' : 'it stays usable';
    // What may be used is pinned by now: there is nothing to compare.
    const hint = item.change === 'new' && !isBlocked(item) ? 'it is pinned from now on' : `mcp-bastion pins diff --server ${server}`;
    log.warn(item.code, `${item.label} of ${server} ${what}; ${effect}`, hint);
  }

  #fields(): Pick<PinRow, 'kind' | 'server' | 'session' | 'policy'> {
    const { server, session, policy } = this.#parts;
    return { kind: 'pin', server, session, policy: policy.digest };
  }

  #row(item: JudgedItem): PinRow {
    const { kind, label, change, digest, was, decision, code } = item;
    return { ...this.#fields(), tool: label, item: rowItem(kind), change: change === 'drift' ? 'drift' : 'new', digest, was, decision, code, count: null };
  }

  #changeRow({ kind, name, change, digest, was }: PinChange): PinRow {
    const decision = change === 'rejected' ? 'deny' : change === 'removed' ? 'alert' : 'allow';
    return { ...this.#fields(), tool: itemLabel(kind, name), item: rowItem(kind), change, digest, was, decision, code: null, count: null };
  }

  async #recordListing(listed: ListedKind, pages: readonly (readonly JudgedItem[])[], count: number): Promise<void> {
    await this.#ledger.fact({ ...this.#fields(), tool: null, item: rowItem(listed.kind), change: 'listed', digest: listingDigest(pages), was: null, decision: 'allow', code: null, count });
  }

  async #pin(fresh: readonly JudgedItem[]): Promise<void> {
    const firstSeen = new Date(this.#parts.clock.now()).toISOString();
    await this.#parts.pins.add(fresh.map(({ kind, name, digest }): FreshPin => ({ kind, name, pin: { sha256: digest, firstSeen, accepted: null } })));
  }

  /** Tools of two servers that a model may take for one another get a row and a warning, once each. */
  async #compareServers(tools: readonly JudgedItem[]): Promise<void> {
    const { shadows, soleServer, server, log } = this.#parts;
    if (shadows === undefined || soleServer) return;
    for (const { tool, digest, other, otherTool, otherDigest, why } of shadows.compare(server, tools)) {
      await this.#ledger.fact({ ...this.#fields(), tool, item: 'tool', change: 'shadow', digest, was: otherDigest, decision: 'alert', code: 'TOOL_SHADOWED', count: null });
      log.warn('TOOL_SHADOWED', `${server} ${tool} ${why} ${other} ${otherTool}`, 'if one of the two servers is not trusted, deny its tool');
    }
  }
}
