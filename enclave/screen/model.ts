// SPDX-License-Identifier: Apache-2.0
/**
 * The file of weights: one line of JSON, then one signed byte for each feature. It is part of the measured image, and
 * is read strictly all the same: a damaged file must not become a model that finds nothing.
 */
import { sha256Hex } from '../../shared/digest.ts';
import { SCREEN_MODEL_BYTES_MAX } from '../../shared/limits.ts';
import { FEATURES } from './features.ts';
import type { ScreenKind, ViewName } from './types.ts';

/** Scores of the operating points. Calibration puts them there for each kind, so that a policy's threshold means the same. */
export const ALERT_SCORE = 0.85;
export const BLOCK_SCORE = 0.97;

/** score = 1 / (1 + exp(-(slope * value + offset))) */
export interface Calibration {
  readonly slope: number;
  readonly offset: number;
}

export interface ModelHead {
  readonly format: 'bastion-lexical/1';
  /** What one step of a weight is worth. */
  readonly scale: number;
  readonly bias: number;
  readonly calibration: Readonly<Record<ScreenKind, Calibration>>;
  /** What being hidden adds to a window's value. */
  readonly views: Readonly<Record<ViewName, number>>;
}

export interface Model {
  readonly head: ModelHead;
  readonly weights: Int8Array;
  /** SHA-256 of the file, the first 16 hex digits. */
  readonly digest: string;
}

const LF = 0x0a;
const VIEW_NAMES: readonly ViewName[] = ['text', 'apart', 'tags', 'selectors', 'hidden', 'base64', 'hex', 'rot13', 'reversed'];

export function encodeModel(head: ModelHead, weights: Int8Array): Uint8Array {
  const line = Buffer.from(`${JSON.stringify(head)}\n`);
  return Buffer.concat([line, Buffer.from(weights.buffer, weights.byteOffset, weights.length)]);
}

/** Null if the bytes are not a file of weights for these features. */
export function decodeModel(bytes: Uint8Array): Model | null {
  if (bytes.length > SCREEN_MODEL_BYTES_MAX) return null;
  const end = bytes.indexOf(LF);
  if (end === -1 || bytes.length - end - 1 !== FEATURES) return null;
  const head = headOf(Buffer.from(bytes.subarray(0, end)).toString('utf8'));
  // A copy: what was judged cannot change, and the file's buffer can go.
  return head === null ? null : { head, weights: Int8Array.from(Buffer.from(bytes.subarray(end + 1)), (byte) => (byte << 24) >> 24), digest: sha256Hex(bytes).slice(0, 16) };
}

function headOf(line: string): ModelHead | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
  const scale = numberIn(value, 'scale');
  const bias = numberIn(value, 'bias');
  const calibration = memberOf(value, 'calibration');
  const tool = calibrationOf(memberOf(calibration, 'tool'));
  const result = calibrationOf(memberOf(calibration, 'result'));
  if (memberOf(value, 'format') !== 'bastion-lexical/1' || scale === null || bias === null || tool === null || result === null) return null;
  const views: Record<ViewName, number> = { text: 0, apart: 0, tags: 0, selectors: 0, hidden: 0, base64: 0, hex: 0, rot13: 0, reversed: 0 };
  for (const name of VIEW_NAMES) {
    const view = numberIn(memberOf(value, 'views'), name);
    if (view === null) return null;
    views[name] = view;
  }
  return { format: 'bastion-lexical/1', scale, bias, calibration: { tool, result }, views };
}

function calibrationOf(value: unknown): Calibration | null {
  const slope = numberIn(value, 'slope');
  const offset = numberIn(value, 'offset');
  return slope === null || offset === null || slope <= 0 ? null : { slope, offset };
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Object.entries(value).find(([key]) => key === name)?.[1] : undefined;
}

function numberIn(value: unknown, name: string): number | null {
  const member = memberOf(value, name);
  return typeof member === 'number' && Number.isFinite(member) ? member : null;
}
