// SPDX-License-Identifier: Apache-2.0
/**
 * Runs a stdio server: no shell, a process group of its own, only the environment that was asked for. Ending it follows
 * the specification's order: close its standard input, then SIGTERM, then SIGKILL, to the whole group.
 */
import type { ChildProcessByStdio, SpawnOptionsWithStdioTuple } from 'node:child_process';
import { spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { Unavailable } from '../../shared/errors.ts';
import { SHUTDOWN_GRACE_MS } from '../../shared/limits.ts';

/** How the server ended. */
export interface ChildExit {
  /** The exit code, or 128 and the signal's number, as shells say it. */
  readonly code: number;
  /** True if it ended by itself, not because the gateway asked. */
  readonly unasked: boolean;
}

export interface Child {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** The process group, for the launcher. */
  readonly group: number;
  readonly exited: Promise<ChildExit>;
  /** Ends the server and everything it started; resolves when it is gone. */
  stop(): Promise<ChildExit>;
}

const SIGNAL_NUMBERS: ReadonlyMap<string, number> = new Map([
  ['SIGHUP', 1],
  ['SIGINT', 2],
  ['SIGQUIT', 3],
  ['SIGABRT', 6],
  ['SIGKILL', 9],
  ['SIGSEGV', 11],
  ['SIGPIPE', 13],
  ['SIGTERM', 15],
]);

function spawnError(error: NodeJS.ErrnoException): Unavailable {
  if (error.code === 'ENOENT') {
    return new Unavailable('UPSTREAM_SPAWN', "the server's command was not found", 'check the command and PATH; there is no shell', error);
  }
  if (error.code === 'EACCES') {
    return new Unavailable('UPSTREAM_SPAWN', "the server's command may not be executed", 'check its file mode', error);
  }
  return new Unavailable('UPSTREAM_SPAWN', `the server could not be started (${error.code ?? 'unknown'})`, 'check the command', error);
}

function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch {
    // Nobody of the group is left.
  }
}

function pause(ms: number): Promise<'late'> {
  return new Promise((resolve) => {
    setTimeout(() => resolve('late'), ms).unref();
  });
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error;
}

/** Node throws at once for some failures and reports others later. */
function spawned(command: string, args: readonly string[], options: SpawnOptionsWithStdioTuple<'pipe', 'pipe', 'pipe'>): ChildProcessByStdio<Writable, Readable, Readable> {
  try {
    return spawn(command, [...args], options);
  } catch (error) {
    if (isSystemError(error)) throw spawnError(error);
    throw error;
  }
}

/** Starts the server. Rejects with Unavailable (UPSTREAM_SPAWN) if it cannot. */
export async function startChild(argv: readonly string[], env: Readonly<Record<string, string>>, cwd: string | null = null): Promise<Child> {
  const [command = '', ...args] = argv;
  const child = spawned(command, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...env }, detached: true, shell: false, ...(cwd === null ? {} : { cwd }) });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error) => reject(spawnError(error)));
  });
  const group = child.pid;
  if (group === undefined) throw new Unavailable('UPSTREAM_SPAWN', 'the server could not be started', 'check the command');
  // A server that closes its input early is noticed by its exit, not by an error of ours.
  child.stdin.on('error', () => undefined);
  child.on('error', () => undefined);
  let asked = false;
  const exited = new Promise<ChildExit>((resolve) => {
    child.once('exit', (code, signal) => {
      const number = code ?? 128 + (SIGNAL_NUMBERS.get(signal ?? '') ?? 0);
      resolve({ code: number, unasked: !asked });
    });
  });
  const stop = async (): Promise<ChildExit> => {
    asked = true;
    child.stdin.end();
    if ((await Promise.race([exited, pause(SHUTDOWN_GRACE_MS)])) === 'late') signalGroup(group, 'SIGTERM');
    if ((await Promise.race([exited, pause(SHUTDOWN_GRACE_MS)])) === 'late') signalGroup(group, 'SIGKILL');
    const exit = await exited;
    // What the server started in its group goes with it.
    signalGroup(group, 'SIGKILL');
    return exit;
  };
  return { stdin: child.stdin, stdout: child.stdout, stderr: child.stderr, group, exited, stop };
}
