// SPDX-License-Identifier: Apache-2.0
/** IPv4 addresses in other clothes: inside IPv6 addresses, and in notations that only some parsers take. */

/** The eight groups of an IPv6 address as URL parsers write it, `[::1]`; null for anything else. */
function groupsOf(host: string): number[] | null {
  const text = /^\[([0-9a-f:]+)\]$/.exec(host)?.[1];
  if (text === undefined) return null;
  const [head = '', tail] = text.split('::');
  const read = (part: string): number[] => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)));
  const left = read(head);
  const right = read(tail ?? '');
  return tail === undefined ? left : [...left, ...Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => 0), ...right];
}

function dotted(high: number, low: number): string {
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/** The IPv4 address that an IPv6 address maps, translates, tunnels or is compatible with; null for none. */
export function embeddedIpv4(host: string): string | null {
  const groups = groupsOf(host);
  if (groups?.length !== 8) return null;
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = groups;
  // 6to4 (RFC 3056) and Teredo (RFC 4380), whose client address is written inverted.
  if (a === 0x2002) return dotted(b, c);
  if (a === 0x2001 && b === 0) return dotted(g ^ 0xffff, h ^ 0xffff);
  // NAT64 (RFC 6052, RFC 8215), and ISATAP (RFC 5214) below any prefix.
  if (a === 0x64 && b === 0xff9b) return dotted(g, h);
  if ((e === 0 || e === 0x200) && f === 0x5efe) return dotted(g, h);
  // Mapped, translated and compatible addresses; `::` and `::1` are addresses of their own.
  const isLow = a === 0 && b === 0 && c === 0 && d === 0 && ((e === 0 && (f === 0xffff || f === 0)) || (e === 0xffff && f === 0));
  return isLow && !(f === 0 && e === 0 && g === 0) ? dotted(g, h) : null;
}

/** Values that one part of an address may have: leading zeros mean octal to some and nothing to others. */
function partsOf(part: string): number[] {
  if (/^0x[0-9a-f]{1,8}$/i.test(part)) return [Number.parseInt(part, 16)];
  if (!/^[0-9]{1,10}$/.test(part)) return [];
  return /^0[0-7]+$/.test(part) ? [Number.parseInt(part, 8), Number.parseInt(part, 10)] : [Number.parseInt(part, 10)];
}

/** Addresses that lenient parsers see in four parts that the URL standard reads otherwise or refuses. */
export function ipv4Forms(host: string): string[] {
  const parts = host.split('.').map(partsOf);
  if (parts.length !== 4 || parts.some((one) => one.length === 0)) return [];
  // What is above a byte wraps around in some.
  return parts.reduce<string[]>((heads, values) => heads.flatMap((head) => values.map((value) => `${head}${head === '' ? '' : '.'}${value % 256}`)), ['']);
}
