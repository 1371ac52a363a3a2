// SPDX-License-Identifier: Apache-2.0
/** Evaluates the built-in classifier on files of rows. */
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { createLexicalScorer } from '../../enclave/screen/lexical.ts';
import { readWeights } from '../../enclave/screen/weights.ts';
import { evaluate, rowsOf } from './measure.ts';
import type { EvalRow } from './measure.ts';
import { htmlOf, textOf } from './show.ts';

const USAGE = `usage: npm run eval:classifier -- [--json] [--html FILE] [--split NAME] FILE...

Each FILE has one JSON object in a line: {text, label (0 honest, 1 attack), kind, source, group}. Rates are given at the
two operating points with 95 % Wilson intervals; curves, tricks, positions in a long carrier and times come with them.

  --json         the whole report as JSON (schema bastion-eval-classifier/1)
  --html FILE    also writes one page with the curves
  --split NAME   takes only rows whose "split" is NAME

Exit codes: 0 done, 2 usage, 3 a file cannot be read.
`;

function fail(code: number, message: string, hint: string): number {
  process.stderr.write(`eval:classifier: error: ${message}\nhint: ${hint}\n`);
  return code;
}

const FLAGS = { json: { type: 'boolean' }, html: { type: 'string' }, split: { type: 'string' }, help: { type: 'boolean', short: 'h' } } as const;

function flagsOf(): ReturnType<typeof parseArgs<{ options: typeof FLAGS; allowPositionals: true }>> | string {
  try {
    return parseArgs({ options: FLAGS, allowPositionals: true });
  } catch (error) {
    return error instanceof Error ? error.message.split('\n')[0] ?? '' : '';
  }
}

function inSplit(text: string, split: string | undefined): string {
  return split === undefined ? text : text.split('\n').filter((line) => line.trim() !== '' && JSON.parse(line).split === split).join('\n');
}

function main(): number {
  const flags = flagsOf();
  if (typeof flags === 'string') return fail(2, flags, 'see --help');
  const { values, positionals } = flags;
  if (values.help === true) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (positionals.length === 0) return fail(2, 'no file is named', 'for example npm run eval:classifier -- test/corpus/attacks.jsonl test/corpus/benign.jsonl');
  const rows: EvalRow[] = [];
  for (const file of positionals) {
    try {
      rows.push(...rowsOf(inSplit(readFileSync(file, 'utf8'), values.split)));
    } catch (error) {
      return fail(3, `${file} cannot be read: ${error instanceof Error ? error.message : ''}`, 'each line has to be an object with text and label');
    }
  }
  const report = evaluate(rows, createLexicalScorer(readWeights()), (line) => process.stderr.write(`eval:classifier: ${line}\n`));
  if (values.html !== undefined) writeFileSync(values.html, htmlOf(report));
  process.stdout.write(values.json === true ? `${JSON.stringify(report)}\n` : textOf(report));
  return 0;
}

process.exitCode = main();
