// SPDX-License-Identifier: Apache-2.0
/** From a policy document to the decisions that the data path asks for. */
import { open } from 'node:fs/promises';
import { sha256Hex } from '../../shared/digest.ts';
import { Unavailable } from '../../shared/errors.ts';
import { POLICY_BYTES_MAX } from '../../shared/limits.ts';
import { approverFingerprint } from './approver-keys.ts';
import { compileCondition, globOf, hostOf } from './compile-condition.ts';
import { CREDENTIAL_PATTERNS } from './credentials.ts';
import type { ApprovalDocument, MethodDocument, PolicyDocument, ScopeDocument } from './document-parts.ts';
import { parsePolicy } from './document.ts';
import type { Limit } from './limiter.ts';
import type { MethodRule } from './methods.ts';
import { createDecideMethod } from './methods.ts';
import { normalRoot } from './path-readings.ts';
import { createRedaction } from './redaction.ts';
import type { Scope, ToolPolicy } from './rules.ts';
import { createDecideTool, createDependsOnArguments } from './rules.ts';
import { createScrubber } from './scrub.ts';
import type { ApprovalSettings, ApprovalTerms, ApproverKey, Policy, Step } from './types.ts';

/** Stands for a line of text that could not be scrubbed in time. */
const MASKED = '[REDACTED]';

/** A policy from a valid document. `digest`: SHA-256 of the document's bytes, hex. */
export function compilePolicy(document: PolicyDocument, digest: string): Policy {
  const sections = [...document.servers];
  const defaults = new Map(sections.flatMap(([server, one]) => (one.default === null ? [] : [[server, one.default] as const])));
  const settings = approvalSettings(document.approval);
  const terms = termsOf(settings, document.approval.approvals, null);
  const tools: ToolPolicy = {
    whole: toolScope(document, '', document.observe, settings, document.approval.approvals),
    sections: new Map(sections.map(([server, one]) => [server, toolScope(one, `servers.${server}.`, one.observe || document.observe, settings, document.approval.approvals)])),
    defaults,
    otherwise: document.default,
    terms,
  };
  const decideTool = createDecideTool(tools);
  const redaction = createRedaction(document);
  const scrubPatterns = [...redaction.patterns, ...CREDENTIAL_PATTERNS];
  const scrubber = createScrubber(scrubPatterns);
  return {
    digest,
    mode: document.observe ? 'observe' : 'enforce',
    pinning: document.pinning,
    audit: document.audit,
    approval: settings,
    limits: [...limitsOf(document, '', null, document.observe), ...sections.flatMap(([server, one]) => limitsOf(one, `servers.${server}.`, server, one.observe || document.observe))],
    serversNamed: sections.map(([server]) => server),
    decideTool: (query) => decideTool(query),
    explainTool: (query) => {
      const steps: Step[] = [];
      return { decision: decideTool(query, (step) => steps.push(step)), steps };
    },
    dependsOnArguments: createDependsOnArguments(tools),
    decideMethod: createDecideMethod({
      whole: { prefix: '', rules: document.methods.map(methodRule), observe: document.observe },
      sections: new Map(sections.map(([server, one]) => [server, { prefix: `servers.${server}.`, rules: one.methods.map(methodRule), observe: one.observe }])),
      defaults,
      otherwise: document.default,
    }),
    redacts: (direction, server) => redaction.redacts(direction, server),
    redact: (direction, server, value) => redaction.redact(direction, server, value),
    scrubPatterns,
    scrubText: (text) => scrubber.text(text) ?? MASKED,
    close: () => redaction.close(),
  };
}

function approvalSettings({ approvers, holdMs, expiresMs, redeemMs }: ApprovalDocument): ApprovalSettings {
  const keys = [...approvers].map(([name, publicKey]): [string, ApproverKey] => [name, { name, publicKey, fingerprint: approverFingerprint(publicKey) }]);
  return { approvers: new Map(keys), holdMs, expiresMs, redeemMs };
}

/** Null where nobody can approve anything. */
function termsOf({ approvers }: ApprovalSettings, approvals: number, named: readonly string[] | null): ApprovalTerms | null {
  return approvers.size === 0 ? null : { approvals, approvers: named ?? [...approvers.keys()] };
}

function toolScope(scope: ScopeDocument, prefix: string, observe: boolean, settings: ApprovalSettings, approvals: number): Scope {
  return {
    prefix,
    deny: scope.denyTools.map(globOf),
    approve: scope.requireApproval.map(globOf),
    allow: scope.allowTools.map(globOf),
    rules: scope.rules.map((rule, index) => ({
      place: `${prefix}rules[${rule.id === null ? index : `'${rule.id}'`}]`,
      action: rule.action,
      tools: rule.tools.map(globOf),
      servers: rule.servers.map(globOf),
      principals: rule.principals.map(globOf),
      when: rule.when.map(compileCondition),
      message: rule.message,
      observe: rule.observe,
      terms: rule.action === 'approve' ? termsOf(settings, rule.approvals ?? approvals, rule.approvers) : null,
    })),
    observe,
  };
}

function limitsOf(scope: ScopeDocument, prefix: string, server: string | null, observe: boolean): Limit[] {
  return scope.limits.map((limit, index) => ({
    place: `${prefix}limits[${limit.id === null ? index : `'${limit.id}'`}]`,
    key: JSON.stringify([server, limit]),
    tools: limit.tools.map(globOf),
    servers: server === null ? limit.servers.map(globOf) : [globOf(server)],
    principals: limit.principals.map(globOf),
    per: limit.per,
    calls: limit.calls,
    bytes: limit.bytes,
    windowMs: limit.windowMs,
    concurrent: limit.concurrent,
    observe: observe || limit.observe,
  }));
}

function methodRule({ pattern, action }: MethodDocument): MethodRule {
  const glob = globOf(pattern);
  if (action === 'allow' || action === 'deny') return { glob, action };
  return { glob, action: action.map(({ action: one, schemes, hosts, paths }) => ({ action: one, schemes, hosts: hosts.map(hostOf), paths: paths.map(normalRoot) })) };
}

/**
 * Reads, checks and compiles a policy: from a file, or from bytes that came another way.
 * @throws Usage (POLICY_INVALID) for a wrong document, Unavailable (FILE_UNREADABLE) for a file that cannot be read
 */
export async function loadPolicy(source: string | Uint8Array): Promise<Policy> {
  const bytes = typeof source === 'string' ? await readBounded(source) : source;
  return parseAndCompile(bytes, typeof source === 'string' ? source : 'policy');
}

/**
 * The same for bytes that were read already. `file` names them in messages.
 * @throws Usage (POLICY_INVALID)
 */
export function parseAndCompile(bytes: Uint8Array, file: string): Policy {
  return compilePolicy(parsePolicy(bytes, file), sha256Hex(bytes));
}

/** One byte more than allowed is enough to refuse the file: a device or a huge file is never read whole. */
async function readBounded(path: string): Promise<Uint8Array> {
  try {
    const file = await open(path, 'r');
    try {
      const buffer = new Uint8Array(POLICY_BYTES_MAX + 1);
      let length = 0;
      while (length < buffer.length) {
        const { bytesRead } = await file.read(buffer, length, buffer.length - length, null);
        if (bytesRead === 0) break;
        length += bytesRead;
      }
      return buffer.slice(0, length);
    } finally {
      await file.close();
    }
  } catch (error) {
    const hint = 'check the path and its permissions, or write a policy with: mcp-bastion init -o policy.yaml';
    throw new Unavailable('FILE_UNREADABLE', 'the policy file cannot be read', hint, error);
  }
}
