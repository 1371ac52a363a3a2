// SPDX-License-Identifier: Apache-2.0
/** What a person is told about a window that scored high: which concepts stood in it, as codes. Never its words. */
import { CONCEPTS } from './concepts.ts';
import type { Reason } from './types.ts';

/** All concepts of an entry have to stand in the window; one of several where they are joined by a bar. */
const SIGNS: readonly (readonly [Reason, readonly string[]])[] = [
  ['OVERRIDES_INSTRUCTIONS', ['ignore', 'prior|instruction|fresh']],
  ['CONCEALS_FROM_USER', ['not|secretly', 'tell', 'user']],
  ['READS_SECRETS', ['read|run', 'secret']],
  ['SENDS_DATA', ['send', 'secret|personal|place']],
  ['MOVES_MONEY', ['pay|send', 'money']],
  ['CHANGES_ACCESS', ['change', 'secret|personal|user']],
  ['CLAIMS_AUTHORITY', ['system', 'must|urgent|instruction']],
  ['CHANGES_ROLE', ['role|you', 'freedom']],
  ['STEERS_TOOLS', ['must|first|urgent', 'tool']],
  ['ADDRESSES_MODEL', ['model', 'must|obey|you']],
];

function numberOf(name: string): number {
  const number = CONCEPTS.indexOf(name);
  if (number < 1) throw new RangeError(`no concept is called ${name}`);
  return number;
}

const compiled = SIGNS.map(([reason, all]) => ({ reason, all: all.map((some) => some.split('|').map(numberOf)) }));

/** The signs whose concepts were seen; WORDING if there is none. */
export function reasonsOf(seen: ReadonlySet<number>): Reason[] {
  const reasons = compiled.filter(({ all }) => all.every((some) => some.some((concept) => seen.has(concept)))).map(({ reason }) => reason);
  return reasons.length === 0 ? ['WORDING'] : reasons;
}
