// SPDX-License-Identifier: Apache-2.0
/**
 * What a state folder remembers of the pins of one server: those whose rows were written, so that a change made by a
 * person is recorded once; and what waits for a person to look at it.
 */
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256Hex } from '../../shared/digest.ts';
import { wireJson } from '../../shared/json/canonical.ts';
import { parseStrictJson } from '../../shared/json/parse.ts';
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { isJsonObject, jsonObject } from '../../shared/json/value.ts';
import { PIN_STATE_BYTES_MAX, PIN_STATES_MAX, PINS_PENDING_MAX } from '../../shared/limits.ts';
import type { PinKind } from './item.ts';
import { isPinKind } from './item.ts';
import { replaceFile, withLock } from './lock.ts';

/** What a person may accept or reject. */
export interface Pending {
  readonly kind: PinKind;
  /** As the server calls it (attacker-controlled). */
  readonly name: string;
  readonly change: 'new' | 'drift';
  readonly digest: string;
  /** Digest of the pin at that time; null where there was none. */
  readonly was: string | null;
  /** True where clients do without it until then. */
  readonly blocked: boolean;
  /** ISO time at which this digest was first seen. */
  readonly since: string;
}

/** One pin as it was when its row was written. */
export interface Recorded {
  readonly kind: PinKind;
  readonly name: string;
  readonly sha256: string | null;
  readonly rejected: readonly string[];
}

export interface PinState {
  /** The lockfile itself, links resolved. */
  readonly lockfile: string;
  readonly server: string;
  /** Null before the first time. */
  readonly recorded: readonly Recorded[] | null;
  readonly pending: readonly Pending[];
}

/** Where the objects are. */
export function snapshotsDir(stateDir: string): string {
  return join(stateDir, 'pins');
}

function statesDir(stateDir: string): string {
  return join(stateDir, 'pins', 'state');
}

function isDigest(value: JsonValue | undefined): value is string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}

function readRecorded(value: JsonValue): Recorded | null {
  if (!Array.isArray(value)) return null;
  const [kind, name, sha256 = null, rejected = []] = value;
  if (!isPinKind(kind) || typeof name !== 'string' || !Array.isArray(rejected)) return null;
  return { kind, name, sha256: isDigest(sha256) ? sha256 : null, rejected: rejected.filter(isDigest) };
}

function readPending(value: JsonValue): Pending | null {
  if (!isJsonObject(value)) return null;
  const { kind, name, change, digest, was, blocked, since } = value;
  if (!isPinKind(kind) || typeof name !== 'string' || (change !== 'new' && change !== 'drift') || !isDigest(digest)) return null;
  return { kind, name, change, digest, was: isDigest(was) ? was : null, blocked: blocked === true, since: typeof since === 'string' ? since : '' };
}

function listOf<T>(value: JsonValue | undefined, read: (value: JsonValue) => T | null): T[] {
  return Array.isArray(value) ? value.map(read).filter((one): one is T & NonNullable<unknown> => one !== null) : [];
}

/** Null for what is no state: then it is as if there were none. */
function parseState(bytes: Uint8Array): PinState | null {
  const parsed = parseStrictJson(bytes);
  if (!parsed.ok || !isJsonObject(parsed.value)) return null;
  const { version, lockfile, server, recorded, pending } = parsed.value;
  if (version !== 1 || typeof lockfile !== 'string' || typeof server !== 'string') return null;
  return { lockfile, server, recorded: Array.isArray(recorded) ? listOf(recorded, readRecorded) : null, pending: listOf(pending, readPending) };
}

function formatState({ lockfile, server, recorded, pending }: PinState): string {
  const known = recorded === null ? null : recorded.map(({ kind, name, sha256, rejected }): JsonValue => [kind, name, sha256, [...rejected]]);
  const waiting = pending.map((one): JsonObject => jsonObject({ ...one }));
  return `${wireJson(jsonObject({ version: 1, lockfile, server, recorded: known, pending: waiting }))}\n`;
}

async function readBytes(path: string): Promise<Buffer | null> {
  try {
    const bytes = await readFile(path);
    return bytes.length > PIN_STATE_BYTES_MAX ? null : bytes;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

function pathOf(stateDir: string, lockfile: string, server: string): string {
  return join(statesDir(stateDir), `${sha256Hex(`${lockfile}\0${server}`).slice(0, 16)}.json`);
}

/** What is remembered of one server. Rejects as the file system does. */
export async function readPinState(stateDir: string, lockfile: string, server: string): Promise<PinState> {
  const bytes = await readBytes(pathOf(stateDir, lockfile, server));
  const state = bytes === null ? null : parseState(bytes);
  return state !== null && state.lockfile === lockfile && state.server === server ? state : { lockfile, server, recorded: null, pending: [] };
}

/** What is remembered of all servers of all lockfiles. Rejects as the file system does. */
export async function readPinStates(stateDir: string): Promise<readonly PinState[]> {
  const names = await readdir(statesDir(stateDir)).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  });
  const states: PinState[] = [];
  for (const name of names.filter((one) => /^[0-9a-f]{16}\.json$/.test(one)).slice(0, PIN_STATES_MAX)) {
    const bytes = await readBytes(join(statesDir(stateDir), name));
    const state = bytes === null ? null : parseState(bytes);
    if (state !== null) states.push(state);
  }
  return states;
}

/** Changes what is remembered, under a lock; a change that gives the same object back writes nothing. */
export async function changePinState(stateDir: string, lockfile: string, server: string, change: (state: PinState) => PinState): Promise<PinState> {
  await mkdir(statesDir(stateDir), { recursive: true, mode: 0o700 });
  return withLock(join(statesDir(stateDir), '.lck'), async () => {
    const before = await readPinState(stateDir, lockfile, server);
    const after = change(before);
    if (after === before) return before;
    let bounded = { ...after, pending: after.pending.slice(-PINS_PENDING_MAX) };
    let text = formatState(bounded);
    // What would not be read again must not cost what was recorded: the oldest that wait go.
    while (Buffer.byteLength(text) > PIN_STATE_BYTES_MAX && bounded.pending.length > 0) {
      bounded = { ...bounded, pending: bounded.pending.slice(Math.ceil(bounded.pending.length / 2)) };
      text = formatState(bounded);
    }
    await replaceFile(pathOf(stateDir, lockfile, server), text, 0o600);
    return bounded;
  });
}
