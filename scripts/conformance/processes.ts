// SPDX-License-Identifier: Apache-2.0
/**
 * Processes of the bench: each in its own group, its output in a file, gone at the latest when the bench ends. Proxies
 * start children of their own, so that only the whole group is ever signalled.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const GRACE_MS = 2000;
const POLL_MS = 50;
const TAIL_CHARS = 2000;

const living = new Set<Running>();

export interface Launch {
  readonly argv: readonly string[];
  /** Standard output and standard error go there. */
  readonly logFile: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export class Running {
  readonly #process: ChildProcess;
  readonly #launch: Launch;
  readonly exited: Promise<number>;

  constructor(launch: Launch) {
    const [command = '', ...args] = launch.argv;
    const log = openSync(launch.logFile, 'a');
    this.#launch = launch;
    this.#process = spawn(command, args, {
      cwd: launch.cwd,
      env: { ...process.env, ...launch.env },
      stdio: ['ignore', log, log],
      detached: true,
    });
    closeSync(log);
    living.add(this);
    this.exited = new Promise((resolve) => {
      this.#process.once('error', () => resolve(127));
      this.#process.once('exit', (code, signal) => resolve(signal === null ? (code ?? 1) : 128));
    });
  }

  get isRunning(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null && this.#process.pid !== undefined;
  }

  output(): string {
    return readFileSync(this.#launch.logFile, 'utf8');
  }

  signal(signal: 'SIGTERM' | 'SIGKILL'): void {
    if (this.#process.pid === undefined) return;
    try {
      process.kill(-this.#process.pid, signal);
    } catch {
      // The whole group has gone already.
    }
  }

  /** Ends the process and everything it started. */
  async stop(): Promise<void> {
    this.signal('SIGTERM');
    await Promise.race([this.exited, sleep(GRACE_MS)]);
    // What outlives its parent is still in the group.
    this.signal('SIGKILL');
    await this.exited;
    living.delete(this);
  }

  /** Waits for the end, at most so long; undefined where it had to be ended. */
  async finish(msMax: number): Promise<number | undefined> {
    const stopped = new AbortController();
    const code = await Promise.race([this.exited, sleep(msMax, undefined, { signal: stopped.signal }).catch(() => undefined)]);
    stopped.abort();
    await this.stop();
    return code;
  }

  /** Waits until `ready` says so. */
  async waitUntil(ready: () => boolean | Promise<boolean>, msMax: number): Promise<void> {
    const until = Date.now() + msMax;
    while (!(await ready())) {
      if (!this.isRunning || Date.now() > until) {
        const [command, ...args] = this.#launch.argv;
        const why = this.isRunning ? `was not ready after ${msMax / 1000} s` : 'ended at once';
        await this.stop();
        throw new Error(`${command} ${args.join(' ')} ${why}\n${this.output().slice(-TAIL_CHARS)}`);
      }
      await sleep(POLL_MS);
    }
  }
}

/** To be called once by every entry point: nothing that it started outlives it. */
export function killAllAtExit(): void {
  process.on('exit', () => {
    for (const running of living) running.signal('SIGKILL');
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130));
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return typeof address === 'object' && address !== null ? address.port : 0;
}

export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
