// SPDX-License-Identifier: Apache-2.0
/** A desk with a clock that is turned by hand, approvers with real keys, and rows in an array. */
import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { ed25519Fingerprint, verifyEd25519 } from '../../enclave/approval/ed25519.ts';
import type { DeskParts, HeldCall } from '../../enclave/approval/desk.ts';
import { ApprovalDesk } from '../../enclave/approval/desk.ts';
import type { ApprovalSettings, ApproverKey } from '../../enclave/policy/types.ts';
import type { Attempt, Decision } from '../../shared/approval/decision.ts';
import { signingInput } from '../../shared/approval/decision.ts';
import type { ApprovalRow, RowPayload } from '../../shared/audit/row.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { jsonObject } from '../../shared/json/value.ts';

export interface Signer {
  readonly name: string;
  readonly privateKey: KeyObject;
  readonly key: ApproverKey;
}

/** A key pair that is the same in each run. */
export function signer(name: string, seedOf: string = name): Signer {
  const seed = createHash('sha256').update(`approver ${seedOf}`).digest();
  const privateKey = createPrivateKey({ key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]), format: 'der', type: 'pkcs8' });
  const publicKey = new Uint8Array(createPublicKey(privateKey).export({ format: 'der', type: 'spki' }).subarray(-32));
  return { name, privateKey, key: { name, publicKey, fingerprint: ed25519Fingerprint(publicKey) } };
}

export const alice: Signer = signer('alice');
export const bob: Signer = signer('bob');
export const carol: Signer = signer('carol');
/** Nobody that the policy names. */
export const mallory: Signer = signer('mallory');

export const POLICY: string = 'a'.repeat(64);
export const HOLD_MS = 25_000;
export const EXPIRES_MS = 900_000;
export const REDEEM_MS = 600_000;
export const settings: ApprovalSettings = {
  approvers: new Map([alice, bob, carol].map(({ name, key }) => [name, key])),
  holdMs: HOLD_MS,
  expiresMs: EXPIRES_MS,
  redeemMs: REDEEM_MS,
};

export function call(changes: Partial<HeldCall> = {}): HeldCall {
  const args: JsonObject = jsonObject({ path: '/srv/data', recursive: true });
  return {
    principal: 'token:ci',
    server: 'files',
    session: '0123456789abcdef',
    tool: 'delete_tree',
    args,
    shown: changes.args ?? args,
    rule: 'require_approval[0]',
    terms: { approvals: 1, approvers: ['alice', 'bob'] },
    policy: POLICY,
    settings,
    open: true,
    ...changes,
  };
}

/** An attempt as an honest approver makes it for the bytes that were displayed. */
export function attemptOf(who: Signer, canonical: Uint8Array, decision: Decision = 'approve', reason = ''): Attempt {
  return { approver: who.name, decision, reason, signature: new Uint8Array(sign(null, signingInput(decision, reason, canonical), who.privateKey)) };
}

interface Timer {
  readonly at: number;
  readonly act: () => void;
}

export class TestDesk {
  readonly rows: ApprovalRow[] = [];
  readonly payloads: (RowPayload | null)[] = [];
  readonly desk: ApprovalDesk;
  /** Milliseconds of the wall clock, and of the steady one. */
  wall = 1_700_000_000_000;
  steady = 5000;
  policy: string = POLICY;
  /** What the log does with a row before it is durable. */
  write: (row: ApprovalRow) => Promise<void> = () => Promise.resolve();
  #timers: Timer[] = [];
  #serial = 0;

  constructor(parts: Partial<DeskParts> = {}) {
    this.desk = new ApprovalDesk({
      clock: { now: () => this.wall, mono: () => this.steady * 1000 },
      after: (ms, act) => {
        const timer = { at: this.steady + ms, act };
        this.#timers.push(timer);
        return () => {
          this.#timers = this.#timers.filter((other) => other !== timer);
        };
      },
      randomHex: (bytes) => (this.#serial += 1).toString(16).padStart(2 * bytes, '0'),
      record: async (row, payload) => {
        await this.write(row);
        this.rows.push(row);
        this.payloads.push(payload);
      },
      verify: verifyEd25519,
      identity: () => ({ origin: 'local/files/0', auditKey: 'b'.repeat(64) }),
      policy: () => this.policy,
      session: 'f'.repeat(16),
      ...parts,
    });
  }

  get timers(): number {
    return this.#timers.length;
  }

  /** Lets that much time pass: timers fire in their order. */
  async pass(ms: number): Promise<void> {
    const until = this.steady + ms;
    for (;;) {
      const next = this.#timers.filter((timer) => timer.at <= until).sort((left, right) => left.at - right.at)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.wall += Math.max(0, next.at - this.steady);
      this.steady = Math.max(this.steady, next.at);
      next.act();
      await settled();
    }
    this.wall += until - this.steady;
    this.steady = until;
    await settled();
  }

  get changes(): string[] {
    return this.rows.map((row) => (row.code === null ? row.change : `${row.change} ${row.code}`));
  }

  /** The only open ticket. */
  async only(): Promise<{ id: string; canonical: Uint8Array }> {
    await settled();
    const open = this.desk.list().filter(({ state }) => state === 'pending' || state === 'approved');
    const [first] = open;
    if (first === undefined || open.length !== 1) throw new Error(`${open.length} open tickets`);
    return first;
  }

  /** Decides on the only open ticket. */
  async decide(who: Signer, decision: Decision = 'approve', reason = ''): Promise<string> {
    const { id, canonical } = await this.only();
    const outcome = await this.desk.decide(id, attemptOf(who, canonical, decision, reason));
    await settled();
    return outcome.kind === 'refused' ? outcome.code : outcome.state;
  }
}

/** Lets everything happen that waits for nothing but its turn. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 40; turn += 1) await Promise.resolve();
}

export const never: AbortSignal = new AbortController().signal;
