// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 as zlibCrc32 } from 'node:zlib';
import * as fc from 'fast-check';
import { crc32 } from '../../../../shared/eif/crc32.ts';

test('the check value of CRC-32/ISO-HDLC comes out', () => {
  assert.equal(crc32(Buffer.from('123456789')), 0xcbf43926);
  assert.equal(crc32(), 0);
});

test('the checksum is that of zlib, in however many parts the bytes come', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 5 }), (parts) => {
      assert.equal(crc32(...parts), zlibCrc32(Buffer.concat(parts)));
    }),
  );
});
