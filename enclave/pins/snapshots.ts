// SPDX-License-Identifier: Apache-2.0
/**
 * What was judged, kept whole for people who compare it later: one file for each object, under the SHA-256 of its
 * canonical JSON. A file is believed only if it has that digest, so the store needs no protection of its own.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256Hex } from '../../shared/digest.ts';
import { canonicalJson } from '../../shared/json/canonical.ts';
import { parseStrictJson } from '../../shared/json/parse.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { isJsonObject } from '../../shared/json/value.ts';
import { SNAPSHOT_BYTES_MAX, SNAPSHOTS_BYTES_MAX, SNAPSHOTS_MAX } from '../../shared/limits.ts';

const NAME = /^([0-9a-f]{64})\.json$/;
/** Files that are written at the same time. */
const WRITERS = 16;
/** What is left after old files were removed, so that this is not done for each new one. */
const KEPT_SHARE = 0.9;

export interface Kept {
  readonly digest: string;
  readonly value: JsonObject;
}

interface Stored {
  readonly digest: string;
  readonly bytes: number;
  readonly mtimeMs: number;
}

export class Snapshots {
  readonly #dir: string;
  /** Digests and bytes of what is in the store, as far as this process knows. */
  #known: Promise<Map<string, number>> | null = null;
  #bytes = 0;

  /** @param dir made when something is kept */
  constructor(dir: string) {
    this.#dir = dir;
  }

  /** The object with this digest, or null if it is not here, or is not what its name says. */
  async get(digest: string): Promise<JsonObject | null> {
    let bytes: Buffer;
    try {
      bytes = await readFile(join(this.#dir, `${digest}.json`));
    } catch {
      return null;
    }
    if (bytes.length > SNAPSHOT_BYTES_MAX || sha256Hex(bytes) !== digest) return null;
    const parsed = parseStrictJson(bytes);
    return parsed.ok && isJsonObject(parsed.value) ? parsed.value : null;
  }

  /**
   * Keeps objects. One that is too large is left out; of too many the oldest go, those that `needed` names last.
   * Rejects as the file system does.
   */
  async keep(objects: readonly Kept[], needed: () => Promise<ReadonlySet<string>>): Promise<void> {
    this.#known ??= this.#load();
    const known = await this.#known.catch((error: unknown) => {
      this.#known = null;
      throw error;
    });
    const fresh = objects.filter(({ digest }) => !known.has(digest));
    for (let at = 0; at < fresh.length; at += WRITERS) await Promise.all(fresh.slice(at, at + WRITERS).map((object) => this.#write(known, object)));
    if (known.size > SNAPSHOTS_MAX || this.#bytes > SNAPSHOTS_BYTES_MAX) await this.#makeRoom(known, await needed());
  }

  async #load(): Promise<Map<string, number>> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    const known = new Map<string, number>();
    for (const { digest, bytes } of await this.#stored()) {
      known.set(digest, bytes);
      this.#bytes += bytes;
    }
    return known;
  }

  async #stored(): Promise<Stored[]> {
    const stored: Stored[] = [];
    for (const name of await readdir(this.#dir)) {
      const digest = NAME.exec(name)?.[1];
      const found = digest === undefined ? null : await stat(join(this.#dir, name)).catch(() => null);
      if (digest !== undefined && found !== null) stored.push({ digest, bytes: found.size, mtimeMs: found.mtimeMs });
    }
    return stored;
  }

  async #write(known: Map<string, number>, { digest, value }: Kept): Promise<void> {
    const bytes = Buffer.from(canonicalJson(value), 'utf8');
    if (bytes.length > SNAPSHOT_BYTES_MAX) return;
    const temporary = join(this.#dir, `.${digest}.${randomBytes(6).toString('hex')}`);
    try {
      await writeFile(temporary, bytes, { flag: 'wx', mode: 0o600 });
      await rename(temporary, join(this.#dir, `${digest}.json`));
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    known.set(digest, bytes.length);
    this.#bytes += bytes.length;
  }

  async #makeRoom(known: Map<string, number>, needed: ReadonlySet<string>): Promise<void> {
    const stored = await this.#stored();
    const order = stored.sort((left, right) => Number(needed.has(left.digest)) - Number(needed.has(right.digest)) || left.mtimeMs - right.mtimeMs);
    let [count, bytes] = [order.length, order.reduce((sum, one) => sum + one.bytes, 0)];
    for (const one of order) {
      if (count <= SNAPSHOTS_MAX * KEPT_SHARE && bytes <= SNAPSHOTS_BYTES_MAX * KEPT_SHARE) break;
      await rm(join(this.#dir, `${one.digest}.json`), { force: true });
      known.delete(one.digest);
      count -= 1;
      bytes -= one.bytes;
    }
    this.#bytes = bytes;
  }
}
