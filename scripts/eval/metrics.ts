// SPDX-License-Identifier: Apache-2.0
/** Rates, their intervals, and curves. */

export interface Scored {
  readonly score: number;
  readonly label: 0 | 1;
}

export interface Rate {
  readonly hits: number;
  readonly total: number;
  readonly rate: number;
  /** 95 % Wilson interval. */
  readonly low: number;
  readonly high: number;
}

const Z95 = 1.959963984540054;

export function wilson(hits: number, total: number): Rate {
  if (total === 0) return { hits, total, rate: 0, low: 0, high: 1 };
  const rate = hits / total;
  const square = Z95 * Z95;
  const middle = (rate + square / (2 * total)) / (1 + square / total);
  const half = (Z95 / (1 + square / total)) * Math.sqrt((rate * (1 - rate)) / total + square / (4 * total * total));
  return { hits, total, rate, low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}

/** Part of the rows that scored at least so much. */
export function rateAt(rows: readonly Scored[], threshold: number): Rate {
  return wilson(rows.filter((row) => row.score >= threshold).length, rows.length);
}

export interface Point {
  readonly threshold: number;
  readonly falsePositives: number;
  readonly recall: number;
}

/** From the strictest threshold to the loosest; the first point flags nothing. */
export function roc(rows: readonly Scored[]): Point[] {
  const sorted = rows.toSorted((left, right) => right.score - left.score);
  const attacks = sorted.filter((row) => row.label === 1).length;
  const honest = sorted.length - attacks;
  const points: Point[] = [{ threshold: Number.POSITIVE_INFINITY, falsePositives: 0, recall: 0 }];
  let hits = 0;
  let alarms = 0;
  for (const [index, row] of sorted.entries()) {
    if (row.label === 1) hits += 1;
    else alarms += 1;
    // Rows of one score are flagged together.
    if (sorted[index + 1]?.score === row.score) continue;
    points.push({ threshold: row.score, falsePositives: honest === 0 ? 0 : alarms / honest, recall: attacks === 0 ? 0 : hits / attacks });
  }
  return points;
}

/** Area under the curve. */
export function areaUnder(points: readonly Point[]): number {
  let area = 0;
  for (const [index, point] of points.entries()) {
    const before = points[index - 1];
    if (before !== undefined) area += ((point.falsePositives - before.falsePositives) * (point.recall + before.recall)) / 2;
  }
  return area;
}

/** The best recall at a threshold that flags at most this part of the honest rows. */
export function recallAt(points: readonly Point[], falsePositivesMax: number): Point {
  let best: Point = { threshold: Number.POSITIVE_INFINITY, falsePositives: 0, recall: 0 };
  for (const point of points) if (point.falsePositives <= falsePositivesMax) best = point;
  return best;
}

/** The smallest threshold that at most this part of the scores reaches. */
export function thresholdFor(scores: readonly number[], partMax: number): number {
  const sorted = scores.toSorted((left, right) => right - left);
  const allowed = Math.floor(sorted.length * partMax);
  const first = sorted[allowed];
  return first === undefined ? 0 : first + 1e-9;
}

export function percent(rate: Rate): string {
  return `${(100 * rate.rate).toFixed(2)} % [${(100 * rate.low).toFixed(2)}, ${(100 * rate.high).toFixed(2)}]`;
}

/** By a name, in the order of the names. */
export function grouped<T>(rows: readonly T[], nameOf: (row: T) => string): [string, T[]][] {
  const groups = new Map<string, T[]>();
  for (const row of rows) {
    const name = nameOf(row);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [row]);
    else group.push(row);
  }
  return [...groups].sort(([left], [right]) => (left < right ? -1 : 1));
}
