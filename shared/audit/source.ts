// SPDX-License-Identifier: Apache-2.0
/** A stored segment as the verifier reads it. Every value is attacker-controlled, so none has a type yet. */

export interface StoredEntry {
  readonly idx: unknown;
  /** The bytes of the text as stored. */
  readonly body: unknown;
  readonly leaf: unknown;
}

export interface StoredPayload {
  readonly idx: unknown;
  readonly salt: unknown;
  readonly media: unknown;
  readonly data: unknown;
}

export interface StoredCheckpoint {
  readonly size: unknown;
  readonly root: unknown;
  readonly ts: unknown;
  readonly keyId: unknown;
  readonly sig: unknown;
}

/** `expected`: exactly our tables; `extended`: with others beside; `foreign`: not our tables; `empty`: none at all. */
export type SchemaState = 'expected' | 'extended' | 'foreign' | 'empty';

/**
 * One epoch of a log. Iterables are read once, in the order of their keys, and end where the log ended when it was
 * opened; they throw UnreadableSegment where the storage does not give its content.
 */
export interface SegmentSource {
  /** File name, for findings. */
  readonly name: string;
  /** Epoch that the file name claims, or null. */
  readonly epoch: number | null;
  readonly schema: SchemaState;
  /** Hint of the segment: the key as a C2SP vkey. */
  readonly vkey: unknown;
  entries(): Iterable<StoredEntry>;
  payloads(): Iterable<StoredPayload>;
  checkpoints(): Iterable<StoredCheckpoint>;
  /** Hashes of a full tile as stored, undefined if it is not there. */
  tile(level: number, n: number): unknown;
  /**
   * Rows covered by a checkpoint once the anchor file's end was fixed: the writer of a live log goes on between the two,
   * so that the file may be ahead of the iterables, but not of this.
   */
  readonly grownTo: number;
  /** Lines of the anchor file without newlines, a torn last line left out; null if there is no file. */
  anchorLines(): Iterable<string> | null;
}

/** A segment that should be there and cannot be read at all. */
export interface MissingSegment {
  readonly name: string;
  readonly epoch: number | null;
  readonly schema: 'missing';
  /** `gone`: its anchor file is there, the database is not; `unreadable`: it is no database, or a damaged one. */
  readonly reason: 'gone' | 'unreadable';
  /** Safe to show. */
  readonly detail: string;
}

/** The storage failed in the middle; the message is safe to show. */
export class UnreadableSegment extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'UnreadableSegment';
  }
}

/** Reads an iterable one ahead. */
export class Peekable<T> {
  readonly #iterator: Iterator<T>;
  #next: IteratorResult<T>;

  constructor(values: Iterable<T>) {
    this.#iterator = values[Symbol.iterator]();
    this.#next = this.#iterator.next();
  }

  get head(): T | undefined {
    return this.#next.done === true ? undefined : this.#next.value;
  }

  shift(): T | undefined {
    const head = this.head;
    if (this.#next.done !== true) this.#next = this.#iterator.next();
    return head;
  }
}
