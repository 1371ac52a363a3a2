// SPDX-License-Identifier: Apache-2.0
/** The parts of a valid policy document, with all defaults filled in. */
import type { AuditSettings, PinningSettings } from './types.ts';

/** One entry of `redact_args` or `redact_results`. */
export interface RedactionDocument {
  /** RE2 source, or the name of a pattern or group of the library. */
  readonly by: { readonly kind: 'pattern'; readonly pattern: string } | { readonly kind: 'use'; readonly name: string };
  /** Null for the library's own. */
  readonly replacement: string | null;
  readonly decode: boolean;
}

type Scalar = string | number | boolean;
type ValueType = 'string' | 'number' | 'boolean' | 'array' | 'object' | 'null';

interface Bounds {
  readonly min?: number | undefined;
  readonly max?: number | undefined;
}

/** One condition on arguments, as it is written. */
export interface ConditionDocument {
  readonly arg: string;
  readonly not: boolean;
  readonly equals?: Scalar | readonly Scalar[] | undefined;
  readonly glob?: string | readonly string[] | undefined;
  readonly regex?: string | undefined;
  readonly range?: Bounds | undefined;
  readonly host?: string | readonly string[] | undefined;
  readonly scheme?: string | readonly string[] | undefined;
  readonly port?: number | readonly number[] | undefined;
  readonly path_in?: string | readonly string[] | undefined;
  readonly type?: ValueType | readonly ValueType[] | undefined;
  readonly length?: Bounds | undefined;
  readonly exists?: boolean | undefined;
}

export interface RuleDocument {
  readonly id: string | null;
  readonly tools: readonly string[];
  readonly servers: readonly string[];
  readonly principals: readonly string[];
  readonly when: readonly ConditionDocument[];
  readonly action: 'allow' | 'deny' | 'approve' | 'alert';
  readonly message: string | null;
  readonly observe: boolean;
  /** Null for the policy's own. */
  readonly approvals: number | null;
  readonly approvers: readonly string[] | null;
}

export interface LimitDocument {
  readonly id: string | null;
  readonly tools: readonly string[];
  readonly servers: readonly string[];
  readonly principals: readonly string[];
  readonly per: readonly ('principal' | 'server' | 'tool')[];
  readonly calls: number | null;
  readonly bytes: number | null;
  readonly windowMs: number;
  readonly concurrent: number | null;
  readonly observe: boolean;
}

export interface ResourceRuleDocument {
  readonly action: 'allow' | 'deny';
  readonly schemes: readonly string[];
  readonly hosts: readonly string[];
  readonly paths: readonly string[];
}

export interface MethodDocument {
  readonly pattern: string;
  readonly action: 'allow' | 'deny' | readonly ResourceRuleDocument[];
}

/** What the whole policy and each server's section can hold. */
export interface ScopeDocument {
  readonly observe: boolean;
  readonly denyTools: readonly string[];
  readonly allowTools: readonly string[];
  readonly requireApproval: readonly string[];
  readonly rules: readonly RuleDocument[];
  readonly redactArgs: readonly RedactionDocument[];
  readonly redactResults: readonly RedactionDocument[];
  readonly methods: readonly MethodDocument[];
  readonly limits: readonly LimitDocument[];
}

export interface SectionDocument extends ScopeDocument {
  /** Null for the policy's own. */
  readonly default: 'allow' | 'deny' | null;
}

export interface ApprovalDocument {
  /** Ed25519 public keys, 32 bytes, by name. */
  readonly approvers: ReadonlyMap<string, Uint8Array>;
  readonly approvals: number;
  readonly holdMs: number;
  readonly expiresMs: number;
  readonly redeemMs: number;
}

/** A valid policy, with all defaults filled in. */
export interface PolicyDocument extends ScopeDocument {
  readonly default: 'allow' | 'deny';
  readonly servers: ReadonlyMap<string, SectionDocument>;
  readonly approval: ApprovalDocument;
  readonly pinning: PinningSettings;
  readonly audit: AuditSettings;
}
