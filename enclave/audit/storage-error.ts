// SPDX-License-Identifier: Apache-2.0
/** Which errors are the storage's, and may pass: anything else ends the log for good. */
import type { GapRow } from '../../shared/audit/row.ts';
import { Unavailable } from '../../shared/errors.ts';
import { sqliteCode } from '../store/sqlite.ts';

const FULL: ReadonlySet<string> = new Set(['SQLITE_FULL', 'ENOSPC', 'EDQUOT', 'EFBIG']);
const SYSTEM: ReadonlySet<string> = new Set(['EIO', 'EROFS', 'EACCES', 'EPERM', 'EMFILE', 'ENFILE', 'ETIMEDOUT', 'ESTALE', 'EAGAIN', 'ENXIO', 'ENODEV']);
const SQLITE = /^SQLITE_(FULL|IOERR|READONLY|CANTOPEN|BUSY|LOCKED|PROTOCOL|NOMEM)(_|$)/;

/** The code of SQLite or of the system: what a person needs, and nothing of a row. */
export function storageCode(error: unknown): string | undefined {
  const system = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  return sqliteCode(error) ?? system;
}

/** What a failure of the storage is called in a gap row; null if it is none that may pass. */
export function storageReason(error: unknown): Exclude<GapRow['reason'], 'stalled'> | null {
  if (error instanceof Unavailable) return null;
  const code = storageCode(error);
  if (code === undefined) return null;
  if (FULL.has(code)) return 'full';
  return SQLITE.test(code) || SYSTEM.has(code) ? 'storage' : null;
}
