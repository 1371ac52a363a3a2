// SPDX-License-Identifier: Apache-2.0
/**
 * Limits on calls: how many and how many bytes in a time, and how many at once. Counts live in memory, one set for a process;
 * they outlive a policy that is replaced where the limit stays as it was. Time comes in from outside.
 */
import { toolLabel } from '../../shared/label.ts';
import { LIMIT_COUNTERS_MAX } from '../../shared/limits.ts';
import type { Glob } from './glob.ts';
import { restricts, toolNames } from './names.ts';
import type { Mark, PolicyDecision, ToolQuery } from './types.ts';

export interface Limit {
  /** Its place: `limits['payments']`. */
  readonly place: string;
  /** What it says, in one form: equal limits count together. */
  readonly key: string;
  readonly tools: readonly Glob[];
  /** Empty for all. */
  readonly servers: readonly Glob[];
  readonly principals: readonly Glob[];
  /** What is counted apart. */
  readonly per: readonly ('principal' | 'server' | 'tool')[];
  /** Calls and bytes in a window; null for no such limit. */
  readonly calls: number | null;
  readonly bytes: number | null;
  readonly windowMs: number;
  readonly concurrent: number | null;
  readonly observe: boolean;
}

export type Admission =
  /** `mark`: a limit under `observe` is exceeded. */
  | { readonly kind: 'ok'; readonly mark: Mark | null; readonly release: (resultBytes: number, now: number) => void }
  | { readonly kind: 'deny'; readonly decision: Extract<PolicyDecision, { kind: 'deny' | 'hold' }> };

/** Parts of a window: what leaves it leaves in these steps, so that a limit is kept too long rather than too short. */
const SLICES = 20;

class Counter {
  readonly #windowMs: number;
  /** Slices that hold anything, oldest first. */
  readonly #slices: { at: number; calls: number; bytes: number }[] = [];
  open = 0;

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  #sliceOf(now: number): number {
    return Math.floor(now / (this.#windowMs / SLICES));
  }

  #forget(now: number): void {
    const first = this.#sliceOf(now) - SLICES;
    while (this.#slices[0] !== undefined && this.#slices[0].at < first) this.#slices.shift();
  }

  total(now: number): { readonly calls: number; readonly bytes: number } {
    this.#forget(now);
    let [calls, bytes] = [0, 0];
    for (const slice of this.#slices) {
      calls += slice.calls;
      bytes += slice.bytes;
    }
    return { calls, bytes };
  }

  add(now: number, calls: number, bytes: number): void {
    const at = this.#sliceOf(now);
    const last = this.#slices.at(-1);
    // A clock that was set back counts into the slice it left.
    if (last !== undefined && last.at >= at) {
      last.calls += calls;
      last.bytes += bytes;
    } else {
      this.#slices.push({ at, calls, bytes });
    }
  }

  idle(now: number): boolean {
    this.#forget(now);
    return this.open === 0 && this.#slices.length === 0;
  }

  /** Milliseconds until enough has left the window; null where that is never so. */
  waitMs(now: number, isEnough: (calls: number, bytes: number) => boolean): number | null {
    let { calls, bytes } = this.total(now);
    for (const slice of this.#slices) {
      calls -= slice.calls;
      bytes -= slice.bytes;
      if (isEnough(calls, bytes)) return Math.max(1, (slice.at + SLICES + 1) * (this.#windowMs / SLICES) - now);
    }
    return null;
  }
}

function applies(limit: Limit, query: ToolQuery, forms: readonly string[]): boolean {
  if (!limit.tools.some((glob) => restricts(glob, forms))) return false;
  if (limit.servers.length > 0 && !limit.servers.some((glob) => glob.matches(query.server))) return false;
  return limit.principals.length === 0 || limit.principals.some((glob) => glob.matches(query.principal));
}

function keyOf(limit: Limit, { principal, server, tool }: ToolQuery): string {
  const parts = limit.per.map((one) => (one === 'principal' ? principal : one === 'server' ? server : toolNames(server, tool).forms.at(-1)));
  return JSON.stringify([limit.key, ...parts]);
}

type Denial = Extract<PolicyDecision, { kind: 'deny' | 'hold' }>;

function exceeded(limit: Limit, query: ToolQuery, what: string, hint: string): Denial {
  const label = toolLabel(query.tool);
  const reason = `${label} is above ${limit.place}: ${what}`;
  return { kind: 'deny', approval: null, code: 'LIMIT_EXCEEDED', rule: limit.place, pattern: null, reason, message: `${label} is above a limit: ${what}`, hint };
}

function seconds(ms: number): string {
  return `${Math.ceil(ms / 1000)} s`;
}

export class Limiter {
  readonly #counters = new Map<string, Counter>();

  /** Counts a call if no limit is exceeded; nothing is counted of one that is refused. `now`: milliseconds since 1970. */
  admit(limits: readonly Limit[], query: ToolQuery, bytes: number, now: number): Admission {
    if (limits.length === 0) return { kind: 'ok', mark: null, release: () => undefined };
    const { forms } = toolNames(query.server, query.tool);
    const counters: Counter[] = [];
    let mark: Mark | null = null;
    for (const limit of limits) {
      if (!applies(limit, query, forms)) continue;
      const counter = this.#counter(limit, query, now);
      const refused = counter === null ? exceeded(limit, query, 'too many different calls are counted', 'try again later') : over(limit, query, counter, bytes, now);
      if (refused !== null && !limit.observe) return { kind: 'deny', decision: refused };
      if (refused !== null) mark ??= { code: 'LIMIT_EXCEEDED', rule: limit.place, reason: `observed: ${refused.reason}` };
      if (counter !== null) counters.push(counter);
    }
    for (const counter of counters) {
      counter.add(now, 1, bytes);
      counter.open += 1;
    }
    let released = false;
    return {
      kind: 'ok',
      mark,
      release: (resultBytes, then) => {
        if (released) return;
        released = true;
        for (const counter of counters) {
          counter.open -= 1;
          counter.add(then, 0, resultBytes);
        }
      },
    };
  }

  /** Null where there is no room for one more: what is not counted is not allowed. */
  #counter(limit: Limit, query: ToolQuery, now: number): Counter | null {
    const key = keyOf(limit, query);
    const known = this.#counters.get(key);
    if (known !== undefined) return known;
    if (this.#counters.size >= LIMIT_COUNTERS_MAX) {
      for (const [other, counter] of this.#counters) if (counter.idle(now)) this.#counters.delete(other);
      if (this.#counters.size >= LIMIT_COUNTERS_MAX) return null;
    }
    const counter = new Counter(limit.windowMs);
    this.#counters.set(key, counter);
    return counter;
  }
}

function over(limit: Limit, query: ToolQuery, counter: Counter, bytes: number, now: number): Denial | null {
  if (limit.concurrent !== null && counter.open >= limit.concurrent) return exceeded(limit, query, `${limit.concurrent} at once`, 'wait for the answers that are still to come');
  const total = counter.total(now);
  const { calls: callsMax, bytes: bytesMax } = limit;
  if (callsMax !== null && total.calls >= callsMax) {
    const wait = counter.waitMs(now, (calls) => calls < callsMax);
    return exceeded(limit, query, `${callsMax} call${callsMax === 1 ? '' : 's'} in ${seconds(limit.windowMs)}`, wait === null ? 'the policy allows no call of this tool' : `try again in ${seconds(wait)}`);
  }
  if (bytesMax !== null && total.bytes + bytes > bytesMax) {
    const wait = counter.waitMs(now, (_, sent) => sent + bytes <= bytesMax);
    return exceeded(limit, query, `${bytesMax} bytes in ${seconds(limit.windowMs)}`, wait === null ? 'send less in one call' : `try again in ${seconds(wait)}`);
  }
  return null;
}
