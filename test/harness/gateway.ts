// SPDX-License-Identifier: Apache-2.0
/** Runs the real launcher with a real server behind it, and plays a raw client in front. */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after } from 'node:test';
import Database from 'better-sqlite3';

export const root: string = join(import.meta.dirname, '..', '..');
export const launcher: string = join(root, 'enclave', 'bin', 'mcp-bastion.mjs');

// What comes back over the wire in a test is whatever it is: assertions narrow it.
// oxlint-disable-next-line typescript/no-explicit-any
export type Wire = any;

export interface Row {
  readonly [key: string]: Wire;
}

const folders: string[] = [];
const running = new Set<ChildProcessWithoutNullStreams>();
// A test that failed leaves its gateway behind, which would keep the run alive.
after(() => {
  for (const child of running) child.kill('SIGKILL');
});
process.once('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A fresh folder that goes away with the process. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mcp-bastion-test-'));
  folders.push(folder);
  return folder;
}

export interface GatewayOptions {
  readonly policy?: string;
  /** Command of the server; default: the scripted peer. */
  readonly server?: readonly string[];
  readonly script?: Record<string, readonly string[]>;
  readonly folder?: string;
  readonly name?: string;
  readonly args?: readonly string[];
}

export const ALLOW_ALL = "version: 1\ndefault: allow\nmethods:\n  '*': allow\n";

export class Gateway {
  readonly folder: string;
  readonly process: ChildProcessWithoutNullStreams;
  readonly received: Wire[] = [];
  readonly name: string;
  stderr = '';
  readonly ended: Promise<number | null>;
  readonly #waiting: { readonly match: (message: Wire) => boolean; readonly resolve: (message: Wire) => void }[] = [];

  constructor(options: GatewayOptions = {}) {
    this.folder = options.folder ?? scratch();
    this.name = options.name ?? 'peer';
    const policy = join(this.folder, 'policy.yaml');
    writeFileSync(policy, options.policy ?? ALLOW_ALL);
    writeFileSync(join(this.folder, 'script.json'), JSON.stringify(options.script ?? {}));
    const server = options.server ?? [process.execPath, join(root, 'test', 'peers', 'scripted-server.ts')];
    const env = ['--env', `SCRIPT=${join(this.folder, 'script.json')}`, '--env', `WITNESS=${join(this.folder, 'witness')}`];
    const up = ['up', '--policy', policy, '--state', this.stateDir, '--name', this.name, ...env, ...(options.args ?? [])];
    this.process = spawn(process.execPath, [launcher, ...up, '--', ...server]);
    running.add(this.process);
    this.process.stdin.on('error', () => undefined);
    createInterface(this.process.stdout).on('line', (line) => this.#take(JSON.parse(line)));
    this.process.stderr.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    this.ended = new Promise((resolve) => {
      this.process.on('close', (code) => {
        running.delete(this.process);
        resolve(code);
      });
    });
  }

  get stateDir(): string {
    return join(this.folder, 'state');
  }

  #take(message: Wire): void {
    this.received.push(message);
    const at = this.#waiting.findIndex(({ match }) => match(message));
    if (at !== -1) this.#waiting.splice(at, 1)[0]?.resolve(message);
  }

  /** Writes text as it is, with a line end. */
  raw(line: string | Uint8Array): void {
    this.process.stdin.write(line);
    this.process.stdin.write('\n');
  }

  send(message: object): void {
    this.raw(JSON.stringify({ jsonrpc: '2.0', ...message }));
  }

  /** The first message that matches, among those that came already and those to come. */
  next(match: (message: Wire) => boolean, msMax = 15_000): Promise<Wire> {
    const found = this.received.find(match);
    if (found !== undefined) return Promise.resolve(found);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no such message; stderr: ${this.stderr}`)), msMax).unref();
      this.#waiting.push({
        match,
        resolve: (message) => {
          clearTimeout(timer);
          resolve(message);
        },
      });
    });
  }

  ask(id: number | string, method: string, params?: object): Promise<Wire> {
    this.send({ id, method, ...(params === undefined ? {} : { params }) });
    return this.next((message) => message.id === id && (message.result !== undefined || message.error !== undefined));
  }

  async initialize(protocolVersion = '2025-11-25', capabilities: object = {}): Promise<Wire> {
    const clientInfo = { name: 'test', version: '1' };
    const answer = await this.ask('init', 'initialize', { protocolVersion, capabilities, clientInfo });
    this.send({ method: 'notifications/initialized' });
    return answer;
  }

  /** Closes the client's side and waits for the end. */
  async close(): Promise<number | null> {
    this.process.stdin.end();
    return this.ended;
  }

  /** Lines that reached the upstream. */
  witness(): string[] {
    const file = join(this.folder, 'witness');
    return existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter((line) => line !== '') : [];
  }

  /** All rows of all logs below this gateway's state folder, oldest first. */
  rows(): Row[] {
    return readRows(join(this.stateDir, 'audit'));
  }
}

/** Segments below a folder. */
export function segments(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return files.filter((file) => /(^|\/)\d+\.sqlite$/.test(file)).sort().map((file) => join(folder, file));
}

export function readRows(folder: string): Row[] {
  const rows: Row[] = [];
  for (const file of segments(folder)) {
    const db = new Database(file, { readonly: true });
    for (const { body } of db.prepare<[], { body: string }>('SELECT body FROM entry ORDER BY idx').all()) rows.push(JSON.parse(body));
    db.close();
  }
  return rows;
}

/** Runs a command of the product to its end. */
export function command(args: readonly string[], options: { cwd?: string; env?: Record<string, string> } = {}): { code: number | null; stdout: string; stderr: string } {
  const run = spawnSync(process.execPath, [launcher, ...args], { encoding: 'utf8', cwd: options.cwd, env: { ...process.env, ...options.env } });
  return { code: run.status, stdout: run.stdout, stderr: run.stderr };
}

/** Every byte below a folder, as one Latin-1 string: for canaries. */
export function allBytes(folder: string): string {
  mkdirSync(folder, { recursive: true });
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1')).join('\0');
}
