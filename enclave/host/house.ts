// SPDX-License-Identifier: Apache-2.0
/** What local mode is built from: the log in place, the pins beside the policy, this machine's clock and randomness. */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { dirname, join, resolve } from 'node:path';
import type { BootRow } from '../../shared/audit/row.ts';
import { Unavailable } from '../../shared/errors.ts';
import type { Revision } from '../../shared/mcp/revisions.ts';
import { VERSION } from '../../shared/version.ts';
import type { AuditLog } from '../audit/log.ts';
import { openAuditLog } from '../audit/log.ts';
import type { LocalControl, LocalControlParts } from '../control/local.ts';
import { openControl } from '../control/local.ts';
import { Continuations } from '../exchange/continuations.ts';
import type { Clock, PolicySource } from '../exchange/parts.ts';
import { keepingOf, keySource } from './audit-place.ts';
import { sayFault } from '../fault.ts';
import type { StateSeal } from '../exchange/request-state.ts';
import { Room } from '../exchange/room.ts';
import { TaskOwners } from '../exchange/task-owners.ts';
import type { Log } from '../log.ts';
import type { House } from '../peer.ts';
import type { PinBook } from '../pins/book.ts';
import { emptyPinBook } from '../pins/book.ts';
import { openPinBook } from '../pins/kept-book.ts';
import { Shadows } from '../pins/shadow.ts';
import { Limiter } from '../policy/limiter.ts';
import type { Policy } from '../policy/types.ts';

export interface HouseOptions {
  readonly policy: Policy;
  readonly policyPath: string;
  readonly stateDir: string;
  /** What the log is named after. */
  readonly server: string;
  readonly log: Log;
  readonly minRevision: Revision | null;
}

/** The policy in force, which can be replaced. */
export class PolicyInForce implements PolicySource {
  #policy: Policy;

  constructor(policy: Policy) {
    this.#policy = policy;
  }

  get current(): Policy {
    return this.#policy;
  }

  /** From the next message on, the other policy counts. */
  replace(policy: Policy): void {
    this.#policy = policy;
  }
}

export interface LocalHouse extends House {
  readonly policies: PolicyInForce;
  readonly audit: AuditLog;
  /** Where people approve held calls; null where there is no place for its socket. */
  readonly control: LocalControl | null;
  /** 16 hex digits of this start. */
  readonly boot: string;
  pinsOf(server: string): PinBook;
  /** Writes the last row and closes the log. */
  close(reason: string): Promise<void>;
}

export const clock: Clock = {
  now: () => Date.now(),
  mono: () => Number(process.hrtime.bigint() / 1000n),
};

export function randomHex(bytes: number): string {
  return randomBytes(bytes).toString('hex');
}

const MAC_BYTES = 16;

/** Under a key of this start: a state of an earlier start, or of another gateway, does not open. */
function createSeal(): StateSeal {
  const key = randomBytes(32);
  const mac = (text: string, context: string): Buffer => createHmac('sha256', key).update(`${context}\0${text}`).digest().subarray(0, MAC_BYTES);
  return {
    seal: (text, context) => Buffer.concat([mac(text, context), Buffer.from(text, 'utf8')]).toString('base64url'),
    open: (sealed, context) => {
      const bytes = Buffer.from(sealed, 'base64url');
      // Base64url decoding skips what it does not know: only the one spelling that was given out opens.
      if (bytes.length < MAC_BYTES || bytes.toString('base64url') !== sealed) return null;
      const text = bytes.subarray(MAC_BYTES).toString('utf8');
      return timingSafeEqual(mac(text, context), bytes.subarray(0, MAC_BYTES)) ? text : null;
    },
  };
}

function bootFields(options: HouseOptions, session: string): Omit<BootRow, 'key' | 'key_custody' | 'prev_origin' | 'prev_size' | 'prev_root'> {
  const { audit, digest } = options.policy;
  return {
    kind: 'boot',
    version: VERSION,
    node: process.versions.node,
    server: options.server,
    session,
    policy: digest,
    mode: options.policy.mode,
    order: audit.order,
    signature: audit.signature,
    payload: audit.payload === 'redacted' && audit.readers.length > 0 ? 'sealed' : audit.payload,
  };
}

function openLog(options: HouseOptions, session: string): Promise<AuditLog> {
  const { audit, scrubPatterns } = options.policy;
  const folder = dirname(resolve(options.policyPath));
  return openAuditLog({
    dir: audit.path === null ? null : resolve(folder, audit.path),
    stateDir: options.stateDir,
    server: options.server,
    key: keySource(audit, folder),
    boot: bootFields(options, session),
    payload: audit.payload,
    signature: audit.signature,
    keeping: keepingOf(audit),
    readers: audit.payload === 'none' ? [] : audit.readers,
    clock,
    scrubPatterns,
    wall: clock.now(),
    mono: clock.mono(),
  });
}

/** The desk for held calls and its socket; null where there can be none and the policy names nobody who could use it. */
async function openDesk(parts: LocalControlParts, policy: Policy, log: Log): Promise<LocalControl | null> {
  try {
    return await openControl(parts);
  } catch (error) {
    if (!(error instanceof Unavailable) || policy.approval.approvers.size > 0) throw error;
    log.warn(error.code, error.message, error.hint);
    return null;
  }
}

/** Opens the log and says where it is. */
export async function openHouse(options: HouseOptions): Promise<LocalHouse> {
  const { policy, log, policyPath } = options;
  const boot = randomHex(8);
  const audit = await openLog(options, boot);
  log.info(`${options.server}: log ${audit.dir}`);
  const folder = dirname(resolve(policyPath));
  const lockfile = policy.pinning.path === null ? join(folder, 'bastion.lock.yaml') : resolve(folder, policy.pinning.path);
  const policies = new PolicyInForce(policy);
  const fault = (error: unknown): void => sayFault(log, 'the control socket', error);
  const shared = { audit, clock, randomHex, policies, name: options.server, session: boot, stateDir: options.stateDir, fault };
  const control = await openDesk(shared, policy, log).catch(async (error: unknown) => {
    await audit.close();
    throw error;
  });
  return {
    policies,
    recorder: audit,
    audit,
    log,
    clock,
    randomHex,
    room: new Room(),
    taskOwners: new TaskOwners(),
    eras: new Map(),
    minRevision: options.minRevision,
    seal: createSeal(),
    continuations: new Continuations(),
    limiter: new Limiter(),
    shadows: new Shadows(),
    ...(control === null ? {} : { approvals: control.desk }),
    control,
    boot,
    pinsOf: (server) => (policy.pinning.enabled ? openPinBook({ path: lockfile, server, stateDir: options.stateDir }) : emptyPinBook()),
    close: async (reason) => {
      const fields = { kind: 'close', session: boot, reason } as const;
      try {
        await control?.close();
        await audit.append({ fields, payload: null, wall: clock.now(), mono: clock.mono() });
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error;
        log.error(error.code, error.message, error.hint);
      }
      await audit.close();
      await policies.current.close();
    },
  };
}
