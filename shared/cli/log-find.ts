// SPDX-License-Identifier: Apache-2.0
/** Finds the logs below a path, by the names of their files. Links to folders are not followed. */
import { readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Unavailable } from '../errors.ts';
import { LOG_TREE_DEPTH_MAX } from '../limits.ts';

const SEGMENT = /^([0-9]{12})\.sqlite$/;
const ANCHOR = /^([0-9]{12})\.anchor\.jsonl$/;

/** One log: the segments of one folder. */
export interface FoundLog {
  readonly dir: string;
  /** In the order of their epochs. */
  readonly segments: readonly string[];
  /** Segments whose anchor file is there without them. */
  readonly gone: readonly string[];
  /** False for a single file that was named. */
  readonly whole: boolean;
}

/** The epoch that a segment's name claims, or null. */
export function epochOf(name: string): number | null {
  const digits = SEGMENT.exec(name)?.[1];
  return digits === undefined ? null : Number(digits);
}

/** The anchor file that belongs to a segment file. */
export function anchorPathOf(segment: string): string {
  return `${segment.replace(/\.sqlite$/, '')}.anchor.jsonl`;
}

/** @throws Unavailable FILE_UNREADABLE */
export function findLogs(path: string): FoundLog[] {
  try {
    if (!statSync(path).isDirectory()) return [{ dir: dirname(path), segments: [path], gone: [], whole: false }];
    return walk(path, LOG_TREE_DEPTH_MAX);
  } catch (error) {
    throw new Unavailable('FILE_UNREADABLE', `there is no log at ${path}`, 'name a log directory, a directory above logs, or one .sqlite file', error);
  }
}

function walk(dir: string, depth: number): FoundLog[] {
  const entries = readdirSync(dir, { withFileTypes: true }).sort((left, right) => left.name.localeCompare(right.name, 'en', { numeric: true }));
  const names = new Set(entries.map((entry) => entry.name));
  const segments = [...names].filter((name) => SEGMENT.test(name)).map((name) => join(dir, name));
  const gone = [...names].filter((name) => ANCHOR.test(name)).map(segmentOf).filter((name) => !names.has(name)).map((name) => join(dir, name));
  if (segments.length > 0 || gone.length > 0) return [{ dir, segments, gone, whole: true }];
  if (depth === 0) return [];
  return entries.filter((entry) => entry.isDirectory()).flatMap((entry) => walk(join(dir, entry.name), depth - 1));
}

function segmentOf(anchor: string): string {
  return anchor.replace(ANCHOR, '$1.sqlite');
}
