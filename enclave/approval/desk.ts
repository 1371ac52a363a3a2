// SPDX-License-Identifier: Apache-2.0
/**
 * The desk where held calls wait for a person (design, section 8). One ticket stands for one call of one principal under
 * one policy; a repetition of the call joins it. A ticket that was approved by enough keys lets the call go on once.
 * Every step is a row of the audit log before it takes effect: what cannot be recorded does not happen. Tickets live in
 * memory, so a restart voids them.
 *
 * A cancelled call never executes: its waiting ends, and if the row of its approval's use is being written at that
 * moment, the approval is spent. Its ticket stays, so that a person who is reading it is not interrupted, and serves a
 * repetition of the same call if it is approved. A denied call is denied again without asking until its ticket's time is
 * over, so that nobody is asked until he gives in.
 */
import type { Attempt, VerifyEd25519 } from '../../shared/approval/decision.ts';
import { verifyDecision } from '../../shared/approval/decision.ts';
import type { Ticket } from '../../shared/approval/ticket.ts';
import { callDigest, parseTicket, ticketBytes } from '../../shared/approval/ticket.ts';
import { toBase64 } from '../../shared/audit/base64.ts';
import type { ApprovalRow, RowPayload } from '../../shared/audit/row.ts';
import type { DeniedCode } from '../../shared/errors.ts';
import { canonicalJson } from '../../shared/json/canonical.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { toolLabel } from '../../shared/label.ts';
import { APPROVALS_BYTES_MAX, APPROVALS_DENIED_MAX, APPROVALS_OPEN_MAX, APPROVALS_PER_PRINCIPAL_MAX, APPROVALS_RECENT_MAX } from '../../shared/limits.ts';
import type { ApprovalSettings, ApprovalTerms, ApproverKey } from '../policy/types.ts';
import type { After, TicketState } from './entry.ts';
import { Entry } from './entry.ts';
import { RefusalRows } from './refusals.ts';

/** A call that the policy holds. */
export interface HeldCall {
  readonly principal: string;
  readonly server: string;
  /** Session of the client's connection, for the rows. */
  readonly session: string;
  /** The upstream's own name. */
  readonly tool: string;
  /** The real arguments, and how they are displayed: after redaction. */
  readonly args: JsonObject;
  readonly shown: JsonObject;
  readonly rule: string | null;
  readonly terms: ApprovalTerms;
  /** Digest of the policy that decided. */
  readonly policy: string;
  readonly settings: ApprovalSettings;
  /** True where the client's request may stay open for a while; else it is answered at once. */
  readonly open: boolean;
}

export type HoldOutcome =
  /** The approval is used up by this: the call has to go on now. */
  | { readonly kind: 'approved'; readonly ticket: string; readonly approvers: readonly string[] }
  | { readonly kind: 'denied'; readonly ticket: string; readonly approver: string; readonly reason: string }
  /** Nobody has decided yet: the same call may be repeated until then (milliseconds since 1970). */
  | { readonly kind: 'waiting'; readonly ticket: string; readonly expires: number }
  | { readonly kind: 'expired'; readonly ticket: string }
  | { readonly kind: 'cancelled' }
  /** `length`: no person could read the call in whole, or its texts are no ticket's. */
  | { readonly kind: 'full'; readonly why: 'principal' | 'all' | 'length' }
  | { readonly kind: 'void' };

/** What the data path asks of the desk. */
export interface Approvals {
  /**
   * Waits for a decision on a call. Rejects with Unavailable where a row cannot be written: the call must not go on.
   * @param signal the client cancelled the call, or is gone
   */
  hold(call: HeldCall, signal: AbortSignal): Promise<HoldOutcome>;
}

/** Why an attempt at deciding was refused. */
export type AttemptCode = Extract<
  DeniedCode,
  'TICKET_UNKNOWN' | 'TICKET_CLOSED' | 'APPROVAL_EXPIRED' | 'APPROVER_UNKNOWN' | 'APPROVER_NOT_ALLOWED' | 'APPROVER_REPEATED' | 'SIGNATURE_INVALID'
>;

export type DecideOutcome =
  | { readonly kind: 'decided'; readonly state: TicketState; readonly given: number; readonly needed: number }
  | { readonly kind: 'refused'; readonly code: AttemptCode };

/** A ticket as approvers and consoles see it. */
export interface TicketView {
  readonly id: string;
  readonly state: TicketState;
  readonly ticket: Ticket;
  readonly canonical: Uint8Array;
  /** Names of those who approved so far. */
  readonly given: readonly string[];
  readonly denial: { readonly approver: string; readonly reason: string } | null;
}

export interface DeskParts {
  /** `now`: milliseconds since 1970; `mono`: microseconds since an arbitrary start, never going back. */
  readonly clock: { readonly now: () => number; readonly mono: () => number };
  readonly after: After;
  /** Hex of that many random bytes. */
  readonly randomHex: (bytes: number) => string;
  /** Resolves when the row is durable; rejects where it cannot be. */
  readonly record: (fields: ApprovalRow, payload: RowPayload | null) => Promise<void>;
  readonly verify: VerifyEd25519;
  /** Origin of the audit log, and SHA-256 of the SPKI of its key. */
  readonly identity: () => { readonly origin: string; readonly auditKey: string };
  /** Digest of the policy in force. */
  readonly policy: () => string;
  /** Session of rows that belong to no call: the start of the gateway. */
  readonly session: string;
}

/** What a row says beyond the ticket itself. */
type RowMore = { readonly [Key in 'session' | 'approver' | 'key' | 'signature' | 'code']?: string };

const TICKET_ID = /^[0-9a-f]{64}$/;

function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

export class ApprovalDesk implements Approvals {
  readonly #parts: DeskParts;
  readonly #refusals: RefusalRows;
  /** By what is held. */
  readonly #open: Map<string, Entry> = new Map();
  readonly #denied: Map<string, Entry> = new Map();
  /** Those that are known to approvers, by id. */
  readonly #shown: Map<string, Entry> = new Map();
  readonly #recent: Entry[] = [];
  readonly #listeners: Set<() => void> = new Set();
  #bytes = 0;
  #version = 0;

  constructor(parts: DeskParts) {
    this.#parts = parts;
    this.#refusals = new RefusalRows({
      record: (fields) => parts.record(fields, null),
      steady: () => this.#steady(),
      after: parts.after,
      merged: (count) => ({ ...this.#row(null, parts.session, 'refused'), count }),
    });
  }

  /** Goes up whenever something that approvers see has changed. */
  get version(): number {
    return this.#version;
  }

  get pending(): number {
    return [...this.#open.values()].filter((entry) => entry.state === 'pending').length;
  }

  /** Calls back after each change; the function that it gives ends that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** All tickets that can be decided or used, then those that were, the latest first. */
  list(): TicketView[] {
    const open = [...this.#open.values()].filter((entry) => entry.isOpen);
    return [...open, ...this.#recent.toReversed()].map(viewOf);
  }

  view(id: string): TicketView | undefined {
    const entry = this.#shown.get(id);
    return entry === undefined ? undefined : viewOf(entry);
  }

  async hold(call: HeldCall, signal: AbortSignal): Promise<HoldOutcome> {
    const digest = callDigest(call.tool, call.args);
    const key = canonicalJson([call.principal, call.server, call.tool, digest, call.policy]);
    const until = this.#steady() + (call.open ? call.settings.holdMs : 0);
    for (;;) {
      if (isAborted(signal)) return { kind: 'cancelled' };
      // The policy was replaced while this call was being judged by the one before.
      if (call.policy !== this.#parts.policy()) return { kind: 'void' };
      const entry = this.#open.get(key) ?? this.#deniedBefore(key) ?? this.#begin(call, key, digest);
      if (!(entry instanceof Entry)) return entry;
      await entry.opened;
      const outcome = await this.#outcomeOf(entry, call, until, signal);
      if (outcome !== null) return outcome;
    }
  }

  /** Takes a decision from outside: nothing of the attempt is trusted but its signature. Rejects as `record` does. */
  decide(id: string, attempt: Attempt): Promise<DecideOutcome> {
    const entry = this.#shown.get(id);
    if (entry === undefined) return this.#refuse(null, id, attempt, 'TICKET_UNKNOWN');
    return entry.step(() => this.#decide(entry, attempt));
  }

  /** Voids every open ticket; what is being decided at this moment does not take effect. Rejects as `record` does. */
  async voidAll(code: 'POLICY_CHANGED' | 'GATEWAY_ENDED'): Promise<void> {
    const open = [...this.#open.values()];
    for (const entry of open) {
      entry.barred = true;
      entry.wake();
    }
    await Promise.all(open.map((entry) => entry.step(async () => {
      if (entry.isOpen) await this.#end(entry, 'void', { code });
    })));
  }

  /** Voids what is open and writes what was not written yet. */
  async close(): Promise<void> {
    try {
      await this.voidAll('GATEWAY_ENDED');
    } finally {
      await this.#refusals.flush();
    }
  }

  #steady(): number {
    return this.#parts.clock.mono() / 1000;
  }

  /** By either clock: one stands still while a laptop sleeps, the other can be set back. */
  #isOver({ deadline }: Entry): boolean {
    return this.#steady() >= deadline.steady || this.#parts.clock.now() >= deadline.wall;
  }

  #isBarred(entry: Entry): boolean {
    return entry.barred || entry.ticket.policy !== this.#parts.policy();
  }

  #deniedBefore(key: string): Entry | undefined {
    const entry = this.#denied.get(key);
    if (entry === undefined || !this.#isOver(entry)) return entry;
    this.#denied.delete(key);
    return undefined;
  }

  #begin(call: HeldCall, key: string, digest: string): Entry | Extract<HoldOutcome, { kind: 'full' }> {
    const { clock, randomHex, identity } = this.#parts;
    const { origin, auditKey } = identity();
    const approvers = approversOf(call);
    const created = clock.now();
    const who = { gateway: origin, audit_key: auditKey, principal: call.principal, server: call.server };
    const what = { tool: call.tool, label: toolLabel(call.tool), arguments: call.shown, digest, policy: call.policy, rule: call.rule };
    const when = { created, expires: created + call.settings.expiresMs };
    const ticket: Ticket = { version: 1, ...who, ...what, approvals: call.terms.approvals, approvers: [...approvers.keys()].sort(), ...when, random: randomHex(32) };
    const canonical = ticketBytes(ticket);
    const parsed = parseTicket(canonical);
    // What no approver can read is not worth asking for.
    if (!parsed.ok) return { kind: 'full', why: 'length' };
    if (this.#open.size >= APPROVALS_OPEN_MAX || this.#bytes + canonical.length > APPROVALS_BYTES_MAX) return { kind: 'full', why: 'all' };
    if (this.#openOf(call.principal) >= APPROVALS_PER_PRINCIPAL_MAX) return { kind: 'full', why: 'principal' };
    const deadline = { steady: this.#steady() + call.settings.expiresMs, wall: ticket.expires };
    const entry = new Entry({ id: parsed.id, key, ticket: parsed.ticket, canonical, approvers, known: call.settings.approvers, redeemMs: call.settings.redeemMs, deadline });
    this.#open.set(key, entry);
    this.#bytes += canonical.length;
    entry.opened = entry.step(() => this.#opened(entry, call));
    return entry;
  }

  #openOf(principal: string): number {
    let count = 0;
    for (const entry of this.#open.values()) if (entry.ticket.principal === principal) count += 1;
    return count;
  }

  async #opened(entry: Entry, call: HeldCall): Promise<void> {
    try {
      // With the ticket beside it, whoever reads the log can verify the signatures of later rows.
      await this.#parts.record(this.#row(entry, call.session, 'held'), { media: 'application/json', text: new TextDecoder().decode(entry.canonical) });
    } catch (error) {
      this.#forget(entry);
      throw error;
    }
    this.#shown.set(entry.id, entry);
    this.#arm(entry);
    entry.move('pending');
    this.#changed();
  }

  /** Null if the approval was used by another call, so that this one has to be held anew. */
  async #outcomeOf(entry: Entry, call: HeldCall, until: number, signal: AbortSignal): Promise<HoldOutcome | null> {
    const ticket = entry.id;
    for (;;) {
      if (isAborted(signal)) return { kind: 'cancelled' };
      switch (entry.state) {
        case 'approved': {
          const outcome = await entry.step(() => this.#redeem(entry, call, signal));
          if (outcome !== null) return outcome;
          break;
        }
        case 'denied':
          return { kind: 'denied', ticket, approver: entry.denial?.approver ?? '', reason: entry.denial?.reason ?? '' };
        case 'expired':
          return { kind: 'expired', ticket };
        case 'void':
          return { kind: 'void' };
        case 'redeemed':
          return null;
        case 'opening':
        case 'pending':
          if (this.#isBarred(entry)) return { kind: 'void' };
          if (this.#isOver(entry)) await this.#expire(entry);
          else if (this.#steady() >= until) return { kind: 'waiting', ticket, expires: entry.ticket.expires };
          else await entry.change(until - this.#steady(), signal, this.#parts.after);
      }
    }
  }

  /** Uses the approval for this call; null if that is not possible any more. */
  async #redeem(entry: Entry, call: HeldCall, signal: AbortSignal): Promise<HoldOutcome | null> {
    if (entry.state !== 'approved') return null;
    if (this.#isBarred(entry)) return { kind: 'void' };
    if (isAborted(signal)) return { kind: 'cancelled' };
    if (this.#isOver(entry)) {
      await this.#end(entry, 'expired', {});
      return null;
    }
    await this.#end(entry, 'redeemed', { session: call.session });
    // From here on the approval is spent, whatever becomes of the call.
    if (isAborted(signal)) return { kind: 'cancelled' };
    if (this.#isBarred(entry)) return { kind: 'void' };
    return { kind: 'approved', ticket: entry.id, approvers: [...entry.given.values()] };
  }

  async #decide(entry: Entry, attempt: Attempt): Promise<DecideOutcome> {
    if (entry.isOpen && this.#isOver(entry)) await this.#end(entry, 'expired', {});
    const refused = this.#judge(entry, attempt);
    if (refused !== null) return this.#refuse(entry, entry.id, attempt, refused.code);
    const key = entry.approvers.get(attempt.approver);
    if (key === undefined) throw new TypeError('an approver without a key');
    const signed = { approver: key.name, key: key.fingerprint, signature: toBase64(attempt.signature) };
    if (attempt.decision === 'deny') {
      const reason: RowPayload | null = attempt.reason === '' ? null : { media: 'text/plain', text: attempt.reason };
      await this.#end(entry, 'denied', signed, reason, () => {
        entry.denial = { approver: key.name, reason: attempt.reason };
      });
    } else {
      await this.#parts.record({ ...this.#row(entry, this.#parts.session, 'approved'), ...signed }, null);
      entry.given.set(key.fingerprint, key.name);
      if (entry.given.size >= entry.ticket.approvals) this.#approved(entry);
      this.#changed();
    }
    return { kind: 'decided', state: entry.state, given: entry.given.size, needed: entry.ticket.approvals };
  }

  /** Null if the attempt is the decision of somebody who may decide now. */
  #judge(entry: Entry, attempt: Attempt): { readonly code: AttemptCode } | null {
    if (entry.state === 'expired') return { code: 'APPROVAL_EXPIRED' };
    if (!entry.isOpen || this.#isBarred(entry)) return { code: 'TICKET_CLOSED' };
    const key = entry.approvers.get(attempt.approver);
    if (key === undefined) return { code: entry.known.has(attempt.approver) ? 'APPROVER_NOT_ALLOWED' : 'APPROVER_UNKNOWN' };
    if (!verifyDecision(attempt, entry.canonical, key.publicKey, this.#parts.verify)) return { code: 'SIGNATURE_INVALID' };
    if (attempt.decision === 'deny') return null;
    if (entry.given.has(key.fingerprint)) return { code: 'APPROVER_REPEATED' };
    return entry.state === 'pending' ? null : { code: 'TICKET_CLOSED' };
  }

  /** The time in which the call has to be repeated begins. */
  #approved(entry: Entry): void {
    entry.deadline = { steady: this.#steady() + entry.redeemMs, wall: this.#parts.clock.now() + entry.redeemMs };
    this.#arm(entry);
    entry.move('approved');
  }

  async #refuse(entry: Entry | null, id: string, attempt: Attempt, code: AttemptCode): Promise<DecideOutcome> {
    const key = entry?.known.get(attempt.approver);
    const claimed = { approver: key?.name ?? null, key: key?.fingerprint ?? null, signature: toBase64(attempt.signature) };
    const ticket = TICKET_ID.test(id) ? id : null;
    await this.#refusals.add({ ...this.#row(entry, this.#parts.session, 'refused'), ticket, ...claimed, code, count: 1 });
    return { kind: 'refused', code };
  }

  #arm(entry: Entry): void {
    entry.disarm();
    const ms = entry.deadline.steady - this.#steady();
    // Where the log fails, the deadline still holds: it is looked at before every step.
    entry.disarm = this.#parts.after(Math.max(0, ms), () => void this.#expire(entry).catch(() => undefined));
  }

  #expire(entry: Entry): Promise<void> {
    return entry.step(async () => {
      if (entry.isOpen && this.#isOver(entry)) await this.#end(entry, 'expired', {});
    });
  }

  /** Records the last step of a ticket, then takes it. */
  async #end(entry: Entry, state: 'redeemed' | 'denied' | 'expired' | 'void', more: RowMore, payload: RowPayload | null = null, before: () => void = () => undefined): Promise<void> {
    await this.#parts.record({ ...this.#row(entry, this.#parts.session, state), ...more }, payload);
    before();
    this.#forget(entry);
    this.#recent.push(entry);
    if (state === 'denied') remember(this.#denied, entry);
    if (this.#recent.length > APPROVALS_RECENT_MAX) {
      const oldest = this.#recent.shift();
      if (oldest !== undefined) this.#shown.delete(oldest.id);
    }
    entry.move(state);
    this.#changed();
  }

  #forget(entry: Entry): void {
    entry.disarm();
    this.#open.delete(entry.key);
    this.#bytes -= entry.canonical.length;
  }

  #changed(): void {
    this.#version += 1;
    for (const listener of this.#listeners) listener();
  }

  #row(entry: Entry | null, session: string, change: ApprovalRow['change']): ApprovalRow {
    const { ticket } = entry ?? { ticket: null };
    return {
      kind: 'approval',
      server: ticket?.server ?? 'control',
      session,
      principal: ticket?.principal ?? 'unknown',
      tool: ticket?.label ?? null,
      ticket: entry?.id ?? null,
      change,
      approver: null,
      key: null,
      signature: null,
      code: null,
      count: null,
      policy: ticket?.policy ?? this.#parts.policy(),
    };
  }
}

function remember(denied: Map<string, Entry>, entry: Entry): void {
  denied.set(entry.key, entry);
  const oldest = denied.keys().next();
  if (denied.size > APPROVALS_DENIED_MAX && oldest.done !== true) denied.delete(oldest.value);
}

/** @throws RangeError for terms that nobody can meet: the policy refuses them */
function approversOf({ terms, settings }: HeldCall): ReadonlyMap<string, ApproverKey> {
  const approvers = new Map<string, ApproverKey>();
  for (const name of terms.approvers) {
    const key = settings.approvers.get(name);
    if (key !== undefined) approvers.set(name, key);
  }
  const keys = new Set([...approvers.values()].map((key) => key.fingerprint));
  if (terms.approvals < 1 || keys.size < terms.approvals) throw new RangeError('fewer approvers than approvals');
  return approvers;
}

function viewOf(entry: Entry): TicketView {
  const { id, state, ticket, canonical, denial } = entry;
  return { id, state, ticket, canonical, given: [...entry.given.values()], denial };
}
