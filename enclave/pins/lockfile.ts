// SPDX-License-Identifier: Apache-2.0
/**
 * `bastion.lock.yaml`: the pins as a file that people review. It changes only under its own lock, by re-read, merge and
 * rename, so that two gateways never lose each other's entries; an entry that is there is never overwritten here.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseDocument, stringify } from 'yaml';
import { z } from 'zod';
import { Unavailable } from '../../shared/errors.ts';
import { LOCK_WAIT_MS_MAX, LOCKFILE_BYTES_MAX } from '../../shared/limits.ts';
import { acquireExclusive } from '../store/sqlite.ts';
import type { PinBook } from './book.ts';
import type { Pin } from './judge.ts';

const HEADER = `# Pins of MCP tools, kept by mcp-bastion. Review changes of this file like code: an entry says which description
# of a tool was accepted. sha256 is over the canonical JSON (RFC 8785) of the whole tool object.
`;

const schema = z.strictObject({
  version: z.literal(1),
  servers: z.record(
    z.string(),
    z.record(z.string(), z.strictObject({ sha256: z.string().regex(/^[0-9a-f]{64}$/), first_seen: z.string() })),
  ),
});

type Lockfile = z.infer<typeof schema>;

function broken(path: string, cause?: unknown): Unavailable {
  return new Unavailable('PIN_STORE', `the pins in ${path} cannot be read`, 'restore the file from version control, or remove it to pin anew', cause);
}

function parseLockfile(path: string, text: string): Lockfile {
  const document = parseDocument(text, { strict: true, uniqueKeys: true });
  if (document.errors.length > 0) throw broken(path, document.errors[0]);
  const parsed = schema.safeParse(document.toJS({ maxAliasCount: 0 }));
  if (!parsed.success) throw broken(path, parsed.error);
  return parsed.data;
}

async function load(path: string): Promise<Lockfile> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return { version: 1, servers: {} };
    throw broken(path, error);
  }
  if (bytes.length > LOCKFILE_BYTES_MAX) throw broken(path);
  return parseLockfile(path, bytes.toString('utf8'));
}

function pinsOf(file: Lockfile, server: string): Map<string, Pin> {
  const pins = new Map<string, Pin>();
  for (const [tool, pin] of Object.entries(file.servers[server] ?? {})) {
    pins.set(tool, { sha256: pin.sha256, firstSeen: pin.first_seen });
  }
  return pins;
}

async function replace(path: string, text: string): Promise<void> {
  const temporary = join(dirname(path), `.bastion.lock.${randomBytes(6).toString('hex')}`);
  const file = await open(temporary, 'wx', 0o644);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  try {
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
  const tools = new Map(Object.entries(file.servers[server] ?? {}));
  for (const [tool, pin] of pins) if (!tools.has(tool)) tools.set(tool, { sha256: pin.sha256, first_seen: pin.firstSeen });
  const servers = new Map(Object.entries(file.servers));
  const sorted = [...tools].sort(([left], [right]) => (left < right ? -1 : 1));
  servers.set(server, Object.fromEntries(sorted));
  return { version: 1, servers: Object.fromEntries([...servers].sort(([left], [right]) => (left < right ? -1 : 1))) };
}

async function withLock(path: string, stateDir: string, work: () => Promise<void>): Promise<void> {
  const name = createHash('sha256').update(path).digest('hex').slice(0, 32);
  const folder = join(stateDir, 'locks');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const until = Date.now() + LOCK_WAIT_MS_MAX;
  for (;;) {
    try {
      const lock = acquireExclusive(join(folder, `${name}.lock`));
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
export function openPinBook(where: { readonly path: string; readonly server: string; readonly stateDir: string }): PinBook {
  const { path, server, stateDir } = where;
  return {
    read: async () => pinsOf(await load(path), server),
    add: async (pins) => {
      try {
        await withLock(path, stateDir, async () => {
          const file = merged(await load(path), server, pins);
          await replace(path, HEADER + stringify(file));
        });
      } catch (error) {
        if (error instanceof Unavailable && error.code === 'PIN_STORE') throw error;
        throw new Unavailable('PIN_STORE', `the pins cannot be written to ${path}`, 'check that the folder is writable', error);
      }
    },
  };
}
