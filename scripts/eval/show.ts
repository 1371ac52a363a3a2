// SPDX-License-Identifier: Apache-2.0
/** The report as text, and as one HTML page that loads nothing. */
import { percent } from './metrics.ts';
import type { Point } from './metrics.ts';
import type { Cell, Report } from './measure.ts';

export function textOf(report: Report): string {
  const lines = [`model ${report.model}: ${report.rows.attacks} attacks, ${report.rows.honest} honest rows; alert at ${report.thresholds.alert}, block at ${report.thresholds.block}`, ''];
  const table = (title: string, cells: readonly Cell[]): void => {
    if (cells.length === 0) return;
    lines.push(`${title.padEnd(52)} ${'rows'.padStart(6)}  ${'at alert'.padEnd(24)}  at block`);
    for (const { name, alert, block } of cells) lines.push(`  ${name.padEnd(50)} ${String(alert.total).padStart(6)}  ${percent(alert).padEnd(24)}  ${percent(block)}`);
    lines.push('');
  };
  table('recall', report.recall);
  table('false positives', report.falsePositives);
  table('recall under tricks', report.tricks);
  table('recall in a carrier of 10,000 characters', report.positions);
  lines.push('curve       area    recall at 0.1 %   0.5 %   1 %   5 % false positives');
  for (const { name, area, at } of report.curves) lines.push(`  ${name.padEnd(8)} ${area.toFixed(4)}  ${at.map((one) => `${(100 * one.recall).toFixed(1)} %`.padStart(8)).join(' ')}`);
  lines.push('', `patterns only: recall ${percent(report.baseline.recall)}, false positives ${percent(report.baseline.falsePositives)}`, '');
  lines.push('characters          rows   p50 ms   p95 ms   p99 ms');
  for (const one of report.latency) lines.push(`  ${one.characters.padEnd(16)} ${String(one.rows).padStart(5)} ${[one.p50, one.p95, one.p99].map((ms) => ms.toFixed(3).padStart(8)).join(' ')}`);
  return `${lines.join('\n')}\n`;
}

const COLOURS: readonly string[] = ['#1f5fbf', '#b3541e', '#2e7d4f'];

export function htmlOf(report: Report): string {
  const table = (title: string, cells: readonly Cell[]): string =>
    cells.length === 0 ? '' : `<h2>${escape(title)}</h2><table><tr><th></th><th>rows</th><th>at alert</th><th>at block</th></tr>${cells.map(({ name, alert, block }) => `<tr><td>${escape(name)}</td><td>${alert.total}</td><td>${percent(alert)}</td><td>${percent(block)}</td></tr>`).join('')}</table>`;
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Classifier evaluation</title><style>
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #ddd;padding:.2rem .6rem;text-align:right}td:first-child,th:first-child{text-align:left;overflow-wrap:anywhere}
svg{width:100%;max-width:36rem;height:auto}
</style></head><body><h1>Classifier evaluation</h1>
<p>Model <code>${escape(report.model)}</code>, ${report.rows.attacks} attacks and ${report.rows.honest} honest rows. Alert at ${report.thresholds.alert}, block at ${report.thresholds.block}. Intervals are 95 % Wilson.</p>
<h2>Recall by false positives</h2>${chart(report)}
<p>Patterns only: recall ${percent(report.baseline.recall)}, false positives ${percent(report.baseline.falsePositives)} (the square).</p>
${table('Recall', report.recall)}${table('False positives', report.falsePositives)}${table('Recall under tricks', report.tricks)}${table('Recall in a carrier of 10,000 characters', report.positions)}
<h2>Milliseconds</h2><table><tr><th>characters</th><th>rows</th><th>p50</th><th>p95</th><th>p99</th></tr>${report.latency.map((one) => `<tr><td>${escape(one.characters)}</td><td>${one.rows}</td><td>${one.p50.toFixed(3)}</td><td>${one.p95.toFixed(3)}</td><td>${one.p99.toFixed(3)}</td></tr>`).join('')}</table>
</body></html>
`;
}

const WIDTH = 560;
const HEIGHT = 360;
/** False positives are drawn on a logarithmic axis from 0.01 % to 100 %. */
const DECADES = 4;

function chart(report: Report): string {
  const x = (part: number): string => (50 + ((Math.log10(Math.max(part, 10 ** -DECADES)) + DECADES) / DECADES) * (WIDTH - 70)).toFixed(1);
  const y = (part: number): string => (HEIGHT - 40 - part * (HEIGHT - 60)).toFixed(1);
  const grid = [0, 0.25, 0.5, 0.75, 1].map((part) => `<line x1="50" x2="${WIDTH - 20}" y1="${y(part)}" y2="${y(part)}" stroke="#ddd"/><text x="44" y="${y(part)}" text-anchor="end" dominant-baseline="middle">${100 * part} %</text>`);
  const ticks = [0.0001, 0.001, 0.01, 0.1, 1].map((part) => `<text x="${x(part)}" y="${HEIGHT - 20}" text-anchor="middle">${100 * part} %</text>`);
  const lines = report.curves.map(({ name, points }, index) => {
    const colour = COLOURS[index % COLOURS.length] ?? '';
    return `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${thinned(points).map((point) => `${x(point.falsePositives)},${y(point.recall)}`).join(' ')}"/><text x="60" y="${30 + 18 * index}" fill="${colour}">${escape(name)}</text>`;
  });
  const { recall, falsePositives } = report.baseline;
  const square = `<rect x="${Number(x(falsePositives.rate)) - 4}" y="${Number(y(recall.rate)) - 4}" width="8" height="8" fill="#444"/>`;
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" font-size="12" role="img" aria-label="Recall by false positives">${grid.join('')}${ticks.join('')}${lines.join('')}${square}</svg>`;
}

/** Points that differ on paper. */
function thinned(points: readonly Point[]): Point[] {
  const step = Math.max(1, Math.floor(points.length / 600));
  return points.filter((point, index) => index % step === 0 || point.falsePositives === 1 || index < 200);
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
