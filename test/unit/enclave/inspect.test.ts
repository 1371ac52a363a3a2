// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import Database from 'better-sqlite3';
import { anchorPath, segmentPath } from '../../../enclave/audit/files.ts';
import { addTrust, readTrust, trustPath } from '../../../enclave/audit/trust.ts';
import { inspectLog } from '../../../enclave/host/inspect.ts';
import { visible } from '../../../shared/cli/visible.ts';
import { Unavailable } from '../../../shared/errors.ts';
import { BOOT, groups, key, NOW, openWriter, row, writeLog } from '../../harness/logs.ts';

const root = mkdtempSync(join(tmpdir(), 'inspect-'));
after(() => rmSync(root, { recursive: true, force: true }));

async function run(...args: string[]): Promise<{ exit: number; out: string; err: string; lines: string[] }> {
  let out = '';
  let err = '';
  const exit = await inspectLog(args, {
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
    env: { MCP_BASTION_STATE: join(root, 'state') },
    now: () => (NOW + 5) * 1000,
  });
  return { exit, out, err, lines: out.split('\n') };
}

/** Two logs of two slots, as two windows of a client leave them. */
function stateWith(): { state: string; dirs: string[] } {
  const state = mkdtempSync(join(root, 'state-'));
  const dirs = ['0', '1'].map((slot) => join(state, 'audit', 'files', slot));
  for (const [at, dir] of dirs.entries()) {
    mkdirSync(dir, { recursive: true });
    const { log } = writeLog(dir, {
      groups: [[row(at * 10 + 1, '{"path":"/tmp\\u001b[2Jx"}')], [row(at * 10 + 2, null, { dir: 's2c', type: 'result', kind: 'result', decision: 'allow', rule: null, code: null, status: 'ok' })]],
    });
    addTrust(state, log, key().fingerprint);
  }
  return { state, dirs };
}

test('the last rows of all logs are shown by time, one line each', async () => {
  const { state } = stateWith();
  const { exit, lines } = await run('--state', state, '--limit', '4');
  assert.equal(exit, 0);
  assert.deepEqual(lines, [
    '2023-11-14T22:13:20.001Z files c2s tools/call request tool#3dca4690 → deny: deny_tools[0] TOOL_DENIED',
    '2023-11-14T22:13:20.002Z files s2c tools/call result tool#3dca4690 ok → allow',
    '2023-11-14T22:13:20.011Z files c2s tools/call request tool#3dca4690 → deny: deny_tools[0] TOOL_DENIED',
    '2023-11-14T22:13:20.012Z files s2c tools/call result tool#3dca4690 ok → allow',
    '',
  ]);
  assert.equal((await run('--state', state)).lines.length, 7);
  assert((await run('--state', state)).out.includes('files boot'));
});

test('payloads are shown on request, without control characters', async () => {
  const { dirs } = stateWith();
  const plain = await run(dirs[0] ?? '');
  assert(!plain.out.includes('/tmp'));
  const { out } = await run(dirs[0] ?? '', '--payload');
  assert(out.includes('\n    {"path":"/tmp\\u001b[2Jx"}\n'));
});

test('verification names what it rests on', async () => {
  const { state, dirs } = stateWith();
  const { exit, lines, err } = await run('--state', state, '--verify');
  assert.equal(err, '');
  assert.equal(exit, 0);
  assert.equal(lines[0], 'chain: OK (ok)');
  assert.equal(lines.filter((line) => line.startsWith('log: ')).length, 2);
  assert.deepEqual(lines.slice(1, 3), [`log: ${dirs[0]}`, '  size: 3']);
  assert.match(lines[3] ?? '', /^ {2}root: [0-9a-f]{64}$/);
  assert.equal(lines[4], '  epochs: 1 (3 rows, 3 signatures)');
  assert.equal(lines[5], `  key: ${key().fingerprint} pinned by ${trustPath(state)}`);
  assert.equal(lines[6], '  anchored: local @3 of epoch 1');
  assert.equal(lines[7], '  last signature: 5 s ago');
  assert.match(lines[8] ?? '', /^ {2}tail-truncation: NOT DETECTABLE beyond epoch 1 size 3/);
  const alone = await run(dirs[0] ?? '', '--verify');
  assert.equal(alone.lines[5], `  key: ${key().fingerprint} not pinned: taken from the log itself`);
});

test('a log that was changed fails with its code and exit 1', async () => {
  const { state, dirs } = stateWith();
  const db = new Database(segmentPath(dirs[1] ?? '', 1));
  db.exec(`UPDATE entry SET body = replace(body, '"deny"', '"hold"') WHERE idx = 1`);
  db.close();
  const { exit, lines } = await run('--state', state, '--verify');
  assert.equal(exit, 1);
  assert.equal(lines[0], 'chain: BROKEN (LEAF_MISMATCH)');
  assert(lines.some((line) => line === '  broken: LEAF_MISMATCH in 000000000001.sqlite at 1: a leaf hash is not that of its row'));
});

test('a log of this state folder must be in its trust file, one from elsewhere need not', async () => {
  const { state, dirs } = stateWith();
  const stranger = join(state, 'audit', 'files', '2');
  mkdirSync(stranger);
  writeLog(stranger, { groups: [] });
  assert.equal((await run('--state', state, '--verify')).lines[0], 'chain: BROKEN (KEY_UNKNOWN)');
  const outside = mkdtempSync(join(root, 'copy-'));
  cpSync(stranger, outside, { recursive: true });
  assert.equal((await run('--state', state, '--verify', outside)).lines[0], 'chain: OK (ok)');
  assert.equal((await run('--trust', trustPath(state), '--verify', outside)).lines[0], 'chain: BROKEN (KEY_UNKNOWN)');
  assert.equal((await run('--trust', trustPath(state), '--verify', dirs[0] ?? '')).exit, 0);
});

test('what cannot be read is exit 3, what is asked wrongly is exit 2', async () => {
  const { state } = stateWith();
  const notDb = join(mkdtempSync(join(root, 'raw-')), '000000000001.sqlite');
  writeFileSync(notDb, 'x'.repeat(5000));
  const empty = mkdtempSync(join(root, 'empty-'));
  const cases: [string[], number][] = [
    [['--frobnicate'], 2],
    [['a', 'b'], 2],
    [['--limit', '0'], 2],
    [['--limit', 'x'], 2],
    [['--limit', '99999999'], 2],
    [['--limit'], 2],
    [['/nonexistent/path'], 3],
    [['/nonexistent/path', '--verify'], 3],
    [['--verify', '--trust', '/nonexistent/trust.json', '--state', state], 3],
    [['--verify', '--trust', notDb, '--state', state], 3],
    [[notDb], 3],
    [[notDb, '--verify'], 3],
    [[empty, '--verify'], 3],
    [['--help'], 0],
  ];
  for (const [args, exit] of cases) {
    const ran = await run(...args);
    assert.equal(ran.exit, exit, `${args.join(' ')}: ${ran.err}${ran.out}`);
    if (exit === 2) assert.match(ran.err, /^inspect-log: error: .+\nhint: .+\n$/);
  }
  assert.equal((await run(notDb, '--verify')).lines[0], 'chain: BROKEN (DB_CORRUPT)');
});

test('JSON has the same in a stable form', async () => {
  const { state } = stateWith();
  const rows = JSON.parse((await run('--state', state, '--json', '--limit', '1', '--payload')).out) as Record<string, unknown>;
  assert.deepEqual(Object.keys(rows), ['schema', 'rows']);
  assert.equal(rows['schema'], 'mcp-bastion/inspect-log/1');
  const verdict = JSON.parse((await run('--state', state, '--json', '--verify')).out) as { logs: Record<string, unknown>[] };
  assert.deepEqual(Object.keys(verdict), ['schema', 'ok', 'code', 'logs']);
  assert.deepEqual(Object.keys(verdict.logs[0] ?? {}), ['dir', 'verdict', 'code', 'log', 'size', 'root', 'epochs', 'anchored', 'age_seconds', 'notes', 'findings']);
});

test('reading leaves no file behind, beside the log or elsewhere, and needs no right to write', async () => {
  const dir = mkdtempSync(join(root, 'ro-'));
  writeLog(dir, { groups: groups(4, 2) });
  const before = readdirSync(dir).sort();
  assert.deepEqual(before, ['000000000001.anchor.jsonl', '000000000001.sqlite']);
  const bytes = readFileSync(segmentPath(dir, 1));
  const temporary = mkdtempSync(join(root, 'tmp-'));
  const usual = process.env['TMPDIR'];
  process.env['TMPDIR'] = temporary;
  chmodSync(dir, 0o500);
  for (const args of [[dir], [dir, '--verify'], [join(dir, 'none')]]) await run(...args);
  assert.equal((await run(dir, '--verify')).exit, 0);
  chmodSync(dir, 0o700);
  if (usual === undefined) delete process.env['TMPDIR'];
  else process.env['TMPDIR'] = usual;
  assert.deepEqual(readdirSync(dir).sort(), before);
  assert.deepEqual(readFileSync(segmentPath(dir, 1)), bytes);
  assert.deepEqual(readdirSync(temporary), []);
});

test('a copy made while the log is written is read with its -wal file, with and without -shm', async () => {
  const dir = mkdtempSync(join(root, 'live-'));
  const { writer } = openWriter(dir);
  writer.boot(BOOT, NOW * 1000, 0);
  for (const group of groups(2, 1)) writer.commit(group);
  const sizes: string[] = [];
  for (const suffixes of [['', '-wal', '-shm'], ['', '-wal']]) {
    const copy = mkdtempSync(join(root, 'copy-'));
    for (const suffix of suffixes) cpSync(segmentPath(dir, 1) + suffix, segmentPath(copy, 1) + suffix);
    cpSync(anchorPath(segmentPath(dir, 1)), anchorPath(segmentPath(copy, 1)));
    const before = readdirSync(copy).sort();
    const ran = await run(copy, '--verify');
    assert.equal(ran.exit, 0, ran.out);
    sizes.push(ran.lines[2] ?? '');
    assert.deepEqual(readdirSync(copy).sort(), before);
  }
  writer.close();
  assert.deepEqual(sizes, ['  size: 3', '  size: 3']);
});

test('text from a log cannot move the cursor, hide or reorder', () => {
  assert.equal(visible('a\u001b[2Jb\r\n\u202ec\u200b\u0085\ue000d\ud800'), 'a\\u{1b}[2Jb\\u{d}\\u{a}\\u{202e}c\\u{200b}\\u{85}\\u{e000}d\ufffd');
  assert.equal(visible('→ ok é 日本 🎉'), '→ ok é 日本 🎉');
});

test('the trust file keeps all keys of a log and refuses any other form', () => {
  const state = join(mkdtempSync(join(root, 'trust-')), 'deep');
  const [log, one, two] = ['0a'.repeat(16), '11'.repeat(32), '22'.repeat(32)] as const;
  assert.equal(readTrust(trustPath(state)), null);
  for (const fingerprint of [one, one, two]) addTrust(state, log, fingerprint);
  assert.equal(readFileSync(trustPath(state), 'utf8'), `{"logs":{"${log}":["${one}","${two}"]},"version":1}\n`);
  assert.deepEqual([...(readTrust(trustPath(state))?.get(log) ?? [])], [one, two]);
  assert(!existsSync(`${trustPath(state)}.tmp`));
  for (const text of ['', '{}', '{"version":2,"logs":{}}', '{"version":1,"logs":[]}', `{"version":1,"logs":{"${log}":["x"]}}`, `{"version":1,"logs":{"x":[]}}`, '{"version":1,"logs":{},"logs":{}}']) {
    writeFileSync(trustPath(state), text);
    assert.throws(() => readTrust(trustPath(state)), (error) => error instanceof Unavailable && error.code === 'FILE_UNREADABLE', text);
    assert.throws(() => addTrust(state, log, one), Unavailable, 'a file that cannot be read is not replaced');
  }
});

test('the boot row shows what the log promises', async () => {
  const dir = mkdtempSync(join(root, 'boot-'));
  writeLog(dir, { groups: [] });
  const { rows } = JSON.parse((await run(dir, '--json')).out) as { rows: { row: Record<string, unknown> }[] };
  for (const [name, value] of Object.entries(BOOT)) assert.equal(rows[0]?.row[name], value);
  assert.equal(rows[0]?.row['key'], key().fingerprint);
});
