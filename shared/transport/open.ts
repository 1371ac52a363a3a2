// SPDX-License-Identifier: Apache-2.0
/** The streams of one listener, counted and ended with it. */
import type { Duplex } from 'node:stream';

export class OpenStreams {
  readonly #streams = new Set<Duplex>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  /** False for a stream above the limit, which is ended: its peer sees that at once. */
  admit(stream: Duplex): boolean {
    // A stream without a listener for errors would end the process; whoever takes it adds his own.
    stream.on('error', () => undefined);
    if (this.#streams.size >= this.#max) {
      stream.destroy();
      return false;
    }
    this.#streams.add(stream);
    stream.once('close', () => this.#streams.delete(stream));
    return true;
  }

  end(): void {
    for (const stream of this.#streams) stream.destroy();
  }
}
