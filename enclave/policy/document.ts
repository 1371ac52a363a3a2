// SPDX-License-Identifier: Apache-2.0
/**
 * Reads a policy document, version 1: YAML in its plainest form (no anchors, aliases or tags), every key known, every
 * pattern compiled, every rule able to take effect. All problems are reported at once, each with line, column and hint.
 */
import { isAlias, isMap, isNode, isScalar, LineCounter, parseDocument, Scalar, visit } from 'yaml';
import type { Document, Node, YAMLError } from 'yaml';
import * as z from 'zod';
import { PATTERN_LENGTH_MAX, POLICY_BYTES_MAX, POLICY_LIST_MAX, REPLACEMENT_LENGTH_MAX } from '../../shared/limits.ts';
import type { RuleLists } from './deadrules.ts';
import { deadRules } from './deadrules.ts';
import { compileGlob } from './glob.ts';
import type { Problem } from './problem.ts';
import { closest, problemsError, quoted } from './problem.ts';
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
  const source = decode(bytes, file);
  const yaml = readYaml(source, file);
  const problems = [...yaml.problems];
  const raw: unknown = yaml.document.toJS({ maxAliasCount: 0 });
  const parsed = schema.safeParse(raw, { reportInput: true });
  if (!parsed.success) {
    for (const issue of parsed.error.issues) problems.push(...explain(issue, yaml));
  }
  for (const dead of deadRules(readLists(raw))) problems.push({ ...yaml.keyAt(dead.path), ...text(dead) });
  if (!parsed.success || problems.length > 0) throw problemsError(file, problems);
  return finish(parsed.data);
}

const START = { line: 1, column: 1 } as const;

function text(said: { readonly problem: string; readonly hint: string }): { problem: string; hint: string } {
  return { problem: said.problem, hint: said.hint };
}

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
  /** Place of a value. */
  valueAt(path: Path): Position;
  /** Place of the key that holds a value; of the value itself in a list. */
  keyAt(path: Path): Position;
}

/** Problems after which the rest of the document still reads as its author meant it. */
const READABLE: ReadonlySet<string> = new Set(['DUPLICATE_KEY', 'BAD_ALIAS', 'MULTIPLE_ANCHORS']);

function readYaml(source: string, file: string): Yaml {
  const counter = new LineCounter();
  const at = (offset: number | undefined): Position => {
    const { line, col } = counter.linePos(offset ?? 0);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  let document: Document.Parsed;
  try {
    document = parseDocument(source, { lineCounter: counter, prettyErrors: false, version: '1.2', schema: 'core', stringKeys: false });
  } catch {
    throw problemsError(file, [{ ...START, problem: 'the policy is nested too deeply', hint: 'a policy needs three levels' }]);
  }
  const reports: readonly YAMLError[] = [...document.errors, ...document.warnings];
  const problems = reports.map((report) => ({ ...at(report.pos[0]), ...explainYaml(report) }));
  if (reports.some((report) => !READABLE.has(report.code))) throw problemsError(file, problems);
  problems.push(...refuseIndirection(document, at));
  return {
    document,
    problems,
    valueAt: (path) => at(nodeAt(document, path)?.range?.[0]),
    keyAt: (path) => at((keyNode(document, path) ?? nodeAt(document, path))?.range?.[0]),
  };
}

const ALIAS_HINT = "quote a pattern that begins with a star: '*.delete'";

function explainYaml(report: YAMLError): { problem: string; hint: string } {
  switch (report.code) {
    case 'DUPLICATE_KEY':
      return { problem: 'this key stands here twice', hint: 'keep one of them' };
    case 'BAD_ALIAS':
      return { problem: 'a star begins a value that is not quoted', hint: ALIAS_HINT };
    case 'MULTIPLE_DOCS':
      return { problem: 'the file holds more than one document', hint: "remove the line '---' and what follows" };
    case 'TAB_AS_INDENT':
      return { problem: 'a tab is used to indent', hint: 'indent with spaces' };
    case 'RESOURCE_EXHAUSTION':
      return { problem: 'the policy is nested too deeply', hint: 'a policy needs three levels' };
    default:
      return { problem: `not valid YAML: ${report.message.split('\n')[0]}`, hint: 'check indentation and quotes here' };
  }
}

/** What makes a document say something else than it shows: anchors, aliases, tags, keys that are no text. */
function refuseIndirection(document: Document.Parsed, at: (offset: number | undefined) => Position): Problem[] {
  const problems: Problem[] = [];
  const add = (node: Node, problem: string, hint: string): void => {
    problems.push({ ...at(node.range?.[0]), problem, hint });
  };
  visit(document, {
    Pair(_, pair) {
      if (isScalar(pair.key) && typeof pair.key.value !== 'string') add(pair.key, 'this key is not text', 'put it in quotes');
      if (isNode(pair.key) && !isScalar(pair.key) && !isAlias(pair.key)) add(pair.key, 'this key is not text', 'write a plain key');
    },
    Node(_, node) {
      if (isAlias(node)) {
        add(node, 'a star begins a value that is not quoted', ALIAS_HINT);
        const stand = new Scalar(`*${node.source}`);
        if (node.range) stand.range = node.range;
        return stand;
      }
      if (node.anchor !== undefined) add(node, 'anchors are not accepted', "write the value out, or quote it if it begins with '&'");
      if (node.tag !== undefined && !node.tag.startsWith('tag:yaml.org,2002:')) add(node, 'tags are not accepted', 'remove the tag');
      return undefined;
    },
  });
  return problems;
}

function nodeAt(document: Document.Parsed, path: Path): Node | undefined {
  const node: unknown = path.length === 0 ? document.contents : document.getIn(path, true);
  return isNode(node) ? node : undefined;
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
  const label = pathLabel(issue.path);
  const value = yaml.valueAt(issue.path);
  const one = (place: Position, problem: string, hint: string): Problem[] => [{ ...place, problem, hint }];
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({ ...yaml.keyAt([...issue.path, key]), ...explainKey(issue.path, key) }));
    case 'invalid_key':
      return issue.issues.flatMap((inner) => explain({ ...inner, path: issue.path }, yaml)).map((problem) => ({ ...problem, ...yaml.keyAt(issue.path) }));
    case 'custom': {
      const hint: unknown = issue.params?.['hint'];
      return one(value, `${label}: ${issue.message}`, typeof hint === 'string' ? hint : 'mend it');
    }
    case 'invalid_value':
      if (issue.input === undefined) return one(value, `${label} is missing`, missingHint(label));
      return one(value, `${label} wants ${issue.values.map(String).join(' or ')}`, label === 'version' ? 'this build reads version 1' : 'write one of these words');
    case 'invalid_type':
      if (issue.input === undefined) return one(value, `${label} is missing`, missingHint(label));
      return one(value, `${label} wants ${TYPE_NAMES.get(issue.expected) ?? issue.expected}`, typeHint(issue.expected, issue.input));
    case 'too_big':
      return one(value, `${label} is above the limit of ${issue.maximum}`, 'make it smaller');
    case 'too_small':
      return one(value, issue.origin === 'string' ? `${label} is empty` : `${label} is below ${issue.minimum}`, 'write a value, or remove the key');
    default:
      return one(value, `${label} is not valid`, 'see the comments of the starter policy: mcp-bastion init');
  }
}

const TYPE_NAMES: ReadonlyMap<string, string> = new Map([
  ['array', 'a list'],
  ['object', 'a section of keys'],
  ['record', 'a section of keys'],
  ['string', 'text'],
  ['boolean', 'true or false'],
  ['number', 'a number'],
]);

function typeHint(expected: string, input: unknown): string {
  if (input === null) return 'write a value, or remove the key';
  if (expected === 'array') return "write each entry on a line of its own that begins with '- '";
  if (expected === 'string') return 'put it in quotes';
  return 'see the comments of the starter policy: mcp-bastion init';
}

function missingHint(label: string): string {
  if (label === 'version') return "begin the policy with 'version: 1'";
  return label.endsWith('enabled') ? 'say true or false, so that nobody has to guess' : 'add it';
}

function pathLabel(path: Path): string {
  if (path.length === 0) return 'the policy';
  return path.map((part, index) => labelPart(part, index === 0)).join('');
}

function labelPart(part: PropertyKey, first: boolean): string {
  if (typeof part === 'number') return `[${part}]`;
  const word = String(part);
  if (!/^[a-z_]+$/.test(word)) return `[${quoted(word)}]`;
  return first ? word : `.${word}`;
}

function explainKey(path: Path, key: string): { problem: string; hint: string } {
  const section = typeof path[0] === 'string' ? path[0] : '';
  const known = POLICY_KEYS.get(section) ?? [];
  const near = closest(key, known);
  const hint = near === undefined ? `known keys here: ${known.join(', ')}` : `did you mean '${near}'?`;
  return { problem: `there is no key ${quoted(key)}${section === '' ? '' : ` in ${section}`}`, hint };
}

/** What the lists hold, as far as it can be read. */
function readLists(raw: unknown): RuleLists {
  const entries = (key: string): (string | undefined)[] => listIn(raw, key).map((entry) => (typeof entry === 'string' ? entry : undefined));
  const methods = Object.entries(asRecord(memberOf(raw, 'methods')));
  return {
    defaultAllow: (memberOf(raw, 'default') ?? 'allow') === 'allow',
    denyTools: entries('deny_tools'),
    allowTools: entries('allow_tools'),
    requireApproval: entries('require_approval'),
    redactPatterns: listIn(raw, 'redact_args').map((entry) => {
      const pattern = memberOf(entry, 'pattern');
      return typeof pattern === 'string' ? pattern : undefined;
    }),
    deniedMethods: methods.filter(([, action]) => action === 'deny').map(([method]) => method),
  };
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}

function memberOf(value: unknown, key: string): unknown {
  return asRecord(value)[key];
}

function listIn(value: unknown, key: string): readonly unknown[] {
  const list = memberOf(value, key);
  return Array.isArray(list) ? list.slice(0, POLICY_LIST_MAX) : [];
}

function finish(read: z.infer<typeof schema>): PolicyDocument {
  const pinning = read.tool_description_pinning;
  const audit = read.audit;
  const legacy = audit?.path?.endsWith('.sqlite') === true && audit.path !== '.sqlite' && !audit.path.endsWith('/.sqlite');
  const path = legacy ? audit.path.slice(0, -'.sqlite'.length) : (audit?.path ?? null);
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
      notices: legacy ? [`audit.path names a directory now: the log is kept in ${quoted(`${path}/`)}`] : [],
    },
  };
}
