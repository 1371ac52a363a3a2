// SPDX-License-Identifier: Apache-2.0
/**
 * Rules that can never decide anything. They are errors, because their author believes that they do. Works on what could
 * be read of a document, so that these problems are reported together with those of its form.
 */
import { foldKey } from '../../shared/json/fold.ts';
import { POLICY_LIST_MAX } from '../../shared/limits.ts';
import { asRecord, listIn, memberOf } from '../document/raw.ts';
import { compileGlob, hasWildcard } from './glob.ts';
import { NEVER_DENIED } from './methods.ts';
import { scopesOf } from './scopes.ts';

/** What could be read; entries that are no text are undefined and keep their place. */
interface RuleLists {
  readonly defaultAllow: boolean;
  readonly denyTools: readonly (string | undefined)[];
  readonly allowTools: readonly (string | undefined)[];
  readonly requireApproval: readonly (string | undefined)[];
  readonly redactArgs: readonly (string | undefined)[];
  readonly redactResults: readonly (string | undefined)[];
  readonly deniedMethods: readonly string[];
}

export interface DeadRule {
  /** Place in the document. */
  readonly path: readonly (string | number)[];
  readonly problem: string;
  readonly hint: string;
}

/** All dead rules of a document, in no particular order. */
export function deadRules(raw: unknown): DeadRule[] {
  const isAllowed = defaultOf(raw) ?? true;
  return scopesOf(raw).flatMap(({ path, raw: scope }) => deadIn(readLists(scope, isAllowed)).map((dead) => ({ ...dead, path: [...path, ...dead.path] })));
}

/** True for allow; undefined where a section says nothing of its own. */
function defaultOf(raw: unknown): boolean | undefined {
  const said = memberOf(raw, 'default');
  return said === undefined ? undefined : said === 'allow';
}

function deadIn(lists: RuleLists): DeadRule[] {
  const { denyTools, allowTools, requireApproval, redactArgs, redactResults } = lists;
  return [
    ...repeated('deny_tools', denyTools, foldKey),
    ...repeated('allow_tools', allowTools, (pattern) => pattern),
    ...repeated('require_approval', requireApproval, foldKey),
    ...repeated('redact_args', redactArgs, (pattern) => pattern),
    ...repeated('redact_results', redactResults, (pattern) => pattern),
    ...(lists.defaultAllow ? withoutEffect(allowTools) : denied('allow_tools', allowTools, denyTools)),
    ...denied('require_approval', requireApproval, denyTools),
    ...undeniable(lists.deniedMethods),
  ];
}

/** What the lists of a scope hold, as far as it can be read. */
function readLists(raw: unknown, isAllowed: boolean): RuleLists {
  const entries = (key: string): (string | undefined)[] => listIn(raw, key, POLICY_LIST_MAX).map((entry) => (typeof entry === 'string' ? entry : undefined));
  const methods = Object.entries(asRecord(memberOf(raw, 'methods')));
  return {
    defaultAllow: defaultOf(raw) ?? isAllowed,
    denyTools: entries('deny_tools'),
    allowTools: entries('allow_tools'),
    requireApproval: entries('require_approval'),
    redactArgs: patternsIn(raw, 'redact_args'),
    redactResults: patternsIn(raw, 'redact_results'),
    deniedMethods: methods.filter(([, action]) => action === 'deny').map(([method]) => method),
  };
}

/** What entries of a list of redactions are told apart by. */
function patternsIn(raw: unknown, key: string): (string | undefined)[] {
  return listIn(raw, key, POLICY_LIST_MAX).map((entry) => {
    const [pattern, use] = [memberOf(entry, 'pattern'), memberOf(entry, 'use')];
    if (typeof pattern === 'string') return `pattern ${pattern}`;
    return typeof use === 'string' ? `use ${use}` : undefined;
  });
}

type Patterns = readonly (string | undefined)[];

function* present(patterns: Patterns): Generator<readonly [number, string]> {
  for (const [index, pattern] of patterns.entries()) {
    if (pattern !== undefined) yield [index, pattern];
  }
}

function repeated(key: string, patterns: Patterns, keyOf: (pattern: string) => string): DeadRule[] {
  const first = new Map<string, number>();
  const dead: DeadRule[] = [];
  for (const [index, pattern] of present(patterns)) {
    const before = first.get(keyOf(pattern));
    if (before === undefined) first.set(keyOf(pattern), index);
    else dead.push({ path: [key, index], problem: `${key}[${index}] repeats ${key}[${before}]`, hint: 'remove one of them' });
  }
  return dead;
}

function withoutEffect(allowTools: Patterns): DeadRule[] {
  return [...present(allowTools)].map(([index]) => ({
    path: ['allow_tools', index],
    problem: `allow_tools[${index}] has no effect: with 'default: allow' every tool is allowed that no other rule names`,
    hint: "write 'default: deny' to allow only these tools, or remove allow_tools",
  }));
}

/** Deny rules come first, so what they cover entirely is never asked for again. */
function denied(key: string, patterns: Patterns, denyTools: Patterns): DeadRule[] {
  const dead: DeadRule[] = [];
  for (const [index, pattern] of present(patterns)) {
    const cover = [...present(denyTools)].find(([, deny]) => covers(deny, pattern));
    if (cover === undefined) continue;
    const problem = `${key}[${index}] has no effect: deny_tools[${cover[0]}] denies all that it names`;
    dead.push({ path: [key, index], problem, hint: 'deny rules always win; remove one of the two' });
  }
  return dead;
}

/** True if one pattern names all that another does, as far as that can be told. */
export function covers(deny: string, pattern: string): boolean {
  if (deny === pattern || /^\*+$/.test(deny)) return true;
  if (hasWildcard(pattern)) return false;
  const glob = compileGlob(deny);
  return glob.ok && glob.glob.matches(pattern);
}

function undeniable(methods: readonly string[]): DeadRule[] {
  return methods
    .filter((method) => NEVER_DENIED.has(method))
    .map((method) => ({
      path: ['methods', method],
      problem: `${method} cannot be denied: without it no session works`,
      hint: 'remove the entry; what the method carries is judged in any case',
    }));
}
