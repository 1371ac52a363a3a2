// SPDX-License-Identifier: Apache-2.0
/** Transcripts of `bastion-verify-log`: what it prints, and the exit code that scripts go by. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import Database from 'better-sqlite3';
import { anchorPath, segmentPath } from '../../../enclave/audit/files.ts';
import { SegmentReader } from '../../../enclave/audit/reader.ts';
import { parseAnchorLine } from '../../../shared/audit/anchor.ts';
import { leafHash } from '../../../shared/audit/merkle.ts';
import { verifyLogCommand } from '../../../shared/cli/verify-log.ts';
import { LogSegment } from '../../../shared/cli/log-segment.ts';
import { originOf } from '../../../shared/audit/checkpoint.ts';
import { toHex } from '../../../shared/bytes.ts';
import { BOOT, groups, key, NOW, openWriter, verifyDir, writeLog } from '../../harness/logs.ts';

const root = mkdtempSync(join(tmpdir(), 'verify-log-'));
after(() => rmSync(root, { recursive: true, force: true }));

const launcher = join(import.meta.dirname, '..', '..', '..', 'shared', 'bin', 'bastion-verify-log.mjs');
const AT = ['--at', '2023-11-14T22:14:20Z'];

interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly first: string;
}

async function run(...args: readonly string[]): Promise<Run> {
  let [stdout, stderr] = ['', ''];
  const io = { stdout: { write: (text: string) => (stdout += text) }, stderr: { write: (text: string) => (stderr += text) }, now: () => (NOW + 60) * 1000 };
  const code = await verifyLogCommand(args, io);
  return { code, stdout, stderr, first: stdout.split('\n')[0] ?? '' };
}

/** Boot row, then 9 rows in groups of 3; anchor lines after the first group and at the end. */
const good = mkdtempSync(join(root, 'good-'));
const { log: LOG } = writeLog(good, { groups: groups(9, 3), anchorAfter: [0] });
const ORIGIN = originOf(LOG, 1);
const trust = file('trust.json', JSON.stringify({ version: 1, logs: { [LOG]: [key().fingerprint] } }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(mkdtempSync(join(root, 'file-')), name);
  writeFileSync(path, content);
  return path;
}

function copyOf(from = good): string {
  const dir = mkdtempSync(join(root, 'copy-'));
  cpSync(from, dir, { recursive: true });
  return dir;
}

function change(dir: string, ...texts: string[]): string {
  const db = new Database(segmentPath(dir, 1));
  db.pragma('ignore_check_constraints = ON');
  for (const text of texts) db.exec(text);
  db.close();
  return dir;
}

/** The log cut after so many rows, its anchor file likewise: nothing beside the log shows it. */
function cut(rows: number, lines: number): string {
  const dir = change(copyOf(), `DELETE FROM entry WHERE idx >= ${rows}`, `DELETE FROM payload WHERE idx >= ${rows}`, `DELETE FROM checkpoint WHERE size > ${rows}`);
  const path = anchorPath(segmentPath(dir, 1));
  writeFileSync(path, `${readFileSync(path, 'utf8').split('\n').slice(0, lines).join('\n')}\n`);
  return dir;
}

const bodies = ((): Uint8Array[] => {
  const segment = new LogSegment(segmentPath(good, 1));
  const read = [...segment.entries()].map((entry) => entry.body as Uint8Array);
  segment.close();
  return read;
})();
const receipt = (idx: number, size: number, origin = ORIGIN): string => JSON.stringify({ origin, idx, leaf: toHex(leafHash(bodies[idx] ?? new Uint8Array(0))), size });
const anchors = readFileSync(anchorPath(segmentPath(good, 1)), 'utf8');
const notes = anchors.split('\n').slice(0, -1).map((line) => parseAnchorLine(line)?.note ?? assert.fail());

test('a log verifies against a trust file, and the report says what it rests on', async () => {
  const { code, stdout, stderr } = await run(good, '--trust', trust, ...AT);
  const { root: treeRoot } = verifyDir(good);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  assert.equal(
    stdout,
    `chain: OK size=10 root=${treeRoot} epochs=1 keys=1 anchored=local@10 age=60s
log: ${good}
  size: 10
  root: ${treeRoot}
  epochs: 1 (10 rows, 4 signatures)
  key: ${key().fingerprint} pinned by ${trust}
  anchored: local @10 of epoch 1
  last signature: 60 s ago
  tail-truncation: NOT DETECTABLE beyond epoch 1 size 10; the anchor file lies beside the log, so whoever can cut both is not seen.
`,
  );
});

test('without a trust file nothing is verified, unless that is accepted in words', async () => {
  const unpinned = await run(good, ...AT);
  assert.equal(unpinned.code, 3);
  assert.match(unpinned.first, /^chain: NOT VERIFIED \(key not pinned\) size=10 /);
  const accepted = await run(good, '--accept-unchecked', 'key', ...AT);
  assert.equal(accepted.code, 0);
  assert.match(accepted.stdout, /^chain: OK [^\n]+\naccepted as unchecked: key\n/);
  const other = file('trust.json', JSON.stringify({ version: 1, logs: { [LOG]: [key(2).fingerprint] } }));
  const none = file('trust.json', '{"version":1,"logs":{}}');
  for (const wrong of [other, none]) assert.match((await run(good, '--trust', wrong, ...AT)).first, /^chain: BROKEN \(KEY_UNKNOWN\) /);
});

test('it reads what the gateway reads: both readers give the same values, and both call the tables by their text', () => {
  const ours = new LogSegment(segmentPath(good, 1));
  const gateways = new SegmentReader(segmentPath(good, 1));
  const plain = (rows: Iterable<object>): unknown[] =>
    [...rows].map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value instanceof Uint8Array ? toHex(value) : (value as unknown)])));
  assert.deepEqual(plain(ours.entries()), plain(gateways.entries()));
  assert.deepEqual(plain(ours.payloads()), plain(gateways.payloads()));
  assert.deepEqual(plain(ours.checkpoints()), plain(gateways.checkpoints()));
  assert.deepEqual([ours.schema, ours.vkey, ours.grownTo], ['expected', gateways.vkey, gateways.grownTo]);
  assert.deepEqual([...(ours.anchorLines() ?? [])], [...(gateways.anchorLines() ?? [])]);
  ours.close();
  gateways.close();
});

const FOUND: [what: string, dir: () => string, code: string][] = [
  ['a decision changed', () => change(copyOf(), `UPDATE entry SET body = replace(body, '"deny"', '"allow"') WHERE idx = 4`), 'LEAF_MISMATCH'],
  ['a row deleted', () => change(copyOf(), 'DELETE FROM entry WHERE idx = 5'), 'ROW_MISSING'],
  ['an index beyond 2^53', () => change(copyOf(), 'UPDATE entry SET idx = 9223372036854775807 WHERE idx = 9'), 'ROW_DUPLICATE'],
  ['the least index there is', () => change(copyOf(), 'UPDATE entry SET idx = -9223372036854775808 WHERE idx = 9'), 'ROW_DUPLICATE'],
  ['a time beyond 2^53', () => change(copyOf(), 'UPDATE checkpoint SET ts = 9007199254740993 WHERE size = 10'), 'SIG_INVALID'],
  ['no checkpoint', () => change(copyOf(), 'DELETE FROM checkpoint'), 'UNSIGNED_TAIL'],
  ['a view', () => change(copyOf(), 'CREATE VIEW v AS SELECT 1'), 'SCHEMA_UNEXPECTED'],
  ['a payload changed', () => change(copyOf(), "UPDATE payload SET data = x'00' WHERE idx = 2"), 'PAYLOAD_MISMATCH'],
  ['the tail cut off', () => change(copyOf(), 'DELETE FROM entry WHERE idx >= 7', 'DELETE FROM payload WHERE idx >= 7', 'DELETE FROM checkpoint WHERE size > 7'), 'ANCHOR_AHEAD'],
];

for (const [what, dir, code] of FOUND) {
  test(`found, with exit 1 and its code: ${what}`, async () => {
    const ran = await run(dir(), '--trust', trust, ...AT);
    assert.equal(ran.code, 1, ran.stdout);
    assert(ran.stdout.includes(`broken: ${code} `), ran.stdout);
  });
}

test('a cut that nothing beside the log shows is shown by a checkpoint, an anchor file, receipts or a size kept elsewhere', async () => {
  const dir = cut(4, 2);
  assert.equal((await run(dir, '--trust', trust, ...AT)).code, 0, 'nothing is left to see');
  const cases: [string[], string][] = [
    [['--anchors', file('kept.jsonl', anchors)], 'ANCHOR_AHEAD'],
    [['--anchors', file('kept.txt', notes[2] ?? '')], 'ANCHOR_AHEAD'],
    [['--receipts', file('receipts', `${receipt(8, 10)}\n`)], 'RECEIPT_NOT_IN_LOG'],
    [['--receipts', file('receipts', `${receipt(2, 10)}\n`)], 'RECEIPT_NOT_IN_LOG'],
    [['--expect-size', '5'], 'ROW_MISSING'],
  ];
  for (const [flags, code] of cases) {
    const ran = await run(dir, '--trust', trust, ...AT, ...flags);
    assert.deepEqual([ran.code, ran.first.slice(0, ran.first.indexOf(')'))], [1, `chain: BROKEN (${code}`], flags.join(' '));
  }
  // Cut off and written on by whoever has the key, as far as it was before.
  writeLog(dir, { groups: groups(8, 4) });
  assert.equal((await run(dir, '--trust', trust, ...AT)).code, 0);
  assert.match((await run(dir, '--trust', trust, '--anchors', file('kept.txt', notes[2] ?? ''), ...AT)).first, /BROKEN \(ANCHOR_FORK\)/);
  assert.match((await run(dir, '--trust', trust, '--receipts', file('receipts', receipt(8, 10)), ...AT)).first, /BROKEN \(RECEIPT_NOT_IN_LOG\)/);
});

test('what was kept elsewhere and fits raises what the verdict rests on', async () => {
  const kept = await run(good, '--trust', trust, '--anchors', file('a', notes[1] ?? ''), '--anchors', file('b', anchors), '--receipts', file('r', `${receipt(9, 10)}\n${receipt(0, 1)}\n`), '--expect-size', '10', ...AT);
  assert.equal(kept.code, 0, kept.stdout);
  assert.match(kept.first, /anchored=external@10 /);
  assert.match(kept.stdout, /tail-truncation: NOT DETECTABLE beyond epoch 1 size 10, which the checkpoints that were kept elsewhere cover\. Receipts reach epoch 1 size 10\.\n/);
});

test('kept evidence that is false, or of another log, is never passed over', async () => {
  const [origin = '', size = '', treeRoot = '', , line = ''] = (notes[1] ?? '').split('\n');
  const cases: [what: string, flags: string[], code: string][] = [
    ['another root under a true signature', ['--anchors', file('a', `${origin}\n${size}\n${'A'.repeat(43)}=\n\n${line}\n`)], 'SIG_INVALID'],
    ['a signature of nobody', ['--anchors', file('a', `${origin}\n${size}\n${treeRoot}\n\n\u2014 other ${'A'.repeat(80)}\n`)], 'SIG_MISSING'],
    ['a larger size under a true signature', ['--anchors', file('a', `${origin}\n99\n${treeRoot}\n\n${line}\n`)], 'SIG_INVALID'],
    ['a checkpoint of another epoch', ['--anchors', file('a', (notes[1] ?? '').replaceAll(`${LOG}/1`, `${LOG}/2`))], 'ANCHOR_AHEAD'],
    ['a receipt of another epoch', ['--receipts', file('r', receipt(1, 4, originOf(LOG, 2)))], 'RECEIPT_NOT_IN_LOG'],
    ['a receipt for another row', ['--receipts', file('r', JSON.stringify({ origin: ORIGIN, idx: 3, leaf: toHex(leafHash(bodies[4] ?? assert.fail())), size: 4 }))], 'RECEIPT_NOT_IN_LOG'],
  ];
  for (const [what, flags, code] of cases) {
    const ran = await run(good, '--trust', trust, ...flags, ...AT);
    assert.deepEqual([ran.code, ran.first.split(' ')[2]], [1, `(${code})`], what);
  }
});

test('what is asked wrongly is exit 2, what cannot be read is exit 3, each with a hint', async () => {
  const two = mkdtempSync(join(root, 'two-'));
  for (const name of ['a', 'b']) cpSync(good, join(two, name), { recursive: true });
  const fifo = mkdtempSync(join(root, 'fifo-'));
  spawnSync('mkfifo', [segmentPath(fifo, 1)]);
  const cases: [number, string[]][] = [
    [2, []],
    [2, ['a', 'b']],
    [2, ['--frobnicate']],
    [2, [good, '--trust']],
    [2, [good, '--trust', trust, '--trust', trust]],
    [2, [good, '--trust', trust, '--accept-unchecked', 'key']],
    [2, [good, '--accept-unchecked', 'rows']],
    [2, [good, '--at', '2023-02-31T00:00:00Z']],
    [2, [good, '--expect-size', '-1']],
    [2, [two, '--trust', trust, '--expect-size', '10']],
    [2, [good, '--trust', file('t', '{"version":1,"logs":{},"logs":{}}')]],
    [2, [good, '--trust', file('t', '{"version":1,"logs":{},"more":1}')]],
    [2, [good, '--receipts', file('r', 'hello')]],
    [2, [good, '--receipts', file('r', receipt(1, 4).replace('}', ',"more":1}'))]],
    [2, [good, '--receipts', file('r', receipt(1, 4).replace('"size":4', '"size":1'))]],
    [2, [good, '--receipts', file('r', Uint8Array.of(0xff))]],
    [2, [good, '--anchors', file('a', 'hello')]],
    [2, [good, '--anchors', file('a', '')]],
    [2, [good, '--anchors', file('a', anchors.slice(0, -1))]],
    [2, [good, '--anchors', file('a', anchors.split('\n').toSpliced(1, 1).join('\n'))]],
    [3, [good, '--trust', '/nonexistent']],
    [3, [good, '--trust', root]],
    [3, ['/nonexistent/log']],
  ];
  for (const [code, args] of cases) {
    const ran = await run(...args);
    assert.equal(ran.code, code, `${args.join(' ')}: ${ran.stdout}${ran.stderr}`);
    assert.match(ran.stderr, /^bastion-verify-log: error: [^\n]+\nhint: [^\n]+\n$/, args.join(' '));
    assert.equal(ran.stdout, '');
  }
  const rubbish = mkdtempSync(join(root, 'rubbish-'));
  writeFileSync(segmentPath(rubbish, 1), 'x'.repeat(5000));
  for (const dir of [rubbish, fifo]) assert.match((await run(dir, '--trust', trust)).first, /^chain: UNREADABLE \(DB_CORRUPT\) /);
  assert.deepEqual([(await run(rubbish, '--trust', trust)).code, (await run(mkdtempSync(join(root, 'empty-')), '--trust', trust)).code], [3, 3]);
  assert.equal((await run('--help')).code, 0);
  assert.match((await run('--version')).stdout, /^bastion-verify-log \d+\.\d+\.\d+\n$/);
});

test('a directory above logs gives one verdict for all', async () => {
  const both = mkdtempSync(join(root, 'both-'));
  const second = join(both, 'files', '1');
  cpSync(good, join(both, 'files', '0'), { recursive: true });
  mkdirSync(second, { recursive: true });
  const { log } = writeLog(second, { groups: groups(2, 1) });
  const known = file('trust.json', JSON.stringify({ version: 1, logs: { [LOG]: [key().fingerprint], [log]: [key().fingerprint] } }));
  assert.equal((await run(both, '--trust', known, ...AT)).first, 'chain: OK logs=2 rows=13');
  assert.match((await run(both, '--trust', trust, ...AT)).first, /^chain: BROKEN \(KEY_UNKNOWN\) logs=2 rows=13$/);
});

test('JSON says the same in a stable form', async () => {
  const parsed = JSON.parse((await run(change(copyOf(), 'DELETE FROM entry WHERE idx = 5'), '--trust', trust, '--json', ...AT)).stdout) as Record<string, unknown> & { logs: { findings: object[] }[] };
  assert.deepEqual(Object.keys(parsed), ['schema', 'verdict', 'exit', 'code', 'at', 'stray', 'logs']);
  assert.deepEqual([parsed['schema'], parsed['verdict'], parsed['exit'], parsed['code'], parsed['at']], ['mcp-bastion/verify-log/1', 'refused', 1, 'ROW_MISSING', '2023-11-14T22:14:20.000Z']);
  assert.deepEqual(parsed.logs[0]?.findings[0], { code: 'ROW_MISSING', severity: 'broken', segment: '000000000001.sqlite', at: 5, count: 2, detail: 'rows are missing' });
});

test('reading leaves no file behind and needs no right to write, whether the log was ended, copied with its -wal or is being written', async () => {
  const ended = copyOf();
  const live = mkdtempSync(join(root, 'live-'));
  const { writer, log } = openWriter(live);
  writer.boot(BOOT, NOW * 1000, 0);
  for (const group of groups(2, 1)) writer.commit(group);
  const copied = mkdtempSync(join(root, 'wal-'));
  for (const suffix of ['', '-wal']) cpSync(segmentPath(live, 1) + suffix, segmentPath(copied, 1) + suffix);
  cpSync(anchorPath(segmentPath(live, 1)), anchorPath(segmentPath(copied, 1)));
  const known = file('trust.json', JSON.stringify({ version: 1, logs: { [LOG]: [key().fingerprint], [log]: [key().fingerprint] } }));
  const temporary = mkdtempSync(join(root, 'tmp-'));
  const usual = process.env['TMPDIR'];
  process.env['TMPDIR'] = temporary;
  for (const dir of [ended, live, copied]) {
    const before = readdirSync(dir).sort().map((name) => [name, toHex(leafHash(readFileSync(join(dir, name))))]);
    if (dir !== live) chmodSync(dir, 0o500);
    const ran = await run(dir, '--trust', known, ...AT);
    chmodSync(dir, 0o700);
    assert.equal(ran.code, 0, ran.stdout);
    if (dir !== ended) assert.match(ran.first, / size=3 /);
    // What SQLite notes of its readers in the -shm file of a live log is no trace.
    const now = readdirSync(dir).sort().map((name) => [name, toHex(leafHash(readFileSync(join(dir, name))))]);
    assert.deepEqual(now.filter(([name = '']) => !name.endsWith('-shm')), before.filter(([name = '']) => !name.endsWith('-shm')));
  }
  if (usual === undefined) delete process.env['TMPDIR'];
  else process.env['TMPDIR'] = usual;
  writer.close();
  assert.deepEqual(readdirSync(temporary), []);
});

test('the command runs by itself, without talk about what is experimental, and with the exit code of its verdict', () => {
  const fine = spawnSync(launcher, [good, '--trust', trust], { encoding: 'utf8' });
  assert.deepEqual([fine.status, fine.stderr, fine.stdout.startsWith('chain: OK size=10 ')], [0, '', true]);
  assert.equal(spawnSync(launcher, [good], { encoding: 'utf8' }).status, 3);
  assert.equal(spawnSync(launcher, [change(copyOf(), 'DELETE FROM entry WHERE idx = 5'), '--trust', trust], { encoding: 'utf8' }).status, 1);
});

test('a long verification says how far it is on standard error', async () => {
  let ms = NOW * 1000;
  let stderr = '';
  const io = { stdout: { write: () => true }, stderr: { write: (text: string) => (stderr += text) }, now: () => (ms += 2500) };
  await verifyLogCommand([good, '--trust', trust], io);
  assert.match(stderr, /^bastion-verify-log: 10 rows of 000000000001\.sqlite\n/);
});
