// SPDX-License-Identifier: Apache-2.0
/**
 * Which resources may be read or subscribed to, by the scheme, host and path of their URI. Like conditions on arguments: an
 * entry that denies looks at every reading of a URI, one that allows trusts only what has one reading.
 */
import { foldKey } from '../../shared/json/fold.ts';
import type { JsonValue } from '../../shared/json/value.ts';
import type { HostPattern } from './host-readings.ts';
import { hostReadings, schemeReadings } from './host-readings.ts';
import { isInside, mayReach, pathReadings } from './path-readings.ts';
import type { Readings } from './readings.ts';
import { percentDecoded } from './readings.ts';

export interface ResourceRule {
  readonly action: 'allow' | 'deny';
  /** Empty for all. */
  readonly schemes: readonly string[];
  readonly hosts: readonly HostPattern[];
  /** Normalised roots. */
  readonly paths: readonly string[];
}

const HIERARCHICAL = /^[a-z][a-z0-9+.-]*:\/\/[^/?#\\]*(\/[^?#\\]*)?(?:[?#].*)?$/;
/** What a path must not hide behind an encoding: separators, dots, an end, another encoding. */
const HIDDEN = /%(?:2e|2f|5c|00|25)/i;

/** The path of a URI. One level of percent-encoding is how URIs are written, and no second reading. */
function uriPathReadings(uri: string): Readings {
  const path = HIERARCHICAL.exec(uri)?.[1];
  const plain = path === undefined || HIDDEN.test(path) ? null : pathReadings(percentDecoded(path)).plain;
  return { ...pathReadings(uri), plain };
}

function covers(rule: ResourceRule, uri: string): boolean {
  const { schemes, hosts, paths } = rule;
  const isAllow = rule.action === 'allow';
  const holds = ({ plain, values, whole }: Readings, exact: (reading: string) => boolean, may = exact): boolean => {
    return isAllow ? plain !== null && exact(plain) : !whole || values.some(may);
  };
  if (schemes.length > 0 && !holds(schemeReadings(uri), (scheme) => schemes.includes(scheme))) return false;
  if (hosts.length > 0 && !holds(hostReadings(uri), (host) => hosts.some((matches) => matches(host)))) return false;
  if (paths.length === 0) return true;
  const mayLead = (path: string): boolean => paths.some((root) => mayReach(path, root) || mayReach(path, foldKey(root)));
  return holds(uriPathReadings(uri), (path) => paths.some((root) => isInside(path, root)), mayLead);
}

/** The first entry that covers a URI decides; null where none does. What is no URI is denied. */
export function decideResource(rules: readonly ResourceRule[], uri: JsonValue | undefined): { readonly action: 'allow' | 'deny'; readonly index: number } | null {
  if (typeof uri !== 'string' || uri === '') return { action: 'deny', index: 0 };
  const index = rules.findIndex((rule) => covers(rule, uri));
  const rule = rules[index];
  return rule === undefined ? null : { action: rule.action, index };
}
