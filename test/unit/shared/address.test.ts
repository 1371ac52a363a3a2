// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import type { Address } from '../../../shared/address.ts';
import { formatAddress, parseAddress, VSOCK_CID_ANY } from '../../../shared/address.ts';

const GOOD: readonly (readonly [string, Address])[] = [
  ['vsock:3:8443', { kind: 'vsock', cid: 3, port: 8443 }],
  ['vsock:any:4294967295', { kind: 'vsock', cid: VSOCK_CID_ANY, port: 4_294_967_295 }],
  ['unix:/run/bastion/in.sock', { kind: 'unix', path: '/run/bastion/in.sock' }],
  ['unix:a:b', { kind: 'unix', path: 'a:b' }],
  ['tcp:127.0.0.1:8080', { kind: 'tcp', host: '127.0.0.1', port: 8080 }],
  ['tcp:[::1]:0', { kind: 'tcp', host: '::1', port: 0 }],
  ['tcp:gateway.example.com:65535', { kind: 'tcp', host: 'gateway.example.com', port: 65_535 }],
  ['hvsock:/run/vm:1/vsock:9000', { kind: 'hvsock', path: '/run/vm:1/vsock', port: 9000 }],
];

test('addresses of every kind are read', () => {
  for (const [text, address] of GOOD) assert.deepEqual(parseAddress(text), { ok: true, address }, text);
});

const BAD = [
  '', 'vsock', 'vsock:', 'vsock:3', 'vsock:3:', 'vsock:-1:1', 'vsock:03:1', 'vsock:1:4294967296', 'vsock:x:1', 'vsock:any:any', 'vsock:1:2:3', 'vsock: 1:2',
  'unix:', 'unix:a\0b', `unix:${'x'.repeat(108)}`, `unix:${'é'.repeat(54)}`, 'tcp:', 'tcp:80', 'tcp::80', 'tcp:host:65536', 'tcp:host:', 'tcp:ho st:1', 'tcp:::1:80',
  'tcp:[x]:1', 'tcp:a/b:1', 'hvsock:/run/v', 'hvsock:/run/v:', 'hvsock::1', 'hvsock:/run/v:1x', 'VSOCK:1:2', 'http://x', 'file:/x',
];

test('anything else is refused, and nothing of it is repeated', () => {
  for (const text of BAD) {
    const read = parseAddress(text);
    assert.equal(read.ok, false, text);
    if (!read.ok && text.length > 12) assert.ok(!read.problem.includes(text), text);
  }
});

test('an address is read back from its own text', () => {
  const number = fc.integer({ min: 0, max: 0xffff_ffff });
  const path = fc.string({ minLength: 1, maxLength: 30 }).filter((text) => !text.includes('\0'));
  const address: fc.Arbitrary<Address> = fc.oneof(
    fc.record({ kind: fc.constant('vsock' as const), cid: number, port: number }),
    fc.record({ kind: fc.constant('unix' as const), path }),
    fc.record({ kind: fc.constant('hvsock' as const), path, port: number }),
    fc.record({ kind: fc.constant('tcp' as const), host: fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain()), port: fc.integer({ min: 0, max: 65_535 }) }),
  );
  fc.assert(fc.property(address, (one) => assert.deepEqual(parseAddress(formatAddress(one)), { ok: true, address: { ...one } })));
});
