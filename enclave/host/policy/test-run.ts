// SPDX-License-Identifier: Apache-2.0
/** `mcp-bastion policy test`: asks a policy what it decides, and compares that with what was expected. */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Unavailable, Usage } from '../../../shared/errors.ts';
import { canonicalJson, wireJson } from '../../../shared/json/canonical.ts';
import type { JsonObject, JsonValue } from '../../../shared/json/value.ts';
import { isJsonObject, jsonObject } from '../../../shared/json/value.ts';
import { parseStrictJson } from '../../../shared/json/parse.ts';
import { lookupMethod } from '../../../shared/mcp/methods.ts';
import { loadPolicy } from '../../policy/compile.ts';
import type { Policy, PolicyDecision } from '../../policy/types.ts';
import { visible } from '../../../shared/cli/visible.ts';
import type { PolicyIo } from './replay-command.ts';
import type { PolicyTest, PolicyTests } from './test-file.ts';
import { parsePolicyTests } from './test-file.ts';

interface Result {
  readonly name: string;
  /** Null where the policy does what is expected. */
  readonly problem: string | null;
}

/** Values of YAML as JSON has them: what a client could not send is no test. */
function asJson(value: unknown, what: string): JsonValue {
  const text: unknown = JSON.stringify(value);
  const parsed = typeof text === 'string' ? parseStrictJson(new TextEncoder().encode(text)) : null;
  if (parsed?.ok !== true) throw new Usage('POLICY_INVALID', `${what} of a test cannot be sent as JSON`, 'write texts, numbers, lists and sections');
  return parsed.value;
}

function asObject(value: unknown, what: string): JsonObject {
  const json = asJson(value ?? {}, what);
  return isJsonObject(json) ? json : jsonObject({});
}

function kindOf(decision: PolicyDecision): string {
  return decision.kind === 'allow' && decision.mark !== null ? 'alert' : decision.kind;
}

function ruleOf(decision: PolicyDecision): string | null {
  return decision.kind === 'allow' && decision.mark !== null ? decision.mark.rule : decision.rule;
}

function compare(test: PolicyTest, decision: PolicyDecision): string | null {
  if (test.expect !== undefined && kindOf(decision) !== test.expect) return `expected ${test.expect}, got ${kindOf(decision)}: ${decision.reason}`;
  if (test.rule !== undefined && ruleOf(decision) !== test.rule) return `expected ${test.rule} to decide, it was ${ruleOf(decision) ?? 'no rule'}: ${decision.reason}`;
  return null;
}

async function runOne(policy: Policy, { server: fallback, soleServer }: PolicyTests, test: PolicyTest): Promise<string | null> {
  const server = test.server ?? fallback;
  const { principal, direction } = test;
  if (test.tool !== undefined) {
    const query = { server, tool: test.tool, soleServer, principal };
    const isListed = policy.decideTool({ ...query, args: null }).kind !== 'deny';
    if (test.listed !== undefined && test.listed !== isListed) return `expected the tool to be ${test.listed ? 'listed' : 'left out of listings'}, it is not`;
    return compare(test, policy.decideTool({ ...query, args: asObject(test.args, 'args') }));
  }
  if (test.method !== undefined) {
    const known = lookupMethod(null, direction, test.method).kind !== 'unknown';
    const params = test.params === undefined ? undefined : asObject(test.params, 'params');
    return compare(test, policy.decideMethod({ server, principal, direction, method: test.method, params, known }));
  }
  const made = await policy.redact(direction, server, asJson(test.redact, 'redact'));
  const expected = canonicalJson(asJson(test.becomes, 'becomes'));
  // The value that was to be hidden is not repeated.
  return canonicalJson(made.value) === expected ? null : 'the value became something else than expected';
}

/** Runs all tests of a file. */
export async function runPolicyTests(tests: PolicyTests, policy: Policy): Promise<readonly Result[]> {
  const results: Result[] = [];
  for (const test of tests.tests) results.push({ name: test.name, problem: await runOne(policy, tests, test) });
  return results;
}

async function readTests(path: string): Promise<PolicyTests> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw new Unavailable('FILE_UNREADABLE', `${path} cannot be read`, 'check the path and its permissions', error);
  }
  return parsePolicyTests(bytes, path);
}

function textOf(path: string, results: readonly Result[]): string {
  const failed = results.filter(({ problem }) => problem !== null).length;
  const lines = results.flatMap(({ name, problem }) => (problem === null ? [`ok      ${name}`] : [`FAILED  ${name}`, `        ${problem}`]));
  return `${[...lines, `${path}: ${results.length - failed} of ${results.length} as expected`].map(visible).join('\n')}\n`;
}

/** Runs the command and returns its exit code: 0 all as expected, 1 not. */
export async function policyTest(args: readonly string[], io: PolicyIo): Promise<number> {
  let parsed;
  try {
    parsed = parseArgs({ args: [...args], allowPositionals: true, options: { json: { type: 'boolean' } } });
  } catch (error) {
    throw new Usage('USAGE', error instanceof Error ? (error.message.split('. ')[0] ?? 'bad options') : 'bad options', 'see: mcp-bastion policy --help');
  }
  const { values, positionals } = parsed;
  if (positionals.length === 0) throw new Usage('USAGE', 'no test file is named', 'for example: mcp-bastion policy test policy_test.yaml');
  let failed = false;
  const files: JsonObject[] = [];
  for (const path of positionals) {
    const tests = await readTests(path);
    const policy = await loadPolicy(resolve(dirname(path), tests.policy));
    try {
      const results = await runPolicyTests(tests, policy);
      failed ||= results.some(({ problem }) => problem !== null);
      if (values.json === true) files.push(jsonObject({ file: path.toWellFormed(), tests: results.map(({ name, problem }) => jsonObject({ name, ok: problem === null, problem })) }));
      else io.stdout.write(textOf(path, results));
    } finally {
      await policy.close();
    }
  }
  if (values.json === true) io.stdout.write(`${wireJson(jsonObject({ schema: 'mcp-bastion/policy-test/1', ok: !failed, files }))}\n`);
  return failed ? 1 : 0;
}
