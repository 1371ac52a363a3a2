// SPDX-License-Identifier: Apache-2.0
/**
 * From rows to a file of weights. Each fold is scored by a model that saw neither its honest groups nor its families of
 * attacks; operating points are set on those scores, and the model that is kept learns from all rows.
 */
import { FEATURES } from '../../enclave/screen/features.ts';
import { ALERT_SCORE, BLOCK_SCORE, encodeModel } from '../../enclave/screen/model.ts';
import type { Calibration, ModelHead } from '../../enclave/screen/model.ts';
import type { ScreenKind, ViewName } from '../../enclave/screen/types.ts';
import { thresholdFor } from '../eval/metrics.ts';
import { FOLDS } from './data.ts';
import type { Row } from './data.ts';
import { learn, scanText, spot } from './learn.ts';
import type { Example, Learned, LearnOptions } from './learn.ts';

/** What being hidden adds. Nobody hides a harmless word in tag characters; encodings and comments have honest uses. */
const HIDDEN: Readonly<Record<ViewName, number>> = { text: 0, apart: 0, tags: 6, selectors: 6, hidden: 0.4, base64: 0.8, hex: 0.8, rot13: 1, reversed: 1 };

/** False positives aimed at on held-out honest rows: somewhat below what is promised, for the next text comes from elsewhere. */
const AIMS: Readonly<Record<ScreenKind, { readonly alert: number; readonly block: number }>> = {
  tool: { alert: 0.004, block: 0.0008 },
  result: { alert: 0.008, block: 0.002 },
};
/** Distance of the operating points at least, in the logarithm of the odds. */
const GAP_MIN = 0.75;

export interface Held {
  readonly row: Row;
  /** Value before calibration, by a model that saw nothing of its group. */
  readonly value: number;
  readonly score: number;
}

export interface Trained {
  readonly bytes: Uint8Array;
  readonly head: ModelHead;
  readonly held: readonly Held[];
}

export type Progress = (line: string) => void;

interface Prepared extends Example {
  readonly row: Row;
}

export function train(rows: readonly Row[], options: LearnOptions, progress: Progress): Trained {
  const examples = prepare(rows);
  progress(`${rows.length} rows read`);
  const values = new Float64Array(examples.length);
  for (let fold = 0; fold < FOLDS; fold += 1) {
    const learned = learn(examples.filter((one) => one.row.fold !== fold), options);
    for (const [index, one] of examples.entries()) if (one.row.fold === fold) values[index] = valueOf(one, learned);
    progress(`fold ${fold + 1} of ${FOLDS}`);
  }
  const learned = learn(examples, options);
  const { weights, scale } = quantise(learned.weights);
  const honest = examples.map((one, index) => ({ row: one.row, value: values[index] ?? 0 }));
  const head: ModelHead = {
    format: 'bastion-lexical/1',
    scale,
    bias: learned.bias,
    calibration: { tool: calibrate(honest, 'tool'), result: calibrate(honest, 'result') },
    views: HIDDEN,
  };
  const held = honest.map(({ row, value }): Held => {
    const { slope, offset } = head.calibration[row.kind];
    return { row, value, score: 1 / (1 + Math.exp(-(slope * value + offset))) };
  });
  return { bytes: encodeModel(head, weights), head, held };
}

function prepare(rows: readonly Row[]): Prepared[] {
  const attacks = rows.filter((row) => row.label === 1).length;
  // Attacks together count half as much as honest rows: what is honest varies more.
  const attackCost = attacks === 0 ? 1 : (rows.length - attacks) / attacks / 2;
  return rows.map((row) => ({ row, label: row.label, cost: row.label === 1 ? attackCost : honestCost(row), views: scanText(row.text) }));
}

/** Recorded results are few and most like what is met. */
function honestCost(row: Row): number {
  return row.kind === 'result' || row.source === 'own' ? 2 : 1;
}

function valueOf(example: Example, learned: Learned): number {
  let best = Number.NEGATIVE_INFINITY;
  for (const view of example.views) {
    const found = spot([view], learned.weights);
    if (found !== null) best = Math.max(best, found.value + learned.bias + HIDDEN[view.name]);
  }
  return best === Number.NEGATIVE_INFINITY ? -20 : best;
}

/** One signed byte for each weight; the few that are far out are cut. */
function quantise(weights: Float64Array): { weights: Int8Array; scale: number } {
  const sizes = weights.map(Math.abs).sort();
  const most = sizes[Math.floor(FEATURES * 0.9998)] ?? 0;
  const scale = most === 0 ? 1 : most / 127;
  return { scale, weights: Int8Array.from(weights, (weight) => Math.max(-127, Math.min(127, Math.round(weight / scale)))) };
}

function calibrate(rows: readonly { row: Row; value: number }[], kind: ScreenKind): Calibration {
  const alert = pointOf(rows, kind, AIMS[kind].alert);
  const block = Math.max(pointOf(rows, kind, AIMS[kind].block), alert + GAP_MIN);
  const slope = (logit(BLOCK_SCORE) - logit(ALERT_SCORE)) / (block - alert);
  return { slope, offset: logit(ALERT_SCORE) - slope * alert };
}

/** The value that few enough documents reach, in the corpus as well as in what packages hold. */
function pointOf(rows: readonly { row: Row; value: number }[], kind: ScreenKind, aim: number): number {
  const points = ['corpus', 'readme'].map((source) => {
    const documents = new Map<string, number>();
    for (const { row, value } of rows) {
      if (row.label !== 0 || row.kind !== kind || row.source !== source) continue;
      documents.set(row.document, Math.max(documents.get(row.document) ?? Number.NEGATIVE_INFINITY, value));
    }
    return documents.size === 0 ? Number.NEGATIVE_INFINITY : thresholdFor([...documents.values()], aim);
  });
  const point = Math.max(...points);
  return Number.isFinite(point) ? point : 0;
}

function logit(part: number): number {
  return Math.log(part / (1 - part));
}
