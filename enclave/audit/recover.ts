// SPDX-License-Identifier: Apache-2.0
/**
 * Finds out where a log goes on. What is there is checked before anything is written beside it: a log that is not as it
 * was left is refused, never mended and never replaced by a new one.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { AnchorChain, anchorGenesis, parseAnchorLine } from '../../shared/audit/anchor.ts';
import { genesisHash, parseBody } from '../../shared/audit/body.ts';
import type { RowBody } from '../../shared/audit/body.ts';
import type { Note, SignedCheckpoint } from '../../shared/audit/checkpoint.ts';
import { fingerprintOf, keyIdOf, originOf, parseNote, parseVkey, signedByKey, verifyCheckpoint } from '../../shared/audit/checkpoint.ts';
import { Frontier, HASH_BYTES, leafHash, rootOf, TILE_WIDTH, tileHashes, Tiler } from '../../shared/audit/merkle.ts';
import { UnreadableSegment } from '../../shared/audit/source.ts';
import type { StoredCheckpoint } from '../../shared/audit/source.ts';
import type { Trust } from '../../shared/audit/verify.ts';
import { equalBytes, fromHex, toHex } from '../../shared/bytes.ts';
import { Unavailable } from '../../shared/errors.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { RECOVERY_ROWS_MAX } from '../../shared/limits.ts';
import type { AnchorPosition } from './anchors.ts';
import { anchorPath, epochsIn, orphanEpochs, segmentPath } from './files.ts';
import type { Custody } from './key.ts';
import { createNativeVerify } from './key.ts';
import { SegmentReader, readAnchorLines } from './reader.ts';
import { openInPlace } from './snapshot.ts';

/** The tree of a segment as far as it goes. */
export interface TreeState {
  readonly frontier: Frontier;
  readonly tiler: Tiler;
  /** What the next row names as the row before it, hex. */
  readonly prev: string;
}

/** Where the next row is written. */
export interface Continuation {
  /** 32 hex digits. */
  readonly log: string;
  readonly epoch: number;
  readonly path: string;
  /** True if the segment does not exist yet. */
  readonly begin: boolean;
  readonly tree: TreeState;
  /** Seconds of the last checkpoint; the next one is not older. */
  readonly timestamp: number;
  readonly anchor: AnchorPosition;
  /** Milliseconds since 1970 of the segment's first row; 0 if it does not exist yet. */
  readonly begun: number;
  /** For the first row of an epoch that follows another. */
  readonly previous: { readonly origin: string; readonly size: number; readonly root: string } | null;
}

function corrupt(path: string, what: string, cause?: unknown): Unavailable {
  return new Unavailable('AUDIT_CORRUPT', `the log ${path} ${what}`, 'run: mcp-bastion inspect-log --verify; move the directory away to begin a new log', cause);
}

function rolledBack(path: string): Unavailable {
  return new Unavailable('AUDIT_ROLLBACK', `the anchor file of ${path} covers rows that the log no longer holds`, 'restore the newer database; move the directory away to begin a new log');
}

function naturalOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

/**
 * Reads the last segment of a directory whose lock the caller holds.
 * @param rowsMax a longer log is read from its tiles and the rows since its last anchor line
 * @throws Unavailable AUDIT_CORRUPT, AUDIT_ROLLBACK, AUDIT_KEY
 */
export function findContinuation(dir: string, fingerprint: string, trust: Trust | null, rowsMax: number = RECOVERY_ROWS_MAX): Continuation {
  const epochs = epochsIn(dir);
  // Retention takes old segments and leaves their anchor files; the verifier looks for the row that says so.
  const orphan = orphanEpochs(dir).find((epoch) => epoch > (epochs.at(-1) ?? 0));
  if (orphan !== undefined) throw rolledBack(segmentPath(dir, orphan));
  const unbegun = epochs.at(-1);
  if (unbegun !== undefined && isUnbegun(segmentPath(dir, unbegun))) epochs.pop();
  const last = epochs.at(-1);
  if (last === undefined) return begin(dir, randomBytes(16).toString('hex'), 1, null);
  const path = segmentPath(dir, last);
  const found = inspect(path, last, trust, rowsMax);
  if (found.handedTo !== null && found.handedTo !== fingerprint) {
    throw new Unavailable('AUDIT_KEY', `the log ${path} was handed over to another key`, 'start once with the key that "mcp-bastion keys rotate" made; to begin a new log, move the directory away');
  }
  if (found.key === fingerprint) return found.continuation;
  return begin(dir, found.continuation.log, last + 1, found.head);
}

/** A segment that does not exist yet. `previous`: where the epoch before ends. */
export function begin(dir: string, log: string, epoch: number, previous: Continuation['previous']): Continuation {
  const id = fromHex(log) ?? new Uint8Array(0);
  return {
    log,
    epoch,
    path: segmentPath(dir, epoch),
    begin: true,
    tree: { frontier: new Frontier(), tiler: new Tiler(), prev: toHex(genesisHash(id)) },
    timestamp: 0,
    anchor: { count: 0, prev: anchorGenesis(originOf(log, epoch)), bytes: 0, size: 0 },
    begun: 0,
    previous,
  };
}

/** A start that ended before its first commit. With an anchor file beside it, rows were taken away. */
function isUnbegun(path: string): boolean {
  if (statSync(path).size > 0) {
    const reader = open(path);
    const empty = reader.schema === 'empty';
    reader.close();
    if (!empty) return false;
  }
  if (existsSync(anchorPath(path))) throw rolledBack(path);
  return true;
}

function open(path: string): SegmentReader {
  try {
    return new SegmentReader(path, openInPlace);
  } catch (error) {
    if (error instanceof UnreadableSegment) throw corrupt(path, 'cannot be read', error);
    throw error;
  }
}

/** What the end of a log lost: rows that its anchor file covers. */
export interface Loss {
  readonly log: string;
  readonly epoch: number;
  /** Rows that are there, and rows that were. */
  readonly from: number;
  readonly to: number;
  /** Root of the lost end, hex. */
  readonly root: string;
  /** What the next epoch names as the one before: what is left, or of an epoch that is gone, where it ended. */
  readonly head: NonNullable<Continuation['previous']>;
}

const ORIGIN = /\/([0-9a-f]{32})\/[0-9]+$/;

/**
 * Looks at a log that was refused with AUDIT_ROLLBACK. What is left of it is checked like a whole one.
 * @throws Unavailable AUDIT_CORRUPT if it is damaged in another way
 */
export function findLoss(dir: string, trust: Trust | null): Loss {
  const epoch = Math.max(0, ...epochsIn(dir), ...orphanEpochs(dir));
  const path = segmentPath(dir, epoch);
  const note = lastNote(path);
  const log = note === undefined ? undefined : ORIGIN.exec(note.origin)?.[1];
  if (note === undefined || log === undefined || note.origin !== originOf(log, epoch)) throw corrupt(path, 'has an anchor file that is not its own');
  const [to, root] = [note.size, toHex(note.root)];
  if (isBlank(path)) return { log, epoch, from: 0, to, root, head: { origin: note.origin, size: to, root } };
  const { head, continuation } = inspect(path, epoch, trust, RECOVERY_ROWS_MAX, false);
  return { log: continuation.log, epoch, from: head.size, to, root, head };
}

/** There is no row in it, and never was: not even the tables. */
function isBlank(path: string): boolean {
  if (!existsSync(path) || statSync(path).size === 0) return true;
  const reader = open(path);
  const blank = reader.schema === 'empty';
  reader.close();
  return blank;
}

function lastNote(path: string): Note | undefined {
  let last: Note | undefined;
  const lines = readAnchorLines(path);
  const first = parseAnchorLine(lines[0] ?? '');
  // The origin stands in the file itself: the chain begins with it.
  const origin = first === undefined ? undefined : parseNote(first.note)?.origin;
  if (origin === undefined) return undefined;
  const chain = new AnchorChain(lines, origin);
  for (; chain.head !== undefined; chain.advance()) last = chain.head.note;
  if (chain.brokenAt !== undefined) throw corrupt(path, 'has an anchor file that is damaged');
  return last;
}

interface Inspected {
  readonly key: string;
  /** The key that the last row hands the log over to. */
  readonly handedTo: string | null;
  readonly head: { readonly origin: string; readonly size: number; readonly root: string };
  readonly continuation: Continuation;
}

function inspect(path: string, epoch: number, trust: Trust | null, rowsMax: number, whole = true): Inspected {
  const reader = open(path);
  try {
    return inspectSegment(reader, path, epoch, trust, rowsMax, whole);
  } catch (error) {
    if (error instanceof UnreadableSegment) throw corrupt(path, 'cannot be read', error);
    throw error;
  } finally {
    reader.close();
  }
}

/** @param whole false: the anchor file may say that there were more rows */
function inspectSegment(reader: SegmentReader, path: string, epoch: number, trust: Trust | null, rowsMax: number, whole: boolean): Inspected {
  if (reader.schema !== 'expected') throw corrupt(path, "does not have exactly the log's tables");
  const unsound = reader.quickCheck();
  if (unsound !== null) throw corrupt(path, 'is damaged', unsound);
  const size = reader.lastCheckpointSize;
  if (size === 0 || reader.lastIdx + 1 !== size || reader.count() !== size) throw corrupt(path, 'has rows that are missing or not signed');
  const boot = firstRow(reader);
  if (boot?.kind !== 'boot' || boot.epoch !== epoch) throw corrupt(path, 'does not begin with its boot row');
  const origin = originOf(boot.log, epoch);
  const publicKey = keyOf(reader, path, boot, trust);
  const anchor = readAnchors(reader, path, origin, publicKey, whole);
  const signed = lastCheckpoint(reader, path, origin, publicKey);
  const tree = rebuild(reader, size, whole && size > rowsMax ? anchor.size : 0, signed.root) ?? rebuild(reader, size, 0, signed.root);
  if (tree === null) throw corrupt(path, 'has rows that do not match their signature');
  const root = toHex(signed.root);
  return {
    key: fingerprintOf(publicKey),
    handedTo: handedTo(reader),
    head: { origin, size, root },
    continuation: { log: boot.log, epoch, path, begin: false, tree, timestamp: signed.timestamp, anchor, begun: boot.wall, previous: null },
  };
}

function firstRow(reader: SegmentReader): RowBody | undefined {
  for (const entry of reader.entries()) {
    const parsed = entry.body instanceof Uint8Array ? parseBody(new TextDecoder().decode(entry.body)) : undefined;
    return entry.idx === 0 && parsed?.ok === true ? parsed.body : undefined;
  }
  return undefined;
}

/** The rows were checked against their signature before. */
function handedTo(reader: SegmentReader): string | null {
  const [entry] = reader.tail(1);
  const parsed = entry?.body instanceof Uint8Array ? parseBody(new TextDecoder().decode(entry.body)) : undefined;
  if (parsed?.ok !== true || parsed.body.kind !== 'rotate') return null;
  const next = parsed.body.members['next'];
  return typeof next === 'string' ? next : null;
}

function keyOf(reader: SegmentReader, path: string, boot: RowBody, trust: Trust | null): Uint8Array {
  const vkey = typeof reader.vkey === 'string' ? parseVkey(reader.vkey) : undefined;
  if (vkey?.kind !== 'key' || boot.members['key'] !== fingerprintOf(vkey.publicKey)) throw corrupt(path, 'does not name its key');
  const known = trust?.get(boot.log);
  if (known !== undefined && !known.has(fingerprintOf(vkey.publicKey))) {
    throw new Unavailable('AUDIT_KEY', `the log ${path} is signed by a key that does not belong to it`, 'move the directory away to begin a new log, and find out who wrote it');
  }
  return vkey.publicKey;
}

function readAnchors(reader: SegmentReader, path: string, origin: string, publicKey: Uint8Array, whole: boolean): AnchorPosition {
  const lines = reader.anchorLines();
  let bytes = 0;
  function* counted(): Generator<string> {
    for (const line of lines ?? []) {
      yield line;
      bytes += Buffer.byteLength(line) + 1;
    }
  }
  const chain = new AnchorChain(counted(), origin);
  let prev = anchorGenesis(origin);
  let size = 0;
  let last: SignedCheckpoint | undefined;
  for (; chain.head !== undefined; chain.advance()) {
    prev = chain.head.hash;
    size = chain.head.note.size;
    last = signedByKey(chain.head.note, publicKey);
    if (chain.head.note.origin !== origin || last === undefined) throw corrupt(path, 'has an anchor file that is not its own');
  }
  if (chain.brokenAt !== undefined) throw corrupt(path, 'has an anchor file that is damaged');
  if (last === undefined) {
    if (reader.lastCheckpointSize > 1) throw corrupt(path, 'has lost its anchor file');
  } else if (!verifyCheckpoint(last, publicKey, createNativeVerify())) {
    throw corrupt(path, 'has an anchor file that it did not sign');
  }
  if (whole && size > reader.lastCheckpointSize) throw rolledBack(path);
  return { count: chain.count, prev, bytes, size };
}

function lastCheckpoint(reader: SegmentReader, path: string, origin: string, publicKey: Uint8Array): SignedCheckpoint {
  const size = reader.lastCheckpointSize;
  const [stored] = reader.checkpoints(size - 1);
  const signed = stored === undefined ? undefined : signedOf(stored, origin);
  if (signed?.size !== size || !equalBytes(signed.keyId, keyIdOf(origin, publicKey)) || !verifyCheckpoint(signed, publicKey, createNativeVerify())) {
    throw corrupt(path, 'ends with a signature that does not verify');
  }
  return signed;
}

function signedOf(stored: StoredCheckpoint, origin: string): SignedCheckpoint | undefined {
  const { root, keyId, sig: signature } = stored;
  const size = naturalOf(stored.size);
  const timestamp = naturalOf(stored.ts);
  if (!(root instanceof Uint8Array) || root.length !== HASH_BYTES || !(keyId instanceof Uint8Array) || !(signature instanceof Uint8Array)) return undefined;
  return size === undefined || timestamp === undefined ? undefined : { origin, size, root, timestamp, keyId, signature };
}

/**
 * The tree from the stored tiles up to the last full one before `anchored` and from the rows after it. Null if the rows do not come to the signed root.
 */
function rebuild(reader: SegmentReader, size: number, anchored: number, root: Uint8Array): TreeState | null {
  const frontier = new Frontier();
  const tiler = new Tiler();
  if (anchored > 0 && !resumeFromTiles(reader, Math.floor(anchored / TILE_WIDTH), frontier, tiler)) return null;
  let prev = '';
  for (const entry of reader.entries(frontier.size - 1)) {
    if (!(entry.body instanceof Uint8Array) || !(entry.leaf instanceof Uint8Array)) return null;
    const leaf = leafHash(entry.body);
    if (!equalBytes(leaf, entry.leaf)) return null;
    frontier.append(leaf);
    tiler.append(leaf);
    prev = toHex(leaf);
  }
  if (prev === '') prev = lastLeaf(reader);
  return frontier.size === size && equalBytes(frontier.root(), root) ? { frontier, tiler, prev } : null;
}

/** The log may end with the last full tile. */
function lastLeaf(reader: SegmentReader): string {
  const [entry] = reader.tail(1);
  return entry?.leaf instanceof Uint8Array ? toHex(entry.leaf) : '';
}

/** Brings frontier and tiler to so many full tiles of leaves: at each level, the hashes that no full tile above holds. */
function resumeFromTiles(reader: SegmentReader, leafTiles: number, frontier: Frontier, tiler: Tiler): boolean {
  const full: number[] = [];
  for (let count = leafTiles; count > 0; count = Math.floor(count / TILE_WIDTH)) full.push(count);
  for (let level = full.length - 1; level >= 0; level -= 1) {
    const covered = (full[level + 1] ?? 0) * TILE_WIDTH;
    for (let n = covered; n < (full[level] ?? 0); n += 1) {
      const stored = reader.tile(level, n);
      const hashes = stored instanceof Uint8Array ? tileHashes(stored) : undefined;
      if (hashes === undefined) return false;
      const root = rootOf(hashes);
      frontier.appendSubtree(TILE_WIDTH ** (level + 1), root);
      tiler.appendAt(level + 1, root);
    }
    tiler.skip(level, full[level] ?? 0);
  }
  return true;
}

export interface Signer {
  readonly log: string;
  /** SHA-256 of the SPKI, hex. */
  readonly key: string;
  /** The key that the last row hands the log over to. */
  readonly handedTo: string | null;
  /** C2SP vkey of the last epoch. */
  readonly vkey: string;
  /** What its first row said of the gateway. */
  readonly boot: JsonObject;
}

/** Who signs a log, as its database says; null if there is no log. For the holder of the lock. */
export function signerOf(dir: string): Signer | null {
  return inLast(dir, (boot, reader) => {
    const key = boot.members['key'];
    return typeof key === 'string' && typeof reader.vkey === 'string' ? { log: boot.log, key, handedTo: handedTo(reader), vkey: reader.vkey, boot: boot.members } : null;
  });
}

const CUSTODIES: readonly Custody[] = ['file', 'keychain', 'systemd-credential', 'ephemeral'];

/** Custody of the key that wrote the last start of a log, null if there is no log. For the holder of the lock. */
export function lastCustody(dir: string): Custody | null {
  return inLast(dir, (boot) => CUSTODIES.find((known) => known === boot.members['key_custody']) ?? null);
}

/** What the last segment with rows says, null if there is none. */
function inLast<T>(dir: string, read: (boot: RowBody, reader: SegmentReader) => T | null): T | null {
  for (const epoch of epochsIn(dir).reverse()) {
    const path = segmentPath(dir, epoch);
    if (statSync(path).size === 0) continue;
    const reader = open(path);
    try {
      if (reader.schema === 'empty') continue;
      const boot = reader.schema === 'expected' ? firstRow(reader) : undefined;
      return boot === undefined ? null : read(boot, reader);
    } finally {
      reader.close();
    }
  }
  return null;
}
