// SPDX-License-Identifier: Apache-2.0
/**
 * The main job, for real: a client, the gateway and an MCP server as three processes, one call denied and one allowed,
 * then the signed log verified, and verified again after somebody edited a copy of it.
 */
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import Database from 'better-sqlite3';

const here = import.meta.dirname;
const launcher = join(here, '..', '..', 'enclave', 'bin', 'mcp-bastion.mjs');
const folder = mkdtempSync(join(tmpdir(), 'mcp-bastion-demo-'));
const POLICY = "version: 1\ndeny_tools:\n  - 'shell.*'\n";

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function inspect(log: string): { text: string; code: number | null } {
  const args = [launcher, 'inspect-log', log, '--verify', '--state', join(folder, 'state')];
  const run = spawnSync(process.execPath, args, { encoding: 'utf8' });
  return { text: `${run.stdout}${run.stderr}`.trimEnd(), code: run.status };
}

/** Plays a client that asks for the tools and then calls both, and prints what the gateway says meanwhile. */
async function converse(): Promise<string> {
  const policy = join(folder, 'policy.yaml');
  writeFileSync(policy, POLICY);
  const up = ['up', '--policy', policy, '--state', join(folder, 'state'), '--name', 'demo'];
  const gateway = spawn(process.execPath, [launcher, ...up, '--', process.execPath, join(here, 'server.ts')]);
  const answers = new Map<number, (line: string) => void>();
  createInterface(gateway.stdout).on('line', (line) => {
    const message: unknown = JSON.parse(line);
    if (typeof message === 'object' && message !== null && 'id' in message) answers.get(Number(message.id))?.(line);
  });
  createInterface(gateway.stderr).on('line', (line) => say(line));
  const send = (message: object): void => void gateway.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  const ask = (id: number, method: string, params: object): Promise<string> => {
    send({ id, method, params });
    return new Promise((resolve) => {
      answers.set(id, resolve);
    });
  };
  const clientInfo = { name: 'demo-client', version: '1.0.0' };
  await ask(0, 'initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo });
  send({ method: 'notifications/initialized' });
  await ask(1, 'tools/list', {});
  const denied = await ask(2, 'tools/call', { name: 'shell.exec', arguments: { command: 'rm -rf /' } });
  await ask(3, 'tools/call', { name: 'filesystem.read_file', arguments: { path: 'README.md' } });
  const ended = new Promise((resolve) => {
    gateway.once('close', resolve);
  });
  gateway.stdin.end();
  await ended;
  return denied;
}

/** Turns the denial into an approval in a copy of the log, as somebody with the file could. */
function tamper(log: string): string {
  const copy = join(folder, 'tampered');
  cpSync(log, copy, { recursive: true });
  const segment = readdirSync(copy).find((name) => /^\d+\.sqlite$/.test(name)) ?? '';
  const db = new Database(join(copy, segment));
  db.prepare(`UPDATE entry SET body = replace(body, '"decision":"deny"', '"decision":"allow"')`).run();
  db.close();
  return copy;
}

try {
  say(`policy: ${POLICY.trim().replaceAll(/\s+/g, ' ')}`);
  say('');
  const denied = await converse();
  say('');
  say('what the client got for the denied call:');
  say(denied);
  say('');
  const log = join(folder, 'state', 'audit', 'demo', '0');
  const honest = inspect(log);
  say(honest.text);
  say('');
  say('now somebody edits a copy of the log: the denial becomes an "allow"');
  const forged = inspect(tamper(log));
  say(forged.text);
  process.exitCode = honest.code === 0 && forged.code === 1 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
