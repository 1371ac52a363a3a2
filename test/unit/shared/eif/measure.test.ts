// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { toHex } from '../../../../shared/bytes.ts';
import { measureEif, pcr3OfRole, pcr4OfInstance, pcr8OfCertificate } from '../../../../shared/eif/measure.ts';
import { hexOf, imageOf, partsOf, readOf } from '../../../harness/eif.ts';

const ZERO = Buffer.alloc(48);

function sha384(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha384');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** A PCR as the format's text defines it, without the product's code. */
function pcr(...parts: readonly Uint8Array[]): string {
  return sha384(ZERO, sha384(...parts)).toString('hex');
}

/** PCR2 of any image with one ramdisk, as tkhq/qos publishes it. */
const PCR2_OF_ONE_RAMDISK = '21b9efbc184807662e966d34f390821309eeac6802309798826296bf3e8bec7c10edb30948c90ba67310f7b964fc500a';

test('the measurements are those of the format, with node:crypto as the other implementation', () => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 60 });
  const cmdline = fc.stringMatching(/^[ -~]{1,40}$/);
  fc.assert(
    fc.property(bytes, cmdline, fc.array(bytes, { minLength: 1, maxLength: 5 }), (kernel, cmdline, ramdisks) => {
      const measured = measureEif(readOf(imageOf({ kernel, cmdline, ramdisks })));
      const boot = [kernel, Buffer.from(cmdline)];
      const [first = kernel, ...others] = ramdisks;
      assert.deepEqual(hexOf({ ...measured }), {
        pcr0: pcr(...boot, ...ramdisks),
        pcr1: pcr(...boot, first),
        pcr2: pcr(...others),
        pcr8: null,
      });
    }),
  );
});

test('an image with one ramdisk has the published PCR2, and PCR0 equal to PCR1', () => {
  const measured = measureEif(readOf(imageOf({ ramdisks: partsOf().ramdisks.slice(0, 1) })));
  assert.equal(toHex(measured.pcr2), PCR2_OF_ONE_RAMDISK);
  assert.deepEqual(measured.pcr0, measured.pcr1);
});

test('a hash function that is given is used', () => {
  const eif = readOf(imageOf());
  assert.deepEqual(measureEif(eif, () => createHash('sha384')), measureEif(eif));
  assert.notDeepEqual(measureEif(eif, () => createHash('sha3-384')), measureEif(eif));
});

test('what each part changes is told by its PCRs', () => {
  const { ramdisks } = partsOf();
  const [boot, app] = ramdisks as [Uint8Array, Uint8Array];
  const other = Buffer.from('other');
  const before = measureEif(readOf(imageOf()));
  const table: readonly [string, Parameters<typeof imageOf>[0], string[]][] = [
    ['kernel', { kernel: other }, ['pcr0', 'pcr1']],
    ['command line', { cmdline: 'quiet' }, ['pcr0', 'pcr1']],
    ['first ramdisk', { ramdisks: [other, app] }, ['pcr0', 'pcr1']],
    ['second ramdisk', { ramdisks: [boot, other] }, ['pcr0', 'pcr2']],
    ['a third ramdisk', { ramdisks: [boot, app, other] }, ['pcr0', 'pcr2']],
    ['metadata', { metadata: { ...partsOf().metadata, imageName: 'other' } }, []],
    ['architecture', { arch: 'aarch64' }, []],
  ];
  for (const [name, change, changed] of table) {
    const after = measureEif(readOf(imageOf(change)));
    const found = (['pcr0', 'pcr1', 'pcr2'] as const).filter((key) => toHex(before[key]) !== toHex(after[key]));
    assert.deepEqual(found, changed, name);
  }
});

test('PCR0 and PCR1 do not tell where the kernel ends: the three have to be compared together', () => {
  const one = measureEif(readOf(imageOf({ kernel: Buffer.from('kernel'), cmdline: 'quiet' })));
  const other = measureEif(readOf(imageOf({ kernel: Buffer.from('kernelqu'), cmdline: 'iet' })));
  assert.deepEqual(one, other);
});

test('PCR4 is that of real attestation documents', () => {
  // veracruz-project/go-nitro-enclave-attestation-document (MIT); Dstack-TEE/dstack and marlinprotocol/oyster-monorepo (Apache-2.0).
  const real: readonly [string, string][] = [
    ['i-04fd167167daacf3b', '4554042339e6a1ddfac89db7da58231d5619073729344333aff055429abeec6b006f81b19d1176001b8291f885283106'],
    ['i-0827e799ec9232d44', '7b3574ad9b7e88ec8335e8ce967315fac77218441e97eea9795de704d7f2678d0b298ecda39b544c1689669f48cba5e8'],
    ['i-0f1cd77d37fd8bcc9', '45ff8769d16a46d16fcf4b872b546b02d587267a16d2325fb968453c0e36e243d04389e45466191967ceb1978012a9cf'],
  ];
  for (const [instance, value] of real) assert.equal(toHex(pcr4OfInstance(instance)), value);
});

test('PCR3 hashes the role once, PCR8 the certificate twice', () => {
  const arn = 'arn:aws:iam::123456789012:role/bastion';
  assert.equal(toHex(pcr3OfRole(arn)), sha384(ZERO, Buffer.from(arn)).toString('hex'));
  assert.equal(toHex(pcr8OfCertificate(Buffer.from('certificate'))), pcr(Buffer.from('certificate')));
});
