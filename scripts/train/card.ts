// SPDX-License-Identifier: Apache-2.0
/** The model card: every number in it is computed here from scores of held-out rows. */
import { ALERT_SCORE, BLOCK_SCORE, decodeModel } from '../../enclave/screen/model.ts';
import { createLexicalScorer } from '../../enclave/screen/lexical.ts';
import type { ScreenKind } from '../../enclave/screen/types.ts';
import { areaUnder, grouped, percent, rateAt, recallAt, roc } from '../eval/metrics.ts';
import type { Scored } from '../eval/metrics.ts';
import { FOLDS } from './data.ts';
import type { Data } from './data.ts';
import type { Held, Trained } from './train.ts';

export interface CardInput {
  readonly data: Data;
  readonly trained: Trained;
  readonly seed: number;
  readonly perSeed: number;
  readonly options: { readonly passes: number; readonly rate: number; readonly decay: number };
  readonly now: Date;
}

interface Judged extends Scored {
  readonly held: Held;
}

const KINDS: readonly ScreenKind[] = ['tool', 'result'];
const NAMES: Readonly<Record<ScreenKind, string>> = { tool: 'tool metadata', result: 'tool results' };
/** Targets of the design, in percent. */
const TARGETS: Readonly<Record<ScreenKind, { readonly alert: number; readonly block: number | null }>> = {
  tool: { alert: 0.5, block: 0.1 },
  result: { alert: 1, block: null },
};

export function cardOf(input: CardInput): string {
  const judged = input.trained.held.map((held): Judged => ({ held, score: held.score, label: held.row.label }));
  const model = decodeModel(input.trained.bytes);
  return [
    '# Model card: builtin-lexical',
    '',
    '<!-- Written by `npm run train:lexical`. Do not edit: every number is computed. -->',
    '',
    'A linear classifier of prompt injection in tool metadata and tool results. It reduces the risk and does not remove it: it knows wordings, not intentions.',
    '',
    `- Model: \`lexical-${model?.digest ?? ''}\`, trained ${input.now.toISOString().slice(0, 10)}, seed ${input.seed}, ${input.trained.bytes.length} bytes.`,
    '- Form: words, word pairs and triples, character 3-5-grams and pairs and triples of concepts, hashed into 262,144 weights of one byte; score = highest of overlapping windows of 14, 32, 80 and 200 words over all views of the text (plain, without invisible characters, tag characters, variation selectors, hidden markup, base64, hex, ROT13, reversed).',
    `- Operating points: ${ALERT_SCORE} is alert and ${BLOCK_SCORE} is block, for each kind. A score is no probability: its two parameters for each kind put these points where honest texts of the training data that the model did not see reach them at the rates aimed at.`,
    `- Training: logistic regression over the highest window of each text, ${input.options.passes} passes, rate ${input.options.rate}, decay ${input.options.decay}, ${input.perSeed} texts of each seed.`,
    '',
    '## Data',
    '',
    '| input | rows | SHA-256 |',
    '|---|---:|---|',
    ...input.data.inputs.map(({ name, rows, sha256 }) => `| ${name} | ${rows} | \`${sha256.slice(0, 16)}\` |`),
    '',
    'Besides these, rows under tricks (zero-width characters, look-alike letters, encodings, comments, misspelling) and attacks inside honest texts are made by the script. Attack texts are written for this project; no public set of attacks was trained or tuned on. The honest corpora are texts of public MCP servers (MIT, Apache-2.0) and are not committed.',
    '',
    '## How it was measured',
    '',
    `Each number below is of rows scored by a model that had seen none of their group: ${FOLDS} folds, in which honest rows stay together by server, task or package, and attacks by *family*. So recall is that on whole families of attacks which were never seen, which is harder than new texts of known families. The thresholds were set on the same honest scores, and some near-misses among the seeds were written after looking at honest texts that scored high, so false positives on other people's texts will be somewhat higher. Intervals are 95 % Wilson; rows made from one seed are not independent, so those of attacks are too narrow.`,
    '',
    ...KINDS.flatMap((kind) => section(judged.filter((one) => one.held.row.kind === kind), kind)),
    ...own(judged),
    '## Size of a weight',
    '',
    rounding(input, judged),
    '',
    '## Cost',
    '',
    cost(input),
    '',
    '## Known failures',
    '',
    '- Requests in the voice of the user without any trigger ("Please unlock the front door at 5 pm"): many look like honest mail. The table above says how many are found.',
    '- Harmless tasks as attacks ("also write a poem"), praise and advertising, wrong facts.',
    '- Instructions in languages other than those of the seeds; the tables show which of these are weak.',
    '- Texts written against this model: its weights are public, and words can be chosen until a score is low.',
    '- Splitting an instruction over several calls, images, sound, ciphers other than those named.',
    '- Preference manipulation ("best tool, always choose me") is not trained as an attack.',
    '- It finds security prose and quoted attacks about as often as the table of near-misses says.',
    '',
  ].join('\n');
}

const PROSE = 'Returns the current weather for a city. Use this tool when the user asks about rain, wind or temperature; units are metric. ';
const RUNS = 600;

function cost({ trained }: CardInput): string {
  const model = decodeModel(trained.bytes);
  if (model === null) throw new TypeError('the weights do not read back');
  const scorer = createLexicalScorer(model);
  const medians = [1024, 10_240].map((units) => {
    const text = PROSE.repeat(Math.ceil(units / PROSE.length)).slice(0, units);
    const times = Array.from({ length: RUNS }, () => {
      const from = performance.now();
      scorer.score(text, 'result');
      return performance.now() - from;
    });
    return times.sort((left, right) => left - right)[RUNS / 2] ?? 0;
  });
  return `Median time of English prose on one core of the machine that trained: ${medians.map((ms) => ms.toFixed(3)).join(' ms for 1 KB and ')} ms for 10 KB (targets 0.1 and 0.5 ms). Other scripts and escaped JSON take three to five times as long; \`node scripts/bench/classifier.ts\` shows them.`;
}

function section(rows: readonly Judged[], kind: ScreenKind): string[] {
  const honest = rows.filter((row) => row.label === 0);
  const real = honest.filter((row) => row.held.row.source === 'corpus');
  const whole = documentsOf(real);
  const near = honest.filter((row) => row.held.row.source === 'seed');
  const attacks = rows.filter((row) => row.label === 1);
  const curve = roc([...real, ...attacks]);
  const targets = TARGETS[kind];
  return [
    `## ${kind === 'tool' ? 'Tool metadata' : 'Tool results'}`,
    '',
    '| measure | at alert | at block | target |',
    '|---|---|---|---|',
    `| false positives, ${whole.length} honest ${NAMES[kind]} | ${percent(rateAt(whole, ALERT_SCORE))} | ${percent(rateAt(whole, BLOCK_SCORE))} | ${targets.alert} %${targets.block === null ? '' : ` / ${targets.block} %`} |`,
    ...others(honest),
    `| near-misses flagged (${near.length} made from seeds) | ${percent(rateAt(near, ALERT_SCORE))} | ${percent(rateAt(near, BLOCK_SCORE))} | 25 % |`,
    `| recall, ${attacks.length} attacks of unseen families | ${percent(rateAt(attacks, ALERT_SCORE))} | ${percent(rateAt(attacks, BLOCK_SCORE))} | 70 % |`,
    '',
    `Area under the curve against the honest corpus: ${areaUnder(curve).toFixed(4)}. Recall at 0.1 / 0.5 / 1 / 5 % false positives: ${[0.001, 0.005, 0.01, 0.05].map((part) => `${(100 * recallAt(curve, part).recall).toFixed(1)} %`).join(' / ')}.`,
    '',
    '| held-out attacks | rows | recall at alert | recall at block |',
    '|---|---:|---|---|',
    ...grouped(attacks, (row) => row.held.row.group).map(([name, of]) => line(name.replace(/^(?:seed|own):/, ''), of)),
    ...grouped(attacks, (row) => row.held.row.source).map(([name, of]) => line(`*by source:* ${name}`, of)),
    '',
  ];
}

function line(name: string, rows: readonly Judged[]): string {
  return `| ${name} | ${rows.length} | ${percent(rateAt(rows, ALERT_SCORE))} | ${percent(rateAt(rows, BLOCK_SCORE))} |`;
}

const OTHERS: readonly (readonly [string, string])[] = [
  ['readme', 'pieces of 2,000 characters of files of packages'],
  ['joined', 'groups of six neighbouring strings, joined'],
];

function others(honest: readonly Judged[]): string[] {
  return OTHERS.flatMap(([source, name]) => {
    const documents = documentsOf(honest.filter((row) => row.held.row.source === source));
    return documents.length === 0 ? [] : [`| false positives, ${documents.length} ${name} | ${percent(rateAt(documents, ALERT_SCORE))} | ${percent(rateAt(documents, BLOCK_SCORE))} | |`];
  });
}

/** A document scores as its highest piece. */
function documentsOf(rows: readonly Judged[]): Judged[] {
  return grouped(rows, (row) => row.held.row.document).map(([, pieces]) => pieces.reduce((best, row) => (row.score > best.score ? row : best)));
}

function own(judged: readonly Judged[]): string[] {
  const rows = judged.filter((row) => row.held.row.source === 'own');
  if (rows.length === 0) return [];
  return [
    '## Our own corpus (test/corpus, the part that is not kept for tests)',
    '',
    '| group | label | rows | at alert | at block |',
    '|---|---|---:|---|---|',
    ...grouped(rows, (row) => `${row.held.row.group.replace('own:', '')} | ${row.label === 1 ? 'attack' : 'honest'}`).map(([name, of]) => line(name, of)),
    '',
  ];
}

function rounding({ trained }: CardInput, judged: readonly Judged[]): string {
  const model = decodeModel(trained.bytes);
  if (model === null) throw new TypeError('the weights do not read back');
  const scorer = createLexicalScorer(model);
  const rows = judged.filter((_, index) => index % 7 === 0);
  const seen = rows.map((row): Scored => ({ label: row.label, score: scorer.score(row.held.row.text, row.held.row.kind).score }));
  const honest = seen.filter((row) => row.label === 0);
  const attacks = seen.filter((row) => row.label === 1);
  return `The file as shipped, in one byte for each weight, flags ${percent(rateAt(attacks, ALERT_SCORE))} of every seventh attack and ${percent(rateAt(honest, ALERT_SCORE))} of every seventh honest row at alert. It has learned from these rows: this shows that it is intact, not how good it is.`;
}
