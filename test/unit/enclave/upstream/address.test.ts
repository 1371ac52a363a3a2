// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { BlockList, isIPv6 } from 'node:net';
import test from 'node:test';
import * as fc from 'fast-check';
import type { AddressClass } from '../../../../enclave/upstream/address.ts';
import { classifyAddress, permitsAddress } from '../../../../enclave/upstream/address.ts';

const classes: readonly [AddressClass, readonly string[]][] = [
  ['public', ['1.0.0.0', '8.8.8.8', '9.255.255.255', '11.0.0.0', '100.63.255.255', '100.128.0.0', '126.255.255.255', '128.0.0.0', '169.253.255.255', '169.255.0.0', '172.15.255.255', '172.32.0.0', '192.0.1.0', '192.0.3.0', '192.88.98.255', '192.88.100.0', '192.167.255.255', '192.169.0.0', '198.17.255.255', '198.20.0.0', '198.51.99.255', '198.51.101.0', '203.0.112.255', '203.0.114.0', '223.255.255.255', '168.63.129.15']],
  ['unspecified', ['0.0.0.0']],
  ['reserved', ['0.0.0.1', '0.255.255.255', '192.0.0.0', '192.0.0.255', '192.0.2.1', '192.88.99.1', '198.18.0.0', '198.19.255.255', '198.51.100.1', '203.0.113.1', '240.0.0.0', '254.255.255.255', '255.255.255.255']],
  ['private', ['10.0.0.0', '10.255.255.255', '172.16.0.0', '172.31.255.255', '192.168.0.0', '192.168.255.255']],
  ['cgnat', ['100.64.0.0', '100.127.255.255']],
  ['loopback', ['127.0.0.0', '127.0.0.1', '127.255.255.255']],
  ['link-local', ['169.254.0.0', '169.254.169.253', '169.254.255.255']],
  ['metadata', ['169.254.169.254', '169.254.170.2', '169.254.170.23', '100.100.100.200', '168.63.129.16', '192.0.0.192']],
  ['multicast', ['224.0.0.0', '239.255.255.255']],
  ['public', ['2606:4700::1111', '2000::', '2001:200::', '2003::', '3ffe:ffff::', '2001:db7::', '2001:db9::']],
  ['unspecified', ['::', '0:0:0:0:0:0:0:0', '::0.0.0.0']],
  ['loopback', ['::1', '0:0:0:0:0:0:0:1', '::0.0.0.1', '0000:0000:0000:0000:0000:0000:0000:0001']],
  ['private', ['fc00::', 'fc00::1', 'fd12:3456::1', 'fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff']],
  ['link-local', ['fe80::', 'fe80::1', 'FEBF:ffff::1']],
  ['metadata', ['fd00:ec2::254', 'fd00:ec2::23', 'fd20:ce::254']],
  ['multicast', ['ff00::', 'ff02::1', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff']],
  ['reserved', ['2001::1', '2001:0:4136:e378:8000:63bf:3fff:fdd2', '2001:1::1', '2001:1ff:ffff::', '2001:db8::1', '3fff::1', '3fff:fff::', '100::1', 'fec0::1', 'feff::1', '1fff::', '4000::', '5f00::1', 'fbff::', 'fe00::1', '::ffff:0:7f00:1', '64:ff9a::1', '64:ff9b::1:0:0', '64:ff9b:2::1']],
];

for (const [cls, addresses] of classes) {
  test(`${addresses[0]} and its like are ${cls}`, () => {
    for (const address of addresses) assert.equal(classifyAddress(address), cls, address);
  });
}

const carriers: readonly [string, (high: string, low: string) => string][] = [
  ['IPv4-mapped', (high, low) => `::ffff:${high}:${low}`],
  ['IPv4-compatible', (high, low) => `::${high}:${low}`],
  ['NAT64', (high, low) => `64:ff9b::${high}:${low}`],
  ['local NAT64', (high, low) => `64:ff9b:1::${high}:${low}`],
  ['local NAT64 of a subnet', (high, low) => `64:ff9b:1:fffe::${high}:${low}`],
  ['6to4', (high, low) => `2002:${high}:${low}::1`],
];

for (const [name, carry] of carriers) {
  test(`${name}: an address is what the IPv4 address in it is`, () => {
    const inner: readonly [AddressClass, string, string][] = [
      ['loopback', '7f00', '1'],
      ['private', 'a00', '1'],
      ['private', 'c0a8', '101'],
      ['metadata', 'a9fe', 'a9fe'],
      ['link-local', 'a9fe', '1'],
      ['cgnat', '6440', '1'],
      ['public', '808', '808'],
      ['multicast', 'e000', '1'],
    ];
    for (const [cls, high, low] of inner) assert.equal(classifyAddress(carry(high, low)), cls, carry(high, low));
  });
}

test('a dotted end is read within any prefix', () => {
  assert.equal(classifyAddress('::ffff:127.0.0.1'), 'loopback');
  assert.equal(classifyAddress('::FFFF:169.254.169.254'), 'metadata');
  assert.equal(classifyAddress('::127.0.0.1'), 'loopback');
  assert.equal(classifyAddress('64:ff9b::10.0.0.1'), 'private');
  assert.equal(classifyAddress('0:0:0:0:0:ffff:192.168.0.1'), 'private');
});

test('local NAT64 hides no inner address in any of the layouts', () => {
  assert.equal(classifyAddress('64:ff9b:1:a9fe:a9:fe00::'), 'metadata');
  assert.equal(classifyAddress('64:ff9b:1:a9:fe:a9fe::'), 'metadata');
  assert.equal(classifyAddress('64:ff9b:1:0:a9:fea9:fe00:0'), 'metadata');
  assert.equal(classifyAddress('64:ff9b:1:7f00:0:100::'), 'loopback');
  // One of them is private, another one is worse.
  assert.equal(classifyAddress('64:ff9b:1:a00:0:100:a9fe:a9fe'), 'metadata');
});

const spellings: readonly [string, AddressClass][] = [
  ['2130706433', 'loopback'],
  ['017700000001', 'loopback'],
  ['0x7f000001', 'loopback'],
  ['0X7F000001', 'loopback'],
  ['0x7f.1', 'loopback'],
  ['0177.0.0.1', 'loopback'],
  ['0x7f.0x0.0x0.0x1', 'loopback'],
  ['00000177.00.00.01', 'loopback'],
  ['127.1', 'loopback'],
  ['127.0.1', 'loopback'],
  ['127.65535', 'loopback'],
  ['127.0.0.1.', 'loopback'],
  ['2852039166', 'metadata'],
  ['0xa9fea9fe', 'metadata'],
  ['169.254.43518', 'metadata'],
  ['0', 'unspecified'],
  ['0x', 'unspecified'],
  ['0.0', 'unspecified'],
  ['010.0.0.1', 'public'],
  ['[::1]', 'loopback'],
  ['[::ffff:7f00:1]', 'loopback'],
  ['[127.0.0.1]', 'loopback'],
];

for (const [text, cls] of spellings) {
  test(`${text} is ${cls}`, () => {
    assert.equal(classifyAddress(text), cls);
  });
}

test('what ends in a number and is no address is reserved, because no name ends so', () => {
  for (const text of ['256.0.0.1', '1.2.3.4.5', '4294967296', '0x100000000', '08.0.0.1', '127..1', '1.256.1.1', '127.0.0.256', '0xg.1', 'example.1', 'a.0x', '1.16777216', '99999999999999999999999']) {
    assert.equal(classifyAddress(text), 'reserved', text);
  }
});

test('an address with a zone is reserved, whatever the zone and the address', () => {
  for (const text of ['fe80::1%eth0', '::1%25eth0', '[::1%25eth0]', '[::1%lo]', '2606:4700::1111%1', '127.0.0.1%lo', '::1%']) {
    assert.equal(classifyAddress(text), 'reserved', text);
  }
});

test('names and what only looks like an address are none', () => {
  for (const text of ['', '.', 'localhost', 'example.com', '127.0.0.1.example.com', '1.2.3.4a', 'x%1', ':', ':::', '::1::', '1::2::3', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '1:2:3:4:5:6:7:8::', '12345::', 'g::', '::1.2.3', '::1.2.3.4.5', '1.2.3.4::', '::1.2.3.04', '::1.2.3.256', '::1.2.3.4:5', '[', '[]', '127.0.0.1:80', '::ffff:0x7f.1', '１２７.0.0.1 ']) {
    assert.equal(classifyAddress(text), null, text);
  }
});

const byte = fc.nat({ max: 255 });
const ipv4 = fc.tuple(byte, byte, byte, byte);
/** Random addresses are nearly all public: half of these come from the ranges that matter. */
const interesting = fc.oneof(
  ipv4,
  fc.tuple(fc.constantFrom(0, 10, 100, 127, 169, 172, 192, 198, 203, 224, 240, 255), fc.constantFrom(0, 16, 18, 31, 51, 64, 88, 127, 168, 254), byte, byte),
).map((bytes): [number, number, number, number] => [bytes[0], bytes[1], bytes[2], bytes[3]]);

/** The same ranges as a list of the platform's own. */
function subnets(...list: readonly string[]): BlockList {
  const blocked = new BlockList();
  for (const subnet of list) {
    const [base = '', bits = ''] = subnet.split('/');
    blocked.addSubnet(base, Number(bits), base.includes(':') ? 'ipv6' : 'ipv4');
  }
  return blocked;
}

test('the verdict without allow_private is that of the registries of special addresses', () => {
  const special = subnets(
    '0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24', '192.0.2.0/24',
    '192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4', '168.63.129.16/32',
  );
  fc.assert(
    fc.property(interesting, (bytes) => {
      const address = bytes.join('.');
      const cls = classifyAddress(address);
      assert.equal(cls !== null && permitsAddress(cls, false), !special.check(address, 'ipv4'), address);
    }),
    { numRuns: 2000 },
  );
});

test('the verdict with allow_private adds loopback, private networks and shared address space, nothing else', () => {
  const never = subnets(
    '0.0.0.0/8', '169.254.0.0/16', '192.0.0.0/24', '192.0.2.0/24', '192.88.99.0/24', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24',
    '224.0.0.0/4', '240.0.0.0/4', '168.63.129.16/32', '100.100.100.200/32',
  );
  fc.assert(
    fc.property(interesting, (bytes) => {
      const address = bytes.join('.');
      const cls = classifyAddress(address);
      assert.equal(cls !== null && permitsAddress(cls, true), !never.check(address, 'ipv4'), address);
    }),
    { numRuns: 2000 },
  );
});

test('every spelling of an IPv4 address has the verdict of its canonical form', () => {
  const radix = fc.constantFrom<(value: number) => string>(String, (value) => `0${value.toString(8)}`, (value) => `0x${value.toString(16)}`, (value) => `0X00${value.toString(16).toUpperCase()}`);
  fc.assert(
    fc.property(interesting, fc.integer({ min: 1, max: 4 }), fc.array(radix, { minLength: 4, maxLength: 4 }), fc.boolean(), (bytes, parts, radices, dot) => {
      const rest = bytes.slice(parts - 1).reduce((value, each) => value * 256 + each, 0);
      const text = [...bytes.slice(0, parts - 1), rest].map((value, index) => (radices[index] ?? String)(value)).join('.');
      const canonical = bytes.join('.');
      assert.equal(classifyAddress(dot ? `${text}.` : text), classifyAddress(canonical), text);
      assert.equal(new URL(`http://${text}/`).hostname, canonical, 'the spelling is one that URL parsers take');
    }),
    { numRuns: 1000 },
  );
});

test('what a URL parser takes for an IPv4 address is one here, with the same verdict, and what it refuses is refused', () => {
  const text = fc.string({ unit: fc.constantFrom(...Array.from('0123456789abcxX..-')), minLength: 1, maxLength: 14 });
  fc.assert(
    fc.property(text, (host) => {
      const parsed = URL.parse(`http://${host}/`)?.hostname ?? null;
      const cls = classifyAddress(host);
      if (parsed !== null && /^[0-9.]+$/.test(parsed) && parsed !== host) assert.equal(cls, classifyAddress(parsed), host);
      // The parser may refuse names for other reasons; what is an address here must be one there or be refused by both.
      if (cls !== null && cls !== 'reserved') assert.match(parsed ?? '', /^[0-9]+(\.[0-9]+){3}$/, host);
      if (cls === null && parsed !== null) assert.doesNotMatch(parsed, /^[0-9]+(\.[0-9]+){3}$/, host);
    }),
    { numRuns: 5000 },
  );
});

test('an address is IPv6 here exactly if it is for the platform, however it is written', () => {
  const group = fc.oneof(fc.constantFrom('', '0', 'ffff', '7f00', '1', '64', 'ff9b', '2002'), fc.string({ unit: fc.constantFrom(...Array.from('0123456789abcdefg')), maxLength: 5 }));
  const groups = fc.array(group, { minLength: 2, maxLength: 9 }).map((list) => list.join(':'));
  const tail = fc.constantFrom('', ':', '::', ':127.0.0.1', '1.2.3.4', ':1.2.3', ':1.2.3.004');
  fc.assert(
    fc.property(groups, tail, (head, end) => {
      const text = `${head}${end}`;
      assert.equal(classifyAddress(text) !== null, isIPv6(text), text);
    }),
    { numRuns: 5000 },
  );
});

test('an IPv6 address keeps its verdict in the form that URL parsers give it', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.constant(0), fc.nat({ max: 0xffff }), fc.constantFrom(0x2002, 0x64, 0xff9b, 0xffff, 0x7f00, 0xfd00, 0xec2, 0x254)), { minLength: 8, maxLength: 8 }), (values) => {
      const text = values.map((value) => value.toString(16).padStart(4, '0')).join(':');
      assert.equal(classifyAddress(new URL(`http://[${text}]/`).hostname), classifyAddress(text), text);
    }),
    { numRuns: 1000 },
  );
});

test('what is never permitted stays so with allow_private', () => {
  const verdicts: readonly [AddressClass, boolean, boolean][] = [
    ['public', true, true],
    ['loopback', false, true],
    ['private', false, true],
    ['cgnat', false, true],
    ['link-local', false, false],
    ['metadata', false, false],
    ['multicast', false, false],
    ['reserved', false, false],
    ['unspecified', false, false],
  ];
  for (const [cls, usually, allowed] of verdicts) {
    assert.equal(permitsAddress(cls, false), usually, cls);
    assert.equal(permitsAddress(cls, true), allowed, cls);
  }
});
