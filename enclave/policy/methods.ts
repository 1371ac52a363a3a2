// SPDX-License-Identifier: Apache-2.0
/**
 * Which methods may pass. Entries of `methods` are globs over the method's name; the most specific one decides. Without
 * an entry: sampling and elicitation of URLs are denied, methods that no revision defines are denied, all other methods
 * are allowed. With `default: deny` the client's requests that fetch content are denied as well (prompts/get,
 * resources/read, resources/subscribe, completion/complete, tasks/*), while listings, ping, logging/setLevel,
 * subscriptions/listen and notifications stay allowed. Tools have rules of their own.
 *
 * Resources can be told apart by their URI: then an entry is a list, whose first part that covers the URI decides.
 *
 * An elicitation is also known by its mode, as `elicitation/create:form` and `elicitation/create:url`.
 */
import { foldKey } from '../../shared/json/fold.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { methodLabel } from '../../shared/label.ts';
import type { Glob } from './glob.ts';
import type { ResourceRule } from './resource-rules.ts';
import { decideResource } from './resource-rules.ts';
import { formsOf, restricts } from './names.ts';
import type { MethodQuery, PolicyDecision } from './types.ts';

/** Without these no session works; clients take a refusal for an older server. */
export const NEVER_DENIED: ReadonlySet<string> = new Set([
  'initialize',
  'server/discover',
  'ping',
  'notifications/initialized',
  'notifications/cancelled',
]);

const ELICITATION = 'elicitation/create';

const DENIED_UNLESS_NAMED: ReadonlySet<string> = new Set(['sampling/createMessage', `${ELICITATION}:url`]);

const CONTENT_REQUESTS: ReadonlySet<string> = new Set(['prompts/get', 'resources/read', 'resources/subscribe', 'completion/complete']);

/** What is judged by its method's name: a name that only resembles one of these must not slip past that judgement. */
const JUDGED: ReadonlySet<string> = new Set(
  [
    'tools/call',
    'tools/list',
    'sampling/createMessage',
    ELICITATION,
    'roots/list',
    'initialize',
    'server/discover',
    'notifications/cancelled',
    'notifications/tools/list_changed',
    ...CONTENT_REQUESTS,
  ].map(foldKey),
);

/** One entry of `methods`. */
export interface MethodRule {
  readonly glob: Glob;
  /** A list decides by the URI of the resource. */
  readonly action: 'allow' | 'deny' | readonly ResourceRule[];
}

/** `methods` of the whole policy, or of one server's section. */
export interface MethodScope {
  /** `` for the whole policy, `servers.github.` for a section. */
  readonly prefix: string;
  readonly rules: readonly MethodRule[];
  readonly observe: boolean;
}

export interface MethodPolicy {
  readonly whole: MethodScope;
  readonly sections: ReadonlyMap<string, MethodScope>;
  readonly defaults: ReadonlyMap<string, 'allow' | 'deny'>;
  readonly otherwise: 'allow' | 'deny';
}

export type DecideMethod = (query: MethodQuery) => PolicyDecision;

/**
 * Compiles the entries of `methods`, in any order, to the decision on every method but the call of a tool itself. An entry
 * of the server's section comes before any of the whole policy.
 */
export function createDecideMethod(policy: MethodPolicy): DecideMethod {
  const whole = placed(policy.whole);
  const sections = new Map([...policy.sections].map(([server, scope]) => [server, [...placed(scope), ...whole]]));
  return (query) => {
    const ordered = sections.get(query.server) ?? whole;
    const defaultAction = policy.defaults.get(query.server) ?? policy.otherwise;
    const decision = decide(ordered, query, defaultAction);
    if (decision.kind === 'allow') return decision;
    const section = policy.sections.get(query.server);
    // An entry has the mode of the scope in which it stands, and so has the default.
    const isOfSection = section !== undefined && (decision.rule === 'default' ? policy.defaults.has(query.server) : decision.rule?.startsWith(section.prefix) === true);
    const observe = policy.whole.observe || (isOfSection && section.observe);
    if (!observe) return decision;
    return { kind: 'allow', rule: null, reason: decision.reason, mark: { code: decision.code, rule: decision.rule, reason: `observed: ${decision.reason}` } };
  };
}

/** An entry with its place. */
interface Entry extends MethodRule {
  readonly place: string;
}

function placed({ prefix, rules }: MethodScope): Entry[] {
  return [...rules].sort(bySpecificity).map((rule) => ({ ...rule, place: `${prefix}methods['${rule.glob.pattern}']` }));
}

function decide(ordered: readonly Entry[], { direction, method, params, known }: MethodQuery, defaultAction: 'allow' | 'deny'): PolicyDecision {
  if (known && NEVER_DENIED.has(method)) return { kind: 'allow', rule: null, reason: 'default allow', mark: null };
  if (!known) return decideUnknown(ordered, method);
  const decisions = namesOf(method, params).map((name) => decideKnown(ordered, name, { method, params, direction, defaultAction }));
  return strictest(decisions);
}

/** Exact names first, then longer patterns; deny before allow where nothing else tells them apart. */
function bySpecificity(left: MethodRule, right: MethodRule): number {
  if (left.glob.wildcard !== right.glob.wildcard) return left.glob.wildcard ? 1 : -1;
  if (left.glob.pattern.length !== right.glob.pattern.length) return right.glob.pattern.length - left.glob.pattern.length;
  return Number(left.action === 'allow') - Number(right.action === 'allow');
}

/** An elicitation whose mode cannot be told stands for both, so that each has to be allowed. */
function namesOf(method: string, params: JsonObject | undefined): readonly string[] {
  if (method !== ELICITATION) return [method];
  const mode = params?.['mode'];
  if (mode === 'url') return [`${ELICITATION}:url`];
  if (mode === 'form' || (mode === undefined && params?.['url'] === undefined)) return [`${ELICITATION}:form`];
  return [`${ELICITATION}:url`, `${ELICITATION}:form`];
}

function strictest(decisions: readonly PolicyDecision[]): PolicyDecision {
  const first = decisions.find((decision) => decision.kind !== 'allow') ?? decisions[0];
  if (first === undefined) throw new TypeError('nothing was decided');
  return first;
}

interface KnownMethod extends Pick<MethodQuery, 'method' | 'params' | 'direction'> {
  readonly defaultAction: 'allow' | 'deny';
}

function decideKnown(ordered: readonly Entry[], name: string, { method, params, direction, defaultAction }: KnownMethod): PolicyDecision {
  const rule = ruleFor(ordered, name, method);
  if (rule !== undefined) {
    if (rule.action === 'allow' || rule.action === 'deny') return byRule(rule.action, rule, name);
    const found = decideResource(rule.action, params?.['uri']);
    if (found !== null) return byRule(found.action, { ...rule, place: `${rule.place}[${found.index}]` }, name);
  }
  if (DENIED_UNLESS_NAMED.has(name)) return byDefault(name, 'METHOD_DENIED', `${name} is denied unless the policy allows it`);
  if (defaultAction === 'deny' && direction === 'c2s' && (CONTENT_REQUESTS.has(name) || name.startsWith('tasks/'))) {
    return byDefault(name, 'METHOD_DENIED', `${name} is denied by 'default: deny'`);
  }
  return { kind: 'allow', rule: null, reason: 'default allow', mark: null };
}

/** What names the mode of an elicitation beats what names elicitations as such. */
function ruleFor(ordered: readonly Entry[], name: string, method: string): Entry | undefined {
  const ofMode = ordered.find(({ glob }) => glob.matches(name) && !glob.matches(method));
  return ofMode ?? ordered.find(({ glob }) => glob.matches(method));
}

/** Names that no revision defines, and their look-alikes: a rule that denies covers them in every form. */
function decideUnknown(ordered: readonly Entry[], method: string): PolicyDecision {
  const label = methodLabel(method);
  const forms = formsOf(method);
  if (forms.some((form) => form !== method && JUDGED.has(foldKey(form)))) {
    return byDefault(label, 'METHOD_UNKNOWN', `${label} resembles a method and is none`);
  }
  const exact = ordered.find(({ glob }) => glob.matches(method));
  if (exact !== undefined && (exact.action !== 'allow' || !exact.glob.wildcard)) return byRule(exact.action === 'allow' ? 'allow' : 'deny', exact, label);
  const denying = ordered.find(({ glob, action }) => action !== 'allow' && !glob.matches(method) && restricts(glob, forms));
  const rule = denying ?? exact;
  return rule === undefined ? byDefault(label, 'METHOD_UNKNOWN', `${label} is not a method that the gateway knows`) : byRule(rule.action === 'allow' ? 'allow' : 'deny', rule, label);
}

function byRule(action: 'allow' | 'deny', { glob: { pattern }, place }: Entry, shown: string): PolicyDecision {
  if (action === 'allow') return { kind: 'allow', rule: place, reason: `methods '${pattern}' allow`, mark: null };
  return {
    kind: 'deny',
    approval: null,
    code: 'METHOD_DENIED',
    rule: place,
    pattern,
    reason: `methods '${pattern}' deny`,
    message: `${shown} matched deny rule '${pattern}'`,
    hint: 'the policy denies this method under methods',
  };
}

function byDefault(shown: string, code: 'METHOD_DENIED' | 'METHOD_UNKNOWN', message: string): PolicyDecision {
  return {
    kind: 'deny',
    approval: null,
    code,
    rule: 'default',
    pattern: null,
    reason: message,
    message,
    hint: code === 'METHOD_UNKNOWN' ? 'a policy can allow it by its exact name under methods' : `a policy can allow it: methods: { '${shown}': allow }`,
  };
}
