// SPDX-License-Identifier: Apache-2.0
/** One soak from its first process to its last: opens everything, keeps it busy, kills the server, closes everything. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { SoakClient } from './client.ts';
import { LegacyClient } from './legacy-client.ts';
import { ModernClient } from './modern-client.ts';
import { pause } from './message.ts';
import { Gateway, Upstream } from './processes.ts';
import type { Resources } from './processes.ts';
import type { LogSummary } from './rows.ts';
import { summarize } from './rows.ts';
import { Tally } from './tally.ts';
import { closeConnections } from './wire.ts';

export interface SoakOptions {
  readonly seconds: number;
  /** Streams of events that stay open: one for each session, the others are subscriptions. */
  readonly streams: number;
  readonly sessions: number;
  readonly kills: number;
  /** Calls per second of all clients together. */
  readonly rate: number;
  readonly folder: string;
  readonly say: (text: string) => void;
}

export interface Soak {
  readonly options: SoakOptions;
  readonly tally: Tally;
  readonly log: LogSummary;
  /** The time asked for, and that in which the server was away. */
  readonly workedMs: number;
  /** What inspect-log says of the log, and with which exit code. */
  readonly verification: { readonly code: number | null; readonly output: string };
  readonly samples: readonly Resources[];
  /** Before the first client and after the last. */
  readonly idle: { readonly before: Resources | null; readonly after: Resources | null };
  /** Streams that were open at each sample that was not taken around a kill. */
  readonly open: readonly number[];
  readonly faults: readonly string[];
  readonly reported: Readonly<Record<string, number>>;
  readonly exitCode: number | null;
  readonly shutdownMs: number;
}

const SAMPLE_MS = 2000;
const OPEN_MS_MAX = 120_000;
const DRAIN_MS_MAX = 30_000;
const STOP_MS_MAX = 30_000;
/** Clients pause for twice their pace at most: a session that is in use is not idle for so much longer. */
const IDLE_PACES = 4;
const IDLE_MS_MIN = 5000;
const PUSH_MS = 4000;
/** Milliseconds for which the server stays away, beside the time that it needs to start. */
const AWAY_MS_MAX = 600;

async function until(reached: () => boolean, msMax: number): Promise<boolean> {
  const end = performance.now() + msMax;
  while (!reached() && performance.now() < end) await pause(50);
  return reached();
}

/**
 * Lets the clients work, and kills the server so many times meanwhile. The times in which it is up are equal and make up
 * the time that was asked for: on a busy machine a start takes seconds.
 */
async function work(upstream: Upstream, tally: Tally, { kills, seconds, say }: SoakOptions): Promise<void> {
  const upMs = (seconds * 1000) / (kills + 1);
  for (let kill = 1; ; kill += 1) {
    await pause(upMs);
    if (kill > kills) return;
    tally.killed();
    await upstream.kill();
    await pause(Math.random() * AWAY_MS_MAX);
    await upstream.start();
    tally.restarted();
    say(`kill ${kill} of ${kills}; ${tally.sessions} sessions, ${tally.streams} streams, ${tally.of('answered')} answers`);
  }
}

function clientsFor({ streams, sessions, paceMs }: SoakOptions & { paceMs: number }, url: URL, tally: Tally): SoakClient[] {
  return Array.from({ length: Math.max(streams, sessions) }, (_, number) => {
    const options = { url, tally, number, paceMs };
    return number < sessions ? new LegacyClient(options) : new ModernClient(options);
  });
}

function verify(folder: string): Soak['verification'] {
  const launcher = join(import.meta.dirname, '..', '..', 'enclave', 'bin', 'mcp-bastion.mjs');
  const state = join(folder, 'state');
  const run = spawnSync(process.execPath, [launcher, 'inspect-log', join(state, 'audit'), '--verify', '--state', state], { encoding: 'utf8' });
  return { code: run.status, output: run.stdout + run.stderr };
}

export async function soak(options: SoakOptions): Promise<Soak> {
  const { seconds, sessions, streams, rate, folder, say } = options;
  const paceMs = (streams / rate) * 1000;
  const idleMs = Math.round(Math.max(IDLE_MS_MIN, IDLE_PACES * paceMs));
  const tally = new Tally();
  const upstream = new Upstream(PUSH_MS);
  await upstream.start();
  const gateway = new Gateway({ folder, upstreamPort: upstream.port, sessionsMax: sessions * 4 + 100, idleMs });
  const url = await gateway.url;
  const before = gateway.resources();
  const clients = clientsFor({ ...options, paceMs }, url, tally);
  say(`opening ${sessions} sessions and ${streams} streams at ${url.href}`);
  // A few at a time, as in life; the clients that are kept waiting are no test of anything.
  for (let at = 0; at < clients.length; at += 20) await Promise.all(clients.slice(at, at + 20).map((client) => client.open()));
  if (!(await until(() => tally.streams >= streams, OPEN_MS_MAX))) tally.violation(`only ${tally.streams} of ${streams} streams could be opened`);
  say(`open: ${tally.sessions} sessions, ${tally.streams} streams`);
  const running = clients.map((client) => client.run().then(() => client.close()));
  const samples: Resources[] = [];
  const open: number[] = [];
  const sampler = setInterval(() => {
    const now = gateway.resources();
    if (now !== null) samples.push(now);
    if (tally.isSettled) open.push(tally.streams);
  }, Math.min(SAMPLE_MS, seconds * 25));
  const began = performance.now();
  await work(upstream, tally, options);
  const workedMs = performance.now() - began;
  clearInterval(sampler);
  say('ending');
  for (const client of clients) client.stop();
  const drained = await Promise.race([Promise.all(running).then(() => true), pause(DRAIN_MS_MAX).then(() => false)]);
  if (!drained) tally.violation(`${tally.waiting} calls got no answer within ${DRAIN_MS_MAX} ms`);
  closeConnections();
  // What nobody uses any more has to be let go by itself: forgotten sessions after their idle time.
  await until(() => (gateway.resources()?.files ?? 0) <= (before?.files ?? 0), 2 * idleMs);
  const after = gateway.resources();
  const stopping = performance.now();
  const exitCode = await gateway.stop(STOP_MS_MAX);
  const shutdownMs = performance.now() - stopping;
  await upstream.kill();
  say('reading the log');
  const log = summarize(join(folder, 'state', 'audit'));
  const reported = Object.fromEntries(gateway.reported);
  return { options, tally, log, workedMs, verification: verify(folder), samples, idle: { before, after }, open, faults: gateway.faults, reported, exitCode, shutdownMs };
}
