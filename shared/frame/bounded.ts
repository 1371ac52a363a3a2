// SPDX-License-Identifier: Apache-2.0
/**
 * A buffer for input of a peer that may not end: linear time for any parts, and memory of at most about twice the
 * capacity. What is read from it are copies.
 */

/** Bytes that the buffer has at first, and the most that it keeps from one use to the next. */
const BUFFER_START = 4096;
const BUFFER_KEEP = 65_536;

/** Bytes that arrive in parts: whole while they fit, else the first and last of them. */
export class BoundedBytes {
  /** Bytes so far, kept or not. */
  size = 0;
  /** The last byte, or -1. */
  last = -1;
  readonly #capacityMax: number;
  readonly #keep: number;
  #buffer: Uint8Array;
  #head: Uint8Array | undefined;
  /** The last bytes of what is too long are the last of the first `#tailSize` here. */
  #tail: Uint8Array = new Uint8Array(0);
  #tailSize = 0;

  /** Up to `capacityMax` bytes are kept whole; of more, `keep` at each end. */
  constructor(capacityMax: number, keep: number) {
    this.#capacityMax = capacityMax;
    this.#keep = keep;
    this.#buffer = new Uint8Array(Math.min(BUFFER_START, capacityMax));
  }

  isWhole(): boolean {
    return this.#head === undefined;
  }

  add(part: Uint8Array): void {
    const size = this.size + part.length;
    if (this.#head === undefined && size > this.#capacityMax) this.#overflow(part);
    if (this.#head === undefined) {
      this.#reserve(size);
      this.#buffer.set(part, this.size);
    } else {
      this.#addTail(part);
    }
    this.size = size;
    this.last = part.at(-1) ?? this.last;
  }

  /** A copy of the first bytes while whole. */
  copy(end: number): Uint8Array {
    return this.#buffer.slice(0, end);
  }

  ends(): { bytes: number; head: Uint8Array; tail: Uint8Array } {
    if (this.#head !== undefined) {
      const tail = this.#tail.slice(Math.max(0, this.#tailSize - this.#keep), this.#tailSize);
      return { bytes: this.size, head: this.#head, tail };
    }
    const head = this.#buffer.slice(0, Math.min(this.size, this.#keep));
    return { bytes: this.size, head, tail: this.#buffer.slice(Math.max(0, this.size - this.#keep), this.size) };
  }

  clear(): void {
    this.size = 0;
    this.last = -1;
    this.#head = undefined;
    this.#tailSize = 0;
    if (this.#buffer.length > BUFFER_KEEP) this.#buffer = new Uint8Array(BUFFER_START);
  }

  /** Doubling keeps the copying linear and the waste bounded. */
  #reserve(size: number): void {
    if (size <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.min(this.#capacityMax, Math.max(size, this.#buffer.length * 2)));
    grown.set(this.#buffer.subarray(0, this.size));
    this.#buffer = grown;
  }

  /** From here on only the ends are kept. */
  #overflow(part: Uint8Array): void {
    const head = new Uint8Array(Math.min(this.#keep, this.size + part.length));
    const stored = this.#buffer.subarray(0, Math.min(this.size, head.length));
    head.set(stored);
    head.set(part.subarray(0, head.length - stored.length), stored.length);
    this.#head = head;
    if (this.#tail.length === 0) this.#tail = new Uint8Array(this.#keep * 2);
    this.#addTail(this.#buffer.subarray(0, this.size));
    this.#buffer = new Uint8Array(Math.min(BUFFER_START, this.#capacityMax));
  }

  /** The tail has twice the room that it needs, so that bytes move once per `keep` bytes that arrive. */
  #addTail(part: Uint8Array): void {
    const kept = part.subarray(Math.max(0, part.length - this.#keep));
    if (this.#tailSize + kept.length > this.#tail.length) {
      const from = this.#tailSize - (this.#keep - kept.length);
      this.#tail.copyWithin(0, from, this.#tailSize);
      this.#tailSize -= from;
    }
    this.#tail.set(kept, this.#tailSize);
    this.#tailSize += kept.length;
  }
}
