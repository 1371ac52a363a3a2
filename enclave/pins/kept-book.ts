// SPDX-License-Identifier: Apache-2.0
/** The pins of one server in a lockfile, and what a state folder remembers of them; one for all clients of a process. */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { sha256Hex } from '../../shared/digest.ts';
import { Unavailable } from '../../shared/errors.ts';
import { canonicalJson } from '../../shared/json/canonical.ts';
import type { JsonValue } from '../../shared/json/value.ts';
import type { FreshPin, PinBook, PinChange, Seen } from './book.ts';
import type { PinKind } from './item.ts';
import { PIN_KINDS } from './item.ts';
import type { JudgedItem, ServerPins } from './judge.ts';
import { entryOf, isBlocked } from './judge.ts';
import { changeLockfile, loadLockfile, resolvedLockfile, withEntries } from './lockfile.ts';
import { Snapshots } from './snapshots.ts';
import type { Pending, PinState, Recorded } from './state.ts';
import { changePinState, readPinState, readPinStates, snapshotsDir } from './state.ts';

export interface PinPlace {
  /** The lockfile. */
  readonly path: string;
  readonly server: string;
  readonly stateDir: string;
}

/** The pins of one server as a flat list, in a fixed order. */
export function flat(pins: ServerPins): readonly Recorded[] {
  return PIN_KINDS.flatMap((kind) =>
    [...(pins.get(kind) ?? [])]
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([name, { pin, rejected }]) => ({ kind, name, sha256: pin?.sha256 ?? null, rejected })),
  );
}

function keyOf(kind: PinKind, name: string): string {
  return `${kind}\0${name}`;
}

/** What became of the pins since their rows were written. */
export function changesSince(recorded: readonly Recorded[], pins: ServerPins): readonly PinChange[] {
  const before = new Map(recorded.map((one) => [keyOf(one.kind, one.name), one]));
  const changes: PinChange[] = [];
  for (const { kind, name, sha256, rejected } of flat(pins)) {
    const old = before.get(keyOf(kind, name));
    before.delete(keyOf(kind, name));
    const was = old?.sha256 ?? null;
    if (sha256 !== null && sha256 !== was) {
      // One that no person touched was pinned by another gateway when it first saw it.
      const byPerson = was !== null || entryOf(pins, kind, name).pin?.accepted !== null;
      changes.push({ kind, name, change: byPerson ? 'accepted' : 'new', digest: sha256, was });
    }
    if (sha256 === null && was !== null) changes.push({ kind, name, change: 'removed', digest: was, was });
    for (const digest of rejected) if (old?.rejected.includes(digest) !== true) changes.push({ kind, name, change: 'rejected', digest, was: sha256 });
  }
  for (const { kind, name, sha256 } of before.values()) if (sha256 !== null) changes.push({ kind, name, change: 'removed', digest: sha256, was: sha256 });
  return changes;
}

/** True for what a person has to look at. New things that may be used are pinned as they are seen. */
function waits(item: JudgedItem): item is JudgedItem & { change: 'new' | 'drift' } {
  return item.change === 'drift' || (item.change === 'new' && isBlocked(item));
}

/** What waits after a listing or an answer was judged; the same list if that is what waited before. */
export function pendingAfter(before: readonly Pending[], { items, at }: Seen): readonly Pending[] {
  const pending = new Map(before.map((one) => [keyOf(one.kind, one.name), one]));
  let changed = false;
  for (const item of items) {
    const key = keyOf(item.kind, item.name);
    const old = pending.get(key);
    if (!waits(item)) {
      changed = pending.delete(key) || changed;
      continue;
    }
    const blocked = isBlocked(item);
    if (old?.digest === item.digest && old.was === item.was && old.blocked === blocked) continue;
    changed = true;
    // The newest stand last: of too many, the oldest go.
    pending.delete(key);
    pending.set(key, { kind: item.kind, name: item.name, change: item.change, digest: item.digest, was: item.was, blocked, since: old?.digest === item.digest ? old.since : at });
  }
  return changed ? [...pending.values()] : before;
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
}

interface Loaded {
  readonly stamp: string;
  readonly pins: ServerPins;
  readonly version: string;
}

class KeptBook implements PinBook {
  readonly #place: PinPlace;
  readonly #snapshots: Snapshots;
  #loaded: Loaded | null = null;
  /** What the state folder remembers, or would if it could be written. */
  #state: PinState | null = null;
  #recordedVersion: string | null = null;
  #recording: Promise<void> = Promise.resolve();
  #problem: string | null = null;

  constructor(place: PinPlace) {
    this.#place = place;
    this.#snapshots = new Snapshots(snapshotsDir(place.stateDir));
  }

  async version(): Promise<string> {
    return (await this.#load()).version;
  }

  async read(): Promise<ServerPins> {
    return (await this.#load()).pins;
  }

  /** Reads the file only if it changed: each change gives it another inode, time or size. */
  async #load(): Promise<Loaded> {
    const { path, server } = this.#place;
    const stamp = await stat(path, { bigint: true }).then(
      ({ ino, size, mtimeNs, ctimeNs }) => `${ino} ${size} ${mtimeNs} ${ctimeNs}`,
      (error: unknown) => codeOf(error),
    );
    const last = this.#loaded;
    if (last !== null && last.stamp === stamp) return last;
    const pins: ServerPins = (await loadLockfile(path)).get(server) ?? new Map();
    const form = flat(pins).map(({ kind, name, sha256, rejected }): JsonValue => [kind, name, sha256, [...rejected]]);
    this.#loaded = { stamp, pins, version: sha256Hex(canonicalJson(form)) };
    return this.#loaded;
  }

  async add(fresh: readonly FreshPin[]): Promise<void> {
    const { path, server } = this.#place;
    let added: readonly FreshPin[] = [];
    await changeLockfile(path, (file) => {
      const there: ServerPins = file.get(server) ?? new Map();
      added = fresh.filter(({ kind, name }) => entryOf(there, kind, name).pin === null);
      return added.length === 0 ? null : withEntries(file, server, added.map(({ kind, name, pin }) => ({ kind, name, apply: (entry) => ({ ...entry, pin }) })));
    });
    if (added.length === 0) return;
    // Their rows were written before.
    await this.#change((state) => {
      const own = new Map((state.recorded ?? []).map((one) => [keyOf(one.kind, one.name), one]));
      for (const { kind, name, pin } of added) own.set(keyOf(kind, name), { kind, name, sha256: pin.sha256, rejected: own.get(keyOf(kind, name))?.rejected ?? [] });
      return { ...state, recorded: [...own.values()] };
    });
  }

  recordChanges(record: (change: PinChange) => Promise<void>): Promise<void> {
    const run = this.#recording.then(() => this.#record(record));
    this.#recording = run.catch(() => undefined);
    return run;
  }

  async #record(record: (change: PinChange) => Promise<void>): Promise<void> {
    const { version, pins } = await this.#load();
    if (version === this.#recordedVersion) return;
    const { recorded } = await this.#reread();
    const changes = recorded === null ? [] : changesSince(recorded, pins);
    await Promise.all(changes.map(record));
    if (recorded === null || changes.length > 0) await this.#change((state) => ({ ...state, recorded: flat(pins) }));
    this.#recordedVersion = version;
  }

  async remember(seen: Seen): Promise<string | null> {
    this.#problem = null;
    try {
      await this.#snapshots.keep(seen.items, () => this.#needed());
    } catch (error) {
      this.#problem = codeOf(error);
    }
    // Another process may have settled what this one remembers.
    const state = seen.items.some(waits) ? await this.#reread() : await this.#remembered();
    if (pendingAfter(state.pending, seen) !== state.pending) {
      await this.#change((now) => {
        const pending = pendingAfter(now.pending, seen);
        return pending === now.pending ? now : { ...now, pending };
      });
    }
    return this.#problem;
  }

  async #lockfile(): Promise<string> {
    return resolvedLockfile(this.#place.path).catch(() => resolve(this.#place.path));
  }

  /** A state folder that cannot be used makes no call fail: this process then remembers by itself. */
  async #reread(): Promise<PinState> {
    const lockfile = await this.#lockfile();
    const { stateDir, server } = this.#place;
    try {
      const kept = await readPinState(stateDir, lockfile, server);
      // One that could never be written has nothing; what this process remembers then counts.
      if (kept.recorded !== null || this.#state === null || this.#state.recorded === null) this.#state = kept;
    } catch (error) {
      this.#problem = codeOf(error);
    }
    this.#state ??= { lockfile, server, recorded: null, pending: [] };
    return this.#state;
  }

  async #remembered(): Promise<PinState> {
    return this.#state ?? this.#reread();
  }

  async #change(change: (state: PinState) => PinState): Promise<void> {
    const before = await this.#remembered();
    const { stateDir } = this.#place;
    try {
      this.#state = await changePinState(stateDir, before.lockfile, before.server, change);
    } catch (error) {
      this.#problem = error instanceof Unavailable ? error.code : codeOf(error);
      this.#state = change(before);
    }
  }

  /** Digests that some pin or some decision of a person's refers to. */
  async #needed(): Promise<ReadonlySet<string>> {
    const needed = new Set<string>();
    for (const { recorded, pending } of await readPinStates(this.#place.stateDir)) {
      for (const { sha256 } of recorded ?? []) if (sha256 !== null) needed.add(sha256);
      for (const { digest, was } of pending) needed.add(digest).add(was ?? digest);
    }
    return needed;
  }
}

/** The pins of one server in a lockfile. */
export function openPinBook(place: PinPlace): PinBook {
  return new KeptBook(place);
}
