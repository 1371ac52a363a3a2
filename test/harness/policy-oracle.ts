// SPDX-License-Identifier: Apache-2.0
/**
 * What a policy decides, said a second time: naive, slow, and sharing nothing with the product, so that both can be
 * compared. Only plain ASCII names, conditions on whole texts and no disguises, which have tables of their own.
 */

/** fnmatch by brute force: every way to split a name is tried. */
export function oracleGlob(pattern: string, name: string): boolean {
  if (pattern === '') return name === '';
  const rest = (length: number): string => pattern.slice(length);
  if (pattern.startsWith('*')) {
    for (let taken = 0; taken <= name.length; taken += 1) if (oracleGlob(rest(1), name.slice(taken))) return true;
    return false;
  }
  if (name === '') return false;
  const first = name.charAt(0);
  if (pattern.startsWith('?')) return oracleGlob(rest(1), name.slice(1));
  if (pattern.startsWith('[')) {
    const end = pattern.indexOf(']', pattern.startsWith('[!') ? 3 : 2);
    const inside = pattern.slice(1, end);
    const isNegated = inside.startsWith('!');
    const listed = isNegated ? inside.slice(1) : inside;
    let isListed = false;
    for (let at = 0; at < listed.length; at += 1) {
      if (listed.charAt(at + 1) === '-' && at + 2 < listed.length) {
        if (first >= listed.charAt(at) && first <= listed.charAt(at + 2)) isListed = true;
        at += 2;
      } else if (first === listed.charAt(at)) {
        isListed = true;
      }
    }
    return isListed !== isNegated && oracleGlob(rest(end + 1), name.slice(1));
  }
  return pattern.charAt(0) === first && oracleGlob(rest(1), name.slice(1));
}

export interface OracleRule {
  readonly tools: readonly string[];
  readonly servers: readonly string[];
  readonly principals: readonly string[];
  /** The argument `a` has to be this; null for no condition. */
  readonly wanted: string | null;
  readonly action: 'allow' | 'deny' | 'approve' | 'alert';
  readonly observe: boolean;
}

export interface OracleScope {
  readonly deny: readonly string[];
  readonly rules: readonly OracleRule[];
  readonly approve: readonly string[];
  readonly allow: readonly string[];
}

export interface OraclePolicy extends OracleScope {
  readonly otherwise: 'allow' | 'deny';
  /** Of the server `s1`; null for none. */
  readonly section: (OracleScope & { readonly otherwise: 'allow' | 'deny' | null }) | null;
}

export interface OracleCall {
  readonly server: string;
  readonly tool: string;
  readonly sole: boolean;
  readonly principal: string;
  /** The argument `a`; null for a call without it. */
  readonly a: string | null;
}

/** The kind of decision that a listing asks for: the best that any value of `a` could lead to. */
export function oracleListing(policy: OraclePolicy, call: OracleCall): string {
  const kinds = ['x', 'y', 'z', null].map((a) => oracleDecision(policy, { ...call, a }).split(' ')[0]);
  return ['allow', 'hold', 'deny'].find((kind) => kinds.includes(kind)) ?? 'none';
}

/** `allow`, `deny` or `hold`, and the mark of an allowed call: `alert`, `deny`, `hold` or none. */
export function oracleDecision(policy: OraclePolicy, call: OracleCall): string {
  const section = call.server === 's1' ? policy.section : null;
  const scopes = [...(section === null ? [] : [{ scope: section, isSection: true }]), { scope: policy, isSection: false }];
  const restricted = (patterns: readonly string[]): boolean => patterns.some((one) => oracleGlob(one, call.tool) || oracleGlob(one, `${call.server}.${call.tool}`));
  const permitted = (patterns: readonly string[], isSection: boolean): boolean => patterns.some((one) => oracleGlob(one, `${call.server}.${call.tool}`) || ((call.sole || isSection) && oracleGlob(one, call.tool)));
  if (scopes.some(({ scope }) => restricted(scope.deny))) return 'deny';
  let isAlert = false;
  let observed: string | null = null;
  for (const { scope, isSection } of scopes) {
    for (const rule of scope.rules) {
      const isAbout = rule.action === 'allow' ? permitted(rule.tools, isSection) : restricted(rule.tools);
      if (!isAbout) continue;
      if (rule.servers.length > 0 && !rule.servers.some((one) => oracleGlob(one, call.server))) continue;
      if (rule.principals.length > 0 && !rule.principals.some((one) => oracleGlob(one, call.principal))) continue;
      if (rule.wanted !== null && call.a !== rule.wanted) continue;
      if (rule.action === 'allow') return `allow ${observed ?? (isAlert ? 'alert' : '')}`;
      if (rule.action === 'alert') {
        isAlert = true;
        continue;
      }
      const kind = rule.action === 'deny' ? 'deny' : 'hold';
      if (!rule.observe) return kind;
      observed ??= kind;
    }
  }
  if (scopes.some(({ scope }) => restricted(scope.approve))) return 'hold';
  const otherwise = section?.otherwise ?? policy.otherwise;
  const isAllowed = otherwise === 'allow' || scopes.some(({ scope, isSection }) => permitted(scope.allow, isSection));
  return isAllowed ? `allow ${observed ?? (isAlert ? 'alert' : '')}` : 'deny';
}
