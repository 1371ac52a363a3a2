// SPDX-License-Identifier: Apache-2.0
/**
 * `policy_test.yaml`: what a policy is expected to decide, written down. Read as strictly as a policy: every key known,
 * every mistake with its place.
 */
import * as z from 'zod';
import { POLICY_BYTES_MAX, POLICY_TESTS_MAX } from '../../../shared/limits.ts';
import { explain, report } from '../../document/explain.ts';
import { problemsError } from '../../document/problem.ts';
import type { DocumentKind } from '../../document/wording.ts';
import { readYaml } from '../../document/yaml.ts';

const word = z.string().min(1);
const values = z.record(z.string(), z.unknown());

const one = z
  .strictObject({
    name: word,
    server: word.optional(),
    principal: word.default('local'),
    tool: z.string().optional(),
    args: values.optional(),
    listed: z.boolean().optional(),
    method: word.optional(),
    direction: z.enum(['c2s', 's2c']).default('c2s'),
    params: values.optional(),
    expect: z.enum(['allow', 'alert', 'deny', 'hold']).optional(),
    rule: word.optional(),
    redact: z.unknown().optional(),
    becomes: z.unknown().optional(),
  })
  .superRefine((test, ctx) => {
    const subjects = [test.tool, test.method, test.redact].filter((subject) => subject !== undefined);
    if (subjects.length !== 1) report(ctx, { problem: 'a test has exactly one of tool, method and redact', hint: 'split it into several tests' });
    if (test.redact === undefined && test.expect === undefined && test.listed === undefined) report(ctx, { problem: 'the test expects nothing', hint: 'add expect: allow, alert, deny or hold' });
    if (test.redact !== undefined && test.becomes === undefined) report(ctx, { problem: 'the test expects nothing', hint: 'add becomes: what is left of the value' });
    if (test.redact === undefined && test.becomes !== undefined) report(ctx, { problem: 'becomes belongs to redact', hint: 'remove it' }, ['becomes']);
    if (test.listed !== undefined && test.tool === undefined) report(ctx, { problem: 'only tools are listed', hint: 'remove it' }, ['listed']);
    if (test.args !== undefined && test.tool === undefined) report(ctx, { problem: 'args belong to a tool', hint: "a method's are its params" }, ['args']);
    if (test.params !== undefined && test.method === undefined) report(ctx, { problem: 'params belong to a method', hint: "a tool's are its args" }, ['params']);
  });

const schema = z.strictObject({
  version: z.literal(1),
  policy: word,
  server: word.optional(),
  servers: z.enum(['one', 'several']).default('one'),
  tests: z.array(one).min(1).max(POLICY_TESTS_MAX),
});

const KIND: DocumentKind = {
  noun: 'the test file',
  code: 'POLICY_INVALID',
  bytesMax: POLICY_BYTES_MAX,
  keys: new Map([
    ['', Object.keys(schema.shape)],
    ['tests', Object.keys(one.shape)],
  ]),
  hints: {
    tooLarge: 'split it into several files',
    tooDeep: 'arguments of tests may have a few levels only',
    star: 'put it in quotes',
    manual: 'see: mcp-bastion policy --help',
    missing: new Map([
      ['version', "begin the file with 'version: 1'"],
      ['policy', "name the policy: 'policy: policy.yaml'"],
      ['tests', "add tests: '- {name: ..., tool: ..., expect: deny}'"],
    ]),
  },
};

export interface PolicyTest {
  readonly name: string;
  readonly server?: string | undefined;
  readonly principal: string;
  /** One of tool, method and redact. */
  readonly tool?: string | undefined;
  readonly args?: Readonly<Record<string, unknown>> | undefined;
  readonly listed?: boolean | undefined;
  readonly method?: string | undefined;
  readonly direction: 'c2s' | 's2c';
  readonly params?: Readonly<Record<string, unknown>> | undefined;
  readonly expect?: 'allow' | 'alert' | 'deny' | 'hold' | undefined;
  readonly rule?: string | undefined;
  readonly redact?: unknown;
  readonly becomes?: unknown;
}

export interface PolicyTests {
  /** As the file names it: relative to the file. */
  readonly policy: string;
  readonly server: string;
  readonly soleServer: boolean;
  readonly tests: readonly PolicyTest[];
}

/** @throws Usage (POLICY_INVALID) with all problems */
export function parsePolicyTests(bytes: Uint8Array, file: string): PolicyTests {
  const yaml = readYaml(bytes, file, KIND);
  const problems = [...yaml.problems];
  const parsed = schema.safeParse(yaml.value, { reportInput: true });
  if (!parsed.success) for (const issue of parsed.error.issues) problems.push(...explain(issue, yaml, KIND));
  if (!parsed.success || problems.length > 0) throw problemsError(file, problems, KIND.code);
  const { policy, server, servers, tests } = parsed.data;
  return { policy, server: server ?? 'server', soleServer: servers === 'one', tests };
}
