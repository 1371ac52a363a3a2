// SPDX-License-Identifier: Apache-2.0
/**
 * `bastion.lock.yaml`: the pins as a file that people review. It changes only under its own lock, by re-read, merge and
 * rename, so that two gateways never lose each other's entries; an entry that is there is never overwritten here.
 */
import { randomBytes } from 'node:crypto';
import { open, readFile, realpath, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { parseDocument, stringify } from 'yaml';
import { z } from 'zod';
import { Unavailable } from '../../shared/errors.ts';
import { LOCK_WAIT_MS_MAX, LOCKFILE_BYTES_MAX, PINS_PER_SERVER_MAX } from '../../shared/limits.ts';
import { acquireExclusive } from '../store/sqlite.ts';
import type { PinBook } from './book.ts';
import type { Pin } from './judge.ts';

const HEADER = `# Pins of MCP tools, kept by mcp-bastion. Review changes of this file like code: an entry says which description
# of a tool was accepted. sha256 is over the canonical JSON (RFC 8785) of the whole tool object.
`;

const pinSchema = z.map(z.enum(['sha256', 'first_seen']), z.string());

/** Maps all the way: a tool may be called `__proto__` or `constructor`, and its pin must count like any other. */
const schema = z.map(z.enum(['version', 'servers']), z.unknown());
const serversSchema = z.map(z.string(), z.map(z.string(), pinSchema));

/** Pins by server and tool. */
type Lockfile = ReadonlyMap<string, ReadonlyMap<string, Pin>>;

function broken(path: string, cause?: unknown): Unavailable {
  return new Unavailable('PIN_STORE', `the pins in ${path} cannot be read`, 'restore the file from version control, or remove it to pin anew', cause);
}

function parseLockfile(path: string, text: string): Lockfile {
  const document = parseDocument(text, { strict: true, uniqueKeys: true });
  if (document.errors.length > 0) throw broken(path, document.errors[0]);
  const top = schema.safeParse(document.toJS({ maxAliasCount: 0, mapAsMap: true }));
  if (!top.success || top.data.get('version') !== 1) throw broken(path, top.error);
  const parsed = serversSchema.safeParse(top.data.get('servers'));
  if (!parsed.success) throw broken(path, parsed.error);
  return new Map([...parsed.data].map(([server, tools]) => [server, new Map([...tools].map(([tool, pin]) => [tool, readPin(path, pin)]))]));
}

function readPin(path: string, pin: ReadonlyMap<string, string>): Pin {
  const sha256 = pin.get('sha256');
  const firstSeen = pin.get('first_seen');
  if (sha256 === undefined || !/^[0-9a-f]{64}$/.test(sha256) || firstSeen === undefined) throw broken(path);
  return { sha256, firstSeen };
}

async function load(path: string): Promise<Lockfile> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return new Map();
    throw broken(path, error);
  }
  if (bytes.length > LOCKFILE_BYTES_MAX) throw broken(path);
  return parseLockfile(path, bytes.toString('utf8'));
}

async function replace(path: string, text: string): Promise<void> {
  const temporary = join(dirname(path), `.bastion.lock.${randomBytes(6).toString('hex')}`);
  const file = await open(temporary, 'wx', 0o644);
  try {
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function merged(file: Lockfile, server: string, pins: ReadonlyMap<string, Pin>): Lockfile {
  return new Map(file).set(server, new Map([...pins, ...(file.get(server) ?? [])]));
}

function sorted<T>(entries: ReadonlyMap<string, T>): [string, T][] {
  return [...entries].sort(([left], [right]) => (left < right ? -1 : 1));
}

/** @throws Unavailable (PIN_STORE) for more than would be read again: one server must not lock out all others */
function textOf(path: string, file: Lockfile): string {
  const servers = sorted(file).map(([server, tools]): [string, unknown] => {
    if (tools.size > PINS_PER_SERVER_MAX) throw full(path);
    return [server, new Map(sorted(tools).map(([tool, pin]) => [tool, { sha256: pin.sha256, first_seen: pin.firstSeen }]))];
  });
  const text = HEADER + stringify({ version: 1, servers: new Map(servers) });
  if (Buffer.byteLength(text) > LOCKFILE_BYTES_MAX) throw full(path);
  return text;
}

function full(path: string): Unavailable {
  return new Unavailable('PIN_STORE', `the new pins do not fit into ${path}`, 'the server lists ever new tools; remove the pins that are not needed');
}

/** The file itself, so that all names of one lockfile share one lock, and a link to it stays a link. */
async function resolved(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    return join(await realpath(dirname(path)), basename(path));
  }
}

/** The lock stands beside the file: gateways with different state folders may share the file. */
async function withLock(path: string, work: () => Promise<void>): Promise<void> {
  const file = join(dirname(path), `.${basename(path)}.lck`);
  const until = Date.now() + LOCK_WAIT_MS_MAX;
  for (;;) {
    try {
      const lock = acquireExclusive(file);
      await work().finally(() => lock.release());
      return;
    } catch (error) {
      const busy = error instanceof Unavailable && error.code === 'AUDIT_LOCKED' && Date.now() < until;
      if (!busy) throw error;
    }
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
}

/** The pins of one server in a lockfile. */
export function openPinBook(where: { readonly path: string; readonly server: string }): PinBook {
  const { path, server } = where;
  return {
    read: async () => (await load(path)).get(server) ?? new Map(),
    add: async (pins) => {
      try {
        const target = await resolved(path);
        await withLock(target, async () => {
          await replace(target, textOf(path, merged(await load(target), server, pins)));
        });
      } catch (error) {
        if (error instanceof Unavailable && error.code === 'PIN_STORE') throw error;
        throw new Unavailable('PIN_STORE', `the pins cannot be written to ${path}`, 'check that the folder is writable', error);
      }
    },
  };
}
