// SPDX-License-Identifier: Apache-2.0
/**
 * What the model learns from: the corpora beside the checkout, our own corpus, seeds, and the READMEs of the packages
 * that the lockfile names (as results of reading files). Each row has a group, and a group lies in one fold only.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ScreenKind } from '../../enclave/screen/types.ts';
import { sha256Hex } from '../../shared/digest.ts';
import { expand, readSeeds } from './expand.ts';
import type { Seed } from './expand.ts';
import { createRandom, hash32 } from './random.ts';
import type { Random } from './random.ts';
import { TRICKS } from './tricks.ts';
import { leavesOf } from './unwrap.ts';

export interface Row {
  readonly text: string;
  readonly label: 0 | 1;
  readonly kind: ScreenKind;
  /** `corpus`, `seed`, `own`, `readme` (any file of a package), `carrier`, `trick`, `joined`. */
  readonly source: string;
  readonly group: string;
  readonly fold: number;
  /** What the row is a piece of: honest documents are judged as a whole. */
  readonly document: string;
}

export const FOLDS = 5;

export interface Data {
  readonly rows: readonly Row[];
  /** Digests of the files read, for the model card. */
  readonly inputs: readonly { readonly name: string; readonly sha256: string; readonly rows: number }[];
}

export interface Sources {
  readonly root: string;
  readonly corpora: string;
  /** Texts made of each seed. */
  readonly perSeed: number;
  readonly seed: number;
}

/** UTF-16 units of the pieces that long honest texts are cut into, so that each of them teaches something. */
const PIECE = 700;
/** Pieces of a document that are judged together: results of reading a file are some 2,000 characters. */
const PIECES_JUDGED = 3;
const README_PIECES_MAX = 18;
/** Strings of one tool in the mean. */
const JOINED_ROWS = 6;
const SOURCE_PIECES_MAX = 6;
const SOURCES_MAX = 5;

export function foldOf(group: string): number {
  return hash32(group) % FOLDS;
}

export function readData(sources: Sources): Data {
  const random = createRandom(sources.seed);
  const rows: Row[] = [];
  const inputs: { name: string; sha256: string; rows: number }[] = [];
  const seen = new Set<string>();
  const add = (row: Row): void => {
    const key = `${row.kind}\0${row.text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, ' ')}`;
    if (row.text.trim() === '' || seen.has(key)) return;
    seen.add(key);
    rows.push(row);
  };
  const from = (name: string, text: string, more: readonly Row[]): void => {
    const before = rows.length;
    for (const row of more) add(row);
    inputs.push({ name, sha256: sha256Hex(text), rows: rows.length - before });
  };
  for (const name of ['benign_tool_descriptions.jsonl', 'benign_tool_results.jsonl']) {
    const text = readFileSync(join(sources.corpora, name), 'utf8');
    from(name, text, corpusRows(text));
  }
  const readmes = readmeTexts(sources.root);
  from('documents of locked packages', readmes.map((one) => one.text).join('\0'), readmes.flatMap(readmeRows));
  for (const name of ['attacks.txt', 'benign.txt']) {
    const text = readFileSync(join(sources.root, 'scripts', 'train', 'seeds', name), 'utf8');
    from(name, text, seedRows(readSeeds(text), name === 'attacks.txt' ? 1 : 0, sources.perSeed, random));
  }
  for (const name of ['attacks.jsonl', 'benign.jsonl']) {
    const path = join(sources.root, 'test', 'corpus', name);
    if (!existsSync(path)) continue;
    const text = readFileSync(path, 'utf8');
    from(`test/corpus/${name}`, text, ownRows(text));
  }
  for (const row of [...joinedRows(rows), ...hiddenRows(rows, random)]) add(row);
  return { rows, inputs };
}

interface Raw {
  readonly text: string;
  readonly label: 0 | 1;
  readonly kind: string;
  readonly group: string;
  readonly family?: string;
  readonly split?: string;
}

export function kindOf(kind: string): ScreenKind {
  return /desc|tool$|param|metadata/.test(kind) ? 'tool' : 'result';
}

function parse(text: string): Raw[] {
  return text.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line));
}

function corpusRows(text: string): Row[] {
  return parse(text).flatMap((raw) => {
    const kind = kindOf(raw.kind);
    const document = `${raw.group}:${hash32(raw.text)}`;
    const texts = kind === 'tool' ? [raw.text] : leavesOf(raw.text).flatMap(pieces);
    return texts.map((one): Row => ({ text: one, label: 0, kind, source: 'corpus', group: raw.group, fold: foldOf(raw.group), document }));
  });
}

/** Rows that are kept for the evaluation are not learned from; preference is a matter of its own. */
function ownRows(text: string): Row[] {
  return parse(text)
    .filter((raw) => raw.split !== 'test' && !(raw.family ?? '').includes('preference') && raw.kind !== 'preference')
    .map((raw): Row => {
      const group = `own:${raw.family ?? raw.group}`;
      return { text: raw.text, label: raw.label === 1 ? 1 : 0, kind: kindOf(raw.kind), source: 'own', group, fold: foldOf(group), document: raw.text };
    });
}

function seedRows(seeds: readonly Seed[], label: 0 | 1, perSeed: number, random: Random): Row[] {
  return seeds.flatMap((seed) => {
    const group = `seed:${seed.family}${seed.lang === 'en' ? '' : `-${seed.lang}`}`;
    // One honest family is one style: it is spread over the folds by seed.
    const fold = foldOf(label === 1 ? group : seed.text);
    return Array.from({ length: perSeed }, (_, index): Row => ({
      text: expand(seed.text, random),
      document: `${seed.text}:${index}`,
      label,
      kind: seed.kind === 'both' ? (index % 2 === 0 ? 'tool' : 'result') : seed.kind,
      source: 'seed',
      group,
      fold,
    }));
  });
}

function pieces(text: string): string[] {
  const cut: string[] = [];
  for (let from = 0; from < text.length; from += PIECE) cut.push(text.slice(from, from + PIECE));
  return cut;
}

interface Document {
  readonly name: string;
  readonly file: string;
  readonly text: string;
}

function readmeTexts(root: string): Document[] {
  const lock: { packages: Record<string, { optional?: boolean; link?: boolean }> } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  return Object.entries(lock.packages)
    .filter(([name, one]) => name.startsWith('node_modules/') && one.optional !== true && one.link !== true && !name.slice(13).includes('node_modules/'))
    .map(([name]) => ({ name, path: join(root, name) }))
    .filter(({ path }) => existsSync(path))
    .flatMap(({ name, path }) => [...documentsIn(path), ...sourcesIn(path)].map((file) => ({ name, file, text: readFileSync(join(path, file), 'utf8') })));
}

/** Documents of a package, not those of packages within it. */
function documentsIn(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.md$/i.test(file) && !/node_modules|licen[cs]e/i.test(file))
    .sort();
}

/** Some sources and manifests of a package, evenly over its files: results are often code and JSON. */
function sourcesIn(path: string): string[] {
  const files = readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.(?:[cm]?js|d\.ts|json)$/i.test(file) && !/node_modules|\.min\.|\.map$/i.test(file))
    .sort();
  return files.filter((_, index) => index % Math.ceil(files.length / SOURCES_MAX) === 0);
}

function readmeRows(readme: Document): Row[] {
  return pieces(readme.text).slice(0, /\.md$/i.test(readme.file) ? README_PIECES_MAX : SOURCE_PIECES_MAX).map((text, index): Row => ({ text, label: 0, kind: 'result', source: 'readme', group: readme.name, fold: foldOf(readme.name), document: `${readme.name}/${readme.file}:${Math.floor(index / PIECES_JUDGED)}` }));
}

/** Attacks inside honest texts of their own fold, and both under tricks. */
function hiddenRows(rows: readonly Row[], random: Random): Row[] {
  const made: Row[] = [];
  const tricks = [...TRICKS.keys()];
  const carriers = Array.from({ length: FOLDS }, (_, fold) => rows.filter((row) => row.label === 0 && row.fold === fold && row.text.length > 80 && row.source !== 'readme' && row.source !== 'joined'));
  for (const row of rows) {
    const hide = row.label === 1 ? 0.25 : 0.03;
    if (random.unit() < hide) {
      const name = random.pick(tricks);
      made.push({ ...row, text: TRICKS.get(name)?.(row.text, random) ?? row.text, source: 'trick' });
    }
    const around = carriers[row.fold] ?? [];
    if (row.label === 1 && random.unit() < 0.4 && around.length > 0) {
      const carrier = random.pick(around).text;
      made.push({ ...row, text: embed(carrier, row.text, random), source: 'carrier' });
    }
  }
  return made;
}

/** Neighbouring strings of honest servers as they are joined when a tool is screened. */
function joinedRows(rows: readonly Row[]): Row[] {
  const made: Row[] = [];
  let run: Row[] = [];
  const flush = (): void => {
    const [first] = run;
    const text = run.map((row) => row.text).join('\n');
    if (first !== undefined && run.length > 1) made.push({ ...first, text, source: 'joined', document: text });
    run = [];
  };
  for (const row of rows.filter((one) => one.kind === 'tool' && one.source === 'corpus')) {
    if (run.length === JOINED_ROWS || run[0]?.group !== row.group) flush();
    run.push(row);
  }
  flush();
  return made;
}

const JOINTS: readonly string[] = [' ', '\n', '\n\n', '. ', ' | ', '", "note": "', '\n- ', '\n---\n', ' ('];

function embed(carrier: string, attack: string, random: Random): string {
  const joint = random.pick(JOINTS);
  const at = random.pick([0, carrier.length, Math.max(0, carrier.indexOf(' ', random.below(carrier.length)))]);
  return carrier.slice(0, at) + joint + attack + joint + carrier.slice(at);
}
