// SPDX-License-Identifier: Apache-2.0
/**
 * Where a stream goes between the parts of the appliance (design, section 5): `vsock:<cid>:<port>`, `unix:<path>`,
 * `tcp:<host>:<port>`, `hvsock:<path>:<port>` for the Unix sockets through which emulators hand out vsock ports.
 */

export type Address =
  /** `cid`: context id of a virtual machine; VSOCK_CID_ANY to listen. */
  | { readonly kind: 'vsock'; readonly cid: number; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }
  /** `host`: a name or an IP address, IPv6 without brackets. */
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'hvsock'; readonly path: string; readonly port: number };

/** Every context id (VMADDR_CID_ANY of vm_sockets.h). */
export const VSOCK_CID_ANY = 0xffff_ffff;

/** The address family's numbers are 32 bits wide. */
const UINT32_MAX = 0xffff_ffff;
const TCP_PORT_MAX = 65_535;
/** Bytes of a Unix socket's path on Linux, less its final zero (unix(7)). */
export const UNIX_PATH_BYTES_MAX = 107;

export type ParsedAddress = { readonly ok: true; readonly address: Address } | { readonly ok: false; readonly problem: string };

function bad(problem: string): ParsedAddress {
  return { ok: false, problem };
}

/** A decimal number without sign or leading zeros. */
function numberOf(text: string, max: number): number | undefined {
  const number = /^(?:0|[1-9][0-9]{0,9})$/.test(text) ? Number(text) : NaN;
  return number <= max ? number : undefined;
}

function isPath(path: string): boolean {
  return path !== '' && !path.includes('\0') && new TextEncoder().encode(path).length <= UNIX_PATH_BYTES_MAX;
}

const PATH_HINT = `a path of 1 to ${UNIX_PATH_BYTES_MAX} bytes`;

/** Splits off what stands behind the last colon: paths and IPv6 addresses hold colons of their own. */
function splitLast(text: string): readonly [string, string] {
  const at = text.lastIndexOf(':');
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

function vsockOf(rest: string): ParsedAddress {
  const [first, second] = splitLast(rest);
  const cid = first === 'any' ? VSOCK_CID_ANY : numberOf(first, UINT32_MAX);
  const port = numberOf(second, UINT32_MAX);
  if (cid === undefined || port === undefined) return bad('vsock wants two numbers: vsock:CID:PORT');
  return { ok: true, address: { kind: 'vsock', cid, port } };
}

function tcpOf(rest: string): ParsedAddress {
  const [first, second] = splitLast(rest);
  const host = /^\[([0-9a-fA-F:.]+)\]$/.exec(first)?.[1] ?? first;
  const port = numberOf(second, TCP_PORT_MAX);
  const isPlain = /^[A-Za-z0-9._-]+$/.test(first) || host !== first;
  if (!isPlain || port === undefined) return bad('tcp wants a host and a port: tcp:HOST:PORT');
  return { ok: true, address: { kind: 'tcp', host, port } };
}

/** Reads an address; `problem` says what is wrong with it, and holds nothing of it. */
export function parseAddress(text: string): ParsedAddress {
  const at = text.indexOf(':');
  const rest = text.slice(at + 1);
  switch (at === -1 ? '' : text.slice(0, at)) {
    case 'vsock':
      return vsockOf(rest);
    case 'unix':
      return isPath(rest) ? { ok: true, address: { kind: 'unix', path: rest } } : bad(`unix wants ${PATH_HINT}`);
    case 'tcp':
      return tcpOf(rest);
    case 'hvsock': {
      const [path, second] = splitLast(rest);
      const port = numberOf(second, UINT32_MAX);
      if (!isPath(path) || port === undefined) return bad(`hvsock wants ${PATH_HINT} and a port: hvsock:PATH:PORT`);
      return { ok: true, address: { kind: 'hvsock', path, port } };
    }
    default:
      return bad('an address begins with vsock:, unix:, tcp: or hvsock:');
  }
}

/** The text that parseAddress reads back. */
export function formatAddress(address: Address): string {
  switch (address.kind) {
    case 'vsock':
      return `vsock:${address.cid === VSOCK_CID_ANY ? 'any' : address.cid}:${address.port}`;
    case 'unix':
      return `unix:${address.path}`;
    case 'tcp':
      return `tcp:${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
    case 'hvsock':
      return `hvsock:${address.path}:${address.port}`;
  }
}
