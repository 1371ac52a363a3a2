// SPDX-License-Identifier: Apache-2.0
/** What is reported for a configuration, as tests compare it. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { parseConfig } from '../../../enclave/config/document.ts';
import { Usage } from '../../../shared/errors.ts';

export interface Report {
  readonly code: string;
  /** `LINE:COLUMN: problem | hint`, in the order in which they are printed. */
  readonly problems: readonly string[];
}

/** The report of an error that names the file `b.yaml`. */
export function reportOf(error: unknown): Report {
  assert.ok(error instanceof Usage, String(error));
  const lines = [...error.message.split('\n'), `hint: ${error.hint}`];
  const problems = lines.flatMap((line, index) =>
    index % 2 === 1 ? [] : [`${line.replace(/^b\.yaml:/, '')} | ${(lines[index + 1] ?? '').replace(/^hint: /, '')}`],
  );
  return { code: error.code, problems };
}

/** The report for a text, or null if it is accepted. */
export function report(text: string | Uint8Array): Report | null {
  try {
    parseConfig(typeof text === 'string' ? new TextEncoder().encode(text) : text, 'b.yaml');
    return null;
  } catch (error) {
    return reportOf(error);
  }
}

/** Texts that are refused with the same problems. */
export type Refused = readonly [texts: readonly string[], ...expected: readonly string[]];

/** One test for every text; `before` stands in front of each. */
export function testRefused(rows: readonly Refused[], before: string, code = 'CONFIG_INVALID'): void {
  for (const [texts, ...problems] of rows) {
    for (const text of texts) {
      test(`a configuration is refused at its place: ${text.slice(0, 90).replaceAll('\n', ' | ')}`, () => {
        assert.deepEqual(report(before + text), { code, problems });
      });
    }
  }
}
