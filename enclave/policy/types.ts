// SPDX-License-Identifier: Apache-2.0
/** What the data path asks of a policy. Decisions are values; `reason` and `message` never hold a raw tool name. */
import type { Direction } from '../../shared/audit/row.ts';
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';

/** What a policy says of one tool call or method. */
export type PolicyDecision =
  | {
      readonly kind: 'allow';
      /** Place of the deciding rule, such as `allow_tools[2]`; null where none matched. */
      readonly rule: string | null;
      /** For the log line: `no rule matched`, `default allow`, `matched 'files.*'`. */
      readonly reason: string;
    }
  | {
      readonly kind: 'deny' | 'hold';
      readonly code: 'TOOL_DENIED' | 'TOOL_NOT_ALLOWED' | 'APPROVAL_REQUIRED' | 'METHOD_DENIED' | 'METHOD_UNKNOWN';
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

/** What redaction made of a value. `timeout`: the budget ran out, the value must not be forwarded. */
export type Redaction =
  | { readonly kind: 'done'; readonly value: JsonValue; readonly count: number }
  | { readonly kind: 'timeout' };

/** One pattern that replaces what it matches. */
export interface RedactionPattern {
  /** Place in the policy or name of the built-in pattern. */
  readonly name: string;
  /** RE2 syntax. */
  readonly source: string;
  /** Inserted literally; `$` has no meaning. */
  readonly replacement: string;
}

export interface PinningSettings {
  readonly enabled: boolean;
  readonly onDrift: 'alert' | 'block';
  readonly onNew: 'allow' | 'alert' | 'block';
  /** Lockfile as the policy names it, or null for `bastion.lock.yaml` beside the policy. */
  readonly path: string | null;
}

export interface AuditSettings {
  /** Directory of the log, or null for the default of local mode. */
  readonly path: string | null;
  readonly payload: 'none' | 'redacted';
  readonly order: 'strict' | 'intent' | 'response';
  readonly signature: 'per-commit' | 'per-row';
  readonly key: 'file' | 'ephemeral';
  /** For `file`: the seed's path. */
  readonly keyFile: string | null;
  /** Things the person should know, such as a legacy path that now names a directory. */
  readonly notices: readonly string[];
}

export interface Policy {
  /** SHA-256 of the document's bytes, hex. */
  readonly digest: string;
  readonly pinning: PinningSettings;
  readonly audit: AuditSettings;
  /** Decides a tools/call, and whether a listing shows the tool. `soleServer`: exactly one server is configured. */
  decideTool(server: string, tool: string, soleServer: boolean): PolicyDecision;
  /**
   * Decides any other method. `params` tells elicitation modes apart. `known`: some revision defines the method.
   */
  decideMethod(direction: Direction, method: string, params: JsonObject | undefined, known: boolean): PolicyDecision;
  /** Applies `redact_args` to the arguments of a call: string values, keys, and numbers by their text, at any depth. */
  redactArguments(args: JsonValue): Promise<Redaction>;
  /** What is taken out of everything that is stored or logged: `redact_args` and the built-in credential patterns. */
  readonly scrubPatterns: readonly RedactionPattern[];
  /** The same, applied to a line of text. */
  scrubText(text: string): string;
  /** Ends the worker that long strings use. */
  close(): Promise<void>;
}
