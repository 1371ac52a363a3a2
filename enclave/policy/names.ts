// SPDX-License-Identifier: Apache-2.0
/**
 * Which names a rule covers. A rule that forbids or holds covers a name in every form that a lenient peer could read as
 * the forbidden one; a rule that permits covers the exact name only. Names are attacker-controlled.
 */
import { foldKey } from '../../shared/json/fold.ts';
import type { Glob } from './glob.ts';
import { withoutInvisible } from './invisible.ts';

/** A name in all forms that a deny or approval rule is compared with: as it is, and without what a reader may not see. */
export function formsOf(name: string): readonly string[] {
  const visible = withoutInvisible(name);
  const folded = foldKey(name);
  return [...new Set([name, name.trim(), visible, name.normalize('NFKC'), folded, fullForm(folded)])];
}

/** Folded once more after invisible characters are gone, because they can keep characters from being composed. */
function fullForm(folded: string): string {
  return foldKey(withoutInvisible(folded)).trim();
}

/** A tool as rules see it; made once per decision. */
export interface ToolNames {
  /** Server and tool, and the tool alone: exact. */
  readonly qualified: string;
  readonly bare: string;
  /** Both in all forms. */
  readonly forms: readonly string[];
}

export function toolNames(server: string, tool: string): ToolNames {
  const bare = formsOf(tool);
  const prefixed = bare.map((form) => `${server}.${form}`);
  return { qualified: `${server}.${tool}`, bare: tool, forms: [...prefixed, ...bare] };
}

/** True if a rule that forbids or holds covers one of the forms. */
export function restricts(glob: Glob, forms: readonly string[]): boolean {
  return forms.some((form) => glob.matches(form) || glob.matchesFolded(form));
}

/** True if a rule that permits covers the tool. The name alone counts only where no second server can take it. */
export function permits(glob: Glob, names: ToolNames, soleServer: boolean): boolean {
  return glob.matches(names.qualified) || (soleServer && glob.matches(names.bare));
}
