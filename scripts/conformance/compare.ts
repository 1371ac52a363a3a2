// SPDX-License-Identifier: Apache-2.0
/**
 * Compares two runs check by check. Totals would hide a check that no longer runs behind one that now passes, and some
 * scenarios pass without checking anything.
 */
import type { Check, Scenarios, Status } from './results.ts';

export type Rule =
  /** Every check has the same outcome. */
  | 'equal'
  /** No check has a worse outcome: for a baseline that is itself a lossy proxy. */
  | 'no-worse';

export interface Difference {
  readonly scenario: string;
  readonly check: string;
  readonly before: Outcome;
  readonly after: Outcome;
  readonly detail: string;
}

export type Outcome = Exclude<Status, 'INFO'> | 'NOT RUN';

const RANK: Readonly<Record<Outcome, number>> = { 'NOT RUN': 0, FAILURE: 1, WARNING: 2, SKIPPED: 3, SUCCESS: 4 };

interface Group {
  outcome: Outcome;
  detail: string;
}

/** The worst outcome of each check; notes (INFO) are left out, they tell what was on the wire and not how it went. */
function outcomes(checks: readonly Check[]): Map<string, Group> {
  const groups = new Map<string, Group>();
  for (const { id, name, status, errorMessage } of checks) {
    if (status === 'INFO') continue;
    const key = `${id} (${name})`;
    const known = groups.get(key);
    if (known === undefined || RANK[status] < RANK[known.outcome]) groups.set(key, { outcome: status, detail: errorMessage ?? '' });
  }
  return groups;
}

function differs(rule: Rule, before: Outcome, after: Outcome): boolean {
  // A gateway lists on its own account: what it adds may be checked too, and has to pass.
  if (before === 'NOT RUN') return after === 'FAILURE' || after === 'WARNING';
  if (rule === 'equal') return before !== after;
  // What failed before and is not even tried any more has not become worse.
  return after === 'NOT RUN' ? before === 'SUCCESS' : RANK[after] < RANK[before];
}

export function compare(rule: Rule, before: Scenarios, after: Scenarios): Difference[] {
  const found: Difference[] = [];
  for (const scenario of new Set([...before.keys(), ...after.keys()])) {
    const old = outcomes(before.get(scenario) ?? []);
    const now = outcomes(after.get(scenario) ?? []);
    for (const check of new Set([...old.keys(), ...now.keys()])) {
      const was = old.get(check)?.outcome ?? 'NOT RUN';
      const is = now.get(check)?.outcome ?? 'NOT RUN';
      if (!differs(rule, was, is)) continue;
      found.push({ scenario, check, before: was, after: is, detail: now.get(check)?.detail ?? '' });
    }
  }
  return found;
}

/** Scenarios that are expected to differ and do not: the expectation is out of date and hides the next regression. */
export function stale(expected: Iterable<string>, found: readonly Difference[]): string[] {
  const differing = new Set(found.map((difference) => difference.scenario));
  return [...expected].filter((scenario) => !differing.has(scenario));
}
