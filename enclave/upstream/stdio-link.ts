// SPDX-License-Identifier: Apache-2.0
/** A server on the standard streams of a child process. */
import { setTimeout as delay } from 'node:timers/promises';
import { SHUTDOWN_GRACE_MS } from '../../shared/limits.ts';
import type { About } from '../exchange/parts.ts';
import type { Child } from '../host/child.ts';
import type { Pump } from '../host/pump.ts';
import { pumpFrames, streamOutlet } from '../host/pump.ts';
import type { Link, LinkEvents } from './link.ts';

/**
 * Resolves when the server ended and all that it said has been dealt with. What it started may live on and hold its
 * pipes, and whoever waits for an answer would wait for that: its group ends with it, and others are not listened to.
 */
async function lastWord(child: Child, pump: Pump): Promise<void> {
  await child.exited;
  await child.stop();
  do {
    await Promise.race([pump.done, delay(SHUTDOWN_GRACE_MS, undefined, { ref: false })]);
  } while (pump.blocked());
  child.stdout.destroy();
  await pump.done;
}

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
    void lastWord(child, pump).then(events.lost, events.fault);
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
