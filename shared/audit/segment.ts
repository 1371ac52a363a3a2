// SPDX-License-Identifier: Apache-2.0
/**
 * Verifies one epoch in one pass: rows against the tree, the tree against its checkpoints, checkpoints against the key,
 * payloads against the rows, the anchor file against the tree. Nothing that the storage says is believed.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { equalBytes, fromHex, toHex } from '../bytes.ts';
import type { JsonObject } from '../json/value.ts';
import { PAYLOAD_BYTES_MAX } from '../limits.ts';
import type { RowBody } from './body.ts';
import { genesisHash, parseBody, payloadPreimage } from './body.ts';
import type { SignedCheckpoint, VerifySignature } from './checkpoint.ts';
import { KEY_ID_BYTES, SIGNATURE_BYTES, fingerprintOf, keyIdOf, originOf, parseVkey, verifyCheckpoint } from './checkpoint.ts';
import type { Evidence } from './evidence.ts';
import type { FindingCode, Findings } from './findings.ts';
import type { Sha256 } from './merkle.ts';
import { Frontier, HASH_BYTES, leafHash, Tiler } from './merkle.ts';
import type { RowReceipt } from './row.ts';
import { SEALED_MEDIA } from './row.ts';
import type { TreeNow } from './segment-anchors.ts';
import { AnchorWatch } from './segment-anchors.ts';
import type { SegmentSource, StoredCheckpoint, StoredEntry, StoredPayload } from './source.ts';
import { Peekable, UnreadableSegment } from './source.ts';

/** What one epoch turned out to be. */
export interface SegmentReport {
  readonly name: string;
  /** Null if no row could be read. */
  readonly log: string | null;
  readonly epoch: number | null;
  readonly origin: string | null;
  /** Rows that the last checkpoint covers, and its root, hex. */
  readonly size: number;
  readonly root: string | null;
  /** SHA-256 of the key's SPKI, hex. */
  readonly key: string | null;
  readonly checkpoints: number;
  /** Seconds of the last checkpoint. */
  readonly signedAt: number | null;
  /** Size of the last line of the anchor file that fits; 0 if none. */
  readonly anchored: number;
  /** Size of the largest checkpoint kept elsewhere that fits; 0 if none. */
  readonly kept: number;
  /** Rows up to which clients' receipts reach; 0 if there are none. */
  readonly received: number;
  /** The key that the last row hands the log over to, hex; null if it does not. */
  readonly handedTo: string | null;
  /** What its rows say was taken away by retention: all epochs up to one, and where that ended. */
  readonly erasedThrough: ErasedThrough | null;
  /** Losses that somebody accepted. */
  readonly recovered: readonly Recovered[];
  /** What the first row says of the epoch before. */
  readonly previous: { readonly origin: string; readonly size: number; readonly root: string } | null;
  /** Payloads that are no longer, or were never, kept beside their row. */
  readonly payloadsAbsent: number;
  readonly unverifiedSignatures: boolean;
}

export interface ErasedThrough {
  readonly epoch: number;
  readonly size: number;
  readonly root: string;
}

/** Rows `from` to `to` of an epoch, under the signed root of its lost end, hex. */
export interface Recovered {
  readonly epoch: number;
  readonly from: number;
  readonly to: number;
  readonly root: string | null;
}

export interface SegmentOptions {
  readonly verify: VerifySignature;
  readonly sha256?: Sha256;
  /** What was kept apart from the log. */
  readonly evidence?: Evidence;
  readonly findings: Findings;
  /** Told of a finding that a later epoch may explain: rows that the anchor file covers and that are not there. */
  readonly onAhead?: (epoch: number, size: number, root: string, withdraw: () => void) => void;
  /** Called now and then with the rows read so far. */
  readonly progress: (rows: number) => void;
}

const PROGRESS_ROWS = 4096;
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function bytesOf(value: unknown, length?: number): Uint8Array | undefined {
  if (!(value instanceof Uint8Array)) return undefined;
  return length === undefined || value.length === length ? value : undefined;
}

function naturalOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

function decodeBody(bytes: Uint8Array | undefined): RowBody | undefined {
  if (bytes === undefined) return undefined;
  try {
    const parsed = parseBody(decoder.decode(bytes));
    return parsed.ok ? parsed.body : undefined;
  } catch {
    return undefined;
  }
}

function textOf(members: JsonObject, key: string): string | null {
  const value = members[key];
  return typeof value === 'string' ? value : null;
}

class SegmentPass {
  readonly #source: SegmentSource;
  readonly #options: SegmentOptions;
  readonly #sha256: Sha256;
  readonly #frontier: Frontier;
  readonly #tiler: Tiler;
  readonly #key: Uint8Array | undefined;
  readonly #fingerprint: string | undefined;
  #keyId: Uint8Array | undefined;
  #checkpoints: Peekable<StoredCheckpoint> | undefined;
  #payloads: Peekable<StoredPayload> | undefined;
  #anchors: AnchorWatch | undefined;
  #receipts: readonly RowReceipt[] = [];
  #receiptsNext = 0;
  #received = 0;
  #log: string | null = null;
  #epoch: number | null = null;
  #origin: string | null = null;
  #previous: SegmentReport['previous'] = null;
  #handedTo: string | null = null;
  #erasedThrough: ErasedThrough | null = null;
  readonly #recovered: Recovered[] = [];
  #prev: string | null = null;
  #rows = 0;
  #expectedIdx = 0;
  #wall = 0;
  #mono = 0;
  #perRow = false;
  /** Payloads of this start are encrypted: their content is checked by who opens them. */
  #sealed = false;
  #signed: SignedCheckpoint | undefined;
  #checkpointCount = 0;
  #payloadsAbsent = 0;

  constructor(source: SegmentSource, options: SegmentOptions) {
    this.#source = source;
    this.#options = options;
    this.#sha256 = options.sha256 ?? sha256;
    this.#frontier = new Frontier(this.#sha256);
    this.#tiler = new Tiler(this.#sha256);
    const vkey = typeof source.vkey === 'string' ? parseVkey(source.vkey) : undefined;
    if (vkey?.kind === 'key') {
      this.#key = vkey.publicKey;
      this.#fingerprint = fingerprintOf(vkey.publicKey);
    } else {
      this.#fail('SIG_ALG_UNEXPECTED', null, 'the segment names no ML-DSA-44 key');
    }
  }

  run(): SegmentReport {
    this.#checkpoints = new Peekable(this.#source.checkpoints());
    this.#payloads = new Peekable(this.#source.payloads());
    for (const entry of this.#source.entries()) {
      this.#row(entry);
      if (this.#rows % PROGRESS_ROWS === 0) this.#options.progress(this.#rows);
    }
    this.#end();
    this.#options.progress(this.#rows);
    return this.report();
  }

  report(): SegmentReport {
    return {
      name: this.#source.name,
      log: this.#log,
      epoch: this.#epoch,
      origin: this.#origin,
      size: this.#signed?.size ?? 0,
      root: this.#signed === undefined ? null : toHex(this.#signed.root),
      key: this.#fingerprint ?? null,
      checkpoints: this.#checkpointCount,
      signedAt: this.#signed?.timestamp ?? null,
      anchored: this.#anchors?.local ?? 0,
      kept: this.#anchors?.external ?? 0,
      received: this.#received,
      handedTo: this.#handedTo,
      erasedThrough: this.#erasedThrough,
      recovered: this.#recovered,
      previous: this.#previous,
      payloadsAbsent: this.#payloadsAbsent,
      unverifiedSignatures: this.#key === undefined,
    };
  }

  #fail(code: FindingCode, at: number | null, detail: string, count = 1): void {
    this.#options.findings.add(code, this.#source.name, at, detail, count);
  }

  #row(entry: StoredEntry): void {
    const at = this.#rows;
    const idx = naturalOf(entry.idx);
    if (idx === undefined || idx < at) this.#fail('ROW_DUPLICATE', at, 'a row has no index of its own');
    else if (idx > this.#expectedIdx) this.#fail('ROW_MISSING', this.#expectedIdx, 'rows are missing', idx - this.#expectedIdx);
    if (idx !== undefined && idx >= this.#expectedIdx) this.#expectedIdx = idx + 1;
    const bytes = bytesOf(entry.body);
    const body = decodeBody(bytes);
    const leaf = leafHash(bytes ?? new Uint8Array(0), this.#sha256);
    const stored = bytesOf(entry.leaf, HASH_BYTES);
    if (stored === undefined || !equalBytes(stored, leaf)) this.#fail('LEAF_MISMATCH', at, 'a leaf hash is not that of its row');
    if (body === undefined) this.#fail('ROW_BODY_NONCANONICAL', at, 'a row is not the canonical form of a known kind');
    else this.#body(body, idx ?? at);
    this.#payload(idx ?? at, body);
    this.#frontier.append(leaf);
    for (const tile of this.#tiler.append(leaf)) this.#tile(tile.level, tile.n, tile.hashes);
    this.#prev = toHex(leaf);
    this.#rows += 1;
    this.#checkpointsHere();
    this.#anchors?.row(this.#tree);
    this.#receiptsHere(at, this.#prev);
  }

  get #tree(): TreeNow {
    return { size: this.#rows, checkpoints: this.#checkpointCount, signed: this.#signed, root: () => this.#frontier.root() };
  }

  /** Receipts of the row at hand; those of rows that never come are told at the end. */
  #receiptsHere(at: number, leaf: string): void {
    for (let head = this.#receipts[this.#receiptsNext]; head?.idx === at; head = this.#receipts[this.#receiptsNext]) {
      this.#receiptsNext += 1;
      if (head.leaf !== leaf) this.#fail('RECEIPT_NOT_IN_LOG', at, 'a client holds a receipt for another row in this place');
      else this.#received = Math.max(this.#received, head.size);
    }
  }

  #body(body: RowBody, idx: number): void {
    if (this.#log === null) this.#first(body);
    if (body.log !== this.#log) this.#fail('ROW_FIELD_MISMATCH', idx, 'a row names another log');
    if (body.epoch !== this.#epoch) this.#fail('ROW_FIELD_MISMATCH', idx, 'a row names another epoch');
    if (body.idx !== idx) {
      this.#fail('ROW_FIELD_MISMATCH', idx, 'a row names another index');
      this.#fail('ROW_REORDERED', idx, 'a row does not stand where it was written');
    }
    if (body.prev !== this.#prev) this.#fail('PREV_MISMATCH', idx, 'a row does not name the row before it');
    if (this.#handedTo !== null) this.#fail('ROTATION_INVALID', idx, 'a row follows the one that handed the log over to another key');
    this.#upkeep(body, idx);
    if (body.kind === 'boot') this.#boot(body, idx);
    else if (this.#rows === 0) this.#fail('ROW_MISSING', 0, 'the first row is not a boot row');
    if (body.wall < this.#wall) this.#fail('TIME_REGRESSION', idx, 'the clock went back');
    if (body.kind !== 'boot' && body.mono < this.#mono) this.#fail('TIME_REGRESSION', idx, 'the monotonic clock went back');
    this.#wall = body.wall;
    this.#mono = body.mono;
  }

  /** The first readable row says which log this is; all others, the file name and the key must agree. */
  #first(body: RowBody): void {
    this.#log = body.log;
    this.#epoch = body.epoch;
    this.#origin = originOf(body.log, body.epoch);
    if (this.#rows === 0) this.#prev = toHex(genesisHash(fromHex(body.log) ?? new Uint8Array(0)));
    if (this.#source.epoch !== null && this.#source.epoch !== body.epoch) this.#fail('ROW_FIELD_MISMATCH', 0, 'the file is named after another epoch');
    if (typeof this.#source.vkey === 'string' && this.#key !== undefined && !this.#source.vkey.startsWith(`${this.#origin}+`)) {
      this.#fail('KEY_SWAPPED', null, 'the key is named after another log');
    }
    if (this.#key !== undefined) this.#keyId = keyIdOf(this.#origin, this.#key);
    this.#openAnchors(this.#origin);
  }

  #openAnchors(origin: string): void {
    const held = this.#options.evidence?.take(origin);
    this.#receipts = held?.receipts ?? [];
    this.#anchors = new AnchorWatch({
      origin,
      key: this.#key,
      verify: this.#options.verify,
      lines: this.#source.anchorLines(),
      kept: held?.anchors ?? [],
      fail: (code, at, detail) => this.#fail(code, at, detail),
      ahead: (line, last) => {
        const withdraw = this.#options.findings.hold('ANCHOR_AHEAD', this.#source.name, line, 'the anchor file covers rows that are not there');
        this.#options.onAhead?.(this.#epoch ?? 0, last.size, toHex(last.root), withdraw);
      },
    });
  }

  #boot(body: RowBody, idx: number): void {
    const { members } = body;
    if (members['key'] !== this.#fingerprint) this.#fail('KEY_SWAPPED', idx, 'a boot row names another key than the segment');
    this.#perRow = members['signature'] === 'per-row';
    this.#sealed = members['payload'] === 'sealed';
    const origin = textOf(members, 'prev_origin');
    const size = members['prev_size'];
    const root = textOf(members, 'prev_root');
    if (this.#rows > 0) {
      if (origin !== null || size !== null || root !== null) this.#fail('ROW_FIELD_MISMATCH', idx, 'only the first row of an epoch names the epoch before');
      return;
    }
    if (origin !== null && typeof size === 'number' && root !== null) this.#previous = { origin, size, root };
    else if (origin !== null || size !== null || root !== null) this.#fail('ROW_FIELD_MISMATCH', idx, 'the epoch before is named in part');
  }

  /** Rows that the log has about itself. */
  #upkeep(body: RowBody, idx: number): void {
    const { kind } = body;
    if (kind === 'rotate') this.#rotate(body, idx);
    else if (kind === 'gap') this.#fail('GAP_RECORDED', idx, 'the log could not be written for a time, as a row says');
    else if (kind === 'erase') this.#erase(body.members);
    else if (kind === 'recover') this.#recover(body.members, idx);
  }

  #erase(members: JsonObject): void {
    const { of_epoch: epoch, size, root } = members;
    if (members['scope'] !== 'segment' || typeof epoch !== 'number' || typeof size !== 'number' || typeof root !== 'string') return;
    if (epoch >= (this.#erasedThrough?.epoch ?? 0)) this.#erasedThrough = { epoch, size, root };
  }

  #recover(members: JsonObject, idx: number): void {
    const { of_epoch: epoch, from, to } = members;
    if (typeof epoch !== 'number' || typeof from !== 'number' || typeof to !== 'number') return;
    this.#fail('GAP_RECORDED', idx, 'rows were lost, and somebody accepted it');
    this.#recovered.push({ epoch, from, to, root: textOf(members, 'root') });
  }

  #rotate({ members }: RowBody, idx: number): void {
    this.#handedTo = textOf(members, 'next');
    if (members['key'] !== this.#fingerprint) this.#fail('ROTATION_INVALID', idx, 'another key than the one of the segment hands the log over');
  }

  #payload(idx: number, body: RowBody | undefined): void {
    const commitment = body?.commitment ?? null;
    let found = false;
    for (let head = this.#payloads?.head; head !== undefined; head = this.#payloads?.head) {
      const at = naturalOf(head.idx);
      if (at !== undefined && at > idx) break;
      this.#payloads?.shift();
      if (at !== idx || commitment === null || !(this.#sealed ? isSealed(head, commitment.bytes) : matches(head, commitment.pc, commitment.bytes, this.#sha256))) {
        this.#fail('PAYLOAD_MISMATCH', idx, 'a payload is not the one that its row commits to');
      }
      if (at === idx) found = true;
    }
    if (commitment === null || found) return;
    this.#payloadsAbsent += 1;
    if (commitment.bytes <= PAYLOAD_BYTES_MAX) this.#fail('PAYLOAD_ERASED', idx, 'a payload is no longer kept');
  }

  #tile(level: number, n: number, hashes: Uint8Array): void {
    const stored = bytesOf(this.#source.tile(level, n));
    if (stored === undefined || !equalBytes(stored, hashes)) this.#fail('TILE_CORRUPT', n, 'a cached tile is missing or wrong');
  }

  #checkpointsHere(): void {
    for (let head = this.#checkpoints?.head; head !== undefined; head = this.#checkpoints?.head) {
      const size = naturalOf(head.size);
      if (size !== undefined && size > this.#rows) return;
      this.#checkpoints?.shift();
      this.#checkpoint(head, size);
    }
  }

  #checkpoint(stored: StoredCheckpoint, size: number | undefined): void {
    const at = size ?? null;
    if (size === undefined || size !== this.#rows) {
      this.#fail('ROOT_MISMATCH', at, 'a checkpoint is of no size that the tree had');
      return;
    }
    const before = this.#signed;
    if (this.#perRow && size - (before?.size ?? 0) !== 1) this.#fail('SIG_MISSING', at, 'a log signed per row has rows without a signature of their own');
    const root = bytesOf(stored.root, HASH_BYTES);
    const timestamp = naturalOf(stored.ts);
    const keyId = bytesOf(stored.keyId, KEY_ID_BYTES);
    const signature = bytesOf(stored.sig);
    if (signature === undefined || signature.length === 0) this.#fail('SIG_MISSING', at, 'a checkpoint has no signature');
    this.#checkpointCount += 1;
    if (root === undefined || !equalBytes(root, this.#frontier.root())) this.#fail('ROOT_MISMATCH', at, 'a checkpoint does not sign the root of its rows');
    if (root === undefined || this.#origin === null) return;
    const signed: SignedCheckpoint = {
      origin: this.#origin,
      size,
      root,
      timestamp: timestamp ?? 0,
      keyId: keyId ?? new Uint8Array(KEY_ID_BYTES),
      signature: signature ?? new Uint8Array(0),
    };
    if (this.#key !== undefined) {
      if (keyId === undefined || this.#keyId === undefined || !equalBytes(keyId, this.#keyId)) this.#fail('KEY_SWAPPED', at, 'a checkpoint names another key than the segment');
      if (timestamp === undefined || signed.signature.length !== SIGNATURE_BYTES || !verifyCheckpoint(signed, this.#key, this.#options.verify)) {
        this.#fail('SIG_INVALID', at, 'a signature does not verify');
      }
    }
    if (signed.timestamp < (before?.timestamp ?? 0)) this.#fail('CHECKPOINT_REGRESSION', at, 'a checkpoint is older than the one before');
    this.#signed = signed;
  }

  #end(): void {
    if (this.#rows === 0) this.#fail('ROW_MISSING', 0, 'there is no row');
    const signedSize = this.#signed?.size ?? 0;
    if (this.#rows > signedSize) this.#fail('UNSIGNED_TAIL', signedSize, 'rows are not covered by a signature', this.#rows - signedSize);
    for (let head = this.#checkpoints?.shift(); head !== undefined; head = this.#checkpoints?.shift()) {
      this.#fail('ROW_MISSING', this.#rows, 'a checkpoint covers rows that are not there');
    }
    for (let head = this.#payloads?.shift(); head !== undefined; head = this.#payloads?.shift()) {
      this.#fail('PAYLOAD_MISMATCH', naturalOf(head.idx) ?? null, 'a payload belongs to no row');
    }
    this.#anchors?.end(this.#tree, this.#source.grownTo);
    this.#endReceipts();
  }

  /** A receipt names the size that its checkpoint signed: a log that is shorter was cut off. */
  #endReceipts(): void {
    const { grownTo } = this.#source;
    const beyond = this.#receipts.slice(this.#receiptsNext).filter((receipt) => receipt.idx >= grownTo);
    if (beyond.length > 0) this.#fail('RECEIPT_NOT_IN_LOG', beyond[0]?.idx ?? null, 'a client holds a receipt for a row that is not there', beyond.length);
    else if (this.#received > Math.max(this.#rows, grownTo)) {
      this.#fail('RECEIPT_NOT_IN_LOG', this.#received, 'a client holds a receipt that was signed with rows that are not there');
    }
  }
}

/** Without a reader's key, a sealed payload shows no more than its form. */
function isSealed(stored: StoredPayload, length: number): boolean {
  const data = bytesOf(stored.data);
  return stored.media === SEALED_MEDIA && bytesOf(stored.salt, 32) !== undefined && data !== undefined && data.length > length;
}

function matches(stored: StoredPayload, pc: string, length: number, hash: Sha256): boolean {
  const salt = bytesOf(stored.salt, 32);
  const data = bytesOf(stored.data);
  if (salt === undefined || data?.length !== length) return false;
  if (stored.media !== 'application/json' && stored.media !== 'text/plain') return false;
  return toHex(hash(payloadPreimage(salt, data))) === pc;
}

/** Reads a segment to its end, or as far as the storage gives it. */
export function verifySegment(source: SegmentSource, options: SegmentOptions): SegmentReport | null {
  const { findings } = options;
  if (source.schema !== 'expected') findings.add('SCHEMA_UNEXPECTED', source.name, null, "the database does not have exactly the log's tables");
  if (source.schema === 'foreign' || source.schema === 'empty') return null;
  const pass = new SegmentPass(source, options);
  try {
    return pass.run();
  } catch (error) {
    if (!(error instanceof UnreadableSegment)) throw error;
    findings.add('DB_CORRUPT', source.name, null, error.message);
    return pass.report();
  }
}
