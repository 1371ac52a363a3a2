// SPDX-License-Identifier: Apache-2.0
/**
 * Erases what is stored beside a row: salt and data. The row and its salted commitment stay, which tell nothing of the
 * content any more; chain and proofs still verify. A row says so before it happens (audit reference, 2.3).
 */
import { existsSync } from 'node:fs';
import type { EraseRow } from '../../shared/audit/row.ts';
import { Unavailable, Usage } from '../../shared/errors.ts';
import type { AmendOptions } from './amend.ts';
import { amend } from './amend.ts';
import { epochsIn, segmentPath } from './files.ts';
import { SegmentReader } from './reader.ts';
import { openInPlace } from './snapshot.ts';
import { erasePayload } from './store.ts';

export interface EraseOptions extends AmendOptions {
  /** Null: the last one. */
  readonly epoch: number | null;
  readonly row: number;
}

/**
 * For the holder of the lock. Running it again finishes what was cut off.
 * @throws Usage for a row that has no payload, Unavailable AUDIT_CORRUPT, AUDIT_ROLLBACK, AUDIT_KEY
 */
export function eraseRow(options: EraseOptions): { readonly epoch: number; readonly row: number } {
  const { dir, row, session, now } = options;
  const epoch = options.epoch ?? epochsIn(dir).at(-1) ?? 0;
  const path = segmentPath(dir, epoch);
  if (!existsSync(path)) throw new Unavailable('FILE_UNREADABLE', `there is no epoch ${epoch} in ${dir}`, 'see: mcp-bastion inspect-log');
  if (!hasPayload(path, row)) {
    // An earlier run may have been cut off before the write-ahead log was emptied.
    erasePayload(path, row);
    throw new Usage('USAGE', `row ${row} of epoch ${epoch} has no payload`, 'it is erased already, or nothing was stored with it');
  }
  amend(options, (writer) => {
    const fields: EraseRow = { kind: 'erase', session, scope: 'payload', of_epoch: epoch, row, size: null, root: null, reason: 'request' };
    writer.commit([{ fields, payload: null, wall: now(), mono: 0 }]);
  });
  erasePayload(path, row);
  return { epoch, row };
}

function hasPayload(path: string, row: number): boolean {
  const reader = new SegmentReader(path, openInPlace);
  try {
    return reader.schema === 'expected' && reader.payload(row) !== undefined;
  } finally {
    reader.close();
  }
}
