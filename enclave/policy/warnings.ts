// SPDX-License-Identifier: Apache-2.0
/** What a valid policy says that its author may not mean: rules that are never reached, and rules that cover everything. */
import { covers } from './deadrules.ts';
import type { PolicyDocument, RuleDocument, ScopeDocument } from './document-parts.ts';

export interface Warning {
  /** Place in the document. */
  readonly path: readonly (string | number)[];
  readonly problem: string;
  readonly hint: string;
}

/** Text that any pattern about everything matches. */
const ANYTHING = ['a', 'read_file', '0', 'some text, 42'];

function coversAll(pattern: string): boolean {
  return /^\*+$/.test(pattern);
}

function* scopes(document: PolicyDocument): Generator<{ readonly path: readonly string[]; readonly scope: ScopeDocument; readonly otherwise: 'allow' | 'deny' }> {
  yield { path: [], scope: document, otherwise: document.default };
  for (const [server, section] of document.servers) yield { path: ['servers', server], scope: section, otherwise: section.default ?? document.default };
}

/** True if an earlier rule leaves nothing of a later one. */
function shadows(earlier: RuleDocument, later: RuleDocument): boolean {
  if (earlier.action === 'alert' || earlier.observe || earlier.when.length > 0) return false;
  const within = (all: readonly string[], some: readonly string[]): boolean => all.length === 0 || (some.length > 0 && some.every((one) => all.some((other) => covers(other, one))));
  // What permits covers the exact name only: it does not shadow what covers other spellings too.
  if (earlier.action === 'allow' && later.action !== 'allow' && !earlier.tools.some(coversAll)) return false;
  return within(earlier.servers, later.servers) && within(earlier.principals, later.principals) && later.tools.every((tool) => earlier.tools.some((other) => covers(other, tool)));
}

/** Rules that are never reached; `stopped`: because everything is decided before them, as in an emergency. */
function* unreached(path: readonly string[], { rules, denyTools, observe }: ScopeDocument): Generator<Warning & { readonly stopped: boolean }> {
  for (const [index, rule] of rules.entries()) {
    const place = [...path, 'rules', index];
    const before = rules.slice(0, index).findIndex((earlier) => !observe && shadows(earlier, rule));
    const stops = before !== -1 && rules[before]?.tools.some(coversAll) === true;
    if (before !== -1) yield { path: place, problem: `rules[${index}] is never reached: rules[${before}] decides all that it names`, hint: 'put the narrower rule first, or remove one of them', stopped: stops };
    if (observe || !rule.tools.every((tool) => denyTools.some((deny) => covers(deny, tool)))) continue;
    yield { path: place, problem: `rules[${index}] is never reached: deny_tools denies all that it names`, hint: 'deny_tools always wins; remove one of the two', stopped: denyTools.some(coversAll) };
  }
}

/** Rules that can never decide anything. They are errors, unless everything was stopped before them on purpose. */
export function deadRulesIn(document: PolicyDocument): Warning[] {
  return [...scopes(document)].flatMap(({ path, scope }) => [...unreached(path, scope)].filter(({ stopped }) => !stopped));
}

function* ruleWarnings(path: readonly string[], scope: ScopeDocument): Generator<Warning> {
  for (const { path: place, problem, hint } of unreached(path, scope)) yield { path: place, problem, hint };
  for (const [index, rule] of scope.rules.entries()) {
    const place = [...path, 'rules', index];
    if (rule.when.length === 0 && rule.principals.length === 0 && rule.servers.length === 0 && rule.tools.some(coversAll) && rule.action !== 'alert') {
      yield { path: place, problem: `rules[${index}] decides every call that gets to it`, hint: rule.action === 'allow' ? "nothing after it is asked, require_approval and 'default' included" : 'name the tools that are meant, or add conditions' };
    }
  }
}

function* listWarnings(path: readonly string[], scope: ScopeDocument, otherwise: 'allow' | 'deny'): Generator<Warning> {
  const at = scope.denyTools.findIndex(coversAll);
  if (at !== -1) yield { path: [...path, 'deny_tools', at], problem: 'every tool is denied', hint: "write 'default: deny' and name what is allowed" };
  const all = scope.allowTools.findIndex(coversAll);
  if (all !== -1 && otherwise === 'deny') yield { path: [...path, 'allow_tools', all], problem: "every tool is allowed, although 'default' is deny", hint: "name the tools that are meant, or write 'default: allow'" };
  for (const { pattern, action } of scope.methods) {
    if (coversAll(pattern) && action === 'allow') yield { path: [...path, 'methods', pattern], problem: 'every method is allowed, sampling, elicitation of URLs and methods that no revision defines included', hint: 'name the methods that are meant' };
  }
}

function* redactionWarnings(path: readonly string[], scope: ScopeDocument): Generator<Warning> {
  const lists = [['redact_args', scope.redactArgs], ['redact_results', scope.redactResults]] as const;
  for (const [key, entries] of lists) {
    for (const [index, { by }] of entries.entries()) {
      if (by.kind === 'pattern' && /^\(*\.[*+]\)*$|^\[\\s\\S\][*+]$/.test(by.pattern)) yield { path: [...path, key, index], problem: 'the pattern takes out every text', hint: `it matches '${ANYTHING.join("', '")}' and all else; name what is secret` };
    }
  }
}

/** True where something waits for an approval that nobody can give. */
function holds(scope: ScopeDocument): boolean {
  return scope.requireApproval.length > 0 || scope.rules.some((rule) => rule.action === 'approve');
}

/** All warnings, in no particular order. */
export function warnings(document: PolicyDocument): Warning[] {
  const found: Warning[] = [];
  for (const { path, scope, otherwise } of scopes(document)) {
    found.push(...ruleWarnings(path, scope), ...listWarnings(path, scope, otherwise), ...redactionWarnings(path, scope));
    if (document.approval.approvers.size === 0 && holds(scope)) {
      found.push({ path: [...path, scope.requireApproval.length > 0 ? 'require_approval' : 'rules'], problem: 'calls are held, and nobody can approve them: they are refused', hint: 'add approval.approvers; see: mcp-bastion approver new' });
    }
  }
  if (document.observe) found.push({ path: ['mode'], problem: 'nothing is denied: the policy only observes', hint: "write 'mode: enforce' once the log shows what you expect" });
  return found;
}
