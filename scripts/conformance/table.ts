// SPDX-License-Identifier: Apache-2.0
/** The results as a Markdown table: checks passed / failed, and the required scenarios that fail. */
import type { Run } from './suite.ts';

export interface Row {
  readonly name: string;
  /** By column; a column without a run shows a dash. */
  readonly runs: ReadonlyMap<string, Run>;
}

export function cell(run: Run | undefined): string {
  if (run === undefined) return '-';
  const { passed, failed, warnings, requiredFailing } = run.score;
  const warned = warnings === 0 ? '' : `, ${warnings} warned`;
  return `${passed}/${failed}${warned}, ${requiredFailing.length} of ${run.requirements.scored.length} required fail`;
}

export function table(title: string, columns: readonly string[], rows: readonly Row[]): string {
  const lines = [
    `| ${title} | ${columns.join(' | ')} |`,
    `|---|${columns.map(() => '---').join('|')}|`,
    ...rows.map(({ name, runs }) => `| ${name} | ${columns.map((column) => cell(runs.get(column))).join(' | ')} |`),
  ];
  return `${lines.join('\n')}\n`;
}
