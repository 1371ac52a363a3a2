// SPDX-License-Identifier: Apache-2.0
/** The lockfile: what people review, in version 1 and 2, with names of any kind. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import fc from 'fast-check';
import { PIN_KINDS } from '../../../enclave/pins/item.ts';
import type { PinEntry, ServerPins } from '../../../enclave/pins/judge.ts';
import type { Lockfile } from '../../../enclave/pins/lockfile.ts';
import { changeLockfile, formatLockfile, loadLockfile, parseLockfile, withEntries } from '../../../enclave/pins/lockfile.ts';
import { Unavailable } from '../../../shared/errors.ts';
import { scratch } from '../../harness/gateway.ts';

const A = 'a'.repeat(64);
const B = 'b'.repeat(64);
const DAY = '2026-11-25T08:00:00.000Z';
const pin = (sha256: string, accepted: string | null = null): PinEntry => ({ pin: { sha256, firstSeen: DAY, accepted }, rejected: [] });
const plain = (file: Lockfile): unknown => [...file].map(([server, pins]) => [server, [...pins].map(([kind, entries]) => [kind, [...entries]])]);

const FIRST = `version: 1
servers:
  files:
    __proto__: {sha256: ${A}, first_seen: ${DAY}}
    read_file: {sha256: ${B}, first_seen: ${DAY}}
`;

test('a file of version 1 is read as tools, and written as version 2', () => {
  const file = parseLockfile('f', FIRST);
  assert.deepEqual(plain(file), [['files', [['tool', [['__proto__', pin(A)], ['read_file', pin(B)]]]]]]);
  const text = formatLockfile('f', withEntries(file, 'files', [{ kind: 'instructions', name: 'instructions', apply: () => pin(A, DAY) }]));
  assert.equal(
    text.split('\n').filter((line) => !line.startsWith('#')).join('\n'),
    `version: 2
servers:
  files:
    instructions:
      sha256: ${A}
      first_seen: ${DAY}
      accepted: ${DAY}
    tools:
      __proto__:
        sha256: ${A}
        first_seen: ${DAY}
      read_file:
        sha256: ${B}
        first_seen: ${DAY}
`,
  );
  assert.equal(formatLockfile('f', parseLockfile('f', text)), text);
});

const name = fc.oneof(fc.string({ unit: 'grapheme', minLength: 1 }), fc.constantFrom('__proto__', 'constructor', '<<', '*a', '&a', '!t', '? x', '- x', '---', 'true', '~', '1e3', 'a: b', '\u0085', '\u2028', 'new\nline', '\u0000', '{', '%', '"', 'rejected', 'sha256'));
const digest = fc.constantFrom(A, B, '1'.repeat(64), `${'1'.repeat(63)}e`);
const entry: fc.Arbitrary<PinEntry> = fc
  .record({ sha256: fc.option(digest), accepted: fc.option(fc.constant(DAY)), rejected: fc.uniqueArray(digest, { maxLength: 3 }) })
  .map(({ sha256, accepted, rejected }) => ({ pin: sha256 === null ? null : { sha256, firstSeen: DAY, accepted }, rejected: sha256 === null && rejected.length === 0 ? [A] : rejected }));
const pins: fc.Arbitrary<ServerPins> = fc
  .array(fc.tuple(fc.constantFrom(...PIN_KINDS), name, entry), { maxLength: 12 })
  .map((all) => withEntries(new Map(), 's', all.map(([kind, own, one]) => ({ kind, name: kind === 'instructions' ? 'instructions' : own, apply: () => one }))).get('s') ?? new Map());

/** The text has one order, so two texts are equal where the pins are. */
test('what is written is what is read, whatever the names', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(name, pins), { maxLength: 3 }), (servers) => {
      const file: Lockfile = new Map(servers);
      const text = formatLockfile('f', file);
      const read = parseLockfile('f', text);
      assert.equal(formatLockfile('f', read), text);
      for (const [server, own] of file) {
        for (const [kind, entries] of own) for (const [item, one] of entries) assert.deepEqual(read.get(server)?.get(kind)?.get(item), one);
      }
    }),
    { numRuns: 150 },
  );
});

test('entries that are the same are written out each', () => {
  const shared: PinEntry = { ...pin(A), rejected: [B] };
  const text = formatLockfile('f', new Map([['s', new Map([['tool', new Map([['a', shared], ['b', shared]])]])]]));
  assert.equal(text.split(B).length, 3);
});

const wrong: readonly string[] = [
  '',
  'version: 3\nservers: {}\n',
  'version: 2\n',
  'version: 2\nservers: []\n',
  'version: 2\nservers: {a: {tools: {t: {}}}}\n',
  'version: 2\nservers: {a: {gadgets: {}}}\n',
  `version: 2\nservers: {a: {tools: {t: {sha256: ${A}}}}}\n`,
  `version: 2\nservers: {a: {tools: {t: {sha256: ${A.slice(1)}, first_seen: x}}}}\n`,
  `version: 2\nservers: {a: {tools: {t: {sha256: ${A}, first_seen: x, extra: y}}}}\n`,
  `version: 2\nservers: {a: {tools: {t: {sha256: ${A}, first_seen: x, rejected: ${A}}}}}\n`,
  `version: 2\nservers: {a: {tools: {t: {sha256: ${A}, first_seen: x, rejected: [no]}}}}\n`,
  `version: 2\nservers: {a: {tools: {t: {accepted: x, rejected: [${A}]}}}}\n`,
  `version: 2\nservers: {a: {tools: {t: {sha256: [${A}], first_seen: x}}}}\n`,
  `version: 2\nservers: {a: {tools: {t: {sha256: ${A}, first_seen: x}, t: {sha256: ${B}, first_seen: x}}}}\n`,
  `version: 2\nservers: {a: {instructions: {instructions: {sha256: ${A}, first_seen: x}}}}\n`,
  `version: 2\nservers: {a: &a {tools: {t: {sha256: ${A}, first_seen: x}}}, b: *a}\n`,
  `version: 1\nservers: {a: {tools: {t: {sha256: ${A}, first_seen: x}}}}\n`,
];

test('a file that is not exactly a lockfile is no empty one', () => {
  for (const text of wrong) assert.throws(() => parseLockfile('f', text), (error) => error instanceof Unavailable && error.code === 'PIN_STORE', text);
});

test('writers of one file lose nothing of each other, through a link as well', async () => {
  const folder = scratch();
  mkdirSync(join(folder, 'linked'));
  writeFileSync(join(folder, 'lock.yaml'), FIRST);
  symlinkSync(join(folder, 'lock.yaml'), join(folder, 'linked', 'lock.yaml'));
  await Promise.all(
    Array.from({ length: 12 }, (_unused, at) =>
      changeLockfile(at % 2 === 0 ? join(folder, 'lock.yaml') : join(folder, 'linked', 'lock.yaml'), (file) => withEntries(file, `s${at % 3}`, [{ kind: 'prompt', name: `p${at}`, apply: () => pin(A) }])),
    ),
  );
  const file = await loadLockfile(join(folder, 'linked', 'lock.yaml'));
  assert.equal(['s0', 's1', 's2'].reduce((sum, server) => sum + (file.get(server)?.get('prompt')?.size ?? 0), 0), 12);
  assert.equal(file.get('files')?.get('tool')?.size, 2);
});

test('a change that makes nothing of it leaves the file as it is, and an entry with nothing in it goes', async () => {
  const path = join(scratch(), 'lock.yaml');
  writeFileSync(path, FIRST);
  await changeLockfile(path, () => null);
  assert.equal(readFileSync(path, 'utf8'), FIRST);
  await changeLockfile(path, (file) => withEntries(file, 'files', [{ kind: 'tool', name: 'read_file', apply: () => ({ pin: null, rejected: [] }) }]));
  assert.deepEqual([...((await loadLockfile(path)).get('files')?.get('tool')?.keys() ?? [])], ['__proto__']);
});
