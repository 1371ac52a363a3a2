// SPDX-License-Identifier: Apache-2.0
/**
 * Puts a new audit key in place of the old one. In each log that the old key signs, a last row, signed by it, names the new
 * key; the first row of the next epoch, signed by the new one, names where the old one ended: each signs over the other.
 * A rotation that was cut off is finished by running it again; until then no gateway starts (audit reference, 2.9).
 */
import { Unavailable } from '../../shared/errors.ts';
import type { KeyPlace } from './custody.ts';
import { gone } from './custody.ts';
import { amend } from './amend.ts';
import { epochsIn } from './files.ts';
import type { AuditKey } from './key.ts';
import { lockKeys, noteKey, readKnownKeys } from './known-keys.ts';
import { signerOf } from './recover.ts';
import type { LogDirectory } from './slots.ts';
import { takeDirectory } from './slots.ts';
import { addTrust } from './trust.ts';

export interface RotateOptions {
  readonly place: KeyPlace;
  readonly stateDir: string;
  /** Directories of logs; those that another key signs are left alone. */
  readonly dirs: readonly string[];
  /** 16 hex digits of this run. */
  readonly session: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Called before each log that is handed over. */
  readonly progress: (dir: string) => void;
}

export interface Rotated {
  readonly from: string;
  readonly to: string;
  /** Logs that were handed over, in this run. */
  readonly logs: number;
}

/** @throws Unavailable AUDIT_LOCKED while a gateway writes one of the logs, AUDIT_KEY, AUDIT_CORRUPT, AUDIT_ROLLBACK */
export async function rotateKey(options: RotateOptions): Promise<Rotated> {
  const { place, stateDir } = options;
  const lock = lockKeys(stateDir);
  const held: LogDirectory[] = [];
  try {
    const old = await place.load();
    if (old === null) throw gone(place.where);
    const waiting = await place.loadNext();
    checkKnown(options, old, waiting);
    const next = waiting ?? (await place.createNext());
    try {
      for (const dir of options.dirs) held.push(takeDirectory(dir));
    } catch (error) {
      // Nothing was handed over yet, if this run made the key: a gateway may start again.
      if (waiting === null) await place.dropNext();
      throw error;
    }
    const logs = old.fingerprint === next.fingerprint ? 0 : handOverAll(options, old, next);
    noteKey(stateDir, place.where, next.fingerprint);
    if (old.fingerprint !== next.fingerprint) await place.promote();
    if ((await place.load())?.fingerprint !== next.fingerprint) throw gone(place.where);
    await place.dropNext();
    return { from: old.fingerprint, to: next.fingerprint, logs };
  } finally {
    for (const { lock: writer } of held) writer.release();
    lock.release();
  }
}

/** A key that somebody put there is not what may name its successor. */
function checkKnown({ place, stateDir }: RotateOptions, old: AuditKey, waiting: AuditKey | null): void {
  const known = readKnownKeys(stateDir).get(place.where);
  if (known === undefined || known === old.fingerprint || known === waiting?.fingerprint) return;
  throw new Unavailable('AUDIT_KEY', `the audit key in ${place.where} is not the one that was there`, 'restore the right one first');
}

function handOverAll(options: RotateOptions, old: AuditKey, next: AuditKey): number {
  let logs = 0;
  for (const dir of options.dirs) {
    if (epochsIn(dir).length === 0) continue;
    const signer = signerOf(dir);
    // A log that no gateway wrote since the last rotation was handed over to the key that is the old one now.
    const idle = signer?.handedTo === old.fingerprint;
    if (signer === null || (signer.key !== old.fingerprint && !idle)) continue;
    if (signer.handedTo === null || idle) {
      options.progress(dir);
      handOver(options, dir, old, next);
      logs += 1;
    } else if (signer.handedTo !== next.fingerprint) {
      throw new Unavailable('AUDIT_KEY', `the log in ${dir} was handed over to another key`, 'restore that key, or move the directory away');
    }
    // As a start does: a log that the trust file lost is known by its keys from now on.
    for (const { fingerprint } of [old, next]) addTrust(options.stateDir, signer.log, fingerprint);
  }
  return logs;
}

function handOver(options: RotateOptions, dir: string, old: AuditKey, next: AuditKey): void {
  const { session, now, stateDir } = options;
  amend({ dir, stateDir, key: old, session, now, boot: null }, (writer) => {
    writer.commit([{ fields: { kind: 'rotate', session, key: old.fingerprint, next: next.fingerprint }, payload: null, wall: now(), mono: 0 }]);
  });
}
