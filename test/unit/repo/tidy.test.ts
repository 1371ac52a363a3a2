// SPDX-License-Identifier: Apache-2.0
/** The house rules that no other tool holds. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { VERSION } from '../../../shared/version.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const listed = spawnSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { cwd: root, encoding: 'utf8' });
const files = listed.stdout.split('\n').filter((file) => file !== '' && existsSync(join(root, file)));
const sources = files.filter((file) => /\.(ts|mjs|c|h)$/.test(file));
const own = 'test/unit/repo/tidy.test.ts';

function read(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

function json(file: string): { version?: string; scripts?: Record<string, string>; dependencies?: Record<string, string> } {
  return JSON.parse(read(file));
}

test('every source file starts with its licence, after a shebang at most', () => {
  const bare = sources.filter((file) => !/^(#![^\n]*\n)?\/\/ SPDX-License-Identifier: Apache-2\.0\n/.test(read(file)));
  assert.deepEqual(bare, []);
});

test('no source file is longer than 500 lines', () => {
  assert.deepEqual(sources.filter((file) => read(file).split('\n').length > 501), []);
});

test('half of the product files have 150 lines or fewer', () => {
  const lengths = sources.filter((file) => /^(shared|enclave|eif)\//.test(file)).map((file) => read(file).split('\n').length);
  lengths.sort((left, right) => left - right);
  assert.ok((lengths[Math.floor(lengths.length / 2)] ?? 0) <= 150);
});

test('nothing is left undone, skipped or singled out', () => {
  const banned = /\b(TODO|FIXME|XXX|HACK)\b|\b(test|it|describe|suite|t)\.(only|skip)\(|not implemented/;
  assert.deepEqual(sources.filter((file) => file !== own && banned.test(read(file))), []);
});

test('no file is named after nothing in particular', () => {
  const vague = /(^|\/)(utils?|helpers?|manager|service|misc|common)\.[a-z]+$/;
  assert.deepEqual(files.filter((file) => vague.test(file)), []);
});

test('text files end with a line feed and hold no tab-indented TypeScript, carriage return or trailing space', () => {
  const text = files.filter((file) => /\.(ts|mjs|json|md|yaml)$/.test(file));
  assert.deepEqual(text.filter((file) => !read(file).endsWith('\n') || read(file).includes('\r')), []);
  assert.deepEqual(sources.filter((file) => /[ \t]+\n|^\t/m.test(read(file))), []);
});

test('the lockfile names no download address', () => {
  assert.doesNotMatch(read('package-lock.json'), /"resolved": "https?:/);
});

test('dependencies are pinned to exact versions', () => {
  for (const file of files.filter((name) => name.endsWith('package.json'))) {
    const { dependencies = {} } = json(file);
    for (const [name, version] of Object.entries(dependencies)) assert.match(version, /^\d+\.\d+\.\d+$/, `${file}: ${name}`);
  }
});

test('the version is one, in the code and in all packages', () => {
  for (const file of ['package.json', 'shared/package.json', 'enclave/package.json', 'parent/package.json', 'eif/package.json']) {
    assert.equal(json(file).version, VERSION, file);
  }
});

test('the third-party code of the trusted computing base is exactly this', () => {
  assert.deepEqual(Object.keys(json('shared/package.json').dependencies ?? {}), ['@noble/hashes', '@noble/post-quantum']);
  const enclave = ['@napi-rs/keyring', 'better-sqlite3', 'jose', 'pino', 're2', 'undici', 'yaml', 'zod'];
  assert.deepEqual(Object.keys(json('enclave/package.json').dependencies ?? {}), enclave);
});

test('what the README tells people to run sets itself up first', () => {
  const { scripts = {} } = json('package.json');
  for (const name of ['demo', 'test', 'test:system', 'bench:stdio']) {
    // A second bare node in the same line would be the one that the shell found before set-up.
    assert.match(scripts[name] ?? '', /^node scripts\/setup\.mjs && npm run -s [a-z:]+( --)?$/, name);
  }
});

test('launchers are executable and import nothing statically, so that any Node can refuse them in words', () => {
  const launchers = files.filter((file) => /\/bin\/[^/]+\.mjs$/.test(file));
  assert.ok(launchers.length > 0);
  for (const file of launchers) {
    assert.doesNotMatch(read(file), /^import\s/m, file);
    assert.notEqual(statSync(join(root, file)).mode & 0o111, 0, file);
  }
});

test('the changelog has an entry for this version', () => {
  assert.match(read('CHANGELOG.md'), new RegExp(`^## ${VERSION.replaceAll('.', '\\.')}\\b`, 'm'));
});
