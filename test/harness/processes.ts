// SPDX-License-Identifier: Apache-2.0
/** Looks at processes of this machine through /proc. */
import { readFileSync, readdirSync } from 'node:fs';

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Direct children of a process. */
export function childrenOf(pid: number): number[] {
  return read(`/proc/${pid}/task/${pid}/children`).split(' ').filter((text) => text !== '').map(Number);
}

/** Processes whose environment or command line holds a text, this one left out; zombies do not count. */
export function processesWith(text: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => (read(`/proc/${name}/environ`) + read(`/proc/${name}/cmdline`)).includes(text))
    .filter((name) => !/^State:\tZ/m.test(read(`/proc/${name}/status`)))
    .map(Number);
}

/** Waits until nothing of that text runs any more; returns what still does at the end of the time. */
export async function goneWithin(text: string, msMax: number): Promise<number[]> {
  const until = Date.now() + msMax;
  let left = processesWith(text);
  while (left.length > 0 && Date.now() < until) {
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
    left = processesWith(text);
  }
  return left;
}
