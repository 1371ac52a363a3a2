// SPDX-License-Identifier: Apache-2.0
/**
 * A new policy for a running gateway, in local mode: on SIGHUP, or when the file changed. What is wrong with it leaves the
 * old one in force. The row that says which policy follows which is durable before the new one decides anything; each
 * message is judged by the one that was in force when it came.
 */
import { closeSync, openSync, watch } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { sha256Hex } from '../../shared/digest.ts';
import type { ErrorCode } from '../../shared/errors.ts';
import { Unavailable, Usage } from '../../shared/errors.ts';
import { POLICY_BYTES_MAX, POLICY_CLOSE_MS, POLICY_POLL_MS, POLICY_SETTLE_MS } from '../../shared/limits.ts';
import { parseAndCompile } from '../policy/compile.ts';
import type { AuditSettings, Policy, RedactionPattern } from '../policy/types.ts';
import type { LocalHouse } from './house.ts';

/** Why a document cannot take the place of the one in force. */
interface Unfit {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
}

const RESTART = 'start the gateway again to change it; until then, leave it as it was';

/** What a running gateway was built with: the log's form, and where pins are. */
function fixedPart(now: Policy, next: Policy): string | null {
  const keys: readonly (keyof AuditSettings)[] = ['path', 'payload', 'order', 'signature', 'key', 'keyFile', 'keyName', 'segmentMegabytes', 'segmentDays', 'keepDays', 'legalHold', 'readers'];
  const changed = keys.find((key) => JSON.stringify(now.audit[key]) !== JSON.stringify(next.audit[key]));
  if (changed !== undefined) return `audit.${changed.replace(/[A-Z]/g, (capital) => `_${capital.toLowerCase()}`)}`;
  if (now.pinning.enabled !== next.pinning.enabled) return 'tool_description_pinning.enabled';
  return now.pinning.path === next.pinning.path ? null : 'tool_description_pinning.path';
}

function unfit(house: LocalHouse, next: Policy): Unfit | null {
  const fixed = fixedPart(house.policies.current, next);
  if (fixed !== null) return { code: 'POLICY_INVALID', message: `${fixed} cannot change while the gateway runs`, hint: RESTART };
  if (next.approval.approvers.size === 0 || house.control !== null) return null;
  return { code: 'POLICY_INVALID', message: 'approvers cannot be added: there is no control socket', hint: 'start the gateway again with a shorter state folder' };
}

/** Both sets, so that no row of either policy is stored with less taken out of it than that policy says. */
function united(now: readonly RedactionPattern[], next: readonly RedactionPattern[]): readonly RedactionPattern[] {
  const sources = new Set(next.map((pattern) => pattern.source));
  return [...next, ...now.filter((pattern) => !sources.has(pattern.source))];
}

export class Reloader {
  readonly #house: LocalHouse;
  readonly #path: string;
  /** Digest of what was refused last: it is said once. */
  #refused: string | null = null;
  #running: Promise<void> = Promise.resolve();
  #retired: Policy | null = null;
  #retiring: NodeJS.Timeout | undefined;

  /** @param path the policy's file */
  constructor(house: LocalHouse, path: string) {
    this.#house = house;
    this.#path = path;
  }

  /** Reads the file and puts it in force, or says why not. Never rejects; one at a time. */
  reload(): Promise<void> {
    this.#running = this.#running.then(() => this.#reload()).catch((error: unknown) => this.#failed(error));
    return this.#running;
  }

  /** Reloads after the file changed, once it is left alone. */
  watch(): void {
    let timer: NodeJS.Timeout | undefined;
    const soon = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => void this.reload(), POLICY_SETTLE_MS);
      timer.unref();
    };
    let seen = '';
    // Some file systems tell of no change.
    const poll = setInterval(() => {
      void stat(this.#path).then(
        ({ mtimeMs, size, ino }) => {
          const now = `${mtimeMs} ${size} ${ino}`;
          if (seen !== '' && seen !== now) soon();
          seen = now;
        },
        () => undefined,
      );
    }, POLICY_POLL_MS);
    poll.unref();
    // The folder, because editors put a new file in the old one's place.
    const watcher = watch(dirname(this.#path), { persistent: false }, (_event, name) => {
      if (name === null || name === basename(this.#path)) soon();
    });
    // What it does not see any more, the poll does.
    watcher.on('error', () => watcher.close());
  }

  async #reload(): Promise<void> {
    const { policies, log } = this.#house;
    const bytes = await readFile(this.#path);
    const digest = sha256Hex(bytes);
    if (digest === policies.current.digest) {
      this.#refused = null;
      return;
    }
    if (digest === this.#refused) return;
    const next = bytes.length > POLICY_BYTES_MAX ? tooLarge() : parse(bytes, this.#path);
    const wrong = 'hint' in next ? next : unfit(this.#house, next);
    if (wrong !== null) {
      if (!('hint' in next)) await next.close();
      this.#refused = digest;
      await this.#row('refused', digest, wrong.code);
      log.error(wrong.code, `the changed policy is not in force, the old one still is: ${wrong.message}`, wrong.hint);
      return;
    }
    if ('hint' in next) return;
    await this.#putInForce(next);
    this.#refused = null;
    log.info(`policy ${digest.slice(0, 8)} is in force`);
  }

  async #putInForce(next: Policy): Promise<void> {
    const { policies, audit, control, continuations } = this.#house;
    const old = policies.current;
    audit.scrubWith(united(old.scrubPatterns, next.scrubPatterns));
    await this.#row('loaded', next.digest, null);
    policies.replace(next);
    continuations.clear();
    await control?.desk.voidAll('POLICY_CHANGED');
    await this.#retire(old, next);
  }

  /** Messages that came before are still judged by the old policy: it ends when none of them can be left. */
  async #retire(old: Policy, next: Policy): Promise<void> {
    clearTimeout(this.#retiring);
    await this.#retired?.close();
    this.#retired = old;
    this.#retiring = setTimeout(() => {
      this.#retired = null;
      void old.close();
      this.#house.audit.scrubWith(next.scrubPatterns);
    }, POLICY_CLOSE_MS);
    this.#retiring.unref();
  }

  async #row(change: 'loaded' | 'refused', policy: string, code: ErrorCode | null): Promise<void> {
    const { audit, clock, boot, policies } = this.#house;
    const fields = { kind: 'policy', session: boot, change, was: policies.current.digest, policy, code } as const;
    await audit.append({ fields, payload: null, wall: clock.now(), mono: clock.mono() });
  }

  #failed(error: unknown): void {
    const { log } = this.#house;
    if (error instanceof Unavailable) log.error(error.code, `the policy stays as it is: ${error.message}`, error.hint);
    else if (error instanceof Error && 'code' in error) log.error('FILE_UNREADABLE', `the policy file cannot be read (${String(error.code)}); the policy stays as it is`, 'put it back, or give the gateway the right to read it');
    else throw error;
  }
}

/** True once the terminal that the gateway was started from has hung up. */
function hasHungUp(wasTerminal: boolean): boolean {
  if (!wasTerminal) return false;
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return false;
  } catch {
    return true;
  }
}

/** Reloads on SIGHUP and on changes of the file. A terminal that hangs up sends the same signal, and ends the gateway. */
export function followPolicy(house: LocalHouse, path: string): void {
  const wasTerminal = process.stdin.isTTY || process.stderr.isTTY;
  const reloader = new Reloader(house, path);
  reloader.watch();
  process.on('SIGHUP', () => {
    if (hasHungUp(wasTerminal)) process.emit('SIGTERM');
    else void reloader.reload();
  });
}

function tooLarge(): Unfit {
  return { code: 'POLICY_INVALID', message: `the file is larger than ${POLICY_BYTES_MAX} bytes`, hint: 'write fewer, more general patterns' };
}

function parse(bytes: Uint8Array, path: string): Policy | Unfit {
  try {
    return parseAndCompile(bytes, path);
  } catch (error) {
    if (!(error instanceof Usage)) throw error;
    return { code: error.code, message: error.message, hint: error.hint };
  }
}
