// SPDX-License-Identifier: Apache-2.0
/** Finds the logs below a path. Links are not followed. */
import { lstatSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Unavailable } from '../../shared/errors.ts';
import { LOG_TREE_DEPTH_MAX } from '../../shared/limits.ts';
import { epochsIn, orphanEpochs, segmentPath } from './files.ts';

/** One log: the segments of one directory. */
export interface LogFiles {
  readonly dir: string;
  /** In the order of their epochs. */
  readonly segments: readonly string[];
  /** Segments whose anchor file is there without them. */
  readonly gone: readonly string[];
  /** False for a single file that was named. */
  readonly whole: boolean;
}

/** @throws Unavailable FILE_UNREADABLE */
export function findLogs(path: string): LogFiles[] {
  try {
    if (!lstatSync(path).isDirectory()) return [{ dir: dirname(path), segments: [path], gone: [], whole: false }];
    return walk(path, LOG_TREE_DEPTH_MAX);
  } catch (error) {
    throw new Unavailable('FILE_UNREADABLE', `there is no log at ${path}`, 'name a log directory, a directory above logs, or one .sqlite file', error);
  }
}

function walk(dir: string, depth: number): LogFiles[] {
  const segments = epochsIn(dir).map((epoch) => segmentPath(dir, epoch));
  const gone = orphanEpochs(dir).map((epoch) => segmentPath(dir, epoch));
  if (segments.length > 0 || gone.length > 0) return [{ dir, segments, gone, whole: true }];
  if (depth === 0) return [];
  return readdirSync(dir, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort((left, right) => left.localeCompare(right, 'en', { numeric: true }))
    .flatMap((name) => walk(join(dir, name), depth - 1));
}
