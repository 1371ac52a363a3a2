// SPDX-License-Identifier: Apache-2.0
/** What the data path asks of a policy. Decisions are values; `reason` and `message` never hold a raw tool name. */
import type { Direction } from '../../shared/audit/row.ts';
import type { DeniedCode } from '../../shared/errors.ts';
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import type { Limit } from './limiter.ts';

/** One step of a decision, for whoever asks why. */
export interface Step {
  /** A rule's place, or `default`. */
  readonly place: string;
  readonly outcome: 'passed over' | 'marks' | 'observed' | 'decides';
  readonly why: string;
}

/** A tool as the rules see it: a call of it, or its place in a listing. */
export interface ToolQuery {
  readonly server: string;
  /** The upstream's own name (attacker-controlled). */
  readonly tool: string;
  /** True where no other server is configured: allow globs may then name the bare tool. */
  readonly soleServer: boolean;
  readonly principal: string;
  /** The arguments as received; null where a listing asks whether any call could be allowed. */
  readonly args: JsonObject | null;
}

/** A request or notification that is no call of a tool. */
export interface MethodQuery {
  readonly server: string;
  readonly principal: string;
  readonly direction: Direction;
  readonly method: string;
  /** Tells elicitation modes apart, and the URIs of resources. */
  readonly params: JsonObject | undefined;
  /** Some revision defines the method. */
  readonly known: boolean;
}

/** What makes an allowed message stand out in its row: an `alert` rule, or what a rule under `observe` would have done. */
export interface Mark {
  readonly code: Extract<DeniedCode, 'RULE_ALERT' | 'TOOL_DENIED' | 'TOOL_NOT_ALLOWED' | 'APPROVAL_REQUIRED' | 'METHOD_DENIED' | 'METHOD_UNKNOWN' | 'LIMIT_EXCEEDED'>;
  readonly rule: string | null;
  /** For the log line: `observed: tool#3dca4690 matched 'shell.*'`. */
  readonly reason: string;
}

/** Who has to approve a held call. */
export interface ApprovalTerms {
  /** How many of them, each with a key of his own. */
  readonly approvals: number;
  /** Names of approvers of the policy; who may. */
  readonly approvers: readonly string[];
}

/** What a policy says of one tool call or method. */
export type PolicyDecision =
  | {
      readonly kind: 'allow';
      /** Place of the deciding rule, such as `allow_tools[2]`; null where none matched. */
      readonly rule: string | null;
      /** For the log line: `no rule matched`, `default allow`, `matched 'files.*'`. */
      readonly reason: string;
      readonly mark: Mark | null;
    }
  | {
      readonly kind: 'deny' | 'hold';
      /** For a held call: whose approval it waits for. Null where the policy names no approver, and for a denial. */
      readonly approval: ApprovalTerms | null;
      readonly code: 'TOOL_DENIED' | 'TOOL_NOT_ALLOWED' | 'APPROVAL_REQUIRED' | 'METHOD_DENIED' | 'METHOD_UNKNOWN' | 'LIMIT_EXCEEDED';
      readonly rule: string | null;
      /** The pattern as it may be shown: a pattern without wildcards is a tool's name, and shown as its label. */
      readonly pattern: string | null;
      /** For the log line: `tool#3dca4690 matched 'shell.*'`. */
      readonly reason: string;
      /** For the client: `tool#3dca4690 matched deny rule 'shell.*'`. */
      readonly message: string;
      /** What the person or the model can do about it. */
      readonly hint: string;
    };

/** What redaction made of a value. */
export interface Redaction {
  readonly value: JsonValue;
  /** Strings, keys and numbers that changed. */
  readonly count: number;
  /** Of these, those that could not be checked in time and are masked as a whole. */
  readonly masked: number;
}

/** One pattern that replaces what it matches. */
export interface RedactionPattern {
  /** Place in the policy or name of the built-in pattern. */
  readonly name: string;
  /** RE2 syntax. */
  readonly source: string;
  /** Inserted literally; `$` has no meaning. */
  readonly replacement: string;
  /** Also looked for in encoded views of a value, and across neighbouring strings. */
  readonly decode?: boolean;
  /** What RE2 cannot express: a match counts only if it passes, or as far as it passes. */
  readonly check?: 'luhn' | 'iban' | 'assigned';
  /** Also looked for in the name of an object's member together with its value, as `name="value"`. */
  readonly members?: boolean;
}

/** Someone who may approve held calls. */
export interface ApproverKey {
  readonly name: string;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** SHA-256 of the SubjectPublicKeyInfo, hex. */
  readonly fingerprint: string;
}

export interface ApprovalSettings {
  readonly approvers: ReadonlyMap<string, ApproverKey>;
  /** Milliseconds that a held call stays open; revision 2026-07-28 is answered at once. */
  readonly holdMs: number;
  /** Milliseconds after which a ticket that nobody decided is void. */
  readonly expiresMs: number;
  /** Milliseconds after an approval in which the call may be repeated. */
  readonly redeemMs: number;
}

export interface PinningSettings {
  readonly enabled: boolean;
  readonly onDrift: 'alert' | 'block' | 'approve';
  readonly onNew: 'allow' | 'alert' | 'block' | 'approve';
  /** Lockfile as the policy names it, or null for `bastion.lock.yaml` beside the policy. */
  readonly path: string | null;
}

export interface AuditSettings {
  /** Directory of the log, or null for the default of local mode. */
  readonly path: string | null;
  readonly payload: 'none' | 'redacted';
  readonly order: 'strict' | 'intent' | 'response';
  readonly signature: 'per-commit' | 'per-row';
  readonly key: 'file' | 'keychain' | 'systemd-credential' | 'ephemeral';
  /** For `file`: the seed's path. */
  readonly keyFile: string | null;
  /** For `keychain` and `systemd-credential`: what the seed is called there. */
  readonly keyName: string;
  /** When a segment of the log ends. */
  readonly segmentMegabytes: number;
  readonly segmentDays: number;
  /** For how long segments are kept after their last row. */
  readonly keepDays: number;
  /** Nothing is taken away or erased. */
  readonly legalHold: boolean;
  /** Public keys for whom payloads are sealed; none: they are stored redacted, and not encrypted. */
  readonly readers: readonly string[];
  /** Things the person should know, such as a legacy path that now names a directory. */
  readonly notices: readonly string[];
}

export interface Policy {
  /** SHA-256 of the document's bytes, hex. */
  readonly digest: string;
  /** Of the whole policy: under `observe` nothing is denied or held, and what would have been is marked. */
  readonly mode: 'enforce' | 'observe';
  readonly pinning: PinningSettings;
  readonly audit: AuditSettings;
  readonly approval: ApprovalSettings;
  /** Limits on calls; counted by the one Limiter of the process. */
  readonly limits: readonly Limit[];
  /** Ids of servers that have a section of their own. */
  readonly serversNamed: readonly string[];
  /** Decides a tools/call, and with `args: null` whether a listing shows the tool. */
  decideTool(query: ToolQuery): PolicyDecision;
  /** The same decision with the steps that led to it. */
  explainTool(query: ToolQuery): { readonly decision: PolicyDecision; readonly steps: readonly Step[] };
  /** True if the decision on a tool can be another one for other arguments. */
  dependsOnArguments(query: Omit<ToolQuery, 'args'>): boolean;
  /** Decides any other method. */
  decideMethod(query: MethodQuery): PolicyDecision;
  /**
   * Applies `redact_args` (to what goes to the server) or `redact_results` (to what comes from it): string values, keys,
   * and numbers by their text, at any depth.
   */
  redact(direction: Direction, server: string, value: JsonValue): Promise<Redaction>;
  /** False where `redact` would change nothing, whatever the value. */
  redacts(direction: Direction, server: string): boolean;
  /** What is taken out of everything that is stored or logged: `redact_args` and the built-in credential patterns. */
  readonly scrubPatterns: readonly RedactionPattern[];
  /** The same, applied to a line of text. */
  scrubText(text: string): string;
  /** Ends the worker that long strings use. */
  close(): Promise<void>;
}
