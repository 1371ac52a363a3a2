// SPDX-License-Identifier: Apache-2.0
/** Everything that the evaluation says about some rows, as one value. */
import { ALERT_SCORE, BLOCK_SCORE } from '../../enclave/screen/model.ts';
import type { ScreenKind, Scorer } from '../../enclave/screen/types.ts';
import { kindOf } from '../train/data.ts';
import { createRandom } from '../train/random.ts';
import { TRICKS } from '../train/tricks.ts';
import { baselineScore } from './baseline.ts';
import { areaUnder, grouped, rateAt, recallAt, roc, wilson } from './metrics.ts';
import type { Point, Rate, Scored } from './metrics.ts';

export interface EvalRow {
  readonly text: string;
  readonly label: 0 | 1;
  readonly kind: ScreenKind;
  readonly source: string;
  readonly group: string;
  /** Part of the corpus that tries to be mistaken for an attack. */
  readonly hard: boolean;
}

interface Judged extends Scored {
  readonly row: EvalRow;
}

export interface Cell {
  readonly name: string;
  readonly alert: Rate;
  readonly block: Rate;
}

export interface Report {
  readonly schema: 'bastion-eval-classifier/1';
  readonly model: string;
  readonly rows: { readonly attacks: number; readonly honest: number };
  readonly thresholds: { readonly alert: number; readonly block: number };
  readonly recall: readonly Cell[];
  readonly falsePositives: readonly Cell[];
  /** One entry for each kind and for all rows. */
  readonly curves: readonly { readonly name: string; readonly area: number; readonly at: readonly { readonly falsePositives: number; readonly recall: number }[]; readonly points: readonly Point[] }[];
  readonly baseline: { readonly recall: Rate; readonly falsePositives: Rate };
  readonly tricks: readonly Cell[];
  readonly positions: readonly Cell[];
  readonly latency: readonly { readonly characters: string; readonly rows: number; readonly p50: number; readonly p95: number; readonly p99: number }[];
}

const FALSE_POSITIVES: readonly number[] = [0.001, 0.005, 0.01, 0.05];
/** Attacks that are tried under every trick and in every position. */
const SAMPLE = 300;
const CARRIER_LENGTH = 10_000;

/** Rows of a JSONL text; what a row lacks is filled in. Throws SyntaxError for a line that is no row. */
export function rowsOf(text: string): EvalRow[] {
  return text.split('\n').filter((line) => line.trim() !== '').map((line, index) => {
    const raw: unknown = JSON.parse(line);
    if (typeof raw !== 'object' || raw === null || !('text' in raw) || typeof raw.text !== 'string' || !('label' in raw)) {
      throw new SyntaxError(`line ${index + 1} has no text and label`);
    }
    const member = (name: string): string => {
      const value = Object.entries(raw).find(([key]) => key === name)?.[1];
      return typeof value === 'string' ? value : '';
    };
    const group = member('family') || member('group');
    return {
      text: raw.text,
      label: raw.label === 1 || raw.label === 'attack' || raw.label === true ? 1 : 0,
      kind: kindOf(member('kind')),
      source: member('source') || 'unnamed',
      group,
      hard: /hard|near/.test(`${group} ${member('source')} ${member('kind')}`),
    };
  });
}

export function evaluate(rows: readonly EvalRow[], scorer: Scorer, progress: (line: string) => void): Report {
  const times: { units: number; ms: number }[] = [];
  const judged = rows.map((row): Judged => {
    const from = performance.now();
    const { score } = scorer.score(row.text, row.kind);
    times.push({ units: row.text.length, ms: performance.now() - from });
    return { row, label: row.label, score };
  });
  progress(`${rows.length} rows scored`);
  const attacks = judged.filter((one) => one.label === 1);
  const honest = judged.filter((one) => one.label === 0);
  const report: Report = {
    schema: 'bastion-eval-classifier/1',
    model: scorer.model,
    rows: { attacks: attacks.length, honest: honest.length },
    thresholds: { alert: ALERT_SCORE, block: BLOCK_SCORE },
    recall: cellsOf(attacks),
    falsePositives: cellsOf(honest),
    curves: [{ name: 'all', of: judged }, ...grouped(judged, (one) => one.row.kind).map(([name, of]) => ({ name, of }))].map(({ name, of }) => curve(name, of)),
    baseline: { recall: baseline(attacks), falsePositives: baseline(honest) },
    tricks: tricksOf(attacks, scorer),
    positions: positionsOf(attacks, honest, scorer),
    latency: latencyOf(times),
  };
  progress('tricks and positions tried');
  return report;
}

function cell(name: string, rows: readonly Scored[]): Cell {
  return { name, alert: rateAt(rows, ALERT_SCORE), block: rateAt(rows, BLOCK_SCORE) };
}

function cellsOf(rows: readonly Judged[]): Cell[] {
  const hard = rows.filter((one) => one.row.hard);
  return [
    cell('all', rows),
    ...(hard.length === 0 ? [] : [cell('hard', hard)]),
    ...grouped(rows, (one) => `kind: ${one.row.kind}`).map(([name, of]) => cell(name, of)),
    ...grouped(rows, (one) => `source: ${one.row.source.slice(0, 60)}`).slice(0, 60).map(([name, of]) => cell(name, of)),
    ...grouped(rows, (one) => `length: ${lengthOf(one.row.text.length)}`).map(([name, of]) => cell(name, of)),
    ...grouped(rows, (one) => `group: ${one.row.group.slice(0, 60)}`).filter(([, of]) => of.length >= 5).slice(0, 60).map(([name, of]) => cell(name, of)),
  ];
}

function lengthOf(units: number): string {
  if (units < 100) return '0-99';
  if (units < 1000) return '100-999';
  return units < 10_000 ? '1000-9999' : '10000 and more';
}

function curve(name: string, rows: readonly Judged[]): Report['curves'][number] {
  const points = roc(rows);
  return { name, area: areaUnder(points), at: FALSE_POSITIVES.map((part) => ({ falsePositives: part, recall: recallAt(points, part).recall })), points };
}

function baseline(rows: readonly Judged[]): Rate {
  return wilson(rows.filter((one) => baselineScore(one.row.text) === 1).length, rows.length);
}

function sampleOf(attacks: readonly Judged[]): readonly Judged[] {
  const step = Math.max(1, Math.floor(attacks.length / SAMPLE));
  return attacks.filter((_, index) => index % step === 0).slice(0, SAMPLE);
}

function tricksOf(attacks: readonly Judged[], scorer: Scorer): Cell[] {
  const random = createRandom(1);
  const sample = sampleOf(attacks);
  return [
    cell('none', sample),
    ...[...TRICKS].map(([name, trick]) => cell(name, sample.map(({ row }): Scored => ({ label: 1, score: scorer.score(trick(row.text, random), row.kind).score })))),
  ];
}

/** Attacks at the start, in the middle and at the end of 10,000 characters of honest rows that themselves score low. */
function positionsOf(attacks: readonly Judged[], honest: readonly Judged[], scorer: Scorer): Cell[] {
  const quiet = honest.filter((one) => one.score < 0.5).map((one) => one.row.text).join('\n\n');
  if (quiet.length < CARRIER_LENGTH) return [];
  const random = createRandom(2);
  return ['start', 'middle', 'end'].map((name, third) =>
    cell(name, sampleOf(attacks).map(({ row }): Scored => {
      const from = random.below(quiet.length - CARRIER_LENGTH + 1);
      const carrier = quiet.slice(from, from + CARRIER_LENGTH);
      const at = (carrier.length * third) / 2;
      return { label: 1, score: scorer.score(`${carrier.slice(0, at)}\n${row.text}\n${carrier.slice(at)}`, row.kind).score };
    })),
  );
}

function latencyOf(times: readonly { units: number; ms: number }[]): Report['latency'] {
  return grouped(times, (one) => lengthOf(one.units)).map(([characters, of]) => {
    const sorted = of.map((one) => one.ms).sort((left, right) => left - right);
    const at = (part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
    return { characters, rows: of.length, p50: at(0.5), p95: at(0.95), p99: at(0.99) };
  });
}
