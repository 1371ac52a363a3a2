// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { concatBytes } from '../../../../shared/bytes.ts';
import type { EifFaultCode } from '../../../../shared/eif/read.ts';
import { readEif } from '../../../../shared/eif/read.ts';
import { METADATA, imageOf, newSigner, readOf, withCrc } from '../../../harness/eif.ts';
import { signPcr0 } from '../../../../eif/sign.ts';
import { withSignature } from '../../../../eif/write.ts';
import { measureEif } from '../../../../shared/eif/measure.ts';

const plain = imageOf();
const count = readOf(plain).sections.length;

type Section = readonly [type: number, data: Uint8Array];

/** A file of any sections in any order, well-formed or not: the other writer. */
function fileOf(sections: readonly Section[], change: (view: DataView) => void = () => undefined): Uint8Array {
  const header = new DataView(new ArrayBuffer(548));
  header.setUint32(0, 0x2e656966);
  header.setUint16(4, 4);
  header.setUint16(26, sections.length);
  const pieces: Uint8Array[] = [new Uint8Array(header.buffer)];
  let at = 548;
  for (const [index, [type, data]] of sections.entries()) {
    if (index < 32) header.setBigUint64(28 + 8 * index, BigInt(at));
    if (index < 32) header.setBigUint64(284 + 8 * index, BigInt(data.length));
    const head = new DataView(new ArrayBuffer(12));
    head.setUint16(0, type);
    head.setBigUint64(4, BigInt(data.length));
    pieces.push(new Uint8Array(head.buffer), data);
    at += 12 + data.length;
  }
  const file = concatBytes(...pieces);
  change(new DataView(file.buffer));
  return withCrc(file);
}

const kernel: Section = [1, Buffer.from('kernel')];
const cmdline: Section = [2, Buffer.from('quiet')];
const ramdisk: Section = [3, Buffer.from('ramdisk')];
const metadata: Section = [5, readOf(plain).sections.find(({ type }) => type === 'metadata')?.data ?? new Uint8Array()];
const four = [kernel, cmdline, metadata, ramdisk];

function edited(change: (view: DataView) => void): Uint8Array {
  const file = Uint8Array.from(plain);
  change(new DataView(file.buffer));
  return withCrc(file);
}

function withMetadata(text: string): Uint8Array {
  return fileOf([kernel, cmdline, [5, Buffer.from(text)], ramdisk]);
}

const GOOD = JSON.stringify({
  ImageName: 'n', ImageVersion: 'v',
  BuildMetadata: { BuildTime: 't', BuildTool: 'b', BuildToolVersion: '1', OperatingSystem: 'Linux', KernelVersion: 'k' },
  DockerInfo: {}, CustomMetadata: null,
});
const first = 548;
const second = first + 12 + Buffer.from('kernel').length;

const refused: readonly [name: string, file: Uint8Array, code: EifFaultCode, at?: number][] = [
  ['nothing at all', new Uint8Array(), 'EIF_TRUNCATED'],
  ['a header that is cut off', plain.subarray(0, 547), 'EIF_TRUNCATED'],
  ['another magic', edited((view) => view.setUint8(0, 0x2f)), 'EIF_MAGIC', 0],
  ['version 3', edited((view) => view.setUint16(4, 3)), 'EIF_VERSION', 4],
  ['version 5', edited((view) => view.setUint16(4, 5)), 'EIF_VERSION', 4],
  ['flags besides the architecture', edited((view) => view.setUint16(6, 2)), 'EIF_FLAGS', 6],
  ['a reserved field that is set', edited((view) => view.setUint16(24, 1)), 'EIF_RESERVED', 24],
  ['an unused field that is set', edited((view) => view.setUint32(540, 1)), 'EIF_RESERVED', 540],
  ['an offset beyond the last section', edited((view) => view.setBigUint64(28 + 8 * count, 1n)), 'EIF_RESERVED', 28 + 8 * count],
  ['a size in the last place', edited((view) => view.setBigUint64(284 + 8 * 31, 1n)), 'EIF_RESERVED', 284 + 8 * 31],
  ['no sections', fileOf([]), 'EIF_SECTION_COUNT', 26],
  ['33 sections', fileOf([kernel, cmdline, metadata, ...Array.from({ length: 30 }, () => ramdisk)]), 'EIF_SECTION_COUNT', 26],
  ['a first section that is not at 548', edited((view) => view.setBigUint64(28, 549n)), 'EIF_SECTION_OFFSET', 28],
  ['two sections that overlap', edited((view) => view.setBigUint64(36, BigInt(second - 1))), 'EIF_SECTION_OFFSET', 36],
  ['a gap between sections', edited((view) => view.setBigUint64(36, BigInt(second + 1))), 'EIF_SECTION_OFFSET', 36],
  ['an offset beyond 2^53', edited((view) => view.setBigUint64(36, 2n ** 64n - 1n)), 'EIF_SECTION_OFFSET', 36],
  ['sizes that differ', edited((view) => view.setBigUint64(284, 7n)), 'EIF_SECTION_SIZE', first + 4],
  [
    'a size beyond the file',
    edited((view) => {
      view.setBigUint64(284, 2n ** 63n);
      view.setBigUint64(first + 4, 2n ** 63n);
    }),
    'EIF_TRUNCATED',
  ],
  ['type 0', edited((view) => view.setUint16(first, 0)), 'EIF_SECTION_TYPE', first],
  ['type 6', edited((view) => view.setUint16(first, 6)), 'EIF_SECTION_TYPE', first],
  ['section flags', edited((view) => view.setUint16(first + 2, 1)), 'EIF_SECTION_FLAGS', first + 2],
  ['an empty ramdisk', fileOf([...four, [3, new Uint8Array()]]), 'EIF_SECTION_SIZE'],
  ['an empty command line', fileOf([kernel, [2, new Uint8Array()], metadata, ramdisk]), 'EIF_SECTION_SIZE'],
  ['no kernel', fileOf([cmdline, metadata, ramdisk]), 'EIF_SECTION_SET'],
  ['two kernels', fileOf([kernel, ...four]), 'EIF_SECTION_SET'],
  ['no command line', fileOf([kernel, metadata, ramdisk]), 'EIF_SECTION_SET'],
  ['two command lines', fileOf([...four, cmdline]), 'EIF_SECTION_SET'],
  ['no metadata', fileOf([kernel, cmdline, ramdisk]), 'EIF_SECTION_SET'],
  ['two metadata sections', fileOf([...four, metadata]), 'EIF_SECTION_SET'],
  ['no ramdisk', fileOf([kernel, cmdline, metadata]), 'EIF_SECTION_SET'],
  ['two signatures', fileOf([...four, [4, Buffer.from('s')], [4, Buffer.from('s')]]), 'EIF_SECTION_SET'],
  ['a ramdisk before the kernel', fileOf([ramdisk, kernel, cmdline, metadata]), 'EIF_SECTION_ORDER'],
  ['one byte after the last section', withCrc(concatBytes(plain, Uint8Array.of(0))), 'EIF_TRAILING', plain.length],
  ['eleven bytes after it, which walking readers pass over', withCrc(concatBytes(plain, new Uint8Array(11))), 'EIF_TRAILING', plain.length],
  ['a section that the header does not count', edited((view) => view.setUint16(26, count - 1)), 'EIF_RESERVED'],
  ['a command line with its line feed', fileOf([kernel, [2, Buffer.from('quiet\n')], metadata, ramdisk]), 'EIF_CMDLINE'],
  ['a command line with a NUL', fileOf([kernel, [2, Buffer.from('quiet\0')], metadata, ramdisk]), 'EIF_CMDLINE'],
  ['a command line of 2049 bytes', fileOf([kernel, [2, Buffer.alloc(2049, 0x61)], metadata, ramdisk]), 'EIF_SECTION_SIZE'],
  ['metadata of more than 1 MiB', fileOf([kernel, cmdline, [5, Buffer.alloc(1024 * 1024 + 1, 0x20)], ramdisk]), 'EIF_SECTION_SIZE'],
  ['metadata that is no JSON', withMetadata('{'), 'EIF_METADATA'],
  ['metadata that is no object', withMetadata('[]'), 'EIF_METADATA'],
  ['metadata with a key twice', withMetadata(GOOD.replace('{', '{"ImageName":"m",')), 'EIF_METADATA'],
  ['metadata without a name', withMetadata(GOOD.replace('ImageName', 'Imagename')), 'EIF_METADATA'],
  ['metadata whose name is a number', withMetadata(GOOD.replace('"n"', '1')), 'EIF_METADATA'],
  ['metadata without what is said about the build', withMetadata(GOOD.replace('BuildMetadata', 'Build')), 'EIF_METADATA'],
  ['metadata without a build tool', withMetadata(GOOD.replace('"BuildTool"', '"Tool"')), 'EIF_METADATA'],
  ['metadata without a word on Docker', withMetadata(GOOD.replace('DockerInfo', 'Docker')), 'EIF_METADATA'],
  ['a signature that is none', fileOf([...four, [4, Buffer.from('signature')]]), 'EIF_SIGNATURE'],
  ['a signature of more than 32 KiB', fileOf([...four, [4, new Uint8Array(32_769)]]), 'EIF_SECTION_SIZE'],
];

for (const [name, file, code, at] of refused) {
  test(`the reader refuses ${name}`, () => {
    const read = readEif(file);
    assert.equal(read.kind === 'malformed' && read.code, code);
    if (at !== undefined) assert.equal(read.kind === 'malformed' && read.at, at);
  });
}

test('the reader takes files of its own writer and of another, in both orders of the sections', () => {
  const eif = readOf(plain);
  assert.deepEqual(
    { ...eif, sections: eif.sections.map(({ type }) => type) },
    {
      kind: 'eif', arch: 'x86_64', defaultMem: 1_073_741_824n, defaultCpus: 2n,
      sections: ['kernel', 'cmdline', 'metadata', 'ramdisk', 'ramdisk'],
      cmdline: 'reboot=k console=ttyS0', metadata: METADATA, signature: null, crcMatches: true,
    },
  );
  assert.equal(readEif(fileOf(four)).kind, 'eif');
  assert.equal(readEif(fileOf([kernel, cmdline, ramdisk, ramdisk, metadata])).kind, 'eif');
  assert.equal(readEif(fileOf([kernel, cmdline, metadata, ...Array.from({ length: 29 }, () => ramdisk)])).kind, 'eif');
  assert.equal(readOf(fileOf(four, (view) => view.setUint16(6, 1))).arch, 'aarch64');
});

test('metadata may lack what its text calls optional, and may have what nobody knows', () => {
  assert.equal(readOf(withMetadata(GOOD)).metadata.customMetadata, null);
  assert.equal(readOf(withMetadata(GOOD.replace(',"CustomMetadata":null', ''))).metadata.customMetadata, null);
  assert.equal(readOf(withMetadata(GOOD.replace('null', '{"a":[1]},"New":1'))).metadata.imageName, 'n');
});

test('a view into a larger buffer is read like a file of its own', () => {
  const buffer = concatBytes(new Uint8Array(7), plain, new Uint8Array(9));
  assert.equal(readEif(buffer.subarray(7, 7 + plain.length)).kind, 'eif');
});

test('every single flipped bit is refused, and with the checksum put right it is refused or shows in what is read', () => {
  const show = (file: Uint8Array): string => {
    const { sections, defaultMem, defaultCpus, ...rest } = readOf(file);
    const data = sections.map((section) => `${section.type} ${Buffer.from(section.data).toString('hex')}`);
    return JSON.stringify([data, String(defaultMem), String(defaultCpus), rest]);
  };
  const before = show(plain);
  fc.assert(
    fc.property(fc.nat({ max: plain.length - 1 }), fc.nat({ max: 7 }), (at, bit) => {
      const file = Uint8Array.from(plain, (byte, index) => (index === at ? byte ^ (1 << bit) : byte));
      assert.equal(readEif(file).kind, 'malformed');
      const read = readEif(withCrc(file));
      if (at >= 544 && at < 548) assert.equal(read.kind, 'eif');
      else if (read.kind === 'eif') assert.notEqual(show(withCrc(file)), before);
    }),
    { numRuns: 2000 },
  );
});

test('a wrong checksum is told instead of refused where that is asked for', () => {
  const file = Uint8Array.from(plain);
  file[plain.length - 1] = (plain.at(-1) ?? 0) ^ 1;
  const read = readEif(file);
  assert.equal(read.kind === 'malformed' && read.code, 'EIF_CRC');
  const told = readEif(file, { crc: 'report' });
  assert.equal(told.kind === 'eif' && told.crcMatches, false);
});

test('a file that is cut off anywhere is refused', () => {
  for (let length = 0; length < plain.length; length += 1) assert.equal(readEif(withCrc(plain.subarray(0, length))).kind, 'malformed', String(length));
});

test('mutated and invented files never make the reader or the measurement throw', () => {
  const eif = readOf(plain);
  const signed = withSignature(eif, signPcr0(measureEif(eif).pcr0, newSigner({ curve: 'P-256' }), Date.now()));
  const edit = fc.record({ at: fc.nat({ max: signed.length - 1 }), bytes: fc.uint8Array({ minLength: 1, maxLength: 12 }) });
  const attempt = (file: Uint8Array): void => {
    const read = readEif(file);
    if (read.kind === 'eif') measureEif(read);
  };
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), fc.nat({ max: signed.length }), (edits, cut) => {
      const file = Uint8Array.from(signed);
      for (const { at, bytes } of edits) file.set(bytes.subarray(0, file.length - at), at);
      attempt(withCrc(file));
      attempt(withCrc(file.subarray(0, cut)));
    }),
    { numRuns: 500 },
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 700 }), (bytes) => attempt(bytes)));
});

test('what another image is made of is read back as it was written', () => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 50 });
  const text = fc.string({ maxLength: 12, unit: 'grapheme' });
  const change = fc.record({
    arch: fc.constantFrom('x86_64' as const, 'aarch64' as const),
    kernel: bytes,
    cmdline: fc.stringMatching(/^[ -~]{1,60}$/),
    ramdisks: fc.array(bytes, { minLength: 1, maxLength: 29 }),
    metadata: fc.record({
      imageName: text, imageVersion: text, buildTime: text, buildTool: text, buildToolVersion: text, operatingSystem: text, kernelVersion: text,
      dockerInfo: fc.constantFrom(null, 'text'), customMetadata: fc.constantFrom(null, 7),
    }, { noNullPrototype: true }),
  }, { noNullPrototype: true });
  fc.assert(
    fc.property(change, (parts) => {
      const eif = readOf(imageOf(parts));
      const dataOf = (type: string): Uint8Array[] => eif.sections.filter((section) => section.type === type).map(({ data }) => Uint8Array.from(data));
      assert.deepEqual(
        { arch: eif.arch, kernel: dataOf('kernel'), cmdline: eif.cmdline, ramdisks: dataOf('ramdisk'), metadata: eif.metadata },
        { ...parts, kernel: [parts.kernel] },
      );
    }),
  );
});
