// SPDX-License-Identifier: Apache-2.0
/**
 * Composition root of `mcp-bastion up` for a stdio server: the client's stdio in front, the server as a child behind,
 * the log in place. Runs until one side ends and returns the exit code.
 */
import { randomBytes } from 'node:crypto';
import { dirname, join, resolve } from 'node:path';
import type { Writable } from 'node:stream';
import type { BootRow } from '../shared/audit/row.ts';
import { Unavailable } from '../shared/errors.ts';
import { DRAIN_MS_MAX, SHUTDOWN_GRACE_MS } from '../shared/limits.ts';
import { VERSION } from '../shared/version.ts';
import type { AuditLog } from './audit/log.ts';
import { openAuditLog } from './audit/log.ts';
import { Exchange } from './exchange.ts';
import type { Clock } from './exchange/parts.ts';
import type { Child } from './host/child.ts';
import { startChild } from './host/child.ts';
import type { Pump } from './host/pump.ts';
import { clientOutput, pumpFrames, streamOutlet } from './host/pump.ts';
import { relayStderr } from './host/stderr.ts';
import type { Log } from './log.ts';
import type { PinBook } from './pins/book.ts';
import { emptyPinBook } from './pins/book.ts';
import { openPinBook } from './pins/lockfile.ts';
import type { Policy } from './policy/types.ts';

export interface LocalOptions {
  readonly policy: Policy;
  readonly policyPath: string;
  readonly stateDir: string;
  readonly server: string;
  readonly argv: readonly string[];
  readonly childEnv: Readonly<Record<string, string>>;
  readonly log: Log;
}

const clock: Clock = {
  now: () => Date.now(),
  mono: () => Number(process.hrtime.bigint() / 1000n),
};

function randomHex(bytes: number): string {
  return randomBytes(bytes).toString('hex');
}

function openPins(options: LocalOptions): PinBook {
  const { pinning } = options.policy;
  if (!pinning.enabled) return emptyPinBook();
  const folder = dirname(resolve(options.policyPath));
  const path = pinning.path === null ? join(folder, 'bastion.lock.yaml') : resolve(folder, pinning.path);
  return openPinBook({ path, server: options.server });
}

function bootFields(options: LocalOptions, session: string): Omit<BootRow, 'key' | 'key_custody' | 'prev_origin' | 'prev_size' | 'prev_root'> {
  const { audit, digest } = options.policy;
  return {
    kind: 'boot',
    version: VERSION,
    node: process.versions.node,
    server: options.server,
    session,
    policy: digest,
    mode: 'enforce',
    order: audit.order,
    signature: audit.signature,
    payload: audit.payload,
  };
}

function openLog(options: LocalOptions, session: string): Promise<AuditLog> {
  const { audit, scrubPatterns } = options.policy;
  const folder = dirname(resolve(options.policyPath));
  return openAuditLog({
    dir: audit.path === null ? null : resolve(folder, audit.path),
    stateDir: options.stateDir,
    server: options.server,
    key: audit.key === 'file' && audit.keyFile !== null ? { kind: 'file', path: resolve(folder, audit.keyFile) } : { kind: 'ephemeral' },
    boot: bootFields(options, session),
    payload: audit.payload,
    signature: audit.signature,
    scrubPatterns,
    wall: clock.now(),
    mono: clock.mono(),
  });
}

/** Why the session ends. */
type Ending = { readonly kind: 'client' | 'signal' | 'server' } | { readonly kind: 'fault'; readonly error: unknown };

/** Resolves at the first reason to end that comes from outside the two streams. */
function endingFromOutside(): Promise<Ending> {
  return new Promise((resolve) => {
    const stop = (): void => resolve({ kind: 'signal' });
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
    // The launcher is gone: nobody would forward signals any more.
    process.once('disconnect', stop);
    process.channel?.unref();
  });
}

/**
 * The launcher lost its parent. A client that was killed has closed our standard input too, and that is noticed by reading
 * it; only where reading is held up, by a server that takes nothing, would it never be.
 */
function onOrphaned(client: Pump, end: () => void): void {
  process.once('message', () => {
    let blockedSince: number | null = null;
    setInterval(() => {
      blockedSince = client.blocked() ? (blockedSince ?? clock.now()) : null;
      if (blockedSince !== null && clock.now() - blockedSince >= DRAIN_MS_MAX) end();
    }, 500).unref();
  });
}

async function drained(exchange: Exchange, child: Child): Promise<void> {
  const until = clock.now() + DRAIN_MS_MAX;
  let gone = false;
  void child.exited.then(() => (gone = true));
  while (!gone && exchange.waiting > 0 && clock.now() < until) {
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** Resolves when everything that was written so far has left, or never will. */
function flushed(output: Writable): Promise<void> {
  return new Promise((resolve) => {
    if (output.destroyed) resolve();
    else output.write('', () => resolve());
  });
}

/**
 * Waits for what is still under way, and ends the waiting: a process that left the group may hold the server's pipes for
 * ever, and the client may not read.
 */
async function letGo(child: Child, output: Writable, done: Promise<unknown>, patience: Promise<unknown>): Promise<void> {
  await Promise.race([done, patience, pause(SHUTDOWN_GRACE_MS)]);
  if (output.writableNeedDrain) await Promise.race([done, patience]);
  child.stdout.destroy();
  child.stderr.destroy();
  await Promise.race([done, patience]);
  if (output !== process.stdout) output.destroy();
}

class Session {
  readonly #options: LocalOptions;
  readonly #session: string = randomHex(8);

  constructor(options: LocalOptions) {
    this.#options = options;
  }

  async run(): Promise<number> {
    const { log } = this.#options;
    const outside = endingFromOutside();
    const audit = await openLog(this.#options, this.#session);
    log.info(`${this.#options.server}: log ${audit.dir}`);
    let child: Child;
    try {
      child = await startChild(this.#options.argv, this.#options.childEnv);
    } catch (error) {
      await this.#close(audit, 'the server could not be started');
      throw error;
    }
    process.send?.({ group: child.group });
    try {
      return await this.#relay(audit, child, outside);
    } finally {
      process.send?.({ group: 0 });
    }
  }

  async #relay(audit: AuditLog, child: Child, outside: Promise<Ending>): Promise<number> {
    const { log, policy, server } = this.#options;
    const output = clientOutput();
    const exchange = this.#exchange(audit, child, output);
    const errors = relayStderr(child.stderr, {
      scrub: (text) => policy.scrubText(text),
      write: (line) => log.upstream(server, line),
      now: clock.now,
    });
    let end: (ending: Ending) => void = () => undefined;
    const ended = new Promise<Ending>((resolve) => {
      end = resolve;
    });
    const fault = (error: unknown): void => end({ kind: 'fault', error });
    const client = pumpFrames(process.stdin, {
      take: (event) => exchange.fromClient(event),
      fault,
      ended: () => end({ kind: 'client' }),
    });
    const upstream = pumpFrames(child.stdout, {
      take: (event) => exchange.fromServer(event),
      fault,
      ended: () => exchange.serverSilent(),
    });
    output.on('close', () => end({ kind: 'client' }));
    onOrphaned(client, () => end({ kind: 'signal' }));
    void outside.then(end);
    void child.exited.then(() => end({ kind: 'server' }));
    const ending = await ended;
    if (ending.kind === 'client' && !output.destroyed) {
      await Promise.race([client.done, outside, child.exited, pause(DRAIN_MS_MAX)]);
      child.stdin.end();
      await Promise.race([drained(exchange, child), outside]);
    }
    const exit = await child.stop();
    // Nothing more is taken from the client; what was taken is still answered, before its side is closed.
    process.stdin.destroy();
    const answered = Promise.all([upstream.done, errors]).then(() => Promise.all([exchange.serverGone(), client.done]));
    const rest = answered.then(() => flushed(output));
    const patience = ending.kind === 'signal' ? pause(SHUTDOWN_GRACE_MS) : Promise.race([outside, pause(DRAIN_MS_MAX)]);
    await letGo(child, output, ending.kind === 'fault' ? Promise.resolve() : rest, patience);
    await Promise.race([answered, pause(SHUTDOWN_GRACE_MS)]);
    if (ending.kind === 'fault') this.#sayFault(ending.error);
    await this.#close(audit, ending.kind);
    if (ending.kind === 'fault') return 3;
    return exit.unasked ? exit.code : 0;
  }

  #exchange(audit: AuditLog, child: Child, output: ReturnType<typeof clientOutput>): Exchange {
    const { policy, server, log } = this.#options;
    return new Exchange({
      server,
      soleServer: true,
      principal: 'local',
      session: this.#session,
      policy,
      recorder: audit,
      pins: openPins(this.#options),
      log,
      clock,
      toClient: streamOutlet(output),
      toServer: streamOutlet(child.stdin),
      randomHex,
    });
  }

  #sayFault(error: unknown): void {
    const name = error instanceof Error ? `${error.name}: ${error.message}` : 'unknown';
    const where = error instanceof Error ? (error.stack?.split('\n')[1]?.trim() ?? '') : '';
    this.#options.log.error(null, `internal fault, the session ends (${name} ${where})`, 'please report it');
  }

  async #close(audit: AuditLog, reason: string): Promise<void> {
    const fields = { kind: 'close', session: this.#session, reason } as const;
    try {
      await audit.append({ fields, payload: null, wall: clock.now(), mono: clock.mono() });
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      this.#options.log.error(error.code, error.message, error.hint);
    }
    await audit.close();
    await this.#options.policy.close();
  }
}

/** Runs one stdio server behind the gateway. */
export function runLocal(options: LocalOptions): Promise<number> {
  return new Session(options).run();
}
