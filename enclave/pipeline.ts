// SPDX-License-Identifier: Apache-2.0
/** Bounds what one stream has under way, so that a fast peer waits instead of filling memory. */
import { PIPELINE_BYTES_MAX, PIPELINE_MESSAGES_MAX } from '../shared/limits.ts';

/** Lets only so many messages be under way; the stream is not read on meanwhile. */
export class Pipeline {
  #messages = 0;
  #blocked = false;
  #bytes = 0;
  #wake: (() => void) | null = null;

  /** True while the stream is not read because what was read is still under way. */
  get blocked(): boolean {
    return this.#blocked;
  }

  async enter(bytes: number): Promise<void> {
    this.#blocked = true;
    while (this.#messages >= PIPELINE_MESSAGES_MAX || (this.#messages > 0 && this.#bytes + bytes > PIPELINE_BYTES_MAX)) {
      await this.#change();
    }
    this.#blocked = false;
    this.#messages += 1;
    this.#bytes += bytes;
  }

  leave(bytes: number): void {
    this.#messages -= 1;
    this.#bytes -= bytes;
    this.#wake?.();
  }

  async empty(): Promise<void> {
    while (this.#messages > 0) await this.#change();
  }

  async #change(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = null;
  }
}
