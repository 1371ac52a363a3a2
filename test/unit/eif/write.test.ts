// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { withSignature, writeEif } from '../../../eif/write.ts';
import { signPcr0 } from '../../../eif/sign.ts';
import { measureEif } from '../../../shared/eif/measure.ts';
import { METADATA, imageOf, newSigner, partsOf, readOf } from '../../harness/eif.ts';
import { root } from '../../harness/gateway.ts';

const text = (value: string): Uint8Array => Uint8Array.from(Buffer.from(value));

test('the file of these parts has exactly these bytes', () => {
  const file = writeEif({ arch: 'aarch64', kernel: text('K'), cmdline: 'quiet', metadata: METADATA, ramdisks: [text('R')] });
  assert.equal(file.length, 548 + 4 * 12 + 1 + 5 + 249 + 1);
  const hex = Buffer.from(file).toString('hex');
  assert.equal(hex.slice(0, 2 * 28), '2e656966 0004 0001 0000000040000000 0000000000000002 0000 0004'.replaceAll(' ', ''));
  const places = [548, 561, 578, 839].map((offset) => offset.toString(16).padStart(16, '0')).join('');
  assert.equal(hex.slice(2 * 28, 2 * 60), places);
  assert.equal(hex.slice(2 * 548, 2 * 561), '0001000000000000000000014b');
  assert.equal(hex.slice(2 * 839), '00030000000000000000000152');
  // The digest comes from another implementation, in Python.
  assert.equal(createHash('sha256').update(file).digest('hex'), '7cfde0fb49ab936db9bfa603c5411d2795c6074eb8b011581f022b244cb83879');
});

test('the metadata are written in the order of the tools that others use', () => {
  const written = readOf(imageOf()).sections.find(({ type }) => type === 'metadata')?.data ?? new Uint8Array();
  assert.equal(
    Buffer.from(written).toString(),
    '{"ImageName":"bastion","ImageVersion":"0.1.0","BuildMetadata":{"BuildTime":"1970-01-01T00:00:00+00:00","BuildTool":"bastion-eif",' +
      '"BuildToolVersion":"0.1.0","OperatingSystem":"Linux","KernelVersion":"6.12.95"},"DockerInfo":null,"CustomMetadata":null}',
  );
});

test('the same parts give the same file', () => {
  assert.deepEqual(imageOf(), imageOf());
});

test('parts that make no image are refused, with the reason', () => {
  const table: readonly [Parameters<typeof imageOf>[0], RegExp][] = [
    [{ kernel: new Uint8Array() }, /a section is empty/],
    [{ cmdline: 'quiet\n' }, /printable ASCII/],
    [{ cmdline: 'ü' }, /printable ASCII/],
    [{ cmdline: 'a'.repeat(2049) }, /the cmdline section is too long/],
    [{ ramdisks: [] }, /there is no ramdisk section/],
    [{ ramdisks: Array.from({ length: 30 }, () => text('r')) }, /at most 32 sections/],
    [{ metadata: { ...METADATA, imageName: '\ud800' } }, /the metadata is not/],
  ];
  for (const [change, reason] of table) assert.throws(() => writeEif(partsOf(change)), { name: 'RangeError', message: reason });
});

test('signing keeps all sections, adds one at the end, and replaces it when done again with another length', () => {
  const plain = readOf(imageOf());
  const { pcr0 } = measureEif(plain);
  const sections = (['P-521', 'P-256', 'P-384'] as const).map((curve) => signPcr0(pcr0, newSigner({ curve, name: curve.repeat(5) }), Date.now()));
  assert.equal(new Set(sections.map(({ length }) => length)).size, 3);
  let eif = plain;
  for (const section of sections) {
    eif = readOf(withSignature(eif, section));
    assert.deepEqual(eif.sections.map(({ type }) => type), ['kernel', 'cmdline', 'metadata', 'ramdisk', 'ramdisk', 'signature']);
    assert.deepEqual(eif.sections.slice(0, 5), plain.sections);
    assert.deepEqual(Buffer.from(eif.sections[5]?.data ?? []), Buffer.from(section));
    const { pcr8, ...others } = measureEif(eif);
    assert.deepEqual({ ...others, pcr8: null }, measureEif(plain));
    assert.notEqual(pcr8, null);
  }
});

test('a section that is no signature is not attached', () => {
  assert.throws(() => withSignature(readOf(imageOf()), text('signature')), RangeError);
});

test('an image with the kernel of the test rig is written and read, where the rig is', () => {
  const path = join(root, '..', 'shared', 'rig', 'bzImage');
  if (!existsSync(path)) return assert.equal(existsSync(join(root, '..', 'shared', 'rig')), false, 'the rig is there without its kernel');
  const kernel = readFileSync(path);
  const eif = readOf(imageOf({ kernel }));
  assert.deepEqual(Buffer.from(eif.sections[0]?.data ?? []), kernel);
});
