// SPDX-License-Identifier: Apache-2.0
/** Two texts compared word by word. Pure, and bounded: of long texts only what differs between their equal ends counts. */
import { DIFF_WORDS_MAX } from '../../shared/limits.ts';

export interface Segment {
  readonly kind: 'same' | 'added' | 'removed';
  readonly text: string;
}

/** Words with the white space before them. */
function wordsOf(text: string): string[] {
  return text.match(/\s*\S+|\s+$/g) ?? [];
}

function push(segments: Segment[], kind: Segment['kind'], words: readonly string[]): void {
  const text = words.join('');
  const last = segments.at(-1);
  if (text === '') return;
  if (last?.kind === kind) segments[segments.length - 1] = { kind, text: last.text + text };
  else segments.push({ kind, text });
}

/** Lengths of the longest common subsequence of the rests from each place on. */
function table(old: readonly string[], now: readonly string[]): Uint16Array {
  const width = now.length + 1;
  const lengths = new Uint16Array((old.length + 1) * width);
  for (let i = old.length - 1; i >= 0; i -= 1) {
    for (let j = now.length - 1; j >= 0; j -= 1) {
      const at = i * width + j;
      lengths[at] = old[i] === now[j] ? (lengths[at + width + 1] ?? 0) + 1 : Math.max(lengths[at + width] ?? 0, lengths[at + 1] ?? 0);
    }
  }
  return lengths;
}

function compareMiddle(segments: Segment[], old: readonly string[], now: readonly string[]): void {
  if (old.length > DIFF_WORDS_MAX || now.length > DIFF_WORDS_MAX) {
    push(segments, 'removed', old);
    push(segments, 'added', now);
    return;
  }
  const lengths = table(old, now);
  const width = now.length + 1;
  let [i, j] = [0, 0];
  while (i < old.length || j < now.length) {
    const [was, is] = [old[i], now[j]];
    if (was !== undefined && was === is) {
      push(segments, 'same', [was]);
      [i, j] = [i + 1, j + 1];
    } else if (was !== undefined && (is === undefined || (lengths[(i + 1) * width + j] ?? 0) >= (lengths[i * width + j + 1] ?? 0))) {
      push(segments, 'removed', [was]);
      i += 1;
    } else if (is !== undefined) {
      push(segments, 'added', [is]);
      j += 1;
    }
  }
}

/** The segments of both texts in order: those that are not `added` are the old text, those not `removed` the new one. */
export function compareWords(old: string, now: string): readonly Segment[] {
  const [before, after] = [wordsOf(old), wordsOf(now)];
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start += 1;
  let end = 0;
  while (end < before.length - start && end < after.length - start && before.at(-1 - end) === after.at(-1 - end)) end += 1;
  const segments: Segment[] = [];
  push(segments, 'same', before.slice(0, start));
  compareMiddle(segments, before.slice(start, before.length - end), after.slice(start, after.length - end));
  push(segments, 'same', before.slice(before.length - end));
  return segments;
}
