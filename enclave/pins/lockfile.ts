// SPDX-License-Identifier: Apache-2.0
/**
 * `bastion.lock.yaml`: the pins as a file that people review. It changes only under its own lock, by re-read, merge and
 * rename, so that gateways and people never lose each other's entries. Version 1 held tools only; it is read as that,
 * and written as version 2 with the next change.
 */
import { readFile, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { parseDocument, stringify } from 'yaml';
import { z } from 'zod';
import { Unavailable } from '../../shared/errors.ts';
import { LOCKFILE_BYTES_MAX, PIN_REJECTIONS_MAX, PINS_PER_SERVER_MAX } from '../../shared/limits.ts';
import type { PinKind } from './item.ts';
import { INSTRUCTIONS } from './item.ts';
import type { PinEntry, ServerPins } from './judge.ts';
import { replaceFile, withLock } from './lock.ts';

const HEADER = `# Pins of what MCP servers say of themselves, kept by mcp-bastion. Review changes of this file like code: an entry says
# which description was accepted. sha256 is over the canonical JSON (RFC 8785) of the whole object.
# See: mcp-bastion pins --help
`;

/** Pins by server. */
export type Lockfile = ReadonlyMap<string, ServerPins>;

/** The sections of a server, in their order. */
const SECTIONS: ReadonlyMap<string, PinKind> = new Map<string, PinKind>([
  ['instructions', 'instructions'],
  ['tools', 'tool'],
  ['prompts', 'prompt'],
  ['templates', 'template'],
  ['resources', 'resource'],
  ['contents', 'content'],
]);

const digest = z.string().regex(/^[0-9a-f]{64}$/);
const members = z.enum(['sha256', 'first_seen', 'accepted', 'rejected']);
const entrySchema = z.map(members, z.union([z.string(), z.array(digest).max(PIN_REJECTIONS_MAX)]));
/** Maps all the way: a tool may be called `__proto__` or `constructor`, and its pin must count like any other. */
const entriesSchema = z.map(z.string(), entrySchema);
const topSchema = z.map(z.enum(['version', 'servers']), z.unknown());
const firstSchema = z.map(z.string(), entriesSchema);
const secondSchema = z.map(z.string(), z.map(z.string(), z.unknown()));

function broken(path: string, cause?: unknown): Unavailable {
  return new Unavailable('PIN_STORE', `the pins in ${path} cannot be read`, 'restore the file from version control, or remove it to pin anew', cause);
}

function full(path: string): Unavailable {
  return new Unavailable('PIN_STORE', `the new pins do not fit into ${path}`, 'a server lists ever new things; remove the pins that are not needed');
}

type RawEntry = z.infer<typeof entrySchema>;

/** An entry has a pin, or refusals, or both; anything else is an error rather than no pin. */
function readEntry(path: string, raw: RawEntry): PinEntry {
  const [sha256, firstSeen, accepted, rejected] = [raw.get('sha256'), raw.get('first_seen'), raw.get('accepted'), raw.get('rejected')];
  if (rejected !== undefined && typeof rejected === 'string') throw broken(path);
  const refused = rejected ?? [];
  if (sha256 === undefined && firstSeen === undefined && accepted === undefined && refused.length > 0) return { pin: null, rejected: refused };
  if (!digest.safeParse(sha256).success || typeof sha256 !== 'string' || typeof firstSeen !== 'string') throw broken(path);
  if (accepted !== undefined && typeof accepted !== 'string') throw broken(path);
  return { pin: { sha256, firstSeen, accepted: accepted ?? null }, rejected: refused };
}

function readEntries(path: string, raw: ReadonlyMap<string, RawEntry>): ReadonlyMap<string, PinEntry> {
  return new Map([...raw].map(([name, entry]) => [name, readEntry(path, entry)]));
}

function readSection(path: string, name: string, section: unknown): [PinKind, ReadonlyMap<string, PinEntry>] {
  const kind = SECTIONS.get(name);
  if (kind === undefined) throw broken(path);
  const raw = kind === 'instructions' ? entriesSchema.safeParse(new Map([[INSTRUCTIONS, section]])) : entriesSchema.safeParse(section);
  if (!raw.success) throw broken(path, raw.error);
  return [kind, readEntries(path, raw.data)];
}

/** There are no aliases in what is written here, and none are followed. */
function valueOf(path: string, document: ReturnType<typeof parseDocument>): unknown {
  try {
    return document.toJS({ maxAliasCount: 0, mapAsMap: true });
  } catch (error) {
    throw broken(path, error);
  }
}

/** Reads the text of a lockfile of version 1 or 2. @throws Unavailable PIN_STORE */
export function parseLockfile(path: string, text: string): Lockfile {
  const document = parseDocument(text, { strict: true, uniqueKeys: true });
  if (document.errors.length > 0) throw broken(path, document.errors[0]);
  const top = topSchema.safeParse(valueOf(path, document));
  if (!top.success) throw broken(path, top.error);
  const servers = top.data.get('servers');
  if (top.data.get('version') === 1) {
    const first = firstSchema.safeParse(servers);
    if (!first.success) throw broken(path, first.error);
    return new Map([...first.data].map(([server, tools]) => [server, new Map([['tool', readEntries(path, tools)]])]));
  }
  const second = secondSchema.safeParse(servers);
  if (top.data.get('version') !== 2 || !second.success) throw broken(path, second.error);
  return new Map([...second.data].map(([server, sections]) => [server, new Map([...sections].map(([name, section]) => readSection(path, name, section)))]));
}

function sorted<T>(entries: ReadonlyMap<string, T>): [string, T][] {
  return [...entries].sort(([left], [right]) => (left < right ? -1 : 1));
}

function writeEntry({ pin, rejected }: PinEntry): Record<string, unknown> {
  return {
    ...(pin === null ? {} : { sha256: pin.sha256, first_seen: pin.firstSeen }),
    ...(pin === null || pin.accepted === null ? {} : { accepted: pin.accepted }),
    ...(rejected.length === 0 ? {} : { rejected }),
  };
}

function writeSections(path: string, pins: ServerPins): Map<string, unknown> {
  const sections = new Map<string, unknown>();
  for (const [name, kind] of SECTIONS) {
    const entries = pins.get(kind) ?? new Map<string, PinEntry>();
    if (entries.size > PINS_PER_SERVER_MAX) throw full(path);
    if (entries.size === 0) continue;
    const written = new Map(sorted(entries).map(([item, entry]) => [item, writeEntry(entry)]));
    sections.set(name, kind === 'instructions' ? written.get(INSTRUCTIONS) : written);
  }
  return sections;
}

/** @throws Unavailable (PIN_STORE) for more than would be read again: one server must not lock out all others */
export function formatLockfile(path: string, file: Lockfile): string {
  const servers = new Map(sorted(file).map(([server, pins]) => [server, writeSections(path, pins)]));
  const text = HEADER + stringify({ version: 2, servers }, { aliasDuplicateObjects: false });
  if (Buffer.byteLength(text) > LOCKFILE_BYTES_MAX) throw full(path);
  return text;
}

/** All pins; none where there is no file. @throws Unavailable PIN_STORE */
export async function loadLockfile(path: string): Promise<Lockfile> {
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

/** A change of one entry. */
export interface EntryChange {
  readonly kind: PinKind;
  readonly name: string;
  readonly apply: (entry: PinEntry) => PinEntry;
}

/** A lockfile with some entries of a server changed. An entry with nothing in it goes. */
export function withEntries(file: Lockfile, server: string, changes: readonly EntryChange[]): Lockfile {
  const pins = new Map([...(file.get(server) ?? [])].map(([kind, entries]) => [kind, new Map(entries)]));
  for (const { kind, name, apply } of changes) {
    const entries = pins.get(kind) ?? new Map<string, PinEntry>();
    pins.set(kind, entries);
    const next = apply(entries.get(name) ?? { pin: null, rejected: [] });
    if (next.pin === null && next.rejected.length === 0) entries.delete(name);
    else entries.set(name, next);
  }
  return new Map(file).set(server, pins);
}

/** The file itself, so that all names of one lockfile share one lock, and a link to it stays a link. */
export async function resolvedLockfile(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    return join(await realpath(dirname(path)), basename(path));
  }
}

/**
 * Changes the file: reads it anew under its lock, and puts what `change` makes of it in its place; null changes nothing.
 * The lock stands beside the file, because gateways with different state folders may share it.
 * @throws Unavailable PIN_STORE
 */
export async function changeLockfile(path: string, change: (file: Lockfile) => Lockfile | null): Promise<void> {
  try {
    const target = await resolvedLockfile(path);
    await withLock(join(dirname(target), `.${basename(target)}.lck`), async () => {
      const next = change(await loadLockfile(target));
      if (next !== null) await replaceFile(target, formatLockfile(target, next), 0o644);
    });
  } catch (error) {
    if (error instanceof Unavailable && error.code === 'PIN_STORE') throw error;
    throw new Unavailable('PIN_STORE', `the pins cannot be written to ${path}`, 'check that the folder is writable', error);
  }
}
