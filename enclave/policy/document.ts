// SPDX-License-Identifier: Apache-2.0
/**
 * Reads a policy document, version 1: YAML in its plainest form (no anchors, aliases or tags), every key known, every
 * pattern compiled, every rule able to take effect. All problems are reported at once, each with line, column and hint.
 */
import { POLICY_BYTES_MAX } from '../../shared/limits.ts';
import { explain } from '../document/explain.ts';
import { problemsError } from '../document/problem.ts';
import type { DocumentKind } from '../document/wording.ts';
import type { Yaml } from '../document/yaml.ts';
import { readYaml } from '../document/yaml.ts';
import { deadRules } from './deadrules.ts';
import { misfits } from './misfits.ts';
import { deadRulesIn } from './warnings.ts';
import type { PolicyDocument } from './document-parts.ts';
import { POLICY_KEYS, readForm } from './schema.ts';

/** A document with the places of its parts. */
export interface ReadPolicy {
  readonly document: PolicyDocument;
  readonly yaml: Yaml;
}

/**
 * Parses and checks a document. `file` names it in messages.
 * @throws Usage (POLICY_INVALID) with all problems
 */
export function parsePolicy(bytes: Uint8Array, file: string): PolicyDocument {
  return readPolicy(bytes, file).document;
}

/** The same, with what is needed to say where something stands. */
export function readPolicy(bytes: Uint8Array, file: string): ReadPolicy {
  const yaml = readYaml(bytes, file, POLICY);
  const problems = [...yaml.problems];
  const parsed = readForm(yaml.value);
  if (!parsed.ok) {
    for (const issue of parsed.issues) problems.push(...explain(issue, yaml, POLICY));
  }
  for (const dead of [...deadRules(yaml.value), ...misfits(yaml.value)]) {
    problems.push({ ...yaml.keyAt(dead.path), problem: dead.problem, hint: dead.hint });
  }
  if (!parsed.ok || problems.length > 0) throw problemsError(file, problems, POLICY.code);
  const { document } = parsed;
  const dead = deadRulesIn(document).map(({ path, problem, hint }) => ({ ...yaml.keyAt(path), problem, hint }));
  if (dead.length > 0) throw problemsError(file, dead, POLICY.code);
  return { document, yaml };
}

const POLICY: DocumentKind = {
  noun: 'the policy',
  code: 'POLICY_INVALID',
  bytesMax: POLICY_BYTES_MAX,
  keys: POLICY_KEYS,
  hints: {
    tooLarge: 'write fewer, more general patterns',
    tooDeep: 'a policy needs a few levels only',
    star: "quote a pattern that begins with a star: '*.delete'",
    manual: 'see the comments of the starter policy: mcp-bastion init',
    missing: new Map([['version', "begin the policy with 'version: 1'"]]),
  },
};
