// SPDX-License-Identifier: Apache-2.0
/** How the files of a log directory are named. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const EPOCH_DIGITS = 12;
const SEGMENT = /^([0-9]{12})\.sqlite$/;

/** The lock of a directory: whoever holds it may write there. */
export const LOCK_NAME = 'writer.lock';

export function segmentPath(dir: string, epoch: number): string {
  return join(dir, `${String(epoch).padStart(EPOCH_DIGITS, '0')}.sqlite`);
}

/** The anchor file that belongs to a segment file. */
export function anchorPath(segment: string): string {
  return segment.replace(/\.sqlite$/, '') + '.anchor.jsonl';
}

/** The epoch that a file name claims, or null. */
export function epochOf(name: string): number | null {
  const digits = SEGMENT.exec(name)?.[1];
  return digits === undefined ? null : Number(digits);
}

/** Epochs that have an anchor file but no segment. */
export function orphanEpochs(dir: string): number[] {
  const names = new Set(readdirSync(dir));
  const orphans: number[] = [];
  for (const name of names) {
    const segment = name.replace(/\.anchor\.jsonl$/, '.sqlite');
    const epoch = segment === name ? null : epochOf(segment);
    if (epoch !== null && !names.has(segment)) orphans.push(epoch);
  }
  return orphans.sort((left, right) => left - right);
}

/** Epochs that have a file in a directory, in order. */
export function epochsIn(dir: string): number[] {
  return readdirSync(dir)
    .map(epochOf)
    .filter((epoch) => epoch !== null)
    .sort((left, right) => left - right);
}
