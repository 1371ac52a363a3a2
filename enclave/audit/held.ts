// SPDX-License-Identifier: Apache-2.0
/**
 * Notices that a file of the log was removed, moved or replaced under its writer. SQLite would go on writing to a file
 * that no name leads to any more: rows would count as durable, and be gone with the process.
 */
import { statSync } from 'node:fs';
import { Unavailable } from '../../shared/errors.ts';

/** Device and inode of what a path names, or null if it names nothing. */
function identity(path: string): string | null {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? null : `${stat.dev}:${stat.ino}`;
}

export class HeldFiles {
  readonly #held: readonly (readonly [path: string, identity: string | null])[];

  /** Remembers what each path names now; one that names nothing has to stay so. */
  constructor(paths: readonly string[]) {
    this.#held = paths.map((path) => [path, identity(path)] as const);
  }

  /** @throws Unavailable AUDIT_UNAVAILABLE if a path names something else by now */
  check(): void {
    for (const [path, before] of this.#held) {
      if (identity(path) === before) continue;
      throw new Unavailable(
        'AUDIT_UNAVAILABLE',
        `${path} was removed, moved or replaced while the log was written`,
        'find out who did it, bring the file back if it was moved, and start again',
      );
    }
  }
}
