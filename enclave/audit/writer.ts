// SPDX-License-Identifier: Apache-2.0
/**
 * Writes a log: bodies, tree, signature, transaction, anchor line, one commit group after the other. Runs in the log's
 * own thread, which it blocks. After anything it throws, it must not be used again: what it holds in memory may be ahead
 * of what is stored.
 */
import { hash, randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { buildBody, payloadPreimage } from '../../shared/audit/body.ts';
import type { Commitment, RowMembers } from '../../shared/audit/body.ts';
import type { SignedCheckpoint } from '../../shared/audit/checkpoint.ts';
import { cosignedMessage, keyIdOf, originOf, toVkey } from '../../shared/audit/checkpoint.ts';
import { leafHash } from '../../shared/audit/merkle.ts';
import type { Tile } from '../../shared/audit/merkle.ts';
import type { BootRow, RowPayload } from '../../shared/audit/row.ts';
import { toHex, utf8 } from '../../shared/bytes.ts';
import { ANCHOR_CHECKPOINTS_MAX, ANCHOR_MS_MAX, PAYLOAD_BYTES_MAX } from '../../shared/limits.ts';
import type { Scrubber } from '../policy/scrub.ts';
import { AnchorFile } from './anchors.ts';
import { LOCK_NAME, anchorPath } from './files.ts';
import { HeldFiles } from './held.ts';
import type { AuditKey } from './key.ts';
import { signMessage, syncFolder } from './key.ts';
import type { Continuation } from './recover.ts';
import type { Seal, SealPlace } from './seal.ts';
import type { NewEntry } from './store.ts';
import { SegmentStore } from './store.ts';

/** Bytes that a row and a checkpoint take in the database beside their content: leaf, indexes, tile; signature. */
const ROW_OVERHEAD_BYTES = 160;
const CHECKPOINT_OVERHEAD_BYTES = 2600;

/** The boot row less what the log knows itself. */
export type BootFields = Omit<BootRow, 'key' | 'key_custody' | 'prev_origin' | 'prev_size' | 'prev_root'>;

/** A row with its payload and times, before it has its place. */
export interface NewRow {
  readonly fields: RowMembers;
  readonly payload: RowPayload | null;
  readonly wall: number;
  readonly mono: number;
}

export interface WriterParts {
  readonly key: AuditKey;
  readonly payload: 'none' | 'redacted';
  readonly scrubber: Scrubber;
  /** Encrypts what is stored; absent: it is stored as it is, redacted. */
  readonly seal?: Seal | undefined;
  /** Milliseconds, never going back. */
  readonly clock: () => number;
}

/** What a group became: rows from `first`, their leaf hashes in hex, covered by a checkpoint of `size`. */
export interface Committed {
  readonly origin: string;
  readonly epoch: number;
  readonly first: number;
  readonly leaves: readonly string[];
  readonly size: number;
}

interface Prepared {
  readonly commitment: Commitment;
  readonly stored: NewEntry['payload'];
}

export class LogWriter {
  readonly origin: string;
  readonly #parts: WriterParts;
  readonly #place: Continuation;
  readonly #store: SegmentStore;
  readonly #keyId: Uint8Array;
  #scrubber: Scrubber;
  #anchors: AnchorFile | undefined;
  #held: HeldFiles | undefined;
  #prev: string;
  #timestamp: number;
  #signed: SignedCheckpoint | undefined;
  #unanchored = 0;
  /** Bytes of the segment, about. */
  #bytes = 0;
  /** Milliseconds since 1970 of its first row. */
  #begun: number;
  #anchoredAt = 0;

  /** Opens the segment for writing; nothing is written before the boot row. */
  constructor(place: Continuation, parts: WriterParts) {
    this.#place = place;
    this.#parts = parts;
    this.#scrubber = parts.scrubber;
    this.origin = originOf(place.log, place.epoch);
    this.#keyId = keyIdOf(this.origin, parts.key.publicKey);
    this.#prev = place.tree.prev;
    this.#begun = place.begun;
    this.#bytes = place.begin ? 0 : (statSync(place.path, { throwIfNoEntry: false })?.size ?? 0);
    this.#timestamp = place.timestamp;
    const meta = new Map([
      ['origin', this.origin],
      ['vkey', toVkey(this.origin, parts.key.publicKey)],
    ]);
    this.#store = place.begin ? SegmentStore.begin(place.path, meta) : SegmentStore.resume(place.path);
  }

  /** Writes the boot row and its anchor line: a log with a second row always has an anchor file. */
  boot(fields: BootFields | RowMembers, wall: number, mono: number): void {
    const { key } = this.#parts;
    const previous = this.#place.previous;
    const row: RowMembers = {
      ...fields,
      key: key.fingerprint,
      key_custody: key.custody,
      prev_origin: previous?.origin ?? null,
      prev_size: previous?.size ?? null,
      prev_root: previous?.root ?? null,
    };
    this.#begun = this.#place.begin ? wall : this.#place.begun;
    this.commit([{ fields: row, payload: null, wall, mono }]);
    this.attach();
  }

  /** True once the segment has so many bytes, or its first row is so old. */
  isOver(bytes: number, ageMs: number, wall: number): boolean {
    return this.#bytes >= bytes || wall - this.#begun >= ageMs;
  }

  /** Rows there are. */
  get size(): number {
    return this.#place.tree.frontier.size;
  }

  get place(): { readonly log: string; readonly epoch: number } {
    return this.#place;
  }

  /** Where the log ends, as the next epoch names it. */
  head(): { readonly origin: string; readonly size: number; readonly root: string } {
    const { frontier } = this.#place.tree;
    return { origin: this.origin, size: frontier.size, root: toHex(frontier.root()) };
  }

  /** Makes ready to go on with a segment that has its boot row. */
  attach(): void {
    this.#anchors = new AnchorFile(anchorPath(this.#place.path), this.#place.anchor);
    this.anchor();
    const { path } = this.#place;
    syncFolder(dirname(path));
    this.#held = new HeldFiles([path, `${path}-wal`, anchorPath(path), join(dirname(path), LOCK_NAME)]);
  }

  /** Takes something else out of payloads from the next group on. */
  scrubWith(scrubber: Scrubber): void {
    this.#scrubber = scrubber;
  }

  /** Makes rows durable, with a checkpoint that covers them. */
  commit(drafts: readonly NewRow[]): Committed {
    const { frontier, tiler } = this.#place.tree;
    const first = frontier.size;
    const entries: NewEntry[] = [];
    const tiles: Tile[] = [];
    const leaves: string[] = [];
    for (const draft of drafts) {
      const idx = frontier.size;
      const place = { log: this.#place.log, epoch: this.#place.epoch, idx, prev: this.#prev };
      const prepared = draft.payload === null ? null : this.#prepare(draft.payload, place);
      const body = buildBody(place, draft.fields, draft, prepared?.commitment ?? null);
      const leaf = leafHash(utf8(body));
      frontier.append(leaf);
      tiles.push(...tiler.append(leaf));
      this.#prev = toHex(leaf);
      this.#timestamp = Math.max(this.#timestamp, Math.floor(draft.wall / 1000));
      leaves.push(this.#prev);
      entries.push({ idx, body, leaf, payload: prepared?.stored ?? null });
      this.#bytes += body.length + (prepared?.stored?.data.length ?? 0) + ROW_OVERHEAD_BYTES;
    }
    const checkpoint = { origin: this.origin, size: frontier.size, root: frontier.root(), timestamp: this.#timestamp };
    const signature = signMessage(this.#parts.key.privateKey, cosignedMessage(checkpoint));
    const signed = { ...checkpoint, keyId: this.#keyId, signature };
    this.#store.commit({ entries, tiles, checkpoint: signed });
    this.#bytes += CHECKPOINT_OVERHEAD_BYTES;
    this.#held?.check();
    this.#signed = signed;
    this.#unanchored += 1;
    return { origin: this.origin, epoch: this.#place.epoch, first, leaves, size: frontier.size };
  }

  /** Milliseconds until an anchor line is due; 0 if it is due now, undefined if all is anchored. */
  anchorDueIn(): number | undefined {
    if (this.#unanchored === 0) return undefined;
    if (this.#unanchored >= ANCHOR_CHECKPOINTS_MAX) return 0;
    return Math.max(0, this.#anchoredAt + ANCHOR_MS_MAX - this.#parts.clock());
  }

  /** Appends the last checkpoint to the anchor file, unless it stands there already. */
  anchor(): void {
    if (this.#unanchored === 0 || this.#signed === undefined) return;
    this.#anchors?.append(this.#signed);
    this.#unanchored = 0;
    this.#anchoredAt = this.#parts.clock();
  }

  /** Lets go of the files; what is not committed is rolled back. */
  close(): void {
    this.#anchors?.close();
    this.#anchors = undefined;
    this.#store.close();
  }

  /** Redacts a payload and commits to it; null if nothing of it is to be kept or its redaction came to no end. */
  #prepare(payload: RowPayload, place: SealPlace): Prepared | null {
    const scrubber = this.#scrubber;
    if (this.#parts.payload === 'none') return null;
    const clean = payload.media === 'application/json' ? scrubber.json(payload.text) : scrubber.text(payload.text);
    if (clean === null) return null;
    const data = utf8(clean);
    const salt = randomBytes(32);
    const commitment = { pc: hash('sha256', payloadPreimage(salt, data), 'hex'), bytes: data.length };
    if (data.length > PAYLOAD_BYTES_MAX) return { commitment, stored: null };
    const { seal } = this.#parts;
    return { commitment, stored: seal === undefined ? { salt, media: payload.media, data } : seal(place, salt, payload.media, data) };
  }
}
