// SPDX-License-Identifier: Apache-2.0
/**
 * Reads a policy document, version 1: YAML in its plainest form (no anchors, aliases or tags), every key known, every
 * pattern compiled, every rule able to take effect. All problems are reported at once, each with line, column and hint.
 */
import * as z from 'zod';
import { PATTERN_LENGTH_MAX, POLICY_BYTES_MAX, POLICY_LIST_MAX, REPLACEMENT_LENGTH_MAX } from '../../shared/limits.ts';
import { explain, report } from '../document/explain.ts';
import { problemsError, quoted } from '../document/problem.ts';
import type { DocumentKind } from '../document/wording.ts';
import { readYaml } from '../document/yaml.ts';
import { deadRules, readLists } from './deadrules.ts';
import { compileGlob } from './glob.ts';
import { compileRegex } from './regex.ts';
import type { AuditSettings, PinningSettings } from './types.ts';

/** A valid policy, with all defaults filled in. */
export interface PolicyDocument {
  readonly default: 'allow' | 'deny';
  readonly denyTools: readonly string[];
  readonly allowTools: readonly string[];
  readonly requireApproval: readonly string[];
  readonly redactArgs: readonly { readonly pattern: string; readonly replacement: string }[];
  readonly methods: readonly { readonly pattern: string; readonly action: 'allow' | 'deny' }[];
  readonly pinning: PinningSettings;
  readonly audit: AuditSettings;
}

/**
 * Parses and checks a document. `file` names it in messages.
 * @throws Usage (POLICY_INVALID) with all problems
 */
export function parsePolicy(bytes: Uint8Array, file: string): PolicyDocument {
  const yaml = readYaml(bytes, file, POLICY);
  const problems = [...yaml.problems];
  const parsed = schema.safeParse(yaml.value, { reportInput: true });
  if (!parsed.success) {
    for (const issue of parsed.error.issues) problems.push(...explain(issue, yaml, POLICY));
  }
  for (const dead of deadRules(readLists(yaml.value))) {
    problems.push({ ...yaml.keyAt(dead.path), problem: dead.problem, hint: dead.hint });
  }
  if (!parsed.success || problems.length > 0) throw problemsError(file, problems, POLICY.code);
  return finish(parsed.data);
}

type Check = z.RefinementCtx;

function checkGlob(pattern: string, ctx: Check): void {
  const compiled = compileGlob(pattern);
  if (!compiled.ok) report(ctx, compiled);
}

function checkPattern(source: string, ctx: Check): void {
  if (source.length > PATTERN_LENGTH_MAX) {
    report(ctx, { problem: `the pattern is longer than ${PATTERN_LENGTH_MAX} characters`, hint: 'write several shorter patterns' });
    return;
  }
  const compiled = compileRegex(source);
  if (!compiled.ok) {
    const hint = 'RE2 has no look-around and no back-references; see github.com/google/re2/wiki/Syntax';
    report(ctx, { problem: `not an RE2 pattern: ${compiled.problem}`, hint });
  } else if (compiled.matchesEmpty) {
    const hint = "let it need at least one character, such as 'x+' for 'x*'";
    report(ctx, { problem: 'the pattern matches the empty string', hint });
  }
}

/** The classifier's settings are known, but only "off" is true of this build. */
function checkClassifier(enabled: unknown, ctx: Check): void {
  if (enabled === false) return;
  if (enabled === true) {
    report(ctx, { problem: 'this build has no classifier', hint: "write 'enabled: false', or remove the section: nothing would be screened" });
    return;
  }
  report(ctx, { problem: 'wants false', hint: "write 'enabled: false', or remove the section" });
}

function checkKeyFile(audit: { readonly key: string; readonly key_file?: string | undefined }, ctx: Check): void {
  if (audit.key === 'file' && audit.key_file === undefined) {
    report(ctx, { problem: "'key: file' needs key_file", hint: 'name the file of the seed: key_file: audit.seed' }, ['key']);
  }
  if (audit.key !== 'file' && audit.key_file !== undefined) {
    report(ctx, { problem: "key_file has no effect without 'key: file'", hint: "write 'key: file' beside it, or remove it" }, ['key_file']);
  }
}

const globs = z.array(z.string().superRefine(checkGlob)).max(POLICY_LIST_MAX);
const name = z.string().min(1);

const schema = z.strictObject({
  version: z.literal(1),
  default: z.enum(['allow', 'deny']).default('allow'),
  deny_tools: globs.default([]),
  allow_tools: globs.default([]),
  require_approval: globs.default([]),
  redact_args: z
    .array(
      z.strictObject({
        pattern: z.string().superRefine(checkPattern),
        replacement: z.string().max(REPLACEMENT_LENGTH_MAX).default('[REDACTED]'),
      }),
    )
    .max(POLICY_LIST_MAX)
    .default([]),
  methods: z.record(z.string().superRefine(checkGlob), z.enum(['allow', 'deny'])).default({}),
  tool_description_pinning: z
    .strictObject({
      enabled: z.boolean(),
      on_drift: z.enum(['alert', 'block']).default('alert'),
      on_new: z.enum(['allow', 'alert', 'block']).default('allow'),
      path: name.optional(),
    })
    .optional(),
  classifier: z
    .strictObject({
      enabled: z.unknown().superRefine(checkClassifier),
      threshold: z.number().min(0).max(1).optional(),
      on_match: z.enum(['alert', 'block']).optional(),
      model: name.optional(),
    })
    .optional(),
  audit: z
    .strictObject({
      path: name.optional(),
      payload: z.enum(['none', 'redacted']).default('redacted'),
      order: z.enum(['strict', 'intent', 'response']).default('strict'),
      signature: z.enum(['per-commit', 'per-row']).default('per-commit'),
      key: z.enum(['ephemeral', 'file']).default('ephemeral'),
      key_file: name.optional(),
    })
    .superRefine(checkKeyFile)
    .optional(),
});

/** Every key that a policy can hold, by the place of its section; a pin test freezes them. */
export const POLICY_KEYS: ReadonlyMap<string, readonly string[]> = new Map([
  ['', Object.keys(schema.shape)],
  ['redact_args', Object.keys(schema.shape.redact_args.unwrap().element.shape)],
  ['tool_description_pinning', Object.keys(schema.shape.tool_description_pinning.unwrap().shape)],
  ['classifier', Object.keys(schema.shape.classifier.unwrap().shape)],
  ['audit', Object.keys(schema.shape.audit.unwrap().shape)],
]);

const POLICY: DocumentKind = {
  noun: 'the policy',
  code: 'POLICY_INVALID',
  bytesMax: POLICY_BYTES_MAX,
  keys: POLICY_KEYS,
  hints: {
    tooLarge: 'write fewer, more general patterns',
    tooDeep: 'a policy needs three levels',
    star: "quote a pattern that begins with a star: '*.delete'",
    manual: 'see the comments of the starter policy: mcp-bastion init',
    missing: new Map([['version', "begin the policy with 'version: 1'"]]),
  },
};

/** The earlier release kept the log in one file. */
const LEGACY_PATH = /^(.*[^/\\])\.sqlite$/;

function finish(read: z.infer<typeof schema>): PolicyDocument {
  const pinning = read.tool_description_pinning;
  const audit = read.audit;
  const folder = audit?.path === undefined ? undefined : LEGACY_PATH.exec(audit.path)?.[1];
  const path = folder ?? audit?.path ?? null;
  return {
    default: read.default,
    denyTools: read.deny_tools,
    allowTools: read.allow_tools,
    requireApproval: read.require_approval,
    redactArgs: read.redact_args,
    methods: Object.entries(read.methods).map(([pattern, action]) => ({ pattern, action })),
    pinning: {
      enabled: pinning?.enabled ?? false,
      onDrift: pinning?.on_drift ?? 'alert',
      onNew: pinning?.on_new ?? 'allow',
      path: pinning?.path ?? null,
    },
    audit: {
      path,
      payload: audit?.payload ?? 'redacted',
      order: audit?.order ?? 'strict',
      signature: audit?.signature ?? 'per-commit',
      key: audit?.key ?? 'ephemeral',
      keyFile: audit?.key_file ?? null,
      notices: folder === undefined ? [] : [`audit.path names a directory now: the log is kept in ${quoted(`${path}/`)}`],
    },
  };
}
