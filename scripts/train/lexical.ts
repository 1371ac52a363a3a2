// SPDX-License-Identifier: Apache-2.0
/** Trains the built-in classifier and writes its weights and its model card. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { cardOf } from './card.ts';
import { readData } from './data.ts';
import { train } from './train.ts';

const USAGE = `usage: npm run train:lexical -- [--corpora DIR] [--seed N] [--out FILE] [--card FILE]

Learns from the honest tool texts in DIR (default: ../shared/corpora, else ../corpora), test/corpus, scripts/train/seeds
and the documents of the locked packages. The same inputs and seed give the same bytes on one platform.

  --check    trains, and compares with the committed weights instead of writing: exit 1 if they differ
`;

const root = join(import.meta.dirname, '..', '..');
const PER_SEED = 32;
const OPTIONS = { passes: 12, rate: 0.15, decay: 0.05 };

const FLAGS = {
  corpora: { type: 'string' }, seed: { type: 'string' }, out: { type: 'string' }, card: { type: 'string' },
  check: { type: 'boolean' }, help: { type: 'boolean', short: 'h' },
} as const;

function fail(code: number, message: string, hint: string): number {
  process.stderr.write(`train:lexical: error: ${message}\nhint: ${hint}\n`);
  return code;
}

function flagsOf(): { values: ReturnType<typeof parseArgs<{ options: typeof FLAGS }>>['values'] } | string {
  try {
    return parseArgs({ options: FLAGS });
  } catch (error) {
    return error instanceof Error ? error.message : 'the flags cannot be read';
  }
}

function main(): number {
  const flags = flagsOf();
  if (typeof flags === 'string') return fail(2, flags, 'see --help');
  const { values } = flags;
  if (values.help === true) {
    process.stdout.write(USAGE);
    return 0;
  }
  const seed = Number(values.seed ?? '20251125');
  if (!Number.isSafeInteger(seed)) return fail(2, 'the seed is no whole number', 'for example --seed 7');
  const corpora = [values.corpora ?? join(root, '..', 'shared', 'corpora'), join(root, '..', 'corpora')].find((folder) => existsSync(folder));
  if (corpora === undefined) return fail(3, 'there are no corpora to learn from', 'name their folder with --corpora');
  const out = values.out ?? join(root, 'enclave', 'screen', 'lexical.model');
  const started = performance.now();
  const say = (line: string): void => void process.stderr.write(`train:lexical: ${line} (${((performance.now() - started) / 1000).toFixed(1)} s)\n`);
  const data = readData({ root, corpora, perSeed: PER_SEED, seed });
  const trained = train(data.rows, { seed, ...OPTIONS }, say);
  if (values.check === true) {
    const same = Buffer.from(trained.bytes).equals(readFileSync(out));
    process.stdout.write(same ? 'the committed weights are reproduced\n' : 'the committed weights differ from these inputs\n');
    return same ? 0 : 1;
  }
  mkdirSync(dirname(out), { recursive: true });
  writeFileSync(out, trained.bytes);
  writeFileSync(values.card ?? join(root, 'docs', 'model-card.md'), cardOf({ data, trained, seed, options: OPTIONS, perSeed: PER_SEED, now: new Date() }));
  say(`wrote ${trained.bytes.length} bytes`);
  return 0;
}

process.exitCode = main();
