// SPDX-License-Identifier: Apache-2.0
/**
 * Writes the row of each message and says when the message may move: at once, or when its row is durable, by
 * `audit.order`. What cannot be recorded does not move.
 */
import type { Direction, RowFields, TrafficRow } from '../../shared/audit/row.ts';
import { Unavailable } from '../../shared/errors.ts';
import type { RequestId } from '../../shared/jsonrpc/id.ts';
import { idLabel } from '../../shared/label.ts';
import type { ExchangeParts } from './parts.ts';
import { Room } from './room.ts';
import type { Verdict } from './verdict.ts';

/** One message as its row shows it. */
export interface Occurrence {
  readonly kind: TrafficRow['kind'];
  readonly callId: string | null;
  readonly dir: Direction;
  readonly origin: TrafficRow['origin'];
  readonly type: TrafficRow['type'];
  readonly method: string | null;
  readonly tool: string | null;
  readonly id: RequestId | null;
  readonly status: 'ok' | 'error' | 'tool_error' | null;
  readonly bytes: number;
  /** Microseconds since the request arrived, for answers. */
  readonly us: number | null;
}

type Outcome = Pick<TrafficRow, 'decision' | 'rule' | 'code' | 'redactions'>;

function outcomeOf(verdict: Verdict): Outcome {
  switch (verdict.kind) {
    case 'forward':
      return { decision: verdict.decision, rule: verdict.rule, code: verdict.code, redactions: verdict.redactions };
    case 'answer':
      return { decision: 'allow', rule: verdict.rule, code: null, redactions: 0 };
    case 'refuse':
      return { decision: verdict.decision, rule: verdict.rule, code: verdict.code, redactions: 0 };
  }
}

/** Bytes that a row without its payload counts as. */
const ROW_WEIGHT = 512;

export type LedgerParts = Pick<ExchangeParts, 'server' | 'principal' | 'session' | 'policy' | 'recorder' | 'log' | 'clock' | 'room'>;

export class Ledger {
  readonly #parts: LedgerParts;
  readonly #room: Room;

  constructor(parts: LedgerParts) {
    this.#parts = parts;
    this.#room = parts.room ?? new Room();
  }

  /**
   * Records a message with its verdict. Resolves when the message may move; rejects with Unavailable if it must not.
   * @param text the message as serialised, or null where none of it may be kept
   */
  async message(occurrence: Occurrence, verdict: Verdict, text: string | null): Promise<void> {
    const { server, principal, session, policy } = this.#parts;
    const { decision, rule, code, redactions } = outcomeOf(verdict);
    const row: TrafficRow = {
      kind: occurrence.kind,
      call_id: occurrence.callId,
      tenant: null,
      principal,
      session,
      server,
      dir: occurrence.dir,
      origin: occurrence.origin,
      type: occurrence.type,
      method: occurrence.method,
      tool: occurrence.tool,
      rpc: occurrence.id === null ? null : idLabel(occurrence.id),
      decision,
      rule,
      code,
      status: occurrence.status,
      policy: policy.digest,
      bytes: occurrence.bytes,
      redactions,
      us: occurrence.us,
    };
    const moves = verdict.kind !== 'refuse';
    await this.#write(row, text, moves && this.#mayMoveBeforeCommit(occurrence.dir));
    this.#say(occurrence, verdict);
  }

  /** Records a row that no message waits for but whose consequence does: always durable before it resolves. */
  async fact(fields: RowFields): Promise<void> {
    await this.#write(fields, null, false);
  }

  #mayMoveBeforeCommit(dir: Direction): boolean {
    const { order } = this.#parts.policy.audit;
    return (order === 'intent' && dir === 's2c') || (order === 'response' && dir === 'c2s');
  }

  async #write(fields: RowFields, text: string | null, early: boolean): Promise<void> {
    const { recorder, clock, policy } = this.#parts;
    const stored = policy.audit.payload === 'none' ? null : text;
    const weight = ROW_WEIGHT + (stored?.length ?? 0);
    const turn = this.#room.enter(weight);
    if (turn !== undefined) await turn;
    const leave = (): void => this.#room.leave(weight);
    if (!recorder.available) {
      leave();
      throw new Unavailable('AUDIT_UNAVAILABLE', 'the audit log cannot be written', 'see the error on standard error');
    }
    const durable = recorder.append({
      fields,
      payload: stored === null ? null : { media: 'application/json', text: stored },
      wall: clock.now(),
      mono: clock.mono(),
    });
    durable.then(leave, leave);
    if (!early) {
      await durable;
      return;
    }
    // A row that is refused at once stops its message here. The recorder turns unavailable when it loses this row later,
    // and every later message is then refused.
    await Promise.race([durable, Promise.resolve()]);
  }

  #say(occurrence: Occurrence, verdict: Verdict): void {
    if (occurrence.type === 'result' || occurrence.type === 'error') {
      if (verdict.kind === 'forward' && verdict.decision === 'allow') return;
      if (occurrence.origin === 'gateway') return;
    }
    const { decision, rule, code } = outcomeOf(verdict);
    this.#parts.log.decision({
      dir: occurrence.dir,
      server: this.#parts.server,
      method: occurrence.method ?? (occurrence.type === 'unreadable' ? 'message' : occurrence.type),
      tool: occurrence.tool,
      decision,
      rule,
      code,
      reason: verdict.reason,
    });
  }
}
