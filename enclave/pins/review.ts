// SPDX-License-Identifier: Apache-2.0
/** Judges a listing against the pins that are in force, records what changed, and keeps pins for new tools. */
import type { PinRow } from '../../shared/audit/row.ts';
import { Unavailable } from '../../shared/errors.ts';
import type { JsonValue } from '../../shared/json/value.ts';
import type { Ledger } from '../exchange/ledger.ts';
import type { ExchangeParts } from '../exchange/parts.ts';
import type { ListingFailure } from './catalog.ts';
import type { JudgedTool, ListingSettings, Pin } from './judge.ts';
import { judgeListing, listingDigest } from './judge.ts';

export class Review {
  readonly #parts: ExchangeParts;
  readonly #ledger: Ledger;
  /** Digests whose change stands in the log already, by tool name: those of the last listing. */
  #reported: ReadonlyMap<string, string> = new Map();

  constructor(parts: ExchangeParts, ledger: Ledger) {
    this.#parts = parts;
    this.#ledger = ledger;
  }

  #settings(): ListingSettings {
    const { policy, face, era } = this.#parts;
    return { ...policy.pinning, mirrorsParams: face === 'http' && era === 'modern' };
  }

  /** @param pages the `tools` members of the upstream's pages (attacker-controlled) */
  async judge(pages: readonly (readonly JsonValue[])[]): Promise<readonly (readonly JudgedTool[])[] | ListingFailure> {
    const { pins } = this.#parts;
    try {
      const known = await pins.read();
      const judged = judgeListing(pages, known, this.#settings());
      if (judged.kind === 'invalid') return { kind: 'failed', code: 'RESULT_INVALID', message: judged.problem };
      const tools = judged.pages.flat();
      this.#sayUnusable(tools);
      await this.#recordChanges(tools);
      await this.#recordListing(judged.pages, tools.length);
      if (await this.#keepNew(tools)) return judged.pages;
      // Another gateway pinned one of them first, and not as it is listed here: its pin counts.
      return await this.#judgeAgain(pages);
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      return { kind: 'failed', code: error.code, message: error.message };
    }
  }

  async #judgeAgain(pages: readonly (readonly JsonValue[])[]): Promise<readonly (readonly JudgedTool[])[] | ListingFailure> {
    const { pins } = this.#parts;
    const judged = judgeListing(pages, await pins.read(), this.#settings());
    if (judged.kind === 'invalid') return { kind: 'failed', code: 'RESULT_INVALID', message: judged.problem };
    const tools = judged.pages.flat();
    if (tools.some((tool) => tool.change === 'new' && tool.decision !== 'deny')) {
      return { kind: 'failed', code: 'PIN_STORE', message: 'the pins change while they are written' };
    }
    await this.#recordChanges(tools);
    return judged.pages;
  }

  #sayUnusable(tools: readonly JudgedTool[]): void {
    for (const tool of tools) {
      if (tool.code !== 'TOOL_HEADER_INVALID') continue;
      this.#parts.log.warn(tool.code, `${tool.label} of ${this.#parts.server} has an x-mcp-header that no client may follow; it is left out`, "the server's vendor can mend it");
    }
  }

  async #recordChanges(tools: readonly JudgedTool[]): Promise<void> {
    const changed = tools.filter((tool) => tool.change !== 'same' && this.#reported.get(tool.name) !== tool.digest);
    await Promise.all(changed.map((tool) => this.#ledger.fact(this.#row(tool))));
    this.#reported = new Map(tools.filter((tool) => tool.change !== 'same').map((tool) => [tool.name, tool.digest]));
    for (const tool of changed) {
      if (tool.decision === 'allow') continue;
      const what = tool.change === 'drift' ? 'changed since it was pinned' : 'is new';
      const effect = tool.decision === 'deny' ? 'it is blocked' : 'it stays usable';
      this.#parts.log.warn(tool.code, `${tool.label} of ${this.#parts.server} ${what}; ${effect}`, 'compare it with the pins lockfile');
    }
  }

  #row(tool: JudgedTool): PinRow {
    const { server, session, policy } = this.#parts;
    return {
      kind: 'pin',
      server,
      session,
      tool: tool.label,
      change: tool.change === 'drift' ? 'drift' : 'new',
      digest: tool.digest,
      was: tool.was,
      decision: tool.decision,
      code: tool.code,
      count: null,
      policy: policy.digest,
    };
  }

  async #recordListing(pages: readonly (readonly JudgedTool[])[], count: number): Promise<void> {
    const { server, session, policy } = this.#parts;
    await this.#ledger.fact({
      kind: 'pin',
      server,
      session,
      tool: null,
      change: 'listed',
      digest: listingDigest(pages),
      was: null,
      decision: 'allow',
      code: null,
      count,
      policy: policy.digest,
    });
  }

  /** False if a tool has another pin now than the one that was to be kept. */
  async #keepNew(tools: readonly JudgedTool[]): Promise<boolean> {
    const firstSeen = new Date(this.#parts.clock.now()).toISOString();
    const fresh = new Map<string, Pin>();
    for (const tool of tools) {
      if (tool.change === 'new' && tool.decision !== 'deny') fresh.set(tool.name, { sha256: tool.digest, firstSeen });
    }
    if (fresh.size === 0) return true;
    const { pins } = this.#parts;
    await pins.add(fresh);
    const inForce = await pins.read();
    return [...fresh].every(([name, pin]) => inForce.get(name)?.sha256 === pin.sha256);
  }
}
