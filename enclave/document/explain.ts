// SPDX-License-Identifier: Apache-2.0
/** Findings of a zod schema as problems with their places in the document. */
import type * as z from 'zod';
import type { Checked, Explained, Problem } from './problem.ts';
import type { DocumentKind } from './wording.ts';
import { missing, pathLabel, unknownKey, wrongType, wrongWord } from './wording.ts';
import type { Yaml } from './yaml.ts';

/** Reports a finding of a check of our own, at the value that is checked or at `path` in it; `at`: at its key instead. */
export function report(ctx: z.RefinementCtx, { problem, hint, code }: Explained, path: (string | number)[] = [], at: 'key' | 'value' = 'value'): void {
  ctx.addIssue({ code: 'custom', message: problem, path, params: { hint, code, at } });
}

/** A check that a text can be read. */
export function readable(read: (text: string) => Checked<unknown>): (text: string, ctx: z.RefinementCtx) => void {
  return (text, ctx) => {
    const checked = read(text);
    if (!checked.ok) report(ctx, checked);
  };
}

/** A finding of the schema as problems with their places. */
export function explain(issue: z.core.$ZodIssue, yaml: Yaml, kind: DocumentKind): Problem[] {
  const { path } = issue;
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ ...yaml.keyAt([...path, key]), ...unknownKey(path, key, kind) }));
  }
  if (issue.code === 'invalid_key') {
    return issue.issues.flatMap((inner) => explain({ ...inner, path }, yaml, kind)).map((problem) => ({ ...problem, ...yaml.keyAt(path) }));
  }
  if (issue.code === 'invalid_union') {
    // What the author meant is the form whose outside fits.
    const meant = issue.errors.find((branch) => branch.every((inner) => inner.path.length > 0)) ?? issue.errors[0] ?? [];
    return meant.flatMap((inner) => explain({ ...inner, path: [...path, ...inner.path] }, yaml, kind));
  }
  const atKey = issue.code === 'custom' && issue.params?.['at'] === 'key';
  return [{ ...(atKey ? yaml.keyAt(path) : yaml.valueAt(path)), ...explainValue(issue, pathLabel(path, kind), kind) }];
}

function explainValue(issue: z.core.$ZodIssue, label: string, kind: DocumentKind): Explained {
  if (issue.code === 'custom') {
    const hint: unknown = issue.params?.['hint'];
    const explained = { problem: `${label}: ${issue.message}`, hint: typeof hint === 'string' ? hint : kind.hints.manual };
    return issue.params?.['code'] === 'SECRET_IN_CONFIG' ? { ...explained, code: 'SECRET_IN_CONFIG' } : explained;
  }
  if (issue.code === 'invalid_value' || issue.code === 'invalid_type') {
    if (issue.input === undefined) return missing(label, kind);
    return issue.code === 'invalid_value' ? wrongWord(label, issue.values) : wrongType(label, issue.expected, issue.input, kind);
  }
  if (issue.code === 'too_big') return { problem: `${label} is above the limit of ${issue.maximum}`, hint: 'make it smaller' };
  if (issue.code === 'too_small') {
    if (issue.origin !== 'string' && issue.origin !== 'array') return { problem: `${label} is below ${issue.minimum}`, hint: 'make it larger' };
    return { problem: `${label} is empty`, hint: 'write a value, or remove the key' };
  }
  return { problem: `${label} is not valid`, hint: kind.hints.manual };
}
