// SPDX-License-Identifier: Apache-2.0
/** What does not fit together in a policy, key by key valid as it may be: approvers that are not there, names given twice. */
import { POLICY_LIST_MAX } from '../../shared/limits.ts';
import { asRecord, listIn, memberOf } from '../document/raw.ts';
import type { DeadRule } from './deadrules.ts';
import { scopesOf } from './scopes.ts';

type Path = readonly (string | number)[];

/** All of them, in no particular order. */
export function misfits(raw: unknown): DeadRule[] {
  const approval = memberOf(raw, 'approval');
  const keys = Object.entries(asRecord(memberOf(approval, 'approvers')));
  const known = new Set(keys.map(([name]) => name));
  return [
    ...repeatedKeys(keys),
    ...tooMany(approval, known.size),
    ...scopesOf(raw).flatMap(({ path, raw: scope }) => [...repeatedIds(path, 'rules', scope), ...repeatedIds(path, 'limits', scope), ...serversInSection(path, scope), ...approverMisfits(path, scope, known, memberOf(approval, 'approvals'))]),
  ];
}

function repeatedKeys(keys: readonly (readonly [string, unknown])[]): DeadRule[] {
  const first = new Map<unknown, string>();
  const found: DeadRule[] = [];
  for (const [name, key] of keys) {
    if (typeof key !== 'string') continue;
    if (first.has(key)) found.push({ path: ['approval', 'approvers', name], problem: `${name} has the key of ${first.get(key)}`, hint: 'every approver needs a key of his own' });
    else first.set(key, name);
  }
  return found;
}

function tooMany(approval: unknown, approvers: number): DeadRule[] {
  const needed = memberOf(approval, 'approvals');
  if (typeof needed !== 'number' || needed <= approvers) return [];
  return [{ path: ['approval', 'approvals'], problem: `${needed} approvals are needed, and there are ${approvers} approvers`, hint: 'name more approvers, or ask for fewer approvals' }];
}

function repeatedIds(path: Path, key: string, scope: unknown): DeadRule[] {
  const seen = new Set<string>();
  const found: DeadRule[] = [];
  for (const [index, entry] of listIn(scope, key, POLICY_LIST_MAX).entries()) {
    const id = memberOf(entry, 'id');
    if (typeof id !== 'string') continue;
    if (seen.has(id)) found.push({ path: [...path, key, index, 'id'], problem: `${key} has the id of this one twice`, hint: 'rows of the log name rules by their id: give each its own' });
    seen.add(id);
  }
  return found;
}

function serversInSection(path: Path, scope: unknown): DeadRule[] {
  if (path.length === 0) return [];
  return ['rules', 'limits'].flatMap((key) => [...listIn(scope, key, POLICY_LIST_MAX).entries()]
    .filter(([, entry]) => memberOf(entry, 'servers') !== undefined)
    .map(([index]) => ({ path: [...path, key, index, 'servers'], problem: "servers has no effect in a server's section", hint: 'remove it, or move the entry out of the section' })));
}

function approverMisfits(path: Path, scope: unknown, known: ReadonlySet<string>, usual: unknown): DeadRule[] {
  const found: DeadRule[] = [];
  for (const [index, rule] of listIn(scope, 'rules', POLICY_LIST_MAX).entries()) {
    const place = [...path, 'rules', index];
    const named = listIn(rule, 'approvers', POLICY_LIST_MAX).filter((name) => typeof name === 'string');
    for (const [at, name] of named.entries()) {
      if (!known.has(name)) found.push({ path: [...place, 'approvers', at], problem: 'approval.approvers has no key of this approver', hint: 'add it there, or name another one' });
    }
    const own = memberOf(rule, 'approvals');
    // Without a number of its own a rule that names approvers needs the usual number of them.
    const needed = own ?? (named.length > 0 ? usual : undefined);
    const possible = named.length > 0 ? new Set(named).size : known.size;
    if (typeof needed === 'number' && needed > possible) {
      found.push({ path: [...place, own === undefined ? 'approvers' : 'approvals'], problem: `${needed} approvals are needed, and ${possible} can give one`, hint: 'name more approvers, or ask for fewer approvals' });
    }
  }
  return found;
}
