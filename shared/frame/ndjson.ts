// SPDX-License-Identifier: Apache-2.0
/**
 * Newline-delimited JSON as it arrives on a pipe: chunks in, lines out, whatever the chunking. A line that is too long
 * is dropped as it arrives and reported when it ends; the lines after it are not affected. Frames are copies: the
 * caller may reuse its chunks.
 */
import { OVERSIZE_KEEP_BYTES } from '../limits.ts';

export type FrameEvent =
  /** One line without its LF and without one CR before that. Never blank. */
  | { readonly kind: 'frame'; readonly bytes: Uint8Array }
  /** A line that was too long: `bytes` came before its LF. The ends may overlap. */
  | { readonly kind: 'oversize'; readonly bytes: number; readonly head: Uint8Array; readonly tail: Uint8Array }
  /** The input ended within a line that is not blank. */
  | { readonly kind: 'unterminated'; readonly bytes: number; readonly head: Uint8Array; readonly tail: Uint8Array };

export interface NdjsonFramer {
  /** Takes the next bytes; gives what ended within them. */
  push(chunk: Uint8Array): FrameEvent[];
  /** Takes the end of the input; gives the line that was cut off, if any. */
  end(): FrameEvent[];
}

export interface NdjsonOptions {
  /** Bytes of a line without its end. */
  readonly bytesMax: number;
  /** Bytes kept at each end of a line that is too long. */
  readonly keepBytes?: number;
}

const LF = 0x0a;
const CR = 0x0d;

/** Time is linear in the input for any chunking; memory is at most about twice `bytesMax`. */
export function createNdjsonFramer(options: NdjsonOptions): NdjsonFramer {
  const { bytesMax } = options;
  // What is kept has to have fitted before the line became too long, or it would depend on the chunks.
  const keepBytes = Math.min(options.keepBytes ?? OVERSIZE_KEEP_BYTES, bytesMax);
  // One byte more than a line may have: the CR before the LF.
  const line = new Line(bytesMax + 1, keepBytes);

  function finish(): FrameEvent | undefined {
    const end = line.last === CR ? line.size - 1 : line.size;
    if (end > bytesMax) return { kind: 'oversize', ...line.ends() };
    const bytes = line.copy(end);
    return isBlank(bytes) ? undefined : { kind: 'frame', bytes };
  }

  return {
    push(chunk): FrameEvent[] {
      const events: FrameEvent[] = [];
      let from = 0;
      for (let at = chunk.indexOf(LF); at !== -1; at = chunk.indexOf(LF, from)) {
        line.add(chunk.subarray(from, at));
        const event = finish();
        if (event !== undefined) events.push(event);
        line.clear();
        from = at + 1;
      }
      if (from < chunk.length) line.add(chunk.subarray(from));
      return events;
    },
    end(): FrameEvent[] {
      const { bytes, head, tail } = line.ends();
      const blank = line.isWhole() && isBlank(line.copy(line.size));
      line.clear();
      return blank ? [] : [{ kind: 'unterminated', bytes, head, tail }];
    },
  };
}

function isBlank(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === CR);
}

/** Bytes that the buffer has at first, and the most that it keeps from one line to the next. */
const BUFFER_START = 4096;
const BUFFER_KEEP = 65_536;

/** The line that is arriving: whole while it fits, else its first and last bytes. */
class Line {
  size = 0;
  last = -1;
  readonly #capacityMax: number;
  readonly #keep: number;
  #buffer: Uint8Array;
  #head: Uint8Array | undefined;
  /** The last bytes of a long line are the last of the first `#tailSize` here. */
  #tail: Uint8Array = new Uint8Array(0);
  #tailSize = 0;

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

  /** A copy of the first bytes of a whole line. */
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
