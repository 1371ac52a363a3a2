// SPDX-License-Identifier: Apache-2.0
/** What waits for a person, and what a person decides: the lockfile changes, and a running gateway follows it. */
import { PIN_REJECTIONS_MAX } from '../../shared/limits.ts';
import type { PinEntry } from './judge.ts';
import { entryOf } from './judge.ts';
import type { Lockfile } from './lockfile.ts';
import { changeLockfile, loadLockfile, resolvedLockfile, withEntries } from './lockfile.ts';
import type { Pending } from './state.ts';
import { readPinStates } from './state.ts';

export interface Waiting extends Pending {
  readonly server: string;
  /** What is pinned now; null where nothing is. */
  readonly pinned: string | null;
  /** A person refused it: it is blocked, and asked of nobody. */
  readonly isRejected: boolean;
}

export interface Overview {
  /** The lockfile itself, links resolved. */
  readonly path: string;
  readonly file: Lockfile;
  readonly waiting: readonly Waiting[];
}

/** The pins of a lockfile, and what a state folder says waits for a decision on them. @throws Unavailable PIN_STORE */
export async function overview(lockfile: string, stateDir: string): Promise<Overview> {
  const path = await resolvedLockfile(lockfile);
  const [file, states] = [await loadLockfile(path), await readPinStates(stateDir)];
  const waiting = states
    .filter((state) => state.lockfile === path)
    .flatMap(({ server, pending }) =>
      pending.map((one): Waiting => {
        const { pin, rejected } = entryOf(file.get(server) ?? new Map(), one.kind, one.name);
        return { ...one, server, change: pin === null ? 'new' : 'drift', pinned: pin?.sha256 ?? null, isRejected: rejected.includes(one.digest) };
      }),
    )
    // The gateway forgets it when it judges it again.
    .filter((one) => one.pinned !== one.digest);
  return { path, file, waiting };
}

function accepted({ digest, since }: Waiting, at: string): (entry: PinEntry) => PinEntry {
  return ({ rejected }) => ({ pin: { sha256: digest, firstSeen: since, accepted: at }, rejected: rejected.filter((one) => one !== digest) });
}

function rejected({ digest }: Waiting): (entry: PinEntry) => PinEntry {
  return (entry) => ({ ...entry, rejected: [...entry.rejected.filter((one) => one !== digest), digest].slice(-PIN_REJECTIONS_MAX) });
}

/**
 * Writes a decision into the lockfile. False, and nothing is written, if something else is pinned there meanwhile than
 * what the person compared with.
 *
 * @param at ISO time
 * @throws Unavailable PIN_STORE
 */
export async function decide(path: string, decision: 'accept' | 'reject', chosen: readonly Waiting[], at: string): Promise<boolean> {
  let stands = true;
  await changeLockfile(path, (file) => {
    stands = chosen.every(({ server, kind, name, pinned }) => (entryOf(file.get(server) ?? new Map(), kind, name).pin?.sha256 ?? null) === pinned);
    if (!stands) return null;
    let next = file;
    for (const server of new Set(chosen.map((one) => one.server))) {
      const own = chosen.filter((one) => one.server === server);
      next = withEntries(next, server, own.map((one) => ({ kind: one.kind, name: one.name, apply: decision === 'accept' ? accepted(one, at) : rejected(one) })));
    }
    return next;
  });
  return stands;
}
