// SPDX-License-Identifier: Apache-2.0
/** What two images differ in: which section, and which path of which ramdisk. Both may be hostile. */
import { createHash } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { equalBytes } from '../shared/bytes.ts';
import type { EifSection, SectionType } from '../shared/eif/layout.ts';
import type { Measurements } from '../shared/eif/measure.ts';
import { measureEif } from '../shared/eif/measure.ts';
import type { EifMetadata } from '../shared/eif/metadata.ts';
import type { Eif } from '../shared/eif/read.ts';
import { RAMDISK_BYTES_MAX } from '../shared/limits.ts';
import { nodeSha384 } from './certificate.ts';
import type { CpioRead } from './cpio-read.ts';
import { readCpio } from './cpio-read.ts';
import type { ManifestLine } from './manifest.ts';
import { manifestOf } from './manifest.ts';

export interface PathDifference {
  readonly path: string;
  /** Null where the first image does not have it. */
  readonly left: ManifestLine | null;
  readonly right: ManifestLine | null;
}

export interface SectionDifference {
  /** `header` is what it says about the machine, `order` that of the sections. */
  readonly section: SectionType | 'header' | 'order';
  /** Which one of several: 0 except for ramdisks. */
  readonly index: number;
  /** Short facts on each side; null where there is no such section. */
  readonly left: string | null;
  readonly right: string | null;
  /** The paths that differ; null where that cannot be told, for the reason in `note`. */
  readonly paths: readonly PathDifference[] | null;
  readonly note: string | null;
}

export interface EifDifference {
  readonly sections: readonly SectionDifference[];
  /** Such as `PCR0`: what an attestation of the two would show to differ. */
  readonly pcrs: readonly string[];
}

function blob(data: Uint8Array | undefined): string | null {
  return data === undefined ? null : `${data.length} bytes, sha256 ${createHash('sha256').update(data).digest('hex')}`;
}

function isGzip(data: Uint8Array): boolean {
  return data[0] === 0x1f && data[1] === 0x8b;
}

function readRamdisk(data: Uint8Array): CpioRead {
  if (!isGzip(data)) return readCpio(data);
  try {
    return readCpio(gunzipSync(data, { maxOutputLength: RAMDISK_BYTES_MAX }));
  } catch {
    return { kind: 'malformed', at: 0, reason: 'it does not decompress, or to too much' };
  }
}

function same(left: ManifestLine | undefined, right: ManifestLine | undefined): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}

/** The paths that differ between two manifests, sorted. */
export function diffManifests(left: readonly ManifestLine[], right: readonly ManifestLine[]): PathDifference[] {
  const before = new Map(left.map((line) => [line.path, line]));
  const after = new Map(right.map((line) => [line.path, line]));
  const paths = [...new Set([...before.keys(), ...after.keys()])];
  paths.sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
  return paths
    .filter((path) => !same(before.get(path), after.get(path)))
    .map((path) => ({ path, left: before.get(path) ?? null, right: after.get(path) ?? null }));
}

function diffRamdisk(index: number, left: Uint8Array | undefined, right: Uint8Array | undefined): SectionDifference {
  const base = { section: 'ramdisk', index, left: blob(left), right: blob(right) } as const;
  if (left === undefined || right === undefined) return { ...base, paths: null, note: null };
  const [before, after] = [readRamdisk(left), readRamdisk(right)];
  if (before.kind === 'malformed') return { ...base, paths: null, note: `the first is no archive that can be compared: ${before.reason}` };
  if (after.kind === 'malformed') return { ...base, paths: null, note: `the second is no archive that can be compared: ${after.reason}` };
  const paths = diffManifests(manifestOf(before.entries), manifestOf(after.entries));
  return { ...base, paths, note: paths.length === 0 ? 'the same paths with the same content, archived in another way' : null };
}

function metadataFields(left: EifMetadata, right: EifMetadata): string {
  const before = new Map(Object.entries(left).map(([key, value]) => [key, JSON.stringify(value)]));
  const changed = Object.entries(right).filter(([key, value]) => before.get(key) !== JSON.stringify(value));
  return changed.length === 0 ? 'the same values, written in another way' : `these differ: ${changed.map(([key]) => key).join(', ')}`;
}

function dataOf(eif: Eif, type: SectionType): Uint8Array | undefined {
  return eif.sections.find((section) => section.type === type)?.data;
}

function equalData(left: Uint8Array | undefined, right: Uint8Array | undefined): boolean {
  if (left === undefined || right === undefined) return left === right;
  return Buffer.compare(left, right) === 0;
}

function headerFacts(eif: Eif): string {
  return `${eif.arch}, memory ${eif.defaultMem}, cpus ${eif.defaultCpus}`;
}

/** The order of the sections where both have the same ones; a section that only one has is told by itself. */
function orders(left: Eif, right: Eif): readonly [string, string] {
  const [before, after] = [left, right].map(({ sections }) => sections.map(({ type }) => type));
  if (before === undefined || after === undefined || before.toSorted().join() !== after.toSorted().join()) return ['', ''];
  return [before.join(' '), after.join(' ')];
}

function ramdisksOf(eif: Eif): Uint8Array[] {
  return eif.sections.filter((section: EifSection) => section.type === 'ramdisk').map(({ data }) => data);
}

function diffPcrs(left: Measurements, right: Measurements): string[] {
  const none = new Uint8Array();
  const pairs: readonly [string, Uint8Array, Uint8Array][] = [
    ['PCR0', left.pcr0, right.pcr0],
    ['PCR1', left.pcr1, right.pcr1],
    ['PCR2', left.pcr2, right.pcr2],
    ['PCR8', left.pcr8 ?? none, right.pcr8 ?? none],
  ];
  return pairs.filter(([, one, other]) => !equalBytes(one, other)).map(([name]) => name);
}

/** Compares two images. Files that hold the same bytes give an empty list, and only those do. */
export function diffEifs(left: Eif, right: Eif): EifDifference {
  const sections: SectionDifference[] = [];
  const plain = { index: 0, paths: null, note: null };
  const [factsLeft, factsRight] = [headerFacts(left), headerFacts(right)];
  if (factsLeft !== factsRight) sections.push({ ...plain, section: 'header', left: factsLeft, right: factsRight });
  const [orderLeft, orderRight] = orders(left, right);
  if (orderLeft !== orderRight) sections.push({ ...plain, section: 'order', left: orderLeft, right: orderRight });
  for (const section of ['kernel', 'cmdline', 'metadata', 'signature'] as const) {
    const [before, after] = [dataOf(left, section), dataOf(right, section)];
    if (equalData(before, after)) continue;
    const facts = section === 'cmdline' ? { left: left.cmdline, right: right.cmdline } : { left: blob(before), right: blob(after) };
    const note = section === 'metadata' ? metadataFields(left.metadata, right.metadata) : null;
    sections.push({ ...plain, section, ...facts, note });
  }
  const [before, after] = [ramdisksOf(left), ramdisksOf(right)];
  for (let index = 0; index < Math.max(before.length, after.length); index += 1) {
    if (!equalData(before[index], after[index])) sections.push(diffRamdisk(index, before[index], after[index]));
  }
  return { sections, pcrs: diffPcrs(measureEif(left, nodeSha384), measureEif(right, nodeSha384)) };
}
