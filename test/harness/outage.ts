// SPDX-License-Identifier: Apache-2.0
/** Drives test/harness/audit-outage.ts: one command, one answer. */
import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { after } from 'node:test';

const running = new Set<ChildProcessByStdio<Writable, Readable, null>>();
// A test that failed leaves its writer behind, which would keep the run alive.
after(() => {
  for (const child of running) child.kill('SIGKILL');
});

export interface Answer {
  readonly answer: { readonly done: number; readonly refused: number; readonly codes: readonly string[] };
  readonly available: boolean;
  readonly ready: boolean;
}

export class Outage {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;

  /** @param wrap a command that runs the writer in its last arguments, such as one that limits it */
  constructor(stateDir: string, reserve: number, wrap: readonly string[] = []) {
    const harness = new URL('./audit-outage.ts', import.meta.url).pathname;
    const [command, ...args] = [...wrap, process.execPath, harness, stateDir, String(reserve)];
    this.#child = spawn(command ?? process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    running.add(this.#child);
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async #line(): Promise<Answer> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error('the writer ended');
    return JSON.parse(value) as Answer;
  }

  async started(): Promise<this> {
    await this.#line();
    return this;
  }

  ask(command: string): Promise<Answer> {
    this.#child.stdin.write(`${command}\n`);
    return this.#line();
  }
}
