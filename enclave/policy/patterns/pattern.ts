// SPDX-License-Identifier: Apache-2.0
/** One entry of the library of patterns (design, section 6). */
import type { RedactionPattern } from '../types.ts';

export interface LibraryPattern {
  /** As a policy names it: `{use: github-token}`. */
  readonly name: string;
  readonly group: 'credentials' | 'personal';
  /** What it finds, in one line. */
  readonly about: string;
  /** RE2 syntax. */
  readonly source: string;
  readonly check?: Exclude<RedactionPattern['check'], undefined>;
  /** Also looked for in a member's name together with its value. */
  readonly members?: boolean;
}

/** The same as the redaction takes it; each match becomes `[REDACTED name]`. */
export function redactionOf(pattern: LibraryPattern): RedactionPattern {
  const { name, source, check, members } = pattern;
  return {
    name,
    source,
    replacement: `[REDACTED ${name}]`,
    ...(check === undefined ? {} : { check }),
    ...(members === undefined ? {} : { members }),
  };
}
