// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { CpioEntry } from '../../../eif/cpio.ts';
import { writeCpio } from '../../../eif/cpio.ts';
import { diffEifs } from '../../../eif/diff.ts';
import { signPcr0 } from '../../../eif/sign.ts';
import { withSignature } from '../../../eif/write.ts';
import { measureEif } from '../../../shared/eif/measure.ts';
import { METADATA, bootRamdisk, imageOf, newSigner, partsOf, readOf } from '../../harness/eif.ts';

const { ramdisks } = partsOf();
const [boot, app] = ramdisks as [Uint8Array, Uint8Array];
const text = (value: string): Uint8Array => Uint8Array.from(Buffer.from(value));
const appOf = (...entries: CpioEntry[]): Uint8Array => writeCpio(entries);
const file = (path: string, data: string, mode = 0o644): CpioEntry => ({ kind: 'file', path, mode, data: text(data) });

type Change = Parameters<typeof imageOf>[0];

/** The difference in short: sections with their paths and notes, and the PCRs. */
function diff(left: Change, right: Change): string[] {
  const { sections, pcrs } = diffEifs(readOf(imageOf(left)), readOf(imageOf(right)));
  const shown = sections.map(({ section, index, paths, note }) => {
    const changed = (paths ?? []).map((line) => `${line.left === null ? '+' : line.right === null ? '-' : '~'}${line.path}`);
    return [`${section} ${index}`, ...changed, ...(note === null ? [] : [note])].join(' | ');
  });
  return [...shown, pcrs.join(' ')];
}

test('images of the same bytes do not differ', () => assert.deepEqual(diff({}, {}), ['']));

const table: readonly [string, Change, Change, string[]][] = [
  ['the kernel', {}, { kernel: text('other') }, ['kernel 0', 'PCR0 PCR1']],
  ['the command line', {}, { cmdline: 'quiet' }, ['cmdline 0', 'PCR0 PCR1']],
  ['the architecture', {}, { arch: 'aarch64' }, ['header 0', '']],
  ['two fields of the metadata', {}, { metadata: { ...METADATA, imageName: 'other', buildTime: 'now' } }, ['metadata 0 | these differ: imageName, buildTime', '']],
  ['a file of the first ramdisk', {}, { ramdisks: [bootRamdisk('other'), app] }, ['ramdisk 0 | ~init', 'PCR0 PCR1']],
  [
    'files of the second ramdisk',
    { ramdisks: [boot, appOf(file('a', '1'), file('b', '1'), file('c', '1'))] },
    { ramdisks: [boot, appOf(file('b', '1', 0o600), file('c', '1'), file('d', '1'))] },
    ['ramdisk 1 | -a | ~b | +d', 'PCR0 PCR2'],
  ],
  ['a file that became a link', {}, { ramdisks: [boot, appOf({ kind: 'symlink', path: 'app', target: 'app' })] }, ['ramdisk 1 | ~app', 'PCR0 PCR2']],
  ['one ramdisk less', {}, { ramdisks: [boot] }, ['ramdisk 1', 'PCR0 PCR2']],
  ['compression alone', {}, { ramdisks: [boot, gzipSync(app)] }, ['ramdisk 1 | the same paths with the same content, archived in another way', 'PCR0 PCR2']],
  ['a file under compression', { ramdisks: [boot, gzipSync(app)] }, { ramdisks: [boot, gzipSync(appOf(file('app', 'x')))] }, ['ramdisk 1 | ~app', 'PCR0 PCR2']],
  [
    'a ramdisk that is no archive',
    {},
    { ramdisks: [boot, text('none')] },
    ['ramdisk 1 | the second is no archive that can be compared: it ends without its trailer', 'PCR0 PCR2'],
  ],
  [
    'a ramdisk that does not decompress',
    { ramdisks: [boot, Uint8Array.of(0x1f, 0x8b, 1)] },
    {},
    ['ramdisk 1 | the first is no archive that can be compared: it does not decompress, or to too much', 'PCR0 PCR2'],
  ],
];

for (const [name, left, right, expected] of table) test(`a difference is told: ${name}`, () => assert.deepEqual(diff(left, right), expected));

test('a signature is told as a section, and as PCR8 if the certificate is another', () => {
  const plain = readOf(imageOf());
  const { pcr0 } = measureEif(plain);
  const signer = newSigner();
  const sign = (by = signer): ReturnType<typeof readOf> => readOf(withSignature(plain, signPcr0(pcr0, by, Date.now())));
  const short = (left: typeof plain, right: typeof plain): unknown[] => {
    const found = diffEifs(left, right);
    return [found.sections.map(({ section }) => section), found.pcrs];
  };
  const signed = sign();
  assert.deepEqual(short(plain, signed), [['signature'], ['PCR8']]);
  assert.deepEqual(short(signed, sign(newSigner())), [['signature'], ['PCR8']]);
  // ECDSA is randomised: the same key makes another signature each time.
  assert.deepEqual(short(signed, sign()), [['signature'], []]);
  assert.deepEqual(short(signed, signed), [[], []]);
});

test('the same sections in another order are told, since files differ then', () => {
  const eif = readOf(imageOf());
  const [kernel, cmdline, metadata, ...rest] = eif.sections;
  assert.ok(kernel !== undefined && cmdline !== undefined && metadata !== undefined);
  const found = diffEifs(eif, { ...eif, sections: [cmdline, kernel, metadata, ...rest] });
  assert.deepEqual(found.sections.map(({ section, left, right }) => [section, left, right]), [
    ['order', 'kernel cmdline metadata ramdisk ramdisk', 'cmdline kernel metadata ramdisk ramdisk'],
  ]);
  assert.deepEqual(found.pcrs, ['PCR0', 'PCR1']);
});
