// SPDX-License-Identifier: Apache-2.0
/** The desk and the control socket of local mode, on this machine's clock, timers and log. */
import { ApprovalDesk } from '../approval/desk.ts';
import { verifyEd25519 } from '../approval/ed25519.ts';
import type { After } from '../approval/entry.ts';
import type { AuditLog } from '../audit/log.ts';
import { VERSION } from '../../shared/version.ts';
import { createControl } from './api.ts';
import { listenControl } from './socket.ts';

export interface LocalControlParts {
  readonly audit: Pick<AuditLog, 'append' | 'dir' | 'origin' | 'keyFingerprint'>;
  readonly clock: { readonly now: () => number; readonly mono: () => number };
  readonly randomHex: (bytes: number) => string;
  /** The policy in force. */
  readonly policies: { readonly current: { readonly digest: string } };
  /** Server id, or what a log of several servers is named after. */
  readonly name: string;
  /** 16 hex digits of this start. */
  readonly session: string;
  readonly stateDir: string;
  readonly fault: (error: unknown) => void;
}

export interface LocalControl {
  readonly desk: ApprovalDesk;
  /** Path of the control socket. */
  readonly path: string;
  /** Voids what is open and takes the socket away; before the log is closed. */
  close(): Promise<void>;
}

/** Timers that keep no process alive. */
const after: After = (ms, act) => {
  const timer = setTimeout(act, ms);
  timer.unref();
  return () => clearTimeout(timer);
};

/** Rejects with Unavailable (LISTEN_FAILED) where there can be no socket. */
export async function openControl(parts: LocalControlParts): Promise<LocalControl> {
  const { audit, clock, randomHex, policies, name, session, stateDir, fault } = parts;
  const started = clock.now();
  const desk = new ApprovalDesk({
    clock,
    after,
    randomHex,
    record: async (fields, payload) => {
      await audit.append({ fields, payload, wall: clock.now(), mono: clock.mono() });
    },
    verify: verifyEd25519,
    identity: () => ({ origin: audit.origin, auditKey: audit.keyFingerprint }),
    policy: () => policies.current.digest,
    session,
  });
  const status = () => ({ version: VERSION, name, policy: policies.current.digest, log: audit.dir, origin: audit.origin, pid: process.pid, started });
  const socket = await listenControl({ stateDir, control: createControl({ desk, status, after }), randomHex, fault });
  return {
    desk,
    path: socket.path,
    close: async () => {
      try {
        await socket.close();
      } finally {
        await desk.close();
      }
    },
  };
}
