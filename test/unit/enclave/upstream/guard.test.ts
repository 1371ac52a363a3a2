// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import type { LookupAddress, LookupOptions } from 'node:dns';
import test from 'node:test';
import { createGuard } from '../../../../enclave/upstream/guard.ts';
import { Unavailable } from '../../../../shared/errors.ts';

interface Found {
  readonly error: Error | null;
  readonly address: string | LookupAddress[];
  readonly family: number | undefined;
}

/** What `net.connect` would be told about a name with these addresses. */
function look(addresses: readonly string[], how: { allowPrivate: boolean; isPlain?: boolean; options?: LookupOptions }): Promise<Found> {
  const { lookup } = createGuard({
    allowPrivate: how.allowPrivate,
    isPlain: how.isPlain ?? false,
    resolve: async () => addresses.map((address) => ({ address, family: 4 })),
  });
  return new Promise((resolve) => {
    lookup('server.example', how.options ?? { all: true }, (error, address, family) => resolve({ error, address, family }));
  });
}

async function refusal(addresses: readonly string[], how: { allowPrivate: boolean; isPlain?: boolean }): Promise<Unavailable> {
  const { error } = await look(addresses, how);
  assert.ok(error instanceof Unavailable, addresses.join(' '));
  assert.equal(error.code, 'UPSTREAM_ADDRESS');
  return error;
}

const inside = ['127.0.0.1', '10.0.0.1', '172.16.0.1', '192.168.0.1', '100.64.0.1', '::1', 'fd00::1', '::ffff:7f00:1', '::ffff:10.0.0.1', '64:ff9b::a00:1', '2002:7f00:1::'];
const never = [
  '169.254.169.254', '100.100.100.200', '169.254.1.1', '0.0.0.0', '192.0.2.1', '198.18.0.1', '224.0.0.1', '255.255.255.255', '::', 'fe80::1', 'fe80::1%eth0',
  'fd00:ec2::254', 'ff02::1', '2001:db8::1', '2001::1', '::ffff:169.254.169.254', '::a9fe:a9fe', '64:ff9b::a9fe:a9fe', '64:ff9b:1::a9fe:a9fe', '2002:a9fe:a9fe::',
];

test('without allow_private public addresses are passed on, all of them and as they are', async () => {
  const { error, address } = await look(['8.8.8.8', '2606:4700::1111'], { allowPrivate: false });
  assert.equal(error, null);
  assert.deepEqual(address, [{ address: '8.8.8.8', family: 4 }, { address: '2606:4700::1111', family: 6 }]);
});

test('who asks for one address gets the first, with its own family', async () => {
  assert.deepEqual(await look(['2606:4700::1111', '8.8.8.8'], { allowPrivate: false, options: {} }), { error: null, address: '2606:4700::1111', family: 6 });
  const { error } = await look(['8.8.8.8', '127.0.0.1'], { allowPrivate: false, options: {} });
  assert.ok(error instanceof Unavailable);
});

test('addresses inside need allow_private, and the hint says so', async () => {
  for (const address of inside) {
    assert.match((await refusal([address], { allowPrivate: false })).hint, /allow_private: true/, address);
    assert.equal((await look([address], { allowPrivate: true })).error, null, address);
  }
});

test('addresses that are never right are refused with allow_private too, without that hint', async () => {
  for (const address of never) {
    assert.doesNotMatch((await refusal([address], { allowPrivate: true })).hint, /allow_private/, address);
    await refusal([address], { allowPrivate: false });
  }
});

test('one bad address among good ones refuses the name, wherever it stands', async () => {
  for (const bad of [...inside, ...never]) {
    for (const answer of [[bad, '8.8.8.8'], ['8.8.8.8', bad], ['8.8.8.8', bad, '2606:4700::1111']]) await refusal(answer, { allowPrivate: false });
  }
});

test('what is no canonical address is not passed on', async () => {
  for (const text of ['127.1', '0x7f000001', '2130706433', '0177.0.0.1', '127.0.0.1.', '[::1]', 'localhost', 'example.com', '', '8.8.8.8:80', '8.8.8']) {
    assert.match((await refusal([text], { allowPrivate: true })).message, /no valid address/, text);
  }
});

test('in the clear a name may lead inside only', async () => {
  const how = { allowPrivate: true, isPlain: true };
  for (const address of inside) assert.equal((await look([address], how)).error, null, address);
  for (const answer of [['8.8.8.8'], ['127.0.0.1', '8.8.8.8'], ['2606:4700::1111', '::1']]) assert.equal((await refusal(answer, how)).hint, 'use https');
});

test('the verdict on an address that is connected already is the same', () => {
  const guard = createGuard({ allowPrivate: true, isPlain: false, resolve: async () => [] });
  assert.equal(guard.judge('127.0.0.1'), null);
  assert.equal(guard.judge('8.8.8.8'), null);
  for (const address of [...never, undefined, 'x']) assert.equal(guard.judge(address)?.code, 'UPSTREAM_ADDRESS', address);
});

test('a name without an address is unreachable', async () => {
  const { error } = await look([], { allowPrivate: true });
  assert.ok(error instanceof Unavailable && error.code === 'UPSTREAM_UNREACHABLE');
});
