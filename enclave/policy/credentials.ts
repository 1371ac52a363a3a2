// SPDX-License-Identifier: Apache-2.0
/** Credentials that are taken out of everything stored or logged, whatever the policy says: those of the library. */
import { libraryPatterns } from './patterns/library.ts';
import type { RedactionPattern } from './types.ts';

/** Built-in patterns; each match becomes `[REDACTED name]`. */
export const CREDENTIAL_PATTERNS: readonly RedactionPattern[] = libraryPatterns('credentials') ?? [];
