// SPDX-License-Identifier: Apache-2.0
/** A server on the standard streams of a child process. */
import type { About } from '../exchange/parts.ts';
import type { Child } from '../host/child.ts';
import { pumpFrames, streamOutlet } from '../host/pump.ts';
import type { Link, LinkEvents } from './link.ts';

export class StdioLink implements Link {
  readonly #child: Child;
  readonly #outlet: ReturnType<typeof streamOutlet>;

  constructor(child: Child, events: LinkEvents) {
    this.#child = child;
    this.#outlet = streamOutlet(child.stdin);
    const pump = pumpFrames(child.stdout, {
      take: (event) => events.frame(event, {}),
      fault: events.fault,
      ended: events.silent,
    });
    void child.exited.then(() => pump.done).then(events.lost, events.fault);
  }

  send(text: string, about: About): Promise<void> {
    return this.#outlet.send(text, about);
  }

  openStream(): Promise<'open'> {
    return Promise.resolve('open');
  }

  async close(): Promise<void> {
    await this.#child.stop();
    this.#child.stdout.destroy();
    this.#child.stderr.destroy();
  }
}
