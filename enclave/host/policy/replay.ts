// SPDX-License-Identifier: Apache-2.0
/**
 * What another policy would have decided on the requests of a recorded log. Rows say who asked which server and what was
 * decided; the name of a tool and its arguments stand in the stored payload, or nowhere. Nothing is verified here.
 */
import type { RowBody } from '../../../shared/audit/body.ts';
import { parseBody } from '../../../shared/audit/body.ts';
import type { StoredEntry, StoredPayload } from '../../../shared/audit/source.ts';
import type { JsonObject, JsonValue } from '../../../shared/json/value.ts';
import { isJsonObject } from '../../../shared/json/value.ts';
import { toolLabel } from '../../../shared/label.ts';
import { REPLAY_EXAMPLES, REPLAY_GROUPS_MAX } from '../../../shared/limits.ts';
import type { Policy, PolicyDecision } from '../../policy/types.ts';

/** What can be read of a log: entries and payloads, each in the order of their index. */
export interface ReplaySource {
  readonly name: string;
  entries(): Iterable<StoredEntry>;
  payloads(): Iterable<StoredPayload>;
}

/** Requests whose decision would be another one. */
export interface ReplayChange {
  readonly before: string;
  readonly ruleBefore: string | null;
  readonly after: string;
  readonly ruleAfter: string | null;
  readonly count: number;
  /** The first of them: `segment row 12`. */
  readonly examples: readonly string[];
}

export interface ReplayReport {
  readonly rows: number;
  readonly calls: number;
  readonly requests: number;
  readonly same: number;
  readonly changed: number;
  readonly changes: readonly ReplayChange[];
  readonly undecidable: {
    /** No payload is stored, and no list names the tool. */
    readonly nameless: number;
    /** The decision depends on arguments that are not stored. */
    readonly withoutArguments: number;
    /** The decision depends on arguments, and some of them were redacted before they were stored. */
    readonly redacted: number;
  };
  /** Refused for another reason than a rule: pins, protocol, limits, the log itself. */
  readonly other: number;
  readonly unreadable: number;
}

export interface ReplayOptions {
  readonly policy: Policy;
  /** Allow globs may name the bare tool. */
  readonly soleServer: boolean;
  /** Clear names by label, where payloads do not tell them. */
  readonly names: ReadonlyMap<string, string>;
  readonly progress: (rows: number) => void;
}

const PROGRESS_ROWS = 2000;
/** What redaction leaves, whatever the pattern's own replacement is called. */
const REDACTED = /\[REDACTED/;

/** Codes by which a rule of the policy decided. */
const byRule: ReadonlySet<string> = new Set(['TOOL_DENIED', 'TOOL_NOT_ALLOWED', 'APPROVAL_REQUIRED', 'APPROVAL_DENIED', 'APPROVAL_EXPIRED', 'APPROVAL_FULL', 'METHOD_DENIED', 'METHOD_UNKNOWN', 'RULE_ALERT']);

function textOf(value: JsonValue | undefined): string | null {
  return typeof value === 'string' ? value : null;
}

/** The stored message of a row; undefined where there is none. */
function messageOf(payload: StoredPayload | undefined): JsonObject | undefined {
  if (payload === undefined || !(payload.data instanceof Uint8Array)) return undefined;
  try {
    const value: JsonValue = JSON.parse(new TextDecoder().decode(payload.data));
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

interface Outcome {
  readonly decision: string;
  readonly rule: string | null;
}

function outcomeOf(decision: PolicyDecision): Outcome {
  if (decision.kind !== 'allow') return { decision: decision.kind, rule: decision.rule };
  return decision.mark === null ? { decision: 'allow', rule: decision.rule } : { decision: 'alert', rule: decision.mark.rule };
}

type Replayed = { readonly kind: 'decided'; readonly outcome: Outcome } | { readonly kind: 'undecidable'; readonly why: keyof ReplayReport['undecidable'] };

export class Replay {
  readonly #options: ReplayOptions;
  readonly #changes = new Map<string, { change: Omit<ReplayChange, 'count' | 'examples'>; count: number; examples: string[] }>();
  readonly #undecidable = { nameless: 0, withoutArguments: 0, redacted: 0 };
  #rows = 0;
  #calls = 0;
  #requests = 0;
  #same = 0;
  #changed = 0;
  #other = 0;
  #unreadable = 0;

  constructor(options: ReplayOptions) {
    this.#options = options;
  }

  /** Replays one segment. */
  take(source: ReplaySource): void {
    const payloads = source.payloads()[Symbol.iterator]();
    let next = payloads.next();
    for (const entry of source.entries()) {
      this.#rows += 1;
      if (this.#rows % PROGRESS_ROWS === 0) this.#options.progress(this.#rows);
      const idx = entry.idx;
      while (next.done !== true && typeof next.value.idx === 'number' && typeof idx === 'number' && next.value.idx < idx) next = payloads.next();
      const payload = next.done !== true && next.value.idx === idx ? next.value : undefined;
      const parsed = entry.body instanceof Uint8Array ? parseBody(new TextDecoder().decode(entry.body)) : undefined;
      if (parsed?.ok === true) this.#row(parsed.body, payload, source.name);
      else this.#unreadable += 1;
    }
  }

  get report(): ReplayReport {
    const changes = [...this.#changes.values()].map(({ change, count, examples }) => ({ ...change, count, examples }));
    return {
      rows: this.#rows,
      calls: this.#calls,
      requests: this.#requests,
      same: this.#same,
      changed: this.#changed,
      changes: changes.sort((left, right) => right.count - left.count),
      undecidable: this.#undecidable,
      other: this.#other,
      unreadable: this.#unreadable,
    };
  }

  #row({ kind, idx, members }: RowBody, payload: StoredPayload | undefined, segment: string): void {
    const isCall = kind === 'call';
    const isRequest = kind === 'message' && (members['type'] === 'request' || members['type'] === 'notification') && members['origin'] !== 'gateway';
    if (!isCall && !isRequest) return;
    if (isCall) this.#calls += 1;
    else this.#requests += 1;
    const code = textOf(members['code']);
    const before = { decision: textOf(members['decision']) ?? '', rule: textOf(members['rule']) };
    if (code !== null && !byRule.has(code) && before.decision !== 'alert') {
      this.#other += 1;
      return;
    }
    const replayed = isCall ? this.#call(members, messageOf(payload)) : this.#method(members, messageOf(payload));
    if (replayed.kind === 'undecidable') this.#undecidable[replayed.why] += 1;
    else this.#compare(before, replayed.outcome, `${segment} row ${idx}`);
  }

  #call(members: JsonObject, message: JsonObject | undefined): Replayed {
    const { policy, soleServer, names } = this.#options;
    const params = message?.['params'];
    const stored = isJsonObject(params) ? textOf(params['name']) : null;
    const label = textOf(members['tool']) ?? '';
    // A name that redaction changed is not the name that was decided on.
    const tool = stored !== null && toolLabel(stored) === label ? stored : names.get(label);
    if (tool === undefined) return { kind: 'undecidable', why: 'nameless' };
    const query = { server: textOf(members['server']) ?? '', tool, soleServer, principal: textOf(members['principal']) ?? '' };
    const args = isJsonObject(params) ? (params['arguments'] ?? {}) : undefined;
    if (policy.dependsOnArguments(query)) {
      if (!isJsonObject(args)) return { kind: 'undecidable', why: 'withoutArguments' };
      if (REDACTED.test(JSON.stringify(args))) return { kind: 'undecidable', why: 'redacted' };
    }
    return { kind: 'decided', outcome: outcomeOf(policy.decideTool({ ...query, args: isJsonObject(args) ? args : {} })) };
  }

  #method(members: JsonObject, message: JsonObject | undefined): Replayed {
    const method = textOf(members['method']);
    // Names that no revision defines stand in rows as labels.
    const stored = textOf(message?.['method']) ?? method;
    if (method === null || stored === null || stored.includes('#')) return { kind: 'undecidable', why: 'nameless' };
    const params = message?.['params'];
    const needsParams = stored === 'elicitation/create' || stored.startsWith('resources/');
    if (needsParams && !isJsonObject(params)) return { kind: 'undecidable', why: 'withoutArguments' };
    const query = { server: textOf(members['server']) ?? '', principal: textOf(members['principal']) ?? '', method: stored, known: stored === method };
    const direction = members['dir'] === 's2c' ? 's2c' : 'c2s';
    return { kind: 'decided', outcome: outcomeOf(this.#options.policy.decideMethod({ ...query, direction, params: isJsonObject(params) ? params : undefined })) };
  }

  #compare(before: Outcome, after: Outcome, where: string): void {
    if (before.decision === after.decision) {
      this.#same += 1;
      return;
    }
    this.#changed += 1;
    const key = JSON.stringify([before, after]);
    let group = this.#changes.get(key);
    if (group === undefined) {
      // Rules of a hostile log could be all different: the rest is only counted.
      if (this.#changes.size >= REPLAY_GROUPS_MAX) return;
      group = { change: { before: before.decision, ruleBefore: before.rule, after: after.decision, ruleAfter: after.rule }, count: 0, examples: [] };
      this.#changes.set(key, group);
    }
    group.count += 1;
    if (group.examples.length < REPLAY_EXAMPLES) group.examples.push(where);
  }
}
