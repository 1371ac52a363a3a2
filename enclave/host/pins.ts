// SPDX-License-Identifier: Apache-2.0
/** `mcp-bastion pins`: what changed of what servers say of themselves, and a person's decision on it. */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { Unavailable, Usage } from '../../shared/errors.ts';
import { itemLabel } from '../pins/item.ts';
import { Snapshots } from '../pins/snapshots.ts';
import { snapshotsDir } from '../pins/state.ts';
import type { Overview, Waiting } from '../pins/waiting.ts';
import { decide, overview } from '../pins/waiting.ts';
import { readPolicy } from '../policy/document.ts';
import type { Compared } from './pins-show.ts';
import { decidedAsJson, decidedAsText, diffAsJson, diffAsText, listAsJson, listAsText, pinnedIn } from './pins-show.ts';
import type { PinsOptions } from './pins-usage.ts';
import { parsePinsOptions, PINS_USAGE } from './pins-usage.ts';

export interface PinsIo {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** Milliseconds since 1970. */
  now(): number;
}

/** What was named is not there, or is another now: exit code 1. */
class Mismatch {
  readonly message: string;
  readonly hint: string;

  constructor(message: string, hint: string) {
    this.message = message;
    this.hint = hint;
  }
}

const LOOK = 'look at it again: mcp-bastion pins diff';

async function lockfileOf({ lockfile, policy }: PinsOptions, cwd: string): Promise<string> {
  if (lockfile !== null) return resolve(cwd, lockfile);
  if (policy === null) return resolve(cwd, 'bastion.lock.yaml');
  const file = resolve(cwd, policy);
  const bytes = await readFile(file).catch((error: unknown) => {
    throw new Unavailable('FILE_UNREADABLE', 'the policy file cannot be read', 'check the path and its permissions', error);
  });
  return resolve(dirname(file), readPolicy(bytes, policy).document.pinning.path ?? 'bastion.lock.yaml');
}

async function look(path: string, { stateDir }: PinsOptions): Promise<Overview> {
  try {
    return await overview(path, stateDir);
  } catch (error) {
    if (error instanceof Unavailable || !(error instanceof Error && 'code' in error)) throw error;
    throw new Unavailable('FILE_UNREADABLE', `the pins cannot be read (${String(error.code)})`, 'check --lockfile and --state', error);
  }
}

function isIn({ server, kind }: PinsOptions, one: { readonly server: string; readonly kind: string }): boolean {
  return (server === null || one.server === server) && (kind === null || one.kind === kind);
}

function isCalled(one: Waiting, name: string): boolean {
  return one.name === name || itemLabel(one.kind, one.name) === name;
}

/** Exactly one of what waits for each name, or the one with the digest. */
function choose(options: PinsOptions, waiting: readonly Waiting[]): readonly Waiting[] | Mismatch {
  const { names, digest, all } = options;
  const within = waiting.filter((one) => isIn(options, one));
  if (all) return within.filter((one) => !one.isRejected);
  const chosen = new Set<Waiting>();
  for (const name of names.length === 0 ? [null] : names) {
    const called = within.filter((one) => name === null || isCalled(one, name));
    const found = called.filter((one) => digest === null || one.digest.startsWith(digest));
    const [one] = found;
    if (one === undefined) return called.length > 0 && digest !== null && name !== null ? new Mismatch('what waits now has another digest', LOOK) : new Mismatch('nothing like that waits', 'see: mcp-bastion pins diff');
    if (found.length > 1) throw new Usage('USAGE', 'more than one thing is called so', 'say which with --server, --kind or --digest');
    chosen.add(one);
  }
  return [...chosen];
}

async function compare(one: Waiting, snapshots: Snapshots): Promise<Compared> {
  const [old, now] = [one.pinned === null ? null : await snapshots.get(one.pinned), await snapshots.get(one.digest)];
  return { waiting: one, old, now };
}

async function diff(options: PinsOptions, found: Overview, io: PinsIo): Promise<number> {
  const { names, digest } = options;
  const asked = names.length > 0 || digest !== null;
  // What was rejected is shown to whoever asks for it.
  const shown = found.waiting.filter(
    (one) => isIn(options, one) && (asked || !one.isRejected) && (names.length === 0 || names.some((name) => isCalled(one, name))) && (digest === null || one.digest.startsWith(digest)),
  );
  const snapshots = new Snapshots(snapshotsDir(options.stateDir));
  const compared: Compared[] = [];
  for (const one of shown) compared.push(await compare(one, snapshots));
  io.stdout.write(options.json ? diffAsJson(found, compared) : diffAsText(compared));
  return shown.length === 0 ? 0 : 1;
}

/** Nobody can accept what nobody can look at, unless he names it in full. */
async function unseen(chosen: readonly Waiting[], { stateDir, digest }: PinsOptions): Promise<boolean> {
  const snapshots = new Snapshots(snapshotsDir(stateDir));
  for (const one of chosen) if (one.digest !== digest && (await snapshots.get(one.digest)) === null) return true;
  return false;
}

async function decideOn(options: PinsOptions, found: Overview, io: PinsIo): Promise<number | Mismatch> {
  const accepts = options.command === 'accept';
  const chosen = choose(options, found.waiting);
  if (chosen instanceof Mismatch) return chosen;
  if (accepts && (await unseen(chosen, options))) {
    throw new Unavailable('PIN_STORE', 'what is to be accepted is not kept in this state folder', 'let the gateway list it again, or give all 64 digits with --digest');
  }
  const stands = chosen.length === 0 || (await decide(found.path, accepts ? 'accept' : 'reject', chosen, new Date(io.now()).toISOString()));
  if (!stands) return new Mismatch('something else was pinned meanwhile', LOOK);
  const verb = accepts ? 'accepted' : 'rejected';
  io.stdout.write(options.json ? decidedAsJson(found, verb, chosen) : decidedAsText(verb, chosen));
  io.stderr.write(chosen.length === 0 ? 'nothing waits\n' : `wrote ${found.path}; a running gateway follows with its next call\n`);
  return 0;
}

function list(options: PinsOptions, found: Overview, io: PinsIo): number {
  const pinned = pinnedIn(found).filter((one) => isIn(options, one));
  const waiting = found.waiting.filter((one) => isIn(options, one));
  io.stdout.write(options.json ? listAsJson(found, pinned, waiting) : listAsText(pinned, waiting));
  return 0;
}

async function run(options: PinsOptions, io: PinsIo): Promise<number | Mismatch> {
  const found = await look(await lockfileOf(options, io.cwd), options);
  switch (options.command) {
    case 'list':
      return list(options, found, io);
    case 'diff':
      return diff(options, found, io);
    case 'accept':
    case 'reject':
      return decideOn(options, found, io);
  }
}

/** Runs the command and returns its exit code. @throws Usage, Unavailable */
export async function pinsCommand(args: readonly string[], io: PinsIo): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    io.stdout.write(PINS_USAGE);
    return 0;
  }
  const outcome = await run(parsePinsOptions(args, io.env), io);
  if (typeof outcome === 'number') return outcome;
  io.stderr.write(`pins: error: ${outcome.message}\nhint: ${outcome.hint}\n`);
  return 1;
}
