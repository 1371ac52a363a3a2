// SPDX-License-Identifier: Apache-2.0
/** How a fault of the gateway's own is said: one line that names the error and the place, for whoever mends it. */
import type { Log } from './log.ts';

/** @param ends what ends with it, such as `the session` */
export function sayFault(log: Log, ends: string, error: unknown): void {
  const name = error instanceof Error ? `${error.name}: ${error.message}` : 'unknown';
  const where = error instanceof Error ? (error.stack?.split('\n')[1]?.trim() ?? '') : '';
  log.error(null, `internal fault, ${ends} ends (${name} ${where})`, 'please report it');
}
