// SPDX-License-Identifier: Apache-2.0
/** What is in a ramdisk, one line of facts for each path: what a release publishes and a comparison compares. */
import { createHash } from 'node:crypto';
import type { CpioEntry } from './cpio.ts';

export interface ManifestLine {
  readonly path: string;
  readonly kind: CpioEntry['kind'];
  /** Permissions in octal, such as `0755`. */
  readonly mode: string;
  /** Bytes of a file; 0 for everything else. */
  readonly size: number;
  /** SHA-256 of a file's bytes or of a link's target, hex; null for the rest. */
  readonly sha256: string | null;
  /** What a link points to, or `major:minor` of a device; null for the rest. */
  readonly target: string | null;
}

function sha256(data: Uint8Array | string): string {
  return createHash('sha256').update(data).digest('hex');
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}

function lineOf(entry: CpioEntry): ManifestLine {
  const { path, kind } = entry;
  switch (kind) {
    case 'file':
      return { path, kind, mode: octal(entry.mode), size: entry.data.length, sha256: sha256(entry.data), target: null };
    case 'symlink':
      return { path, kind, mode: '0777', size: 0, sha256: sha256(entry.target), target: entry.target };
    case 'device':
      return { path, kind, mode: octal(entry.mode), size: 0, sha256: null, target: `${entry.major}:${entry.minor}` };
    case 'directory':
      return { path, kind, mode: octal(entry.mode), size: 0, sha256: null, target: null };
  }
}

/** The manifest, sorted by path. */
export function manifestOf(entries: readonly CpioEntry[]): ManifestLine[] {
  return entries.map(lineOf).sort((left, right) => Buffer.compare(Buffer.from(left.path), Buffer.from(right.path)));
}
