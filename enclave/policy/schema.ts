// SPDX-License-Identifier: Apache-2.0
/** The form of a policy document, version 1: every key, what may stand there, and what stands there where nothing is written. */
import * as z from 'zod';
import { fromBase64 } from '../../shared/audit/base64.ts';
import { APPROVAL_HOLD_MS_MAX, APPROVAL_MS_MAX, APPROVERS_MAX, KEEP_DAYS_DEFAULT, KEEP_DAYS_MAX, LIMIT_WINDOW_MS_MAX, PATTERN_LENGTH_MAX, POLICY_CONDITIONS_MAX, POLICY_LIST_MAX, READERS_MAX, REPLACEMENT_LENGTH_MAX, SEGMENT_DAYS_DEFAULT, SEGMENT_MB_DEFAULT, SEGMENT_MB_MAX } from '../../shared/limits.ts';
import { parseReader } from '../audit/reader-key.ts';
import { report } from '../document/explain.ts';
import { closest, quoted } from '../document/problem.ts';
import { parseArgumentPath } from './argument-path.ts';
import { isWeakKey } from './approver-keys.ts';
import { wholePattern } from './compile-condition.ts';
import type { ApprovalDocument, LimitDocument, PolicyDocument, RedactionDocument, RuleDocument, ScopeDocument } from './document-parts.ts';
import { compileGlob } from './glob.ts';
import { hostPattern } from './host-readings.ts';
import { normalRoot } from './path-readings.ts';
import { LIBRARY_NAMES, libraryPatterns } from './patterns/library.ts';
import { compileRegex } from './regex.ts';

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

/** A pattern that also has to be matched as a whole: nothing in it may reach beyond its end. */
function checkWholePattern(source: string, ctx: Check): void {
  checkPattern(source, ctx);
  if (compileRegex(source).ok && !compileRegex(wholePattern(source)).ok) {
    report(ctx, { problem: 'the pattern does not end where it ends', hint: "close '\\\\Q' with '\\\\E', or write '[.]' for one character" });
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

/** What the seed is called where it has a name and no path. */
const KEY_NAME_DEFAULT = 'mcp-bastion-audit';
/** It becomes a file name below the folder of credentials. */
const KEY_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/;

function checkKeyName(value: string, ctx: Check): void {
  if (KEY_NAME.test(value) && !value.endsWith('.next')) return;
  report(ctx, { problem: 'is not the name of a key', hint: 'use 1 to 64 of a-z, A-Z, 0-9, dot, _ and -, beginning with none of dot and -' });
}

function checkReader(value: string, ctx: Check): void {
  if (parseReader(value) !== undefined) return;
  report(ctx, { problem: "is not a reader's public key", hint: 'use the line that "mcp-bastion audit reader new" printed' });
}

function checkKeyFile(audit: { readonly key: string; readonly key_file?: string | undefined; readonly key_name?: string | undefined }, ctx: Check): void {
  if (audit.key_name !== undefined && audit.key !== 'keychain' && audit.key !== 'systemd-credential') {
    report(ctx, { problem: "key_name has no effect without 'key: keychain' or 'key: systemd-credential'", hint: 'remove it, or name the custody beside it' }, ['key_name']);
  }
  if (audit.key === 'file' && audit.key_file === undefined) {
    report(ctx, { problem: "'key: file' needs key_file", hint: 'name the file of the seed: key_file: audit.seed' }, ['key']);
  }
  if (audit.key !== 'file' && audit.key_file !== undefined) {
    report(ctx, { problem: "key_file has no effect without 'key: file'", hint: "write 'key: file' beside it, or remove it" }, ['key_file']);
  }
}

const globs = z.array(z.string().superRefine(checkGlob)).max(POLICY_LIST_MAX);
const name = z.string().min(1);

/** One word, or a list of them. */
function words(check: (word: string, ctx: Check) => void) {
  const word = z.string().max(PATTERN_LENGTH_MAX).superRefine(check);
  return z.union([word, z.array(word).min(1).max(POLICY_LIST_MAX)]);
}

function checkArgument(text: string, ctx: Check): void {
  if (parseArgumentPath(text) === null) report(ctx, { problem: 'is not a path into arguments', hint: "for example: path, options.path, files[*].name, '**' for everything; quote a key with dots" });
}

function checkHost(text: string, ctx: Check): void {
  if (hostPattern(text) === null) report(ctx, { problem: 'is not a host', hint: "write a host, or '*.example.com' for every name below it; no scheme, no port" });
}

function checkScheme(text: string, ctx: Check): void {
  if (!/^[a-z][a-z0-9+.-]*$/.test(text)) report(ctx, { problem: 'is not a scheme', hint: "write it in lower case without colon, for example: https" });
}

function checkRoot(text: string, ctx: Check): void {
  const isRoot = text !== '' && !text.includes('\0') && normalRoot(text) === (text.length > 1 ? text.replace(/\/$/, '') : text);
  if (!isRoot) report(ctx, { problem: 'is not a folder in its shortest form', hint: "write it without '.', '..', doubled or back slashes, for example: /srv/data" });
}

const TYPES = ['string', 'number', 'boolean', 'array', 'object', 'null'] as const;

function checkBounds({ min, max }: { readonly min?: number | undefined; readonly max?: number | undefined }, ctx: Check): void {
  if (min === undefined && max === undefined) report(ctx, { problem: 'has no bound', hint: 'write min, max or both' });
  if (min !== undefined && max !== undefined && min > max) report(ctx, { problem: 'min is above max', hint: 'swap them' });
}

const bounds = z.strictObject({ min: z.number().optional(), max: z.number().optional() }).superRefine(checkBounds);
const sizes = z.strictObject({ min: z.int().min(0).optional(), max: z.int().min(0).optional() }).superRefine(checkBounds);
const port = z.int().min(1).max(65_535);
const scalar = z.union([z.string().max(PATTERN_LENGTH_MAX), z.number(), z.boolean()]);

const OPERATORS = ['equals', 'glob', 'regex', 'range', 'host', 'scheme', 'port', 'path_in', 'type', 'length', 'exists'] as const;

const condition = z
  .strictObject({
    arg: z.string().max(PATTERN_LENGTH_MAX).superRefine(checkArgument),
    not: z.boolean().default(false),
    equals: z.union([scalar, z.array(scalar).min(1).max(POLICY_LIST_MAX)]).optional(),
    glob: words(checkGlob).optional(),
    regex: z.string().superRefine(checkWholePattern).optional(),
    range: bounds.optional(),
    host: words(checkHost).optional(),
    scheme: words(checkScheme).optional(),
    port: z.union([port, z.array(port).min(1).max(POLICY_LIST_MAX)]).optional(),
    path_in: words(checkRoot).optional(),
    type: z.union([z.enum(TYPES), z.array(z.enum(TYPES)).min(1)]).optional(),
    length: sizes.optional(),
    exists: z.boolean().optional(),
  })
  .superRefine((read, ctx) => {
    const given = OPERATORS.filter((operator) => read[operator] !== undefined);
    if (given.length !== 1) report(ctx, { problem: 'a condition has exactly one test', hint: `one of ${OPERATORS.join(', ')}` });
    if (read.exists !== undefined && read.not) report(ctx, { problem: "'not' has no meaning beside exists", hint: 'write exists: false' }, ['not']);
  });

function checkWord(pattern: RegExp, hint: string): (text: string, ctx: Check) => void {
  return (text, ctx) => {
    if (!pattern.test(text)) report(ctx, { problem: 'is not a name', hint });
  };
}

const id = z.string().superRefine(checkWord(/^[a-z0-9][a-z0-9_-]{0,63}$/, 'use 1 to 64 of a-z, 0-9, _ and -'));
const mode = z.enum(['enforce', 'observe']).default('enforce');

const rule = z
  .strictObject({
    id: id.optional(),
    tools: globs.min(1).default(['*']),
    servers: globs.default([]),
    principals: globs.default([]),
    when: z.array(condition).max(POLICY_CONDITIONS_MAX).default([]),
    action: z.enum(['allow', 'deny', 'approve', 'alert']),
    message: z.string().min(1).max(REPLACEMENT_LENGTH_MAX).optional(),
    mode,
    approvals: z.int().min(1).max(APPROVERS_MAX).optional(),
    approvers: z.array(name).min(1).max(APPROVERS_MAX).optional(),
  })
  .superRefine((read, ctx) => {
    if (read.action === 'approve') return;
    for (const key of ['approvals', 'approvers'] as const) {
      if (read[key] !== undefined) report(ctx, { problem: `${key} has no effect without 'action: approve'`, hint: 'remove it' }, [key]);
    }
    if (read.message !== undefined && read.action !== 'deny') report(ctx, { problem: 'nobody sees the message of a rule that lets a call pass', hint: 'remove it' }, ['message']);
  });

const redaction = z
  .strictObject({
    pattern: z.string().superRefine(checkPattern).optional(),
    use: z.string().superRefine(checkLibraryName).optional(),
    replacement: z.string().max(REPLACEMENT_LENGTH_MAX).optional(),
    decode: z.boolean().default(false),
  })
  .superRefine((read, ctx) => {
    if ((read.pattern === undefined) === (read.use === undefined)) report(ctx, { problem: 'names no pattern, or two', hint: "write pattern: 'sk-[a-z]+', or use: credentials" });
  });

function checkLibraryName(text: string, ctx: Check): void {
  if (libraryPatterns(text) !== null) return;
  const near = closest(text, LIBRARY_NAMES);
  report(ctx, { problem: 'the library has no pattern of this name', hint: near === undefined ? `it has ${LIBRARY_NAMES.join(', ')}` : `did you mean '${near}'?` });
}

const WINDOW = /^([1-9][0-9]{0,4})(s|m|h|d)$/;
const WINDOW_UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of a window such as `30s` or `1h`; null for anything else. */
function windowMs(text: string): number | null {
  const found = WINDOW.exec(text);
  const ms = Number(found?.[1] ?? NaN) * (WINDOW_UNITS[found?.[2] ?? ''] ?? NaN);
  return ms <= LIMIT_WINDOW_MS_MAX ? ms : null;
}

function checkWindow(text: string, ctx: Check): void {
  if (windowMs(text) === null) report(ctx, { problem: 'is not a time', hint: 'write a number and s, m, h or d, up to 7d' });
}

const limit = z
  .strictObject({
    id: id.optional(),
    tools: globs.min(1).default(['*']),
    servers: globs.default([]),
    principals: globs.default([]),
    per: z.array(z.enum(['principal', 'server', 'tool'])).max(3).default([]),
    calls: z.int().min(0).optional(),
    bytes: z.int().min(0).optional(),
    window: z.string().superRefine(checkWindow).optional(),
    concurrent: z.int().min(1).optional(),
    mode,
  })
  .superRefine((read, ctx) => {
    const counts = read.calls !== undefined || read.bytes !== undefined;
    if (!counts && read.concurrent === undefined) report(ctx, { problem: 'limits nothing', hint: 'write calls, bytes or concurrent' });
    if (counts && read.window === undefined) report(ctx, { problem: 'calls and bytes are counted in a time', hint: "add it, for example: window: '1m'" });
    if (!counts && read.window !== undefined) report(ctx, { problem: 'window has no effect without calls or bytes', hint: 'remove it' }, ['window']);
  });

const resourceRule = z.strictObject({
  action: z.enum(['allow', 'deny']),
  schemes: z.array(z.string().superRefine(checkScheme)).max(POLICY_LIST_MAX).default([]),
  hosts: z.array(z.string().superRefine(checkHost)).max(POLICY_LIST_MAX).default([]),
  paths: z.array(z.string().superRefine(checkRoot)).max(POLICY_LIST_MAX).default([]),
});

/** Methods whose requests name a resource. */
const RESOURCE_METHODS: ReadonlySet<string> = new Set(['resources/read', 'resources/subscribe']);

const scope = {
  mode,
  deny_tools: globs.default([]),
  allow_tools: globs.default([]),
  require_approval: globs.default([]),
  rules: z.array(rule).max(POLICY_LIST_MAX).default([]),
  redact_args: z.array(redaction).max(POLICY_LIST_MAX).default([]),
  redact_results: z.array(redaction).max(POLICY_LIST_MAX).default([]),
  methods: z
    .record(z.string().superRefine(checkGlob), z.union([z.enum(['allow', 'deny']), z.array(resourceRule).min(1).max(POLICY_LIST_MAX)]))
    .superRefine((methods, ctx) => {
      for (const [method, action] of Object.entries(methods)) {
        if (typeof action !== 'string' && !RESOURCE_METHODS.has(method)) report(ctx, { problem: 'only resources/read and resources/subscribe name a resource', hint: 'write allow or deny' }, [method]);
      }
    })
    .default({}),
  limits: z.array(limit).max(POLICY_LIST_MAX).default([]),
};

const section = z.strictObject({ default: z.enum(['allow', 'deny']).optional(), ...scope });

/** A public key as a policy names it; its first group is base64. */
const APPROVER: RegExp = /^ed25519:([A-Za-z0-9+/]{43}=)$/;

function checkApprover(text: string, ctx: Check): void {
  const key = APPROVER.exec(text)?.[1];
  const bytes = key === undefined ? undefined : fromBase64(key);
  if (bytes === undefined || bytes.length !== 32) report(ctx, { problem: 'is not the public key of an approver', hint: 'put in the line that this prints: mcp-bastion approver new --name NAME' });
  else if (isWeakKey(bytes)) report(ctx, { problem: 'is a key that anybody can sign for', hint: 'make a new one with: mcp-bastion approver new --name NAME' });
}

function checkAnybody(approvers: object, ctx: Check): void {
  if (Object.keys(approvers).length === 0) report(ctx, { problem: 'names nobody', hint: 'put in the line that this prints: mcp-bastion approver new --name NAME' });
}

const approval = z.strictObject({
  approvers: z.record(z.string().superRefine(checkWord(/^[a-z0-9][a-z0-9._-]{0,63}$/, 'use 1 to 64 of a-z, 0-9, dot, _ and -')), z.string().superRefine(checkApprover)).superRefine(checkAnybody),
  approvals: z.int().min(1).max(APPROVERS_MAX).default(1),
  hold_ms: z.int().min(0).max(APPROVAL_HOLD_MS_MAX).default(25_000),
  expires_ms: z.int().min(1000).max(APPROVAL_MS_MAX).default(900_000),
  redeem_ms: z.int().min(1000).max(APPROVAL_MS_MAX).default(600_000),
});

const schema = z.strictObject({
  version: z.literal(1),
  default: z.enum(['allow', 'deny']).default('allow'),
  ...scope,
  servers: z.record(z.string().superRefine(checkWord(/^[a-z0-9-]{1,24}$/, 'use 1 to 24 of a-z, 0-9 and -: the id of the server')), section).default({}),
  approval: approval.optional(),
  tool_description_pinning: z
    .strictObject({
      enabled: z.boolean(),
      on_drift: z.enum(['alert', 'block', 'approve']).default('alert'),
      on_new: z.enum(['allow', 'alert', 'block', 'approve']).default('allow'),
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
      key: z.enum(['ephemeral', 'file', 'keychain', 'systemd-credential']).default('ephemeral'),
      key_file: name.optional(),
      key_name: z.string().superRefine(checkKeyName).optional(),
      segment_megabytes: z.number().int().min(1).max(SEGMENT_MB_MAX).optional(),
      segment_days: z.number().int().min(1).max(KEEP_DAYS_MAX).optional(),
      keep_days: z.number().int().min(1).max(KEEP_DAYS_MAX).optional(),
      legal_hold: z.boolean().optional(),
      readers: z.array(z.string().superRefine(checkReader)).max(READERS_MAX).optional(),
    })
    .superRefine(checkKeyFile)
    .optional(),
});

const scopeKeys: readonly (readonly [string, readonly string[]])[] = [
  ['rules', Object.keys(rule.shape)],
  ['rules.when', Object.keys(condition.shape)],
  ['rules.when.range', Object.keys(bounds.shape)],
  ['rules.when.length', Object.keys(bounds.shape)],
  ['redact_args', Object.keys(redaction.shape)],
  ['redact_results', Object.keys(redaction.shape)],
  ['limits', Object.keys(limit.shape)],
  ['methods.*', Object.keys(resourceRule.shape)],
];

/** Every key that a policy can hold, by the place of its section; a pin test freezes them. */
export const POLICY_KEYS: ReadonlyMap<string, readonly string[]> = new Map([
  ['', Object.keys(schema.shape)],
  ...scopeKeys,
  ['servers.*', Object.keys(section.shape)],
  ...scopeKeys.map(([place, keys]): [string, readonly string[]] => [`servers.*.${place}`, keys]),
  ['approval', Object.keys(approval.shape)],
  ['tool_description_pinning', Object.keys(schema.shape.tool_description_pinning.unwrap().shape)],
  ['classifier', Object.keys(schema.shape.classifier.unwrap().shape)],
  ['audit', Object.keys(schema.shape.audit.unwrap().shape)],
]);

/** The earlier release kept the log in one file. */
const LEGACY_PATH = /^(.*[^/\\])\.sqlite$/;

type Read = z.infer<typeof schema>;

function redactionOf(read: z.infer<typeof redaction>): RedactionDocument {
  const by = read.pattern !== undefined ? { kind: 'pattern', pattern: read.pattern } as const : { kind: 'use', name: read.use ?? '' } as const;
  return { by, replacement: read.replacement ?? null, decode: read.decode };
}

function ruleOf(read: z.infer<typeof rule>): RuleDocument {
  const { tools, servers, principals, when, action } = read;
  return { id: read.id ?? null, tools, servers, principals, when, action, message: read.message ?? null, observe: read.mode === 'observe', approvals: read.approvals ?? null, approvers: read.approvers ?? null };
}

function limitOf(read: z.infer<typeof limit>): LimitDocument {
  const { tools, servers, principals, per } = read;
  const counts = { calls: read.calls ?? null, bytes: read.bytes ?? null, concurrent: read.concurrent ?? null };
  return { id: read.id ?? null, tools, servers, principals, per, ...counts, windowMs: windowMs(read.window ?? '1m') ?? 60_000, observe: read.mode === 'observe' };
}

function scopeOf(read: Omit<z.infer<typeof section>, 'default'>): ScopeDocument {
  return {
    observe: read.mode === 'observe',
    denyTools: read.deny_tools,
    allowTools: read.allow_tools,
    requireApproval: read.require_approval,
    rules: read.rules.map(ruleOf),
    redactArgs: read.redact_args.map(redactionOf),
    redactResults: read.redact_results.map(redactionOf),
    methods: Object.entries(read.methods).map(([pattern, action]) => ({ pattern, action })),
    limits: read.limits.map(limitOf),
  };
}

function approvalOf(read: Read['approval']): ApprovalDocument {
  const approvers = Object.entries(read?.approvers ?? {}).map(([approver, key]): [string, Uint8Array] => [approver, fromBase64(APPROVER.exec(key)?.[1] ?? '') ?? new Uint8Array()]);
  return { approvers: new Map(approvers), approvals: read?.approvals ?? 1, holdMs: read?.hold_ms ?? 25_000, expiresMs: read?.expires_ms ?? 900_000, redeemMs: read?.redeem_ms ?? 600_000 };
}

function finish(read: Read): PolicyDocument {
  const pinning = read.tool_description_pinning;
  const audit = read.audit;
  const folder = audit?.path === undefined ? undefined : LEGACY_PATH.exec(audit.path)?.[1];
  const path = folder ?? audit?.path ?? null;
  return {
    default: read.default,
    ...scopeOf(read),
    servers: new Map(Object.entries(read.servers).map(([server, one]) => [server, { default: one.default ?? null, ...scopeOf(one) }])),
    approval: approvalOf(read.approval),
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
      keyName: audit?.key_name ?? KEY_NAME_DEFAULT,
      segmentMegabytes: audit?.segment_megabytes ?? SEGMENT_MB_DEFAULT,
      segmentDays: audit?.segment_days ?? SEGMENT_DAYS_DEFAULT,
      keepDays: audit?.keep_days ?? KEEP_DAYS_DEFAULT,
      legalHold: audit?.legal_hold ?? false,
      readers: audit?.readers ?? [],
      notices: folder === undefined ? [] : [`audit.path names a directory now: the log is kept in ${quoted(`${path}/`)}`],
    },
  };
}

/** A document's form: what stands in it, or what is wrong with it. */
export type Form = { readonly ok: true; readonly document: PolicyDocument } | { readonly ok: false; readonly issues: readonly z.core.$ZodIssue[] };

/** Reads what YAML gave. Nothing between the keys is checked here. */
export function readForm(raw: unknown): Form {
  const parsed = schema.safeParse(raw, { reportInput: true });
  return parsed.success ? { ok: true, document: finish(parsed.data) } : { ok: false, issues: parsed.error.issues };
}
