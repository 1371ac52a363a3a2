// SPDX-License-Identifier: Apache-2.0
/** What a comparison finds, in words for a person; values of the server's stand in it quoted and escaped. */
import { canonicalJson } from '../../shared/json/canonical.ts';
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { isJsonObject } from '../../shared/json/value.ts';
import { DIFF_DEPTH_MAX } from '../../shared/limits.ts';
import { skeleton } from './shadow.ts';
import { hiddenIn, quoted } from './shown.ts';
import type { Segment } from './words.ts';
import { compareWords } from './words.ts';

/**
 * `hidden`: text that a person cannot see was added; `widened`: more is taken or done than before; `text`: what a model
 * reads is another; `other`: what a program reads is; `cosmetic`: what only a screen shows.
 */
export type Severity = 'hidden' | 'widened' | 'text' | 'other' | 'cosmetic';

export const SEVERITIES: readonly Severity[] = ['hidden', 'widened', 'text', 'other', 'cosmetic'];

export type Path = readonly (string | number)[];

export interface Change {
  readonly severity: Severity;
  readonly path: Path;
  /** What happened there, safe to show: `is required now`. */
  readonly what: string;
  /** The texts, raw: whoever shows them has to escape them. */
  readonly segments: readonly Segment[];
}

/** A member of a peer's object; never one of a prototype. */
export function own(value: JsonValue | undefined, key: string): JsonValue | undefined {
  return isJsonObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

export function sameValue(left: JsonValue, right: JsonValue): boolean {
  return canonicalJson(left) === canonicalJson(right);
}

/** A value as text: strings as they are, all else as JSON. */
export function textOf(value: JsonValue): string {
  return typeof value === 'string' ? value : canonicalJson(value);
}

function hiddenWithin(value: JsonValue): number {
  return hiddenIn(canonicalJson(value));
}

const SHOWN_LENGTH_MAX = 80;

/** A value as it stands in a sentence; null for one that is too long for that. */
function brief(value: JsonValue): string | null {
  const text = quoted(textOf(value));
  return text.length <= SHOWN_LENGTH_MAX ? text : null;
}

function isProse(value: JsonValue): value is string {
  return typeof value === 'string' && (value.length > SHOWN_LENGTH_MAX || /\s/.test(value));
}

/** Collects the changes of one comparison. */
export class Changes {
  readonly found: Change[] = [];

  add(severity: Severity, path: Path, what: string, segments: readonly Segment[] = []): void {
    this.found.push({ severity, path, what, segments });
  }

  added(severity: Severity, path: Path, value: JsonValue, what = 'added'): void {
    this.#sayHidden(path, hiddenWithin(value) + hiddenIn(String(path.at(-1) ?? '')));
    this.add(severity, path, what, [{ kind: 'added', text: textOf(value) }]);
  }

  removed(severity: Severity, path: Path, value: JsonValue, what = 'removed'): void {
    this.add(severity, path, what, [{ kind: 'removed', text: textOf(value) }]);
  }

  renamed(severity: Severity, path: Path, from: string, to: string, what: string): void {
    this.#sayHidden([...path, to], hiddenIn(to));
    this.#sayLookalike([...path, to], from, to);
    this.add(severity, [...path, to], what, [{ kind: 'removed', text: from }, { kind: 'added', text: to }]);
  }

  /** Nobody sees a letter that another alphabet's took the place of. */
  #sayLookalike(path: Path, was: string, is: string): void {
    if (was !== is && hiddenIn(is) <= hiddenIn(was) && /[^\0-\x7f]/.test(is) && skeleton(was) === skeleton(is)) this.add('hidden', path, 'letters were replaced by others that look the same');
  }

  #sayHidden(path: Path, count: number): void {
    if (count > 0) this.add('hidden', path, `${count} character${count === 1 ? '' : 's'} that cannot be seen added`);
  }

  /** Two values of which one took the place of the other. */
  replaced(severity: Severity, path: Path, old: JsonValue, now: JsonValue): void {
    this.#sayHidden(path, Math.max(0, hiddenWithin(now) - hiddenWithin(old)));
    const [was, is] = [textOf(old), textOf(now)];
    this.#sayLookalike(path, was, is);
    const [shortOld, shortNow] = [brief(old), brief(now)];
    if (isProse(old) || isProse(now)) this.add(severity, path, 'changed', compareWords(was, is));
    else if (was === is || shortOld === null || shortNow === null) this.add(severity, path, 'changed', [{ kind: 'removed', text: canonicalJson(old) }, { kind: 'added', text: canonicalJson(now) }]);
    else this.add(severity, path, `changed from ${shortOld} to ${shortNow}`);
  }

  /** Values of which nothing is known: objects by member, lists of one length by place. */
  values(severity: Severity, path: Path, old: JsonValue, now: JsonValue): void {
    if (sameValue(old, now)) return;
    if (path.length < DIFF_DEPTH_MAX && isJsonObject(old) && isJsonObject(now)) {
      this.members(old, now, (key, was, is) => this.member(severity, [...path, key], was, is));
    } else if (path.length < DIFF_DEPTH_MAX && Array.isArray(old) && Array.isArray(now) && old.length === now.length) {
      for (const [at, was] of old.entries()) this.values(severity, [...path, at], was, now[at] ?? null);
    } else {
      this.replaced(severity, path, old, now);
    }
  }

  member(severity: Severity, path: Path, old: JsonValue | undefined, now: JsonValue | undefined): void {
    if (old === undefined && now !== undefined) this.added(severity, path, now);
    else if (old !== undefined && now === undefined) this.removed(severity, path, old);
    else if (old !== undefined && now !== undefined) this.values(severity, path, old, now);
  }

  /** Visits each member that is not the same in both. */
  members(old: JsonObject, now: JsonObject, visit: (key: string, was: JsonValue | undefined, is: JsonValue | undefined) => void): void {
    for (const key of new Set([...Object.keys(old), ...Object.keys(now)])) {
      const [was, is] = [own(old, key), own(now, key)];
      if (was === undefined || is === undefined || !sameValue(was, is)) visit(key, was, is);
    }
  }
}
