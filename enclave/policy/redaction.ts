// SPDX-License-Identifier: Apache-2.0
/** Which patterns are applied to what: `redact_args` towards a server, `redact_results` from it, each with its section's. */
import type { Direction } from '../../shared/audit/row.ts';
import type { JsonValue } from '../../shared/json/value.ts';
import type { PolicyDocument, RedactionDocument } from './document-parts.ts';
import { libraryPatterns } from './patterns/library.ts';
import type { Redactor } from './redact.ts';
import { createRedactor } from './redact.ts';
import type { Redaction, RedactionPattern } from './types.ts';

export interface PolicyRedaction {
  /** Everything that any of them takes out. */
  readonly patterns: readonly RedactionPattern[];
  /** False where there is nothing to look for, so that messages need not be taken apart. */
  redacts(direction: Direction, server: string): boolean;
  redact(direction: Direction, server: string, value: JsonValue): Promise<Redaction>;
  close(): Promise<void>;
}

const REPLACEMENT = '[REDACTED]';

function patternsOf(entries: readonly RedactionDocument[], place: string): RedactionPattern[] {
  return entries.flatMap(({ by, replacement, decode }, index): RedactionPattern[] => {
    if (by.kind === 'pattern') return [{ name: `${place}[${index}]`, source: by.pattern, replacement: replacement ?? REPLACEMENT, decode }];
    const found = libraryPatterns(by.name);
    if (found === null) throw new RangeError('the document names a pattern that was not checked');
    return found.map((pattern) => ({ ...pattern, replacement: replacement ?? pattern.replacement, decode: decode || pattern.decode === true }));
  });
}

/** Redactors of one direction: those of servers with patterns of their own, and one for all others. */
class OneWay {
  readonly patterns: readonly RedactionPattern[];
  readonly #hasCommon: boolean;
  readonly #others: Redactor;
  readonly #own: ReadonlyMap<string, Redactor>;

  constructor(document: PolicyDocument, key: 'redactArgs' | 'redactResults', name: string) {
    const whole = patternsOf(document[key], name);
    const own = [...document.servers].filter(([, section]) => section[key].length > 0).map(([server, section]) => [server, patternsOf(section[key], `servers.${server}.${name}`)] as const);
    this.patterns = [...whole, ...own.flatMap(([, patterns]) => patterns)];
    this.#hasCommon = whole.length > 0;
    this.#others = createRedactor({ patterns: whole });
    this.#own = new Map(own.map(([server, patterns]) => [server, createRedactor({ patterns: [...patterns, ...whole] })]));
  }

  has(server: string): boolean {
    return this.#hasCommon || this.#own.has(server);
  }

  redact(server: string, value: JsonValue): Promise<Redaction> {
    return (this.#own.get(server) ?? this.#others).redact(value);
  }

  async close(): Promise<void> {
    await Promise.all([this.#others, ...this.#own.values()].map((redactor) => redactor.close()));
  }
}

export function createRedaction(document: PolicyDocument): PolicyRedaction {
  const toServer = new OneWay(document, 'redactArgs', 'redact_args');
  const toClient = new OneWay(document, 'redactResults', 'redact_results');
  return {
    patterns: [...toServer.patterns, ...toClient.patterns],
    redacts: (direction, server) => (direction === 'c2s' ? toServer : toClient).has(server),
    redact: (direction, server, value) => (direction === 'c2s' ? toServer : toClient).redact(server, value),
    close: async () => {
      await Promise.all([toServer.close(), toClient.close()]);
    },
  };
}
