// SPDX-License-Identifier: Apache-2.0
/** `mcp-bastion audit prove | bundle | verify`, and what hostile bundles meet. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, linkSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import Database from 'better-sqlite3';
import { segmentPath } from '../../../enclave/audit/files.ts';
import { auditCommand } from '../../../enclave/host/audit/command.ts';
import { verifyLogCommand } from '../../../shared/cli/verify-log.ts';
import { sumsOf } from '../../../shared/audit/bundle-files.ts';
import { groups, key, NOW, row, writeLog } from '../../harness/logs.ts';

const root = mkdtempSync(join(tmpdir(), 'audit-bundle-'));
after(() => rmSync(root, { recursive: true, force: true }));

interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly first: string;
}

async function run(...args: readonly string[]): Promise<Run> {
  let [stdout, stderr] = ['', ''];
  const io = { stdout: { write: (text: string) => (stdout += text) }, stderr: { write: (text: string) => (stderr += text) }, env: { MCP_BASTION_STATE: join(root, 'none') }, now: () => NOW * 1000 };
  const code = args[0] === 'log' ? await verifyLogCommand(args.slice(1), io) : await auditCommand(args, io);
  return { code, stdout, stderr, first: stdout.split('\n')[0] ?? '' };
}

const dir = mkdtempSync(join(root, 'log-'));
const policyText = 'mode: enforce\n';
const digest = createHash('sha256').update(policyText).digest('hex');
const { log: LOG } = writeLog(dir, { groups: [...groups(300, 50), [row(400, null, { policy: digest, tool: 'café "x" \u{1f389}' })]] });
const trust = join(root, 'trust.json');
writeFileSync(trust, JSON.stringify({ version: 1, logs: { [LOG]: [key().fingerprint] } }));
const policy = join(root, 'policy.yaml');
writeFileSync(policy, policyText);
const fresh = (name: string): string => join(mkdtempSync(join(root, 'out-')), name);

const good = fresh('bundle');
const made = await run('bundle', '--rows', '295-301', dir, '-o', good, '--payloads', '--policy', policy);

test('a bundle holds what an auditor needs and nothing else, for its owner only', async () => {
  assert.deepEqual([made.code, made.stdout], [0, ''], made.stderr);
  assert.deepEqual(readdirSync(good).sort(), ['README.txt', 'SHA256SUMS', 'bundle.json', 'checkpoint.txt', 'key.vkey', 'payloads.jsonl', 'policy.txt', 'proofs', 'rows.jsonl', 'trust.json']);
  assert.deepEqual(readdirSync(join(good, 'proofs')), Array.from({ length: 7 }, (_, at) => `000000000${295 + at}.tlog-proof`));
  assert.equal(statSync(good).mode & 0o077, 0);
  for (const name of readdirSync(good)) assert.equal(statSync(join(good, name)).mode & 0o077, 0, name);
  assert.match(readFileSync(join(good, 'README.txt'), 'utf8'), /rows {4}295 to 301, of 302 rows/);
  assert.equal(spawnSync('sha256sum', ['--check', '--strict', '--quiet', 'SHA256SUMS'], { cwd: good, encoding: 'utf8' }).status, 0);
});

test('both commands verify a bundle, and say what it does not show', async () => {
  const ours = await run('verify', good, '--trust', trust);
  const offline = await run('log', good, '--trust', trust);
  assert.deepEqual([ours.code, offline.code, offline.stdout], [0, 0, ours.stdout]);
  assert.match(ours.stdout, /^evidence: OK rows=295-301 size=302 root=[0-9a-f]{64}\n/);
  assert.match(ours.stdout, /\n {2}signed at: 2023-11-14T22:13:20\.000Z, by the log's own clock\n {2}payloads: 6\n {2}these are rows 295 to 301 of a log that had 302; /);
  assert.match((await run('verify', good)).first, /^evidence: NOT VERIFIED \(key not pinned\)/);
  assert.deepEqual([(await run('verify', good)).code, (await run('verify', good, '--accept-unchecked', 'key')).code], [3, 0]);
  assert.equal((await run('log', good, '--trust', trust, '--expect-size', '3')).code, 2);
  const json = JSON.parse((await run('verify', good, '--trust', trust, '--json')).stdout) as Record<string, unknown>;
  assert.deepEqual([json['schema'], json['verdict'], json['exit'], json['first'], json['last'], json['standing']], ['mcp-bastion/verify-evidence/1', 'verified', 0, 295, 301, 'pinned']);
});

test('the trust file inside a bundle is not trusted', async () => {
  const other = join(mkdtempSync(join(root, 'trust-')), 'trust.json');
  writeFileSync(other, JSON.stringify({ version: 1, logs: { [LOG]: [key(2).fingerprint] } }));
  assert.match((await run('verify', good, '--trust', other)).first, /BROKEN \(KEY_UNKNOWN\)/);
});

/** A copy that was changed; `sums` makes SHA256SUMS fit again, as whoever forges a bundle does. */
function changed(change: (copy: string) => void, sums = true): string {
  const copy = fresh('bundle');
  cpSync(good, copy, { recursive: true });
  change(copy);
  if (sums) {
    const names = [...readdirSync(copy), ...readdirSync(join(copy, 'proofs')).map((name) => `proofs/${name}`)].filter((name) => statSync(join(copy, name)).isFile());
    writeFileSync(join(copy, 'SHA256SUMS'), sumsOf(new Map(names.map((name) => [name, new Uint8Array(readFileSync(join(copy, name)))]))));
  }
  return copy;
}

function edit(name: string, change: (text: string) => string): (copy: string) => void {
  return (copy) => writeFileSync(join(copy, name), change(readFileSync(join(copy, name), 'utf8')));
}

const proof = 'proofs/000000000297.tlog-proof';
const swap = (text: string, a: number, b: number): string => {
  const lines = text.split('\n');
  [lines[a], lines[b]] = [lines[b] ?? '', lines[a] ?? ''];
  return lines.join('\n');
};

const FORGED: [what: string, change: (copy: string) => void, code: string][] = [
  ['a row changed', edit('rows.jsonl', (text) => text.replace('"deny"', '"hold"')), 'PROOF_INVALID'],
  ['white space in a row', edit('rows.jsonl', (text) => text.replace(',', ', ')), 'ROW_BODY_NONCANONICAL'],
  ['two rows swapped', edit('rows.jsonl', (text) => swap(text, 1, 2)), 'ROW_FIELD_MISMATCH'],
  ['a row left out', edit('rows.jsonl', (text) => text.split('\n').toSpliced(2, 1).join('\n')), 'ROW_MISSING'],
  ['a row doubled', edit('rows.jsonl', (text) => `${text.split('\n')[0]}\n${text}`), 'ROW_MISSING'],
  ['a hash of a proof changed', edit(proof, (text) => text.replace(/\n[A-Za-z0-9+/]{43}=\n/, `\n${'A'.repeat(43)}=\n`)), 'PROOF_INVALID'],
  ['two proofs swapped', (copy) => cpSync(join(copy, 'proofs/000000000296.tlog-proof'), join(copy, proof)), 'ROW_FIELD_MISMATCH'],
  ['a proof gone', (copy) => unlinkSync(join(copy, proof)), 'PROOF_INVALID'],
  ['a proof too many', (copy) => cpSync(join(copy, proof), join(copy, 'proofs/000000000999.tlog-proof')), 'BUNDLE_INVALID'],
  ['the size of the checkpoint changed', (copy) => { for (const name of ['checkpoint.txt', ...readdirSync(join(copy, 'proofs')).map((at) => `proofs/${at}`)]) edit(name, (text) => text.replace('\n302\n', '\n301\n'))(copy); }, 'SIG_INVALID'],
  ['another checkpoint', edit('checkpoint.txt', (text) => text.replace('\n302\n', '\n301\n')), 'PROOF_INVALID'],
  ['no key', edit('key.vkey', () => 'hello\n'), 'SIG_ALG_UNEXPECTED'],
  ['another size in the manifest', edit('bundle.json', (text) => text.replace('302', '303')), 'ROW_FIELD_MISMATCH'],
  ['other rows in the manifest', edit('bundle.json', (text) => text.replace('295', '294')), 'ROW_MISSING'],
  ['one more member in the manifest', edit('bundle.json', (text) => text.replace('}', ',"z":1}')), 'BUNDLE_INVALID'],
  ['an unsafe number in the manifest', edit('bundle.json', (text) => text.replace('302', '9007199254740993')), 'BUNDLE_INVALID'],
  ['a payload changed', edit('payloads.jsonl', (text) => text.replace('"data":"e', '"data":"f')), 'PAYLOAD_MISMATCH'],
  ['a payload twice', edit('payloads.jsonl', (text) => `${text.split('\n')[0]}\n${text}`), 'PAYLOAD_MISMATCH'],
  ['a payload of a row that is not here', edit('payloads.jsonl', (text) => text.replace('"idx":295', '"idx":294')), 'PAYLOAD_MISMATCH'],
  ['another policy', edit('policy.txt', (text) => `${text}allow: all\n`), 'POLICY_MISMATCH'],
];

for (const [what, change, code] of FORGED) {
  test(`found in a bundle whose checksums fit: ${what}`, async () => {
    const ran = await run('verify', changed(change), '--trust', trust);
    assert.equal(ran.code, 1, ran.stdout);
    assert(ran.stdout.includes(`broken: ${code} `), ran.stdout);
  });
}

const HOSTILE: [what: string, change: (copy: string) => void, code: string][] = [
  ['a file changed', edit('rows.jsonl', (text) => text.replace('"deny"', '"hold"')), 'BUNDLE_SUM'],
  ['a name that climbs out', (copy) => appendFileSync(join(copy, 'SHA256SUMS'), `${'0'.repeat(64)}  ../../etc/passwd\n`), 'BUNDLE_PATH'],
  ['an absolute name', (copy) => appendFileSync(join(copy, 'SHA256SUMS'), `${'0'.repeat(64)}  /etc/passwd\n`), 'BUNDLE_PATH'],
  ['a name that climbs inside proofs', (copy) => appendFileSync(join(copy, 'SHA256SUMS'), `${'0'.repeat(64)}  proofs/../../000000000001.tlog-proof\n`), 'BUNDLE_PATH'],
  ['a name listed twice', (copy) => edit('SHA256SUMS', (text) => text + (text.split('\n')[0] ?? '') + '\n')(copy), 'BUNDLE_DUPLICATE'],
  ['a file that no bundle has', (copy) => writeFileSync(join(copy, 'run.sh'), 'x'), 'BUNDLE_PATH'],
  ['a name in other letters', (copy) => writeFileSync(join(copy, 'Rows.jsonl'), 'x'), 'BUNDLE_PATH'],
  ['a folder that no bundle has', (copy) => mkdirSync(join(copy, 'more')), 'BUNDLE_PATH'],
  ['a folder under the name of a file', (copy) => { unlinkSync(join(copy, 'policy.txt')); mkdirSync(join(copy, 'policy.txt')); }, 'BUNDLE_LINK'],
  ['a link', (copy) => { unlinkSync(join(copy, 'policy.txt')); symlinkSync('/etc/passwd', join(copy, 'policy.txt')); }, 'BUNDLE_LINK'],
  ['a link to a folder', (copy) => { rmSync(join(copy, 'proofs'), { recursive: true }); symlinkSync('/etc', join(copy, 'proofs')); }, 'BUNDLE_PATH'],
  ['a pipe', (copy) => { unlinkSync(join(copy, 'policy.txt')); spawnSync('mkfifo', [join(copy, 'policy.txt')]); }, 'BUNDLE_LINK'],
  ['a huge file', (copy) => truncateSync(join(copy, 'rows.jsonl'), 600 * 1024 * 1024), 'BUNDLE_SIZE'],
  ['a file that is not listed', edit('SHA256SUMS', (text) => text.split('\n').slice(1).join('\n')), 'BUNDLE_INVALID'],
  ['a listed file that is gone', (copy) => unlinkSync(join(copy, 'policy.txt')), 'BUNDLE_INVALID'],
  ['no checksums', (copy) => unlinkSync(join(copy, 'SHA256SUMS')), 'BUNDLE_INVALID'],
  ['checksums of another form', edit('SHA256SUMS', (text) => text.replaceAll('  ', ' *')), 'BUNDLE_INVALID'],
];

for (const [what, change, code] of HOSTILE) {
  test(`a hostile bundle is refused: ${what}`, async () => {
    const ran = await run('verify', changed(change, false), '--trust', trust);
    assert.deepEqual([ran.code, ran.first], [1, `evidence: BROKEN (${code})`], ran.stdout + ran.stderr);
  });
}

test('thousands of files too many are refused before they are read', async () => {
  const copy = changed(() => undefined);
  const source = join(copy, 'x');
  writeFileSync(source, 'x');
  for (let at = 10_000; at < 20_020; at += 1) linkSync(source, join(copy, 'proofs', `0000000${at}.tlog-proof`));
  unlinkSync(source);
  assert.equal((await run('verify', copy, '--trust', trust)).first, 'evidence: BROKEN (BUNDLE_SIZE)');
});

test('the proof of one row stands alone with its key beside it', async () => {
  const out = fresh('row.tlog-proof');
  assert.equal((await run('prove', '--row', '301', dir, '-o', out)).code, 0);
  const ran = await run('log', out, '--trust', trust);
  assert.match(ran.stdout, /^evidence: OK rows=301-301 size=302 root=[0-9a-f]{64}\n/);
  assert.equal((await run('verify', out)).code, 3);
  const text = readFileSync(out, 'utf8');
  writeFileSync(out, text.replace('index 301', 'index 300'));
  assert.deepEqual([(await run('verify', out, '--trust', trust)).code, (await run('verify', out, '--trust', trust)).first], [1, 'evidence: BROKEN (ROW_FIELD_MISMATCH)']);
  writeFileSync(out, 'hello');
  assert.equal((await run('verify', out, '--trust', trust)).first, 'evidence: BROKEN (PROOF_INVALID)');
  writeFileSync(out, Uint8Array.of(0xff));
  assert.equal((await run('verify', out, '--trust', trust)).first, 'evidence: BROKEN (PROOF_INVALID)');
  unlinkSync(`${out}.vkey`);
  assert.equal((await run('verify', out, '--trust', trust)).code, 3);
});

test('nothing is exported from a log that would not verify, and nothing is overwritten', async () => {
  const damaged: [string, string, string][] = [
    ['a row that was changed', `UPDATE entry SET body = replace(body, '"deny"', '"hold"') WHERE idx = 3`, 'prove'],
    ['a leaf that was changed elsewhere', 'UPDATE entry SET leaf = zeroblob(32) WHERE idx = 200', 'prove'],
    ['a row that is gone', 'DELETE FROM entry WHERE idx = 200', 'prove'],
    ['a signature that was changed', 'UPDATE checkpoint SET sig = zeroblob(2420)', 'prove'],
    ['a payload that was changed', "UPDATE payload SET data = x'00' WHERE idx = 3", 'bundle'],
  ];
  for (const [what, sql, command] of damaged) {
    const copy = mkdtempSync(join(root, 'damaged-'));
    cpSync(dir, copy, { recursive: true });
    const db = new Database(segmentPath(copy, 1));
    db.exec(sql);
    db.close();
    const out = fresh(command === 'prove' ? 'a.tlog-proof' : 'a');
    const ran = await run(command, ...(command === 'prove' ? ['--row', '3'] : ['--rows', '3-3', '--payloads']), copy, '-o', out);
    assert.equal(ran.code, 3, what);
    assert.equal(statSync(out, { throwIfNoEntry: false }), undefined, what);
  }
  assert.deepEqual([(await run('bundle', '--rows', '1-2', dir, '-o', good)).code, (await run('bundle', '--rows', '1-2', dir, '-o', fresh('a'), '--policy', trust)).code], [3, 3]);
});

test('sealed payloads do not go into a bundle: they are for their readers', async () => {
  const copy = mkdtempSync(join(root, 'sealed-'));
  cpSync(dir, copy, { recursive: true });
  const db = new Database(segmentPath(copy, 1));
  db.exec("UPDATE payload SET media = 'application/vnd.mcp-bastion.sealed'");
  db.close();
  const ran = await run('bundle', '--rows', '1-3', '--payloads', copy, '-o', fresh('bundle'));
  assert.deepEqual([ran.code, ran.stderr.split('\n')[0]], [2, 'audit: error: the payloads of this log are sealed']);
  assert.equal((await run('bundle', '--rows', '1-3', copy, '-o', fresh('bundle'))).code, 0);
});

test('what is asked wrongly is exit 2 with a hint', async () => {
  const out = fresh('a.tlog-proof');
  const cases: string[][] = [
    [],
    ['frobnicate'],
    ['prove', dir, '-o', out],
    ['prove', '--row', '-1', dir, '-o', out],
    ['prove', '--row', '302', dir, '-o', out],
    ['prove', '--row', '1', dir],
    ['prove', '--row', '1', dir, '-o', fresh('a.txt')],
    ['prove', '--row', '1', dir, '-o', out, '--payloads'],
    ['prove', '--row', '1', dir, dir, '-o', out],
    ['bundle', '--rows', '5-4', dir, '-o', out],
    ['bundle', '--rows', '5', dir, '-o', out],
    ['bundle', '--rows', '0-10000', dir, '-o', out],
    ['bundle', '--rows', '300-302', dir, '-o', out],
    ['verify'],
    ['verify', dir],
    ['verify', good, '--trust', trust, '--accept-unchecked', 'key'],
    ['verify', good, '--accept-unchecked', 'rows'],
  ];
  for (const args of cases) {
    const ran = await run(...args);
    assert.equal(ran.code, 2, `${args.join(' ')}: ${ran.stderr}`);
    assert.match(ran.stderr, /^audit: error: [^\n]+\nhint: [^\n]+\n$/);
  }
  assert.equal((await run('prove', '--row', '1', '/nonexistent', '-o', out)).code, 3);
  assert.equal((await run('--help')).code, 0);
});
