// SPDX-License-Identifier: Apache-2.0
/**
 * The verdict on an IP address: what kind of network it leads to, and whether the gateway may connect there. Texts are
 * read as URL parsers read them, so that no spelling of an address gets another verdict than the address itself.
 * Addresses that carry an IPv4 address are judged by that one. Ranges: IANA special-purpose address registries
 * (RFC 6890), transition formats: RFC 3056, 4291, 4380, 6052, 8215.
 */

export type AddressClass =
  | 'public'
  | 'loopback'
  | 'private'
  | 'link-local'
  | 'metadata'
  | 'cgnat'
  | 'multicast'
  | 'reserved'
  | 'unspecified';

/**
 * The class of an address in text, with or without brackets; null if the text is a name. An IPv4 address in any form
 * that URL parsers take (decimal, octal, hexadecimal, fewer than four parts) counts as that address. What such a parser
 * refuses although it ends in a number is `reserved`, and so is an address with a zone: it can name any local link.
 */
export function classifyAddress(address: string): AddressClass | null {
  const bare = address.startsWith('[') && address.endsWith(']') ? address.slice(1, -1) : address;
  const zone = bare.indexOf('%');
  if (zone !== -1) return classifyAddress(bare.slice(0, zone)) === null ? null : 'reserved';
  if (bare.includes(':')) {
    const value = parseIpv6(bare);
    return value === null ? null : classifyIpv6(value);
  }
  const value = parseIpv4(bare);
  return typeof value === 'bigint' ? classifyIpv4(value) : value;
}

/** Whether the gateway may connect there. Some classes are never permitted: nothing that serves MCP lives in them. */
export function permitsAddress(cls: AddressClass, allowPrivate: boolean): boolean {
  switch (cls) {
    case 'public':
      return true;
    case 'loopback':
    case 'private':
    case 'cgnat':
      return allowPrivate;
    case 'link-local':
    case 'metadata':
    case 'multicast':
    case 'reserved':
    case 'unspecified':
      return false;
  }
}

interface Range {
  readonly base: bigint;
  readonly bits: number;
  readonly cls: AddressClass;
}

/** The first match counts. Metadata services of clouds stand before the ranges that they are in. */
const IPV4_RANGES: readonly Range[] = [
  ipv4('169.254.169.254', 32, 'metadata'), // most clouds
  ipv4('169.254.170.2', 32, 'metadata'), // credentials of Amazon ECS
  ipv4('169.254.170.23', 32, 'metadata'), // credentials of Amazon EKS
  ipv4('100.100.100.200', 32, 'metadata'), // Alibaba
  ipv4('168.63.129.16', 32, 'metadata'), // Azure
  ipv4('192.0.0.192', 32, 'metadata'), // Oracle
  ipv4('0.0.0.0', 32, 'unspecified'),
  ipv4('0.0.0.0', 8, 'reserved'),
  ipv4('10.0.0.0', 8, 'private'),
  ipv4('100.64.0.0', 10, 'cgnat'),
  ipv4('127.0.0.0', 8, 'loopback'),
  ipv4('169.254.0.0', 16, 'link-local'),
  ipv4('172.16.0.0', 12, 'private'),
  ipv4('192.0.0.0', 24, 'reserved'),
  ipv4('192.0.2.0', 24, 'reserved'),
  ipv4('192.88.99.0', 24, 'reserved'),
  ipv4('192.168.0.0', 16, 'private'),
  ipv4('198.18.0.0', 15, 'reserved'),
  ipv4('198.51.100.0', 24, 'reserved'),
  ipv4('203.0.113.0', 24, 'reserved'),
  ipv4('224.0.0.0', 4, 'multicast'),
  ipv4('240.0.0.0', 4, 'reserved'),
];

const IPV6_RANGES: readonly Range[] = [
  ipv6('::', 128, 'unspecified'),
  ipv6('::1', 128, 'loopback'),
  ipv6('fd00:ec2::', 32, 'metadata'), // services of Amazon's instances
  ipv6('fd20:ce::254', 128, 'metadata'), // Google
  ipv6('fc00::', 7, 'private'),
  ipv6('fe80::', 10, 'link-local'),
  ipv6('ff00::', 8, 'multicast'),
  ipv6('2001::', 23, 'reserved'), // with Teredo, whose servers are anybody's
  ipv6('2001:db8::', 32, 'reserved'),
  ipv6('3fff::', 20, 'reserved'),
  ipv6('2000::', 3, 'public'),
];

/** Formats that carry an IPv4 address, and how many bits stand after it. */
const CARRIERS: readonly { readonly range: Range; readonly after: bigint }[] = [
  { range: ipv6('::ffff:0:0', 96, 'reserved'), after: 0n }, // IPv4-mapped
  { range: ipv6('::', 96, 'reserved'), after: 0n }, // IPv4-compatible
  { range: ipv6('64:ff9b::', 96, 'reserved'), after: 0n }, // NAT64
  { range: ipv6('2002::', 16, 'reserved'), after: 80n }, // 6to4
];

const LOCAL_NAT64 = ipv6('64:ff9b:1::', 48, 'reserved');

function classifyIpv4(value: bigint): AddressClass {
  return IPV4_RANGES.find((range) => inRange(value, range, 32))?.cls ?? 'public';
}

function classifyIpv6(value: bigint): AddressClass {
  const own = IPV6_RANGES.find((range) => range.bits === 128 && inRange(value, range, 128));
  if (own !== undefined) return own.cls;
  const carrier = CARRIERS.find(({ range }) => inRange(value, range, 128));
  if (carrier !== undefined) return classifyIpv4(bitsOf(value, carrier.after, 32n));
  if (inRange(value, LOCAL_NAT64, 128)) return classifyLocalNat64(value);
  return IPV6_RANGES.find((range) => inRange(value, range, 128))?.cls ?? 'reserved';
}

/**
 * A site places the IPv4 address within this prefix where it likes (RFC 6052 section 2.2 has the layouts). It is mostly
 * at the end; an inner address in any of the other places counts all the same, the worst first.
 */
function classifyLocalNat64(value: bigint): AddressClass {
  const placed = [
    (bitsOf(value, 64n, 16n) << 16n) | bitsOf(value, 40n, 16n),
    (bitsOf(value, 64n, 8n) << 24n) | bitsOf(value, 32n, 24n),
    bitsOf(value, 24n, 32n),
    bitsOf(value, 0n, 32n),
  ].map(classifyIpv4);
  const inner: readonly AddressClass[] = ['metadata', 'link-local', 'loopback', 'private', 'cgnat'];
  return inner.find((cls) => placed.includes(cls)) ?? classifyIpv4(bitsOf(value, 0n, 32n));
}

function bitsOf(value: bigint, after: bigint, bits: bigint): bigint {
  return (value >> after) & ((1n << bits) - 1n);
}

function inRange(value: bigint, range: Range, width: number): boolean {
  const after = BigInt(width - range.bits);
  return value >> after === range.base >> after;
}

function ipv4(text: string, bits: number, cls: AddressClass): Range {
  const base = parseDotted(text);
  if (base === null) throw new TypeError('not an IPv4 address');
  return { base, bits, cls };
}

function ipv6(text: string, bits: number, cls: AddressClass): Range {
  const base = parseIpv6(text);
  if (base === null) throw new TypeError('not an IPv6 address');
  return { base, bits, cls };
}

/** As the "IPv4 parser" of the URL standard; null for a name, `reserved` for what that parser refuses. */
function parseIpv4(text: string): bigint | 'reserved' | null {
  const parts = text.split('.');
  if (parts.length > 1 && parts.at(-1) === '') parts.pop();
  if (!/^(?:[0-9]+|0x[0-9a-f]*)$/i.test(parts.at(-1) ?? '')) return null;
  if (parts.length > 4) return 'reserved';
  let value = 0n;
  for (const [index, part] of parts.entries()) {
    const number = parsePart(part);
    // The last part stands for all bytes that are left.
    const bytes = index === parts.length - 1 ? 4 - index : 1;
    if (number === null || number >= 256 ** bytes) return 'reserved';
    value = (value << BigInt(8 * bytes)) | BigInt(number);
  }
  return value;
}

function parsePart(part: string): number | null {
  if (/^0x[0-9a-f]*$/i.test(part)) return part.length === 2 ? 0 : Number.parseInt(part.slice(2), 16);
  if (/^0[0-7]+$/.test(part)) return Number.parseInt(part, 8);
  return /^(?:0|[1-9][0-9]*)$/.test(part) ? Number(part) : null;
}

function parseDotted(text: string): bigint | null {
  const parts = text.split('.');
  if (parts.length !== 4) return null;
  let value = 0n;
  for (const part of parts) {
    if (!/^(?:0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return null;
    value = (value << 8n) | BigInt(part);
  }
  return value;
}

/** RFC 4291 section 2.2: eight groups, once `::`, at the end perhaps an IPv4 address. */
function parseIpv6(text: string): bigint | null {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const groups = halves.map((half, index) => parseGroups(half, index === halves.length - 1));
  const [head, tail] = groups;
  if (head === undefined || head === null || tail === null) return null;
  if (tail === undefined) return head.length === 8 ? join(head) : null;
  const missing = 8 - head.length - tail.length;
  return missing < 1 ? null : join([...head, ...Array.from({ length: missing }, () => 0n), ...tail]);
}

function join(groups: readonly bigint[]): bigint {
  return groups.reduce((value, group) => (value << 16n) | group, 0n);
}

function parseGroups(half: string, isLast: boolean): bigint[] | null {
  if (half === '') return [];
  const groups: bigint[] = [];
  const parts = half.split(':');
  for (const [index, part] of parts.entries()) {
    const dotted = isLast && index === parts.length - 1 ? parseDotted(part) : null;
    if (dotted !== null) groups.push(dotted >> 16n, dotted & 0xffffn);
    else if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(BigInt(`0x${part}`));
    else return null;
  }
  return groups;
}
