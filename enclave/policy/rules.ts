// SPDX-License-Identifier: Apache-2.0
/**
 * What happens to the call of a tool. The order, which is the same for every call:
 *
 * 1. `deny_tools`, of the whole policy and of the server's section: whatever else is written, these are denied.
 * 2. `rules`, the server's section first, each in its order. The first that applies decides; `alert` only marks the call,
 *    and the search goes on.
 * 3. `require_approval`, of the whole policy and of the section.
 * 4. `allow_tools` and `default`: a call is allowed if the default allows it, or if an entry names it.
 *
 * What forbids, holds or marks covers a tool's name in every form that a lenient peer could read as that name; what permits
 * covers the exact name only. Under `observe` a denial or hold marks the call and the search goes on as if it were not there.
 * For a listing it is asked whether any call could be allowed, if a person approves it: what depends on arguments counts as
 * permitting, or as held where all other calls are denied.
 */
import { toolLabel } from '../../shared/label.ts';
import type { Condition } from './conditions.ts';
import { mayHold, mustHold, Subject } from './conditions.ts';
import type { Glob } from './glob.ts';
import type { ToolNames } from './names.ts';
import { permits, restricts, toolNames } from './names.ts';
import type { ApprovalTerms, Mark, PolicyDecision, Step, ToolQuery } from './types.ts';

export type Action = 'allow' | 'deny' | 'approve' | 'alert';

export interface Rule {
  /** Its place: `rules['no-prod']`, `servers.github.rules[0]`. */
  readonly place: string;
  readonly action: Action;
  readonly tools: readonly Glob[];
  /** Empty for all. */
  readonly servers: readonly Glob[];
  readonly principals: readonly Glob[];
  readonly when: readonly Condition[];
  readonly message: string | null;
  readonly observe: boolean;
  /** For `approve`. */
  readonly terms: ApprovalTerms | null;
}

/** Rules of the whole policy, or of one server's section. */
export interface Scope {
  /** `` for the whole policy, `servers.github.` for a section. */
  readonly prefix: string;
  readonly deny: readonly Glob[];
  readonly approve: readonly Glob[];
  readonly allow: readonly Glob[];
  readonly rules: readonly Rule[];
  readonly observe: boolean;
}

export interface ToolPolicy {
  readonly whole: Scope;
  readonly sections: ReadonlyMap<string, Scope>;
  /** What happens to a tool that nothing names, by server; the whole policy's where there is none. */
  readonly defaults: ReadonlyMap<string, 'allow' | 'deny'>;
  readonly otherwise: 'allow' | 'deny';
  /** Whose approval a held call needs where no rule says otherwise; null where nobody can give one. */
  readonly terms: ApprovalTerms | null;
}

type Trace = (step: Step) => void;

/** The decision on a call, and what led to it. */
export type DecideTool = (query: ToolQuery, trace?: Trace) => PolicyDecision;

type Restriction = Extract<PolicyDecision, { kind: 'deny' | 'hold' }>;

/** A pattern without wildcards is a tool's name, and shown as its label. */
function shown(glob: Glob): string {
  return glob.wildcard ? glob.pattern : toolLabel(glob.pattern);
}

const DEPENDS = 'depends on arguments';

class Decision {
  readonly #policy: ToolPolicy;
  readonly #query: ToolQuery;
  readonly #names: ToolNames;
  readonly #label: string;
  readonly #trace: Trace;
  #mark: Mark | null = null;
  /** For a listing: the hold that some arguments would lead to. A person may approve such a call, so the tool is shown. */
  #holdable: Restriction | null = null;
  /** Made when the first condition is asked. */
  #subject: Subject | null = null;

  constructor(policy: ToolPolicy, query: ToolQuery, trace: Trace) {
    this.#policy = policy;
    this.#query = query;
    this.#names = toolNames(query.server, query.tool);
    this.#label = toolLabel(query.tool);
    this.#trace = trace;
  }

  make(): PolicyDecision {
    const section = this.#policy.sections.get(this.#query.server);
    const scopes = section === undefined ? [this.#policy.whole] : [section, this.#policy.whole];
    const decision = this.#denied(scopes) ?? this.#ruled(scopes) ?? this.#held(scopes) ?? this.#otherwise(scopes);
    return decision.kind === 'deny' && this.#holdable !== null ? (this.#restrict(this.#holdable, false) ?? decision) : decision;
  }

  #denied(scopes: readonly Scope[]): PolicyDecision | null {
    for (const scope of scopes) {
      for (const [index, glob] of scope.deny.entries()) {
        if (!restricts(glob, this.#names.forms)) continue;
        const decided = this.#restrict(this.#deny(glob, `${scope.prefix}deny_tools[${index}]`), scope.observe);
        if (decided !== null) return decided;
      }
    }
    return null;
  }

  #ruled(scopes: readonly Scope[]): PolicyDecision | null {
    for (const scope of scopes) {
      for (const rule of scope.rules) {
        const decided = this.#rule(rule, scope);
        if (decided !== null) return decided;
      }
    }
    return null;
  }

  #held(scopes: readonly Scope[]): PolicyDecision | null {
    for (const scope of scopes) {
      for (const [index, glob] of scope.approve.entries()) {
        if (!restricts(glob, this.#names.forms)) continue;
        const decided = this.#restrict(this.#hold(shown(glob), `${scope.prefix}require_approval[${index}]`, null, this.#policy.terms), scope.observe);
        if (decided !== null) return decided;
      }
    }
    return null;
  }

  #otherwise(scopes: readonly Scope[]): PolicyDecision {
    const action = this.#policy.defaults.get(this.#query.server) ?? this.#policy.otherwise;
    if (action === 'allow') return this.#allow(null, 'no rule matched');
    for (const scope of scopes) {
      for (const [index, glob] of scope.allow.entries()) {
        if (this.#permits(glob, scope)) return this.#allow(`${scope.prefix}allow_tools[${index}]`, `matched '${shown(glob)}'`);
      }
    }
    // The default is that of the section, or else of the whole policy: so is its mode.
    const observe = this.#policy.defaults.has(this.#query.server) ? scopes[0]?.observe === true : this.#policy.whole.observe;
    return this.#restrict(this.#notAllowed(), observe) ?? this.#allow(null, 'nothing allows it, observed only');
  }

  /** In a server's section the bare name is enough: no other server can take it there. */
  #permits(glob: Glob, scope: Scope): boolean {
    return permits(glob, this.#names, this.#query.soleServer || scope.prefix !== '');
  }

  #rule(rule: Rule, scope: Scope): PolicyDecision | null {
    const miss = this.#missOf(rule, scope);
    const observe = rule.observe || scope.observe;
    if (miss !== null) {
      this.#trace({ place: rule.place, outcome: 'passed over', why: miss });
      if (miss === DEPENDS && rule.action === 'approve' && !observe) this.#holdable ??= this.#hold(this.#patternOf(rule, scope), rule.place, rule.message, rule.terms);
      return null;
    }
    const pattern = this.#patternOf(rule, scope);
    switch (rule.action) {
      case 'allow':
        return this.#allow(rule.place, `matched '${pattern}'`);
      case 'alert':
        this.#trace({ place: rule.place, outcome: 'marks', why: `${this.#label} matched '${pattern}'` });
        this.#mark ??= { code: 'RULE_ALERT', rule: rule.place, reason: `${this.#label} matched '${pattern}'` };
        return null;
      case 'deny': {
        const denied = this.#denyBy(pattern, rule.place, rule.message);
        return this.#restrict(denied, observe);
      }
      case 'approve':
        return this.#restrict(this.#hold(pattern, rule.place, rule.message, rule.terms), observe);
    }
  }

  /** The pattern of a rule that names the tool, as it may be shown. */
  #patternOf(rule: Rule, scope: Scope): string {
    const glob = rule.tools.find((one) => (rule.action === 'allow' ? this.#permits(one, scope) : restricts(one, this.#names.forms)));
    return glob === undefined ? '*' : shown(glob);
  }

  /** Why a rule does not apply; null if it does. */
  #missOf(rule: Rule, scope: Scope): string | null {
    const { server, principal, args } = this.#query;
    const isPermit = rule.action === 'allow';
    if (!rule.tools.some((glob) => (isPermit ? this.#permits(glob, scope) : restricts(glob, this.#names.forms)))) return 'another tool';
    if (rule.servers.length > 0 && !rule.servers.some((glob) => glob.matches(server))) return 'another server';
    if (rule.principals.length > 0 && !rule.principals.some((glob) => glob.matches(principal))) return 'another principal';
    if (rule.when.length === 0) return null;
    if (args === null) return isPermit ? null : DEPENDS;
    this.#subject ??= new Subject(args);
    const subject = this.#subject;
    const unmet = rule.when.findIndex((condition) => !(isPermit ? mustHold(condition, subject) : mayHold(condition, subject)));
    return unmet === -1 ? null : `when[${unmet}] does not hold`;
  }

  /** Null where it is only observed. */
  #restrict(restriction: Restriction, observe: boolean): PolicyDecision | null {
    const place = restriction.rule ?? 'default';
    if (!observe) {
      this.#trace({ place, outcome: 'decides', why: restriction.reason });
      return restriction;
    }
    this.#trace({ place, outcome: 'observed', why: restriction.reason });
    // What a rule would have forbidden says more than an alert, and the first such rule would have decided.
    if (this.#mark === null || this.#mark.code === 'RULE_ALERT') this.#mark = { code: restriction.code, rule: restriction.rule, reason: `observed: ${restriction.reason}` };
    return null;
  }

  #allow(rule: string | null, reason: string): PolicyDecision {
    this.#trace({ place: rule ?? 'default', outcome: 'decides', why: reason });
    return { kind: 'allow', rule, reason, mark: this.#mark };
  }

  #deny(glob: Glob, place: string): Restriction {
    return this.#denyBy(shown(glob), place, null);
  }

  #denyBy(pattern: string, rule: string, message: string | null): Restriction {
    return {
      kind: 'deny',
      approval: null,
      code: 'TOOL_DENIED',
      rule,
      pattern,
      reason: `${this.#label} matched '${pattern}'`,
      message: message === null ? `${this.#label} matched deny rule '${pattern}'` : `${this.#label}: ${message}`,
      hint: 'the policy denies this tool; use another one',
    };
  }

  #hold(pattern: string, rule: string, message: string | null, approval: ApprovalTerms | null): Restriction {
    return {
      kind: 'hold',
      approval,
      code: 'APPROVAL_REQUIRED',
      rule,
      pattern,
      reason: `${this.#label} matched '${pattern}'`,
      message: message === null ? `${this.#label} matched approval rule '${pattern}': approval required` : `${this.#label}: ${message}`,
      hint: approval === null ? 'a person has to approve this call, and the policy names nobody who can' : 'a person has to approve this call',
    };
  }

  #notAllowed(): Restriction {
    return {
      kind: 'deny',
      approval: null,
      code: 'TOOL_NOT_ALLOWED',
      rule: 'default',
      pattern: null,
      reason: `${this.#label} matched no rule of allow_tools`,
      message: `${this.#label} is not among the allowed tools`,
      hint: 'the policy allows only some tools; use one from the listing',
    };
  }
}

/** The decision on every call. */
export function createDecideTool(policy: ToolPolicy): DecideTool {
  return (query, trace = () => undefined) => new Decision(policy, query, trace).make();
}

/** True if the decision on a tool can be another one for other arguments. */
export function createDependsOnArguments(policy: ToolPolicy): (query: Omit<ToolQuery, 'args'>) => boolean {
  return ({ server, tool }) => {
    const { forms } = toolNames(server, tool);
    const scopes = [policy.sections.get(server), policy.whole];
    return scopes.some((scope) => scope?.rules.some((rule) => rule.when.length > 0 && rule.tools.some((glob) => restricts(glob, forms))) === true);
  };
}
