// SPDX-License-Identifier: Apache-2.0
/**
 * Retention: takes away segments whose last row is older than they are to be kept. A row says so first, with the size and
 * the root where the last of them ended; their anchor files stay, so that what is left still chains (audit reference, 2.9).
 */
import { rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { UnreadableSegment } from '../../shared/audit/source.ts';
import { toHex } from '../../shared/bytes.ts';
import { epochsIn, segmentPath } from './files.ts';
import { syncFolder } from './key.ts';
import { SegmentReader } from './reader.ts';
import { openInPlace } from './snapshot.ts';

/** Where an epoch ended. */
interface End {
  readonly epoch: number;
  readonly size: number;
  readonly root: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

function endOf(dir: string, epoch: number): End | null {
  const path = segmentPath(dir, epoch);
  if (statSync(path).size === 0) return null;
  let reader: SegmentReader | undefined;
  try {
    reader = new SegmentReader(path, openInPlace);
    const [last] = reader.schema === 'expected' ? reader.checkpoints(reader.lastCheckpointSize - 1) : [];
    if (typeof last?.size !== 'number' || typeof last.ts !== 'number' || !(last.root instanceof Uint8Array)) return null;
    return { epoch, size: last.size, root: toHex(last.root), at: last.ts * 1000 };
  } catch (error) {
    if (error instanceof UnreadableSegment) return null;
    throw error;
  } finally {
    reader?.close();
  }
}

/**
 * The last of the segments that are over their time: the oldest ones, without a hole. Null if there are none, or if one of
 * them cannot be read: what is damaged is evidence.
 * @param current the epoch that is written, which always stays
 */
export function expiredThrough(dir: string, current: number, before: number): { readonly epoch: number; readonly size: number; readonly root: string } | null {
  let through: End | null = null;
  for (const epoch of epochsIn(dir)) {
    if (epoch >= current) break;
    const end = endOf(dir, epoch);
    if (end === null || end.at >= before) break;
    through = end;
  }
  return through === null ? null : { epoch: through.epoch, size: through.size, root: through.root };
}

/** Takes the segments up to an epoch away, after the row that says so is durable. Their anchor files stay. */
export function removeThrough(dir: string, epoch: number): void {
  for (const old of epochsIn(dir)) {
    if (old > epoch) break;
    const path = segmentPath(dir, old);
    for (const suffix of ['-wal', '-shm', '']) rmSync(path + suffix, { force: true });
  }
  syncFolder(dirname(segmentPath(dir, epoch)));
}
