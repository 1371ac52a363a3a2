// SPDX-License-Identifier: Apache-2.0
/** Writes single rows into a log that no gateway writes, for the commands that look after logs. The caller holds its lock. */
import type { RowMembers } from '../../shared/audit/body.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import type { AuditKey } from './key.ts';
import type { Continuation } from './recover.ts';
import { findContinuation, signerOf } from './recover.ts';
import { addTrust, readTrust, trustPath } from './trust.ts';
import { LogWriter } from './writer.ts';

export interface AmendOptions {
  readonly dir: string;
  readonly stateDir: string;
  readonly key: AuditKey;
  /** 16 hex digits of this run. */
  readonly session: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** What the boot row of the command repeats; null: what the last epoch said. */
  readonly boot: JsonObject | null;
  /** Where to write, if not where the log ends. */
  readonly place?: Continuation;
}

/** What the command's boot row repeats from the one before: it stands in for the gateway. */
const REPEATED = ['kind', 'version', 'node', 'server', 'policy', 'mode', 'order', 'signature', 'payload'];

function bootOf(boot: JsonObject, session: string): RowMembers {
  const members: Record<string, string> = { session };
  for (const name of REPEATED) {
    const value = boot[name];
    if (typeof value === 'string') members[name] = value;
  }
  return members;
}

/**
 * Runs `write` with a writer at the end of the log. A key that is not the one of the last epoch begins the next.
 * @throws Unavailable AUDIT_CORRUPT, AUDIT_ROLLBACK, AUDIT_KEY
 */
export function amend(options: AmendOptions, write: (writer: LogWriter) => void): void {
  const { dir, key, stateDir, session, now } = options;
  const before = signerOf(dir);
  const place = options.place ?? findContinuation(dir, key.fingerprint, readTrust(trustPath(stateDir)));
  addTrust(stateDir, place.log, key.fingerprint);
  const writer = new LogWriter(place, { key, payload: 'none', scrubber: { json: () => null, text: () => null }, clock: () => 0 });
  try {
    const boot = options.boot ?? before?.boot;
    if (boot === undefined) throw new TypeError('there is no log to amend');
    // Its own start: the monotonic times of its rows begin with it.
    writer.boot(bootOf(boot, session), now(), 0);
    write(writer);
    writer.anchor();
  } finally {
    writer.close();
  }
}
