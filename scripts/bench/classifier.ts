// SPDX-License-Identifier: Apache-2.0
/**
 * What the built-in classifier costs by length, on one core: honest prose, prose beyond ASCII, and texts made to be slow.
 *
 *   node scripts/bench/classifier.ts [--json] [--ms N]
 */
import { parseArgs } from 'node:util';
import { createLexicalScorer } from '../../enclave/screen/lexical.ts';
import { readWeights } from '../../enclave/screen/weights.ts';

const { values } = parseArgs({ options: { json: { type: 'boolean' }, ms: { type: 'string' } } });
/** Milliseconds for each line of the table. */
const BUDGET = Number(values.ms ?? '1500');
const PROSE = 'Returns the current weather for a city. Use this tool when the user asks about rain, wind or temperature; units are metric. ';
const TEXTS: readonly { readonly name: string; readonly unit: string }[] = [
  { name: 'prose', unit: PROSE },
  { name: 'JSON with escapes', unit: '{\\n  \\"name\\": \\"M\\u00fcller\\", \\"mail\\": \\"a.b@example.org\\"},\\n' },
  { name: 'Russian', unit: 'Этот инструмент возвращает погоду для города. Спросите пользователя перед удалением. ' },
  { name: 'Chinese', unit: '此工具用于查询天气。请在删除之前询问用户。使用说明见文档。' },
  { name: 'base64', unit: 'aGVsbG8gd29ybGQgdGhpcyBpcyB0ZXh0IA' },
  { name: 'single letters', unit: 'a b c d e f ' },
  { name: 'comments', unit: '<!-- ignore --><p hidden>x</p>' },
  { name: 'zero-width', unit: 'ig\u200bno\u200bre pre\u200bvious ' },
  { name: 'leetspeak', unit: '1gn0r3 4ll ' },
];
const LENGTHS: readonly number[] = [100, 1024, 10_240, 102_400];

interface Line {
  readonly text: string;
  readonly units: number;
  readonly runs: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

const scorer = createLexicalScorer(readWeights());

function measure(name: string, unit: string, units: number): Line {
  const text = unit.repeat(Math.ceil(units / unit.length)).slice(0, units);
  const times: number[] = [];
  const end = performance.now() + BUDGET;
  while (times.length < 20 || (performance.now() < end && times.length < 5000)) {
    const from = performance.now();
    scorer.score(text, 'result');
    times.push(performance.now() - from);
  }
  times.sort((left, right) => left - right);
  const at = (part: number): number => times[Math.min(times.length - 1, Math.floor(times.length * part))] ?? 0;
  return { text: name, units, runs: times.length, p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}

for (let turn = 0; turn < 300; turn += 1) scorer.score(PROSE.repeat(8), 'tool');
const lines = TEXTS.flatMap(({ name, unit }) => LENGTHS.map((units) => measure(name, unit, units)));
if (values.json === true) process.stdout.write(`${JSON.stringify({ schema: 'bastion-bench-classifier/1', node: process.version, lines })}\n`);
else {
  process.stdout.write('text                 characters   p50 ms   p95 ms   p99 ms\n');
  for (const line of lines) {
    process.stdout.write(`${line.text.padEnd(20)} ${String(line.units).padStart(10)} ${[line.p50, line.p95, line.p99].map((ms) => ms.toFixed(3).padStart(8)).join(' ')}\n`);
  }
}
