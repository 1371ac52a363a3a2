// SPDX-License-Identifier: Apache-2.0
/**
 * Seeds: texts with choices `{one|other}` and slots `{email}`. A seed becomes as many texts as are asked for. What is in
 * braces and is neither is left as it is, so that JSON can stand in a seed.
 */
import type { Random } from './random.ts';
import { SLOTS } from './slots.ts';

export interface Seed {
  readonly text: string;
  readonly family: string;
  readonly kind: 'tool' | 'result' | 'both';
  readonly lang: string;
}

/** Reads a file of seeds: a line `# family=.. kind=.. lang=..` holds for the lines after it. */
export function readSeeds(file: string): Seed[] {
  const seeds: Seed[] = [];
  let head = new Map<string, string>();
  for (const line of file.split('\n')) {
    if (line.startsWith('# family=')) {
      head = new Map(line.slice(2).split(' ').map((pair): [string, string] => [pair.split('=')[0] ?? '', pair.split('=')[1] ?? '']));
    } else if (line !== '') {
      const kind = head.get('kind');
      if (kind !== 'tool' && kind !== 'result' && kind !== 'both') throw new TypeError(`a seed has no kind: ${line}`);
      seeds.push({ text: line, family: head.get('family') ?? '', kind, lang: head.get('lang') ?? 'en' });
    }
  }
  return seeds;
}

const INNERMOST = /\{([^{}]*)\}/;
const OPEN = '\ue000';
const CLOSE = '\ue001';
const BAR = '\ue002';

/** One text of a seed. */
export function expand(seed: string, random: Random): string {
  let text = seed;
  for (let match = INNERMOST.exec(text); match !== null; match = INNERMOST.exec(text)) {
    const filled = fill(match[1] ?? '', random);
    text = text.slice(0, match.index) + filled + text.slice(match.index + match[0].length);
  }
  return text.replaceAll(OPEN, '{').replaceAll(CLOSE, '}').replaceAll(BAR, '|').replaceAll('\\n', '\n');
}

function fill(inner: string, random: Random): string {
  if (inner.includes('|') && !inner.includes('"id"')) return random.pick(inner.split('|'));
  const gerund = inner === 'goal_ing';
  const name = gerund ? 'goal' : inner.toLowerCase();
  const values = SLOTS.get(name);
  if (values === undefined) return OPEN + inner + CLOSE;
  const value = random.pick(values);
  const safe = value.includes('{') ? value : value.replaceAll('|', BAR);
  if (gerund) return safe.replace(/^(\w+?)e? /, '$1ing ');
  return inner !== name && inner.charAt(0) === inner.charAt(0).toUpperCase() ? capital(safe) : safe;
}

function capital(value: string): string {
  return value.charAt(0).toUpperCase() + value.slice(1);
}
