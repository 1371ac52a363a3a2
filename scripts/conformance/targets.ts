// SPDX-License-Identifier: Apache-2.0
/** What stands between the suite and the reference server or client, and the command line that starts it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Running, accepts, freePort } from './processes.ts';
import type { Revision } from './results.ts';

const READY_MS_MAX = 60_000;

export const ROOT: string = join(import.meta.dirname, '..', '..');
const PEERS = join(ROOT, 'test', 'peers', 'node_modules');
export const SUITE: string = join(PEERS, '@modelcontextprotocol', 'conformance');
const CONFORMANCE = join(ROOT, 'test', 'peers', 'conformance');
export const REFERENCE_CLIENT: string = join(CONFORMANCE, 'client', 'client.mjs');
const FIXTURE = join(CONFORMANCE, 'server', 'fixture.mjs');
const MCP_PROXY = join(PEERS, 'mcp-proxy', 'dist', 'bin', 'mcp-proxy.mjs');
const MCP_REMOTE = join(PEERS, 'mcp-remote', 'dist', 'proxy.js');
const SUPERGATEWAY = join(PEERS, 'supergateway', 'dist', 'index.js');
const LAUNCHER = join(ROOT, 'enclave', 'bin', 'mcp-bastion.mjs');

/** Everything allowed, with what costs most on: pins and the audit log. */
const POLICY = `version: 1
default: allow
methods: {'*': allow}
tool_description_pinning: {enabled: true, on_drift: alert}
audit: {order: strict}
`;

/** What stands in the gateway's place: the gateway, or a byte pipe to try the bench itself. */
export type Through = 'mcp-bastion' | 'pipe';

/** A folder of the run's own, and a name for the files of one target in it. */
export interface Place {
  readonly folder: string;
  readonly name: string;
}

export interface GatewayOptions {
  readonly place: Place;
  /** Absent: the client is on standard input and output. */
  readonly port?: number;
  readonly path?: string;
  readonly upstream: { readonly url: string } | { readonly argv: readonly string[] };
}

/** The gateway's command line; nothing else of this bench knows it. */
export function gatewayCommand({ place, port, path, upstream }: GatewayOptions): string[] {
  const policy = join(place.folder, 'policy.yaml');
  writeFileSync(policy, POLICY);
  const argv = [process.execPath, LAUNCHER, 'up', '--policy', policy, '--state', join(place.folder, `${place.name}-state`)];
  if (port !== undefined) argv.push('--listen', `127.0.0.1:${port}`);
  if (path !== undefined) argv.push('--path', path);
  if ('url' in upstream) argv.push('--upstream-url', upstream.url, '--allow-private');
  else argv.push('--', ...upstream.argv);
  return argv;
}

function logFile({ folder, name }: Place): string {
  return join(folder, `${name}.log`);
}

/** A server of this repository: it says when it listens. */
async function startListener(place: Place, argv: readonly string[]): Promise<Running> {
  const running = new Running({ argv, logFile: logFile(place), cwd: ROOT });
  await running.waitUntil(() => running.output().includes('listening on http://'), READY_MS_MAX);
  return running;
}

/** Somebody else's server: ready once it accepts. */
async function startPeer(place: Place, port: number, argv: readonly string[]): Promise<Running> {
  const env = { MCP_REMOTE_CONFIG_DIR: join(place.folder, 'mcp-remote') };
  const running = new Running({ argv, logFile: logFile(place), cwd: ROOT, env });
  await running.waitUntil(() => accepts(port), READY_MS_MAX);
  return running;
}

export interface Served {
  readonly port: number;
  readonly running: Running;
}

export async function startFixture(place: Place): Promise<Served> {
  const port = await freePort();
  return { port, running: await startListener(place, [process.execPath, FIXTURE, String(port)]) };
}

/** The gateway or the pipe in front of an upstream; `url` with its path. */
export async function startThrough(through: Through, place: Place, url: string): Promise<Served> {
  const port = await freePort();
  const argv =
    through === 'pipe'
      ? [process.execPath, join(import.meta.dirname, 'pipe.ts'), String(port), new URL(url).origin]
      : gatewayCommand({ place, port, path: new URL(url).pathname, upstream: { url } });
  return { port, running: await startListener(place, argv) };
}

const stdioFixture = [process.execPath, FIXTURE, '--stdio'];

/** The gateway serves a stdio server over HTTP. */
export async function startGatewayOverStdio(place: Place): Promise<Served> {
  const port = await freePort();
  return { port, running: await startListener(place, gatewayCommand({ place, port, path: '/mcp', upstream: { argv: stdioFixture } })) };
}

async function startMcpProxy(place: Place, revision: Revision, command: readonly string[]): Promise<Served> {
  const port = await freePort();
  // Toward a modern server a legacy client loses what the server asks of it: each set gets the mode that serves it best.
  const upstream = revision === '2026-07-28' ? 'auto' : 'legacy';
  const argv = [process.execPath, MCP_PROXY, '--host', '127.0.0.1', '--port', String(port), '--upstreamProtocol', upstream, '--'];
  return { port, running: await startPeer(place, port, [...argv, ...command]) };
}

/** HTTP to stdio to HTTP, all by others: mcp-proxy in front of mcp-remote. */
export function startMcpProxyChain(place: Place, revision: Revision, url: string): Promise<Served> {
  const remote = [process.execPath, MCP_REMOTE, url, '--allow-http', '--transport', 'http-only'];
  return startMcpProxy(place, revision, remote);
}

/** As above with the gateway in mcp-remote's place: a stdio client of it, an upstream over HTTP. */
export function startGatewayAsRemote(place: Place, revision: Revision, url: string): Promise<Served> {
  return startMcpProxy(place, revision, gatewayCommand({ place, upstream: { url } }));
}

/** A stdio server behind mcp-proxy, with the gateway between the two or without it. */
export function startStdioChain(place: Place, revision: Revision, withGateway: boolean): Promise<Served> {
  const command = withGateway ? gatewayCommand({ place, upstream: { argv: stdioFixture } }) : stdioFixture;
  return startMcpProxy(place, revision, command);
}

/** HTTP to stdio to HTTP, all by others: supergateway twice. */
export async function startSupergatewayChain(place: Place, url: string): Promise<Served> {
  const port = await freePort();
  const inner = `${process.execPath} ${SUPERGATEWAY} --streamableHttp ${url} --logLevel none`;
  const outer = ['--stdio', inner, '--outputTransport', 'streamableHttp', '--stateful', '--port', String(port)];
  return { port, running: await startPeer(place, port, [process.execPath, SUPERGATEWAY, ...outer]) };
}
