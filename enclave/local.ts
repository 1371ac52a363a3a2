// SPDX-License-Identifier: Apache-2.0
/**
 * Composition root of `mcp-bastion up` with the client's stdio in front: one server behind, as a child or over HTTP, the
 * log in place. Runs until one side ends and returns the exit code.
 */
import type { Writable } from 'node:stream';
import { DRAIN_MS_MAX, SHUTDOWN_GRACE_MS } from '../shared/limits.ts';
import type { BastionConfig, ServerConfig } from './config/types.ts';
import { Exchange } from './exchange.ts';
import { sayFault } from './fault.ts';
import type { Child } from './host/child.ts';
import { startChild } from './host/child.ts';
import { childEnvironment } from './host/environment.ts';
import { watchGroup } from './host/groups.ts';
import type { LocalHouse } from './host/house.ts';
import { clock, openHouse } from './host/house.ts';
import type { Pump } from './host/pump.ts';
import { clientOutput, pumpFrames, streamOutlet } from './host/pump.ts';
import { followPolicy } from './host/reload.ts';
import type { Servers } from './host/servers.ts';
import { openServers, secrets } from './host/servers.ts';
import { relayStderr } from './host/stderr.ts';
import type { Log } from './log.ts';
import type { PeerOptions, ServerPeer } from './peer.ts';
import { openPeer } from './peer.ts';
import type { Policy } from './policy/types.ts';

export interface LocalOptions {
  readonly config: BastionConfig;
  readonly policy: Policy;
  readonly stateDir: string;
  readonly log: Log;
}

/** Why the session ends. */
type Ending = { readonly kind: 'client' | 'signal' | 'server' } | { readonly kind: 'fault'; readonly error: unknown };

/** Resolves at the first reason to end that comes from outside the two streams. */
function endingFromOutside(): Promise<Ending> {
  return new Promise((resolve) => {
    const stop = (): void => resolve({ kind: 'signal' });
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, stop);
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

async function drained(exchange: Exchange, exited: Promise<unknown>): Promise<void> {
  const until = clock.now() + DRAIN_MS_MAX;
  let gone = false;
  void exited.then(() => (gone = true));
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

/** What ends a session, once. */
function awaitEnding(): { readonly ended: Promise<Ending>; readonly end: (ending: Ending) => void } {
  let end: (ending: Ending) => void = () => undefined;
  const ended = new Promise<Ending>((resolve) => {
    end = resolve;
  });
  return { ended, end: (ending) => end(ending) };
}

type StdioServer = Extract<ServerConfig, { kind: 'stdio' }>;
type HttpServer = Extract<ServerConfig, { kind: 'http' }>;

/** A child behind: its end is the session's, and its exit code the gateway's. */
async function relayChild(house: LocalHouse, server: StdioServer, outside: Promise<Ending>): Promise<number> {
  let child: Child;
  try {
    child = await startChild(server.argv, { ...childEnvironment(process.env, []), ...(await secrets(server.env)) }, server.cwd);
  } catch (error) {
    await house.close('the server could not be started');
    throw error;
  }
  watchGroup(child);
  const { log } = house;
  const output = clientOutput();
  const exchange = new Exchange({
    server: server.name,
    soleServer: true,
    principal: 'local',
    session: house.boot,
    policies: house.policies,
    recorder: house.recorder,
    pins: house.pinsOf(server.name),
    log,
    clock,
    toClient: streamOutlet(output),
    toServer: streamOutlet(child.stdin),
    randomHex: house.randomHex,
    eras: house.eras,
    minRevision: house.minRevision,
    continuations: house.continuations,
    limiter: house.limiter,
    ...(house.approvals === undefined ? {} : { approvals: house.approvals }),
  });
  const errors = relayStderr(child.stderr, {
    scrub: (text) => house.policies.current.scrubText(text),
    write: (line) => log.upstream(server.name, line),
    now: clock.now,
  });
  const { ended, end } = awaitEnding();
  const fault = (error: unknown): void => end({ kind: 'fault', error });
  const client = pumpFrames(process.stdin, { take: (event) => exchange.fromClient(event), fault, ended: () => end({ kind: 'client' }) });
  const upstream = pumpFrames(child.stdout, { take: (event) => exchange.fromServer(event), fault, ended: () => exchange.serverSilent() });
  output.on('close', () => end({ kind: 'client' }));
  onOrphaned(client, () => end({ kind: 'signal' }));
  void outside.then(end);
  void child.exited.then(() => end({ kind: 'server' }));
  const ending = await ended;
  if (ending.kind === 'client' && !output.destroyed) {
    await Promise.race([client.done, outside, child.exited, pause(DRAIN_MS_MAX)]);
    child.stdin.end();
    await Promise.race([drained(exchange, child.exited), outside]);
  }
  const exit = await child.stop();
  // Nothing more is taken from the client; what was taken is still answered, before its side is closed.
  process.stdin.destroy();
  const answered = Promise.all([upstream.done, errors]).then(() => Promise.all([exchange.serverGone(), client.done]));
  const rest = answered.then(() => flushed(output));
  const patience = ending.kind === 'signal' ? pause(SHUTDOWN_GRACE_MS) : Promise.race([outside, pause(DRAIN_MS_MAX)]);
  await letGo(child, output, ending.kind === 'fault' ? Promise.resolve() : rest, patience);
  await Promise.race([answered, pause(SHUTDOWN_GRACE_MS)]);
  if (ending.kind === 'fault') sayFault(log, 'the session', ending.error);
  await house.close(ending.kind);
  if (ending.kind === 'fault') return 3;
  return exit.unasked ? exit.code : 0;
}

/** Connects to a server over HTTP. Where that fails, the log is closed in order. */
async function reachServer(house: LocalHouse, config: HttpServer, options: PeerOptions): Promise<{ servers: Servers; peer: ServerPeer }> {
  let servers: Servers | undefined;
  try {
    servers = await openServers(house, [config]);
    const [server] = servers.all;
    if (server === undefined) throw new TypeError('there is no server');
    return { servers, peer: await openPeer(house, server, options) };
  } catch (error) {
    await servers?.close();
    await house.close('the server could not be reached');
    throw error;
  }
}

/** A server over HTTP behind: the session ends with the client, or when the server lost it and cannot have it back. */
async function relayHttp(house: LocalHouse, config: HttpServer, outside: Promise<Ending>): Promise<number> {
  const output = clientOutput();
  const { ended, end } = awaitEnding();
  const { servers, peer } = await reachServer(house, config, {
    principal: 'local',
    era: null,
    face: 'stdio',
    toClient: streamOutlet(output),
    // Only the end of the gateway tells a client on stdio that it has to begin anew.
    gone: () => {
      house.log.error('SESSION_LOST', `the session at ${config.name} is gone`, 'start the connection again');
      end({ kind: 'server' });
    },
  });
  const { exchange } = peer;
  const client = pumpFrames(process.stdin, {
    take: (event) => exchange.fromClient(event),
    fault: (error) => end({ kind: 'fault', error }),
    ended: () => end({ kind: 'client' }),
  });
  output.on('close', () => end({ kind: 'client' }));
  onOrphaned(client, () => end({ kind: 'signal' }));
  void outside.then(end);
  const ending = await ended;
  if (ending.kind === 'client' && !output.destroyed) {
    await Promise.race([client.done, outside, pause(DRAIN_MS_MAX)]);
    await Promise.race([drained(exchange, new Promise(() => undefined)), outside]);
  }
  process.stdin.destroy();
  await Promise.race([peer.close(), pause(2 * SHUTDOWN_GRACE_MS)]);
  await Promise.race([client.done.then(() => flushed(output)), pause(SHUTDOWN_GRACE_MS)]);
  if (ending.kind === 'fault') sayFault(house.log, 'the session', ending.error);
  await house.close(ending.kind);
  await servers.close();
  return ending.kind === 'fault' || ending.kind === 'server' ? 3 : 0;
}

/** Runs the one configured server behind the client's stdio. */
export async function runLocal(options: LocalOptions): Promise<number> {
  const { config, policy, stateDir, log } = options;
  const [server] = config.servers;
  if (server === undefined) throw new TypeError('there is no server');
  const outside = endingFromOutside();
  const house = await openHouse({ policy, policyPath: config.policyPath, stateDir, server: server.name, log, minRevision: config.minRevision });
  followPolicy(house, config.policyPath);
  return server.kind === 'stdio' ? relayChild(house, server, outside) : relayHttp(house, server, outside);
}
