// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { inspect } from 'node:util';
import { loadCredential } from '../../../enclave/audit/credential.ts';
import type { KeySource } from '../../../enclave/audit/custody.ts';
import { openKey, placeOf } from '../../../enclave/audit/custody.ts';
import type { AuditKey } from '../../../enclave/audit/key.ts';
import { createKeyFile, keyFromSeed } from '../../../enclave/audit/key.ts';
import { knownKeysPath } from '../../../enclave/audit/known-keys.ts';
import { Unavailable } from '../../../shared/errors.ts';
import type { FakeKeychain } from '../../harness/keychain.ts';
import { fakeKeychain } from '../../harness/keychain.ts';

const root = mkdtempSync(join(tmpdir(), 'audit-custody-'));
after(() => rmSync(root, { recursive: true, force: true }));

const folder = (): string => mkdtempSync(join(root, 'c-'));
const SEED = new Uint8Array(32).fill(0xa7);
const KEYCHAIN: KeySource = { kind: 'keychain', name: 'k' };
const refusal = (error: unknown): error is Unavailable => error instanceof Unavailable && error.code === 'AUDIT_KEY';

function openWith(source: KeySource, stateDir: string, fake: FakeKeychain, used = false): Promise<AuditKey> {
  return openKey(placeOf(source, { keychain: fake.keychain, credentials: undefined }), { stateDir, wasUsed: () => used });
}

test('a keychain key is made once, stored as 32 bytes, and found again', async () => {
  const [stateDir, fake] = [folder(), fakeKeychain()];
  const made = await openWith(KEYCHAIN, stateDir, fake);
  assert.equal(made.custody, 'keychain');
  assert.equal(fake.secrets.get('k')?.length, 32);
  assert.equal((await openWith(KEYCHAIN, stateDir, fake)).fingerprint, made.fingerprint);
  assert.deepEqual(fake.writes, ['k']);
  const known = readFileSync(knownKeysPath(stateDir), 'utf8');
  assert.equal(known, `{"keys":{"keychain:mcp-bastion/k":"${made.fingerprint}"},"version":1}\n`);
});

test('a key that is known but missing, or another one, is refused and nothing is made or overwritten', async () => {
  const file: KeySource = { kind: 'file', path: join(folder(), 'keys', 'audit.seed') };
  for (const source of [KEYCHAIN, file]) {
    const [stateDir, fake] = [folder(), fakeKeychain()];
    const remove = (): void => {
      fake.secrets.clear();
      if (source.kind === 'file') rmSync(source.path);
    };
    await openWith(source, stateDir, fake);
    remove();
    await assert.rejects(openWith(source, stateDir, fake), refusal, source.kind);
    await assert.rejects(openWith(source, folder(), fake, true), refusal, `${source.kind}: a log was written with it`);
    assert.equal(fake.secrets.size, 0);
    assert.equal(source.kind === 'file' && existsSync(source.path), false);
    const other = folder();
    await openWith(source, other, fake);
    await assert.rejects(openWith(source, stateDir, fake), /not the one that was there/, `${source.kind}: exchanged`);
    rmSync(knownKeysPath(stateDir));
    await openWith(source, stateDir, fake);
  }
});

test('a file of known keys that is not as it must be stops the start', async () => {
  for (const text of ['', '{', '[]', '{"version":2,"keys":{}}', '{"version":1}', '{"version":1,"keys":{"a":"b"}}', '{"version":1,"keys":{"a":1}}', '{"version":1,"keys":{},"keys":{}}']) {
    const [stateDir, fake] = [folder(), fakeKeychain()];
    writeFileSync(knownKeysPath(stateDir), text);
    await assert.rejects(openWith(KEYCHAIN, stateDir, fake), refusal, text);
    assert.equal(fake.writes.length, 0);
  }
  const [stateDir, fake] = [folder(), fakeKeychain()];
  mkdirSync(knownKeysPath(stateDir));
  await assert.rejects(openWith(KEYCHAIN, stateDir, fake), refusal);
});

test('what a keychain can do wrong is refused, and its own words are not shown', async () => {
  const say = (text: string) => async (): Promise<never> => {
    throw new Error(`${text} \u001b[2Jevil`);
  };
  const cases: [string, () => Promise<never>, RegExp][] = [
    ['locked', say('Secret Service: unlock prompt was dismissed'), /^the keychain is locked$/],
    ['no service', say("Couldn't access platform storage: Secret Service: no result found"), /^the keychain cannot be used$/],
    ['no bus', say('Platform failure: DBus error'), /^the keychain cannot be used$/],
    ['duplicates', say('Entry is matched by 2 credentials: []'), /^the keychain holds more than one secret/],
    ['silence', () => new Promise<never>(() => undefined), /^the keychain did not answer$/],
  ];
  for (const [what, fault, message] of cases) {
    const [stateDir, fake] = [folder(), fakeKeychain(what === 'silence' ? 30 : 60_000)];
    fake.fault = fault;
    await assert.rejects(openWith(KEYCHAIN, stateDir, fake), (error) => refusal(error) && message.test(error.message) && !/evil/.test(error.message + error.hint), what);
    assert(!existsSync(knownKeysPath(stateDir)), what);
  }
});

test('a secret of another length is refused and left alone', async () => {
  for (const length of [0, 31, 33, 64, 2560]) {
    const [stateDir, fake] = [folder(), fakeKeychain()];
    fake.secrets.set('k', new Uint8Array(length));
    await assert.rejects(openWith(KEYCHAIN, stateDir, fake), refusal, String(length));
    assert.deepEqual([fake.secrets.get('k')?.length, fake.writes.length], [length, 0]);
  }
});

test('a keychain that forgets what it was given is noticed before the key signs anything', async () => {
  const [stateDir, fake] = [folder(), fakeKeychain()];
  Object.defineProperty(fake.secrets, 'set', { value: () => fake.secrets });
  await assert.rejects(openWith(KEYCHAIN, stateDir, fake), /did not keep what was stored/);
  assert(!existsSync(knownKeysPath(stateDir)));
});

test('nothing of a seed stands in an error, in the key or in the state folder', async () => {
  const [stateDir, fake] = [folder(), fakeKeychain()];
  fake.secrets.set('k', SEED);
  const key = await openWith(KEYCHAIN, stateDir, fake);
  fake.secrets.set('k', new Uint8Array(33).fill(0xa7));
  const failed = await openWith(KEYCHAIN, stateDir, fake).catch((error: unknown) => error);
  const shown = [inspect(key, { depth: 9, showHidden: true }), inspect(failed, { depth: 9, showHidden: true }), readFileSync(knownKeysPath(stateDir), 'latin1')].join('\n');
  const hex = Buffer.from(SEED).toString('hex');
  for (const form of [hex.slice(0, 16), Buffer.from(SEED).toString('base64').slice(0, 16), Buffer.from(SEED).toString('latin1').slice(0, 8), 'a7 a7 a7', '167, 167']) {
    assert(!shown.includes(form), form);
  }
});

test('an unfinished rotation stops the start, whatever keeps the key', async () => {
  const path = join(folder(), 'keys', 'audit.seed');
  for (const source of [KEYCHAIN, { kind: 'file', path } as const]) {
    const [stateDir, fake] = [folder(), fakeKeychain()];
    await openWith(source, stateDir, fake);
    await placeOf(source, { keychain: fake.keychain, credentials: undefined })?.createNext();
    await assert.rejects(openWith(source, stateDir, fake), /rotation of the audit key .* was not finished/);
  }
});

test('starts at the same moment find the same keychain key', async () => {
  const [stateDir, fake] = [folder(), fakeKeychain()];
  const one = await openWith(KEYCHAIN, stateDir, fake);
  const two = await Promise.all(Array.from({ length: 4 }, () => openWith(KEYCHAIN, stateDir, fake)));
  assert.deepEqual(new Set(two.map((key) => key.fingerprint)), new Set([one.fingerprint]));
});

function credential(change: (dir: string, path: string) => void = () => undefined): string {
  const dir = folder();
  const path = join(dir, 'k');
  writeFileSync(path, SEED);
  chmodSync(path, 0o400);
  chmodSync(dir, 0o500);
  change(dir, path);
  return dir;
}

test('a credential of systemd is read and never written', async () => {
  const dir = credential();
  assert.equal(loadCredential(dir, 'k').fingerprint, keyFromSeed(SEED, 'file').fingerprint);
  assert.equal(loadCredential(dir, 'k').custody, 'systemd-credential');
  const place = placeOf({ kind: 'systemd-credential', name: 'k' }, { keychain: fakeKeychain().keychain, credentials: dir });
  assert(place !== null);
  const key = await openKey(place, { stateDir: folder(), wasUsed: () => false });
  assert.equal(key.custody, 'systemd-credential');
  for (const act of ['create', 'createNext', 'promote'] as const) await assert.rejects(place[act](), refusal, act);
});

test('a credential that is not as it must be is refused', () => {
  const open = (mode: number) => (dir: string): void => chmodSync(dir, mode);
  const cases: [string, string | undefined][] = [
    ['no directory is named', undefined],
    ['a relative directory', 'credentials'],
    ['no such directory', join(root, 'none')],
    ['no such credential', folder()],
    ['readable by others', credential((_, path) => chmodSync(path, 0o404))],
    ['writable by the group', credential((_, path) => chmodSync(path, 0o420))],
    ['writable by its owner', credential((_, path) => chmodSync(path, 0o600))],
    ['too short', credential((_, path) => { chmodSync(path, 0o600); writeFileSync(path, SEED.subarray(1)); chmodSync(path, 0o400); })],
    ['a line end behind it', credential((_, path) => { chmodSync(path, 0o600); writeFileSync(path, Buffer.concat([SEED, Buffer.from('\n')])); chmodSync(path, 0o400); })],
    ['a second name', credential((dir, path) => { chmodSync(dir, 0o700); linkSync(path, `${path}2`); chmodSync(dir, 0o500); })],
    ['a link', credential((dir, path) => { chmodSync(dir, 0o700); rmSync(path); symlinkSync('/dev/zero', path); })],
    ['a directory', credential((dir, path) => { chmodSync(dir, 0o700); rmSync(path); mkdirSync(path); })],
    ['a folder that others can change', credential(open(0o777))],
  ];
  for (const [what, dir] of cases) assert.throws(() => loadCredential(dir, 'k'), refusal, what);
});

test('without a session bus the real keychain is refused, twice, and nothing goes into the keyring of the kernel', () => {
  const module = new URL('../../../enclave/audit/keychain.ts', import.meta.url).href;
  const account = `bastion-unit-test-${randomBytes(6).toString('hex')}`;
  const script = `
    const { createKeychain } = await import(${JSON.stringify(module)});
    const keychain = createKeychain();
    for (let at = 0; at < 2; at += 1) {
      await keychain.store('${account}', new Uint8Array(32)).then(() => console.log('stored'), (error) => console.log(error.code, error.message));
      await keychain.load('${account}').then((key) => console.log('loaded', key), (error) => console.log(error.code, error.message));
    }`;
  const env = { PATH: process.env['PATH'] ?? '', HOME: root, XDG_RUNTIME_DIR: join(root, 'none') };
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { env, encoding: 'utf8', timeout: 60_000 });
  if (process.platform !== 'linux') return;
  assert.equal(stdout, 'AUDIT_KEY the keychain cannot be used\n'.repeat(4), stderr);
  assert.doesNotMatch(existsSync('/proc/keys') ? readFileSync('/proc/keys', 'utf8') : '', new RegExp(account));
});

test('a key file from before the known keys were written down is taken as it is', async () => {
  const [stateDir, fake] = [folder(), fakeKeychain()];
  const path = join(folder(), 'keys', 'audit.seed');
  const made = createKeyFile(path);
  assert.equal((await openWith({ kind: 'file', path }, stateDir, fake, true)).fingerprint, made.fingerprint);
});
