// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { sign } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { verifyEd25519 } from '../../../enclave/approval/ed25519.ts';
import { approverCommand } from '../../../enclave/host/approver.ts';
import type { LockedKey } from '../../../enclave/host/approver-key.ts';
import { createLockedKey, isApproverName, keyFileText, parseKeyFile, readKeyFile, unlock, writeKeyFile } from '../../../enclave/host/approver-key.ts';
import type { Terminal } from '../../../enclave/host/passphrase.ts';
import { canonicalJson } from '../../../shared/json/canonical.ts';

const root = mkdtempSync(join(tmpdir(), 'key-'));
after(() => rmSync(root, { recursive: true, force: true }));
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

const PASSPHRASE = 'correct horse';
const locked: LockedKey = await createLockedKey('alice', bytes(PASSPHRASE));
const text = keyFileText(locked);
const privateKey = await unlock(locked, bytes(PASSPHRASE));

test('a key opens with its passphrase, and signs for the public half in the file', () => {
  assert(privateKey);
  assert.equal(verifyEd25519(locked.publicKey, bytes('x'), sign(null, bytes('x'), privateKey)), true);
});

test('a key does not open with another passphrase', async () => {
  assert.equal(await unlock(locked, bytes('correct horse ')), null);
});

test('a file is read back as it was written, and holds nothing of the key in clear', () => {
  assert.deepEqual(parseKeyFile(bytes(text)), locked);
  const seed = privateKey?.export({ format: 'der', type: 'pkcs8' }).subarray(-32) ?? Buffer.alloc(0);
  assert.equal(seed.length, 32);
  for (const encoding of ['hex', 'base64', 'base64url', 'latin1'] as const) assert.equal(text.includes(seed.toString(encoding)), false);
  assert.equal(text.includes(PASSPHRASE), false);
});

test('two keys have nothing in common', async () => {
  const other = await createLockedKey('alice', bytes(PASSPHRASE));
  for (const part of ['publicKey', 'salt', 'iv', 'sealed'] as const) assert.notDeepEqual(other[part], locked[part]);
});

/** The first test key of RFC 8032 section 7.1. */
const other = Buffer.from('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', 'hex');
const changed: readonly [string, Partial<LockedKey>][] = [
  ['name', { name: 'bob' }],
  ['public key', { publicKey: new Uint8Array(other) }],
  ['cost', { cost: { n: 2 ** 17, p: 2 } }],
  ['ciphertext', { sealed: locked.sealed.map((byte, at) => (at === 0 ? byte ^ 1 : byte)) }],
];

for (const [name, changes] of changed) {
  test(`a file whose ${name} was changed does not open`, async () => {
    const read = parseKeyFile(bytes(keyFileText({ ...locked, ...changes })));
    assert(read);
    assert.equal(await unlock(read, bytes(PASSPHRASE)), null);
  });
}

const json = JSON.parse(text);
const edited = (changes: object): string => `${canonicalJson({ ...json, ...changes })}\n`;
const kdf = (changes: object): string => edited({ kdf: { ...json.kdf, ...changes } });
const unreadable: readonly [string, string][] = [
  ['nothing', ''],
  ['another schema', edited({ schema: 'mcp-bastion/approver-key/2' })],
  ['a member more', edited({ note: 'x' })],
  ['a member more inside', kdf({ note: 'x' })],
  ['no sealed key', edited({ sealed: '' })],
  ['a cost that takes gigabytes', kdf({ n: 2 ** 30 })],
  ['the cost just above the limit', kdf({ n: 2 ** 19 })],
  ['a cost that is no power of two', kdf({ n: 2 ** 17 + 2 })],
  ['a cost that is too low', kdf({ n: 2 ** 14 })],
  ['half a cost', kdf({ n: 2 ** 17 + 0.5 })],
  ['a block size that takes gigabytes', kdf({ r: 1024 })],
  ['a parallelisation that takes hours', kdf({ p: 5 })],
  ['no parallelisation', kdf({ p: 0 })],
  ['another derivation', kdf({ name: 'pbkdf2' })],
  ['a cipher without authentication', edited({ cipher: { iv: 'AAAAAAAAAAAAAAAA', name: 'aes-256-ctr' } })],
  ['a short nonce', edited({ cipher: { iv: 'AAAAAAAAAAA=', name: 'aes-256-gcm' } })],
  ['another kind of key', edited({ public: json.public.replace('ed25519', 'rsa') })],
  ['a name that is none', edited({ name: 'Alice' })],
  ['a name with an escape sequence', edited({ name: '\u001b[2J' })],
  ['white space', text.replace(',', ', ')],
  ['no line end', text.trimEnd()],
  ['more after it', `${text}\n`],
];

for (const [name, content] of unreadable) {
  test(`no key file is read from ${name}`, () => {
    assert.equal(parseKeyFile(bytes(content)), undefined);
  });
}

test('names are those that a policy can hold', () => {
  for (const name of ['alice', 'a', 'ops-2', 'a.b_c', '1']) assert.equal(isApproverName(name), true, name);
  for (const name of ['', 'Alice', 'a b', 'a\nb', 'ä', 'x'.repeat(33)]) assert.equal(isApproverName(name), false, name);
});

test('a key file is for its owner alone, and is never overwritten', () => {
  const path = join(root, 'one.json');
  writeKeyFile(path, locked);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(readKeyFile(path), locked);
  assert.throws(() => writeKeyFile(path, { ...locked, name: 'bob' }), { code: 'FILE_EXISTS' });
  const dangling = join(root, 'link.json');
  symlinkSync(join(root, 'target.json'), dangling);
  assert.throws(() => writeKeyFile(dangling, locked), { code: 'FILE_EXISTS' });
  assert.equal(existsSync(join(root, 'target.json')), false);
  assert.equal(readFileSync(path, 'utf8'), text);
});

test('a key file that is no file, too long, cut or open to others is not read', () => {
  const path = join(root, 'two.json');
  writeKeyFile(path, locked);
  chmodSync(path, 0o640);
  assert.throws(() => readKeyFile(path), { code: 'APPROVER_KEY', message: /can be read by others$/ });
  chmodSync(path, 0o600);
  truncateSync(path, 100);
  assert.throws(() => readKeyFile(path), { code: 'APPROVER_KEY', message: /is no key file, or was changed$/ });
  writeFileSync(path, ' '.repeat(5000));
  assert.throws(() => readKeyFile(path), { code: 'APPROVER_KEY', message: /is no key file$/ });
  assert.throws(() => readKeyFile(root), { code: 'APPROVER_KEY' });
  assert.throws(() => readKeyFile(join(root, 'none.json')), { code: 'APPROVER_KEY', message: /cannot be read$/ });
});

interface Ran {
  readonly exit: number;
  readonly out: string;
  readonly err: string;
  readonly said: string;
  /** The passphrases that were typed, as they are left. */
  readonly left: readonly Buffer[];
}

/** Runs the command in a folder, with a terminal at which these words are typed; null for no terminal. */
async function run(args: readonly string[], typed: readonly string[] | null, cwd: string): Promise<Ran> {
  let [out, err, said] = ['', '', ''];
  const lines = [...(typed ?? [])];
  const left: Buffer[] = [];
  const terminal: Terminal = {
    say: (words) => (said += words),
    ask: (prompt) => {
      said += prompt;
      const given = Buffer.from(lines.shift() ?? '');
      left.push(given);
      return Promise.resolve(given);
    },
    close: () => (said += '(closed)'),
  };
  const exit = await approverCommand(args, { stdout: { write: (words) => (out += words) }, stderr: { write: (words) => (err += words) }, cwd, terminal: () => (typed === null ? null : terminal) });
  return { exit, out, err, said, left };
}

test('a new key is written under a passphrase that was typed twice, and its line for the policy printed', async () => {
  const cwd = mkdtempSync(join(root, 'cwd-'));
  const { exit, out, err, said, left } = await run(['new', '--name', 'alice'], [PASSPHRASE, PASSPHRASE], cwd);
  assert.equal(exit, 0);
  assert.equal(said, 'new passphrase for alice: the same again: (closed)');
  assert.deepEqual(left, [Buffer.alloc(PASSPHRASE.length), Buffer.alloc(PASSPHRASE.length)]);
  assert.equal(err, 'wrote alice.approver.json\nnext: put the line above into the policy, below approval.approvers\n');
  const key = readKeyFile(join(cwd, 'alice.approver.json'));
  assert.equal(out, `alice: 'ed25519:${Buffer.from(key.publicKey).toString('base64')}'\n`);
  assert(await unlock(key, bytes(PASSPHRASE)));
  const shown = await run(['show', 'alice.approver.json'], null, cwd);
  assert.equal(shown.out, out);
  assert.match(shown.err, /^fingerprint: [0-9a-f]{64}\nnote: this is what the file says; it is checked when the key is used\n$/);
  const machine = JSON.parse((await run(['show', 'alice.approver.json', '--json'], null, cwd)).out) as Record<string, string>;
  assert.deepEqual(Object.keys(machine), ['schema', 'name', 'public', 'fingerprint']);
  assert.equal(machine['schema'], 'mcp-bastion/approver/1');
});

test('a name that YAML would take for something else is quoted', async () => {
  for (const name of ['007', 'yes']) {
    const { out } = await run(['new', '--name', name], [PASSPHRASE, PASSPHRASE], mkdtempSync(join(root, 'cwd-')));
    assert(out.startsWith(`'${name}': 'ed25519:`), out);
  }
});

const failures: readonly [string, readonly string[], readonly string[] | null, string, string][] = [
  ['no command', [], [], 'USAGE', 'there is no such approver command'],
  ['another command', ['renew'], [], 'USAGE', 'there is no such approver command'],
  ['a word too many', ['new', 'x', '--name', 'a'], [], 'USAGE', 'there is no such approver command'],
  ['no file to show', ['show'], [], 'USAGE', 'there is no such approver command'],
  ['an option of the other command', ['show', 'x', '--name', 'a'], [], 'USAGE', 'there is no such approver command'],
  ['no name', ['new'], [], 'USAGE', '--name is missing'],
  ['a bad name', ['new', '--name', '../x'], [], 'USAGE', '--name is not a name'],
  ['an unknown option', ['new', '--force'], [], 'USAGE', "Unknown option '--force'"],
  ['standard output to read from', ['new', '--name', 'a', '--passphrase-fd', '1'], [], 'USAGE', '--passphrase-fd is no file descriptor to read from'],
  ['a descriptor that is none', ['new', '--name', 'a', '--passphrase-fd', 'x'], [], 'USAGE', '--passphrase-fd is no file descriptor to read from'],
  ['no terminal', ['new', '--name', 'a'], null, 'APPROVER_KEY', 'there is no terminal to ask for the passphrase'],
  ['two different passphrases', ['new', '--name', 'a'], [PASSPHRASE, 'correct horze'], 'APPROVER_KEY', 'the two passphrases differ'],
  ['a short passphrase', ['new', '--name', 'a'], ['1234567', '1234567'], 'APPROVER_KEY', 'the passphrase has fewer than 8 bytes'],
  ['no passphrase', ['new', '--name', 'a'], ['', ''], 'APPROVER_KEY', 'the passphrase has fewer than 8 bytes'],
  ['a folder that is not there', ['new', '--name', 'a', '-o', 'no/where.json'], [PASSPHRASE, PASSPHRASE], 'FILE_UNREADABLE', 'the key file cannot be written'],
];

for (const [name, args, typed, code, message] of failures) {
  test(`no key is made with ${name}`, async () => {
    const cwd = mkdtempSync(join(root, 'cwd-'));
    await assert.rejects(run(args, typed, cwd), { code, message });
    assert.equal(existsSync(join(cwd, 'a.approver.json')), false);
  });
}

test('a file that is there is seen before a passphrase is asked for', async () => {
  const cwd = mkdtempSync(join(root, 'cwd-'));
  writeFileSync(join(cwd, 'a.approver.json'), 'mine');
  await assert.rejects(run(['new', '--name', 'a'], null, cwd), { code: 'FILE_EXISTS' });
  assert.equal(readFileSync(join(cwd, 'a.approver.json'), 'utf8'), 'mine');
});

test('help says what there is', async () => {
  const { exit, out } = await run(['--help'], null, root);
  assert.equal(exit, 0);
  assert.match(out, /^usage: mcp-bastion approver new --name NAME/);
});
