// SPDX-License-Identifier: Apache-2.0
/** Tells the launcher which process groups run, so that none outlives a gateway that is killed outright. */
import type { Child } from './child.ts';

const running = new Set<number>();

function say(): void {
  // A launcher that is gone wants to know nothing any more.
  if (process.connected) process.send?.({ groups: [...running] });
}

/** Notes a child from its start to its end. */
export function watchGroup(child: Child): void {
  running.add(child.group);
  say();
  void child.exited.then(() => {
    running.delete(child.group);
    say();
  });
}
