// SPDX-License-Identifier: Apache-2.0
/** Moves frames from a stream into the exchange and text out of it, with backpressure both ways. */
import { fstatSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import type { FrameEvent } from '../../shared/frame/ndjson.ts';
import { createNdjsonFramer } from '../../shared/frame/ndjson.ts';
import { MESSAGE_BYTES_MAX } from '../../shared/limits.ts';
import type { Outlet } from '../exchange/parts.ts';
import { Pipeline } from '../pipeline.ts';

function sizeOf(event: FrameEvent): number {
  return event.kind === 'frame' ? event.bytes.length : 0;
}

export interface PumpEvents {
  readonly take: (event: FrameEvent) => Promise<void>;
  /** Called for an error that is not an expected outcome: the gateway then has to end. */
  readonly fault: (error: unknown) => void;
  /** Called when nothing more will be read, while what was read may still be under way. */
  readonly ended: () => void;
}

export interface Pump {
  /** Resolves when the stream ended and all its frames have been dealt with. */
  readonly done: Promise<void>;
  /** True while the stream is not read because what was read is still under way. */
  readonly blocked: () => boolean;
}

/** Reads a stream to its end and hands each frame on, in order. */
export function pumpFrames(stream: Readable, events: PumpEvents): Pump {
  const pipeline = new Pipeline();
  return { done: pumpAll(stream, events, pipeline), blocked: () => pipeline.blocked };
}

async function pumpAll(stream: Readable, { take, fault, ended }: PumpEvents, pipeline: Pipeline): Promise<void> {
  const framer = createNdjsonFramer({ bytesMax: MESSAGE_BYTES_MAX });
  const hand = async (frames: readonly FrameEvent[]): Promise<void> => {
    for (const frame of frames) {
      const bytes = sizeOf(frame);
      await pipeline.enter(bytes);
      void take(frame)
        .catch(fault)
        .finally(() => pipeline.leave(bytes));
    }
  };
  try {
    for await (const chunk of stream) {
      if (chunk instanceof Uint8Array) await hand(framer.push(chunk));
    }
    await hand(framer.end());
  } catch (error) {
    // A pipe that breaks or is closed here is an end like any other; what was read before it counts.
    if (!(error instanceof Error && 'code' in error)) throw error;
  }
  ended();
  await pipeline.empty();
}

/** What some readers take for the end of a line. In JSON it stands in strings only, where an escape says the same. */
const LINE_ENDS = /[\u0085\u2028\u2029]/g;

function escaped(end: string): string {
  return `\\u${end.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** An outlet on a stream. A peer that is gone takes nothing more, and that is no error here. */
export function streamOutlet(stream: Writable): Outlet {
  let drained: Promise<void> | null = null;
  const drain = (): Promise<void> =>
    new Promise((resolve) => {
      const done = (): void => {
        stream.off('drain', done);
        stream.off('close', done);
        drained = null;
        resolve();
      };
      stream.on('drain', done);
      stream.on('close', done);
    });
  stream.on('error', () => stream.destroy());
  return {
    send(text) {
      if (stream.destroyed || stream.writableEnded) return Promise.resolve();
      if (stream.write(`${text.replace(LINE_ENDS, escaped)}\n`)) return Promise.resolve();
      drained ??= drain();
      return drained;
    },
  };
}

/**
 * Standard output as a stream that never blocks the process: Node's own writes to a pipe wait for the reader, and a
 * client that first wants its input taken would then wait for ever.
 */
export function clientOutput(): Writable {
  const file = fstatSync(1);
  return file.isFIFO() || file.isSocket() ? new Socket({ fd: 1, readable: false, writable: true }) : process.stdout;
}
