// SPDX-License-Identifier: Apache-2.0
/** The two processes of a soak: the server, which is killed and started again, and the gateway, which is watched. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const living = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

function start(argv: readonly string[], stdio: ('pipe' | 'ignore')[]): ChildProcess {
  const child = spawn(process.execPath, argv, { stdio });
  living.add(child);
  child.once('exit', () => living.delete(child));
  return child;
}

/** Resolves with the exit code, or null where a signal ended the process. */
function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode);
  return new Promise((resolve) => {
    child.once('exit', resolve);
  });
}

/** The server behind the gateway, always at the same port. */
export class Upstream {
  readonly #pushMs: number;
  #child: ChildProcess | null = null;
  #starts = 0;
  port = 0;

  constructor(pushMs: number) {
    this.#pushMs = pushMs;
  }

  /** Resolves when it listens. */
  async start(): Promise<void> {
    this.#starts += 1;
    const file = join(import.meta.dirname, 'upstream.ts');
    const child = start([file, String(this.port), String(this.#starts), String(this.#pushMs)], ['pipe', 'pipe', 'pipe']);
    this.#child = child;
    let errors = '';
    child.stderr?.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    const { stdout } = child;
    if (stdout === null) throw new TypeError('the server has no output');
    const listening = new Promise<string>((resolve) => {
      createInterface(stdout).once('line', resolve);
    });
    const line = await Promise.race([listening, ended(child).then(() => null)]);
    if (line === null) throw new Error(`the soak's server did not start: ${errors}`);
    this.port = Number(line);
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    child.kill('SIGKILL');
    await ended(child);
  }
}

const POLICY = `version: 1
default: allow
deny_tools: ['*.secret']
methods:
  '*': allow
`;

export interface GatewayOptions {
  readonly folder: string;
  readonly upstreamPort: number;
  readonly sessionsMax: number;
  readonly idleMs: number;
}

/** What the gateway needs at once, and how much it said that it should not have. */
export interface Resources {
  readonly rssBytes: number;
  readonly files: number;
}

export class Gateway {
  readonly #child: ChildProcess;
  /** Lines of standard error that are no ordinary ones. */
  readonly faults: string[] = [];
  /** Errors and warnings that the gateway reports by a code. */
  readonly reported: Map<string, number> = new Map();
  readonly url: Promise<URL>;
  readonly ended: Promise<number | null>;

  constructor({ folder, upstreamPort, sessionsMax, idleMs }: GatewayOptions) {
    writeFileSync(join(folder, 'policy.yaml'), POLICY);
    const limits = `limits: {sessions: ${sessionsMax}, streams: 16384, connections: 16384, idle_ms: ${idleMs}}`;
    const servers = `servers: {soak: {url: 'http://127.0.0.1:${upstreamPort}/mcp', allow_private: true}}`;
    writeFileSync(join(folder, 'bastion.yaml'), `version: 1\npolicy: policy.yaml\nlisten: 127.0.0.1:0\n${servers}\n${limits}\n`);
    const cli = join(import.meta.dirname, '..', '..', 'enclave', 'host', 'cli.ts');
    this.#child = start([cli, 'up', '--config', join(folder, 'bastion.yaml'), '--state', join(folder, 'state'), '--log', 'json'], ['ignore', 'ignore', 'pipe']);
    this.ended = ended(this.#child);
    const { stderr } = this.#child;
    if (stderr === null) throw new TypeError('the gateway has no standard error');
    this.url = new Promise((resolve, reject) => {
      void this.ended.then(() => reject(new Error(`the gateway ended: ${this.faults.join(' ')}`)));
      createInterface(stderr).on('line', (line) => {
        const listening = /listening on (http:[^"\s]+\/mcp)"/.exec(line)?.[1];
        if (listening !== undefined) resolve(new URL(listening));
        this.#judge(line);
      });
    });
    this.url.catch(() => undefined);
  }

  /** Everything that the gateway means to say is JSON; runtimes warn in text. */
  #judge(line: string): void {
    let event: { event?: string; code?: string | null };
    try {
      event = JSON.parse(line);
    } catch {
      this.faults.push(line);
      return;
    }
    if (event.event !== 'error' && event.event !== 'warning') return;
    if (event.code === null || event.code === undefined) this.faults.push(line);
    else this.reported.set(event.code, (this.reported.get(event.code) ?? 0) + 1);
  }

  /** Null on systems that do not say. */
  resources(): Resources | null {
    const { pid } = this.#child;
    try {
      const [, kib = ''] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
      return { rssBytes: Number(kib) * 1024, files: readdirSync(`/proc/${pid}/fd`).length };
    } catch {
      return null;
    }
  }

  /** Asks it to end; null where it had to be killed. */
  async stop(msMax: number): Promise<number | null> {
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), msMax);
    const code = await this.ended;
    clearTimeout(timer);
    return code;
  }
}
