// SPDX-License-Identifier: Apache-2.0
/** Puts what a script measured into README.md, between the markers of that script. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Replaces what stands between `<!-- marker -->` and `<!-- /marker -->`. */
export function intoReadme(marker: string, text: string): void {
  const file = join(import.meta.dirname, '..', 'README.md');
  const marked = new RegExp(`(<!-- ${marker} -->\\n)[^]*(<!-- /${marker} -->)`);
  writeFileSync(file, readFileSync(file, 'utf8').replace(marked, (_all, from: string, to: string) => `${from}${text}${to}`));
}
