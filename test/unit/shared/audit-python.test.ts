// SPDX-License-Identifier: Apache-2.0
/**
 * Our verifier against one in Python that was written from the specification: both must accept and refuse the same logs
 * and bundles, and name the same first reason. Its ML-DSA is its own; where `cryptography` is there, that is a third.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import Database from 'better-sqlite3';
import { anchorPath, segmentPath } from '../../../enclave/audit/files.ts';
import { signMessage } from '../../../enclave/audit/key.ts';
import { auditCommand } from '../../../enclave/host/audit/command.ts';
import { sumsOf } from '../../../shared/audit/bundle-files.ts';
import { originOf, toVkey, verifySignature } from '../../../shared/audit/checkpoint.ts';
import { leafHash } from '../../../shared/audit/merkle.ts';
import { toHex, utf8 } from '../../../shared/bytes.ts';
import { createNativeVerify } from '../../../shared/cli/native.ts';
import { verifyLogCommand } from '../../../shared/cli/verify-log.ts';
import { groups, key, NOW, writeLog } from '../../harness/logs.ts';

const script = join(import.meta.dirname, '..', '..', 'python', 'verify_log.py');
const root = mkdtempSync(join(tmpdir(), 'audit-python-'));
after(() => rmSync(root, { recursive: true, force: true }));

type Db = InstanceType<typeof Database>;
type Change = (db: Db, dir: string) => void;

const good = mkdtempSync(join(root, 'good-'));
const { log: LOG } = writeLog(good, { groups: groups(9, 3), anchorAfter: [0] });
const trust = join(root, 'trust.json');
writeFileSync(trust, JSON.stringify({ version: 1, logs: { [LOG]: [key().fingerprint] } }));

const sql = (...texts: string[]): Change => (db) => texts.forEach((text) => db.exec(text));

function rewrite(change: (body: string) => string): Change {
  return (db) => {
    const body = change(db.prepare('SELECT body FROM entry WHERE idx = 4').pluck().get() as string);
    db.prepare('UPDATE entry SET body = ?, leaf = ? WHERE idx = 4').run(body, leafHash(utf8(body)));
  };
}

function anchorEdit(change: (text: string) => string): Change {
  return (_db, dir) => {
    const path = anchorPath(segmentPath(dir, 1));
    writeFileSync(path, change(readFileSync(path, 'utf8')));
  };
}

const vkey = (text: string): Change => (db) => db.prepare("UPDATE meta SET v = ? WHERE k = 'vkey'").run(text);

/** What is done to a log, and what both have to say first. */
const LOGS: [what: string, change: Change, code: string][] = [
  ['a decision changed', sql(`UPDATE entry SET body = replace(body, '"deny"', '"allow"') WHERE idx = 4`), 'LEAF_MISMATCH'],
  ['a decision changed with its leaf', rewrite((body) => body.replace('"deny"', '"allow"')), 'PREV_MISMATCH'],
  ['white space in a body', rewrite((body) => `${body} `), 'ROW_BODY_NONCANONICAL'],
  ['a needless escape in a body', rewrite((body) => body.replace('"deny"', '"d\\u0065ny"')), 'ROW_BODY_NONCANONICAL'],
  ['a number in another form', rewrite((body) => body.replace('"bytes":120', '"bytes":1.2e2')), 'ROW_BODY_NONCANONICAL'],
  ['a fraction in a body', rewrite((body) => body.replace('"bytes":120', '"bytes":1.5')), 'ROW_BODY_NONCANONICAL'],
  ['a key twice in a body', rewrite((body) => body.replace('"bytes":120', '"bytes":120,"bytes":120')), 'ROW_BODY_NONCANONICAL'],
  ['keys in another order', rewrite((body) => body.replace('"bytes":120,', '').replace('}', ',"bytes":120}')), 'ROW_BODY_NONCANONICAL'],
  ['half a surrogate in a body', rewrite((body) => body.replace('"deny_tools[0]"', '"\\ud800"')), 'ROW_BODY_NONCANONICAL'],
  ['a body that is no object', rewrite(() => '"hello"'), 'ROW_BODY_NONCANONICAL'],
  ['a body nested deeply', rewrite(() => '['.repeat(900) + ']'.repeat(900)), 'ROW_BODY_NONCANONICAL'],
  ['another log in a body', rewrite((body) => body.replace(LOG, 'ff'.repeat(16))), 'ROW_FIELD_MISMATCH'],
  ['another epoch in a body', rewrite((body) => body.replace('"epoch":1', '"epoch":2')), 'ROW_FIELD_MISMATCH'],
  ['another index in a body', rewrite((body) => body.replace('"idx":4', '"idx":5')), 'ROW_FIELD_MISMATCH'],
  ['a leaf changed', sql('UPDATE entry SET leaf = zeroblob(32) WHERE idx = 9'), 'LEAF_MISMATCH'],
  ['a row deleted', sql('DELETE FROM entry WHERE idx = 5'), 'ROW_MISSING'],
  ['a row deleted and the rest renumbered', sql('DELETE FROM entry WHERE idx = 5', 'DELETE FROM payload WHERE idx = 5', 'UPDATE entry SET idx = idx - 1 WHERE idx > 5'), 'ROW_FIELD_MISMATCH'],
  ['the first row deleted', sql('DELETE FROM entry WHERE idx = 0'), 'ROW_MISSING'],
  ['two rows swapped', sql('UPDATE entry SET idx = -1 WHERE idx = 2', 'UPDATE entry SET idx = 2 WHERE idx = 3', 'UPDATE entry SET idx = 3 WHERE idx = -1'), 'ROW_FIELD_MISMATCH'],
  ['a row inserted at the end', sql('INSERT INTO entry (idx, body, leaf) SELECT 10, body, leaf FROM entry WHERE idx = 9'), 'ROW_FIELD_MISMATCH'],
  ['a row at a negative index', sql('INSERT INTO entry (idx, body, leaf) SELECT -5, body, leaf FROM entry WHERE idx = 9'), 'ROW_DUPLICATE'],
  ['all rows deleted', sql('DELETE FROM entry'), 'ROW_MISSING'],
  ['all checkpoints deleted', sql('DELETE FROM checkpoint'), 'UNSIGNED_TAIL'],
  ['the last checkpoint deleted', sql('DELETE FROM checkpoint WHERE size = 10'), 'UNSIGNED_TAIL'],
  ['a signature stripped to nothing', sql("UPDATE checkpoint SET sig = x'' WHERE size = 7"), 'SIG_MISSING'],
  ['a signature of zeros', sql('UPDATE checkpoint SET sig = zeroblob(2420) WHERE size = 7'), 'SIG_INVALID'],
  ['a short signature', sql('UPDATE checkpoint SET sig = zeroblob(10) WHERE size = 7'), 'SIG_INVALID'],
  ['two signatures swapped', sql('CREATE TEMP TABLE s AS SELECT size, sig FROM checkpoint', 'UPDATE checkpoint SET sig = (SELECT sig FROM s WHERE s.size = 11 - checkpoint.size) WHERE size IN (4, 7)'), 'SIG_INVALID'],
  ['a root changed', sql('UPDATE checkpoint SET root = zeroblob(32) WHERE size = 7'), 'ROOT_MISMATCH'],
  ['a time changed', sql('UPDATE checkpoint SET ts = ts + 1 WHERE size = 10'), 'SIG_INVALID'],
  ['a negative time', sql('UPDATE checkpoint SET ts = -1 WHERE size = 10'), 'SIG_INVALID'],
  ['a key id changed', sql("UPDATE checkpoint SET key_id = x'00000000' WHERE size = 7"), 'KEY_SWAPPED'],
  ['a checkpoint moved to another size', sql('UPDATE checkpoint SET size = 6 WHERE size = 7'), 'ROOT_MISMATCH'],
  ['another key in meta', vkey(toVkey(originOf(LOG, 1), key(2).publicKey)), 'KEY_SWAPPED'],
  ['a key named after another log', vkey(toVkey(originOf('ff'.repeat(16), 1), key().publicKey)), 'KEY_SWAPPED'],
  ['no key in meta', sql('DELETE FROM meta'), 'SIG_ALG_UNEXPECTED'],
  ['malformed base64 for a key', vkey(`${originOf(LOG, 1)}+00000000+!!`), 'SIG_ALG_UNEXPECTED'],
  ['a payload changed', sql("UPDATE payload SET data = CAST('{\"a\":9}' AS BLOB) WHERE idx = 3"), 'PAYLOAD_MISMATCH'],
  ['a salt changed', sql('UPDATE payload SET salt = zeroblob(32) WHERE idx = 3'), 'PAYLOAD_MISMATCH'],
  ['a media type changed', sql("UPDATE payload SET media = 'text/html' WHERE idx = 3"), 'PAYLOAD_MISMATCH'],
  ['a payload for no row', sql('INSERT INTO payload SELECT 99, salt, media, data FROM payload WHERE idx = 3'), 'PAYLOAD_MISMATCH'],
  ['a trigger', sql('CREATE TRIGGER t AFTER INSERT ON entry BEGIN DELETE FROM payload; END'), 'SCHEMA_UNEXPECTED'],
  ['a view', sql('CREATE VIEW v AS SELECT 1'), 'SCHEMA_UNEXPECTED'],
  ['the tail cut off, anchors left', sql('DELETE FROM entry WHERE idx >= 7', 'DELETE FROM payload WHERE idx >= 7', 'DELETE FROM checkpoint WHERE size > 7'), 'ANCHOR_AHEAD'],
  ['an anchor line edited', anchorEdit((text) => text.replace('"n":1', '"n":2')), 'ANCHOR_CHAIN_BROKEN'],
  ['an anchor line taken out', anchorEdit((text) => text.split('\n').toSpliced(1, 1).join('\n')), 'ANCHOR_CHAIN_BROKEN'],
  ['an anchor file that is gone', (_db, dir) => rmSync(anchorPath(segmentPath(dir, 1))), 'ANCHOR_MISSING'],
  ['an anchor file that is empty', anchorEdit(() => ''), 'ANCHOR_MISSING'],
  ['a database that is none', (db, dir) => { db.close(); writeFileSync(segmentPath(dir, 1), 'x'.repeat(5000)); }, 'DB_CORRUPT'],
];

/** What is done to a bundle; checksums are made to fit unless they are what is meant. */
const edit = (name: string, change: (text: string) => string) => (dir: string): void => writeFileSync(join(dir, name), change(readFileSync(join(dir, name), 'utf8')));
const BUNDLES: [what: string, change: (dir: string) => void, sums: boolean, code: string][] = [
  ['a row changed', edit('rows.jsonl', (text) => text.replace('"deny"', '"hold"')), true, 'PROOF_INVALID'],
  ['white space in a row', edit('rows.jsonl', (text) => text.replace(',', ', ')), true, 'ROW_BODY_NONCANONICAL'],
  ['a row left out', edit('rows.jsonl', (text) => text.split('\n').toSpliced(1, 1).join('\n')), true, 'ROW_MISSING'],
  ['a proof gone', (dir) => unlinkSync(join(dir, 'proofs', '000000000006.tlog-proof')), true, 'PROOF_INVALID'],
  ['a hash of a proof changed', edit('proofs/000000000006.tlog-proof', (text) => text.replace(/\n[A-Za-z0-9+/]{43}=\n/, `\n${'A'.repeat(43)}=\n`)), true, 'PROOF_INVALID'],
  ['another size in the manifest', edit('bundle.json', (text) => text.replace('"size":10', '"size":11')), true, 'ROW_FIELD_MISMATCH'],
  ['a payload changed', edit('payloads.jsonl', (text) => text.replace('"data":"e', '"data":"f')), true, 'PAYLOAD_MISMATCH'],
  ['no key', edit('key.vkey', () => 'hello\n'), true, 'SIG_ALG_UNEXPECTED'],
  ['a file changed', edit('rows.jsonl', (text) => text.replace('"deny"', '"hold"')), false, 'BUNDLE_SUM'],
  ['a name that climbs out', edit('SHA256SUMS', (text) => `${'0'.repeat(64)}  ../../etc/passwd\n${text}`), false, 'BUNDLE_PATH'],
  ['a name twice', edit('SHA256SUMS', (text) => `${text.split('\n')[0]}\n${text}`), false, 'BUNDLE_DUPLICATE'],
  ['a link', (dir) => { unlinkSync(join(dir, 'trust.json')); symlinkSync('/etc/passwd', join(dir, 'trust.json')); }, false, 'BUNDLE_LINK'],
  ['a file too many', (dir) => writeFileSync(join(dir, 'more'), ''), false, 'BUNDLE_PATH'],
  ['a file that is not listed', edit('SHA256SUMS', (text) => text.split('\n').slice(1).join('\n')), false, 'BUNDLE_INVALID'],
];

interface Case {
  readonly what: string;
  readonly path: string;
  /** Null: both accept it. */
  readonly code: string | null;
}

const cases: Case[] = [{ what: 'a log as it was written', path: good, code: null }];
const python = new Map<string, readonly string[]>();

function resum(dir: string): void {
  const names = [...readdirSync(dir), ...readdirSync(join(dir, 'proofs')).map((name) => `proofs/${name}`)].filter((name) => statSync(join(dir, name)).isFile());
  writeFileSync(join(dir, 'SHA256SUMS'), sumsOf(new Map(names.map((name) => [name, new Uint8Array(readFileSync(join(dir, name)))]))));
}

async function makeCases(): Promise<void> {
  for (const [what, change, code] of LOGS) {
    const path = mkdtempSync(join(root, 'copy-'));
    cpSync(good, path, { recursive: true });
    const db = new Database(segmentPath(path, 1));
    db.pragma('ignore_check_constraints = ON');
    change(db, path);
    db.close();
    cases.push({ what, path, code });
  }
  const epochs = mkdtempSync(join(root, 'epochs-'));
  const { log } = writeLog(epochs, { groups: groups(2, 1) });
  writeLog(epochs, { key: key(2), groups: groups(2, 1) });
  writeFileSync(trust, JSON.stringify({ version: 1, logs: { [LOG]: [key().fingerprint], [log]: [key().fingerprint, key(2).fingerprint] } }));
  cases.push({ what: 'a log of two epochs', path: epochs, code: null });
  const cut = mkdtempSync(join(root, 'epochs-'));
  for (const from of [segmentPath(epochs, 2), anchorPath(segmentPath(epochs, 2))]) cpSync(from, join(cut, from.slice(epochs.length)));
  cases.push({ what: 'a log whose first epoch is gone', path: cut, code: 'EPOCH_GAP' });
  const stranger = mkdtempSync(join(root, 'stranger-'));
  writeLog(stranger, { groups: [] });
  cases.push({ what: 'a log that nobody trusts', path: stranger, code: 'KEY_UNKNOWN' });
  mkdirSync(join(root, 'bundles'));
  const bundle = join(root, 'bundles', 'good');
  const silent = { write: () => true };
  await auditCommand(['bundle', '--rows', '5-8', good, '-o', bundle, '--payloads'], { stdout: silent, stderr: silent, env: {} });
  cases.push({ what: 'a bundle as it was written', path: bundle, code: null });
  for (const [what, change, sums, code] of BUNDLES) {
    const path = join(root, 'bundles', String(cases.length));
    cpSync(bundle, path, { recursive: true });
    change(path);
    if (sums) resum(path);
    cases.push({ what: `${what} (bundle)`, path, code });
  }
}

function askPython(paths: readonly string[], env: NodeJS.ProcessEnv): Map<string, readonly string[]> {
  const ran = spawnSync('python3', [script, '--trust', trust, ...paths], { encoding: 'utf8', env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1', ...env } });
  assert.equal(ran.stderr, '');
  const lines = ran.stdout.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as { path: string; codes: string[] });
  return new Map(lines.map(({ path, codes }) => [path, codes]));
}

async function askOurs(path: string): Promise<readonly string[]> {
  let text = '';
  const io = { stdout: { write: (part: string) => (text += part) }, stderr: { write: () => true }, now: () => NOW * 1000 };
  await verifyLogCommand([path, '--trust', trust, '--json'], io);
  type Found = { severity: string; code: string }[];
  const verdict = JSON.parse(text) as { findings?: Found; logs?: { findings: Found }[] };
  const found = verdict.findings ?? verdict.logs?.flatMap((log) => log.findings) ?? [];
  return found.filter(({ severity }) => severity === 'broken' || severity === 'unreadable').map(({ code }) => code);
}

before(async () => {
  await makeCases();
  for (const [path, codes] of askPython(cases.map(({ path }) => path), { BASTION_MLDSA: 'own' })) python.set(path, codes);
});

test('a verifier written from the specification and ours say the same of every log and bundle', async (t) => {
  assert(cases.length >= 60);
  for (const { what, path, code } of cases) {
    await t.test(what, async () => {
      const [ours, theirs] = [await askOurs(path), python.get(path) ?? assert.fail('no answer')];
      assert.deepEqual({ ours: ours[0] ?? null, theirs: theirs[0] ?? null }, { ours: code, theirs: code }, `ours: ${ours.join(', ')}; theirs: ${theirs.join(', ')}`);
    });
  }
});

test('it says the same with the ML-DSA of the cryptography package, where that is installed', () => {
  const some = cases.filter(({ code }) => code === null || code === 'SIG_INVALID').map(({ path }) => path);
  for (const [path, codes] of askPython(some, {})) assert.deepEqual(codes, python.get(path));
});

test('four implementations of ML-DSA-44 agree on signatures, true and changed', () => {
  const signer = key(5);
  const rounds = Number(process.env['BASTION_ROUNDS'] ?? 30);
  const native = createNativeVerify();
  const asked: [message: Uint8Array, signature: Uint8Array][] = [];
  for (let at = 0; at < rounds; at += 1) {
    const message = new Uint8Array(randomBytes(1 + (at % 200)));
    const signature = signMessage(signer.privateKey, message);
    // Its parts are 32 bytes of challenge, 2304 of z, 84 of hints; the last ones are counts.
    const spot = [at % 32, 32 + ((at * 997) % 2304), 2336 + (at % 80), 2416 + (at % 4)][at % 4] ?? 0;
    asked.push([message, signature], [message, signature.with(spot, (signature[spot] ?? 0) ^ (1 << at % 8))], [message, signature.subarray(1)], [new Uint8Array(randomBytes(8)), signature]);
  }
  const input = asked.map(([message, signature]) => `${toHex(signer.publicKey)} ${toHex(message)} ${toHex(signature)}\n`).join('');
  const ran = spawnSync('python3', [join(script, '..', 'mldsa44.py')], { encoding: 'utf8', input, env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' }, maxBuffer: 2 ** 26 });
  assert.equal(ran.stderr, '');
  const theirs = ran.stdout.trim().split('\n');
  assert.equal(theirs.length, asked.length);
  for (const [at, [message, signature]] of asked.entries()) {
    const verdict = native(signer.publicKey, message, signature);
    assert.equal(verdict, at % 4 === 0, `signature ${at}`);
    assert.equal(verifySignature(signer.publicKey, message, signature), verdict, `noble, signature ${at}`);
    assert.equal(theirs[at], String(verdict), `Python, signature ${at}`);
  }
});
