// SPDX-License-Identifier: Apache-2.0
/** What the clients of one soak saw, counted; and what they should never have seen, in words. */

/** Violations that are kept in words; all are counted. */
const KEPT_MAX = 40;

/** Milliseconds after a restart in which a request may still fail because of what was before. */
const SETTLE_MS = 5000;
/** Milliseconds after which clients have come back: each waits for half of them at most. */
const RETURN_MS = 4000;

export class Tally {
  readonly #counts = new Map<string, number>();
  readonly violations: string[] = [];
  violationCount = 0;
  /** How often the server was killed. */
  kills = 0;
  #down = false;
  #upSince = 0;
  /** Streams of events that are open now. */
  streams = 0;
  sessions = 0;
  peakStreams = 0;
  peakSessions = 0;
  /** Requests that wait for their answer. */
  waiting = 0;

  count(what: string, by = 1): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + by);
  }

  of(what: string): number {
    return this.#counts.get(what) ?? 0;
  }

  /** Counters whose name begins so, without that beginning. */
  all(prefix: string): Record<string, number> {
    const found = [...this.#counts].filter(([name]) => name.startsWith(prefix));
    const named = found.map(([name, count]): [string, number] => [name.slice(prefix.length), count]);
    return Object.fromEntries(named.sort(([left], [right]) => (left < right ? -1 : 1)));
  }

  violation(text: string): void {
    this.violationCount += 1;
    if (this.violations.length < KEPT_MAX) this.violations.push(text);
  }

  opened(what: 'streams' | 'sessions', by: 1 | -1): void {
    this[what] += by;
    this.peakStreams = Math.max(this.peakStreams, this.streams);
    this.peakSessions = Math.max(this.peakSessions, this.sessions);
  }

  killed(): void {
    this.kills += 1;
    this.#down = true;
  }

  restarted(): void {
    this.#down = false;
    this.#upSince = performance.now();
  }

  /** True while the server was there for long enough that its clients should be too. */
  get isSettled(): boolean {
    return !this.#down && performance.now() - this.#upSince > RETURN_MS;
  }

  /** A mark to ask about later. */
  now(): Since {
    const settling = this.kills > 0 && performance.now() - this.#upSince < SETTLE_MS;
    return { kills: this.kills, wasDown: this.#down || settling };
  }

  /** True if the server was away at some time since then, or shortly before. */
  disturbedSince(since: Since): boolean {
    return since.wasDown || this.#down || since.kills !== this.kills;
  }
}

export interface Since {
  readonly kills: number;
  readonly wasDown: boolean;
}
