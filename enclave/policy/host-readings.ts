// SPDX-License-Identifier: Apache-2.0
/**
 * Where a URL leads: its host, scheme and port as the WHATWG URL standard reads them, and as lenient parsers might. Which
 * address a name resolves to is not seen from here.
 */
import { READING_LENGTH_MAX } from '../../shared/limits.ts';
import { embeddedIpv4, ipv4Forms } from './address-readings.ts';
import { withoutInvisible } from './invisible.ts';
import type { Readings } from './readings.ts';
import { UNREADABLE, closure, percentDecoded, unescaped } from './readings.ts';

const STEPS: readonly ((text: string) => string)[] = [
  (text) => text.trim().replace(/^(["'`<])(.*)["'`>]$/s, '$2'),
  withoutInvisible,
  (text) => text.replaceAll('\\', '/'),
  (text) => text.normalize('NFKC'),
  percentDecoded,
  unescaped,
];

const SCHEME = /^(?:url:)?([a-z][a-z0-9+.-]*):/i;

/** A host as URL parsers write it: lower case, punycode, IPv4 in its usual form; the text itself where it is none. */
function canonical(host: string): string {
  const parsed = URL.parse(`http://${host}/`);
  const name = parsed === null || parsed.hostname === '' ? host.toLowerCase() : parsed.hostname;
  return name.replace(/\.+$/, '');
}

/** Hosts that a parser may see in what stands before the path. */
function* hostsOfAuthority(authority: string): Generator<string> {
  // Whatever stands on either side of an @ may be taken for the host, and so may what is before a port, a space or a query.
  for (const part of authority.split('@')) {
    const host = /^(\[[^\]]*\]|[^:]*)/.exec(part)?.[1] ?? '';
    const pieces = [host, host.replace(/%[^\]]*/, ''), ...host.split(/[\s,;?#&=]/)];
    if (/^[0-9a-f:.]*:[0-9a-f:.]*:/i.test(part)) pieces.push(`[${part}]`);
    for (const piece of pieces) if (piece !== '') yield canonical(piece);
  }
}

function* hostsOf(text: string): Generator<string> {
  const rest = text.replace(SCHEME, '');
  for (const whole of [text, `http://${text.replace(/^\/+/, '')}`, `http://${rest.replace(/^\/+/, '')}`]) {
    const parsed = URL.parse(whole);
    if (parsed !== null && parsed.hostname !== '') yield parsed.hostname.replace(/\.+$/, '');
  }
  for (const start of [text, rest]) {
    // With fewer or more slashes than two, some take what follows for a host all the same.
    yield* hostsOfAuthority(/^\/*([^/]*)/.exec(start)?.[1] ?? '');
  }
}

const PLAIN = /^[a-z][a-z0-9+.-]*:\/\/([a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:]+\])(?::[1-9][0-9]{0,4})?(?:\/[\x21-\x5b\x5d-\x7e]*|[?#][\x21-\x3f\x41-\x5b\x5d-\x7e]*)?$/;

/** A URL that every parser reads alike; null for all others. */
function plainUrl(text: string): URL | null {
  const written = PLAIN.exec(text)?.[1];
  const parsed = written === undefined ? null : URL.parse(text);
  return parsed !== null && parsed.hostname === written && embeddedIpv4(written) === null ? parsed : null;
}

/** Every host that a text may lead to. */
export function hostReadings(text: string): Readings {
  if (text.length > READING_LENGTH_MAX) return UNREADABLE;
  const { values, whole } = closure(text, STEPS);
  const found = new Set<string>();
  for (const form of values) {
    for (const host of hostsOf(form)) {
      found.add(host);
      const inner = embeddedIpv4(host);
      if (inner !== null) found.add(inner);
      for (const address of ipv4Forms(host)) found.add(address);
    }
  }
  return { plain: plainUrl(text)?.hostname ?? null, values: [...found], whole };
}

/** Every scheme that a text may have, without the colon. A text without one may be given any. */
export function schemeReadings(text: string): Readings {
  if (text.length > READING_LENGTH_MAX) return UNREADABLE;
  const { values, whole } = closure(text, STEPS);
  const found = new Set<string>();
  for (const form of values) {
    for (const one of [form, form.replace(/^url:/i, '')]) {
      const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(one)?.[1];
      if (scheme !== undefined) found.add(scheme.toLowerCase());
    }
  }
  const written = /^([a-z][a-z0-9+.-]*):[\x21-\x5b\x5d-\x7e]*$/.exec(text)?.[1];
  const plain = written !== undefined && found.size === 1 ? written : null;
  return { plain, values: [...found], whole: whole && found.size > 0 };
}

const DEFAULT_PORTS: ReadonlyMap<string, string> = new Map([
  ['http', '80'],
  ['ws', '80'],
  ['https', '443'],
  ['wss', '443'],
  ['ftp', '21'],
]);

/** Every port that a text may lead to, in plain digits. A text without one may be given any. */
export function portReadings(text: string): Readings {
  if (text.length > READING_LENGTH_MAX) return UNREADABLE;
  const { values, whole } = closure(text, STEPS);
  const found = new Set<string>();
  for (const form of values) {
    for (const [, digits = ''] of form.matchAll(/:\s*0*([0-9]{1,5})(?![0-9])/g)) found.add(digits);
    const port = URL.parse(form)?.port;
    if (port !== undefined && port !== '') found.add(port);
    const usual = DEFAULT_PORTS.get(SCHEME.exec(form)?.[1]?.toLowerCase() ?? '');
    if (usual !== undefined) found.add(usual);
  }
  const url = plainUrl(text);
  const plain = url === null ? null : url.port === '' ? (DEFAULT_PORTS.get(url.protocol.slice(0, -1)) ?? null) : url.port;
  return { plain, values: [...found], whole: whole && found.size > 0 };
}

export type HostPattern = (host: string) => boolean;

/** `host`, or `*.domain` for every name below a domain (not the domain itself); null for anything else. */
export function hostPattern(pattern: string): HostPattern | null {
  if (pattern === '*') return () => true;
  const below = pattern.startsWith('*.');
  const name = below ? pattern.slice(2) : pattern;
  if (name === '' || /[*@/\\?#\s%]|:(?!.*\])/.test(name)) return null;
  const parsed = URL.parse(`http://${name}/`);
  if (parsed === null || parsed.hostname === '' || parsed.port !== '') return null;
  const host = parsed.hostname.replace(/\.+$/, '');
  return below ? (found) => found.endsWith(`.${host}`) : (found) => found === host;
}
