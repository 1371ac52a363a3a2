// SPDX-License-Identifier: Apache-2.0
/** Which tools may be called: deny, then approval, then what is allowed. A listing is filtered by the same decision. */
import { toolLabel } from '../../shared/label.ts';
import type { Glob } from './glob.ts';
import { permits, restricts, toolNames } from './names.ts';
import type { PolicyDecision } from './types.ts';

export interface ToolRules {
  readonly deny: readonly Glob[];
  readonly approve: readonly Glob[];
  readonly allow: readonly Glob[];
  /** What happens to a tool that no rule names. */
  readonly otherwise: 'allow' | 'deny';
}

export type DecideTool = (server: string, tool: string, soleServer: boolean) => PolicyDecision;

/** The decision on one tool. */
export function createDecideTool(rules: ToolRules): DecideTool {
  return (server, tool, soleServer) => {
    const names = toolNames(server, tool);
    const label = toolLabel(tool);
    const denied = rules.deny.findIndex((glob) => restricts(glob, names.forms));
    if (denied !== -1) return deny(label, shown(rules.deny[denied]), `deny_tools[${denied}]`);
    const held = rules.approve.findIndex((glob) => restricts(glob, names.forms));
    if (held !== -1) return hold(label, shown(rules.approve[held]), `require_approval[${held}]`);
    if (rules.otherwise === 'allow') return { kind: 'allow', rule: null, reason: 'no rule matched' };
    const allowed = rules.allow.findIndex((glob) => permits(glob, names, soleServer));
    if (allowed === -1) return notAllowed(label);
    return { kind: 'allow', rule: `allow_tools[${allowed}]`, reason: `matched '${shown(rules.allow[allowed])}'` };
  };
}

/** A pattern without wildcards is a tool's name, and shown as its label. */
function shown(glob: Glob | undefined): string {
  if (glob === undefined) throw new RangeError('no such rule');
  return glob.wildcard ? glob.pattern : toolLabel(glob.pattern);
}

function deny(label: string, pattern: string, rule: string): PolicyDecision {
  return {
    kind: 'deny',
    code: 'TOOL_DENIED',
    rule,
    pattern,
    reason: `${label} matched '${pattern}'`,
    message: `${label} matched deny rule '${pattern}'`,
    hint: 'the policy denies this tool; use another one',
  };
}

function hold(label: string, pattern: string, rule: string): PolicyDecision {
  return {
    kind: 'hold',
    code: 'APPROVAL_REQUIRED',
    rule,
    pattern,
    reason: `${label} matched '${pattern}'`,
    message: `${label} matched approval rule '${pattern}': approval required`,
    hint: 'a person has to approve this call',
  };
}

function notAllowed(label: string): PolicyDecision {
  return {
    kind: 'deny',
    code: 'TOOL_NOT_ALLOWED',
    rule: 'default',
    pattern: null,
    reason: `${label} matched no rule of allow_tools`,
    message: `${label} is not among the allowed tools`,
    hint: 'the policy allows only some tools; use one from the listing',
  };
}
