// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, linkSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createEphemeralKey, createKeyFile, createNativeVerify, keyFromSeed, loadKeyFile, signMessage } from '../../../enclave/audit/key.ts';
import { Unavailable } from '../../../shared/errors.ts';

const root = mkdtempSync(join(tmpdir(), 'audit-key-'));
after(() => rmSync(root, { recursive: true, force: true }));

const SEED = new Uint8Array(32).fill(7);

function folder(): string {
  return mkdtempSync(join(root, 'k-'));
}

function seedFile(mode = 0o600, seed: Uint8Array = SEED): string {
  const path = join(folder(), 'audit.seed');
  writeFileSync(path, seed, { mode });
  chmodSync(path, mode);
  return path;
}

test('a key file is made once, with its folder, for its owner alone', () => {
  const path = join(folder(), 'keys', 'audit.seed');
  assert.equal(loadKeyFile(path), null);
  const made = createKeyFile(path);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(join(path, '..')).mode & 0o777, 0o700);
  assert.equal(statSync(path).size, 32);
  assert.deepEqual(readdirSync(join(path, '..')), ['audit.seed']);
  assert.equal(loadKeyFile(path)?.fingerprint, made.fingerprint);
  assert.equal(createKeyFile(path).fingerprint, made.fingerprint, 'a file that is there is never replaced');
  assert.equal(made.custody, 'file');
});

test('a seed gives the same key every time, and an ephemeral key is a new one', () => {
  assert.equal(keyFromSeed(SEED, 'file').fingerprint, keyFromSeed(SEED, 'file').fingerprint);
  assert.throws(() => keyFromSeed(SEED.subarray(1), 'file'), RangeError);
  const [one, two] = [createEphemeralKey(), createEphemeralKey()];
  assert.notEqual(one.fingerprint, two.fingerprint);
  const message = Uint8Array.of(1, 2, 3);
  assert(createNativeVerify()(one.publicKey, message, signMessage(one.privateKey, message)));
  assert(!createNativeVerify()(two.publicKey, message, signMessage(one.privateKey, message)));
});

test('a key file or folder that is not as it must be is refused', () => {
  const linked = seedFile();
  symlinkSync(linked, `${linked}.link`);
  const twice = seedFile();
  linkSync(twice, `${twice}.copy`);
  const open = seedFile();
  chmodSync(join(open, '..'), 0o755);
  const directory = join(folder(), 'audit.seed');
  mkdirSync(directory);
  const cases: [string, string][] = [
    ['readable by the group', seedFile(0o640)],
    ['readable by all', seedFile(0o604)],
    ['too short', seedFile(0o600, SEED.subarray(1))],
    ['too long', seedFile(0o600, new Uint8Array(33))],
    ['empty', seedFile(0o600, new Uint8Array(0))],
    ['a link', `${linked}.link`],
    ['a file with a second name', twice],
    ['in a folder that others can enter', open],
    ['a directory', directory],
    ['below a file', join(seedFile(), 'audit.seed')],
  ];
  for (const [what, path] of cases) {
    assert.throws(() => loadKeyFile(path), (error) => error instanceof Unavailable && error.code === 'AUDIT_KEY', what);
    assert.throws(() => createKeyFile(path), (error) => error instanceof Unavailable && error.code === 'AUDIT_KEY', what);
  }
  assert.deepEqual(readFileSync(twice), Buffer.from(SEED), 'nothing is written over');
});

test('a second name that a killed process left is taken away', () => {
  const path = seedFile();
  linkSync(path, `${path}.0123456789abcdef.tmp`);
  assert.equal(loadKeyFile(path)?.fingerprint, keyFromSeed(SEED, 'file').fingerprint);
  assert(!existsSync(`${path}.0123456789abcdef.tmp`));
});

test('processes that make the key at the same moment all get the same one', async () => {
  const path = join(folder(), 'audit.seed');
  const module = new URL('../../../enclave/audit/key.ts', import.meta.url).href;
  const script = `const { createKeyFile } = await import(${JSON.stringify(module)}); process.stdout.write(createKeyFile(${JSON.stringify(path)}).fingerprint);`;
  const made = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
      let text = '';
      for await (const chunk of child.stdout) text += String(chunk);
      return text;
    }),
  );
  assert.deepEqual(new Set(made), new Set([loadKeyFile(path)?.fingerprint]));
  assert.deepEqual(readdirSync(join(path, '..')), ['audit.seed']);
});
