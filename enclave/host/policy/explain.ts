// SPDX-License-Identifier: Apache-2.0
/** `mcp-bastion policy explain`: what a policy decides on one call or message, and every step that led there. */
import { parseArgs } from 'node:util';
import { Usage } from '../../../shared/errors.ts';
import { wireJson } from '../../../shared/json/canonical.ts';
import { parseStrictJson } from '../../../shared/json/parse.ts';
import type { JsonObject } from '../../../shared/json/value.ts';
import { isJsonObject, jsonObject } from '../../../shared/json/value.ts';
import { lookupMethod } from '../../../shared/mcp/methods.ts';
import { loadPolicy } from '../../policy/compile.ts';
import type { Policy, PolicyDecision, Step } from '../../policy/types.ts';
import { visible } from '../../../shared/cli/visible.ts';
import type { PolicyIo } from './replay-command.ts';

function usage(problem: string, hint = 'see: mcp-bastion policy --help'): Usage {
  return new Usage('USAGE', problem, hint);
}

function parse(args: readonly string[]) {
  try {
    const text = { type: 'string' } as const;
    const options = { policy: text, server: text, servers: text, principal: text, tool: text, args: text, method: text, params: text, direction: text, json: { type: 'boolean' } as const };
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw usage(error instanceof Error ? (error.message.split('. ')[0] ?? 'bad options') : 'bad options');
  }
}

type Flags = ReturnType<typeof parse>;

function objectOf(text: string, flag: string): JsonObject {
  const parsed = parseStrictJson(new TextEncoder().encode(text));
  if (!parsed.ok || !isJsonObject(parsed.value)) throw usage(`${flag} is no JSON object`, `for example: ${flag} '{"path":"/srv/data/a.txt"}'`);
  return parsed.value;
}

interface Explained {
  readonly decision: PolicyDecision;
  readonly steps: readonly Step[];
}

function explainOne(policy: Policy, flags: Flags): Explained {
  const server = flags.server ?? 'server';
  const principal = flags.principal ?? 'local';
  if (flags.tool !== undefined) {
    const args = flags.args === undefined ? null : objectOf(flags.args, '--args');
    return policy.explainTool({ server, tool: flags.tool, soleServer: flags.servers !== 'several', principal, args });
  }
  const direction = flags.direction === 's2c' ? 's2c' : 'c2s';
  const method = flags.method ?? '';
  const known = lookupMethod(null, direction, method).kind !== 'unknown';
  const params = flags.params === undefined ? undefined : objectOf(flags.params, '--params');
  return { decision: policy.decideMethod({ server, principal, direction, method, params, known }), steps: [] };
}

function linesOf({ decision, steps }: Explained, isListing: boolean): string[] {
  const mark = decision.kind === 'allow' ? decision.mark : null;
  const lines = [`${mark === null ? decision.kind : 'alert'}: ${mark?.reason ?? decision.reason}`, `rule: ${mark?.rule ?? decision.rule ?? 'none'}`];
  if (decision.kind !== 'allow') lines.push(`code: ${decision.code}`, `the client is told: ${decision.message}`);
  if (decision.kind === 'hold' && decision.approval !== null) lines.push(`approvals needed: ${decision.approval.approvals} of ${decision.approval.approvers.join(', ')}`);
  if (isListing) lines.push(decision.kind === 'deny' ? 'listings do not show the tool' : 'listings show the tool; with --args it is asked what becomes of a call');
  for (const { place, outcome, why } of steps) lines.push(`  ${place}: ${outcome}, ${why}`);
  return lines;
}

/** Runs the command and returns its exit code. */
export async function policyExplain(args: readonly string[], io: PolicyIo): Promise<number> {
  const flags = parse(args);
  if (flags.policy === undefined) throw usage('--policy is missing', 'name the policy to ask');
  if ((flags.tool === undefined) === (flags.method === undefined)) throw usage('give --tool or --method, one of them');
  if (flags.direction !== undefined && flags.direction !== 'c2s' && flags.direction !== 's2c') throw usage('--direction wants c2s or s2c');
  if (flags.servers !== undefined && flags.servers !== 'one' && flags.servers !== 'several') throw usage('--servers wants one or several');
  const policy = await loadPolicy(flags.policy);
  try {
    const explained = explainOne(policy, flags);
    if (flags.json === true) {
      const { decision, steps } = explained;
      const mark = decision.kind === 'allow' && decision.mark !== null ? jsonObject({ ...decision.mark }) : null;
      const code = decision.kind === 'allow' ? null : decision.code;
      const json = { schema: 'mcp-bastion/policy-explain/1', decision: decision.kind, rule: decision.rule, reason: decision.reason, code, mark, steps: steps.map((step) => jsonObject({ ...step })) };
      io.stdout.write(`${wireJson(jsonObject(json))}\n`);
    } else {
      io.stdout.write(`${linesOf(explained, flags.tool !== undefined && flags.args === undefined).map(visible).join('\n')}\n`);
    }
    return 0;
  } finally {
    await policy.close();
  }
}
