// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { CpioEntry } from '../../../eif/cpio.ts';
import { writeCpio } from '../../../eif/cpio.ts';
import { readCpio } from '../../../eif/cpio-read.ts';
import { manifestOf } from '../../../eif/manifest.ts';

const text = (value: string): Uint8Array => Uint8Array.from(Buffer.from(value));
const directory = (path: string, mode = 0o755): CpioEntry => ({ kind: 'directory', path, mode });
const file = (path: string, data = 'data', mode = 0o644): CpioEntry => ({ kind: 'file', path, mode, data: text(data) });
const symlink = (path: string, target: string): CpioEntry => ({ kind: 'symlink', path, target });

const tree: readonly CpioEntry[] = [
  directory('dev'),
  { kind: 'device', path: 'dev/console', mode: 0o600, major: 5, minor: 1 },
  file('init', '#!/bin/sh\n', 0o755),
  symlink('lib64', 'usr/lib'),
  directory('usr'),
  directory('usr/lib'),
];

/** Entries whose directories are all there: each name becomes a directory, a file or a link below an earlier directory. */
const entries = fc
  .array(fc.record({ name: fc.stringMatching(/^[a-z0-9._ü-]{1,8}$/), kind: fc.nat({ max: 3 }), under: fc.nat(), mode: fc.nat({ max: 0o7777 }), data: fc.uint8Array({ maxLength: 20 }) }), { maxLength: 12 })
  .map((drawn) => {
    const made = new Map<string, CpioEntry>();
    const folders = [''];
    for (const { name, kind, under, mode, data } of drawn) {
      const path = `${folders[under % folders.length] ?? ''}${name}`;
      if (name === '.' || name === '..' || made.has(path)) continue;
      if (kind === 0) folders.push(`${path}/`);
      const choices: readonly CpioEntry[] = [
        { kind: 'directory', path, mode },
        { kind: 'file', path, mode, data: Uint8Array.from(data) },
        { kind: 'symlink', path, target: `to-${name}` },
        { kind: 'device', path, mode, major: data.length, minor: 1 },
      ];
      const [fallback] = choices;
      made.set(path, choices[kind] ?? (fallback as CpioEntry));
    }
    return [...made.values()];
  });

function entriesOf(bytes: Uint8Array): readonly CpioEntry[] {
  const read = readCpio(bytes);
  if (read.kind === 'malformed') throw new Error(`${read.reason} at ${read.at}`);
  return read.entries;
}

test('an archive has exactly these bytes', () => {
  const field = (...values: number[]): string => values.map((value) => value.toString(16).padStart(8, '0')).join('');
  const expected =
    `070701${field(1, 0o040755, 0, 0, 2, 0, 0, 0, 0, 0, 0, 2, 0)}a\0` +
    `070701${field(2, 0o100644, 0, 0, 1, 0, 5, 0, 0, 0, 0, 4, 0)}a/b\0\0\0hello\0\0\0` +
    `070701${field(0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 11, 0)}TRAILER!!!\0\0\0\0`;
  assert.equal(Buffer.from(writeCpio([file('a/b', 'hello'), directory('a')])).toString('latin1'), expected);
});

test('what is written is read back, sorted, whatever the order of the entries', () => {
  fc.assert(
    fc.property(entries, fc.nat(), (made, turn) => {
      const at = made.length === 0 ? 0 : turn % made.length;
      const archive = writeCpio(made);
      assert.deepEqual(writeCpio([...made.slice(at), ...made.slice(0, at)].reverse()), archive);
      const sorted = made.toSorted((left, right) => Buffer.compare(Buffer.from(left.path), Buffer.from(right.path)));
      assert.deepEqual(entriesOf(archive).map((entry) => (entry.kind === 'file' ? { ...entry, data: Uint8Array.from(entry.data) } : entry)), sorted);
      assert.equal(archive.length % 4, 0);
    }),
  );
});

test('the manifest tells mode, size, digest and target of every path', () => {
  const sha256 = (data: string): string => createHash('sha256').update(data).digest('hex');
  const bare = { size: 0, sha256: null, target: null };
  assert.deepEqual(manifestOf(entriesOf(writeCpio(tree))), [
    { path: 'dev', kind: 'directory', mode: '0755', ...bare },
    { path: 'dev/console', kind: 'device', mode: '0600', ...bare, target: '5:1' },
    { path: 'init', kind: 'file', mode: '0755', size: 10, sha256: sha256('#!/bin/sh\n'), target: null },
    { path: 'lib64', kind: 'symlink', mode: '0777', size: 0, sha256: sha256('usr/lib'), target: 'usr/lib' },
    { path: 'usr', kind: 'directory', mode: '0755', ...bare },
    { path: 'usr/lib', kind: 'directory', mode: '0755', ...bare },
  ]);
});

const unwritable: readonly [string, readonly CpioEntry[]][] = [
  ['an absolute path', [file('/init')]],
  ['a path upwards', [directory('a'), file('a/../b')]],
  ['a path to here', [file('./init')]],
  ['an empty part', [directory('a'), file('a//b')]],
  ['a path with a NUL', [file('in\0it')]],
  ['an empty path', [file('')]],
  ['half a character', [file('\ud800')]],
  ['a path that ends the archive', [file('TRAILER!!!')]],
  ['a path of 4096 bytes', [file('a'.repeat(4096))]],
  ['a path twice', [file('a'), file('a')]],
  ['a file without its directory', [file('a/b')]],
  ['a file below a file', [file('a'), file('a/b')]],
  ['a file below a link', [symlink('a', 'b'), file('a/b')]],
  ['permissions beyond 07777', [file('a', '', 0o10000)]],
  ['a link to nothing', [symlink('a', '')]],
];

for (const [name, made] of unwritable) {
  test(`the writer refuses ${name}`, () => assert.throws(() => writeCpio(made), RangeError));
}

interface Raw {
  name?: string;
  mode?: number;
  nlink?: number;
  data?: string;
  magic?: string;
  nameSize?: number;
  size?: number;
  pad?: string;
}

/** One entry with whatever one likes in it. */
function raw({ name = 'a', mode = 0o100644, nlink = 1, data = '', magic = '070701', nameSize, size, pad = '\0' }: Raw): string {
  const bytes = Buffer.from(`${name}\0`);
  const values = [1, mode, 0, 0, nlink, 0, size ?? data.length, 0, 0, 0, 0, nameSize ?? bytes.length, 0];
  const head = magic + values.map((value) => value.toString(16).padStart(8, '0')).join('') + bytes.toString('latin1');
  return head + pad.repeat((4 - (head.length % 4)) % 4) + data + pad.repeat((4 - (data.length % 4)) % 4);
}

const END = raw({ name: 'TRAILER!!!', mode: 0 });
const hostile: readonly [string, string, RegExp][] = [
  ['nothing', '', /without its trailer/],
  ['no trailer', raw({}), /without its trailer/],
  ['another format', raw({ magic: '070707' }) + END, /newc/],
  ['the format with checksums', raw({ magic: '070702' }) + END, /newc/],
  ['a field that is no number', raw({}).replace('000081a4', '0000 1a4') + END, /hexadecimal/],
  ['a size beyond the archive', raw({ size: 0xffffffff }) + END, /within an entry/],
  ['a path longer than paths are', raw({ nameSize: 0xffffffff }) + END, /too long/],
  ['an empty path', raw({ name: '' }) + END, /empty/],
  ['a path without its end', raw({ name: 'abc', nameSize: 3 }) + END, /end where it should|padding/],
  ['a path with a NUL inside', raw({ name: 'a\0b' }) + END, /end where it should/],
  ['a path that is not UTF-8', raw({ name: 'abc' }).replace('abc', 'a\xffc') + END, /UTF-8/],
  ['a path upwards', raw({ name: '../etc/passwd' }) + END, /leave/],
  ['an absolute path', raw({ name: '/init' }) + END, /leave/],
  ['a path with a dot', raw({ name: './init' }) + END, /leave/],
  ['a path twice', raw({}) + raw({}) + END, /twice/],
  ['hard links', raw({ nlink: 2, data: 'x' }) + END, /hard links/],
  ['a directory with data', raw({ mode: 0o040755, data: 'x' }) + END, /data/],
  ['a block device', raw({ mode: 0o060600 }) + END, /neither/],
  ['a socket', raw({ mode: 0o140600 }) + END, /neither/],
  ['a mode of too many bits', raw({ mode: 0o1100644 }) + END, /bits/],
  ['a link to nothing', raw({ mode: 0o120777 }) + END, /target/],
  ['a link with a NUL', raw({ mode: 0o120777, data: 'a\0' }) + END, /target/],
  ['padding that says something', raw({ name: 'ab', pad: 'x' }) + END, /padding/],
  ['a trailer with data', raw({}) + raw({ name: 'TRAILER!!!', mode: 0, data: 'x' }), /follows/],
  ['another archive after it', raw({}) + END + raw({ name: 'b' }) + END, /follows/],
];

for (const [name, archive, reason] of hostile) {
  test(`the reader refuses ${name}`, () => {
    const read = readCpio(Buffer.from(archive, 'latin1'));
    assert.match(read.kind === 'malformed' ? read.reason : 'taken', reason);
  });
}

test('what find and cpio write is read: the root itself, upper-case digits, zeros after the end', () => {
  const archive = raw({ name: '.', mode: 0o040755, nlink: 2 }) + raw({ name: 'a', mode: 0o100755, data: 'x' }) + END;
  assert.deepEqual(entriesOf(Buffer.from(archive.replace('000081ed', '000081ED') + '\0'.repeat(300), 'latin1')).map(({ path }) => path), ['.', 'a']);
});

test('mutated and invented archives never make the reader throw', () => {
  const archive = writeCpio(tree);
  fc.assert(
    fc.property(fc.nat({ max: archive.length - 1 }), fc.uint8Array({ minLength: 1, maxLength: 9 }), fc.nat({ max: archive.length }), (at, bytes, cut) => {
      const changed = Uint8Array.from(archive);
      changed.set(bytes.subarray(0, changed.length - at), at);
      for (const input of [changed, changed.subarray(0, cut)]) {
        const read = readCpio(input);
        if (read.kind === 'archive') manifestOf(read.entries);
      }
      assert.equal(readCpio(archive.subarray(0, Math.min(cut, archive.length - 4))).kind, 'malformed');
    }),
    { numRuns: 1000 },
  );
});
