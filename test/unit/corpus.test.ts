// SPDX-License-Identifier: Apache-2.0
/** The form of our own corpus for the classifier (design, section 9): what its README promises holds for each row. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

interface Row {
  readonly id: string;
  readonly label: 0 | 1;
  readonly kind: string;
  readonly family: string;
  readonly group: string;
  readonly lang: string;
  readonly trick: string | null;
  readonly split: string;
  readonly text: string;
  readonly parts?: readonly string[];
  readonly before?: string;
  readonly note?: string;
}

const folder = join(import.meta.dirname, '..', 'corpus');
const attacks = read('attacks.jsonl');
const benign = read('benign.jsonl');
const rows = [...attacks, ...benign];

const MEMBERS = new Set(['id', 'label', 'kind', 'family', 'group', 'lang', 'trick', 'split', 'text', 'parts', 'before', 'note']);
const KINDS = new Set(['tool_description', 'param_description', 'tool_result', 'prompt', 'instructions', 'error']);
const SPLITS = ['train', 'dev', 'test'];
const LANGUAGES = ['en', 'de', 'fr', 'es', 'pt', 'it', 'ru', 'zh', 'ja', 'ko', 'ar', 'hi', 'tr'];
/** Of attacks and of honest texts in each file at least. */
const ROWS_MIN = 440;
/** UTF-8 bytes of a text in which an attack can get lost. */
const CARRIER_BYTES_MIN = 1800;
const CARRIERS_MIN = 20;
/** Letters and digits that no two rows have in common in one run. */
const SHARED_MAX = 40;

/** What a text under a trick must look like, so that the word of the label is not taken for it. */
const TRICKS: ReadonlyMap<string, RegExp> = new Map([
  ['zero-width', /[\u200b-\u200d\u2060\ufeff\u2800\u3164]/],
  ['soft-hyphen', /\u00ad/],
  ['bidi', /[\u200e\u200f\u202a-\u202e\u2066-\u2069]/],
  ['tag-characters', /[\u{e0020}-\u{e007e}]{20,}/u],
  ['variation-selectors', /[\ufe00-\ufe0f\u{e0100}-\u{e01ef}]/u],
  ['homoglyph', /[a-zA-Z][\u0370-\u04ff]|[\u0370-\u04ff][a-zA-Z]/],
  ['fullwidth', /[\uff01-\uff5e]{6,}/],
  ['math-letters', /[\u{1d400}-\u{1d7ff}\u24b6-\u24e9]/u],
  ['combining-marks', /[\u0300-\u036f]/],
  ['leetspeak', /[a-z][0134578$][a-z]/],
  ['spaced-letters', /(?:\p{L}[ .]){5,}/u],
  ['html-comment', /<!--[\s\S]{6,}-->/],
  ['css-hidden', /display:none|visibility:hidden|opacity:0|font-size:1px|-9999px|\bhidden\b|sr-only/],
  ['hidden-attribute', /\b(?:alt|title|aria-label)="[^"]{40,}"/],
  ['markdown-comment', /^\[\/\/\]: # \(.{20,}\)$/m],
  ['base64', /[A-Za-z0-9+/_-]{20,}/],
  ['hex', /(?:(?:0x)?[0-9a-f]{2} ?){14,}/],
  ['percent', /(?:%[0-9A-F]{2}.{0,20}?){2,}/],
  ['rot13', /\b(?:gur|naq|lbhe?|hfre)\b/i],
  ['reversed', /\.[a-z ,']{30,}|\b(?:tnatsissA|snoitcurtsni)\b/],
  ['unicode-escape', /(?:\\u[0-9a-f]{4}){4,}|(?:\\x[0-9a-f]{2}){4,}/],
  ['html-entities', /(?:&#x?[0-9a-f]+;){8,}/],
  ['long-carrier', /^[\s\S]{600,}$/],
]);

function read(file: string): Row[] {
  return lines(file).map((line) => JSON.parse(line) as Row);
}

function lines(file: string): string[] {
  return readFileSync(join(folder, file), 'utf8').trimEnd().split('\n');
}

function by(list: readonly Row[], member: (row: Row) => string): Map<string, Row[]> {
  return Map.groupBy(list, member);
}

/** Ids of the rows that do not meet a rule; the tests compare with the empty list, so that a failure names the rows. */
function breaking(rule: (row: Row) => boolean, list: readonly Row[] = rows): string[] {
  return list.filter((row) => !rule(row)).map((row) => row.id);
}

function plain(text: string): string {
  return text.normalize('NFKC').toLowerCase().replace(/[^\p{L}\p{N}]+/gu, '');
}

test('there are enough attacks and enough honest texts, each in its own file', () => {
  assert.ok(attacks.length >= ROWS_MIN && benign.length >= ROWS_MIN, `${attacks.length} and ${benign.length}`);
  assert.deepEqual(breaking((row) => row.label === 1, attacks), []);
  assert.deepEqual(breaking((row) => row.label === 0, benign), []);
});

test('every row has the members that the README names, and no other', () => {
  assert.deepEqual(breaking((row) => Object.keys(row).every((name) => MEMBERS.has(name))), []);
  assert.deepEqual(breaking((row) => KINDS.has(row.kind) && SPLITS.includes(row.split) && /^[a-z]{2}$/.test(row.lang)), []);
  assert.deepEqual(breaking((row) => /^[a-z_]+-\d{2}$/.test(row.id) && row.id.startsWith(`${row.family}-`)), []);
  assert.deepEqual(breaking((row) => row.group.startsWith(`${row.family}/`)), []);
  assert.equal(new Set(rows.map((row) => row.id)).size, rows.length);
});

test('texts are well-formed Unicode and not blank at either end', () => {
  assert.deepEqual(breaking((row) => row.text.isWellFormed() && plain(row.text) !== '' && !/^[ \n]|[ \n]$/.test(row.text)), []);
});

test('characters that no editor shows stand in the files as escapes', () => {
  const hidden = /[\ufe00-\ufe0f]|[\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\u2800\u3164\ufeff\u{e0000}-\u{e0fff}]/u;
  for (const file of ['attacks.jsonl', 'benign.jsonl']) assert.deepEqual(lines(file).filter((line) => hidden.test(line)), []);
});

test('a family lies in one split and has one label, and attacks and honest texts are in every split', () => {
  for (const [family, members] of by(rows, (row) => row.family)) {
    assert.equal(new Set(members.map((row) => `${row.split} ${row.label}`)).size, 1, family);
  }
  for (const list of [attacks, benign]) {
    for (const split of SPLITS) assert.ok(list.filter((row) => row.split === split).length >= list.length / 10, split);
  }
});

test('no two rows share a run of more than 40 letters, so that no text is in two splits', () => {
  const seen = new Map<string, string>();
  const shared = new Set<string>();
  for (const row of rows) {
    const text = plain(row.text);
    for (let at = 0; at + SHARED_MAX <= text.length; at += 1) {
      const run = text.slice(at, at + SHARED_MAX);
      const other = seen.get(run) ?? row.id;
      if (other !== row.id) shared.add(`${other} ${row.id}`);
      seen.set(run, row.id);
    }
  }
  assert.deepEqual([...shared], []);
  assert.equal(new Set(rows.map((row) => plain(row.text))).size, rows.length);
});

test('every language has attacks and honest texts', () => {
  for (const list of [attacks, benign]) {
    const spoken = new Set(list.map((row) => row.lang));
    assert.deepEqual(LANGUAGES.filter((language) => !spoken.has(language)), []);
  }
});

test('every trick hides attacks in train and in test, and a text that claims a trick shows it', () => {
  const used = (split: string): Set<string | null> => new Set(attacks.filter((row) => row.split === split).map((row) => row.trick));
  for (const split of ['train', 'test']) assert.deepEqual([...TRICKS.keys()].filter((trick) => !used(split).has(trick)), [], split);
  assert.deepEqual(breaking((row) => row.trick === null || TRICKS.get(row.trick)?.test(row.text.normalize(row.trick === 'combining-marks' ? 'NFD' : 'NFC')) === true), []);
});

test('long carriers are long, and there are honest ones as well', () => {
  const carriers = rows.filter((row) => row.trick === 'long-carrier');
  assert.ok(carriers.filter((row) => row.label === 1).length >= CARRIERS_MIN);
  assert.ok(carriers.some((row) => row.label === 0));
  assert.deepEqual(breaking((row) => Buffer.byteLength(row.text) >= CARRIER_BYTES_MIN, carriers), []);
});

test('split attacks are what the screen sees: their parts joined by line feeds', () => {
  assert.ok(attacks.filter((row) => row.parts !== undefined).length >= 10);
  assert.deepEqual(breaking((row) => row.parts === undefined || (row.parts.length > 1 && row.parts.join('\n') === row.text)), []);
});

test('a rug pull has both descriptions, and they differ', () => {
  assert.deepEqual(breaking((row) => (row.family === 'rug_pull') === (row.before !== undefined) && row.before !== row.text), []);
});

test('quoted attacks and preference carry a note on their doubt', () => {
  assert.deepEqual(breaking((row) => !/^(quoted_attack|preference)$/.test(row.family) || row.note !== undefined), []);
});

test('no host or address in the corpus can belong to anybody', () => {
  const reserved = /(?:^|\.)(?:example|test|invalid|localhost|example\.(?:com|org|net))$|^(?:192\.0\.2|198\.51\.100|203\.0\.113)\.\d+$|^127\.0\.0\.1$/;
  const host = /(?:https?|sftp):\/\/(?:[^\s/@]+@)?([a-z0-9.-]*[a-z0-9])|\b[\w.+-]+@([a-z0-9-]+(?:\.[a-z0-9-]+)+)|\b(\d+\.\d+\.\d+\.\d+)\b/g;
  // A context of JSON-LD is a name and no place that anything is sent to.
  const hosts = (row: Row): string[] => [...row.text.replaceAll(/\p{Cf}|"@[a-z]+":"https:\/\/schema.org"/gu, '').matchAll(host)].map((match) => match[1] ?? match[2] ?? match[3] ?? '');
  assert.deepEqual(rows.flatMap((row) => hosts(row).filter((name) => !reserved.test(name)).map((name) => `${row.id} ${name}`)), []);
});

test('the README counts what is in the files', () => {
  const readme = readFileSync(join(folder, 'README.md'), 'utf8');
  const count = (list: readonly Row[], member: (row: Row) => string): string[] => [...by(list, member)].map(([name, members]) => `${name} ${members.length}`);
  const wanted = [...by(rows, (row) => row.family)].map(([family, members]) => {
    const { label, split } = members[0] as Row;
    return `| ${family} | ${label} | ${split} | ${members.length} | ${new Set(members.map((row) => row.lang)).size} |`;
  });
  for (const [name, list] of [['attacks', attacks], ['benign', benign]] as const) {
    const splits = SPLITS.map((split) => list.filter((row) => row.split === split).length);
    wanted.push(`| ${name}.jsonl | ${list.length} | ${splits.join(' | ')} |`);
    const languages = count(list, (row) => row.lang).toSorted((left, right) => Number(right.split(' ')[1]) - Number(left.split(' ')[1]) || (left < right ? -1 : 1));
    wanted.push(`${name}: ${languages.join(', ')}`);
  }
  assert.deepEqual(wanted.filter((line) => !readme.includes(`${line}\n`)), []);
});
