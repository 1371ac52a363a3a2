// SPDX-License-Identifier: Apache-2.0
/** Other people's clients and servers as processes of a test: the installed test peers, and the reference servers. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { root, scratch } from './gateway.ts';
import { PATIENCE_MS } from './http.ts';

const modules = join(root, 'test', 'peers', 'node_modules');

/** Command lines of the peers, without their arguments. */
export const inspector: readonly string[] = [process.execPath, join(modules, '@modelcontextprotocol', 'inspector', 'clients', 'launcher', 'build', 'index.js'), '--cli'];
export const mcporter: readonly string[] = [process.execPath, join(modules, 'mcporter', 'dist', 'cli.js')];

/** Speaks stdio in front and HTTP behind. */
export function mcpRemote(url: string): string[] {
  return [process.execPath, join(modules, 'mcp-remote', 'dist', 'proxy.js'), url, '--allow-http', '--transport', 'http-only'];
}

const running = new Set<ChildProcess>();
after(() => {
  for (const child of running) child.kill('SIGKILL');
});

/** An environment in which a peer writes its files nowhere but in a folder that goes away. */
export function isolated(): Record<string, string> {
  const home = scratch();
  const { PATH = '' } = process.env;
  return { PATH, HOME: home, XDG_CONFIG_HOME: home, MCP_REMOTE_CONFIG_DIR: home, NO_COLOR: '1' };
}

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end. */
export function run(command: readonly string[], args: readonly string[]): Promise<Finished> {
  const [program = '', ...rest] = [...command, ...args];
  const child = spawn(program, rest, { cwd: scratch(), env: isolated(), stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const timer = setTimeout(() => child.kill('SIGKILL'), 3 * PATIENCE_MS);
  return new Promise((resolve) => {
    child.on('close', (code) => {
      clearTimeout(timer);
      running.delete(child);
      resolve({ code, stdout, stderr });
    });
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => {
    server.close(resolve);
  });
  if (typeof address !== 'object' || address === null) throw new TypeError('the server has no port');
  return address.port;
}

async function answers(url: string, child: ChildProcess): Promise<void> {
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      await (await fetch(url, { method: 'HEAD' })).body?.cancel();
      return;
    } catch (error) {
      if (child.exitCode !== null || Date.now() > until) throw error;
      await delay(100);
    }
  }
}

/** Starts a server that listens on a port of its own; resolves with its origin when it answers. */
async function listening(command: (port: number) => { readonly argv: readonly string[]; readonly env?: Record<string, string> }): Promise<string> {
  const port = await freePort();
  const { argv, env } = command(port);
  const [program = '', ...args] = argv;
  const child = spawn(program, args, { env: { ...isolated(), ...env }, stdio: 'ignore' });
  running.add(child);
  await answers(`http://127.0.0.1:${port}/`, child);
  return `http://127.0.0.1:${port}`;
}

/** The reference server over HTTP; resolves with its URL. */
export async function everythingOver(transport: 'streamableHttp' | 'sse'): Promise<string> {
  const file = join(root, 'node_modules', '@modelcontextprotocol', 'server-everything', 'dist', 'index.js');
  const origin = await listening((port) => ({ argv: [process.execPath, file, transport], env: { PORT: String(port) } }));
  return `${origin}/${transport === 'sse' ? 'sse' : 'mcp'}`;
}

/** A server of both eras over Streamable HTTP; resolves with its URL. */
export async function bothEras(): Promise<string> {
  const file = join(root, 'test', 'peers', 'conformance', 'server', 'fixture.mjs');
  return `${await listening((port) => ({ argv: [process.execPath, file, String(port)] }))}/mcp`;
}
