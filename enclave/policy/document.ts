// SPDX-License-Identifier: Apache-2.0
/**
 * Reads a policy document, version 1: YAML in its plainest form (no anchors, aliases or tags), every key known, every
 * pattern compiled, every rule able to take effect. All problems are reported at once, each with line, column and hint.
 */
import { isAlias, isMap, isNode, isScalar, LineCounter, parseDocument, Scalar, visit } from 'yaml';
import type { Document, Node, YAMLError } from 'yaml';
import * as z from 'zod';
import { PATTERN_LENGTH_MAX, POLICY_BYTES_MAX, POLICY_LIST_MAX, REPLACEMENT_LENGTH_MAX } from '../../shared/limits.ts';
import { deadRules, readLists } from './deadrules.ts';
import { compileGlob } from './glob.ts';
import type { Problem } from './problem.ts';
import { problemsError, quoted } from './problem.ts';
import { compileRegex } from './regex.ts';
import type { AuditSettings, PinningSettings } from './types.ts';
import type { Explained } from './wording.ts';
import { missing, pathLabel, SEE_STARTER, unknownKey, wrongType, wrongWord } from './wording.ts';

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
  const source = decode(bytes, file);
  const yaml = readYaml(source, file);
  const problems = [...yaml.problems];
  const raw: unknown = yaml.document.toJS({ maxAliasCount: 0 });
  const parsed = schema.safeParse(raw, { reportInput: true });
  if (!parsed.success) {
    for (const issue of parsed.error.issues) problems.push(...explain(issue, yaml));
  }
  for (const dead of deadRules(readLists(raw))) problems.push({ ...yaml.keyAt(dead.path), problem: dead.problem, hint: dead.hint });
  if (!parsed.success || problems.length > 0) throw problemsError(file, problems);
  return finish(parsed.data);
}

const START = { line: 1, column: 1 } as const;

function decode(bytes: Uint8Array, file: string): string {
  if (bytes.length > POLICY_BYTES_MAX) {
    const problem = `the policy is larger than ${POLICY_BYTES_MAX} bytes`;
    throw problemsError(file, [{ ...START, problem, hint: 'write fewer, more general patterns' }]);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw problemsError(file, [{ ...START, problem: 'the policy is not UTF-8 text', hint: 'save the file as UTF-8' }]);
  }
}

interface Position {
  readonly line: number;
  readonly column: number;
}

type Path = readonly PropertyKey[];

interface Yaml {
  readonly document: Document.Parsed;
  readonly problems: readonly Problem[];
  /** Place of a value; of what it would be in, where it is missing. */
  valueAt(path: Path): Position;
  /** Place of the key that holds a value; of the value itself in a list. */
  keyAt(path: Path): Position;
}

/** Problems after which the rest of the document still reads as its author meant it. */
const READABLE: ReadonlySet<string> = new Set(['DUPLICATE_KEY', 'BAD_ALIAS', 'MULTIPLE_ANCHORS', 'TAG_RESOLVE_FAILED']);

function readYaml(source: string, file: string): Yaml {
  const counter = new LineCounter();
  const at = (offset: number | undefined): Position => {
    const { line, col } = counter.linePos(offset ?? 0);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  let document: Document.Parsed;
  try {
    document = parseDocument(source, { lineCounter: counter, prettyErrors: false, version: '1.2', schema: 'core' });
  } catch {
    throw problemsError(file, [{ ...START, ...TOO_DEEP }]);
  }
  const reports: readonly YAMLError[] = [...document.errors, ...document.warnings];
  const problems = reports.map((report) => ({ ...at(report.pos[0]), ...explainYaml(report) }));
  if (reports.some((report) => report.code === 'RESOURCE_EXHAUSTION')) throw problemsError(file, problems.slice(0, 1));
  if (reports.some((report) => !READABLE.has(report.code))) throw problemsError(file, problems);
  const indirect = refuseIndirection(document, at);
  problems.push(...indirect.problems);
  if (!indirect.readable) throw problemsError(file, problems);
  return {
    document,
    problems,
    valueAt: (path) => at(nearest(document, path)?.range?.[0]),
    keyAt: (path) => at((keyNode(document, path) ?? nodeAt(document, path))?.range?.[0]),
  };
}

const ALIAS_HINT = "quote a pattern that begins with a star: '*.delete'";

const TOO_DEEP = { problem: 'the policy is nested too deeply', hint: 'a policy needs three levels' } as const;

const YAML_PROBLEMS: ReadonlyMap<string, Explained> = new Map([
  ['DUPLICATE_KEY', { problem: 'this key stands here twice', hint: 'keep one of them' }],
  ['BAD_ALIAS', { problem: 'a star begins a value that is not quoted', hint: ALIAS_HINT }],
  ['MULTIPLE_DOCS', { problem: 'the file holds more than one document', hint: "remove the line '---' and what follows" }],
  ['TAB_AS_INDENT', { problem: 'a tab is used to indent', hint: 'indent with spaces' }],
  ['TAG_RESOLVE_FAILED', { problem: 'tags are not accepted', hint: "remove the tag, or quote a value that begins with '!'" }],
  ['RESOURCE_EXHAUSTION', TOO_DEEP],
]);

function explainYaml(report: YAMLError): Explained {
  const problem = `not valid YAML: ${report.message.split('\n')[0]}`;
  return YAML_PROBLEMS.get(report.code) ?? { problem, hint: 'check indentation and quotes here' };
}

/** What makes a document say something else than it shows: anchors, aliases, tags, keys that are no text. */
function refuseIndirection(
  document: Document.Parsed,
  at: (offset: number | undefined) => Position,
): { readonly problems: readonly Problem[]; readonly readable: boolean } {
  const problems: Problem[] = [];
  let readable = true;
  const add = (node: Node, problem: string, hint: string): void => {
    problems.push({ ...at(node.range?.[0]), problem, hint });
  };
  visit(document, {
    Pair(_, { key }) {
      if (!isNode(key) || isAlias(key) || (isScalar(key) && typeof key.value === 'string')) return;
      add(key, 'this key is not text', isScalar(key) ? 'put it in quotes' : 'write a plain key');
      readable = false;
    },
    Node(_, node) {
      if (isAlias(node)) {
        add(node, 'a star begins a value that is not quoted', ALIAS_HINT);
        const stand = new Scalar(`*${node.source}`);
        if (node.range) stand.range = node.range;
        return stand;
      }
      if (node.anchor !== undefined) add(node, 'anchors are not accepted', "write the value out, or quote it if it begins with '&'");
      return undefined;
    },
  });
  return { problems, readable };
}

function nodeAt(document: Document.Parsed, path: Path): Node | undefined {
  const node: unknown = path.length === 0 ? document.contents : document.getIn(path, true);
  return isNode(node) ? node : undefined;
}

function nearest(document: Document.Parsed, path: Path): Node | undefined {
  return nodeAt(document, path) ?? (path.length === 0 ? undefined : nearest(document, path.slice(0, -1)));
}

function keyNode(document: Document.Parsed, path: Path): Node | undefined {
  const parent = nodeAt(document, path.slice(0, -1));
  const key = path.at(-1);
  if (!isMap(parent) || key === undefined) return undefined;
  const pair = parent.items.find((item) => isScalar(item.key) && item.key.value === key);
  return isScalar(pair?.key) ? pair.key : undefined;
}

type Check = z.RefinementCtx;

function report(ctx: Check, problem: string, hint: string): void {
  ctx.addIssue({ code: 'custom', message: problem, params: { hint } });
}

function checkGlob(pattern: string, ctx: Check): void {
  const compiled = compileGlob(pattern);
  if (!compiled.ok) report(ctx, compiled.problem, compiled.hint);
}

function checkPattern(source: string, ctx: Check): void {
  if (source.length > PATTERN_LENGTH_MAX) {
    report(ctx, `the pattern is longer than ${PATTERN_LENGTH_MAX} characters`, 'write several shorter patterns');
    return;
  }
  const compiled = compileRegex(source);
  if (!compiled.ok) {
    report(ctx, `not an RE2 pattern: ${compiled.problem}`, 'RE2 has no look-around and no back-references; see github.com/google/re2/wiki/Syntax');
  } else if (compiled.matchesEmpty) {
    report(ctx, 'the pattern matches the empty string', "let it need at least one character, such as 'x+' for 'x*'");
  }
}

/** The classifier's settings are known, but only "off" is true of this build. */
function checkClassifier(enabled: unknown, ctx: Check): void {
  if (enabled === false) return;
  if (enabled === true) {
    report(ctx, 'this build has no classifier', "write 'enabled: false', or remove the section: nothing would be screened");
    return;
  }
  report(ctx, 'wants false', "write 'enabled: false', or remove the section");
}

function checkKeyFile(audit: { readonly key: string; readonly key_file?: string | undefined }, ctx: Check): void {
  const issue = (path: string, message: string, hint: string): void => {
    ctx.addIssue({ code: 'custom', path: [path], message, params: { hint } });
  };
  if (audit.key === 'file' && audit.key_file === undefined) {
    issue('key', "'key: file' needs key_file", 'name the file of the seed: key_file: audit.seed');
  }
  if (audit.key !== 'file' && audit.key_file !== undefined) {
    issue('key_file', "key_file has no effect without 'key: file'", "write 'key: file' beside it, or remove it");
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

/** A finding of the schema as problems with their places. */
function explain(issue: z.core.$ZodIssue, yaml: Yaml): Problem[] {
  const { path } = issue;
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ ...yaml.keyAt([...path, key]), ...unknownKey(path, key, POLICY_KEYS) }));
  }
  if (issue.code === 'invalid_key') {
    return issue.issues.flatMap((inner) => explain({ ...inner, path }, yaml)).map((problem) => ({ ...problem, ...yaml.keyAt(path) }));
  }
  return [{ ...yaml.valueAt(path), ...explainValue(issue, pathLabel(path)) }];
}

function explainValue(issue: z.core.$ZodIssue, label: string): Explained {
  if (issue.code === 'custom') {
    const hint: unknown = issue.params?.['hint'];
    return { problem: `${label}: ${issue.message}`, hint: typeof hint === 'string' ? hint : SEE_STARTER };
  }
  if (issue.code === 'invalid_value' || issue.code === 'invalid_type') {
    if (issue.input === undefined) return missing(label);
    return issue.code === 'invalid_value' ? wrongWord(label, issue.values) : wrongType(label, issue.expected, issue.input);
  }
  if (issue.code === 'too_big') return { problem: `${label} is above the limit of ${issue.maximum}`, hint: 'make it smaller' };
  if (issue.code === 'too_small') {
    const problem = issue.origin === 'string' ? `${label} is empty` : `${label} is below ${issue.minimum}`;
    return { problem, hint: 'write a value, or remove the key' };
  }
  return { problem: `${label} is not valid`, hint: SEE_STARTER };
}

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
