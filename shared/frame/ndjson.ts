// SPDX-License-Identifier: Apache-2.0
/**
 * Newline-delimited JSON as it arrives on a pipe: chunks in, lines out, whatever the chunking. A line that is too long
 * is dropped as it arrives and reported when it ends; the lines after it are not affected. Frames are copies: the
 * caller may reuse its chunks.
 */
import { OVERSIZE_KEEP_BYTES } from '../limits.ts';
import { BoundedBytes } from './bounded.ts';

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
  const line = new BoundedBytes(bytesMax + 1, keepBytes);

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
